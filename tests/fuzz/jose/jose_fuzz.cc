// Fuzzes JWS reading: first octet odd: a request body; even: the text of a protected header. Held:
// an accepted jwk comes back from its canonical form with the same thumbprint; nothing here
// verifies.
#include <cstdlib>

#include "firmware/jose/jws.h"

namespace {

void check_header(std::string_view protected_b64) {
  using keyward::jose::Jwk;
  const auto header = keyward::jose::parse_protected(protected_b64);
  if (!header) return;
  if (header->jwk.has_value() + header->jwk_refused + header->kid.has_value() != 1) std::abort();
  if (!header->jwk) return;
  const auto again = Jwk::from_canonical(header->jwk->canonical());
  if (!again || again->thumbprint() != header->jwk->thumbprint()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const keyward::ByteView rest(data + 1, size - 1);
  if ((data[0] & 1) == 0) {
    check_header(keyward::base64url_encode(rest));
    return 0;
  }
  const auto jws = keyward::jose::FlattenedJws::parse(keyward::text_of(rest));
  if (!jws) return 0;
  check_header(jws->protected_b64);
  const auto again = keyward::jose::FlattenedJws::parse(keyward::jose::to_json(*jws));
  if (!again || again->signature != jws->signature || again->payload_b64 != jws->payload_b64)
    std::abort();
  return 0;
}
