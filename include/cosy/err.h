/* cosy/err.h - error codes.
 *
 * Every call of cosy returns a number >= 0, or a negative code: errno's own values (-ENOMEM, -EBADF),
 * and those below, which lie beyond errno's range. errno itself is neither read nor set for the caller.
 * -ECANCELED is cancellation (asyncio's CancelledError: no ordinary error), -ETIMEDOUT is a timeout.
 */
#ifndef COSY_ERR_H
#define COSY_ERR_H

#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, asyncio's or the field's name, what it means): names, numbers and messages from one list. */
#define COSY_ERRORS(X)                                                                                         \
    X(COSY_EINVALIDSTATE, 5001, "InvalidStateError", "not allowed in this state")                              \
    X(COSY_ENOTASK, 5002, "await outside async", "a wait was called outside a task")                           \
    X(COSY_ENOLOOP, 5003, "no running event loop", "no event loop is running in this thread")                  \
    X(COSY_ERUNNING, 5004, "already running", "the loop or coroutine is running already")                      \
    X(COSY_ECLOSED, 5005, "closed", "the loop or coroutine is closed")                                         \
    X(COSY_EAWAITED, 5006, "already awaited", "the coroutine was awaited or scheduled before")                 \
    X(COSY_ESELF, 5007, "awaits itself", "a task cannot await itself")                                         \
    X(COSY_EOTHERLOOP, 5008, "attached to a different loop", "the object belongs to another loop")             \
    X(COSY_ETHREAD, 5009, "wrong thread", "called from a thread that is not the loop's")                       \
    X(COSY_EIGNOREDCLOSE, 5010, "coroutine ignored close", "the coroutine suspended while it was being closed") \
    X(COSY_ESTOPPED, 5011, "loop stopped", "the loop stopped before the result was there")                     \
    X(COSY_EINTERRUPT, 5012, "KeyboardInterrupt", "interrupted by Ctrl-C")                                     \
    X(COSY_EGENEXIT, 5013, "GeneratorExit", "the coroutine is being closed")                                   \
    X(COSY_ESTOPITER, 5014, "StopAsyncIteration", "the iteration has ended")                                   \
    X(COSY_ENOTLOCKED, 5015, "RuntimeError: lock is not acquired", "the lock is not held")                     \
    X(COSY_ETOOMANY, 5016, "ValueError: called too many times", "called more often than is balanced")          \
    X(COSY_EBROKENBARRIER, 5017, "BrokenBarrierError", "the barrier is broken")                                \
    X(COSY_EQUEUEEMPTY, 5018, "QueueEmpty", "the queue is empty")                                              \
    X(COSY_EQUEUEFULL, 5019, "QueueFull", "the queue is full")                                                 \
    X(COSY_EQUEUESHUTDOWN, 5020, "QueueShutDown", "the queue is shut down")                                    \
    X(COSY_ELIMIT, 5021, "LimitOverrunError", "more than the limit allows")                                    \
    X(COSY_ESHUTDOWN, 5022, "RuntimeError: after shutdown", "the pool or executor is shut down")                 \
    X(COSY_EINCOMPLETE, 5023, "IncompleteReadError", "the stream ended before all was read")                   \
    X(COSY_ENONAME, 5024, "gaierror", "the name cannot be resolved")                                           \
    X(COSY_ENOSENDFILE, 5025, "SendfileNotAvailableError", "the kernel cannot send this file by itself")           \
    X(COSY_EPROCESS, 5031, "CalledProcessError", "the program has failed")                                         \
    X(COSY_EFORKED, 5032, "another process's loop", "the loop is the parent's of this forked process")             \
    X(COSY_ETLS, 5040, "SSLError", "the TLS protocol failed")                                                      \
    X(COSY_ECERTIFICATE, 5041, "SSLCertVerificationError", "the certificate is not trusted")                       \
    X(COSY_ETRUNCATED, 5042, "SSLEOFError", "the peer ended the connection without TLS's goodbye")

enum {
#define COSY_ERROR_ENUM_(name, number, title, text) name = number,
    COSY_ERRORS(COSY_ERROR_ENUM_)
#undef COSY_ERROR_ENUM_
};

/* The message of a code, positive or negative: "a wait was called outside a task", "Cannot allocate memory".
 * Never NULL; a static string (for errno's values: the C library's, in the C locale's wording). Any thread. */
const char *cosy_strerror(int code);

/* The name of a code: "COSY_ENOTASK", "ENOMEM"; "E?" for an unknown one. Static string, any thread. */
const char *cosy_errname(int code);

#ifdef __cplusplus
}
#endif
#endif
