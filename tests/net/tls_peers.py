"""What the tests of TLS with programs of others share: certificates made for the moment by openssl(1), and waiting for processes."""
import os
import re
import shutil
import signal
import subprocess
import time

SKIPPED = 77
LIMIT = 60  # seconds, for slow tools around the program

AUTHORITY = """
[ca]
default_ca = authority
[authority]
database = %(folder)s/index.txt
new_certs_dir = %(folder)s
rand_serial = yes
default_md = default
policy = anything
copy_extensions = copy
certificate = %(folder)s/ca.pem
private_key = %(folder)s/ca.key
unique_subject = no
[anything]
commonName = supplied
"""


def find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def openssl(*words):
    done = subprocess.run([find("openssl")] + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=LIMIT)
    assert done.returncode == 0, "openssl %s: %s" % (" ".join(words), done.stdout)
    return done.stdout


class Authority:
    """A folder with an authority, and what it vouches for: NAME.pem, NAME.key."""

    def __init__(self, folder):
        self.folder = folder
        self.configuration = self.path("ca.cnf")
        with open(self.configuration, "w") as file:
            file.write(AUTHORITY % {"folder": folder})
        open(self.path("index.txt"), "w").close()
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path("ca.key"),
                "-out", self.path("ca.pem"), "-subj", "/CN=authority", "-days", "2")
        self.ca = self.path("ca.pem")

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, names, begin=None, end=None):
        """A certificate for these alternative names; it has expired where `end` says so."""
        key, request, certificate = self.path(name + ".key"), self.path(name + ".csr"), self.path(name + ".pem")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                "-subj", "/CN=" + name, "-addext", "subjectAltName=" + names)
        days = ["-startdate", begin, "-enddate", end] if end else ["-days", "2"]
        openssl("ca", "-batch", "-config", self.configuration, "-in", request, "-out", certificate, "-notext", *days)
        return certificate, key

    def self_signed(self, name, names):
        key, certificate = self.path(name + ".key"), self.path(name + ".pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                "-subj", "/CN=" + name, "-addext", "subjectAltName=" + names, "-days", "2")
        return certificate, key


def wait_until(what, condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "never: " + what
        time.sleep(0.02)


def descriptors(process):
    return len(os.listdir("/proc/%d/fd" % process.pid))


def start(program, stderr, pattern):
    """A server of ours, and the port that it tells. A shell has its background jobs ignore SIGINT, by which it is to end."""
    server = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=stderr, universal_newlines=True,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    line = server.stdout.readline()
    found = re.match(pattern, line)
    assert found, line
    return server, int(found.group(1))


def stop(server, stderr):
    """It was interrupted, and says nothing else. valgrind's remarks about itself ("--123-- ...") are none."""
    server.send_signal(signal.SIGINT)
    output = server.communicate(timeout=LIMIT)[0]
    stderr.seek(0)
    lines = [line for line in stderr.read().decode().splitlines() if not re.match(r"--\d+-- ", line)]
    assert lines == ["KeyboardInterrupt"], "\n".join(lines)
    return output
