/* file_stream.h - files, and what else is always ready, as streams. */
#ifndef COSY_IO_FILE_STREAM_H
#define COSY_IO_FILE_STREAM_H

#include "stream.h"

/* A stream of a descriptor, which is the stream's from here on, on success. offset -1: where the descriptor stands,
 * which moves on for others that share it. 0, -ENOMEM. */
int cosy_file_stream_new(struct cosy_loop *loop, int fd, int64_t offset, cosy_stream **ret_stream,
                         const struct cosy_stream_options *options);

#endif
