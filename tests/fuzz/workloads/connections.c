/* Connections to names with many addresses, on a network of the seed's: some dead, some far, some that break.
 *
 * Invariants: who is connected, is so with an address that answers, and is answered; who is not, is told an error that
 * the addresses have; nobody waits at rest; no descriptor is left open.
 */
#include <stdio.h>
#include <string.h>

#include "../../../src/loop/loop.h"
#include "../../../src/sys/sim/network.h"
#include "../fuzz.h"

enum { NAMES = 3, MOST = 4, PORT = 80, CLIENTS = 5 };

struct world {
    enum cosy_sim_behaviour behaviour[NAMES][MOST];
    int addresses[NAMES];
    bool is_v6[NAMES][MOST];
    int connecting;
};

static void address_of(const struct world *world, int name, int index, char text[40])
{
    snprintf(text, 40, world->is_v6[name][index] ? "2001:db8:7::%d%d" : "198.51.100.%d%d", name + 1, index);
}

static struct cosy_sys *kernel(void)
{
    return cosy_running_loop()->sys;
}

static void create(struct world *world)
{
    char address[40], name[16];
    for (int n = 0; n < NAMES; n++) {
        cosy_ns lookup_delay = COSY_MS(below(3) * 20);
        world->addresses[n] = 1 + below(MOST);
        for (int i = 0; i < world->addresses[n]; i++) {
            world->behaviour[n][i] =
                below(2) ? COSY_SIM_ANSWERS : (enum cosy_sim_behaviour)below(COSY_SIM_HOST_UNREACHABLE + 1);
            world->is_v6[n][i] = below(2);
            address_of(world, n, i, address);
            snprintf(name, sizeof name, "host%d.test", n);
            cosy_test_expect(cosy_sim_add_host(kernel(), &(const struct cosy_sim_host){
                                                             .name = name,
                                                             .address = address,
                                                             .behaviour = world->behaviour[n][i],
                                                             .delay = COSY_MS(below(4) * 125),
                                                             .lookup_delay = lookup_delay,
                                                         }) == 0);
        }
    }
    cosy_sim_set_character(kernel(), &(const struct cosy_sim_character){
                                         .jitter = COSY_MS(below(2) * 30),
                                         .again_per_million = (unsigned)below(2) * 100000,
                                         .alarm_per_million = (unsigned)below(2) * 100000,
                                     });
}

cosy_async static int answer(cosy_stream *stream, struct world *world)
{
    char byte;
    (void)world;
    if (cosy_read(stream, &byte, 1) == 1)
        (void)cosy_write(stream, &byte, 1); /* who asked may be gone */
    return 0;
}

static void look_at_peer(const struct world *world, int name, const cosy_stream *stream)
{
    struct cosy_address peer;
    char is[COSY_ADDRESS_TEXT], may_be[40];
    int found = 0;
    if (cosy_stream_peername(stream, &peer) < 0)
        return; /* gone again */
    cosy_address_host(&peer, is);
    for (int i = 0; i < world->addresses[name]; i++) {
        address_of(world, name, i, may_be);
        found += strcmp(is, may_be) == 0 && world->behaviour[name][i] == COSY_SIM_ANSWERS;
    }
    cosy_test_expect(found == 1);
}

/* Whether that can have come of it. */
static bool may_fail(const struct world *world, int name, int error)
{
    bool all_dead = true;
    for (int i = 0; i < world->addresses[name]; i++)
        all_dead &= world->behaviour[name][i] != COSY_SIM_ANSWERS;
    return error == -ECANCELED || (all_dead && (error == -ECONNREFUSED || error == -ETIMEDOUT ||
                                                error == -ENETUNREACH || error == -EHOSTUNREACH));
}

cosy_async static int open_one(struct world *world, int name)
{
    static const cosy_ns delays[] = {0, -1, COSY_MS(1), COSY_MS(500)};
    char host[16], byte = '?';
    cosy_scoped(cosy_stream) stream = NULL;
    snprintf(host, sizeof host, "host%d.test", name);
    world->connecting++;
    int result =
        cosy_open_connection(host, PORT, &stream, .happy_eyeballs_delay = delays[below(4)], .interleave = below(4) - 1);
    world->connecting--;
    cosy_test_expect((result == 0) == (stream != NULL));
    if (result < 0) {
        cosy_test_expect(may_fail(world, name, result));
        return result == -ECANCELED ? result : 0;
    }
    look_at_peer(world, name, stream);
    cosy_try(cosy_write(stream, "x", 1));
    cosy_try((int)cosy_read(stream, &byte, 1));
    return 0;
}

cosy_async static int client(void *state, int index)
{
    struct world *world = state;
    (void)index;
    for (int i = 0; i < 3; i++) {
        cosy_try(pause_somehow());
        int result = below(2) ? open_one(world, below(NAMES))
                              : cosy_wait_for(cosy_call(open_one, world, below(NAMES)), COSY_MS(below(900)));
        if (result == -ECANCELED)
            return result;
    }
    return 0;
}

static void all_came_through(void *state)
{
    cosy_test_expect(((struct world *)state)->connecting == 0);
}

cosy_async static int live(struct world *world)
{
    cosy_scoped(cosy_server) server = NULL;
    struct crew crew = {
        .member = client, .at_rest = all_came_through, .state = world, .members = CLIENTS, .kills = below(5)};
    create(world);
    int result = cosy_start_server(&server, answer, world, NULL, PORT);
    return result < 0 ? result : crew_run(&crew);
}

static void world_rounds(void)
{
    struct world world = {0};
    long lost = cosy_sim_descriptors_lost();
    (void)cosy_test_run(live, &world);
    cosy_test_expect(cosy_sim_descriptors_lost() == lost);
}
WORKLOAD("connections", world_rounds)
