// Fuzzes vendors' tokens. First octet: which reader. Held: nothing is good that the key did not sign;
// of what it signed, what is good has a domain and an end.
#include <cstdlib>

#include "firmware/attest/vendor_token.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

constexpr std::int64_t kAt = 1'790'000'000'000;

const crypto::PrivateKey& key() {
  static auto* const made =
      new crypto::PrivateKey(*crypto::PrivateKey::generate(crypto::KeyKind::kEd25519));
  return *made;
}

attest::VendorPolicy policy() {
  attest::Vendor vendor;
  vendor.iss = "as.vendor.com";
  vendor.keys.push_back({"", key().public_key()});
  vendor.audience = "acme.com";
  vendor.algorithms = {"ES256", "EdDSA"};
  vendor.mac_prefixes = {"00:24:98"};
  vendor.must_name_account = false;
  return {vendor};
}

attest::VendorVerdict ask(std::string_view token, bool atc) {
  const wire::Identifier mac{wire::IdentifierType::kMac, "00:24:98:7b:19:02"};
  return attest::verify_vendor_token({token, &mac, {}, atc}, policy(), kAt);
}

void fuzz_signed_claims(ByteView claims, bool atc) {
  const auto text =
      base64url_encode(view_of("{\"alg\":\"EdDSA\"}")) + "." + base64url_encode(claims);
  const auto signature =
      key().sign(crypto::SignatureScheme::kEd25519, crypto::HashAlgorithm::kSha512, view_of(text));
  if (!signature) std::abort();
  const auto verdict = ask(text + "." + base64url_encode(*signature), atc);
  if (!verdict.refusal && (verdict.domains.empty() || verdict.expires_ms <= kAt)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
    case 1:
      if (!ask(text_of(rest), data[0] % 4 == 1).refusal) std::abort();
      break;
    case 2:
      (void)attest::parse_key_set(text_of(rest));
      break;
    default:
      fuzz_signed_claims(rest, false);
      fuzz_signed_claims(rest, true);
  }
  return 0;
}
