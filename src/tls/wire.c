/* wire.c - OpenSSL's records on the kind below: a BIO that asks the stream, without a buffer between. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <limits.h>
#include <linux/tls.h>
#include <string.h>

#include "../base/heap.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* OpenSSL's words to a BIO whose descriptor may do the cryptography: bio.h reserves the numbers and keeps the names to
 * itself. */
enum { SET_KTLS = 72, SET_KTLS_RECORD_TYPE = 74, CLEAR_KTLS_RECORD_TYPE = 75 };

/* What was received before TLS began is the beginning. */
static int take_rest(struct cosy_tls *tls, char *data, size_t size)
{
    size_t left = tls->rest_size - tls->rest_at, taken = size < left ? size : left;
    memcpy(data, tls->rest + tls->rest_at, taken);
    tls->rest_at += taken;
    if (tls->rest_at == tls->rest_size) {
        cosy_heap_free(tls->rest);
        tls->rest = NULL;
    }
    return (int)taken;
}

/* A result of the kind below as a BIO's. */
static int told(BIO *bio, struct cosy_tls *tls, int result, int retry)
{
    if (likely(result > 0))
        return result;
    if (result == -EAGAIN)
        BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    else if (result < 0)
        tls->wire_error = result;
    return -1;
}

/* The kernel decrypts: it gives records, and OpenSSL's own BIO knows how. */
static int read_from_kernel(BIO *bio, struct cosy_tls *tls, char *data, int size)
{
    int got = BIO_read(tls->ktls, data, size), error = errno;
    if (got > 0)
        return got;
    if (BIO_should_retry(tls->ktls)) {
        cosy_port_would_block(&tls->stream->port, COSY_PORT_READ);
        return told(bio, tls, -EAGAIN, BIO_FLAGS_READ);
    }
    if (got == 0)
        tls->below_ended = true;
    return told(bio, tls, got == 0 ? 0 : -error, 0);
}

static int wire_read(BIO *bio, char *data, int size)
{
    struct cosy_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (unlikely(tls->rest != NULL))
        return take_rest(tls, data, (size_t)size);
    if (unlikely(tls->ktls && BIO_get_ktls_recv(tls->ktls)))
        return read_from_kernel(bio, tls, data, size);
    int got = COSY_TLS_BELOW(tls, tls->below->receive(tls->stream, data, (size_t)size));
    if (got == 0)
        tls->below_ended = true;
    return told(bio, tls, got, BIO_FLAGS_READ);
}

/* Alerts and handshakes, where the kernel encrypts: a record that is not data says so beside it. */
static int send_typed(struct cosy_tls *tls, const char *data, size_t size)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(unsigned char))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(unsigned char)),
                            .cmsg_level = SOL_TLS,
                            .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *CMSG_DATA(&control.header) = tls->record_type;
    int sent = COSY_PORT_CALL(&tls->stream->port, COSY_PORT_WRITE, sendmsg, &message, 0);
    if (sent >= 0)
        tls->record_type = 0;
    return sent;
}

/* ---- sending ---- */

enum { UNSENT_MOST = 65536 }; /* of answers to a peer that does not read; from there on nothing of its is read either */

static int send_below(struct cosy_tls *tls, const char *data, size_t size)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    int sent = COSY_TLS_BELOW(tls, tls->below->send(tls->stream, &part, 1));
    if (sent < 0 && sent != -EAGAIN)
        tls->send_error = sent;
    return sent;
}

static void drop_unsent(struct cosy_tls *tls)
{
    cosy_heap_free(tls->unsent);
    tls->unsent = NULL;
    tls->unsent_size = 0;
}

/* Somebody has to send what is unsent, also when the stream has nothing to write. */
static int wait_to_send(struct cosy_tls *tls)
{
    if (!cosy_list_empty(&tls->sender.link))
        return -EAGAIN;
    int result = COSY_TLS_BELOW(tls, tls->below->wait(tls->stream, COSY_PORT_WRITE, &tls->sender));
    if (result < 0)
        tls->send_error = result;
    return result == 0 ? -EAGAIN : result;
}

int cosy_tls_flush(struct cosy_tls *tls)
{
    size_t done = 0;
    int result = 0;
    while (tls->unsent_size > done && !tls->send_error && result >= 0) {
        result = send_below(tls, tls->unsent + done, tls->unsent_size - done);
        if (result > 0)
            done += (size_t)result;
        else if (result == -EAGAIN)
            result = wait_to_send(tls);
    }
    if (tls->send_error || done == tls->unsent_size)
        drop_unsent(tls);
    else if (done > 0)
        memmove(tls->unsent, tls->unsent + done, tls->unsent_size -= done);
    if (tls->send_error)
        cosy_port_wait_not(&tls->sender);
    return tls->send_error ? tls->send_error : tls->unsent ? -EAGAIN : 0;
}

/* Who waits to write at the stream was woken by the same edge, and comes by itself. */
static void may_send_again(struct cosy_port_waiter *waiter, int result)
{
    struct cosy_tls *tls = container_of(waiter, struct cosy_tls, sender);
    if (result < 0)
        tls->send_error = result;
    (void)cosy_tls_flush(tls);
}

/* The kind below has not taken this. 0, -ENOMEM. */
static int keep(struct cosy_tls *tls, const char *data, size_t size)
{
    char *more = cosy_heap_resize(tls->unsent, tls->unsent_size + size);
    if (!more)
        return tls->send_error = -ENOMEM;
    memcpy(more + tls->unsent_size, data, size);
    tls->unsent = more;
    tls->unsent_size += size;
    int result = wait_to_send(tls);
    return result == 1 ? cosy_tls_flush(tls) : result;
}

/* The kernel makes the records, of any part of the data. */
static int write_to_kernel(BIO *bio, struct cosy_tls *tls, const char *data, size_t size)
{
    int sent = tls->record_type ? send_typed(tls, data, size) : send_below(tls, data, size);
    if (sent < 0 && sent != -EAGAIN) {
        tls->send_error = sent;
        return (int)size;
    }
    return told(bio, tls, sent, BIO_FLAGS_WRITE);
}

/* Errors are the sender's: OpenSSL, which would not read any more either, does not hear of them. */
static int wire_write(BIO *bio, const char *data, int size)
{
    struct cosy_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (unlikely(tls->send_error))
        return size;
    if (unlikely(tls->ktls && BIO_get_ktls_send(tls->ktls)))
        return write_to_kernel(bio, tls, data, (size_t)size);
    if (unlikely(tls->unsent_size > UNSENT_MOST))
        return told(bio, tls, -EAGAIN, BIO_FLAGS_WRITE);
    int sent = tls->unsent ? -EAGAIN : send_below(tls, data, (size_t)size);
    sent = sent == -EAGAIN ? 0 : sent;
    if (unlikely(sent >= 0 && sent < size))
        (void)keep(tls, data + sent, (size_t)(size - sent));
    return size;
}

static long wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
    struct cosy_tls *tls = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return tls->below_ended;
    case SET_KTLS:
    case BIO_CTRL_GET_KTLS_SEND:
    case BIO_CTRL_GET_KTLS_RECV:
        return tls->ktls ? BIO_ctrl(tls->ktls, command, number, pointer) : 0;
    case SET_KTLS_RECORD_TYPE:
        tls->record_type = (uint8_t)number;
        return 0;
    case CLEAR_KTLS_RECORD_TYPE:
        tls->record_type = 0;
        return 0;
    default:
        return 0;
    }
}

static BIO_METHOD *method;

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cosy stream");
    if (made && BIO_meth_set_read(made, wire_read) && BIO_meth_set_write(made, wire_write) &&
        BIO_meth_set_ctrl(made, wire_ctrl))
        method = made;
    else
        BIO_meth_free(made);
}

BIO *cosy_tls_wire_new(struct cosy_tls *tls)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock); /* not pthread_once: where it failed for lack of memory, it is tried again */
    if (!method)
        make_method();
    pthread_mutex_unlock(&lock);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, tls);
    cosy_list_init(&tls->sender.link);
    tls->sender.ready = may_send_again;
    BIO_set_init(bio, 1);
    return bio;
}
#endif
