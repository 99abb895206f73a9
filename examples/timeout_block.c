/* timeout_block.c - a limit in time for a whole block: `async with asyncio.timeout(...)`.
 *
 * `err` is what the block came to. cosy_check(err, call) is cosy_try for such a block: on an error it leaves the block
 * instead of the function. When the time is up, the wait in the block returns -ECANCELED, and the end of the block
 * turns that into -ETIMEDOUT. cosy_try foresees that, so a function may be left with -ETIMEDOUT from within; what a plain
 * `return` has settled nobody can change.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int fetch(cosy_ns limit)
{
    int err;
    COSY_TIMEOUT(err, limit)
        return cosy_try(cosy_sleep(COSY_MS(300))); /* return await asyncio.sleep(0.3) */
    return err; /* the block could not be entered */
}

cosy_async static int amain(void)
{
    int err = 0;
    COSY_TIMEOUT(err, COSY_S(5)) { /* async with asyncio.timeout(5): */
        cosy_check(err, cosy_sleep(COSY_MS(300)));
        puts("Operation completed within timeout");
    }
    printf("the first block ended with %d\n", err);

    COSY_TIMEOUT(err, COSY_MS(100)) {
        cosy_check(err, cosy_sleep(COSY_MS(300)));
        puts("never seen");
    }
    printf("the second block ended with %s\n", cosy_errname(err));
    printf("left from within: %s\n", cosy_errname(fetch(COSY_MS(100))));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * Operation completed within timeout
 * the first block ended with 0
 * the second block ended with ETIMEDOUT
 * left from within: ETIMEDOUT
 */
