"""The rows: what each measures, on which clock, how large it is for whom, and what cosy is to reach."""

MILLION = 1_000_000


class Row:
    def __init__(self, unit, clock, title, size, sizes=None, reach=(), cpus=1, once=False, optional=False):
        self.unit = unit
        self.clock = clock  # "cpu": CLOCK_PROCESS_CPUTIME_ID; "wall"; "memory"
        self.title = title
        self.size = size
        self.sizes = sizes or {}  # where a peer would take too long, or cannot do as many
        self.reach = reach  # ("limit", n): at most n times the limit; ("below", n): at most n units; (peer, n): 1/n of it
        self.cpus = cpus
        self.once = once  # hardly varies and takes long: one round
        self.optional = optional  # only by --row

    def size_for(self, contestant):
        return self.sizes.get(contestant, self.size)


def python(size):
    return {"asyncio": size, "uvloop": size}


ROWS = {
    "switch2": Row("ns", "cpu", "one yield through the scheduler, 2 tasks at different sites", 10 * MILLION,
                   {"go": 3 * MILLION, "tokio": 2 * MILLION, "state_threads": 2 * MILLION, "boost_fiber": 4 * MILLION,
                    "erlang": 2 * MILLION, **python(200_000)},
                   (("limit", 1.3), ("go", 12))),
    "switch1000": Row("ns", "cpu", "the same, 1,000 tasks", 10 * MILLION,
                      {"go": 3 * MILLION, "tokio": 4 * MILLION, "state_threads": 2 * MILLION, "boost_fiber": 4 * MILLION,
                       "erlang": 2 * MILLION, **python(300_000)},
                      (("limit", 1.3), ("go", 12))),
    "spawn": Row("ns", "cpu", "spawn, run and await an empty task, batches of 1,000", 3 * MILLION,
                 {"go": MILLION, "tokio": MILLION, "state_threads": MILLION, "boost_context": MILLION,
                  "boost_fiber": 500_000, "erlang": 300_000, **python(50_000)},
                 (("limit", 2), ("go", 10))),
    "skynet": Row("ms", "cpu", "a tree of one million leaf tasks, child first where the runtime can", MILLION,
                  python(100_000), (("limit", 3), ("tokio", 15))),
    "memory": Row("B", "memory", "one parked task of a million, page tables counted", MILLION,
                  {"state_threads": 30_000, "boost_fiber": 100_000, **python(200_000)}, (("below", 4400),), once=True),
    "memory_tiny": Row("B", "memory", "the same with the smallest stacks", MILLION, None, (("below", 1250),), once=True),
    "memory_sleep": Row("B", "memory", "one task of a million in a long sleep", MILLION, None, (("below", 4400),),
                        once=True, optional=True),
    "timer_cancel": Row("ns", "cpu", "create and cancel a timer while one million live", MILLION,
                        python(200_000), (("below", 12), ("go", 20))),
    "timer_fire": Row("ns", "cpu", "create and fire a timer, one million with spread deadlines", MILLION,
                      python(200_000), (("below", 45), ("tokio", 20))),
    "wake_asleep": Row("us", "wall", "round trip between two threads' loops that both sleep", 5_000,
                       python(2_000), (("go", 1), ("tokio", 1), ("libuv", 1)), cpus=2),
    "wake_busy": Row("ns", "wall", "round trip between two threads' loops that are both busy", 500_000,
                     {"go": 200_000, "tokio": 200_000, "libuv": 50_000, "boost_fiber": 100_000},
                     (("go", 1), ("tokio", 1), ("libuv", 1)), cpus=2),
    "handover": Row("ns", "cpu", "a message between two tasks, without a buffer", 3 * MILLION, python(100_000),
                    (("below", 10), ("go", 10))),
    "queue1024": Row("ns", "cpu", "the same through a queue of 1,024 places", 10 * MILLION, python(300_000),
                     (("below", 5), ("go", 6))),
    "gather1000": Row("ns", "cpu", "a child of a gather of 1,000 that finish at once", 2 * MILLION, python(100_000),
                      (("go", 1), ("tokio", 3), ("asyncio", 3))),
    "group1000": Row("ns", "cpu", "a child of a task group of 1,000", 2 * MILLION, python(100_000),
                     (("go", 1), ("tokio", 3), ("asyncio", 3))),
    "lock": Row("ns", "cpu", "take and give back a free lock", 10 * MILLION, python(500_000),
                (("go", 1), ("tokio", 1), ("asyncio", 1))),
    "semaphore": Row("ns", "cpu", "take and give back a permit of a free semaphore", 10 * MILLION, python(500_000),
                     (("go", 1), ("tokio", 1), ("asyncio", 1))),
    "event": Row("ns", "cpu", "wait for an event that is set", 10 * MILLION, python(500_000), (("go", 1), ("asyncio", 1))),
    "lock1000": Row("ns", "cpu", "take a lock that 1,000 tasks want, yield, give it back", 2 * MILLION, python(100_000),
                    (("go", 1), ("tokio", 1), ("asyncio", 3))),
    "semaphore1000": Row("ns", "cpu", "the same with ten permits", 2 * MILLION, python(100_000),
                         (("go", 1), ("tokio", 1), ("asyncio", 3))),
    "event1000": Row("ns", "cpu", "one of 1,000 new tasks that wait for an event, and end", 2 * MILLION, python(100_000),
                     (("go", 1), ("tokio", 3), ("asyncio", 3))),
    "generator": Row("ns", "cpu", "an item of an async generator", 5 * MILLION, python(500_000), (("asyncio", 10),)),
    "job": Row("us", "wall", "run a job in the pool of threads and come back", 20_000, python(5_000),
               (("tokio", 1), ("libuv", 1), ("asyncio", 1)), cpus=2),
    "threadsafe4": Row("ns", "wall", "a call to a loop from one of four threads", MILLION, python(100_000),
                       (("tokio", 1), ("asyncio", 1)), cpus=2),
    "process": Row("us", "wall", "start `true` and wait for its end", 2_000, python(500),
                   (("limit", 1.1), ("libuv", 1), ("go", 1), ("asyncio", 1)), cpus=2),
    "process_output": Row("us", "wall", "the same with `echo`, whose output is read", 2_000, python(500),
                          (("libuv", 1), ("go", 1), ("asyncio", 1)), cpus=2),
    "names": Row("us", "wall", "one of 1,000 look-ups of localhost at once, by threads", 20_000, python(5_000),
                 (("libuv", 1), ("asyncio", 1)), cpus=2),
    "names_ares": Row("us", "wall", "the same by c-ares, or without the C library", 20_000, python(5_000),
                      (("asyncio", 1),), cpus=2),
    "tls_echo": Row("us", "cpu", "a round trip of 1 KiB by TLS, 50 connections, both sides", 200_000, None, (("limit", 1.05),)),
    "tls_handshake": Row("us", "cpu", "a TLS handshake, 50 at a time, both sides, without resumption", 5_000, None, (("limit", 1.05),)),
    "tls_idle": Row("B", "memory", "an idle connection that speaks TLS, both ends, of 1,000", 1_000, None, (("limit", 1.35),), once=True),
    "read_4k": Row("ns", "wall", "4 KiB of a file in the page cache, at random, one after the other", MILLION,
                   {"tokio": 100_000, "libuv": 100_000}, (("limit", 1.05), ("tokio", 1), ("libuv", 1), ("go", 1)), cpus=2),
    "read_4k_32": Row("ns", "wall", "the same by 32 tasks", MILLION, {"tokio": 100_000, "libuv": 100_000},
                      (("limit", 1.05), ("tokio", 1), ("libuv", 1), ("go", 1)), cpus=2),
    "write_64": Row("us", "wall", "a write of 64 B to the end of a file, one after the other", 100_000, {"tokio": 20_000, "libuv": 20_000},
                    (("tokio", 1), ("libuv", 1)), cpus=2),
    "copy_large": Row("ms", "wall", "a file of 256 MiB copied", 256, None,
                      (("limit", 1.05), ("tokio", 1), ("libuv", 1), ("go", 1)), cpus=2),
    "copy_small": Row("us", "wall", "one of 2,000 files of 4 KiB copied, 4 at a time", 2_000, None,
                      (("limit", 1.05), ("tokio", 1), ("libuv", 1), ("go", 1)), cpus=2),
}

# Rows whose value is that of the whole run: a smaller run is scaled up to the full size.
SCALED_ROWS = {"skynet"}

# Instruction counts: two sizes per row, whose difference leaves the start of the process out. wake_busy spins: not countable.
# Not switch2 and handover: with turns of two tasks, how often the kernel is asked depends on the time that turns take, so the count does too.
INSTRUCTION_SIZES = {
    "switch1000": (20_000, 120_000),
    "spawn": (10_000, 60_000),
    "skynet": (1_000, 10_000),
    "memory": (2_000, 12_000),
    "memory_tiny": (2_000, 12_000),
    "timer_cancel": (20_000, 120_000),
    "timer_fire": (20_000, 120_000),
    "wake_asleep": (500, 2_500),
    "queue1024": (20_000, 120_000),
    "generator": (20_000, 120_000),
    "gather1000": (10_000, 60_000),
    "group1000": (10_000, 60_000),
    "lock": (20_000, 120_000),
    "semaphore": (20_000, 120_000),
    "event": (20_000, 120_000),
    "lock1000": (10_000, 60_000),
    "semaphore1000": (10_000, 60_000),
    "event1000": (10_000, 60_000),
}
