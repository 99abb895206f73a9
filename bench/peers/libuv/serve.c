/* libuv serve MODE PORT: callbacks, uv_try_write first and uv_write for the rest. The wire: bench/net/README.md. */
#include "serve.h"
#include "../../net/serve.h"

#include <uv.h>

/* One connection. `partial` bytes of the next header, message or request stand in `carry`. */
struct peer {
    uv_tcp_t tcp;
    void (*take)(struct peer *self, char *bytes, size_t count);
    void (*end)(struct peer *self); /* the other side has ended its stream */
    struct peer *far;               /* forward: the other half of the pair */
    uv_shutdown_t shutdown;
    uv_connect_t connect;
    size_t size, partial;
    unsigned char *carry;
    uint64_t count;
    bool ended;
};

struct rest {
    uv_write_t request;
    struct peer *reader; /* forward: whoever waits until this is written */
    char bytes[];
};

static char input[NET_CHUNK], output[2 * NET_CHUNK];
static size_t output_used;
static int far_port;
static void (*set_up)(struct peer *);

static void closed(uv_handle_t *handle)
{
    struct peer *self = (struct peer *)handle;
    free(self->carry);
    free(self);
}

static void peer_close(struct peer *self)
{
    if (!uv_is_closing((uv_handle_t *)&self->tcp))
        uv_close((uv_handle_t *)&self->tcp, closed);
}

static void give_input(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle;
    (void)size;
    *buffer = uv_buf_init(input, sizeof input);
}

static void arrived(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct peer *self = (struct peer *)stream;
    if (count > 0)
        self->take(self, buffer->base, (size_t)count);
    else if (count < 0)
        self->end(self);
}

static void rest_written(uv_write_t *request, int status)
{
    struct rest *rest = (struct rest *)request;
    if (status == 0 && rest->reader && !uv_is_closing((uv_handle_t *)&rest->reader->tcp) && !rest->reader->ended)
        uv_read_start((uv_stream_t *)&rest->reader->tcp, give_input, arrived);
    free(rest);
}

/* True: all of it is gone already. */
static bool peer_send(struct peer *self, const void *bytes, size_t size, struct peer *reader)
{
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)size);
    int done = uv_try_write((uv_stream_t *)&self->tcp, &buffer, 1);
    if (done == (int)size)
        return true;
    size_t sent = done < 0 ? 0 : (size_t)done;
    struct rest *rest = bench_need(malloc(sizeof *rest + size - sent));
    rest->reader = reader;
    memcpy(rest->bytes, (const char *)bytes + sent, size - sent);
    buffer = uv_buf_init(rest->bytes, (unsigned)(size - sent));
    uv_write(&rest->request, (uv_stream_t *)&self->tcp, &buffer, 1, rest_written);
    return false;
}

static void echo_take(struct peer *self, char *bytes, size_t count)
{
    peer_send(self, bytes, count, NULL);
}

static void set_up_echo(struct peer *self)
{
    self->take = echo_take;
}

/* Adds to `carry` until it has `wanted` bytes; returns how many it took. */
static size_t fill(struct peer *self, const char *bytes, size_t count, size_t wanted)
{
    size_t piece = count < wanted - self->partial ? count : wanted - self->partial;
    memcpy(self->carry + self->partial, bytes, piece);
    self->partial += piece;
    return piece;
}

static size_t take_header(struct peer *self, const char *bytes)
{
    self->size = net_read_size((const unsigned char *)bytes); /* comes in one piece */
    self->carry = bench_need(malloc(self->size));
    return NET_HEADER;
}

static void split(struct peer *self, const char *bytes, size_t count, void (*message)(struct peer *, const void *))
{
    size_t used = self->size ? 0 : take_header(self, bytes);
    if (self->partial) {
        used += fill(self, bytes + used, count - used, self->size);
        if (self->partial < self->size)
            return;
        self->partial = 0;
        message(self, self->carry);
    }
    for (; count - used >= self->size; used += self->size)
        message(self, bytes + used);
    fill(self, bytes + used, count - used, self->size);
}

static void answer_message(struct peer *self, const void *message)
{
    memcpy(output + output_used, message, self->size);
    output_used += self->size;
}

static void pipelined_take(struct peer *self, char *bytes, size_t count)
{
    split(self, bytes, count, answer_message);
    if (output_used)
        peer_send(self, output, output_used, NULL);
    output_used = 0;
}

static void set_up_pipelined(struct peer *self)
{
    self->take = pipelined_take;
}

static void count_message(struct peer *self, const void *message)
{
    (void)message;
    self->count++;
}

static void sink_take(struct peer *self, char *bytes, size_t count)
{
    split(self, bytes, count, count_message);
}

static void sink_end(struct peer *self)
{
    unsigned char answer[8];
    for (int i = 0; i < 8; i++)
        answer[i] = (unsigned char)(self->count >> 8 * i);
    peer_send(self, answer, sizeof answer, NULL);
    peer_close(self);
}

static void set_up_sink(struct peer *self)
{
    self->take = sink_take;
    self->end = sink_end;
}

static void source_send(struct peer *self);

static void source_written(uv_write_t *request, int status)
{
    struct peer *self = request->data;
    free(request);
    if (status == 0)
        source_send(self);
    else
        peer_close(self);
}

/* As one who writes little messages with libuv does: each is copied behind the others, and a chunk of them is sent. */
static void source_send(struct peer *self)
{
    uv_write_t *request = bench_need(malloc(sizeof *request));
    size_t used = 0;
    do {
        memcpy(self->carry + used, output, self->size);
        used += self->size;
    } while (used + self->size <= NET_CHUNK);
    uv_buf_t buffer = uv_buf_init((char *)self->carry, (unsigned)used);
    request->data = self;
    uv_write(request, (uv_stream_t *)&self->tcp, &buffer, 1, source_written);
}

static void source_take(struct peer *self, char *bytes, size_t count)
{
    (void)count;
    take_header(self, bytes);
    for (size_t i = 0; i < self->size; i++)
        output[i] = (char)i;
    free(self->carry);
    self->carry = bench_need(malloc(NET_CHUNK));
    source_send(self);
}

static void set_up_source(struct peer *self)
{
    self->take = source_take;
}

static void request_take(struct peer *self, char *bytes, size_t count)
{
    fill(self, bytes, count, NET_REQUEST);
    if (self->partial < NET_REQUEST)
        return;
    peer_send(self, self->carry, NET_REQUEST, NULL);
    peer_close(self);
}

static void set_up_accept(struct peer *self)
{
    self->carry = bench_need(malloc(NET_REQUEST));
    self->take = request_take;
}

static void work_take(struct peer *self, char *bytes, size_t count)
{
    fill(self, bytes, count, NET_REQUEST);
    if (self->partial < NET_REQUEST)
        return;
    self->partial = 0;
    net_answer_work(self->carry);
    peer_send(self, self->carry, NET_REQUEST, NULL);
}

static void set_up_work(struct peer *self)
{
    self->carry = bench_need(malloc(NET_REQUEST));
    self->take = work_take;
}

/* A side is read no further until the other side has taken what came. */
static void forward_take(struct peer *self, char *bytes, size_t count)
{
    if (!peer_send(self->far, bytes, count, self))
        uv_read_stop((uv_stream_t *)&self->tcp);
}

static void forward_shut_down(uv_shutdown_t *request, int status)
{
    (void)status;
    struct peer *near = request->data;
    if (near->ended && near->far->ended) {
        peer_close(near->far);
        peer_close(near);
    }
}

static void forward_end(struct peer *self)
{
    self->ended = true;
    uv_read_stop((uv_stream_t *)&self->tcp);
    self->shutdown.data = self;
    if (uv_shutdown(&self->shutdown, (uv_stream_t *)&self->far->tcp, forward_shut_down) < 0)
        forward_shut_down(&self->shutdown, 0);
}

static void far_connected(uv_connect_t *request, int status)
{
    struct peer *far = request->data;
    if (status < 0) {
        peer_close(far->far);
        peer_close(far);
        return;
    }
    uv_read_start((uv_stream_t *)&far->tcp, give_input, arrived);
    uv_read_start((uv_stream_t *)&far->far->tcp, give_input, arrived);
}

static struct peer *peer_new(void)
{
    struct peer *self = bench_need(calloc(1, sizeof *self));
    uv_tcp_init(uv_default_loop(), &self->tcp);
    self->end = peer_close;
    return self;
}

static void set_up_forward(struct peer *self)
{
    struct sockaddr_in address = net_address(far_port);
    struct peer *far = peer_new();
    self->far = far;
    far->far = self;
    self->take = far->take = forward_take;
    self->end = far->end = forward_end;
    far->connect.data = far;
    uv_tcp_nodelay(&far->tcp, 1);
    uv_read_stop((uv_stream_t *)&self->tcp);
    uv_tcp_connect(&far->connect, &far->tcp, (const struct sockaddr *)&address, far_connected);
}

static void connection_came(uv_stream_t *server, int status)
{
    struct peer *self = status < 0 ? NULL : peer_new();
    if (!self)
        return;
    if (uv_accept(server, (uv_stream_t *)&self->tcp) < 0) {
        peer_close(self);
        return;
    }
    uv_tcp_nodelay(&self->tcp, 1);
    if (set_up != set_up_forward)
        uv_read_start((uv_stream_t *)&self->tcp, give_input, arrived);
    set_up(self);
}

static bool udp_is_sink;

static void datagram_came(uv_udp_t *udp, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *from,
                          unsigned flags)
{
    (void)flags;
    static uint64_t counted;
    if (!from || count < 0)
        return;
    counted++;
    uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)count);
    if (udp_is_sink) {
        if (buffer->base[0] != 1)
            return;
        for (int i = 0; i < 8; i++)
            output[i] = (char)(counted >> 8 * i);
        answer = uv_buf_init(output, 8);
    }
    uv_udp_try_send(udp, &answer, 1, from);
}

static void check(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
        exit(1);
    }
}

static void open_udp(int port)
{
    static uv_udp_t udp;
    struct sockaddr_in address = net_address(port);
    uv_udp_init(uv_default_loop(), &udp);
    check(uv_udp_bind(&udp, (const struct sockaddr *)&address, 0), "uv_udp_bind");
    check(uv_udp_recv_start(&udp, give_input, datagram_came), "uv_udp_recv_start");
}

static void open_tcp(int port)
{
    static uv_tcp_t server;
    struct sockaddr_in address = net_address(port);
    uv_tcp_init(uv_default_loop(), &server);
    check(uv_tcp_bind(&server, (const struct sockaddr *)&address, 0), "uv_tcp_bind");
    check(uv_listen((uv_stream_t *)&server, NET_BACKLOG, connection_came), "uv_listen");
}

int serve(const char *mode, int port)
{
    static const struct {
        const char *name;
        void (*set_up)(struct peer *);
    } modes[] = {{"echo", set_up_echo}, {"idle", set_up_echo},      {"pipelined", set_up_pipelined},
                 {"sink", set_up_sink}, {"source", set_up_source},  {"accept", set_up_accept},
                 {"work", set_up_work}, {"forward", set_up_forward}};
    far_port = port + 1;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, mode) == 0)
            set_up = modes[i].set_up;
    udp_is_sink = strcmp(mode, "udp_sink") == 0;
    bool udp = udp_is_sink || strcmp(mode, "udp_echo") == 0;
    if ((!set_up && !udp) || (strcmp(mode, "work") == 0 && net_workers() > 1))
        return bench_not_applicable(mode);
    if (udp)
        open_udp(port);
    else
        open_tcp(port);
    net_ready();
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
