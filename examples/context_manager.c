/* context_manager.c - `async with`: an enter and an exit that may wait, on every way out of a block.
 *
 * A context manager is any type with two ordinary functions, NAME_enter and NAME_exit. The exit is told what the block came to, and
 * returns true to suppress an error. cosy_defer is the small form: one call, when the block is left.
 */
#include <cosy.h>
#include <stdbool.h>
#include <stdio.h>

struct resource {
    const char *name;
    bool forgiving;
};

cosy_async static int resource_enter(struct resource *r) /* async def __aenter__(self): */
{
    printf("enter %s\n", r->name);
    return cosy_sleep(COSY_MS(10)); /* await self.async_setup() */
}

cosy_async static int resource_exit(struct resource *r, int result) /* async def __aexit__(self, exc_type, exc, tb): */
{
    cosy_try(cosy_sleep(COSY_MS(10))); /* await self.async_cleanup() */
    printf("exit %s after %s\n", r->name, result < 0 ? cosy_errname(result) : "success");
    return r->forgiving; /* true: suppress it */
}

cosy_async static int say(const char *text)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    return puts(text) < 0 ? -EIO : 0;
}

cosy_async static int amain(void)
{
    int err = 0;
    struct resource plain = {"plain", false}, outer = {"outer", false}, forgiving = {"forgiving", true};
    cosy_defer(say, "deferred until amain is left");

    COSY_WITH (err, resource, &plain) /* async with plain: */
        puts("  in the block");

    COSY_WITH (err, resource, &plain)
        cosy_check(err, cosy_fail(EIO, "the disk is full"));
    printf("the second block ended with %s: %s\n", cosy_errname(err), cosy_error_message(err));

    COSY_WITH (err, resource, &outer) /* async with outer, forgiving: */
        COSY_WITH (err, resource, &forgiving) {
            puts("  in both");
            cosy_check(err, cosy_fail(EIO, "the disk is full"));
        }
    printf("the third block ended with %d\n", err);
    return err;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * enter plain
 *   in the block
 * exit plain after success
 * enter plain
 * exit plain after EIO
 * the second block ended with EIO: the disk is full
 * enter outer
 * enter forgiving
 *   in both
 * exit forgiving after EIO
 * exit outer after success
 * the third block ended with 0
 * deferred until amain is left
 */
