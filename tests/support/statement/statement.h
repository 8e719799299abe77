// Owns make-believe tpm statements for tests: an AK certificate, certInfo and pubArea made in
// software, so that each field can be made wrong alone. Real TPMs speak in tests/component and
// tests/system.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"

namespace keyward::test {

// What an AK certificate says; the defaults are a good one.
struct AkCertificateSpec {
  std::optional<std::string> permanent_identifier = "DEVICE-1";
  std::optional<std::string> assigner;
  std::optional<std::pair<std::string, std::string>> hardware_module;  // type (dotted), serial
  bool empty_subject = true;
  bool basic_constraints = true;
  bool is_ca = false;
  std::vector<std::string> usages = {"2.23.133.8.3"};
  bool san = true;
  bool san_critical = true;
  bool tcg_manufacturer = true;
  bool tcg_model = true;
  bool tcg_version = true;
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;  // 0: an hour either side of `at`
  std::optional<Bytes> raw_san;   // the whole subjectAltName instead
};

struct StatementSpec {
  AkCertificateSpec ak;
  std::string key_authorization = "token.thumbprint";
  std::string ver = "2.0";
  std::int64_t alg = -7;           // what the statement says
  std::int64_t ak_alg = -7;        // COSE: how the AK signs, and with which hash extraData is made
  bool extra_data_sha256 = false;  // whatever ak_alg's hash is
  bool tpmt_signature = false;     // `sig` as the TPM's own structure, said to be ...
  std::optional<std::uint16_t> tpmt_hash;    // ... by this TPM_ALG_ID instead of ak_alg's
  std::optional<std::uint16_t> tpmt_scheme;  // ... and this
  bool trailing_sig = false;
  std::uint32_t attributes =
      0;  // set by the constructor of Maker: fixedTPM, fixedParent, origin, sign
  std::uint16_t name_alg = 0x000B;
  int rsa_bits = 0;  // 0: an EC P-256 key
  std::uint32_t magic = 0xFF544347;
  std::uint16_t attest_type = 0x8017;
  bool other_key_in_pub_area = false;
  bool signed_by_other_ak = false;
  bool flip_cert_info = false;  // after signing
  bool trailing_cert_info = false;
  bool trailing_pub_area = false;
  std::string without_member;    // of attStmt, e.g. "sig"
  std::uint16_t curve = 0x0003;  // TPM_ECC_NIST_P256; another one keeps the P-256 coordinates
  bool ak_version_1 = false;     // an AK certificate without version and extensions
  bool ak_rsa_1024 = false;      // whose key is too weak to be read
  bool unknown_ca = false;       // the AK certificate is by a CA of another name and key
  bool impostor_ca = false;      // the same name, another key
  std::string format = "tpm";
  // Changes of octets: certInfo before it is signed, pubArea before it is named, the others as sent.
  using Edit = std::function<void(Bytes&)>;
  Edit edit_cert_info, edit_pub_area, edit_sent_cert_info, edit_sent_pub_area, edit_sent_sig,
      edit_sent_certificate;
};

class StatementMaker {
 public:
  explicit StatementMaker(std::int64_t at_utc_ms);
  // AK certificates by a given make-believe manufacturer (the simulator's), so that a running
  // appliance accepts them.
  StatementMaker(std::int64_t at_utc_ms, crypto::PrivateKey manufacturer, x509::Certificate anchor);
  static StatementSpec good();
  const x509::Certificate& anchor() const { return *anchor_; }
  Bytes attestation_object(const StatementSpec& spec) const;
  Bytes attestation_object(const StatementSpec& spec, const crypto::PrivateKey& device_key) const;
  const crypto::PrivateKey& device_key() const { return *device_; }
  Bytes ak_certificate(const StatementSpec& spec) const;
  // The same for an attestation key that lives elsewhere (in a real TPM).
  Bytes ak_certificate(const StatementSpec& spec, const crypto::PublicKey& ak) const;
  const crypto::PublicKey& attested_key() const { return device_->public_key(); }
  std::int64_t at_utc_ms() const { return at_utc_ms_; }

 private:
  Bytes pub_area(const StatementSpec& spec, const crypto::PrivateKey& key) const;
  Bytes cert_info(const StatementSpec& spec, ByteView pub_area) const;
  std::int64_t at_utc_ms_;
  const crypto::PrivateKey& ak_of(const StatementSpec& spec) const;
  Bytes signature(const StatementSpec& spec, const crypto::PrivateKey& key, ByteView info) const;
  std::optional<crypto::PrivateKey> ca_, other_ca_, ak_, other_ak_, device_, other_device_;
  std::optional<x509::Certificate> anchor_;
};

}  // namespace keyward::test
