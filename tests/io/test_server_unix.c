/* test_server_unix.c - servers on Unix sockets, and what becomes of their files. */
#include "server_test.h"

static char dir[64], path[100];

/* A folder for each test, and a path in it. Simulated kernels have sockets' files of their own, and no folders. */
static void make_dir(void)
{
    strcpy(dir, "/tmp/cosy-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/sock", dir);
}

static bool exists(void)
{
    struct cosy_net_file file;
    return kernel()->net->examine_path(kernel(), path, &file) == 0;
}

static int unlink_it(void)
{
    return kernel()->net->remove_path(kernel(), path);
}

/* Fails when anything is left in it. */
static void remove_dir(void)
{
    ck_assert(!exists());
    ck_assert_int_eq(rmdir(dir), 0);
}

static int bound_here(void)
{
    struct cosy_address address;
    ck_assert_int_eq(cosy_address_unix(&address, path), 0);
    int fd = kernel()->net->socket(kernel(), AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(kernel()->net->bind(kernel(), fd, &address.any, address.size), 0);
    return fd;
}

TASK_TEST(a_unix_server_serves_and_removes_its_file)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_unix_server(&server, echo, &books, path));
    ck_assert_uint_eq(cosy_server_port(server), 0);
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "hello\n");
    char expected[200];
    snprintf(expected, sizeof expected, "echo %s", path); /* clients have no names of their own */
    cosy_task *tasks[2];
    ck_assert_uint_eq(cosy_all_tasks(NULL, tasks, 2), 2);
    ck_assert_str_eq(cosy_task_name(tasks[tasks[0] == cosy_current_task()]), expected);
    ck_assert(exists());
    cosy_server_close(server);
    ck_assert(!exists());
    ck_assert_echoes(client, "clients go on\n");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    remove_dir();
    return 0;
}

cosy_async static int fail_at_once(cosy_stream *stream, struct books *books)
{
    (void)stream;
    books->begun++;
    return cosy_fail(EPROTO, "as asked");
}

TASK_TEST(what_a_failing_handler_of_a_unix_client_says_has_the_path)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_unix_server(&server, fail_at_once, &books, path));
    cosy_stream *client = client_of(server);
    until(logged[0]);
    ck_assert_ptr_nonnull(strstr(logged, path));
    logs("as asked");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    remove_dir();
    return 0;
}

/* ---- CPython's UnixServerCleanupTests ---- */

TASK_TEST(a_given_sockets_file_is_removed_too)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_server_on(&server, echo, &books, bound_here()));
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "x\n");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    ck_assert(!exists());
    remove_dir();
    return 0;
}

TASK_TEST(a_file_that_has_gone_already_is_no_error)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_unix_server(&server, echo, &books, path));
    ck_assert_int_eq(unlink_it(), 0);
    cosy_server_free(server);
    remove_dir();
    return 0; /* run_body: nothing was logged */
}

TASK_TEST(somebody_elses_file_stays)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_unix_server(&server, echo, &books, path));
    ck_assert_int_eq(unlink_it(), 0);
    int other = bound_here();
    cosy_server_free(server);
    ck_assert(exists());
    close_fd(other);
    unlink_it();
    remove_dir();
    return 0;
}

TASK_TEST(a_file_is_kept_when_that_is_wanted)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_unix_server(&server, echo, &books, path, .keep_socket = true));
    cosy_server_free(server);
    ck_assert(exists());
    unlink_it();
    remove_dir();
    return 0;
}

/* ---- starting ---- */

TASK_TEST(a_stale_socket_makes_room)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    close_fd(bound_here());
    ck_assert(exists());
    cosy_try(cosy_start_unix_server(&server, echo, &books, path));
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "new\n");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    remove_dir();
    return 0;
}

/* As asyncio: who started last has the path, and the first one leaves it alone. */
TASK_TEST(a_second_server_takes_the_path_over)
{
    struct books books = {0};
    cosy_server *first, *second;
    make_dir();
    cosy_try(cosy_start_unix_server(&first, echo, &books, path));
    cosy_try(cosy_start_unix_server(&second, echo, &books, path));
    cosy_server_free(first);
    ck_assert(exists());
    cosy_stream *client = client_of(second);
    ck_assert_echoes(client, "second\n");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(second);
    remove_dir();
    return 0;
}

TASK_TEST(other_files_are_not_touched)
{
    struct books books = {0};
    char expected[300];
    cosy_server *server;
    if (simulated()) /* it has no other files */
        return 0;
    make_dir();
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, path), -EADDRINUSE);
    snprintf(expected, sizeof expected, "cannot listen on %s: Address already in use", path);
    ck_assert_str_eq(cosy_error_message(-EADDRINUSE), expected);
    ck_assert_ptr_null(server);
    ck_assert(exists());
    unlink_it();
    remove_dir();
    return 0;
}

TASK_TEST(why_a_unix_server_could_not_start_is_told_with_its_path)
{
    struct books books = {0};
    char longer[200];
    cosy_server *server;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, longer), -ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ENAMETOOLONG), longer));
    ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, ""), -EINVAL);
    ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, NULL), -EINVAL);
    if (simulated()) /* it has no folders */
        return 0;
    ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, "/tmp/cosy-no-such-dir/sock"), -ENOENT);
    ck_assert_str_eq(cosy_error_message(-ENOENT),
                     "cannot listen on /tmp/cosy-no-such-dir/sock: No such file or directory");
    ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, "/dev/null/sock"), -ENOTDIR);
    ck_assert_ptr_nonnull(strstr(logged, "/dev/null/sock")); /* that it could not be looked at */
    logged[0] = 0;
    if (geteuid() != 0) {
        ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, "/sys/sock"), -EACCES);
        ck_assert_ptr_nonnull(strstr(cosy_error_message(-EACCES), "/sys/sock"));
    }
    return 0;
}

TASK_TEST(an_abstract_name_has_no_file)
{
    struct books books = {0};
    char name[40];
    struct cosy_address address;
    char text[COSY_ADDRESS_TEXT];
    cosy_server *server;
    snprintf(name, sizeof name, "@cosy-test-%d", getpid());
    cosy_try(cosy_start_unix_server(&server, echo, &books, name));
    cosy_try(cosy_server_address(server, 0, &address));
    ck_assert_str_eq(cosy_address_text(&address, text), name);
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "x\n");
    cosy_try(cosy_stream_close(client));
    cosy_server *other;
    ck_assert_int_eq(cosy_start_unix_server(&other, echo, &books, name), -EADDRINUSE);
    cosy_server_free(server);
    return 0;
}

TASK_TEST(the_file_has_its_mode_before_anybody_connects)
{
    struct books books = {0};
    struct stat status;
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_unix_server(&server, echo, &books, path, .mode = 0620, .start_later = true));
    if (!simulated()) {
        ck_assert_int_eq(stat(path, &status), 0);
        ck_assert_int_eq(status.st_mode & 0777, 0620);
    }
    ck_assert_int_eq(refusal(server), -ECONNREFUSED);
    cosy_server_free(server);
    remove_dir();
    return 0;
}

/* CPython's test_start_unix_server_1. */
TASK_TEST(a_unix_server_may_start_later)
{
    struct books books = {0};
    cosy_server *server;
    make_dir();
    cosy_try(cosy_start_unix_server(&server, echo, &books, path, .start_later = true));
    ck_assert(!cosy_server_is_serving(server));
    cosy_try(cosy_server_start_serving(server));
    ck_assert(cosy_server_is_serving(server));
    cosy_scoped(cosy_task) serving = cosy_create_task(cosy_serve_forever, server);
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "x\n");
    cosy_task_cancel(serving);
    ck_assert_int_eq(cosy_await(serving), -ECANCELED);
    ck_assert_uint_eq(cosy_server_sockets(server, NULL, 0), 0);
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    remove_dir();
    return 0;
}

static cosy_server *left;
static bool was_simulated;

cosy_async static int start_one(struct books *books)
{
    was_simulated = simulated();
    return cosy_start_unix_server(&left, echo, books, path);
}

START_TEST(a_file_is_removed_also_after_the_loop)
{
    struct books books = {0};
    struct stat status;
    begin_test();
    make_dir();
    ck_assert_int_eq(cosy_run(start_one, &books), 0);
    ck_assert_int_eq(stat(path, &status), was_simulated ? -1 : 0);
    cosy_server_free(left);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

TESTS_MAIN("server_unix", a_unix_server_serves_and_removes_its_file,
           what_a_failing_handler_of_a_unix_client_says_has_the_path, a_given_sockets_file_is_removed_too,
           a_file_that_has_gone_already_is_no_error, somebody_elses_file_stays, a_file_is_kept_when_that_is_wanted,
           a_stale_socket_makes_room, a_second_server_takes_the_path_over, other_files_are_not_touched,
           why_a_unix_server_could_not_start_is_told_with_its_path, an_abstract_name_has_no_file,
           the_file_has_its_mode_before_anybody_connects, a_unix_server_may_start_later,
           a_file_is_removed_also_after_the_loop)
