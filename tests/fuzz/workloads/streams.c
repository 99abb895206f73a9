/* Streams: two tasks on each side of a connection, one that reads and one that writes, by any call and cancelled
 * anywhere.
 *
 * Invariants: what a side has written, in calls that were cancelled too, comes to the other side in order, once; at the
 * end each has read what the other wrote.
 */
#include "../fuzz.h"

#include <stdlib.h>

enum { WRITES = 12, LONGEST = 40000, MOST = 9000 };

struct side {
    cosy_stream *stream;
    struct side *other;
    uint64_t written, read; /* places in this side's output, and in the other's */
    bool ended;             /* the other's end was read */
};

static char byte_of(const struct side *writer, uint64_t place)
{
    return (char)(place * 31 + (place >> 8) * 7 + (writer < writer->other));
}

/* Whoever is cancelled goes on, as a program does that has limits of time; a crew's stop is told by its state. */
static int goes_on(int64_t result)
{
    return result == -ECANCELED || result >= 0;
}

static void write_one(struct side *side, size_t size)
{
    char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = byte_of(side, side->written + i);
    side->written += size; /* also when it is cancelled */
    struct iovec parts[2] = {{.iov_base = data, .iov_len = size / 2},
                             {.iov_base = data + size / 2, .iov_len = size - size / 2}};
    int result = below(2) ? cosy_write(side->stream, data, size) : cosy_writev(side->stream, parts, 2);
    cosy_test_expect(goes_on(result));
    free(data);
}

cosy_async static int speak(struct side *side)
{
    for (int i = 0; i < WRITES; i++) {
        (void)pause_somehow();
        write_one(side, (size_t)(below(4) ? below(300) : below(LONGEST)));
        if (below(5) == 0)
            cosy_test_expect(goes_on(below(2) ? cosy_drain(side->stream) : cosy_flush(side->stream)));
    }
    cosy_test_expect(goes_on(cosy_write_eof(side->stream)));
    return 0;
}

static void hear(struct side *side, const char *data, int64_t size)
{
    for (int64_t i = 0; i < size; i++)
        if (!cosy_test_expect(data[i] == byte_of(side->other, side->read + (uint64_t)i)))
            break;
    side->read += size > 0 ? (uint64_t)size : 0;
    cosy_test_expect(side->read <= side->other->written);
}

/* What a call gave: the memory it filled or lent. */
cosy_async static int64_t read_one(struct side *side, char *buffer, char **data)
{
    cosy_stream *stream = side->stream;
    int64_t size;
    *data = buffer;
    switch (below(7)) {
    case 0:
        return cosy_read(stream, buffer, (size_t)below(50) + 1);
    case 1:
        return cosy_read(stream, buffer, MOST);
    case 2:
        return cosy_readexactly(stream, buffer, (size_t)below(3000) + 1);
    case 3:
        return cosy_read_chunk(stream, data);
    case 4:
        return cosy_readuntil(stream, data, "a", "bc");
    case 5:
        return cosy_readline(stream, data);
    default:
        size = cosy_peek(stream, data, (size_t)below(500));
        size = size > 1 ? size - below(2) : size;
        cosy_test_expect(size < 0 || cosy_skip(stream, (size_t)size) == 0);
        return size;
    }
}

cosy_async static int listen_to(struct side *side)
{
    char *buffer = malloc(MOST), *data;
    while (!side->ended) {
        (void)pause_somehow();
        int64_t size = read_one(side, buffer, &data);
        if (size == -COSY_EINCOMPLETE)
            size = (int64_t)cosy_stream_partial(side->stream);
        if (!cosy_test_expect(goes_on(size)))
            break;
        hear(side, data, size);
        side->ended = cosy_at_eof(side->stream);
    }
    free(buffer);
    return 0;
}

cosy_async static int both_talk(void)
{
    cosy_stream *ends[2];
    size_t high = (size_t)below(3) ? 65536 : (size_t)below(5000) + 1;
    cosy_try(cosy_stream_pair(ends, .limit = 100000, .high_water = high));
    struct side sides[2] = {{.stream = ends[0]}, {.stream = ends[1]}};
    sides[0].other = &sides[1];
    sides[1].other = &sides[0];
    cosy_task *tasks[4];
    for (int i = 0; i < 2; i++) {
        tasks[i] = cosy_create_task(speak, &sides[i]);
        tasks[2 + i] = cosy_create_task(listen_to, &sides[i]);
    }
    for (int i = 0; i < 4; i++) {
        while (!cosy_task_done(tasks[i]))
            (void)cosy_sleep(COSY_MS(1)); /* whatever is cancelled, they come to their end */
        cosy_task_drop(tasks[i]);
    }
    for (int i = 0; i < 2; i++) {
        cosy_test_expect(sides[i].read == sides[!i].written);
        cosy_test_expect(cosy_stream_close(ends[i]) == 0);
    }
    return 0;
}

static void stream_rounds(void)
{
    (void)cosy_test_run(both_talk);
}
WORKLOAD("streams", stream_rounds)
