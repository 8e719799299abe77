// Owns make-believe statements of the formats beside tpm: a manufacturer, a leaf certificate with any
// extensions, and the CBOR around it, so that each field can be made wrong alone. Must not know the
// rules that are tested.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"

namespace keyward::test {

struct LeafSpec {
  std::vector<std::pair<std::string, Bytes>> extensions;  // OID, content of the extension
  std::vector<std::string> organizational_units{"Authenticator Attestation"};
  std::string country = "AA", organization = "Manufacturer", common_name = "Batch 7";
  bool version_1 = false;
  bool is_ca = false;
  bool basic_constraints = true;
  bool aaguid_critical = false;                      // the first extension is critical
  bool unknown_ca = false;                           // another issuer's name and key
  bool impostor_ca = false;                          // the same name, another key
  std::int64_t not_before_ms = 0, not_after_ms = 0;  // 0: an hour either side
};

struct FormatSpec {
  std::string format;
  LeafSpec leaf;
  crypto::KeyKind leaf_kind = crypto::KeyKind::kEcP256;
  std::optional<std::int64_t> alg = -7;
  bool has_sig = true, has_x5c = true;
  std::optional<Bytes> auth_data;
  Bytes message;  // what the leaf's key signs
  bool signed_by_other = false;
  bool wrap_signature = false;        // as a CBOR byte string (format step)
  bool through_intermediate = false;  // leaf <- intermediate <- manufacturer
  std::vector<std::pair<std::string, Bytes>> intermediate_extensions;
  std::function<void(Bytes&)> edit_sent_sig, edit_sent_certificate;  // once all is signed
};

class FormatMaker {
 public:
  explicit FormatMaker(std::int64_t at_utc_ms);
  const x509::Certificate& root() const { return *root_; }
  const crypto::PrivateKey& key(crypto::KeyKind kind) const;  // the leaf's
  Bytes attestation_object(const FormatSpec& spec) const;
  // The serial number of the leaf certificates, as octets.
  static Bytes leaf_serial();

 private:
  Bytes leaf(const FormatSpec& spec) const;
  std::int64_t at_utc_ms_;
  std::optional<crypto::PrivateKey> ca_, other_ca_, intermediate_, p256_, p384_, p521_, rsa_,
      ed25519_, stranger_;
  std::optional<x509::Certificate> root_;
};

// ---- WebAuthn authenticator data.
struct AuthDataSpec {
  std::uint8_t flags = 0x41;  // user present, attested credential
  Bytes aaguid = Bytes(16, 0xa5);
  Bytes cose_key;
  Bytes behind;
};
Bytes auth_data(const AuthDataSpec& spec);
Bytes cose_ec_key(const crypto::PublicKey& key);  // P-256, P-384; P-521 by its number
Bytes cose_rsa_key(const crypto::PublicKey& key);

// ---- Android's KeyDescription.
struct KeyDescriptionSpec {
  unsigned attestation_security = 1, keymint_security = 1;
  Bytes challenge;
  bool software_all_applications = false, hardware_all_applications = false;
  std::optional<unsigned> origin = 0;
  std::vector<unsigned> purposes{2};
  bool root_of_trust = true, device_locked = true;
  unsigned boot_state = 0;
  std::optional<std::uint64_t> os_patch = 202610, vendor_patch = 20261005, boot_patch = 20261001;
  std::optional<std::string> serial = "DEVICE-1", imei, second_imei, meid;
  bool serial_in_software = false;  // where only software vouches for it
  bool tags_descend = false;
  bool unknown_tag = false;
  bool trailing = false;
};
Bytes key_description(const KeyDescriptionSpec& spec);

}  // namespace keyward::test
