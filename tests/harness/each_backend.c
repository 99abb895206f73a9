/* each_backend.c - makes any test program run once on each backend that COSY_TEST_BACKENDS names ("uring epoll sim").
 *
 * Its main is called for each, one after the other, in one process: under valgrind the greater part of a short test is
 * the translation of the program, which so happens once. Tests leave nothing behind (CK_FORK=no relies on it too).
 */
#include <stdlib.h>

#include "uring_here.h"

/* The linker (--wrap=main) gives the program's own main the first name, and the second one's place. */
int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

int __wrap_main(int argc, char **argv)
{
    const char *listed = getenv("COSY_TEST_BACKENDS");
    char list[64], *rest = list;
    if (!listed)
        return __real_main(argc, argv);
    int status = 0, length = snprintf(list, sizeof list, "%s", listed);
    for (char *backend; length < (int)sizeof list && (backend = strsep(&rest, " "));) {
        if (strcmp(backend, "uring") == 0 && !uring_is_here())
            continue;
        printf("-- %s\n", backend);
        setenv("COSY_BACKEND", backend, 1);
        int end = __real_main(argc, argv);
        status = end ? end : status;
    }
    return length < (int)sizeof list ? status : 1;
}
