/* names: localhost is looked up 1,000 times by four threads that do nothing else: as many as cosy and libuv have. Each
 * time they are woken for it and waited for. */
#include "limits.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { AT_ONCE = 1000, THREADS = 4 };

static atomic_long left;
static atomic_bool over;
static pthread_barrier_t begins, ends;

static void *look_up(void *arg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    while (pthread_barrier_wait(&begins), !atomic_load(&over)) {
        while (atomic_fetch_sub(&left, 1) > 0) {
            if (getaddrinfo("localhost", "80", &hints, &list) != 0)
                exit(1);
            freeaddrinfo(list);
        }
        pthread_barrier_wait(&ends);
    }
    return arg;
}

static void look_up_many(void)
{
    atomic_store(&left, AT_ONCE);
    pthread_barrier_wait(&begins);
    pthread_barrier_wait(&ends);
}

int limit_names_row(const char *name, long size)
{
    pthread_t threads[THREADS];
    long count = (size + AT_ONCE - 1) / AT_ONCE;
    pthread_barrier_init(&begins, NULL, THREADS + 1);
    pthread_barrier_init(&ends, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, look_up, NULL) != 0)
            return 1;
    look_up_many();
    double start = bench_wall_ns();
    for (long i = 0; i < count; i++)
        look_up_many();
    double took = bench_wall_ns() - start;
    atomic_store(&over, true);
    pthread_barrier_wait(&begins);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return bench_print(name, took / (double)count / AT_ONCE / 1e3, "us");
}
