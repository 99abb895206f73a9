/* kv_server.c - a key-value server with a protocol of lines, like redis or memcached in small.
 *
 *     kv_server PORT     until SIGTERM (0: any free port): then it takes no new clients, and gives those that are there ten seconds
 *     kv_server          serves a client of its own
 *
 *     SET key value -> OK      GET key -> the value, or NONE      DEL key -> OK or NONE      COUNT -> a number      QUIT
 *
 * All of the store's changes are made by one thread between two waits, so it needs no lock.
 */
#include <cosy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    char *value; /* behind the key, in the same memory */
    char key[];
};

enum { BUCKETS = 1024 };

struct store {
    struct entry *buckets[BUCKETS];
    size_t count;
};

/* Where the key's entry is linked, or would be: FNV-1a. */
static struct entry **find(struct store *store, const char *key)
{
    uint32_t hash = 2166136261u;
    for (const char *at = key; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    struct entry **place = &store->buckets[hash % BUCKETS];
    while (*place && strcmp((*place)->key, key) != 0)
        place = &(*place)->next;
    return place;
}

static bool delete(struct store *store, const char *key)
{
    struct entry **place = find(store, key), *entry = *place;
    if (!entry)
        return false;
    *place = entry->next;
    free(entry);
    store->count--;
    return true;
}

static int set(struct store *store, const char *key, const char *value)
{
    size_t key_size = strlen(key) + 1, value_size = strlen(value) + 1;
    struct entry *entry = malloc(sizeof *entry + key_size + value_size);
    if (!entry)
        return -ENOMEM;
    delete (store, key);
    struct entry **place = find(store, key);
    entry->next = NULL;
    entry->value = entry->key + key_size;
    memcpy(entry->key, key, key_size);
    memcpy(entry->value, value, value_size);
    *place = entry;
    store->count++;
    return 0;
}

static void clear(struct store *store)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (store->buckets[i])
            delete (store, store->buckets[i]->key);
}

/* One command. 1: the client is done. */
cosy_async static int obey(cosy_stream *stream, struct store *store, char *line)
{
    line[strcspn(line, "\r\n")] = 0;
    char *value = line, *command = strsep(&value, " "), *key = strsep(&value, " ");
    if (strcmp(command, "QUIT") == 0)
        return 1;
    if (strcmp(command, "COUNT") == 0)
        return cosy_printf(stream, "%zu\n", store->count);
    if (strcmp(command, "SET") == 0 && key && value)
        return cosy_printf(stream, "%s\n", set(store, key, value) == 0 ? "OK" : "ERROR no memory");
    if (strcmp(command, "DEL") == 0 && key)
        return cosy_printf(stream, "%s\n", delete (store, key) ? "OK" : "NONE");
    if (strcmp(command, "GET") == 0 && key) {
        struct entry *entry = *find(store, key);
        return cosy_printf(stream, "%s\n", entry ? entry->value : "NONE");
    }
    return cosy_printf(stream, "ERROR what is '%s'?\n", line);
}

cosy_async static int handle(cosy_stream *stream, struct store *store)
{
    int64_t length;
    COSY_LINES (stream, line, length) {
        int result = cosy_try(obey(stream, store, line));
        if (result == 1)
            return 0;
    }
    if (length == -COSY_ELIMIT) /* a line as long as that is no client of ours */
        return cosy_printf(stream, "ERROR too long\n");
    return (int)length;
}

/* ---- serving ---- */

static void on_sigterm(void *server)
{
    printf("Draining\n");
    cosy_spawn(cosy_server_drain, (cosy_server *)server, COSY_S(10), COSY_S(1));
}

cosy_async static int serve(const char *port)
{
    struct store store = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, handle, &store, "127.0.0.1", (unsigned)atoi(port), .stream.limit = 4096,
                               .max_connections = 10000));
    cosy_try(cosy_add_signal_handler(cosy_running_loop(), SIGTERM, on_sigterm, server));
    printf("Serving on 127.0.0.1:%u\n", cosy_server_port(server));
    int result = cosy_serve_forever(server); /* until it is drained */
    printf("Bye\n");
    clear(&store);
    return result;
}

/* ---- without arguments ---- */

cosy_async static int show(void)
{
    static const char *const commands[] = {"SET colour blue",  "GET colour", "SET colour dark green", "GET colour", "COUNT",
                                           "DEL colour", "GET colour", "JUMP"};
    struct store store = {0};
    char *answer;
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_unix_server(&server, handle, &store, "@kv_server.example"));
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_unix_connection("@kv_server.example", &stream));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        cosy_try(cosy_printf(stream, "%s\n", commands[i]));
        cosy_try(cosy_readline(stream, &answer));
        printf("%-22s %s", commands[i], answer);
    }
    clear(&store);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return argc > 1 ? cosy_main(serve, argv[1]) : cosy_main(show);
}

/* Output:
 * SET colour blue        OK
 * GET colour             blue
 * SET colour dark green  OK
 * GET colour             dark green
 * COUNT                  1
 * DEL colour             OK
 * GET colour             NONE
 * JUMP                   ERROR what is 'JUMP'?
 */
