"""The operator's day, from the first to the last page of docs/operations: ceremony, a unit provisioned from what it made,
unlocked with three of five shares, devices, an urgent revocation by a signed order, backup, loss, restore, audit.

Real are the programs, SoftHSMv2 and swtpm. keyward-sim gives each unit a TPM and holds its processes; of the CA that it makes
for itself nothing is left before the ceremony's is put in. Must not know how a task works inside.
"""
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import tomllib
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
from lab import Failed, expect, expect_no_sanitizer_report, main, need, quiet_port, run, say, wait_for  # noqa: E402

PATIENCE_S = 60
NEW_COUNTER = 0x01800101  # keyward-sim's own CA has counted at another one: for these units the TPM is new
BIN = pathlib.Path(os.environ.get("KEYWARD_BIN", "build/release/bin"))
EXAMPLES = pathlib.Path(os.environ.get("KEYWARD_SOURCE", ".")) / "docs/examples/ceremony"
PLAN = """format = 1
[unit]
id = "plant-1"
[[tokens]]
name = "root"
board = "softhsm.toml"
label = "plant-root"
initialize = true
pin = "made-up"
[[tokens]]
name = "unit"
board = "softhsm.toml"
label = "plant-unit"
folder = "tokens/unit"
initialize = true
pin = "made-up"
[root]
token = "root"
key_label = "root-1"
algorithm = "ecdsa-p384"
common_name = "Plant Root CA 1"
lifetime_days = 7305
path_length = 1
[[issuing]]
name = "devices"
token = "unit"
key_label = "devices-1"
algorithm = "ecdsa-p256"
common_name = "Plant Devices CA 1"
lifetime_days = 1826
path_length = 0
permitted_dns = ["plant.example", "sim.keyward.example"]
profiles = ["device"]
[audit]
token = "unit"
key_label = "audit-1"
common_name = "Plant Ledger 1"
[evidence]
token = "unit"
key_label = "evidence-1"
[[operators]]
name = "Anna Lee"
public_key = "anna.json"
roles = ["revoke", "account"]
[[operators]]
name = "Chiara Rossi"
public_key = "chiara.json"
roles = ["audit"]
[custodians]
names = ["Dora", "Emil", "Fatima", "Georg", "Hanna"]
threshold = 3
recover_pins = ["unit"]
backup_key = true
"""


def ctl(*words, status=0, text_in=None):
    return run([BIN / "keywardctl", *words], status=status, text_in=text_in)


def hold_ceremony(folder):
    """docs/operations/ceremony.md; answers the folder with its products."""
    plan, out = folder / "plan", folder / "ceremony"
    plan.mkdir()
    shutil.copy(EXAMPLES / "softhsm.toml", plan)
    (plan / "plan.toml").write_text(PLAN)
    for name in ("anna", "chiara"):
        (folder / f"{name}.pass").write_text(f"a passphrase of {name}\n")
        public = ctl("operator-key", "new", folder / f"{name}.pem", "--passphrase-file", folder / f"{name}.pass")
        (plan / f"{name}.json").write_text(public.splitlines()[0])  # the line that the page redirects into a file
    ctl("ceremony", "run", plan / "plan.toml", "--dry-run")
    ctl("ceremony", "run", plan / "plan.toml", "--out", out, "--yes")
    root = folder / "trusted-root.pem"
    shutil.copy(out / "root.pem", root)
    said = ctl("ceremony", "verify", out, "--root", root)
    expect("whole" in said, said)
    expect("Dora" in ctl("ceremony", "transcript", out), "the transcript names no custodian")
    return out


def shares(ceremony, what, *custodians):
    """What these custodians read from their sheets."""
    lines = []
    for sheet in sorted((ceremony / "handover").glob("custodian-*.txt")):
        if any(name in sheet.name for name in custodians):
            text = sheet.read_text()
            lines.append(re.search(r"keyward-share-1\S*.*", text[text.index(what):]).group(0))
    expect(len(lines) == len(custodians), f"sheets of {custodians}")
    return "".join(f"{line}\n" for line in lines)


class Unit:
    """A unit with an empty TPM; its processes are keyward-sim's."""

    def __init__(self, folder, port):
        self.folder, self.port, self.rising = folder, port, None
        self.installation, self.signer = folder / "keyward.toml", folder / "state/signer"
        self.sim("up", "--quiet", "--port", port)
        self.sim("down")
        for own in ("state", "backup", "ca", "offline", "ceremony.toml"):
            path = folder / own
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def sim(self, *words, status=0):
        output = run([BIN / "keyward-sim", *words, "--dir", self.folder], status=status)
        if words[0] == "down":
            expect_no_sanitizer_report(self.folder)
        return output

    def state(self):
        return re.search(r'"state":"([^"]*)"|$', self.sim("status", "--json", status=None)).group(1)

    def wait(self, state):
        try:
            wait_for(lambda: self.state() == state, PATIENCE_S, f"the unit {state}")
        except Failed as failure:
            raise Failed(f"{failure}\n{self.sim('status', status=None)}\n{self.sim('logs', status=None)[-4000:]}")

    def settings(self, ceremony, makers):
        """The ceremony's installation-devices.toml, its paths corrected to this unit."""
        ca = self.folder / "ca"
        fragment = tomllib.loads((ceremony / "installation-devices.toml").read_text().replace(str(ceremony / "tokens"), str(self.folder / "no-tokens"))
                                 .replace(str(ceremony), str(ca)))
        fragment["pkcs11"]["environment"] = [f"SOFTHSM2_CONF={self.signer}/softhsm2.conf"]
        fragment["acme"] = {"operators": fragment["signer"]["operators"]}
        fragment["attestation"] = {"ak_roots": [str(makers / "ca.pem")]}
        fragment["signer"] |= {"audit_anchor": "tpm"}
        fragment["tpm"] = {"anchor_index": NEW_COUNTER}
        return [f"{section}.{key}={json.dumps(value)}" for section, lines in fragment.items() for key, value in lines.items()]

    def install_ca(self, ceremony):
        ca = self.folder / "ca"
        ca.mkdir()
        for file in ceremony.iterdir():
            if file.is_file():
                shutil.copy(file, ca)
        ca.joinpath("operators.json").chmod(0o644)

    def install_token(self, ceremony):
        """What plugging the HSM in is with another module."""
        self.signer.mkdir(parents=True, exist_ok=True)
        if not (self.signer / "tokens").exists():
            shutil.copytree(ceremony / "tokens/unit/tokens", self.signer / "tokens")
        conf = (ceremony / "tokens/unit/softhsm2.conf").read_text()
        (self.signer / "softhsm2.conf").write_text(re.sub(r"(?m)^(directories\.tokendir *= *).*$", rf"\g<1>{self.signer}/tokens", conf))

    def begin(self, settings):
        words = [BIN / "keyward-sim", "up", "--quiet", "--port", str(self.port), "--dir", self.folder, "--patience", "120"]
        for line in settings:
            words += ["--set", line]
        self.rising = subprocess.Popen(words, stdout=open(self.folder / "up.log", "w"), stderr=subprocess.STDOUT)

    def ready(self):
        self.wait("operational")
        expect(self.rising.wait(PATIENCE_S) == 0, (self.folder / "up.log").read_text())

    def unlock(self, slot, lines, status=0):
        return ctl("unlock", self.installation, "--recovery", slot, text_in=lines, status=status)

    def crl(self, root):
        """Serial numbers on the list that the unit gives."""
        context = ssl.create_default_context(cafile=root)
        with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/acme/crl", context=context, timeout=10) as answer:
            der = answer.read()
        (self.folder / "crl.der").write_bytes(der)
        shown = run(["openssl", "crl", "-in", self.folder / "crl.der", "-inform", "DER", "-noout", "-text", "-CAfile", self.folder / "ca/chain-devices.pem"])
        self.crl_number = int(re.search(r"X509v3 CRL Number:\s+(\w+)", shown)[1], 0)
        return re.findall(r"Serial Number: ([0-9A-F]+)", shown)

    def down(self):
        self.sim("down")
        if self.rising:
            self.rising.wait(PATIENCE_S)


def enrol(unit, folder, root, name):
    """A device with a TPM of its own; answers its folder and the certificate's serial number."""
    shown = unit.sim("device", name, "--json")
    made = json.loads(shown[shown.index("{"):shown.rindex("}") + 1])
    place = folder / name
    run([BIN / "keyward-agent", "enroll", "--dir", place, "--tcti", made["tcti"], "--directory", f"https://127.0.0.1:{unit.port}/acme/directory",
         "--ca-file", root, "--identifier", made["identifier"], "--ak-chain", made["ak_chain"]])
    return place, serial(place, root, unit)


def serial(place, root, unit):
    certificate = place / "certificate.pem"
    run(["openssl", "verify", "-x509_strict", "-ignore_critical", "-CAfile", root, "-untrusted", certificate, certificate])
    return run(["openssl", "x509", "-in", certificate, "-noout", "-serial"]).strip().partition("=")[2]


def day(folder, units):
    ceremony = hold_ceremony(folder)
    root = folder / "trusted-root.pem"
    say("ceremony held and verified")

    first = Unit(folder / "first", quiet_port())
    units.append(first)
    makers = first.folder / "manufacturer"
    first.install_ca(ceremony)
    first.install_token(ceremony)
    first.begin(first.settings(ceremony, makers))
    first.wait("locked")
    slot = first.folder / "ca/recovery-unit.json"
    two = first.unlock(slot, shares(ceremony, "PIN of token 'unit'", "dora", "georg"), status=None)
    expect(first.state() == "locked", f"two shares opened it: {two}")
    first.unlock(slot, shares(ceremony, "PIN of token 'unit'", "dora", "fatima", "hanna"))
    first.ready()
    say("provisioned from the ceremony's products, unlocked with three of five shares")

    devices = [enrol(first, folder, root, f"pump-{i}") for i in (1, 2, 3)]
    say("three devices enrolled: " + ", ".join(number[:8] for _, number in devices))

    stolen = devices[1][1]
    operators = first.folder / "ca/operators.json"
    wrong = ctl("revoke", "--serial", stolen.lower(), "--reason-code", "keyCompromise", "--reason", "stolen", "--operators", operators, "--key",
                folder / "chiara.pem", "--passphrase-file", folder / "chiara.pass", "--state", first.signer, status=None)
    expect("order-role" in wrong, f"an operator without the role: {wrong}")
    ctl("revoke", "--serial", stolen.lower(), "--reason-code", "keyCompromise", "--reason", "stolen, ticket 4711", "--operators", operators, "--key",
        folder / "anna.pem", "--passphrase-file", folder / "anna.pass", "--state", first.signer)
    wait_for(lambda: first.crl(root) == [stolen], PATIENCE_S, "the stolen device alone on the list")
    say("revoked by a signed order, and on the list")

    backup = folder / "plant-1.kwbackup"
    ctl("backup", "create", first.installation, "--to", ceremony / "backup-public.pem", "--out", backup, "--include", slot)
    ctl("backup", "verify", backup, text_in=shares(ceremony, "Private key of backups", "dora", "emil", "hanna"))
    expect(first.state() == "operational", "the backup disturbed it")
    first.down()
    shutil.rmtree(first.folder / "state")
    shutil.rmtree(first.folder / "ca")
    say("backup made and read; the unit is lost")

    second = Unit(folder / "second", first.port)
    units.append(second)
    settings = second.settings(ceremony, makers)
    second.install_token(ceremony)
    second.begin(settings)  # for the installation file; the certificates and operators that it names are not there yet
    expect(second.rising.wait(PATIENCE_S) != 0, "it runs without CA and operators")
    second.down()
    shutil.rmtree(second.folder / "state")
    shutil.rmtree(second.folder / "backup")
    backup_shares = shares(ceremony, "Private key of backups", "emil", "fatima", "georg")
    ctl("restore", backup, second.installation, text_in=backup_shares)
    second.install_token(ceremony)
    shutil.copy(root, second.folder / "ca/root.pem")
    second.begin(settings)
    second.wait("locked")
    second.unlock(second.folder / "ca/included/recovery-unit.json", shares(ceremony, "PIN of token 'unit'", "emil", "georg", "hanna"))
    refused = second.signer / "audit/refused.json"
    wait_for(refused.exists, PATIENCE_S, "the signer saying that ledger and TPM do not belong together")
    expect(second.state() != "operational", "it went on as if nothing had happened")
    ctl("audit", "accept-rollback", second.signer, "--reason", "by nobody", "--no-operators")
    wait_for(lambda: "no operator's order" in second.sim("logs", "signer"), PATIENCE_S, "the signer's no to an acceptance without order")
    expect(second.state() != "operational", "a loss was accepted without the auditor's order")
    ctl("order", "sign", "accept-rollback", "--refused", refused, "--reason", "restored from the backup of today", "--operators", second.folder / "ca/operators.json",
        "--key", folder / "chiara.pem", "--passphrase-file", folder / "chiara.pass", "--out", folder / "accept.jws")
    ctl("audit", "accept-rollback", second.signer, "--order", folder / "accept.jws")
    second.ready()
    expect(second.crl(root) == [stolen], "the revocation is not known after the restore")
    wait_for(lambda: second.crl(root) == [stolen] and second.crl_number > first.crl_number + 1_000, PATIENCE_S, "a list whose number nobody can have seen")
    say("restored on another TPM and token; the loss is accepted by an auditor's order")

    first.sim("device", "pump-1")  # the TPM of the device, switched on again
    run([BIN / "keyward-agent", "renew", "--dir", devices[0][0]])
    renewed = serial(devices[0][0], root, second)
    expect(renewed != devices[0][1], "not renewed")
    say("a device renews at the restored unit, under its account of before")

    export = folder / "auditor/export.kwaudit"
    export.parent.mkdir()
    ctl("audit", "export", second.signer, "--out", export)
    second.down()
    shutil.copy(root, export.parent / "root.pem")
    said = ctl("audit", "verify", export, "--root", export.parent / "root.pem")
    expect("restored from the backup of today" in said and "by nobody" not in said, said)
    why = ctl("audit", "why", export, "--serial", stolen.lower(), "--root", export.parent / "root.pem")
    expect("revoked by order of Anna Lee" in why, why)
    say("audited with the root certificate alone")


def operators_day():
    need("openssl", "swtpm", "softhsm2-util")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keyward-day-"))
    folder.chmod(0o755)
    units = []
    try:
        day(folder, units)
    finally:
        for unit in units:
            unit.sim("down", status=None)
        if os.environ.get("KEYWARD_KEEP"):
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main({"operators_day": operators_day})
