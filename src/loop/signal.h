/* signal.h - who in a loop hears of signals besides the callbacks of cosy_add_signal_handler: receivers
 * (flow/signals.c). */
#ifndef COSY_LOOP_SIGNAL_H
#define COSY_LOOP_SIGNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "../base/list.h"

struct cosy_loop;

enum { COSY_SIGNALS_COUNT = 65 };

static inline uint64_t cosy_signal_bit(int signum)
{
    return UINT64_C(1) << (signum - 1);
}

/* Who sent a signal last. When several came at once it is one of theirs. */
struct cosy_signal_origin {
    int code; /* SI_USER ... of sigaction(2); 0 with pid 0: not known */
    pid_t pid;
    uid_t uid;
    union sigval value; /* SI_QUEUE ... */
};

struct cosy_signal_listener {
    struct cosy_link of_loop; /* on no list: it does not listen, or the loop has closed */
    uint64_t mask;            /* bit n - 1: signal n */
    /* In a turn of the loop: may wake tasks, and neither begin nor end to listen. */
    void (*came)(struct cosy_signal_listener *listener, int signum, const struct cosy_signal_origin *origin);
    void (*closed)(struct cosy_signal_listener *listener); /* the loop closes; it does not listen any more */
};

/* 0, -EINVAL (a signal that cannot be caught), -ENOMEM, -COSY_ECLOSED; with an error it listens to none. */
int cosy_signals_listen(struct cosy_loop *loop, struct cosy_signal_listener *listener);
void cosy_signals_unlisten(struct cosy_loop *loop, struct cosy_signal_listener *listener);

/* As if the signal had come, in this loop alone and without the kernel. False: nobody there listens to it. */
bool cosy_signals_pretend(struct cosy_loop *loop, int signum);

#endif
