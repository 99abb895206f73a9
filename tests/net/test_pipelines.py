#!/usr/bin/env python3
"""examples/pipelines.c beside sh and xargs -P.

    test_pipelines.py PROGRAM...     the command that runs the example
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

COMMANDS = ["echo one | tr a-z A-Z", "seq 1 20000 | sort -rn | md5sum", "printf 'no newline'; echo", "echo err >&2; echo out; exit 3",
            "yes | head -c 1000000 | wc -c", "cat /dev/null", "false | true", "echo \"$0\" | wc -l", "exit 255", "cat; echo end"]


def by_sh(command):
    done = subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout + ("%s: exit status %d\n" % (command, done.returncode)).encode() * (done.returncode > 0)


def run(program, arguments, stdin=b""):
    return subprocess.run(program + arguments, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def in_order(program):
    expected = b"".join(by_sh(command) for command in COMMANDS)
    for jobs in ("1", "3", "20"):
        done = run(program, ["-k", "-j", jobs] + COMMANDS)
        assert done.stdout == expected, (jobs, done.stdout)
        assert done.returncode == 1, done.returncode
    done = run(program, ["-k"], "\n".join(COMMANDS).encode())
    assert done.stdout == expected, done.stdout
    assert run(program, ["true", "echo fine"]).returncode == 0


def as_xargs_does(program, count):
    lines = "\n".join("echo %d | sed s/^/n/; echo %d" % (n, n * n) for n in range(count)).encode() + b"\n"
    xargs = subprocess.run(["xargs", "-P", "4", "-d", "\n", "-n", "1", "sh", "-c"], input=lines, stdout=subprocess.PIPE, timeout=120)
    done = run(program, ["-j", "4"], lines)
    assert sorted(done.stdout.split()) == sorted(xargs.stdout.split()), done.stdout
    assert len(done.stdout.split()) == 2 * count, done.stdout
    assert done.returncode == xargs.returncode == 0


def at_most_so_many(program):
    """Each takes a place while it runs: with two places the third would find none. And eight at once: each waits for the others."""
    with tempfile.TemporaryDirectory() as folder:
        command = "mkdir %s/a 2>/dev/null && d=a || { mkdir %s/b 2>/dev/null && d=b; } || exit 7; sleep 0.02; rmdir %s/$d" % ((folder,) * 3)
        done = run(program, ["-j", "2"] + [command] * 8)
        assert done.returncode == 0, done.stdout
        command = "mkdir %s/$$; until [ $(ls %s | wc -l) -ge 8 ]; do sleep 0.02; done" % ((folder,) * 2)
        done = run(program, ["-j", "8"] + [command] * 8)
        assert done.returncode == 0, done.stdout


def interrupted(program):
    """Ctrl-C: everything that was started ends, what the commands have started too."""
    mark = "987.%06d" % os.getpid()
    runner = subprocess.Popen(program + ["sleep %s & wait" % mark, "sleep %s; true" % mark], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True)
    def sleepers():
        return subprocess.run(["pgrep", "-f", "^sleep " + mark], stdout=subprocess.PIPE).stdout.split()
    for _ in range(3000):
        if len(sleepers()) == 2:
            break
        time.sleep(0.01)
    assert len(sleepers()) == 2
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=60)
    for _ in range(1000):
        if not sleepers():
            break
        time.sleep(0.01)
    assert not sleepers()


def main(program):
    in_order(program)
    as_xargs_does(program, 60 if os.environ.get("COSY_TEST_TOOL", "none") == "none" else 15)
    at_most_so_many(program)
    interrupted(program)
    print("%d commands as by sh" % len(COMMANDS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
