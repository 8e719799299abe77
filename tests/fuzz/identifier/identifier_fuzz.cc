// Fuzzes identifiers; the first octet chooses the type. Held: a canonical form is its own canonical
// form, within its limit, a device value is put together again from its parts, and the DER of an
// authority's identifier is there and encodes to it again.
#include <cstdlib>

#include "firmware/identifier/identifier.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward::identifier;
  if (size == 0) return 0;
  const auto type = static_cast<IdentifierType>(data[0] < 0x80 ? data[0] % 4 + 1 : data[0] % 3 + 5);
  const auto first = canonical(type, keyward::text_of({data + 1, size - 1}));
  if (!first) return 0;
  if (first->value.empty() || first->value.size() > keyward::limits::kIdentifierBytesMax)
    std::abort();
  const auto second = canonical(type, first->value);
  if (!second || *second != *first) std::abort();
  const auto parts = split_device_value(*first);
  const bool device =
      type == IdentifierType::kPermanentIdentifier || type == IdentifierType::kHardwareModule;
  if (parts.has_value() != device) std::abort();
  const auto der = authority_der(*first);
  if (der.has_value() != is_authority_type(type)) std::abort();
  if (der && keyward::base64url_encode(*der) != first->value) std::abort();
  if (device && parts->value + (parts->oid ? "/" + *parts->oid : "") != first->value) std::abort();
  return 0;
}
