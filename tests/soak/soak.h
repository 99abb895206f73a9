/* soak.h - what the parts of the soak share: one worker serves (serve.c), another is all of its clients (load.c,
 * clients.c), and between two rounds, when nobody talks, what is left behind is counted (measure.c).
 *
 * A connection begins with a header; what follows is numbered: the byte at a position is a function of the header's key
 * and the position (soak_byte), so both ends know each byte that they may see, whatever was cut in between. */
#ifndef COSY_SOAK_H
#define COSY_SOAK_H

#include <cosy.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../harness/tool.h"

enum {
    SOAK_LINE = 1000,        /* limit of the lines' server, bytes */
    SOAK_FILE = 4 << 20,     /* bytes of the file that is sent */
    SOAK_FILE_KEY = 4711,    /* its contents */
    SOAK_BUFFER = 128 << 10, /* most bytes of one call */
    SOAK_SNAIL = 30,         /* seconds that an end may take on a busy machine */
};

/* The servers, each with a port of its own; SOAK_UNIX has a path. */
enum soak_port { SOAK_ECHO, SOAK_UNIX, SOAK_SUM, SOAK_LINES, SOAK_SENDFILE, SOAK_RELAY, SOAK_PORTS };

/* First bytes of each connection but those for lines. */
struct soak_header {
    uint64_t key;    /* of the bytes; sendfile: where in the file */
    uint32_t amount; /* bytes that follow, or that are asked for */
    uint32_t cancel; /* the server cancels its handler after so many us; 0: never */
};

/* Answer of SOAK_SUM, once the input has ended. */
struct soak_sum {
    uint64_t count, digest;
};

/* What is left when nobody talks. */
struct soak_left {
    long descriptors, blocks, bytes, resident; /* of the process */
    long clients, server_tasks, load_tasks;
};

/* Written by one thread each; the atomic fields are how the two talk. */
struct soak {
    uint64_t seed;
    unsigned seconds, clients;
    unsigned port[SOAK_PORTS];
    char path[64];               /* of SOAK_UNIX */
    int file;                    /* of SOAK_SENDFILE */
    atomic_bool serving;         /* ports are there */
    atomic_bool drain;           /* the load asks the servers to end; from here on clients lose their connections */
    atomic_bool failed;          /* something was wrong, and was told */
    atomic_uint asked, answered; /* the load asks for the server's part of struct soak_left */
    atomic_long server_clients, server_tasks;
    atomic_ulong accepted, lost, unhandled, handlers_cancelled;
};

/* The server's worker, and the clients' one: each to its end. */
cosy_async int soak_serve(struct soak *soak);
cosy_async int soak_load(struct soak *soak);

/* Tells that something is wrong, with the command that shows it again. Returns -EBADMSG. Any thread. */
int soak_fault(struct soak *soak, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What is left now. Waits until the server has no client, for SOAK_SNAIL seconds at most. */
cosy_async int soak_measure(struct soak *soak, struct soak_left *ret_left);
void soak_print_left(const char *when, const struct soak_left *left);
/* 0 when no more is left than at the baseline, within what caches may differ; else a fault. */
int soak_compare(struct soak *soak, const struct soak_left *baseline, const struct soak_left *left);

/* ---- one client ---- */

/* What a worker's clients came to. */
struct soak_books {
    unsigned long connections, survived, torn, cancelled, staying, kinds[32];
    unsigned long long sent, received;
};

/* A place for one client after the other. */
struct soak_client {
    struct soak *soak;
    struct soak_books *books;
    uint64_t random;
    char *out, *in; /* SOAK_BUFFER bytes each */
};

/* Does one random thing to one random server. 0, or a fault that was told. */
cosy_async int soak_one_client(struct soak_client *client);
/* Talks until the server ends it. 0, or a fault. */
cosy_async int soak_stay(struct soak_client *client);
/* Names of the kinds by which books->kinds is indexed; NULL behind the last. */
const char *soak_kind_name(unsigned kind);

/* ---- bytes ---- */

static inline uint64_t soak_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static inline uint64_t soak_random(uint64_t *state)
{
    return soak_mix(*state += 0x9E3779B97F4A7C15u);
}

static inline unsigned soak_below(uint64_t *state, unsigned limit)
{
    return (unsigned)(soak_random(state) % limit);
}

static inline unsigned char soak_byte(uint64_t key, uint64_t position)
{
    return (unsigned char)(soak_mix(key + position / 8) >> position % 8 * 8);
}

static inline void soak_fill(uint64_t key, uint64_t position, char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)soak_byte(key, position + i);
}

/* How many of the bytes are right. */
static inline size_t soak_right(uint64_t key, uint64_t position, const char *bytes, size_t size)
{
    size_t i = 0;
    while (i < size && (unsigned char)bytes[i] == soak_byte(key, position + i))
        i++;
    return i;
}

static inline uint64_t soak_digest(uint64_t digest, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ (unsigned char)bytes[i]) * 0x100000001B3u;
    return digest;
}

#endif
