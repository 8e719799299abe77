"""Remote attestations at a whole running appliance: results of another verifier in passport form, encrypted evidence, and a
relayed background check with a slow verifier.

Everything but the verifiers is real: the tasks, the network, the token (SoftHSMv2) and the TPM (swtpm). The verifiers
are this test's own. Waits are on events with deadlines."""
import contextlib
import hashlib
import http.server
import json
import pathlib
import re
import shutil
import ssl
import sys
import tempfile
import threading
import time
import tomllib
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "clients"), str(HERE.parent / "attestation_ca")]
import results  # noqa: E402
from account import Account, Answer, Key, b64url, der_of, from_b64url, openssl  # noqa: E402
from lab import Lab, expect, expect_not_shown, main, quiet_port, run, say, thumbprint, wait_for  # noqa: E402
from results import ABSENT, CWT, EAR, EAR_LEGACY, JWT, Result, cbor, cbor_record, cbor_tag, encrypt, json_record  # noqa: E402

DECIDED_S = 20
EVIDENCE = "application/vnd.example.evidence"
VERIFIER = f'[[ear.verifier]]\nname = "own"\ndeveloper = "{results.DEVELOPER}"\nbuild = "{results.BUILD}"\nkeys = ["verifier.jwk"]\n'
# Per profile: the hint that it asks for, and the policy for it without the verifier.
POLICIES = {
    "strict": ("sw_manifest", 'evidence = ["ear"]\nbind = ["account", "key"]\n[ear]\nminimum = "affirming"\n'),
    "named": ("sw_manifest", 'evidence = ["ear"]\nbind = ["account", "key"]\n[ear]\npolicy_ids = ["appraised-by"]\n'),
    "lenient": ("sw_manifest", 'evidence = ["ear"]\nbind = ["account"]\n[ear]\nminimum = "warning"\n'),
    "tiered": ("sw_manifest", 'evidence = ["ear"]\nbind = ["account"]\n[ear]\nrequired = ["hardware"]\n[ear.tiers]\nconfiguration = "warning"\n'),
    "module": ("hsm", 'evidence = ["ear"]\nbind = ["key"]\n[ear]\nrequired = ["hardware"]\n'),
    "fresh": ("os", 'evidence = ["ear"]\nbind = ["nonce"]\n[ear]\nminimum = "affirming"\n'),
    "relayed": ("os", f'evidence = ["ear"]\nbind = ["nonce"]\nrelay = "slow"\nrelay_media_types = ["{EVIDENCE}"]\n[ear]\nminimum = "affirming"\n'),
    "away": ("os", f'evidence = ["ear"]\nbind = ["nonce"]\nrelay = "away"\nrelay_media_types = ["{EVIDENCE}"]\n[ear]\nminimum = "affirming"\n'),
}


class Client(Account):
    """An account that keeps its nonces, can ask by POST-as-GET, and knows the way of an order."""

    def __init__(self, site, name):
        self.nonce, self.site = None, site
        super().__init__(site.directory, site.ca_file, Key(site.folder / f"{name}.key"))

    def _open(self, url, body=None):
        answer = Account._open(self, url, body) if not isinstance(body, tuple) else self._raw(url, *body)
        self.nonce = answer.headers.get("Replay-Nonce")
        return answer

    def _raw(self, url, body, media_type):
        request = urllib.request.Request(url, body, {"Content-Type": media_type})
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=20) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, refused.headers, refused.read())

    def post(self, url, payload=None):
        if not self.nonce:
            self._open(self.directory["newNonce"])
        head = {"alg": "ES256", "nonce": self.nonce, "url": url} | ({"kid": self.url} if self.url else {"jwk": self.key.jwk()})
        text = "" if payload is None else b64url(json.dumps(payload).encode())
        protected = b64url(json.dumps(head).encode())
        signature = b64url(self.key.sign(f"{protected}.{text}".encode()))
        return self._open(url, json.dumps({"protected": protected, "payload": text, "signature": signature}).encode())

    def get(self, url):
        return self.post(url).json()

    def authorization_of(self, token):
        return f"{token}.{thumbprint(self.key.jwk())}".encode()

    def settle(self, url, seconds=DECIDED_S):
        """The challenge when it is decided."""
        end = time.monotonic() + seconds
        while (now := self.get(url))["status"] == "processing":
            expect(time.monotonic() < end, f"still processing after {seconds} s: {now}")
            time.sleep(0.1)
        return now


class Order:
    def __init__(self, client, profile, offered=(), name="host.plant.example"):
        self.client = client
        identifiers = [{"type": "dns", "value": name}, *({"type": "remote-attestation", "value": hint} for hint in offered)]
        made = client.post(client.directory["newOrder"], {"identifiers": identifiers, "profile": profile})
        expect(made.status == 201, f"newOrder: {made.status} {made.body}")
        self.url, self.body, self.asked = made.headers["Location"], made.json(), identifiers
        self.challenges = {}
        for url in self.body["authorizations"]:
            authz = client.get(url)
            kind, value = authz["identifier"]["type"], authz["identifier"]["value"]
            if kind == "dns":
                self._prove_name(authz)
            else:
                expect(kind == "remote-attestation", f"an authorization for {authz['identifier']}")
                self.challenges[value] = next(c for c in authz["challenges"] if c["type"] == "remote-attest-01")
        self.authorizations = len(self.body["authorizations"])

    def _prove_name(self, authz):
        if authz["status"] == "valid":
            return
        challenge = next(c for c in authz["challenges"] if c["type"] == "http-01")
        path = self.client.site.webroot / ".well-known/acme-challenge" / challenge["token"]
        path.write_bytes(self.client.authorization_of(challenge["token"]))
        self.client.post(challenge["url"], {})
        done = self.client.settle(challenge["url"])
        expect(done["status"] == "valid", f"http-01: {done}")

    @property
    def challenge(self):
        expect(len(self.challenges) == 1, f"challenges for {list(self.challenges)}")
        return next(iter(self.challenges.values()))

    def authorization(self):
        return self.client.authorization_of(self.challenge["token"])

    def answer(self, payload):
        """Posts it; "good", or the code of the refusal, and the whole challenge or problem."""
        posted = self.client.post(self.challenge["url"], payload)
        if posted.status != 200:
            return posted.json().get("code", str(posted.status)), posted.json()
        done = self.client.settle(self.challenge["url"])
        return ("good" if done["status"] == "valid" else done["error"]["code"]), done

    def answer_result(self, result, key=None, media_type=None):
        token = result.token(key or self.client.site.verifier)
        return self.answer({"cmw": json_record(media_type or result.media_type(), token)})

    def finalize(self, key):
        """A code, or the certificate's chain."""
        done = self.client.post(self.body["finalize"], {"csr": b64url(csr(self.client.site.folder, key, "host.plant.example"))})
        if done.status != 200:
            return done.json()["code"], None
        end = time.monotonic() + DECIDED_S
        while (now := self.client.get(self.url))["status"] == "processing":
            expect(time.monotonic() < end, f"still processing: {now}")
            time.sleep(0.1)
        if now["status"] != "valid":
            return now["error"]["code"], None
        return "good", self.client.post(now["certificate"]).body.decode()


def csr(folder, key, name):
    out = pathlib.Path(folder) / "csr.der"
    openssl("req", "-new", "-key", key.path, "-subj", "/", "-addext", f"subjectAltName=DNS:{name}", "-outform", "DER", "-out", out)
    return out.read_bytes()


def spki_of(key):
    return openssl("pkey", "-in", key.path, "-pubout", "-outform", "DER")


# ---- a verifier of the Veraison kind

class Session:
    def __init__(self, nonce):
        self.nonce, self.evidence, self.media_type, self.looks = nonce, None, None, 0


class SlowVerifier:
    """https://127.0.0.1:PORT/challenge-response/v1. What the evidence says decides what becomes of it."""

    def __init__(self, folder, key):
        self.key, self.port, self.sessions = key, quiet_port(), []
        self.released = threading.Event()
        self.certificate = pathlib.Path(folder) / "verifier-tls.pem"
        private = pathlib.Path(folder) / "verifier-tls.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=verifier", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", private, "-out", self.certificate)
        self.certificate.chmod(0o644)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, private)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def url(self):
        return f"https://127.0.0.1:{self.port}/challenge-response/v1"

    def result_for(self, session):
        nonce = b"A" * 43 if session.evidence == b"other nonce" else session.nonce.encode()
        raw = hashlib.sha256(b"else").digest() if session.evidence == b"other evidence" else session.evidence
        status = "warning" if session.evidence == b"not so good" else "affirming"
        return Result(nonce, status=status, raw=raw).token(self.key).decode()

    def state_of(self, session):
        session.looks += 1
        if session.evidence == b"failed":
            return {"status": "failed"}
        if session.evidence == b"slow" and session.looks < 5:  # the appliance looks every half second
            return {"status": "processing"}
        if session.evidence == b"held" and not self.released.is_set():
            return {"status": "processing"}
        return {"status": "complete", "result": self.result_for(session)}

    def _handler(verifier):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body=None, location=None):
                text = json.dumps(body).encode() if body is not None else b""
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                if text:
                    self.send_header("Content-Type", "application/vnd.veraison.challenge-response-session+json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                new = re.match(r"/challenge-response/v1/newSession\?nonce=([A-Za-z0-9_-]+)(?:=|%3D)*$", self.path)
                if new:
                    verifier.sessions.append(Session(new.group(1)))
                    return self.reply(201, {"status": "waiting"}, f"session/{len(verifier.sessions) - 1}")
                session = verifier.sessions[int(self.path.rpartition("/")[2])]
                session.evidence, session.media_type = body, self.headers["Content-Type"]
                if body == b"busy":
                    return self.reply(503, {"status": "waiting"})
                self.reply(202, {"status": "processing"})

            def do_GET(self):
                self.reply(200, verifier.state_of(verifier.sessions[int(self.path.rpartition("/")[2])]))

            def do_DELETE(self):
                self.reply(204)
        return Handler


# ---- the site

class Site(Lab):
    def __init__(self, *settings):
        self.encrypted = []  # what stood in encrypted evidence: not to be shown by the appliance
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="keyward-verifier-"))
        self.place.chmod(0o755)
        self.verifier, self.stranger = Key(self.place / "verifier.key"), Key(self.place / "stranger.key")
        self.write("verifier.jwk", json.dumps(self.verifier.jwk()))
        self.slow = SlowVerifier(self.place, self.verifier)
        lines, table = ["acme.relay_patience_s=2", "acme.validation_retry_s=1"], []
        for profile, (hint, text) in POLICIES.items():
            self.write(f"{profile}.toml", f'name = "{profile}"\nversion = "1"\n' + text + VERIFIER)
            lines += [f'signer.profiles.{profile}.kind="server"', f'signer.profiles.{profile}.attestations=["{hint}"]']
            table.append(f'"{profile}/{hint}" = "{self.place}/{profile}.toml"')
        lines.append(f"attestation.policies={{{', '.join(table)}}}")
        for name, url, seconds in (("slow", self.slow.url(), 20), ("away", f"https://127.0.0.1:{quiet_port()}/v1", 1)):
            lines += [f'validation.verifiers.{name}.url="{url}"', f'validation.verifiers.{name}.media_types=["{EVIDENCE}"]',
                      f'validation.verifiers.{name}.ca_file="{self.slow.certificate}"', f"validation.verifiers.{name}.deadline_s={seconds}"]
        try:
            super().__init__(*lines, *settings)
        except BaseException:
            self.close_place()
            raise

    def write(self, name, text):
        (self.place / name).write_text(text)
        (self.place / name).chmod(0o644)

    def close(self):
        super().close()
        self.close_place()

    def expect_evidence_not_shown(self):
        expect_not_shown(self.sim / "run", self.encrypted)
        for token in self.encrypted:  # nor a part of it
            expect_not_shown(self.sim / "run", token.split(b".")[1:])

    def close_place(self):
        self.slow.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def restart(self, *settings):
        self.keyward_sim("down")
        words = ["up"]
        for line in settings:
            words += ["--set", line]
        self.keyward_sim(*words)


@contextlib.contextmanager
def site(*settings):
    made = Site(*settings)
    try:
        yield made
    finally:
        made.close()


def same(what, code, wanted, whole=None):
    expect(code == wanted, f"{what}: {code}, wanted {wanted}: {whole}")


# ---- results in passport form

def orders_of_results(here):
    """Who asked, what is shown of it, and that nothing of it comes into the certificate."""
    client = Client(here, "orders")
    order = Order(client, "strict")
    expect(order.body["identifiers"] == [{"type": "dns", "value": "host.plant.example"}], order.body)
    same("added by the server", sorted(order.challenges), ["sw_manifest"])
    expect(order.authorizations == 2, "one authorization for each")
    challenge = order.challenge
    expect(challenge["freshness_nonce"] == challenge["token"] and len(challenge["token"]) >= 22, challenge)
    for spelling in ("sw_manifest", "sw-manifest"):
        offered = Order(client, "strict", offered=[spelling])
        expect(offered.body["identifiers"] == offered.asked, f"reflected: {offered.body['identifiers']}")
        expect(len(offered.challenges) == 1 and offered.authorizations == 2, f"{spelling}: {list(offered.challenges)}")
    unasked = Order(client, "strict", offered=["os"])
    same("a hint that the profile does not ask for", sorted(h.replace("-", "_") for h in unasked.challenges), ["sw_manifest"])
    only = client.post(client.directory["newOrder"], {"identifiers": [{"type": "remote-attestation", "value": "sw_manifest"}], "profile": "strict"})
    expect(only.status == 403 and only.json()["type"].endswith(":rejectedIdentifier"), f"of attestations alone: {only.body}")
    code, whole = offered.answer_result(Result(offered.authorization()))
    same("affirming", code, "good", whole)
    code, chain = offered.finalize(Key(here.folder / "orders-tls.key"))
    same("finalize", code, "good")
    text = openssl("x509", "-noout", "-text", octets=chain.encode()).decode()
    expect("DNS:host.plant.example" in text and "manifest" not in text and "remote" not in text and text.count("DNS:") == 1, text)
    before = Order(client, "strict")
    same("finalize without the attestation", before.finalize(Key(here.folder / "orders-tls.key"))[0], "order.not-ready")
    say("orders with offered and added attestations")


def forms_of_results(here):
    """JWT and CWT, both sets of names, each way of wrapping; each one ends in a certificate's order being ready."""
    client = Client(here, "forms")
    for form in ("jwt", "cwt"):
        for profile in (EAR, EAR_LEGACY):
            order = Order(client, "named")
            code, whole = order.answer_result(Result(order.authorization(), form, profile, vector={"hardware": 2}, top="affirming"))
            same(f"{form}, {profile}", code, "good", whole)
            expect(client.get(order.url)["status"] == "ready", "the order is not ready")
    slip = Order(client, "named")
    result = Result(slip.authorization(), typ="eat-jwt")
    same("eat-jwt", *flip(slip.answer({"cmw": json_record("application/eat-jwt", result.token(here.verifier))})))
    for name, wrap in WRAPS.items():
        order = Order(client, "strict")
        code, whole = order.answer(wrap(order.authorization(), here.verifier))
        same(name, code, "good", whole)
    say("both forms and names, every wrapper")


def flip(answer):
    return answer[0], "good", answer[1]


def wrapped(form, build):
    def make(nonce, key):
        result = Result(nonce, form)
        return build(result.token(key))
    return make


TYPED = {"jwt": f'{JWT}; eat_profile="{EAR}"', "cwt": f'{CWT}; eat_profile="{EAR}"'}
WRAPS = {
    "bare record": wrapped("jwt", lambda t: json_record(TYPED["jwt"], t)),
    "JSON collection": wrapped("jwt", lambda t: {"cmw": {"__cmwc_t": "tag:example.com,2026:set", "result": json_record(TYPED["jwt"], t)}}),
    "bare collection": wrapped("jwt", lambda t: {"result": json_record(TYPED["jwt"], t)}),
    "CBOR record": wrapped("cwt", lambda t: {"cmw": b64url(cbor_record(TYPED["cwt"], t))}),
    "CBOR record by content format": wrapped("cwt", lambda t: {"cmw": b64url(cbor([263, t]))}),
    "CBOR collection": wrapped("cwt", lambda t: {"cmw": b64url(cbor({"result": [TYPED["cwt"], t]}))}),
    "CBOR tag": wrapped("cwt", lambda t: {"cmw": b64url(cbor_tag(CWT, t))}),
}


def refused_results(here):
    """Each refusal reaches the client by its code; the challenge and the order are invalid."""
    client = Client(here, "refused")
    bad = {
        "key of nobody that is trusted": ("jws.signature", dict(), here.stranger),
        "another verifier's name": ("ear.verifier", dict(verifier=("https://other.example", results.BUILD)), None),
        "another build": ("ear.verifier", dict(verifier=(results.DEVELOPER, "6.0")), None),
        "unknown profile": ("ear.profile", dict(profile="tag:example.com,2026:other"), None),
        "expired": ("ear.expired", dict(iat=-900, exp=-600), None),
        "from the future": ("ear.not-yet", dict(iat=900, exp=1800), None),
        "without a nonce": ("ear.freshness", dict(nonce=ABSENT), None),
        "another nonce": ("ear.freshness", dict(nonce=b"B" * 43), None),
        "status better than vector": ("ear.status-better", dict(vector={"executables": 33}), None),
        "overall status better": ("ear.status-better", dict(status="warning", top="affirming"), None),
        "no submods": ("ear.submods", dict(submods=ABSENT), None),
        "empty submods": ("ear.submods", dict(submods={}), None),
        "unknown claim": ("ear.vector", dict(submods={"host": {"ear_status": "affirming", "ear_trustworthiness_vector": {"luck": 2}}}), None),
        "no verifier": ("ear.verifier-id", dict(verifier=()), None),
        "names of before": ("ear.status", dict(submods={"host": {"ear.status": "affirming"}}), None),
        "type": ("ear.type", dict(typ="at+jwt"), None),
        "judged by another policy": ("ear.policy-id-other", dict(policies=("other",)), None),
        "a nonce alone": ("bind.none", dict(nonce="token"), None),
    }
    for what, (wanted, changes, key) in bad.items():
        order = Order(client, "named")
        words = {"nonce": order.authorization()} | changes
        if words["nonce"] == "token":
            words["nonce"] = order.challenge["token"].encode()
        media_type = TYPED["jwt"]
        code, whole = order.answer_result(Result(**words), key, media_type)
        same(what, code, wanted, whole)
        expect(whole["status"] == "invalid" and whole["error"]["type"].endswith(":badAttestationStatement"), f"{what}: {whole}")
    expect(client.get(order.url)["status"] == "invalid", "the order of a refused result")
    order = Order(client, "strict")
    code, whole = order.answer({"cmw": json_record("application/vnd.example.other", b"x")})
    same("evidence that nobody asked for", code, "evidence.kind", whole)
    order = Order(client, "strict")
    token = Result(order.authorization(), "cwt").token(here.stranger)
    code, whole = order.answer({"cmw": json_record(TYPED["cwt"], token)})
    same("CWT by another key", code, "cose.signature", whole)
    say(f"{len(bad) + 2} refusals by their codes")


def tiers_of_results(here):
    """Tier by tier against `minimum`, `tiers` and `required`, in both forms."""
    client = Client(here, "tiers")
    table = [  # profile, status, vector, outcome
        ("strict", "none", None, "ear.tier"), ("strict", "affirming", None, "good"), ("strict", "warning", None, "ear.tier"),
        ("strict", "contraindicated", None, "ear.tier"),
        ("lenient", "none", None, "ear.tier"), ("lenient", "affirming", None, "good"), ("lenient", "warning", None, "good"),
        ("lenient", "warning", {"executables": 40}, "good"), ("lenient", "contraindicated", {"executables": 97}, "ear.tier"),
        ("strict", "affirming", {"configuration": 31, "hardware": -32}, "good"), ("strict", "warning", {"configuration": 32}, "ear.tier"),
        ("strict", "affirming", {"hardware": 0}, "good"), ("strict", "affirming", {"hardware": 1}, "ear.tier"),
        ("tiered", "affirming", None, "ear.required"), ("tiered", "affirming", {"hardware": 0}, "ear.required"), ("tiered", "affirming", {"hardware": 2}, "good"),
        ("tiered", "warning", {"hardware": 2, "configuration": 36}, "good"), ("tiered", "warning", {"hardware": 32}, "ear.tier"),
        ("tiered", "contraindicated", {"hardware": 2, "configuration": 96}, "ear.tier"),
    ]
    for i, (profile, status, vector, wanted) in enumerate(table):
        order = Order(client, profile)
        code, whole = order.answer_result(Result(order.authorization(), "cwt" if i % 2 else "jwt", EAR_LEGACY if i % 4 > 1 else EAR, status, vector))
        same(f"{profile}, {status}, {vector}", code, wanted, whole)
    for claim in results.VECTOR:
        order = Order(client, "lenient")
        code, whole = order.answer_result(Result(order.authorization(), status="contraindicated", vector={claim: 99}))
        same(f"{claim} contraindicated", code, "ear.tier", whole)
        expect(claim in whole["error"]["detail"], f"the reason does not name {claim}: {whole}")
    say(f"{len(table)} tiers, eight claims")


def bindings_of_results(here):
    """By key (hsm): the CSR's key is the attested one, or finalize says so and the order stays ready. By nonce where a policy says so."""
    client = Client(here, "bindings")
    mine, other = Key(here.folder / "mine.key"), Key(here.folder / "other.key")
    for form, profile in (("jwt", EAR), ("cwt", EAR), ("jwt", EAR_LEGACY), ("cwt", EAR_LEGACY)):
        order = Order(client, "module")
        same("hint", list(order.challenges), ["hsm"])
        nonce = order.challenge["token"].encode()
        code, whole = order.answer_result(Result(nonce, form, profile, vector={"hardware": 2}, akpub=spki_of(mine)))
        same(f"key in {form}", code, "good", whole)
        same("CSR of another key", order.finalize(other)[0], "attestation-key-mismatch")
        expect(client.get(order.url)["status"] == "ready", "the order after a CSR of another key")
        same("CSR of the attested key", order.finalize(mine)[0], "good")
    order = Order(client, "module")
    code, whole = order.answer_result(Result(order.authorization(), vector={"hardware": 2}))
    same("hsm without a key", code, "bind.none", whole)
    order = Order(client, "module")
    code, whole = order.answer_result(Result(order.authorization(), vector={"hardware": 2}, akpub=b"no key"))
    same("akpub that is none", code, "ear.key", whole)
    order = Order(client, "fresh")
    code, whole = order.answer_result(Result(order.challenge["token"].encode()))
    same("nonce alone, by policy", code, "good", whole)
    order = Order(client, "strict")
    stolen = Result(Order(Client(here, "thief"), "strict").authorization())
    same("a result for another account", order.answer_result(stolen)[0], "ear.freshness")
    say("bound by key, by account, by nonce")


def undecodable_answers(here):
    """What cannot be taken apart: D-R6. Forms that are none leave the challenge pending."""
    client = Client(here, "undecodable")
    order = Order(client, "strict")
    url = order.challenge["url"]
    raw = client._open(url, (cbor_record(CWT, b"x"), "application/cmw+cbor"))
    expect(raw.status == 415, f"raw application/cmw+cbor: {raw.status}")
    for payload in ([], {}, 7):
        posted = client.post(url, payload)
        expect(posted.status == 400 and posted.json()["type"].endswith(":malformed"), f"{payload}: {posted.status} {posted.body}")
        expect(client.get(url)["status"] == "pending", f"the challenge after {payload}")
    same("still good", order.answer_result(Result(order.authorization()))[0], "good")
    for payload, wanted in (({"cmw": ["no media type", "eA"]}, "cmw.type"), ({"cmw": b64url(b"\xff\xff")}, "cmw.malformed"),
                            ({"cmw": ["application/eat+jwt", "=="]}, "cmw.value"), ({"jwe": "a.b"}, "payload.form"), ({"other": 1}, "cmw.malformed")):
        order = Order(client, "strict")
        code, whole = order.answer(payload)
        same(payload, code, wanted, whole)
        expect(json.dumps(whole).find(":malformed") > 0, f"{payload}: {whole}")
    say("undecodable answers")


def passports():
    with site() as here:
        for part in (orders_of_results, forms_of_results, refused_results, tiers_of_results, bindings_of_results, undecodable_answers):
            part(here)


# ---- encrypted evidence

def evidence_key(here, order):
    url = order.challenge["verifierEncryptionCredential"]
    with urllib.request.urlopen(url, context=here.context(), timeout=10) as answer:
        expect(answer.headers["Content-Type"] == "application/jwk+json", f"{answer.headers}")
        return json.loads(answer.read())


def sealed(here, order, jwk, algorithm, **header):
    result = Result(order.authorization())
    token = result.token(here.verifier)
    here.encrypted.append(token)
    return encrypt(here.folder, jwk, algorithm, json.dumps(json_record(result.media_type(), token)).encode(), **header)


def goods_and_bads(here, client, algorithms):
    """`algorithms` of the key that is shown open; the rest does not. Answers the key."""
    for alg in algorithms:
        order = Order(client, "strict")
        jwk = evidence_key(here, order)
        expect(jwk["use"] == "enc" and order.challenge["verifierEncryptionCredential"].endswith("/" + jwk["kid"]), jwk)
        code, whole = order.answer({"jwe": sealed(here, order, jwk, alg)})
        same(alg, code, "good", whole)
    for what, wanted, header in (("kid", "jwe.kid", {"kid": "unknown"}), ("dir", "jwe.alg", {"alg": "dir"}), ("zip", "jwe.zip", {"zip": "DEF"}),
                                 ("enc", "jwe.enc", {"enc": "A128GCM"}), ("crit", "jwe.crit", {"crit": ["exp"]}), ("cty", "jwe.cty", {"cty": "JWT"})):
        order = Order(client, "strict")
        code, whole = order.answer({"jwe": sealed(here, order, jwk, algorithms[-1], **header)})
        same(what, code, wanted, whole)
    for part in (1, 2, 3, 4):
        order = Order(client, "strict")
        texts = sealed(here, order, jwk, algorithms[-1]).split(".")
        texts[part] = ("B" if texts[part][0] == "A" else "A") + texts[part][1:]
        code, whole = order.answer(".".join(texts))
        same(f"changed part {part}", code, "jwe.decrypt", whole)
    return jwk


def module_key():
    """The token's own key, which the ceremony of a simulator makes: nothing private of it is in a file."""
    with site() as here:
        client = Client(here, "module-key")
        jwk = goods_and_bads(here, client, ["ECDH-ES", "ECDH-ES+A256KW"])
        expect(jwk["kty"] == "EC" and "d" not in jwk, jwk)
        state = here.sim / "state/attestation"
        expect(not (state / "evidence-key.json").exists(), "a key beside the module's")
        say("the module's key opens evidence")

        before = Order(client, "strict")
        text = sealed(here, before, jwk, "ECDH-ES")
        here.restart()
        client.nonce = None
        expect(evidence_key(here, Order(client, "strict")) == jwk, "another key after a restart")
        same("encrypted before the restart", *flip(before.answer({"jwe": text})))
        here.restart('attestation.evidence_key="rsa"', *here_settings(here, "attestation.evidence_key="))
        client.nonce = None
        rsa = goods_and_bads(here, client, ["RSA-OAEP-256"])
        expect(rsa["kty"] == "RSA", rsa)
        here.expect_evidence_not_shown()
        say("after a restart too; RSA-OAEP-256")


def here_settings(here, without):
    """What the simulator was given: `up --set` takes the place of all before."""
    given = tomllib.loads((here.sim / "sim.toml").read_text())["additions"]
    return [line for line in given if not line.startswith(without)]


def sealed_key():
    """Without a key in the token: sealed by the appliance's TPM, and the same one after a restart."""
    with site('signer.evidence_key_label=""') as here:
        client = Client(here, "sealed-key")
        jwk = goods_and_bads(here, client, ["ECDH-ES+A256KW"])
        kept = json.loads((here.sim / "state/attestation/evidence-key.json").read_text())
        expect(kept["protection"] == "tpm" and len(from_b64url(kept["sealed"])) > 64, f"not sealed: {kept['protection']}")
        for path in (here.sim / "state/attestation").rglob("*"):
            if path.is_file():
                expect(b"PRIVATE KEY" not in path.read_bytes() and path.stat().st_mode & 0o077 == 0, f"{path}: a key in the clear, or others read it")
        # As in a simulator from before, whose ceremony made no such key.
        plan = here.sim / "ceremony.toml"
        plan.write_text(plan.read_text().partition("[evidence]")[0])
        here.restart(*here_settings(here, "signer.evidence_key_label="))
        expect("evidence_key_label" not in (here.sim / "keyward.toml").read_text(), "a key that the token does not have")
        client.nonce = None
        order = Order(client, "strict")
        expect(evidence_key(here, order) == jwk, "another key after a restart")
        same("after a restart", *flip(order.answer({"jwe": sealed(here, order, jwk, "ECDH-ES")})))
        here.expect_evidence_not_shown()
        say("sealed by the TPM, kept over a restart")


# ---- background check

def post_evidence(order, evidence):
    return order.client.post(order.challenge["url"], {"cmw": json_record(EVIDENCE, evidence)})


def relay():
    with site() as here:
        client = Client(here, "relay")
        order = Order(client, "relayed")
        begin = time.monotonic()
        posted = post_evidence(order, b"slow")
        expect(posted.status == 200 and posted.json()["status"] == "processing", f"{posted.status} {posted.body}")
        expect(int(posted.headers["Retry-After"]) >= 1, "no Retry-After while it is processing")
        looked = client.post(order.challenge["url"])
        expect(looked.json()["status"] == "processing" and looked.headers["Retry-After"], f"{looked.body}")
        done = client.settle(order.challenge["url"])
        expect(done["status"] == "valid", f"{done}")
        expect(time.monotonic() - begin > 1.5, "the verifier was not slow")
        session = here.slow.sessions[-1]
        expect(session.nonce == order.challenge["token"] and session.media_type.startswith(EVIDENCE), f"{session.nonce} {session.media_type}")
        same("finalize", order.finalize(Key(here.folder / "relay-tls.key"))[0], "good")
        say("processing with Retry-After, then valid, then a certificate")

        for evidence, wanted in ((b"failed", "relay.failed"), (b"other nonce", "ear.freshness"), (b"other evidence", "ear.evidence-other"),
                                 (b"not so good", "ear.tier"), (b"busy", "relay.unavailable")):
            order = Order(client, "relayed")
            expect(post_evidence(order, evidence).status == 200, "the answer was not taken")
            done = client.settle(order.challenge["url"])
            same(evidence.decode(), done["error"]["code"] if done["status"] == "invalid" else done["status"], wanted, done)
        order = Order(client, "away")
        expect(post_evidence(order, b"anything").status == 200, "the answer was not taken")
        done = client.settle(order.challenge["url"])
        same("away", done["error"]["code"], "relay.unavailable", done)
        order = Order(client, "relayed")
        code, whole = order.answer_result(Result(order.challenge["token"].encode()))
        same("a result of one's own where evidence is to be relayed", code, "evidence.relay", whole)
        say("each way in which a verifier disappoints")

        order = Order(client, "relayed")
        posted = post_evidence(order, b"held")
        expect(posted.json()["status"] == "processing", f"{posted.body}")
        asked = len(here.slow.sessions)
        here.restart()
        client.nonce = None
        wait_for(lambda: len(here.slow.sessions) > asked and here.slow.sessions[-1].evidence == b"held", 20, "the evidence relayed again after the restart")
        expect(client.get(order.challenge["url"])["status"] == "processing", "decided without the verifier")
        here.slow.released.set()
        done = client.settle(order.challenge["url"])
        expect(done["status"] == "valid", f"{done}")
        say("a restart while it was processing: judged after it")


if __name__ == "__main__":
    main({"passports": passports, "module-key": module_key, "sealed-key": sealed_key, "relay": relay})
