/* with_uring COMMAND... - runs the command, or reports "skipped" (77) where there is no io_uring to test.
 *
 * The kernel is asked, not guessed from its version: containers and kernel.io_uring_disabled refuse it on new kernels.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SKIPPED = 77, CANNOT_RUN = 127 };

#if COSY_HAVE_LIBURING
#include <liburing.h>

static int kernel_refuses(void)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof(params));
    long fd = syscall(__NR_io_uring_setup, 4, &params);
    if (fd >= 0)
        return close((int)fd), 0;
    return errno;
}

static int uring_is_missing(void)
{
    int error = kernel_refuses();
    /* Other errors (no memory, no descriptors) are not refusals: the test has to fail on them. */
    if (error != ENOSYS && error != EPERM && error != EACCES)
        return 0;
    printf("skipped: the kernel refuses io_uring (%s)\n", strerror(error));
    return 1;
}
#else
static int uring_is_missing(void)
{
    puts("skipped: built without liburing");
    return 1;
}
#endif

int main(int argc, char **argv)
{
    if (argc < 2)
        return CANNOT_RUN;
    if (uring_is_missing())
        return SKIPPED;
    execvp(argv[1], argv + 1);
    fprintf(stderr, "with_uring: cannot run '%s': %s\n", argv[1], strerror(errno));
    return CANNOT_RUN;
}
