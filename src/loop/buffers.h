/* buffers.h - buffers of one size that I/O borrows for as long as bytes are in them, and no longer: ten thousand idle
 * connections hold none. */
#ifndef COSY_LOOP_BUFFERS_H
#define COSY_LOOP_BUFFERS_H

#include "loop.h"

/* A message of 64 KiB comes in one piece, and there is room for a NUL behind it. The one that was given back last is in
 * the cache, and is taken next. */
enum { COSY_BUFFER_SIZE = 65536 + 64, COSY_BUFFERS_KEPT = 32 };

/* NULL: no memory. */
char *cosy_buffer_take(struct cosy_loop *loop);
/* `loop` may be closed, or NULL. */
void cosy_buffer_give(struct cosy_loop *loop, char *buffer);
void cosy_buffers_free(struct cosy_loop *loop);

#endif
