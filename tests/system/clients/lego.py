"""lego: http-01, tls-alpn-01, dns-01 with a wildcard, renewal, revocation, EAB (this version asks for addresses as if they were names)."""
import json
import re

from lab import Lab, expect, main, need, run


class Lego:
    def __init__(self, lab, name="lego"):
        self.lab, self.dir = lab, lab.folder / name
        self.env = {"LEGO_CA_CERTIFICATES": str(lab.ca_file), "EXEC_PATH": "", "EXEC_POLLING_INTERVAL": "1", "EXEC_PROPAGATION_TIMEOUT": "20",
                    "EXEC_SEQUENCE_INTERVAL": "1"}

    def __call__(self, how, domains, *words, more=(), status=0):
        options = ["--path", self.dir, "--server", self.lab.directory, "--accept-tos", "--email", "op@plant.example", *how]
        for domain in domains:
            options += ["--domains", domain]
        return run(["lego", *options, *more, *words], env=self.env, status=status)

    def chain(self, name):
        return self.dir / "certificates" / f"{name}.crt"

    def http(self, address="127.0.0.1"):
        return ["--http", "--http.port", f"{address}:{self.lab.http_port}"]

    def tls(self):
        return ["--tls", "--tls.port", f"127.0.0.1:{self.lab.tls_port}"]


def with_lab(*settings, **options):
    def wrap(function):
        def inner():
            need("lego")
            lab = Lab(*settings, **{"http": False, **options})
            try:
                function(lab)
            finally:
                lab.close()
        return inner
    return wrap


@with_lab()
def http_renew_revoke(lab):
    lego = Lego(lab)
    lego(lego.http(), ["l.plant.example", "m.plant.example"], "run")
    first = lab.check(lego.chain("l.plant.example"), "l.plant.example", "m.plant.example")
    lego(lego.http(), ["l.plant.example", "m.plant.example"], "renew", "--days", "9999", "--no-random-sleep")
    second = lab.check(lego.chain("l.plant.example"), "l.plant.example", "m.plant.example")
    expect(first != second, "the renewal gave the same certificate")
    lego([], ["l.plant.example"], "revoke", "--keep")
    lab.expect_revoked(second)


@with_lab()
def tls_alpn(lab):
    lego = Lego(lab)
    lego(lego.tls(), ["t.plant.example"], "run")
    lab.check(lego.chain("t.plant.example"), "t.plant.example")


@with_lab()
def dns_wildcard(lab):
    lego = Lego(lab)
    hook = lab.dns_hook()
    lego.env["EXEC_PATH"] = str(lab.script("lego-dns", f'#!/bin/sh\n[ "$1" = present ] && exec {hook} set "$2" "$3"\nexec {hook} clear "$2"\n'))
    dns = ["--dns", "exec", "--dns.disable-cp", "--dns.resolvers", f"127.0.0.1:{lab.dns_port}"]
    lego(dns, ["*.x.plant.example", "x.plant.example"], "run")
    lab.check(lego.chain("_.x.plant.example"), "*.x.plant.example", "x.plant.example")


@with_lab("signer.external_account_required=true")
def account_binding(lab):
    lego = Lego(lab)
    refused = lego(lego.http(), ["e.plant.example"], "run", status=None)
    expect(re.search("external.?account", refused, re.I), f"without a binding lego hears: {refused}")
    made = json.loads(lab.keywardctl("eab", "add", lab.sim / "state/attestation", "--json"))
    lego = Lego(lab, "lego-bound")
    lego(lego.http(), ["e.plant.example"], "run", more=["--eab", "--kid", made["kid"], "--hmac", made["key"]])
    lab.check(lego.chain("e.plant.example"), "e.plant.example")


if __name__ == "__main__":
    main({"http_renew_revoke": http_renew_revoke, "tls_alpn": tls_alpn, "dns_wildcard": dns_wildcard, "account_binding": account_binding})
