/* echo_server.c - the asyncio documentation's TCP echo server: `asyncio.start_server`, `serve_forever`.
 *
 *     echo_server PORT     serves until Ctrl-C (0: any free port); try it with echo_client, or: nc 127.0.0.1 PORT
 *     echo_server          serves one client of its own, and ends
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>

cosy_async static int handle_echo(cosy_stream *stream, int *served)
{
    char *message, peer_text[COSY_ADDRESS_TEXT];
    struct cosy_address peer;
    int64_t length = cosy_try(cosy_read_chunk(stream, &message)); /* data = await reader.read(100) */
    cosy_try(cosy_stream_peername(stream, &peer));                /* writer.get_extra_info('peername') */
    printf("Received '%.*s' from %s\n", (int)length, message, cosy_address_text(&peer, peer_text));

    printf("Send: '%.*s'\n", (int)length, message);
    cosy_try(cosy_write(stream, message, (size_t)length)); /* writer.write(data); await writer.drain() */

    printf("Close the connection\n");
    ++*served;
    return 0; /* writer.close(); await writer.wait_closed() */
}

cosy_async static int be_a_client(unsigned port)
{
    char answer[12];
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection("127.0.0.1", port, &stream));
    cosy_try(cosy_write(stream, "Hello World!", 12));
    cosy_try(cosy_readexactly(stream, answer, sizeof answer));
    printf("The client got '%.*s'\n", (int)sizeof answer, answer);
    return 0;
}

cosy_async static int amain(const char *port)
{
    int served = 0;
    char text[COSY_ADDRESS_TEXT];
    struct cosy_address address;
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, handle_echo, &served, "127.0.0.1", port ? (unsigned)atoi(port) : 0));
    cosy_try(cosy_server_address(server, 0, &address));
    printf("Serving on %s\n", cosy_address_text(&address, text));
    if (port)
        return cosy_serve_forever(server);
    cosy_try(be_a_client(cosy_server_port(server)));
    return cosy_server_drain(server, COSY_S(1), 0); /* and waits for the handler */
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* what is told is seen at once, in a pipe too */
    return cosy_main(amain, argc > 1 ? argv[1] : NULL);
}

/* Output:
 * Serving on 127.0.0.1:...
 * Received 'Hello World!' from 127.0.0.1:...
 * Send: 'Hello World!'
 * Close the connection
 * The client got 'Hello World!'
 */
