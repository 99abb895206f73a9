#!/usr/bin/env python3
"""The README's programs are examples: each ```c block stands word for word at the head of a file in examples/, whose output is
checked elsewhere; each path that the README and the documents link to exists; each cosy_ name that they use is in the headers.

    test_readme.py TREE     exit 0: all true
    test_readme.py --prove  shows that differences are noticed
"""
import glob
import os
import re
import sys


def documents(tree):
    return [os.path.join(tree, "README.md"), os.path.join(tree, "CONTRIBUTING.md")] + glob.glob(os.path.join(tree, "docs", "*.md"))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def faults_of_blocks(readme, programs):
    blocks = re.findall(r"^```c\n(.*?)^```", readme, re.M | re.S)
    faults = [] if blocks else ["README.md shows no program"]
    for block in blocks:
        if not any(program.startswith(block) for program in programs):
            faults.append("a program of README.md is no file of examples/: " + block.split("\n")[3])
    return faults


def faults_of_links(path, text):
    faults = []
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        if not os.path.exists(os.path.join(os.path.dirname(path), target)):
            faults.append("%s links to %s, which does not exist" % (os.path.basename(path), target))
    return faults


def faults_of_names(path, text, headers):
    used = set(re.findall(r"\b(?:cosy_[a-z][a-z_0-9]*[a-z0-9]|COSY_[A-Z][A-Z_0-9]*[A-Z0-9])\b(?![*_<])", text))
    return ["%s names %s, which no header, source or build file knows" % (os.path.basename(path), name)
            for name in sorted(used) if not re.search(r"\b%s\b" % name, headers)]


def known_words(tree):
    patterns = ("include/*.h", "include/cosy/*.h", "src/*/*.[chS]", "src/*/*/*.[chS]", "cmake/*", "CMakeLists.txt", "Makefile",
                "tests/*/*.py", "bench/*.sh", "bench/*.py")
    return "\n".join(read(path) for pattern in patterns for path in glob.glob(os.path.join(tree, pattern)) if os.path.isfile(path))


def check(tree):
    programs = [read(path) for path in glob.glob(os.path.join(tree, "examples", "*.c"))]
    words = known_words(tree)
    faults = faults_of_blocks(read(os.path.join(tree, "README.md")), programs)
    for path in documents(tree):
        faults += faults_of_links(path, read(path)) + faults_of_names(path, read(path), words)
    return faults


def prove():
    block = "```c\n#include <cosy.h>\n#include <stdio.h>\n\nint main(void) { return 1; }\n```\n"
    return [faults_of_blocks(block, ["#include <cosy.h>\n"]), faults_of_blocks("no program", []),
            faults_of_links("/README.md", "[x](no/such/file)"), faults_of_names("README.md", "`cosy_no_such_call(x)`", "cosy_run")]


def main():
    if sys.argv[1:] == ["--prove"]:
        missed = [i for i, faults in enumerate(prove()) if not faults]
        print("not noticed: %s" % missed if missed else "every difference is noticed")
        return 1 if missed else 0
    faults = check(sys.argv[1])
    print("\n".join(faults) if faults else "README and documents agree with the tree")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
