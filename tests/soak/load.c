/* load.c - the worker that is all of the clients: rounds of them, a look at what they left after each, and some at the
 * end whose server goes away. */
#include "soak.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND = 10 }; /* seconds, at most */

struct round {
    struct soak *soak;
    struct soak_books *books;
    unsigned number;
    cosy_ns end;
    bool staying; /* the round of those who stay until their server ends */
};

cosy_async static int fill_place(struct round *round, unsigned place)
{
    struct soak_client client = {.soak = round->soak,
                                 .books = round->books,
                                 .random = soak_mix(round->soak->seed + round->number * 1000003u + place),
                                 .out = malloc(SOAK_BUFFER),
                                 .in = malloc(SOAK_BUFFER)};
    int result = client.out && client.in ? 0 : -ENOMEM;
    if (result == 0 && round->staying)
        result = soak_stay(&client);
    while (result == 0 && !round->staying && cosy_loop_time(cosy_running_loop()) < round->end)
        result = soak_one_client(&client);
    free(client.out);
    free(client.in);
    return result;
}

/* All places in turn, each with one client after the other. One that hangs is a fault: everything that a client does
 * has a limit. */
cosy_async static int run_round(struct round *round)
{
    int err = 0;
    COSY_TIMEOUT_AT (err, round->end + COSY_S(SOAK_SNAIL)) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        for (unsigned i = 0; i < round->soak->clients && err == 0; i++)
            err = cosy_task_group_spawn(group, fill_place, round, i);
        cosy_check(err, err < 0 ? err : cosy_task_group_wait(group));
    }
    return err == -ETIMEDOUT ? soak_fault(round->soak, "clients hang in round %u", round->number) : err;
}

static void print_books(const struct soak_books *books)
{
    printf("  %lu connections: %lu survived, %lu torn, %lu cancelled; %llu MiB sent, %llu MiB received\n",
           books->connections, books->survived, books->torn, books->cancelled, books->sent >> 20,
           books->received >> 20);
}

static void print_kinds(const struct soak_books *books)
{
    for (unsigned i = 0; soak_kind_name(i); i++)
        printf("%s %s %lu", i ? "," : " ", soak_kind_name(i), books->kinds[i]);
    printf("\n");
}

/* The first round fills the caches; each of the others must leave what it found. */
cosy_async static int run_rounds(struct soak *soak, struct soak_books *books)
{
    struct soak_left baseline, left;
    cosy_loop *loop = cosy_running_loop();
    cosy_ns second = COSY_S(1), end = cosy_loop_time(loop) + soak->seconds * second;
    struct round round = {.soak = soak, .books = books, .end = cosy_loop_time(loop) + soak->seconds * second / 4};
    if (soak->seconds > 4 * ROUND)
        round.end = cosy_loop_time(loop) + ROUND * second;
    cosy_try(run_round(&round));
    cosy_try(soak_measure(soak, &baseline));
    soak_print_left("after the warm-up", &baseline);
    print_books(books);
    while (cosy_loop_time(loop) < end) {
        cosy_ns rest = end - cosy_loop_time(loop);
        char when[40];
        round.number++;
        round.end = end - (rest > ROUND * second ? rest - ROUND * second : 0);
        cosy_try(run_round(&round));
        cosy_try(soak_measure(soak, &left));
        snprintf(when, sizeof when, "after round %u", round.number);
        soak_print_left(when, &left);
        print_books(books);
        cosy_try(soak_compare(soak, &baseline, &left));
    }
    return 0;
}

/* The servers go away under those who talk. */
cosy_async static int run_drain(struct soak *soak, struct soak_books *books)
{
    struct round round = {.soak = soak,
                          .books = books,
                          .number = UINT32_MAX,
                          .end = cosy_loop_time(cosy_running_loop()) + COSY_S(SOAK_SNAIL),
                          .staying = true};
    cosy_scoped(cosy_task) stayers = cosy_create_task(run_round, &round);
    while (books->staying < soak->clients && !cosy_task_done(stayers))
        cosy_try(cosy_sleep(COSY_MS(1)));
    atomic_store(&soak->drain, true);
    cosy_try(cosy_await(stayers));
    size_t tasks = cosy_all_tasks(NULL, NULL, 0);
    return tasks == 1 ? 0 : soak_fault(soak, "%zu tasks of clients are left", tasks - 1);
}

/* A soak in which nothing was torn, or nothing survived, proves nothing. */
static int check_books(struct soak *soak, const struct soak_books *books)
{
    unsigned long accepted = atomic_load(&soak->accepted);
    print_kinds(books);
    printf("  the server accepted %lu connections, %lu of its handlers were cancelled\n", accepted,
           atomic_load(&soak->handlers_cancelled));
    if (!books->survived || !books->torn || !books->cancelled || !books->sent || !books->received)
        return soak_fault(soak, "some kind of client was not there");
    return 0;
}

int soak_load(struct soak *soak)
{
    struct soak_books books = {0};
    while (!atomic_load(&soak->serving))
        cosy_try(cosy_sleep(COSY_MS(1)));
    cosy_try(run_rounds(soak, &books));
    cosy_try(run_drain(soak, &books));
    return check_books(soak, &books);
}
