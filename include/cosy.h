/* cosy.h - asyncio for C: everything. One header per room; docs/ARCHITECTURE.md has the map. */
#ifndef COSY_H
#define COSY_H

#include "cosy/version.h"
/* base */
#include "cosy/colour.h"
#include "cosy/err.h"
#include "cosy/log.h"
#include "cosy/time.h"
/* loop */
#include "cosy/context.h"
#include "cosy/embed.h"
#include "cosy/loop.h"
#include "cosy/op.h"
/* task */
#include "cosy/call.h"
#include "cosy/coro.h"
#include "cosy/future.h"
#include "cosy/task.h"
#include "cosy/trace.h"
/* sync */
#include "cosy/barrier.h"
#include "cosy/condition.h"
#include "cosy/event.h"
#include "cosy/lock.h"
#include "cosy/queue.h"
#include "cosy/semaphore.h"
/* flow */
#include "cosy/agen.h"
#include "cosy/as_completed.h"
#include "cosy/capacity.h"
#include "cosy/gather.h"
#include "cosy/group.h"
#include "cosy/pool.h"
#include "cosy/race.h"
#include "cosy/rate.h"
#include "cosy/retry.h"
#include "cosy/runner.h"
#include "cosy/scope.h"
#include "cosy/shield.h"
#include "cosy/sleep.h"
#include "cosy/testing.h"
#include "cosy/timeout.h"
#include "cosy/wait.h"
#include "cosy/with.h"
/* io */
#include "cosy/address.h"
#include "cosy/connection.h"
#include "cosy/datagram.h"
#include "cosy/dns.h"
#include "cosy/executor.h"
#include "cosy/fds.h"
#include "cosy/pipe.h"
#include "cosy/server.h"
#include "cosy/sock.h"
#include "cosy/stream.h"
#include "cosy/threadsafe.h"
#include "cosy/transfer.h"
#include "cosy/workers.h"

#endif
