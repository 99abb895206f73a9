/* stream_read.c - reading: into the caller's memory, or lent from the stream's buffer. */
#include "stream.h"

#include <string.h>

#include "../base/heap.h"
#include "../loop/buffers.h"

enum { DIRECT_LEAST = 2048 }; /* a smaller read goes through the buffer: one system call for many of them */
enum { SEPARATORS = 8 };
enum { LITTLE = 2048, LITTLE_ROOM = 4096 }; /* a beginning of a line that is waited on does not keep a whole buffer */

static size_t buffered(const cosy_stream *stream)
{
    return stream->in_end - stream->in_begin;
}

size_t cosy_stream_buffered(const cosy_stream *stream) { return stream ? buffered(stream) : 0; }
size_t cosy_stream_partial(const cosy_stream *stream) { return stream->partial; }
bool cosy_at_eof(const cosy_stream *stream) { return stream->eof && buffered(stream) == 0; }

/* ---- tasks that wait ---- */

struct stream_wait {
    struct cosy_wait wait;
    struct cosy_port_waiter waiter;
    struct cosy_task *task;
    cosy_stream *stream;
};

static struct stream_wait *wait_of(struct cosy_wait *wait)
{
    return container_of(wait, struct stream_wait, wait);
}

static bool cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_port_wait_not(&wait_of(wait)->waiter);
    return false;
}

static void abandon(struct cosy_wait *wait)
{
    cosy_port_wait_not(&wait_of(wait)->waiter);
}

static const char *name(struct cosy_wait *wait)
{
    static __thread char text[COSY_ADDRESS_TEXT];
    return cosy_stream_peer_text(wait_of(wait)->stream, text);
}

static const struct cosy_wait_kind reads = {
    .verb = "reads from", .cancel = cancel, .name = name, .abandon = abandon};
static const struct cosy_wait_kind writes = {
    .verb = "writes to", .cancel = cancel, .name = name, .abandon = abandon};

static void ready(struct cosy_port_waiter *waiter, int result)
{
    cosy_task_wake(container_of(waiter, struct stream_wait, waiter)->task, result);
}

int cosy_stream_await(struct cosy_task *me, cosy_stream *stream, enum cosy_port_side side)
{
    struct stream_wait wait = {
        .wait.kind = side == COSY_PORT_READ ? &reads : &writes, .waiter.ready = ready, .task = me, .stream = stream};
    cosy_list_init(&wait.waiter.link);
    int result = stream->kind->wait(stream, side, &wait.waiter);
    if (unlikely(result))
        return result < 0 ? result : 0;
    return (int)cosy_park(me, &wait.wait);
}

/* ---- the buffer ---- */

void cosy_stream_free_input(cosy_stream *stream)
{
    if (stream->in_room == COSY_BUFFER_SIZE)
        cosy_buffer_give(stream->loop, stream->in);
    else
        cosy_heap_free(stream->in);
    stream->in = stream->lent = NULL;
    stream->in_room = stream->in_begin = stream->in_end = 0;
}

/* Another buffer, of `room` bytes, with what is in this one, behind `before` bytes that are free. */
static int move_to(cosy_stream *stream, size_t room, size_t before)
{
    if (room > UINT32_MAX)
        return -ENOMEM;
    char *in = room == COSY_BUFFER_SIZE ? cosy_buffer_take(stream->loop) : cosy_heap_alloc(room);
    if (!in)
        return -ENOMEM;
    size_t size = buffered(stream);
    if (size)
        memcpy(in + before, stream->in + stream->in_begin, size);
    cosy_stream_free_input(stream);
    stream->in = in;
    stream->in_room = (uint32_t)room;
    stream->in_begin = (uint32_t)before;
    stream->in_end = (uint32_t)(before + size);
    return 0;
}

/* Room for more, and for the NUL behind it. */
static int make_room(cosy_stream *stream)
{
    if (!stream->in) { /* and nothing to take along */
        stream->in = cosy_buffer_take(stream->loop);
        stream->in_room = stream->in ? COSY_BUFFER_SIZE : 0;
        return stream->in ? 0 : -ENOMEM;
    }
    if (stream->in_room < COSY_BUFFER_SIZE)
        return move_to(stream, COSY_BUFFER_SIZE, 0); /* out of a little one before anything is received */
    if (stream->in_end + 1 < stream->in_room)
        return 0;
    if (stream->in_begin < stream->in_room / 2)
        return move_to(stream, (size_t)stream->in_room * 2, 0);
    size_t size = buffered(stream);
    memmove(stream->in, stream->in + stream->in_begin, size);
    stream->in_begin = 0;
    stream->in_end = (uint32_t)size;
    return 0;
}

/* A cancelled or failed call gives back what it had taken. Without memory for that the stream can only be given up. */
static int give_back(cosy_stream *stream, const void *data, size_t size, int result)
{
    if (size == 0 || stream->closing || stream->closed)
        return result;
    size_t room = size + buffered(stream) + 1;
    bool fits = stream->in && stream->in_begin >= size; /* it may have come from there */
    if (!fits && move_to(stream, room > COSY_BUFFER_SIZE ? room : COSY_BUFFER_SIZE, size) < 0) {
        cosy_stream_abort(stream);
        return -ENOMEM;
    }
    stream->in_begin -= (uint32_t)size;
    memcpy(stream->in + stream->in_begin, data, size);
    return result;
}

/* ---- a call begins and ends ---- */

static cosy_cold int say(const cosy_stream *stream, int error)
{
    return error == -ECANCELED || error == -ENOMEM ? error : cosy_stream_fail(stream, "reading from", error);
}

void cosy_stream_take_back(cosy_stream *stream)
{
    if (!stream->lent)
        return;
    *stream->lent = stream->covered;
    stream->lent = NULL;
}

/* 0, or why it may not read. What was lent is the stream's again. */
static int begin(cosy_stream *stream, struct cosy_task *me)
{
    if (unlikely(!me))
        return -COSY_ENOTASK;
    if (unlikely(!stream))
        return -EINVAL;
    if (unlikely(me->future.loop != stream->loop))
        return cosy_stream_fail(stream, "reading from", -COSY_EOTHERLOOP);
    if (unlikely(stream->in_use))
        return cosy_stream_fail(stream, "another task is reading from", -EBUSY);
    cosy_stream_take_back(stream);
    stream->in_use = true;
    cosy_stream_enter(stream);
    if (cosy_stream_had_its_turn(stream)) {
        int result = cosy_yield();
        if (result < 0) {
            stream->in_use = false;
            cosy_stream_leave(stream);
            return result;
        }
    }
    return 0;
}

static int64_t end(cosy_stream *stream, int64_t result)
{
    stream->in_use = false;
    if (unlikely(result < 0) && result != -COSY_EINCOMPLETE && result != -COSY_ELIMIT)
        result = say(stream, (int)result);
    cosy_stream_leave(stream);
    return result;
}

/* The call's data, with a NUL behind them: the byte there is kept. */
static int64_t lend(cosy_stream *stream, char **ret_data, size_t size)
{
    *ret_data = stream->in + stream->in_begin;
    stream->in_begin += (uint32_t)size;
    stream->lent = stream->in + stream->in_begin;
    stream->covered = *stream->lent;
    *stream->lent = 0;
    return (int64_t)size;
}

/* A call that lends nothing still gives a string. */
static int64_t lend_nothing(char **ret_data)
{
    static __thread char nothing[1]; /* the caller may write there */
    nothing[0] = 0;
    *ret_data = nothing;
    return 0;
}

/* ---- receiving ---- */

/* For good. When it is the connection that is lost, writers get the same error: asked once more, the kernel would only
 * say that the pipe is broken. */
static cosy_cold void receive_failed(cosy_stream *stream, int error)
{
    static const int lost[] = {-ECONNRESET,   -ECONNABORTED, -ETIMEDOUT, -EPIPE,
                               -EHOSTUNREACH, -ENETUNREACH,  -ENETDOWN,  -ENETRESET};
    stream->read_error = error;
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        if (error == lost[i])
            cosy_stream_lose(stream, error);
}

/* Whether an end of the input is none: the connection was cut, and the kernel has told that to a write. -EPIPE is not
 * among these: it follows an end that the peer has sent. */
static bool is_cut(int error)
{
    return error == -ECONNRESET || error == -ETIMEDOUT || error == -EHOSTUNREACH || error == -ENETUNREACH;
}

int cosy_stream_end_of_input(cosy_stream *stream)
{
    if (unlikely(is_cut(stream->error)))
        return stream->read_error = stream->error;
    stream->eof = true;
    return 0;
}

/* What a receive means. True: `*result` is the answer. False: wait. */
static bool settle(cosy_stream *stream, int64_t *result)
{
    if (*result > 0)
        cosy_stream_count(stream, (size_t)*result);
    else if (*result == 0)
        *result = cosy_stream_end_of_input(stream);
    else if (*result == -EAGAIN)
        return false;
    else if (*result != -ENOMEM && *result != -ENOBUFS)
        receive_failed(stream, (int)*result);
    return true;
}

/* Whether receiving can give anything: -1 may be tried; else the answer. */
static int64_t foregone(const cosy_stream *stream)
{
    if (unlikely(stream->closing))
        return -ECONNABORTED;
    if (unlikely(stream->closed))
        return -COSY_ECLOSED;
    if (unlikely(stream->read_error))
        return stream->read_error;
    return stream->eof ? 0 : 1;
}

/* The task is about to wait: what it wrote goes out first, since the peer may be waiting for it; and buffers are given
 * back. */
static void before_waiting(cosy_stream *stream)
{
    cosy_stream_flush_gathered(stream);
    if (!stream->in)
        return;
    if (buffered(stream) == 0)
        cosy_stream_free_input(stream);
    else if (buffered(stream) <= LITTLE && stream->in_room >= COSY_BUFFER_SIZE)
        (void)move_to(stream, LITTLE_ROOM, 0); /* or it keeps what it has */
}

/* Receives into the caller's memory; nothing is buffered. > 0, 0 at the end, negative. */
static int64_t receive_into(cosy_stream *stream, struct cosy_task *me, void *buffer, size_t size)
{
    for (;;) {
        int64_t result = foregone(stream);
        if (unlikely(result <= 0))
            return result;
        result = stream->kind->receive(stream, buffer, size);
        if (settle(stream, &result))
            return result;
        before_waiting(stream);
        result = cosy_stream_await(me, stream, COSY_PORT_READ);
        if (unlikely(result < 0))
            return result;
    }
}

/* A stream with a descriptor knows without a buffer that nothing is there. */
static bool is_hopeless(const cosy_stream *stream)
{
    return stream->port.fd >= 0 && !cosy_port_may(&stream->port, COSY_PORT_READ) &&
           !(stream->kind->holds && stream->kind->holds(stream));
}

/* Receives more into the buffer. > 0, 0 at the end, negative. */
static int64_t fill(cosy_stream *stream, struct cosy_task *me)
{
    for (;;) {
        int64_t result = foregone(stream);
        if (unlikely(result <= 0))
            return result;
        if (is_hopeless(stream))
            result = -EAGAIN;
        else if ((result = make_room(stream)) == 0)
            result = stream->kind->receive(stream, stream->in + stream->in_end, stream->in_room - 1 - stream->in_end);
        else
            return result;
        if (settle(stream, &result)) {
            if (result > 0)
                stream->in_end += (uint32_t)result;
            else if (buffered(stream) == 0)
                cosy_stream_free_input(stream);
            return result;
        }
        before_waiting(stream);
        result = cosy_stream_await(me, stream, COSY_PORT_READ);
        if (unlikely(result < 0))
            return result;
    }
}

static size_t take(cosy_stream *stream, void *buffer, size_t size)
{
    size_t there = buffered(stream), taken = size < there ? size : there;
    if (taken)
        memcpy(buffer, stream->in + stream->in_begin, taken);
    stream->in_begin += (uint32_t)taken;
    return taken;
}

static int64_t read_some(cosy_stream *stream, struct cosy_task *me, void *buffer, size_t size)
{
    if (buffered(stream) == 0) {
        if (size >= DIRECT_LEAST)
            return receive_into(stream, me, buffer, size);
        int64_t result = fill(stream, me);
        if (result <= 0)
            return result;
    }
    return (int64_t)take(stream, buffer, size);
}

/* ---- the calls ---- */

int64_t cosy_read(cosy_stream *stream, void *buffer, size_t size)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_read");
    int64_t result = begin(stream, me);
    if (unlikely(result < 0))
        return result;
    result = size == 0 ? 0 : !buffer ? -EINVAL : read_some(stream, me, buffer, size);
    return end(stream, result);
}

/* Everything is there already, and nobody has to be asked. */
static bool is_at_hand(const cosy_stream *stream, size_t size)
{
    return stream && buffered(stream) >= size && !stream->lent && !stream->in_use &&
           cosy_is_of_loop(cosy_task_here(), stream);
}

/* Apart, so that what is at hand costs no saving of registers. */
static __attribute__((noinline)) int64_t wait_for_exactly(cosy_stream *stream, void *buffer, size_t size)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_readexactly");
    int64_t result = begin(stream, me);
    size_t got = 0;
    if (result < 0)
        return result;
    if (!buffer && size)
        return end(stream, -EINVAL);
    while (got < size && (result = read_some(stream, me, (char *)buffer + got, size - got)) > 0) {
        got += (size_t)result;
        if (cosy_stream_had_its_turn(stream) && got < size && (result = cosy_yield()) < 0)
            break;
    }
    stream->partial = got < UINT32_MAX ? (uint32_t)got : UINT32_MAX;
    if (result < 0)
        result = give_back(stream, buffer, got, (int)result);
    else if (got < size)
        result = cosy_fail(COSY_EINCOMPLETE, "the stream ended after %zu of %zu bytes", got, size);
    return end(stream, result < 0 ? result : (int64_t)got);
}

int64_t cosy_readexactly(cosy_stream *stream, void *buffer, size_t size)
{
    if (!is_at_hand(stream, size) || size == 0)
        return wait_for_exactly(stream, buffer, size);
    char *there = stream->in + stream->in_begin;
    stream->in_begin += (uint32_t)size;
    memcpy(buffer, there, size);
    return (int64_t)size;
}

int64_t cosy_read_chunk(cosy_stream *stream, char **ret_chunk)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_read_chunk");
    int64_t result = begin(stream, me);
    if (unlikely(result < 0))
        return result;
    if (buffered(stream) == 0)
        result = fill(stream, me);
    if (result < 0 || buffered(stream) == 0)
        return end(stream, result < 0 ? result : lend_nothing(ret_chunk));
    return end(stream, lend(stream, ret_chunk, buffered(stream)));
}

/* ---- up to a separator ---- */

/* Where the first complete one ends, from in_begin on; 0: none. *ret_size: that separator's, the shortest's where
 * several end there. `from` need not be searched again. */
static size_t find(const cosy_stream *stream, const struct iovec *separators, size_t count, size_t from,
                   size_t *ret_size)
{
    const char *data = stream->in + stream->in_begin;
    size_t there = buffered(stream), best = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = separators[i].iov_len, limit = best ? best : there;
        size_t begin_at = from >= size ? from - size + 1 : 0;
        if (begin_at >= limit)
            continue;
        const char *found = memmem(data + begin_at, limit - begin_at, separators[i].iov_base, size);
        size_t end_at = found ? (size_t)(found - data) + size : 0;
        if (found && (!best || end_at < best || size < *ret_size)) {
            best = end_at;
            *ret_size = size;
        }
    }
    return best;
}

/* The length up to the separator's end; 0: the input ended before. -COSY_ELIMIT: nothing is used up; *ret_searched: so
 * far there is none. */
static int64_t seek(cosy_stream *stream, struct cosy_task *me, const struct iovec *separators, size_t count)
{
    size_t searched = 0, size = 0, longest = 0;
    for (size_t i = 0; i < count; i++)
        longest = separators[i].iov_len > longest ? separators[i].iov_len : longest;
    for (;;) {
        size_t found = buffered(stream) > searched ? find(stream, separators, count, searched, &size) : 0;
        if (found)
            return found - size > stream->limit ? -COSY_ELIMIT : (int64_t)found;
        searched = buffered(stream);
        if (searched + 1 > stream->limit + longest) /* the beginning of a separator may be there */
            return -COSY_ELIMIT;
        int64_t result = fill(stream, me);
        if (result <= 0)
            return result;
    }
}

static int64_t say_limit(const cosy_stream *stream)
{
    char text[COSY_ADDRESS_TEXT];
    return cosy_fail(COSY_ELIMIT, "reading from %s: no separator within %u bytes", cosy_stream_peer_text(stream, text),
                     stream->limit);
}

/* asyncio's rule: a line that is too long is dropped up to its end, if that is known, or else all that is there is. */
static void drop_long_line(cosy_stream *stream)
{
    const char *data = stream->in + stream->in_begin;
    const char *newline = memchr(data, '\n', buffered(stream));
    stream->in_begin = newline ? stream->in_begin + (uint32_t)(newline - data) + 1 : stream->in_end;
}

int64_t cosy_readline(cosy_stream *stream, char **ret_line)
{
    static const struct iovec newline = {.iov_base = (void *)(uintptr_t)"\n", .iov_len = 1};
    struct cosy_task *me = cosy_task_or_complain("cosy_readline");
    int64_t result = begin(stream, me);
    if (unlikely(result < 0))
        return result;
    result = seek(stream, me, &newline, 1);
    if (result > 0)
        return end(stream, lend(stream, ret_line, (size_t)result));
    if (result == -COSY_ELIMIT) {
        drop_long_line(stream);
        return end(stream, say_limit(stream));
    }
    if (result < 0)
        return end(stream, result);
    return end(stream, buffered(stream) ? lend(stream, ret_line, buffered(stream)) : lend_nothing(ret_line));
}

static int64_t say_incomplete(cosy_stream *stream, char **ret_data)
{
    size_t left = buffered(stream);
    stream->partial = (uint32_t)left;
    if (left)
        lend(stream, ret_data, left);
    else
        lend_nothing(ret_data);
    return cosy_fail(COSY_EINCOMPLETE, "the stream ended after %zu bytes without a separator", left);
}

int64_t cosy_readuntil_bytes(cosy_stream *stream, char **ret_data, const struct iovec *separators, size_t count)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_readuntil");
    bool sound = separators && ret_data && count > 0 && count <= SEPARATORS;
    for (size_t i = 0; sound && i < count; i++)
        sound = separators[i].iov_len > 0;
    if (!sound)
        return cosy_fail(EINVAL, "cosy_readuntil: between one and %d separators, none of them empty", SEPARATORS);
    int64_t result = begin(stream, me);
    if (result < 0)
        return result;
    result = seek(stream, me, separators, count);
    if (result > 0)
        result = lend(stream, ret_data, (size_t)result);
    else if (result == 0)
        result = say_incomplete(stream, ret_data);
    else if (result == -COSY_ELIMIT)
        result = say_limit(stream);
    return end(stream, result);
}

int64_t cosy_readuntil_(cosy_stream *stream, char **ret_data, const char *const *separators, size_t count)
{
    struct iovec bytes[SEPARATORS];
    for (size_t i = 0; i < count && i < SEPARATORS; i++) {
        const char *text = separators[i] ? separators[i] : "";
        bytes[i] = (struct iovec){.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    }
    return cosy_readuntil_bytes(stream, ret_data, bytes, count);
}

/* ---- looking ahead, and to the end ---- */

int64_t cosy_peek(cosy_stream *stream, char **ret_data, size_t least)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_peek");
    int64_t result = begin(stream, me);
    if (result < 0)
        return result;
    least = least ? least : 1;
    if (least > stream->limit)
        return end(stream,
                   cosy_fail(COSY_ELIMIT, "cosy_peek: %zu bytes are beyond the limit of %u", least, stream->limit));
    while (buffered(stream) < least && (result = fill(stream, me)) > 0)
        ;
    if (result < 0)
        return end(stream, result);
    size_t there = buffered(stream);
    if (there == 0)
        return end(stream, lend_nothing(ret_data));
    lend(stream, ret_data, there);
    stream->in_begin -= (uint32_t)there;
    return end(stream, (int64_t)there);
}

int cosy_skip(cosy_stream *stream, size_t size)
{
    if (!stream || (!stream->in_use && size > buffered(stream)))
        return -EINVAL;
    if (stream->in_use)
        return cosy_stream_fail(stream, "another task is reading from", -EBUSY);
    stream->in_begin += (uint32_t)size;
    return 0;
}

/* Doubles it; the NUL needs a byte too. */
static int grow(char **data, size_t *room, size_t most)
{
    size_t more = *room ? *room * 2 : 16384;
    more = more > most + 1 ? most + 1 : more;
    char *bigger = cosy_heap_resize(*data, more);
    if (!bigger)
        return -ENOMEM;
    *data = bigger;
    *room = more;
    return 0;
}

static int64_t read_to_end(cosy_stream *stream, struct cosy_task *me, char **data, size_t *size, size_t most)
{
    size_t room = 0;
    for (;;) {
        if (*size + 1 >= room) {
            if (*size >= most) {
                int64_t more = buffered(stream) ? 1 : fill(stream, me);
                return more > 0 ? -COSY_ELIMIT : more;
            }
            int error = grow(data, &room, most);
            if (error)
                return error;
        }
        size_t left = room - 1 - *size;
        int64_t result = buffered(stream) ? (int64_t)take(stream, *data + *size, left)
                                          : receive_into(stream, me, *data + *size, left);
        if (result <= 0)
            return result;
        *size += (size_t)result;
        if (cosy_stream_had_its_turn(stream) && (result = cosy_yield()) < 0)
            return result;
    }
}

int64_t cosy_read_all(cosy_stream *stream, char **ret_data, size_t most)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_read_all");
    char *data = NULL;
    size_t size = 0;
    int64_t result = begin(stream, me);
    if (result < 0)
        return result;
    most = most && most < (size_t)INT32_MAX ? most : (size_t)1 << 30;
    result = ret_data ? read_to_end(stream, me, &data, &size, most) : -EINVAL;
    if (result == 0) {
        data[size] = 0;
        *ret_data = cosy_heap_give(data);
        return end(stream, (int64_t)size);
    }
    if (result == -COSY_ELIMIT)
        cosy_fail(COSY_ELIMIT, "the stream has more than %zu bytes", most);
    result = give_back(stream, data, size, (int)result);
    cosy_heap_free(data);
    return end(stream, result);
}
