/* pipe.h - the inside of pipes and terminals: their kinds of streams, shared by pipe.c, standard.c, tty.c and
 * stream.c. */
#ifndef COSY_IO_PIPE_H
#define COSY_IO_PIPE_H

#include <cosy/pipe.h>

#include "stream.h"

/* The kind of stream that a descriptor which is no socket makes. */
const struct cosy_stream_kind *cosy_pipe_kind(int fd);
extern const struct cosy_stream_kind cosy_terminal_stream, cosy_writer_stream; /* writer: an end that can only be
                                                                                * written */

/* The stream ends: the mode that it set at its terminal does, too. */
void cosy_tty_forget(cosy_stream *stream);

#endif
