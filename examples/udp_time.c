/* udp_time.c - a time service over UDP, and its client.
 *
 *     udp_time serve 127.0.0.1 1313      answers each datagram with the time: try  echo | socat -t1 - UDP:127.0.0.1:1313
 *     udp_time ask 127.0.0.1 1313        asks it, again when no answer comes: datagrams get lost
 *     udp_time                           both in one program, and a server that is not there
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ATTEMPTS = 3 };

/* ---- the service: one task, any number of clients ---- */

static size_t time_now(char text[32])
{
    time_t now = time(NULL);
    struct tm utc;
    return strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ\n", gmtime_r(&now, &utc));
}

cosy_async static int serve(cosy_datagram *service)
{
    char question[512], answer[32];
    struct cosy_address from;
    for (;;) {
        int64_t size = cosy_datagram_recv(service, question, sizeof question, &from);
        if (size < 0 && size != -EMSGSIZE) /* whatever it was, it was a question */
            return (int)size;
        cosy_try(cosy_datagram_sendto(service, answer, time_now(answer), &from));
    }
}

cosy_async static int serve_at(const struct cosy_address *address)
{
    cosy_scoped(cosy_datagram) service = NULL;
    struct cosy_address own;
    char text[COSY_ADDRESS_TEXT];
    cosy_try(cosy_open_datagram(&service, .local = address));
    cosy_try(cosy_datagram_sockname(service, &own));
    printf("serving the time at %s\n", cosy_address_text(&own, text));
    fflush(stdout);
    return serve(service);
}

/* ---- the client ---- */

/* The answer's length. Nobody there is an error at once, since the endpoint is connected; a lost datagram is a matter of patience. */
cosy_async static int ask(const struct cosy_address *server, char *answer, size_t room)
{
    cosy_scoped(cosy_datagram) client = NULL;
    cosy_try(cosy_open_datagram(&client, .remote = server));
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        int err = 0, size = 0;
        COSY_TIMEOUT (err, COSY_MS(500)) {
            cosy_check(err, cosy_datagram_send(client, "?", 1));
            cosy_check(err, size = (int)cosy_datagram_recv(client, answer, room - 1, NULL));
        }
        if (err >= 0) {
            answer[size] = 0;
            return size;
        }
        if (err != -ETIMEDOUT)
            return err;
    }
    return cosy_fail(ETIMEDOUT, "no answer to %d questions", ATTEMPTS);
}

cosy_async static int ask_and_print(const struct cosy_address *server)
{
    char answer[64];
    int result = ask(server, answer, sizeof answer);
    if (result >= 0)
        printf("it is %s", answer);
    else
        printf("no answer: %s\n", cosy_strerror(result));
    return result < 0 ? result : 0;
}

/* ---- both ---- */

cosy_async static int demonstrate(void)
{
    struct cosy_address address;
    cosy_datagram *service = NULL;
    cosy_try(cosy_address_parse(&address, "127.0.0.1", 0));
    cosy_try(cosy_open_datagram(&service, .local = &address));
    cosy_try(cosy_datagram_sockname(service, &address));
    cosy_scoped(cosy_task) server = cosy_create_task(serve, service);
    cosy_try(cosy_gather(cosy_call(ask_and_print, &address), cosy_call(ask_and_print, &address)));
    cosy_task_cancel(server);
    (void)cosy_await(server);
    cosy_datagram_close(service);
    cosy_try(cosy_sleep(COSY_MS(1)));
    (void)ask_and_print(&address); /* nobody any more */
    return 0;
}

cosy_async static int amain(int count, char **words)
{
    struct cosy_address address;
    if (count == 1)
        return demonstrate();
    if (count != 4)
        return cosy_fail(EINVAL, "usage: udp_time [serve|ask ADDRESS PORT]");
    if (cosy_address_parse(&address, words[2], (unsigned)atoi(words[3])) < 0)
        return cosy_fail(EINVAL, "not an address and a port: %s %s", words[2], words[3]);
    return strcmp(words[1], "serve") == 0 ? serve_at(&address) : ask_and_print(&address);
}

int main(int count, char **words) { return cosy_main(amain, count, words); }

/* Output:
 * it is 2...T...Z
 * it is 2...T...Z
 * no answer: Connection refused
 */
