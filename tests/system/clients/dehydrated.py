"""dehydrated: http-01 (well-known folder), dns-01 with a wildcard, renewal, revocation, EAB. It gives up at one badNonce: none may be refused."""
import json

from lab import Lab, expect, main, need, run


class Dehydrated:
    def __init__(self, lab, *lines):
        self.lab, self.dir = lab, lab.folder / "dehydrated"
        self.dir.mkdir()
        self.config = self.dir / "config"
        self.config.write_text("\n".join([f"CA={lab.directory}", f"BASEDIR={self.dir}", f"WELLKNOWN={lab.webroot}/.well-known/acme-challenge",
                                          f'CURL_OPTS="--cacert {lab.ca_file}"', "CONTACT_EMAIL=op@plant.example", *lines]) + "\n")

    def __call__(self, *words, status=0):
        return run(["dehydrated", "-f", self.config, *words], status=status)

    def chain(self, name):
        return self.dir / "certs" / name / "fullchain.pem"


def with_lab(*settings, **options):
    def wrap(function):
        def inner():
            need("dehydrated", "curl")
            lab = Lab(*settings, **options)
            try:
                function(lab)
            finally:
                lab.close()
        return inner
    return wrap


@with_lab()
def http_renew_revoke(lab):
    client = Dehydrated(lab)
    client("--register", "--accept-terms")
    client("-c", "-d", "d.plant.example", "-d", "f.plant.example")
    first = lab.check(client.chain("d.plant.example"), "d.plant.example", "f.plant.example")
    client("-c", "-x", "-d", "d.plant.example", "-d", "f.plant.example")
    second = lab.check(client.chain("d.plant.example"), "d.plant.example", "f.plant.example")
    expect(first != second, "the renewal gave the same certificate")
    client("-r", client.dir / "certs/d.plant.example/cert.pem")
    lab.expect_revoked(second)


@with_lab(http=False)
def dns_wildcard(lab):
    hook = lab.dns_hook()
    script = lab.script("dehydrated-hook", f"""#!/bin/sh
case $1 in
  deploy_challenge) exec {hook} set "_acme-challenge.$2" "$4" ;;
  clean_challenge) exec {hook} clear "_acme-challenge.$2" ;;
esac
""")
    client = Dehydrated(lab, "CHALLENGETYPE=dns-01", f"HOOK={script}")
    client("--register", "--accept-terms")
    client("-c", "-d", "*.z.plant.example", "--alias", "wild")
    lab.check(client.chain("wild"), "*.z.plant.example")


@with_lab("signer.external_account_required=true")
def account_binding(lab):
    made = json.loads(lab.keywardctl("eab", "add", lab.sim / "state/attestation", "--json"))
    client = Dehydrated(lab, f"EAB_KID={made['kid']}", f"EAB_HMAC_KEY={made['key']}")
    client("--register", "--accept-terms")
    client("-c", "-d", "bound.plant.example")
    lab.check(client.chain("bound.plant.example"), "bound.plant.example")


if __name__ == "__main__":
    main({"http_renew_revoke": http_renew_revoke, "dns_wildcard": dns_wildcard, "account_binding": account_binding})
