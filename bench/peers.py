"""How each contestant is built and started. A contestant that cannot be built here raises Missing with what it lacks."""
import glob
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CFLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra"]
CXXFLAGS = ["-std=gnu++17", "-D_GNU_SOURCE", "-O2", "-g", "-w"]


class Missing(Exception):
    pass


def call(command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout[-4000:]}")
    return result.stdout


def need_command(name, package):
    if not shutil.which(name):
        raise Missing(package)


def has_header(compiler, header):
    command = [compiler, "-E", "-x", "c++" if compiler.endswith("++") else "c", "-"]
    return subprocess.run(command, input=f"#include <{header}>\n", capture_output=True, text=True).returncode == 0


def need_header(compiler, header, package):
    if not has_header(compiler, header):
        raise Missing(package)


def build_cosy(out, given):
    if given:
        return [os.path.abspath(given)]
    tree = os.path.dirname(out)
    if not os.path.exists(os.path.join(tree, "CMakeCache.txt")):
        call(["cmake", "-S", ROOT, "-B", tree])
    call(["cmake", "--build", tree, "--target", "cosy_bench", "-j", str(os.cpu_count())])
    return [os.path.join(tree, "bench", "cosy_bench")]


def build_limit(out):
    compiler, program = os.environ.get("CC", "cc"), os.path.join(out, "limits")
    sources = sorted(glob.glob(f"{HERE}/limits/*.[cS]"))
    libraries = ["-luring"] if has_header(compiler, "liburing.h") else []
    libraries += ["-lssl", "-lcrypto"] if has_header(compiler, "openssl/ssl.h") else []
    call([compiler, *CFLAGS, *sources, "-o", program, "-pthread", *libraries])
    return [program]


def build_go(out):
    need_command("go", "golang-go")
    program = os.path.join(out, "go-bench")
    environment = dict(os.environ, GOCACHE=os.path.join(out, "go-cache"), GOFLAGS="-mod=mod", GOPROXY="off")
    call(["go", "build", "-o", program, "."], cwd=f"{HERE}/peers/go", env=environment)
    return [program]


def build_tokio(out):
    need_command("cargo", "cargo")
    registry = "/usr/share/cargo/registry"
    if not glob.glob(f"{registry}/tokio-1*"):
        raise Missing("librust-tokio-dev")
    source = os.path.join(out, "tokio")
    shutil.copytree(f"{HERE}/peers/tokio", source, dirs_exist_ok=True)  # cargo writes a lock file beside the sources
    call(["cargo", "build", "--quiet", "--release", "--offline",
          "--config", 'source.crates-io.replace-with="debian"',
          "--config", f'source.debian.directory="{registry}"'], cwd=source)
    return [os.path.join(source, "target", "release", "tokio-bench")]


def build_c_peer(out, name, header, package, libraries):
    compiler, program = os.environ.get("CC", "cc"), os.path.join(out, name)
    need_header(compiler, header, package)
    call([compiler, *CFLAGS, *sorted(glob.glob(f"{HERE}/peers/{name}/*.c")), "-o", program, *libraries])
    return [program]


def build_net_c(out, name, sources, libraries):
    """A program of bench/net: `sources` begins the names of its files, all of one folder."""
    compiler, program = os.environ.get("CC", "cc"), os.path.join(out, name)
    call([compiler, *CFLAGS, *sorted(glob.glob(f"{HERE}/net/{sources}*.c")), "-o", program, "-pthread", *libraries])
    return [program]


def build_net_uring(out):
    need_header(os.environ.get("CC", "cc"), "liburing.h", "liburing-dev")
    return build_net_c(out, "net_uring", "limits/uring", ["-luring"])


def build_boost(out, name, header, package, libraries):
    compiler, program = os.environ.get("CXX", "c++"), os.path.join(out, name)
    need_command(compiler, "g++")
    need_header(compiler, header, package)
    call([compiler, *CXXFLAGS, f"{HERE}/peers/{name}/main.cpp", "-o", program, *libraries, "-pthread"])
    return [program]


def build_erlang(out):
    need_command("erlc", "erlang-base")
    need_command("erl", "erlang-base")
    call(["erlc", "-o", out, f"{HERE}/peers/erlang/bench.erl"])
    return ["erl", "+S", "1:1", "+P", "2000000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
            "-noshell", "-pa", out, "-run", "bench", "main"]


def find_python(module):
    """The distribution's python3 first: that is where its packages are."""
    for python in ("/usr/bin/python3", shutil.which("python3")):
        if python and subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0:
            return python
    raise Missing(f"python3-{module}")


def build_python(out, module):
    return [find_python(module), f"{HERE}/peers/asyncio/bench.py", module]


# In the order in which the tables show them.
CONTESTANTS = {
    "limit": build_limit,
    "futex": build_limit,
    "eventfd": build_limit,
    "go": build_go,
    "tokio": build_tokio,
    "libuv": lambda out: build_c_peer(out, "libuv", "uv.h", "libuv1-dev", ["-luv"]),
    "state_threads": lambda out: build_c_peer(out, "state_threads", "st.h", "libst-dev", ["-lst"]),
    "boost_context": lambda out: build_boost(out, "boost_context", "boost/context/fiber.hpp", "libboost-context-dev",
                                             ["-lboost_context"]),
    "boost_fiber": lambda out: build_boost(out, "boost_fiber", "boost/fiber/all.hpp", "libboost-fiber-dev",
                                           ["-lboost_fiber", "-lboost_context"]),
    "erlang": build_erlang,
    "asyncio": lambda out: build_python(out, "asyncio"),
    "uvloop": lambda out: build_python(out, "uvloop"),
}

# Programs that have only the rows of the network.
NET_ONLY = {
    "net_uring": build_net_uring,
    "net_epoll": lambda out: build_net_c(out, "net_epoll", "limits/epoll", []),
}

# Hand-written limits that have only some rows: {contestant: {row: the row's name in the limits program}}.
VARIANTS = {"futex": {"wake_asleep": "wake_asleep_futex"}, "eventfd": {"wake_asleep": "wake_asleep_eventfd"}}
HAND_WRITTEN = {"limit", "futex", "eventfd"}
