// Owns make-believe carriers of evidence: CBOR by hand, certificates, PKIX evidence, CSRs with
// attestations, each part of which can be made wrong alone. Must not know the rules that are tested.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/rats/pkix_evidence.h"

namespace keyward::test {

template <class T, class E>
T must_have(tl::expected<T, E> result) {
  if (!result) std::abort();
  return std::move(*result);
}

// One encoded item each.
namespace cb {
Bytes integer(std::int64_t value);
Bytes text(std::string_view value);
Bytes bytes(ByteView value);
Bytes boolean(bool value);
Bytes array(const std::vector<Bytes>& items);
Bytes map(const std::vector<std::pair<Bytes, Bytes>>& members);
Bytes tag(std::uint64_t number, const Bytes& item);
}  // namespace cb

inline constexpr std::int64_t kRatsAtMs = 1'790'000'000'000;
inline constexpr std::int64_t kRatsAtS = kRatsAtMs / 1'000;
inline constexpr const char* kPkixArc = "1.3.6.1.4.1.99999.1";
inline constexpr const char* kAkUsage = "1.3.6.1.4.1.99999.2";
rats::PkixOids pkix_oids();

struct CertificateSpec {
  std::string subject = "Make-believe attester";
  bool digital_signature = true;
  bool key_usage = true;
  bool is_ca = false;
  std::string extended_key_usage;  // "": none
  bool expired = false;
};

// A root, and certificates under it.
class RatsAuthority {
 public:
  explicit RatsAuthority(std::string name = "Make-believe evidence root");
  x509::Certificate root() const;
  Bytes issue(const crypto::PublicKey& key, const CertificateSpec& spec = {}) const;

 private:
  std::string name_;
  crypto::PrivateKey key_;
  Bytes root_der_;
};

// ---- PKIX evidence. A claim is its number below the element's arc and its value's TLV.
struct PkixClaimSpec {
  std::string number;  // "1.0" below <arc>.1.<kind>, or a whole OID with "=" in front
  Bytes value;         // a whole TLV with a context tag; empty: no value
};
struct PkixElementSpec {
  unsigned kind = 2;  // 0 transaction, 1 platform, 2 key; above: an unknown type
  std::vector<PkixClaimSpec> claims;
};
struct PkixSpec {
  std::uint64_t version = 1;
  std::vector<PkixElementSpec> elements;
  bool sign = true;
  std::optional<Bytes> signer_spki;   // [1] as well
  std::optional<std::string> key_id;  // [0] in place of the certificate
  std::optional<Bytes> certificate;   // [2]
  std::optional<Bytes> algorithm;     // in place of the right one
  std::vector<Bytes> intermediates;
  std::optional<Bytes> raw_tbs;  // what is signed, in place of version and elements
};
PkixSpec good_pkix(ByteView nonce, const crypto::PublicKey& attested);
Bytes make_pkix(const PkixSpec& spec, const crypto::PrivateKey& key);
namespace pkix {
Bytes bytes(ByteView value);
Bytes text(std::string_view value);
Bytes boolean(bool value);
Bytes time(std::int64_t utc_ms);
Bytes integer(std::uint64_t value);
}  // namespace pkix

// A CSR with these values of id-aa-attestation, one attribute each.
Bytes csr_with_attestations(const crypto::PrivateKey& key, const std::vector<Bytes>& values);
Bytes attestation_bundle(const std::vector<std::pair<std::string, Bytes>>& statements,
                         const std::vector<Bytes>& certificates);

}  // namespace keyward::test
