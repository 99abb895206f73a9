#!/usr/bin/env python3
"""Examples of servers, spoken to by nc, socat and curl.

    test_servers.py FOLDER [LAUNCHER...]     FOLDER has example.echo_server and the others; exit 77: one of the tools is not there
"""
import os
import re
import shutil
import signal
import subprocess
import sys

SKIPPED = 77
LIMIT = 60  # seconds, for slow tools around the programs


class Server:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        first = self.process.stdout.readline().decode()
        self.port = re.search(r"127\.0\.0\.1:(\d+)", first).group(1)

    def end(self, signum):
        """What it printed since its first line, and how it ended."""
        self.process.send_signal(signum)
        output = self.process.communicate(timeout=LIMIT)[0].decode()
        return output, self.process.returncode


def ask(command, text):
    return subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, timeout=LIMIT, check=True).stdout.decode()


def check_echo(run):
    server = Server(*run("echo_server"), "0")
    assert ask(["socat", "-t", "10", "-", "TCP:127.0.0.1:" + server.port], "Hello World!") == "Hello World!"
    assert ask(["nc", "-N", "127.0.0.1", server.port], "again") == "again"
    client = subprocess.run(run("echo_client") + ["127.0.0.1", server.port, "third"], stdout=subprocess.PIPE, timeout=LIMIT)
    assert client.stdout.decode() == "Send: 'third'\nReceived: 'third'\nClose the connection\n", client
    output, status = server.end(signal.SIGINT)
    assert status == -signal.SIGINT, status
    assert output.count("Close the connection") == 3 and "Received 'Hello World!' from 127.0.0.1:" in output, output


def check_kv_and_forwarder(run):
    server = Server(*run("kv_server"), "0")
    forwarder = Server(*run("port_forwarder"), "0", "127.0.0.1", server.port)
    session = "SET a 1\nGET a\nGET b\nQUIT\n"
    assert ask(["curl", "-s", "telnet://127.0.0.1:" + server.port], session) == "OK\n1\nNONE\n"
    assert ask(["socat", "-t", "10", "-", "TCP:127.0.0.1:" + forwarder.port], "GET a\nDEL a\nCOUNT\n") == "1\nOK\n0\n"
    assert ask(["nc", "-N", "127.0.0.1", forwarder.port], "x" * 5000 + "\n") == "ERROR too long\n"
    assert forwarder.end(signal.SIGINT)[1] == -signal.SIGINT
    assert server.end(signal.SIGTERM) == ("Draining\nBye\n", 0)


def check_chat(run):
    server = Server(*run("chat_room"), "0")
    ada = subprocess.Popen(["nc", "127.0.0.1", server.port], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ada.stdin.write(b"ada\n")
    ada.stdin.flush()
    assert ada.stdout.readline() == b"Who are you?\n"
    heard = ask(["socat", "-t", "10", "-", "TCP:127.0.0.1:" + server.port], "bob\nhi\n")
    assert heard == "Who are you?\n", heard
    assert [ada.stdout.readline() for _ in range(3)] == [b"* bob has joined\n", b"bob: hi\n", b"* bob has left\n"]
    assert server.end(signal.SIGINT)[1] == -signal.SIGINT
    ada.stdin.close()
    assert ada.stdout.read() == b""
    ada.wait(LIMIT)


def main(folder, *launcher):
    missing = [tool for tool in ("nc", "socat", "curl") if not shutil.which(tool)]
    if missing:
        print("skipped: there is no " + ", ".join(missing))
        return SKIPPED

    def run(name):
        return list(launcher) + [os.path.join(folder, "example." + name)]

    for check in (check_echo, check_kv_and_forwarder, check_chat):
        check(run)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
