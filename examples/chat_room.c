/* chat_room.c - a chat room: who says something is heard by all others.
 *
 *     chat_room PORT     until Ctrl-C (0: any free port); join with: nc 127.0.0.1 PORT
 *     chat_room          three guests of its own
 *
 * Each guest has a queue of lines, and a task that sends them: a guest who does not read delays nobody, and is shown the door when fifty
 * lines wait.
 */
#include <cosy.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char text[256];
};

struct guest {
    struct guest *next;
    cosy_stream *stream;
    char name[32];
    COSY_QUEUE(struct line) lines;
};

struct room {
    struct guest *guests;
};

/* Suspends nowhere: all hear the same lines in the same order. */
__attribute__((format(printf, 3, 4))) static void tell(struct room *room, const struct guest *speaker, const char *format, ...)
{
    struct line line;
    va_list args;
    va_start(args, format);
    vsnprintf(line.text, sizeof line.text, format, args);
    va_end(args);
    for (struct guest *guest = room->guests; guest; guest = guest->next)
        if (guest != speaker && cosy_queue_put_nowait(&guest->lines, line) == -COSY_EQUEUEFULL)
            cosy_stream_abort(guest->stream);
}

cosy_async static int send_lines(struct guest *guest)
{
    int err = 0;
    COSY_QUEUE_FOR (line, &guest->lines, err)
        cosy_try(cosy_write(guest->stream, line.text, strlen(line.text)));
    return err;
}

cosy_async static int listen_to(struct room *room, struct guest *guest)
{
    int64_t length;
    COSY_LINES (guest->stream, line, length)
        tell(room, guest, "%s: %.200s%s", guest->name, line, line[length - 1] == '\n' ? "" : "\n");
    return (int)length;
}

/* Until the guest leaves: a task that sends, beside this one that listens. */
cosy_async static int chat(struct room *room, struct guest *guest)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_spawn(group, send_lines, guest);
    int result = listen_to(room, guest);
    cosy_queue_shutdown(&guest->lines, false); /* what waits is still sent */
    return cosy_task_group_close(group, result);
}

static void leave(struct room *room, struct guest *guest)
{
    struct guest **place = &room->guests;
    while (*place != guest)
        place = &(*place)->next;
    *place = guest->next;
    tell(room, guest, "* %s has left\n", guest->name);
}

cosy_async static int handle(cosy_stream *stream, struct room *room)
{
    char *name;
    struct guest guest = {.stream = stream};
    cosy_try(cosy_printf(stream, "Who are you?\n"));
    int64_t length = cosy_try(cosy_readline(stream, &name));
    snprintf(guest.name, sizeof guest.name, "%.*s", (int)strcspn(name, "\r\n"), name);
    if (length == 0 || !guest.name[0])
        return 0;
    cosy_queue_init(&guest.lines, .maxsize = 50);
    guest.next = room->guests;
    room->guests = &guest;
    tell(room, &guest, "* %s has joined\n", guest.name);
    int result = chat(room, &guest);
    leave(room, &guest);
    cosy_queue_destroy(&guest.lines);
    return result;
}

cosy_async static int serve(const char *port)
{
    struct room room = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, handle, &room, "127.0.0.1", (unsigned)atoi(port), .stream.limit = 200));
    printf("The room is open on 127.0.0.1:%u\n", cosy_server_port(server));
    return cosy_serve_forever(server);
}

/* ---- without arguments ---- */

cosy_async static int join(unsigned port, const char *name, cosy_stream **ret_stream)
{
    char *question;
    cosy_try(cosy_open_connection("127.0.0.1", port, ret_stream));
    cosy_try(cosy_readline(*ret_stream, &question));
    return cosy_printf(*ret_stream, "%s\n", name);
}

cosy_async static int hear(const char *name, cosy_stream *stream)
{
    char *line;
    cosy_try(cosy_readline(stream, &line));
    printf("%-6s hears  %s", name, line);
    return 0;
}

cosy_async static int show(void)
{
    struct room room = {0};
    cosy_scoped(cosy_stream) ada = NULL;
    cosy_scoped(cosy_stream) bob = NULL;
    cosy_scoped(cosy_stream) eve = NULL;
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, handle, &room, "127.0.0.1", 0));
    unsigned port = cosy_server_port(server);
    cosy_try(join(port, "ada", &ada));
    cosy_try(join(port, "bob", &bob));
    cosy_try(hear("ada", ada));
    cosy_try(join(port, "eve", &eve));
    cosy_try(hear("ada", ada));
    cosy_try(hear("bob", bob));

    cosy_try(cosy_printf(ada, "hello, you two\n"));
    cosy_try(hear("bob", bob));
    cosy_try(hear("eve", eve));
    cosy_try(cosy_printf(eve, "hello ada\n"));
    cosy_try(hear("ada", ada));
    cosy_try(hear("bob", bob));

    cosy_try(cosy_write_eof(bob));
    cosy_try(hear("ada", ada));
    cosy_try(hear("eve", eve));
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    return argc > 1 ? cosy_main(serve, argv[1]) : cosy_main(show);
}

/* Output:
 * ada    hears  * bob has joined
 * ada    hears  * eve has joined
 * bob    hears  * eve has joined
 * bob    hears  ada: hello, you two
 * eve    hears  ada: hello, you two
 * ada    hears  eve: hello ada
 * bob    hears  eve: hello ada
 * ada    hears  * bob has left
 * eve    hears  * bob has left
 */
