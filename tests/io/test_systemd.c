/* test_systemd.c - sockets that are there when the program begins. Each test's body runs in a process of its own, with
 * the descriptors from 3 on as it wants them. */
#include "server_test.h"

#include <sys/wait.h>

/* In the child: what is not so ends it, and the test shows it. */
#define expect(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                    \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static void in_a_child(int (*body)(void))
{
    begin_test();
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(body());
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

static void announce(const char *count, const char *names)
{
    char pid[20];
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

/* Descriptors 3, 4, ...: as systemd passes them, without close-on-exec, and listening. */
static void pass_sockets(int count)
{
    int fds[4];
    for (int i = 0; i < count; i++) {
        fds[i] = fcntl(real_socket(SOCK_STREAM), F_DUPFD, 10);
        listen(fds[i], 10);
    }
    for (int i = 0; i < count; i++)
        dup2(fds[i], 3 + i);
}

static int names_and_numbers(void)
{
    int fds[4];
    expect(cosy_listen_fds(NULL, fds, 4) == 0); /* not started so */
    pass_sockets(3);
    announce("3", "web:admin:web");
    expect(cosy_listen_fds(NULL, fds, 4) == 3 && fds[0] == 3 && fds[2] == 5);
    expect(fcntl(3, F_GETFD) == FD_CLOEXEC);
    expect(cosy_listen_fds("web", fds, 4) == 2 && fds[0] == 3 && fds[1] == 5);
    expect(cosy_listen_fds("admin", fds, 4) == 1 && fds[0] == 4);
    expect(cosy_listen_fds("we", fds, 4) == 0);
    expect(cosy_listen_fds("web:admin", fds, 4) == 0);
    expect(cosy_listen_fds("web", fds, 1) == 2); /* how many there are */
    announce("3", NULL);
    expect(cosy_listen_fds("unknown", fds, 4) == 3);
    expect(cosy_listen_fds("web", fds, 4) == 0);
    announce("3", "web");
    expect(cosy_listen_fds("unknown", fds, 4) == 2);
    setenv("LISTEN_PID", "1", 1); /* meant for another process */
    expect(cosy_listen_fds(NULL, fds, 4) == 0);
    announce("many", NULL);
    expect(cosy_listen_fds(NULL, fds, 4) == -EINVAL);
    expect(strstr(cosy_error_message(-EINVAL), "LISTEN_FDS=many"));
    announce("100000", NULL);
    expect(cosy_listen_fds(NULL, fds, 4) == -EINVAL);
    announce("9", NULL);
    close(11);
    expect(cosy_listen_fds(NULL, fds, 4) == -EBADF);
    return 0;
}

START_TEST(the_environment_tells_which_descriptors_are_passed)
{
    in_a_child(names_and_numbers);
}
END_TEST

cosy_async static int serve_passed_ones(void)
{
    struct books books = {0};
    cosy_server *server;
    int fds[4];
    expect(cosy_start_systemd_server(&server, echo, &books, "nobody") == -ENOENT);
    expect(strstr(cosy_error_message(-ENOENT), "socket activation passed no socket named nobody"));
    expect(!server);
    expect(cosy_start_systemd_server(&server, echo, &books, "web") == 0);
    expect(cosy_server_sockets(server, fds, 4) == 2 && fds[0] == 3 && fds[1] == 5);
    for (size_t i = 0; i < 2; i++) {
        struct cosy_address address;
        cosy_stream *client;
        char *line;
        cosy_server_address(server, i, &address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        expect(connect(fd, &address.any, address.size) == 0);
        expect(cosy_stream_adopt(fd, &client) == 0);
        expect(cosy_write(client, "hello\n", 6) == 0);
        expect(cosy_readline(client, &line) == 6);
        cosy_stream_close(client);
    }
    cosy_server_free(server);
    expect(fcntl(3, F_GETFD) < 0 && fcntl(5, F_GETFD) < 0);
    expect(fcntl(4, F_GETFD) >= 0); /* the other's */
    return 0;
}

static int serve_by_name(void)
{
    pass_sockets(3);
    announce("3", "web:admin:web");
    return cosy_run(serve_passed_ones);
}

START_TEST(a_server_takes_those_with_its_name)
{
    in_a_child(serve_by_name);
}
END_TEST

static char path[] = "/tmp/cosy-systemd-XXXXXX/sock";

cosy_async static int serve_path(void)
{
    struct books books = {0};
    struct stat status;
    cosy_server *server;
    expect(cosy_start_systemd_server(&server, echo, &books, NULL) == 0);
    cosy_server_free(server);
    expect(stat(path, &status) == 0);
    return 0;
}

static int serve_unix(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    path[strlen(path) - 5] = 0;
    expect(mkdtemp(path));
    path[strlen(path)] = '/';
    strcpy(address.sun_path, path);
    int fd = fcntl(socket(AF_UNIX, SOCK_STREAM, 0), F_DUPFD, 10);
    expect(bind(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    dup2(fd, 3);
    announce("1", NULL);
    int result = cosy_run(serve_path);
    unlink(path);
    *strrchr(path, '/') = 0;
    expect(rmdir(path) == 0);
    return result;
}

START_TEST(systemds_file_stays)
{
    in_a_child(serve_unix);
}
END_TEST

TESTS_MAIN("systemd", the_environment_tells_which_descriptors_are_passed, a_server_takes_those_with_its_name,
           systemds_file_stays)
