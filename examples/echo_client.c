/* echo_client.c - the asyncio documentation's TCP echo client: `asyncio.open_connection`.
 *
 *     echo_client HOST PORT MESSAGE     asks the echo server there
 *     echo_client                       asks one of its own
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cosy_async static int tcp_echo_client(const char *host, unsigned port, const char *message)
{
    cosy_stream *stream;
    cosy_try(cosy_open_connection(host, port, &stream));

    printf("Send: '%s'\n", message);
    int result = cosy_write(stream, message, strlen(message));

    char *answer = NULL;
    int64_t length = result < 0 ? result : cosy_read_chunk(stream, &answer);
    if (length >= 0)
        printf("Received: '%.*s'\n", (int)length, answer);

    printf("Close the connection\n");
    cosy_try(cosy_stream_close(stream));
    return length < 0 ? (int)length : 0;
}

cosy_async static int echo(cosy_stream *stream, const char *greeting)
{
    int64_t length;
    (void)greeting;
    COSY_CHUNKS (stream, chunk, length)
        cosy_try(cosy_write(stream, chunk, (size_t)length));
    return (int)length;
}

cosy_async static int ask_ourselves(void)
{
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, NULL, "127.0.0.1", 0));
    return tcp_echo_client("127.0.0.1", cosy_server_port(server), "Hello World!");
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return cosy_main(tcp_echo_client, argv[1], (unsigned)atoi(argv[2]), argv[3]);
    return cosy_main(ask_ourselves);
}

/* Output:
 * Send: 'Hello World!'
 * Received: 'Hello World!'
 * Close the connection
 */
