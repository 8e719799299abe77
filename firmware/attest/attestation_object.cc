#include "firmware/attest/attestation_object.h"

#include <memory>
#include <set>

#include <cbor.h>

#include "firmware/wire/cbor.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

struct ItemDeleter {
  void operator()(cbor_item_t* item) const { ::cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, ItemDeleter>;

class Scanner {
 public:
  Scanner(ByteView bytes, int depth_max, int items_max)
      : bytes_(bytes), depth_max_(depth_max), items_max_(items_max) {}
  bool whole() { return item(0) && at_ == bytes_.size(); }
  std::size_t prefix() { return item(0) ? at_ : 0; }

 private:
  bool head(unsigned& major, std::uint64_t& value) {
    if (at_ >= bytes_.size()) return false;
    const unsigned first = bytes_[at_++];
    major = first >> 5;
    const unsigned info = first & 31;
    value = info;
    if (info < 24) return true;
    if (info > 27) return false;  // reserved and indefinite
    const std::size_t length = std::size_t{1} << (info - 24);
    if (bytes_.size() - at_ < length) return false;
    value = 0;
    for (std::size_t i = 0; i < length; ++i) value = value << 8 | bytes_[at_++];
    if (major == 7) return false;  // floats and two-octet simple values
    return length == 1 ? value >= 24 : value >> (length * 4) != 0;
  }
  bool item(int depth) {
    unsigned major = 0;
    std::uint64_t value = 0;
    if (depth > depth_max_ || ++items_ > items_max_ || !head(major, value)) return false;
    const std::uint64_t left = bytes_.size() - at_;
    switch (major) {
      case 0:
      case 1:
        return true;
      case 2:
      case 3:
        if (value > left) return false;
        at_ += value;
        return true;
      case 4:
        return value <= left && items(depth, value);
      case 5:
        return value <= left / 2 && items(depth, value * 2);
      case 7:
        return value >= 20 && value <= 22;  // false, true, null
      default:
        return false;  // tags
    }
  }
  bool items(int depth, std::uint64_t count) {
    for (; count > 0; --count) {
      if (!item(depth + 1)) return false;
    }
    return true;
  }

  ByteView bytes_;
  int depth_max_;
  int items_max_;
  int items_ = 0;
  std::size_t at_ = 0;
};

Bytes byte_string(const cbor_item_t* item) {
  const auto* data = ::cbor_bytestring_handle(item);
  return Bytes(data, data + ::cbor_bytestring_length(item));
}

std::string_view text_string(const cbor_item_t* item) {
  return {reinterpret_cast<const char*>(::cbor_string_handle(item)), ::cbor_string_length(item)};
}

// Text keys alone, none twice: libcbor itself would keep both.
Appraised<void> check_keys(const cbor_item_t* map, std::string_view where) {
  std::set<std::string_view> seen;
  const auto* pairs = ::cbor_map_handle(map);
  for (std::size_t i = 0; i < ::cbor_map_size(map); ++i) {
    if (!cbor_isa_string(pairs[i].key))
      return refuse("cbor.malformed", std::string(where) + " has a key that is not text");
    const auto key = text_string(pairs[i].key);
    if (!wire::is_valid_utf8(view_of(key)))
      return refuse("cbor.malformed", std::string(where) + " has a key that is not UTF-8");
    if (!seen.insert(key).second)
      return refuse("cbor.malformed",
                    std::string(where) + " has the member '" + std::string(key) + "' twice");
  }
  return {};
}

const cbor_item_t* find(const cbor_item_t* map, std::string_view key) {
  const auto* pairs = ::cbor_map_handle(map);
  for (std::size_t i = 0; i < ::cbor_map_size(map); ++i) {
    if (text_string(pairs[i].key) == key) return pairs[i].value;
  }
  return nullptr;
}

tl::unexpected<Refusal> wrong_type(std::string_view member) {
  return refuse("object.members",
                "the member '" + std::string(member) + "' has another type than it must");
}

Appraised<std::optional<Bytes>> optional_bytes(const cbor_item_t* map, std::string_view key) {
  const auto* item = find(map, key);
  if (item == nullptr) return std::optional<Bytes>();
  if (!cbor_isa_bytestring(item)) return wrong_type(key);
  return std::optional<Bytes>(byte_string(item));
}

Appraised<void> read_alg(const cbor_item_t* statement, AttestationObject& out) {
  const auto* item = find(statement, "alg");
  if (item == nullptr) return {};
  const bool negative = cbor_isa_negint(item);
  if (!negative && !cbor_isa_uint(item)) return wrong_type("alg");
  const std::uint64_t magnitude = ::cbor_get_int(item);
  if (magnitude > 0x7fff'ffff) return refuse("object.members", "the member 'alg' is out of range");
  out.alg =
      negative ? -1 - static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
  return {};
}

Appraised<void> read_x5c(const cbor_item_t* statement, AttestationObject& out) {
  const auto* item = find(statement, "x5c");
  if (item == nullptr) return {};
  if (!cbor_isa_array(item)) return wrong_type("x5c");
  const std::size_t count = ::cbor_array_size(item);
  if (count > limits::kChainCertificatesMax)
    return refuse("object.members", "the member 'x5c' has more than " +
                                        std::to_string(limits::kChainCertificatesMax) +
                                        " certificates");
  for (std::size_t i = 0; i < count; ++i) {
    const auto* certificate = ::cbor_array_handle(item)[i];
    if (!cbor_isa_bytestring(certificate)) return wrong_type("x5c");
    out.x5c.push_back(byte_string(certificate));
  }
  return {};
}

Appraised<void> read_statement(const cbor_item_t* statement, AttestationObject& out) {
  KEYWARD_APPRAISE(check_keys(statement, "attStmt"));
  if (const auto* ver = find(statement, "ver"); ver != nullptr) {
    if (!cbor_isa_string(ver)) return wrong_type("ver");
    out.ver = std::string(text_string(ver));
  }
  KEYWARD_APPRAISE(read_alg(statement, out));
  KEYWARD_APPRAISE(read_x5c(statement, out));
  const std::pair<std::string_view, std::optional<Bytes>*> members[] = {
      {"sig", &out.sig}, {"certInfo", &out.cert_info}, {"pubArea", &out.pub_area}};
  for (const auto& [key, target] : members) {
    auto value = optional_bytes(statement, key);
    if (!value) return tl::unexpected<Refusal>(value.error());
    *target = std::move(*value);
  }
  return {};
}

}  // namespace

Status scan_cbor(ByteView bytes, int depth_max, int items_max) {
  if (!Scanner(bytes, depth_max, items_max).whole())
    return fail(ErrorKind::kBadInput, "not one strict CBOR item");
  return {};
}

Result<std::size_t> cbor_item_bytes(ByteView bytes, int depth_max, int items_max) {
  const auto size = Scanner(bytes, depth_max, items_max).prefix();
  if (size == 0) return fail(ErrorKind::kBadInput, "not one strict CBOR item");
  return size;
}

Appraised<AttestationObject> parse_attestation_object(ByteView bytes) {
  if (bytes.empty() || bytes.size() > limits::kAttestationObjectBytesMax) {
    return refuse("cbor.malformed", "the attestation object must have 1 to " +
                                        std::to_string(limits::kAttestationObjectBytesMax) +
                                        " octets");
  }
  if (!scan_cbor(bytes, limits::kAttestationCborDepthMax, limits::kAttestationCborItemsMax)) {
    return refuse("cbor.malformed",
                  "the attestation object is not one strictly encoded CBOR item (definite lengths, "
                  "shortest heads, no tags, nothing behind it)");
  }
  cbor_load_result loaded{};
  const Item root(::cbor_load(bytes.data(), bytes.size(), &loaded));
  if (!root || loaded.read != bytes.size())
    return refuse("cbor.malformed", "the attestation object cannot be read as CBOR");
  if (!cbor_isa_map(root.get()))
    return refuse("object.members", "the attestation object must be a map");
  KEYWARD_APPRAISE(check_keys(root.get(), "the attestation object"));
  AttestationObject out;
  const auto* format = find(root.get(), "fmt");
  if (format == nullptr || !cbor_isa_string(format))
    return refuse("object.members", "the attestation object needs the text member 'fmt'");
  out.format = std::string(text_string(format).substr(0, limits::kCodeBytesMax));
  auto auth_data = optional_bytes(root.get(), "authData");
  if (!auth_data) return tl::unexpected<Refusal>(auth_data.error());
  out.auth_data = std::move(*auth_data);
  const auto* statement = find(root.get(), "attStmt");
  if (statement == nullptr || !cbor_isa_map(statement))
    return refuse("object.members", "the attestation object needs the map member 'attStmt'");
  KEYWARD_APPRAISE(read_statement(statement, out));
  return out;
}

}  // namespace keyward::attest
