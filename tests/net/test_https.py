#!/usr/bin/env python3
"""examples/https_fetch.c against nginx, and curl against it.

    test_https.py PROGRAM...     the command that runs the example; exit 77: nginx with TLS, curl or openssl is missing
"""
import os
import socket
import subprocess
import sys
import tempfile

from tls_peers import LIMIT, SKIPPED, Authority, descriptors, find, start, stop, wait_until

BYTES = 3 * 1000 * 1000

CONFIGURATION = """
%(user)s
daemon off;
worker_processes 1;
error_log %(folder)s/error.log;
pid %(folder)s/nginx.pid;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    root %(folder)s/www;
    ssl_certificate %(folder)s/server.pem;
    ssl_certificate_key %(folder)s/server.key;
    server { listen 127.0.0.1:%(first)d ssl; ssl_protocols TLSv1.2; }
    server { listen 127.0.0.1:%(second)d ssl http2; ssl_protocols TLSv1.3; }
    server { listen 127.0.0.1:%(third)d; }
}
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def start_nginx(folder):
    """On ports that were free a moment ago: others when somebody has taken them since."""
    for _ in range(5):
        ports = free_ports(3)
        with open(os.path.join(folder, "nginx.conf"), "w") as file:
            user = "user root;" if os.geteuid() == 0 else ""
            file.write(CONFIGURATION % {"folder": folder, "user": user, "first": ports[0], "second": ports[1], "third": ports[2]})
        nginx = subprocess.Popen([find("nginx"), "-p", folder, "-e", folder + "/error.log", "-c", folder + "/nginx.conf"])
        wait_until("nginx accepts", lambda: nginx.poll() is not None or all(accepts(port) for port in ports))
        if nginx.poll() is None:
            return nginx, ports
    with open(os.path.join(folder, "error.log")) as log:
        raise AssertionError("nginx does not start: " + log.read())


def fetch(program, url, *authorities):
    return subprocess.run(program + [url] + list(authorities), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT)


def check_fetch(program, authority, ports, pages):
    for port in ports[:1 if os.environ.get("COSY_TEST_TOOL") == "valgrind" else 2]:  # it takes seconds to start a program with OpenSSL
        for name, page in pages.items():
            done = fetch(program, "https://localhost:%d/%s" % (port, name), authority.ca)
            assert done.returncode == 0, done.stderr
            assert done.stdout == b"HTTP/1.1 200 OK\n" + page, "%s on %d: %d bytes" % (name, port, len(done.stdout))
        done = fetch(program, "https://127.0.0.1:%d/small" % port, authority.ca)
        assert done.returncode != 0 and b"it is not valid for '127.0.0.1'" in done.stderr, done
        done = fetch(program, "https://localhost:%d/small" % port)
        assert done.returncode != 0 and b"certificate verify failed: " in done.stderr and b"issuer certificate" in done.stderr, done
    done = fetch(program, "https://localhost:%d/" % ports[2], authority.ca)
    assert done.returncode != 0 and b"(the peer does not speak TLS)" in done.stderr, done
    done = fetch(program, "https://localhost:%d/small" % ports[0], "/nowhere/ca.pem")
    assert done.returncode != 0 and b"authorities /nowhere/ca.pem: No such file or directory" in done.stderr, done
    print("pages of nginx were fetched")


def curl(port, ca, *options):
    return subprocess.run([find("curl"), "--silent", "--show-error", "--cacert", ca, "https://localhost:%d/" % port] + list(options),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=LIMIT)


def check_curl(program, authority, stderr):
    server, port = start(program + ["serve", "0", authority.path("server.pem"), authority.path("server.key")], stderr,
                         r"Serving on https://127\.0\.0\.1:(\d+)/$")
    first = descriptors(server)
    try:
        for options in (["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"], ["--http2"], ["--http1.1", "--no-alpn"]):
            done = curl(port, authority.ca, "--fail", *options)
            assert done.returncode == 0 and done.stdout == "A page by HTTPS\n", done
        other = authority.self_signed("nobody", "DNS:localhost")[0]
        assert curl(port, other).returncode == 60  # CURLE_PEER_FAILED_VERIFICATION
        done = subprocess.run([find("curl"), "--silent", "--http0.9", "--max-time", str(LIMIT), "http://127.0.0.1:%d/" % port],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert b"A page" not in done.stdout, done
        many = subprocess.Popen([find("curl"), "--silent", "--show-error", "--fail", "--cacert", authority.ca, "--parallel", "--parallel-immediate",
                                 "--parallel-max", "20", "https://localhost:%d/[1-60]" % port], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        output = many.communicate(timeout=LIMIT)[0]
        assert many.returncode == 0 and output == b"A page by HTTPS\n" * 60, output
        wait_until("all descriptors are closed", lambda: descriptors(server) == first)
        stop(server, stderr)
    finally:
        server.kill()
    print("curl is content")


def has_tls(nginx):
    return b"http_ssl_module" in subprocess.run([nginx, "-V"], stderr=subprocess.PIPE).stderr


def main(program):
    missing = [name for name in ("nginx", "curl", "openssl") if not find(name)]
    if missing or not has_tls(find("nginx")):
        print("skipped: %s" % (", ".join(missing) or "nginx without TLS"))
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as stderr:
        authority = Authority(folder)
        authority.issue("server", "DNS:localhost")
        os.mkdir(os.path.join(folder, "www"))
        pages = {"small": b"small\n", "large": os.urandom(BYTES)}
        for name, page in pages.items():
            with open(os.path.join(folder, "www", name), "wb") as file:
                file.write(page)
        nginx, ports = start_nginx(folder)
        try:
            check_fetch(program, authority, ports, pages)
        finally:
            nginx.terminate()
            nginx.wait()
        check_curl(program, authority, stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
