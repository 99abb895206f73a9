/* clients.c - what clients do: those who behave, whose every byte must be right, and those who do not. */
#include "soak.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* One number below the limit, small ones as often as big ones. */
static unsigned some(struct soak_client *client, unsigned bits)
{
    return soak_below(&client->random, 1u << soak_below(&client->random, bits + 1)) + 1;
}

static bool one_in(struct soak_client *client, unsigned count)
{
    return soak_below(&client->random, count) == 0;
}

cosy_async static int rest_a_while(struct soak_client *client)
{
    return one_in(client, 2) ? cosy_yield() : cosy_sleep(COSY_US(some(client, 11)));
}

/* What a connection says that somebody cut. */
static bool is_tear(int64_t result)
{
    return result == -ECONNRESET || result == -EPIPE || result == -ECONNABORTED || result == -COSY_EINCOMPLETE;
}

cosy_async static int open_port(struct soak_client *client, enum soak_port port, cosy_stream **ret_stream)
{
    struct soak *soak = client->soak;
    client->books->connections++;
    if (port == SOAK_UNIX)
        return cosy_open_unix_connection(soak->path, ret_stream, .stream.close_grace = COSY_MS(200));
    return cosy_open_connection("127.0.0.1", soak->port[port], ret_stream, .stream.close_grace = COSY_MS(200),
                                .stream.limit = 4 * SOAK_LINE);
}

static enum soak_port echo_port(struct soak_client *client)
{
    static const enum soak_port ports[] = {SOAK_ECHO, SOAK_UNIX, SOAK_RELAY};
    return ports[soak_below(&client->random, 3)];
}

/* ---- a talk: bytes there, while others come back ---- */

struct talk {
    struct soak_client *client;
    cosy_stream *stream;
    struct soak_header header;
    uint64_t sent, received, digest;
};

static struct soak_header new_header(struct soak_client *client, unsigned bits)
{
    return (struct soak_header){.key = soak_random(&client->random), .amount = some(client, bits)};
}

cosy_async static int write_some(struct talk *talk, size_t most)
{
    struct soak_client *client = talk->client;
    size_t size = some(client, 17), left = talk->header.amount - talk->sent;
    size = size > most ? most : size;
    size = size > left ? left : size;
    soak_fill(talk->header.key, talk->sent, client->out, size);
    cosy_try(cosy_write(talk->stream, client->out, size));
    talk->digest = soak_digest(talk->digest, client->out, size);
    talk->sent += size;
    client->books->sent += size;
    return one_in(client, 8) ? rest_a_while(client) : 0;
}

cosy_async static int write_header(struct talk *talk)
{
    return cosy_write(talk->stream, &talk->header, sizeof talk->header);
}

/* All, and then the end of the output. */
cosy_async static int write_all(struct talk *talk)
{
    cosy_try(write_header(talk));
    while (talk->sent < talk->header.amount)
        cosy_try(write_some(talk, SOAK_BUFFER));
    return cosy_write_eof(talk->stream);
}

static int check(struct talk *talk, uint64_t key, uint64_t offset, const char *bytes, size_t size)
{
    size_t right = soak_right(key, offset + talk->received, bytes, size);
    talk->received += size;
    talk->client->books->received += size;
    if (right == size && talk->received <= talk->header.amount)
        return 0;
    return soak_fault(talk->client->soak,
                      "a client got a wrong byte at %llu of %u, the server has cancelled after %u us",
                      (unsigned long long)(talk->received - size + right), talk->header.amount, talk->header.cancel);
}

/* Some bytes by one of the calls that read: how many, 0 at the end. */
cosy_async static int64_t read_some(struct talk *talk, char **ret_bytes)
{
    struct soak_client *client = talk->client;
    size_t size = some(client, 17);
    *ret_bytes = client->in;
    switch (soak_below(&client->random, 3)) {
    case 0:
        return cosy_read_chunk(talk->stream, ret_bytes);
    case 1:
        if (size <= talk->header.amount - talk->received)
            return cosy_readexactly(talk->stream, client->in, size);
        /* fallthrough */
    default:
        return cosy_read(talk->stream, client->in, size);
    }
}

/* To the end of the input; the bytes are those of a key from an offset on. */
cosy_async static int read_all(struct talk *talk, uint64_t key, uint64_t offset)
{
    char *bytes;
    int64_t size;
    while ((size = read_some(talk, &bytes)) > 0) {
        cosy_try(check(talk, key, offset, bytes, (size_t)size));
        if (one_in(talk->client, 8))
            cosy_try(rest_a_while(talk->client));
    }
    return (int)size;
}

cosy_async static int talk_both_ways(struct talk *talk)
{
    return cosy_gather_with((.cancel_rest = true), cosy_call(write_all, talk),
                            cosy_call(read_all, talk, talk->header.key, (uint64_t)0));
}

static int missing(struct talk *talk)
{
    if (talk->received == talk->header.amount)
        return 0;
    return soak_fault(talk->client->soak, "a client got %llu of %u bytes", (unsigned long long)talk->received,
                      talk->header.amount);
}

/* ---- those who behave ---- */

cosy_async static int talk(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, echo_port(client), &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_header(client, 20)};
    cosy_try(talk_both_ways(&talk));
    return missing(&talk);
}

/* Some bytes and their echo, in turn. */
cosy_async static int play(struct talk *talk, unsigned turns)
{
    cosy_try(write_header(talk));
    for (unsigned i = 0; i < turns && talk->sent < talk->header.amount; i++) {
        cosy_try(write_some(talk, SOAK_BUFFER));
        size_t size = talk->sent - talk->received;
        cosy_try(cosy_readexactly(talk->stream, talk->client->in, size));
        cosy_try(check(talk, talk->header.key, 0, talk->client->in, size));
    }
    return 0;
}

cosy_async static int ping_pong(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, echo_port(client), &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_header(client, 20)};
    return play(&talk, some(client, 5));
}

cosy_async static int ask_for_sum(struct soak_client *client)
{
    struct soak_sum answer;
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, SOAK_SUM, &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_header(client, 20)};
    cosy_try(write_all(&talk));
    cosy_try(cosy_readexactly(stream, &answer, sizeof answer));
    if (answer.count != talk.sent || answer.digest != talk.digest)
        return soak_fault(client->soak, "the server got %llu bytes of %llu, or others",
                          (unsigned long long)answer.count, (unsigned long long)talk.sent);
    return 0;
}

/* A piece of the file; the key of the header is where it begins. */
static struct soak_header new_piece(struct soak_client *client)
{
    struct soak_header header = new_header(client, 20);
    header.key %= SOAK_FILE - header.amount;
    return header;
}

cosy_async static int fetch(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, SOAK_SENDFILE, &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_piece(client)};
    cosy_try(write_header(&talk));
    cosy_try(read_all(&talk, SOAK_FILE_KEY, talk.header.key));
    return missing(&talk);
}

static void write_line(struct soak_client *client, char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        line[i] = (char)('a' + soak_below(&client->random, 26));
    line[length] = '\n';
}

cosy_async static int expect_line(struct soak_client *client, cosy_stream *stream, const char *line, size_t length)
{
    char *answer;
    int64_t got = cosy_try(cosy_readline(stream, &answer));
    client->books->received += (size_t)got;
    if ((size_t)got == length && memcmp(answer, line, length) == 0)
        return 0;
    return soak_fault(client->soak, "a client got a line of %lld bytes, and wanted its own of %zu", (long long)got,
                      length);
}

cosy_async static int say_lines(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, SOAK_LINES, &stream));
    for (unsigned count = some(client, 5); count > 0; count--) {
        size_t length = soak_below(&client->random, SOAK_LINE - 1);
        write_line(client, client->out, length);
        cosy_try(cosy_write(stream, client->out, length + 1));
        client->books->sent += length + 1;
        cosy_try(expect_line(client, stream, client->out, length + 1));
    }
    return 0;
}

/* Beyond the limit: "?" for each part that the server dropped, perhaps what was left of the line, and then all is well
 * again. */
cosy_async static int say_too_much(struct soak_client *client)
{
    static const char after[] = "AFTER\n";
    char *answer;
    unsigned dropped = 0;
    cosy_scoped(cosy_stream) stream = NULL;
    size_t length = SOAK_LINE + 1 + soak_below(&client->random, 3 * SOAK_LINE);
    cosy_try(open_port(client, SOAK_LINES, &stream));
    write_line(client, client->out, length++);
    cosy_try(cosy_write(stream, client->out, length));
    cosy_try(cosy_write(stream, after, sizeof after - 1));
    for (;;) {
        int64_t got = cosy_try(cosy_readline(stream, &answer));
        if (strcmp(answer, "?\n") == 0)
            dropped++;
        else if (strcmp(answer, after) == 0)
            break;
        else if ((size_t)got > length || memcmp(client->out + length - got, answer, (size_t)got) != 0 || got == 0)
            return soak_fault(client->soak, "a client got %lld strange bytes after a line of %zu", (long long)got,
                              length);
    }
    return dropped ? 0 : soak_fault(client->soak, "a line of %zu bytes was not refused", length);
}

/* By sockets of the program's own (cosy/sock.h). */
cosy_async static int play_by_socket(struct soak_client *client, int fd)
{
    struct cosy_address address;
    struct talk talk = {.client = client, .header = new_header(client, 16)};
    cosy_address_parse(&address, "127.0.0.1", client->soak->port[SOAK_ECHO]);
    cosy_try(cosy_sock_connect(fd, &address));
    cosy_try(cosy_sock_sendall(fd, &talk.header, sizeof talk.header, NULL));
    soak_fill(talk.header.key, 0, client->out, talk.header.amount);
    cosy_try(cosy_sock_sendall(fd, client->out, talk.header.amount, NULL));
    client->books->sent += talk.header.amount;
    shutdown(fd, SHUT_WR);
    for (int got = 1; got > 0;) {
        got = cosy_try(cosy_sock_recv(fd, client->in, some(client, 17)));
        cosy_try(check(&talk, talk.header.key, 0, client->in, (size_t)got));
    }
    return missing(&talk);
}

cosy_async static int use_socket(struct soak_client *client)
{
    client->books->connections++;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = play_by_socket(client, fd);
    close(fd);
    return result;
}

/* ---- those who do not ---- */

/* In the middle of the header, of the bytes, or of what comes back: closed, or reset in one of two ways. */
cosy_async static int leave_in_the_middle(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, echo_port(client), &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_header(client, 20)};
    if (one_in(client, 4))
        cosy_try(cosy_write(stream, &talk.header, soak_below(&client->random, sizeof talk.header)));
    else
        cosy_try(play(&talk, soak_below(&client->random, 5)));
    if (talk.sent && one_in(client, 2))
        cosy_try(write_some(&talk, talk.header.amount));
    client->books->torn++;
    if (one_in(client, 3)) {
        cosy_stream_abort(stream);
    } else if (one_in(client, 2)) {
        struct linger at_once = {.l_onoff = 1};
        cosy_stream_setsockopt(stream, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    return 0;
}

cosy_async static int leave_the_file(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, SOAK_SENDFILE, &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_piece(client)};
    cosy_try(write_header(&talk));
    int64_t got = cosy_try(cosy_read(stream, client->in, some(client, 17)));
    client->books->torn++;
    return check(&talk, SOAK_FILE_KEY, talk.header.key, client->in, (size_t)got);
}

cosy_async static int write_on(struct talk *talk)
{
    while (talk->sent < talk->header.amount)
        cosy_try(write_some(talk, SOAK_BUFFER));
    return 0;
}

cosy_async static int write_without_end(struct talk *talk)
{
    cosy_try(write_header(talk));
    return write_on(talk);
}

/* Writes until nothing goes any more, for it never reads. */
cosy_async static int be_deaf(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, echo_port(client), &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_header(client, 10)};
    talk.header.amount = UINT32_MAX;
    int result = cosy_wait_for(cosy_call(write_without_end, &talk), COSY_US(some(client, 15)));
    client->books->torn++;
    if (one_in(client, 2))
        cosy_stream_abort(stream);
    return result == -ETIMEDOUT ? 0 : result;
}

cosy_async static int be_mute(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, (enum soak_port)soak_below(&client->random, SOAK_PORTS), &stream));
    client->books->torn++;
    return cosy_sleep(COSY_US(some(client, 13)));
}

/* The server cancels its handler: what comes is the beginning of what would have come. */
cosy_async static int be_cut(struct soak_client *client)
{
    int result;
    cosy_scoped(cosy_stream) stream = NULL;
    bool file = one_in(client, 3);
    cosy_try(open_port(client, file ? SOAK_SENDFILE : echo_port(client), &stream));
    struct talk talk = {
        .client = client, .stream = stream, .header = file ? new_piece(client) : new_header(client, 20)};
    talk.header.cancel = some(client, 13);
    if (file) {
        result = write_header(&talk);
        result = result < 0 ? result : read_all(&talk, SOAK_FILE_KEY, talk.header.key);
    } else
        result = talk_both_ways(&talk);
    bool torn = is_tear(result) || (result == 0 && talk.received < talk.header.amount);
    client->books->torn += torn;
    return torn ? 0 : result;
}

/* ---- one of them ---- */

cosy_async static int be_cancelled(struct soak_client *client);

static const struct kind {
    const char *name;
    int (*run)(struct soak_client *client);
} kinds[] = {
    {"talk", talk},
    {"ping-pong", ping_pong},
    {"sum", ask_for_sum},
    {"file", fetch},
    {"lines", say_lines},
    {"socket", use_socket},
    {"long line", say_too_much},
    {"leaves", leave_in_the_middle},
    {"leaves file", leave_the_file},
    {"deaf", be_deaf},
    {"mute", be_mute},
    {"cut by server", be_cut},
    {"cancelled", be_cancelled},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], BEHAVING = 7, CANCELLABLE = KINDS - 1 };

const char *soak_kind_name(unsigned kind)
{
    return kind < KINDS ? kinds[kind].name : NULL;
}

/* Any of the others, cancelled at a random moment, by one cancel or two. */
static int be_cancelled(struct soak_client *client)
{
    const struct kind *kind = &kinds[soak_below(&client->random, CANCELLABLE)];
    cosy_ns moment = COSY_US(some(client, 13)), again = one_in(client, 4) ? COSY_US(some(client, 8)) : 0;
    cosy_scoped(cosy_task) task = cosy_create_task_with((.name = kind->name), kind->run, client);
    int result = cosy_sleep(moment);
    cosy_task_cancel(task);
    if (again && result == 0) {
        result = cosy_sleep(again);
        cosy_task_cancel(task);
    }
    int outcome = cosy_await(task);
    if (result < 0)
        return result;
    client->books->cancelled += outcome == -ECANCELED;
    return outcome == -ECANCELED && cosy_task_cancelling(cosy_current_task()) == 0 ? 0 : outcome;
}

int soak_one_client(struct soak_client *client)
{
    unsigned kind = soak_below(&client->random, KINDS);
    client->books->kinds[kind]++;
    int result = kinds[kind].run(client);
    client->books->survived += result == 0 && kind < BEHAVING;
    if (result < 0 && result != -EBADMSG && result != -ECANCELED)
        return soak_fault(client->soak, "client '%s' came to %s: %s", kinds[kind].name, cosy_errname(result),
                          cosy_error_message(result));
    return result < 0 ? result : 0;
}

/* Idle, busy or deaf, until its server goes away. */
cosy_async static int stay_on(struct talk *talk, unsigned manner)
{
    cosy_try(play(talk, 1));
    talk->client->books->staying++;
    if (manner == 0)
        return (int)cosy_read(talk->stream, talk->client->in, 1);
    if (manner == 1)
        return write_on(talk);
    for (;;) {
        cosy_try(write_some(talk, SOAK_BUFFER));
        size_t size = talk->sent - talk->received;
        cosy_try(cosy_readexactly(talk->stream, talk->client->in, size));
        cosy_try(check(talk, talk->header.key, 0, talk->client->in, size));
    }
}

int soak_stay(struct soak_client *client)
{
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(open_port(client, echo_port(client), &stream));
    struct talk talk = {.client = client, .stream = stream, .header = new_header(client, 10)};
    talk.header.amount = UINT32_MAX;
    int result = stay_on(&talk, soak_below(&client->random, 3));
    if ((is_tear(result) || result == 0) && atomic_load(&client->soak->drain))
        return 0;
    return result == -EBADMSG ? result
                              : soak_fault(client->soak, "a client that stays came to %s", cosy_errname(result));
}
