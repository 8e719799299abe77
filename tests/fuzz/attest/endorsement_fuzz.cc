// Fuzzes what the attestation CA reads: EK certificates, public areas, payloads, bundles of roots.
// First octet: which reader. Held: without a root no EK is accepted, no session is good that was not
// made here, and what is refused says why.
#include <cstdlib>

#include <unistd.h>

#include "firmware/attest/attestation_ca.h"
#include "firmware/attest/ca_search.h"
#include "firmware/attest/vendor_roots.h"
#include "hal/base/file.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

void fuzz_certificate(ByteView bytes) {
  const auto result = attest::appraise_ek(bytes, {}, {}, 1);
  if (result || result.error().code.empty() || result.error().detail.empty()) std::abort();
  const auto certificate = x509::parse_certificate(bytes);
  if (certificate && attest::missing_ca(*certificate, {*certificate}, {}).issuer.empty())
    std::abort();
}

void fuzz_public_area(ByteView bytes) {
  static const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  if (attest::check_ek_public(key->public_key(), bytes.empty() ? view_of("x") : bytes))
    std::abort();
  const auto ak = attest::check_ak_public(bytes);
  if (ak && (!ak->key || ak->computed_name.size() < 34)) std::abort();
  const auto area = attest::parse_public_area(bytes);
  if (!area) return;
  const auto ek = attest::ek_parameters(*area);
  if (ek && !attest::make_credential(*ek, view_of("name"), view_of("secret"))) std::abort();
}

void fuzz_payloads(ByteView bytes) {
  static const auto ca = [] {
    const std::string path = "/tmp/keyward-fuzz-ca-" + std::to_string(::getpid());
    auto opened = attest::AttestationCa::open(path);
    ::unlink(path.c_str());
    return opened;
  }();
  if (ca->begin({}, bytes, {}, 1) || ca->activate({}, bytes, {}, 1)) std::abort();
}

void fuzz_bundle(ByteView bytes) {
  const auto manifest = attest::parse_manifest(text_of(bytes));
  if (manifest && manifest->of(attest::RootUse::kRoot).empty()) std::abort();
  static const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  if (attest::open_bundle(text_of(bytes), key->public_key())) std::abort();
  (void)attest::parse_imported(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      fuzz_certificate(rest);
      break;
    case 1:
      fuzz_public_area(rest);
      break;
    case 2:
      fuzz_payloads(rest);
      break;
    default:
      fuzz_bundle(rest);
      break;
  }
  return 0;
}
