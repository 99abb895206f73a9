/* threadsafe.c - a thread that is nobody's task asks a loop to do something, and waits for the answer.
 *
 * The call and its arguments go to the loop, run there as a task, and the result comes back through a future that a
 * thread can wait for: with a limit, and with a cancel that reaches the task.
 */
#include <cosy.h>
#include <pthread.h>
#include <stdio.h>

struct service {
    cosy_loop *loop;
    cosy_future *closing; /* belongs to the loop's thread */
};

cosy_async static int fetch_user(int id, int *age)
{
    if (id < 0)
        return cosy_fail(EINVAL, "no user %d", id);
    cosy_try(cosy_sleep(COSY_MS(10)));
    *age = 30 + id;
    return 0;
}

cosy_async static int close_service(struct service *service)
{
    return cosy_future_set_result(service->closing, 0);
}

static void *old_thread(void *arg)
{
    struct service *service = arg;
    int age = 0;

    cosy_scoped(cosy_thread_future) good = NULL;
    cosy_run_coroutine_threadsafe(service->loop, &good, fetch_user, 7, &age);
    if (cosy_thread_future_wait(good, COSY_S(5)) == 0)
        printf("user 7 is %d\n", age);

    cosy_scoped(cosy_thread_future) bad = NULL;
    cosy_run_coroutine_threadsafe(service->loop, &bad, fetch_user, -1, &age);
    int error = cosy_thread_future_wait(bad, COSY_S(5));
    printf("user -1: %s\n", cosy_error_message(error));

    cosy_scoped(cosy_thread_future) slow = NULL;
    cosy_run_coroutine_threadsafe(service->loop, &slow, cosy_sleep, COSY_NEVER);
    printf("the slow one: %s\n", cosy_errname(cosy_thread_future_wait(slow, COSY_MS(5))));
    cosy_thread_future_cancel(slow);
    printf("after the cancel: %s\n", cosy_errname(cosy_thread_future_wait(slow, COSY_S(5))));

    cosy_run_coroutine_threadsafe(service->loop, NULL, close_service, service);
    return NULL;
}

cosy_async static int amain(void)
{
    cosy_scoped(cosy_future) closing = cosy_future_new(NULL);
    struct service service = {cosy_running_loop(), closing};
    pthread_t thread;
    pthread_create(&thread, NULL, old_thread, &service);
    cosy_try(cosy_await(closing));
    return cosy_to_thread(pthread_join, thread, NULL); /* joining blocks: not in the loop's thread */
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * user 7 is 37
 * user -1: no user -1
 * the slow one: ETIMEDOUT
 * after the cancel: ECANCELED
 */
