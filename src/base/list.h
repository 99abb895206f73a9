/* list.h - a circular doubly linked list whose links lie in its members.
 *
 * A head is a link that points to itself when the list is empty. A link that is on no list points to
 * itself too, so removing it twice is harmless.
 */
#ifndef COSY_BASE_LIST_H
#define COSY_BASE_LIST_H

#include <stdbool.h>

struct cosy_link {
    struct cosy_link *next, *prev;
};

static inline void cosy_list_init(struct cosy_link *link) { link->next = link->prev = link; }

static inline bool cosy_list_empty(const struct cosy_link *head) { return head->next == head; }

static inline void cosy_list_append(struct cosy_link *head, struct cosy_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void cosy_list_remove(struct cosy_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    cosy_list_init(link);
}

#endif
