/* idle: the server's memory for a connection on which one byte went there and back, and then nothing. */
#include "load.h"

static void open_connections(int count, int bytes)
{
    for (int i = 0; i < count; i++) {
        unsigned char byte = 1;
        int fd = load_connect(load.port);
        for (int k = 0; k < bytes; k++) {
            load_write_all(fd, &byte, 1);
            load_read_all(fd, &byte, 1);
        }
    }
}

int load_idle(void)
{
    /* What the server needs once, whoever comes, such as a ring of 2,048 buffers, is in use after these. */
    int first = load.connections / 100;
    if (!load.pid)
        load_fail("--pid is needed");
    if (first < 1)
        load_fail("at least 100 connections");
    open_connections(first, 1 + 4096 / first);
    usleep(100000);
    double before = load_server_memory(load.pid);
    open_connections(load.connections - first, 1);
    usleep(100000);
    double each = (load_server_memory(load.pid) - before) / (load.connections - first);
    printf("idle %.6g B total_mib=%.1f\n", each, load_server_memory(load.pid) / 1048576);
    return 0;
}
