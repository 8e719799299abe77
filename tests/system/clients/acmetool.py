"""acmetool: http-01 by folder, the terms of service agreed to by their exact URL, one certificate in place of another.

Its `revoke` only marks the certificate in its own state in this version; nothing reaches a server.
"""
import shutil

from lab import Lab, expect, main, need, run, say

TERMS = "https://plant.example/terms-1"


class Acmetool:
    def __init__(self, lab):
        self.lab, self.dir = lab, lab.folder / "acmetool"
        (self.dir / "conf").mkdir(parents=True)
        (lab.folder / "hooks").mkdir()
        (self.dir / "conf/target").write_text(f"""request:
  provider: {lab.directory}
  challenge:
    webroot-paths:
      - {lab.webroot}/.well-known/acme-challenge
    http-self-test: false
  key:
    type: ecdsa
""")
        self.responses = lab.folder / "responses"
        self.responses.write_text(f'"acme-enter-email": "op@plant.example"\n"acme-agreement:{TERMS}": true\n')

    def __call__(self, *words, status=0):
        return run(["acmetool", f"--state={self.dir}", f"--hooks={self.lab.folder}/hooks", f"--response-file={self.responses}", "--batch", *words],
                   env={"SSL_CERT_FILE": str(self.lab.ca_file)}, status=status)


def issue_renew():
    need("acmetool")
    lab = Lab(f'acme.terms_of_service="{TERMS}"')
    try:
        tool = Acmetool(lab)
        tool("want", "tool.plant.example", "tool2.plant.example")
        live = tool.dir / "live/tool.plant.example"
        first = lab.check(live / "fullchain", "tool.plant.example", "tool2.plant.example", key_path=live / "privkey")
        # It renews what it has not got any more.
        shutil.rmtree(live.resolve())
        tool("reconcile")
        second = lab.check(live / "fullchain", "tool.plant.example", "tool2.plant.example")
        expect(first != second, "no other certificate")
        say("renewed")
    finally:
        lab.close()


if __name__ == "__main__":
    main({"issue_renew": issue_renew})
