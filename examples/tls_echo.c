/* tls_echo.c - an echo server and its client that speak TLS: `asyncio.start_server(..., ssl=context)`, `asyncio.open_connection(..., ssl=context)`.
 *
 *     tls_echo server PORT CERTIFICATE KEY [CLIENTS' AUTHORITIES]     serves until Ctrl-C (0: any free port); SIGHUP: reads its files anew
 *     tls_echo client HOST PORT [AUTHORITIES]                         sends its standard input, and prints what comes back
 *     tls_echo                                                        both, with a certificate made for the moment
 *
 * Try it with: openssl s_client -connect 127.0.0.1:PORT -CAfile AUTHORITIES
 */
#include <cosy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/self_signed.h"

/* The handshake is done when this is called. */
cosy_async static int echo(cosy_stream *stream, int *served)
{
    struct cosy_tls_info info;
    int64_t length;
    ++*served;
    cosy_try(cosy_tls_get_info(stream, &info));
    printf("A client speaks %s%s\n", info.version_name, info.verified ? ", and has shown who it is" : "");
    COSY_CHUNKS (stream, chunk, length)
        cosy_try(cosy_write(stream, chunk, (size_t)length));
    return (int)length;
}

/* ---- the server ---- */

static void reload(void *arg)
{
    int result = cosy_tls_context_reload(arg);
    printf("%s\n", result < 0 ? cosy_error_message(result) : "The files were read anew");
}

cosy_async static int serve(char **arguments)
{
    int served = 0;
    cosy_scoped(cosy_tls_context) tls = NULL;
    cosy_try(cosy_tls_context_new(&tls, .certificate_file = arguments[1], .key_file = arguments[2], .ca_file = arguments[3],
                                  .client_certificates = arguments[3] ? COSY_TLS_REQUIRED : COSY_TLS_ANONYMOUS));
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &served, "127.0.0.1", (unsigned)atoi(arguments[0]), .tls = tls));
    cosy_try(cosy_add_signal_handler(cosy_running_loop(), SIGHUP, reload, tls));
    printf("Serving on 127.0.0.1:%u\n", cosy_server_port(server));
    return cosy_serve_forever(server);
}

/* ---- the client ---- */

cosy_async static int send_input(cosy_stream *stream)
{
    int64_t length;
    cosy_scoped(cosy_stream) input = NULL;
    cosy_try(cosy_stdin(&input));
    COSY_CHUNKS (input, chunk, length)
        cosy_try(cosy_write(stream, chunk, (size_t)length));
    cosy_try((int)length);
    return cosy_write_eof(stream); /* our goodbye; the answers still come */
}

cosy_async static int print_answers(cosy_stream *stream)
{
    int64_t length;
    COSY_CHUNKS (stream, chunk, length)
        fwrite(chunk, 1, (size_t)length, stdout);
    return (int)length;
}

cosy_async static int be_a_client(char **arguments)
{
    cosy_scoped(cosy_tls_context) tls = NULL;
    if (arguments[2])
        cosy_try(cosy_tls_context_new(&tls, .ca_file = arguments[2]));
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection(arguments[0], (unsigned)atoi(arguments[1]), &stream, .tls = tls ? tls : cosy_tls_default()));
    return cosy_gather(cosy_call(send_input, stream), cosy_call(print_answers, stream));
}

/* ---- both ---- */

cosy_async static int show_with(const struct self_signed *made)
{
    int served = 0;
    char *answer;
    struct cosy_tls_info info;
    cosy_scoped(cosy_tls_context) ours = NULL, *theirs = NULL;
    cosy_try(cosy_tls_context_new(&ours, .certificate_pem = made->certificate, .key_pem = made->key));
    cosy_try(cosy_tls_context_new(&theirs, .ca_pem = made->certificate));
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &served, "127.0.0.1", 0, .tls = ours));

    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection("127.0.0.1", cosy_server_port(server), &stream, .tls = theirs));
    cosy_try(cosy_tls_get_info(stream, &info));
    printf("The client speaks %s; the certificate is %s\n", info.version_name, info.verified ? "good" : "bad");
    cosy_try(cosy_write(stream, "Hello World!\n", 13));
    cosy_try(cosy_readline(stream, &answer));
    printf("The client got %s", answer);

    cosy_stream *other = NULL; /* whose name is not in the certificate */
    int result = cosy_open_connection("127.0.0.1", cosy_server_port(server), &other, .tls = theirs, .server_hostname = "example.com");
    printf("%s: %s\n", cosy_errname(result), cosy_error_message(result));
    cosy_stream_close(other);
    return 0;
}

cosy_async static int show(void)
{
    struct self_signed made;
    int result = self_signed_make(&made, "DNS:localhost,IP:127.0.0.1") ? show_with(&made) : -ENOMEM;
    self_signed_free(&made);
    return result;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 3 && strcmp(argv[1], "server") == 0)
        return cosy_main(serve, argv + 2);
    if (argc > 3 && strcmp(argv[1], "client") == 0)
        return cosy_main(be_a_client, argv + 2);
    return cosy_main(show);
}

/* Output:
 * The client speaks TLSv1.3; the certificate is good
 * A client speaks TLSv1.3
 * The client got Hello World!
 * COSY_ECERTIFICATE: TLS handshake with example.com:...: certificate verify failed: hostname mismatch: it is not valid for 'example.com'
 */
