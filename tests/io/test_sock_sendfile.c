/* test_sock_sendfile.c - cosy_sock_sendfile: CPython's test_sendfile.py and its kin in test_unix_events.py and
 * test_base_events.py. */
#include "sock_test.h"

#include "sys/sys.h"

enum { SIZE = 1024 * 17 * 64 + 1, BUFFER = 4096 };

/* Two ends of a TCP connection with small buffers, a file, and a task that receives. */
struct scene {
    int fd, peer, file;
    cosy_task *receiving;
    char *bytes;
    char *received;
    size_t size;
};

cosy_async static int receive_all(struct scene *scene)
{
    int n;
    while ((n = cosy_try(cosy_sock_recv(scene->peer, scene->received + scene->size, 4 * SIZE - scene->size))) > 0)
        scene->size += (size_t)n;
    return 0;
}

static int file_of(const char *bytes, size_t size)
{
    int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, bytes, size), (ssize_t)size);
    ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
    return file;
}

cosy_async static int begin(struct scene *scene, bool receive)
{
    struct cosy_address address;
    int listening = listener(&address), small = BUFFER;
    *scene =
        (struct scene){.fd = socket_of(AF_INET, SOCK_STREAM), .bytes = pattern(SIZE), .received = malloc(4 * SIZE)};
    setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    cosy_try(cosy_sock_connect(scene->fd, &address));
    setsockopt(scene->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    scene->peer = cosy_try(cosy_sock_accept(listening, NULL));
    close(listening);
    scene->file = file_of(scene->bytes, SIZE);
    if (receive)
        ck_assert_ptr_nonnull(scene->receiving = cosy_create_task(receive_all, scene));
    return 0;
}

/* What came, compared with [from, from + size) of the file, or anything for NULL. */
cosy_async static int end(struct scene *scene, const char *expected, size_t size)
{
    close(scene->fd);
    if (scene->receiving) {
        ck_assert_int_eq(cosy_await(scene->receiving), 0);
        ck_assert_uint_eq(scene->size, size);
        ck_assert(memcmp(scene->received, expected, size) == 0);
    }
    cosy_task_drop(scene->receiving);
    close(scene->peer);
    close(scene->file);
    free(scene->bytes);
    free(scene->received);
    return 0;
}

static off_t position(int file)
{
    return lseek(file, 0, SEEK_CUR);
}

/* The pools of threads that a fallback has used end with the loop, before what the tests count. */

TASK_TEST(a_file_is_sent_whole)
{
    struct scene scene;
    int64_t sent = 0;
    cosy_try(begin(&scene, true));
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, scene.file, 0, 0, .ret_sent = &sent, .native_only = true), SIZE);
    ck_assert_int_eq(sent, SIZE);
    ck_assert_int_eq(position(scene.file), 0);
    return end(&scene, scene.bytes, SIZE);
}

TASK_TEST(a_part_of_a_file)
{
    struct scene scene;
    int64_t sent = 0;
    cosy_try(begin(&scene, true));
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, scene.file, 1000, 2000, .ret_sent = &sent), 2000);
    ck_assert_int_eq(sent, 2000);
    ck_assert_int_eq(position(scene.file), 0);
    return end(&scene, scene.bytes + 1000, 2000);
}

TASK_TEST(nothing_is_in_an_empty_file_or_behind_the_end)
{
    struct scene scene;
    int64_t sent = 7;
    cosy_try(begin(&scene, true));
    int empty = file_of("", 0);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, empty, 0, 0, .ret_sent = &sent), 0);
    ck_assert_int_eq(sent, 0);
    ck_assert_int_eq(position(empty), 0);
    sent = 7;
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, scene.file, SIZE + 5, 0, .native_only = true, .ret_sent = &sent), 0);
    ck_assert_int_eq(sent, 0);
    close(empty);
    return end(&scene, "", 0);
}

TASK_TEST(a_file_between_usual_sends)
{
    enum { MORE = 65536 };
    struct scene scene;
    cosy_try(begin(&scene, true));
    char *expected = malloc(SIZE + 2 * MORE);
    memset(expected, 'm', MORE);
    memcpy(expected + MORE, scene.bytes, SIZE);
    memset(expected + MORE + SIZE, 'm', MORE);
    ck_assert_int_eq(cosy_sock_sendall(scene.fd, expected, MORE, NULL), 0);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, scene.file, 0, 0), SIZE);
    ck_assert_int_eq(cosy_sock_sendall(scene.fd, expected, MORE, NULL), 0);
    int result = end(&scene, expected, SIZE + 2 * MORE);
    free(expected);
    return result;
}

/* A file that sendfile(2) does not take: a pipe's end has no pages, and no position; one of /proc has no size. */
TASK_TEST(what_the_kernel_cannot_send_is_copied)
{
    struct scene scene;
    char version[512];
    int64_t sent = 0;
    cosy_try(begin(&scene, true));
    int file = open("/proc/version", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    ssize_t size = read(file, version, sizeof version);
    ck_assert_int_gt(size, 20);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, file, 0, 0, .native_only = true), -COSY_ENOSENDFILE);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, file, 5, 0, .ret_sent = &sent), size - 5);
    ck_assert_int_eq(sent, size - 5);
    ck_assert_int_eq(position(file), size);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, file, 0, 5, .ret_sent = &sent), 5);
    ck_assert_int_eq(sent, 5);
    close(file);
    char expected[1024];
    memcpy(expected, version + 5, (size_t)size - 5);
    memcpy(expected + size - 5, version, 5);
    return end(&scene, expected, (size_t)size);
}

/* The n-th call of the socket's is the first sendfile: those before it look at the descriptor. */
cosy_async static int with_sendfile_refused(struct scene *scene, int error, bool native_only, int64_t *ret_sent)
{
    int result = -1;
    for (long n = 1; n < 8; n++) {
        *ret_sent = 0;
        cosy_sys_fail_nth(n, error);
        result =
            (int)cosy_sock_sendfile(scene->fd, scene->file, 0, 5000, .ret_sent = ret_sent, .native_only = native_only);
        cosy_sys_fail_nth(0, 0);
        if (result != -error)
            return result;
        ck_assert_int_eq(*ret_sent, 0);
    }
    return result;
}

TASK_TEST(a_socket_that_sendfile_does_not_know_gets_copies)
{
    struct scene scene;
    int64_t sent;
    cosy_try(begin(&scene, true));
    ck_assert_int_eq(with_sendfile_refused(&scene, EOPNOTSUPP, false, &sent), 5000);
    ck_assert_int_eq(sent, 5000);
    ck_assert_int_eq(position(scene.file), 0);
    return end(&scene, scene.bytes, 5000);
}

TASK_TEST(unless_copies_are_not_wanted)
{
    struct scene scene;
    int64_t sent;
    cosy_try(begin(&scene, true));
    ck_assert_int_eq(with_sendfile_refused(&scene, EOPNOTSUPP, true, &sent), -COSY_ENOSENDFILE);
    ck_assert_int_eq(sent, 0);
    ck_assert_int_eq(position(scene.file), 0);
    return end(&scene, "", 0);
}

TASK_TEST(wrong_arguments_are_refused)
{
    struct scene scene;
    int pair[2], pipes[2];
    cosy_try(begin(&scene, true));
    pair_of(SOCK_DGRAM, pair);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, scene.file, -1, 0), -EINVAL);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, scene.file, 0, -1), -EINVAL);
    ck_assert_int_eq(cosy_sock_sendfile(pair[0], scene.file, 0, 0), -EINVAL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EINVAL), "only SOCK_STREAM"));
    ck_assert_int_eq(cosy_sock_sendfile(pipes[1], scene.file, 0, 0), -ENOTSOCK);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, -1, 0, 0), -EBADF);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, pipes[0], 0, 0), -ESPIPE);
    ck_assert_int_eq(cosy_sock_sendfile(scene.fd, pipes[0], 0, 0, .native_only = true), -COSY_ENOSENDFILE);
    ck_assert_int_eq(position(scene.file), 0);
    close_both(pair);
    close_both(pipes);
    return end(&scene, "", 0);
}

cosy_async static int send_it(struct scene *scene, int64_t *ret_sent)
{
    return (int)cosy_sock_sendfile(scene->fd, scene->file, 0, 0, .ret_sent = ret_sent);
}

TASK_TEST(cancelled_it_tells_how_much_was_sent)
{
    struct scene scene;
    int64_t sent = 0;
    cosy_try(begin(&scene, false));
    cosy_scoped(cosy_task) sending = cosy_create_task(send_it, &scene, &sent);
    cosy_try(cosy_sleep(COSY_MS(1)));
    ck_assert(!cosy_task_done(sending));
    cosy_task_cancel(sending);
    ck_assert_int_eq(cosy_await(sending), -ECANCELED);
    ck_assert(sent > 0 && sent < SIZE);
    ck_assert_int_eq(position(scene.file), 0);
    ck_assert_ptr_nonnull(scene.receiving = cosy_create_task(receive_all, &scene));
    return end(&scene, scene.bytes, (size_t)sent);
}

TASK_TEST(a_lost_connection_tells_how_much_was_sent)
{
    struct scene scene;
    int64_t sent = 0;
    cosy_try(begin(&scene, false));
    cosy_scoped(cosy_task) sending = cosy_create_task(send_it, &scene, &sent);
    cosy_try(cosy_sleep(COSY_MS(1)));
    close(scene.peer);
    int result = cosy_await(sending);
    ck_assert(result == -ECONNRESET || result == -EPIPE);
    ck_assert(sent > 0 && sent < SIZE);
    ck_assert_int_eq(position(scene.file), 0);
    scene.peer = socket_of(AF_INET, SOCK_STREAM); /* something to close */
    return end(&scene, "", 0);
}

TESTS_MAIN("sock_sendfile", a_file_is_sent_whole, a_part_of_a_file, nothing_is_in_an_empty_file_or_behind_the_end,
           a_file_between_usual_sends, what_the_kernel_cannot_send_is_copied,
           a_socket_that_sendfile_does_not_know_gets_copies, unless_copies_are_not_wanted, wrong_arguments_are_refused,
           cancelled_it_tells_how_much_was_sent, a_lost_connection_tells_how_much_was_sent)
