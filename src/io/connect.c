/* connect.c - several sockets on their way at once, until one is connected.
 *
 * All is done by the one task that waits: an edge at a socket, or the clock, only tells it to look. So there is no
 * moment at which a descriptor belongs to nobody.
 */
#include "connect.h"

#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "../base/heap.h"
#include "../flow/awaited.h"
#include "port_wait.h"

/* Invariants
 *  - attempts[0 .. started) were begun; those that are under way, `running` of them, have an open port. All others have
 * none.
 *  - error is 0 exactly in attempts that are under way, not begun yet, or have won.
 */
struct attempt {
    struct cosy_port port;
    struct cosy_port_waiter waiter;
    struct cosy_connecting *of;
    bool told; /* an edge has come */
};

struct cosy_connecting {
    struct cosy_wait wait;
    struct cosy_timed_wait timed;
    struct cosy_task *task;
    struct cosy_connect *connect;
    size_t count, started, running;
    bool next_now; /* the one before has failed, or its head start is over */
    bool asleep;
    char name[COSY_ADDRESS_TEXT + 40];
    int *errors; /* behind the attempts */
    struct attempt attempts[];
};

static struct cosy_connecting *race_of(struct cosy_wait *wait)
{
    return container_of(wait, struct cosy_connecting, wait);
}

static struct cosy_loop *loop_of(struct cosy_connecting *race)
{
    return race->task->future.loop;
}

static const struct cosy_address *remote_of(const struct cosy_connecting *race, size_t index)
{
    return &race->connect->remotes->items[index].address;
}

/* ---- one socket ---- */

int cosy_connect_begin(struct cosy_sys *sys, int fd, const struct cosy_address *remote)
{
    int result;
    do
        result = sys->net->connect(sys, fd, &remote->any, remote->size);
    while (result == -EINTR);
    return result == -EALREADY ? -EINPROGRESS : result == -EISCONN ? 0 : result;
}

int cosy_connect_result(struct cosy_sys *sys, int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    struct cosy_address peer = {.size = sizeof peer.storage};
    int result = sys->net->getsockopt(sys, fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (result < 0 || error)
        return result < 0 ? result : -error;
    result = sys->net->getpeername(sys, fd, &peer.any, &peer.size);
    return result == -ENOTCONN ? -EINPROGRESS : result < 0 ? result : 0;
}

/* While nobody listens at a port of this machine, the kernel may choose that very port for the socket that connects to
 * it: it is then connected with itself. */
static bool is_its_own_peer(struct cosy_sys *sys, int fd, const struct cosy_address *remote)
{
    struct cosy_address own = {.size = sizeof own.storage};
    return remote->any.sa_family != AF_UNIX && sys->net->getsockname(sys, fd, &own.any, &own.size) == 0 &&
           cosy_address_equal(&own, remote);
}

static int bind_to_any(struct cosy_sys *sys, int fd, const cosy_address_list *locals, int family)
{
    int result = -EADDRNOTAVAIL; /* none of this family */
    int on = 1;
    for (size_t i = 0; i < locals->count; i++) {
        const struct cosy_address *local = &locals->items[i].address;
        if (local->any.sa_family != family)
            continue;
        if (family != AF_UNIX &&
            cosy_address_port(local) == 0) /* more connections than ports, where their other ends differ */
            sys->net->setsockopt(sys, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        result = sys->net->bind(sys, fd, &local->any, local->size);
        if (result == 0)
            break;
    }
    return result;
}

/* A new socket that is connected or on its way: *ret_fd. 0, -EINPROGRESS, or the error, and there is none. */
static int begin_socket(struct cosy_sys *sys, const struct cosy_connect *connect, const struct cosy_address *remote,
                        int *ret_fd)
{
    int family = remote->any.sa_family, on = 1, result = 0;
    int fd = sys->net->socket(sys, family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    if (connect->nodelay && family != AF_UNIX) /* a connection without it is slower, not wrong */
        sys->net->setsockopt(sys, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect->locals)
        result = bind_to_any(sys, fd, connect->locals, family);
    if (result == 0)
        result = cosy_connect_begin(sys, fd, remote);
    if (result == 0 && is_its_own_peer(sys, fd, remote))
        result = -ECONNREFUSED;
    *ret_fd = fd;
    if (result < 0 && result != -EINPROGRESS)
        sys->ops->close_fd(sys, fd, 0);
    return result;
}

/* ---- waiting ---- */

static void wake(struct cosy_connecting *race)
{
    if (race->asleep) {
        race->asleep = false;
        cosy_task_wake(race->task, 0);
    }
}

static void edge_came(struct cosy_port_waiter *waiter, int result)
{
    struct attempt *attempt = container_of(waiter, struct attempt, waiter);
    (void)result; /* only this task closes it */
    attempt->told = true;
    wake(attempt->of);
}

static void head_start_is_over(struct cosy_timed_wait *timed)
{
    struct cosy_connecting *race = container_of(timed, struct cosy_connecting, timed);
    race->next_now = true;
    wake(race);
}

/* The sockets are closed by the task: it is about to go on. */
static bool race_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    race_of(wait)->asleep = false;
    return false;
}

static void close_all(struct cosy_connecting *race)
{
    race->asleep = false;
    cosy_timed_wait_disarm(loop_of(race), &race->timed);
    for (size_t i = 0; i < race->started; i++)
        cosy_port_close(&race->attempts[i].port, -ECANCELED);
    race->running = 0;
}

static void race_abandon(struct cosy_wait *wait)
{
    struct cosy_connecting *race = race_of(wait);
    close_all(race);
    cosy_connect_end(race->connect);
}

static const char *race_name(struct cosy_wait *wait)
{
    struct cosy_connecting *race = race_of(wait);
    cosy_address_text(remote_of(race, race->started - 1), race->name);
    if (race->count > 1) {
        size_t length = strlen(race->name);
        snprintf(race->name + length, sizeof race->name - length, " (address %zu of %zu)", race->started, race->count);
    }
    return race->name;
}

static const struct cosy_wait_kind race_kind = {
    .verb = "connects to", .cancel = race_cancel, .name = race_name, .abandon = race_abandon};

/* ---- the race ---- */

static void note_failure(struct cosy_connecting *race, size_t index, int error)
{
    race->errors[index] = error;
    race->next_now |= index + 1 == race->started; /* an older one's failure is no reason to hurry */
}

/* Waits for the next edge of one that is under way. Where the port cannot be watched it has failed. */
static void watch(struct cosy_connecting *race, size_t index)
{
    struct attempt *attempt = &race->attempts[index];
    attempt->told = false;
    cosy_port_would_block(&attempt->port, COSY_PORT_WRITE);
    int result = cosy_port_wait(&attempt->port, COSY_PORT_WRITE, &attempt->waiter);
    if (result < 0) {
        cosy_port_close(&attempt->port, result);
        race->running--;
        note_failure(race, index, result);
    }
}

static void start_clock(struct cosy_connecting *race)
{
    cosy_ns delay = race->connect->delay;
    cosy_timed_wait_disarm(loop_of(race), &race->timed);
    if (race->started == race->count || delay < 0)
        return;
    cosy_ns when = cosy_moment_in(loop_of(race), delay);
    if (when != COSY_NEVER && cosy_timed_wait_arm(loop_of(race), &race->timed, when) < 0)
        race->next_now = true; /* without memory for a clock it is better to be early than to wait for a failure */
}

/* The descriptor, when it is connected at once; else -1. */
static int start_next(struct cosy_connecting *race)
{
    size_t index = race->started++;
    struct attempt *attempt = &race->attempts[index];
    int fd = -1, result = begin_socket(loop_of(race)->sys, race->connect, remote_of(race, index), &fd);
    *attempt = (struct attempt){.port.fd = -1, .waiter.ready = edge_came, .of = race};
    cosy_list_init(&attempt->waiter.link);
    race->next_now = false;
    if (result == 0) {
        race->connect->winner = index;
        return fd;
    }
    if (result != -EINPROGRESS) {
        note_failure(race, index, result);
        return -1;
    }
    cosy_port_open(&attempt->port, loop_of(race), fd);
    race->running++;
    start_clock(race);
    watch(race, index);
    return -1;
}

/* Looks at those of which an edge has told: the descriptor of one that is connected, or -1. */
static int look(struct cosy_connecting *race)
{
    struct cosy_sys *sys = loop_of(race)->sys;
    for (size_t i = 0; i < race->started; i++) {
        struct attempt *attempt = &race->attempts[i];
        if (!attempt->told)
            continue;
        int result = cosy_connect_result(sys, attempt->port.fd);
        if (result == -EINPROGRESS) {
            watch(race, i);
            continue;
        }
        attempt->told = false;
        if (result == 0 && is_its_own_peer(sys, attempt->port.fd, remote_of(race, i)))
            result = -ECONNREFUSED;
        race->running--;
        if (result == 0) {
            race->connect->winner = i;
            return cosy_port_release(&attempt->port, -ECANCELED);
        }
        cosy_port_close(&attempt->port, result);
        note_failure(race, i, result);
    }
    return -1;
}

static bool may_start(const struct cosy_connecting *race)
{
    return race->started < race->count && (race->running == 0 || race->next_now);
}

enum { ALL_FAILED = INT_MIN };

/* The descriptor of the winner, ALL_FAILED, or -ECANCELED. */
static int run(struct cosy_connecting *race)
{
    for (;;) {
        int fd = look(race);
        if (fd < 0 && may_start(race))
            fd = start_next(race);
        else if (fd < 0 && race->running == 0)
            return ALL_FAILED;
        else if (fd < 0) {
            race->asleep = true;
            int result = (int)cosy_park(race->task, &race->wait);
            race->asleep = false;
            if (result < 0)
                return result;
        }
        if (fd >= 0)
            return fd;
    }
}

/* Why there is no connection: the first error that tells more than that there is no way from here. */
static int telling_error(const struct cosy_connecting *race)
{
    for (size_t i = 0; i < race->count; i++) {
        int error = race->errors[i];
        if (error != -ENETUNREACH && error != -EADDRNOTAVAIL && error != -EAFNOSUPPORT)
            return error;
    }
    return race->errors[0];
}

static struct cosy_connecting *race_new(struct cosy_task *me, struct cosy_connect *connect)
{
    size_t count = connect->remotes->count;
    struct cosy_connecting *race =
        cosy_heap_alloc(sizeof *race + count * (sizeof(struct attempt) + sizeof *race->errors));
    if (!race)
        return NULL;
    *race = (struct cosy_connecting){
        .wait.kind = &race_kind, .timed.fired = head_start_is_over, .task = me, .connect = connect, .count = count};
    race->errors = (int *)(void *)&race->attempts[count];
    memset(race->errors, 0, count * sizeof *race->errors);
    return race;
}

int cosy_connect_race(struct cosy_task *me, struct cosy_connect *connect)
{
    struct cosy_connecting *race = race_new(me, connect);
    connect->race = race;
    if (!race)
        return -ENOMEM;
    connect->errors = race->errors;
    int result = run(race);
    close_all(race);
    return result == ALL_FAILED ? telling_error(race) : result;
}

void cosy_connect_end(struct cosy_connect *connect)
{
    cosy_heap_free(connect->race);
    cosy_address_list_free(connect->remotes);
    cosy_address_list_free(connect->locals);
    connect->race = NULL;
    connect->remotes = connect->locals = NULL;
}
