"""OCSP by the stock clients: openssl asks (with and without nonce, by both hashes, by POST), GET as caches see it, gnutls reads the answer; before and
after a revocation, and for a serial that was never issued."""
import base64
import pathlib
import ssl
import sys
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))
from lab import Lab, expect, main, need, run, say  # noqa: E402  (its folder is found first)


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


def write(path, octets):
    path.write_bytes(octets)
    return path


if __name__ == "__main__":
    main({"stock_clients": stock_clients})
