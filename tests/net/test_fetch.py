#!/usr/bin/env python3
"""examples/fan_out_fetch.c against a server of somebody else's: Python's http.server.

    test_fetch.py PROGRAM...     the command that runs the example
"""
import os
import re
import socket
import subprocess
import sys
import tempfile

SIZES = {"empty": 0, "small": 5, "large": 3000000}


def dead_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write("x" * size)
        server = subprocess.Popen([sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        try:
            base = "http://127.0.0.1:%s" % re.search(r"port (\d+)", server.stdout.readline()).group(1)
            dead = "http://127.0.0.1:%d/" % dead_port()
            urls = ["%s/%s" % (base, name) for name in SIZES] * 5 + [base + "/missing", dead, "gopher://x"]
            done = subprocess.run(program + urls, stdout=subprocess.PIPE, universal_newlines=True, timeout=60)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    expected = ["%s/%s: 200, %d bytes" % (base, name, size) for name, size in SIZES.items()] * 5
    lines = done.stdout.splitlines()
    assert lines[:len(expected)] == expected, done.stdout
    missing, refused, unknown = lines[len(expected):]
    assert re.match(re.escape(base) + r"/missing: 404, [1-9]\d* bytes$", missing), missing
    assert refused == "%s: connecting to %s: Connection refused" % (dead, dead[7:-1]), refused
    assert unknown == "gopher://x: gopher://x is no http:// address", unknown
    assert done.returncode == 1, done.returncode
    print("%d pages" % len(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
