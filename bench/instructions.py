"""Instructions per operation of cosy's rows, under callgrind: a figure that does not depend on the machine's mood."""
import os
import re
import shutil
import subprocess
import sys

from rows import INSTRUCTION_SIZES

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.txt")
TOLERANCE = 0.10
TIMEOUT_S = 180
# io_uring is unknown to some valgrinds; epoll's user-space part is the same on every machine. Without COSY_HOOKS=0 the
# library tells valgrind of each switch, which is another path than the one that users run.
ENVIRONMENT = {"COSY_BACKEND": "epoll", "COSY_HOOKS": "0", "BENCH_NO_WARM_UP": "1", "BENCH_LIVE": "20000"}
HEADER = """\
# Instructions per operation (both threads, for a wake) under callgrind, epoll backend: `row instructions`.
# bench/callgrind.sh writes this file, bench/callgrind.sh --check compares with it.
"""


def count(command, row, size):
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    try:
        result = subprocess.run([*valgrind, *command, row, str(size)], capture_output=True, text=True, timeout=TIMEOUT_S,
                                env=dict(os.environ, **ENVIRONMENT))
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{row} under callgrind: no result in {TIMEOUT_S} s") from None
    found = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode or not found:
        raise RuntimeError(f"{row} under callgrind: {result.stderr[-2000:]}")
    return int(found.group(1))


def measure(command, rows):
    counts = {}
    for row in rows:
        small, large = INSTRUCTION_SIZES[row]
        counts[row] = (count(command, row, large) - count(command, row, small)) / (large - small)
        print(f"{row:<14}{counts[row]:>12.1f}", flush=True)
    return counts


def read_file():
    if not os.path.exists(FILE):
        return {}
    with open(FILE) as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return {row: float(value) for row, value in lines}


def check(counts):
    committed, worse = read_file(), 0
    for row, now in counts.items():
        before = committed.get(row)
        if before is None:
            print(f"{row}: not in {FILE}")
            worse += 1
        elif now > before * (1 + TOLERANCE):
            print(f"{row}: {before:.1f} -> {now:.1f} instructions, more than {TOLERANCE:.0%} up")
            worse += 1
        elif now < before * (1 - TOLERANCE):
            print(f"{row}: {before:.1f} -> {now:.1f} instructions, better: write the file anew to keep it")
    print("instruction counts: " + ("worse than committed" if worse else "within the tolerance"))
    return 1 if worse else 0


def run(command, arguments):
    if not command:
        return 1
    if not shutil.which("valgrind"):
        print("valgrind is not installed", file=sys.stderr)
        return 1
    try:
        counts = measure(command, [row for row in arguments.row or INSTRUCTION_SIZES if row in INSTRUCTION_SIZES])
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.check:
        return check(counts)
    merged = {**read_file(), **counts}
    with open(FILE, "w") as file:
        file.write(HEADER + "".join(f"{row} {merged[row]:.1f}\n" for row in INSTRUCTION_SIZES if row in merged))
    return 0
