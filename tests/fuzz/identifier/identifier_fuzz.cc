// Fuzzes identifiers; the first octet chooses the type. Held: a canonical form is its own canonical
// form, within its limit, a device value is put together again from its parts, and the DER of an
// authority's identifier is there and encodes to it again; so
// for a mac's octets, and a uri's host is a dns name.
#include <cstdlib>

#include "firmware/identifier/identifier.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward::identifier;
  if (size == 0) return 0;
  const auto type = static_cast<IdentifierType>(data[0] < 0x80 ? data[0] % 4 + 1 : data[0] % 6 + 5);
  const auto first = canonical(type, keyward::text_of({data + 1, size - 1}));
  if (!first) return 0;
  if (first->value.size() > keyward::limits::kIdentifierBytesMax) std::abort();
  if (first->value.empty() && !is_attestation_type(type)) std::abort();  // a hint may be none
  const auto second = canonical(type, first->value);
  if (!second || *second != *first) std::abort();
  const auto parts = split_device_value(*first);
  const bool device =
      type == IdentifierType::kPermanentIdentifier || type == IdentifierType::kHardwareModule;
  if (parts.has_value() != device) std::abort();
  const auto octets = mac_octets(*first);
  if (octets.has_value() != (type == IdentifierType::kMac)) std::abort();
  if (octets && mac_text(*octets).value_or("") != first->value) std::abort();
  const auto host = uri_host(*first);
  if (host.has_value() != (type == IdentifierType::kUri)) std::abort();
  if (host && canonical(IdentifierType::kDns, *host)->value != *host) std::abort();
  if (hint_of(*first).has_value() != is_attestation_type(type)) std::abort();
  const auto der = authority_der(*first);
  if (der.has_value() != is_authority_type(type)) std::abort();
  if (der && keyward::base64url_encode(*der) != first->value) std::abort();
  if (device && parts->value + (parts->oid ? "/" + *parts->oid : "") != first->value) std::abort();
  return 0;
}
