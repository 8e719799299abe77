// Owns a test zone's DNSSEC keys and signatures: a KSK and a ZSK made here, ECDSA P-256 (RFC 4034,
// RFC 6605). Must not know servers. Threads: one.
#pragma once

#include "firmware/crypto/crypto.h"
#include "tests/support/dns_server/dns_server.h"

namespace keyward::test {

class SignedZone {
 public:
  explicit SignedZone(std::string apex);
  // One line of a trust anchor file: the KSK.
  std::string anchor() const;
  // Puts the signed DNSKEY set into the server.
  void publish_keys(DnsServer& server) const;
  struct Window {
    std::int64_t begin_s = 0, end_s = 0;  // empty: from an hour ago to an hour ahead
  };
  // The RRSIG RDATA of the ZSK over this set (all of one name and type).
  Bytes sign(const std::string& name, std::uint16_t type, std::vector<Bytes> set,
             Window window) const;
  Bytes sign(const std::string& name, std::uint16_t type, std::vector<Bytes> set) const {
    return sign(name, type, std::move(set), Window{});
  }

 private:
  Bytes dnskey(const crypto::PrivateKey& key, unsigned flags) const;
  Bytes sign_with(const crypto::PrivateKey& key, const Bytes& rdata, const std::string& name,
                  std::uint16_t type, std::vector<Bytes> set, Window window) const;
  std::string apex_;
  crypto::PrivateKey ksk_, zsk_;
};

}  // namespace keyward::test
