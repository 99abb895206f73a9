#!/usr/bin/env python3
"""Runs an example and compares what it does with what its last comment says.

    run_example.py FILE.c -- PROGRAM [ARGUMENTS...]     exit 0: as promised
    run_example.py --prove                              shows that differences are noticed

The last comment of FILE.c begins with one of the headings Output, Stderr, Exit status and may hold each once:

    /* Output:
     * hello
     * ...
     * all done after <time 0.1> s
     * Stderr:
     * error: <time> ms too late ...
     * Exit status: 1
     */

A leading " * " belongs to the comment, not to the output. Blanks at the end of a line do not count.
  ...        alone on a line: any number of lines, also none; inside a line: any text
  <time>     a number such as 12 or 0.103
  <time 0.1> a number from 0.1 (as exactly as it is printed) to half a second more; with the simulator's clock,
             at most 0.01 more
What depends on chance in real time says so; on the simulated clock it stays what it is without:

     * Arguments with a real clock: --speed 1000        what the program is called with
     * Output with a real clock, in any order:          how many lines there are of each kind, instead of Output
     * 20 x added ...
     * 1 x done

Without "Stderr:" nothing may be printed there. Without "Exit status:" it is 0; 128 + N stands for a death by signal N.
COSY_BACKEND is set by whoever calls.
"""
import os
import re
import subprocess
import sys
import tempfile

COUNTED = "Output with a real clock, in any order"
ARGUMENTS = "Arguments with a real clock"
HEADING = re.compile(r"^(Output|Stderr|Exit status|%s|%s):\s*(.*)$" % (COUNTED, ARGUMENTS))


class Expected:
    def __init__(self):
        self.stdout, self.stderr, self.status = [], [], 0
        self.arguments, self.counted = [], []  # with a real clock


def last_comment(text):
    begin = text.rfind("/*")
    end = text.find("*/", begin)
    if begin < 0 or end < 0 or text[end + 2:].strip():
        return None
    return text[begin + 2:end].split("\n")


def parse_expectation(text):
    """What FILE.c promises, or None when its last comment promises nothing."""
    lines = last_comment(text)
    if lines is None or not HEADING.match(lines[0].strip()):
        return None
    expected, section = Expected(), None
    lines = [lines[0].strip()] + [re.sub(r"^\s*\* ?", "", line).rstrip() for line in lines[1:]]
    if not lines[-1]:
        lines.pop()
    for line in lines:
        heading = HEADING.match(line)
        if not heading:
            section.append(line)
        elif heading.group(1) == "Exit status":
            expected.status = int(re.match(r"\d+", heading.group(2)).group())
        elif heading.group(1) == ARGUMENTS:
            expected.arguments = heading.group(2).split()
        else:
            section = {"Output": expected.stdout, "Stderr": expected.stderr, COUNTED: expected.counted}[heading.group(1)]
    return expected


def line_pattern(line):
    """One expected line as a regular expression, and the least values of its <time X>."""
    pattern, least = "", []
    for part in re.split(r"(\.\.\.|<time(?: [0-9.]+)?>)", line):
        if part == "...":
            pattern += ".*"
        elif part == "<time>":
            pattern += r"[0-9]+(?:\.[0-9]+)?"
        elif part.startswith("<time "):
            pattern += r"([0-9]+(?:\.[0-9]+)?)"
            least.append(float(part[6:-1]))
        else:
            pattern += re.escape(part)
    return re.compile(pattern + r"\Z"), least


def time_fits(printed, least, slack):
    decimals = len(printed.partition(".")[2])
    rounding = 0.5 * 10 ** -decimals + 1e-9
    return least - rounding <= float(printed) <= least + slack + rounding


def line_fits(expected, actual, slack):
    pattern, least = line_pattern(expected)
    match = pattern.match(actual)
    return bool(match) and all(time_fits(t, low, slack) for t, low in zip(match.groups(), least))


def lines_fit(expected, actual, slack):
    """Classic wildcard matching: on a mismatch, go back to the last "..." and let it take one line more."""
    e = a = 0
    resume = None
    while a < len(actual):
        if e < len(expected) and expected[e] == "...":
            e += 1
            resume = [e, a]
        elif e < len(expected) and line_fits(expected[e], actual[a], slack):
            e, a = e + 1, a + 1
        elif resume:
            resume[1] += 1
            e, a = resume
        else:
            return False
    return all(line == "..." for line in expected[e:])


def counts_fit(expected, actual, slack):
    """Each line is of one of the expected kinds, and there are as many of each as said."""
    kinds = [re.match(r"(\d+) x (.*)", line).groups() for line in expected]
    left = {pattern: int(count) for count, pattern in kinds}
    for line in actual:
        fitting = [pattern for pattern in left if line_fits(pattern, line, slack)]
        if not fitting:
            return False
        left[fitting[0]] -= 1
    return not any(left.values())


def split_lines(data):
    lines = [line.rstrip() for line in data.decode(errors="replace").splitlines()]
    return [line for line in lines if not line.startswith("qemu: uncaught target signal")]  # the emulator's own remark


def differences(expected, status, stdout, stderr, slack, real_clock=True):
    found = []
    counted = real_clock and expected.counted
    if status != expected.status:
        found.append("exit status: expected %d, got %d" % (expected.status, status))
    for name, want, got in (("stdout", counted or expected.stdout, stdout), ("stderr", expected.stderr, stderr)):
        fit = counts_fit if counted and name == "stdout" else lines_fit
        if not fit(want, got, slack):
            found.append("%s: expected\n    %s\ngot\n    %s" % (name, "\n    ".join(want), "\n    ".join(got)))
    return found


def has_real_clock():
    return os.environ.get("COSY_BACKEND") != "sim"


def allowed_slack():
    if not has_real_clock():
        return 0.01
    return 0.5 if os.environ.get("COSY_TEST_TOOL", "none") == "none" else 30.0


def run(program):
    """Exit status as a shell tells it, stdout, stderr; valgrind's report is kept out of stderr."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "valgrind.log")
        if os.path.basename(program[0]) == "valgrind":
            program = [program[0], "--log-file=" + report] + program[1:]
        done = subprocess.run(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        notes = open(report, errors="replace").read() if os.path.exists(report) else ""
        return status, split_lines(done.stdout), split_lines(done.stderr), notes


def check_example(path, program):
    with open(path) as file:
        expected = parse_expectation(file.read())
    if expected is None:
        print("%s: its last comment does not begin with 'Output:', 'Stderr:' or 'Exit status:'" % path)
        return 1
    real_clock = has_real_clock()
    status, stdout, stderr, notes = run(program + (expected.arguments if real_clock else []))
    found = differences(expected, status, stdout, stderr, allowed_slack(), real_clock)
    if not found and "== ERROR SUMMARY" not in notes and not re.search(r"^==\d+== \S", notes, re.M):
        return 0
    print("%s on %s:" % (path, os.environ.get("COSY_BACKEND", "the automatic backend")))
    print("\n".join(found))
    if notes:
        print("valgrind:\n" + notes)
    if stderr:
        print("stderr:\n    " + "\n    ".join(stderr))
    return 1


def prove_counts():
    """What is counted with a real clock, and compared line by line on the simulated one."""
    expected = parse_expectation("/* Output:\n * a\n * b 1\n * %s: -x 3\n * %s:\n * 2 x b ...\n * 1 x a\n */\n" % (ARGUMENTS, COUNTED))
    cases = [(True, True, ["b 1", "a", "b 2"]), (False, True, ["b 1", "a"]), (False, True, ["b 1", "a", "b 2", "b 3"]),
             (False, True, ["b 1", "a", "b 2", "c"]), (False, True, ["a", "b 1"]), (True, False, ["a", "b 1"]),
             (False, False, ["b 1", "a", "b 2"])]
    wrong = [case for case in cases if (not differences(expected, 0, case[2], [], 0.5, case[1])) != case[0]]
    return wrong + ([] if expected.arguments == ["-x", "3"] else ["arguments were not read"])


def prove():
    """Each pair: an expectation, and runs that must and must not fit it."""
    comment = "int x; /* not this */\n/* Output:\n * one\n * ...\n * took <time 0.1> s ...\n * Stderr:\n * bad <time>\n * Exit status: 134\n */\n"
    expected = parse_expectation(comment)
    good = (134, ["one", "two", "three", "took 0.10 s yes"], ["bad 7"])
    cases = [
        (True, good), (True, (134, ["one", "took 0.101 s "], ["bad 0.5"])),
        (False, (0,) + good[1:]), (False, (134, ["one", "took 0.09 s "], ["bad 7"])),
        (False, (134, ["one", "took 0.70 s "], ["bad 7"])), (False, (134, ["one"], ["bad 7"])),
        (False, (134, ["one", "took 0.1 s ", "more"], ["bad 7"])), (False, (134, ["One", "took 0.1 s "], ["bad 7"])),
        (False, (134, good[1], ["bad x"])), (False, (134, good[1], [])), (False, (134, [], ["bad 7"])),
    ]
    wrong = [case for case in cases if (not differences(expected, *case[1], slack=0.5)) != case[0]]
    wrong += prove_counts()
    silent = parse_expectation("/* Output:\n * a\n */")
    if differences(silent, 0, ["a"], [], 0) or not differences(silent, 0, ["a"], ["oops"], 0):
        wrong.append("stderr must be empty when nothing is said of it")
    if parse_expectation("/* Output:\n * a\n */\nint main;") or parse_expectation("/* none */"):
        wrong.append("a comment that promises nothing was taken")
    for case in wrong:
        print("judged wrongly:", case)
    return 1 if wrong else 0


def main(args):
    if args == ["--prove"]:
        return prove()
    if len(args) < 3 or args[1] != "--":
        print(__doc__)
        return 2
    return check_example(args[0], args[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
