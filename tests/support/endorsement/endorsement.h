// Owns a make-believe TPM vendor for tests: root, intermediate (with an unsorted RDN set, as vendors
// write them), EK certificates and public areas, each part of which can be made wrong alone. Must not
// know the verifier.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"

namespace keyward::test {

struct EkSpec {
  enum class Issuer { kIntermediate, kRoot, kUnknown, kNamesake };
  Issuer issuer = Issuer::kIntermediate;
  bool version_1 = false;
  bool ca = false;
  std::vector<std::string> usages = {"2.23.133.8.1"};
  bool other_key_usage = false;  // digitalSignature alone
  bool san = true;
  std::string manufacturer = "id:49465800";  // IFX
  std::string model = "SLB9670";
  std::string version = "id:0007";
  std::int64_t not_before_ms = 0, not_after_ms = 0;  // 0: an hour either side
  bool weak_key = false;
  bool flip_signature = false;
  bool aia = false;
  bool basic_constraints = true;
  std::optional<Bytes> raw_san;  // the whole subjectAltName instead
};

struct AreaSpec {
  std::uint32_t attributes = 0;
  std::uint16_t name_alg = 0x000B;
  std::uint16_t scheme = 0x0010;    // TPM_ALG_NULL
  std::uint16_t curve = 0x0003;     // P-256; another one keeps the coordinates
  int aes_bits = 0;                 // 0: no cipher
  std::uint16_t aes_mode = 0x0043;  // CFB
};
AreaSpec good_ek_area();  // P-256
AreaSpec good_ak_area();
// TPMT_PUBLIC of a P-256 key.
Bytes area_of(const AreaSpec& spec, const crypto::PublicKey& key);

class EkMaker {
 public:
  explicit EkMaker(std::int64_t at_utc_ms, std::int64_t intermediate_not_after_ms = 0);
  const x509::Certificate& root() const { return *root_; }
  const x509::Certificate& intermediate() const { return *intermediate_; }
  const crypto::PrivateKey& ek() const { return *ek_; }
  const crypto::PrivateKey& ak() const { return *ak_; }
  Bytes certificate(const EkSpec& spec = {}) const;  // of ek()
  Bytes certificate(const EkSpec& spec, const crypto::PublicKey& ek) const;

 private:
  std::int64_t at_utc_ms_;
  std::optional<crypto::PrivateKey> root_key_, intermediate_key_, other_key_, ek_, ak_;
  std::optional<x509::Certificate> root_, intermediate_;
};

}  // namespace keyward::test
