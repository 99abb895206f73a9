/* cosy/fork.h - fork(2) in a program whose loop runs.
 *
 *     pid_t pid = fork();
 *     if (pid == 0) {
 *         int result = cosy_run(childs_main);          a loop of its own, on a copy of the forking task's stack
 *         _exit(result < 0);
 *     }
 *
 * Starting programs needs none of this: cosy/process.h does that, and so do posix_spawn, system and fork with exec by
 * other libraries, none of which disturbs a loop.
 *
 * In a forked child, the loop that was running belongs to the parent, and so do its tasks and connections: both would
 * act twice. The child's copy is dead. No task goes on, no byte of what was buffered is sent, nothing waits
 * (-COSY_ENOTASK), no descriptor of the parent's is watched or taken out of its set; cosy_running_loop and
 * cosy_current_task give NULL, as asyncio's do. The child may run a loop of its own. When it returns from the function
 * of the task that forked, its copy of cosy_run gives -COSY_EFORKED, and says so in the log. Streams and processes of
 * the parent's may be closed in the child, which ends nothing but the copy. Handlers of signals stay; a signal that the
 * parent's loop handles does nothing here.
 *
 * Loops that did not run when their process was forked can be used in the child, the parent, or both: each gets a
 * kernel object of its own. Pools of threads (cosy/executor.h) start anew. Semantics: asyncio's since Python 3.12 (a
 * fork shares neither loop nor task); fork(2), pthread_atfork(3).
 */
#ifndef COSY_FORK_H
#define COSY_FORK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the loop that ran when this process was forked run here: the child goes on with all of its tasks, timers and
 * connections, in the place of the parent, which should then end at once by _exit. For daemons that go into the
 * background with everything open. Called in the forked child, by the task (or callback) that forked and before it
 * waits. The children of the parent's (cosy/process.h) are not this process's: waiting for them gives 255. 0;
 * -COSY_EINVALIDSTATE: this is no forked child of a running loop, or it has run another one since; -EBUSY: jobs are out
 * in threads, which this process does not have. */
int cosy_after_fork_child(void);

#ifdef __cplusplus
}
#endif
#endif
