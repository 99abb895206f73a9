/* stream.c - a stream that speaks TLS: the kind, which tries to receive and to send and never waits. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <openssl/err.h>
#include <string.h>

#include "../base/heap.h"
#include "../loop/buffers.h"

enum { RECORD = SSL3_RT_MAX_PLAIN_LENGTH };

int cosy_tls_outcome(struct cosy_tls *tls, int ret)
{
    switch (SSL_get_error(tls->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        tls->read_wants = COSY_PORT_READ;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        tls->read_wants = COSY_PORT_WRITE;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        if (!tls->below_ended || tls->setup->ragged)
            return 0;
        break;
    default:
        break;
    }
    return cosy_tls_failed(tls);
}

/* Each call of OpenSSL begins without errors of others, and of an earlier wire. */
static void begin(struct cosy_tls *tls)
{
    ERR_clear_error();
    tls->wire_error = 0;
}

/* OpenSSL wants many times the stack that a task touches while it waits, and what was touched once stays. So it runs on
 * the loop's. */
struct call {
    cosy_stream *stream;
    void *buffer;
    size_t size;
    const struct iovec *parts;
    int count, result;
};

/* ---- receiving ---- */

static void receive(void *arg)
{
    struct call *call = arg;
    struct cosy_tls *tls = call->stream->carrier;
    size_t total = 0, got;
    begin(tls);
    do {
        int ret = SSL_read_ex(tls->ssl, (char *)call->buffer + total, call->size - total, &got);
        if (ret <= 0) {
            int result = cosy_tls_outcome(tls, ret);
            call->result = total > 0 ? (int)total : result; /* an error, or the end, will be told again */
            return;
        }
        total += got;
    } while (total < call->size && SSL_has_pending(tls->ssl));
    call->result = (int)total;
}

static int tls_receive(cosy_stream *stream, void *buffer, size_t size)
{
    struct cosy_tls *tls = stream->carrier;
    struct call call = {.stream = stream, .buffer = buffer, .size = size < INT32_MAX ? size : INT32_MAX};
    if (unlikely(tls->failed))
        return tls->failed;
    cosy_on_big_stack(receive, &call);
    return call.result;
}

/* The peer's goodbye, and a failure, may have come with the last data. */
static bool tls_holds(const cosy_stream *stream)
{
    struct cosy_tls *tls = stream->carrier;
    return tls->rest || SSL_has_pending(tls->ssl) || tls->failed ||
           (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) ||
           (tls->below->holds && COSY_TLS_BELOW(tls, tls->below->holds(stream)));
}

/* ---- sending ---- */

/* The beginning of little pieces, as one record; NULL: no memory, and *ret_size is 0. */
static char *gather(const cosy_stream *stream, const struct iovec *parts, int count, size_t *ret_size)
{
    char *record = cosy_buffer_take(stream->loop);
    size_t size = 0;
    for (int i = 0; record && i < count && size < RECORD; i++) {
        size_t part = parts[i].iov_len < RECORD - size ? parts[i].iov_len : RECORD - size;
        if (part > 0)
            memcpy(record + size, parts[i].iov_base, part);
        size += part;
    }
    *ret_size = size;
    return record;
}

/* One record at most: how many bytes, or negative. -EAGAIN: they are encrypted, and offered again when their record is
 * sent. */
static int send_record(struct cosy_tls *tls, const void *data, size_t size)
{
    size_t sent = 0;
    int ret = SSL_write_ex(tls->ssl, data, size, &sent);
    if (unlikely(tls->send_error))
        return tls->send_error;
    if (unlikely(ret <= 0)) {
        int result = cosy_tls_outcome(tls, ret);
        return result == 0 ? -EPIPE : result;
    }
    if (unlikely(tls->unsent != NULL)) {
        tls->owed = sent;
        return -EAGAIN;
    }
    return (int)sent;
}

static int send_gathered(cosy_stream *stream, struct cosy_tls *tls, const struct iovec *parts, int count)
{
    size_t size;
    char *record = gather(stream, parts, count, &size);
    if (!record)
        return -ENOMEM;
    int sent = send_record(tls, record, size);
    cosy_buffer_give(stream->loop, record);
    return sent;
}

static int send_whole(struct cosy_tls *tls, const struct iovec *part)
{
    size_t done = 0;
    while (done < part->iov_len && done < INT32_MAX - RECORD) {
        size_t size = part->iov_len - done < RECORD ? part->iov_len - done : RECORD;
        int sent = send_record(tls, (const char *)part->iov_base + done, size);
        if (sent < 0)
            return done > 0 ? (int)done : sent;
        done += (size_t)sent;
    }
    return (int)done;
}

/* What is in the way of sending: 0: nothing; > 0: so many bytes of what is offered have been sent. */
static cosy_cold int send_rest(struct cosy_tls *tls)
{
    int result = cosy_tls_flush(tls);
    if (result == 0) {
        result = (int)tls->owed;
        tls->owed = 0;
    }
    return result;
}

static void send_parts(void *arg)
{
    struct call *call = arg;
    struct cosy_tls *tls = call->stream->carrier;
    begin(tls);
    if (call->count == 1 || call->parts->iov_len >= RECORD)
        call->result = send_whole(tls, call->parts);
    else
        call->result = send_gathered(call->stream, tls, call->parts, call->count);
}

static int tls_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    struct cosy_tls *tls = stream->carrier;
    struct call call = {.stream = stream, .parts = parts, .count = count};
    if (unlikely(tls->failed))
        return tls->failed;
    if (unlikely(tls->unsent || tls->owed || tls->send_error)) {
        int result = send_rest(tls);
        if (result != 0)
            return result;
    }
    cosy_on_big_stack(send_parts, &call);
    return call.result;
}

static void say_goodbye(void *arg)
{
    struct call *call = arg;
    struct cosy_tls *tls = call->stream->carrier;
    begin(tls);
    int ret = SSL_shutdown(tls->ssl);
    call->result = ret >= 0 ? 0 : cosy_tls_outcome(tls, ret);
}

/* Says goodbye; what the peer still sends can be read. */
static int tls_end_output(cosy_stream *stream)
{
    struct cosy_tls *tls = stream->carrier;
    struct call call = {.stream = stream};
    if (tls->failed)
        return tls->failed;
    if (!tls->said_goodbye) {
        cosy_on_big_stack(say_goodbye, &call);
        if (call.result < 0)
            return call.result;
        tls->said_goodbye = true;
    }
    return cosy_tls_flush(tls);
}

/* ---- the rest ---- */

static int tls_wait(cosy_stream *stream, enum cosy_port_side side, struct cosy_port_waiter *waiter)
{
    struct cosy_tls *tls = stream->carrier;
    enum cosy_port_side wanted = side == COSY_PORT_READ ? tls->read_wants : COSY_PORT_WRITE;
    return COSY_TLS_BELOW(tls, tls->below->wait(stream, wanted, waiter));
}

static void tls_close(cosy_stream *stream, int result, bool abort)
{
    struct cosy_tls *tls = stream->carrier;
    stream->carrier = tls->below_carrier;
    tls->below->close(stream, result, abort);
    stream->carrier = tls;
}

static void tls_release(cosy_stream *stream)
{
    struct cosy_tls *tls = stream->carrier;
    stream->carrier = tls->below_carrier;
    if (tls->below->release)
        tls->below->release(stream);
    SSL_free(tls->ssl);
    BIO_free(tls->ktls);
    cosy_tls_setup_unref(tls->setup);
    cosy_tls_setup_unref(tls->chosen);
    cosy_port_wait_not(&tls->sender);
    cosy_heap_free(tls->unsent);
    cosy_heap_free(tls->rest);
    cosy_heap_free(tls->peer);
    cosy_heap_free(tls->alpn);
    cosy_heap_free(tls->reason);
    cosy_heap_free(tls);
}

static const char *tls_reason(const cosy_stream *stream, int error)
{
    const struct cosy_tls *tls = stream->carrier;
    return error == tls->failed ? tls->reason : NULL;
}

const struct cosy_stream_kind cosy_tls_stream = {.name = "TLS",
                                                 .receive = tls_receive,
                                                 .send = tls_send,
                                                 .wait = tls_wait,
                                                 .end_output = tls_end_output,
                                                 .close = tls_close,
                                                 .release = tls_release,
                                                 .holds = tls_holds,
                                                 .farewell = cosy_tls_farewell,
                                                 .reason = tls_reason,
                                                 .keeps_descriptor = true};
#endif
