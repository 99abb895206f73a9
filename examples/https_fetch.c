/* https_fetch.c - fetches a page by HTTPS, from a server whose certificate a private authority has signed.
 *
 *     https_fetch URL [AUTHORITIES]              prints the page; without AUTHORITIES the system's are asked
 *     https_fetch serve PORT CERTIFICATE KEY     serves one, until Ctrl-C; try it with: curl --cacert AUTHORITIES https://localhost:PORT/
 *     https_fetch                                both, with a certificate made for the moment
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/self_signed.h"

static const cosy_ns LIMIT = COSY_S(30);

struct url {
    char host[256], path[1024];
    unsigned port;
};

/* "https://host:port/path" */
static int parse(const char *text, struct url *url)
{
    int used = 0;
    *url = (struct url){.port = 443, .path = "/"};
    bool good = sscanf(text, "https://%255[^:/]%n", url->host, &used) == 1;
    if (good && text[used] == ':') {
        char *end;
        url->port = (unsigned)strtoul(text + used + 1, &end, 10);
        used = (int)(end - text);
    }
    if (good && text[used] == '/')
        snprintf(url->path, sizeof url->path, "%s", text + used);
    return good ? 0 : cosy_fail(EINVAL, "'%s' is no URL of HTTPS", text);
}

/* ---- the client ---- */

/* An answer without a length ends with the connection: that somebody cut it would not be noticed without TLS's goodbye. */
cosy_async static int print_answer(cosy_stream *stream)
{
    char *line;
    int64_t length = cosy_try(cosy_readline(stream, &line));
    printf("%.*s\n", (int)strcspn(line, "\r\n"), line);
    while (length > 0 && line[0] != '\r' && line[0] != '\n')
        length = cosy_try(cosy_readline(stream, &line));
    COSY_CHUNKS (stream, chunk, length)
        fwrite(chunk, 1, (size_t)length, stdout);
    return (int)length;
}

cosy_async static int fetch(const struct url *url, cosy_tls_context *tls)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection(url->host, url->port, &stream, .tls = tls));
    cosy_try(cosy_printf(stream, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", url->path, url->host));
    return print_answer(stream);
}

cosy_async static int fetch_page(const char *text, const char *authorities)
{
    struct url url;
    cosy_scoped(cosy_tls_context) tls = NULL;
    cosy_try(parse(text, &url));
    if (authorities)
        cosy_try(cosy_tls_context_new(&tls, .ca_file = authorities, .alpn = "http/1.1"));
    return cosy_wait_for(cosy_call(fetch, &url, tls ? tls : cosy_tls_default()), LIMIT);
}

/* ---- the server ---- */

cosy_async static int answer(cosy_stream *stream, const char *page)
{
    char *line;
    int64_t length;
    while ((length = cosy_readline(stream, &line)) > 0 && line[0] != '\r' && line[0] != '\n')
        ;
    if (length <= 0) /* it went without asking */
        return (int)length;
    return cosy_printf(stream, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", strlen(page), page);
}

cosy_async static int serve(const char *port, const char *certificate, const char *key)
{
    cosy_scoped(cosy_tls_context) tls = NULL;
    cosy_try(cosy_tls_context_new(&tls, .certificate_file = certificate, .key_file = key, .alpn = "http/1.1"));
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, answer, "A page by HTTPS\n", "127.0.0.1", (unsigned)atoi(port), .tls = tls));
    printf("Serving on https://127.0.0.1:%u/\n", cosy_server_port(server));
    return cosy_serve_forever(server);
}

/* ---- both ---- */

cosy_async static int show_with(const struct self_signed *made)
{
    cosy_scoped(cosy_tls_context) ours = NULL, *theirs = NULL;
    cosy_try(cosy_tls_context_new(&ours, .certificate_pem = made->certificate, .key_pem = made->key));
    cosy_try(cosy_tls_context_new(&theirs, .ca_pem = made->certificate));
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, answer, "A page by HTTPS\n", "127.0.0.1", 0, .tls = ours));
    struct url url = {.host = "127.0.0.1", .path = "/", .port = cosy_server_port(server)};
    cosy_try(fetch(&url, theirs));
    int result = fetch(&url, cosy_tls_default()); /* whom the system does not know */
    printf("%s: %s\n", cosy_errname(result), cosy_error_message(result));
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
    if (argc > 4 && strcmp(argv[1], "serve") == 0)
        return cosy_main(serve, argv[2], argv[3], argv[4]);
    if (argc > 1)
        return cosy_main(fetch_page, argv[1], argc > 2 ? argv[2] : NULL);
    return cosy_main(show);
}

/* Output:
 * HTTP/1.1 200 OK
 * A page by HTTPS
 * COSY_ECERTIFICATE: TLS handshake with 127.0.0.1:...: certificate verify failed: self-signed certificate
 */
