#include <cosy.h>
#include <stdio.h>

cosy_async static int hello(const char *name, double seconds)
{
    cosy_try(cosy_sleep(COSY_S(seconds)));
    return printf("hello, %s\n", name);
}

cosy_async static int amain(void)
{
    return cosy_gather(cosy_call(hello, "world", 0.2), cosy_call(hello, "C", 0.1));
}

int main(void) { return cosy_main(amain); }

/* Output:
 * hello, C
 * hello, world
 */
