/* awaited.h - what a call of this floor was given to wait for: a few things of any kind, or an array of one kind. */
#ifndef COSY_FLOW_AWAITED_H
#define COSY_FLOW_AWAITED_H

#include "../task/task.h"

struct cosy_awaited_list {
    const struct cosy_awaited_ *items; /* or NULL, and: */
    void *const *handles;
    int kind;
    size_t count;
};

static inline struct cosy_awaited_ cosy_awaited_at(const struct cosy_awaited_list *list, size_t index)
{
    return list->items ? list->items[index] : (struct cosy_awaited_){list->kind, list->handles[index]};
}

/* A call takes its coroutines, also when it fails before it begins: closes them, and returns the error. */
int cosy_awaited_refuse(const struct cosy_awaited_list *list, int error);

/* 0, or the error (with its message) of a future that this task cannot wait for: itself, or one of another loop. */
int cosy_awaited_check(struct cosy_task *me, struct cosy_future *future, const char *call);

/* The moment a delay from now; COSY_NEVER when it lies beyond all time. */
cosy_ns cosy_moment_in(struct cosy_loop *loop, cosy_ns delay);

#endif
