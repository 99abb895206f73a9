/* farewell.c - the end of a stream that speaks TLS: our goodbye, and the peer's. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <cosy/timeout.h>

#include "../loop/buffers.h"

enum { IGNORED_MOST = 1 << 20 }; /* that a peer may go on sending; then its connection is cut */

/* The flusher, if it waits to say goodbye, leaves that to us. 0, -EAGAIN, or it cannot be said. */
static int say_goodbye(cosy_stream *stream)
{
    if (stream->eof_sent)
        return 0;
    if (stream->blocked)
        cosy_port_wait_not(&stream->flusher);
    stream->blocked = false;
    stream->eof_wanted = true;
    int result = stream->kind->end_output(stream);
    stream->eof_sent = result == 0;
    return result;
}

cosy_async static int until_it_is_said(cosy_stream *stream, struct cosy_task *me)
{
    int result;
    while ((result = say_goodbye(stream)) == -EAGAIN)
        if ((result = cosy_stream_await(me, stream, COSY_PORT_WRITE)) < 0)
            break;
    return result;
}

/* What comes before the peer's goodbye is read by nobody. 1: much came. */
static int ignore(cosy_stream *stream, size_t *ignored)
{
    char *buffer = cosy_buffer_take(stream->loop);
    if (!buffer)
        return -ENOMEM;
    int got;
    while ((got = stream->kind->receive(stream, buffer, COSY_BUFFER_SIZE)) > 0 && *ignored <= IGNORED_MOST)
        *ignored += (size_t)got;
    cosy_buffer_give(stream->loop, buffer);
    return got > 0 ? 1 : got;
}

cosy_async static int until_it_is_answered(cosy_stream *stream, struct cosy_task *me)
{
    size_t ignored = 0;
    while (!stream->eof && !stream->read_error && !stream->in_use && !stream->closing && !stream->closed) {
        int result = ignore(stream, &ignored);
        if (result != -EAGAIN)
            return result;
        result = cosy_stream_await(me, stream, COSY_PORT_READ);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Our part is done whatever the peer does: only that it does nothing is told. */
cosy_async static int converse(cosy_stream *stream, struct cosy_task *me)
{
    int result = until_it_is_said(stream, me);
    if (result == 0 && me->cancels == 0)
        result = until_it_is_answered(stream, me);
    return result == -ECANCELED ? result : 0;
}

/* A task that is being cancelled says goodbye and does not wait for the answer. */
int cosy_tls_farewell(cosy_stream *stream, struct cosy_task *me, bool *ret_cancelled)
{
    struct cosy_tls *tls = stream->carrier;
    struct cosy_timeout timeout = {0};
    if (tls->failed)
        return 0;
    if (!me || tls->grace < 0) {
        (void)say_goodbye(stream);
        return 0;
    }
    int result = cosy_timeout_enter(&timeout, tls->grace);
    if (result == 0)
        result = cosy_timeout_exit(&timeout, converse(stream, me));
    if (result == -ETIMEDOUT)
        return cosy_tls_fail_with(tls, -ETIMEDOUT, "the peer did not say goodbye in time");
    if (result == -ECANCELED)
        *ret_cancelled = true;
    return 0;
}
#endif
