/* sys.h - the one table of what a kernel gives: clock, readiness, waiting, waking.
 *
 * Three kernels stand behind it: io_uring and epoll (linux/), and a simulated one (sim/) whose clock is
 * virtual. A loop owns one instance; all calls but wake() belong to the loop's thread. Nothing above this
 * floor makes a system call for time, readiness, waiting or waking.
 */
#ifndef COSY_SYS_SYS_H
#define COSY_SYS_SYS_H

#include <stdatomic.h>

#include <cosy/err.h>
#include <cosy/time.h>

#include "../base/base.h"

struct cosy_sys;
struct cosy_net_ops;
struct cosy_file_op;

enum cosy_sys_kind { COSY_SYS_AUTO, COSY_SYS_URING, COSY_SYS_EPOLL, COSY_SYS_SIM };

struct cosy_sys_config {
    enum cosy_sys_kind kind; /* AUTO: io_uring, or epoll where io_uring is refused */
    uint64_t seed;           /* sim: of everything that it decides by chance */
    cosy_ns spin;            /* longest busy wait before a blocking one; 0 = none */
};

/* Interest in, and readiness of, a descriptor. ERROR and HANGUP are always reported. */
enum { COSY_SYS_READ = 1, COSY_SYS_WRITE = 2, COSY_SYS_ERROR = 4, COSY_SYS_HANGUP = 8, COSY_SYS_INVALID = 16 };
/* In watch() and rewatch(): report changes, not states. In an event: it is of such a watch. */
enum { COSY_SYS_EDGE = 32 };
/* In an event: the peer will send no more (the end of file may have come with these bytes, and makes no further
 * edge). */
enum { COSY_SYS_READ_END = 64 };
/* In an event of an edge watch: what it tells is not told again until rewatch() asks for it. */
enum { COSY_SYS_SPENT = 128 };
/* In an event: an operation on a file has ended, its data is `data`. */
enum { COSY_SYS_DONE = 256 };

struct cosy_sys_event {
    void *data;      /* as given to watch() */
    unsigned events; /* what is ready */
};

struct cosy_sys_ops {
    const char *name; /* "uring", "epoll", "sim" */

    void (*close)(struct cosy_sys *sys);

    /* Now, on the monotonic clock (sim: the virtual one, which only moves in wait()). */
    cosy_ns (*now)(struct cosy_sys *sys);

    /* Readiness of a borrowed descriptor, level-triggered: reported by each wait() while it lasts.
     * watch: one registration per descriptor; -EPERM for regular files and directories, -EEXIST when
     *        watched already, -EBADF. *ret_id names the registration (a slot with a generation: a stale id
     *        is refused with -ENOENT, also after the descriptor's number was closed and used again).
     * rewatch: other events, 0 keeps the registration but reports nothing.
     * unwatch: no event for it is reported after this call, although the kernel may still hold a request.
     * A descriptor closed while it is watched is reported once with COSY_SYS_INVALID or never again. */
    int (*watch)(struct cosy_sys *sys, int fd, unsigned events, void *data, uint64_t *ret_id);
    int (*rewatch)(struct cosy_sys *sys, uint64_t id, unsigned events);
    int (*unwatch)(struct cosy_sys *sys, uint64_t id);

    /* With COSY_SYS_EDGE, for descriptors whose reads and writes the library makes itself: an event comes after watch()
     * for what is ready then, and later whenever something has changed, once; several changes may come as one event,
     * and an event may be a false alarm. So whoever got -EAGAIN after its latest event will get another one. rewatch()
     * only adds events. Nothing is asked about what the descriptor is.
     *
     * close_fd: unwatches (watch_id 0: it is not watched) and closes. The descriptor is gone when this call or the next
     * wait() returns. (io_uring: when another thread makes that wait(), the requests of the first one's ring hold what
     * they watch until that thread ends.) */
    void (*close_fd)(struct cosy_sys *sys, int fd, uint64_t watch_id);

    /* Collects up to max events. Blocks until there is one, until wake(), until a signal, or until `deadline`
     * (on now()'s clock; <= now: does not block; COSY_NEVER: no limit). Returns how many, or a negative code
     * (-EINTR is returned as 0 events). Never returns early because of rounding when it returns for the
     * deadline; a spurious return with 0 events is allowed. */
    int (*wait)(struct cosy_sys *sys, cosy_ns deadline, struct cosy_sys_event *events, int max);

    /* True when wait() might find something without blocking; a memory read, no system call. A backend that
     * cannot know without asking the kernel returns false. */
    bool (*peek)(struct cosy_sys *sys);

    /* True when what is watched can become ready without this process: false on a simulated network where nothing is
     * under way. */
    bool (*expects)(struct cosy_sys *sys);

    /* Makes the present or the next wait() return. From any thread, and from a signal handler; calls coalesce. */
    int (*wake)(struct cosy_sys *sys);

    /* A descriptor that becomes readable when wait() would return something, for embedding in another loop;
     * -ENOTSUP from sim. Valid until close(). */
    int (*poll_fd)(struct cosy_sys *sys);

    /* Operations on files (file_op.h) that the kernel makes by itself; all three NULL where it does not: make them in a
     * thread then. submit: 0: under way; when it has ended, a wait() reports an event with its `data` and
     * COSY_SYS_DONE. -ENOTSUP: not this kind; -ENOMEM. cancel_op: asks for an early end: with the result -ECANCELED or
     * -EINTR nothing was done. The end is reported as usual, after it was done
     *            as well as before. Never lost, harmless when repeated.
     * finish_op: asks likewise, and blocks until it has ended; no event tells of it.
     * wait() in another thread than the one before is refused (-EBUSY) while operations are in flight; in a forked
     * child they end with -ECANCELED. */
    int (*submit)(struct cosy_sys *sys, struct cosy_file_op *op);
    void (*cancel_op)(struct cosy_sys *sys, struct cosy_file_op *op);
    void (*finish_op)(struct cosy_sys *sys, struct cosy_file_op *op);
};

/* What every instance begins with. */
struct cosy_sys {
    const struct cosy_sys_ops *ops;
    const struct cosy_net_ops *net; /* net.h */
};

/* Opens a kernel: config->kind, else COSY_BACKEND (uring, epoll, sim), else automatic. -EINVAL for a
 * COSY_BACKEND that names none of them, the kernel's own error when a named one is refused. */
int cosy_sys_open(struct cosy_sys **ret_sys, const struct cosy_sys_config *config);

int cosy_sys_open_uring(struct cosy_sys **ret_sys, const struct cosy_sys_config *config);
int cosy_sys_open_epoll(struct cosy_sys **ret_sys, const struct cosy_sys_config *config);
int cosy_sys_open_sim(struct cosy_sys **ret_sys, const struct cosy_sys_config *config);

/* This process was forked: the instance's kernel object is its parent's. From here on it refuses everything, but
 * closing descriptors (dead.c). *ret_before: what to store in it again to have it back. */
void cosy_sys_bury(struct cosy_sys *sys, struct cosy_sys *ret_before);
/* How many forks lie between this process and the first one that used the library. */
extern atomic_uint cosy_forks;

/* Nanoseconds of the machine's monotonic clock, whatever the backend. */
cosy_ns cosy_sys_real_clock(void);

/* How many processors this thread may run on; at least 1. */
unsigned cosy_sys_processors(void);

/* The sim's own doors (sys must be a sim). */
void cosy_sim_advance(struct cosy_sys *sys, cosy_ns by);   /* move the clock by hand */
void cosy_sim_set_autojump(struct cosy_sys *sys, bool on); /* default on: wait() jumps to the deadline */
int cosy_sim_virtual_fd(struct cosy_sys *sys);             /* a descriptor that only this sim knows */
int cosy_sim_set_ready(struct cosy_sys *sys, int fd,
                       unsigned events);        /* readiness of a virtual descriptor, from now on */
uint64_t cosy_sim_random(struct cosy_sys *sys); /* from the seed */

/* While the outside world (threads) works for the program, the sim's clock goes on no faster than the machine's. Other
 * kernels: nothing. */
void cosy_sys_expect_outside(struct cosy_sys *sys, bool expected);

/* Test control for every backend: make the n-th following system call of the sys floor in this process fail
 * with -error (1 = the next), 0 = none. Only counted while armed. */
void cosy_sys_fail_nth(long n, int error);
long cosy_sys_counted(void);

#endif
