/* port_forwarder.c - forwards each connection to another server, both ways: what socat and ssh -L do.
 *
 *     port_forwarder PORT HOST HOSTS_PORT     until Ctrl-C (PORT 0: any free one)
 *     port_forwarder                          to a server of its own, for one client of its own
 *
 * Where much comes, the kernel moves it from socket to socket (splice); the program sees no byte.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>

struct target {
    const char *host;
    unsigned port;
};

/* One end of input is passed on, and the other direction goes on: cosy_relay returns when both have ended. */
cosy_async static int forward(cosy_stream *client, const struct target *target)
{
    cosy_scoped(cosy_stream) upstream = NULL;
    cosy_try(cosy_open_connection(target->host, target->port, &upstream));
    return cosy_relay(client, upstream);
}

cosy_async static int serve(const char *port, struct target target)
{
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, forward, &target, "127.0.0.1", (unsigned)atoi(port), .max_connections = 1000));
    printf("Forwarding from 127.0.0.1:%u to %s:%u\n", cosy_server_port(server), target.host, target.port);
    return cosy_serve_forever(server);
}

/* ---- without arguments ---- */

cosy_async static int count_bytes(cosy_stream *stream, const char *unit)
{
    int64_t length, sum = 0;
    COSY_CHUNKS (stream, chunk, length)
        sum += length;
    cosy_try(length);
    return cosy_printf(stream, "%lld %s\n", (long long)sum, unit); /* the client has ended its input, and hears the answer */
}

cosy_async static int show(void)
{
    static char much[1000000];
    char *answer;
    cosy_scoped(cosy_server) counter = NULL;
    cosy_try(cosy_start_server(&counter, count_bytes, "bytes", "127.0.0.1", 0));
    struct target target = {"127.0.0.1", cosy_server_port(counter)};
    cosy_scoped(cosy_server) forwarder = NULL;
    cosy_try(cosy_start_server(&forwarder, forward, &target, "127.0.0.1", 0));

    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection("127.0.0.1", cosy_server_port(forwarder), &stream));
    cosy_try(cosy_write(stream, much, sizeof much));
    cosy_try(cosy_write_eof(stream));
    cosy_try(cosy_readline(stream, &answer));
    printf("forwarded %s", answer);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 4)
        return cosy_main(show);
    struct target target = {argv[2], (unsigned)atoi(argv[3])};
    return cosy_main(serve, argv[1], target);
}

/* Output:
 * forwarded 1000000 bytes
 */
