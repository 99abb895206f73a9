/* cosy/embed.h - what another language's event loop, or a monitor, wants of a loop besides cosy/loop.h and cosy/op.h.
 *
 * docs/embedding.md goes through what such a loop needs, and says which call does it. None of these calls suspends; all
 * belong to the loop's thread.
 */
#ifndef COSY_EMBED_H
#define COSY_EMBED_H

#include "loop.h"
#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- around the kernel ---- */

/* Called where a loop turns to its kernel. Each may be NULL; none may run the loop or suspend. */
struct cosy_kernel_hooks {
    /* Before the kernel is asked, in each turn that does: the place to send what the turns since have gathered. What it
     * queues runs in this turn. */
    void (*prepare)(cosy_loop *loop, void *arg);
    /* Only when the loop will sleep: for at most `limit` ns, or COSY_NEVER. To let a lock go that others wait for
     * (Python's GIL) ... */
    void (*block)(cosy_loop *loop, cosy_ns limit, void *arg);
    /* ... and to take it again, before any callback runs. */
    void (*unblock)(cosy_loop *loop, void *arg);
    void *arg;
};

/* Sets a loop's hooks, or with NULL none. The struct is not copied: it must stay as long as it is set. */
void cosy_loop_set_kernel_hooks(cosy_loop *loop, const struct cosy_kernel_hooks *hooks);

/* ---- what a loop has ---- */

/* What a loop may hold for the program. */
enum cosy_loop_item_kind {
    COSY_ITEM_READER, /* of cosy_add_reader: fd, callback, arg */
    COSY_ITEM_WRITER, /* of cosy_add_writer: the same */
    COSY_ITEM_OP,     /* an operation in flight: fd, op */
    COSY_ITEM_WAIT,   /* a task that waits for a descriptor of the program's: fd */
    COSY_ITEM_STREAM, /* a descriptor of a stream, a server or the like: fd */
};

/* One thing that a loop holds for the program. */
struct cosy_loop_item {
    enum cosy_loop_item_kind kind;
    int fd;
    cosy_op *op;            /* NULL but for operations */
    cosy_callback callback; /* NULL but for readers and writers */
    void *arg;              /* of the callback */
};

/* Calls visit for each of them, in no particular order: for garbage collectors, reports of leaks, and monitors. `visit`
 * may change nothing in the loop. A closed loop has none. Handles and timers lie in the embedder's own memory; tasks
 * are in cosy_all_tasks. */
void cosy_loop_walk(cosy_loop *loop, void (*visit)(const struct cosy_loop_item *item, void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
