"""OCSP by the stock clients: openssl asks (with and without nonce, by both hashes, by POST), GET as caches see it, gnutls reads the answer; before and
after a revocation, and for a serial that was never issued."""
import base64
import pathlib
import re
import ssl
import sys
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
from lab import Lab, expect, main, need, run, say, wait_for  # noqa: E402  (its folder is found first)


class Asker:
    def __init__(self, lab, leaf):
        self.lab, self.leaf = lab, leaf
        self.issuer = lab.sim / "ca/issuing.pem"
        self.url = lab.directory.replace("/directory", "/ocsp")

    def ask(self, *more, about=None):
        """What openssl says of the answer; it makes the request and judges, the octets go over HTTPS (its own client speaks HTTP/1.0 alone)."""
        request, response = self.lab.folder / "question.der", self.lab.folder / "answer.der"
        words = ["openssl", "ocsp", "-issuer", self.issuer, *(about or ["-cert", self.leaf]), *more]
        run([*words, "-reqout", request])  # afterwards -no_nonce: what is compared is the nonce in the file
        post = urllib.request.Request(self.url, data=request.read_bytes(), headers={"Content-Type": "application/ocsp-request"})
        with urllib.request.urlopen(post, context=ssl.create_default_context(cafile=self.lab.ca_file), timeout=20) as answer:
            response.write_bytes(answer.read())
        said = run([*words, "-no_nonce", "-reqin", request, "-respin", response, "-CAfile", self.lab.sim / "ca/root.pem", "-verify_other", self.issuer])
        expect("Response verify OK" in said, said)
        return said

    def get(self, name):
        request = self.lab.folder / f"{name}.req"
        run(["openssl", "ocsp", "-issuer", self.issuer, "-cert", self.leaf, "-no_nonce", "-reqout", request])
        path = urllib.parse.quote(base64.b64encode(request.read_bytes()).decode(), safe="")
        context = ssl.create_default_context(cafile=self.lab.ca_file)
        with urllib.request.urlopen(f"{self.url}/{path}", context=context, timeout=20) as answer:
            return answer.headers, answer.read()


def stock_clients():
    need("lego", "ocsptool")
    lab = Lab(http=False)
    try:
        folder = lab.folder / "lego"
        lego = ["lego", "--path", folder, "--server", lab.directory, "--accept-tos", "--email", "op@plant.example", "--http", "--http.port",
                f"127.0.0.1:{lab.http_port}", "--domains", "o.plant.example"]
        env = {"LEGO_CA_CERTIFICATES": str(lab.ca_file)}
        run([*lego, "run"], env=env)
        chain = folder / "certificates/o.plant.example.crt"
        leaf = lab.folder / "leaf.pem"
        leaf.write_text(run(["openssl", "x509", "-in", chain]))
        asker = Asker(lab, leaf)

        expect(": good" in asker.ask("-no_nonce"), "not good")
        said = asker.ask()
        expect(": good" in said and "no nonce" not in said, said)
        expect(": good" in asker.ask("-no_nonce", about=["-sha256", "-cert", leaf]), "not good by SHA-256")
        expect(": unknown" in asker.ask("-no_nonce", about=["-serial", "0x4711"]), "a serial that was never issued is known")
        headers, first = asker.get("first")
        expect(headers["Content-Type"] == "application/ocsp-response" and "max-age=" in headers["Cache-Control"], str(headers))
        (lab.folder / "first.der").write_bytes(first)
        said = run(["ocsptool", "--verify-response", "--infile", lab.folder / "first.der", "--load-signer", lab.sim / "ca/ocsp.pem"])
        expect("Success" in said, said)
        expect(asker.get("again")[1] == first, "the kept answer was not served again")
        say("good, by openssl and gnutls")

        run([*lego, "revoke", "--keep"], env=env)
        said = asker.ask("-no_nonce")
        expect(": revoked" in said, said)
        expect(asker.get("after")[1] != first, "the kept answer outlived the revocation")
        expect("revoked" in run(["ocsptool", "--response-info", "--infile", write(lab.folder / "after.der", asker.get("after")[1])]), "gnutls reads no revocation")
        say("revoked at once")
    finally:
        lab.close()


def get_leaf(lab, name):
    folder = lab.folder / "lego"
    lego = ["lego", "--path", folder, "--server", lab.directory, "--accept-tos", "--email", "op@plant.example", "--http", "--http.port",
            f"127.0.0.1:{lab.http_port}", "--domains", name]
    env = {"LEGO_CA_CERTIFICATES": str(lab.ca_file)}
    run([*lego, "run"], env=env)
    leaf = lab.folder / "leaf.pem"
    leaf.write_text(run(["openssl", "x509", "-in", folder / f"certificates/{name}.crt"]))
    return leaf, lambda: run([*lego, "revoke", "--keep"], env=env)


def curl(url, *words, body="/dev/null"):
    """Status and headers in small letters; `body`: the file for it."""
    said = run(["curl", "-sS", "-D", "-", "-o", body, "--max-time", "20", *words, url])
    head = said.strip().split("\n")
    return int(head[0].split()[1]), {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}


def plain_http():
    """What the certificate itself names, asked for by stock programs that know no TLS: list, OCSP, issuer; and nothing of ACME there."""
    need("lego", "curl")
    lab = Lab(http=False)
    try:
        leaf, revoke = get_leaf(lab, "p.plant.example")
        shown = run(["openssl", "x509", "-in", leaf, "-noout", "-text"])
        list_url = re.search(r"URI:(http://\S+/acme/crl\S*)", shown).group(1)
        ocsp_url = run(["openssl", "x509", "-in", leaf, "-noout", "-ocsp_uri"]).strip()
        base = list_url.partition("/acme/")[0]
        expect(base.startswith("http://127.0.0.1:") and ocsp_url == f"{base}/acme/ocsp", shown)
        found = lab.folder / "found.der"
        code, headers = curl(re.search(r"CA Issuers - URI:(http://\S+)", shown).group(1), body=found)
        expect(code == 200 and headers["content-type"] == "application/pkix-cert", str(headers))
        run(["openssl", "verify", "-CAfile", lab.sim / "ca/root.pem", "-untrusted", found, leaf])

        issuer, root, der, pem = lab.sim / "ca/issuing.pem", lab.sim / "ca/root.pem", lab.folder / "list.der", lab.folder / "list.pem"
        ask = ["openssl", "ocsp", "-issuer", issuer, "-cert", leaf, "-url", ocsp_url, "-CAfile", root, "-verify_other", issuer]

        def verify(status):
            code, headers = curl(list_url, body=der)
            expect(code == 200 and headers["content-type"] == "application/pkix-crl" and "max-age=" in headers["cache-control"], str(headers))
            run(["openssl", "crl", "-inform", "DER", "-in", der, "-out", pem])
            return headers, run(["openssl", "verify", "-crl_check", "-CAfile", root, "-untrusted", issuer, "-CRLfile", pem, leaf], status=status)

        wait_for(lambda: curl(list_url)[0] == 200, 20, "the first list")
        headers, said = verify(0)
        expect(": OK" in said, said)
        said = run(ask)
        expect("Response verify OK" in said and ": good" in said, said)
        said = run([*ask, "-no_nonce"])
        expect("Response verify OK" in said and ": good" in said, said)
        code, again = curl(list_url, "-H", f"If-None-Match: {headers['etag']}")
        expect(code == 304 and again["etag"] == headers["etag"] and "content-length" not in again, str(again))
        code, again = curl(list_url, "-I")
        expect(code == 200 and again["etag"] == headers["etag"], str(again))
        expect(curl(list_url, "-0")[0] == 200 and curl(list_url, "-H", "Host: elsewhere.example")[0] == 200, "HTTP/1.0 or another Host is refused")
        say("good, by list and by OCSP, over plain HTTP")

        for path in ("/", "/dir", "/acme/directory", "/acme/new-nonce", "/acme/renewal-info/a.b", "/acme/crl/../directory", "/acme/t/x/crl"):
            for words in ((), ("-I",), ("-d", "{}")):
                code, headers = curl(base + path, "--path-as-is", *words)
                expect(code in (404, 413) and not {"replay-nonce", "link", "location"} & headers.keys(), f"{path} {words}: {code} {headers}")
        expect(curl(f"{base}/acme/new-order", "-d", "")[0] == 404, "new-order is served")
        expect(curl(ocsp_url, "-H", "Content-Type: application/ocsp-request", "-d", "x" * 5000)[0] == 413, "a large body is taken")
        say("nothing of ACME there")

        before = der.read_bytes()
        publish = ["publish", lab.sim / "keyward.toml", "--to", lab.folder / "published"]
        lab.keywardctl(*publish)
        revoke()
        wait_for(lambda: ": revoked" in run(ask), 20, "revoked by OCSP")
        wait_for(lambda: curl(list_url, "-H", f"If-None-Match: {again['etag']}")[0] == 200, 20, "the next list")
        headers, said = verify(2)
        expect("certificate revoked" in said and headers["etag"] != again["etag"] and der.read_bytes() != before, said)
        say("revoked, by list and by OCSP")

        kept, delta = lab.folder / "kept.pem", lab.folder / "delta.pem"
        (lab.folder / "kept.der").write_bytes(before)
        run(["openssl", "crl", "-inform", "DER", "-in", lab.folder / "kept.der", "-out", kept])
        wait_for(lambda: curl(f"{list_url}/delta", body=lab.folder / "delta.der")[1].get("etag") == headers["etag"], 20, "the delta of that list")
        run(["openssl", "crl", "-inform", "DER", "-in", lab.folder / "delta.der", "-out", delta])
        words = ["openssl", "verify", "-crl_check", "-CAfile", root, "-untrusted", issuer, "-CRLfile", kept]
        expect(": OK" in run([*words, leaf]), "the list of before knows it")
        said = run([*words, "-extended_crl", "-use_deltas", "-CRLfile", delta, leaf], status=2)
        expect("certificate revoked" in said, said)
        expect(curl(f"{list_url}/long")[0] == 404, "a list that is not made is served")
        say("revoked, by the list of before and the delta")

        said = lab.keywardctl(*publish)
        lab.keywardctl("publish", "--check", "--to", lab.folder / "published")
        published = lab.files("published/keyward-simulator-issuing-ca-1.crl")[0].read_bytes()
        expect(published == der.read_bytes(), f"another list was published:\n{said}")
        run(["openssl", "crl", "-inform", "DER", "-in", lab.folder / "published/keyward-simulator-issuing-ca-1.crl", "-noout", "-CAfile", issuer])
        say("published, and whole")
    finally:
        lab.close()


def write(path, octets):
    path.write_bytes(octets)
    return path


if __name__ == "__main__":
    main({"stock_clients": stock_clients, "plain_http": plain_http})
