/* letter.h - what a loop gives to other threads and gets back once, through its inbox.
 *
 * Invariants
 *  - A letter is on its loop's list from cosy_letter_send until it is back or taken back, or the loop closes; a loop
 * with letters out is not deadlocked.
 *  - It keeps the loop's memory, so that it can come back to a closed loop: it is then freed where it is.
 *  - What belongs to the loop's thread (futures, waiting tasks) is let go of by that thread when the loop closes, and
 * never touched by another.
 */
#ifndef COSY_IO_LETTER_H
#define COSY_IO_LETTER_H

#include "../task/task.h"

struct cosy_letter;

struct cosy_letter_kind {
    void (*returned)(struct cosy_letter *letter); /* in a turn of its loop; the letter is the callee's again */
    void (*let_go)(struct cosy_letter *
                       letter); /* its loop closes while it is out: forget what is the loop's; NULL: there is nothing */
    void (*free)(struct cosy_letter *letter); /* any thread: the loop is closed */
};

struct cosy_letter {
    struct cosy_observer back; /* stands on the inbox on its way home */
    const struct cosy_letter_kind *kind;
    struct cosy_loop *loop;
    struct cosy_letter *next, **place; /* on the loop's list; place NULL: let go of */
};

/* In the loop's thread, before any other thread can have it. */
void cosy_letter_send(struct cosy_letter *letter, const struct cosy_letter_kind *kind, struct cosy_loop *loop);

/* In the loop's thread: no other thread has it, or will. */
void cosy_letter_take_back(struct cosy_letter *letter);

/* From any thread, which must not touch it afterwards. */
void cosy_letter_return(struct cosy_letter *letter);

/* Lets go of all letters of a loop that closes. */
void cosy_letters_let_go(struct cosy_loop *loop);

#endif
