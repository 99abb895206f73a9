/* cosy/signals.h - signals as an async iterator, and their names.
 *
 *     int err = 0;
 *     COSY_SIGNALS (signum, err, SIGHUP, SIGTERM) {       with trio.open_signal_receiver(SIGHUP, SIGTERM) as signals:
 *         if (signum == SIGTERM)                              async for signum in signals:
 *             break;                                              if signum == signal.SIGTERM: break
 *         cosy_try(reload());                                     await reload()
 *     }
 *
 * A signal that comes again before it was taken is one: between two steps each signal is there or not, as the kernel
 * keeps pending signals. Those that are there come in the order of their numbers. Every receiver, in every loop of
 * every thread, gets every signal of its own, beside callbacks of cosy_add_signal_handler. What comes while the body
 * runs is kept for the next step; a cancelled wait takes nothing.
 *
 * While anybody in the process receives a signal it does not have its other effect: SIGTERM does not end the program,
 * and Ctrl-C (SIGINT) is no -COSY_EINTERRUPT. When the last one is closed the disposition returns that was there
 * before. The library's own writes never raise SIGPIPE, and it leaves its disposition alone; nor does it need SIGCHLD,
 * which a program may receive or handle.
 *
 * In threads that block signals (pthread_sigmask) the kernel delivers to others; a signal that all threads block is
 * never delivered, and none of this sees it. Semantics:
 * https://trio.readthedocs.io/en/stable/reference-io.html#signals, signal(7).
 */
#ifndef COSY_SIGNALS_H
#define COSY_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "colour.h"
#include "err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Receives signals: made by cosy_open_signal_receiver, to be closed. Of one loop. */
typedef struct cosy_signal_receiver cosy_signal_receiver;

/* What is known of a signal that came (sigaction(2), siginfo_t). When it came several times it is of the latest, and of
 * one of them when they came at the same moment. */
struct cosy_signal_info {
    int signum;
    int code;           /* SI_USER: kill; SI_QUEUE: sigqueue; SI_TKILL, SI_KERNEL, CLD_EXITED ... */
    pid_t pid;          /* who sent it; with SI_KERNEL 0 */
    uid_t uid;          /* of the sender */
    union sigval value; /* of sigqueue */
};

/*     int cosy_open_signal_receiver(cosy_signal_receiver **ret_receiver, int signum, ...);
 *
 * Receives these signals from now on, in the running loop. *ret_receiver is to be closed; NULL on errors. 0; -EINVAL:
 * no such signal, or it cannot be caught, by number and name in the message; -ENOMEM, -COSY_ENOLOOP. Does not suspend.
 * The other form takes an array. */
#define cosy_open_signal_receiver(ret_receiver, ...)                                                           \
    cosy_open_signal_receiver_for((ret_receiver), (const int[]){__VA_ARGS__},                                  \
                                  sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
int cosy_open_signal_receiver_for(cosy_signal_receiver **ret_receiver, const int *signums, size_t count);

/* Stops receiving; what was not taken is forgotten. Tasks that wait in it get -COSY_ECLOSED. NULL is fine; also when
 * its loop is closed. */
void cosy_close_signal_receiver(cosy_signal_receiver *receiver);
static inline void cosy_signal_receiver_closep_(cosy_signal_receiver **receiver)
{
    cosy_close_signal_receiver(*receiver);
}
#define COSY_DROPP_cosy_signal_receiver_ cosy_signal_receiver_closep_ /* cosy_scoped(cosy_signal_receiver) */

/* Waits for the next signal, and takes it; its number. `ret_info`: what is known of it; NULL: not wanted. Several tasks
 * may wait: each signal goes to one of them. -ECANCELED: none was taken; -COSY_ECLOSED, -COSY_ENOTASK,
 * -COSY_EOTHERLOOP. Suspends only when there is none. */
cosy_async int cosy_next_signal(cosy_signal_receiver *receiver, struct cosy_signal_info *ret_info);

/* How many different signals are there to be taken. */
size_t cosy_pending_signals(const cosy_signal_receiver *receiver);

/* The inside of COSY_SIGNALS. */
struct cosy_signals_for_ {
    cosy_signal_receiver *receiver_;
    int *err_;
    bool begun_;
};
struct cosy_signals_for_ cosy_signals_for_open_(int *err, const int *signums, size_t count);
cosy_async int cosy_signals_for_next_(struct cosy_signals_for_ *loop);
static inline void cosy_signals_for_close_(struct cosy_signals_for_ *loop)
{
    cosy_close_signal_receiver(loop->receiver_);
}

/*     COSY_SIGNALS(signum, err, SIGHUP, ...) { ... }
 *
 * Receives these signals while the loop lasts, and runs the block for each: `signum` is an int that the macro declares.
 * It lasts until break, return or an error, which is in `err` (an int variable) then; otherwise that is 0. */
#define COSY_SIGNALS(signum, err, ...)                                                                                 \
    COSY_SIGNALS_(signum, err, COSY_CAT_SIGNALS_(cosy_signals_, __COUNTER__), __VA_ARGS__)
#define COSY_CAT_SIGNALS_(a, b) COSY_CAT_SIGNALS_2_(a, b)
#define COSY_CAT_SIGNALS_2_(a, b) a##b
#define COSY_SIGNALS_(signum, err, S, ...)                                                                     \
    for (struct cosy_signals_for_ S __attribute__((cleanup(cosy_signals_for_close_))) = cosy_signals_for_open_( \
             &(err), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int));            \
         !S.begun_;)                                                                                           \
        for (int signum; (signum = cosy_signals_for_next_(&S)) > 0;)

/* ---- names ---- */

/* "SIGTERM" for 15, "SIGRTMIN+3" for that; NULL for no signal, or one that the C library keeps for itself. Static
 * string, any thread. */
const char *cosy_signal_name(int signum);

/* The number of "SIGTERM", "TERM" or "term", "SIGRTMIN+3", "SIGRTMAX", "RTMAX-1", "15"; -EINVAL, told: there is no such
 * signal. Any thread. */
int cosy_signal_by_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
