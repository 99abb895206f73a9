/* net_events.c - what is under way: a pairing heap of events, and the moment at which each happens. */
#include "inside.h"

static bool is_earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->age < b->age;
}

static struct sim_event *meld(struct sim_event *a, struct sim_event *b)
{
    if (!a || !b)
        return a ? a : b;
    if (is_earlier(b, a)) {
        struct sim_event *held = a;
        a = b;
        b = held;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    a->child = b;
    return a;
}

/* Of the children of an event that goes: in pairs, then from the last pair to the first. */
static struct sim_event *meld_all(struct sim_event *first)
{
    struct sim_event *pairs = NULL, *root = NULL;
    while (first) {
        struct sim_event *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct sim_event *rest = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = rest;
    }
    return root;
}

void cosy_sim_unschedule(struct sim_network *network, struct sim_event *event)
{
    if (!event->waiting)
        return;
    event->waiting = false;
    struct sim_event *rest = meld_all(event->child);
    event->child = NULL;
    if (event == network->next) {
        network->next = rest;
        return;
    }
    if (event->prev->child == event)
        event->prev->child = event->next;
    else
        event->prev->next = event->next;
    if (event->next)
        event->next->prev = event->prev;
    event->next = event->prev = NULL;
    network->next = meld(network->next, rest);
}

void cosy_sim_schedule(struct sim_network *network, struct sim_event *event, cosy_ns at)
{
    cosy_sim_unschedule(network, event);
    event->child = event->next = event->prev = NULL;
    event->at = at;
    event->age = network->events_made++;
    event->waiting = true;
    network->next = meld(network->next, event);
}

void cosy_sim_catch_up(struct sim_network *network)
{
    while (network->next && network->next->at <= sim_clock(network)) {
        struct sim_event *event = network->next;
        cosy_sim_unschedule(network, event);
        event->run(network, event);
    }
}

cosy_ns cosy_sim_next_delivery(struct cosy_sys *sys)
{
    struct sim_network *network = cosy_sim_network(sys);
    return network->next ? network->next->at : COSY_NEVER;
}
