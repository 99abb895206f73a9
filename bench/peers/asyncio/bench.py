"""bench.py asyncio|uvloop ROW SIZE: tasks on Python's own event loop or on uvloop. ... serve MODE PORT: serve.py."""
import asyncio
import os
import sys
import threading
import time

FIRE_FIRST, FIRE_SPREAD = 0.1, 0.2
CANCEL_FIRST, CANCEL_SPREAD = 100.0, 1000.0
CANCEL_BATCH = 100


def cpu_ns():
    return time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)


def memory_bytes():
    with open("/proc/self/status") as status:
        return 1024 * sum(int(line.split()[1]) for line in status if line.startswith(("VmRSS:", "VmPTE:")))


def spread(i, limit):
    return ((i * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 11) / (1 << 53) * limit


# Four functions: tasks suspended at four sites.
async def site1(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def site2(n):
    while n:
        await asyncio.sleep(0)
        n -= 1


async def site3(n):
    for _ in reversed(range(n)):
        await asyncio.sleep(0)


async def site4(n):
    i = 0
    while i < n:
        await asyncio.sleep(0)
        i += 1


async def run_switch(tasks, each):
    sites = site1, site2, site3, site4
    await asyncio.gather(*[sites[i % 4](each) for i in range(tasks)])


async def switch(row, size):
    tasks = int(row[len("switch"):])
    await run_switch(tasks, size // tasks // 10 + 1)
    start = cpu_ns()
    await run_switch(tasks, size // tasks)
    return (cpu_ns() - start) / (size // tasks * tasks), "ns"


async def empty():
    pass


async def spawn_batches(batches):
    for _ in range(batches):
        for task in [asyncio.create_task(empty()) for _ in range(1000)]:
            await task


async def spawn(row, size):
    await spawn_batches(2)
    start = cpu_ns()
    await spawn_batches(size // 1000)
    return (cpu_ns() - start) / (size // 1000 * 1000), "ns"


async def skynet_node(base, size):
    if size == 1:
        return base
    part = size // 10
    children = [asyncio.create_task(skynet_node(base + i * part, part)) for i in range(10)]
    return sum([await child for child in children])


async def skynet(row, size):
    await skynet_node(0, size // 10)
    start = cpu_ns()
    total = await skynet_node(0, size)
    assert total == size * (size - 1) // 2
    return (cpu_ns() - start) / 1e6, "ms"


async def memory(row, size):
    gate = asyncio.Event()

    async def park():
        await gate.wait()

    before, start = memory_bytes(), cpu_ns()
    tasks = [asyncio.create_task(park()) for _ in range(size)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    created, used = cpu_ns(), memory_bytes() - before
    gate.set()
    for task in tasks:
        await task
    return used / size, f"B create_ns={(created - start) // size} wake_ns={(cpu_ns() - created) // size}"


async def timer_cancel(row, size):
    loop = asyncio.get_running_loop()
    live = [loop.call_later(CANCEL_FIRST + spread(i, CANCEL_SPREAD), int) for i in range(size)]

    def churn(n, seed):
        for first in range(seed, seed + n, CANCEL_BATCH):
            batch = [loop.call_later(CANCEL_FIRST + spread(first + i, CANCEL_SPREAD), int) for i in range(CANCEL_BATCH)]
            for handle in batch:
                handle.cancel()

    churn(size // 10, size)
    start = cpu_ns()
    churn(size, 2 * size)
    spent = cpu_ns() - start
    for handle in live:
        handle.cancel()
    return spent / size, "ns"


async def fire(size):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = size

    def fired():
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    start = cpu_ns()
    for i in range(size):
        loop.call_later(FIRE_FIRST + spread(i, FIRE_SPREAD), fired)
    time.sleep(FIRE_FIRST + FIRE_SPREAD + 0.002)
    await done
    return cpu_ns() - start


async def timer_fire(row, size):
    await fire(size // 10)
    return await fire(size) / size, "ns"


def pin(cpus, n):
    if n < len(cpus):
        os.sched_setaffinity(0, {cpus[n]})


async def wake_asleep(row, size):
    """Round trips between the loops of two threads through call_soon_threadsafe."""
    here = asyncio.get_running_loop()
    there = type(here)() if type(here).__module__ == "uvloop" else asyncio.new_event_loop()
    cpus = sorted(os.sched_getaffinity(0))
    answered = asyncio.Event()

    def run_there():
        pin(cpus, 1)
        there.run_forever()

    thread = threading.Thread(target=run_there)
    thread.start()
    pin(cpus, 0)
    for i in range(size + size // 10):
        if i == size // 10:
            start = time.monotonic_ns()
        there.call_soon_threadsafe(here.call_soon_threadsafe, answered.set)
        await answered.wait()
        answered.clear()
    spent = time.monotonic_ns() - start
    there.call_soon_threadsafe(there.stop)
    thread.join()
    return spent / size / 1e3, "us"


async def messages(size, queue):
    async def send(n):
        for i in range(n):
            await queue.put(i)

    sender = asyncio.create_task(send(size // 10 + size))
    for _ in range(size // 10):
        await queue.get()
    start = cpu_ns()
    for _ in range(size):
        await queue.get()
    await sender
    return (cpu_ns() - start) / size, "ns"


async def handover(row, size):
    return await messages(size, asyncio.Queue(1))  # there is none without a place


async def queue1024(row, size):
    return await messages(size, asyncio.Queue(1024))


async def repeat(size, each, body):
    for _ in range(size // each // 10 + 1):
        await body()
    start = cpu_ns()
    for _ in range(size // each):
        await body()
    return (cpu_ns() - start) / (size // each * each), "ns"


async def gather1000(row, size):
    async def body():
        await asyncio.gather(*[empty() for _ in range(1000)])

    return await repeat(size, 1000, body)


async def group1000(row, size):
    async def body():
        async with asyncio.TaskGroup() as group:
            for _ in range(1000):
                group.create_task(empty())

    return await repeat(size, 1000, body)


async def guarded(row, size):
    guard = asyncio.Lock() if row == "lock" else asyncio.Semaphore(10)
    start = cpu_ns()
    for _ in range(size):
        await guard.acquire()
        guard.release()
    return (cpu_ns() - start) / size, "ns"


async def event(row, size):
    gate = asyncio.Event()
    gate.set()
    start = cpu_ns()
    for _ in range(size):
        await gate.wait()
    return (cpu_ns() - start) / size, "ns"


async def guarded1000(row, size):
    guard = asyncio.Lock() if row == "lock1000" else asyncio.Semaphore(10)

    async def use(rounds):
        for _ in range(rounds):
            async with guard:
                await asyncio.sleep(0)

    start = cpu_ns()
    await asyncio.gather(*[use(size // 1000) for _ in range(1000)])
    return (cpu_ns() - start) / (size // 1000 * 1000), "ns"


async def event1000(row, size):
    async def body():
        gate = asyncio.Event()
        tasks = [asyncio.create_task(gate.wait()) for _ in range(1000)]
        await asyncio.sleep(0)
        gate.set()
        for task in tasks:
            await task

    return await repeat(size, 1000, body)


async def generator(row, size):
    async def numbers(n):
        for i in range(n):
            yield i

    start = cpu_ns()
    async for _ in numbers(size):
        pass
    return (cpu_ns() - start) / size, "ns"


async def job(row, size):
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, int)
    start = time.monotonic_ns()
    for _ in range(size):
        await loop.run_in_executor(None, int)
    return (time.monotonic_ns() - start) / size / 1e3, "us"


async def threadsafe4(row, size):
    loop = asyncio.get_running_loop()
    done, left = loop.create_future(), size // 4 * 4

    def call():
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)

    def post():
        for _ in range(size // 4):
            loop.call_soon_threadsafe(call)

    start = time.monotonic_ns()
    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    await done
    spent = time.monotonic_ns() - start
    for thread in threads:
        thread.join()
    return spent / (size // 4 * 4), "ns"


async def process(row, size):
    async def run():
        if row == "process_output":
            child = await asyncio.create_subprocess_exec("/bin/echo", "hello", stdout=asyncio.subprocess.PIPE)
            await child.communicate()
        else:
            child = await asyncio.create_subprocess_exec("/bin/true")
            await child.wait()

    for _ in range(size // 10 + 1):
        await run()
    start = time.monotonic_ns()
    for _ in range(size):
        await run()
    return (time.monotonic_ns() - start) / size / 1e3, "us"


async def names(row, size):
    import socket
    loop = asyncio.get_running_loop()

    async def run():
        await asyncio.gather(*(loop.getaddrinfo("localhost", "80", type=socket.SOCK_STREAM) for _ in range(1000)))

    await run()
    rounds = (size + 999) // 1000
    start = time.monotonic_ns()
    for _ in range(rounds):
        await run()
    return (time.monotonic_ns() - start) / rounds / 1e6, "us"


ROWS = {
    "handover": handover, "queue1024": queue1024, "gather1000": gather1000, "group1000": group1000,
    "lock": guarded, "semaphore": guarded, "event": event,
    "lock1000": guarded1000, "semaphore1000": guarded1000, "event1000": event1000,
    "generator": generator, "job": job, "process": process, "process_output": process, "names": names, "names_ares": names, "threadsafe4": threadsafe4,
    "switch2": switch, "switch1000": switch, "spawn": spawn, "skynet": skynet, "memory": memory,
    "timer_cancel": timer_cancel, "timer_fire": timer_fire, "wake_asleep": wake_asleep,
}


def main():
    kind, row, size = sys.argv[1], sys.argv[2], int(sys.argv[-1])
    if kind == "uvloop":
        import uvloop
        uvloop.install()
    if row == "serve":
        sys.dont_write_bytecode = True  # nothing is written beside the sources
        import serve
        serve.serve(kind, sys.argv[3], size)
        return
    if row not in ROWS:
        print(row, "n/a")
        return
    value, unit = asyncio.run(ROWS[row](row, size))
    print(f"{row} {value:.6g} {unit}")


main()
