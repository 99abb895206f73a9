/* net_pipe.c - pipes: 64 KiB, writes up to PIPE_BUF whole or not at all (pipe(7)).
 *
 * The kernel counts pages, of which a small write may fill one alone. Here bytes count, but as there the writer is told
 * that there is room when a page is free again.
 */
#include <limits.h>

#include "inside.h"

enum { CAPACITY = 65536 };

struct pipe {
    struct sim_flow flow;
    struct pipe_end *reader, *writer; /* NULL: closed */
    bool full;                        /* the writer waits for room */
};

struct pipe_end {
    struct sim_file file;
    struct pipe *pipe;
    bool writes;
};

static struct pipe_end *end_of(struct sim_file *file)
{
    return container_of(file, struct pipe_end, file);
}

static size_t room_of(const struct pipe *pipe)
{
    return CAPACITY - pipe->flow.total;
}

static unsigned pipe_poll(struct sim_network *network, struct sim_file *file)
{
    (void)network;
    const struct pipe_end *end = end_of(file);
    const struct pipe *pipe = end->pipe;
    if (end->writes)
        return (room_of(pipe) >= PIPE_BUF ? COSY_SYS_WRITE : 0u) | (pipe->reader ? 0u : COSY_SYS_ERROR);
    return (pipe->flow.visible ? COSY_SYS_READ : 0u) | (pipe->writer ? 0u : COSY_SYS_HANGUP);
}

static void pipe_purge(struct sim_network *network, struct sim_file *file)
{
    cosy_sim_flow_clear(network, &end_of(file)->pipe->flow);
}

static void pipe_close(struct sim_network *network, struct sim_file *file)
{
    struct pipe_end *end = end_of(file);
    struct pipe *pipe = end->pipe;
    struct pipe_end *other = end->writes ? pipe->reader : pipe->writer;
    *(end->writes ? &pipe->writer : &pipe->reader) = NULL;
    if (other) {
        cosy_sim_touch(network, &other->file, SIM_BOTH);
    } else {
        cosy_sim_flow_clear(network, &pipe->flow);
        cosy_heap_free(pipe);
    }
    cosy_heap_free(end);
}

const struct sim_file_kind cosy_sim_pipe_kind = {.poll = pipe_poll, .close = pipe_close, .purge = pipe_purge};

int cosy_sim_pipe(struct sim_network *network, int fds[2])
{
    struct pipe *pipe = cosy_heap_zalloc(sizeof *pipe);
    struct pipe_end *reader = cosy_heap_zalloc(sizeof *reader), *writer = cosy_heap_zalloc(sizeof *writer);
    if (!pipe || !reader || !writer) {
        cosy_heap_free(pipe);
        cosy_heap_free(reader);
        cosy_heap_free(writer);
        return -ENOMEM;
    }
    pipe->reader = reader;
    pipe->writer = writer;
    reader->pipe = writer->pipe = pipe;
    writer->writes = true;
    cosy_sim_file_init(network, &reader->file, &cosy_sim_pipe_kind);
    cosy_sim_file_init(network, &writer->file, &cosy_sim_pipe_kind);
    int in = cosy_sim_install(network, &reader->file), out = in < 0 ? in : cosy_sim_install(network, &writer->file);
    cosy_sim_file_release(network, &writer->file);
    cosy_sim_file_release(network, &reader->file);
    if (out < 0) {
        cosy_sim_close_descriptor(network, in);
        return out;
    }
    fds[0] = in;
    fds[1] = out;
    return 0;
}

int cosy_sim_pipe_read(struct sim_network *network, struct sim_file *file, struct sim_parts parts, size_t size,
                       bool keep)
{
    struct pipe_end *end = end_of(file);
    struct pipe *pipe = end->pipe;
    if (end->writes)
        return -EBADF;
    if (size == 0)
        return 0;
    size_t there = pipe->flow.visible < size ? pipe->flow.visible : size;
    if (there == 0)
        return pipe->writer ? -EAGAIN : 0;
    if (!keep && cosy_sim_happens(network, network->character.again_per_million)) {
        cosy_sim_touch(network, file, COSY_SYS_READ);
        return -EAGAIN;
    }
    if (!keep && network->character.torn_reads)
        there = cosy_sim_part(network, there);
    int count = (int)cosy_sim_flow_copy(network, &pipe->flow, parts.part ? &parts : NULL, there, keep);
    if (!keep && (size_t)count < size && pipe->flow.visible)
        cosy_sim_touch(network, file, COSY_SYS_READ); /* as if the rest had come just after */
    if (pipe->full && pipe->writer && room_of(pipe) >= PIPE_BUF) {
        pipe->full = false;
        cosy_sim_touch(network, &pipe->writer->file, COSY_SYS_WRITE);
    }
    return count;
}

/* How much of a write is taken; 0: it would block. */
static size_t taken(struct sim_network *network, const struct pipe *pipe, size_t size)
{
    size_t room = room_of(pipe);
    if (size <= PIPE_BUF)
        return room >= size ? size : 0;
    if (room < PIPE_BUF && room < size)
        return 0;
    size = size < room ? size : room;
    return network->character.short_writes ? cosy_sim_part(network, size) : size;
}

int cosy_sim_pipe_write(struct sim_network *network, struct sim_file *file, struct sim_parts parts, size_t size)
{
    struct pipe_end *end = end_of(file);
    struct pipe *pipe = end->pipe;
    if (!end->writes)
        return -EBADF;
    if (!pipe->reader)
        return -EPIPE;
    if (size == 0)
        return 0;
    size_t count = taken(network, pipe, size);
    bool again = count > 0 && cosy_sim_happens(network, network->character.again_per_million);
    if (again || count == 0) {
        pipe->full = room_of(pipe) < PIPE_BUF || size <= PIPE_BUF;
        if (again)
            cosy_sim_touch(network, file, COSY_SYS_WRITE);
        return -EAGAIN;
    }
    int error = cosy_sim_flow_append(&pipe->flow, &parts, count, 0, 0, NULL, false);
    if (error)
        return error;
    pipe->flow.visible = pipe->flow.total;
    cosy_sim_touch(network, &pipe->reader->file, COSY_SYS_READ);
    pipe->full = room_of(pipe) < PIPE_BUF;
    if (count < size && !pipe->full)
        cosy_sim_touch(network, file, COSY_SYS_WRITE); /* a short write by chance: more would be taken */
    return (int)count;
}
