"""lacme: http-01 through its challenge folder, renewal, revocation, account update. It reads the system's list of CAs alone."""
import grp
import os
import pwd

from lab import Lab, expect, main, need, run, say

PROGRAM = "/usr/sbin/lacme"


class Lacme:
    def __init__(self, lab):
        self.lab, self.dir = lab, lab.folder / "lacme"
        self.dir.mkdir()
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.dir / "account.key"])
        run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.dir / "server.key"])
        (self.dir / "accountd.conf").write_text(f"privkey = file:{self.dir}/account.key\nquiet = Yes\n")
        (self.dir / "certs.conf").write_text(f"""[lacme]
certificate-key = {self.dir}/server.key
certificate-chain = {self.dir}/server.pem
subject = /CN=lacme.plant.example
subjectAltName = DNS:lacme.plant.example
CAfile =
""")
        identity = f"user = {user}\ngroup = {group}\n"
        (self.dir / "lacme.conf").write_text(f"""config-certs = {self.dir}/certs.conf
[client]
{identity}server = {lab.directory}
[webserver]
{identity}listen =
challenge-directory = {lab.webroot}/.well-known/acme-challenge
[accountd]
user =
group =
config = {self.dir}/accountd.conf
""")

    def __call__(self, *words, status=0):
        return run(self.lab.with_bundle([PROGRAM, f"--config={self.dir}/lacme.conf", *words]), status=status)


def issue_renew_revoke():
    need(PROGRAM, "unshare")
    lab = Lab()
    try:
        lacme = Lacme(lab)
        lacme("account", "--register", "--tos-agreed", "mailto:op@plant.example")
        lacme("newOrder")
        first = lab.check(lacme.dir / "server.pem", "lacme.plant.example", key_path=lacme.dir / "server.key")
        lacme("newOrder", "--force")
        second = lab.check(lacme.dir / "server.pem", "lacme.plant.example")
        expect(first != second, "the renewal gave the same certificate")
        lacme("account", "mailto:second@plant.example")
        say("account updated")
        lacme("revokeCert", lacme.dir / "server.pem")
        lab.expect_revoked(second)
        lacme("account", "--deactivate")
        say("account deactivated")
    finally:
        lab.close()


if __name__ == "__main__":
    main({"issue_renew_revoke": issue_renew_revoke})
