#!/usr/bin/env python3
"""examples/tail.c on a log that others write: sh, mv, truncate and logrotate's ways.

    test_tail.py PROGRAM...     the command that runs the example
"""
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

LIMIT = 60  # seconds, for slow tools around the program


def read_until(fd, end):
    """What comes, up to and with that text."""
    text, deadline = "", time.monotonic() + LIMIT
    while not text.endswith(end):
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, "got only %r, waiting for %r" % (text, end)
        part = os.read(fd, 65536).decode()
        assert part, "ended with %r, waiting for %r" % (text, end)
        text += part
    return text


def sh(command):
    subprocess.run(["sh", "-c", command], check=True, timeout=LIMIT)


def check(program, folder):
    log = os.path.join(folder, "log")
    sh("seq 1 30 > %s" % log)
    with subprocess.Popen(program + [log, "3"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        fd = child.stdout.fileno()
        assert read_until(fd, "30\n") == "28\n29\n30\n"
        sh("echo more >> %s" % log)
        assert read_until(fd, "more\n") == "more\n"
        sh("mv {0} {0}.1; echo late >> {0}.1; echo new > {0}".format(log))  # who writes still has the old one
        assert read_until(fd, "new\n") in ("late\n(log is another file)\nnew\n", "(log is another file)\nnew\n")
        sh("seq 1 5 > {0}.next; mv {0}.next {0}".format(log))
        assert read_until(fd, "5\n") == "(log is another file)\n1\n2\n3\n4\n5\n"
        sh("truncate -s 0 {0}".format(log))
        assert read_until(fd, "\n") == "(log was cut short)\n"
        sh("seq 1 20000 >> %s" % log)
        assert read_until(fd, "20000\n") == "".join("%d\n" % i for i in range(1, 20001))
        sh("rm {0}; sleep 0.1; echo again > {0}".format(log))
        assert read_until(fd, "again\n") == "(log is another file)\nagain\n"
        child.send_signal(signal.SIGINT)
        child.wait(LIMIT)


with tempfile.TemporaryDirectory() as directory:
    check(sys.argv[1:], directory)
