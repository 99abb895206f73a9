/* Processes: several tasks start programs of the test's own, talk to them, signal, wait for and close them, cancelled
 * anywhere.
 *
 * Invariants: a program that was started ends, and has ended when its process is closed; what it was given comes back
 * whole, unless it was ended by a signal.
 */
#include "../fuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/sys/sim/network.h"

enum { TASKS = 3, TURNS = 4, LONGEST = 100000 };

static int running;

static void program_left(int **count)
{
    --**count;
}
#define IS_RUNNING() __attribute__((cleanup(program_left), unused)) int *running_ = (running++, &running)

cosy_async static int cat(const struct cosy_test_program_call *call)
{
    IS_RUNNING();
    int64_t length;
    COSY_CHUNKS (call->stdin, chunk, length) {
        cosy_try(pause_somehow());
        cosy_try(cosy_write(call->stdout, chunk, (size_t)length));
    }
    cosy_try((int)(length < 0 ? length : 0));
    return atoi(call->argv[1]);
}

/* Does not read, and does not hear of the first signal. */
cosy_async static int careless(const struct cosy_test_program_call *call)
{
    IS_RUNNING();
    (void)cosy_sleep(COSY_MS(below(5)));
    (void)cosy_printf(call->stdout, "something");
    cosy_try(cosy_sleep(COSY_MS(below(5))));
    return atoi(call->argv[1]);
}

cosy_async static int wait_for_end(cosy_process *process, bool *begun)
{
    *begun = true;
    int code = COSY_STILL_RUNNING, result = cosy_process_wait(process, &code);
    if (result == 0)
        cosy_test_expect(code != COSY_STILL_RUNNING); /* the process may be gone by now */
    else
        cosy_test_expect(result == -ECANCELED);
    return 0;
}

/* What came back: the whole, when it ended by itself. */
cosy_async static int talk(cosy_process *process, bool is_cat, int wanted)
{
    struct cosy_process_output output;
    size_t size = (size_t)(below(3) ? below(300) : below(LONGEST));
    char *data = malloc(size + 1);
    memset(data, 'a' + below(26), size);
    int result = cosy_process_communicate(process, data, size, 0, &output);
    if (result == 0 && is_cat && cosy_process_returncode(process) == wanted)
        cosy_test_expect(output.stdout_size == size && memcmp(output.stdout, data, size) == 0);
    cosy_test_expect(result == 0 || result == -ECANCELED);
    cosy_process_output_free(&output);
    free(data);
    return result;
}

cosy_async static int treat(cosy_process *process, bool is_cat, int wanted)
{
    bool begun = false;
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_end, process, &begun);
    while (!begun && !cosy_task_done(waiter)) /* it must not come when the process is gone */
        (void)cosy_yield();
    int result = pause_somehow();
    switch (below(4)) {
    case 0:
        (void)cosy_process_send_signal(process, below(2) ? SIGTERM : SIGINT);
        break;
    case 1:
        (void)cosy_process_kill(process);
        break;
    case 2:
        result = talk(process, is_cat, wanted);
        break;
    default:
        result = cosy_write_eof(cosy_process_stdin(process));
        break;
    }
    if (below(2) && result == 0)
        result = pause_somehow();
    cosy_test_expect(cosy_process_close(process) == 0);
    while (!cosy_task_done(waiter))
        (void)cosy_yield();
    return result == -ECANCELED ? -ECANCELED : 0;
}

cosy_async static int start_some(void)
{
    for (int i = 0; i < TURNS; i++) {
        cosy_process *process;
        bool is_cat = below(2);
        int wanted = below(3);
        const char *status = wanted == 0 ? "0" : wanted == 1 ? "1" : "2";
        cosy_try(cosy_create_subprocess_exec(
            &process, COSY_ARGV(is_cat ? "cat" : "careless", status), .stdin = COSY_PIPE, .stdout = COSY_PIPE,
            .stderr = below(2) ? COSY_STDOUT : COSY_DEVNULL, .close_grace = COSY_MS(below(3))));
        int result = treat(process, is_cat, wanted);
        if (result < 0)
            return result;
    }
    return 0;
}

cosy_async static int live(void)
{
    cosy_try(cosy_test_program("cat", cat, NULL));
    cosy_try(cosy_test_program("careless", careless, NULL));
    cosy_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task(start_some);
    for (int i = 0; i < TASKS; i++) {
        while (!cosy_task_done(tasks[i]))
            (void)cosy_sleep(COSY_MS(1)); /* whatever is cancelled, they come to their end */
        cosy_task_drop(tasks[i]);
    }
    cosy_test_expect(running == 0);
    return 0;
}

static void process_rounds(void)
{
    long lost = cosy_sim_descriptors_lost();
    running = 0;
    (void)cosy_test_run(live);
    cosy_test_expect(running == 0);
    cosy_test_expect(cosy_sim_descriptors_lost() == lost);
}
WORKLOAD("processes", process_rounds)
