#include "apps/sim/manufacturer.h"

#include "firmware/attest/tpm_structures.h"
#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::simulator {
namespace {

using x509::der_oid;
using x509::der_sequence;
using x509::tlv;

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kBackdateMs = 3'600'000;
constexpr std::size_t kFileBytesMax = 65'536;
constexpr std::string_view kAikCertificate = "2.23.133.8.3";
constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::string_view kPermanentIdentifier = "1.3.6.1.5.5.7.8.3";
constexpr std::string_view kHardwareModuleName = "1.3.6.1.5.5.7.8.4";
constexpr std::string_view kTpm20 = "2.23.133.1.2";

Bytes manufacturer_name() {
  return x509::name_der(
      {{"2.5.4.10", "MAKE-BELIEVE"}, {"2.5.4.3", "Make-believe TPM manufacturer (simulator)"}});
}

x509::TbsSpec base_spec(const Bytes& subject, ByteView spki, std::int64_t days) {
  const auto now = system_clock().utc_ms();
  x509::TbsSpec spec;
  spec.serial = random_bytes(16);
  spec.serial[0] = static_cast<std::uint8_t>((spec.serial[0] & 0x3f) | 0x40);
  spec.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  spec.issuer_name_der = manufacturer_name();
  spec.subject_name_der = subject;
  spec.not_before_ms = now - kBackdateMs;
  spec.not_after_ms = now + days * kDayMs;
  spec.spki_der = to_bytes(spki);
  return spec;
}

Result<Bytes> sign(const crypto::PrivateKey& key, const x509::TbsSpec& spec) {
  const Bytes tbs = x509::build_tbs(spec);
  KEYWARD_TRY(signature,
              key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, tbs));
  return x509::join_certificate(tbs, spec.signature_algorithm, signature);
}

Bytes device_alt_name(const std::string& name) {
  // The vendor id of TCG's registry form for a vendor that does not exist: "KWRD".
  const Bytes tpm = x509::name_der({{"2.23.133.2.1", "id:4B575244"},
                                    {"2.23.133.2.2", "Make-believe TPM"},
                                    {"2.23.133.2.3", "id:00010000"}});
  const Bytes value = der_sequence({tlv(x509::tag::kUtf8String, view_of(name))});
  const Bytes other =
      tlv(x509::tag::context_constructed(0),
          {der_oid(kPermanentIdentifier), tlv(x509::tag::context_constructed(0), value)});
  // RFC 4108: the same device as a TPM 2.0 (hwType 2.23.133.1.2), for hardware-module.
  const Bytes module = der_sequence({der_oid(kTpm20), x509::der_octet_string(view_of(name))});
  const Bytes module_name =
      tlv(x509::tag::context_constructed(0),
          {der_oid(kHardwareModuleName), tlv(x509::tag::context_constructed(0), module)});
  return der_sequence({tlv(x509::tag::context_constructed(4), tpm), other, module_name});
}

}  // namespace

Status make_manufacturer(const std::string& dir) {
  if (file_exists(dir + "/ca.pem") && file_exists(dir + "/ca.key")) return {};
  KEYWARD_CHECK(make_directories(dir, 0755));
  KEYWARD_TRY(key, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  const Bytes& spki = key.public_key().spki_der();
  auto spec = base_spec(manufacturer_name(), spki, 7'305);
  spec.extensions = {x509::ext_basic_constraints(true, 0),
                     x509::ext_key_usage({x509::kKeyCertSign, x509::kCrlSign}),
                     x509::ext_subject_key_id(spki)};
  KEYWARD_TRY(certificate, sign(key, spec));
  KEYWARD_TRY(pem, key.to_pem());
  KEYWARD_CHECK(replace_file(dir + "/ca.key", pem.view(), 0600));
  return replace_file(dir + "/ca.pem", view_of(x509::to_pem("CERTIFICATE", certificate)), 0644);
}

Result<Bytes> certify_attestation_key(const std::string& dir, ByteView ak_public_area,
                                      const std::string& name) {
  KEYWARD_TRY(area, attest::parse_public_area(ak_public_area));
  if (!area.key || !area.attributes.restricted || !area.attributes.sign)
    return fail(ErrorKind::kRefused, "the key is not an attestation key");
  KEYWARD_TRY(pem, read_text_file(dir + "/ca.key", kFileBytesMax));
  KEYWARD_TRY(ca_key, crypto::PrivateKey::from_pem(pem));
  auto spec = base_spec(x509::name_der({}), area.key->spki_der(), 3'650);
  spec.extensions = {x509::ext_basic_constraints(false, std::nullopt),
                     x509::ext_key_usage({x509::kDigitalSignature}),
                     x509::ext_extended_key_usage({std::string(kAikCertificate)}),
                     x509::extension_der(kSubjectAltName, true, device_alt_name(name)),
                     x509::ext_authority_key_id(x509::key_id_of(ca_key.public_key().spki_der()))};
  return sign(ca_key, spec);
}

}  // namespace keyward::simulator
