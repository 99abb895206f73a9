/* libuv serve MODE PORT, see serve.c. */
#pragma once

int serve(const char *mode, int port);
