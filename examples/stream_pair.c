/* Reading in every way: a little protocol over a pair of connected streams. */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>

/* What the other side says: a head of lines, a body whose length the head tells, and the rest. */
cosy_async static int speak(cosy_stream *stream)
{
    cosy_try(cosy_printf(stream, "name: %s\nlength: %d\n\n", "note", 12));
    cosy_try(cosy_write(stream, "twelve bytes", 12));
    cosy_try(cosy_write(stream, "one;two,three", 13));
    return cosy_stream_close(stream);
}

cosy_async static int amain(void)
{
    cosy_stream *ends[2];
    cosy_try(cosy_stream_pair(ends));
    cosy_scoped(cosy_stream) stream = ends[0];
    cosy_scoped(cosy_task) speaker = cosy_create_task(speak, ends[1]);

    int64_t length;
    int size = 0;
    COSY_LINES (stream, line, length) /* async for line in reader: */
    {
        if (length == 1)
            break; /* an empty line ends the head */
        printf("head: %s", line);
        sscanf(line, "length: %d", &size);
    }

    char body[100];
    cosy_try(cosy_readexactly(stream, body, (size_t)size)); /* await reader.readexactly(12) */
    printf("body: %.*s\n", size, body);

    char *part;
    cosy_try(cosy_readuntil(stream, &part, ";", ",")); /* await reader.readuntil((b";", b",")) */
    printf("part: %s\n", part);
    cosy_try(cosy_readuntil(stream, &part, ";", ","));
    printf("part: %s\n", part);

    char *rest;
    cosy_try(length = cosy_read_all(stream, &rest, 0)); /* await reader.read() */
    printf("rest: %s (%d bytes), end: %s\n", rest, (int)length, cosy_at_eof(stream) ? "yes" : "no");
    free(rest);
    return cosy_await(speaker);
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * head: name: note
 * head: length: 12
 * body: twelve bytes
 * part: one;
 * part: two,
 * rest: three (5 bytes), end: yes
 */
