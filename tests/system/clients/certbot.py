"""certbot: http-01 (webroot, standalone), dns-01 with a wildcard, renewal, revocation by account and by key, EAB, account update."""
import json
import re

from lab import Lab, expect, main, need, run, say


class Certbot:
    def __init__(self, lab, name="certbot"):
        self.lab, self.dir = lab, lab.folder / name
        self.common = ["--non-interactive", "--server", lab.directory, "--config-dir", self.dir / "etc", "--work-dir", self.dir / "work",
                       "--logs-dir", self.dir / "log", "--no-random-sleep-on-renew"]
        self.env = {"REQUESTS_CA_BUNDLE": lab.ca_file}

    def __call__(self, *words, status=0):
        verb, *rest = words
        return run(["certbot", verb, *self.common, *rest], env=self.env, status=status)

    def live(self, name):
        return self.dir / "etc/live" / name


def with_lab(*settings, **options):
    def wrap(function):
        def inner():
            need("certbot")
            lab = Lab(*settings, **options)
            try:
                function(lab)
            finally:
                lab.close()
        return inner
    return wrap


@with_lab(http=True)
def http_renew_revoke(lab):
    certbot = Certbot(lab)
    certbot("certonly", "--webroot", "-w", lab.webroot, "-d", "a.plant.example", "-d", "b.plant.example", "--agree-tos", "-m", "op@plant.example",
            "--key-type", "ecdsa")
    first = lab.check(certbot.live("a.plant.example") / "fullchain.pem", "a.plant.example", "b.plant.example", key_path=certbot.live("a.plant.example") / "privkey.pem")
    certbot("renew", "--force-renewal")
    second = lab.check(certbot.live("a.plant.example") / "fullchain.pem", "a.plant.example", "b.plant.example")
    expect(first != second, "the renewal gave the same certificate")
    certbot("certonly", "--webroot", "-w", lab.webroot, "-d", "rsa.plant.example", "--key-type", "rsa", "--cert-name", "rsa")
    rsa = lab.check(certbot.live("rsa") / "fullchain.pem", "rsa.plant.example", key_path=certbot.live("rsa") / "privkey.pem")
    certbot("update_account", "-m", "second@plant.example")
    say("account updated")
    certbot("revoke", "--cert-name", "a.plant.example", "--reason", "superseded", "--no-delete-after-revoke")
    lab.expect_revoked(second)
    certbot("revoke", "--cert-path", certbot.live("rsa") / "cert.pem", "--key-path", certbot.live("rsa") / "privkey.pem", "--reason", "keycompromise",
            "--no-delete-after-revoke")
    lab.expect_revoked(rsa)
    certbot("revoke", "--cert-name", "a.plant.example", "--no-delete-after-revoke", status=None)
    # What this version of certbot prints of it is an error of its own; its log holds our answer.
    log = (certbot.dir / "log/letsencrypt.log").read_text()
    expect("urn:ietf:params:acme:error:alreadyRevoked" in log, f"revoking twice: {log[-3000:]}")
    certbot("unregister")
    say("account deactivated")


@with_lab(http=False)
def standalone(lab):
    certbot = Certbot(lab)
    certbot("certonly", "--standalone", "--http-01-port", str(lab.http_port), "--http-01-address", "127.0.0.1", "-d", "s.plant.example", "--agree-tos",
            "--register-unsafely-without-email")
    lab.check(certbot.live("s.plant.example") / "fullchain.pem", "s.plant.example")


@with_lab(http=False)
def dns_wildcard(lab):
    certbot = Certbot(lab)
    hook = lab.dns_hook()
    auth = lab.script("auth", f'#!/bin/sh\nexec {hook} set "_acme-challenge.$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION"\n')
    clean = lab.script("clean", f'#!/bin/sh\nexec {hook} clear "_acme-challenge.$CERTBOT_DOMAIN"\n')
    certbot("certonly", "--manual", "--preferred-challenges", "dns", "--manual-auth-hook", auth, "--manual-cleanup-hook", clean, "-d", "*.w.plant.example",
            "-d", "w.plant.example", "--agree-tos", "-m", "op@plant.example")
    lab.check(certbot.live("w.plant.example") / "fullchain.pem", "*.w.plant.example", "w.plant.example")


@with_lab("signer.external_account_required=true")
def account_binding(lab):
    certbot = Certbot(lab)
    words = ["certonly", "--webroot", "-w", lab.webroot, "-d", "e.plant.example", "--agree-tos", "-m", "op@plant.example"]
    refused = certbot(*words, status=1)
    expect(re.search("external.?account", refused, re.I), f"without a binding certbot hears: {refused}")
    made = json.loads(lab.keywardctl("eab", "add", lab.sim / "state/attestation", "--json"))
    certbot(*words, "--eab-kid", made["kid"], f"--eab-hmac-key={made['key']}")
    lab.check(certbot.live("e.plant.example") / "fullchain.pem", "e.plant.example")


if __name__ == "__main__":
    main({"http_renew_revoke": http_renew_revoke, "standalone": standalone, "dns_wildcard": dns_wildcard, "account_binding": account_binding})
