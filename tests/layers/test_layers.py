#!/usr/bin/env python3
"""Floors depend only downwards: reads the #includes of src/ and include/, and the symbols of each object file.

    test_layers.py TREE OBJECTS.txt NM     exit 0: no upward arrow; OBJECTS.txt lists the object files
    test_layers.py --prove                 shows that upward arrows are found
"""
import os
import re
import subprocess
import sys
import tempfile

# What each floor may use, besides itself. A parser (proto) touches bytes only, so that it can be fuzzed alone.
BELOW = {
    "base": [],
    "sys": ["base"],
    "loop": ["base", "sys"],
    "task": ["base", "sys", "loop"],
    "sync": ["base", "sys", "loop", "task"],
    "flow": ["base", "sys", "loop", "task", "sync"],
    "io": ["base", "sys", "loop", "task", "sync", "flow"],
    "proto": ["base"],
    "tls": ["base", "sys", "loop", "task", "sync", "flow", "io"],
    "app": ["base", "sys", "loop", "task", "sync", "flow", "io", "proto", "tls"],
}

# Public headers belong to the floor of the room that implements them. A new header is entered here.
HEADERS = {
    "colour.h": "base", "err.h": "base", "log.h": "base", "time.h": "base", "version.h": "base",
    "context.h": "loop", "embed.h": "loop", "fork.h": "loop", "loop.h": "loop", "op.h": "loop",
    "call.h": "task", "coro.h": "task", "future.h": "task", "task.h": "task", "trace.h": "task",
    "barrier.h": "sync", "condition.h": "sync", "event.h": "sync", "lock.h": "sync", "queue.h": "sync",
    "semaphore.h": "sync",
    "agen.h": "flow", "as_completed.h": "flow", "capacity.h": "flow", "gather.h": "flow", "group.h": "flow",
    "pool.h": "flow", "race.h": "flow", "rate.h": "flow", "retry.h": "flow", "runner.h": "flow", "scope.h": "flow",
    "shield.h": "flow", "signals.h": "flow", "sleep.h": "flow", "testing.h": "flow", "timeout.h": "flow", "wait.h": "flow",
    "with.h": "flow",
    "address.h": "io", "connection.h": "io", "datagram.h": "io", "dns.h": "io", "executor.h": "io", "fds.h": "io",
    "pipe.h": "io", "process.h": "io", "server.h": "io", "sock.h": "io", "stream.h": "io", "threadsafe.h": "io", "transfer.h": "io",
    "address.h": "io", "connection.h": "io", "datagram.h": "io", "directory.h": "io", "dns.h": "io",
    "executor.h": "io", "fds.h": "io", "file.h": "io", "file_watch.h": "io",
    "pipe.h": "io", "server.h": "io", "sock.h": "io", "stream.h": "io", "threadsafe.h": "io", "transfer.h": "io",
    "workers.h": "io",
    "tls.h": "tls",
}
UMBRELLA = "app"  # <cosy.h> shows everything: only the top may include it

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def floor_of_path(path):
    """The floor that a path relative to the tree belongs to; None for what is outside; KeyError when unknown."""
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 2:
        if parts[1] not in BELOW:
            raise KeyError("src/%s is no known floor" % parts[1])
        return parts[1]
    if path == "include/cosy.h":
        return UMBRELLA
    if parts[:2] == ["include", "cosy"]:
        if parts[2] not in HEADERS:
            raise KeyError("include/cosy/%s has no floor yet: enter it in HEADERS of tests/layers" % parts[2])
        return HEADERS[parts[2]]
    return None


def resolve(tree, source, name):
    """The file of the tree that #include `name` in `source` means, relative to the tree, or None."""
    for folder in (os.path.dirname(source), "src", "include"):
        path = os.path.normpath(os.path.join(folder, name))
        if os.path.isfile(os.path.join(tree, path)):
            return path
    return None


def may_use(user, used):
    return used is None or used == user or used in BELOW[user]


def check_includes(tree):
    faults = []
    for top in ("src", "include"):
        for folder, _, names in os.walk(os.path.join(tree, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".S")):
                    path = os.path.relpath(os.path.join(folder, name), tree)
                    faults += check_includes_of(tree, path)
    return faults


def check_includes_of(tree, path):
    faults = []
    try:
        user = floor_of_path(path)
        with open(os.path.join(tree, path)) as file:
            text = file.read()
        for match in INCLUDE.finditer(text):
            target = resolve(tree, path, match.group(1))
            if user and target and not may_use(user, floor_of_path(target)):
                line = text.count("\n", 0, match.start(1)) + 1
                faults.append("%s:%d: floor '%s' includes %s of floor '%s'"
                              % (path, line, user, target, floor_of_path(target)))
    except KeyError as error:
        faults.append("%s: %s" % (path, error.args[0]))
    return faults


def floor_of_object(path):
    """Build systems keep the source's path in the object's: .../src/loop/timers.c.o."""
    found = re.match(r".*/(src/[^/]+/.+)$", path)
    return floor_of_path(found.group(1)) if found else None


def symbols(nm, path):
    """Names that the object defines for others, and names that it needs."""
    defined, needed = set(), set()
    listing = subprocess.run([nm, "-g", "-P", path], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    for line in listing.splitlines():
        name, kind = line.split()[:2]
        (needed if kind in "Uvw" else defined).add(name)
    return defined, needed


def check_symbols(objects, nm):
    faults, home, needs = [], {}, {}
    for path in objects:
        defined, needs[path] = symbols(nm, path)
        for name in defined:
            home[name] = path
    for path in objects:
        user = floor_of_object(path)
        for name in sorted(needs[path]):
            if user and name in home and not may_use(user, floor_of_object(home[name])):
                faults.append("%s: floor '%s' calls %s of floor '%s' (%s)" % (
                    os.path.basename(path), user, name, floor_of_object(home[name]), os.path.basename(home[name])))
    return faults


def check(tree, objects, nm):
    faults = check_includes(tree)
    try:
        faults += check_symbols(objects, nm)
    except KeyError as error:
        faults.append(error.args[0])
    print("\n".join(faults) if faults else "no upward arrow in %d objects" % len(objects))
    return faults


def write(tree, path, text):
    full = os.path.join(tree, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as file:
        file.write(text if path.endswith(".c") else "#pragma once\n" + text)


def build(tree):
    """Compiles every src/**.c of the little tree; returns the objects."""
    objects = []
    for folder, _, names in os.walk(os.path.join(tree, "src")):
        for name in names:
            if name.endswith(".c"):
                source = os.path.join(folder, name)
                subprocess.run([os.environ.get("CC", "cc"), "-I", os.path.join(tree, "src"), "-I",
                                os.path.join(tree, "include"), "-c", source, "-o", source + ".o"], check=True)
                objects.append(source + ".o")
    return objects


SOUND = {
    "include/cosy.h": "#include <cosy/err.h>\n",
    "include/cosy/err.h": "int base_thing(void);\n",
    "include/cosy/loop.h": "#include <cosy/err.h>\nint loop_thing(void);\n",
    "src/base/a.c": "#include <cosy/err.h>\n#include <stdio.h>\nint base_thing(void) { return 1; }\n",
    "src/loop/deep/l.c": '#include "../l.h"\n#include <cosy/loop.h>\nint loop_thing(void) { return base_thing(); }\n',
    "src/loop/l.h": "#include <cosy/err.h>\n",
}
BROKEN = [
    ("an include", "src/base/b.c", '#include "loop/l.h"\n'),
    ("an include by a relative path", "src/base/b.c", '#include "../loop/l.h"\n'),
    ("a public header of a floor above", "src/base/b.c", "#include <cosy/loop.h>\n"),
    ("the umbrella", "src/loop/b.c", "#include <cosy.h>\n"),
    ("an upward arrow between public headers", "include/cosy/err.h",
     "#include <cosy/loop.h>\nint base_thing(void);\n"),
    ("a symbol without an include", "src/base/b.c",
     "int loop_thing(void); int b(void); int b(void) { return loop_thing(); }\n"),
    ("an unknown floor", "src/attic/b.c", "int b;\n"),
    ("an unknown header", "include/cosy/unheard.h", "\n"),
]


def prove():
    failures = []
    for what, path, text in [("nothing", None, None)] + BROKEN:
        with tempfile.TemporaryDirectory() as tree:
            for name, content in SOUND.items():
                write(tree, name, content)
            if path:
                write(tree, path, text)
            print("with %s:" % what, end=" ")
            if bool(check(tree, build(tree), "nm")) != bool(path):
                failures.append(what)
    if failures:
        print("judged wrongly: " + ", ".join(failures))
    return 1 if failures else 0


def main(args):
    if args == ["--prove"]:
        return prove()
    if len(args) != 3:
        print(__doc__)
        return 2
    with open(args[1]) as file:
        objects = [line.strip() for line in file if line.strip()]
    return 1 if check(args[0], objects, args[2]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
