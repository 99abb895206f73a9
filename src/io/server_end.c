/* server_end.c - how servers end: closed, waited for, drained, freed. Whoever waits here waits for one thing: that it
 * is closed and has no client. */
#include "server.h"

#include "../task/task.h"

/* On the waiting task's stack. */
struct end_wait {
    struct cosy_wait wait;
    struct cosy_link link; /* of the server's waiters */
    struct cosy_timed_wait timed;
    struct cosy_task *task;
    struct cosy_server *server;
};

static struct end_wait *end_of(struct cosy_wait *wait)
{
    return container_of(wait, struct end_wait, wait);
}

static void take_back(struct end_wait *end)
{
    cosy_list_remove(&end->link);
    cosy_timed_wait_disarm(end->server->loop, &end->timed);
}

static bool end_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    take_back(end_of(wait));
    return false;
}

/* Whoever waited owned no more of the server than this. */
static void end_abandon(struct cosy_wait *wait)
{
    take_back(end_of(wait));
    cosy_server_unref(end_of(wait)->server);
}

static cosy_ns end_deadline(struct cosy_wait *wait)
{
    const struct end_wait *end = end_of(wait);
    return end->timed.fired ? end->timed.timed.timer.when : COSY_NEVER;
}

static const char *end_name(struct cosy_wait *wait)
{
    return cosy_server_name(end_of(wait)->server);
}

static const struct cosy_wait_kind end_kind = {.verb = "waits for the end of server",
                                               .cancel = end_cancel,
                                               .deadline = end_deadline,
                                               .name = end_name,
                                               .abandon = end_abandon};
static const struct cosy_wait_kind patient_end_kind = {.verb = "waits for the end of server",
                                                       .cancel = end_cancel,
                                                       .deadline = end_deadline,
                                                       .name = end_name,
                                                       .abandon = end_abandon,
                                                       .patient = true};

static bool has_ended(const struct cosy_server *server)
{
    return server->state == COSY_SERVER_CLOSED && server->active == 0;
}

void cosy_server_ended(struct cosy_server *server)
{
    while (!cosy_list_empty(&server->waiters)) {
        struct end_wait *end = container_of(server->waiters.next, struct end_wait, link);
        take_back(end);
        cosy_task_wake(end->task, 0);
    }
}

static void time_is_up(struct cosy_timed_wait *timed)
{
    struct end_wait *end = container_of(timed, struct end_wait, timed);
    cosy_list_remove(&end->link);
    cosy_task_wake(end->task, -ETIMEDOUT);
}

/* 0, -ETIMEDOUT, -ECANCELED. patient: it was cancelled already, and waits all the same. Without memory for the timer
 * nothing is waited for. */
static int wait_for_end(struct cosy_server *server, struct cosy_task *me, cosy_ns limit, bool patient)
{
    struct cosy_loop *loop = server->loop;
    cosy_ns when;
    if (has_ended(server))
        return 0;
    if (limit <= 0)
        return -ETIMEDOUT;
    struct end_wait end = {.wait.kind = patient ? &patient_end_kind : &end_kind, .task = me, .server = server};
    if (limit != COSY_NEVER && !__builtin_add_overflow(loop->sys->ops->now(loop->sys), limit, &when)) {
        end.timed.fired = time_is_up;
        if (cosy_timed_wait_arm(loop, &end.timed, when) < 0)
            return -ETIMEDOUT;
    }
    cosy_list_append(&server->waiters, &end.link);
    cosy_server_ref(server);
    int result = (int)cosy_park(me, &end.wait);
    cosy_server_unref(server);
    return result;
}

/* Cancels what is left and waits for it, in spite of cancels: each of them resets the connections. True when one came.
 * patient: this is what a cancel has led to. */
static bool cancel_and_wait(struct cosy_server *server, struct cosy_task *me, cosy_ns grace, bool patient)
{
    bool cancelled = false;
    cosy_server_cancel_clients(server);
    int result;
    while ((result = wait_for_end(server, me, grace, patient || cancelled)) < 0) {
        cancelled |= result == -ECANCELED;
        grace = COSY_NEVER;
        cosy_server_abort_clients(server);
        cosy_server_cancel_clients(server);
    }
    return cancelled;
}

/* The running task, when it may wait for the server's end. */
static struct cosy_task *waiter_of(cosy_server *server, const char *call, int *ret_error)
{
    struct cosy_task *me = cosy_task_or_complain(call);
    *ret_error = !me ? -COSY_ENOTASK : !server ? -EINVAL : 0;
    if (*ret_error == 0 && server->loop != me->future.loop)
        *ret_error = -COSY_EOTHERLOOP;
    if (*ret_error == 0 && cosy_server_serves(server, me))
        *ret_error = cosy_fail(COSY_ESELF, "%s: a handler of server '%s' cannot wait for its own end", call,
                               cosy_server_name(server));
    return *ret_error ? NULL : me;
}

void cosy_server_close(cosy_server *server)
{
    if (!server || server->state == COSY_SERVER_CLOSED)
        return;
    server->state = COSY_SERVER_CLOSED;
    for (struct cosy_listener *listener = server->listeners; listener; listener = listener->next)
        cosy_listener_close(listener);
    if (server->active == 0)
        cosy_server_ended(server);
}

int cosy_server_wait_closed(cosy_server *server)
{
    int error;
    struct cosy_task *me = waiter_of(server, "cosy_server_wait_closed", &error);
    return me ? wait_for_end(server, me, COSY_NEVER, false) : error;
}

int cosy_server_drain(cosy_server *server, cosy_ns limit, cosy_ns grace)
{
    int result;
    struct cosy_task *me = waiter_of(server, "cosy_server_drain", &result);
    if (!me)
        return result;
    cosy_server_close(server);
    cosy_server_ref(server);
    result = wait_for_end(server, me, limit, false);
    size_t left = server->active;
    if (result < 0 && cancel_and_wait(server, me, grace, result == -ECANCELED))
        result = -ECANCELED;
    if (result == -ETIMEDOUT)
        cosy_fail(ETIMEDOUT, "server '%s' was drained, and %zu of its clients had to be cancelled",
                  cosy_server_name(server), left);
    cosy_server_unref(server);
    return result;
}

int cosy_serve_forever(cosy_server *server)
{
    int result;
    struct cosy_task *me = waiter_of(server, "cosy_serve_forever", &result);
    if (!me)
        return result;
    if (server->forever)
        return cosy_fail(COSY_EINVALIDSTATE, "server '%s' is already in cosy_serve_forever", cosy_server_name(server));
    result = cosy_server_start_serving(server);
    if (result < 0)
        return result;
    server->forever = true;
    cosy_server_ref(server);
    result = wait_for_end(server, me, COSY_NEVER, false);
    if (result == -ECANCELED) {
        cosy_server_close(server);
        cancel_and_wait(server, me, COSY_NEVER, true);
    }
    server->forever = false;
    cosy_server_unref(server);
    return result;
}

void cosy_server_free(cosy_server *server)
{
    struct cosy_task *me = cosy_task_here();
    if (!server)
        return;
    cosy_server_close(server);
    if (server->loop->closed)
        cosy_server_drop_connections(server);
    else if (me && me->future.loop == server->loop && !cosy_server_serves(server, me)) {
        if (cancel_and_wait(server, me, COSY_NEVER, false))
            cosy_task_keep_cancel(me);
    } else
        cosy_server_cancel_clients(server);
    cosy_server_unref(server);
}

/* ---- what it is ---- */

bool cosy_server_is_serving(const cosy_server *server)
{
    return server && server->state == COSY_SERVER_SERVING;
}

size_t cosy_server_sockets(const cosy_server *server, int *fds, size_t room)
{
    size_t count = 0;
    if (!server || server->state == COSY_SERVER_CLOSED)
        return 0;
    for (const struct cosy_listener *listener = server->listeners; listener; listener = listener->next, count++)
        if (count < room)
            fds[count] = listener->port.fd;
    return count;
}

int cosy_server_address(const cosy_server *server, size_t index, struct cosy_address *ret_address)
{
    const struct cosy_listener *listener = server ? server->listeners : NULL;
    while (listener && index-- > 0)
        listener = listener->next;
    if (!listener || !ret_address)
        return server && ret_address ? -ERANGE : -EINVAL;
    *ret_address = listener->address;
    return 0;
}

unsigned cosy_server_port(const cosy_server *server)
{
    unsigned port = 0;
    for (const struct cosy_listener *listener = server ? server->listeners : NULL; listener && !port;
         listener = listener->next)
        port = cosy_address_port(&listener->address);
    return port;
}

void cosy_server_get_stats(const cosy_server *server, struct cosy_server_stats *ret_stats)
{
    *ret_stats = (struct cosy_server_stats){.connections = server->active,
                                            .accepted = server->accepted,
                                            .lost = server->lost,
                                            .refused = server->refused,
                                            .paused = server->paused};
}
