// Fuzzes PKCS#10. First octet even: a whole request; odd: the attributes of a request that is
// signed here, since the names are read only after the signature. Held: an accepted device name is
// one that the identifier grammar could have written.
#include <algorithm>
#include <cstdlib>

#include "firmware/x509/csr.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace {

using namespace keyward;

Bytes request_with(ByteView attributes) {
  static const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto info = x509::der_sequence({x509::der_unsigned(std::uint64_t{0}), x509::name_der({}),
                                        key.public_key().spki_der(),
                                        x509::tlv(x509::tag::context_constructed(0), attributes)});
  const auto signature =
      *key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, info);
  return x509::der_sequence({info, x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256),
                             x509::der_bit_string(signature)});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const auto csr = (data[0] & 1) == 0 ? x509::parse_csr(rest) : x509::parse_csr(request_with(rest));
  if (!csr) return 0;
  for (const auto* names : {&csr->permanent_identifiers, &csr->hardware_modules}) {
    for (const auto& name : *names) {
      if (!wire::is_valid_utf8(view_of(name)) || std::ranges::count(name, '/') > 1) std::abort();
    }
  }
  return 0;
}
