/* server_client.c - a server's connections: each is a stream and the task of its handler. */
#include "server.h"

#include <stdio.h>
#include <string.h>

#include <cosy/log.h>

#include "../base/heap.h"
#include "../task/capture.h"

/* What a client is called: a Unix client has no name of its own, so it goes by the server's. */
static const char *name_client(const struct cosy_listener *listener, const struct cosy_address *peer, char *text)
{
    bool nameless = peer->size <= offsetof(struct sockaddr_un, sun_path);
    return cosy_address_text(nameless ? &listener->address : peer, text);
}

/* ---- the end of one ---- */

void cosy_connection_lost_stream(struct cosy_connection *connection)
{
    connection->stream->connection = NULL;
    connection->stream = NULL;
}

/* The place that it had is free for others. */
static void leave(struct cosy_connection *connection)
{
    struct cosy_server *server = connection->server;
    bool was_full = cosy_server_is_full(server);
    cosy_list_remove(&connection->link);
    cosy_heap_free(connection);
    server->active--;
    for (struct cosy_listener *listener = server->listeners; listener && was_full; listener = listener->next)
        cosy_listener_kick(listener);
    if (server->active == 0 && server->state == COSY_SERVER_CLOSED)
        cosy_server_ended(server);
    cosy_server_unref(server);
}

/* The handler failed because its client went away: that is what clients do. */
static bool is_clients_fault(const cosy_stream *stream, int64_t error)
{
    return stream &&
           (stream->error == error || stream->read_error == error || (stream->closing && error == -ECONNABORTED));
}

struct failure {
    struct cosy_connection *connection;
    struct cosy_task *task;
    int error;
};

static void tell_failure(void *arg)
{
    const struct failure *failure = arg;
    char message[400];
    snprintf(message, sizeof message, "cosy: the handler of a client failed: task '%s', server '%s'",
             cosy_task_name(failure->task), cosy_server_name(failure->connection->server));
    cosy_server_report(failure->connection->server, message, failure->error, failure->task);
}

static cosy_cold void end_badly(struct cosy_connection *connection, struct cosy_task *me, int64_t result)
{
    struct failure failure = {connection, me, result < INT32_MIN ? -EOVERFLOW : (int)result};
    if (!is_clients_fault(connection->stream, result))
        cosy_on_big_stack(tell_failure, &failure);
    if (connection->stream)
        cosy_stream_abort(connection->stream);
}

/* The client's affair, and told to those who look for it. */
static void tell_refused(void *arg)
{
    const struct failure *failure = arg;
    cosy_log(COSY_LOG_INFO, "cosy: task '%s': %s", cosy_task_name(failure->task), cosy_error_message(failure->error));
}

/* Speaks TLS first, where the server does. A handler that is not called has not failed. */
cosy_async static int64_t serve(struct cosy_connection *connection, struct cosy_task *me)
{
    struct cosy_server *server = connection->server;
    struct cosy_upgrade *upgrade = cosy_server_upgrade(server);
    if (upgrade) {
        struct cosy_upgrade_terms terms = {.server_side = true,
                                           .handshake_timeout = server->options.handshake_timeout,
                                           .shutdown_timeout = server->options.shutdown_timeout};
        int result = upgrade->kind->start(upgrade, connection->stream, &terms);
        if (result < 0 && result != -ECANCELED) {
            server->refused++;
            struct failure failure = {.task = me, .error = result};
            if (server->loop->debug)
                cosy_on_big_stack(tell_refused, &failure);
            return 0;
        }
        if (result < 0)
            return result;
    }
    int64_t result = cosy_parcel_call_again(server->call, me, connection->stream);
    if (unlikely(result < 0) && result != -ECANCELED)
        end_badly(connection, me, result);
    return result;
}

/* The body of a handler's task. */
cosy_async static int run_handler(struct cosy_connection *connection)
{
    struct cosy_task *me = cosy_task_here();
    connection->task = me;
    *connection->begun = true;
    int64_t result = serve(connection, me);
    if (connection->stream)
        cosy_stream_close(connection->stream);
    leave(connection);
    return result == -ECANCELED ? -ECANCELED : 0;
}

/* ---- the beginning of one ---- */

/* It is shown as a call of the handler. */
static cosy_coro *call_for(struct cosy_connection *connection)
{
    int error;
    cosy_coro *coro = cosy_call(run_handler, connection);
    struct cosy_task *object = cosy_coro_take(coro, &error);
    if (object)
        object->site = connection->server->call->site;
    return coro;
}

/* Runs the first step. 0, or why it could not: then nothing of the connection was touched. */
static int start(struct cosy_connection *connection, const char *client)
{
    struct cosy_server *server = connection->server;
    enum { SERVER_MOST = 90 };
    char name[COSY_ADDRESS_TEXT + SERVER_MOST + 2];
    bool begun = false;
    size_t length = strnlen(cosy_server_name(server), SERVER_MOST);
    memcpy(name, cosy_server_name(server), length);
    name[length] = ' ';
    strcpy(name + length + 1, client);
    connection->begun = &begun;
    cosy_task *task = cosy_task_from_with(
        (.name = name, .stack_size = server->options.stack_size, .eager_start = true), call_for(connection));
    int error = task ? 0 : cosy_creation_error();
    if (!begun && task)
        error = cosy_task_error(task); /* no stack */
    cosy_task_drop(task);
    return begun ? 0 : error < 0 ? error : -ENOMEM;
}

static cosy_cold void reset(struct cosy_sys *sys, int fd)
{
    struct linger at_once = {.l_onoff = 1};
    sys->net->setsockopt(sys, fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    sys->ops->close_fd(sys, fd, 0);
}

static struct cosy_connection *new_connection(struct cosy_server *server, int fd, const struct cosy_address *peer)
{
    struct cosy_connection *connection = cosy_heap_zalloc(sizeof *connection);
    cosy_stream *stream =
        connection ? cosy_stream_new(server->loop, &cosy_socket_stream, fd, peer, &server->options.stream) : NULL;
    if (!stream) {
        reset(server->loop->sys, fd);
        cosy_heap_free(connection);
        return NULL;
    }
    stream->connection = connection;
    *connection = (struct cosy_connection){.server = server, .stream = stream};
    cosy_list_append(&server->connections, &connection->link);
    server->active++;
    cosy_server_ref(server);
    return connection;
}

/* The client is told by a reset, and the program by its exception handler. */
static cosy_cold int lose(struct cosy_server *server, const char *client, int error)
{
    char message[400];
    server->lost++;
    snprintf(message, sizeof message, "cosy: server '%s' accepted %s and cannot serve it", cosy_server_name(server),
             client);
    cosy_server_report(server, message, error, NULL);
    server->told = true;
    return error;
}

int cosy_server_begin_connection(struct cosy_server *server, struct cosy_listener *listener, int fd,
                                 struct cosy_address *peer)
{
    char client[COSY_ADDRESS_TEXT];
    name_client(listener, peer, client);
    server->accepted++;
    struct cosy_connection *connection = new_connection(server, fd, peer);
    if (!connection)
        return lose(server, client, -ENOMEM);
    int error = start(connection, client);
    if (error < 0) {
        cosy_stream_abort(connection->stream);
        cosy_stream_close(connection->stream);
        leave(connection);
        return lose(server, client, error);
    }
    server->told = false;
    return 0;
}

/* ---- all of them ---- */

#define FOR_EACH_CONNECTION(connection, server)                                                                        \
    for (struct cosy_link *link = (server)->connections.next, *next = link->next; link != &(server)->connections;      \
         link = next, next = link->next)                                                                               \
        for (struct cosy_connection *connection = container_of(link, struct cosy_connection, link); connection;        \
             connection = NULL)

void cosy_server_close_clients(cosy_server *server)
{
    if (!server)
        return;
    FOR_EACH_CONNECTION (connection, server)
        if (connection->stream)
            cosy_stream_end_input(connection->stream);
}

void cosy_server_abort_clients(cosy_server *server)
{
    if (!server)
        return;
    FOR_EACH_CONNECTION (connection, server)
        if (connection->stream)
            cosy_stream_abort(connection->stream);
}

void cosy_server_cancel_clients(cosy_server *server)
{
    if (!server || server->loop->closed)
        return;
    FOR_EACH_CONNECTION (connection, server)
        if (connection->task != cosy_task_here())
            cosy_task_cancel_with(connection->task, "its server is shutting down");
}

bool cosy_server_serves(const struct cosy_server *server, const struct cosy_task *task)
{
    if (!task || task->site != server->call->site)
        return false;
    FOR_EACH_CONNECTION (connection, server)
        if (connection->task == task)
            return true;
    return false;
}

void cosy_server_drop_connections(struct cosy_server *server)
{
    cosy_server_ref(server);
    FOR_EACH_CONNECTION (connection, server) {
        if (connection->stream)
            cosy_stream_close(connection->stream);
        leave(connection);
    }
    cosy_server_unref(server);
}
