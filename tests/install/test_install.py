#!/usr/bin/env python3
"""Installs into an empty prefix and uses it as a stranger would.    test_install.py CMAKE BUILD_FOLDER"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CMAKE = BUILD = ""

PROGRAM = """#include <cosy.h>
#include <stdio.h>
cosy_async static int amain(void) { cosy_try(cosy_sleep(COSY_MS(1))); puts("hello"); return 0; }
int main(void) { return cosy_main(amain); }
"""
USES_GNU = """#include <cosy.h>
#include <stdio.h>
#include <string.h>
cosy_async static int amain(void) { return puts(basename("a/b")) < 0; }
int main(void) { return cosy_main(amain); }
"""
CMAKELISTS = """cmake_minimum_required(VERSION 3.18)
project(user LANGUAGES C)
find_package(cosy 0.1 REQUIRED)
add_executable(user_shared main.c)
target_link_libraries(user_shared PRIVATE cosy::cosy)
add_executable(user_static main.c)
target_link_libraries(user_static PRIVATE cosy::cosy_static)
add_executable(user_gnu gnu.c)
target_link_libraries(user_gnu PRIVATE cosy::cosy)
"""


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="cosy-install-")
        first = os.path.join(cls.root, "first")
        subprocess.run([CMAKE, "--install", BUILD, "--prefix", first], check=True, stdout=subprocess.DEVNULL)
        cls.prefix = os.path.join(cls.root, "prefix")  # a prefix may be moved
        os.rename(first, cls.prefix)
        cls.libdir = next(folder for folder, _, names in os.walk(cls.prefix) if "libcosy.a" in names)
        cls.environment = dict(os.environ, LC_ALL="C", PKG_CONFIG_PATH=os.path.join(cls.libdir, "pkgconfig"),
                               CMAKE_PREFIX_PATH=cls.prefix, PATH=os.path.join(cls.prefix, "bin") + ":" + os.environ["PATH"])
        cls.environment.pop("COSY_BACKEND", None)
        cls.cc = os.environ.get("CC") or "cc"

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=self.root)
        self.write("main.c", PROGRAM)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def do(self, *command, cwd=None, **environment):
        done = subprocess.run(command, cwd=cwd or self.folder, env=dict(self.environment, **environment),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=300)
        self.assertEqual(done.returncode, 0, "%s\n%s" % (" ".join(command), done.stdout))
        return done.stdout

    def pkg_config(self, *args):
        return self.do("pkg-config", *args).split()

    def needs_shared(self, program):
        return "libcosy.so.0" in self.do("readelf", "-d", program)

    def test_files(self):
        for name in ("bin/cosy", "include/cosy.h", "include/cosy"):
            self.assertTrue(os.path.exists(os.path.join(self.prefix, name)), name)
        for name in ("libcosy.so", "libcosy.so.0", "libcosy.a", "pkgconfig/cosy.pc", "cmake/cosy/cosy-config.cmake"):
            self.assertTrue(os.path.exists(os.path.join(self.libdir, name)), name)
        self.assertIn("Library soname: [libcosy.so.0]", self.do("readelf", "-d", os.path.join(self.libdir, "libcosy.so")))

    def test_one_version(self):
        version = self.do("cosy", "--version").split()[1]
        self.assertEqual(self.pkg_config("--modversion", "cosy"), [version])
        self.assertTrue(os.path.exists(os.path.join(self.libdir, "libcosy.so." + version)))

    def test_nothing_points_to_the_build(self):
        for folder, _, names in os.walk(os.path.join(self.libdir, "pkgconfig")):
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    self.assertNotRegex(file.read(), re.escape(BUILD) + "|first")
        for folder, _, names in os.walk(os.path.join(self.libdir, "cmake")):
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    self.assertNotIn(BUILD, file.read())

    def test_exported_names(self):
        listing = self.do("nm", "-D", "--defined-only", "-P", os.path.join(self.libdir, "libcosy.so"))
        names = [line.split()[0].split("@")[0] for line in listing.splitlines()]
        self.assertIn("cosy_sleep", names)
        self.assertEqual([name for name in names if not name.startswith("cosy_")], [])

    def test_pkg_config_shared(self):
        flags = self.pkg_config("--cflags", "--libs", "cosy")
        for flag in ("-Werror=int-conversion", "-Werror=incompatible-pointer-types", "-fstack-clash-protection", "-Wl,-z,now"):
            self.assertIn(flag, flags)
        self.do(self.cc, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main", *flags)
        self.assertTrue(self.needs_shared("main"))
        self.assertEqual(self.do("./main", LD_LIBRARY_PATH=self.libdir), "hello\n")

    def test_pkg_config_compiles_what_cosy_compiles(self):
        self.write("gnu.c", "#define _GNU_SOURCE\n" + USES_GNU)
        self.write("plain.c", USES_GNU)
        for name in ("gnu", "plain"):
            self.assertEqual(self.do("cosy", "run", name + ".c"), "b\n")
            self.do(self.cc, "-Wall", "-Wextra", "-Werror", name + ".c", "-o", name, *self.pkg_config("--cflags", "--libs", "cosy"))
            self.assertEqual(self.do("./" + name, LD_LIBRARY_PATH=self.libdir), "b\n")

    def test_pkg_config_static(self):
        flags = self.pkg_config("--cflags", "--libs", "--static", "cosy")
        flags = ["-l:libcosy.a" if flag == "-lcosy" else flag for flag in flags]
        self.do(self.cc, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main", *flags)
        self.assertFalse(self.needs_shared("main"))
        self.assertEqual(self.do("./main"), "hello\n")

    def test_find_package(self):
        self.write("CMakeLists.txt", CMAKELISTS)
        self.write("gnu.c", USES_GNU)
        self.do(CMAKE, "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=RelWithDebInfo")
        self.do(CMAKE, "--build", "build", "--verbose")
        self.assertEqual(self.do("build/user_shared"), "hello\n")
        self.assertEqual(self.do("build/user_static"), "hello\n")
        self.assertEqual(self.do("build/user_gnu"), "b\n")
        self.assertTrue(self.needs_shared("build/user_shared"))
        self.assertFalse(self.needs_shared("build/user_static"))

    def test_cosy_run(self):
        self.assertEqual(self.do("cosy", "run", "main.c"), "hello\n")

    def test_cosy_run_with_sanitizers(self):
        for kind in ("address", "thread"):
            if os.path.exists(os.path.join(self.libdir, "cosy", "libcosy_%s.a" % kind)):
                self.assertEqual(self.do("cosy", "run", "--sanitize", kind, "main.c"), "hello\n")

    def test_cosy_new_with_make(self):
        self.do("cosy", "new", "fresh")
        project = os.path.join(self.folder, "fresh")
        self.do("make", cwd=project, CFLAGS="-O2 -Wall -Wextra -Werror")
        self.assertEqual(self.do("./fresh", cwd=project), "fresh: 1 4 9\n")
        self.do("make", "clean", cwd=project)
        self.assertFalse(os.path.exists(os.path.join(project, "fresh")))

    def test_cosy_new_with_cmake(self):
        self.do("cosy", "new", "fresh")
        project = os.path.join(self.folder, "fresh")
        self.do(CMAKE, "-B", "build", "-DCMAKE_C_FLAGS=-Werror", cwd=project)
        self.do(CMAKE, "--build", "build", cwd=project)
        self.assertEqual(self.do("build/fresh", cwd=project), "fresh: 1 4 9\n")

    def compilers(self, *names):
        found = [name for name in names if shutil.which(name)]
        if not found:
            self.skipTest("none of %s is installed" % ", ".join(names))
        return found

    def test_every_header_alone(self):
        """Each header says itself what it needs."""
        include = self.pkg_config("--cflags-only-I", "cosy")
        names = ["cosy.h"] + ["cosy/" + name for name in sorted(os.listdir(os.path.join(self.prefix, "include/cosy")))]
        for name in names:
            self.write("alone.c", "#include <%s>\n#include <%s>\nint main(void) { return 0; }\n" % (name, name))
            self.do(self.cc, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "alone.c", *include)

    def test_pedantic(self):
        include = self.pkg_config("--cflags-only-I", "cosy")
        self.write("alone.c", "#include <cosy.h>\nint main(void) { return 0; }\n")
        for cc in self.compilers("gcc", "clang"):
            for dialect in ("-std=gnu17", "-std=gnu11", "-std=gnu2x"):
                self.do(cc, dialect, "-Wpedantic", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wundef", "-Wcast-qual",
                        "-Werror", "-fsyntax-only", "alone.c", *include)

    def test_cpp(self):
        include = self.pkg_config("--cflags-only-I", "cosy")
        self.write("user.cpp", "#include <cosy.h>\nint (*keep)(cosy_ns) = cosy_sleep;\nint main() { return 0; }\n")
        for cxx in self.compilers("g++", "clang++"):
            for dialect in ("-std=gnu++17", "-std=gnu++20"):
                self.do(cxx, dialect, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "user.cpp", "-o", "user.o", *include)
                self.assertIn(" U cosy_sleep", self.do("nm", "user.o"), "the header lacks extern \"C\"")


if __name__ == "__main__":
    CMAKE, BUILD = sys.argv[1], os.path.realpath(sys.argv[2])
    del sys.argv[1:3]
    unittest.main(verbosity=2)
