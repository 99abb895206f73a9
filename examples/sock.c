/* sock.c - sockets made by hand, in async code: asyncio's sock_accept, sock_connect, sock_recv, sock_sendall,
 * sock_sendfile.
 *
 * The descriptors stay the program's: it makes them, sets their options and closes them. Streams (cosy/stream.h) are
 * the easier way to talk to somebody; this is for protocols and libraries that have sockets of their own.
 */
#include <cosy.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Echoes, in capitals, until the client has said all. */
cosy_async static int answer(int fd)
{
    char text[64];
    int size;
    cosy_defer(close, fd);
    while ((size = cosy_try(cosy_sock_recv(fd, text, sizeof text))) > 0) {
        for (int i = 0; i < size; i++)
            text[i] -= text[i] >= 'a' && text[i] <= 'z' ? 'a' - 'A' : 0;
        cosy_try(cosy_sock_sendall(fd, text, (size_t)size, NULL));
    }
    return 0;
}

cosy_async static int serve(int listening)
{
    for (;;) {
        struct cosy_address peer;
        char host[COSY_ADDRESS_TEXT];
        int fd = cosy_try(cosy_sock_accept(listening, &peer));
        printf("a client from %s\n", cosy_address_host(&peer, host));
        cosy_try(cosy_spawn(answer, fd));
    }
}

cosy_async static int ask(const struct cosy_address *address, const char *question)
{
    char reply[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = 0, more;
    cosy_defer(close, fd);
    cosy_try(cosy_sock_connect(fd, address));
    cosy_try(cosy_sock_sendall(fd, question, strlen(question), NULL));
    shutdown(fd, SHUT_WR);
    while ((more = cosy_try(cosy_sock_recv(fd, reply + size, sizeof reply - (size_t)size))) > 0)
        size += more;
    printf("'%s' -> '%.*s'\n", question, size, reply);
    return 0;
}

/* The file is sent by the kernel; its bytes never come here. */
cosy_async static int send_file(void)
{
    int pair[2], file = fileno(tmpfile());
    char text[32];
    if (write(file, "a file, from its eighth byte on", 31) != 31 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    int64_t sent = cosy_try(cosy_sock_sendfile(pair[0], file, 8, 0));
    int size = cosy_try(cosy_sock_recv(pair[1], text, sizeof text));
    printf("%d bytes: '%.*s'\n", (int)sent, size, text);
    close(pair[0]);
    close(pair[1]);
    return 0;
}

cosy_async static int amain(void)
{
    struct cosy_address address;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cosy_try(cosy_address_parse(&address, "127.0.0.1", 0)); /* any free port */
    if (bind(listening, &address.any, address.size) < 0 || listen(listening, 16) < 0 ||
        getsockname(listening, &address.any, &address.size) < 0)
        return -errno;
    cosy_scoped(cosy_task) server = cosy_create_task(serve, listening);
    cosy_try(ask(&address, "hello"));
    cosy_try(ask(&address, "good bye"));
    cosy_try(send_file());

    cosy_notify_closing(listening); /* the server waits for it: now it goes on, with -COSY_ECLOSED */
    close(listening);
    printf("the server ended with %s\n", cosy_errname(cosy_await(server)));
    return 0;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * a client from 127.0.0.1
 * 'hello' -> 'HELLO'
 * a client from 127.0.0.1
 * 'good bye' -> 'GOOD BYE'
 * 23 bytes: 'from its eighth byte on'
 * the server ended with COSY_ECLOSED
 */
