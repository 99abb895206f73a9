/* TLS on a network that tears, cancelled at each wait, and with bytes that are changed on their way. All on simulated
 * time. */
#include "tls_test.h"

enum { SENT = 40000 };

static struct world world;
static char *sent;

/* ---- a conversation ---- */

struct talk {
    cosy_stream *ends[2];
    size_t got[2];   /* by client, server */
    int shaken[2];   /* 1: the handshake is done */
    int64_t last[2]; /* how reading ended; 1: it did not */
    bool torn, ends_when_cancelled;
};

/* A cancelled write has taken everything: it is not made again. */
cosy_async static int say_all(cosy_stream *stream)
{
    int result = 0;
    for (size_t at = 0, size = 1; at < SENT && (result == 0 || result == -ECANCELED); at += size) {
        size = 1 + (size * 7 + at) % 9001;
        size = size < SENT - at ? size : SENT - at;
        struct iovec parts[2] = {{sent + at, size / 2}, {sent + at + size / 2, size - size / 2}};
        result = size % 3 ? cosy_write(stream, sent + at, size) : cosy_writev(stream, parts, 2);
    }
    if (result == 0 || result == -ECANCELED)
        result = cosy_write_eof(stream);
    return result == -ECANCELED ? cosy_flush(stream) : result;
}

/* A cancelled read has taken nothing: it is made again. */
cosy_async static void hear_all(struct talk *talk, int side)
{
    char *chunk;
    for (;;) {
        int64_t got = talk->last[side] = cosy_read_chunk(talk->ends[side], &chunk);
        if (got == -ECANCELED && !talk->ends_when_cancelled)
            continue;
        if (got <= 0)
            return;
        cosy_test_expect(talk->got[side] + (size_t)got <= SENT);
        cosy_test_expect(memcmp(chunk, sent + talk->got[side], (size_t)got) == 0);
        talk->got[side] += (size_t)got;
    }
}

cosy_async static int client_side(struct talk *talk)
{
    int result = cosy_start_tls(talk->ends[0], world.for_client, .server_hostname = "example.test");
    talk->shaken[0] = result == 0;
    if (result == 0)
        result = say_all(talk->ends[0]);
    if (talk->shaken[0])
        hear_all(talk, 0);
    int closed = cosy_stream_close(talk->ends[0]);
    return result < 0 ? result : closed;
}

cosy_async static int server_side(struct talk *talk)
{
    int result = cosy_start_tls(talk->ends[1], world.for_server, .server_side = true);
    talk->shaken[1] = result == 0;
    if (talk->shaken[1])
        hear_all(talk, 1);
    if (result == 0)
        result = say_all(talk->ends[1]);
    int closed = cosy_stream_close(talk->ends[1]);
    return result < 0 ? result : closed;
}

static void make_network(bool torn)
{
    cosy_test_expect(cosy_test_network(.torn_reads = torn, .short_writes = torn, .again_per_million = torn ? 100000 : 0,
                                       .latency = torn ? COSY_MS(1) : 0) == 0);
}

cosy_async static int converse(struct talk *talk)
{
    make_network(talk->torn);
    cosy_test_expect(cosy_stream_pair(talk->ends) == 0);
    talk->last[0] = talk->last[1] = 1;
    cosy_scoped(cosy_task) client = cosy_create_task(client_side, talk);
    int served = server_side(talk);
    int asked = cosy_await(client);
    /* One that was cancelled in the handshake cuts the other's. Else all has arrived, and the end too. */
    for (int side = 0; side < 2; side++)
        if (talk->shaken[0] && talk->shaken[1])
            cosy_test_expect(talk->got[side] == SENT && talk->last[side] == 0);
    bool cut = !talk->shaken[0] || !talk->shaken[1];
    return served == -ECANCELED || asked == -ECANCELED ? -ECANCELED : cut ? -ECANCELED : served < 0 ? served : asked;
}

START_TEST(on_a_network_that_tears)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = under_valgrind() ? 2 : under_tool() ? 5 : 20)
    {
        struct talk talk = {.torn = true};
        cosy_test_expect(cosy_test_run(converse, &talk) == 0);
    }
    ck_assert_msg(err >= 0, "%s", cosy_errname(err));
}
END_TEST

static void cancel_each_wait_of(const char *task, bool torn)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = 1, .cancel_each_wait = !under_tool(), .cancel_one_in = under_tool() ? 15 : 0,
                      .cancel_task = task)
    {
        struct talk talk = {.torn = torn};
        (void)cosy_test_run(converse, &talk);
    }
    ck_assert_msg(err >= 0, "%s: %s", task, cosy_errname(err));
}

START_TEST(each_wait_of_the_client_is_cancelled)
{
    cancel_each_wait_of("client_side", false);
    cancel_each_wait_of("client_side", true);
}
END_TEST

START_TEST(each_wait_of_the_server_is_cancelled)
{
    cancel_each_wait_of("converse", false);
    cancel_each_wait_of("converse", true);
}
END_TEST

/* ---- with all that belongs to it: connecting, accepting, handlers ---- */

cosy_async static int echo(cosy_stream *stream, int *served)
{
    int64_t size;
    ++*served;
    COSY_CHUNKS (stream, chunk, size)
        cosy_try(cosy_write(stream, chunk, (size_t)size));
    return (int)size;
}

cosy_async static int be_a_client(unsigned port)
{
    char answer[5];
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection("127.0.0.1", port, &stream, .tls = world.for_client));
    cosy_try(cosy_write(stream, "hello", 5));
    cosy_try(cosy_readexactly(stream, answer, 5));
    cosy_test_expect(memcmp(answer, "hello", 5) == 0);
    return 0;
}

cosy_async static int serve_a_client(int *served)
{
    cosy_scoped(cosy_server) server = NULL;
    make_network(true);
    cosy_try(cosy_start_server(&server, echo, served, "127.0.0.1", 0, .tls = world.for_server));
    int result = be_a_client(cosy_server_port(server));
    int drained = cosy_server_drain(server, COSY_S(100), COSY_S(1));
    return result < 0 ? result : drained;
}

START_TEST(each_wait_of_a_server_and_its_client_is_cancelled)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = 2, .cancel_each_wait = !under_tool(), .cancel_one_in = under_tool() ? 15 : 0,
                      .any_result = true)
    {
        int served = 0;
        int result = cosy_test_run(serve_a_client, &served);
        cosy_test_expect(result == 0 || result == -ECANCELED || result == -COSY_ETRUNCATED ||
                         result == -COSY_EINCOMPLETE || result == -ECONNRESET || result == -EPIPE);
    }
    ck_assert_msg(err >= 0, "%s", cosy_errname(err));
}
END_TEST

/* ---- somebody in the middle ---- */

enum harm { PASSES, FLIPS, CUTS, INSERTS, DROPS, REPEATS, RESETS, HARMS };

struct middle {
    cosy_stream *from, *to;
    enum harm harm;
    size_t at; /* the byte that it is done to */
    bool done;
};

/* What comes, in pieces; at one place something is done to it. */
cosy_async static int carry(struct middle *middle)
{
    char *chunk;
    int64_t size;
    size_t passed = 0;
    while ((size = cosy_read_chunk(middle->from, &chunk)) > 0) {
        size_t here = middle->at - passed;
        bool hit = !middle->done && middle->harm != PASSES && passed + (size_t)size > middle->at;
        middle->done |= hit;
        passed += (size_t)size;
        if (!hit) {
            cosy_try(cosy_write(middle->to, chunk, (size_t)size));
            continue;
        }
        if (middle->harm == FLIPS)
            chunk[here] ^= (char)(1 << cosy_test_random() % 8);
        cosy_try(cosy_write(middle->to, chunk, here));
        if (middle->harm == CUTS)
            break;
        if (middle->harm == RESETS) {
            cosy_stream_abort(middle->to);
            return 0;
        }
        if (middle->harm == INSERTS)
            cosy_try(cosy_write(middle->to, "GET / HTTP/1.1\r\n", 1 + cosy_test_random() % 16));
        if (middle->harm == REPEATS)
            cosy_try(cosy_write(middle->to, chunk, here));
        size_t skipped = here + (middle->harm == DROPS);
        cosy_try(cosy_write(middle->to, chunk + skipped, (size_t)size - skipped));
    }
    return cosy_write_eof(middle->to);
}

struct attack {
    struct talk talk;
    struct middle middles[2]; /* from client to server, and back */
};

/* What it cannot carry any more is not its fault. */
cosy_async static int carrier(struct middle *middle)
{
    (void)carry(middle);
    return 0;
}

cosy_async static int attack(struct attack *attack)
{
    cosy_stream *client[2], *server[2];
    make_network(cosy_test_random() % 2);
    cosy_test_expect(cosy_stream_pair(client) == 0 && cosy_stream_pair(server) == 0);
    attack->talk.ends[0] = client[0];
    attack->talk.ends[1] = server[1];
    attack->talk.last[0] = attack->talk.last[1] = 1;
    attack->talk.ends_when_cancelled = true;
    attack->middles[0].from = attack->middles[1].to = client[1];
    attack->middles[0].to = attack->middles[1].from = server[0];
    cosy_scoped(cosy_task) there = cosy_create_task(carrier, &attack->middles[0]);
    cosy_scoped(cosy_task) back = cosy_create_task(carrier, &attack->middles[1]);
    cosy_scoped(cosy_task) asking = cosy_create_task(client_side, &attack->talk);
    cosy_scoped(cosy_task) serving = cosy_create_task(server_side, &attack->talk);
    (void)cosy_wait_for(asking, COSY_S(200)); /* a length that was changed is waited for */
    (void)cosy_wait_for(serving, COSY_S(200));
    cosy_stream_abort(client[1]);
    cosy_stream_abort(server[0]);
    (void)cosy_await(there);
    (void)cosy_await(back);
    cosy_stream_close(client[1]);
    cosy_stream_close(server[0]);
    return 0;
}

/* Whatever is done to the bytes: what is read was written, and the end is told only behind all of it. */
static void check_attack(struct attack *attack)
{
    for (int side = 0; side < 2; side++)
        if (attack->talk.last[side] == 0)
            cosy_test_expect(attack->talk.got[side] == SENT);
    bool unharmed = attack->middles[0].harm == PASSES && attack->middles[1].harm == PASSES;
    if (unharmed)
        cosy_test_expect(attack->talk.last[0] == 0 && attack->talk.last[1] == 0);
}

START_TEST(bytes_that_are_changed_cut_and_added)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = under_valgrind() ? 12 : under_tool() ? 40 : 200, .unwatched = true)
    {
        struct attack attack_made = {.middles = {{.harm = PASSES}, {.harm = PASSES}}};
        unsigned way = (unsigned)(cosy_test_random() % 2);
        attack_made.middles[way].harm = (enum harm)(cosy_test_random() % HARMS);
        attack_made.middles[way].at = cosy_test_random() % (cosy_test_random() % 3 ? 2000 : SENT);
        int result = cosy_test_run(attack, &attack_made);
        cosy_test_expect(result == 0);
        check_attack(&attack_made);
    }
    ck_assert_msg(err >= 0, "%s", cosy_errname(err));
}
END_TEST

/* ---- anything at all ---- */

struct noise {
    cosy_stream *ends[2];
    unsigned char bytes[600];
    size_t size;
    bool server_side;
};

/* Some of it looks like the beginning of a record. */
static void make_noise(struct noise *noise)
{
    static const unsigned char header[] = {22, 3, 1, 0};
    noise->size = 1 + cosy_test_random() % sizeof noise->bytes;
    for (size_t i = 0; i < noise->size; i++)
        noise->bytes[i] = (unsigned char)cosy_test_random();
    if (cosy_test_random() % 2)
        memcpy(noise->bytes, header, noise->size < sizeof header ? noise->size : sizeof header);
    noise->server_side = cosy_test_random() % 2;
}

cosy_async static int make_it(struct noise *noise)
{
    cosy_try(cosy_write(noise->ends[1], noise->bytes, noise->size));
    return cosy_write_eof(noise->ends[1]);
}

cosy_async static int hear_noise(struct noise *noise)
{
    make_network(cosy_test_random() % 2);
    cosy_test_expect(cosy_stream_pair(noise->ends) == 0);
    cosy_scoped(cosy_task) maker = cosy_create_task(make_it, noise);
    int result = cosy_start_tls(noise->ends[0], noise->server_side ? world.for_server : world.for_client,
                                .server_side = noise->server_side, .server_hostname = "example.test");
    cosy_test_expect(result == -COSY_ETLS || result == -COSY_ETRUNCATED);
    (void)cosy_await(maker);
    cosy_stream_close(noise->ends[0]);
    cosy_stream_close(noise->ends[1]);
    return 0;
}

START_TEST(noise_is_refused)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = under_valgrind() ? 20 : under_tool() ? 60 : 400, .unwatched = true)
    {
        struct noise noise;
        make_noise(&noise);
        (void)cosy_test_run(hear_noise, &noise);
    }
    ck_assert_msg(err >= 0, "%s", cosy_errname(err));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {on_a_network_that_tears,
                                  each_wait_of_the_client_is_cancelled,
                                  each_wait_of_the_server_is_cancelled,
                                  each_wait_of_a_server_and_its_client_is_cancelled,
                                  bytes_that_are_changed_cut_and_added,
                                  noise_is_refused};
    sent = numbered(SENT);
    make_world(&world);
    /* Sessions from before would make one run differ from the next. */
    must(cosy_tls_context_replace(world.for_client, .ca_pem = world.authority.pem, .no_tickets = true) == 0);
    int result = cosy_test_main("tls.torn", tests, sizeof tests / sizeof *tests);
    end_world(&world);
    free(sent);
    return result;
}
