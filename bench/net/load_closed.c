/*
 * echo, pipelined, work: `depth` messages are under way on each connection; for each that comes back whole, the next is
 * sent. What has come back in one read is answered by one write.
 */
#include "load.h"

/*
 * Invariants: `stamps` is a ring of `depth` times, one for each message under way, the oldest at `oldest`. `unsent`
 * bytes of those messages are still here, and `sent` says how far into a message the next of them lies.
 */
struct session {
    struct watch watch;
    bool blocked; /* waits for room in the socket too */
    int oldest;
    size_t received; /* of the message that is coming in */
    size_t unsent, sent;
    uint64_t *stamps;
};

const struct load_upstream *load_upstream;
static struct session *sessions;
static unsigned char *messages; /* depth + 1 of them, so that any piece of `unsent` bytes is contiguous */
static unsigned char scratch[256 * 1024];

static void send_more(struct session *session)
{
    while (session->unsent) {
        ssize_t count = send(session->watch.fd, messages + session->sent, session->unsent, 0);
        if (load_would_block(count))
            break;
        session->unsent -= (size_t)count;
        session->sent = (session->sent + (size_t)count) % load.size;
    }
    bool blocked = session->unsent > 0;
    if (blocked != session->blocked)
        load_rewatch(&session->watch, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    session->blocked = blocked;
}

static void receive(struct session *session)
{
    ssize_t count = recv(session->watch.fd, scratch, sizeof scratch, 0);
    if (load_would_block(count))
        return;
    errno = 0;
    if (count == 0)
        load_fail("the server closed the connection");
    uint64_t now = load_clock_ns();
    for (session->received += (size_t)count; session->received >= load.size; session->received -= load.size) {
        histogram_add(&load.latency, now - session->stamps[session->oldest]);
        session->stamps[session->oldest] = now;
        session->oldest = session->oldest + 1 == load.depth ? 0 : session->oldest + 1;
        session->unsent += load.size;
        load.done++;
    }
}

static void ready(struct watch *watch, uint32_t events)
{
    struct session *session = (struct session *)(void *)watch;
    if (events & ~(uint32_t)EPOLLOUT)
        receive(session);
    send_more(session);
}

static void open_session(struct session *session, const unsigned char *answer)
{
    unsigned char header[NET_HEADER], *got = bench_need(malloc(load.size));
    session->watch = (struct watch){.ready = ready, .fd = load_connect(load.port)};
    session->stamps = bench_need(calloc((size_t)load.depth, sizeof *session->stamps));
    if (load_upstream)
        load_upstream->accept();
    if (strcmp(load.mode, "pipelined") == 0) {
        net_write_size(header, (uint32_t)load.size);
        load_write_all(session->watch.fd, header, sizeof header);
    }
    load_write_all(session->watch.fd, messages, load.size);
    if (load_upstream)
        load_upstream->answer();
    load_read_all(session->watch.fd, got, load.size);
    errno = 0;
    if (memcmp(got, answer, load.size) != 0)
        load_fail("the answer is not what it must be");
    free(got);
    load_set_nonblocking(session->watch.fd);
    load_watch(&session->watch, EPOLLIN);
}

void load_open_sessions(void)
{
    sessions = bench_need(calloc((size_t)load.connections, sizeof *sessions));
    unsigned char *answer = load_pattern(load.size);
    bool work = strcmp(load.mode, "work") == 0;
    if (work) {
        load.size = NET_REQUEST;
        net_write_size(answer, load.rounds);
    }
    messages = bench_need(malloc(load.size * ((size_t)load.depth + 1)));
    for (int i = 0; i <= load.depth; i++)
        memcpy(messages + load.size * (size_t)i, answer, load.size);
    if (work)
        net_answer_work(answer);
    for (int i = 0; i < load.connections; i++)
        open_session(&sessions[i], answer);
    free(answer);
    for (int i = 0; i < load.connections; i++) {
        for (int k = 0; k < load.depth; k++)
            sessions[i].stamps[k] = load_clock_ns();
        sessions[i].unsent = load.size * (size_t)load.depth;
        send_more(&sessions[i]);
    }
}

const struct load_mode load_closed_loop_modes[3] = {
    {.name = "echo", .open = load_open_sessions},
    {.name = "pipelined", .open = load_open_sessions},
    {.name = "work", .open = load_open_sessions},
};
