/* awaitable.c - something of your own to wait for: an object with an await hook, as __await__ is in Python.
 *
 * `start` arranges that somebody calls cosy_wake later, and returns 1; `cancel` undoes that arrangement. This is how
 * timers, locks, queues and foreign libraries become awaitable; here it is a parcel that a callback of the loop
 * delivers.
 */
#include <cosy.h>
#include <stddef.h>
#include <stdio.h>

struct parcel {
    cosy_awaitable awaitable; /* first, so that a pointer to it is a pointer to the parcel */
    cosy_ns travel_time;
    int weight;
    cosy_waker waker;   /* who waits */
    cosy_handle *truck; /* the callback that will deliver it */
};

static void deliver(void *arg)
{
    struct parcel *parcel = arg;
    cosy_wake(parcel->waker, parcel->weight); /* the await returns this */
}

static int parcel_start(cosy_awaitable *self, cosy_waker waker)
{
    struct parcel *parcel = (struct parcel *)self;
    parcel->waker = waker;
    int error = cosy_call_later(cosy_running_loop(), parcel->travel_time, deliver, parcel, &parcel->truck);
    return error < 0 ? error : 1; /* 1: the task sleeps until cosy_wake */
}

static bool parcel_cancel(cosy_awaitable *self)
{
    cosy_handle_cancel(((struct parcel *)self)->truck);
    return false; /* nobody will call cosy_wake: the runtime ends the wait */
}

cosy_async static int receive(cosy_ns travel_time)
{
    struct parcel parcel = {{parcel_start, parcel_cancel, "a parcel"}, travel_time, .weight = 7};
    int result = cosy_await(&parcel.awaitable);
    cosy_handle_drop(parcel.truck);
    return result;
}

cosy_async static int amain(void)
{
    printf("a parcel of %d kg\n", cosy_try(receive(COSY_MS(20))));
    int late = cosy_wait_for(cosy_call(receive, COSY_S(60)), COSY_MS(30));
    printf("the next one: %s\n", cosy_errname(late));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * a parcel of 7 kg
 * the next one: ETIMEDOUT
 */
