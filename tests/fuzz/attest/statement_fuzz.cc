// Fuzzes what a device sends. First octet: which reader. Held: a verifier without a root accepts
// nothing, and what is said to be read is within what came.
#include <cstdlib>

#include "firmware/attest/android_key_description.h"
#include "firmware/attest/android_status_list.h"
#include "firmware/attest/authenticator_data.h"
#include "firmware/attest/device_attest.h"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      fuzz_statement(rest);
      break;
    case 1:
      fuzz_auth_data(rest);
      break;
    case 2:
      fuzz_key_description(rest);
      break;
    default:
      (void)attest::AndroidStatusList::parse(text_of(rest));
      break;
  }
  return 0;
}
