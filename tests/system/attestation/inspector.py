"""The inspector's laptop: a short-lived client certificate for a device that booted what it should, and EAP-TLS with it.

Everything is real but the boot: swtpm, the appliance's tasks, hostapd as RADIUS server, eapol_test as the laptop's
supplicant, whose key stays in the TPM (tpm2-openssl, through a resource manager as the kernel's is one).
"""
import base64
import os
import pathlib
import re
import subprocess
import sys
import urllib.error

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import Lab, expect, main, need, quiet_port, run, say, wait_for  # noqa: E402
from measured_boot import EV_EFI_BOOT_SERVICES_APPLICATION, good_boot  # noqa: E402

REGISTERS = "sha256:0,1,2,3,4,5,6,7"
PROFILE = ['signer.profiles.inspector.kind="device"', 'signer.profiles.inspector.attestations=["measured_boot"]',
           "signer.profiles.inspector.hours=8", "signer.profiles.inspector.preference=10"]


class Laptop:
    def __init__(self, lab):
        self.lab = lab
        self.directory = lab.folder / "laptop"
        self.log_file = lab.folder / "binary_bios_measurements"
        shown = lab.keyward_sim("device", "laptop", "--json")
        self.tcti = re.search(r'"tcti":"([^"]+)"', shown).group(1)
        self.log = good_boot()
        self.measured = 0
        self.boot_on()

    def boot_on(self):
        """Puts into the TPM and into the file what the log has gained."""
        self.measured = self.log.extend(self.tcti, self.measured)
        self.log_file.write_bytes(self.log.octets)

    def agent(self, command, *words, status=0):
        return run([self.lab.binaries / "keyward-agent", command, "--dir", self.directory, *words], status=status)

    def enroll(self, *words, status=0):
        return self.agent("enroll", "--tcti", self.tcti, "--directory", self.lab.directory, "--ca-file", self.lab.ca_file, "--key-type", "rsa2048",
                          "--pcrs", REGISTERS, "--event-log", self.log_file, *words, status=status)


def up_with_policy(lab, laptop):
    """The reference values are recorded from the laptop while it is known to be good; then the profile is put into force."""
    laptop.enroll()  # by the plain device profile: its attestation key is certified now
    quote, policy = lab.folder / "quote.cbor", lab.folder / "laptop-boot.toml"
    laptop.agent("quote", "--pcrs", REGISTERS, "--event-log", laptop.log_file, "--out", quote)
    text = run([lab.binaries / "keyward-attest", "record", quote, "--name", "laptop-boot", "--pcrs", REGISTERS.partition(":")[2], "--ak-root", lab.ca_file])
    policy.write_text(text)
    policy.chmod(0o644)
    lab.keyward_sim("down")
    words = ["up"]
    for line in (*PROFILE, f'attestation.policies={{"inspector/measured_boot" = "{policy}"}}'):
        words += ["--set", line]
    lab.keyward_sim(*words)
    lab.keyward_sim("device", "laptop")
    laptop.measured = 0  # a TPM that was switched off begins anew
    laptop.boot_on()
    say("profile and policy in force")


def lifetime_h(certificate):
    shown = run(["openssl", "x509", "-in", certificate, "-noout", "-startdate", "-enddate"])
    dates = [line.partition("=")[2] for line in shown.splitlines()]
    seconds = [int(run(["date", "-u", "-d", date, "+%s"])) for date in dates]
    return (seconds[1] - seconds[0]) / 3600


class Radius:
    """hostapd as RADIUS server, which wants client certificates of our CA and looks at its CRL."""

    def __init__(self, lab):
        self.lab, self.folder, self.port = lab, lab.folder / "radius", quiet_port()
        self.folder.mkdir()
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.folder / "server.key", "-out", self.folder / "server.pem",
             "-subj", "/CN=radius.plant.example", "-days", "2", "-addext", "extendedKeyUsage=serverAuth"])
        (self.folder / "users").write_text("* TLS\n")
        (self.folder / "clients").write_text("127.0.0.1/32 shared-by-a-test\n")

    def fetch_list(self):
        """The first list is there a moment after the signer has found its key."""
        found = []

        def there():
            try:
                found.append(self.lab.get(self.lab.directory.replace("/directory", "/crl")))
            except urllib.error.HTTPError as error:
                expect(error.code in (404, 503), f"the list: {error}")
            return found
        wait_for(there, 10, "a revocation list")
        return found[0]

    def load(self):
        """The roots and the CRL that the appliance serves now."""
        crl = self.fetch_list()
        pem = "-----BEGIN X509 CRL-----\n" + base64.encodebytes(crl).decode() + "-----END X509 CRL-----\n"
        (self.folder / "crl.pem").write_text(pem)
        run(["openssl", "crl", "-in", self.folder / "crl.pem", "-noout", "-CAfile", self.lab.sim / "ca/chain.pem"])
        roots = pathlib.Path(self.lab.ca_file).read_text() + (self.lab.sim / "ca/issuing.pem").read_text()
        (self.folder / "ca.pem").write_text(roots + pem)

    def start(self):
        (self.folder / "hostapd.conf").write_text("".join(f"{line}\n" for line in (
            "driver=none", "logger_stdout=-1", "logger_stdout_level=1", "eap_server=1", f"eap_user_file={self.folder}/users",
            f"ca_cert={self.folder}/ca.pem", "check_crl=1", f"server_cert={self.folder}/server.pem", f"private_key={self.folder}/server.key",
            f"radius_server_clients={self.folder}/clients", f"radius_server_auth_port={self.port}")))
        log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(["hostapd", str(self.folder / "hostapd.conf")], stdout=log, stderr=log)
        wait_for(lambda: "AP-ENABLED" in (self.folder / "log").read_text() or self.process.poll() is not None, 10, "hostapd")
        expect(self.process.poll() is None, f"hostapd ended: {(self.folder / 'log').read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def eap_tls(lab, laptop, radius):
    """One authentication; answers whether it succeeded, and what both sides said."""
    radius.start()
    try:
        key = lab.folder / "key.der"
        pem = (laptop.directory / "key.pem").read_text()
        key.write_bytes(base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----"))))
        (lab.folder / "openssl.cnf").write_text(
            "openssl_conf = init\n[init]\nproviders = providers\nalg_section = evp\n[evp]\ndefault_properties = ?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes\n"
            "[providers]\ndefault = on\ntpm2 = on\n[on]\nactivate = 1\n")
        (lab.folder / "supplicant.conf").write_text(
            f'network={{\n key_mgmt=WPA-EAP\n eap=TLS\n identity="laptop"\n ca_cert="{radius.folder}/server.pem"\n'
            f' client_cert="{laptop.directory}/certificate.pem"\n private_key="{key}"\n}}\n')
        script = lab.script("authenticate", f"""#!/bin/bash
tpm2-abrmd --session --allow-root --tcti={laptop.tcti} & manager=$!
for _ in $(seq 100); do tpm2_getrandom -T tabrmd:bus_type=session 1 >/dev/null 2>&1 && break; sleep 0.1; done
TPM2OPENSSL_TCTI=tabrmd:bus_type=session OPENSSL_CONF={lab.folder}/openssl.cnf \\
  eapol_test -c {lab.folder}/supplicant.conf -a 127.0.0.1 -p {radius.port} -s shared-by-a-test -t 20
status=$?
kill $manager; wait $manager
exit $status
""")
        done = subprocess.run(["dbus-run-session", "--", script], capture_output=True, text=True, timeout=60)
        return done.returncode == 0 and done.stdout.rstrip().endswith("SUCCESS"), done.stdout[-2000:] + (radius.folder / "log").read_text()
    finally:
        radius.stop()


def inspector():
    need("hostapd", "eapol_test", "tpm2-abrmd", "dbus-run-session", "tpm2_pcrextend")
    lab = Lab(http=False)
    try:
        laptop = Laptop(lab)
        up_with_policy(lab, laptop)
        laptop.agent("renew", "--profile", "inspector")
        hours = lifetime_h(laptop.directory / "certificate.pem")
        expect(7.9 < hours < 8.1, f"the certificate lives {hours} h")
        say("certificate for the laptop as it should be")

        radius = Radius(lab)
        radius.load()
        good, said = eap_tls(lab, laptop, radius)
        expect(good, f"EAP-TLS failed:\n{said}")
        say("EAP-TLS succeeds")

        laptop.log.measure(4, EV_EFI_BOOT_SERVICES_APPLICATION, b"evil boot loader")
        laptop.boot_on()
        before = (laptop.directory / "certificate.pem").read_bytes()
        refused = laptop.agent("renew", status=5)
        expect("badAttestationStatement" in refused or "refused the attestation" in refused, refused)
        expect(re.search(r"PCR 4\b", refused) and "evil boot loader" in refused, f"the reason names neither register nor event:\n{refused}")
        expect((laptop.directory / "certificate.pem").read_bytes() == before, "the old certificate is gone")
        say("after a changed boot: refused, by register and event")

        good, said = eap_tls(lab, laptop, radius)
        expect(good, f"the old certificate stays good until it is revoked:\n{said}")
        revoked = laptop.directory
        certificate, key = (revoked / "certificate.pem").read_bytes(), (revoked / "key.pem").read_bytes()
        laptop.agent("revoke", "--reason", "superseded")
        serial = run(["openssl", "x509", "-in", revoked / "certificate.pem.revoked", "-noout", "-serial"]).strip().partition("=")[2]

        def on_the_list():
            radius.load()
            return serial in run(["openssl", "crl", "-in", radius.folder / "crl.pem", "-noout", "-text"])
        wait_for(on_the_list, 10, "the revoked certificate on the CRL")
        (revoked / "certificate.pem").write_bytes(certificate)
        (revoked / "key.pem").write_bytes(key)
        good, said = eap_tls(lab, laptop, radius)
        expect(not good and "revoked" in said, f"EAP-TLS with a revoked certificate:\n{said}")
        say("EAP-TLS fails with the CRL loaded")
    finally:
        lab.close()


if __name__ == "__main__":
    main({"inspector": inspector})
