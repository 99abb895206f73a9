/* What wrong peers, wrong certificates and wrong calls get. */
#include "tls_test.h"

static struct world world;

static void check_words(const char *words, const char *expected)
{
    ck_assert_msg(strstr(words, expected) != NULL, "'%s' does not say '%s'", words, expected);
}

/* A handshake with a server that shows this certificate; `trusted` is the client's authority. */
cosy_async static int refusal_of(const struct identity *identity, const struct identity *trusted, const char *expected,
                                 bool no_check_hostname, bool no_verify)
{
    struct shaking shaking = {.hostname = "example.test"};
    ck_ok(cosy_tls_context_new(&shaking.contexts[0], .ca_pem = trusted->pem, .no_check_hostname = no_check_hostname,
                               .no_verify = no_verify));
    ck_ok(cosy_tls_context_new(&shaking.contexts[1], .certificate_pem = identity->pem, .key_pem = identity->key_pem));
    ck_ok(cosy_stream_pair(shaking.ends));
    ck_ok(shake(&shaking));
    int result = shaking.results[0];
    if (result < 0) {
        check_words(shaking.words[0], "TLS handshake with example.test: certificate verify failed: ");
        check_words(shaking.words[0], expected);
        ck_assert_int_eq(shaking.results[1] == 0 || shaking.results[1] == -COSY_ETLS, 1);
        /* Nothing passes any more. */
        char byte;
        ck_assert_int_eq(cosy_read(shaking.ends[0], &byte, 1), result);
        check_words(cosy_error_message(result), expected);
        ck_assert_int_eq(cosy_write(shaking.ends[0], "x", 1), result);
        ck_assert(cosy_stream_is_closing(shaking.ends[0]));
        struct cosy_tls_info info;
        ck_assert_int_eq(cosy_tls_get_info(shaking.ends[0], &info), -ENOTSUP);
        ck_ok(cosy_stream_close(shaking.ends[0]));
        ck_assert_int_lt(cosy_read(shaking.ends[1], &byte, 1), 0);
        ck_ok(cosy_stream_close(shaking.ends[1]));
    } else
        close_tls(shaking.ends);
    cosy_tls_context_drop(shaking.contexts[0]);
    cosy_tls_context_drop(shaking.contexts[1]);
    return result;
}

ASYNC_TEST(certificates_that_are_not_good_enough)
{
    struct identity authority = make_identity(.name = "another authority", .authority = true);
    struct identity self = make_identity(.name = "self", .names = "DNS:example.test");
    struct identity expired = make_identity(.issuer = &world.authority, .name = "expired", .names = "DNS:example.test",
                                            .begins = -20, .ends = -10);
    struct identity early = make_identity(.issuer = &world.authority, .name = "early", .names = "DNS:example.test",
                                          .begins = 10, .ends = 20);
    struct identity common = make_identity(.issuer = &world.authority, .name = "example.test");
    struct identity wrong =
        make_identity(.issuer = &world.authority, .name = "wrong", .names = "DNS:*.example.test,DNS:example.test.evil");
    static const int refused = -COSY_ECERTIFICATE;
    ck_assert_int_eq(refusal_of(&self, &world.authority, "self-signed certificate", false, false), refused);
    ck_assert_int_eq(refusal_of(&world.server, &authority, "unable to get local issuer certificate", false, false),
                     refused);
    ck_assert_int_eq(refusal_of(&expired, &world.authority, "certificate has expired", false, false), refused);
    ck_assert_int_eq(refusal_of(&early, &world.authority, "certificate is not yet valid", false, false), refused);
    ck_assert_int_eq(
        refusal_of(&common, &world.authority, "hostname mismatch: it is not valid for 'example.test'", false, false),
        refused);
    ck_assert_int_eq(refusal_of(&wrong, &world.authority, "hostname mismatch", false, false), refused);
    ck_ok(refusal_of(&wrong, &world.authority, "", true, false));
    ck_assert_int_eq(refusal_of(&self, &world.authority, "self-signed certificate", true, false), refused);
    ck_ok(refusal_of(&self, &world.authority, "", false, true));
    ck_ok(refusal_of(&self, &self, "", false, false)); /* who trusts it itself */
    struct identity *all[] = {&authority, &self, &expired, &early, &common, &wrong};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free_identity(all[i]);
    return 0;
}

/* What an authority takes back. */
static char *revocations_of(const struct identity *authority, const struct identity *revoked)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -3600), *later = X509_gmtime_adj(NULL, 86400);
    must(list && now && later && X509_CRL_set_version(list, 1));
    must(X509_CRL_set_issuer_name(list, X509_get_subject_name(authority->x509)));
    must(X509_CRL_set1_lastUpdate(list, now) && X509_CRL_set1_nextUpdate(list, later));
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();
        must(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509)));
        must(X509_REVOKED_set_revocationDate(entry, now) && X509_CRL_add0_revoked(list, entry));
    }
    must(X509_CRL_sort(list) && X509_CRL_sign(list, authority->key, NULL) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509_CRL(bio, list));
    X509_CRL_free(list);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    return pem_text(bio);
}

/* What a client with these lists makes of the world's server. */
cosy_async static int result_with(const char *lists, char words[400])
{
    struct shaking shaking = {.hostname = "example.test", .contexts[1] = world.for_server};
    ck_ok(cosy_tls_context_new(&shaking.contexts[0], .ca_pem = world.authority.pem, .crl_pem = lists));
    ck_ok(cosy_stream_pair(shaking.ends));
    ck_ok(shake(&shaking));
    if (shaking.results[0] < 0)
        close_both(shaking.ends);
    else
        close_tls(shaking.ends);
    cosy_tls_context_drop(shaking.contexts[0]);
    strcpy(words, shaking.words[0]);
    return shaking.results[0];
}

ASYNC_TEST(certificates_that_were_revoked)
{
    char words[400];
    struct identity other = make_identity(.name = "another authority", .authority = true);
    char *none = revocations_of(&world.authority, NULL), *ours = revocations_of(&world.authority, &world.server),
         *others = revocations_of(&other, &world.server);
    ck_ok(result_with(none, words));
    ck_assert_int_eq(result_with(ours, words), -COSY_ECERTIFICATE);
    check_words(words, "TLS handshake with example.test: certificate verify failed: certificate revoked");
    ck_assert_int_eq(result_with(others, words), -COSY_ECERTIFICATE);
    check_words(words, "unable to get certificate CRL");
    cosy_tls_context *context;
    ck_assert_int_eq(cosy_tls_context_new(&context, .crl_pem = world.authority.pem), -COSY_ETLS);
    check_words(cosy_error_message(-COSY_ETLS), "TLS: revocations given as text: ");
    ck_assert_int_eq(cosy_tls_context_new(&context, .crl_file = "/nowhere/list.pem"), -ENOENT);
    check_words(cosy_error_message(-ENOENT), "TLS: revocations /nowhere/list.pem: No such file or directory");
    free(none);
    free(ours);
    free(others);
    free_identity(&other);
    return 0;
}

/* The system's authorities know nothing of ours. */
ASYNC_TEST(the_default_context_trusts_the_systems_authorities)
{
    struct shaking shaking = {.contexts = {cosy_tls_default(), world.for_server}, .hostname = "example.test"};
    ck_ok(cosy_stream_pair(shaking.ends));
    ck_ok(shake(&shaking));
    ck_assert_int_eq(shaking.results[0], -COSY_ECERTIFICATE);
    check_words(shaking.words[0], "unable to get local issuer certificate");
    check_words(shaking.words[1], "alert unknown ca");
    close_both(shaking.ends);
    return 0;
}

/* ---- peers that do not speak TLS ---- */

struct plain_peer {
    cosy_stream *stream;
    const char *text;
};

cosy_async static int speak_plainly(struct plain_peer *peer)
{
    cosy_try(cosy_write(peer->stream, peer->text, strlen(peer->text)));
    char *data;
    (void)cosy_read_chunk(peer->stream, &data);
    return 0;
}

cosy_async static int against_plain(bool server_side, const char *text, char words[400])
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends));
    struct plain_peer peer = {ends[1], text};
    cosy_task *task = cosy_create_task(speak_plainly, &peer);
    int result = cosy_start_tls(ends[0], server_side ? world.for_server : world.for_client, .server_side = server_side,
                                .server_hostname = "example.test");
    snprintf(words, 400, "%s", cosy_error_message(result));
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(task));
    cosy_task_drop(task);
    ck_ok(cosy_stream_close(ends[1]));
    return result;
}

ASYNC_TEST(plain_text_on_a_tls_port)
{
    char words[400];
    ck_assert_int_eq(against_plain(true, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", words), -COSY_ETLS);
    ck_assert_str_eq(words, "TLS handshake with socket: http request (the peer does not speak TLS)");
    ck_assert_int_eq(against_plain(true, "HELO example.test\r\nwhat is that?\r\n", words), -COSY_ETLS);
    check_words(words, "(the peer does not speak TLS)");
    ck_assert_int_eq(against_plain(false, "220 mail.example.test ESMTP ready\r\n", words), -COSY_ETLS);
    ck_assert_str_eq(words, "TLS handshake with example.test: wrong version number (the peer does not speak TLS)");
    ck_assert_int_eq(against_plain(false, "HTTP/1.1 400 Bad Request\r\n\r\n", words), -COSY_ETLS);
    check_words(words, "(the peer does not speak TLS)");
    return 0;
}

ASYNC_TEST(a_peer_that_goes_in_the_middle_of_it)
{
    for (int server_side = 0; server_side < 2; server_side++) {
        cosy_stream *ends[2];
        ck_ok(cosy_stream_pair(ends));
        ck_ok(cosy_write_eof(ends[1]));
        ck_assert_int_eq(cosy_start_tls(ends[0], server_side ? world.for_server : world.for_client,
                                        .server_side = server_side, .server_hostname = "example.test"),
                         -COSY_ETRUNCATED);
        check_words(cosy_error_message(-COSY_ETRUNCATED), "the peer ended the connection without TLS's goodbye");
        close_both(ends);
    }
    return 0;
}

ASYNC_TEST(a_peer_that_stalls)
{
    cosy_stream *ends[2];
    cosy_ns limit = on_simulator() ? 0 : COSY_MS(20);
    ck_ok(cosy_stream_pair(ends));
    cosy_ns began = cosy_loop_time(cosy_running_loop());
    ck_assert_int_eq(
        cosy_start_tls(ends[0], world.for_client, .server_hostname = "example.test", .handshake_timeout = limit),
        -ETIMEDOUT);
    cosy_ns took = cosy_loop_time(cosy_running_loop()) - began;
    if (on_simulator()) {
        ck_assert_int_eq(took / COSY_S(1), 60);
        ck_assert_str_eq(cosy_error_message(-ETIMEDOUT),
                         "TLS handshake with example.test: not done within 60.000 seconds");
    } else
        check_words(cosy_error_message(-ETIMEDOUT), "not done within 0.020 seconds");
    close_both(ends);
    return 0;
}

cosy_async static int say_hello(cosy_stream *stream, int *served)
{
    ++*served;
    return cosy_write(stream, "hello", 5);
}

/* Clients that say nothing keep nobody waiting. */
ASYNC_TEST(a_server_with_clients_that_stall)
{
    enum { STALLING = 20 };
    int served = 0;
    cosy_stream *stalling[STALLING], *stream;
    char answer[5];
    struct cosy_server_stats stats;
    cosy_scoped(cosy_server) server = NULL;
    ck_ok(cosy_start_server(&server, say_hello, &served, "127.0.0.1", 0, .tls = world.for_server,
                            .handshake_timeout = COSY_MS(200)));
    for (int i = 0; i < STALLING; i++)
        ck_ok(cosy_open_connection("127.0.0.1", cosy_server_port(server), &stalling[i]));
    ck_ok(cosy_open_connection("127.0.0.1", cosy_server_port(server), &stream, .tls = world.for_client));
    ck_assert_int_eq(cosy_readexactly(stream, answer, 5), 5);
    ck_ok(cosy_stream_close(stream));
    for (int i = 0; i < STALLING; i++) {
        ck_assert_int_eq(cosy_read(stalling[i], answer, 1), 0);
        ck_ok(cosy_stream_close(stalling[i]));
    }
    ck_ok(cosy_server_drain(server, COSY_S(5), 0));
    cosy_server_get_stats(server, &stats);
    ck_assert_uint_eq(stats.refused, STALLING);
    ck_assert_int_eq(served, 1);
    return 0;
}

/* Those that are in the middle of a handshake too. */
ASYNC_TEST(a_server_that_ends_while_clients_stall)
{
    int served = 0;
    char byte;
    for (int way = 0; way < 3; way++) {
        cosy_server *server;
        cosy_stream *stalling;
        ck_ok(cosy_start_server(&server, say_hello, &served, "127.0.0.1", 0, .tls = world.for_server));
        ck_ok(cosy_open_connection("127.0.0.1", cosy_server_port(server), &stalling));
        come_to_rest();
        if (way == 0)
            cosy_server_close_clients(server);
        else if (way == 1)
            cosy_server_abort_clients(server);
        else
            cosy_server_cancel_clients(server);
        ck_ok(cosy_server_drain(server, COSY_S(5), 0));
        ck_assert_int_le(cosy_read(stalling, &byte, 1), 0);
        cosy_server_free(server);
        ck_ok(cosy_stream_close(stalling));
    }
    ck_assert_int_eq(served, 0);
    return 0;
}

/* ---- an end that is none ---- */

/* The kernel's end of the output, with no word of TLS. */
static void cut(cosy_stream *stream)
{
    ck_ok(cosy_socket_stream.end_output(stream));
}

ASYNC_TEST(an_end_without_goodbye_is_an_error)
{
    cosy_stream *ends[2];
    char *chunk, buffer[10];
    for (int way = 0; way < 2; way++) {
        tls_pair(&world, ends);
        ck_ok(cosy_write(ends[0], "abc", 3));
        cut(ends[0]);
        if (way == 0) {
            ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), 3);
            ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), -COSY_ETRUNCATED);
        } else
            ck_assert_int_eq(cosy_readexactly(ends[1], buffer, 10), -COSY_ETRUNCATED);
        check_words(cosy_error_message(-COSY_ETRUNCATED), "reading from ");
        ck_assert(!cosy_at_eof(ends[1]));
        cosy_stream_abort(ends[0]);
        close_both(ends);
    }
    return 0;
}

ASYNC_TEST(an_end_without_goodbye_may_be_taken_for_one)
{
    struct shaking shaking = {.contexts = {world.for_client, NULL}, .hostname = "example.test"};
    char *chunk, byte;
    ck_ok(cosy_tls_context_new(&shaking.contexts[1], .certificate_pem = world.server.pem,
                               .key_pem = world.server.key_pem, .suppress_ragged_eofs = true));
    ck_ok(cosy_stream_pair(shaking.ends));
    ck_ok(shake(&shaking));
    ck_assert_msg(shaking.results[1] == 0, "%s", shaking.words[1]);
    ck_ok(cosy_write(shaking.ends[0], "abc", 3));
    cut(shaking.ends[0]);
    ck_assert_int_eq(cosy_read_chunk(shaking.ends[1], &chunk), 3);
    ck_assert_int_eq(cosy_read_chunk(shaking.ends[1], &chunk), 0);
    ck_assert(cosy_at_eof(shaking.ends[1]));
    ck_ok(cosy_write(shaking.ends[1], "x", 1)); /* the other direction goes on */
    ck_assert_int_eq(cosy_read(shaking.ends[0], &byte, 1), 1);
    cosy_stream_abort(shaking.ends[0]);
    close_both(shaking.ends);
    cosy_tls_context_drop(shaking.contexts[1]);
    return 0;
}

/* ---- bytes that were changed on their way ---- */

ASYNC_TEST(changed_bytes_are_noticed_and_nothing_passes_any_more)
{
    cosy_stream *ends[2];
    char *chunk;
    static const unsigned char forged[] = {23, 3,  3,  0,  20, 1,  2,  3,  4,  5,  6,  7, 8,
                                           9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    struct iovec part = {.iov_base = TEXT(forged), .iov_len = sizeof forged};
    tls_pair(&world, ends);
    ck_assert_int_eq(cosy_socket_stream.send(ends[0], &part, 1), sizeof forged);
    ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), -COSY_ETLS);
    check_words(cosy_error_message(-COSY_ETLS), "decryption failed or bad record mac");
    ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), -COSY_ETLS);
    ck_assert_int_eq(cosy_write(ends[1], "x", 1), -COSY_ETLS);
    ck_assert_int_eq(cosy_write_eof(ends[1]), -COSY_ETLS);
    ck_assert_int_eq(cosy_read_chunk(ends[0], &chunk), -COSY_ETLS); /* the other side was told */
    check_words(cosy_error_message(-COSY_ETLS), "alert bad record mac");
    close_both(ends);
    return 0;
}

/* ---- calls that cannot be ---- */

cosy_async static int read_one(cosy_stream *stream)
{
    char byte;
    return (int)cosy_read(stream, &byte, 1);
}

ASYNC_TEST(calls_that_cannot_be)
{
    cosy_stream *ends[2], *reader, *writer;
    ck_ok(cosy_stream_pair(ends));
    ck_assert_int_eq(cosy_start_tls(NULL, world.for_client), -EINVAL);
    ck_assert_int_eq(cosy_start_tls(ends[0], NULL), -EINVAL);
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client), -EINVAL);
    check_words(cosy_error_message(-EINVAL), "by server_hostname");
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client, .server_hostname = ""), -EINVAL);
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client, .server_hostname = ".example.test"), -EINVAL);
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client, .server_hostname = "*.example.test"), -EINVAL);
    char name[300];
    memset(name, 'a', sizeof name);
    name[299] = 0;
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client, .server_hostname = name), -EINVAL);
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client, .server_side = true), -EINVAL);
    check_words(cosy_error_message(-EINVAL), "a server needs a certificate");
    ck_assert_int_eq(
        cosy_start_tls(ends[0], world.for_client, .server_hostname = "example.test", .handshake_timeout = -1), -EINVAL);
    check_words(cosy_error_message(-EINVAL), "a handshake_timeout of -1 ns");
    cosy_task *task = cosy_create_task(read_one, ends[0]);
    ck_ok(cosy_yield());
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client, .server_hostname = "example.test"), -EBUSY);
    ck_ok(cosy_write(ends[1], "x", 1)); /* the stream is as it was */
    ck_assert_int_eq(cosy_await(task), 1);
    cosy_task_drop(task);
    ck_ok(cosy_write_eof(ends[0]));
    ck_assert_int_eq(cosy_start_tls(ends[0], world.for_client, .server_hostname = "example.test"), -EPIPE);
    close_both(ends);
    ck_ok(cosy_pipe(&reader, &writer));
    ck_assert_int_eq(cosy_start_tls(reader, world.for_client, .server_hostname = "example.test"), -ENOTSUP);
    check_words(cosy_error_message(-ENOTSUP), "TLS needs a connection, not a pipe");
    ck_ok(cosy_stream_close(writer));
    ck_ok(cosy_stream_close(reader));
    struct cosy_tls_info info;
    ck_assert_int_eq(cosy_tls_get_info(NULL, &info), -EINVAL);
    ck_assert_int_eq(cosy_tls_peer_certificate(NULL, NULL), -EINVAL);
    cosy_tls_certificate_free(NULL);
    return 0;
}

START_TEST(outside_a_task)
{
    cosy_stream stream = {.kind = &cosy_socket_stream};
    capture_log();
    ck_assert_int_eq(cosy_start_tls(&stream, world.for_client, .server_hostname = "example.test"), -COSY_ENOTASK);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {certificates_that_are_not_good_enough,
                                  certificates_that_were_revoked,
                                  the_default_context_trusts_the_systems_authorities,
                                  plain_text_on_a_tls_port,
                                  a_peer_that_goes_in_the_middle_of_it,
                                  a_peer_that_stalls,
                                  a_server_with_clients_that_stall,
                                  a_server_that_ends_while_clients_stall,
                                  an_end_without_goodbye_is_an_error,
                                  an_end_without_goodbye_may_be_taken_for_one,
                                  changed_bytes_are_noticed_and_nothing_passes_any_more,
                                  calls_that_cannot_be,
                                  outside_a_task};
    make_world(&world);
    int result = cosy_test_main("tls.errors", tests, sizeof tests / sizeof *tests);
    end_world(&world);
    return result;
}
