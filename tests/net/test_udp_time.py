#!/usr/bin/env python3
"""examples/udp_time.c with clients and a server of others: socat, nc, and nobody.

    test_udp_time.py PROGRAM...     the command that runs the example; exit 77: there is no socat
"""
import re
import shutil
import subprocess
import sys
import time

SKIPPED = 77
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n\Z")
LIMIT = 60  # seconds, for slow tools around the program


def output_of(command, question=b""):
    done = subprocess.run(command, input=question, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=LIMIT)
    return done.returncode, done.stdout.decode()


def ask_with(command, questions):
    """Datagrams get lost, and a slow service may answer late: what counts is that an answer comes."""
    answer = ""
    for _ in range(10):
        _, answer = output_of(command, questions)
        if answer:
            return answer
    return answer


def check_service(program):
    service = subprocess.Popen(program + ["serve", "127.0.0.1", "0"], stdout=subprocess.PIPE, universal_newlines=True)
    try:
        port = re.match(r"serving the time at 127\.0\.0\.1:(\d+)$", service.stdout.readline()).group(1)
        for question in (b"?", b"x" * 512, b"y" * 1400):
            answer = ask_with(["socat", "-T2", "-t0.5", "-", "UDP:127.0.0.1:" + port], question)
            assert TIME.match(answer), answer
        if shutil.which("nc"):
            answer = ask_with(["nc", "-u", "-w1", "127.0.0.1", port], b"?")
            assert TIME.match(answer.split("\n")[0] + "\n"), answer
        status, answer = output_of(program + ["ask", "127.0.0.1", port])
        assert status == 0 and answer.startswith("it is ") and TIME.match(answer[6:]), answer
    finally:
        service.kill()
        service.wait()
        service.stdout.close()
    status, answer = output_of(program + ["ask", "127.0.0.1", port])
    assert status != 0 and answer == "no answer: Connection refused\n", (status, answer)


def check_client(program):
    """The client asks socat, which knows no better than to send the question back."""
    server = subprocess.Popen(["socat", "UDP-RECVFROM:0,bind=127.0.0.1,fork", "PIPE"])
    try:
        port = None
        with open("/proc/net/udp") as table:
            before = time.monotonic()
            while port is None and time.monotonic() - before < LIMIT:
                table.seek(0)
                inodes = sockets_of(server.pid)
                port = next((int(line.split()[1].split(":")[1], 16) for line in table.readlines()[1:]
                             if line.split()[9] in inodes), None)
        assert port, "socat has no port"
        status, answer = output_of(program + ["ask", "127.0.0.1", str(port)])
        assert status == 0 and answer == "it is ?", (status, answer)
    finally:
        server.kill()
        server.wait()


def sockets_of(pid):
    done = subprocess.run(["ls", "-l", "/proc/%d/fd" % pid], stdout=subprocess.PIPE, universal_newlines=True)
    return re.findall(r"socket:\[(\d+)\]", done.stdout)


def main(program):
    if not shutil.which("socat"):
        print("there is no socat")
        return SKIPPED
    check_service(program)
    check_client(program)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
