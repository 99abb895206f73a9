/* test_optional.c - what a library answers that was configured without OpenSSL or c-ares: each of their calls refuses,
 * and says why. With them, the same calls work. Runs wherever cosy does: emulated machines have neither.
 */
#include <cosy.h>

#include <stdio.h>
#include <string.h>

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #condition);                              \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static int failures;

#if COSY_HAVE_OPENSSL
cosy_async static int tls(void)
{
    cosy_scoped(cosy_tls_context) context = NULL;
    EXPECT(cosy_tls_context_new(&context, .no_verify = true) == 0 && context);
    EXPECT(cosy_tls_context_ref(context) == context);
    cosy_tls_context_drop(context);
    EXPECT(cosy_tls_context_reload(context) == 0);
    return 0;
}
#else
static bool refused(int result)
{
    return result == -ENOTSUP &&
           strcmp(cosy_error_message(-ENOTSUP), "TLS: this library was built without OpenSSL") == 0;
}

cosy_async static int serve(cosy_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    return 0;
}

cosy_async static int tls(void)
{
    cosy_tls_context *context = cosy_tls_default();
    cosy_tls_certificate *certificate;
    struct cosy_tls_info info;
    cosy_stream *ends[2], *stream = NULL;
    cosy_scoped(cosy_server) plain = NULL;
    cosy_server *server = NULL;
    EXPECT(context && cosy_tls_context_ref(context) == context);
    cosy_tls_context_drop(context);
    EXPECT(refused(cosy_tls_context_reload(context)));
    EXPECT(refused(cosy_tls_context_replace(context, .no_verify = true)));
    EXPECT(refused(cosy_tls_context_new(&context, .no_verify = true)) && !context);
    cosy_try(cosy_stream_pair(ends));
    EXPECT(refused(cosy_start_tls(ends[0], cosy_tls_default(), .server_hostname = "localhost")));
    EXPECT(refused(cosy_tls_get_info(ends[0], &info)));
    EXPECT(refused(cosy_tls_peer_certificate(ends[0], &certificate)) && !certificate);
    cosy_tls_certificate_free(NULL);
    EXPECT(cosy_write(ends[0], "plain", 5) == 0); /* it was left as it was */
    EXPECT(refused(cosy_start_server(&server, serve, NULL, "127.0.0.1", 0, .tls = cosy_tls_default())) && !server);
    cosy_try(cosy_start_server(&plain, serve, NULL, "127.0.0.1", 0));
    EXPECT(refused(cosy_open_connection("127.0.0.1", cosy_server_port(plain), &stream, .tls = cosy_tls_default())) &&
           !stream);
    cosy_try(cosy_stream_close(ends[0]));
    return cosy_stream_close(ends[1]);
}
#endif

cosy_async static int names(void)
{
    if (strcmp(cosy_loop_backend_name(cosy_running_loop()), "sim") == 0)
        return 0; /* which has names of its own */
    EXPECT(strcmp(cosy_resolver_name(), "system") == 0);
#if COSY_HAVE_LIBCARES
    EXPECT(cosy_set_resolver(COSY_RESOLVER_ARES) == 0);
    EXPECT(strcmp(cosy_resolver_name(), "ares") == 0);
#else
    EXPECT(cosy_set_resolver(COSY_RESOLVER_ARES) == -ENOTSUP);
    EXPECT(strstr(cosy_error_message(-ENOTSUP), "c-ares"));
    EXPECT(strcmp(cosy_resolver_name(), "system") == 0);
#endif
    return 0;
}

int main(void)
{
    EXPECT(cosy_run(tls) == 0);
    EXPECT(cosy_run(names) == 0);
    return failures != 0;
}
