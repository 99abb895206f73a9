/* workers.c - one loop per thread: parts of a program that do not need each other use the whole machine.
 *
 * Every worker runs the same function with the same arguments; its number tells it which part is its own. The first
 * error would cancel the others, Ctrl-C cancels all.
 */
#include <cosy.h>
#include <stdio.h>

enum { WORKERS = 4, NUMBERS = 1000 };

/* Squares from..to, politely: other tasks of this worker run in between. */
cosy_async static int sum_squares(int from, int to, long *sum)
{
    for (int i = from; i < to; i++) {
        *sum += (long)i * i;
        if (i % 100 == 0)
            cosy_try(cosy_yield());
    }
    return 0;
}

cosy_async static int work(long sums[WORKERS])
{
    int me = cosy_worker_index(), share = NUMBERS / WORKERS, from = me * share;
    long low = 0, high = 0;
    cosy_try(cosy_gather(cosy_call(sum_squares, from, from + share / 2, &low),
                         cosy_call(sum_squares, from + share / 2, from + share, &high)));
    sums[me] = low + high; /* nobody else writes here */
    return 0;
}

int main(void)
{
    long sums[WORKERS] = {0}, total = 0;
    int result = cosy_run_workers(WORKERS, work, sums); /* 0 instead of 4: one per processor */
    for (int i = 0; i < WORKERS; i++)
        total += sums[i];
    printf("%d workers: %ld\n", WORKERS, total);
    return result < 0;
}

/* Output:
 * 4 workers: 332833500
 */
