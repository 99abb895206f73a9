/* cosy/context.h - context variables: values that follow a chain of tasks, as Python's contextvars do.
 *
 * A context is a map from variables to values. Each task has one, copied from its creator at creation, so
 * what a task sets is seen by the tasks it creates afterwards and by nobody else. Each callback of the loop
 * runs in a copy of the context in which it was registered. Copying costs one reference.
 * Semantics: https://docs.python.org/3/library/contextvars.html. All calls: the loop's own thread; none suspends.
 */
#ifndef COSY_CONTEXT_H
#define COSY_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A variable: static storage, named for messages.
 *     static cosy_contextvar user = COSY_CONTEXTVAR("user", NULL); */
typedef struct cosy_contextvar {
    const char *name;
    void *fallback; /* cosy_contextvar_get's answer where the variable was never set */
} cosy_contextvar;
#define COSY_CONTEXTVAR(name, fallback) {name, fallback}

/* A set of values, counted: shared by all that were given it. */
typedef struct cosy_context cosy_context;

/* What cosy_contextvar_set replaced; plain data, for cosy_contextvar_reset. Used at most once. */
typedef struct cosy_contexttoken {
    const cosy_contextvar *var;
    void *old;
    int was_set;
    uint64_t where; /* the context it belongs to; 0 = used */
} cosy_contexttoken;

/* The value of a variable in the current context, else its fallback. The pointer is the caller's business:
 * the context neither copies nor frees what it points to. */
void *cosy_contextvar_get(const cosy_contextvar *var);

/* Sets a variable in the current context. token may be NULL. 0, or -ENOMEM (nothing changed). */
int cosy_contextvar_set(const cosy_contextvar *var, void *value, cosy_contexttoken *token);

/* Puts back what the set that filled the token replaced. -EINVAL: a used token, or one of another context. */
int cosy_contextvar_reset(cosy_contexttoken *token);

/* A copy of the current context, to be given to callbacks and tasks (asyncio's `context=`); those that share
 * one see each other's changes. Drop it with cosy_context_drop. NULL without memory. */
cosy_context *cosy_context_copy(void);

/* An empty context; one reference for the caller. NULL without memory. */
cosy_context *cosy_context_new(void);

/* Calls fn(arg) in a context (Context.run): the changes that it makes stay in that context. fn must not suspend. */
void cosy_context_run(cosy_context *context, void (*fn)(void *arg), void *arg);

/* Gives up one reference; NULL is fine. */
void cosy_context_drop(cosy_context *context);

/* for cosy_scoped(cosy_context) */
static inline void cosy_context_dropp_(cosy_context **context) { cosy_context_drop(*context); }

#ifdef __cplusplus
}
#endif
#endif
