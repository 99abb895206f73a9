/*
 * tls_echo, tls_handshake, tls_idle: OpenSSL on non-blocking sockets and one epoll, written by hand. Each end is a
 * little machine; OpenSSL reads and writes the descriptor itself.
 */
#include "limits.h"

#if __has_include(<openssl/ssl.h>)
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "../tls_identity.h"

struct end {
    SSL *ssl;
    struct end *peer;
    int fd;
    bool server, shaken, remakes; /* remakes: a pair that is made anew when its handshake is done */
    long left;                    /* messages, or handshakes */
    size_t got;                   /* of the present answer */
};

static SSL_CTX *server_context, *client_context;
static int poller;
static long unfinished; /* clients that have something left */
static char buffer[65536], message[BENCH_TLS_MESSAGE];

static void set_rules(SSL_CTX *ctx)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
}

static void make_contexts(void)
{
    static struct bench_identity identity;
    bench_make_identity(&identity);
    signal(SIGPIPE, SIG_IGN);
    server_context = bench_need(SSL_CTX_new(TLS_server_method()));
    client_context = bench_need(SSL_CTX_new(TLS_client_method()));
    set_rules(server_context);
    set_rules(client_context);
    BIO *bio = bench_need(BIO_new_mem_buf(identity.certificate, -1));
    X509 *x509 = bench_need(PEM_read_bio_X509(bio, NULL, NULL, NULL));
    BIO_free(bio);
    bio = bench_need(BIO_new_mem_buf(identity.key, -1));
    EVP_PKEY *key = bench_need(PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL));
    BIO_free(bio);
    SSL_CTX_use_certificate(server_context, x509);
    SSL_CTX_use_PrivateKey(server_context, key);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_context), x509);
    SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, NULL);
    X509_free(x509);
    EVP_PKEY_free(key);
    poller = epoll_create1(EPOLL_CLOEXEC);
}

static void fail(const char *what)
{
    fprintf(stderr, "tls: %s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void open_end(struct end *end, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = end};
    end->fd = fd;
    end->shaken = false;
    end->ssl = bench_need(SSL_new(end->server ? server_context : client_context));
    SSL_set_fd(end->ssl, fd);
    if (end->server)
        SSL_set_accept_state(end->ssl);
    else {
        SSL_set_connect_state(end->ssl);
        SSL_set_tlsext_host_name(end->ssl, "localhost");
        SSL_set1_host(end->ssl, "localhost");
    }
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
        fail("epoll_ctl");
}

static void open_pair(struct end *client, struct end *server)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
        fail("socketpair");
    client->peer = server;
    server->peer = client;
    server->server = true;
    open_end(client, fds[0]);
    open_end(server, fds[1]);
}

static void close_end(struct end *end)
{
    ERR_clear_error();
    SSL_shutdown(end->ssl);
    SSL_free(end->ssl);
    close(end->fd);
    end->ssl = NULL;
}

/* Messages of 1 KiB always fit: one is under way at a time. */
static void send_message(struct end *end, const char *data, size_t size)
{
    ERR_clear_error();
    if (SSL_write(end->ssl, data, (int)size) != (int)size)
        fail("SSL_write");
}

static void answered(struct end *client)
{
    client->got = 0;
    if (--client->left > 0)
        send_message(client, message, sizeof message);
    else
        unfinished--;
}

static void shaken(struct end *end)
{
    end->shaken = true;
    if (!end->server && !end->remakes)
        send_message(end, message, sizeof message);
}

/* The server's part ends later than the client's: then both are closed, and the next begins. */
static void remake(struct end *server)
{
    struct end *client = server->peer;
    close_end(client);
    close_end(server);
    if (--client->left > 0)
        open_pair(client, server);
    else
        unfinished--;
}

static void go_on(struct end *end)
{
    if (!end->ssl)
        return;
    if (!end->shaken) {
        ERR_clear_error();
        int result = SSL_do_handshake(end->ssl);
        if (result != 1) {
            int why = SSL_get_error(end->ssl, result);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
                fail("SSL_do_handshake");
            return;
        }
        shaken(end);
        if (end->server && end->peer->remakes) {
            remake(end);
            return;
        }
    }
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(end->ssl, buffer, sizeof buffer);
        if (got <= 0)
            return;
        if (end->server)
            send_message(end, buffer, (size_t)got);
        else if ((end->got += (size_t)got) == BENCH_TLS_MESSAGE)
            answered(end);
    }
}

static void turn(void)
{
    struct epoll_event events[128];
    int count = epoll_wait(poller, events, 128, -1);
    for (int i = 0; i < count; i++)
        go_on(events[i].data.ptr);
}

static void run(void)
{
    while (unfinished > 0)
        turn();
}

static struct end clients[BENCH_TLS_PAIRS], servers[BENCH_TLS_PAIRS];

static void begin(long each)
{
    unfinished = BENCH_TLS_PAIRS;
    for (int i = 0; i < BENCH_TLS_PAIRS; i++)
        clients[i].left = each;
}

int limit_tls_echo_row(const char *name, long size)
{
    make_contexts();
    begin(size / BENCH_TLS_PAIRS / 10 + 1);
    for (int i = 0; i < BENCH_TLS_PAIRS; i++)
        open_pair(&clients[i], &servers[i]);
    run();
    begin(size / BENCH_TLS_PAIRS);
    double start = bench_cpu_ns();
    for (int i = 0; i < BENCH_TLS_PAIRS; i++)
        send_message(&clients[i], message, sizeof message);
    run();
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / BENCH_TLS_PAIRS * BENCH_TLS_PAIRS) / 1e3, "us");
}

static void shake_all(long each)
{
    begin(each);
    for (int i = 0; i < BENCH_TLS_PAIRS; i++) {
        clients[i].remakes = true;
        open_pair(&clients[i], &servers[i]);
    }
    run();
}

int limit_tls_handshake_row(const char *name, long size)
{
    make_contexts();
    shake_all(1);
    double start = bench_cpu_ns();
    shake_all(size / BENCH_TLS_PAIRS);
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / BENCH_TLS_PAIRS * BENCH_TLS_PAIRS) / 1e3, "us");
}

int limit_tls_idle_row(const char *name, long size)
{
    struct end *ends = bench_need(calloc((size_t)size * 2 + 2, sizeof *ends));
    double before = 0;
    make_contexts();
    for (long i = 0; i <= size; i++) {
        unfinished = ends[2 * i].left = 1;
        open_pair(&ends[2 * i], &ends[2 * i + 1]);
        run();
        if (i == 0)
            before = bench_memory_bytes();
    }
    return bench_print(name, (bench_memory_bytes() - before) / (double)size, "B");
}
#else
int limit_tls_echo_row(const char *name, long size)
{
    (void)size;
    return bench_not_applicable(name);
}
int limit_tls_handshake_row(const char *name, long size)
{
    (void)size;
    return bench_not_applicable(name);
}
int limit_tls_idle_row(const char *name, long size)
{
    (void)size;
    return bench_not_applicable(name);
}
#endif
