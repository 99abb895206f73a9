/* hello.c - the smallest async program: two lines, a second apart.
 *
 * An async function is an ordinary C function that may wait. It returns 0 or more, or a negative error code. While it
 * waits, the thread is not blocked: the event loop runs whatever else can go on.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int hello_world(void) /* async def hello_world(): */
{
    puts("Hello");
    cosy_try(cosy_sleep(COSY_S(1))); /*     await asyncio.sleep(1) */
    puts("World");
    return 0;
}

int main(void) { return cosy_main(hello_world); } /* asyncio.run(hello_world()) */

/* Output:
 * Hello
 * World
 */
