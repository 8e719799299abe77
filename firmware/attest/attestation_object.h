// Owns the CBOR attestation object (device-attest-10 §5, WebAuthn §6.5.4). Must not know what a
// format means. One strict scan before libcbor, which allocates what a header claims (field notes).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/attest/refusal.h"
#include "hal/base/bytes.h"

namespace keyward::attest {

// Depth, items, definite lengths, shortest heads, no tags or floats, exact end. kBadInput.
Status scan_cbor(ByteView bytes, int depth_max, int items_max);
// The same of one item with more behind it: how many octets it has.
Result<std::size_t> cbor_item_bytes(ByteView bytes, int depth_max, int items_max);

// The members that any supported format has; a member of another CBOR type than its format's is a
// refusal.
struct AttestationObject {
  std::string format;
  std::optional<Bytes> auth_data;
  std::optional<std::string> ver;
  std::optional<std::int64_t> alg;
  std::vector<Bytes> x5c;  // leaf first, DER
  std::optional<Bytes> sig;
  std::optional<Bytes> cert_info;
  std::optional<Bytes> pub_area;
};

// Codes: "cbor.malformed", "object.members".
Appraised<AttestationObject> parse_attestation_object(ByteView bytes);

}  // namespace keyward::attest
