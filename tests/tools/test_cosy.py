#!/usr/bin/env python3
"""The `cosy` command: run, check, new, and what it says of mistakes.    test_cosy.py PATH/TO/cosy"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

COSY = ""
INSTRUMENTED = os.environ.get("COSY_TEST_TOOL", "none") != "none"  # the library itself is built for a sanitizer

HELLO = """#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
cosy_async static int amain(void) { cosy_try(cosy_sleep(COSY_MS(1))); puts("hello"); return 0; }
int main(void) { return cosy_main(amain); }
"""
ARGUMENTS = """#include <stdio.h>
int main(int argc, char **argv) { for (int i = 1; i < argc; i++) printf("[%s]", argv[i]); return 40 + argc; }
"""
COLOURS = """#include <cosy.h>
/* fetch( { is no function here */
#define NOISE(x) \\
    static const char noise_##x[] = "}{";
NOISE(a)
cosy_async static int fetch(int id)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    return id;
}
static int helper(void)
{
    return fetch(noise_a[0] == '{') +
           cosy_sleep(1);
}
cosy_blocking static int block(void) { return helper(); }
cosy_async static int amain(void)
{
    cosy_no_await_begin();
    int result = fetch(1);
    cosy_no_await_end();
    return result + block();
}
int main(void) { return cosy_main(amain); }
"""


class ToolTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cosy test ")  # blanks in paths must not matter
        self.tmp = os.path.join(self.folder, "tmp")
        os.mkdir(self.tmp)
        self.environment = dict(os.environ, TMPDIR=self.tmp, LC_ALL="C")
        for name in ("COSY_BACKEND", "COSY_DEBUG"):
            self.environment.pop(name, None)

    def tearDown(self):
        self.assertEqual(os.listdir(self.tmp), [], "temporary files were left behind")
        shutil.rmtree(self.folder)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def cosy(self, *args, stdin="", **environment):
        done = subprocess.run([COSY] + list(args), cwd=self.folder, env=dict(self.environment, **environment), input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    def expect(self, result, status, stdout=None, stderr=""):
        self.assertEqual(result[0], status, result)
        if stdout is not None:
            self.assertEqual(result[1], stdout)
        self.assertRegex(result[2], stderr) if stderr else self.assertEqual(result[2], "")


class FrontTest(ToolTest):
    def test_help_and_version(self):
        self.expect(self.cosy("--version"), 0)
        self.assertRegex(self.cosy("--version")[1], r"^cosy \d+\.\d+\.\d+\n$")
        for args in (["--help"], ["run", "--help"], ["check", "--help"], ["new", "--help"]):
            status, out, err = self.cosy(*args)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("usage: cosy", out)

    def test_wrong_words(self):
        self.expect(self.cosy(), 2, "", "usage: cosy")
        self.expect(self.cosy("dance"), 2, "", "cosy: unknown command 'dance'")
        self.expect(self.cosy("--dance"), 2, "", "cosy: unknown option '--dance'")
        for command in ("run", "check", "new"):
            self.expect(self.cosy(command), 2, "", "^cosy %s: .*usage: cosy %s" % (command, command))
            self.expect(self.cosy(command, "--dance"), 2, "", "cosy %s: unknown option '--dance'" % command)


class RunTest(ToolTest):
    def test_runs(self):
        self.write("hello.c", HELLO)
        self.expect(self.cosy("run", "hello.c"), 0, "hello\n")

    def test_arguments_and_status(self):
        self.write("args.c", ARGUMENTS)
        self.expect(self.cosy("run", "args.c", "--debug", "a b", ""), 44, "[--debug][a b][]")
        self.expect(self.cosy("run", "--", "args.c", "x"), 42, "[x]")

    def test_standard_input(self):
        self.expect(self.cosy("run", "-", "x", stdin=ARGUMENTS), 42, "[x]")

    def test_odd_names(self):
        for name in ("with blank.c", "-minus.c", "no_suffix", "..c"):
            self.write(name, ARGUMENTS)
            self.expect(self.cosy("run", "--", name), 41, "")

    def test_stdin_belongs_to_the_program(self):
        self.write("cat.c", "#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c); return 0; }\n")
        self.expect(self.cosy("run", "cat.c", stdin="through"), 0, "through")

    def test_compiler_errors_pass_through(self):
        self.write("wrong.c", "#include <cosy.h>\nint main(void) { return missing; }\n")
        status, out, err = self.cosy("run", "wrong.c")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"^wrong\.c:.*")
        self.assertRegex(err, r"wrong\.c:2:25: error: .*missing")
        self.assertNotIn("cosy run", err)

    def test_wrong_argument_type_is_an_error(self):
        self.write("wrong.c", HELLO.replace("cosy_main(amain)", "strlen(7) + cosy_main(amain)")
                   .replace("<stdlib.h>", "<string.h>"))
        self.expect(self.cosy("run", "wrong.c"), 1, "", r"wrong\.c:5.*error")

    def test_missing_things(self):
        self.expect(self.cosy("run", "nowhere.c"), 1, "", r"^cosy run: cannot read 'nowhere\.c': No such file")
        self.write("hello.c", HELLO)
        self.expect(self.cosy("run", "--cc", "no-such-cc", "hello.c"), 2, "", "compiler 'no-such-cc' not found.*--cc")
        self.expect(self.cosy("run", "hello.c", CC="no-such-cc"), 2, "", r"compiler 'no-such-cc' not found.*\$CC")
        self.expect(self.cosy("run", "hello.c", TMPDIR="/nowhere"), 2, "", "cannot make the temporary folder '/nowhere/")

    def test_wrong_options(self):
        self.expect(self.cosy("run", "--backend", "kqueue", "x.c"), 2, "", "unknown backend 'kqueue'.*uring, epoll or sim")
        self.expect(self.cosy("run", "--sanitize", "soap", "x.c"), 2, "", "unknown sanitizer 'soap'.*address, undefined")
        self.expect(self.cosy("run", "--cc"), 2, "", "--cc needs a compiler")

    def test_options_do_what_they_say(self):
        self.write("env.c", '#include <stdio.h>\n#include <stdlib.h>\n'
                   'static const char *e(const char *n) { const char *v = getenv(n); return v ? v : "-"; }\n'
                   'int main(void) {\n'
                   '#ifdef __clang__\n const char *cc = "clang";\n#else\n const char *cc = "gcc";\n#endif\n'
                   '#ifdef __OPTIMIZE__\n const char *o = "O1";\n#else\n const char *o = "O0";\n#endif\n'
                   ' printf("%s %s %s %s", e("COSY_BACKEND"), e("COSY_DEBUG"), cc, o); return 0; }\n')
        self.assertRegex(self.cosy("run", "env.c")[1], "^- - (gcc|clang) O1$")
        self.assertRegex(self.cosy("run", "--debug", "--backend=sim", "env.c")[1], "^sim 1 (gcc|clang) O0$")
        for cc in ("gcc", "clang"):
            if shutil.which(cc) and not INSTRUMENTED:  # one compiler's ASan does not link with the other's
                self.assertRegex(self.cosy("run", "--cc", cc, "env.c")[1], "^- - %s O1$" % cc)

    def test_backends(self):
        self.write("hello.c", HELLO)
        for backend in ("epoll", "sim"):
            self.expect(self.cosy("run", "--backend", backend, "hello.c"), 0, "hello\n")

    def test_a_death_by_signal(self):
        self.write("die.c", "#include <signal.h>\nint main(void) { raise(SIGKILL); return 0; }\n")
        self.expect(self.cosy("run", "die.c"), 137, "", r"cosy run: die\.c was killed by signal 9 \(Killed\)")

    def run_and_kill(self, signal_number):
        self.write("wait.c", '#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts("ready"); fflush(stdout); pause(); return 0; }\n')
        process = subprocess.Popen([COSY, "run", "wait.c"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        process.send_signal(signal_number)
        self.assertEqual(process.stdout.read(), b"", "the program outlived the command")
        process.stdout.close()
        return process.wait(timeout=60)

    def test_signals_are_handed_on(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.assertEqual(self.run_and_kill(number), 128 + number)

    def test_a_killed_compilation_leaves_nothing(self):
        slow = self.write("slowcc", "#!/bin/sh\n: > started\nexec sleep 60\n")
        os.chmod(slow, 0o755)
        self.write("hello.c", HELLO)
        process = subprocess.Popen([COSY, "run", "--cc", "./slowcc", "hello.c"], cwd=self.folder, env=self.environment)
        while not os.path.exists(os.path.join(self.folder, "started")):
            time.sleep(0.01)
        process.terminate()
        self.assertEqual(process.wait(timeout=60), 128 + signal.SIGTERM)

    def test_sanitizers_find_errors(self):
        if INSTRUMENTED:
            self.skipTest("such a library has no variants")
        self.write("hello.c", HELLO)
        if os.environ.get("COSY_TEST_VARIANTS") == "OFF":
            self.expect(self.cosy("run", "--sanitize", "address", "hello.c"), 2, "", "the library was built without it")
            return
        for kind in ("address", "undefined", "thread"):
            self.expect(self.cosy("run", "--sanitize", kind, "hello.c"), 0, "hello\n")
        self.write("leak.c", HELLO.replace('puts("hello")', 'volatile char *p = malloc(9); p[9] = 1; free((void *)p)'))
        result = self.cosy("run", "--sanitize", "address", "leak.c")
        self.assertIn("heap-buffer-overflow", result[2])
        self.assertNotEqual(result[0], 0)
        self.write("shift.c", "int main(int c, char **v) { (void)v; return (c << 31 << c) & 1; }\n")
        self.assertIn("runtime error: left shift", self.cosy("run", "--sanitize", "undefined", "shift.c")[2])


@unittest.skipUnless(shutil.which("clang"), "clang is not installed")
class CheckTest(ToolTest):
    def test_all_is_well(self):
        self.write("hello.c", HELLO)
        status, out, err = self.cosy("check", "hello.c")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^hello\.c: ok: ")

    def test_plain_words(self):
        self.write("colours.c", COLOURS)
        status, out, err = self.cosy("check", "colours.c")
        self.assertEqual((status, err), (1, ""), out)
        may_suspend = ", which may suspend; "
        expected = [
            "13:12: await outside async: plain function 'helper' calls 'fetch'" + may_suspend + "mark it cosy_async or start it with cosy_run",
            "14:12: await outside async: plain function 'helper' calls 'cosy_sleep'" + may_suspend,
            "20:18: await in a no-await region: function 'amain' calls 'fetch'" + may_suspend,
            "22:21: blocking call inside async code: async function 'amain' calls 'block', which ",
        ]
        lines = out.splitlines()
        self.assertEqual(len(lines), len(expected), out)
        for line, want in zip(lines, expected):
            self.assertTrue(line.startswith("colours.c:" + want), "%s\nis not\n%s" % (line, want))

    def test_await_in_main(self):
        self.write("hello.c", HELLO.replace("return cosy_main(amain)", "cosy_sleep(1); return cosy_main(amain)"))
        self.assertIn("await outside async: plain function 'main' calls 'cosy_sleep', which may suspend; "
                      "mark it cosy_async or start it with cosy_run", self.cosy("check", "hello.c")[1])

    def test_what_blocks_of_the_c_library(self):
        for name, call in (("sleep", "sleep(1)"), ("usleep", "usleep(1)"), ("system", 'system("ls")'),
                           ("nanosleep", "nanosleep(&(struct timespec){0}, NULL)")):
            program = ("#define _GNU_SOURCE\n#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n#include <cosy.h>\n"
                       "cosy_async static int amain(void) { %s return cosy_sleep(1); }\n"
                       "int main(void) { %s; return cosy_main(amain); }\n")
            self.write("blocks.c", program % ("(void)%s;" % call, "(void)%s" % call))
            status, out, _ = self.cosy("check", "blocks.c")
            self.assertEqual((status, out.count("blocking call inside async code")), (1, 1), out)
            self.assertIn("async function 'amain' calls '%s'" % name, out)
            self.write("blocks.c", program % ("", "(void)%s" % call))
            self.assertEqual(self.cosy("check", "blocks.c")[0], 0)

    def test_programs_that_ask_for_gnu_themselves(self):
        for line in ("#define _GNU_SOURCE\n", "#define _GNU_SOURCE 1\n"):
            self.write("gnu.c", line + HELLO)
            self.assertEqual(self.cosy("check", "gnu.c")[0], 0)
        self.write("gnu.c", "#define _GNU_SOURCE\n" + HELLO)
        self.assertEqual(self.cosy("run", "gnu.c"), (0, "hello\n", ""))

    def test_claims_no_more_than_it_knows(self):
        self.write("hello.c", HELLO)
        self.assertEqual(self.cosy("check", "hello.c")[1],
                         "hello.c: ok: every wait stands in async code, and nothing that is known to block\n")

    def test_other_errors_pass_through(self):
        self.write("wrong.c", "int main(void) { return missing; }\n")
        status, out, _ = self.cosy("check", "wrong.c")
        self.assertEqual(status, 1)
        self.assertRegex(out, r"wrong\.c:1:25: error: use of undeclared identifier 'missing'\n.*return missing")

    def test_several_files_and_options(self):
        self.write("hello.c", HELLO)
        self.write("colours.c", COLOURS)
        os.mkdir(os.path.join(self.folder, "inc"))
        self.write("inc/x.h", "#define Y X\n")
        self.write("needs.c", '#include "x.h"\nint main(void) { return Y; }\n')
        status, out, _ = self.cosy("check", "hello.c", "colours.c")
        self.assertEqual(status, 1)
        self.assertIn("hello.c: ok", out)
        self.assertEqual(self.cosy("check", "-Iinc", "-DX=0", "needs.c")[0], 0)

    def test_missing_things(self):
        self.expect(self.cosy("check", "nowhere.c"), 2, "", "cosy check: cannot read 'nowhere.c': No such file")
        self.write("hello.c", HELLO)
        self.expect(self.cosy("check", "hello.c", PATH=self.tmp), 2, "", "clang is not installed.*apt-get install clang")


class NewTest(ToolTest):
    def test_lays_out(self):
        status, out, err = self.cosy("new", "my-app")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("cd my-app", out)
        names = sorted(os.listdir(os.path.join(self.folder, "my-app")))
        self.assertEqual(names, [".gitignore", "CMakeLists.txt", "Makefile", "README.md", "main.c"])
        for name in names:
            with open(os.path.join(self.folder, "my-app", name)) as file:
                text = file.read()
            self.assertNotRegex(text, "@NAME@")
            self.assertIn("my-app", text)

    def test_its_program_runs(self):
        self.cosy("new", "app")
        self.expect(self.cosy("run", "app/main.c"), 0, "app: 1 4 9\n")
        if shutil.which("clang"):
            self.assertEqual(self.cosy("check", "app/main.c")[0], 0)

    def test_bad_names(self):
        for name in ("", "1up", "a/b", "..", "a b", "a;b", "a$b", "a.c", "x" * 65, "test", "run"):
            self.expect(self.cosy("new", name), 2, "", "^cosy new: '%s' cannot be the name: " % re.escape(name))
            self.assertEqual(os.listdir(self.folder), ["tmp"])

    def test_existing_folder(self):
        os.mkdir(os.path.join(self.folder, "taken"))
        self.expect(self.cosy("new", "taken"), 1, "", "'taken' exists already")
        self.assertEqual(os.listdir(os.path.join(self.folder, "taken")), [])

    def test_too_many_names(self):
        self.expect(self.cosy("new", "a", "b"), 2, "", "one name at a time")


if __name__ == "__main__":
    COSY = os.path.realpath(sys.argv.pop(1))
    for stop in (signal.SIGHUP, signal.SIGINT):  # nohup and background shells ignore them, and that is inherited
        signal.signal(stop, signal.default_int_handler if stop == signal.SIGINT else signal.SIG_DFL)
    unittest.main(verbosity=2)
