/* cosy/colour.h - the marks that a compiler can check: which functions suspend, which block.
 *
 * clang's thread-safety analysis follows a capability of size zero, "async context", that only a task holds:
 *
 *     cosy_async int fetch(int id);        may suspend: call it from async functions only
 *     cosy_blocking int wait_for_disk();   blocks the thread: never call it from async functions
 *
 * gcc ignores the marks; `cosy check FILE.c` runs the check for its users. At run time a wait outside a task
 * returns -COSY_ENOTASK, whatever the compiler. Calls through function pointers are not followed. Of the C library's
 * calls that block, `cosy check` knows sleep, usleep, nanosleep and system; debug mode (COSY_DEBUG=1) tells of whatever
 * has kept the loop for longer than slow_callback_duration.
 */
#ifndef COSY_COLOUR_H
#define COSY_COLOUR_H

#if defined(__clang__) && !defined(COSY_NO_COLOUR)
#define COSY_COLOUR_(x) __attribute__((x))
#else
#define COSY_COLOUR_(x)
#endif

/* Declared, never defined, never used at run time. */
struct COSY_COLOUR_(capability("async context")) cosy_async_context_ {
    char unused_;
};
extern struct cosy_async_context_ cosy_async_context;
struct COSY_COLOUR_(capability("no-await region")) cosy_no_await_ {
    char unused_;
};
extern struct cosy_no_await_ cosy_no_await;

/* May suspend the running task (async def). */
#define cosy_async \
    COSY_COLOUR_(requires_shared_capability(cosy_async_context)) COSY_COLOUR_(locks_excluded(cosy_no_await))
/* Blocks the whole thread, or runs a loop of its own: not for async functions. */
#define cosy_blocking COSY_COLOUR_(locks_excluded(cosy_async_context))
/* A function that may run in both colours and is not looked into. */
#define cosy_unchecked COSY_COLOUR_(no_thread_safety_analysis)

/* A region in which nothing may suspend, so that other tasks see all of its changes or none. Free of cost. */
static inline void cosy_no_await_begin(void) COSY_COLOUR_(exclusive_lock_function(cosy_no_await)) cosy_unchecked;
static inline void cosy_no_await_begin(void) {}
static inline void cosy_no_await_end(void) COSY_COLOUR_(unlock_function(cosy_no_await)) cosy_unchecked;
static inline void cosy_no_await_end(void) {}

/* Tells the check that this place runs in a task (a callback that only tasks call). Free of cost. */
static inline void cosy_assert_async(void) COSY_COLOUR_(assert_shared_capability(cosy_async_context)) cosy_unchecked;
static inline void cosy_assert_async(void) {}

#ifdef COSY_CHECK_C_LIBRARY_ /* by `cosy check`, before the C library's own declarations, which take the mark over */
struct timespec;
cosy_blocking unsigned sleep(unsigned seconds);
cosy_blocking int usleep(unsigned microseconds);
cosy_blocking int nanosleep(const struct timespec *duration, struct timespec *ret_rest);
cosy_blocking int system(const char *command);
#endif

/* The result tells of failure and must be looked at. */
#define cosy_must_use __attribute__((warn_unused_result))

#endif
