/* mt19937.h - Python's random numbers: the Mersenne Twister as random.seed(n) and random.randint(a, b) use it.
 *
 * M. Matsumoto, T. Nishimura: Mersenne Twister (1998); seeding by array as of 2002.
 */
#ifndef MT19937_H
#define MT19937_H

#include <stdint.h>

enum { MT_SIZE = 624, MT_MIDDLE = 397 };

struct mt19937 {
    uint32_t state[MT_SIZE];
    int used;
};

/* random.seed(seed), for 0 <= seed < 2**32 */
static inline void mt_seed(struct mt19937 *mt, uint32_t seed)
{
    uint32_t *state = mt->state;
    state[0] = 19650218;
    for (uint32_t i = 1; i < MT_SIZE; i++)
        state[i] = 1812433253u * (state[i - 1] ^ state[i - 1] >> 30) + i;
    uint32_t i = 1;
    for (int left = MT_SIZE; left > 0; left--) {
        state[i] = (state[i] ^ (state[i - 1] ^ state[i - 1] >> 30) * 1664525u) + seed;
        if (++i == MT_SIZE) {
            state[0] = state[MT_SIZE - 1];
            i = 1;
        }
    }
    for (int left = MT_SIZE - 1; left > 0; left--) {
        state[i] = (state[i] ^ (state[i - 1] ^ state[i - 1] >> 30) * 1566083941u) - i;
        if (++i == MT_SIZE) {
            state[0] = state[MT_SIZE - 1];
            i = 1;
        }
    }
    state[0] = 0x80000000u;
    mt->used = MT_SIZE;
}

static inline void mt_twist(struct mt19937 *mt)
{
    uint32_t *state = mt->state;
    for (int i = 0; i < MT_SIZE; i++) {
        uint32_t bits = (state[i] & 0x80000000u) | (state[(i + 1) % MT_SIZE] & 0x7fffffffu);
        state[i] = state[(i + MT_MIDDLE) % MT_SIZE] ^ bits >> 1 ^ (bits & 1 ? 0x9908b0dfu : 0);
    }
    mt->used = 0;
}

/* 32 random bits */
static inline uint32_t mt_next(struct mt19937 *mt)
{
    if (mt->used == MT_SIZE)
        mt_twist(mt);
    uint32_t bits = mt->state[mt->used++];
    bits ^= bits >> 11;
    bits ^= bits << 7 & 0x9d2c5680u;
    bits ^= bits << 15 & 0xefc60000u;
    return bits ^ bits >> 18;
}

/* random.randint(low, high), both included */
static inline int mt_randint(struct mt19937 *mt, int low, int high)
{
    uint32_t count = (uint32_t)(high - low) + 1, number;
    int bits = 32 - __builtin_clz(count);
    do
        number = mt_next(mt) >> (32 - bits);
    while (number >= count);
    return low + (int)number;
}

#endif
