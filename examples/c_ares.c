/* c_ares.c - c-ares' lookups as async calls. Needs libcares.
 *
 * c-ares tells which sockets it waits for (sock_state_cb), and when it has to be called at the latest (ares_timeout).
 * So that the example needs no network, it asks a name server of its own: twenty lines on cosy_sock_recvfrom and
 * cosy_sock_sendto.
 */
#include <ares.h>
#include <arpa/inet.h>
#include <cosy.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- c-ares on a loop ---- */

struct resolver {
    ares_channel channel;
    cosy_loop *loop;
    cosy_handle timer;
};

/* A lookup that c-ares has. It cannot take a single one back: what is cancelled is forgotten when its answer comes. */
struct query {
    struct lookup *lookup; /* NULL: nobody waits any more */
};

/* A lookup that a task waits for. */
struct lookup {
    cosy_awaitable awaitable; /* first: the hooks get its address */
    struct resolver *resolver;
    struct query *query; /* NULL: answered */
    int result;
    struct in_addr address;
    cosy_waker waker;
    bool asleep;
};

static void set_timer(struct resolver *resolver)
{
    struct timeval limit, *next = ares_timeout(resolver->channel, NULL, &limit);
    cosy_handle_cancel(&resolver->timer);
    if (next)
        cosy_handle_start_later(resolver->loop, &resolver->timer, COSY_S(next->tv_sec) + COSY_US(next->tv_usec));
}

static struct resolver *the_resolver; /* a watcher's argument is its socket */

static void act(ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(the_resolver->channel, readable, writable);
    set_timer(the_resolver);
}

static void on_readable(void *fd)
{
    act((ares_socket_t)(intptr_t)fd, ARES_SOCKET_BAD);
}
static void on_writable(void *fd)
{
    act(ARES_SOCKET_BAD, (ares_socket_t)(intptr_t)fd);
}
static void on_timer(void *arg)
{
    (void)arg;
    act(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* Called before c-ares closes a socket, too, with neither. */
static void want_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = arg;
    void *which = (void *)(intptr_t)fd;
    if (readable)
        cosy_add_reader(resolver->loop, fd, on_readable, which);
    else
        cosy_remove_reader(resolver->loop, fd);
    if (writable)
        cosy_add_writer(resolver->loop, fd, on_writable, which);
    else
        cosy_remove_writer(resolver->loop, fd);
}

static int resolver_open(struct resolver *resolver, const char *servers)
{
    struct ares_options options = {
        .sock_state_cb = want_socket, .sock_state_cb_data = resolver, .lookups = (char[]){"b"}};
    resolver->loop = cosy_running_loop();
    cosy_handle_init(&resolver->timer, on_timer, NULL);
    the_resolver = resolver;
    if (ares_init_options(&resolver->channel, &options, ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS) != ARES_SUCCESS)
        return -ENOMEM;
    return ares_set_servers_ports_csv(resolver->channel, servers) == ARES_SUCCESS ? 0 : -EINVAL;
}

static void resolver_close(struct resolver *resolver)
{
    ares_destroy(resolver->channel);
    cosy_handle_cancel(&resolver->timer);
}

/* ---- a lookup as an awaitable ---- */

/* May come inside ares_gethostbyname. */
static void found(void *arg, int status, int timeouts, struct hostent *host)
{
    struct query *query = arg;
    struct lookup *lookup = query->lookup;
    (void)timeouts;
    free(query);
    if (!lookup)
        return;
    lookup->query = NULL;
    lookup->result = status == ARES_SUCCESS ? 0 : -COSY_ENONAME;
    if (status == ARES_SUCCESS)
        memcpy(&lookup->address, host->h_addr_list[0], sizeof lookup->address);
    if (lookup->asleep)
        cosy_wake(lookup->waker, lookup->result);
}

static int start(cosy_awaitable *self, cosy_waker waker)
{
    struct lookup *lookup = (struct lookup *)self;
    struct query *query = lookup->query = malloc(sizeof *query);
    if (!query)
        return -ENOMEM;
    query->lookup = lookup;
    ares_gethostbyname(lookup->resolver->channel, self->name, AF_INET, found, query);
    set_timer(lookup->resolver);
    if (!lookup->query)
        return lookup->result;
    lookup->waker = waker;
    lookup->asleep = true;
    return 1;
}

static bool cancel(cosy_awaitable *self)
{
    struct lookup *lookup = (struct lookup *)self;
    if (lookup->query)
        lookup->query->lookup = NULL;
    return false; /* cosy wakes the task */
}

cosy_async static int look_up(struct resolver *resolver, const char *name, struct in_addr *ret_address)
{
    struct lookup lookup = {.awaitable = {start, cancel, name}, .resolver = resolver};
    int result = cosy_await(&lookup.awaitable);
    *ret_address = lookup.address;
    return result;
}

/* ---- a name server that knows one thing of each name: how long its first label is ---- */

cosy_async static int name_server(int fd)
{
    unsigned char packet[512];
    struct cosy_address client;
    for (;;) {
        int size = cosy_try(cosy_sock_recvfrom(fd, packet, sizeof packet - 16, &client)), end = 12;
        while (end < size && packet[end] > 0)
            end += 1 + packet[end];
        end += 5; /* the root, type and class */
        if (end > size)
            continue;
        bool known = memcmp(packet + 13, "nothing", 7) != 0;
        if (memcmp(packet + 13, "slow", 4) == 0)
            continue;
        memcpy(packet + 2, known ? "\x81\x80\0\1\0\1\0\0\0\0" : "\x81\x83\0\1\0\0\0\0\0\0", 10);
        if (known) {
            memcpy(packet + end, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2", 15);
            packet[end + 15] = packet[12];
            end += 16;
        }
        cosy_try(cosy_sock_sendto(fd, packet, (size_t)end, &client));
    }
}

/* ---- the program ---- */

cosy_async static int show(struct resolver *resolver, const char *name)
{
    struct in_addr address;
    char text[INET_ADDRSTRLEN];
    int result = look_up(resolver, name, &address);
    printf("%s: %s\n", name, result < 0 ? cosy_errname(result) : inet_ntop(AF_INET, &address, text, sizeof text));
    return 0;
}

cosy_async static int amain(void)
{
    struct resolver resolver;
    struct cosy_address here;
    struct in_addr address;
    char servers[COSY_ADDRESS_TEXT];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cosy_try(cosy_address_parse(&here, "127.0.0.1", 0));
    if (bind(fd, &here.any, here.size) < 0 || getsockname(fd, &here.any, &here.size) < 0)
        return -errno;
    cosy_task *server = cosy_create_task(name_server, fd);
    cosy_try(resolver_open(&resolver, cosy_address_text(&here, servers)));

    cosy_scoped(cosy_task) one = cosy_create_task(show, &resolver, "one.example");
    cosy_scoped(cosy_task) three = cosy_create_task(show, &resolver, "three.example");
    cosy_scoped(cosy_task) numeric = cosy_create_task(show, &resolver, "192.0.2.77");
    cosy_try(cosy_await(one));
    cosy_try(cosy_await(three));
    cosy_try(cosy_await(numeric));
    cosy_try(show(&resolver, "nothing.example"));
    int late = cosy_wait_for(cosy_call(look_up, &resolver, "slow.example", &address), COSY_MS(50));
    printf("slow.example: %s\n", cosy_errname(late));

    resolver_close(&resolver);
    cosy_task_cancel(server);
    (void)cosy_await(server);
    cosy_task_drop(server);
    close(fd);
    return 0;
}

int main(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
    int result = cosy_run(amain);
    ares_library_cleanup();
    return result < 0;
}

/* Output:
 * 192.0.2.77: 192.0.2.77
 * one.example: 192.0.2.3
 * three.example: 192.0.2.5
 * nothing.example: COSY_ENONAME
 * slow.example: ETIMEDOUT
 */
