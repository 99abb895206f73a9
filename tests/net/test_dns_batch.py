#!/usr/bin/env python3
"""examples/dns_batch.c beside getent, which asks the C library.

    test_dns_batch.py PROGRAM...     the command that runs the example; exit 77: there is no getent
"""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys

SKIPPED = 77
LIMIT = 60  # seconds, for slow tools around the program


def run(command, text="", resolver="system"):
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT,
                          universal_newlines=True, env=dict(os.environ, COSY_RESOLVER=resolver))
    return done.returncode, done.stdout, done.stderr


def getent(database, name):
    """The addresses that getent finds, in its order."""
    status, text, _ = run(["getent", database, name])
    return [line.split()[0] for line in text.splitlines() if line.split()[1] == "STREAM"] if status == 0 else None


def names_of_this_machine():
    names = ["localhost", "127.0.0.1", "::1", "2001:db8::7"]
    own = socket.gethostname()
    return names + [own] if getent("ahosts", own) else names


def check_against_getent(program, resolver):
    """c-ares answers for localhost by itself, and knows both addresses whatever /etc/hosts says (RFC 6761)."""
    for option, database in (("-4", "ahostsv4"), (None, "ahosts"))[:1 if resolver == "ares" else 2]:
        names = [name for name in names_of_this_machine() if option != "-4" or ":" not in name]
        status, text, errors = run(program + ([option] if option else []) + names, resolver=resolver)
        assert status == 0, (status, errors)
        lines = [line.split() for line in text.splitlines()]
        assert [line[0] for line in lines] == names, text
        for line in lines:
            expected = getent(database, line[0])
            assert sorted(set(line[1:])) == sorted(set(expected)), (line, expected)


def check_input(program, resolver):
    """A name in each line, comments and empty lines; many more than are asked at once; in order."""
    numbers = ["192.0.2.%d" % (i % 256) if i % 3 else "localhost" for i in range(500)]
    status, text, errors = run(program + ["-4", "-n", "5", "-"], "# names\n\n" + "\n".join("  %s  # %d" % pair for pair in zip(numbers, range(500))), resolver)
    assert status == 0, (status, errors)
    expected = ["%s %s" % (name, "127.0.0.1" if name == "localhost" else name) for name in numbers]
    assert text.splitlines() == expected, text[:500]


def check_errors(program, resolver):
    """They are told in their place among the answers, and nothing else is held up."""
    names = ["127.0.0.1", "::1", "127.0.0.2", "x" * 300, "127.0.0.3"]
    done = subprocess.run(program + ["-4"] + names, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                          universal_newlines=True, env=dict(os.environ, COSY_RESOLVER=resolver))
    lines = [line for line in done.stdout.splitlines() if not re.match("--|==", line)]  # which are valgrind's
    assert done.returncode == 1 and len(lines) == len(names), (done.returncode, lines)
    assert lines[::2] == ["127.0.0.%d 127.0.0.%d" % (i, i) for i in (1, 2, 3)], lines
    assert lines[1].startswith("looking up ::1: ") and lines[3].startswith("looking up xxx"), lines


def check_usage(program):
    for bad in (["-x"], ["-n", "5x", "::1"], ["-n", "99999999999999999999"]):
        status, text, errors = run(program + bad)
        assert status == 2 and text == "" and "usage: dns_batch " in errors, (bad, status, text, errors)


def read_line(fd):
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], LIMIT)
        assert ready, text
        part = os.read(fd, 1)
        assert part, text
        text += part
    return text.decode()


def check_by_hand(program, resolver):
    """Each answer comes before the next name is typed; Ctrl-C ends it."""
    with subprocess.Popen(program + ["-4", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(os.environ, COSY_RESOLVER=resolver)) as child:
        for name, address in (("localhost", "127.0.0.1"), ("192.0.2.7", "192.0.2.7"), ("LOCALHOST", "127.0.0.1")):
            child.stdin.write((name + "\n").encode())
            child.stdin.flush()
            assert read_line(child.stdout.fileno()) == "%s %s\n" % (name, address)
        child.send_signal(signal.SIGINT)
        assert child.wait(LIMIT) == -signal.SIGINT, child.returncode
        errors = child.stderr.read()
        assert b"KeyboardInterrupt\n" in errors and b"looking up" not in errors, errors


def main(program):
    if not shutil.which("getent"):
        print("there is no getent")
        return SKIPPED
    resolvers = ["system"]
    status, _, errors = run(program + ["-4", "localhost"], resolver="ares")
    if status == 0:
        resolvers.append("ares")
    else:
        assert "cosy was built without it" in errors, errors
    for resolver in resolvers:
        check_against_getent(program, resolver)
        check_input(program, resolver)
        check_errors(program, resolver)
    check_by_hand(program, resolvers[-1])
    check_usage(program)
    status, _, errors = run(program + ["-4", "localhost"], resolver="nonsense")
    assert status == 1 and "COSY_RESOLVER names no resolver: 'nonsense'" in errors, (status, errors)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
