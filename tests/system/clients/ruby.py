"""ruby-acme-client, the library: http-01, dns-01 with a wildcard, renewal, key change, account update, revocation (this version knows no EAB)."""
from lab import Lab, expect, main, need, run

PROGRAM = r"""
require 'acme-client'
require 'openssl'
require 'net/http'
require 'json'

# This version writes a coordinate that begins with a zero octet one octet short (RFC 7518 §6.2.1.2 wants all), which no
# server takes: such a key, one in 128, is not chosen.
def ec_key
  loop do
    key = OpenSSL::PKey::EC.generate('prime256v1')
    point = key.public_key.to_bn.to_s(16)
    return key unless point[2, 2] == '00' || point[66, 2] == '00'
  end
end

def client(key, bad = 0)
  Acme::Client.new(private_key: key, directory: ENV['DIRECTORY'], bad_nonce_retry: bad, connection_options: { ssl: { ca_file: ENV['CA'] } })
end

def wait(thing)
  60.times { return if %w[valid ready invalid].include?(thing.status) ; sleep 0.2 ; thing.reload }
  raise "still #{thing.status}"
end

def prove(order)
  order.authorizations.each do |authorization|
    next if authorization.status == 'valid'
    if ENV['DNS_HOOK'].to_s.empty?
      challenge = authorization.http
      path = File.join(ENV['WELL_KNOWN'], challenge.token)
      File.write(path, challenge.file_content)
    else
      challenge = authorization.dns
      system(ENV['DNS_HOOK'], 'set', "#{challenge.record_name}.#{authorization.domain}", challenge.record_content) or raise 'dns'
    end
    challenge.request_validation
    wait(challenge)
    raise "#{challenge.status} #{challenge.error}" unless challenge.status == 'valid'
  end
end

def issue(client, names, file)
  key = OpenSSL::PKey::EC.generate('prime256v1')
  order = client.new_order(identifiers: names)
  prove(order)
  csr = Acme::Client::CertificateRequest.new(private_key: key, names: names)
  order.finalize(csr: csr)
  wait(order)
  60.times { break if order.status == 'valid' ; sleep 0.2 ; order.reload }
  File.write(file, order.certificate)
  order
end

names = ENV['NAMES'].split
key = ENV['ACCOUNT'] == 'ec' ? ec_key : OpenSSL::PKey::RSA.new(2048)
c = client(key)
c.new_account(contact: 'mailto:op@plant.example', terms_of_service_agreed: true)
issue(c, names, ENV['OUT'] + '1.pem')
order = issue(c, names, ENV['OUT'] + '2.pem')
c.account_update(contact: 'mailto:second@plant.example')
other = ec_key
c.account_key_change(new_private_key: other)
c = client(other)
c.revoke(certificate: order.certificate, reason: Acme::Client::RevocationReason::SUPERSEDED) rescue c.revoke(certificate: order.certificate)
issue(c, names, ENV['OUT'] + '3.pem')
c.account_deactivate
puts 'done'
"""


def with_lab(*settings, **options):
    def wrap(function):
        def inner():
            need("ruby")
            if "cannot load" in run(["ruby", "-e", "require 'acme-client'"], status=None):
                need("ruby-acme-client")
            lab = Lab(*settings, **options)
            try:
                function(lab)
            finally:
                lab.close()
        return inner
    return wrap


def whole_life(lab, names, **env):
    script = lab.folder / "client.rb"
    script.write_text(PROGRAM)
    (lab.folder / "out").mkdir(exist_ok=True)
    done = run(["ruby", script], env={"DIRECTORY": lab.directory, "CA": lab.ca_file, "WELL_KNOWN": str(lab.webroot / ".well-known/acme-challenge"),
                                      "NAMES": " ".join(names), "OUT": str(lab.folder / "out/ruby"), **env})
    expect("done" in done, done)
    serials = [lab.check(lab.folder / f"out/ruby{n}.pem", *names) for n in (1, 2, 3)]
    expect(len(set(serials)) == 3, "not three certificates")
    lab.expect_revoked(serials[1])


@with_lab()
def http(lab):
    whole_life(lab, ["ruby.plant.example"])


@with_lab(http=False)
def dns_wildcard(lab):
    whole_life(lab, ["*.ruby.plant.example"], DNS_HOOK=str(lab.dns_hook()), ACCOUNT="ec")


if __name__ == "__main__":
    main({"http": http, "dns_wildcard": dns_wildcard})
