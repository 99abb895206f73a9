#!/usr/bin/env python3
"""examples/port_forwarder.c between programs of others: wrk and curl before it, nginx behind it.

    test_forwarder.py PROGRAM...     the command that runs the example; exit 77: nginx, wrk or curl is missing

wrk has no errors through it; a file of 20 MB comes through it byte by byte, also while wrk is killed with its connections under way;
afterwards the forwarder has the descriptors that it had.
"""
import filecmp
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
LIMIT = 60  # seconds, for slow tools around the program
CONNECTIONS = 50
BYTES = 20 * 1000 * 1000
TORN = 3  # times that wrk is killed

CONFIGURATION = """
%(user)s
daemon off;
worker_processes 1;
error_log %(folder)s/error.log;
pid %(folder)s/nginx.pid;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    server { listen 127.0.0.1:%(port)d; location / { root %(folder)s/www; } }
}
"""


def find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def wait_until(what, condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "never: " + what
        time.sleep(0.05)


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def start_nginx(folder):
    """On a port that was free a moment ago: another one when somebody has taken it since."""
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with open(os.path.join(folder, "nginx.conf"), "w") as file:
            user = "user root;" if os.geteuid() == 0 else ""
            file.write(CONFIGURATION % {"folder": folder, "port": port, "user": user})
        nginx = subprocess.Popen([find("nginx"), "-p", folder, "-e", folder + "/error.log", "-c", folder + "/nginx.conf"])
        wait_until("nginx accepts", lambda: nginx.poll() is not None or accepts(port))
        if nginx.poll() is None:
            return nginx, port
    with open(os.path.join(folder, "error.log")) as log:
        raise AssertionError("nginx does not start: " + log.read())


def start_forwarder(program, port, stderr):
    """A shell has its background jobs ignore SIGINT, by which the forwarder is to end."""
    forwarder = subprocess.Popen(program + ["0", "127.0.0.1", str(port)], stdout=subprocess.PIPE, stderr=stderr,
                                 universal_newlines=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    line = forwarder.stdout.readline()
    found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) to 127\.0\.0\.1:%d$" % port, line)
    assert found, line
    return forwarder, int(found.group(1))


def descriptors(process):
    return len(os.listdir("/proc/%d/fd" % process.pid))


def wrk(port, seconds):
    return [find("wrk"), "-t2", "-c%d" % CONNECTIONS, "-d%ds" % seconds, "--timeout", "%ds" % LIMIT,
            "http://127.0.0.1:%d/small" % port]


def check_load(port):
    output = subprocess.run(wrk(port, 2), stdout=subprocess.PIPE, universal_newlines=True, timeout=LIMIT, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    assert requests >= CONNECTIONS, output
    print("%d responses" % requests)


def check_download(port, folder):
    target = os.path.join(folder, "downloaded")
    subprocess.run([find("curl"), "--silent", "--show-error", "--fail", "--output", target, "http://127.0.0.1:%d/large" % port],
                   timeout=LIMIT, check=True)
    assert os.path.getsize(target) == BYTES, os.path.getsize(target)
    assert filecmp.cmp(os.path.join(folder, "www", "large"), target, shallow=False), "another file came through"
    os.unlink(target)


def check_torn(forwarder, port, folder, quiet):
    """wrk disappears while its connections are at work, and a download goes on beside it."""
    with subprocess.Popen(wrk(port, LIMIT), stdout=subprocess.DEVNULL) as load:
        wait_until("wrk has connected", lambda: descriptors(forwarder) >= quiet + 2 * CONNECTIONS)
        with subprocess.Popen([find("curl"), "--silent", "--fail", "--limit-rate", "4M", "--output", os.path.join(folder, "slow"),
                               "http://127.0.0.1:%d/large" % port]) as slow:
            time.sleep(0.3)
            load.kill()
            check_download(port, folder)
            assert slow.poll() is None, "the slow download did not last until here"
            slow.kill()


def check_complaints(stderr):
    """That it was interrupted, and nothing about its clients. valgrind's remarks about itself ("--123-- ...") are none."""
    stderr.seek(0)
    lines = [line for line in stderr.read().decode().splitlines() if not re.match(r"--\d+-- ", line)]
    assert lines == ["KeyboardInterrupt"], "\n".join(lines)


def check(forwarder, port, folder, stderr):
    first = descriptors(forwarder)
    check_load(port)
    check_download(port, folder)
    for _ in range(TORN):
        check_torn(forwarder, port, folder, first)
        wait_until("the descriptors are back at %d" % first, lambda: descriptors(forwarder) <= first)
    check_load(port)
    wait_until("the descriptors are back at %d" % first, lambda: descriptors(forwarder) <= first)
    forwarder.send_signal(signal.SIGINT)
    assert forwarder.wait(LIMIT) == -signal.SIGINT, forwarder.returncode
    check_complaints(stderr)


def main(program):
    missing = [name for name in ("nginx", "wrk", "curl") if not find(name)]
    if missing:
        print("skipped: there is no " + ", no ".join(missing))
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as stderr:
        os.mkdir(os.path.join(folder, "www"))
        with open(os.path.join(folder, "www", "small"), "wb") as file:
            file.write(b"hello\n" * 20)
        with open(os.path.join(folder, "www", "large"), "wb") as file:
            file.write(os.urandom(BYTES))
        forwarder = None
        nginx, port = start_nginx(folder)
        try:
            forwarder, port = start_forwarder(program, port, stderr)
            check(forwarder, port, folder, stderr)
        finally:
            if forwarder:
                forwarder.kill()
                forwarder.wait()
                forwarder.stdout.close()
            nginx.terminate()
            nginx.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
