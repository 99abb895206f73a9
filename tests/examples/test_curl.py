#!/usr/bin/env python3
"""examples/curl_multi.c against a server that is not cosy's: Python's http.server, twenty files at once, one that is missing.

    test_curl.py PROGRAM [ARGUMENTS...]     exit 0: all arrived
"""
import functools
import http.server
import os
import subprocess
import sys
import tempfile
import threading


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def main(command):
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"file%d" % i: 1 + i * 40000 for i in range(20)}
        for name, size in sizes.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write("x" * size)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = "http://127.0.0.1:%d/" % server.server_address[1]
        ran = subprocess.run(command + [address + name for name in sizes] + [address + "missing"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
        server.shutdown()
        server.server_close()
    lines = ran.stdout.splitlines()
    for (name, size), line in zip(sizes.items(), lines):
        if not line.startswith("/%s: 200, %d bytes" % (name, size)):
            print("of /%s with %d bytes: %s" % (name, size, line))
            return 1
    if ran.returncode or len(lines) != 21 or not lines[20].startswith("/missing: 404"):
        print("exit %d\n%s\n%s" % (ran.returncode, ran.stdout, ran.stderr))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
