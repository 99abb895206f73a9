/* Contexts: versions, protocols inside, names, client certificates, sessions, passwords, certificates that change. */
#include "tls_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static struct world world;
static struct identity other, guest, stranger;

/* A pair between two contexts; the results are in `shaking`. */
cosy_async static void pair_between(struct shaking *shaking, cosy_tls_context *client, cosy_tls_context *server)
{
    *shaking = (struct shaking){.contexts = {client, server}, .hostname = "example.test"};
    ck_ok(cosy_stream_pair(shaking->ends));
    ck_ok(shake(shaking));
}

static void check_shaken(const struct shaking *shaking)
{
    ck_assert_msg(shaking->results[0] == 0 && shaking->results[1] == 0, "%s; %s", shaking->words[0], shaking->words[1]);
}

/* A message that tells what it should. */
static void check_words(const char *words, const char *expected)
{
    ck_assert_msg(strstr(words, expected) != NULL, "'%s' does not say '%s'", words, expected);
}

#define client_context(...)                                                                                            \
    ({                                                                                                                 \
        cosy_tls_context *made_;                                                                                       \
        ck_ok(cosy_tls_context_new(&made_, .ca_pem = world.authority.pem, __VA_ARGS__));                               \
        made_;                                                                                                         \
    })
#define server_context(...)                                                                                            \
    ({                                                                                                                 \
        cosy_tls_context *made_;                                                                                       \
        ck_ok(cosy_tls_context_new(&made_, .certificate_pem = world.server.pem, .key_pem = world.server.key_pem,       \
                                   __VA_ARGS__));                                                                      \
        made_;                                                                                                         \
    })

static struct cosy_tls_info info_of(const cosy_stream *stream)
{
    struct cosy_tls_info info;
    ck_ok(cosy_tls_get_info(stream, &info));
    return info;
}

/* ---- versions ---- */

ASYNC_TEST(each_version_and_its_ciphers)
{
    static const enum cosy_tls_version versions[] = {COSY_TLS_1_2, COSY_TLS_1_3}; /* Ed25519 is not for those before */
    struct shaking shaking;
    for (size_t i = 0; i < 2; i++) {
        cosy_tls_context *client =
            client_context(.maximum_version = versions[i], .minimum_version = versions[i], .ciphers = "ECDHE+CHACHA20",
                           .ciphersuites = "TLS_AES_128_GCM_SHA256");
        pair_between(&shaking, client, world.for_server);
        check_shaken(&shaking);
        struct cosy_tls_info info = info_of(shaking.ends[1]);
        ck_assert_int_eq(info.version, versions[i]);
        ck_assert_str_eq(info.cipher, i == 1 ? "TLS_AES_128_GCM_SHA256" : "ECDHE-ECDSA-CHACHA20-POLY1305");
        close_tls(shaking.ends);
        cosy_tls_context_drop(client);
    }
    return 0;
}

ASYNC_TEST(without_a_common_version_both_sides_are_told)
{
    struct shaking shaking;
    cosy_tls_context *client = client_context(.maximum_version = COSY_TLS_1_2);
    cosy_tls_context *server = server_context(.minimum_version = COSY_TLS_1_3);
    pair_between(&shaking, client, server);
    ck_assert_int_eq(shaking.results[0], -COSY_ETLS);
    ck_assert_int_eq(shaking.results[1], -COSY_ETLS);
    check_words(shaking.words[0], "TLS handshake with example.test: tlsv1 alert protocol version");
    check_words(shaking.words[1], "unsupported protocol");
    close_both(shaking.ends);
    cosy_tls_context_drop(client);
    cosy_tls_context_drop(server);
    return 0;
}

/* ---- protocols inside ---- */

ASYNC_TEST(alpn_is_the_servers_choice)
{
    struct shaking shaking;
    cosy_tls_context *client = client_context(.alpn = "http/1.1,h2,spdy"), *one = server_context(.alpn = "h2,http/1.1"),
                     *none = server_context(.alpn = "imap");
    pair_between(&shaking, client, one);
    check_shaken(&shaking);
    ck_assert_str_eq(info_of(shaking.ends[0]).alpn, "h2");
    ck_assert_str_eq(info_of(shaking.ends[1]).alpn, "h2");
    close_tls(shaking.ends);
    pair_between(&shaking, client, none);
    check_shaken(&shaking);
    ck_assert_str_eq(info_of(shaking.ends[0]).alpn, "");
    close_tls(shaking.ends);
    cosy_tls_context *bad;
    ck_assert_int_eq(cosy_tls_context_new(&bad, .alpn = "h2,,x"), -EINVAL);
    ck_assert_ptr_null(bad);
    cosy_tls_context_drop(client);
    cosy_tls_context_drop(one);
    cosy_tls_context_drop(none);
    return 0;
}

/* ---- names ---- */

struct names {
    cosy_tls_context *other;
    char asked[100];
};

static cosy_tls_context *choose(const char *server_name, void *arg)
{
    struct names *names = arg;
    snprintf(names->asked, sizeof names->asked, "%s", server_name ? server_name : "(none)");
    return server_name && strcmp(server_name, "other.test") == 0 ? names->other : NULL;
}

ASYNC_TEST(a_server_has_a_certificate_for_each_name)
{
    struct names names = {.asked = ""};
    ck_ok(cosy_tls_context_new(&names.other, .certificate_pem = other.pem, .key_pem = other.key_pem));
    cosy_tls_context *server = server_context(.choose = choose, .arg = &names);
    static const char *const hosts[] = {"other.test", "example.test", "127.0.0.1"},
                             *const subjects[] = {"CN=other", "CN=server", "CN=server"},
                             *const asked[] = {"other.test", "example.test", "(none)"};
    for (size_t i = 0; i < 3; i++) {
        struct shaking shaking = {.contexts = {world.for_client, server}, .hostname = hosts[i]};
        cosy_tls_certificate *certificate;
        ck_ok(cosy_stream_pair(shaking.ends));
        ck_ok(shake(&shaking));
        check_shaken(&shaking);
        ck_ok(cosy_tls_peer_certificate(shaking.ends[0], &certificate));
        ck_assert_str_eq(certificate->subject, subjects[i]);
        ck_assert_str_eq(names.asked, asked[i]);
        cosy_tls_certificate_free(certificate);
        close_tls(shaking.ends);
    }
    cosy_tls_context_drop(server);
    cosy_tls_context_drop(names.other);
    return 0;
}

/* ---- clients that show who they are ---- */

ASYNC_TEST(client_certificates)
{
    struct shaking shaking;
    static const enum cosy_tls_clients rules[] = {COSY_TLS_OPTIONAL, COSY_TLS_REQUIRED};
    for (size_t i = 0; i < 2; i++) {
        cosy_tls_context *server = server_context(.ca_pem = world.authority.pem, .client_certificates = rules[i]);
        cosy_tls_context *good = client_context(.certificate_pem = guest.pem, .key_pem = guest.key_pem);
        cosy_tls_context *bad = client_context(.certificate_pem = stranger.pem, .key_pem = stranger.key_pem);
        pair_between(&shaking, good, server);
        check_shaken(&shaking);
        cosy_tls_certificate *certificate;
        ck_ok(cosy_tls_peer_certificate(shaking.ends[1], &certificate));
        ck_assert_str_eq(certificate->subject, "CN=guest");
        cosy_tls_certificate_free(certificate);
        ck_assert(info_of(shaking.ends[1]).verified);
        close_tls(shaking.ends);

        pair_between(&shaking, bad, server);
        ck_assert_int_eq(shaking.results[1], -COSY_ECERTIFICATE);
        check_words(shaking.words[1], "certificate verify failed: self-signed certificate");
        close_both(shaking.ends);

        pair_between(&shaking, world.for_client, server);
        if (rules[i] == COSY_TLS_OPTIONAL) {
            check_shaken(&shaking);
            ck_assert(!info_of(shaking.ends[1]).verified);
            close_tls(shaking.ends);
        } else {
            char byte;
            ck_assert_int_eq(shaking.results[1], -COSY_ETLS);
            check_words(shaking.words[1], "peer did not return a certificate");
            ck_ok(shaking.results[0]); /* with TLS 1.3 the client hears of it when it reads */
            ck_assert_int_eq(cosy_read(shaking.ends[0], &byte, 1), -COSY_ETLS);
            check_words(cosy_error_message(-COSY_ETLS), "alert certificate required");
            ck_assert_int_eq(cosy_write(shaking.ends[0], "x", 1), -COSY_ETLS);
            close_both(shaking.ends);
        }
        cosy_tls_context_drop(server);
        cosy_tls_context_drop(good);
        cosy_tls_context_drop(bad);
    }
    return 0;
}

/* ---- sessions ---- */

/* One connection with a few bytes, so that tickets arrive. */
cosy_async static bool is_resumed(cosy_tls_context *client, cosy_tls_context *server)
{
    struct shaking shaking;
    char byte;
    pair_between(&shaking, client, server);
    check_shaken(&shaking);
    bool reused = info_of(shaking.ends[0]).session_reused;
    ck_assert_int_eq(info_of(shaking.ends[1]).session_reused, reused);
    ck_assert(info_of(shaking.ends[0]).verified);
    ck_ok(cosy_write(shaking.ends[1], "x", 1));
    ck_assert_int_eq(cosy_readexactly(shaking.ends[0], &byte, 1), 1);
    close_tls(shaking.ends);
    return reused;
}

ASYNC_TEST(sessions_are_resumed)
{
    for (int version = COSY_TLS_1_2; version <= COSY_TLS_1_3; version++) {
        cosy_tls_context *client = client_context(.maximum_version = (enum cosy_tls_version)version);
        ck_assert(!is_resumed(client, world.for_server));
        ck_assert(is_resumed(client, world.for_server));
        ck_assert(is_resumed(client, world.for_server));
        cosy_tls_context *without = server_context(.no_tickets = true);
        ck_assert(!is_resumed(client, without));
        cosy_tls_context_drop(without);
        cosy_tls_context_drop(client);
    }
    cosy_tls_context *client = client_context(.no_tickets = true);
    ck_assert(!is_resumed(client, world.for_server));
    ck_assert(!is_resumed(client, world.for_server));
    cosy_tls_context_drop(client);
    return 0;
}

ASYNC_TEST(a_session_is_its_peers_only)
{
    cosy_tls_context *client = client_context(.alpn = "x");
    ck_assert(!is_resumed(client, world.for_server));
    struct shaking shaking = {.contexts = {client, world.for_server}, .hostname = "a.wild.test"};
    ck_ok(cosy_stream_pair(shaking.ends));
    ck_ok(shake(&shaking));
    check_shaken(&shaking);
    ck_assert(!info_of(shaking.ends[0]).session_reused);
    close_tls(shaking.ends);
    cosy_tls_context_drop(client);
    return 0;
}

/* ---- files, and certificates that change ---- */

static char folder[32], certificate_path[64], key_path[64];

static void write_file(const char *path, const char *one, const char *more)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    put(fd, one);
    put(fd, more);
    close(fd);
}

static void make_files(const struct identity *identity)
{
    if (!folder[0]) {
        strcpy(folder, "/tmp/cosy-tls-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(certificate_path, sizeof certificate_path, "%s/certificate.pem", folder);
        snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
    }
    write_file(certificate_path, identity->pem, world.authority.pem);
    write_file(key_path, identity->key_pem, "");
}

static void remove_files(void)
{
    unlink(certificate_path);
    unlink(key_path);
    rmdir(folder);
    folder[0] = 0;
}

cosy_async static void check_subject(cosy_tls_context *server, const char *hostname, const char *subject)
{
    struct shaking shaking = {.contexts = {client_context(.no_tickets = true), server}, .hostname = hostname};
    cosy_tls_certificate *certificate;
    ck_ok(cosy_stream_pair(shaking.ends));
    ck_ok(shake(&shaking));
    check_shaken(&shaking);
    ck_ok(cosy_tls_peer_certificate(shaking.ends[0], &certificate));
    ck_assert_str_eq(certificate->subject, subject);
    cosy_tls_certificate_free(certificate);
    close_tls(shaking.ends);
    cosy_tls_context_drop(shaking.contexts[0]);
}

ASYNC_TEST(certificates_change_and_connections_stay)
{
    cosy_tls_context *server;
    struct shaking old;
    char byte;
    make_files(&world.server);
    ck_ok(cosy_tls_context_new(&server, .certificate_file = certificate_path, .key_file = key_path));
    cosy_tls_context *client = client_context(.alpn = "x");
    ck_assert(!is_resumed(client, server));
    pair_between(&old, world.for_client, server);
    check_shaken(&old);
    check_subject(server, "example.test", "CN=server");
    make_files(&other);
    check_subject(server, "example.test", "CN=server");
    ck_ok(cosy_tls_context_reload(server));
    check_subject(server, "other.test", "CN=other");
    ck_assert(is_resumed(client, server));          /* its ticket is still good */
    write_file(key_path, world.server.key_pem, ""); /* which is not other's */
    int result = cosy_tls_context_reload(server);
    ck_assert_int_eq(result, -COSY_ETLS);
    check_words(cosy_error_message(result), "key values mismatch");
    check_words(cosy_error_message(result), key_path);
    check_subject(server, "other.test", "CN=other");
    ck_ok(cosy_tls_context_replace(server, .certificate_pem = world.server.pem, .key_pem = world.server.key_pem));
    check_subject(server, "example.test", "CN=server");
    ck_ok(cosy_write(old.ends[0], "x", 1));
    ck_assert_int_eq(cosy_read(old.ends[1], &byte, 1), 1);
    close_tls(old.ends);
    ck_assert_int_eq(cosy_tls_context_reload(cosy_tls_default()), -ENOTSUP);
    cosy_tls_context_drop(server);
    cosy_tls_context_drop(client);
    remove_files();
    return 0;
}

static int wrong_words(const char *expected, int expected_error, const struct cosy_tls_options *options)
{
    cosy_tls_context *context = (cosy_tls_context *)(uintptr_t)1;
    int result = cosy_tls_context_new_(&context, options);
    ck_assert_int_eq(result, expected_error);
    ck_assert_ptr_null(context);
    check_words(cosy_error_message(result), expected);
    return 0;
}
#define ck_wrong(expected, error, ...) ck_ok(wrong_words((expected), (error), COSY_TLS_OPTIONS_(__VA_ARGS__)))

START_TEST(what_cannot_be_loaded_is_told_with_its_name)
{
    make_files(&world.server);
    ck_wrong("TLS: certificate /nowhere/c.pem: No such file or directory", -ENOENT,
             .certificate_file = "/nowhere/c.pem");
    ck_wrong("TLS: key /nowhere/k.pem: No such file", -ENOENT, .certificate_file = certificate_path,
             .key_file = "/nowhere/k.pem");
    ck_wrong("TLS: authorities /nowhere/ca.pem: No such file", -ENOENT, .ca_file = "/nowhere/ca.pem");
    ck_wrong("TLS: authorities in /nowhere: No such file", -ENOENT, .ca_dir = "/nowhere");
    ck_wrong("TLS: certificate given as text: no start line", -COSY_ETLS, .certificate_pem = "rubbish");
    ck_wrong("TLS: authorities given as text: no start line", -COSY_ETLS, .ca_pem = "");
    ck_wrong("key", -COSY_ETLS, .certificate_file = certificate_path); /* the key is not in it */
    ck_wrong("key values mismatch", -COSY_ETLS, .certificate_pem = world.server.pem, .key_pem = other.key_pem);
    ck_wrong("a key without a certificate", -EINVAL, .key_pem = other.key_pem);
    ck_wrong("both as a file and as text", -EINVAL, .certificate_pem = "x", .certificate_file = "y");
    ck_wrong("ciphers NONSENSE: no cipher match", -COSY_ETLS, .ciphers = "NONSENSE");
    ck_wrong("versions from", -EINVAL, .minimum_version = COSY_TLS_1_3, .maximum_version = COSY_TLS_1_2);
    ck_assert_int_eq(cosy_tls_context_new(NULL), -EINVAL);
    remove_files();
}
END_TEST

/* ---- passwords ---- */

static int secret(char *buffer, size_t size, void *arg)
{
    ck_assert_uint_ge(size, 6);
    memcpy(buffer, "sesame", 6);
    return *(int *)arg ? 6 : -1;
}

START_TEST(a_key_with_a_password)
{
    int knows = 1;
    cosy_tls_context *context;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, world.server.key, EVP_aes_128_cbc(), (const unsigned char *)"sesame", 6, NULL, NULL);
    char *key = pem_text(bio);
    ck_ok(cosy_tls_context_new(&context, .certificate_pem = world.server.pem, .key_pem = key, .password = "sesame"));
    ck_ok(cosy_tls_context_reload(context));
    cosy_tls_context_drop(context);
    ck_ok(cosy_tls_context_new(&context, .certificate_pem = world.server.pem, .key_pem = key, .get_password = secret,
                               .arg = &knows));
    cosy_tls_context_drop(context);
    knows = 0;
    ck_wrong("key given as text", -COSY_ETLS, .certificate_pem = world.server.pem, .key_pem = key,
             .get_password = secret, .arg = &knows);
    ck_wrong("key given as text", -COSY_ETLS, .certificate_pem = world.server.pem, .key_pem = key);
    ck_wrong("key given as text", -COSY_ETLS, .certificate_pem = world.server.pem, .key_pem = key, .password = "wrong");
    free(key);
}
END_TEST

/* ---- the rest ---- */

static void log_line(const char *line, void *arg)
{
    (void)arg;
    note("%.*s", (int)strcspn(line, " "), line);
}

ASYNC_TEST(secrets_are_logged_by_request)
{
    struct shaking shaking;
    cosy_tls_context *client = client_context(.keylog = log_line);
    pair_between(&shaking, client, world.for_server);
    check_shaken(&shaking);
    check_words(noted, "CLIENT_TRAFFIC_SECRET_0");
    check_words(noted, "SERVER_TRAFFIC_SECRET_0");
    close_tls(shaking.ends);
    cosy_tls_context_drop(client);
    return 0;
}

cosy_async static int read_nothing(cosy_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    return 0;
}

ASYNC_TEST(a_server_holds_its_context)
{
    cosy_tls_context *context = server_context(.alpn = "x");
    cosy_server *server;
    ck_ok(cosy_start_server(&server, read_nothing, NULL, "127.0.0.1", 0, .tls = context, .start_later = true));
    cosy_tls_context_drop(cosy_tls_context_ref(context));
    cosy_tls_context_drop(context);
    cosy_server_free(server);
    ck_assert_int_eq(cosy_start_server(&server, read_nothing, NULL, "127.0.0.1", 0, .tls = world.for_client), -EINVAL);
    check_words(cosy_error_message(-EINVAL), "a server needs a certificate");
    cosy_tls_context_drop(NULL);
    ck_assert_ptr_null(cosy_tls_context_ref(NULL));
    return 0;
}

/* Where the kernel does not offer it, it goes as without. */
ASYNC_TEST(the_kernel_may_encrypt)
{
    cosy_stream *ends[2];
    char *data = numbered(100000);
    cosy_tls_context *client = client_context(.ktls = true), *server = server_context(.ktls = true);
    connect_streams(TCP, ends);
    struct shaking shaking = {.ends = {ends[0], ends[1]}, .contexts = {client, server}, .hostname = "example.test"};
    ck_ok(shake(&shaking));
    check_shaken(&shaking);
    for (int side = 0; side < 2; side++) {
        struct drain_pipe pipe = {.stream = ends[!side], .numbered = true};
        cosy_task *reader = cosy_create_task(take_everything, &pipe);
        ck_ok(cosy_write(ends[side], data, 100000));
        ck_ok(cosy_write_eof(ends[side]));
        ck_ok(cosy_await(reader));
        cosy_task_drop(reader);
        ck_assert_uint_eq(pipe.size, 100000);
    }
    close_tls(ends);
    cosy_tls_context_drop(client);
    cosy_tls_context_drop(server);
    free(data);
    return 0;
}

/* ---- threads ---- */

enum { THREADS = 3, ROUNDS = 10 };

struct sharing {
    cosy_tls_context *client, *server;
    int result;
    bool reloads;
};

cosy_async static int connect_often(struct sharing *sharing)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct shaking shaking = {.contexts = {sharing->client, sharing->server}, .hostname = "example.test"};
        cosy_try(cosy_stream_pair(shaking.ends));
        cosy_try(shake(&shaking));
        int results[2], failed = shaking.results[0] < 0 ? shaking.results[0] : shaking.results[1];
        cosy_try(cosy_gather(cosy_call(close_one, shaking.ends[0], &results[0]),
                             cosy_call(close_one, shaking.ends[1], &results[1])));
        cosy_try(failed);
        if (sharing->reloads)
            cosy_try(cosy_tls_context_reload(sharing->server));
    }
    return 0;
}

static void *be_a_thread(void *arg)
{
    struct sharing *sharing = arg;
    sharing->result = cosy_run(connect_often, sharing);
    return NULL;
}

/* With tickets that are taken and put back, and certificates that are read anew meanwhile. */
START_TEST(threads_share_contexts)
{
    pthread_t threads[THREADS];
    struct sharing sharing[THREADS];
    cosy_tls_context *client = client_context(.alpn = "x"), *server = server_context(.alpn = "x");
    for (int i = 0; i < THREADS; i++) {
        sharing[i] = (struct sharing){.client = client, .server = server, .reloads = i == 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, be_a_thread, &sharing[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_msg(sharing[i].result == 0, "%s", cosy_errname(sharing[i].result));
    }
    cosy_tls_context_drop(client);
    cosy_tls_context_drop(server);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {each_version_and_its_ciphers,
                                  without_a_common_version_both_sides_are_told,
                                  alpn_is_the_servers_choice,
                                  a_server_has_a_certificate_for_each_name,
                                  client_certificates,
                                  sessions_are_resumed,
                                  a_session_is_its_peers_only,
                                  certificates_change_and_connections_stay,
                                  what_cannot_be_loaded_is_told_with_its_name,
                                  a_key_with_a_password,
                                  secrets_are_logged_by_request,
                                  a_server_holds_its_context,
                                  the_kernel_may_encrypt,
                                  threads_share_contexts};
    make_world(&world);
    other = make_identity(.issuer = &world.authority, .name = "other", .names = "DNS:other.test");
    guest = make_identity(.issuer = &world.authority, .name = "guest");
    stranger = make_identity(.name = "stranger");
    int result = cosy_test_main("tls.context", tests, sizeof tests / sizeof *tests);
    end_world(&world);
    free_identity(&other);
    free_identity(&guest);
    free_identity(&stranger);
    return result;
}
