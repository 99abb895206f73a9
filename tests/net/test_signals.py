#!/usr/bin/env python3
"""examples/signals.c, told by kill what to do.

    test_signals.py PROGRAM...     the command that runs the example; exit 77: there is no kill
"""
import re
import select
import shutil
import signal
import subprocess
import sys

SKIPPED = 77
LIMIT = 60  # seconds, for slow tools around the program


class Service:
    def __init__(self, program, job_ms=20):
        self.process = subprocess.Popen(program + ["serve", str(job_ms)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        bufsize=0)
        self.pid = re.match(r"serving as process (\d+)\n$", self.line()).group(1)

    def line(self):
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
            assert ready, "nothing comes after %r" % text
            part = self.process.stdout.read(1)
            assert part, "it ended after %r: %s" % (text, self.process.stderr.read())
            text += part
        return text.decode()

    def until(self, end):
        """The lines that come before that one."""
        lines = []
        while True:
            line = self.line()
            if line.startswith(end):
                return lines
            lines.append(line)

    def kill(self, name):
        subprocess.run(["kill", "-" + name, self.pid], check=True, timeout=LIMIT)

    def says(self, expected):
        line = self.line()
        assert line == expected + "\n", (line, expected)

    def ends_with(self, status):
        rest, errors = self.process.communicate(timeout=LIMIT)
        assert (self.process.returncode, rest) == (status, b""), (self.process.returncode, rest, errors)
        return errors.decode()


def check_reload_and_stop(program):
    service = Service(program)
    service.kill("USR1")
    service.says("at work with configuration 0")
    for configuration in range(1, 6):
        service.kill("HUP")
        service.says("reloaded: configuration %d" % configuration)
    service.kill("USR1")
    service.says("at work with configuration 5")
    service.kill("TERM")
    service.says("SIGTERM: finishing")
    service.says("stopped")
    service.ends_with(0)


def check_a_burst_of_signals(program):
    """Many while one is served are at least one more, and at most as many as came."""
    service = Service(program)
    for _ in range(30):
        service.kill("HUP")
    service.kill("USR1")
    reloads = service.until("at work with configuration ")
    service.kill("INT")
    reloads += service.until("SIGINT: finishing")
    assert reloads == ["reloaded: configuration %d\n" % (i + 1) for i in range(len(reloads))], reloads
    assert 1 <= len(reloads) <= 30, reloads
    service.says("stopped")
    service.ends_with(0)


def check_the_second_does_not_wait(program):
    """The job at hand takes a minute."""
    for name, number in (("TERM", signal.SIGTERM), ("INT", signal.SIGINT)):
        service = Service(program, 60000)
        service.kill(name)
        service.says("SIG%s: finishing" % name)
        service.kill(name)
        service.ends_with(-number)


def check_what_is_not_received(program):
    service = Service(program)
    service.kill("USR2")  # nobody asked for it: its default effect
    service.ends_with(-signal.SIGUSR2)


def check_usage(program):
    for bad in (["server"], ["serve", "x"]):
        done = subprocess.run(program + bad, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT)
        assert done.returncode == 2 and b"usage: signals " in done.stderr, (bad, done)


def main(program):
    if not shutil.which("kill"):
        print("there is no kill")
        return SKIPPED
    check_reload_and_stop(program)
    check_a_burst_of_signals(program)
    check_the_second_does_not_wait(program)
    check_what_is_not_received(program)
    check_usage(program)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
