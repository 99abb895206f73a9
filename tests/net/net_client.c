/* net_client.c - a client for tests on networks of their own (test_net.py): what it was asked to do, what came of it,
 * and how long that took.
 *
 *     net_client connect HOST PORT LIMIT_MS DELAY_MS     "connected ADDRESS after MS ms", or "failed CODE after MS ms:
 * MESSAGE" net_client silence PORT_OF_192.0.2.2 LIMIT_MS      says hello to an echo server, prints "ready", and waits
 * for more: with keep-alive, or a limit if not 0 net_client lookup HOST LIMIT_MS
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cosy_ns began;

static int told(int result)
{
    double ms = (double)(cosy_loop_time(cosy_running_loop()) - began) / 1e6;
    const char *message = result < 0 ? cosy_error_message(result) : "";
    if (result < 0)
        printf("failed %s after %.0f ms: %s\n", cosy_errname(result), ms, *message ? message : cosy_strerror(result));
    return 0;
}

cosy_async static int connect_to(const char *host, unsigned port, cosy_ns delay)
{
    char text[COSY_ADDRESS_TEXT];
    struct cosy_address peer;
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection(host, port, &stream, .happy_eyeballs_delay = delay));
    cosy_try(cosy_stream_peername(stream, &peer));
    printf("connected %s after %.0f ms\n", cosy_address_text(&peer, text),
           (double)(cosy_loop_time(cosy_running_loop()) - began) / 1e6);
    return 0;
}

cosy_async static int read_more(cosy_stream *stream)
{
    char byte;
    return (int)cosy_read(stream, &byte, 1);
}

cosy_async static int wait_in_silence(unsigned port, cosy_ns limit)
{
    char echo[5];
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection("192.0.2.2", port, &stream));
    if (limit == 0)
        cosy_try(cosy_stream_set_keepalive(stream, COSY_S(1), COSY_S(1), 2));
    cosy_try(cosy_write(stream, "hello", 5));
    cosy_try((int)cosy_readexactly(stream, echo, sizeof echo));
    printf("ready\n");
    fflush(stdout);
    began = cosy_loop_time(cosy_running_loop());
    return cosy_wait_for(cosy_call(read_more, stream), limit ? limit : COSY_NEVER);
}

cosy_async static int look_up(const char *host)
{
    cosy_scoped(cosy_address_list) list = NULL;
    cosy_try(cosy_getaddrinfo(host, "80", &list, .type = SOCK_STREAM));
    printf("found %zu\n", list->count);
    return 0;
}

static cosy_ns ms_of(const char *text)
{
    return COSY_MS(atoi(text));
}

cosy_async static int amain(int argc, char **argv)
{
    began = cosy_loop_time(cosy_running_loop());
    if (argc == 6 && strcmp(argv[1], "connect") == 0)
        return told(
            cosy_wait_for(cosy_call(connect_to, argv[2], (unsigned)atoi(argv[3]), ms_of(argv[5])), ms_of(argv[4])));
    if (argc == 4 && strcmp(argv[1], "silence") == 0)
        return told(wait_in_silence((unsigned)atoi(argv[2]), ms_of(argv[3])));
    if (argc == 4 && strcmp(argv[1], "lookup") == 0)
        return told(cosy_wait_for(cosy_call(look_up, argv[2]), ms_of(argv[3])));
    return cosy_fail(EINVAL, "see the beginning of net_client.c");
}

int main(int argc, char **argv)
{
    return cosy_main(amain, argc, argv);
}
