/* The servers of the network rows. */
#pragma once

#include "../net/serve.h"
#include <cosy.h>

int cosy_serve(const char *mode, int port);
/* The coroutine of a datagram mode; NULL: the mode is none. */
cosy_coro *cosy_serve_datagrams(const char *mode, int port);
