/* connection.c - from a host and a port, or a path, to a connected stream; and what is said when there is none. */
#include <cosy/connection.h>

#include <cosy/sleep.h>
#include <stdio.h>
#include <string.h>

#include "../base/heap.h"
#include "connect.h"
#include "stream.h"

static const cosy_ns HEAD_START = COSY_MS(250); /* RFC 8305, section 5 */
static const cosy_ns FIRST_PAUSE = COSY_MS(1), LONGEST_PAUSE = COSY_MS(50);

/* ---- what is said ---- */

struct complaint {
    const struct cosy_connect *connect;
    const char *host; /* NULL: there was none */
    unsigned port;
    int error;
};

/* Where it was to come from: "" when that was the kernel's choice. */
static const char *origin_of(const struct cosy_connect *connect, int family, char text[COSY_ADDRESS_TEXT])
{
    for (size_t i = 0; connect->locals && i < connect->locals->count; i++)
        if (connect->locals->items[i].address.any.sa_family == family)
            return cosy_address_text(&connect->locals->items[i].address, text);
    return connect->locals ? "addresses of another family" : "";
}

/* "192.0.2.1:80 from 192.0.2.7:99: Address already in use" */
static size_t add_error(char *text, size_t size, const struct cosy_connect *connect, size_t index)
{
    char where[COSY_ADDRESS_TEXT], origin[COSY_ADDRESS_TEXT];
    const struct cosy_address *address = &connect->remotes->items[index].address;
    const char *from = origin_of(connect, address->any.sa_family, origin);
    int length = snprintf(text, size, "%s%s%s%s: %s", index > 0 ? "; " : "", cosy_address_text(address, where),
                          *from ? " from " : "", from, cosy_strerror(connect->errors[index]));
    return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}

/* A host without a name is the address itself: then one line need not say it twice. */
static bool is_number(const char *host)
{
    struct cosy_address address;
    return cosy_address_parse(&address, host, 0) == 0;
}

/* "connecting to example.com:80: [2001:db8::1]:80: Network is unreachable; 192.0.2.1:80: Connection refused" */
static void complain(void *arg)
{
    struct complaint *complaint = arg;
    const struct cosy_connect *connect = complaint->connect;
    char text[480] = "";
    size_t length = 0;
    for (size_t i = 0; i < connect->remotes->count; i++)
        length += add_error(text + length, sizeof text - length, connect, i);
    if (complaint->host && !is_number(complaint->host))
        cosy_fail(complaint->error, "connecting to %.120s:%u: %s", complaint->host, complaint->port, text);
    else
        cosy_fail(complaint->error, "connecting to %s", text);
}

/* The race's result, with a message where it has none. */
static int told(const struct cosy_connect *connect, int result, const char *host, unsigned port)
{
    if (result >= 0 || result == -ECANCELED || result == -ENOMEM)
        return result;
    struct complaint complaint = {connect, host, port, result};
    cosy_on_big_stack(complain, &complaint);
    return result;
}

/* ---- one address ---- */

/* A list of one; NULL: no memory. */
static cosy_address_list *list_of(const struct cosy_address *address)
{
    cosy_address_list *list = cosy_address_list_new(1);
    if (list)
        list->items[0] = (struct cosy_address_info){.address = *address, .type = SOCK_STREAM};
    return list;
}

/* A Unix socket's backlog that is full gives -EAGAIN, and no edge when there is room again. */
cosy_async static int race_patiently(struct cosy_task *me, struct cosy_connect *connect)
{
    cosy_ns pause = FIRST_PAUSE;
    for (;;) {
        int result = cosy_connect_race(me, connect);
        if (result != -EAGAIN || connect->remotes->items[0].address.any.sa_family != AF_UNIX)
            return result;
        cosy_heap_free(connect->race);
        connect->race = NULL;
        result = cosy_sleep(pause);
        if (result < 0)
            return result;
        pause = pause < LONGEST_PAUSE / 2 ? pause * 2 : LONGEST_PAUSE;
    }
}

int cosy_connect_fd(const struct cosy_address *remote, const struct cosy_address *local, int *ret_fd)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_connect_fd");
    if (!me)
        return -COSY_ENOTASK;
    struct cosy_connect connect = {.remotes = list_of(remote), .locals = local ? list_of(local) : NULL, .delay = -1};
    int result = -ENOMEM;
    if (connect.remotes && (connect.locals || !local))
        result = told(&connect, race_patiently(me, &connect), NULL, 0);
    cosy_connect_end(&connect);
    if (result < 0)
        return result;
    *ret_fd = result;
    return 0;
}

/* The descriptor becomes a stream, or is closed. */
static int stream_of(struct cosy_loop *loop, int fd, const struct cosy_address *peer, cosy_stream **ret_stream,
                     const struct cosy_stream_options *options)
{
    *ret_stream = cosy_stream_new(loop, &cosy_socket_stream, fd, peer, options);
    if (*ret_stream)
        return 0;
    loop->sys->ops->close_fd(loop->sys, fd, 0);
    return -ENOMEM;
}

/* The end of both ways to connect. */
static int finish(struct cosy_task *me, struct cosy_connect *connect, int result, cosy_stream **ret_stream,
                  const struct cosy_stream_options *options)
{
    if (result >= 0)
        result =
            stream_of(me->future.loop, result, &connect->remotes->items[connect->winner].address, ret_stream, options);
    cosy_connect_end(connect);
    return result;
}

__attribute__((noinline)) static int unix_list(const char *path, cosy_address_list **ret_list)
{
    struct cosy_address address;
    int error = cosy_address_unix(&address, path);
    *ret_list = error ? NULL : list_of(&address);
    return error ? error : *ret_list ? 0 : -ENOMEM;
}

/* The stream, if there is one, becomes what is asked for; or there is none. */
cosy_async static int upgrade(cosy_stream **stream, struct cosy_tls_context *tls,
                              const struct cosy_upgrade_terms *terms)
{
    struct cosy_upgrade *upgrade = (struct cosy_upgrade *)tls;
    int result = upgrade->kind->start(upgrade, *stream, terms);
    if (result < 0) {
        cosy_stream_close(*stream); /* an error that it would have was told before */
        *stream = NULL;
    }
    return result;
}

int cosy_open_unix_connection_(const char *path, cosy_stream **ret_stream,
                               const struct cosy_unix_connection_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_open_unix_connection");
    struct cosy_connect connect = {.delay = -1};
    if (!me)
        return -COSY_ENOTASK;
    if (!ret_stream)
        return -EINVAL;
    *ret_stream = NULL;
    int result = cosy_stream_check_options(&options->stream);
    if (result == 0)
        result = unix_list(path, &connect.remotes);
    if (result == 0)
        result = told(&connect, race_patiently(me, &connect), NULL, 0);
    result = finish(me, &connect, result, ret_stream, &options->stream);
    if (result < 0 || !options->tls)
        return result;
    return upgrade(ret_stream, options->tls,
                   &(struct cosy_upgrade_terms){.server_hostname = options->server_hostname,
                                                .handshake_timeout = options->handshake_timeout,
                                                .shutdown_timeout = options->shutdown_timeout});
}

/* ---- many addresses ---- */

/* Moves the item at `from` to `to`, which is before it. */
static void move_up(cosy_address_list *list, size_t from, size_t to)
{
    struct cosy_address_info item = list->items[from];
    memmove(&list->items[to + 1], &list->items[to], (from - to) * sizeof item);
    list->items[to] = item;
}

/* RFC 8305, section 4: `first` addresses of the first one's family, then one of each family in turn. */
static void interleave(cosy_address_list *list, size_t first)
{
    size_t done = 0;
    int family = AF_UNSPEC;
    for (; done < list->count; done++) {
        bool same = done > 0 && done < first;
        size_t next = done;
        while (next < list->count && done > 0 && (list->items[next].address.any.sa_family == family) != same)
            next++;
        if (next < list->count && next > done)
            move_up(list, next, done);
        family = list->items[done].address.any.sa_family;
    }
}

enum { PORT_TEXT = 6 };

/* Not by snprintf, which wants kilobytes of stack. */
static const char *port_text(unsigned port, char text[PORT_TEXT])
{
    char *digit = &text[PORT_TEXT - 1];
    *digit = 0;
    do
        *--digit = (char)('0' + port % 10);
    while ((port /= 10) && digit > text);
    return digit;
}

/* Where it goes to, and from where. */
cosy_async static int look_up(struct cosy_connect *connect, const char *host, unsigned port,
                              const struct cosy_connection_options *options)
{
    char text[PORT_TEXT];
    const char *service = options->service ? options->service : port_text(port, text);
    int result = cosy_getaddrinfo(host, service, &connect->remotes, .family = options->family, .type = SOCK_STREAM,
                                  .flags = options->flags);
    if (result < 0 || (!options->local_host && !options->local_port))
        return result;
    return cosy_getaddrinfo(options->local_host, port_text(options->local_port, text), &connect->locals,
                            .family = options->family, .type = SOCK_STREAM, .flags = AI_PASSIVE);
}

/* A given local port is one socket's at a time. */
static cosy_ns head_start_of(const struct cosy_connection_options *options)
{
    if (options->local_port)
        return -1;
    return options->happy_eyeballs_delay ? options->happy_eyeballs_delay : HEAD_START;
}

static void put_in_order(const struct cosy_connect *connect, int wanted)
{
    if (wanted == 0)
        wanted = connect->delay < 0 ? -1 : 1;
    if (wanted > 0)
        interleave(connect->remotes, (size_t)wanted);
}

static int refuse_port(const char *host, unsigned port, unsigned local_port)
{
    if (port > UINT16_MAX)
        return cosy_fail(EINVAL, "connecting to %.120s:%u: ports end at %d", host, port, UINT16_MAX);
    return cosy_fail(EINVAL, "connecting to %.120s:%u from port %u: ports end at %d", host, port, local_port,
                     UINT16_MAX);
}

int cosy_open_connection_(const char *host, unsigned port, cosy_stream **ret_stream,
                          const struct cosy_connection_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_open_connection");
    if (!me)
        return -COSY_ENOTASK;
    if (!ret_stream)
        return -EINVAL;
    *ret_stream = NULL;
    if (port > UINT16_MAX || options->local_port > UINT16_MAX)
        return refuse_port(host ? host : "localhost", port, options->local_port);
    struct cosy_connect connect = {
        .delay = head_start_of(options),
        .nodelay = !options->stream.delay,
    };
    int result = cosy_stream_check_options(&options->stream);
    if (result == 0)
        result = look_up(&connect, host, port, options);
    if (result == 0) {
        put_in_order(&connect, options->interleave);
        result = cosy_connect_race(me, &connect);
        result = told(&connect, result, host ? host : "localhost", port);
    }
    result = finish(me, &connect, result, ret_stream, &options->stream);
    if (result < 0 || !options->tls)
        return result;
    const char *named = options->server_hostname ? options->server_hostname : host ? host : "localhost";
    return upgrade(ret_stream, options->tls,
                   &(struct cosy_upgrade_terms){.server_hostname = named,
                                                .handshake_timeout = options->handshake_timeout,
                                                .shutdown_timeout = options->shutdown_timeout});
}
