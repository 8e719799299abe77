// Fuzzes encrypted evidence. Held: nothing opens that this key's holder was not sent.
#include <cstdlib>

#include "firmware/rats/jwe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone
  static auto* const key = new rats::SoftwareDecryptionKey(
      "ec-1", *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  const ByteView bytes(data, size);
  const auto opened = rats::open_jwe(text_of(bytes), {key});
  if (opened) std::abort();
  if (opened.error().code.empty()) std::abort();
  return 0;
}
