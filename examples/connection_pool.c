/* connection_pool.c - six requests share two connections.
 *
 * A pool makes a connection when one is needed and keeps it for the next request. COSY_DEFINE_POOL makes the type and
 * its functions for one type of element; opening and closing are async functions of the program.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>

struct connection {
    int number, requests;
};

struct server {
    const char *name;
    int connections;
};

cosy_async static int open_connection(struct server *server, struct connection **ret_connection)
{
    cosy_try(cosy_sleep(COSY_MS(20))); /* the handshake */
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    connection->number = ++server->connections;
    printf("connection %d to %s opened\n", connection->number, server->name);
    *ret_connection = connection;
    return 0;
}

cosy_async static int close_connection(struct server *server, struct connection *connection)
{
    printf("connection %d to %s closed after %d requests\n", connection->number, server->name, connection->requests);
    free(connection);
    return 0;
}

COSY_DEFINE_POOL(connection_pool, struct connection, struct server)

cosy_async static int request(connection_pool *pool, const char *path)
{
    int err = 0;
    COSY_POOLED (err, connection_pool, pool, connection) { /* async with pool.acquire() as connection: */
        connection->requests++;
        printf("GET %s on connection %d\n", path, connection->number);
        cosy_check(err, cosy_sleep(COSY_MS(connection->number * 50)));
    }
    return err;
}

cosy_async static int amain(void)
{
    struct server server = {.name = "example.org"};
    connection_pool pool = {.context = &server, .create = open_connection, .destroy = close_connection, .max_size = 2};

    int failed =
        cosy_gather(cosy_call(request, &pool, "/a"), cosy_call(request, &pool, "/b"), cosy_call(request, &pool, "/c"),
                    cosy_call(request, &pool, "/d"), cosy_call(request, &pool, "/e"), cosy_call(request, &pool, "/f"));

    struct cosy_pool_statistics statistics;
    connection_pool_statistics(&pool, &statistics);
    printf("%zu idle, %zu in use\n", statistics.idle, statistics.in_use);
    int closed = connection_pool_close(&pool, COSY_S(1));
    return failed < 0 ? failed : closed;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * connection 1 to example.org opened
 * GET /a on connection 1
 * connection 2 to example.org opened
 * GET /b on connection 2
 * GET /c on connection 1
 * ...
 * 2 idle, 0 in use
 * connection ... closed after ... requests
 * connection ... closed after ... requests
 */
