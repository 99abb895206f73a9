/* stream_write.c - what is written goes to the kernel at once, or waits in the stream's buffer for the flusher; who
 * writes too much waits for it. */
#include "stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../base/heap.h"
#include "../loop/buffers.h"

enum { GATHER_MOST = 49152 }; /* more than this is not gathered until the end of the turn; with COPY_MOST it fills a
                               * buffer */
enum { COPY_MOST = 16384 };   /* a longer rest is sent from the caller's memory, while the caller waits */
enum { ANSWER_MOST = 4096 };  /* a longer answer goes at once, also when the next question has been read already */
enum { PARTS = 16 };          /* handed to the kernel in one call */

/* A place in the caller's pieces. */
struct cursor {
    const struct iovec *parts;
    int count;
    size_t offset, left; /* in the first piece; in all */
};

static size_t pending(const cosy_stream *stream)
{
    return stream->out_end - stream->out_begin;
}

size_t cosy_get_write_buffer_size(const cosy_stream *stream)
{
    return stream ? pending(stream) : 0;
}

int cosy_set_write_buffer_limits(cosy_stream *stream, size_t high, size_t low)
{
    if (!stream || high > INT32_MAX || low > high)
        return -EINVAL;
    stream->high = (uint32_t)high;
    stream->low = (uint32_t)(low ? low : high / 4);
    return 0;
}

/* ---- the buffer ---- */

void cosy_stream_free_output(cosy_stream *stream)
{
    if (stream->out_room == COSY_BUFFER_SIZE)
        cosy_buffer_give(stream->loop, stream->out);
    else
        cosy_heap_free(stream->out);
    stream->out = NULL;
    stream->out_room = stream->out_begin = stream->out_end = 0;
}

static int make_room(cosy_stream *stream, size_t size)
{
    size_t used = pending(stream);
    if (size > UINT32_MAX)
        return -ENOMEM;
    if (stream->out_room - stream->out_end >= size)
        return 0;
    if (stream->out_room - used >= size && stream->out_begin >= used) {
        memcpy(stream->out, stream->out + stream->out_begin, used);
    } else {
        size_t room = stream->out_room ? stream->out_room : COSY_BUFFER_SIZE;
        while (room < used + size)
            room *= 2;
        if (room > UINT32_MAX)
            return -ENOMEM;
        char *more = room == COSY_BUFFER_SIZE ? cosy_buffer_take(stream->loop) : cosy_heap_alloc(room);
        if (!more)
            return -ENOMEM;
        if (used)
            memcpy(more, stream->out + stream->out_begin, used);
        cosy_stream_free_output(stream);
        stream->out = more;
        stream->out_room = (uint32_t)room;
    }
    stream->out_begin = 0;
    stream->out_end = (uint32_t)used;
    return 0;
}

/* Also past empty pieces: a row of them must not be all that the kernel is offered. */
static void skip(struct cursor *cursor, size_t size)
{
    cursor->left -= size;
    while (cursor->left > 0 && size >= cursor->parts->iov_len - cursor->offset) {
        size -= cursor->parts->iov_len - cursor->offset;
        cursor->parts++;
        cursor->count--;
        cursor->offset = 0;
    }
    cursor->offset += size;
}

/* Puts all that is left of the pieces `behind` so many bytes of the buffer: 0 or -ENOMEM, and then none of it. */
static int insert(cosy_stream *stream, struct cursor *cursor, size_t behind)
{
    int error = make_room(stream, cursor->left);
    if (error)
        return error;
    char *place = stream->out + stream->out_begin + behind;
    memmove(place + cursor->left, place, pending(stream) - behind);
    stream->out_end += (uint32_t)cursor->left;
    while (cursor->left > 0) {
        size_t size = cursor->parts->iov_len - cursor->offset;
        if (size > 0)
            memcpy(place, (const char *)cursor->parts->iov_base + cursor->offset, size);
        place += size;
        skip(cursor, size);
    }
    return 0;
}

static int append(cosy_stream *stream, struct cursor *cursor)
{
    return insert(stream, cursor, pending(stream));
}

/* By the task that sends past the buffer: before what others have left there meanwhile. */
static int append_raw(cosy_stream *stream, struct cursor *cursor)
{
    size_t size = cursor->left;
    int error = insert(stream, cursor, stream->raw_size);
    if (!error)
        stream->raw_size += (uint32_t)size;
    return error;
}

/* ---- who waits for the buffer to shrink ---- */

struct drainer {
    struct cosy_wait wait;
    struct cosy_link link;
    struct cosy_timed_wait timed; /* the end of patience; not armed: there is none */
    struct cosy_task *task;
    cosy_stream *stream;
    size_t level;
    int result; /* when done */
    bool holds_on, cancelled, done;
};

static struct drainer *drainer_of(struct cosy_wait *wait)
{
    return container_of(wait, struct drainer, wait);
}

static bool drained(const cosy_stream *stream, size_t level)
{
    return pending(stream) <= level && !stream->raw;
}

static void wake(struct drainer *drainer, int result)
{
    cosy_list_remove(&drainer->link);
    drainer->done = true;
    drainer->result = result;
    cosy_task_wake(drainer->task, result);
}

static void wake_drained(cosy_stream *stream)
{
    for (struct cosy_link *link = stream->drainers.next, *next; link != &stream->drainers; link = next) {
        struct drainer *drainer = container_of(link, struct drainer, link);
        next = link->next;
        if (drained(stream, drainer->level))
            wake(drainer, 0);
    }
}

void cosy_stream_wake_drainers(cosy_stream *stream, int result)
{
    while (!cosy_list_empty(&stream->drainers))
        wake(container_of(stream->drainers.next, struct drainer, link), result);
}

static bool drain_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    struct drainer *drainer = drainer_of(wait);
    (void)task;
    drainer->cancelled = true;
    if (drainer->holds_on)
        return true;
    cosy_list_remove(&drainer->link);
    return false;
}

static void drain_abandon(struct cosy_wait *wait)
{
    struct drainer *drainer = drainer_of(wait);
    cosy_list_remove(&drainer->link);
    if (drainer->holds_on)
        cosy_timed_wait_disarm(drainer->task->future.loop, &drainer->timed);
}

static const char *drain_name(struct cosy_wait *wait)
{
    static __thread char text[COSY_ADDRESS_TEXT];
    return cosy_stream_peer_text(drainer_of(wait)->stream, text);
}

static const struct cosy_wait_kind drains = {
    .verb = "waits to write to", .cancel = drain_cancel, .name = drain_name, .abandon = drain_abandon};
static const struct cosy_wait_kind closes = {.verb = "waits until the last bytes are sent to",
                                             .cancel = drain_cancel,
                                             .name = drain_name,
                                             .abandon = drain_abandon,
                                             .patient = true};

static void patience_ended(struct cosy_timed_wait *timed)
{
    wake(container_of(timed, struct drainer, timed), -ETIMEDOUT);
}

/* Parks, again after each cancel where it holds on. */
static int drain_park(struct drainer *drainer, struct cosy_task *me)
{
    cosy_stream *stream = drainer->stream;
    int result = 0;
    while (!drainer->done) {
        if (cosy_list_empty(&drainer->link))
            cosy_list_append(&stream->drainers, &drainer->link);
        result = (int)cosy_park(me, &drainer->wait);
        if (drainer->done || !drainer->holds_on)
            break;
        drainer->cancelled = true; /* one that came before the wait */
    }
    cosy_list_remove(&drainer->link);
    if (drainer->holds_on && result != drainer->result) { /* cancelled between its wake and now */
        drainer->cancelled = true;
        result = drainer->result;
    }
    return result;
}

int cosy_stream_drain_to(cosy_stream *stream, struct cosy_task *me, size_t level, cosy_ns patience, bool *ret_cancelled)
{
    if (stream->error)
        return stream->error;
    if (drained(stream, level))
        return 0;
    struct drainer drainer = {.task = me, .stream = stream, .level = level, .timed.fired = patience_ended};
    drainer.holds_on = patience != COSY_NEVER;
    drainer.wait.kind = drainer.holds_on ? &closes : &drains;
    cosy_list_init(&drainer.link);
    struct cosy_loop *loop = me->future.loop;
    cosy_ns until;
    if (drainer.holds_on && !__builtin_add_overflow(loop->sys->ops->now(loop->sys), patience, &until)) {
        int error = cosy_timed_wait_arm(loop, &drainer.timed, until);
        if (error)
            return error;
    }
    cosy_stream_enter(stream);
    int result = drain_park(&drainer, me);
    if (drainer.holds_on)
        cosy_timed_wait_disarm(loop, &drainer.timed);
    if (ret_cancelled)
        *ret_cancelled = drainer.cancelled;
    cosy_stream_leave(stream);
    return result;
}

/* ---- sending what is buffered ---- */

void cosy_stream_lose(cosy_stream *stream, int error)
{
    if (!stream->error) {
        stream->error = error;
        stream->out_lost = pending(stream) > 0;
    }
    if (stream->blocked)
        cosy_port_wait_not(&stream->flusher);
    stream->blocked = false;
    cosy_handle_cancel(&stream->flush);
    cosy_stream_free_output(stream);
    cosy_stream_wake_drainers(stream, error);
}

/* 0: waits. 1: may be tried again. Negative: lost. */
static int wait_to_send(cosy_stream *stream)
{
    int result = stream->kind->wait(stream, COSY_PORT_WRITE, &stream->flusher);
    stream->blocked = result == 0;
    if (result < 0)
        cosy_stream_lose(stream, result);
    return result;
}

static void end_output(cosy_stream *stream)
{
    int result;
    while ((result = stream->kind->end_output(stream)) == -EAGAIN)
        if (wait_to_send(stream) <= 0)
            return;
    stream->eof_sent = true;
    if (result < 0)
        cosy_stream_lose(stream, result);
    else
        wake_drained(stream);
}

void cosy_stream_flush_now(cosy_stream *stream)
{
    if (stream->blocked || stream->error || stream->raw)
        return;
    while (pending(stream) > 0) {
        struct iovec part = {.iov_base = stream->out + stream->out_begin, .iov_len = pending(stream)};
        int sent = stream->kind->send(stream, &part, 1);
        if (sent == -EAGAIN) {
            if (wait_to_send(stream) <= 0)
                break;
        } else if (sent < 0) {
            cosy_stream_lose(stream, sent);
            return;
        } else {
            stream->out_begin += (uint32_t)sent;
            cosy_stream_count(stream, (size_t)sent);
        }
    }
    if (stream->error)
        return;
    if (pending(stream) == 0) {
        cosy_handle_cancel(&stream->flush);
        cosy_stream_free_output(stream);
        if (stream->eof_wanted && !stream->eof_sent) {
            end_output(stream);
            return;
        }
    }
    wake_drained(stream);
}

static void may_send_again(struct cosy_port_waiter *waiter, int result)
{
    cosy_stream *stream = container_of(waiter, cosy_stream, flusher);
    stream->blocked = false;
    if (result < 0)
        cosy_stream_lose(stream, result);
    else
        cosy_stream_flush_now(stream);
}

static void end_of_turn(void *arg)
{
    cosy_stream_flush_now(arg);
}

void cosy_stream_write_open(cosy_stream *stream)
{
    cosy_list_init(&stream->drainers);
    cosy_list_init(&stream->flusher.link);
    stream->flusher.ready = may_send_again;
    cosy_handle_init(&stream->flush, end_of_turn, stream);
}

/* Something was appended, and somebody must send it. */
static void see_to_sending(cosy_stream *stream, bool gather)
{
    if (stream->blocked)
        return;
    if (gather && pending(stream) < GATHER_MOST) {
        cosy_handle_start_soon(stream->loop, &stream->flush); /* refuses when it is queued already */
        return;
    }
    cosy_stream_flush_now(stream);
}

/* ---- writing ---- */

/* Sends what the kernel takes at once, straight from the caller's memory. 0, or negative: lost. */
static int send_some(cosy_stream *stream, struct cursor *cursor)
{
    struct iovec parts[PARTS];
    int count = 0;
    for (; count < cursor->count && count < PARTS; count++)
        parts[count] = cursor->parts[count];
    parts[0].iov_base = (char *)parts[0].iov_base + cursor->offset;
    parts[0].iov_len -= cursor->offset;
    int sent = stream->kind->send(stream, parts, count);
    if (sent < 0 && sent != -EAGAIN) {
        cosy_stream_lose(stream, sent);
        return sent;
    }
    if (sent > 0) {
        cosy_stream_count(stream, (size_t)sent);
        skip(cursor, (size_t)sent);
    }
    return sent;
}

/* The rest of something long: no copy is made unless a cancel comes, since all of it has been taken. */
static __attribute__((noinline)) int send_patiently(cosy_stream *stream, struct cosy_task *me, struct cursor *cursor)
{
    int result = 0;
    stream->raw = true;
    cosy_stream_enter(stream);
    while (result >= 0 && cursor->left > 0) {
        result = send_some(stream, cursor);
        if (result == -EAGAIN)
            result = cosy_stream_await(me, stream, COSY_PORT_WRITE);
        else if (cosy_stream_had_its_turn(stream) && cursor->left > 0)
            result = cosy_yield();
        if (stream->error)
            result = stream->error;
    }
    if (result == -ECANCELED && append_raw(stream, cursor) < 0)
        cosy_stream_lose(stream, -ENOMEM);
    cosy_stream_end_raw(stream);
    cosy_stream_leave(stream);
    return result > 0 ? 0 : result;
}

/* What cannot be sent at once. */
static int write_rest(cosy_stream *stream, struct cosy_task *me, struct cursor *cursor, bool gather)
{
    bool patiently = cursor->left > COPY_MOST && pending(stream) == 0;
    int error = patiently ? 0 : append(stream, cursor);
    if (patiently || (error && pending(stream) == 0)) /* which needs no memory */
        return send_patiently(stream, me, cursor);
    if (error)
        return error;
    see_to_sending(stream, gather);
    if (stream->error)
        return stream->error;
    return pending(stream) > stream->high ? cosy_stream_drain_to(stream, me, stream->low, COSY_NEVER, NULL) : 0;
}

/* Whether a write is to wait for those that follow it in this turn: others have gone before it, or the peer's next
 * message is here already, so that this is one of several answers. They go out together at the end of the turn, or when
 * their reader is about to wait. */
static bool is_one_of_many(const cosy_stream *stream, size_t size, uint64_t now)
{
    return stream->wrote == now || (stream->in_end != stream->in_begin && size <= ANSWER_MOST);
}

static int write_all(cosy_stream *stream, struct cosy_task *me, struct cursor *cursor)
{
    uint64_t now = cosy_loop_turns(stream->loop) + 1;
    bool gather = is_one_of_many(stream, cursor->left, now);
    if (pending(stream) == 0 && !gather) {
        stream->wrote = now;
        int sent = send_some(stream, cursor);
        if (sent < 0 && sent != -EAGAIN)
            return sent;
        if (cursor->left == 0)
            return 0;
    }
    return write_rest(stream, me, cursor, gather);
}

/* May it write? Waits for whoever sends past the buffer, and its turn when it has written much. */
static int begin_write(cosy_stream *stream, struct cosy_task *me)
{
    int result = 0;
    if (!stream->error && cosy_stream_had_its_turn(stream))
        result = cosy_yield();
    while (result == 0 && stream->raw && !stream->error)
        result = cosy_stream_drain_to(stream, me, SIZE_MAX, COSY_NEVER, NULL);
    if (result == -ECANCELED)
        return result;
    if (stream->error)
        return stream->error;
    return stream->eof_wanted ? -EPIPE : result;
}

/* A write that was cancelled before it began is taken all the same, so that there is but one meaning of -ECANCELED. */
static cosy_cold int take_cancelled(cosy_stream *stream, struct cosy_task *me, struct cursor *cursor)
{
    int error = stream->error ? stream->error : stream->eof_wanted ? -EPIPE : append(stream, cursor);
    if (error) {
        cosy_task_keep_cancel(me);
        return error;
    }
    if (!stream->raw)
        see_to_sending(stream, true);
    return -ECANCELED;
}

static bool is_unusual(const cosy_stream *stream)
{
    return stream->error || stream->raw || stream->eof_wanted || stream->spent > COSY_STREAM_TURN_BYTES;
}

static cosy_cold int say(const cosy_stream *stream, int error)
{
    return error == -ECANCELED || error == -ENOMEM ? error : cosy_stream_fail(stream, "writing to", error);
}

static int write_parts(cosy_stream *stream, const struct iovec *parts, int count, size_t size)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_write");
    if (unlikely(!me))
        return -COSY_ENOTASK;
    if (unlikely(me->future.loop != stream->loop))
        return say(stream, -COSY_EOTHERLOOP);
    int result = 0;
    struct cursor cursor = {.parts = parts, .count = count, .left = size};
    cosy_stream_enter(stream);
    if (unlikely(is_unusual(stream)))
        result = begin_write(stream, me);
    if (unlikely(result == -ECANCELED) && size > 0)
        result = take_cancelled(stream, me, &cursor);
    else if (result == 0 && size > 0)
        result = write_all(stream, me, &cursor);
    if (unlikely(result < 0))
        result = say(stream, result);
    cosy_stream_leave(stream);
    return result;
}

/* The usual case of little messages: others of this turn wait in the buffer, whose sending is seen to. */
static bool joins_others(cosy_stream *stream, size_t size)
{
    return stream->out_end != stream->out_begin && size < stream->out_room - stream->out_end &&
           pending(stream) + size < GATHER_MOST && pending(stream) + size <= stream->high && !stream->raw &&
           !stream->eof_wanted && stream->spent <= COSY_STREAM_TURN_BYTES && cosy_is_of_loop(cosy_task_here(), stream);
}

/* The usual case of an answer: the turn's first write, which the kernel takes whole. */
static bool goes_at_once(const cosy_stream *stream, size_t size)
{
    return stream->out_end == stream->out_begin && !is_unusual(stream) && size > 0 &&
           !is_one_of_many(stream, size, cosy_loop_turns(stream->loop) + 1) &&
           cosy_is_of_loop(cosy_task_here(), stream);
}

/* `sent` is what the kernel said of the whole. */
static __attribute__((noinline)) int write_further(cosy_stream *stream, const struct iovec *part, int sent)
{
    struct cosy_task *me = cosy_task_here();
    struct cursor cursor = {.parts = part, .count = 1, .left = part->iov_len};
    int result = 0;
    if (sent > 0) {
        cosy_stream_count(stream, (size_t)sent);
        skip(&cursor, (size_t)sent);
    } else if (sent < 0 && sent != -EAGAIN) {
        cosy_stream_lose(stream, result = sent);
    }
    cosy_stream_enter(stream);
    if (result == 0)
        result = write_rest(stream, me, &cursor, false);
    if (result < 0)
        result = say(stream, result);
    cosy_stream_leave(stream);
    return result;
}

/* Apart, so that joining others costs no saving of registers. */
static __attribute__((noinline)) int write_one(cosy_stream *stream, const void *data, size_t size)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    if (!goes_at_once(stream, size))
        return write_parts(stream, &part, 1, size);
    stream->wrote = cosy_loop_turns(stream->loop) + 1;
    cosy_ready_prefetch(stream->loop);
    int sent = stream->kind->send(stream, &part, 1);
    if (unlikely(sent < 0 || (size_t)sent < size))
        return write_further(stream, &part, sent);
    cosy_stream_count(stream, size);
    return 0;
}

int cosy_write(cosy_stream *stream, const void *data, size_t size)
{
    if (unlikely(!stream || (!data && size)))
        return -EINVAL;
    if (!joins_others(stream, size))
        return write_one(stream, data, size);
    char *place = stream->out + stream->out_end;
    stream->out_end += (uint32_t)size;
    memcpy(place, data, size);
    return 0;
}

int cosy_writev(cosy_stream *stream, const struct iovec *parts, int count)
{
    size_t size = 0;
    if (!stream || count < 0 || (!parts && count))
        return -EINVAL;
    for (int i = 0; i < count; i++)
        if (__builtin_add_overflow(size, parts[i].iov_len, &size))
            return -EINVAL;
    while (count > 0 && parts->iov_len == 0) {
        parts++;
        count--;
    }
    return write_parts(stream, parts, count, size);
}

int cosy_printf(cosy_stream *stream, const char *format, ...)
{
    char little[256], *text = little;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(little, sizeof little, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof little) {
        text = cosy_heap_alloc((size_t)length + 1);
        if (!text)
            return -ENOMEM;
        va_start(arguments, format);
        vsnprintf(text, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    int result = length < 0 ? -EINVAL : cosy_write(stream, text, (size_t)length);
    if (text != little)
        cosy_heap_free(text);
    return result < 0 ? result : length;
}

/* ---- waiting for it ---- */

static int wait_for_level(cosy_stream *stream, size_t level, const char *call)
{
    struct cosy_task *me = cosy_task_or_complain(call);
    if (!me)
        return -COSY_ENOTASK;
    if (!stream)
        return -EINVAL;
    if (me->future.loop != stream->loop)
        return say(stream, -COSY_EOTHERLOOP);
    cosy_stream_enter(stream);
    cosy_stream_flush_gathered(stream);
    int result = cosy_stream_drain_to(stream, me, level, COSY_NEVER, NULL);
    if (result < 0)
        result = say(stream, result);
    cosy_stream_leave(stream);
    return result;
}

int cosy_drain(cosy_stream *stream)
{
    bool above = stream && pending(stream) > stream->high;
    return wait_for_level(stream, above ? stream->low : SIZE_MAX, "cosy_drain");
}

int cosy_flush(cosy_stream *stream)
{
    return wait_for_level(stream, 0, "cosy_flush");
}

int cosy_write_eof(cosy_stream *stream)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_write_eof");
    if (!me)
        return -COSY_ENOTASK;
    if (!stream || !cosy_can_write_eof(stream))
        return stream ? -ENOTSUP : -EINVAL;
    if (me->future.loop != stream->loop)
        return say(stream, -COSY_EOTHERLOOP);
    if (stream->error)
        return say(stream, stream->error);
    stream->eof_wanted = true;
    cosy_stream_enter(stream);
    if (!stream->eof_sent && pending(stream) == 0 && !stream->raw && !stream->blocked)
        end_output(stream);
    else
        cosy_stream_flush_gathered(stream);
    int result = cosy_stream_drain_to(stream, me, 0, COSY_NEVER, NULL);
    if (result < 0)
        result = say(stream, result);
    cosy_stream_leave(stream);
    return result;
}

/* ---- past the buffer ---- */

int cosy_stream_begin_raw(cosy_stream *stream, struct cosy_task *me)
{
    cosy_stream_enter(stream);
    int result = begin_write(stream, me);
    while (result == 0 && (pending(stream) > 0 || stream->raw)) {
        cosy_stream_flush_gathered(stream);
        result = cosy_stream_drain_to(stream, me, 0, COSY_NEVER, NULL);
    }
    if (result < 0)
        result = say(stream, result);
    else
        stream->raw = true;
    cosy_stream_leave(stream);
    return result;
}

int cosy_stream_append(cosy_stream *stream, const void *data, size_t size)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct cursor cursor = {.parts = &part, .count = 1, .left = size};
    return append_raw(stream, &cursor);
}

void cosy_stream_end_raw(cosy_stream *stream)
{
    stream->raw = false;
    stream->raw_size = 0;
    if (stream->error)
        return;
    if (pending(stream) > 0 || (stream->eof_wanted && !stream->eof_sent))
        cosy_stream_flush_now(stream);
    else
        wake_drained(stream);
}
