/* A server and its clients, of whom some talk, some are silent, some vanish; the server is ended in any way, at any
 * time.
 *
 * Invariants: every handler that began has ended when the server is freed; there are never more of them than it allows;
 * an answer is what was asked; a drain says whether it had to cancel; nobody waits at rest; no descriptor is left open.
 */
#include <string.h>

#include "../../../src/loop/loop.h"
#include "../../../src/sys/sim/network.h"
#include "../fuzz.h"

enum { CLIENTS = 7, LINES = 4 };

struct service {
    cosy_server *server;
    unsigned port;
    int most; /* .max_connections; 0: any number */
    int serving, began, ended, waiting;
};

/* Counts itself also where it is cancelled: the answer of the last wait is passed on. */
cosy_async static int serve(cosy_stream *stream, struct service *service)
{
    char *line;
    int64_t size;
    service->began++;
    cosy_test_expect(++service->serving <= service->most || service->most == 0);
    while ((size = cosy_readline(stream, &line)) > 0) {
        if ((size = pause_somehow()) < 0 || (size = cosy_write(stream, line, strlen(line))) < 0)
            break;
    }
    service->serving--;
    service->ended++;
    return size == -ECANCELED ? -ECANCELED : 0; /* clients may vanish */
}

cosy_async static int talk(cosy_stream *stream)
{
    char *line, text[] = "0 said\n";
    for (int i = 0; i < LINES; i++) {
        text[0] = (char)('0' + i);
        cosy_try(pause_somehow());
        int64_t size = cosy_write(stream, text, strlen(text));
        if (size == 0)
            size = cosy_readline(stream, &line);
        if (size <= 0)
            return size == -ECANCELED ? -ECANCELED : 0; /* the server was ended */
        cosy_test_expect(strcmp(line, text) == 0);
    }
    return 0;
}

cosy_async static int client(void *state, int index)
{
    struct service *service = state;
    for (int i = 0; i < 3; i++) {
        cosy_scoped(cosy_stream) stream = NULL;
        cosy_try(pause_somehow());
        service->waiting++;
        int result = cosy_open_connection("127.0.0.1", service->port, &stream);
        service->waiting--;
        cosy_test_expect(result == 0 || result == -ECANCELED || result == -ECONNREFUSED || result == -ECONNRESET);
        if (result < 0)
            return result == -ECANCELED ? result : 0;
        if (index % 3 == 0 && below(3) == 0) { /* says half a line, and goes or stays */
            (void)cosy_write(stream, "ha", 2);
            cosy_try(cosy_sleep(COSY_MS(below(20))));
            cosy_stream_abort(stream);
            continue;
        }
        cosy_try(talk(stream));
    }
    return 0;
}

static void end_somehow(struct service *service)
{
    switch (below(6)) {
    case 0:
        cosy_server_close(service->server);
        break;
    case 1:
        cosy_server_close_clients(service->server);
        break;
    case 2:
        cosy_server_abort_clients(service->server);
        break;
    case 3:
        cosy_server_cancel_clients(service->server);
        break;
    default:
        break;
    }
}

cosy_async static int end_of(struct service *service)
{
    int result;
    cosy_try(cosy_sleep(COSY_US(below(3000))));
    end_somehow(service);
    switch (below(4)) {
    case 0:
        result = cosy_server_drain(service->server, COSY_MS(below(50)), COSY_MS(below(50)));
        cosy_test_expect(result == 0 || result == -ETIMEDOUT || result == -ECANCELED);
        cosy_test_expect(service->serving == 0); /* whatever it said */
        return result == -ECANCELED ? result : 0;
    case 1:
        cosy_server_close(service->server);
        result = cosy_wait_for(cosy_call(cosy_server_wait_closed, service->server), COSY_MS(below(50)));
        cosy_test_expect(result != 0 || service->serving == 0);
        return result == -ECANCELED ? result : 0;
    case 2:
        result = cosy_wait_for(cosy_call(cosy_serve_forever, service->server), COSY_MS(below(50)));
        return result == -ECANCELED ? result : 0;
    default:
        return 0;
    }
}

cosy_async static int member(void *state, int index)
{
    return index == 0 ? end_of(state) : client(state, index);
}

cosy_async static int live(struct service *service)
{
    cosy_sim_set_character(cosy_running_loop()->sys, &(const struct cosy_sim_character){
                                                         .jitter = COSY_US(below(2) * 300),
                                                         .again_per_million = (unsigned)below(2) * 100000,
                                                         .alarm_per_million = (unsigned)below(2) * 100000,
                                                     });
    service->most = below(2) ? 0 : 1 + below(3);
    int result = cosy_start_server(&service->server, serve, service, "127.0.0.1", 0,
                                   .max_connections = (size_t)service->most, .backlog = 1 + below(10));
    if (result < 0)
        return result;
    service->port = cosy_server_port(service->server);
    struct crew crew = {.member = member, .state = service, .members = 1 + CLIENTS, .kills = below(4)};
    result = crew_run(&crew);
    cosy_server_free(service->server);
    cosy_test_expect(service->serving == 0 && service->began == service->ended && service->waiting == 0);
    return result;
}

static void server_rounds(void)
{
    struct service service = {0};
    long lost = cosy_sim_descriptors_lost();
    (void)cosy_test_run(live, &service);
    cosy_test_expect(cosy_sim_descriptors_lost() == lost);
}
WORKLOAD("servers", server_rounds)
