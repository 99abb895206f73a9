#!/usr/bin/env python3
"""examples/lines_and_clock.c with every kind of standard input: a pipe, a file, a socket and a terminal of socat's, a terminal that stays.

    test_lines_and_clock.py PROGRAM...     the command that runs the example; exit 77: there is no socat
"""
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

SKIPPED = 77
LIMIT = 60  # seconds, for slow tools around the program


def lines_of(output):
    """What is not the clock's; the clock counts without a gap."""
    lines = output.decode().replace("\r\n", "\n").splitlines()
    ticks = [line for line in lines if line.startswith("tick")]
    assert ticks == ["tick %d" % (i + 1) for i in range(len(ticks))], output
    return [line for line in lines if not line.startswith("tick")], len(ticks)


def is_blocking(fd):
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


def check_pipe(program):
    """So slowly that the clock ticks in between; the ends that this process shares stay blocking."""
    reading, writing = os.pipe()
    out_reading, out_writing = os.pipe()
    with subprocess.Popen(program, stdin=reading, stdout=out_writing) as child:
        os.write(writing, b"first\nsec")
        before = read_until(out_reading, "tick 2")
        assert is_blocking(reading) and is_blocking(out_writing)
        os.write(writing, b"ond\nthird")
        os.close(writing)
        os.close(out_writing)
        with os.fdopen(out_reading, "rb") as output:
            lines, ticks = lines_of(before.encode() + output.read())
        assert child.wait(LIMIT) == 0
    os.close(reading)
    assert lines == ["line 1: first", "line 2: second", "line 3: third", "end of the input: 3 lines"], lines
    assert ticks >= 2, ticks


def check_file(program):
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as output:
        file.write(b"".join(b"%d\n" % i for i in range(20000)))
        file.seek(0)
        assert subprocess.run(program, stdin=file, stdout=output, timeout=LIMIT).returncode == 0
        output.seek(0)
        lines, _ = lines_of(output.read())
    assert lines == ["line %d: %d" % (i + 1, i) for i in range(20000)] + ["end of the input: 20000 lines"]


def socat(address, data):
    done = subprocess.run(["socat", "-t%d" % LIMIT, "-", address], input=data, stdout=subprocess.PIPE, timeout=2 * LIMIT)
    return done.stdout


def check_socat(program):
    """socat's EXEC gives its program a socket, or with `pty` a terminal."""
    command = "EXEC:" + " ".join(program).replace(":", "\\:").replace(",", "\\,")
    lines, _ = lines_of(socat(command, b"one\ntwo\n"))
    assert lines == ["line 1: one", "line 2: two", "end of the input: 2 lines"], lines
    lines, _ = lines_of(socat(command + ",pty,setsid,ctty,echo=0", b"one\ntwo\n\x04"))
    assert lines == ["line 1: one", "line 2: two", "end of the input: 2 lines"], lines


def check_terminal(program):
    """Each key at once; and all is as it was at the end, of what this process shares with the program."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(slave)
    with subprocess.Popen(program + ["keys"], stdin=slave, stdout=slave) as child:
        seen = read_until(master, "a terminal of 80 by 24")
        deadline = time.monotonic() + LIMIT
        while termios.tcgetattr(slave)[3] & termios.ICANON and time.monotonic() < deadline:
            time.sleep(0.01)
        os.write(master, b"a")
        seen += read_until(master, "key 97")
        assert is_blocking(slave)
        os.write(master, b"q")
        assert child.wait(LIMIT) == 0
    assert termios.tcgetattr(slave) == before
    assert is_blocking(slave)
    os.close(slave)
    os.close(master)


def read_until(master, text):
    seen = ""
    while text not in seen:
        seen += os.read(master, 4096).decode()
    return seen


def main(program):
    if not shutil.which("socat"):
        print("there is no socat")
        return SKIPPED
    check_pipe(program)
    check_file(program)
    check_terminal(program)
    check_socat(program)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
