/* io_test.h - what the tests of threads share: jobs that wait until they are let go, and books on them. */
#ifndef COSY_TESTS_IO_TEST_H
#define COSY_TESTS_IO_TEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "../harness/tool.h"

static void *end_at_once(void *unused)
{
    return unused;
}

/* The thread sanitizer has a thread of its own from the process's first thread on: it must not be taken for one that
 * was left. */
static void warm_threads_up(void)
{
    pthread_t thread;
    if (UNDER_TSAN && pthread_create(&thread, NULL, end_at_once, NULL) == 0)
        pthread_join(thread, NULL);
}
#define COSY_TEST_BEGINS warm_threads_up

#include "../flow/flow_test.h"

#include <semaphore.h>
#include <stdatomic.h>

#include "sys/sys.h"

/* A job that says that it runs, and waits for a post. */
struct gate {
    sem_t running, open;
    atomic_int ended, saw_cancel;
};

__attribute__((unused)) static void gate_init(struct gate *gate)
{
    memset(gate, 0, sizeof *gate);
    sem_init(&gate->running, 0, 0);
    sem_init(&gate->open, 0, 0);
}

__attribute__((unused)) static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0)
        ;
}

__attribute__((unused)) static int pass_gate(struct gate *gate, int value)
{
    sem_post(&gate->running);
    wait_for(&gate->open);
    gate->saw_cancel += cosy_job_cancelled();
    gate->ended++;
    return value;
}

/* Until it is asked to stop. */
__attribute__((unused)) static int run_until_cancelled(struct gate *gate)
{
    sem_post(&gate->running);
    while (!cosy_job_cancelled())
        usleep(100);
    gate->saw_cancel++;
    gate->ended++;
    return -ECANCELED;
}

/* Lets the loop turn until a thread has come to a post. */
cosy_async __attribute__((unused)) static void until_posted(sem_t *semaphore)
{
    while (sem_trywait(semaphore) < 0)
        ck_assert_int_eq(cosy_sleep(COSY_US(100)), 0);
}

__attribute__((unused)) static void *thread_of(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    ck_assert_int_eq(pthread_create(thread, NULL, fn, arg), 0);
    return arg;
}

/* pthread_join, until the kernel has forgotten the thread too. */
__attribute__((unused)) static void join_threads(pthread_t *threads, size_t count, int before)
{
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    while (entries("/proc/self/task") > before)
        usleep(100);
}

/* starve() for what uses the network: the simulated kernel's memory is this process's, and it says ENOBUFS as kernels
 * do. */
__attribute__((unused)) static void starve_kernel_too(int (*scenario)(void))
{
    begin_test();
    ck_assert_int_eq(scenario(), 0); /* so that what is pooled is there */
    int fds = entries("/proc/self/fd"), result;
    long n = 1, counted = n;
    for (; counted >= n; n++) {
        cosy_heap_fail_nth(n, false);
        result = scenario();
        counted = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        ck_assert_int_eq(entries("/proc/self/fd"), fds);
        ck_assert_msg(result == 0 || (counted >= n && (result == -ENOMEM || result == -ENOBUFS)),
                      "allocation %ld failing gave %s", n, cosy_errname(result));
        ck_assert_int_lt(n, 2000);
    }
    logged[0] = 0;
}

#endif
