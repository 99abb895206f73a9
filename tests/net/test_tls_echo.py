#!/usr/bin/env python3
"""examples/tls_echo.c against openssl s_client and s_server: each version, and certificates of every kind.

    test_tls_echo.py PROGRAM...     the command that runs the example; exit 77: openssl is missing
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from tls_peers import LIMIT, SKIPPED, Authority, descriptors, find, openssl, start, stop, wait_until

# valgrind takes seconds to start a program with OpenSSL: there the newer version has to do, our own code is the same for both.
VERSIONS = ("-tls1_3",) if os.environ.get("COSY_TEST_TOOL") == "valgrind" else ("-tls1_2", "-tls1_3")


# ---- our server ----

def s_client(port, ca, *options):
    return subprocess.Popen([find("openssl"), "s_client", "-connect", "127.0.0.1:%d" % port, "-CAfile", ca, "-verify_return_error",
                             "-servername", "localhost"] + list(options),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def talk(client, text=b"hello, hello\n"):
    """What s_client prints until the echo has come, somewhere in what it tells of itself; then it says goodbye."""
    client.stdin.write(text)
    client.stdin.flush()
    output = b""
    while text not in output:
        more = os.read(client.stdout.fileno(), 65536)
        if not more:
            break
        output += more
    return (output + client.communicate(timeout=LIMIT)[0]).decode(errors="replace")


def check_versions(port, ca):
    for version in VERSIONS:
        client = s_client(port, ca, version)
        output = talk(client)
        assert client.returncode == 0, output
        assert "hello, hello\n" in output and "Verify return code: 0 (ok)" in output, output
        assert version[4:].replace("_", ".") in output, output


def check_old_versions(port, ca):
    client = s_client(port, ca, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    output = client.communicate(timeout=LIMIT)[0]
    assert client.returncode != 0 and b"alert protocol version" in output, output


def check_resumption(port, ca, folder):
    for version in VERSIONS:
        client = s_client(port, ca, version, "-sess_out", folder + "/session")
        talk(client)
        output = talk(s_client(port, ca, version, "-sess_in", folder + "/session"))
        assert "Reused, TLSv" in output, output


def check_plain_text(port):
    """An alert, and the end."""
    with socket.create_connection(("127.0.0.1", port), LIMIT) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = plain.recv(100)
        assert answer[:1] in (b"", b"\x15"), answer
        assert not answer or plain.recv(100) == b""


def check_stalling(port, ca):
    """Those who say nothing keep nobody waiting."""
    stalling = [socket.create_connection(("127.0.0.1", port), LIMIT) for _ in range(20)]
    check_versions(port, ca)
    for client in stalling:
        client.close()


def check_cut(port, ca, server, before):
    """A client that is killed in the middle."""
    wait_until("those from before have gone", lambda: descriptors(server) == before)
    client = s_client(port, ca)
    client.stdin.write(b"hello\n")
    client.stdin.flush()
    wait_until("it is connected", lambda: descriptors(server) > before)
    client.kill()
    client.communicate()
    wait_until("its descriptor is closed", lambda: descriptors(server) == before)


def check_reload(server, port, ca, authority):
    """Other certificates, and a connection from before that stays."""
    old = s_client(port, ca)
    old.stdin.write(b"first\n")
    old.stdin.flush()
    while b"first\n" not in os.read(old.stdout.fileno(), 65536):
        pass
    authority.issue("other", "DNS:localhost")
    shutil.copy(authority.path("other.pem"), authority.path("server.pem"))
    shutil.copy(authority.path("other.key"), authority.path("server.key"))
    server.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + LIMIT
    while "subject=CN = other" not in talk(s_client(port, ca)):
        assert time.monotonic() < deadline, "the certificate stays the same"
    assert "hello, hello\n" in talk(old) and old.returncode == 0


def check_server(program, authority, stderr):
    certificate, key = authority.issue("server", "DNS:localhost,IP:127.0.0.1")
    server, port = start(program + ["server", "0", certificate, key], stderr, r"Serving on 127\.0\.0\.1:(\d+)$")
    first = descriptors(server)
    try:
        check_versions(port, authority.ca)
        check_old_versions(port, authority.ca)
        check_resumption(port, authority.ca, authority.folder)
        check_plain_text(port)
        check_stalling(port, authority.ca)
        check_cut(port, authority.ca, server, first)
        check_reload(server, port, authority.ca, authority)
        wait_until("all descriptors are closed", lambda: descriptors(server) == first)
        stop(server, stderr)
    finally:
        server.kill()
    print("the server is well")


def check_client_certificates(program, authority, stderr):
    certificate, key = authority.issue("server", "DNS:localhost,IP:127.0.0.1")
    guest = authority.issue("guest", "DNS:guest")
    stranger = authority.self_signed("stranger", "DNS:stranger")
    stderr.seek(0)
    stderr.truncate()
    server, port = start(program + ["server", "0", certificate, key, authority.ca], stderr, r"Serving on 127\.0\.0\.1:(\d+)$")
    try:
        for version in VERSIONS:
            client = s_client(port, authority.ca, version, "-cert", guest[0], "-key", guest[1])
            assert "hello, hello\n" in talk(client) and client.returncode == 0
            for who in ([], ["-cert", stranger[0], "-key", stranger[1]]):
                client = s_client(port, authority.ca, version, "-ign_eof", *who)
                output = client.communicate(b"hello\n", timeout=LIMIT)[0]
                assert client.returncode != 0 and b"alert" in output, output
        output = stop(server, stderr)
        assert output.count("has shown who it is") == len(VERSIONS), output
    finally:
        server.kill()
    print("clients show who they are")


# ---- our client ----

class Peer:
    """openssl s_server, which says each line backwards."""

    def __init__(self, certificate, key, *options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen([find("openssl"), "s_server", "-accept", "127.0.0.1:%d" % self.port, "-cert", certificate, "-key", key,
                                         "-rev", "-quiet"] + list(options), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("s_server accepts", self.accepts)

    def accepts(self):
        assert self.process.poll() is None, "s_server does not start"
        with open("/proc/net/tcp") as table:
            return ":%04X 00000000:0000 0A" % self.port in table.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def ask(program, host, port, ca):
    return subprocess.run(program + ["client", host, str(port), ca], input="hello\nworld\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=LIMIT)


def check_good_server(program, authority, version):
    certificate, key = authority.issue("server", "DNS:localhost,IP:127.0.0.1")
    with Peer(certificate, key, version) as peer:
        for host in ("localhost", "127.0.0.1"):
            done = ask(program, host, peer.port, authority.ca)
            assert done.returncode == 0 and done.stdout == "olleh\ndlrow\n", done


def check_refused(program, authority, pair, words, *options):
    with Peer(*pair, *options) as peer:
        done = ask(program, "localhost", peer.port, authority.ca)
        assert done.returncode != 0 and not done.stdout, done
        assert "TLS handshake with localhost:%d: " % peer.port in done.stderr and words in done.stderr, done


def check_client(program, authority):
    for version in VERSIONS:
        check_good_server(program, authority, version)
    good = authority.issue("good", "DNS:localhost")
    expired = authority.issue("expired", "DNS:localhost", "20200101000000Z", "20200102000000Z")
    wrong = authority.issue("wrong", "DNS:elsewhere.test")
    alone = authority.self_signed("alone", "DNS:localhost")
    for version in VERSIONS:
        check_refused(program, authority, expired, "certificate has expired", version)
        check_refused(program, authority, wrong, "hostname mismatch: it is not valid for 'localhost'", version)
        check_refused(program, authority, alone, "self-signed certificate", version)
    check_refused(program, authority, good, "alert protocol version", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    print("the client is well")


def check_plain_server(program, authority):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = subprocess.Popen(program + ["client", "localhost", str(listener.getsockname()[1]), authority.ca], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        with listener.accept()[0] as connection:
            connection.sendall(b"220 mail.example.test ready\r\n")
            stderr = client.communicate(timeout=LIMIT)[1]
        assert client.returncode != 0 and "(the peer does not speak TLS)" in stderr, stderr


def main(program):
    if not find("openssl") or " 3." not in openssl("version"):
        print("skipped: openssl 3 is not there")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as stderr:
        authority = Authority(folder)
        check_server(program, authority, stderr)
        check_client_certificates(program, authority, stderr)
        check_client(program, authority)
        check_plain_server(program, authority)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
