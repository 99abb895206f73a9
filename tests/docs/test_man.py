#!/usr/bin/env python3
"""The manual: all that is public is described, each page is sound, and what a SYNOPSIS says is what the headers say.

    test_man.py TREE     exit 0: all is well
    test_man.py --prove  shows that each kind of fault is found
"""
import glob
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def load_man():
    """scripts/man.py as a module, without leaving its bytecode in the tree."""
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("man", os.path.join(HERE, "..", "..", "scripts", "man.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


man = load_man()


def check_described(headers_folder):
    _, headers, strays = man.read_headers(headers_folder)
    faults = man.faults_of(headers, strays)
    if not any(group.pages() for header in headers for group in header.groups):
        faults.append("no header declares anything")
    return faults


def preprocess(headers_folder, *flags):
    command = shlex.split(os.environ.get("CC", "cc")) + ["-std=gnu17", "-E", "-P", *flags, "-x", "c", "-I", headers_folder, "-"]
    return subprocess.run(command, check=True, input="#include <cosy.h>\n", stdout=subprocess.PIPE, universal_newlines=True).stdout


def public_names(headers_folder):
    """What the compiler finds in the headers: an account that does not rest on the reading of man.py."""
    macros = re.findall(r"^#define ((?:cosy|COSY)_\w+)", preprocess(headers_folder, "-dM"), re.M)
    code = re.sub(r"__attribute__\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)", " ", preprocess(headers_folder))
    functions = re.findall(r"[\w*]\s*\b(cosy_\w+)\s*\([^;{}]*\)\s*[;{]", code)
    names = set(functions) | {name for name in macros if not name.endswith("_H")}
    return {name for name in names if not re.search(r"_\d*$", name)}


def check_complete(headers_folder, pages):
    return ["%s has no page" % name for name in sorted(public_names(headers_folder)) if "man3/%s.3" % name not in pages]


def first_words(path):
    with open(path) as file:
        return file.readline().split()


def is_link(path):
    return first_words(path)[0] == ".so"


def check_links(output):
    """Each .so leads to a page."""
    faults = []
    for path in glob.glob(os.path.join(output, "man*", "*")):
        if is_link(path) and not os.path.isfile(os.path.join(output, first_words(path)[1])):
            faults.append("%s leads to %s, which is not there" % (path, first_words(path)[1]))
    return faults


def renderer():
    """groff does all pages in one go; man is a program or five for each."""
    if shutil.which("groff"):
        return ["groff", "-ww", "-man", "-Tutf8", "-P-cbou", "-K", "utf8", "-rLL=90n"]
    if shutil.which("man"):
        return ["man", "--warnings", "-P", "cat", "-l"]
    return None


def check_rendering(output):
    command = renderer()
    if not command:
        print("neither groff nor man is here: the pages are not rendered")
        return []
    environment = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="90", MANPAGER="cat", MANROFFOPT="")
    pages = sorted(os.path.relpath(path, output) for path in glob.glob(os.path.join(output, "man*", "*")) if not is_link(path))
    done = subprocess.run(command + pages, cwd=output, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    faults = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode != 0 and not faults:
        faults.append("%s failed with %d" % (command[0], done.returncode))
    for name in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
        found = len(re.findall("^%s$" % name, done.stdout, re.M))
        if found < len([page for page in pages if name == "NAME" or page.startswith("man3/")]):
            faults.append("%d of %d pages have %s" % (found, len(pages), name))
    return faults


def synopsis_program(headers_folder):
    """A C file that repeats every declaration as the manual shows it, and mentions every name."""
    _, headers, _ = man.read_headers(headers_folder)
    lines, uses = ["#include <cosy.h>", ""], []
    for header in headers:
        for group in header.groups:
            for item in group.pages():
                if item.kind == "macro":
                    lines += ["#ifndef %s" % item.name, "#error the manual has %s" % item.name, "#endif"]
                else:
                    lines += man.synopsis_of(item, group)
                    uses.append("    (void (*)(void))%s," % item.name)
    return "\n".join(lines + ["", "void (*const used[])(void) = {"] + uses + ["};", ""])


def check_synopsis(headers_folder, scratch):
    source = os.path.join(scratch, "synopsis.c")
    with open(source, "w") as file:
        file.write(synopsis_program(headers_folder))
    command = shlex.split(os.environ.get("CC", "cc")) + ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Werror",
                                                         "-Wno-cast-function-type", "-I", headers_folder,
                                                         "-fsyntax-only", source]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return done.stdout.splitlines() if done.returncode != 0 else []


def check(tree):
    headers = os.path.join(tree, "include")
    with tempfile.TemporaryDirectory() as scratch:
        output = os.path.join(scratch, "man")
        os.mkdir(output)
        faults = check_described(headers)
        pages = man.pages_of(headers)
        man.write_pages(output, pages)
        faults += check_complete(headers, pages) + check_links(output) + check_rendering(output) + check_synopsis(headers, scratch)
    print("\n".join(faults) if faults else "%d pages are sound" % len(pages))
    return faults


# ---- that faults are found ----

FIRST = "/* cosy/a.h - a room. */\n"
VERSION = '/* cosy/version.h - the version. */\n/* The version. */\n#define COSY_VERSION "1.2.3"\n'
SOUND = FIRST + """
/* A thing. */
typedef struct cosy_thing cosy_thing;

/* ---- life ---- */

/* Makes a thing. NULL without memory; -EINVAL else.
 *     cosy_thing_new(7);
 *
 *  1. first
 *  2. then */
cosy_thing *cosy_thing_new(int size);

/* Tells its size. */
static inline int cosy_thing_size(const cosy_thing *thing) { return thing != 0; }
int cosy_thing_room(void); /* the most there can be */

/*     int cosy_thing_fill(cosy_thing *thing, value...);
 *
 * Fills a thing. */
#define cosy_thing_fill(thing, ...) cosy_thing_fill_((thing), __VA_ARGS__)
int cosy_thing_fill_(cosy_thing *thing, ...);
"""
BROKEN = [
    ("a function without comment", "\nint cosy_bare(void);\n"),
    ("a macro without comment", "\n#define COSY_BARE 1\n"),
    ("a type without comment", "\nstruct cosy_bare {\n    int field;\n};\n"),
    ("a comment that is set apart", "\n/* Does it. */\n\nint cosy_apart(void);\n"),
    ("a macro without shape", "\n/* Does it. */\n#define cosy_shapeless(...) (__VA_ARGS__)\n"),
    ("a macro for a function without shape", "\n/* Does it. */\n#define cosy_shapeless(x) cosy_thing_fill_(x)\n"),
    ("a first sentence without end", "\n/* " + "word " * 40 + " */\nint cosy_wordy(void);\n"),
]


def judge(text, headers=None):
    with tempfile.TemporaryDirectory() as tree:
        files = {"include/cosy.h": '/* cosy.h - all. */\n#include "cosy/version.h"\n#include "cosy/a.h"\n',
                 "include/cosy/version.h": VERSION, "include/cosy/a.h": text}
        files.update(headers or {})
        for path, content in files.items():
            os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
            with open(os.path.join(tree, path), "w") as file:
                file.write(content)
        return bool(check(tree))


def prove_synopsis():
    """A declaration that the manual shows otherwise than the header has it."""
    honest = man.declaration_of
    man.declaration_of = lambda item: honest(item).replace("(int size)", "(long size)")
    found = judge(SOUND)
    man.declaration_of = honest
    return found


def prove_complete():
    """A function that man.py does not see."""
    honest = man.classify
    man.classify = lambda text, line: man.Item("other", "", text, line) if "_room" in text else honest(text, line)
    found = judge(SOUND)
    man.classify = honest
    return found


def prove_rendering():
    if not renderer():
        return True
    honest = man.escape
    man.escape = lambda text: honest(text).replace("thing", "\\[nosuchglyph]thing")
    found = judge(SOUND)
    man.escape = honest
    return found


def prove():
    wrong = []
    if judge(SOUND):
        wrong.append("nothing")
    for what, text in BROKEN:
        print("with %s:" % what, end=" ")
        if not judge(SOUND + text):
            wrong.append(what)
    if not judge(SOUND, {"include/cosy/stray.h": "/* cosy/stray.h - a stray. */\n"}):
        wrong.append("a header that cosy.h leaves out")
    if not judge(SOUND.replace("cosy/a.h - ", "")):
        wrong.append("a header without its first line")
    if not prove_synopsis():
        wrong.append("a wrong SYNOPSIS")
    if not prove_complete():
        wrong.append("a name without page")
    if not prove_rendering():
        wrong.append("a page with warnings")
    if wrong:
        print("judged wrongly: " + ", ".join(wrong))
    return 1 if wrong else 0


def main(args):
    if args == ["--prove"]:
        return prove()
    if len(args) != 1:
        print(__doc__)
        return 2
    return 1 if check(args[0]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
