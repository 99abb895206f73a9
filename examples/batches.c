/* batches.c - a stream of 1000 items, handled fifty at a time: memory stays flat, however long the stream is. */
#include <cosy.h>
#include <stdio.h>
#include <sys/resource.h>

enum { ITEMS = 1000, BATCH = 50 };

struct item {
    char text[16];
    char body[8000]; /* 8 MB, if all were there at once */
};

cosy_async static int data_stream(cosy_emitter(struct item) *out)
{
    for (int i = 0; i < ITEMS; i++) {
        struct item item = {0};
        snprintf(item.text, sizeof item.text, "data-%d", i);
        cosy_try(cosy_emit(out, item)); /* one after the other, never all at once */
        cosy_try(cosy_sleep(COSY_US(20)));
    }
    return 0;
}

cosy_async static int process_batch(int number, const struct item *batch, int count)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    if (number % 5 == 0)
        printf("batch %2d: %s to %s\n", number, batch[0].text, batch[count - 1].text);
    return 0;
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

cosy_async static int amain(void)
{
    static struct item batch[BATCH];
    int err = 0, count = 0, batches = 0;
    long first_peak = 0;
    COSY_FOR (struct item, data, err, cosy_agen(data_stream)) {
        batch[count++] = data;
        if (count < BATCH)
            continue;
        cosy_check(err, process_batch(++batches, batch, count));
        count = 0;
        if (batches == 5)
            first_peak = peak_kib();
    }
    cosy_try(err);
    if (count > 0)
        cosy_try(process_batch(++batches, batch, count));
    printf("%d batches\n", batches);
    printf("peak: %.1f MB, memory is %s\n", (double)peak_kib() / 1024, peak_kib() - first_peak < 4000 ? "flat" : "growing");
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * batch  5: data-200 to data-249
 * batch 10: data-450 to data-499
 * batch 15: data-700 to data-749
 * batch 20: data-950 to data-999
 * 20 batches
 * peak: <time> MB, memory is flat
 */
