"""Owns a simulated appliance with a name server and a web server beside it, for tests with stock ACME clients.

Must not know any client. Everything is on loopback and below one temporary folder; at the end the lab ends what it
started, by process id. Waits are on events with deadlines, never on luck.
"""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

SKIPPED = 77
COMMAND_S = 120


def say(text):
    print(f"-- {text}", flush=True)


class Failed(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failed(text)


def need(*programs):
    """The test cannot be run without these: says so, loudly, and ends."""
    missing = [p for p in programs if shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing:
        print(f"SKIPPED: not installed: {', '.join(missing)} (tools/deps/debian-packages.txt lists the packages)", flush=True)
        sys.exit(SKIPPED)


def quiet_port():
    """Free, below the range from which the kernel takes clients' ports, so that it stays free."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        if all(can_bind(kind, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise Failed("no free port")


def can_bind(kind, port):
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise Failed(f"not in {seconds} s: {what}")


def run(words, env=None, cwd=None, status=0, text_in=None, timeout=COMMAND_S):
    """Runs a program; a status other than the wanted one fails the test with the program's words. None: any."""
    whole = {**os.environ, **(env or {})}
    try:
        done = subprocess.run([str(w) for w in words], env=whole, cwd=cwd, input=text_in, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{' '.join(str(w) for w in words[:6])} ... not done in {timeout} s:\n{late.stdout}\n{late.stderr}")
    output = done.stdout + done.stderr
    if status is not None and done.returncode != status:
        raise Failed(f"{' '.join(str(w) for w in words[:6])} ... gave {done.returncode}, wanted {status}:\n{output}")
    return output


def expect_not_shown(folder, secrets):
    """No file of a run folder (logs, status, metrics) holds one of these secrets: as they are, in hexadecimal, in base64."""
    expect(secrets and folder.exists(), "a search for nothing")
    for path in (p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        for secret in secrets:
            octets = secret if isinstance(secret, bytes) else secret.encode()
            forms = [octets, octets.hex().encode(), octets.hex().upper().encode()]
            for lead in range(3):
                padded = bytes(lead) + octets
                core = base64.b64encode(padded[: len(padded) // 3 * 3])[4 if lead else 0 :]
                forms += [core, core.translate(bytes.maketrans(b"+/", b"-_"))]
            expect(not any(form in content for form in forms), f"{path} shows what was encrypted")


def expect_no_sanitizer_report(sim):
    """A task that a sanitizer ended is started again, and most tests would not notice."""
    for path in (p for p in (sim / "run").glob("*") if p.is_file()):
        text = path.read_text(errors="replace")
        report = re.search(r".*(Sanitizer|runtime error): ", text)
        expect(not report, report and text[report.start():report.start() + 8000])


class WebRoot(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Lab:
    """`settings`: further lines of the installation file, SECTION.KEY=VALUE."""

    def __init__(self, *settings, http=True, trees=()):
        need("pebble-challtestsrv", "openssl", "certtool")
        self.binaries = pathlib.Path(os.environ.get("KEYWARD_BIN", "build/release/bin"))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keyward-clients-"))
        self.folder.chmod(0o755)
        self.sim = self.folder / "sim"
        self.processes, self.servers = [], []
        self.http_port, self.tls_port, self.dns_port, self.dns_control = (quiet_port() for _ in range(4))
        self.webroot = self.folder / "www"
        (self.webroot / ".well-known/acme-challenge").mkdir(parents=True)
        try:
            self._start(settings, http, trees)
        except BaseException:
            self.close()
            raise

    def _start(self, settings, http, trees):
        self._start_dns()
        if http:
            self.serve_http("127.0.0.1")
        words = ["up", "--port", quiet_port(), "--http-port", self.http_port]
        for tree in trees:
            words += ["--permit", tree]
        for line in (f'validation.resolver.forward=["127.0.0.1@{self.dns_port}"]', f"validation.tls_port={self.tls_port}", *settings):
            words += ["--set", line]
        say("simulator up")
        self.keyward_sim(*words)
        env = dict(re.findall(r"export (\w+)='([^']*)'", self.keyward_sim("env")))
        self.directory, self.ca_file = env["KEYWARD_DIRECTORY"], env["KEYWARD_CA_FILE"]

    def _start_dns(self):
        words = ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns_port}", "-management", f"127.0.0.1:{self.dns_control}",
                 "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
        log = open(self.folder / "dns.log", "w")
        self.processes.append(subprocess.Popen(words, stdout=log, stderr=log))
        wait_for(lambda: not can_bind(socket.SOCK_DGRAM, self.dns_port) and not can_bind(socket.SOCK_STREAM, self.dns_control), 10, "the name server")

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        try:
            if self.sim.exists():
                self.keyward_sim("down", status=None)
        finally:
            self._clear_away()

    def _clear_away(self):
        for process in self.processes:
            process.terminate()
            process.wait(10)
        if os.environ.get("KEYWARD_KEEP"):
            say(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def keyward_sim(self, *words, status=0):
        output = run([self.binaries / "keyward-sim", *words, "--dir", self.sim], status=status)
        if words[0] == "down":
            expect_no_sanitizer_report(self.sim)
        return output

    def keywardctl(self, *words, status=0):
        return run([self.binaries / "keywardctl", *words], status=status)

    def serve_http(self, address):
        """The web root on this address, at the port where http-01 looks."""
        root = str(self.webroot)
        handler = lambda *a, **k: WebRoot(*a, directory=root, **k)
        server = http.server.ThreadingHTTPServer((address, self.http_port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.servers.append(server)

    def dns(self, command, **fields):
        request = urllib.request.Request(f"http://127.0.0.1:{self.dns_control}/{command}", json.dumps(fields).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def dns_hook(self):
        """A program, for clients' hooks: HOOK set NAME VALUE, HOOK clear NAME."""
        path = self.folder / "dns-hook"
        path.write_text(f"""#!{sys.executable}
import json, sys, urllib.request
command, name, *value = sys.argv[1:]
body = {{"host": name.rstrip(".") + "."}} | ({{"value": value[0]}} if command == "set" else {{}})
urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:{self.dns_control}/" + command + "-txt", json.dumps(body).encode()), timeout=10)
""")
        path.chmod(0o755)
        return path

    def script(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def context(self):
        context = ssl.create_default_context(cafile=self.ca_file)
        return context

    def get(self, url):
        with urllib.request.urlopen(url, context=self.context(), timeout=10) as answer:
            return answer.read()

    def with_bundle(self, words, folder=None):
        """For clients that read the system's list of CAs alone: in a mount name space of its own, that list is ours."""
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        own = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-r", "-m"]
        return [*own, "sh", "-c", f'mount --bind "$0" {bundle} && exec "$@"', self.ca_file, *words]

    def files(self, pattern, root=None):
        found = sorted((root or self.folder).glob(pattern))
        expect(found, f"no file {pattern} below {root or self.folder}")
        return found

    def check(self, chain_path, *names, key_path=None):
        """OpenSSL and GnuTLS both find the chain good, and it is for exactly these names."""
        chain_path = pathlib.Path(chain_path)
        pems = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", chain_path.read_text(), re.S)
        expect(len(pems) >= 1, f"{chain_path} holds no certificate")
        leaf, rest = self.folder / "leaf.pem", self.folder / "rest.pem"
        leaf.write_text(pems[0])
        rest.write_text("".join(pems[1:]) or self.intermediates())
        run(["openssl", "verify", "-x509_strict", "-CAfile", self.ca_file, "-untrusted", rest, leaf])
        whole = self.folder / "whole.pem"
        whole.write_text(pems[0] + "\n" + rest.read_text())
        run(["certtool", "--verify", "--load-ca-certificate", self.ca_file, "--infile", whole])
        shown = run(["openssl", "x509", "-in", leaf, "-noout", "-ext", "subjectAltName"])
        have = sorted(re.findall(r"(?:DNS|IP Address):([^,\s]+)", shown))
        expect(have == sorted(names), f"the certificate is for {have}, wanted {sorted(names)}")
        if key_path:
            keys = [run(["openssl", "x509", "-in", leaf, "-noout", "-pubkey"]), run(["openssl", "pkey", "-in", key_path, "-pubout"])]
            expect(keys[0] == keys[1], "the certificate is not for the client's key")
        serial = run(["openssl", "x509", "-in", leaf, "-noout", "-serial"]).strip().partition("=")[2]
        say(f"good: {', '.join(names)} (serial {serial[:12]}...)")
        return serial

    def intermediates(self):
        return "".join(p.read_text() for p in self.sim.glob("ca/chain.pem"))

    def ledger(self):
        return self.keywardctl("ledger", "show", self.sim / "state/signer/ledger", "--json")

    def expect_revoked(self, serial):
        """The signer's ledger says it."""
        rows = self.ledger()
        expect(re.search(rf'"(?:kind|row)":"revocation"[^\n]*{serial.lower()}', rows.replace(" ", "").lower())
               or re.search(rf'{serial.lower()}[^\n]*"revo', rows.replace(" ", "").lower()), f"serial {serial} is not revoked in the ledger:\n{rows[-3000:]}")
        say(f"revoked: {serial[:12]}...")


def thumbprint(jwk):
    text = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()


def main(tests):
    """tests: name -> function(no arguments). With names as arguments only those."""
    wanted = sys.argv[1:] or list(tests)
    bad = []
    for name in wanted:
        print(f"== {name}", flush=True)
        begin = time.monotonic()
        try:
            tests[name]()
            print(f"== {name}: passed in {time.monotonic() - begin:.1f} s", flush=True)
        except Failed as failure:
            print(f"== {name}: FAILED: {failure}", flush=True)
            bad.append(name)
    sys.exit(1 if bad else 0)
