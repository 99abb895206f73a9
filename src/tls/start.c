/* start.c - from a stream to one that speaks TLS: the layer is put on, and the hands are shaken. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include <cosy/timeout.h>

#include "../base/heap.h"

static const cosy_ns HANDSHAKE_LIMIT = COSY_S(60), SHUTDOWN_LIMIT = COSY_S(30);
enum { NAME_MOST = 253 }; /* of a host, as DNS has it */

/* ---- before anything is done ---- */

/* A wildcard or a suffix is a certificate's to have. */
static int check_hostname(const struct cosy_tls_setup *setup, const char *name)
{
    if (!name || !*name)
        return setup->check_hostname ? cosy_fail(EINVAL, "TLS: a client has to say whom it means, by server_hostname, "
                                                         "or to take anybody, by no_check_hostname")
                                     : 0;
    size_t length = strlen(name);
    if (length > NAME_MOST || *name == '.' || strchr(name, '*'))
        return cosy_fail(EINVAL, "TLS: '%.80s%s' is no name of a host", name, length > 80 ? "..." : "");
    return 0;
}

static int check_setup(struct cosy_tls_setup *setup, const struct cosy_upgrade_terms *terms)
{
    if (terms->handshake_timeout < 0)
        return cosy_fail(EINVAL, "TLS: a handshake_timeout of %lld ns", (long long)terms->handshake_timeout);
    if (terms->server_side)
        return setup->has_certificate || setup->choose
                   ? 0
                   : cosy_fail(EINVAL, "TLS: a server needs a certificate: certificate_file or certificate_pem");
    return check_hostname(setup, terms->server_hostname);
}

/* Whether anything stands in the way. */
static int check_stream(const struct cosy_task *me, const cosy_stream *stream)
{
    if (me->future.loop != stream->loop)
        return cosy_stream_fail(stream, "starting TLS with", -COSY_EOTHERLOOP);
    if (stream->kind != &cosy_socket_stream && stream->kind != &cosy_tls_stream)
        return cosy_fail(ENOTSUP, "TLS needs a connection, not a %s", stream->kind->name);
    if (stream->in_use)
        return cosy_stream_fail(stream, "another task is reading from", -EBUSY);
    int error = stream->closing ? -ECONNABORTED : stream->closed ? -COSY_ECLOSED : stream->error;
    if (!error && stream->eof_wanted)
        error = -EPIPE;
    return error ? cosy_stream_fail(stream, "starting TLS with", error) : 0;
}

static int check(struct cosy_upgrade *upgrade, const struct cosy_upgrade_terms *terms)
{
    int error;
    struct cosy_tls_setup *setup = cosy_tls_setup_of((struct cosy_tls_context *)upgrade, &error);
    if (setup)
        error = check_setup(setup, terms);
    cosy_tls_setup_unref(setup);
    return error;
}

/* ---- the layer ---- */

/* Who the peer is, in messages and for its sessions. */
__attribute__((noinline)) static char *peer_of(const cosy_stream *stream, const struct cosy_upgrade_terms *terms)
{
    char text[COSY_ADDRESS_TEXT], name[NAME_MOST + COSY_ADDRESS_TEXT + 4];
    struct cosy_address address = {.size = stream->peer_size};
    if (terms->server_side || !terms->server_hostname || !*terms->server_hostname)
        return cosy_heap_strdup(cosy_stream_peer_text(stream, text));
    memcpy(&address.any, stream->peer, stream->peer_size);
    unsigned port = stream->peer_size ? cosy_address_port(&address) : 0;
    const char *host = terms->server_hostname;
    if (address.any.sa_family == AF_UNIX && stream->peer_size > sizeof address.any.sa_family)
        snprintf(name, sizeof name, "%s at %s", host, cosy_stream_peer_text(stream, text));
    else
        snprintf(name, sizeof name, port == 0 ? "%s" : strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    return cosy_heap_strdup(name);
}

/* Without brackets, zone and final dot. False: it is not an address. */
static bool plain_name(const char *host, char name[NAME_MOST + 3])
{
    unsigned char address[16];
    size_t length = strcspn(host, "%");
    memcpy(name, host, length);
    name[length] = 0;
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return true;
    strcpy(name, host);
    if (name[strlen(name) - 1] == '.')
        name[strlen(name) - 1] = 0;
    return false;
}

/* Whom the certificate is to name. 0, -ENOMEM. */
__attribute__((noinline)) static int mean_host(SSL *ssl, const struct cosy_tls_setup *setup, const char *host)
{
    char name[NAME_MOST + 3];
    if (!host || !*host)
        return 0;
    bool good = true, is_address = plain_name(host, name);
    if (is_address && setup->check_hostname)
        good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    else if (!is_address) {
        good = SSL_set_tlsext_host_name(ssl, name);
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        if (good && setup->check_hostname)
            good = SSL_set1_host(ssl, name);
    }
    return good ? 0 : -ENOMEM;
}

static int be_client(struct cosy_tls *tls, const char *host)
{
    SSL *ssl = tls->ssl;
    struct cosy_tls_setup *setup = tls->setup;
    SSL_set_connect_state(ssl);
    SSL_set_verify(ssl, setup->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    int error = setup->verify ? cosy_tls_setup_trust(setup) : 0;
    if (!error)
        error = mean_host(ssl, setup, host);
    SSL_SESSION *session = !error && setup->tickets ? cosy_tls_session_take(setup, tls->peer) : NULL;
    if (session) {
        (void)SSL_set_session(ssl, session); /* or it is a connection without */
        SSL_SESSION_free(session);
    }
    return error;
}

static int be_server(struct cosy_tls *tls)
{
    enum cosy_tls_clients clients = tls->setup->clients;
    int mode = clients == COSY_TLS_ANONYMOUS ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    SSL_set_accept_state(tls->ssl);
    SSL_set_verify(tls->ssl, mode | (clients == COSY_TLS_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return clients == COSY_TLS_ANONYMOUS ? 0 : cosy_tls_setup_trust(tls->setup);
}

/* What was received and not read is not plain text that the peer has sent, but its handshake. */
static int take_rest(struct cosy_tls *tls, cosy_stream *stream)
{
    size_t size = cosy_stream_buffered(stream);
    cosy_stream_take_back(stream);
    if (size > 0) {
        tls->rest = cosy_heap_alloc(size);
        if (!tls->rest)
            return -ENOMEM;
        memcpy(tls->rest, stream->in + stream->in_begin, size);
        tls->rest_size = size;
    }
    return 0;
}

/* The kernel can do it only where nothing lies between it and OpenSSL. */
static bool may_use_kernel(const struct cosy_tls *tls, const cosy_stream *stream)
{
    return tls->setup->ktls && !tls->rest && stream->kind == &cosy_socket_stream && stream->peer_size > 0 &&
           strcmp(cosy_loop_backend_name(stream->loop), "sim") != 0;
}

static int set_wire(struct cosy_tls *tls, cosy_stream *stream)
{
    if (may_use_kernel(tls, stream)) {
        tls->ktls = BIO_new_socket(stream->port.fd, BIO_NOCLOSE);
        if (!tls->ktls)
            return -ENOMEM;
        SSL_set_options(tls->ssl, SSL_OP_ENABLE_KTLS);
    } else
        SSL_set_read_ahead(tls->ssl, 1); /* a record in one call of the kernel rather than two */
    BIO *wire = cosy_tls_wire_new(tls);
    if (!wire)
        return -ENOMEM;
    SSL_set_bio(tls->ssl, wire, wire);
    return SSL_set_app_data(tls->ssl, tls) ? 0 : -ENOMEM;
}

static void discard(struct cosy_tls *tls)
{
    SSL_free(tls->ssl);
    BIO_free(tls->ktls);
    cosy_tls_setup_unref(tls->setup);
    cosy_heap_free(tls->rest);
    cosy_heap_free(tls->peer);
    cosy_heap_free(tls);
}

/* Nothing of the stream is touched. Takes the setup in any case. */
static int new_layer(struct cosy_tls **ret, cosy_stream *stream, struct cosy_tls_setup *setup,
                     const struct cosy_upgrade_terms *terms)
{
    struct cosy_tls *tls = cosy_heap_zalloc(sizeof *tls);
    if (!tls) {
        cosy_tls_setup_unref(setup);
        return -ENOMEM;
    }
    *tls = (struct cosy_tls){.stream = stream, .setup = setup, .below = stream->kind, .below_carrier = stream->carrier};
    tls->grace = terms->shutdown_timeout ? terms->shutdown_timeout : SHUTDOWN_LIMIT;
    tls->peer = peer_of(stream, terms);
    tls->ssl = tls->peer ? SSL_new(setup->ctx) : NULL;
    int error = tls->ssl ? take_rest(tls, stream) : -ENOMEM;
    if (!error)
        error = set_wire(tls, stream);
    if (!error)
        error = terms->server_side ? be_server(tls) : be_client(tls, terms->server_hostname);
    ERR_clear_error();
    if (error)
        discard(tls);
    else
        *ret = tls;
    return error;
}

/* From here on the stream is this layer's. */
static void put_on(cosy_stream *stream, struct cosy_tls *tls)
{
    cosy_stream_free_input(stream);
    stream->carrier = tls;
    stream->kind = &cosy_tls_stream;
}

/* ---- shaking hands ---- */

static void step(void *arg)
{
    struct cosy_tls *tls = arg;
    ERR_clear_error();
    tls->wire_error = 0;
    int ret = SSL_do_handshake(tls->ssl);
    if (ret == 1) {
        tls->failed = 0;
        return;
    }
    if (cosy_tls_outcome(tls, ret) == -EAGAIN) /* of other errors in sending the next read tells */
        tls->failed = tls->send_error == -ENOMEM ? -ENOMEM : -EAGAIN;
    else if (!tls->failed) /* a goodbye in the middle of it */
        cosy_tls_fail_with(tls, -COSY_ETRUNCATED, NULL);
}

/* On the loop's stack, because OpenSSL wants some 20 KiB of it. */
cosy_async static int shake_hands(cosy_stream *stream, struct cosy_tls *tls, struct cosy_task *me)
{
    for (;;) {
        if (stream->closing || stream->eof) /* its server closes its clients */
            return cosy_tls_fail_with(tls, -ECONNABORTED, NULL);
        cosy_on_big_stack(step, tls);
        int result = tls->failed;
        if (result != -EAGAIN)
            return result;
        tls->failed = 0;
        result = cosy_stream_await(me, stream, COSY_PORT_READ);
        if (result < 0)
            return result;
    }
}

cosy_async static int shake_hands_in_time(cosy_stream *stream, struct cosy_tls *tls, struct cosy_task *me,
                                          cosy_ns limit)
{
    struct cosy_timeout timeout = {0};
    int result = cosy_timeout_enter(&timeout, limit);
    if (result == 0)
        result = cosy_timeout_exit(&timeout, shake_hands(stream, tls, me));
    return result;
}

static int note_protocol(struct cosy_tls *tls)
{
    const unsigned char *protocol;
    unsigned size;
    SSL_get0_alpn_selected(tls->ssl, &protocol, &size);
    tls->alpn = cosy_heap_zalloc(size + 1);
    if (!tls->alpn)
        return -ENOMEM;
    if (size > 0)
        memcpy(tls->alpn, protocol, size);
    return 0;
}

/* Nothing may pass any more, least of all plainly. */
static cosy_cold int give_up(cosy_stream *stream, struct cosy_tls *tls, int error, cosy_ns limit)
{
    int lasting = error == -ECANCELED ? -ECONNABORTED : error;
    if (tls->failed != error)
        cosy_tls_fail_with(tls, lasting, NULL);
    stream->read_error = lasting;
    cosy_stream_lose(stream, lasting);
    if (error == -ECANCELED || error == -ENOMEM)
        return error;
    if (error == -ETIMEDOUT && !tls->wire_error)
        return cosy_fail(ETIMEDOUT, "TLS handshake with %s: not done within %.3f seconds", tls->peer,
                         (double)limit / 1e9);
    return cosy_fail(-error, "TLS handshake with %s: %s", tls->peer, tls->reason ? tls->reason : cosy_strerror(error));
}

cosy_async static int begin(cosy_stream *stream, struct cosy_task *me, struct cosy_tls_setup *setup,
                            const struct cosy_upgrade_terms *terms)
{
    struct cosy_tls *tls = NULL;
    cosy_ns limit = terms->handshake_timeout ? terms->handshake_timeout : HANDSHAKE_LIMIT;
    int result = new_layer(&tls, stream, setup, terms);
    if (result < 0)
        return result;
    put_on(stream, tls);
    result = shake_hands_in_time(stream, tls, me, limit);
    if (result == 0)
        result = note_protocol(tls);
    return result < 0 ? give_up(stream, tls, result, limit) : 0;
}

/* Others' reads are refused meanwhile, and their writes wait. */
cosy_async static int start_alone(cosy_stream *stream, struct cosy_task *me, struct cosy_tls_setup *setup,
                                  const struct cosy_upgrade_terms *terms)
{
    stream->in_use = true;
    cosy_stream_enter(stream);
    int result = cosy_stream_begin_raw(stream, me);
    if (result == 0) {
        result = begin(stream, me, setup, terms);
        cosy_stream_end_raw(stream);
    } else
        cosy_tls_setup_unref(setup);
    stream->in_use = false;
    cosy_stream_leave(stream);
    return result;
}

static int start(struct cosy_upgrade *upgrade, cosy_stream *stream, const struct cosy_upgrade_terms *terms)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_start_tls");
    int error;
    if (!me)
        return -COSY_ENOTASK;
    error = check_stream(me, stream);
    if (error)
        return error;
    struct cosy_tls_setup *setup = cosy_tls_setup_of((struct cosy_tls_context *)upgrade, &error);
    if (setup)
        error = check_setup(setup, terms);
    if (!error)
        return start_alone(stream, me, setup, terms);
    cosy_tls_setup_unref(setup);
    return error;
}

static void hold(struct cosy_upgrade *upgrade)
{
    cosy_tls_context_ref((struct cosy_tls_context *)upgrade);
}

static void let_go(struct cosy_upgrade *upgrade)
{
    cosy_tls_context_drop((struct cosy_tls_context *)upgrade);
}

const struct cosy_upgrade_kind cosy_tls_upgrade = {.start = start, .check = check, .hold = hold, .let_go = let_go};

int cosy_start_tls_(cosy_stream *stream, cosy_tls_context *context, const struct cosy_start_tls_options *options)
{
    struct cosy_upgrade_terms terms = {.server_hostname = options->server_hostname,
                                       .server_side = options->server_side,
                                       .handshake_timeout = options->handshake_timeout,
                                       .shutdown_timeout = options->shutdown_timeout};
    return stream && context ? start(&context->upgrade, stream, &terms) : -EINVAL;
}
#endif
