/* aadd.c - adding up what a generator emits: LangChain's aadd, a fold over an async iterable.
 *
 * cosy_fold tells how many items there were: of none, the sum is nothing.
 */
#include <cosy.h>
#include <stdio.h>
#include <string.h>

struct text {
    char chars[40];
};

static struct text add(struct text final, struct text chunk) /* final + chunk */
{
    strncat(final.chars, chunk.chars, sizeof final.chars - strlen(final.chars) - 1);
    return final;
}

cosy_async static int chunks(cosy_emitter(struct text) *out, int count)
{
    static const struct text texts[] = {{"Hello"}, {", "}, {"world"}};
    for (int i = 0; i < count; i++) {
        cosy_try(cosy_sleep(COSY_MS(1)));
        cosy_try(cosy_emit(out, texts[i]));
    }
    return 0;
}

cosy_async static int aadd(int count)
{
    struct text final;
    int n = cosy_try(cosy_fold(&final, cosy_agen(chunks, count), add));
    if (n == 0)
        puts("of no chunks: nothing");
    else
        printf("of %d: \"%s\"\n", n, final.chars);
    return 0;
}

cosy_async static int amain(void)
{
    cosy_try(aadd(0));
    cosy_try(aadd(1));
    return aadd(3);
}

int main(void) { return cosy_main(amain); }

/* Output:
 * of no chunks: nothing
 * of 1: "Hello"
 * of 3: "Hello, world"
 */
