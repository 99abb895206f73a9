/* wrong_thread.c - using a loop from a thread that is not its own.
 *
 * A loop and its tasks belong to one thread; nothing in them is locked. Debug mode refuses calls from elsewhere. The
 * right call is cosy_call_soon_threadsafe, which also wakes the loop when it sleeps.
 */
#include <cosy.h>
#include <pthread.h>
#include <stdio.h>

static cosy_loop *loop;
static cosy_future *answer;
static int wrong, right;

static void give_answer(void *arg)
{
    (void)arg;
    cosy_future_set_result(answer, 42); /* in the loop's thread */
}

static void *other_thread(void *arg)
{
    wrong = cosy_call_soon(loop, give_answer, NULL, NULL);
    right = cosy_call_soon_threadsafe(loop, give_answer, NULL, NULL);
    return arg;
}

cosy_async static int amain(void)
{
    pthread_t thread;
    loop = cosy_running_loop();
    answer = cosy_future_new(loop);
    if (pthread_create(&thread, NULL, other_thread, NULL) != 0)
        return cosy_fail(EAGAIN, "no thread to be had");
    printf("the answer is %d\n", cosy_await(answer));
    pthread_join(thread, NULL); /* it has nothing left to do but return */
    cosy_future_drop(answer);

    printf("cosy_call_soon: %s\n", cosy_strerror(wrong));
    printf("cosy_call_soon_threadsafe: %s\n", right == 0 ? "fine" : cosy_strerror(right));
    return 0;
}

int main(void) { return cosy_main_with((.debug = true), amain); }

/* Output:
 * the answer is 42
 * cosy_call_soon: called from a thread that is not the loop's
 * cosy_call_soon_threadsafe: fine
 * Stderr:
 * cosy: non-thread-safe operation: a loop was used from a thread that is not its own; use cosy_call_soon_threadsafe
 */
