"""acme-tiny: http-01 by folder, and a second certificate (it knows no renewal and no revocation)."""
from lab import Lab, expect, main, need, run


def issue():
    need("acme-tiny")
    lab = Lab()
    try:
        run(["openssl", "genrsa", "-out", lab.folder / "account.key", "2048"])
        serials = []
        for number in (1, 2):
            run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", lab.folder / "key.pem", "-subj", "/", "-addext",
                 "subjectAltName=DNS:tiny.plant.example", "-out", lab.folder / "csr.pem"])
            out = run(["acme-tiny", "--quiet", "--account-key", lab.folder / "account.key", "--csr", lab.folder / "csr.pem", "--directory-url", lab.directory,
                       "--acme-dir", lab.webroot / ".well-known/acme-challenge", "--disable-check"], env={"SSL_CERT_FILE": str(lab.ca_file)})
            chain = lab.folder / f"tiny{number}.pem"
            chain.write_text(out)
            serials.append(lab.check(chain, "tiny.plant.example", key_path=lab.folder / "key.pem"))
        expect(serials[0] != serials[1], "the second run gave the same certificate")
    finally:
        lab.close()


if __name__ == "__main__":
    main({"issue": issue})
