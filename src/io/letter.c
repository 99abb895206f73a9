/* letter.c - giving something to other threads, and having it back. */
#include "letter.h"

static struct cosy_letter *letter_of(struct cosy_observer *observer)
{
    return container_of(observer, struct cosy_letter, back);
}

void cosy_letter_take_back(struct cosy_letter *letter)
{
    if (letter->place) {
        *letter->place = letter->next;
        letter->loop->letters_out--;
    }
    if (letter->place && letter->next)
        letter->next->place = letter->place;
    cosy_loop_release(letter->loop);
}

static void came_back(struct cosy_observer *observer)
{
    struct cosy_letter *letter = letter_of(observer);
    cosy_letter_take_back(letter);
    letter->kind->returned(letter);
}

static void found_closed(struct cosy_observer *observer)
{
    struct cosy_letter *letter = letter_of(observer);
    cosy_letter_take_back(letter);
    letter->kind->free(letter);
}

void cosy_letter_send(struct cosy_letter *letter, const struct cosy_letter_kind *kind, struct cosy_loop *loop)
{
    letter->back = (struct cosy_observer){.node.kind = COSY_NODE_NOTIFY, .notify = came_back, .discard = found_closed};
    letter->kind = kind;
    letter->loop = loop;
    letter->place = &loop->letters;
    letter->next = loop->letters;
    if (letter->next)
        letter->next->place = &letter->next;
    loop->letters = letter;
    loop->letters_out++;
    loop->has_tasks = true;
    cosy_loop_hold(loop);
}

void cosy_letter_return(struct cosy_letter *letter)
{
    struct cosy_loop *loop = letter->loop;
    if (cosy_inbox_push(loop, &letter->back.node) == 0)
        return;
    letter->kind->free(letter);
    cosy_loop_release(loop);
}

void cosy_letters_let_go(struct cosy_loop *loop)
{
    struct cosy_letter *letter = loop->letters, *next;
    loop->letters = NULL;
    loop->letters_out = 0;
    for (; letter; letter = next) {
        next = letter->next;
        letter->place = NULL; /* its neighbours may be freed in other threads from now on */
        if (letter->kind->let_go)
            letter->kind->let_go(letter);
    }
}
