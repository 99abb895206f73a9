/* cosy/testing.h - the test kit: a program on simulated time, in many orders, cancelled at every wait.
 *
 *     int err = 0;
 *     COSY_TEST_EXPLORE(err, .seeds = 200, .cancel_each_wait = true) {
 *         struct bank bank = {.accounts = {100, 100}};
 *         (void)cosy_test_run(clerks, &bank);
 *         cosy_test_expect(bank.accounts[0] + bank.accounts[1] == 200);
 *     }
 *
 * A run on the simulated kernel depends on its seed alone: time jumps when everybody waits, and the seed decides in
 * which order the tasks of a turn run. An exploration makes many runs and, when one fails, prints the command that
 * makes that one run again. Guide: docs/testing.md. Semantics: after trio.testing (MockClock, wait_all_tasks_blocked,
 * Sequencer, assert_checkpoints).
 */
#ifndef COSY_TESTING_H
#define COSY_TESTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "loop.h"
#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one run ---- */

/* A cancel_delay: the cancel comes when the wait is over, but before its task goes on. */
enum { COSY_TEST_WHEN_WOKEN = -1 };

/* What a run left behind. */
struct cosy_test_balance_ {
    long allocations; /* of the library: futures, groups and the like; its pools grow in first runs */
    long tasks;       /* tasks and coroutines whose handles were not dropped */
    long descriptors;
};

/* What a run came to, besides its result. */
struct cosy_test_report {
    uint64_t waits;    /* that began, of the tasks that count: cancel_at may be 1 to this */
    uint64_t turns;    /* of the loop */
    cosy_ns time;      /* virtual, that passed */
    bool cancelled;    /* a cancel was injected */
    unsigned failures; /* cosy_test_expect and checkpoints that did not hold, waits beyond the limit */
    unsigned unheard;  /* errors that nobody waited for: calls of the exception handler */
    struct cosy_test_balance_ left; /* what there is more after the run than before it */
};

/* How to run. Every default is zero. Inside an exploration, seed, shuffle and cancel are the exploration's where they
 * are zero here. */
struct cosy_test_options {
    size_t struct_size;              /* filled in by the macros */
    uint64_t seed;                   /* of all that is decided by chance */
    bool shuffle;                    /* run the tasks of each turn in an order drawn from the seed */
    bool manual_clock;               /* time moves by cosy_test_advance only; else it jumps when everybody waits */
    bool debug;                      /* debug mode of the loop */
    bool unwatched;                  /* run by the quick ways of production: waits are neither counted nor cancelled */
    uint64_t cancel_at;              /* cancel the task of the n-th wait that begins, 1 is the first; 0: none */
    int cancel_delay;                /* 0: at once; n: when n more waits have begun; COSY_TEST_WHEN_WOKEN */
    unsigned cancel_one_in;          /* also cancel by chance, each wait with a probability of one in this; 0: none */
    const char *cancel_task;         /* count and cancel waits only of tasks with this name or function; NULL: of all */
    uint64_t max_waits;              /* more than this is a failure, and the run is stopped; 0: a million */
    size_t stack_size;               /* of the main task; 0: 256 KiB */
    struct cosy_test_report *report; /* filled in after the run; NULL: not wanted */
};

/*     int cosy_test_run(fn, args...);
 *     int cosy_test_run_with((.option = value, ...), fn, args...);
 *
 * Runs fn(args...) as cosy_run does, on a loop with the simulated kernel whatever COSY_BACKEND says. Returns its result
 * or negative error; -EDEADLK when all tasks wait for ever, with their tree on standard error. -COSY_ERUNNING inside a
 * running loop, -ENOMEM. */
#define cosy_test_run(...) cosy_test_run_(cosy_call(__VA_ARGS__), NULL)
#define cosy_test_run_with(options, ...)                                                                               \
    cosy_test_run_(cosy_call(__VA_ARGS__), &(const struct cosy_test_options){                                          \
                                               .struct_size = sizeof(struct cosy_test_options), COSY_UNWRAP_ options})
cosy_blocking int cosy_test_run_(cosy_coro *coro, const struct cosy_test_options *options);

/*     bool cosy_test_expect(condition);
 *
 * What must hold. Otherwise the run fails, or between the runs of an exploration that round, and the condition's text
 * and place go to the log. Everything goes on; the value is the condition's. In tasks, callbacks and outside. */
#define cosy_test_expect(condition) cosy_test_expect_((condition), #condition, __FILE__, __LINE__)
bool cosy_test_expect_(bool holds, const char *text, const char *file, unsigned line);

/* A number drawn from the seed of the run, or between runs from the exploration's: for workloads that vary. In neither,
 * 0. */
uint64_t cosy_test_random(void);

/* As if the signal had come to the running loop now, without the kernel and for no other loop: callbacks of
 * cosy_add_signal_handler and receivers (cosy/signals.h) hear of it in the next turn. False: nobody in the loop wants
 * it, and nothing happens. In tasks and callbacks, on every backend. */
bool cosy_test_raise(int signum);

/* ---- many runs ---- */

/* What to explore. Every default is zero. */
struct cosy_explore_options {
    size_t struct_size; /* filled in by the macros */
    const char *name;   /* for messages and replays, static; NULL: the enclosing function's */
    uint64_t first_seed;
    uint64_t seeds;        /* how many, from the first on; 0: one. The tasks of each turn are shuffled by them */
    bool cancel_each_wait; /* each seed is run again for each of its waits, cancelled at once, a little later, and as it
                              ends */
    unsigned cancel_one_in;  /* as in cosy_test_options, in each run */
    const char *cancel_task; /* likewise */
    bool any_result;         /* a negative result is no failure: the block looks at results itself */
    bool leaks_allowed;      /* what a run leaves behind is no failure */
    bool unwatched;          /* as in cosy_test_options; without cancels then */
};

/*     COSY_TEST_EXPLORE(int err, .option = value...) { ... }
 *
 * Runs the block once for each seed and each cancel. What cosy_test_run runs inside gets them. A round fails when a
 * run's result is negative (save -ECANCELED after a cancel), when an expectation does not hold, when an error is heard
 * by nobody, or when allocations, handles or descriptors are left behind by this round and by two repetitions. The
 * first failure ends the exploration; its story and the command for a replay go to the log. `err` (an int variable) is
 * then the failed run's negative result, or -COSY_EINVALIDSTATE; otherwise how many rounds were made, not counting
 * repetitions. break ends it too.
 *
 * The environment makes one round of one exploration: COSY_TEST_NAME, COSY_TEST_SEED, COSY_TEST_CANCEL_AT,
 * COSY_TEST_CANCEL_DELAY (a number, or "woken"). With COSY_TEST_NAME, explorations of other names make no round.
 * COSY_TEST_SEEDS is another number of seeds. */
#define COSY_TEST_EXPLORE(err, ...) COSY_TEST_EXPLORE_(err, COSY_CAT_(cosy_explore_, __COUNTER__), __VA_ARGS__)
#define COSY_TEST_EXPLORE_(result, E, ...)                                                                             \
    for (struct cosy_exploration_ E __attribute__((cleanup(                                                            \
             cosy_explore_end_))) = {.options = {.struct_size = sizeof(struct cosy_explore_options), __VA_ARGS__},     \
                                    .function = __func__,                                                              \
                                    .err = &(result)};                                                                 \
         cosy_explore_next_(&E);)

/*     int cosy_test_explore((.option = value, ...), fn, args...);
 *
 * An exploration whose block is one run of fn(args...); the arguments are evaluated anew for each. Returns what
 * COSY_TEST_EXPLORE's err is. */
#define cosy_test_explore(options, ...)                                                                                \
    __extension__({                                                                                                    \
        int cosy_explored_ = 0;                                                                                        \
        COSY_TEST_EXPLORE(cosy_explored_, COSY_UNWRAP_ options)                                                        \
        {                                                                                                              \
            (void)cosy_test_run(__VA_ARGS__);                                                                          \
        }                                                                                                              \
        cosy_explored_;                                                                                                \
    })

struct cosy_exploration_ {
    struct cosy_explore_options options;
    const char *function;
    int *err;
    struct cosy_exploration_ *outer;
    uint64_t seed, last_seed, random;
    uint64_t cancel_at, base_waits; /* the round's cancel; the waits of the seed's undisturbed round */
    int delay, mode, begun, repeats;
    uint64_t rounds;
    uint64_t waits; /* of this round so far, and what its runs came to */
    int result;
    unsigned failures, unheard;
    struct cosy_test_balance_ left; /* by the round */
    bool cancelled, only_one;
    char place[96]; /* of the cancelled wait */
};
bool cosy_explore_next_(struct cosy_exploration_ *exploration);
void cosy_explore_end_(struct cosy_exploration_ *exploration);

/* ---- time ---- */

/* Stops the jumps of a simulated loop's clock: from now on cosy_test_advance and its like move it. And lets it jump
 * again. 0, -ENOTSUP on other kernels. */
int cosy_test_clock_manual(cosy_loop *loop);
int cosy_test_clock_auto(cosy_loop *loop);

/* From a task: moves the clock of its loop by `by` ns, deadline by deadline, and each time waits until everybody has
 * come to rest; so a ticker ticks as often as it should. 0, -ECANCELED, -ENOTSUP on other kernels, -COSY_ENOTASK,
 * -EINVAL for a negative time. */
cosy_async int cosy_test_advance(cosy_ns by);

/* From outside, for a loop that does not run now: makes one turn without waiting. 1 when something ran, 0 when not,
 * errors as cosy_loop_run_once. */
cosy_blocking int cosy_test_step(cosy_loop *loop);

/* From outside: turns until nothing more can run without time passing; then how many did something, or an error as
 * cosy_loop_run_once. */
cosy_blocking int cosy_test_settle(cosy_loop *loop);

/* From outside: what cosy_test_advance does, and cosy_test_settle at the end. 0 or an error of theirs. */
cosy_blocking int cosy_test_pass(cosy_loop *loop, cosy_ns by);

/* Waits until every other task of the loop waits for something and nothing is queued, and that has been so for
 * `cushion` ns (0: now). Of several such waits the one with the smallest cushion ends first. Any kernel; what other
 * threads do is not known. 0, -ECANCELED, -COSY_ENOTASK. */
cosy_async int cosy_wait_all_tasks_blocked(cosy_ns cushion);

/* ---- the network ----
 *
 * On the simulated kernel sockets and pipes are simulated too: addresses, ports and the paths of Unix sockets are the
 * run's own, no packet leaves the process, and a program that waits only for what can never come is told so (-EDEADLK).
 * What is said here holds for the loop that runs in this thread, from then on. */

/* The network's character. Every default is zero: quick, whole, faultless. Chances are in a million calls, drawn from
 * the run's seed. */
struct cosy_test_network_options {
    size_t struct_size;         /* filled in by the macro */
    cosy_ns latency;            /* ns, one way, of TCP and UDP; a connect takes two */
    cosy_ns jitter;             /* up to so many ns more, drawn for each piece; a connection's bytes stay in order,
                                 * datagrams do not */
    bool torn_reads;            /* a read of a stream or pipe gives a part of what is there */
    bool short_writes;          /* a write takes a part of what there is room for */
    unsigned again_per_million; /* calls that would block although they need not; an edge follows */
    unsigned alarm_per_million; /* false alarms: somebody is woken for nothing, for each change anywhere */
    unsigned reset_per_million; /* TCP connections that break, for each read and write */
    unsigned loss_per_million;  /* UDP datagrams that get lost */
    int max_descriptors;        /* more than so many are -EMFILE; 0: no limit */
};

/*     int cosy_test_network(.option = value...);
 *
 * Gives the simulated network this character, instead of what it had. Does not wait. 0; -COSY_ENOLOOP outside a running
 * loop, -ENOTSUP on other kernels, -EINVAL for a negative time or number. */
#define cosy_test_network(...)                                                                                         \
    cosy_test_network_(                                                                                                \
        &(const struct cosy_test_network_options){.struct_size = sizeof(struct cosy_test_network_options), __VA_ARGS__})
int cosy_test_network_(const struct cosy_test_network_options *options);

/* How an address behaves towards those who connect or send to it. */
enum cosy_test_behaviour {
    COSY_TEST_ANSWERS,          /* as the program's own sockets at it do; -ECONNREFUSED where none listens */
    COSY_TEST_REFUSES,          /* -ECONNREFUSED */
    COSY_TEST_BLACK_HOLE,       /* no answer: -ETIMEDOUT after 127 seconds, as on Linux; datagrams are lost */
    COSY_TEST_NET_UNREACHABLE,  /* -ENETUNREACH, at once */
    COSY_TEST_HOST_UNREACHABLE, /* -EHOSTUNREACH, after a while */
};

/* What there is to say of a host. Every default is zero. */
struct cosy_test_host_options {
    size_t struct_size;                 /* filled in by the macro */
    enum cosy_test_behaviour behaviour; /* of the address */
    cosy_ns delay;                      /* ns to the address and back from it, each, beside the network's latency */
    uint64_t reset_after;               /* connections to the address break after so many bytes, both ways together; 0:
                                         * never */
    cosy_ns lookup_delay;               /* ns that the resolver takes for the name */
    int lookup_error;                   /* negative: what looking the name up ends with */
};

/*     int cosy_test_add_host(const char *name, const char *address, .option = value...);
 *
 * Adds an address (numeric, IPv4 or IPv6) to those that a name is resolved to, behind the others, and says how it
 * behaves; NULL for a name without addresses, or an address without a name. Again with the same ones: the latest word
 * counts. The program's own servers may listen at added addresses. Known from the start are localhost, 127.0.0.0/8 and
 * ::1; connecting to others is -ENETUNREACH. Both strings are copied. Does not wait. 0; -EINVAL for what is no address,
 * -ENOMEM, -COSY_ENOLOOP outside a running loop, -ENOTSUP on other kernels. */
#define cosy_test_add_host(name, address, ...)                                                                         \
    cosy_test_add_host_((name), (address),                                                                             \
                        &(const struct cosy_test_host_options){.struct_size = sizeof(struct cosy_test_host_options),   \
                                                               __VA_ARGS__})
int cosy_test_add_host_(const char *name, const char *address, const struct cosy_test_host_options *options);

/* ---- order ---- */

/* Steps of several tasks in a fixed order. Zero it; it may be used again when it is zeroed again. The fields are
 * private. */
typedef struct cosy_sequencer {
    struct {
        void *first, *last;
    } line_;
    unsigned next_;
    bool inside_, broken_;
} cosy_sequencer;

/* Waits until steps 0 to n - 1 have been left, then enters step n. 0; -COSY_EINVALIDSTATE when the step was entered
 * before, or the sequence is broken because a task was cancelled while it waited for its step; -ECANCELED;
 * -COSY_EOTHERLOOP, -COSY_ENOTASK. */
cosy_async int cosy_sequencer_enter(cosy_sequencer *sequencer, unsigned n);
/* Leaves the step that was entered: the next one may begin. */
void cosy_sequencer_leave(cosy_sequencer *sequencer);

/*     COSY_SEQUENCE(int err, cosy_sequencer *sequencer, unsigned n) { ... }
 *
 * A block that runs as step n. `err` (an int variable) gets the error of cosy_sequencer_enter, and the block is then
 * left out; break, return and cosy_try leave it as they should. */
#define COSY_SEQUENCE(err, sequencer, n) COSY_SEQUENCE_(err, sequencer, n, COSY_CAT_(cosy_sequence_, __COUNTER__))
#define COSY_SEQUENCE_(result, what, n, S)                                                                             \
    for (struct cosy_sequence_ S                                                                                       \
         __attribute__((cleanup(cosy_sequence_leave_))) = {.sequencer = (what), .again = true};                        \
         S.again && cosy_sequence_enter_(&S, (n), &(result)); S.again = false)
struct cosy_sequence_ {
    cosy_sequencer *sequencer;
    bool again, entered;
};
cosy_async bool cosy_sequence_enter_(struct cosy_sequence_ *sequence, unsigned n, int *ret_error);
void cosy_sequence_leave_(struct cosy_sequence_ *sequence);

/*     COSY_ASSERT_CHECKPOINTS() { ... }
 *     COSY_ASSERT_NO_CHECKPOINTS() { ... }
 *
 * A block in which the task must wait at least once (so that others run, and a cancel is heard), or never. Known in
 * runs of the kit only: the run fails otherwise, as by cosy_test_expect, however the block is left. */
#define COSY_ASSERT_CHECKPOINTS()    COSY_CHECKPOINTS_(true, COSY_CAT_(cosy_checkpoints_, __COUNTER__))
#define COSY_ASSERT_NO_CHECKPOINTS() COSY_CHECKPOINTS_(false, COSY_CAT_(cosy_checkpoints_, __COUNTER__))
#define COSY_CHECKPOINTS_(some, C)                                                                                     \
    for (struct cosy_checkpoints_ C                                                                                    \
         __attribute__((cleanup(cosy_checkpoints_end_))) = {.wanted = (some), .file = __FILE__, .line = __LINE__};     \
         cosy_checkpoints_begin_(&C);)
struct cosy_checkpoints_ {
    struct cosy_checkpoints_ *outer;
    struct cosy_task *task;
    uint64_t waits;
    const char *file;
    unsigned line;
    bool wanted, begun;
};
bool cosy_checkpoints_begin_(struct cosy_checkpoints_ *checkpoints);
void cosy_checkpoints_end_(struct cosy_checkpoints_ *checkpoints);

#ifdef __cplusplus
}
#endif
#endif
