/* signals.c - a service that is asked by signals: reload, tell how it is, finish and stop.
 *
 *     signals serve [MS]     says its number, and waits for: kill -HUP, kill -USR1, kill -TERM or Ctrl-C
 *     signals                asks itself
 *
 * Its work is done in jobs of so many milliseconds (20). Told to stop, it ends the job at hand first; told so again, it does not.
 */
#include <cosy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct service {
    cosy_ns job;
    int configuration, obeyed;
    bool stopping;
};

/* ---- what the service does: one job after the other ---- */

cosy_async static int work(struct service *service)
{
    while (!service->stopping)
        cosy_try(cosy_sleep(service->job));
    return 0;
}

/* ---- what it is told ---- */

cosy_async static int reload(struct service *service)
{
    cosy_try(cosy_sleep(COSY_MS(10))); /* another SIGHUP meanwhile is kept, and several are one */
    printf("reloaded: configuration %d\n", ++service->configuration);
    return 0;
}

/* Returns when it has been told to stop, and what is at work has ended. */
cosy_async static int obey(struct service *service, cosy_task *worker)
{
    int err = 0, last = 0;
    COSY_SIGNALS (signum, err, SIGHUP, SIGUSR1, SIGTERM, SIGINT) { /* async for signum in signals: */
        if (signum == SIGHUP)
            cosy_try(reload(service));
        else if (signum == SIGUSR1)
            printf("at work with configuration %d\n", service->configuration);
        else {
            last = signum;
            break;
        }
        service->obeyed++;
    }
    cosy_try(err);
    /* Signals have their default effects again: the next one ends the process. */
    printf("%s: finishing\n", cosy_signal_name(last));
    service->stopping = true;
    cosy_try(cosy_await(worker));
    printf("stopped\n");
    return 0;
}

/* A task's first step comes when its creator waits: obey() receives its signals by then, and whoever reads this line may send them. */
cosy_async static int announce_and_work(struct service *service)
{
    printf("serving as process %d\n", (int)getpid());
    return work(service);
}

/* The service's memory is its creator's. One that is done already is no trouble. */
cosy_async static void end(cosy_task *task)
{
    cosy_task_cancel(task);
    (void)cosy_await(task);
}

cosy_async static int serve(cosy_ns job)
{
    struct service service = {.job = job};
    cosy_scoped(cosy_task) worker = cosy_create_task(announce_and_work, &service);
    int result = obey(&service, worker);
    end(worker);
    return result;
}

/* ---- by itself ---- */

cosy_async static int ask_myself(struct service *service)
{
    static const int signums[] = {SIGUSR1, SIGHUP, SIGHUP, SIGUSR1, SIGTERM};
    for (int i = 0; i < (int)(sizeof signums / sizeof *signums); i++) {
        while (service->obeyed < i)
            cosy_try(cosy_sleep(COSY_MS(5)));
        kill(getpid(), signums[i]);
    }
    return 0;
}

cosy_async static int demonstrate(void)
{
    struct service service = {.job = COSY_MS(20)};
    cosy_scoped(cosy_task) worker = cosy_create_task(work, &service);
    cosy_scoped(cosy_task) asker = cosy_create_task(ask_myself, &service);
    int result = obey(&service, worker);
    end(worker);
    end(asker);
    return result;
}

int main(int argc, char **argv)
{
    int job = argc == 3 ? atoi(argv[2]) : 20;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 1)
        return cosy_main(demonstrate);
    if (argc > 3 || job <= 0 || strcmp(argv[1], "serve") != 0) {
        fprintf(stderr, "usage: signals [serve [MS]]\n");
        return 2;
    }
    return cosy_main(serve, COSY_MS(job));
}

/* Output:
 * at work with configuration 0
 * reloaded: configuration 1
 * reloaded: configuration 2
 * at work with configuration 2
 * SIGTERM: finishing
 * stopped
 */
