"""keyward-pebble in Pebble's place: the same configuration file, flags and environment, the same paths and management interface.

What a project does with Pebble is done here twice, once with Debian's pebble where it is installed and once with
keyward-pebble, by the same function: the client and its expectations do not know which one it is.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request

from lab import Failed, can_bind, expect, main, need, quiet_port, run, say, wait_for

ENVIRONMENT = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_ALTERNATE_ROOTS": "1", "PEBBLE_CHAIN_LENGTH": "2"}


class Server:
    """One run of a Pebble: `program` is pebble or keyward-pebble."""

    def __init__(self, program, *flags, environment=None, **configuration):
        need("openssl", "pebble-challtestsrv")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keyward-clients-"))
        self.folder.chmod(0o755)
        self.port, self.management, self.http_port, self.tls_port, self.dns_port, self.dns_control = (quiet_port() for _ in range(6))
        key, cert = self.folder / "key.pem", self.folder / "cert.pem"
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        config = {"listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}", "certificate": str(cert),
                  "privateKey": str(key), "httpPort": self.http_port, "tlsPort": self.tls_port, "ocspResponderURL": "", "externalAccountBindingRequired": False}
        path = self.folder / "config.json"
        path.write_text(json.dumps({"pebble": {**config, **configuration}}))
        self.directory, self.ca_file = f"https://localhost:{self.port}/dir", cert
        log = open(self.folder / "dns.log", "w")
        self.dns = subprocess.Popen(["pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns_port}", "-management", f"127.0.0.1:{self.dns_control}", "-http01", "",
                                     "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""], stdout=log, stderr=log)
        wait_for(lambda: not can_bind(socket.SOCK_STREAM, self.dns_control), 10, "the name server")
        self.log = self.folder / "server.log"
        out = open(self.log, "w")
        self.process = subprocess.Popen([program, "-config", str(path), "-strict", "-dnsserver", f"127.0.0.1:{self.dns_port}", *flags],
                                        env={**os.environ, **ENVIRONMENT, **(environment or {})}, stdout=out, stderr=out, cwd=self.folder)
        try:
            wait_for(self.answers, 60, f"{program} answers")
        except Failed as failure:
            words = self.log.read_text()[-3000:]
            self.close()
            raise Failed(f"{failure}\n{words}")

    def answers(self):
        if self.process.poll() is not None:
            raise Failed(f"it ended with {self.process.returncode}")
        try:
            return self.get(self.directory)[0] == 200 and self.manage("/roots/0")[0] == 200
        except OSError:
            return False

    def get(self, url):
        context = ssl.create_default_context(cafile=self.ca_file)
        try:
            with urllib.request.urlopen(url, context=context, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def manage(self, path):
        return self.get(f"https://localhost:{self.management}{path}")

    def lego(self, name, *words, tls=False, more=(), status=0):
        how = ["--tls", "--tls.port", f"127.0.0.1:{self.tls_port}"] if tls else ["--http", "--http.port", f"127.0.0.1:{self.http_port}"]
        options = ["--path", self.folder / "lego", "--server", self.directory, "--accept-tos", "--email", "op@example.com", *how, "--domains", name]
        return run(["lego", *options, *more, *words], env={"LEGO_CA_CERTIFICATES": str(self.ca_file)}, status=status)

    def chain(self, name):
        return self.folder / "lego/certificates" / f"{name}.crt"

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.dns.terminate()
            self.dns.wait(10)
            if not os.environ.get("KEYWARD_KEEP"):
                shutil.rmtree(self.folder, ignore_errors=True)


def programs():
    ours = str(pathlib.Path(os.environ.get("KEYWARD_BIN", "build/release/bin")) / "keyward-pebble")
    return [(program, name) for program, name in ((shutil.which("pebble"), "pebble"), (ours, "keyward-pebble")) if program]


def with_both(*flags, environment=None, **configuration):
    def wrap(function):
        def inner():
            need("lego")
            for program, name in programs():
                server = Server(program, *flags, environment=environment, **configuration)
                try:
                    function(server)
                    say(f"{name}: as expected")
                finally:
                    server.close()
        return inner
    return wrap


def serial_of(pem_path):
    return run(["openssl", "x509", "-in", pem_path, "-noout", "-serial"]).strip().partition("=")[2]


@with_both()
def issue_and_management(server):
    server.lego("a.example.com", "run")
    pems = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", server.chain("a.example.com").read_text(), re.S)
    expect(len(pems) == 3, f"chain length 2 gives {len(pems)} certificates")
    for number in (0, 1):  # either root is one of those that the management interface hands out
        root = server.folder / f"root{number}.pem"
        root.write_text(server.manage(f"/roots/{number}")[1])
        expect("BEGIN CERTIFICATE" in root.read_text() and "PRIVATE KEY" in server.manage(f"/root-keys/{number}")[1], "root and key")
        expect("BEGIN CERTIFICATE" in server.manage(f"/intermediates/{number}")[1], "intermediate")
        expect("PRIVATE KEY" in server.manage(f"/intermediate-keys/{number}")[1], "its key")
    leaf, rest = server.folder / "leaf.pem", server.folder / "rest.pem"
    leaf.write_text(pems[0])
    rest.write_text("".join(pems[1:]))
    run(["openssl", "verify", "-CAfile", server.folder / "root0.pem", "-untrusted", rest, leaf])
    issuing = server.folder / "issuing.pem"
    issuing.write_text(server.manage("/intermediates/0")[1])
    run(["openssl", "verify", "-partial_chain", "-CAfile", issuing, leaf])
    expect(server.manage("/roots/2")[0] == 404 and server.manage("/roots/x")[0] in (400, 404), "there is no third root")
    serial = serial_of(leaf)
    before = json.loads(server.manage(f"/cert-status-by-serial/{serial.lower()}")[1])
    expect(before["Status"] == "Valid", f"status {before}")
    server.lego("a.example.com", "revoke", "--keep")
    after = json.loads(server.manage(f"/cert-status-by-serial/{serial.lower()}")[1])
    expect(after["Status"] == "Revoked", f"status {after}")
    expect(server.manage("/cert-status-by-serial/01")[0] == 404, "an unknown serial")


@with_both()
def alternate_root(server):
    names = [re.search(r"CN ?= ?(.+)", run(["openssl", "x509", "-noout", "-subject"], text_in=server.manage(f"/roots/{n}")[1])).group(1).strip() for n in (0, 1)]
    server.lego("alt.example.com", "run", "--preferred-chain", names[1])
    pems = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", server.chain("alt.example.com").read_text(), re.S)
    issuer = run(["openssl", "x509", "-noout", "-issuer"], text_in=pems[-1])
    expect(names[1] in issuer, f"the alternate chain ends below {issuer}, wanted {names[1]}")


@with_both(environment={"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_WFE_NONCEREJECT": "20"})
def always_valid_and_bad_nonces(server):
    # Nobody serves a challenge for these names; lego repeats what a bad nonce refused.
    server.lego("nobody.example.com", "run")
    expect(server.chain("nobody.example.com").exists(), "a certificate")


@with_both(environment={"PEBBLE_VA_NOSLEEP": "1"}, externalAccountBindingRequired=True,
           externalAccountMACKeys={"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}, domainBlocklist=["blocked.example.com"])
def binding_and_blocklist(server):
    refused = server.lego("b.example.com", "run", status=None)
    expect(re.search("external.?account", refused, re.I), f"without a binding: {refused[-600:]}")
    shutil.rmtree(server.folder / "lego", ignore_errors=True)
    binding = ["--eab", "--kid", "kid-1", "--hmac", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"]
    server.lego("b.example.com", "run", tls=True, more=binding)
    blocked = server.lego("blocked.example.com", "run", more=binding, status=None)
    expect("rejectedIdentifier" in blocked, f"a blocked name: {blocked[-600:]}")


def state_is_kept():
    """What Pebble cannot: with -state the next start is the same CA."""
    ours = programs()[-1][0]
    kept = tempfile.mkdtemp(prefix="keyward-clients-")
    os.chmod(kept, 0o755)
    try:
        roots = []
        for _ in (1, 2):
            keys = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
            server = Server(ours, "-state", kept, "-quiet", externalAccountMACKeys=keys)
            try:
                roots.append(server.manage("/roots/0")[1])
            finally:
                server.close()
        expect(roots[0] == roots[1], "the CA is another one after a restart")
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def wrong_use():
    ours = programs()[-1][0]
    expect("usage:" in run([ours, "-help"]), "no usage text")
    run([ours, "-nonsense"], status=64)
    run([ours, "-config", "/does/not/exist"], status=64)


if __name__ == "__main__":
    main({"issue_and_management": issue_and_management, "alternate_root": alternate_root, "always_valid_and_bad_nonces": always_valid_and_bad_nonces,
          "binding_and_blocklist": binding_and_blocklist, "state_is_kept": state_is_kept, "wrong_use": wrong_use})
