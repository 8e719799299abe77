"""Owns an ACME account that speaks the protocol itself, and what a device without a TPM can make up: an attestation
key in software. Signs with the openssl program. Must not know what the tests are about."""
import base64
import hashlib
import json
import pathlib
import re
import ssl
import struct
import subprocess
import urllib.error
import urllib.request


def b64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def from_b64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def der_of(pem):
    """Of the first certificate."""
    body = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", pem, re.S).group(1)
    return base64.b64decode(body)


def openssl(*words, octets=None):
    return subprocess.run(["openssl", *map(str, words)], input=octets, check=True, capture_output=True).stdout


class Key:
    """P-256, in a file."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path)
        point = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
        self.x, self.y = point[:32], point[32:]

    def jwk(self):
        return {"crv": "P-256", "kty": "EC", "x": b64url(self.x), "y": b64url(self.y)}

    def sign(self, octets):
        der = openssl("dgst", "-sha256", "-sign", self.path, octets=octets)
        r_bytes = der[3]
        r, s = der[4:4 + r_bytes], der[6 + r_bytes:]
        return b"".join(part.lstrip(b"\0").rjust(32, b"\0") for part in (r, s))

    def tpm_public(self):
        """TPMT_PUBLIC of an attestation key as a TPM would show it: restricted, ECDSA with SHA-256 (TPM 2.0 Part 2 §12.2.4)."""
        head = struct.pack(">HHIH", 0x0023, 0x000B, 0x00050072, 0)
        parameters = struct.pack(">HHHHH", 0x0010, 0x0018, 0x000B, 0x0003, 0x0010)
        return head + parameters + b"".join(struct.pack(">H", 32) + part for part in (self.x, self.y))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def code(self):
        return self.json().get("code", "") if self.status >= 400 else "good"


class Account:
    def __init__(self, directory_url, ca_file, key, url=None):
        self.context = ssl.create_default_context(cafile=ca_file)
        self.directory = self._open(directory_url).json()
        self.key, self.url = key, url
        if url is None:
            made = self.post(self.directory["newAccount"], {})
            if made.status not in (200, 201):
                raise RuntimeError(made.body)
            self.url = made.headers["Location"]

    @staticmethod
    def of_agent(directory_url, ca_file, folder):
        """The account that a keyward-agent has made."""
        state = json.loads((pathlib.Path(folder) / "state.json").read_text())
        path = pathlib.Path(folder) / "account-key.pem"
        path.write_text(state["account_key"])
        return Account(directory_url, ca_file, Key(path), state["account_url"])

    def _open(self, url, body=None):
        headers = {"Content-Type": "application/jose+json"} if body else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), context=self.context, timeout=20) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, refused.headers, refused.read())

    def post(self, url, payload):
        nonce = self._open(self.directory["newNonce"]).headers["Replay-Nonce"]
        head = {"alg": "ES256", "nonce": nonce, "url": url}
        head |= {"kid": self.url} if self.url else {"jwk": self.key.jwk()}
        protected, text = b64url(json.dumps(head).encode()), b64url(json.dumps(payload).encode())
        signature = b64url(self.key.sign(f"{protected}.{text}".encode()))
        return self._open(url, json.dumps({"protected": protected, "payload": text, "signature": signature}).encode())

    def begin(self, ek_certificate, ak_public, ek_chain=()):
        payload = {"ekCertificate": b64url(ek_certificate), "akPublic": b64url(ak_public)}
        if ek_chain:
            payload["ekChain"] = [b64url(der) for der in ek_chain]
        return self.post(self.directory["meta"]["attestationCa"]["begin"], payload)

    def activate(self, session, secret):
        return self.post(self.directory["meta"]["attestationCa"]["activate"], {"session": session, "secret": b64url(secret)})

    def revoke(self, certificate, reason=None):
        payload = {"certificate": b64url(certificate)} | ({} if reason is None else {"reason": reason})
        return self.post(self.directory["revokeCert"], payload)


def sha256_hex(octets):
    return hashlib.sha256(octets).hexdigest()
