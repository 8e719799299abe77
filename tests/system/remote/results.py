"""Owns what a verifier and a client of remote attestations write: attestation results (EAR, draft-ietf-rats-ear-03 and the
names before), CBOR as far as they need it, message wrappers (CMW) and encrypted evidence (JWE). Must not know the appliance.

Made apart from the product's own writers, so that both must agree on the formats."""
import base64
import ctypes
import ctypes.util
import hashlib
import json
import os
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "attestation_ca"))
from account import b64url, from_b64url, openssl  # noqa: E402

EAR, EAR_LEGACY = "tag:ietf.org,2026:rats/ear#03", "tag:github.com,2023:veraison/ear"
DEVELOPER, BUILD = "https://verifier.example", "7.1"
VECTOR = ["instance-identity", "configuration", "executables", "file-system", "hardware", "runtime-opaque", "storage-opaque", "sourced-data"]
TIERS = {"none": 0, "affirming": 2, "warning": 32, "contraindicated": 96}
CBOR_NAMES = {"iat": 6, "exp": 4, "eat_nonce": 10, "eat_profile": 265, "submods": 266}
CBOR_EAR = {"status": 1000, "vector": 1001, "raw": 1002, "policy": 1003, "verifier": 1004, "key": -70002}
JSON_EAR = {"status": "ear_status", "vector": "ear_trustworthiness_vector", "raw": "ear_raw_evidence", "policy": "ear_appraisal_policy_ids",
            "verifier": "ear_verifier_id", "key": "ear_veraison_key_attestation"}
JSON_EAR_LEGACY = {"status": "ear.status", "vector": "ear.trustworthiness-vector", "raw": "ear.raw-evidence", "policy": "ear.appraisal-policy-id",
                   "verifier": "ear.verifier-id", "key": "ear.veraison.key-attestation"}
JWT, CWT = "application/eat+jwt", "application/eat+cwt"
FORMATS = {CWT: 263, JWT: 264}


# ---- CBOR (RFC 8949 §4.2), definite lengths, keys in the order of their octets

class Tag:
    def __init__(self, number, value):
        self.number, self.value = number, value


def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | extra]) + number.to_bytes(size, "big")


def cbor(value):
    if isinstance(value, Tag):
        return head(6, value.number) + cbor(value.value)
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    pairs = sorted((cbor(k), cbor(v)) for k, v in value.items())
    return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)


# ---- results

ABSENT = object()


class Result:
    """One attestation result; every part may be said otherwise. `nonce`: octets of the key authorization or of the token."""

    def __init__(self, nonce, form="jwt", profile=EAR, status="affirming", vector=None, akpub=None, submods=None, verifier=(DEVELOPER, BUILD),
                 iat=0, exp=300, policies=("appraised-by",), top=None, raw=None, typ="eat+jwt"):
        self.nonce, self.form, self.profile, self.status, self.vector, self.akpub = nonce, form, profile, status, vector, akpub
        self.submods, self.verifier, self.iat, self.exp, self.policies, self.top, self.raw, self.typ = submods, verifier, iat, exp, policies, top, raw, typ

    def claims(self):
        in_cbor = self.form == "cwt"
        legacy = self.profile == EAR_LEGACY
        ear = CBOR_EAR if in_cbor else JSON_EAR_LEGACY if legacy else JSON_EAR
        name = (lambda text: CBOR_NAMES[text]) if in_cbor else (lambda text: text)
        octets = (lambda value: value) if in_cbor else b64url
        tier = (lambda text: TIERS[text]) if in_cbor else (lambda text: text)
        appraisal = {ear["status"]: tier(self.status)}
        if self.vector is not None:
            appraisal[ear["vector"]] = {VECTOR.index(k) if in_cbor else k: v for k, v in self.vector.items()}
        if self.akpub is not None:
            appraisal[ear["key"]] = {"akpub": octets(self.akpub)}
        if self.policies:
            appraisal[ear["policy"]] = self.policies[0] if legacy else list(self.policies)
        now = int(time.time())
        out = {name("eat_profile"): self.profile, name("iat"): now + self.iat,
               ear["verifier"]: dict(zip((0, 1) if in_cbor else ("developer", "build"), self.verifier)),
               name("submods"): {"host": appraisal} if self.submods is None else self.submods}
        if self.exp is not None:
            out[name("exp")] = now + self.exp
        if self.nonce is not ABSENT:
            # RFC 9711 §4.1: 8 to 64 octets, 8 to 88 characters. A key authorization is longer: its digest.
            digest = hashlib.sha256(self.nonce).digest() if len(self.nonce) > 64 else None
            out[name("eat_nonce")] = (digest or self.nonce) if in_cbor else b64url(digest) if digest else self.nonce.decode()
        if self.top:
            out[ear["status"]] = tier(self.top)
        if self.raw is not None:
            out[ear["raw"]] = octets(self.raw)
        return {k: v for k, v in out.items() if v is not ABSENT}

    def token(self, key):
        if self.form == "cwt":
            protected, payload = cbor({1: -7}), cbor(self.claims())
            signature = key.sign(cbor(["Signature1", protected, b"", payload]))
            return cbor(Tag(18, [protected, {}, payload, signature]))
        text = b64url(json.dumps({"alg": "ES256", "typ": self.typ}).encode()) + "." + b64url(json.dumps(self.claims()).encode())
        return (text + "." + b64url(key.sign(text.encode()))).encode()

    def media_type(self):
        return (CWT if self.form == "cwt" else JWT) + f'; eat_profile="{self.profile}"'


# ---- wrappers (draft-ietf-rats-msg-wrap)

def json_record(media_type, value):
    return [media_type, b64url(value)]


def cbor_record(media_type, value):
    return cbor([media_type, value])


def cbor_tag(media_type, value):
    """#6.TN of a content format (§3.3)."""
    return cbor(Tag(1_668_546_817 + FORMATS[media_type] + (FORMATS[media_type]) // 255, value))


# ---- encrypted evidence (RFC 7516 compact, RFC 7518 §4.6 and §4.3)

CRYPTO = ctypes.CDLL(ctypes.util.find_library("crypto"))
for _name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
    getattr(CRYPTO, _name).restype = ctypes.c_void_p


def gcm_seal(key, nonce, aad, text):
    context = ctypes.c_void_p(CRYPTO.EVP_CIPHER_CTX_new())
    out, size, tag = ctypes.create_string_buffer(len(text) + 16), ctypes.c_int(), ctypes.create_string_buffer(16)
    done = [CRYPTO.EVP_EncryptInit_ex(context, ctypes.c_void_p(CRYPTO.EVP_aes_256_gcm()), None, key, nonce),
            CRYPTO.EVP_EncryptUpdate(context, None, ctypes.byref(size), aad, len(aad)),
            CRYPTO.EVP_EncryptUpdate(context, out, ctypes.byref(size), text, len(text)),
            CRYPTO.EVP_EncryptFinal_ex(context, ctypes.byref(out, len(text)), ctypes.byref(ctypes.c_int())),
            CRYPTO.EVP_CIPHER_CTX_ctrl(context, 0x10, 16, tag)]  # EVP_CTRL_AEAD_GET_TAG
    CRYPTO.EVP_CIPHER_CTX_free(context)
    assert done == [1] * 5, done
    return out.raw[:len(text)], tag.raw


def key_wrap(key, content_key):
    schedule, out = ctypes.create_string_buffer(512), ctypes.create_string_buffer(len(content_key) + 8)
    assert CRYPTO.AES_set_encrypt_key(key, 256, schedule) == 0
    assert CRYPTO.AES_wrap_key(schedule, None, out, content_key, len(content_key)) == len(content_key) + 8
    return out.raw


def der(tag, *parts):
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + struct.pack(">H", len(body))
    return bytes([tag]) + size + body


def spki(jwk):
    if jwk["kty"] == "EC":
        point = b"\0\4" + from_b64url(jwk["x"]) + from_b64url(jwk["y"])
        return der(0x30, der(0x30, bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107")), der(0x03, point))
    numbers = (der(2, (b"\0" + from_b64url(jwk["n"]))), der(2, from_b64url(jwk["e"])))
    return der(0x30, bytes.fromhex("300d06092a864886f70d0101010500"), der(0x03, b"\0" + der(0x30, *numbers)))


def concat_kdf(shared, algorithm):
    sized = struct.pack(">I", len(algorithm)) + algorithm
    return hashlib.sha256(struct.pack(">I", 1) + shared + sized + bytes(8) + struct.pack(">I", 256)).digest()


def encrypt(folder, jwk, algorithm, text, **header):
    """Compact JWE; `header` adds or replaces members."""
    head_json = {"alg": algorithm, "enc": "A256GCM", "kid": jwk["kid"], "cty": "cmw+json"}
    content_key, encrypted_key = os.urandom(32), b""
    peer = pathlib.Path(folder) / "evidence-key.der"
    peer.write_bytes(spki(jwk))
    if algorithm == "RSA-OAEP-256":
        encrypted_key = openssl("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", peer, "-pkeyopt", "rsa_padding_mode:oaep",
                                "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256", octets=content_key)
    elif algorithm.startswith("ECDH-ES"):
        own = pathlib.Path(folder) / "ephemeral.pem"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", own)
        point = openssl("pkey", "-in", own, "-pubout", "-outform", "DER")[-64:]
        head_json["epk"] = {"crv": "P-256", "kty": "EC", "x": b64url(point[:32]), "y": b64url(point[32:])}
        shared = openssl("pkeyutl", "-derive", "-inkey", own, "-peerkey", peer, "-peerform", "DER")
        if algorithm == "ECDH-ES":
            content_key = concat_kdf(shared, b"A256GCM")
        else:
            encrypted_key = key_wrap(concat_kdf(shared, algorithm.encode()), content_key)
    protected, nonce = b64url(json.dumps(head_json | header).encode()), os.urandom(12)
    sealed, tag = gcm_seal(content_key, nonce, protected.encode(), text)
    return ".".join([protected, *map(b64url, (encrypted_key, nonce, sealed, tag))])
