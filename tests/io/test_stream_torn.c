/* Bytes that come and go in pieces of any size: the reading calls compared with a plain reference, on random input,
 * separators and limits. */
#include "stream_test.h"

enum { TEXT_MOST = 6000 };

/* What is read, as it should be: a text, a place in it, and the rules. */
struct reference {
    const char *text;
    size_t size, at, limit;
};

static size_t left_of(const struct reference *reference)
{
    return reference->size - reference->at;
}

/* Letters of which few differ, so that separators and their beginnings are frequent. */
static char *random_text(size_t *ret_size)
{
    static const char letters[] = "ab\n\r;";
    *ret_size = tear(3) ? tear(200) : tear(TEXT_MOST);
    char *text = malloc(*ret_size + 1);
    unsigned kinds = 2 + tear(4), rare = 1 + tear(40);
    for (size_t i = 0; i < *ret_size; i++)
        text[i] = tear(rare) ? 'a' : letters[tear(kinds)];
    text[*ret_size] = 0;
    return text;
}

struct writing {
    cosy_stream *stream;
    const char *text;
    size_t size;
};

/* In calls of any size, with pauses. */
cosy_async static int write_torn(struct writing *writing)
{
    for (size_t at = 0; at < writing->size;) {
        size_t most = writing->size - at, size = tear(2) ? 1 + tear(20) : 1 + tear(2000);
        size = size < most ? size : most;
        struct iovec parts[3] = {{.iov_base = TEXT(writing->text + at), .iov_len = size / 2},
                                 {.iov_base = NULL, .iov_len = 0},
                                 {.iov_base = TEXT(writing->text + at + size / 2), .iov_len = size - size / 2}};
        if (tear(2))
            cosy_try(cosy_write(writing->stream, writing->text + at, size));
        else
            cosy_try(cosy_writev(writing->stream, parts, 3));
        if (tear(4) == 0)
            cosy_try(cosy_yield());
        if (tear(16) == 0)
            cosy_try(cosy_drain(writing->stream));
        at += size;
    }
    return cosy_stream_close(writing->stream);
}

static void check_data(const struct reference *reference, const char *data, size_t size)
{
    ck_assert_uint_le(size, left_of(reference));
    ck_assert_msg(memcmp(data, reference->text + reference->at, size) == 0, "wrong bytes at %zu", reference->at);
}

static void check_lent(struct reference *reference, const char *data, int64_t got, size_t expected)
{
    ck_assert_int_eq(got, (int64_t)expected);
    check_data(reference, data, expected);
    ck_assert_int_eq(data[expected], 0);
    reference->at += expected;
}

/* Where the first complete separator ends, looked for in the plain way: at each end in turn, the shortest first. 0:
 * none. */
static size_t find_plainly(const struct reference *reference, const char *const *separators, size_t count,
                           size_t *ret_size)
{
    const char *text = reference->text + reference->at;
    for (size_t end = 1; end <= left_of(reference); end++) {
        *ret_size = 0;
        for (size_t i = 0; i < count; i++) {
            size_t size = strlen(separators[i]);
            if (size <= end && memcmp(text + end - size, separators[i], size) == 0 && (!*ret_size || size < *ret_size))
                *ret_size = size;
        }
        if (*ret_size)
            return end;
    }
    return 0;
}

/* True: it went on. False: the limit was met, and what is left must be read otherwise. */
cosy_async static bool try_until(cosy_stream *stream, struct reference *reference)
{
    static const char *const choices[] = {"\n", "\r\n", ";", "ab", "b", "\n\n", "a;a", "\r\n\r\n"};
    const char *separators[3];
    size_t count = 1 + tear(3), size, longest = 0;
    for (size_t i = 0; i < count; i++) {
        separators[i] = choices[tear(8)];
        longest = strlen(separators[i]) > longest ? strlen(separators[i]) : longest;
    }
    char *data;
    size_t found = find_plainly(reference, separators, count, &size);
    int64_t got = cosy_readuntil_(stream, &data, separators, count);
    if (found && found - size <= reference->limit) {
        check_lent(reference, data, got, found);
        return true;
    }
    if (found || left_of(reference) + 1 > reference->limit + longest) {
        ck_assert_int_eq(got, -COSY_ELIMIT);
        return false;
    }
    ck_assert_int_eq(got, -COSY_EINCOMPLETE);
    check_lent(reference, data, (int64_t)cosy_stream_partial(stream), left_of(reference));
    return true;
}

/* What is dropped by a line that is too long depends on the pieces, as in asyncio: only lines within the limit are
 * tried. */
cosy_async static void try_line(cosy_stream *stream, struct reference *reference)
{
    char *line;
    size_t size, found = find_plainly(reference, (const char *const[]){"\n"}, 1, &size);
    size_t length = found ? found : left_of(reference);
    if (length - (found > 0) > reference->limit)
        return;
    int64_t got = cosy_readline(stream, &line); /* before `line` is read: arguments are evaluated in any order */
    check_lent(reference, line, got, length);
}

cosy_async static void try_exactly(cosy_stream *stream, struct reference *reference, size_t size)
{
    char *data = malloc(size + 1);
    int64_t got = cosy_readexactly(stream, data, size);
    bool enough = size <= left_of(reference);
    ck_assert_int_eq(got, enough ? (int64_t)size : -COSY_EINCOMPLETE);
    if (!enough)
        ck_assert_uint_eq(cosy_stream_partial(stream), left_of(reference));
    check_data(reference, data, enough ? size : left_of(reference));
    reference->at += enough ? size : left_of(reference);
    free(data);
}

cosy_async static void try_some(cosy_stream *stream, struct reference *reference, size_t size)
{
    char *data = malloc(size + 1);
    int64_t got = cosy_read(stream, data, size);
    ck_assert(left_of(reference) && size ? got > 0 && got <= (int64_t)size : got == 0);
    check_data(reference, data, (size_t)got);
    reference->at += (size_t)got;
    free(data);
}

cosy_async static void try_peek(cosy_stream *stream, struct reference *reference)
{
    char *data;
    size_t least = 1 + tear((unsigned)reference->limit), left = left_of(reference);
    int64_t got = cosy_peek(stream, &data, least);
    ck_assert(left < least ? got == (int64_t)left : got >= (int64_t)least);
    check_data(reference, data, (size_t)got);
    ck_assert_int_eq(data[got], 0);
    size_t skipped = tear((unsigned)got + 1);
    ck_ok(cosy_skip(stream, skipped));
    reference->at += skipped;
}

cosy_async static void try_chunk(cosy_stream *stream, struct reference *reference)
{
    char *chunk;
    int64_t got = cosy_read_chunk(stream, &chunk);
    ck_assert(left_of(reference) ? got > 0 : got == 0);
    check_lent(reference, chunk, got, (size_t)got);
}

cosy_async static void try_all(cosy_stream *stream, struct reference *reference)
{
    char *data = NULL;
    size_t most = 1 + tear(TEXT_MOST);
    int64_t got = cosy_read_all(stream, &data, most);
    if (left_of(reference) > most)
        ck_assert_int_eq(got, -COSY_ELIMIT);
    else
        check_lent(reference, data, got, left_of(reference));
    if (got >= 0)
        free(data);
}

cosy_async static void try_something(cosy_stream *stream, struct reference *reference)
{
    switch (tear(16)) {
    case 0:
    case 1:
    case 2:
        if (!try_until(stream, reference))
            try_exactly(stream, reference, reference->limit); /* on with it */
        break;
    case 3:
    case 4:
    case 5:
        try_line(stream, reference);
        break;
    case 6:
    case 7:
        try_exactly(stream, reference, tear(2) ? tear(10) : tear(3000));
        break;
    case 8:
        try_all(stream, reference);
        break;
    case 9:
    case 10:
        try_peek(stream, reference);
        break;
    case 11:
        try_chunk(stream, reference);
        break;
    default:
        try_some(stream, reference, tear(2) ? tear(10) : tear(5000));
    }
}

cosy_async static int one_conversation(void)
{
    cosy_stream *ends[2];
    struct reference reference = {.limit = tear(2) ? 1 + tear(30) : 1 + tear(8000)};
    char *text = random_text(&reference.size);
    reference.text = text;
    ck_ok(cosy_stream_pair(ends, .limit = reference.limit, .high_water = 1 + tear(3000)));
    ends[0]->kind = ends[1]->kind = &torn_stream;
    struct writing writing = {.stream = ends[0], .text = text, .size = reference.size};
    cosy_scoped(cosy_task) writer = cosy_create_task(write_torn, &writing);
    for (int i = 0; i < 10000 && !(cosy_at_eof(ends[1]) && tear(3) == 0); i++)
        try_something(ends[1], &reference);
    ck_assert_uint_eq(left_of(&reference), 0);
    ck_ok(cosy_await(writer));
    ck_ok(cosy_stream_close(ends[1]));
    free(text);
    return 0;
}

ASYNC_TEST(torn_input_is_read_as_whole_input)
{
    const char *seeds = getenv("STREAM_SEEDS");
    uint64_t count = seeds ? strtoull(seeds, NULL, 10) : under_tool() ? 40 : 400;
    for (uint64_t seed = 0; seed < count; seed++) {
        tear_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        cosy_try(one_conversation());
    }
    return 0;
}

/* Something long, in both directions at once, through short writes. */
cosy_async static int send_numbered(cosy_stream *stream, size_t size)
{
    char *data = numbered(size);
    int result = cosy_write(stream, data, size);
    free(data);
    return result < 0 ? result : cosy_write_eof(stream);
}

ASYNC_TEST(short_writes_lose_nothing)
{
    cosy_stream *ends[2];
    tear_state = 1;
    ck_ok(cosy_stream_pair(ends));
    ends[0]->kind = ends[1]->kind = &torn_stream;
    cosy_task *tasks[4];
    struct drain_pipe pipes[2] = {{.stream = ends[0], .numbered = true}, {.stream = ends[1], .numbered = true}};
    for (int i = 0; i < 2; i++) {
        tasks[i] = cosy_create_task(send_numbered, ends[i], (size_t)300000);
        tasks[2 + i] = cosy_create_task(take_everything, &pipes[i]);
    }
    for (int i = 0; i < 4; i++)
        ck_ok(cosy_await(tasks[i]));
    ck_assert_uint_eq(pipes[0].size, 300000);
    ck_assert_uint_eq(pipes[1].size, 300000);
    close_both(ends);
    return 0;
}

COSY_TEST_MAIN("stream_torn", torn_input_is_read_as_whole_input, short_writes_lose_nothing)
