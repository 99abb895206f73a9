/* test_pipe.c - pipes, FIFOs, terminals and the standard streams as streams. */
#include "io_test.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

static bool is_blocking(int fd)
{
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* The descriptors of a test's own: in any order, without the loop. */
static void put(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
}

static void expect(cosy_stream *stream, const char *text)
{
    char data[256];
    size_t size = strlen(text);
    ck_assert_int_eq(cosy_readexactly(stream, data, size), size);
    data[size] = 0;
    ck_assert_str_eq(data, text);
}

/* ---- pipes ---- */

cosy_async static int write_slowly(cosy_stream *writer)
{
    for (int i = 0; i < 3; i++) {
        cosy_try(cosy_printf(writer, "line %d\n", i));
        cosy_try(cosy_sleep(COSY_MS(1)));
    }
    return cosy_stream_close(writer);
}

TASK_TEST(a_pipe_has_two_streams)
{
    cosy_stream *writer = NULL;
    cosy_scoped(cosy_stream) reader = NULL;
    int64_t length;
    ck_assert_int_eq(cosy_pipe(&reader, &writer), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(write_slowly, writer);
    COSY_LINES(reader, line, length)
    say("%.6s", line);
    ck_assert_int_eq(length, 0);
    ck_assert(cosy_at_eof(reader));
    said("line 0 line 1 line 2");
    return cosy_await(task);
}

cosy_async static int write_many(cosy_stream *writer, size_t size)
{
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i % 251);
    int result = cosy_write(writer, data, size);
    free(data);
    return result < 0 ? result : cosy_write_eof(writer);
}

TASK_TEST(more_than_a_pipe_holds_passes_whole)
{
    enum { SIZE = 1 << 20 };
    cosy_scoped(cosy_stream) writer = NULL;
    cosy_scoped(cosy_stream) reader = NULL;
    int64_t length;
    size_t at = 0;
    ck_assert_int_eq(cosy_pipe(&reader, &writer), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(write_many, writer, SIZE);
    COSY_CHUNKS(reader, chunk, length)
    for (int64_t i = 0; i < length; i++, at++)
        if ((unsigned char)chunk[i] != at % 251)
            ck_abort_msg("byte %zu is wrong", at);
    ck_assert_int_eq(length, 0);
    ck_assert_uint_eq(at, SIZE);
    return cosy_await(task);
}

/* SIGPIPE would end this process. */
TASK_TEST(writing_to_nobody_is_an_error_and_no_signal)
{
    cosy_stream *reader = NULL;
    cosy_scoped(cosy_stream) writer = NULL;
    ck_assert_int_eq(cosy_pipe(&reader, &writer), 0);
    ck_assert_int_eq(cosy_stream_close(reader), 0);
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    ck_assert_int_eq(cosy_write(writer, "x", 1), -EPIPE);
    ck_assert(cosy_stream_is_closing(writer));
    sigset_t pending;
    sigpending(&pending);
    ck_assert(!sigismember(&pending, SIGPIPE));
    return 0;
}

/* A program that has blocked the signal, and has one to come already, still has it afterwards. */
TASK_TEST(a_pending_signal_is_left_alone)
{
    sigset_t only, before, pending;
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &only, &before);
    for (int raised = 0; raised < 2; raised++) {
        cosy_stream *reader = NULL;
        cosy_scoped(cosy_stream) writer = NULL; /* a stream asks the kernel once only */
        ck_assert_int_eq(cosy_pipe(&reader, &writer), 0);
        ck_assert_int_eq(cosy_stream_close(reader), 0);
        ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
        if (raised)
            pthread_kill(pthread_self(), SIGPIPE);
        ck_assert_int_eq(cosy_write(writer, "x", 1), -EPIPE);
        pthread_sigmask(SIG_BLOCK, NULL, &pending);
        ck_assert(sigismember(&pending, SIGPIPE));
        sigpending(&pending);
        ck_assert_int_eq(sigismember(&pending, SIGPIPE), raised);
    }
    sigtimedwait(&only, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return 0;
}

cosy_async static int watch_for_the_end(cosy_stream *writer)
{
    char data[4096];
    return (int)cosy_read(writer, data, sizeof data);
}

TASK_TEST(a_writer_learns_that_its_reader_is_gone)
{
    cosy_stream *reader = NULL;
    cosy_scoped(cosy_stream) writer = NULL;
    ck_assert_int_eq(cosy_pipe(&reader, &writer), 0);
    cosy_scoped(cosy_task) watcher = cosy_create_task(watch_for_the_end, writer);
    ck_assert_int_eq(cosy_write(writer, "hello", 5), 0);
    expect(reader, "hello");
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    ck_assert(!cosy_task_done(watcher));
    ck_assert_int_eq(cosy_stream_close(reader), 0);
    ck_assert_int_eq(cosy_await(watcher), 0);
    ck_assert_int_eq(watch_for_the_end(writer), 0); /* and again */
    ck_assert_int_eq(cosy_write(writer, "x", 1), -EPIPE);
    return 0;
}

TASK_TEST(a_writer_that_watches_can_be_cancelled_and_still_writes)
{
    cosy_scoped(cosy_stream) reader = NULL;
    cosy_scoped(cosy_stream) writer = NULL;
    ck_assert_int_eq(cosy_pipe(&reader, &writer), 0);
    ck_assert_int_eq(cosy_wait_for(cosy_call(watch_for_the_end, writer), COSY_MS(1)), -ETIMEDOUT);
    ck_assert_int_eq(cosy_write(writer, "hello", 5), 0);
    expect(reader, "hello");
    return 0;
}

TASK_TEST(a_reader_is_gone_while_much_is_to_be_sent)
{
    cosy_stream *reader = NULL;
    cosy_scoped(cosy_stream) writer = NULL;
    ck_assert_int_eq(cosy_pipe(&reader, &writer), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(write_many, writer, 1 << 20);
    let_all_run(3);
    ck_assert(!cosy_task_done(task));
    ck_assert_int_eq(cosy_stream_close(reader), 0);
    ck_assert_int_eq(cosy_await(task), -EPIPE);
    return 0;
}

TASK_TEST(ends_of_a_pipe_are_adopted_and_given_back_as_they_were)
{
    int fds[2];
    cosy_stream *reader = NULL, *writer = NULL;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(cosy_stream_adopt(fds[0], &reader), 0);
    ck_assert_int_eq(cosy_stream_adopt(fds[1], &writer), 0);
    ck_assert(!is_blocking(fds[0]) && !is_blocking(fds[1]));
    ck_assert(cosy_can_write_eof(writer));
    ck_assert_int_eq(cosy_write(writer, "abc", 3), 0);
    expect(reader, "abc");
    cosy_scoped(cosy_task) watcher = cosy_create_task(watch_for_the_end, writer);
    let_all_run(2);
    ck_assert_int_eq(cosy_stream_detach(writer, NULL, NULL), -EBUSY);
    cosy_task_cancel(watcher);
    ck_assert_int_eq(cosy_await(watcher), -ECANCELED);
    ck_assert_int_eq(cosy_stream_detach(writer, NULL, NULL), fds[1]);
    ck_assert_int_eq(cosy_stream_detach(reader, NULL, NULL), fds[0]);
    ck_assert(is_blocking(fds[0]) && is_blocking(fds[1]));
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TASK_TEST(nonsense_is_refused)
{
    cosy_stream *one = NULL, *other = NULL;
    ck_assert_int_eq(cosy_pipe(NULL, &other), -EINVAL);
    ck_assert_int_eq(cosy_pipe(&one, NULL), -EINVAL);
    ck_assert_int_eq(cosy_pipe(&one, &other, .low_water = 100000), -EINVAL);
    ck_assert_int_eq(cosy_stdin(NULL), -EINVAL);
    ck_assert_int_eq(cosy_stdin(&one, .low_water = 100000), -EINVAL);
    ck_assert_ptr_null(one);
    return 0;
}

START_TEST(without_a_loop_there_are_no_streams)
{
    cosy_stream *one = NULL, *other = NULL;
    ck_assert_int_eq(cosy_pipe(&one, &other), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_stdout(&one), -COSY_ENOLOOP);
}
END_TEST

/* ---- FIFOs ---- */

TASK_TEST(a_fifo_is_read_and_written)
{
    char folder[] = "/tmp/cosy_pipe_XXXXXX", path[64];
    cosy_scoped(cosy_stream) reader = NULL;
    cosy_scoped(cosy_stream) writer = NULL;
    int64_t length;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int in = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), out = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(cosy_stream_adopt(in, &reader), 0);
    ck_assert_int_eq(cosy_stream_adopt(out, &writer), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(write_many, writer, 200000);
    size_t got = 0;
    COSY_CHUNKS(reader, chunk, length)
    got += (size_t)length + (chunk[0] & 0);
    ck_assert_int_eq(length, 0);
    ck_assert_uint_eq(got, 200000);
    ck_assert_int_eq(cosy_await(task), 0);
    unlink(path);
    rmdir(folder);
    return 0;
}

/* ---- ptys ---- */

static void open_pty(int *ret_master, int *ret_slave)
{
    struct winsize size = {.ws_col = 99, .ws_row = 33};
    ck_assert_int_eq(openpty(ret_master, ret_slave, NULL, NULL, &size), 0);
    fcntl(*ret_master, F_SETFD, FD_CLOEXEC);
    fcntl(*ret_slave, F_SETFD, FD_CLOEXEC);
}

TASK_TEST(a_ptys_output_is_read_to_its_end)
{
    int master, slave;
    char data[64];
    cosy_scoped(cosy_stream) stream = NULL;
    open_pty(&master, &slave);
    ck_assert_int_eq(cosy_stream_adopt(master, &stream), 0);
    put(slave, "1");
    expect(stream, "1");
    put(slave, "2345");
    expect(stream, "2345");
    close(slave);
    ck_assert_int_eq(cosy_read(stream, data, sizeof data), 0);
    ck_assert(cosy_at_eof(stream));
    return 0;
}

TASK_TEST(a_pty_is_written_and_read_from_both_sides)
{
    int master, slave;
    cosy_scoped(cosy_stream) outer = NULL;
    cosy_scoped(cosy_stream) inner = NULL;
    char *line;
    open_pty(&master, &slave);
    ck_assert_int_eq(cosy_stream_adopt(master, &outer), 0);
    ck_assert_int_eq(cosy_stream_adopt(slave, &inner), 0);
    ck_assert(!cosy_can_write_eof(inner));
    ck_assert_int_eq(cosy_write_eof(inner), -ENOTSUP);
    ck_assert(cosy_isatty(inner));
    ck_assert_int_eq(cosy_write(outer, "typed\n", 6), 0);
    ck_assert_int_eq(cosy_readline(inner, &line), 6);
    ck_assert_str_eq(line, "typed\n");
    expect(outer, "typed\r\n"); /* the echo */
    ck_assert_int_eq(cosy_write(inner, "shown\n", 6), 0);
    expect(outer, "shown\r\n");
    return 0;
}

TASK_TEST(a_terminal_tells_its_size_and_a_pipe_has_none)
{
    int master, slave;
    unsigned columns, rows;
    cosy_scoped(cosy_stream) outer = NULL;
    cosy_scoped(cosy_stream) inner = NULL;
    cosy_stream *pair[2];
    open_pty(&master, &slave);
    ck_assert_int_eq(cosy_stream_adopt(master, &outer), 0);
    ck_assert_int_eq(cosy_stream_adopt(slave, &inner), 0);
    ck_assert_int_eq(cosy_tty_size(inner, &columns, &rows), 0);
    ck_assert_uint_eq(columns, 99);
    ck_assert_uint_eq(rows, 33);
    ck_assert_int_eq(ioctl(slave, TIOCSWINSZ, &(struct winsize){.ws_col = 7, .ws_row = 5}), 0);
    ck_assert_int_eq(cosy_tty_size(inner, &columns, NULL), 0);
    ck_assert_int_eq(cosy_tty_size(inner, NULL, &rows), 0);
    ck_assert_uint_eq(columns * 10 + rows, 75);
    ck_assert_int_eq(cosy_stream_pair(pair), 0);
    ck_assert_int_eq(cosy_tty_size(pair[0], &columns, &rows), -ENOTTY);
    ck_assert_int_eq(cosy_tty_set_mode(pair[0], COSY_TTY_RAW), -ENOTTY);
    ck_assert(!cosy_isatty(pair[0]) && !cosy_isatty(NULL));
    cosy_stream_close(pair[0]);
    cosy_stream_close(pair[1]);
    return 0;
}

static struct termios settings_of(int fd)
{
    struct termios settings;
    memset(&settings, 0, sizeof settings); /* the C library's structure has gaps */
    ck_assert_int_eq(tcgetattr(fd, &settings), 0);
    return settings;
}

static void ck_assert_restored(int fd, const struct termios *before)
{
    struct termios now = settings_of(fd);
    ck_assert_uint_eq(now.c_lflag, before->c_lflag);
    ck_assert_uint_eq(now.c_iflag, before->c_iflag);
    ck_assert_uint_eq(now.c_oflag, before->c_oflag);
    ck_assert_int_eq(memcmp(now.c_cc, before->c_cc, sizeof now.c_cc), 0);
}

TASK_TEST(a_raw_terminal_gives_keys_and_is_restored)
{
    int master, slave;
    cosy_scoped(cosy_stream) outer = NULL;
    cosy_stream *inner = NULL;
    char keys[8];
    open_pty(&master, &slave);
    ck_assert_int_eq(cosy_stream_adopt(master, &outer), 0);
    int kept = dup(slave);
    struct termios before = settings_of(slave);
    ck_assert_int_eq(cosy_stream_adopt(slave, &inner), 0);
    ck_assert_int_eq(cosy_tty_set_mode(inner, (enum cosy_tty_mode)7), -EINVAL);
    ck_assert_int_eq(cosy_tty_set_mode(inner, COSY_TTY_NORMAL), 0);
    ck_assert_int_eq(cosy_tty_set_mode(inner, COSY_TTY_RAW), 0);
    ck_assert_int_eq(cosy_write(outer, "a\003", 2), 0);
    ck_assert_int_eq(cosy_readexactly(inner, keys, 2), 2);
    ck_assert_int_eq(keys[1], 3); /* Ctrl-C is a key */
    ck_assert_int_eq(cosy_write(inner, "x\n", 2), 0);
    expect(outer, "x\n"); /* no echo of what was typed, no \r */
    ck_assert_int_eq(cosy_tty_set_mode(inner, COSY_TTY_CBREAK), 0);
    ck_assert(settings_of(kept).c_lflag & ISIG);
    ck_assert(!(settings_of(kept).c_lflag & (ICANON | ECHO)));
    ck_assert_int_eq(cosy_tty_set_mode(inner, COSY_TTY_NORMAL), 0);
    ck_assert_restored(kept, &before);
    ck_assert_int_eq(cosy_tty_set_mode(inner, COSY_TTY_RAW), 0);
    cosy_tty_reset(); /* as a handler of fatal signals would */
    ck_assert_restored(kept, &before);
    ck_assert_int_eq(cosy_tty_set_mode(inner, COSY_TTY_CBREAK), 0);
    ck_assert_int_eq(cosy_stream_close(inner), 0);
    ck_assert_restored(kept, &before);
    close(kept);
    return 0;
}

/* Two streams of one terminal, as standard input and output are: only who changed it sets it back at its end. */
TASK_TEST(a_terminal_is_restored_by_the_stream_that_changed_it)
{
    int master, slave;
    cosy_stream *in = NULL, *out = NULL;
    open_pty(&master, &slave);
    int second = dup(slave), kept = dup(slave);
    struct termios before = settings_of(slave);
    ck_assert_int_eq(cosy_stream_adopt(slave, &in), 0);
    ck_assert_int_eq(cosy_stream_adopt(second, &out), 0);
    ck_assert_int_eq(cosy_tty_set_mode(in, COSY_TTY_RAW), 0);
    ck_assert_int_eq(cosy_stream_close(out), 0);
    ck_assert(!(settings_of(kept).c_lflag & ICANON));
    ck_assert_int_eq(cosy_stream_close(in), 0);
    ck_assert_restored(kept, &before);
    close(kept);
    close(master);
    return 0;
}

/* ---- standard streams ---- */

/* Puts `fd` where a standard descriptor was; returns what was there. */
static int replace(int standard, int fd)
{
    int before = fcntl(standard, F_DUPFD_CLOEXEC, 10);
    ck_assert_int_ge(dup2(fd, standard), 0);
    close(fd);
    return before;
}

static void put_back(int standard, int before)
{
    dup2(before, standard);
    close(before);
}

TASK_TEST(standard_input_from_a_pipe_leaves_the_shared_end_alone)
{
    int fds[2];
    cosy_stream *input = NULL;
    char *line, data[8];
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    int before = replace(0, fds[0]);
    ck_assert_int_eq(cosy_stdin(&input), 0);
    ck_assert(is_blocking(0));
    put(fds[1], "first\nrest");
    ck_assert_int_eq(cosy_readline(input, &line), 6);
    ck_assert_str_eq(line, "first\n");
    expect(input, "rest");
    close(fds[1]);
    ck_assert_int_eq(cosy_read(input, data, sizeof data), 0);
    ck_assert_int_eq(cosy_stream_close(input), 0);
    ck_assert(is_blocking(0));
    ck_assert_int_ne(fcntl(0, F_GETFD), -1);
    put_back(0, before);
    return 0;
}

/* A socket cannot be opened anew: what is shared is non-blocking for as long as it has to be. */
TASK_TEST(standard_input_from_a_socket_is_restored)
{
    int fds[2];
    cosy_stream *input = NULL, *second = NULL;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    int before = replace(0, fds[0]);
    ck_assert_int_eq(cosy_stdin(&input), 0);
    ck_assert_int_eq(cosy_stdin(&second), 0);
    ck_assert(!is_blocking(0));
    put(fds[1], "hello");
    expect(input, "hello");
    ck_assert_int_eq(cosy_stream_close(input), 0);
    ck_assert(!is_blocking(0)); /* the second one still needs it */
    put(fds[1], "again");
    expect(second, "again");
    ck_assert_int_eq(cosy_stream_close(second), 0);
    ck_assert(is_blocking(0));
    ck_assert_int_eq(fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK), 0);
    ck_assert_int_eq(cosy_stdin(&input), 0);
    ck_assert_int_eq(cosy_stream_close(input), 0);
    ck_assert(!is_blocking(0)); /* it came so */
    put_back(0, before);
    close(fds[1]);
    return 0;
}

static int file_with(const char *text, size_t times)
{
    char path[] = "/tmp/cosy_stdin_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    for (size_t i = 0; i < times; i++)
        put(fd, text);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

TASK_TEST(standard_input_from_a_file_is_read_whole)
{
    enum { LINES = 20000 };
    int before = replace(0, file_with("a line of a file\n", LINES));
    cosy_stream *input = NULL;
    int64_t length;
    int lines = 0, other = 0;
    ck_assert_int_eq(cosy_stdin(&input), 0);
    COSY_LINES(input, line, length)
    {
        lines++;
        other += strcmp(line, "a line of a file\n") != 0;
    }
    ck_assert_int_eq(length, 0);
    ck_assert_int_eq(lines, LINES);
    ck_assert_int_eq(other, 0);
    ck_assert(!cosy_isatty(input));
    ck_assert_int_eq(cosy_stream_close(input), 0);
    put_back(0, before);
    return cosy_shutdown_default_executor(COSY_S(10)); /* its threads are not left behind */
}

TASK_TEST(standard_input_from_nothing_ends_at_once)
{
    int before = replace(0, open("/dev/null", O_RDONLY));
    cosy_stream *input = NULL;
    char data[8];
    ck_assert_int_eq(cosy_stdin(&input), 0);
    ck_assert_int_eq(cosy_read(input, data, sizeof data), 0);
    ck_assert_int_eq(cosy_stream_close(input), 0);
    put_back(0, before);
    return cosy_shutdown_default_executor(COSY_S(10));
}

TASK_TEST(a_directory_or_a_closed_descriptor_is_an_error)
{
    int before = replace(0, open("/tmp", O_RDONLY));
    cosy_stream *input = NULL;
    char data[8];
    ck_assert_int_eq(cosy_stdin(&input), 0);
    ck_assert_int_eq(cosy_read(input, data, sizeof data), -EISDIR);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EISDIR), "stdin"));
    ck_assert_int_eq(cosy_stream_close(input), 0);
    close(0);
    input = NULL;
    ck_assert_int_eq(cosy_stdin(&input), -EBADF);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EBADF), "standard descriptor 0"));
    ck_assert_ptr_null(input);
    put_back(0, before);
    return cosy_shutdown_default_executor(COSY_S(10));
}

cosy_async static int read_bytes(cosy_stream *stream, char *data, size_t size)
{
    return (int)cosy_read(stream, data, size);
}

/* A cancelled read of a file comes back when its thread has; what was read is the next one's. */
TASK_TEST(a_cancelled_read_of_a_file_loses_nothing)
{
    for (int turns_between = 0; turns_between < 4; turns_between++) {
        int before = replace(0, file_with("0123456789", 1));
        cosy_stream *input = NULL;
        char data[4096];
        ck_assert_int_eq(cosy_stdin(&input), 0);
        cosy_scoped(cosy_task) reader = cosy_create_task(read_bytes, input, data, sizeof data);
        let_all_run(turns_between);
        cosy_task_cancel(reader);
        int result = cosy_await(reader);
        ck_assert(result == -ECANCELED || result == 10);
        if (result == -ECANCELED)
            expect(input, "0123456789");
        ck_assert_int_eq(cosy_read(input, data, sizeof data), 0);
        ck_assert_int_eq(cosy_stream_close(input), 0);
        put_back(0, before);
    }
    return cosy_shutdown_default_executor(COSY_S(10));
}

/* The stream is closed while a thread reads for it. */
TASK_TEST(a_file_is_closed_under_its_reader)
{
    int before = replace(0, file_with("x", 1));
    cosy_stream *input = NULL;
    char data[4096];
    ck_assert_int_eq(cosy_stdin(&input), 0);
    cosy_scoped(cosy_task) reader = cosy_create_task(read_bytes, input, data, sizeof data);
    let_all_run(1);
    bool done = cosy_task_done(reader);
    ck_assert_int_eq(cosy_stream_close(input), 0);
    int result = cosy_await(reader);
    ck_assert_int_eq(result, done ? 1 : -COSY_ECLOSED);
    put_back(0, before);
    return cosy_shutdown_default_executor(COSY_S(10));
}

TASK_TEST(standard_output_goes_where_it_points_in_order_with_stdio)
{
    char data[64] = "";
    cosy_stream *output = NULL;
    int file = file_with("", 0), copy = dup(file);
    fflush(stdout);
    int before = replace(1, file);
    printf("printed "); /* lies in stdio's buffer */
    ck_assert_int_eq(cosy_stdout(&output), 0);
    ck_assert_int_eq(cosy_write(output, "written ", 8), 0);
    ck_assert_int_eq(cosy_printf(output, "%d", 42), 2);
    ck_assert_int_eq(cosy_stream_close(output), 0);
    put_back(1, before);
    ck_assert_int_eq(pread(copy, data, sizeof data - 1, 0), 18);
    ck_assert_str_eq(data, "printed written 42");
    close(copy);
    return 0;
}

TASK_TEST(standard_error_to_a_pipe_waits_for_its_reader)
{
    int fds[2];
    cosy_stream *output = NULL;
    cosy_scoped(cosy_stream) reader = NULL;
    size_t got = 0;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    int before = replace(2, fds[1]);
    int result = cosy_stderr(&output);
    ck_assert(is_blocking(2));
    put_back(2, before); /* a failed assertion is to be seen */
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(cosy_stream_adopt(fds[0], &reader), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(write_many, output, 300000);
    int64_t length;
    COSY_CHUNKS(reader, chunk, length)
    got += (size_t)length + (chunk[0] & 0);
    ck_assert_int_eq(length, 0);
    ck_assert_uint_eq(got, 300000);
    ck_assert_int_eq(cosy_await(task), 0);
    ck_assert_int_eq(cosy_stream_close(output), 0);
    return 0;
}

TASK_TEST(standard_input_from_a_terminal_is_one)
{
    int master, slave;
    unsigned columns = 0;
    cosy_stream *input = NULL;
    char *line;
    open_pty(&master, &slave);
    int before = replace(0, slave);
    ck_assert_int_eq(cosy_stdin(&input), 0);
    ck_assert(is_blocking(0));
    ck_assert(cosy_isatty(input));
    ck_assert_int_eq(cosy_tty_size(input, &columns, NULL), 0);
    ck_assert_uint_eq(columns, 99);
    put(master, "typed\n");
    ck_assert_int_eq(cosy_readline(input, &line), 6);
    ck_assert_str_eq(line, "typed\n");
    struct termios settings = settings_of(0);
    ck_assert_int_eq(cosy_tty_set_mode(input, COSY_TTY_RAW), 0);
    ck_assert_int_eq(cosy_stream_close(input), 0);
    ck_assert_restored(0, &settings);
    put_back(0, before);
    close(master);
    return 0;
}

/* The controlling side of a pty, opened anew, would be another pty. */
TASK_TEST(standard_input_from_a_ptys_master_is_that_pty)
{
    int master, slave;
    cosy_stream *input = NULL;
    open_pty(&master, &slave);
    int before = replace(0, master);
    ck_assert_int_eq(cosy_stdin(&input), 0);
    put(slave, "here");
    expect(input, "here");
    ck_assert_int_eq(cosy_stream_close(input), 0);
    ck_assert(is_blocking(0));
    put_back(0, before);
    close(slave);
    return 0;
}

/* ---- a process that ends leaves all as it was ---- */

cosy_async static int change_and_leave(void)
{
    cosy_stream *input = NULL, *output = NULL;
    if (cosy_stdin(&input) < 0 || cosy_tty_set_mode(input, COSY_TTY_RAW) < 0 || cosy_stdout(&output) < 0)
        _exit(1);
    exit(is_blocking(1) ? 2 : 0); /* a socket: it had to be changed */
}

START_TEST(exit_restores_terminals_and_shared_descriptors)
{
    int master, slave, fds[2], status;
    begin_test();
    open_pty(&master, &slave);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct termios before = settings_of(slave);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(slave, 0);
        dup2(fds[0], 1);
        cosy_run(change_and_leave);
        _exit(3);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (!getenv("COSY_TEST_TOOL") || strcmp(getenv("COSY_TEST_TOOL"), "none") == 0)
        ck_assert_int_eq(status, 0); /* tools have an opinion of their own on what is left at exit */
    ck_assert_restored(slave, &before);
    ck_assert(is_blocking(fds[0]));
    close(master);
    close(slave);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* ---- failures ---- */

cosy_async static int whole_life(void)
{
    cosy_scoped(cosy_stream) reader = NULL;
    cosy_scoped(cosy_stream) writer = NULL;
    cosy_scoped(cosy_stream) input = NULL;
    char data[16];
    cosy_try(cosy_pipe(&reader, &writer));
    cosy_try(cosy_write(writer, "x", 1));
    cosy_try(cosy_read(reader, data, sizeof data));
    cosy_try(cosy_stdin(&input));
    if (cosy_isatty(input)) {
        cosy_try(cosy_tty_set_mode(input, COSY_TTY_RAW));
        return cosy_tty_set_mode(input, COSY_TTY_NORMAL);
    }
    return (int)cosy_try(cosy_read(input, data, sizeof data)) == 4 ? 0 : -EINVAL;
}

cosy_async static int limited_life(void)
{
    return cosy_wait_for(cosy_call(whole_life), COSY_MS(100));
}

enum { FROM_PIPE, FROM_SOCKET, FROM_FILE, FROM_TERMINAL, SOURCES };

static int master_of_source = -1;

static void give_source(int source)
{
    int fds[2] = {-1, -1}, fd;
    if (source == FROM_FILE)
        fds[0] = file_with("1234", 1);
    else if (source == FROM_TERMINAL)
        open_pty(&master_of_source, &fds[0]);
    else
        ck_assert_int_eq(source == FROM_PIPE ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    if (fds[1] >= 0) {
        put(fds[1], "1234");
        close(fds[1]);
    }
    fd = fds[0];
    dup2(fd, 0);
    close(fd);
}

static void drop_source(int source)
{
    if (source == FROM_TERMINAL)
        close(master_of_source);
}

/* Each system call fails in turn, also the loop's own: the error comes out, or was got over; nothing leaks, and what is
 * shared is as it was. */
START_TEST(each_call_of_the_kernel_may_fail)
{
    begin_test();
    int before = fcntl(0, F_DUPFD_CLOEXEC, 10), fds = entries("/proc/self/fd");
    for (int source = 0; source < SOURCES; source++)
        for (long n = 1;; n++) {
            give_source(source);
            cosy_sys_fail_nth(n, n % 2 ? EIO : EACCES);
            int result = cosy_run(limited_life);
            long counted = cosy_sys_counted();
            cosy_sys_fail_nth(0, 0);
            drop_source(source);
            ck_assert_msg(entries("/proc/self/fd") == fds, "source %d, call %ld: a descriptor is left", source, n);
            if (counted < n) {
                ck_assert_int_eq(result, 0);
                break;
            }
            ck_assert_msg(result <= 0, "call %ld failing gave %d", n, result);
            ck_assert_int_lt(n, 2000);
        }
    put_back(0, before);
    logged[0] = 0;
}
END_TEST

static int source_of_life;

static int live(void)
{
    give_source(source_of_life);
    int result = cosy_run(whole_life);
    drop_source(source_of_life);
    return result;
}

START_TEST(without_memory_nothing_leaks)
{
    begin_test();
    int before = fcntl(0, F_DUPFD_CLOEXEC, 10);
    for (source_of_life = 0; source_of_life < SOURCES; source_of_life++)
        starve_kernel_too(live);
    put_back(0, before);
}
END_TEST

/* ---- cancelled anywhere ---- */

/* A cancelled write has taken all of its bytes, and the end comes behind them. */
cosy_async static int pour(cosy_stream *writer, size_t *taken)
{
    char data[5000];
    int result = 0;
    for (int i = 0; i < 25 && result == 0; i++) {
        memset(data, 'a' + i % 26, sizeof data);
        result = cosy_write(writer, data, sizeof data);
        if (result == 0 || result == -ECANCELED)
            *taken += sizeof data;
    }
    int closed = cosy_stream_close(writer);
    return result < 0 ? result : closed;
}

cosy_async static int drain(cosy_stream *reader, size_t *got)
{
    char data[4000];
    int64_t size;
    while ((size = cosy_read(reader, data, sizeof data)) > 0) {
        int wrong = 0;
        for (int64_t i = 0; i < size; i++, ++*got)
            wrong += data[i] != (char)('a' + *got / 5000 % 26);
        cosy_test_expect(wrong == 0);
    }
    return (int)size;
}

cosy_async static int pipeline(void)
{
    size_t taken = 0, got = 0;
    cosy_stream *reader = NULL, *writer = NULL;
    cosy_try(cosy_pipe(&reader, &writer, .high_water = 4096));
    cosy_scoped(cosy_task) source = cosy_create_task(pour, writer, &taken);
    cosy_scoped(cosy_task) sink = cosy_create_task(drain, reader, &got);
    int ended = cosy_await(sink);
    if (ended == -ECANCELED)
        ended = drain(reader, &got);
    int result = cosy_await(source);
    cosy_test_expect(ended == 0);
    cosy_test_expect(got == taken);
    cosy_stream_close(reader);
    return result;
}

START_TEST(no_cancel_loses_a_byte)
{
    int err = 0;
    begin_test();
    COSY_TEST_EXPLORE(err, .seeds = 2, .cancel_each_wait = true, .cancel_task = "pour")
    {
        (void)cosy_test_run(pipeline);
    }
    ck_assert_int_gt(err, 2);
    COSY_TEST_EXPLORE(err, .seeds = 2, .cancel_each_wait = true, .cancel_task = "drain")
    {
        (void)cosy_test_run(pipeline);
    }
    ck_assert_int_gt(err, 2);
}
END_TEST

TESTS_MAIN("pipe", a_pipe_has_two_streams, more_than_a_pipe_holds_passes_whole,
           writing_to_nobody_is_an_error_and_no_signal, a_pending_signal_is_left_alone,
           a_writer_learns_that_its_reader_is_gone, a_writer_that_watches_can_be_cancelled_and_still_writes,
           a_reader_is_gone_while_much_is_to_be_sent, ends_of_a_pipe_are_adopted_and_given_back_as_they_were,
           nonsense_is_refused, without_a_loop_there_are_no_streams, a_fifo_is_read_and_written,
           a_ptys_output_is_read_to_its_end, a_pty_is_written_and_read_from_both_sides,
           a_terminal_tells_its_size_and_a_pipe_has_none, a_raw_terminal_gives_keys_and_is_restored,
           a_terminal_is_restored_by_the_stream_that_changed_it, standard_input_from_a_pipe_leaves_the_shared_end_alone,
           standard_input_from_a_socket_is_restored, standard_input_from_a_file_is_read_whole,
           standard_input_from_nothing_ends_at_once, a_directory_or_a_closed_descriptor_is_an_error,
           a_cancelled_read_of_a_file_loses_nothing, a_file_is_closed_under_its_reader,
           standard_output_goes_where_it_points_in_order_with_stdio, standard_error_to_a_pipe_waits_for_its_reader,
           standard_input_from_a_terminal_is_one, standard_input_from_a_ptys_master_is_that_pty,
           exit_restores_terminals_and_shared_descriptors, each_call_of_the_kernel_may_fail,
           without_memory_nothing_leaks, no_cancel_loses_a_byte)
