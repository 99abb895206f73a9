/* stream_unclosed.c - debug mode tells of streams that a loop leaves open (asyncio: ResourceWarning, unclosed
 * transport). */
#include "stream.h"

#include <stdio.h>

#include <cosy/log.h>

static void tell(const cosy_stream *stream)
{
    char peer[COSY_ADDRESS_TEXT], fd[32] = "";
    const struct cosy_site_ *site = stream->maker;
    if (stream->port.fd >= 0)
        snprintf(fd, sizeof fd, " (descriptor %d)", stream->port.fd);
    cosy_stream_peer_text(stream, peer);
    if (site)
        cosy_log(COSY_LOG_WARNING, "cosy: unclosed stream to %s%s, opened in task %s, which %s created at %s:%u", peer,
                 fd, site->name, site->func, site->file, site->line);
    else
        cosy_log(COSY_LOG_WARNING, "cosy: unclosed stream to %s%s", peer, fd);
}

void cosy_streams_tell_unclosed(const struct cosy_loop *loop)
{
    if (!loop->debug)
        return;
    for (struct cosy_link *link = NULL; (link = cosy_fd_table_next(&loop->ports, link));) {
        const struct cosy_port *port = container_of(link, struct cosy_port, of_loop);
        if (port->of_stream)
            tell(container_of(port, cosy_stream, port));
    }
}
