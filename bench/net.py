"""The network rows: servers on one processor, the load generator on the other; see README.md and net/README.md."""
import os
import resource
import select
import socket
import statistics
import subprocess
import tempfile

import peers
from tables import WORDS, median, number, print_table

READY_S, LOAD_S = 20, 120
SECONDS, WARM_UP = 1.5, 0.3
QUICK_SECONDS, QUICK_WARM_UP = 0.3, 0.1
FOREIGN_PERCENT, TRIES = 8, 3  # a sample is taken again when others had more of the processors than this
URING, EPOLL = {"COSY_BACKEND": "uring"}, {"COSY_BACKEND": "epoll"}

# {contestant: (program, environment)}, in the order in which the tables show them.
CONTESTANTS = {
    "cosy": ("cosy", URING),
    "cosy_epoll": ("cosy", EPOLL),
    "cosy_spin": ("cosy", dict(URING, BENCH_SPIN_US="20")),
    "io_uring": ("net_uring", {}),
    "io_uring_sqe": ("net_uring", {"BENCH_SEND": "sqe"}),
    "io_uring_zc": ("net_uring", {"BENCH_SEND": "zc"}),
    "io_uring_bundle": ("net_uring", {"BENCH_RECEIVE": "bundle"}),
    "epoll": ("net_epoll", {}),
    "epoll_single": ("net_epoll", {"BENCH_SINGLE": "1"}),
    "epoll_copy": ("net_epoll", {"BENCH_COPY": "1"}),
    "go": ("go", {}),
    "tokio": ("tokio", {}),
    "libuv": ("libuv", {}),
    "uvloop": ("uvloop", {}),
    "asyncio": ("asyncio", {}),
}
PROGRAMS = {program for program, _ in CONTESTANTS.values()}
ONLY_WHERE_NAMED = {"cosy_spin", "io_uring_sqe", "io_uring_zc", "io_uring_bundle", "epoll_single", "epoll_copy"}
HAND_WRITTEN = ("io_uring", "io_uring_sqe", "io_uring_zc", "io_uring_bundle", "epoll", "epoll_copy")
PEERS = ("go", "tokio", "libuv", "uvloop", "asyncio")


class Failed(Exception):
    pass


def build_load(out):
    return peers.build_net_c(out, "load", "", [])


def why_not(command):
    """Why this program of cosy cannot serve; None: it can."""
    answer = subprocess.run([*command, "serve", "nothing", "0"], capture_output=True, text=True, timeout=READY_S)
    return None if answer.stdout.startswith("nothing n/a") else "its program does not know `serve` (bench/net/README.md)"


def contestants_of(row, arguments):
    wanted = arguments.peer or CONTESTANTS
    return [name for name in CONTESTANTS
            if (name in wanted or name.startswith("cosy")) and (name not in ONLY_WHERE_NAMED or name in row.variants)]


def processors():
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise Failed("the network rows need two processors")
    return allowed[:2]


def raise_descriptor_limit(wanted):
    """For this process and the servers and loads that it starts: a connection of the idle row is a descriptor in both."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def free_ports():
    """A port whose next one is free too, below those that connections are given."""
    for port in range(20000 + os.getpid() % 5000 * 2, 32000, 2):
        try:
            for one in (port, port + 1):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind(("127.0.0.1", one))
            return port
        except OSError:
            continue
    raise Failed("no free port")


class Server:
    """`PROGRAM serve MODE PORT` for as long as the with block lasts. `ready` is False where the mode makes no sense for it."""

    def __init__(self, command, environment, mode, cpus):
        self.port = free_ports()
        self.errors = tempfile.TemporaryFile()
        self.details = {}
        self.process = subprocess.Popen([*command, "serve", mode, str(self.port)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env=dict(os.environ, **environment), preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        line = self.process.stdout.readline() if select.select([self.process.stdout], [], [], READY_S)[0] else ""
        self.ready = line == "ready\n"
        if not self.ready and "n/a" not in line:
            reason = self.reason()
            self.end()
            raise Failed(reason or "the server does not get ready")

    def reason(self):
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:100] if lines else None

    def end(self):
        self.process.terminate()
        try:
            words = (self.process.communicate(timeout=10)[0] or "").split()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise Failed("the server does not end on SIGTERM") from None
        finally:
            self.errors.close()
        if self.ready and words[0::2] != ["cpu_us", "rss_kib"]:
            raise Failed("the server has not said what it used")
        self.details = dict(zip(words[0::2], map(float, words[1::2])))


def run_load(load, row, server, cpus, measured_cpu, quick):
    seconds, warm_up = (QUICK_SECONDS, QUICK_WARM_UP) if quick else (SECONDS, WARM_UP)
    connections = row.connections // 10 if quick and row.connections > 1000 else row.connections
    command = [*load, row.load, str(server.port), "--connections", str(connections), "--size", str(row.size), "--depth",
               str(row.depth), "--seconds", str(seconds), "--warm-up", str(warm_up), "--pid", str(server.process.pid),
               *row.options]
    if measured_cpu is not None:
        command += ["--cpu", str(measured_cpu)]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LOAD_S,
                                preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    except subprocess.TimeoutExpired:
        raise Failed(f"no result in {LOAD_S} s") from None
    words = result.stdout.split()
    if result.returncode or len(words) < 3:
        raise Failed(server.reason() if server.process.poll() is not None else (result.stderr.strip().splitlines() or ["?"])[-1][:100])
    return float(words[1]), {key: float(value) for key, value in (word.split("=") for word in words[3:])}


def one_run(load, command, environment, row, *, quick, workers=None):
    """(value, details), or None where the mode makes no sense for this server."""
    first, second = processors()
    shared = workers == 2
    if workers:
        environment = dict(environment, BENCH_WORKERS=str(workers))
    server = Server(command, environment, row.mode, {first, second} if shared else {first})
    try:
        result = server.ready and run_load(load, row, server, {first, second} if shared else {second}, None if shared else first,
                                           quick)
    finally:
        server.end()
    if not result:
        return None
    return result[0], dict(result[1], whole_cpu_us=server.details["cpu_us"], rss_kib=server.details["rss_kib"])


def quiet_run(*arguments, quick, **options):
    """one_run, repeated while the machine is busy with other things; the least disturbed counts."""
    quietest = None
    for _ in range(1 if quick else TRIES):
        result = one_run(*arguments, quick=quick, **options)
        if not result or "foreign_percent" not in result[1]:
            return result
        if not quietest or result[1]["foreign_percent"] < quietest[1]["foreign_percent"]:
            quietest = result
        if quietest[1]["foreign_percent"] <= FOREIGN_PERCENT:
            break
    return quietest


def sample(load, commands, contestant, row, quick):
    """As run.run_once: (value, details), None, or why it failed."""
    program, environment = CONTESTANTS[contestant]
    try:
        if row.unit != "x":
            return quiet_run(load, commands[program], environment, row, quick=quick)
        one = quiet_run(load, commands[program], environment, row, quick=quick, workers=1)
        two = one and quiet_run(load, commands[program], environment, row, quick=quick, workers=2)
        foreign = two and max(one[1]["foreign_percent"], two[1]["foreign_percent"])
        return two and (two[0] / one[0], {"one_per_s": one[0], "two_per_s": two[0], "foreign_percent": foreign})
    except Failed as failed:
        return str(failed)


def detail(row_results, contestant, key):
    values = [details[key] for details in row_results.get(contestant, {}).get("all_details", []) if key in details]
    return statistics.median(values) if values else None


def best(row, row_results, names):
    there = {name: median(row_results, name) for name in names if median(row_results, name) is not None}
    if not there:
        return None
    return (max if row.higher_is_better else min)(there, key=there.get)


def ratio_verdict(text, own, other, bound, at_most=False):
    if own is None or not other:
        return text, "-", None
    ratio = own / other
    return text, f"{ratio:.3f}x", ratio <= bound if at_most else ratio >= bound


def judge(row, results):
    """[(what is to be reached, what was, True/False/None)]; see NetRow.reach in net_rows.py."""
    own, hand, peer = median(results, "cosy"), best(row, results, HAND_WRITTEN), best(row, results, PEERS)
    named, verdicts = hand or "hand-written", []
    for kind, bound in row.reach:
        if kind == "hand":
            verdict = ratio_verdict(f"at least {bound}x {named}", own, median(results, hand), bound)
        elif kind == "cpu":
            verdict = ratio_verdict(f"CPU at most {bound}x {named}", detail(results, "cosy", "cpu_us"),
                                    detail(results, hand, "cpu_us"), bound, at_most=True)
        elif kind == "epoll":
            verdict = ratio_verdict(f"on epoll at least {bound}x epoll", median(results, "cosy_epoll"), median(results, "epoll"),
                                    bound)
        elif kind == "tail":
            verdict = ratio_verdict(f"p99.9 at most {bound}x {named}'s", detail(results, "cosy", "p999_us"),
                                    detail(results, hand, "p999_us"), bound, at_most=True)
        elif kind == "level":
            verdict = ratio_verdict(f"at least {bound}x {peer or 'best peer'}", own, median(results, peer), bound)
        elif kind == "spin":
            verdict = ratio_verdict(f"spinning {bound:g}x {peer or 'best peer'}", median(results, "cosy_spin"),
                                    median(results, peer), bound)
        elif kind == "peer":
            verdict = ratio_verdict(f"ahead of {peer or 'every peer'}", own, median(results, peer), bound)
        else:  # "workers", "below"
            text = f"at least {bound}x" if kind == "workers" else f"at most {bound:,} {row.unit}"
            reached = None if own is None else own >= bound if kind == "workers" else own <= bound
            verdict = (text, number(own), reached)
        verdicts.append(verdict)
    return verdicts


COLUMNS = (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9 us"), ("server_us", "server"), ("cpu_us", "cpu us/op"),
           ("load_us", "load"),
           ("mib_per_s", "MiB/s"), ("lost", "lost"), ("foreign_percent", "foreign %"),
           ("one_per_s", "one"), ("two_per_s", "two workers"), ("total_mib", "MiB in all"))


def print_row(name, row, results):
    base = "cosy" if median(results, "cosy") else best(row, results, HAND_WRITTEN)
    print(f"\n{name}: {row.title} ({row.unit})")
    shown = [(key, title) for key, title in COLUMNS if any(detail(results, c, key) for c in results)]
    table = [("", "median", "[min - max]", f"x {base}", *(title for _, title in shown))]
    for contestant, cell in results.items():
        samples = cell["samples"]
        if "failed" in cell:
            print(f"  {contestant} failed: {cell['failed']}")
        if not samples:
            continue
        middle = statistics.median(samples)
        ratio = f"{middle / median(results, base):.3f}" if base and contestant != base else ""
        details = [detail(results, contestant, key) for key, _ in shown]
        table.append((f"  {contestant}", number(middle), f"[{number(min(samples))} - {number(max(samples))}]", ratio,
                      *(number(value) for value in details)))
    if len(table) > 1:
        print_table(table, right={1, *range(3, len(table[0]))})
    for text, reached, verdict in judge(row, results):
        print(f"  reach: {text:<32} {reached:>9}   {WORDS[verdict]}")


def disturbed(results):
    """How many samples of how many were taken while others had more of the processors than a fair sample allows."""
    shares = [details["foreign_percent"] for row_results in results.values() for cell in row_results.values()
              for details in cell.get("all_details", []) if "foreign_percent" in details]
    return sum(share > FOREIGN_PERCENT for share in shares), len(shares)


def print_summary(rows, results):
    table = [("row", "unit", "cosy", "hand-written", "cosy/hand", "best peer", "cosy/peer", "reach", "")]
    for name, row_results in results.items():
        row, own = rows[name], median(row_results, "cosy")
        hand, peer = best(row, row_results, HAND_WRITTEN), best(row, row_results, PEERS)
        verdicts = judge(row, row_results)
        table.append((name, row.unit, number(own), f"{hand} {number(median(row_results, hand))}" if hand else "-",
                      f"{own / median(row_results, hand):.2f}" if own and hand else "-",
                      f"{peer} {number(median(row_results, peer))}" if peer else "-",
                      f"{own / median(row_results, peer):.2f}" if own and peer else "-",
                      "; ".join(text for text, _, _ in verdicts), "; ".join(WORDS[verdict] for _, _, verdict in verdicts)))
    print_table(table, right={2, 4, 6})
    bad, of = disturbed(results)
    if bad:
        print(f"the machine was busy: in {bad} of {of} samples others had more than {FOREIGN_PERCENT} % of the processors")
