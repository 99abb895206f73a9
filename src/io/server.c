/* server.c - servers: how they are started, and the connections that they have. */
#include "server.h"

#include <stdio.h>
#include <string.h>

#include <cosy/dns.h>

#include "../base/heap.h"
#include "../loop/context.h"
#include "../task/capture.h"

/* ---- life ---- */

static void drop_listeners(struct cosy_server *server)
{
    while (server->listeners) {
        struct cosy_listener *listener = server->listeners;
        server->listeners = listener->next;
        cosy_listener_close(listener);
        cosy_heap_free(listener);
    }
    server->last_listener = &server->listeners;
}

void cosy_server_unref(struct cosy_server *server)
{
    if (--server->refs > 0)
        return;
    drop_listeners(server);
    cosy_context_slot_clear(&server->context);
    cosy_heap_free(server->name);
    cosy_heap_free(server->call);
    if (cosy_server_upgrade(server))
        cosy_server_upgrade(server)->kind->let_go(cosy_server_upgrade(server));
    cosy_loop_release(server->loop);
    cosy_heap_free(server);
}

static int refuse(cosy_coro *call, int error)
{
    cosy_coro_close(call);
    return error;
}

static int check_options(const struct cosy_server_options *options)
{
    if (options->backlog < 0)
        return cosy_fail(EINVAL, "server: a backlog of %d", options->backlog);
    if (options->family != AF_UNSPEC && options->family != AF_INET && options->family != AF_INET6)
        return cosy_fail(EINVAL, "server: family %d is neither AF_INET nor AF_INET6", options->family);
    struct cosy_upgrade *tls = (struct cosy_upgrade *)options->tls;
    if (tls)
        return tls->kind->check(
            tls, &(struct cosy_upgrade_terms){.server_side = true, .handshake_timeout = options->handshake_timeout});
    return 0;
}

/* The call is kept as a parcel: each connection makes it anew, with its own stream. */
static int keep_call(struct cosy_server *server, cosy_coro *call)
{
    int error;
    struct cosy_task *object = cosy_coro_take(call, &error);
    if (!object)
        return error;
    server->call = cosy_heap_alloc_aligned(16, (cosy_parcel_bytes(object) + 15) / 16 * 16);
    if (!server->call)
        return refuse(call, -ENOMEM);
    cosy_parcel_pack(server->call, object);
    return 0;
}

/* A server without sockets, or NULL with the reason. Takes the call in any case. */
static struct cosy_server *new_server(cosy_coro *call, const struct cosy_server_options *options,
                                      cosy_server **ret_server, int *ret_error)
{
    struct cosy_loop *loop = cosy_running_loop();
    int result = !loop ? -COSY_ENOLOOP : !ret_server ? -EINVAL : check_options(options);
    struct cosy_server *server = result == 0 ? cosy_heap_zalloc(sizeof *server) : NULL;
    if (ret_server)
        *ret_server = NULL;
    if (!server) {
        *ret_error = refuse(call, result < 0 ? result : -ENOMEM);
        return NULL;
    }
    server->options = *options;
    if (cosy_server_upgrade(server))
        cosy_server_upgrade(server)->kind->hold(cosy_server_upgrade(server));
    server->refs = 1;
    server->loop = loop;
    server->last_listener = &server->listeners;
    cosy_list_init(&server->connections);
    cosy_list_init(&server->waiters);
    cosy_loop_hold(loop);
    result = keep_call(server, call);
    if (result == 0 && options->name && !(server->name = cosy_heap_strdup(options->name)))
        result = -ENOMEM;
    *ret_error = result;
    if (result < 0) {
        cosy_server_unref(server);
        return NULL;
    }
    server->context = cosy_context_slot_copy(*cosy_context_here());
    return server;
}

static int serve(struct cosy_server *server)
{
    for (struct cosy_listener *listener = server->listeners; listener; listener = listener->next) {
        int result = cosy_listener_listen(listener);
        if (result < 0)
            return result;
    }
    server->state = COSY_SERVER_SERVING;
    for (struct cosy_listener *listener = server->listeners; listener; listener = listener->next)
        cosy_listener_kick(listener);
    return 0;
}

int cosy_server_start_serving(cosy_server *server)
{
    if (!server)
        return -EINVAL;
    if (server->state == COSY_SERVER_CLOSED || server->loop->closed)
        return cosy_fail(COSY_ECLOSED, "server '%s' is closed", cosy_server_name(server));
    int result = server->state == COSY_SERVER_SERVING ? 0 : serve(server);
    if (result < 0)
        cosy_server_close(server);
    return result;
}

/* Its sockets are there, or `result` tells why not. */
static int finish_start(struct cosy_server *server, cosy_server **ret_server, int result)
{
    if (result == 0 && !server->options.start_later && server->state == COSY_SERVER_BOUND)
        result = serve(server);
    if (result < 0)
        cosy_server_unref(server);
    else
        *ret_server = server;
    return result;
}

/* ---- TCP ---- */

enum { ADDRESSES_MOST = 64, PORT_ATTEMPTS = 8 };

struct addresses {
    struct cosy_address list[ADDRESSES_MOST];
    size_t count;
    int family;
};

/* Once, and of the family that is wanted. */
static void add_address(struct addresses *to, const struct cosy_address *address)
{
    if (to->count == ADDRESSES_MOST || (to->family && to->family != address->any.sa_family))
        return;
    for (size_t i = 0; i < to->count; i++)
        if (cosy_address_equal(&to->list[i], address))
            return;
    to->list[to->count++] = *address;
}

static bool add_numeric(struct addresses *to, const char *numeric, unsigned port)
{
    struct cosy_address address;
    if (cosy_address_parse(&address, numeric, port) < 0)
        return false;
    add_address(to, &address);
    return true;
}

cosy_async static int add_name(struct addresses *to, const char *name, unsigned port)
{
    cosy_scoped(cosy_address_list) found = NULL;
    int result = cosy_getaddrinfo(name, NULL, &found, .family = to->family, .type = SOCK_STREAM, .flags = AI_PASSIVE);
    for (size_t i = 0; result == 0 && i < found->count; i++) {
        struct cosy_address address = found->items[i].address;
        cosy_address_set_port(&address, port);
        add_address(to, &address);
    }
    return result;
}

cosy_async static int add_host(struct addresses *to, const char *host, unsigned port)
{
    bool any = !*host;
    if (any || strcmp(host, "localhost") == 0) {
        add_numeric(to, any ? "0.0.0.0" : "127.0.0.1", port);
        add_numeric(to, any ? "::" : "::1", port);
        return 0;
    }
    return add_numeric(to, host, port) ? 0 : add_name(to, host, port);
}

cosy_async static int add_hosts(struct addresses *to, const char *hosts, unsigned port)
{
    char host[256];
    if (port > UINT16_MAX)
        return cosy_fail(EINVAL, "cannot listen on port %u: there are 65,535", port);
    for (const char *at = hosts ? hosts : "";; at++) {
        size_t length = strcspn(at, ",");
        if (length >= sizeof host)
            return cosy_fail(EINVAL, "cannot listen on a host with a name of %zu bytes", length);
        memcpy(host, at, length);
        host[length] = 0;
        int result = add_host(to, host, port);
        at += length;
        if (result < 0 || !*at)
            return result;
    }
}

/* A family that this machine does not have is no error while there are other addresses. */
static bool is_no_address_here(int error)
{
    return error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

/* All with the port that the kernel gives the first one. */
static int bind_all(struct cosy_server *server, struct addresses *addresses)
{
    unsigned port = 0;
    int left_out = 0;
    for (size_t i = 0; i < addresses->count; i++) {
        struct cosy_address address = addresses->list[i];
        if (port)
            cosy_address_set_port(&address, port);
        int result = cosy_listener_bind(server, &address);
        if (is_no_address_here(result) && addresses->count > 1)
            left_out = result;
        else if (result < 0)
            return result;
        else if (!cosy_address_port(&address))
            port = cosy_server_port(server);
    }
    return server->listeners ? 0 : left_out;
}

/* A port may be free for the first address and taken for the next: then with another one. */
static int bind_until_free(struct cosy_server *server, struct addresses *addresses, unsigned port)
{
    for (int attempt = 1;; attempt++) {
        int result = bind_all(server, addresses);
        if (result != -EADDRINUSE || port != 0 || attempt == PORT_ATTEMPTS)
            return result;
        drop_listeners(server);
    }
}

/* The list is too long for small stacks. */
cosy_async static int open_tcp(struct cosy_server *server, const char *host, unsigned port)
{
    struct addresses *addresses = cosy_heap_zalloc(sizeof *addresses);
    if (!addresses)
        return -ENOMEM;
    addresses->family = server->options.family;
    int result = add_hosts(addresses, host, port);
    if (result == 0 && addresses->count == 0)
        result = cosy_fail(EADDRNOTAVAIL, "cannot listen on %s: it has no address of that family",
                           host && *host ? host : "all interfaces");
    if (result == 0)
        result = bind_until_free(server, addresses, port);
    cosy_heap_free(addresses);
    return result;
}

int cosy_start_server_(cosy_server **ret_server, cosy_coro *call, const char *host, unsigned port,
                       const struct cosy_server_options *options)
{
    int error;
    struct cosy_server *server = new_server(call, options, ret_server, &error);
    return server ? finish_start(server, ret_server, open_tcp(server, host, port)) : error;
}

/* ---- Unix ---- */

int cosy_start_unix_server_(cosy_server **ret_server, cosy_coro *call, const char *path,
                            const struct cosy_server_options *options)
{
    int result;
    struct cosy_server *server = new_server(call, options, ret_server, &result);
    struct cosy_address address;
    if (!server)
        return result;
    result = cosy_address_unix(&address, path);
    return finish_start(server, ret_server, result < 0 ? result : cosy_listener_bind(server, &address));
}

/* ---- sockets of others ---- */

int cosy_server_start_on_all(cosy_server **ret_server, cosy_coro *call, const int *fds, size_t count,
                             const struct cosy_server_options *options)
{
    int result;
    struct cosy_server *server = new_server(call, options, ret_server, &result);
    if (!server)
        return result;
    for (size_t i = 0; i < count && result == 0; i++)
        result = cosy_listener_adopt(server, fds[i]);
    if (result == 0 && !options->start_later)
        result = serve(server);
    for (struct cosy_listener *listener = server->listeners; listener && result < 0; listener = listener->next)
        cosy_listener_release(listener);
    return finish_start(server, ret_server, result);
}

int cosy_start_server_on_(cosy_server **ret_server, cosy_coro *call, int fd, const struct cosy_server_options *options)
{
    return cosy_server_start_on_all(ret_server, call, &fd, 1, options);
}

/* ---- telling ---- */

struct report {
    struct cosy_loop *loop;
    struct cosy_exception_context context;
    const struct cosy_error *error;
};

static void tell(void *arg)
{
    struct report *report = arg;
    struct cosy_exception_context *context = &report->context;
    char *story = context->task ? cosy_error_story(report->error, context->error, context->task) : NULL;
    context->detail = story;
    cosy_loop_call_exception_handler(report->loop, context);
    cosy_heap_free(story);
}

void cosy_server_report(struct cosy_server *server, const char *message, int error, struct cosy_task *task)
{
    struct report report = {.loop = server->loop,
                            .context = {.message = message, .error = error, .task = task},
                            .error = task ? task->future.error : NULL};
    cosy_on_big_stack(tell, &report);
}
