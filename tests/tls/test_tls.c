/* TLS: the usual cases on both sides. */
#include "tls_test.h"

#include "tls/tls.h"

static struct world world;

/* ---- talking ---- */

ASYNC_TEST(bytes_pass_in_both_directions)
{
    cosy_stream *ends[2];
    char *line;
    tls_pair(&world, ends);
    ck_ok(cosy_write(ends[0], "hello\n", 6));
    ck_assert_int_eq(cosy_readline(ends[1], &line), 6);
    ck_assert_str_eq(line, "hello\n");
    ck_assert_int_eq(cosy_printf(ends[1], "%d bottles\n", 99), 11);
    ck_assert_int_eq(cosy_readline(ends[0], &line), 11);
    ck_assert_str_eq(line, "99 bottles\n");
    close_tls(ends);
    return 0;
}

cosy_async static int write_much(cosy_stream *stream, const char *data, size_t size)
{
    cosy_try(cosy_write(stream, data, size / 2));
    struct iovec parts[3] = {{TEXT(data + size / 2), 10},
                             {TEXT(data + size / 2 + 10), 0},
                             {TEXT(data + size / 2 + 10), size - size / 2 - 10}};
    cosy_try(cosy_writev(stream, parts, 3));
    return cosy_write_eof(stream);
}

ASYNC_TEST(megabytes_pass)
{
    enum { SIZE = 3 << 20 };
    cosy_stream *ends[2];
    char *data = numbered(SIZE);
    tls_pair(&world, ends);
    for (int side = 0; side < 2; side++) {
        struct drain_pipe pipe = {.stream = ends[!side], .numbered = true};
        ck_ok(cosy_gather(cosy_call(write_much, ends[side], data, SIZE), cosy_call(take_everything, &pipe)));
        ck_ok(pipe.result);
        ck_assert_uint_eq(pipe.size, SIZE);
    }
    close_tls(ends);
    free(data);
    return 0;
}

ASYNC_TEST(many_little_writes_are_gathered)
{
    cosy_stream *ends[2];
    char byte, buffer[1000];
    tls_pair(&world, ends);
    for (int i = 0; i < 1000; i++) {
        byte = (char)byte_at((size_t)i);
        ck_ok(cosy_write(ends[0], &byte, 1));
    }
    ck_assert_int_eq(cosy_readexactly(ends[1], buffer, sizeof buffer), sizeof buffer);
    check_numbered(buffer, 0, sizeof buffer);
    close_tls(ends);
    return 0;
}

/* ---- client and server ---- */

cosy_async static int echo(cosy_stream *stream, int *served)
{
    int64_t size;
    COSY_CHUNKS (stream, chunk, size)
        cosy_try(cosy_write(stream, chunk, (size_t)size));
    ++*served;
    return (int)size;
}

ASYNC_TEST(a_server_and_a_client_by_options)
{
    int served = 0;
    char answer[5];
    struct cosy_tls_info info;
    {
        cosy_scoped(cosy_server) server = NULL;
        ck_ok(cosy_start_server(&server, echo, &served, "127.0.0.1", 0, .tls = world.for_server));
        cosy_stream *stream;
        ck_ok(cosy_open_connection("127.0.0.1", cosy_server_port(server), &stream, .tls = world.for_client));
        ck_ok(cosy_write(stream, "hello", 5));
        ck_assert_int_eq(cosy_readexactly(stream, answer, 5), 5);
        ck_assert_mem_eq(answer, "hello", 5);
        ck_ok(cosy_tls_get_info(stream, &info));
        ck_assert_int_eq(info.version, COSY_TLS_1_3);
        ck_assert_str_eq(info.version_name, "TLSv1.3");
        ck_assert(info.verified);
        ck_assert(!info.session_reused);
        ck_assert_int_ge(info.bits, 128);
        ck_assert_str_eq(info.alpn, "");
        ck_assert_str_eq(info.server_name, "");
        struct cosy_address peer;
        ck_ok(cosy_stream_peername(stream, &peer));
        ck_assert_uint_eq(cosy_address_port(&peer), cosy_server_port(server));
        ck_ok(cosy_stream_close(stream));
        ck_ok(cosy_server_drain(server, COSY_S(5), 0));
    }
    ck_assert_int_eq(served, 1);
    return 0;
}

static const char *in_abstract_space(char *path, size_t size)
{
    snprintf(path, size, "@cosy-tls-%ld-%s", (long)getpid(), cosy_loop_backend_name(cosy_running_loop()));
    return path;
}

ASYNC_TEST(a_unix_server_and_its_clients_by_options)
{
    int served = 0;
    char answer[5], path[64], expected[200];
    cosy_scoped(cosy_server) server = NULL;
    ck_ok(
        cosy_start_unix_server(&server, echo, &served, in_abstract_space(path, sizeof path), .tls = world.for_server));
    cosy_stream *stream;
    ck_ok(cosy_open_unix_connection(path, &stream, .tls = world.for_client, .server_hostname = "a.wild.test"));
    ck_ok(cosy_write(stream, "hello", 5));
    ck_assert_int_eq(cosy_readexactly(stream, answer, 5), 5);
    ck_assert_mem_eq(answer, "hello", 5);
    ck_ok(cosy_stream_close(stream));
    ck_assert_int_eq(cosy_open_unix_connection(path, &stream, .tls = world.for_client), -EINVAL);
    ck_assert_ptr_null(stream);
    ck_assert_int_eq(cosy_open_unix_connection(path, &stream, .tls = world.for_client, .server_hostname = "other.test"),
                     -COSY_ECERTIFICATE);
    ck_assert_ptr_null(stream);
    snprintf(expected, sizeof expected,
             "TLS handshake with other.test at %s: certificate verify failed: hostname mismatch: it is not valid for "
             "'other.test'",
             path);
    ck_assert_str_eq(cosy_error_message(-COSY_ECERTIFICATE), expected);
    ck_assert_int_eq(served, 1);
    return 0;
}

ASYNC_TEST(the_name_is_checked_and_sent)
{
    int served = 0;
    cosy_scoped(cosy_server) server = NULL;
    cosy_stream *stream;
    struct cosy_tls_info info;
    ck_ok(cosy_start_server(&server, echo, &served, "127.0.0.1", 0, .tls = world.for_server));
    unsigned port = cosy_server_port(server);
    ck_ok(cosy_open_connection("127.0.0.1", port, &stream, .tls = world.for_client, .server_hostname = "a.wild.test"));
    ck_ok(cosy_tls_get_info(stream, &info));
    ck_assert_str_eq(info.server_name, "a.wild.test");
    ck_ok(cosy_stream_close(stream));
    char expected[200];
    snprintf(expected, sizeof expected,
             "TLS handshake with other.test:%u: certificate verify failed: hostname mismatch: it is not valid for "
             "'other.test'",
             port);
    int result =
        cosy_open_connection("127.0.0.1", port, &stream, .tls = world.for_client, .server_hostname = "other.test");
    ck_assert_int_eq(result, -COSY_ECERTIFICATE);
    ck_assert_str_eq(cosy_error_message(result), expected);
    ck_assert_ptr_null(stream);
    result = cosy_open_connection("localhost", port, &stream, .tls = world.for_client, .family = AF_INET,
                                  .server_hostname = "127.0.0.2");
    ck_assert_int_eq(result, -COSY_ECERTIFICATE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(result), "it is not valid for '127.0.0.2'"));
    struct cosy_server_stats stats;
    ck_ok(cosy_server_drain(server, COSY_S(5), 0));
    cosy_server_get_stats(server, &stats);
    ck_assert_uint_eq(stats.refused, 2);
    ck_assert_int_eq(served, 1);
    return 0;
}

/* ---- what is asked about a stream ---- */

ASYNC_TEST(the_peers_certificate_is_told)
{
    cosy_stream *ends[2];
    tls_pair(&world, ends);
    {
        cosy_scoped(cosy_tls_certificate) certificate = NULL;
        ck_ok(cosy_tls_peer_certificate(ends[0], &certificate));
        ck_assert_str_eq(certificate->subject, "CN=server");
        ck_assert_str_eq(certificate->issuer, "CN=authority");
        ck_assert_uint_eq(certificate->name_count, 4);
        ck_assert_str_eq(certificate->names[0], "DNS:example.test");
        ck_assert_str_eq(certificate->names[2], "IP:127.0.0.1");
        ck_assert_str_eq(certificate->names[3], "IP:::1");
        ck_assert_str_eq(certificate->pem, world.server.pem);
        ck_assert_int_lt(certificate->not_before, time(NULL));
        ck_assert_int_gt(certificate->not_after, time(NULL) + 360 * 86400);
        const unsigned char *der = certificate->der;
        X509 *again = d2i_X509(NULL, &der, (long)certificate->der_size);
        ck_assert_int_eq(X509_cmp(again, world.server.x509), 0);
        unsigned char digest[32];
        unsigned size = sizeof digest;
        X509_digest(again, EVP_sha256(), digest, &size);
        ck_assert_mem_eq(digest, certificate->sha256, sizeof digest);
        X509_free(again);
    }
    cosy_tls_certificate *none = (cosy_tls_certificate *)ends;
    ck_ok(cosy_tls_peer_certificate(ends[1], &none));
    ck_assert_ptr_null(none);
    close_tls(ends);
    return 0;
}

ASYNC_TEST(a_plain_stream_has_nothing_to_tell)
{
    cosy_stream *ends[2];
    struct cosy_tls_info info;
    cosy_tls_certificate *certificate;
    ck_ok(cosy_stream_pair(ends));
    ck_assert_int_eq(cosy_tls_get_info(ends[0], &info), -ENOTSUP);
    ck_assert_int_eq(cosy_tls_peer_certificate(ends[0], &certificate), -ENOTSUP);
    close_both(ends);
    return 0;
}

/* ---- what else takes a stream ---- */

ASYNC_TEST(the_descriptor_is_not_for_others)
{
    cosy_stream *ends[2];
    int type;
    socklen_t size = sizeof type;
    tls_pair(&world, ends);
    ck_assert_int_eq(cosy_stream_detach(ends[0], NULL, NULL), -ENOTSUP);
    ck_assert_int_ge(cosy_stream_fd(ends[0]), 0);
    ck_ok(cosy_stream_getsockopt(ends[0], SOL_SOCKET, SO_TYPE, &type, &size));
    ck_assert_int_eq(type, SOCK_STREAM);
    ck_assert(cosy_can_write_eof(ends[0]));
    close_tls(ends);
    return 0;
}

cosy_async static int send_file(cosy_stream *stream, int fd)
{
    ck_assert_int_eq(cosy_sendfile(stream, fd, 100, 200000, .native_only = true), -COSY_ENOSENDFILE);
    ck_assert_int_eq(cosy_sendfile(stream, fd, 0, 0), 300000);
    return cosy_write_eof(stream);
}

ASYNC_TEST(files_are_sent_by_copying)
{
    cosy_stream *ends[2];
    char *data = numbered(300000);
    FILE *file = tmpfile();
    ck_assert_uint_eq(fwrite(data, 1, 300000, file), 300000);
    fflush(file);
    tls_pair(&world, ends);
    struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
    ck_ok(cosy_gather(cosy_call(send_file, ends[0], fileno(file)), cosy_call(take_everything, &pipe)));
    ck_assert_uint_eq(pipe.size, 300000);
    close_tls(ends);
    fclose(file);
    free(data);
    return 0;
}

ASYNC_TEST(a_relay_joins_a_plain_and_a_tls_connection)
{
    cosy_stream *ends[2], *plain[2];
    char *data = numbered(500000);
    tls_pair(&world, ends);
    ck_ok(cosy_stream_pair(plain));
    struct drain_pipe pipe = {.stream = ends[0], .numbered = true};
    cosy_task *relay = cosy_create_task(cosy_relay, ends[1], plain[1]);
    ck_ok(cosy_gather(cosy_call(write_much, plain[0], data, 500000), cosy_call(take_everything, &pipe)));
    ck_assert_uint_eq(pipe.size, 500000);
    ck_ok(cosy_write_eof(ends[0]));
    char byte;
    ck_assert_int_eq(cosy_read(plain[0], &byte, 1), 0);
    ck_ok(cosy_await(relay));
    cosy_task_drop(relay);
    close_tls(ends);
    close_both(plain);
    free(data);
    return 0;
}

ASYNC_TEST(tls_inside_tls)
{
    cosy_stream *ends[2];
    char *data = numbered(200000), *line;
    tls_pair(&world, ends);
    struct shaking shaking = {
        .ends = {ends[0], ends[1]}, .contexts = {world.for_client, world.for_server}, .hostname = "b.wild.test"};
    ck_ok(shake(&shaking));
    ck_ok(shaking.results[0]);
    ck_ok(shaking.results[1]);
    ck_ok(cosy_write(ends[1], "inside\n", 7));
    ck_assert_int_eq(cosy_readline(ends[0], &line), 7);
    struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
    ck_ok(cosy_gather(cosy_call(write_much, ends[0], data, 200000), cosy_call(take_everything, &pipe)));
    ck_assert_uint_eq(pipe.size, 200000);
    close_tls(ends);
    free(data);
    return 0;
}

/* ---- an existing stream ---- */

cosy_async static int serve_starttls(cosy_stream *stream)
{
    char *line;
    ck_assert_int_eq(cosy_readline(stream, &line), 9);
    ck_ok(cosy_write(stream, "220 go\n", 7));
    cosy_try(cosy_start_tls(stream, world.for_server, .server_side = true));
    ck_assert_int_eq(cosy_readline(stream, &line), 7);
    ck_assert_str_eq(line, "secret\n");
    return cosy_write_eof(stream);
}

ASYNC_TEST(a_stream_becomes_one_in_the_middle)
{
    cosy_stream *ends[2];
    char *line;
    ck_ok(cosy_stream_pair(ends));
    cosy_task *server = cosy_create_task(serve_starttls, ends[1]);
    ck_ok(cosy_write(ends[0], "STARTTLS\n", 9));
    ck_assert_int_eq(cosy_readline(ends[0], &line), 7);
    ck_ok(cosy_start_tls(ends[0], world.for_client, .server_hostname = "example.test"));
    ck_ok(cosy_write(ends[0], "secret\n", 7));
    ck_assert_int_eq(cosy_readline(ends[0], &line), 0);
    ck_ok(cosy_await(server));
    cosy_task_drop(server);
    close_tls(ends);
    return 0;
}

/* A hello that came together with what was read before is not lost. */
ASYNC_TEST(what_was_received_already_is_the_handshake)
{
    cosy_stream *ends[2];
    char *line;
    ck_ok(cosy_stream_pair(ends));
    ck_ok(cosy_write(ends[0], "now\n", 4));
    struct shaking shaking = {
        .ends = {ends[0], ends[1]}, .contexts = {world.for_client, world.for_server}, .hostname = "example.test"};
    cosy_task *client = cosy_create_task(shake_one, &shaking, 0);
    come_to_rest();
    ck_assert_int_eq(cosy_readline(ends[1], &line), 4);
    ck_assert_uint_gt(cosy_stream_buffered(ends[1]), 100);
    ck_ok(shake_one(&shaking, 1));
    ck_ok(cosy_await(client));
    cosy_task_drop(client);
    ck_ok(shaking.results[0]);
    ck_ok(shaking.results[1]);
    ck_ok(cosy_write(ends[0], "x\n", 2));
    ck_assert_int_eq(cosy_readline(ends[1], &line), 2);
    close_tls(ends);
    return 0;
}

/* TLS 1.3 changes keys under way: whoever reads of it has to write, also while it has much to send itself. */
cosy_async static int write_with_new_keys(cosy_stream *stream, const char *data, size_t size)
{
    for (size_t at = 0; at < size; at += 50000) {
        int changed = SSL_key_update(cosy_tls_of(stream)->ssl, SSL_KEY_UPDATE_REQUESTED);
        ERR_clear_error(); /* not while a record waits to be sent */
        note("%d", changed);
        cosy_try(cosy_write(stream, data + at, 50000));
    }
    return cosy_write_eof(stream);
}

ASYNC_TEST(keys_change_in_the_middle)
{
    enum { SIZE = 1000000 };
    cosy_stream *ends[2];
    char *data = numbered(SIZE);
    tls_pair(&world, ends);
    struct drain_pipe pipes[2] = {{.stream = ends[0], .numbered = true}, {.stream = ends[1], .numbered = true}};
    ck_ok(cosy_gather(cosy_call(write_with_new_keys, ends[0], data, SIZE),
                      cosy_call(write_with_new_keys, ends[1], data, SIZE), cosy_call(take_everything, &pipes[0]),
                      cosy_call(take_everything, &pipes[1])));
    for (int side = 0; side < 2; side++) {
        ck_ok(pipes[side].result);
        ck_assert_uint_eq(pipes[side].size, SIZE);
    }
    ck_assert_ptr_nonnull(strchr(noted, '1'));
    close_tls(ends);
    free(data);
    return 0;
}

/* A handshake takes its time, and who writes meanwhile waits: nothing goes out plainly. */
cosy_async static int write_word(cosy_stream *stream)
{
    return cosy_write(stream, "word\n", 5);
}

ASYNC_TEST(a_slow_handshake_and_a_writer_beside_it)
{
    cosy_stream *ends[2];
    char *line;
    ck_ok(cosy_stream_pair(ends));
    struct shaking shaking = {
        .ends = {ends[0], ends[1]}, .contexts = {world.for_client, world.for_server}, .hostname = "example.test"};
    cosy_task *client = cosy_create_task(shake_one, &shaking, 0);
    some_turns(2);
    cosy_task *writer = cosy_create_task(write_word, ends[0]);
    come_to_rest();
    ck_assert(!cosy_task_done(client) && !cosy_task_done(writer));
    ck_assert_int_eq(cosy_read_chunk(ends[0], &line), -EBUSY);
    ck_ok(shake_one(&shaking, 1));
    ck_ok(cosy_await(client));
    ck_ok(cosy_await(writer));
    ck_ok(shaking.results[0]);
    ck_ok(shaking.results[1]);
    ck_assert_int_eq(cosy_readline(ends[1], &line), 5);
    ck_assert_str_eq(line, "word\n");
    cosy_task_drop(client);
    cosy_task_drop(writer);
    close_tls(ends);
    return 0;
}

/* What was written before goes out plainly, and first. */
cosy_async static int write_then_start(cosy_stream *stream, char *data)
{
    ck_ok(cosy_set_write_buffer_limits(stream, 2 << 20, 0));
    size_t stuffed = stuff(stream);
    (void)stuffed;
    ck_ok(cosy_write(stream, data, 10000));
    ck_assert_uint_gt(cosy_get_write_buffer_size(stream), 0);
    return cosy_start_tls(stream, world.for_client, .server_hostname = "example.test");
}

ASYNC_TEST(what_was_written_before_goes_first)
{
    cosy_stream *ends[2];
    char *data = numbered(10000), *chunk, *line, tail[10000];
    ck_ok(cosy_stream_pair(ends));
    cosy_task *client = cosy_create_task(write_then_start, ends[0], data);
    some_turns(2);
    ck_assert(!cosy_task_done(client));
    while (cosy_peek(ends[1], &chunk, 1) > 0 && *chunk == 0 && cosy_stream_buffered(ends[1]) > 0) {
        size_t zeros = 0, there = cosy_stream_buffered(ends[1]);
        while (zeros < there && chunk[zeros] == 0)
            zeros++;
        bool last = zeros < there;
        ck_ok(cosy_skip(ends[1], last ? zeros - 1 : zeros)); /* numbered bytes begin with a zero */
        if (last)
            break;
    }
    ck_assert_int_eq(cosy_readexactly(ends[1], tail, 10000), 10000);
    check_numbered(tail, 0, 10000);
    ck_ok(cosy_start_tls(ends[1], world.for_server, .server_side = true));
    ck_ok(cosy_await(client));
    cosy_task_drop(client);
    ck_ok(cosy_write(ends[1], "safe\n", 5));
    ck_assert_int_eq(cosy_readline(ends[0], &line), 5);
    close_tls(ends);
    free(data);
    return 0;
}

int main(void)
{
    const TTest *const tests[] = {bytes_pass_in_both_directions,
                                  megabytes_pass,
                                  many_little_writes_are_gathered,
                                  a_server_and_a_client_by_options,
                                  a_unix_server_and_its_clients_by_options,
                                  the_name_is_checked_and_sent,
                                  the_peers_certificate_is_told,
                                  a_plain_stream_has_nothing_to_tell,
                                  the_descriptor_is_not_for_others,
                                  files_are_sent_by_copying,
                                  a_relay_joins_a_plain_and_a_tls_connection,
                                  tls_inside_tls,
                                  a_stream_becomes_one_in_the_middle,
                                  what_was_received_already_is_the_handshake,
                                  keys_change_in_the_middle,
                                  a_slow_handshake_and_a_writer_beside_it,
                                  what_was_written_before_goes_first};
    make_world(&world);
    int result = cosy_test_main("tls", tests, sizeof tests / sizeof *tests);
    end_world(&world);
    return result;
}
