#!/usr/bin/env python3
"""examples/tree_sum.c beside cksum of coreutils, on a tree of files of all sizes.

    test_tree_sum.py PROGRAM...     the command that runs the example; exit 77: there is no cksum
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
LIMIT = 60  # seconds, for slow tools around the program


def make_tree(folder):
    chance = random.Random(1)
    for i in range(120):
        path = os.path.join(folder, "d%d" % (i % 7), "e%d" % (i % 3))
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "file%d" % i), "wb") as file:
            file.write(chance.randbytes(chance.choice([0, 1, 255, 4096, 65537])) if hasattr(chance, "randbytes")
                       else os.urandom(i * 100))
    os.symlink("d0", os.path.join(folder, "link"))


def expected(folder):
    paths = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]
    files = sorted(path for path in paths if not os.path.islink(path))
    return subprocess.run(["cksum"] + files, check=True, stdout=subprocess.PIPE, timeout=LIMIT).stdout.decode()


if not shutil.which("cksum"):
    sys.exit(SKIPPED)
with tempfile.TemporaryDirectory() as directory:
    make_tree(directory)
    result = subprocess.run(sys.argv[1:] + [directory], stdout=subprocess.PIPE, timeout=LIMIT)
    assert result.returncode == 0, result
    assert result.stdout.decode() == expected(directory), result.stdout
    failed = subprocess.run(sys.argv[1:] + [os.path.join(directory, "none")], stderr=subprocess.PIPE, timeout=LIMIT)
    assert failed.returncode != 0 and b"none: No such file or directory" in failed.stderr, failed
