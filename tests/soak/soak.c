/* soak.c - servers and clients that treat each other badly, for as long as it is asked for, and then a count of what is
 * left.
 *
 *     soak [--seconds N] [--clients N] [--seed N]
 *
 * Exit status 0: each byte was right, and descriptors, tasks, heap and pages are back where they were after a warm-up.
 * 1: something was wrong, and it says what, and which command does it again. COSY_BACKEND chooses the backend. */
#include "soak.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"

int soak_fault(struct soak *soak, const char *format, ...)
{
    char text[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    atomic_store(&soak->failed, true);
    const char *backend = getenv("COSY_BACKEND");
    fprintf(stderr, "soak: %s\n  again: COSY_BACKEND=%s soak --seconds %u --clients %u --seed %llu\n", text,
            backend ? backend : "auto", soak->seconds, soak->clients, (unsigned long long)soak->seed);
    return -EBADMSG;
}

cosy_async static int work(struct soak *soak)
{
    return cosy_worker_index() == 0 ? soak_serve(soak) : soak_load(soak);
}

static int usage(void)
{
    fprintf(stderr, "usage: soak [--seconds N] [--clients N] [--seed N]\n");
    return 2;
}

static bool parse(struct soak *soak, int count, char **words)
{
    for (int i = 1; i < count; i += 2) {
        char *end;
        unsigned long long value = i + 1 < count ? strtoull(words[i + 1], &end, 10) : 0;
        if (i + 1 == count || *end || end == words[i + 1])
            return false;
        if (strcmp(words[i], "--seconds") == 0)
            soak->seconds = (unsigned)value;
        else if (strcmp(words[i], "--clients") == 0)
            soak->clients = (unsigned)value;
        else if (strcmp(words[i], "--seed") == 0)
            soak->seed = value;
        else
            return false;
    }
    return soak->seconds >= 2 && soak->clients >= 1;
}

int main(int count, char **words)
{
    static struct soak soak = {.seconds = 120, .clients = 200, .file = -1};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    soak.seed = (uint64_t)now.tv_sec;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!parse(&soak, count, words))
        return usage();
    printf("soak: %u seconds, %u clients at a time, seed %llu\n", soak.seconds, soak.clients,
           (unsigned long long)soak.seed);
    cosy_heap_live(); /* counts from here on */
    int result = cosy_run_workers(2, work, &soak);
    if (result < 0 && !atomic_load(&soak.failed)) {
        cosy_print_error(stderr, result);
        soak_fault(&soak, "ended with %s", cosy_errname(result));
    }
    printf("afterwards: %ld blocks of the heap\n", cosy_heap_live());
    return atomic_load(&soak.failed) ? 1 : 0;
}
