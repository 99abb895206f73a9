#include "buffers.h"

#include "../base/heap.h"

/* A spare buffer begins with the address of the next one. */
char *cosy_buffer_take(struct cosy_loop *loop)
{
    char *buffer = loop->buffers;
    if (!buffer)
        return cosy_heap_alloc(COSY_BUFFER_SIZE);
    loop->buffers = *(char **)(void *)buffer;
    loop->buffer_count--;
    return buffer;
}

void cosy_buffer_give(struct cosy_loop *loop, char *buffer)
{
    if (!loop || loop->closed || loop->buffer_count >= COSY_BUFFERS_KEPT) {
        cosy_heap_free(buffer);
        return;
    }
    *(char **)(void *)buffer = loop->buffers;
    loop->buffers = buffer;
    loop->buffer_count++;
}

void cosy_buffers_free(struct cosy_loop *loop)
{
    while (loop->buffers) {
        char *next = *(char **)(void *)loop->buffers;
        cosy_heap_free(loop->buffers);
        loop->buffers = next;
    }
    loop->buffer_count = 0;
}
