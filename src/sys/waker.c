#include "waker.h"

#include "syscalls.h"

int cosy_waker_open(struct cosy_waker *waker)
{
    atomic_init(&waker->state, 0);
    waker->fd = sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->fd < 0 ? waker->fd : 0;
}

void cosy_waker_close(struct cosy_waker *waker)
{
    if (waker->fd >= 0)
        close(waker->fd);
    waker->fd = -1;
}

static int write_one(struct cosy_waker *waker)
{
    uint64_t one = 1;
    int result = sys_write(waker->fd, &one, sizeof one);
    return result >= 0 || result == -EAGAIN ? 0 : result; /* EAGAIN: full, and so readable */
}

int cosy_waker_wake(struct cosy_waker *waker)
{
    unsigned old = atomic_fetch_or(&waker->state, COSY_WAKER_PENDING);
    if (old == 0 || old & COSY_WAKER_PENDING)
        return 0;
    int saved = errno;
    int error = write_one(waker);
    if (unlikely(error)) /* once more: other wakes may have relied on this write already */
        error = write_one(waker);
    if (unlikely(error)) { /* let the next wake try, unless the sleeper is gone */
        unsigned stuck = old | COSY_WAKER_PENDING;
        atomic_compare_exchange_strong(&waker->state, &stuck, old);
    }
    errno = saved;
    return error;
}

bool cosy_waker_sleep(struct cosy_waker *waker)
{
    return !(atomic_fetch_or(&waker->state, COSY_WAKER_SLEEPING) & COSY_WAKER_PENDING);
}

bool cosy_waker_awake(struct cosy_waker *waker)
{
    if (!(atomic_load_explicit(&waker->state, memory_order_relaxed) & (COSY_WAKER_PENDING | COSY_WAKER_SLEEPING)))
        return false;
    return atomic_fetch_and(&waker->state, COSY_WAKER_EMBEDDED) & COSY_WAKER_PENDING;
}

int cosy_waker_embed(struct cosy_waker *waker)
{
    unsigned old = atomic_fetch_or(&waker->state, COSY_WAKER_EMBEDDED);
    return old == COSY_WAKER_PENDING ? write_one(waker) : 0; /* pending, and nothing was written for it */
}
