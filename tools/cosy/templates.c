/* templates.c - the files that `cosy new` writes. tests/install builds and runs them, so they cannot rot. */
#include "templates.h"

static const char main_c[] = "/* @NAME@ - waits for three things at once. */\n"
                             "#include <cosy.h>\n"
                             "#include <stdio.h>\n"
                             "\n"
                             "cosy_async static int fetch(int id, int *result)\n"
                             "{\n"
                             "    cosy_try(cosy_sleep(COSY_MS(100))); /* any wait: other tasks run meanwhile */\n"
                             "    *result = id * id;\n"
                             "    return 0;\n"
                             "}\n"
                             "\n"
                             "cosy_async static int amain(void)\n"
                             "{\n"
                             "    int a, b, c;\n"
                             "    cosy_try(cosy_gather(cosy_call(fetch, 1, &a), /* 0.1 s for the three, not 0.3 s */\n"
                             "                         cosy_call(fetch, 2, &b),\n"
                             "                         cosy_call(fetch, 3, &c)));\n"
                             "    printf(\"@NAME@: %d %d %d\\n\", a, b, c);\n"
                             "    return 0;\n"
                             "}\n"
                             "\n"
                             "int main(void)\n"
                             "{\n"
                             "    return cosy_main(amain);\n"
                             "}\n";

static const char cmakelists_txt[] =
    "cmake_minimum_required(VERSION 3.18)\n"
    "project(@NAME@ LANGUAGES C)\n"
    "\n"
    "set(CMAKE_C_STANDARD 17) # with GNU extensions, which cosy.h uses\n"
    "if(NOT CMAKE_BUILD_TYPE)\n"
    "    set(CMAKE_BUILD_TYPE RelWithDebInfo)\n"
    "endif()\n"
    "\n"
    "find_package(cosy REQUIRED)\n"
    "\n"
    "add_executable(@NAME@ main.c)\n"
    "target_compile_options(@NAME@ PRIVATE -Wall -Wextra)\n"
    "target_link_libraries(@NAME@ PRIVATE cosy::cosy) # cosy::cosy_static: no library to ship\n";

static const char makefile[] = "# Builds @NAME@ with make and pkg-config; CMakeLists.txt builds the same program.\n"
                               "CFLAGS ?= -O2 -g -Wall -Wextra\n"
                               "COSY_CFLAGS := $(shell pkg-config --cflags cosy)\n"
                               "COSY_LIBS := $(shell pkg-config --libs cosy)\n"
                               "COSY_LIBDIR := $(shell pkg-config --variable=libdir cosy)\n"
                               "ifeq ($(COSY_LIBS),)\n"
                               "$(error cosy is not where pkg-config looks: set PKG_CONFIG_PATH to its lib/pkgconfig)\n"
                               "endif\n"
                               "\n"
                               "@NAME@: main.c\n"
                               "\t$(CC) -std=gnu17 $(CFLAGS) $(COSY_CFLAGS) -o $@ $< $(LDFLAGS) $(COSY_LIBS) "
                               "-Wl,-rpath,$(COSY_LIBDIR)\n"
                               "\n"
                               "run: @NAME@\n"
                               "\t./@NAME@\n"
                               "\n"
                               "# Finds awaits outside async code (needs clang).\n"
                               "check: main.c\n"
                               "\tcosy check main.c\n"
                               "\n"
                               "clean:\n"
                               "\trm -f @NAME@\n"
                               "\n"
                               ".PHONY: run check clean\n";

static const char readme_md[] = "# @NAME@\n"
                                "\n"
                                "An async C program on cosy (asyncio for C).\n"
                                "\n"
                                "    make run                                  # with make\n"
                                "    cmake -B build && cmake --build build     # with CMake\n"
                                "    cosy run main.c                           # without building anything\n"
                                "    cosy check main.c                         # finds awaits outside async code\n"
                                "\n"
                                "When cosy is installed in a folder of its own, tell both where:\n"
                                "`export PKG_CONFIG_PATH=PREFIX/lib/pkgconfig CMAKE_PREFIX_PATH=PREFIX`.\n";

static const char gitignore[] = "/build/\n"
                                "/@NAME@\n";

const struct project_template project_templates[] = {
    {"main.c", main_c},       {"CMakeLists.txt", cmakelists_txt}, {"Makefile", makefile},
    {"README.md", readme_md}, {".gitignore", gitignore},
};
const size_t project_template_count = sizeof(project_templates) / sizeof(project_templates[0]);
