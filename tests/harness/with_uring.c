/* with_uring COMMAND... - runs the command, or reports "skipped" (77) where there is no io_uring to test. */
#include "uring_here.h"

enum { SKIPPED = 77, CANNOT_RUN = 127 };

int main(int argc, char **argv)
{
    if (argc < 2)
        return CANNOT_RUN;
    if (!uring_is_here())
        return SKIPPED;
    execvp(argv[1], argv + 1);
    fprintf(stderr, "with_uring: cannot run '%s': %s\n", argv[1], strerror(errno));
    return CANNOT_RUN;
}
