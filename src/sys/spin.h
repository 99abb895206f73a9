/* spin.h - whether a short busy wait before a blocking one pays.
 *
 * Blocking costs two switches of context and a wake-up; an answer that comes within some microseconds is cheaper
 * to spin for. A spin in vain doubles the number of waits that pass before the next try, a spin that found
 * something resets it. So an idle program spins in one wait of 256.
 */
#ifndef COSY_SYS_SPIN_H
#define COSY_SYS_SPIN_H

#include <cosy/time.h>

#include "../base/base.h"

enum { COSY_SPIN_MAX_SKIP = 255 };

struct cosy_spin {
    cosy_ns limit; /* 0: never */
    unsigned skip; /* waits still to pass without spinning */
    unsigned step; /* how many pass after the next failure: 2 * step + 1 */
};

static inline bool cosy_spin_wanted(struct cosy_spin *spin)
{
    if (spin->limit <= 0)
        return false;
    if (spin->skip) {
        spin->skip--;
        return false;
    }
    return true;
}

static inline void cosy_spin_done(struct cosy_spin *spin, bool paid)
{
    spin->step = paid ? 0 : spin->step * 2 + 1;
    if (spin->step > COSY_SPIN_MAX_SKIP)
        spin->step = COSY_SPIN_MAX_SKIP;
    spin->skip = spin->step;
}

static inline void cosy_spin_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
