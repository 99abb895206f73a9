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

static int write_one(int fd)
{
    uint64_t one = 1;
    int result = sys_write(fd, &one, sizeof one);
    return result >= 0 || result == -EAGAIN ? 0 : result; /* EAGAIN: full, and so readable */
}

static int write_surely(int fd)
{
    int error = write_one(fd);
    return likely(!error) ? 0 : write_one(fd); /* once more: other wakes may rely on this write already */
}

static int write_where_needed(struct cosy_waker *waker, unsigned state)
{
    bool outside = state & COSY_WAKER_EMBEDDED;
    bool inside = state & COSY_WAKER_SLEEPING && !(outside && waker->outside == waker->fd);
    int error = inside ? write_surely(waker->fd) : 0;
    int outside_error = outside ? write_surely(waker->outside) : 0;
    return error ? error : outside_error;
}

int cosy_waker_wake(struct cosy_waker *waker)
{
    unsigned old = atomic_fetch_or(&waker->state, COSY_WAKER_PENDING);
    if (old == 0 || old & COSY_WAKER_PENDING)
        return 0;
    int saved = errno;
    int error = write_where_needed(waker, old);
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

int cosy_waker_embed(struct cosy_waker *waker, int outside)
{
    if (!(atomic_load(&waker->state) & COSY_WAKER_EMBEDDED)) /* once: who sees the bit reads it at any time */
        waker->outside = outside;
    unsigned old = atomic_fetch_or(&waker->state, COSY_WAKER_EMBEDDED);
    bool unseen = old & COSY_WAKER_PENDING && !(old & COSY_WAKER_EMBEDDED);
    return unseen ? write_surely(outside) : 0;
}
