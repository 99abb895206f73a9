/* explore.c - many runs: each seed, each wait cancelled in turn, what a round is judged by, and how a failed one is
 * made again.
 *
 * A round is one pass through the block. For each seed the first round is undisturbed and counts the waits; then each
 * wait is cancelled in three ways, since a cancel that comes late meets another state: in line, in the middle of it,
 * and out of it with the wake on its way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cosy/err.h>
#include <cosy/log.h>

#include "testing.h"

enum { AT_ONCE, LATER, WHEN_WOKEN, MODES };
enum { REPEATS = 2, LONGEST_DELAY = 8 };

static __thread struct cosy_exploration_ *exploring;

struct cosy_exploration_ *cosy_exploring(void)
{
    return exploring;
}

/* ---- the environment ---- */

static bool number_in(const char *name, uint64_t *ret_number)
{
    const char *text = getenv(name);
    char *end;
    if (!text || !*text)
        return false;
    *ret_number = strtoull(text, &end, 0);
    if (*end)
        cosy_log(COSY_LOG_ERROR, "cosy: %s is no number: '%s'", name, text);
    return !*end;
}

static int delay_in_environment(void)
{
    const char *text = getenv("COSY_TEST_CANCEL_DELAY");
    uint64_t number = 0;
    if (text && strcmp(text, "woken") == 0)
        return COSY_TEST_WHEN_WOKEN;
    return number_in("COSY_TEST_CANCEL_DELAY", &number) && number <= INT32_MAX ? (int)number : 0;
}

/* ---- what a run is given, and what it came to ---- */

void cosy_explore_fill(struct cosy_exploration_ *exploration, struct cosy_test_options *options)
{
    const struct cosy_explore_options *wanted = &exploration->options;
    if (options->seed == 0) {
        options->seed = exploration->seed;
        options->shuffle = true;
    }
    options->unwatched |= wanted->unwatched;
    if (!options->cancel_task)
        options->cancel_task = wanted->cancel_task;
    if (options->cancel_one_in == 0)
        options->cancel_one_in = wanted->cancel_one_in;
    if (options->cancel_at == 0 &&
        exploration->cancel_at > exploration->waits) { /* waits count on from run to run of a round */
        options->cancel_at = exploration->cancel_at - exploration->waits;
        options->cancel_delay = exploration->delay;
    }
}

static bool is_bad(const struct cosy_exploration_ *exploration, int result, bool cancelled)
{
    return result < 0 && !exploration->options.any_result && !(cancelled && result == -ECANCELED);
}

void cosy_explore_note(struct cosy_exploration_ *exploration, int result, const struct cosy_test_report *report,
                       const char *place)
{
    exploration->waits += report->waits;
    exploration->failures += report->failures;
    exploration->unheard += report->unheard;
    exploration->cancelled |= report->cancelled;
    if (exploration->result == 0 && is_bad(exploration, result, report->cancelled))
        exploration->result = result;
    if (*place)
        snprintf(exploration->place, sizeof exploration->place, "%s", place);
}

static void begin_round(struct cosy_exploration_ *exploration)
{
    exploration->waits = exploration->failures = exploration->unheard = 0;
    exploration->result = 0;
    exploration->cancelled = false;
    exploration->place[0] = '\0';
    exploration->random = cosy_test_random_begin(exploration->seed);
    exploration->left = (struct cosy_test_balance_){0};
    cosy_test_balance(&exploration->left, -1);
}

/* ---- judgement ---- */

static const char *name_of(const struct cosy_exploration_ *exploration)
{
    return exploration->options.name ? exploration->options.name : exploration->function;
}

static bool leaks(const struct cosy_exploration_ *exploration)
{
    return !exploration->options.leaks_allowed &&
           (exploration->left.allocations > 0 || exploration->left.tasks > 0 || exploration->left.descriptors > 0);
}

static void append_delay(const struct cosy_exploration_ *exploration, char *text, size_t size)
{
    if (exploration->delay == COSY_TEST_WHEN_WOKEN)
        snprintf(text, size, "woken");
    else
        snprintf(text, size, "%d", exploration->delay);
}

/* One word of a command line, quoted for a shell where it must be. */
static void print_word(FILE *stream, const char *word)
{
    if (*word &&
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=+:,@%") == strlen(word)) {
        fputs(word, stream);
        return;
    }
    putc('\'', stream);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", stream);
        else
            putc(*word, stream);
    putc('\'', stream);
}

static void print_command(FILE *stream)
{
    char line[4096];
    FILE *file = fopen("/proc/self/cmdline", "re");
    size_t size = file ? fread(line, 1, sizeof line - 1, file) : 0;
    if (file)
        fclose(file);
    line[size] = '\0';
    for (const char *word = line; word < line + size; word += strlen(word) + 1) {
        putc(' ', stream);
        print_word(stream, word);
    }
}

static void print_replay(const struct cosy_exploration_ *exploration, FILE *stream)
{
    char delay[16];
    fputs("COSY_TEST_NAME=", stream);
    print_word(stream, name_of(exploration));
    fprintf(stream, " COSY_TEST_SEED=%llu", (unsigned long long)exploration->seed);
    if (exploration->cancel_at) {
        fprintf(stream, " COSY_TEST_CANCEL_AT=%llu", (unsigned long long)exploration->cancel_at);
        append_delay(exploration, delay, sizeof delay);
        if (exploration->delay)
            fprintf(stream, " COSY_TEST_CANCEL_DELAY=%s", delay);
    }
    print_command(stream);
}

static void print_cause(const struct cosy_exploration_ *exploration, FILE *stream)
{
    if (exploration->result < 0)
        fprintf(stream, "%s (%s)", cosy_errname(exploration->result), cosy_strerror(exploration->result));
    else if (exploration->failures > 0)
        fputs("an expectation did not hold", stream);
    else if (exploration->unheard > 0)
        fputs("an error was heard by nobody", stream);
    else
        fprintf(stream, "left behind, again and again: %ld allocations, %ld tasks, %ld descriptors",
                exploration->left.allocations, exploration->left.tasks, exploration->left.descriptors);
}

static void report(const struct cosy_exploration_ *exploration)
{
    char *text = NULL, delay[16];
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return;
    fprintf(stream, "cosy: exploration '%s' failed in round %llu, seed %llu", name_of(exploration),
            (unsigned long long)exploration->rounds, (unsigned long long)exploration->seed);
    if (exploration->cancel_at) {
        append_delay(exploration, delay, sizeof delay);
        fprintf(stream, ", wait %llu cancelled (%s; delay %s)", (unsigned long long)exploration->cancel_at,
                *exploration->place ? exploration->place : "not reached", delay);
    }
    fputs(": ", stream);
    print_cause(exploration, stream);
    fputs("\nreplay: ", stream);
    print_replay(exploration, stream);
    fclose(stream);
    cosy_log(COSY_LOG_ERROR, "%s", text);
    free(text);
}

static bool is_sound(const struct cosy_exploration_ *exploration)
{
    return exploration->result == 0 && exploration->failures == 0 && exploration->unheard == 0;
}

/* The pools of the library grow in a round or two, and then no more: what is left behind each time is a leak. */
static bool must_repeat(struct cosy_exploration_ *exploration)
{
    if (!is_sound(exploration) || !leaks(exploration) || exploration->repeats == REPEATS)
        return false;
    exploration->repeats++;
    return true;
}

static bool passed(struct cosy_exploration_ *exploration)
{
    if (is_sound(exploration) && !leaks(exploration))
        return true;
    *exploration->err = exploration->result < 0 ? exploration->result : -COSY_EINVALIDSTATE;
    report(exploration);
    return false;
}

/* ---- what is next ---- */

static bool begin(struct cosy_exploration_ *exploration)
{
    const char *name = getenv("COSY_TEST_NAME");
    uint64_t seeds = exploration->options.seeds ? exploration->options.seeds : 1, only;
    exploration->begun = true;
    exploration->outer = exploring;
    exploring = exploration;
    *exploration->err = 0;
    if (name && *name && strcmp(name, name_of(exploration)) != 0)
        return false;
    if (exploration->options.seeds)
        (void)number_in("COSY_TEST_SEEDS", &seeds);
    exploration->seed = exploration->options.first_seed;
    exploration->last_seed = exploration->seed + seeds - 1;
    if (number_in("COSY_TEST_SEED", &only)) {
        exploration->only_one = true;
        exploration->seed = only;
        (void)number_in("COSY_TEST_CANCEL_AT", &exploration->cancel_at);
        exploration->delay = delay_in_environment();
    }
    return seeds > 0;
}

static void set_delay(struct cosy_exploration_ *exploration)
{
    uint64_t state = exploration->seed * 1000003 + exploration->cancel_at;
    exploration->delay = exploration->mode == AT_ONCE      ? 0
                         : exploration->mode == WHEN_WOKEN ? COSY_TEST_WHEN_WOKEN
                                                           : 1 + (int)(cosy_test_random_next(&state) % LONGEST_DELAY);
}

/* The next cancel of this seed, or else the next seed. False when all is done. */
static bool advance(struct cosy_exploration_ *exploration)
{
    exploration->repeats = 0;
    if (exploration->only_one)
        return false;
    if (exploration->cancel_at == 0)
        exploration->base_waits = exploration->waits;
    bool began = exploration->cancel_at > 0;
    if (began && ++exploration->mode == MODES)
        exploration->mode = AT_ONCE;
    if (exploration->options.cancel_each_wait && exploration->mode == AT_ONCE)
        exploration->cancel_at++;
    if (exploration->options.cancel_each_wait && exploration->cancel_at <= exploration->base_waits) {
        set_delay(exploration);
        return true;
    }
    exploration->cancel_at = 0;
    exploration->delay = exploration->mode = AT_ONCE;
    return exploration->seed++ < exploration->last_seed;
}

bool cosy_explore_next_(struct cosy_exploration_ *exploration)
{
    if (exploration->begun)
        cosy_test_balance(&exploration->left, 1);
    bool again = exploration->begun && must_repeat(exploration);
    if (!again && !(exploration->begun ? passed(exploration) && advance(exploration) : begin(exploration)))
        return false;
    begin_round(exploration);
    exploration->rounds += !again;
    *exploration->err = (int)(exploration->rounds < INT32_MAX ? exploration->rounds : INT32_MAX);
    return true;
}

void cosy_explore_end_(struct cosy_exploration_ *exploration)
{
    if (exploration->begun)
        exploring = exploration->outer;
}
