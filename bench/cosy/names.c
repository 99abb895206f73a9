/* names: localhost is looked up 1,000 times at once, by the C library in threads. names_ares: by c-ares on the loop. */
#include "rows.h"

#include <errno.h>

enum { AT_ONCE = 1000 };

cosy_async static int look_up(void)
{
    cosy_scoped(cosy_address_list) list = NULL;
    return cosy_getaddrinfo("localhost", "80", &list, .type = SOCK_STREAM);
}

cosy_async static int look_up_many(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < AT_ONCE; i++)
        cosy_task_group_spawn(group, look_up);
    return cosy_task_group_wait(group);
}

cosy_async static int measure(const char *name, long size)
{
    bool ares = strcmp(name, "names_ares") == 0;
    int chosen = cosy_set_resolver(ares ? COSY_RESOLVER_ARES : COSY_RESOLVER_SYSTEM);
    if (chosen == -ENOTSUP)
        return bench_not_applicable(name);
    cosy_try(chosen);
    if (bench_warms_up())
        cosy_try(look_up_many());
    double start = bench_wall_ns();
    for (long i = 0; i < size; i += AT_ONCE)
        cosy_try(look_up_many());
    long count = (size + AT_ONCE - 1) / AT_ONCE * AT_ONCE;
    return bench_print(name, (bench_wall_ns() - start) / (double)count / 1e3, "us");
}

int cosy_names_row(const char *name, long size)
{
    return cosy_run(measure, name, size);
}
