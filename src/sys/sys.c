#include "sys.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "syscalls.h"

atomic_bool cosy_sys_faults_armed;
static atomic_long countdown, counted;
static atomic_int fault;

void cosy_sys_fail_nth(long n, int error)
{
    atomic_store(&countdown, n);
    atomic_store(&fault, error);
    if (n > 0)
        atomic_store(&counted, 0);
    atomic_store(&cosy_sys_faults_armed, n > 0);
}

long cosy_sys_counted(void)
{
    return atomic_load(&counted);
}

int cosy_sys_fault_counted(void)
{
    atomic_fetch_add(&counted, 1);
    return atomic_fetch_sub(&countdown, 1) == 1 ? -atomic_load(&fault) : 0;
}

static int kind_from_environment(enum cosy_sys_kind *ret_kind)
{
    static const struct {
        const char *name;
        enum cosy_sys_kind kind;
    } known[] = {{"uring", COSY_SYS_URING}, {"epoll", COSY_SYS_EPOLL}, {"sim", COSY_SYS_SIM}};

    const char *wanted = getenv("COSY_BACKEND");
    if (!wanted || !*wanted)
        return 0;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcmp(wanted, known[i].name) == 0) {
            *ret_kind = known[i].kind;
            return 0;
        }
    return -EINVAL;
}

/* io_uring is refused by many containers (EPERM, ENOSYS) and by small memory limits (ENOMEM): no reason to stop. */
static int open_automatically(struct cosy_sys **ret_sys, const struct cosy_sys_config *config)
{
    return cosy_sys_open_uring(ret_sys, config) == 0 ? 0 : cosy_sys_open_epoll(ret_sys, config);
}

cosy_ns cosy_sys_real_clock(void)
{
    return sys_clock();
}

unsigned cosy_sys_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int cosy_sys_open(struct cosy_sys **ret_sys, const struct cosy_sys_config *config)
{
    static const struct cosy_sys_config defaults;
    if (!config)
        config = &defaults;

    enum cosy_sys_kind kind = config->kind;
    int error = kind == COSY_SYS_AUTO ? kind_from_environment(&kind) : 0;
    if (error)
        return error;
    switch (kind) {
    case COSY_SYS_AUTO:
        return open_automatically(ret_sys, config);
    case COSY_SYS_URING:
        return cosy_sys_open_uring(ret_sys, config);
    case COSY_SYS_EPOLL:
        return cosy_sys_open_epoll(ret_sys, config);
    case COSY_SYS_SIM:
        return cosy_sys_open_sim(ret_sys, config);
    }
    return -EINVAL;
}
