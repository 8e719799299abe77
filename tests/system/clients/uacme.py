"""uacme: http-01 and dns-01 by hook, a wildcard, an IP address, renewal, revocation, key change, account update."""
import json

from lab import Lab, expect, main, need, run, say


class Uacme:
    def __init__(self, lab):
        self.lab, self.dir = lab, lab.folder / "uacme"
        self.dir.mkdir()

    def __call__(self, *words, status=0):
        return run(self.lab.with_bundle(["uacme", "-y", "-v", "-c", self.dir, "-a", self.lab.directory, *words]), status=status)

    def http_hook(self):
        root = self.lab.webroot / ".well-known/acme-challenge"
        return self.lab.script("uacme-http", f"""#!/bin/sh
[ "$2" = http-01 ] || exit 1
case $1 in begin) printf %s "$5" > {root}/"$4" ;; *) rm -f {root}/"$4" ;; esac
""")

    def dns_hook(self):
        hook = self.lab.dns_hook()
        return self.lab.script("uacme-dns", f"""#!/bin/sh
[ "$2" = dns-01 ] || exit 1
case $1 in begin) exec {hook} set "_acme-challenge.$3" "$5" ;; *) exec {hook} clear "_acme-challenge.$3" ;; esac
""")


def with_lab(*settings, **options):
    def wrap(function):
        def inner():
            need("uacme", "unshare")
            lab = Lab(*settings, **options)
            try:
                function(lab)
            finally:
                lab.close()
        return inner
    return wrap


@with_lab()
def http_renew_revoke(lab):
    uacme = Uacme(lab)
    uacme("new", "op@plant.example")
    uacme("-h", uacme.http_hook(), "issue", "u.plant.example", "v.plant.example")
    chain = uacme.dir / "u.plant.example/cert.pem"
    first = lab.check(chain, "u.plant.example", "v.plant.example", key_path=uacme.dir / "private/u.plant.example/key.pem")
    uacme("-f", "-h", uacme.http_hook(), "issue", "u.plant.example", "v.plant.example")
    second = lab.check(chain, "u.plant.example", "v.plant.example")
    expect(first != second, "the renewal gave the same certificate")
    uacme("update", "second@plant.example")
    uacme("newkey")
    say("account key changed")
    uacme("revoke", chain)
    lab.expect_revoked(second)
    uacme("-f", "-h", uacme.http_hook(), "issue", "after.plant.example")
    lab.check(uacme.dir / "after.plant.example/cert.pem", "after.plant.example")
    uacme("deactivate")
    say("account deactivated")


@with_lab(http=False)
def dns_wildcard(lab):
    uacme = Uacme(lab)
    uacme("new")
    uacme("-h", uacme.dns_hook(), "issue", "*.y.plant.example", "y.plant.example")
    lab.check(lab.files("uacme/*y.plant.example/cert.pem")[0], "*.y.plant.example", "y.plant.example")


@with_lab('signer.permitted_ip=["127.0.0.0/8"]', http=False)
def address(lab):
    lab.serve_http("127.0.0.2")
    uacme = Uacme(lab)
    uacme("new")
    uacme("-h", uacme.http_hook(), "issue", "127.0.0.2")
    lab.check(uacme.dir / "127.0.0.2/cert.pem", "127.0.0.2")


@with_lab("signer.external_account_required=true")
def account_binding(lab):
    uacme = Uacme(lab)
    made = json.loads(lab.keywardctl("eab", "add", lab.sim / "state/attestation", "--json"))
    uacme("-e", f"{made['kid']}:{made['key']}", "new", "op@plant.example")
    uacme("-h", uacme.http_hook(), "issue", "bound.plant.example")
    lab.check(uacme.dir / "bound.plant.example/cert.pem", "bound.plant.example")


if __name__ == "__main__":
    main({"http_renew_revoke": http_renew_revoke, "dns_wildcard": dns_wildcard, "address": address, "account_binding": account_binding})
