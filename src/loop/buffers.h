/* buffers.h - buffers of one size that I/O borrows for as long as bytes are in them, and no longer: ten thousand idle connections hold none. */
#ifndef COSY_LOOP_BUFFERS_H
#define COSY_LOOP_BUFFERS_H

#include "loop.h"

enum { COSY_BUFFER_SIZE = 16384, COSY_BUFFERS_KEPT = 64 };

/* NULL: no memory. */
char *cosy_buffer_take(struct cosy_loop *loop);
/* `loop` may be closed, or NULL. */
void cosy_buffer_give(struct cosy_loop *loop, char *buffer);
void cosy_buffers_free(struct cosy_loop *loop);

#endif
