/* datagram_wait.c - whose turn it is to try to receive or to send. */
#include "datagram.h"

#include <cosy/sleep.h>

struct turn_wait {
    struct cosy_waiter waiter;
    struct cosy_datagram *endpoint;
    enum cosy_port_side side;
    bool given; /* woken because it is its turn */
};

static struct turn_wait *wait_of(struct cosy_wait *wait)
{
    return container_of(wait, struct turn_wait, waiter.wait);
}

/* Nobody is in line: then nothing is waited for at the port either. */
static void calm(struct cosy_datagram_side *side)
{
    if (cosy_line_empty(&side->line))
        cosy_port_wait_not(&side->edge);
}

static void give_turn(struct cosy_datagram_side *side)
{
    struct turn_wait *wait = container_of(side->line.first, struct turn_wait, waiter);
    side->taken = wait->given = true;
    cosy_waiter_wake(&wait->waiter, 0);
}

/* Nobody has the turn: gives it to the head of the line, now or when the port says so. */
static void dispatch(cosy_datagram *endpoint, enum cosy_port_side which)
{
    struct cosy_datagram_side *side = &endpoint->sides[which];
    while (!cosy_line_empty(&side->line) && !side->taken && cosy_list_empty(&side->edge.link)) {
        int result = cosy_port_wait(&endpoint->port, which, &side->edge);
        if (result == 0)
            return;
        if (result < 0)
            cosy_waiter_wake(side->line.first, result);
        else
            give_turn(side);
    }
}

static void wake_all(struct cosy_datagram_side *side, int result)
{
    while (!cosy_line_empty(&side->line))
        cosy_waiter_wake(side->line.first, result);
}

static void edge_came(struct cosy_datagram_side *side, int result)
{
    if (result < 0)
        wake_all(side, result);
    else if (!cosy_line_empty(&side->line))
        give_turn(side);
}

static void edge_ready(struct cosy_port_waiter *edge, int result)
{
    edge_came(container_of(edge, struct cosy_datagram_side, edge), result);
}

static bool cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_waiter_abandon(wait);
    calm(&wait_of(wait)->endpoint->sides[wait_of(wait)->side]);
    return false;
}

/* The task never goes on: its part in the endpoint ends here. */
static void abandon(struct cosy_wait *wait)
{
    cosy_datagram *endpoint = wait_of(wait)->endpoint;
    cosy_waiter_abandon(wait);
    calm(&endpoint->sides[wait_of(wait)->side]);
    cosy_datagram_exit(endpoint);
}

static const struct cosy_wait_kind kinds[] = {
    [COSY_PORT_READ] = {.verb = "waits for a datagram", .cancel = cancel, .abandon = abandon},
    [COSY_PORT_WRITE] = {.verb = "waits to send a datagram", .cancel = cancel, .abandon = abandon},
};

static void line_up(struct cosy_line *line, struct cosy_waiter *waiter, bool in_front)
{
    if (!in_front || !line->first) {
        cosy_line_append(line, waiter);
        return;
    }
    waiter->line = line;
    waiter->next = line->first;
    line->first->prev = waiter;
    line->first = waiter;
}

/* What the network reported is a receiver's to hear: one who waits, or the next call. */
static bool hear_reports(cosy_datagram *endpoint, enum cosy_port_side which)
{
    struct cosy_datagram_side *receivers = &endpoint->sides[COSY_PORT_READ];
    int error = cosy_datagram_take_reports(endpoint);
    if (!error)
        return false;
    endpoint->held_error = error;
    endpoint->port.may |= 1u << COSY_PORT_READ;
    if (which == COSY_PORT_WRITE && !cosy_line_empty(&receivers->line) && !receivers->taken) {
        cosy_port_wait_not(&receivers->edge);
        give_turn(receivers);
    }
    return true;
}

/* With nobody before the task, the port is asked: 1: the direction may be tried at once; 0: wait; or an error. */
static int ask_port(cosy_datagram *endpoint, enum cosy_port_side which, bool again)
{
    struct cosy_datagram_side *side = &endpoint->sides[which];
    if (again)
        side->taken = false;
    if (side->taken || !cosy_list_empty(&side->edge.link))
        return 0;
    if (endpoint->reports && hear_reports(endpoint, which) && which == COSY_PORT_READ) {
        side->taken = true;
        return 1;
    }
    int result = cosy_port_wait(&endpoint->port, which, &side->edge);
    if (result > 0)
        side->taken = true;
    else if (result < 0)
        dispatch(endpoint, which);
    return result;
}

int cosy_datagram_await(struct cosy_task *me, cosy_datagram *endpoint, enum cosy_port_side which, bool again)
{
    struct cosy_datagram_side *side = &endpoint->sides[which];
    int result = ask_port(endpoint, which, again);
    if (result)
        return result < 0 ? result : 0;
    struct turn_wait wait = {.waiter.wait.kind = &kinds[which], .waiter.task = me, .endpoint = endpoint, .side = which};
    line_up(&side->line, &wait.waiter, again);
    endpoint->users++;
    result = (int)cosy_park(me, &wait.waiter.wait);
    if (result == 0)
        result = cosy_datagram_usable(endpoint); /* closed behind the wake */
    if (result < 0)
        cosy_datagram_done(endpoint, which, wait.given); /* a cancel came behind the wake */
    cosy_datagram_exit(endpoint);
    return result;
}

void cosy_datagram_done(cosy_datagram *endpoint, enum cosy_port_side which, bool had_turn)
{
    if (!had_turn)
        return;
    endpoint->sides[which].taken = false;
    dispatch(endpoint, which);
}

void cosy_datagram_shut(cosy_datagram *endpoint, int result)
{
    cosy_port_close_now(&endpoint->port, result);
    wake_all(&endpoint->sides[COSY_PORT_READ], result);
    wake_all(&endpoint->sides[COSY_PORT_WRITE], result);
}

void cosy_datagram_open_sides(cosy_datagram *endpoint)
{
    for (int side = COSY_PORT_READ; side <= COSY_PORT_WRITE; side++) {
        cosy_list_init(&endpoint->sides[side].edge.link);
        endpoint->sides[side].edge.ready = edge_ready;
    }
}

/* ---- calls ---- */

int cosy_datagram_usable(const cosy_datagram *endpoint)
{
    if (!endpoint)
        return cosy_fail(EINVAL, "datagram: there is no endpoint (NULL)");
    if (unlikely(endpoint->port.fd < 0 || !endpoint->port.loop))
        return endpoint->closing ? -ECONNABORTED : -COSY_ECLOSED;
    return 0;
}

struct cosy_task *cosy_datagram_begin(cosy_datagram *endpoint, const char *call, int *ret_error)
{
    struct cosy_task *me = cosy_task_or_complain(call);
    *ret_error = me ? cosy_datagram_usable(endpoint) : -COSY_ENOTASK;
    if (*ret_error)
        return NULL;
    if (me->future.loop != endpoint->loop) {
        *ret_error = cosy_fail(COSY_EOTHERLOOP, "%s: the endpoint belongs to another loop", call);
        return NULL;
    }
    if (cosy_datagram_had_its_turn(endpoint) && (*ret_error = cosy_datagram_pause(endpoint, 0)) < 0)
        return NULL;
    return me;
}

int cosy_datagram_pause(cosy_datagram *endpoint, cosy_ns delay)
{
    endpoint->users++;
    int result = delay > 0 ? cosy_sleep(delay) : cosy_yield();
    if (result == 0)
        result = cosy_datagram_usable(endpoint);
    cosy_datagram_exit(endpoint);
    return result;
}

void cosy_datagram_count(cosy_datagram *endpoint, unsigned datagrams)
{
    uint64_t turn = cosy_loop_turns(endpoint->loop);
    endpoint->spent = endpoint->turn == turn ? endpoint->spent + datagrams : datagrams;
    endpoint->turn = turn;
}
