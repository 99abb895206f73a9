#!/usr/bin/env python3
"""Connections on a network of their own: two hosts, each a network namespace, and a cable between them that can be cut.

    test_net.py CASES CLIENT...     CASES: plain, netem; CLIENT is the command that runs net_client
                                    exit 0: all is well; 77: the kernel does not permit or have what is needed

          client                                 server
          192.0.2.1       v0 ------------ v1     192.0.2.2
          2001:db8:1::1                          2001:db8:1::2       both are dual.test

An address is dead when the client has a wrong hardware address for it: what it sends there is lost without a word.
"""
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

PORT = 8080
WRONG = "02:00:00:00:00:99"
HOSTS = "127.0.0.1 localhost\n192.0.2.2 dual.test\n2001:db8:1::2 dual.test\n"
RESOLVER = "nameserver 192.0.2.66\noptions timeout:1 attempts:1\n"  # nobody
SKIPPED = 77
CLONE_NEWNET = 0x40000000


class Skip(Exception):
    pass


def skip_unless(words, why):
    """Runs a command that the kernel may refuse."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise Skip("%s: %s: %s" % (why, " ".join(words), done.stdout.strip()))


def ip(*words):
    subprocess.run(("ip",) + words, check=True)


# ---- the server's host ----

def echo(connection):
    with connection:
        for data in iter(lambda: connection.recv(4096), b""):
            connection.sendall(data)


def serve(family, address):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, PORT))
    listener.listen(16)
    while True:
        threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()


def run_server(ready, cable):
    """A process in a network namespace of its own; it ends when the cable's pipe is closed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        os._exit(1)
    os.write(ready, b"n")
    os.read(cable, 1)
    ip("link", "set", "lo", "up")
    ip("addr", "add", "192.0.2.2/24", "dev", "v1")
    ip("-6", "addr", "add", "2001:db8:1::2/64", "dev", "v1", "nodad")
    ip("link", "set", "v1", "up")
    for family, address in ((socket.AF_INET, "192.0.2.2"), (socket.AF_INET6, "2001:db8:1::2")):
        threading.Thread(target=serve, args=(family, address), daemon=True).start()
    os.write(ready, b"s")
    os.read(cable, 1)
    os._exit(0)


def start_server():
    ready, to_us = os.pipe()
    from_us, cable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        os.close(cable)
        run_server(to_us, from_us)
    os.close(to_us)
    os.close(from_us)
    if os.read(ready, 1) != b"n":
        raise Skip("no second network namespace")
    skip_unless(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], "no veth devices")
    ip("link", "set", "v1", "netns", str(pid))
    os.write(cable, b"c")
    ip("addr", "add", "192.0.2.1/24", "dev", "v0")
    ip("-6", "addr", "add", "2001:db8:1::1/64", "dev", "v0", "nodad")
    ip("link", "set", "v0", "up")
    ip("link", "set", "lo", "up")
    if os.read(ready, 1) != b"s":
        raise RuntimeError("the server did not start")
    return pid


# ---- the client's host ----

class Dead:
    """For a while, these addresses do not answer."""

    def __init__(self, *addresses):
        self.addresses = addresses

    def __enter__(self):
        for address in self.addresses:
            ip("neigh", "replace", address, "lladdr", WRONG, "dev", "v0", "nud", "permanent")

    def __exit__(self, *_):
        for address in self.addresses:
            ip("neigh", "del", address, "dev", "v0")


class Tests:
    def __init__(self, client):
        self.client = client

    def run(self, *words):
        done = subprocess.run(self.client + [str(word) for word in words], stdout=subprocess.PIPE,
                              universal_newlines=True, timeout=60)
        assert done.returncode == 0, "the client ended with %d" % done.returncode
        return done.stdout

    def expect(self, text, pattern, least, most):
        """`pattern` has a group for the milliseconds."""
        match = re.match(pattern + r"\Z", text.strip())
        assert match, "%r instead of %r" % (text, pattern)
        assert least <= int(match.group(1)) <= most, "%r: not within %d to %d ms" % (text, least, most)

    def connect(self, host, pattern, least, most, limit=30000, delay=0, port=PORT):
        self.expect(self.run("connect", host, port, limit, delay), pattern, least, most)

    def silence(self, limit, pattern, least, most):
        with subprocess.Popen(self.client + ["silence", str(PORT), str(limit)], stdout=subprocess.PIPE,
                              universal_newlines=True) as client:
            assert client.stdout.readline() == "ready\n"
            with Dead("192.0.2.2"):
                self.expect(client.stdout.read(), pattern, least, most)


V6 = r"connected \[2001:db8:1::2\]:8080 after (\d+) ms"
V4 = r"connected 192\.0\.2\.2:8080 after (\d+) ms"
SLACK = 5000  # the machine may be busy


class Plain(Tests):
    def test_ipv6_wins_where_both_answer(self):
        self.connect("dual.test", V6, 0, SLACK)

    def test_a_dead_ipv6_costs_a_quarter_of_a_second(self):
        with Dead("2001:db8:1::2"):
            self.connect("dual.test", V4, 250, SLACK)

    def test_the_delay_can_be_chosen(self):
        with Dead("2001:db8:1::2"):
            self.connect("dual.test", V4, 1500, 1500 + SLACK, delay=1500)

    def test_one_after_the_other_the_dead_one_is_waited_for(self):
        with Dead("2001:db8:1::2"):
            self.connect("dual.test", r"failed ETIMEDOUT after (\d+) ms: .*", 1000, 1000 + SLACK, limit=1000, delay=-1)

    def test_where_both_are_dead_the_limit_ends_it(self):
        with Dead("2001:db8:1::2", "192.0.2.2"):
            self.connect("dual.test", r"failed ETIMEDOUT after (\d+) ms: .*", 1000, 1000 + SLACK, limit=1000)

    def test_refused_is_told_by_both(self):
        self.connect("dual.test", r"failed ECONNREFUSED after (\d+) ms: connecting to dual\.test:81: "
                     r"\[2001:db8:1::2\]:81: Connection refused; 192\.0\.2\.2:81: Connection refused", 0, SLACK, delay=2 * SLACK, port=81)

    def test_no_route_is_told_at_once(self):
        self.connect("198.51.100.1", r"failed ENETUNREACH after (\d+) ms: connecting to 198\.51\.100\.1:8080: "
                     "Network is unreachable", 0, SLACK)

    def test_nobody_at_an_address_of_this_net_is_told_by_the_kernel(self):
        self.connect("192.0.2.77", r"failed EHOSTUNREACH after (\d+) ms: connecting to 192\.0\.2\.77:8080: "
                     "No route to host", 500, 15000)

    def test_a_link_local_address_needs_its_zone(self):
        self.connect("fe80::1%nowhere", r"failed COSY_ENONAME after (\d+) ms: looking up fe80::1%nowhere: .*", 0, SLACK)

    def test_half_open_is_found_by_keep_alive(self):
        self.silence(0, r"failed ETIMEDOUT after (\d+) ms: .*192\.0\.2\.2:8080.*", 2000, 4500 + SLACK)

    def test_half_open_is_found_by_a_limit(self):
        self.silence(300, r"failed ETIMEDOUT after (\d+) ms: .*", 300, 300 + SLACK)

    def test_a_resolver_that_does_not_answer_is_told(self):
        self.expect(self.run("lookup", "elsewhere.test", 30000), r"failed ETIMEDOUT after (\d+) ms: "
                    "looking up elsewhere.test: Temporary failure in name resolution", 500, 20000)

    def test_a_look_up_has_a_limit(self):
        self.expect(self.run("lookup", "elsewhere.test", 200), r"failed ETIMEDOUT after (\d+) ms: .*", 200, 900)


class Netem(Tests):
    """A cable that is slow for IPv6 only."""

    def __init__(self, client):
        super().__init__(client)
        skip_unless(["tc", "qdisc", "add", "dev", "v0", "root", "handle", "1:", "prio"], "no queueing disciplines")
        skip_unless(["tc", "qdisc", "add", "dev", "v0", "parent", "1:3", "netem"], "no netem")
        skip_unless(["tc", "filter", "add", "dev", "v0", "parent", "1:", "protocol", "ipv6", "u32", "match", "u32", "0", "0",
                     "flowid", "1:3"], "no u32 filter")

    def slow(self, *words):
        subprocess.run(("tc", "qdisc", "change", "dev", "v0", "parent", "1:3", "netem") + words, check=True)

    def test_a_slow_ipv6_within_its_head_start_wins(self):
        self.slow("delay", "100ms")
        self.connect("dual.test", V6, 100, 245)

    def test_an_ipv6_slower_than_its_head_start_loses(self):
        self.slow("delay", "2000ms")
        self.connect("dual.test", V4, 250, 1900)

    def test_a_lossy_ipv6_loses_or_wins_but_never_fails(self):
        self.slow("loss", "50%")
        for _ in range(10):
            text = self.run("connect", "dual.test", PORT, 30000, 0)
            assert re.match(V4, text) or re.match(V6, text), text


def all_tests(kind):
    return sorted(name for name in dir(kind) if name.startswith("test_"))


def with_own_files(folder):
    """/etc/hosts and resolv.conf as this network has them."""
    for name, text in (("hosts", HOSTS), ("resolv.conf", RESOLVER), ("nsswitch.conf", "hosts: files dns\n")):
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(text)
        if os.path.exists("/etc/" + name):
            skip_unless(["mount", "--bind", os.path.realpath(path), os.path.realpath("/etc/" + name)], "no bind mounts")
        else:
            raise Skip("there is no /etc/%s to put another one over" % name)


def inside(kind, client):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        server = None
        try:
            with_own_files(folder)
            server = start_server()
            tests = kind(client)
            for name in all_tests(kind):
                try:
                    getattr(tests, name)()
                    print("ok      " + name, flush=True)
                except (AssertionError, subprocess.SubprocessError) as error:
                    failed += 1
                    print("FAILED  %s: %s" % (name, error), flush=True)
        finally:
            for name in ("hosts", "resolv.conf", "nsswitch.conf"):
                subprocess.run(["umount", os.path.realpath("/etc/" + name)], stderr=subprocess.DEVNULL)
            if server:
                os.kill(server, signal.SIGKILL)
                os.waitpid(server, 0)
    return 1 if failed else 0


def main(args):
    kinds = {"plain": Plain, "netem": Netem}
    if len(args) < 2 or args[0] not in kinds:
        print(__doc__)
        return 2
    if "COSY_TEST_INSIDE" not in os.environ:
        environment = dict(os.environ, COSY_TEST_INSIDE="1")
        words = ["unshare", "--map-root-user", "--net", "--mount"]
        try:
            skip_unless(words + ["true"], "no namespaces")
        except OSError as error:
            raise Skip("no namespaces: %s" % error)
        return subprocess.run(words + [sys.executable] + sys.argv, env=environment).returncode
    return inside(kinds[args[0]], args[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Skip as reason:
        print("skipped: %s" % reason)
        sys.exit(SKIPPED)
