"""Two devices with TPMs (swtpm, EK certificates of swtpm_localca) from the endorsement key to the certificate, over a whole
running appliance; and those that must not get there: without the endorsement key, without a known vendor, in
quarantine, retired, not in the inventory, with a revoked attestation key.

One appliance for all of it, in order. Waits are on events with deadlines."""
import contextlib
import hashlib
import hmac
import json
import pathlib
import re
import shutil
import struct
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
import lab  # noqa: E402
from account import Account, Key, b64url, der_of, from_b64url, openssl, sha256_hex  # noqa: E402
from lab import expect, run, say, wait_for  # noqa: E402

EK_ASSIGNER = "2.23.133.12.1"  # tcg-on-ekPermIdSha256
TPM_SERIAL_TYPE = "2.23.133.1.2"
MODULE_TYPE = "1.3.6.1.4.1.55555.7"
EK_INDEX = "0x1c00002"  # RSA 2048
AGENT_REFUSED, DIAGNOSE_BAD = 5, 2
TAKEN_IN_S = 10  # the task looks every 400 ms
CRL_S = 15  # a list is made within a second after a revocation


# ---- DER, as far as names need it

def tlv(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    head = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + head + body


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    out = b""
    for arc in [40 * first + second, *rest]:
        octets = [arc & 127]
        while arc := arc >> 7:
            octets.insert(0, 128 | arc & 127)
        out += bytes(octets)
    return tlv(0x06, out)


def other_name(kind, value):
    return tlv(0xA0, oid(kind), tlv(0xA0, value))


def permanent_identifier(value, assigner=None):
    """RFC 4043 §2."""
    return other_name("1.3.6.1.5.5.7.8.3", tlv(0x30, tlv(0x0C, value.encode()), oid(assigner) if assigner else b""))


def hardware_module(serial, kind):
    """RFC 4108 §5."""
    return other_name("1.3.6.1.5.5.7.8.4", tlv(0x30, oid(kind), tlv(0x04, serial.encode())))


def alternative_names(*names):
    """The whole extension, not critical."""
    return tlv(0x30, oid("2.5.29.17"), tlv(0x04, tlv(0x30, *names)))


def text_of(der):
    return openssl("x509", "-inform", "DER", "-noout", "-text", octets=der).decode()


def serial_of(der):
    return openssl("x509", "-inform", "DER", "-noout", "-serial", octets=der).decode().strip().partition("=")[2].lower()


def tpm_facts(der):
    return dict(re.findall(r"(2\.23\.133\.2\.[123])\s?=\s?([^/,+\s]+)", text_of(der)))


class Device:
    def __init__(self, site, name):
        told = json.loads(site.keyward_sim("device", name, "--json"))
        self.name, self.tcti = name, told["tcti"]
        path = site.folder / f"{name}.ek.der"
        run(["tpm2_nvread", "-Q", "-T", self.tcti, "-C", "o", EK_INDEX, "-o", path])
        self.ek = path.read_bytes()
        self.ek_sha256 = sha256_hex(self.ek)
        self.ek_path = path


class Site(lab.Lab):
    def __init__(self):
        lab.need("tpm2_nvread", "swtpm", "swtpm_localca", "openssl")
        self.stranger = pathlib.Path(tempfile.mkdtemp(prefix="keyward-stranger-"))
        self.stranger.chmod(0o755)
        root = self.stranger / "root.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=Another Vendor Root",
                "-keyout", self.stranger / "key.pem", "-out", root)
        super().__init__(f'attestation.attestation_ca.ek_roots=["{root}"]',
                         f'attestation.hardware_module_types=["tpm={TPM_SERIAL_TYPE}"]',
                         'signer.profiles.private.kind="device"', 'signer.profiles.private.san_device_id="omit"', http=False)
        self.state = self.sim / "state/attestation"
        self.a, self.b = Device(self, "A"), Device(self, "B")

    def close(self):
        super().close()
        shutil.rmtree(self.stranger, ignore_errors=True)

    def agent(self, *words, status=0):
        return run([self.binaries / "keyward-agent", *words], status=status)

    def enroll(self, device, folder, *words, status=0):
        self.folder_of(folder).mkdir(exist_ok=True, mode=0o700)
        return self.agent("enroll", "--dir", self.folder_of(folder), "--tcti", device.tcti, "--directory", self.directory,
                          "--ca-file", self.ca_file, *words, status=status)

    def renew(self, folder, *words, status=0):
        return self.agent("renew", "--dir", self.folder_of(folder), *words, status=status)

    def folder_of(self, name):
        return self.folder / name

    def certificate(self, folder, file="certificate.pem"):
        return der_of((self.folder_of(folder) / file).read_text())

    def account(self, name):
        """A new one, of software."""
        return Account(self.directory, self.ca_file, Key(self.folder / f"{name}.key"))

    def account_of(self, folder):
        return Account.of_agent(self.directory, self.ca_file, self.folder_of(folder))

    def made(self):
        """Serial numbers of what was issued to devices and their attestation keys."""
        return [row["serial"] for row in json.loads(self.ledger())["entries"] if row.get("profile") in ("attestation-key", "device", "private")]

    @contextlib.contextmanager
    def nothing_made(self, what):
        before = self.made()
        yield
        expect(self.made() == before, f"{what}: a certificate was made")

    def refused(self, what, code, attempt):
        """An agent's run ends with the CA's refusal, of this code, and nothing is made."""
        with self.nothing_made(what):
            output = attempt(AGENT_REFUSED)
        expect(code in output, f"{what}: wanted {code}, got\n{output}")
        say(f"refused, {code}: {what}")
        return output

    def devices(self, *words):
        verb, *rest = words
        return self.keywardctl("devices", verb, self.state, *rest)

    def verify(self, folder):
        """OpenSSL finds both chains good: EK to its vendor, AK and device certificate to the CA's root."""
        root, intermediates = self.ca_file, self.folder / "between.pem"
        intermediates.write_text(self.intermediates())
        for file in ("ak-chain.pem", "certificate.pem"):
            run(["openssl", "verify", "-x509_strict", "-CAfile", root, "-untrusted", intermediates, self.folder_of(folder) / file])

    def verify_ek(self, device):
        pem = self.folder / f"{device.name}.ek.pem"
        openssl("x509", "-inform", "DER", "-in", device.ek_path, "-out", pem)
        run(["openssl", "verify", "-CAfile", self.sim / "tpm-ca/swtpm-localca-rootca-cert.pem", "-untrusted", self.sim / "tpm-ca/issuercert.pem", pem])


# ---- the tests, in order

def vendor_is_not_known(site):
    output = site.refused("an EK of a vendor that is not known", "ek.unknown-ca", lambda status: site.enroll(site.a, "a", status=status))
    expect("swtpm-localca" in output, f"the answer does not name the CA that is missing:\n{output}")
    missing = site.keywardctl("roots", "diagnose", site.a.ek_path, "--state", site.state, "--roots", site.stranger / "root.pem", status=DIAGNOSE_BAD)
    expect("swtpm-localca" in missing, f"diagnose does not name the CA that is missing:\n{missing}")


def signed_bundle(site, version, *further):
    """The vendors' bundle: swtpm's CAs, and what else is said."""
    read = lambda name: (site.sim / "tpm-ca" / name).read_text()
    manifest = {"type": "keyward-vendor-roots", "version": version, "date": "2026-11-01T00:00:00Z",
                "certificates": [{"vendor": "swtpm", "use": "root", "pem": read("swtpm-localca-rootca-cert.pem")},
                                 {"vendor": "swtpm", "use": "intermediate", "pem": read("issuercert.pem")}, *further]}
    manifest_path, bundle = site.folder / f"manifest-{version}.json", site.folder / f"roots-{version}.jws"
    manifest_path.write_text(json.dumps(manifest))
    key = Key(site.folder / "publisher.pem")
    site.keywardctl("roots", "sign", manifest_path, "--key", key.path, "--out", bundle)
    return bundle, key


def vendor_roots_come_as_a_signed_bundle(site):
    bundle, key = signed_bundle(site, 1)
    publisher = site.folder / "publisher.jwk"
    publisher.write_text(json.dumps(key.jwk()))
    spoilt = site.folder / "spoilt.jws"
    text = bundle.read_text().strip()
    at = text.rindex(".") + 10
    spoilt.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:])
    site.keywardctl("roots", "import", site.state, spoilt, "--publisher", publisher, status=78)
    site.keywardctl("roots", "import", site.state, bundle, "--publisher", publisher)
    listed = site.keywardctl("roots", "list", site.state)
    expect("swtpm" in listed, f"the bundle is not listed:\n{listed}")
    site.keywardctl("roots", "diagnose", site.a.ek_path, "--state", site.state)
    asking, software = site.account("asking"), Key(site.folder / "asking-ak.pem")
    wait_for(lambda: asking.begin(site.a.ek, software.tpm_public()).status == 200, TAKEN_IN_S, "the task takes the bundle in")
    site.asking = asking


def two_devices_enrol(site):
    for device, folder in ((site.a, "a"), (site.b, "b")):
        output = site.enroll(device, folder)
        expect("opened by the TPM" in output, f"no credential was opened:\n{output}")
        ak, certificate = site.certificate(folder, "ak-chain.pem"), site.certificate(folder)
        name = permanent_identifier(device.ek_sha256, EK_ASSIGNER)
        expect(name in ak, "the AK certificate's permanentIdentifier is not the EK certificate's SHA-256")
        facts = tpm_facts(device.ek)
        expect(len(facts) == 3 and tpm_facts(ak) == facts, f"TPM facts {tpm_facts(ak)}, the EK certificate has {facts}")
        usages = re.search(r"Extended Key Usage:\s*([^\n]+)", text_of(ak)).group(1).strip()
        expect(usages == "2.23.133.8.3", f"the AK certificate is for {usages}")
        expect(re.search(r"Subject:[ ]*\n", text_of(ak)), "the AK certificate has a subject")
        expect(alternative_names(name) in certificate, "the device's names are not the permanent identifier alone")
        site.verify(folder)
        site.verify_ek(device)
        say(f"device {device.name}: {device.ek_sha256[:16]}... in its certificate")
    expect(site.a.ek_sha256 != site.b.ek_sha256, "two devices have one EK")


def kept_chain_is_used_again(site):
    before = site.certificate("a", "ak-chain.pem")
    old = serial_of(site.certificate("a"))
    output = site.renew("a")
    expect("opened by the TPM" not in output, f"a credential was opened again:\n{output}")
    expect(site.certificate("a", "ak-chain.pem") == before, "the AK has another certificate")
    expect(serial_of(site.certificate("a")) != old, "nothing was renewed")


def software_without_the_endorsement_key(site):
    """Device A's EK certificate is public; the AK is a key file."""
    thief, software = site.account("thief"), Key(site.folder / "thief-ak.pem")
    with site.nothing_made("a TPM of software"):
        begun = thief.begin(site.a.ek, software.tpm_public())
        expect(begun.status == 200, f"begin: {begun.body}")
        told = begun.json()
        guesses = {"zeros": bytes(32), "its own key's octets": software.x, "the encrypted secret": from_b64url(told["secret"])[-32:],
                   "the credential's end": from_b64url(told["credentialBlob"])[-32:], "too short": b"\1"}
        for what, guess in guesses.items():
            answer = thief.activate(told["session"], guess)
            expect(answer.status == 400 and answer.code() == "ak.credential", f"{what}: {answer.status} {answer.body}")
            expect(answer.json()["type"].endswith(":badAttestationStatement"), f"{answer.body}")
    say("refused, ak.credential: a key file with device A's EK certificate")
    site.thief, site.thief_session, site.thief_ak = thief, told["session"], software


def sessions_of_others(site):
    other = site.asking
    body = from_b64url(site.thief_session)
    changed = bytearray(body)
    changed[40] ^= 1
    key = (site.state / "attestation-ca.key").read_bytes()
    text = body[:-32]
    expect(text[-9] == 0x1B, "a session ends with its expiry")
    over = text[:-8] + struct.pack(">Q", int(time.time() * 1000) - 1)

    def mac(label, octets):  # as the task makes it: of a CBOR array of a text and a byte string
        head = struct.pack(">BH", 0x59, len(octets)) if len(octets) > 255 else bytes([0x58, len(octets)])
        return hmac.new(key, b"\x82" + bytes([0x60 | len(label)]) + label.encode() + head + octets, hashlib.sha256).digest()

    expect(mac("keyward-ak-session-1", text) == body[-32:], "the session's MAC is made otherwise")
    secret = mac("keyward-ak-secret-1", over)
    attempts = {
        "another account's session": (other, site.thief_session, bytes(32), "session.forged"),
        "a changed session": (site.thief, b64url(bytes(changed)), bytes(32), "session.forged"),
        "no session": (site.thief, "AAAA", bytes(32), "session.forged"),
        "an expired session, with its own secret": (site.thief, b64url(over + mac("keyward-ak-session-1", over)), secret, "session.expired"),
    }
    for what, (account, session, guess, code) in attempts.items():
        with site.nothing_made(what):
            answer = account.activate(session, guess)
        expect(answer.status == 403 and answer.code() == code, f"{what}: {answer.status} {answer.body}")
        say(f"refused, {code}: {what}")


def hardware_module_of_the_tpm(site):
    serial = site.a.ek_sha256
    site.enroll(site.a, "a-module", "--hardware-module", f"{serial}/{TPM_SERIAL_TYPE}")
    expect(alternative_names(hardware_module(serial, TPM_SERIAL_TYPE)) in site.certificate("a-module"), "the certificate does not name the hardware module alone")
    site.verify("a-module")


def privacy(site):
    uris = {}
    for folder in ("a-private", "a-private-2"):
        site.enroll(site.a, folder, "--profile", "private")
        uris[folder] = [pseudonym(site, folder)]
        site.renew(folder)
        uris[folder].append(pseudonym(site, folder))
        expect(uris[folder][0] == uris[folder][1], f"a renewal has another pseudonym: {uris[folder]}")
    expect(uris["a-private"][0] != uris["a-private-2"][0], "two accounts have one pseudonym")


def pseudonym(site, folder):
    der = site.certificate(folder)
    expect(site.a.ek_sha256.encode() not in der and bytes.fromhex(site.a.ek_sha256) not in der, "the certificate names the device")
    expect(oid("1.3.6.1.5.5.7.8.3") not in der, "the certificate has a permanentIdentifier")
    uri = re.search(r"URI:(urn:uuid:[0-9a-f-]{36})", text_of(der))
    expect(uri, f"no pseudonym:\n{text_of(der)}")
    expect(alternative_names(tlv(0x86, uri.group(1).encode())) in der, "there are names beside the pseudonym")
    return uri.group(1)


def inventory_names_the_device(site):
    table = site.folder / "devices.csv"
    table.write_text("id,ek_sha256,permanent_identifier,hardware_module,owner\n"
                     f"laptop-b,{site.b.ek_sha256},LAPTOP-B,HM-7/{MODULE_TYPE},Ann\n")
    site.devices("import", table)
    site.enroll(site.b, "b-known", "--identifier", "LAPTOP-B", "--hardware-module", f"HM-7/{MODULE_TYPE}")
    names = permanent_identifier("LAPTOP-B"), hardware_module("HM-7", MODULE_TYPE)
    ak, certificate = site.certificate("b-known", "ak-chain.pem"), site.certificate("b-known")
    expect(all(name in ak for name in names), "the AK certificate does not have the inventory's identifiers")
    expect(site.b.ek_sha256.encode() not in ak, "the AK certificate names the device by its EK beside")
    expect(alternative_names(*names) in certificate, f"the certificate's names are others:\n{text_of(certificate)}")
    site.verify("b-known")
    shown = site.devices("show", "laptop-b")
    expect("Ann" in shown and "LAPTOP-B" in shown, f"the inventory does not show it:\n{shown}")


def withheld_devices(site):
    for verb, code in (("quarantine", "device.quarantined"), ("retire", "device.retired")):
        site.devices(verb, "laptop-b")
        site.refused(f"{verb}: a new AK", code, lambda status: site.enroll(site.b, f"b-{verb}", status=status))
        site.refused(f"{verb}: a renewal", code, lambda status: site.renew("b-known", status=status))
    site.devices("expect", "laptop-b")
    site.renew("b-known")


def revoked_attestation_key(site):
    certificate = site.certificate("a", "ak-chain.pem")
    stranger = site.asking.revoke(certificate)
    expect(stranger.status == 403, f"another account may revoke it: {stranger.status} {stranger.body}")
    revoked = site.account_of("a").revoke(certificate, 4)
    expect(revoked.status == 200, f"revokeCert: {revoked.status} {revoked.body}")
    serial = serial_of(certificate)
    url = site.directory.removesuffix("/directory") + "/crl"

    def on_the_list():
        shown = openssl("crl", "-inform", "DER", "-noout", "-text", octets=site.get(url)).decode().lower()
        return serial in shown.replace(":", "")

    wait_for(on_the_list, CRL_S, "the AK's certificate stands on the CRL")
    crl, between = site.folder / "crl.pem", site.folder / "between.pem"
    openssl("crl", "-inform", "DER", "-out", crl, octets=site.get(url))
    judged = run(["openssl", "verify", "-crl_check", "-CAfile", site.ca_file, "-untrusted", between, "-CRLfile", crl, site.folder_of("a") / "ak-chain.pem"], status=2)
    expect("certificate revoked" in judged, f"OpenSSL does not find it revoked:\n{judged}")
    site.refused("a renewal with the revoked AK certificate", "ak.revoked", lambda status: site.renew("a", status=status))
    # The device still holds its EK: whether it gets a new one is the inventory's matter.
    (site.folder_of("a") / "ak-chain.pem").unlink()
    site.renew("a")
    expect(serial_of(site.certificate("a", "ak-chain.pem")) != serial, "the revoked certificate came again")
    site.verify("a")


def revoked_endorsement_key(site):
    """Of device B, by the next bundle; device A's stands."""
    bundle, _ = signed_bundle(site, 2, {"vendor": "swtpm", "use": "revoked", "pem": (site.folder / "B.ek.pem").read_text()})
    site.keywardctl("roots", "import", site.state, bundle)
    software = Key(site.folder / "asking-ak.pem")
    wait_for(lambda: site.asking.begin(site.b.ek, software.tpm_public()).code() == "ek.revoked", TAKEN_IN_S, "the task takes the second bundle in")
    site.refused("a new AK of a revoked EK", "ek.revoked", lambda status: site.enroll(site.b, "b-revoked", status=status))
    site.keywardctl("roots", "diagnose", site.b.ek_path, "--state", site.state, status=DIAGNOSE_BAD)
    expect(site.asking.begin(site.a.ek, software.tpm_public()).status == 200, "device A's EK does not stand any more")


def inventory_is_required(site):
    site.keyward_sim("down")
    words = ["attestation.attestation_ca.inventory=\"required\"", "attestation.inventory=\"required\""]
    site.keyward_sim("up", *[word for line in words for word in ("--set", line)])
    for device in (site.a, site.b):
        site.keyward_sim("device", device.name)
    site.refused("a new AK of an unknown device", "device.unknown", lambda status: site.enroll(site.a, "a-unknown", status=status))
    site.refused("a renewal of an unknown device", "device.unknown", lambda status: site.renew("a", status=status))
    site.renew("b-known")


STEPS = (vendor_is_not_known, vendor_roots_come_as_a_signed_bundle, two_devices_enrol, kept_chain_is_used_again,
         software_without_the_endorsement_key, sessions_of_others, hardware_module_of_the_tpm, privacy, inventory_names_the_device,
         withheld_devices, revoked_attestation_key, revoked_endorsement_key, inventory_is_required)


def whole():
    site = Site()
    try:
        for step in STEPS:
            begin = time.monotonic()
            say(f"{step.__name__} ...")
            step(site)
            say(f"{step.__name__}: {time.monotonic() - begin:.1f} s")
        run([site.binaries / "keywardctl", "ledger", "verify", site.sim / "state/signer/ledger", "--issuer", site.sim / "ca/issuing.pem"])
    finally:
        site.close()


if __name__ == "__main__":
    lab.main({"attestation_ca": whole})
