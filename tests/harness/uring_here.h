/* uring_here.h - is there io_uring to test?
 *
 * The kernel is asked, not guessed from its version: containers and kernel.io_uring_disabled refuse it on new kernels.
 */
#ifndef COSY_TESTS_URING_HERE_H
#define COSY_TESTS_URING_HERE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if COSY_HAVE_LIBURING
#include <liburing.h>

/* If not, says why. */
static inline bool uring_is_here(void)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof(params));
    long fd = syscall(__NR_io_uring_setup, 4, &params);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close((int)fd);
    /* Other errors (no memory, no descriptors) are not refusals: the test has to fail on them. */
    if (error != ENOSYS && error != EPERM && error != EACCES)
        return true;
    printf("skipped: the kernel refuses io_uring (%s)\n", strerror(error));
    return false;
}
#else
static inline bool uring_is_here(void)
{
    puts("skipped: built without liburing");
    return false;
}
#endif

#endif
