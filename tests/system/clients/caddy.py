"""Caddy, the web server that gets its own certificates: tls-alpn-01, http-01, EAB. It is asked by TLS which one it serves."""
import json
import socket
import ssl
import subprocess

from lab import Failed, Lab, expect, main, need, quiet_port, say, wait_for


class Caddy:
    def __init__(self, lab, name, *, challenge, binding=None):
        self.lab, self.name = lab, name
        self.port = lab.tls_port if challenge == "tls-alpn-01" else quiet_port()
        disabled = "http" if challenge == "tls-alpn-01" else "tls-alpn"
        issuer = {"module": "acme", "ca": lab.directory, "email": "op@plant.example", "trusted_roots_pem_files": [str(lab.ca_file)],
                  "challenges": {disabled: {"disabled": True}, "http": {"alternate_port": lab.http_port}, "tls-alpn": {"alternate_port": self.port}}}
        issuer["challenges"][disabled] = {"disabled": True}
        if binding:
            issuer["external_account"] = {"key_id": binding["kid"], "mac_key": binding["key"]}
        config = {"admin": {"disabled": True}, "storage": {"module": "file_system", "root": str(lab.folder / f"caddy-{challenge}")},
                  "apps": {"http": {"http_port": lab.http_port, "https_port": self.port,
                                    "servers": {"one": {"listen": [f"127.0.0.1:{self.port}"], "routes": [{"match": [{"host": [name]}], "handle": [
                                        {"handler": "static_response", "body": "here"}]}]},
                                                "two": {"listen": [f"127.0.0.1:{lab.http_port}"], "automatic_https": {"disable": True}}}},
                           "tls": {"automation": {"policies": [{"subjects": [name], "issuers": [issuer]}]}}}}
        path = lab.folder / f"caddy-{challenge}.json"
        path.write_text(json.dumps(config))
        self.log = lab.folder / f"caddy-{challenge}.log"
        out = open(self.log, "w")
        home = {"HOME": str(lab.folder), "XDG_DATA_HOME": str(lab.folder), "XDG_CONFIG_HOME": str(lab.folder), "PATH": "/usr/bin:/bin"}
        lab.processes.append(subprocess.Popen(["caddy", "run", "--config", str(path)], env=home, stdout=out, stderr=out))

    def served(self):
        """The certificate chain's leaf, if it serves one that our root vouches for."""
        context = self.lab.context()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as plain, context.wrap_socket(plain, server_hostname=self.name) as tls:
                return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
        except (OSError, ssl.SSLError):
            return None

    def judge(self):
        try:
            wait_for(lambda: self.served() is not None, 60, "Caddy serves a certificate of ours")
        except Failed as failure:
            raise Failed(f"{failure}\n{self.log.read_text()[-4000:]}")
        leaf = self.lab.folder / "caddy.pem"
        leaf.write_text(self.served())
        return self.lab.check(leaf, self.name)


def with_lab(*settings):
    def wrap(function):
        def inner():
            need("caddy")
            lab = Lab(*settings, http=False)
            try:
                function(lab)
            finally:
                lab.close()
        return inner
    return wrap


@with_lab()
def tls_alpn(lab):
    Caddy(lab, "caddy.plant.example", challenge="tls-alpn-01").judge()


@with_lab()
def http(lab):
    Caddy(lab, "caddy.plant.example", challenge="http-01").judge()


@with_lab("signer.external_account_required=true")
def account_binding(lab):
    made = json.loads(lab.keywardctl("eab", "add", lab.sim / "state/attestation", "--json"))
    Caddy(lab, "bound.plant.example", challenge="tls-alpn-01", binding=made).judge()


if __name__ == "__main__":
    main({"tls_alpn": tls_alpn, "http": http, "account_binding": account_binding})
