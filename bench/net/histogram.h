/* Latencies in ns, in buckets 1.6 % wide: 64 linear ones per power of two. Constant size, no allocation per sample. */
#pragma once

#include <stdint.h>
#include <string.h>

enum { HISTOGRAM_FINE = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_FINE + 1) << HISTOGRAM_FINE };

struct histogram {
    uint64_t count, most;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
    unsigned shift = ns < 1u << HISTOGRAM_FINE ? 0 : 63 - HISTOGRAM_FINE - (unsigned)__builtin_clzll(ns);
    histogram->buckets[((uint64_t)shift << HISTOGRAM_FINE) + (ns >> shift)]++;
    histogram->count++;
    if (ns > histogram->most)
        histogram->most = ns;
}

/* The middle of the bucket below which `share` of all samples lie. */
static inline double histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t below = 0, wanted = (uint64_t)((double)histogram->count * share);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += histogram->buckets[i];
        if (below > wanted) {
            unsigned shift = i >> HISTOGRAM_FINE < 2 ? 0 : (i >> HISTOGRAM_FINE) - 1;
            uint64_t first = ((uint64_t)i - ((uint64_t)shift << HISTOGRAM_FINE)) << shift;
            return (double)first + (double)((1ull << shift) - 1) / 2;
        }
    }
    return (double)histogram->most;
}

static inline void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}
