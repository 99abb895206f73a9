/* borrow.h - descriptors that stay the program's: who waits for one of them, in line, and for no longer than they wait.
 *
 * The kernel is asked about a borrowed descriptor only while somebody waits. What stays registered would break the
 * program when it closes the descriptor, as it may at any time: a request in io_uring holds the open file, so that the
 * peer sees no end; epoll keeps what another process has a copy of. On io_uring that costs nothing, since the request
 * goes with the call that sleeps and is over when it has fired; on epoll a wait costs two epoll_ctl.
 *
 * Each direction has a line, first come first served. Only who stands first tries, and it stays first until it leaves:
 * so bytes of two senders are not mixed, and whoever asked first gets what comes first. The watch is level-triggered:
 * when the first one leaves and there is more, the next is told in the next turn, and no wake can be lost by a cancel.
 *
 * Invariants
 *  - A descriptor is in the table exactly while somebody is in one of its lines or it is held, and is then watched for
 * the directions whose line is not empty.
 *  - A waiter is in line while `borrow` is set. `woken`: it was told to try, and has not come back yet.
 */
#ifndef COSY_LOOP_BORROW_H
#define COSY_LOOP_BORROW_H

#include "../sys/net.h"
#include "loop.h"
#include "port.h"

struct cosy_borrow {
    struct cosy_level_watch level;
    struct cosy_link link; /* in the table, or among the spare ones */
    struct cosy_loop *loop;
    uint64_t watch; /* the kernel table's */
    int fd;
    uint8_t asked; /* for which events it is watched */
    bool
        held; /* the program has promised to say when it closes it: it stays watched, for nothing, while nobody waits */
    bool telling;             /* its waiters are being told: who leaves meanwhile leaves the rest to whoever tells */
    struct cosy_link line[2]; /* by side */
};

struct cosy_borrow_waiter {
    struct cosy_link link;
    struct cosy_borrow *borrow; /* NULL: in no line */
    uint8_t side;
    bool woken;
    /* 0: it stands first, and should try: then cosy_borrow_again or cosy_borrow_leave. A negative code: it is out of
     * line. Called where the kernel is asked, among others: queues and wakes, but runs nothing else. */
    void (*ready)(struct cosy_borrow_waiter *waiter, int result);
};

/* Whether the loop may use that descriptor for the program: 0, -EBADF, -COSY_ECLOSED; -EEXIST: a stream has it. */
int cosy_borrow_check(const struct cosy_loop *loop, int fd);
/* Somebody is in line: who comes now has to get in line too, before it tries. */
bool cosy_borrow_occupied(const struct cosy_loop *loop, int fd, enum cosy_port_side side);
/* Gets in line, at its end; `ready` is set already. -EEXIST: the program watches it with add_reader or add_writer, or a
 * stream has it; -EPERM for regular files and directories; -EBADF, -ENOMEM. When the number means another file than it
 * did to those in line, they get -EBADF. */
int cosy_borrow_join(struct cosy_loop *loop, int fd, enum cosy_port_side side, struct cosy_borrow_waiter *waiter);
/* It was its turn, and it would have blocked: it stays first. */
static inline void cosy_borrow_again(struct cosy_borrow_waiter *waiter)
{
    waiter->woken = false;
}
/* Keeps it watched between waits, until cosy_borrow_evict: what a wait costs then is none of the kernel's calls more.
 * Errors as joining. */
int cosy_borrow_hold(struct cosy_loop *loop, int fd);
/* Out of line; harmless when it is in none. */
void cosy_borrow_leave(struct cosy_borrow_waiter *waiter);

/* All of a descriptor's waiters are told `result` (negative), out of line, and it is held no longer. Returns how many
 * there were. */
int cosy_borrow_evict(struct cosy_loop *loop, int fd, int result);

/* A call that knows no MSG_DONTWAIT must not block where the descriptor does: it is made non-blocking around each such
 * call. Whether that is needed is found out once. 0 or negative; *ret_blocks. The other calls of net.h take `false`.
 * Signals that interrupt one are not heard of. */
int cosy_borrow_blocks(struct cosy_loop *loop, int fd, bool *ret_blocks);
#define COSY_BORROW_CALL(loop, blocks, fd, call, ...)                                                                  \
    ({                                                                                                                 \
        struct cosy_sys *sys_ = (loop)->sys;                                                                           \
        bool blocks_ = (blocks);                                                                                       \
        int fd_ = (fd), result_ = blocks_ ? sys_->net->set_nonblocking(sys_, fd_, true) : 0;                           \
        if (likely(result_ >= 0)) {                                                                                    \
            do                                                                                                         \
                result_ = sys_->net->call(sys_, fd_, __VA_ARGS__);                                                     \
            while (unlikely(result_ == -EINTR));                                                                       \
            if (unlikely(blocks_))                                                                                     \
                sys_->net->set_nonblocking(sys_, fd_, false);                                                          \
        }                                                                                                              \
        result_;                                                                                                       \
    })

/* For the loop. */
void cosy_borrows_open(struct cosy_loop *loop);
bool cosy_borrows_any(const struct cosy_loop *loop); /* somebody waits */
void cosy_borrows_close(struct cosy_loop *loop);

#endif
