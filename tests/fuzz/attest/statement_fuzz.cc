// Fuzzes what a device sends. First octet: which reader. Held: a verifier without a root accepts
// nothing; what is said to be read is within what came; of structures that a good device's keys signed
// as they came, what is accepted is for the key that the device has.
#include <cstdlib>

#include "firmware/attest/android_key_description.h"
#include "firmware/attest/android_status_list.h"
#include "firmware/attest/authenticator_data.h"
#include "firmware/attest/device_attest.h"
#include "firmware/x509/der.h"
#include "tests/support/statement/formats.h"
#include "tests/support/statement/statement.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

void fuzz_statement(ByteView bytes) {
  attest::DeviceAttestPolicy policy;
  policy.packed.emplace();
  policy.apple.emplace().require_external_account = false;
  policy.android.emplace();
  policy.step.emplace();
  const auto result =
      attest::appraise_device(bytes, {wire::IdentifierType::kPermanentIdentifier, "X"},
                              attest::DeviceChallenge{"token.thumbprint"}, policy, 1);
  if (result || result.error().code.empty() || result.error().detail.empty()) std::abort();
}

void fuzz_auth_data(ByteView bytes) {
  const auto data = attest::parse_authenticator_data(bytes);
  if (data && (data->aaguid.size() != 16 || data->rp_id_hash.size() != 32)) std::abort();
}

void fuzz_key_description(ByteView bytes) {
  const auto key = attest::parse_key_description(bytes);
  if (key && (key->challenge.size() > bytes.size() || key->attestation_security > 2)) std::abort();
}

// ---- behind the chain and the signature

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::string_view kKeyAuthorization = "token.thumbprint";
const wire::Identifier kDevice{wire::IdentifierType::kPermanentIdentifier, "DEVICE-1"};

const test::StatementMaker& tpm_maker() {
  static const auto* const made = new test::StatementMaker(kAt);
  return *made;
}
const test::FormatMaker& maker() {
  static const auto* const made = new test::FormatMaker(kAt);
  return *made;
}

void must_be_for(const attest::Appraised<attest::AttestedKey>& result,
                 const crypto::PublicKey& key) {
  if (result && result->key.spki_sha256() != key.spki_sha256()) std::abort();
  if (!result && (result.error().code.empty() || result.error().detail.empty())) std::abort();
}

// Part `part` of a TPM's statement is these octets; all else is good, and signed with them.
void fuzz_tpm(int part, ByteView bytes) {
  auto spec = test::StatementMaker::good();
  const auto replace = [bytes](Bytes& octets) { octets = to_bytes(bytes); };
  if (part == 0) spec.edit_cert_info = replace;
  if (part == 1) spec.edit_pub_area = replace;
  if (part == 2) spec.edit_sent_sig = replace;
  if (part == 3) spec.ak.raw_san = to_bytes(bytes);
  const auto result =
      attest::appraise_device(tpm_maker().attestation_object(spec), kDevice,
                              std::string(kKeyAuthorization), {{tpm_maker().anchor()}}, kAt);
  if (part == 1) return;  // another public area may be of another key
  must_be_for(result, tpm_maker().attested_key());
}

template <class Policy>
Policy rooted() {
  Policy out;
  out.roots = {maker().root()};
  return out;
}
// The octets are authenticator data, or an extension of the leaf's certificate.
void fuzz_format(int part, ByteView bytes) {
  test::FormatSpec spec;
  attest::DeviceAttestPolicy policy;
  policy.packed = rooted<attest::PackedPolicy>();
  policy.apple = rooted<attest::ApplePolicy>();
  policy.apple->require_external_account = false;
  policy.android = rooted<attest::AndroidPolicy>();
  policy.step = rooted<attest::StepPolicy>();
  spec.message = to_bytes(kKeyAuthorization);
  const auto has = [&](const char* oid, ByteView value) {
    spec.leaf.extensions.emplace_back(oid, to_bytes(value));
  };
  if (part == 0) {
    spec.format = "packed";
    has("1.3.6.1.4.1.45724.1.1.2", x509::der_octet_string(view_of("DEVICE-1")));
    spec.auth_data = to_bytes(bytes);
    spec.message = to_bytes(bytes);
    append(spec.message, crypto::sha256(view_of(kKeyAuthorization)));
  } else if (part == 1) {
    spec.format = "android-key";
    has("1.3.6.1.4.1.11129.2.1.17", bytes);
  } else if (part == 2) {
    spec.format = "step";
    spec.wrap_signature = true;
    has("1.3.6.1.4.1.41482.3.3", Bytes{5, 4, 3});
    has("1.3.6.1.4.1.41482.3.7", bytes);
    has("1.3.6.1.4.1.41482.3.8", Bytes{2, 1});
  } else {
    spec.format = "apple";
    spec.alg.reset();
    spec.has_sig = false;
    has("1.2.840.113635.100.8.9.1", bytes);
    has("1.2.840.113635.100.8.11.1", crypto::sha256(view_of("token")));
  }
  must_be_for(
      attest::appraise_device(maker().attestation_object(spec), kDevice,
                              attest::DeviceChallenge{std::string(kKeyAuthorization)}, policy, kAt),
      maker().key(crypto::KeyKind::kEcP256).public_key());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const int reader = data[0] % 12;
  if (reader == 0) fuzz_statement(rest);
  if (reader == 1) fuzz_auth_data(rest);
  if (reader == 2) fuzz_key_description(rest);
  if (reader == 3) (void)attest::AndroidStatusList::parse(text_of(rest));
  if (reader >= 4 && reader < 8) fuzz_tpm(reader - 4, rest);
  if (reader >= 8) fuzz_format(reader - 8, rest);
  return 0;
}
