/* sock.h - what sock.c and sendfile.c share. */
#ifndef COSY_IO_SOCK_H
#define COSY_IO_SOCK_H

#include <cosy/sock.h>

#include "../loop/request.h"
#include "../task/task.h"

/* Makes the call, and waits as long as it would block. `what` is the public call's name, for messages. The result, or a
 * negative code with its message told. */
cosy_async int64_t cosy_sock_run(const char *what, struct cosy_request *request);

/* cosy_fail for a negative code: "cosy_sock_recv: descriptor 5: Connection reset by peer". A cancel has no message. */
int cosy_sock_fail(const char *what, int fd, int error);

/* As cosy_sock_sendall; `what` is for messages. */
cosy_async int cosy_sock_send_rest(const char *what, int fd, const void *data, size_t size, size_t *ret_sent);

#endif
