/* net_copy.c - sendfile and splice: bytes from a file to a socket, and between pipes and sockets. */
#include <sys/stat.h>
#include <unistd.h>

#include "socket.h"

enum { STEP = 65536 };

static int put(struct sim_network *network, struct sim_file *out, void *data, size_t size)
{
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct sim_parts parts = sim_parts_of(&part, 1);
    struct sim_rights *nothing = NULL;
    if (out->kind == &cosy_sim_pipe_kind)
        return cosy_sim_pipe_write(network, out, parts, size);
    return cosy_sim_stream_send(network, sim_socket_of(out), &parts, size, &nothing);
}

static int get(struct sim_network *network, struct sim_file *in, void *data, size_t size, bool keep)
{
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct sim_parts parts = sim_parts_of(&part, data != NULL);
    if (in->kind == &cosy_sim_pipe_kind)
        return cosy_sim_pipe_read(network, in, parts, size, keep);
    return cosy_sim_stream_receive(network, sim_socket_of(in), &parts, size, NULL, keep ? MSG_PEEK : 0);
}

static bool is_stream(const struct sim_file *file)
{
    if (file->kind == &cosy_sim_pipe_kind)
        return true;
    return file->kind == &cosy_sim_socket_kind &&
           container_of(file, const struct sim_socket, file)->type == SOCK_STREAM;
}

static int send_steps(struct sim_network *network, struct sim_file *out, int file, off_t *offset, size_t size,
                      char *buffer)
{
    size_t sent = 0;
    while (sent < size) {
        ssize_t there = pread(file, buffer, size - sent < STEP ? size - sent : STEP, *offset);
        if (there <= 0)
            return sent ? (int)sent : there < 0 ? -errno : 0;
        int count = put(network, out, buffer, (size_t)there);
        if (count < 0)
            return sent ? (int)sent : count;
        *offset += count;
        sent += (size_t)count;
        if (count < there)
            break;
    }
    return (int)sent;
}

int cosy_sim_sendfile(struct sim_network *network, struct sim_file *out, int file, off_t *offset, size_t size)
{
    struct stat status;
    if (sim_is_virtual(file) || !is_stream(out))
        return -EINVAL;
    if (fstat(file, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    char *buffer = cosy_heap_alloc(STEP);
    if (!buffer)
        return -ENOMEM;
    int result = send_steps(network, out, file, offset, size, buffer);
    cosy_heap_free(buffer);
    return result;
}

/* What `out` takes is taken from `in` afterwards: nothing is lost between them. */
int cosy_sim_splice(struct sim_network *network, struct sim_file *in, struct sim_file *out, size_t size)
{
    bool pipe = in->kind == &cosy_sim_pipe_kind || out->kind == &cosy_sim_pipe_kind;
    if (!pipe || in == out || !is_stream(in) || !is_stream(out))
        return -EINVAL;
    char *buffer = cosy_heap_alloc(STEP);
    if (!buffer)
        return -ENOMEM;
    int there = get(network, in, buffer, size < STEP ? size : STEP, true);
    int count = there > 0 ? put(network, out, buffer, (size_t)there) : there;
    for (int left = count > 0 ? count : 0; left > 0;) {
        int taken = get(network, in, buffer, (size_t)left, false); /* torn reads give less, false alarms nothing */
        left -= taken > 0 ? taken : 0;
    }
    cosy_heap_free(buffer);
    return count;
}
