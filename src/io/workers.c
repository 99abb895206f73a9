/* workers.c - a loop in each of some threads.
 *
 * A loop in the calling thread, which has Ctrl-C, minds them: one task of a group per worker waits for a job of an
 * executor of as many threads, and the job runs the worker's loop. So the first error cancels the others as it does in
 * any group.
 */
#include <cosy/workers.h>

#include <pthread.h>
#include <string.h>

#include <cosy/group.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../task/capture.h"
#include "../task/parcel.h"
#include "executor.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

enum { WORKERS_MAX = 4096 };

struct crew;

struct worker {
    struct crew *crew;
    unsigned index;
    struct cosy_parcel *parcel;
    struct cosy_task *main; /* the worker's thread: while its main task runs */
    pthread_mutex_t lock;   /* guards what follows */
    struct cosy_loop *loop; /* open to others, while the worker's loop is there */
    bool cancelled, note_sent;
    struct cosy_observer note; /* on the loop's inbox */
};

struct crew {
    unsigned count;
    const struct cosy_run_options *options;
    struct cosy_executor *executor;
    struct worker *workers;
};

static __thread struct worker *worker_here;

int cosy_worker_index(void)
{
    return worker_here ? (int)worker_here->index : -1;
}

unsigned cosy_worker_count(void)
{
    return worker_here ? worker_here->crew->count : 0;
}

/* ---- in the worker's thread ---- */

static void cancel_main(struct cosy_observer *note)
{
    cosy_task_cancel(container_of(note, struct worker, note)->main);
}

static bool is_cancelled(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    bool cancelled = worker->cancelled;
    pthread_mutex_unlock(&worker->lock);
    return cancelled;
}

cosy_async static int64_t worker_main(struct worker *worker)
{
    if (is_cancelled(worker))
        return -ECANCELED;
    worker->main = cosy_current_task();
    int64_t result = cosy_parcel_call(worker->parcel);
    worker->main = NULL;
    return result;
}

static void open_to_others(struct worker *worker, struct cosy_loop *loop)
{
    pthread_mutex_lock(&worker->lock);
    worker->loop = loop;
    pthread_mutex_unlock(&worker->lock);
}

/* The job of an executor's thread. */
static int run_worker(struct worker *worker)
{
    struct cosy_run_options defaults = {0};
    cosy_runner *runner = cosy_runner_new_(worker->crew->options ? worker->crew->options : &defaults);
    if (!runner)
        return -ENOMEM;
    worker_here = worker;
    struct cosy_loop *loop = cosy_runner_loop(runner);
    open_to_others(worker, loop);
    int result = cosy_runner_run(runner, worker_main, worker);
    open_to_others(worker, NULL);
    cosy_runner_free(runner);
    worker_here = NULL;
    return result;
}

/* ---- in the calling thread ---- */

static void stop_worker(void *arg)
{
    struct worker *worker = arg;
    pthread_mutex_lock(&worker->lock);
    worker->cancelled = true;
    if (worker->loop && !worker->note_sent) {
        worker->note_sent = true;
        (void)cosy_inbox_push(worker->loop, &worker->note.node);
    }
    pthread_mutex_unlock(&worker->lock);
}

cosy_async static int mind(struct worker *worker)
{
    return cosy_run_in_executor_with(worker->crew->executor, (.on_cancel = stop_worker, .on_cancel_arg = worker),
                                     run_worker, worker);
}

/* Each worker needs a thread that has no other; one that has ended already leaves its own. */
static bool has_its_threads(struct crew *crew)
{
    pthread_mutex_lock(&crew->executor->lock);
    bool refused = crew->executor->refused;
    pthread_mutex_unlock(&crew->executor->lock);
    return !refused;
}

cosy_async static int mind_all(struct crew *crew)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (unsigned i = 0; i < crew->count; i++)
        cosy_task_group_create_task_with(group, (.eager_start = true), mind, &crew->workers[i]);
    if (has_its_threads(crew))
        return cosy_task_group_wait(group);
    int result = cosy_task_group_close(group, -EAGAIN);
    return result == -EAGAIN || result == -ECANCELED
               ? cosy_fail(EAGAIN, "not all of %u threads could be started", crew->count)
               : result;
}

static int prepare_worker(struct crew *crew, unsigned index, const struct cosy_parcel *call, size_t bytes)
{
    struct worker *worker = &crew->workers[index];
    worker->crew = crew;
    worker->index = index;
    worker->note = (struct cosy_observer){.node.kind = COSY_NODE_NOTIFY, .notify = cancel_main};
    pthread_mutex_init(&worker->lock, NULL);
    worker->parcel = cosy_heap_alloc_aligned(16, (bytes + 15) / 16 * 16);
    if (!worker->parcel)
        return -ENOMEM;
    return cosy_parcel_copy(worker->parcel, call) ? 0 : -EINVAL;
}

static int run_crew(struct crew *crew, const struct cosy_parcel *call, size_t bytes)
{
    int result = cosy_executor_new(&crew->executor, .workers = crew->count, .name = "worker");
    crew->workers = cosy_heap_zalloc(crew->count * sizeof *crew->workers);
    if (!crew->workers)
        result = -ENOMEM;
    unsigned prepared = 0;
    while (result == 0 && prepared < crew->count)
        result = prepare_worker(crew, prepared++, call, bytes);
    if (result == 0)
        result = cosy_run(mind_all, crew);
    cosy_executor_free(crew->executor);
    while (prepared-- > 0) {
        cosy_heap_free(crew->workers[prepared].parcel);
        pthread_mutex_destroy(&crew->workers[prepared].lock);
    }
    cosy_heap_free(crew->workers);
    return result;
}

int cosy_run_workers_(unsigned count, cosy_coro *call, const struct cosy_run_options *options)
{
    int result;
    if (cosy_running_loop() || count > WORKERS_MAX) {
        cosy_coro_close(call);
        return cosy_running_loop()
                   ? cosy_fail(COSY_ERUNNING,
                               "cosy_run_workers cannot be called while a loop is running in this thread")
                   : -EINVAL;
    }
    struct cosy_task *object = cosy_coro_take(call, &result);
    if (!object)
        return result;
    size_t bytes = cosy_parcel_bytes(object);
    struct cosy_parcel *parcel = cosy_heap_alloc_aligned(16, (bytes + 15) / 16 * 16);
    if (!parcel) {
        cosy_coro_close(call);
        return -ENOMEM;
    }
    struct crew crew = {.count = count ? count : cosy_sys_processors(), .options = options};
    cosy_parcel_pack(parcel, object);
    result = run_crew(&crew, parcel, bytes);
    cosy_heap_free(parcel);
    return result;
}
