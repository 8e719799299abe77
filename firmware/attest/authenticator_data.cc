// Owns the octets of authenticator data. Must not know statements.
#include "firmware/attest/authenticator_data.h"

#include <map>
#include <memory>

#include <cbor.h>

#include "firmware/attest/attestation_object.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::size_t kRpIdHashBytes = 32;
constexpr std::size_t kHeadBytes = kRpIdHashBytes + 1 + 4;  // flags, signCount
constexpr std::size_t kAaguidBytes = 16;
constexpr std::size_t kCredentialIdBytesMax = 1'023;  // WebAuthn §7.1 step 25
constexpr std::uint8_t kBackupEligible = 0x08, kAttestedCredential = 0x40, kExtensions = 0x80;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

struct ItemDeleter {
  void operator()(cbor_item_t* item) const { ::cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, ItemDeleter>;

// Integer labels with octets or integers: all that a COSE_Key here has.
struct CoseKey {
  std::map<std::int64_t, std::int64_t> integers;
  std::map<std::int64_t, Bytes> octets;
  std::int64_t integer(std::int64_t label) const {
    const auto found = integers.find(label);
    return found == integers.end() ? 0 : found->second;
  }
  ByteView bytes(std::int64_t label) const {
    const auto found = octets.find(label);
    return found == octets.end() ? ByteView() : ByteView(found->second);
  }
};

std::optional<std::int64_t> integer_of(const cbor_item_t* item) {
  const bool negative = cbor_isa_negint(item);
  if (!negative && !cbor_isa_uint(item)) return std::nullopt;
  const std::uint64_t magnitude = ::cbor_get_int(item);
  if (magnitude > 0x7fff'ffff) return std::nullopt;
  const auto value = static_cast<std::int64_t>(magnitude);
  return negative ? -1 - value : value;
}

Result<CoseKey> read_cose_key(ByteView bytes) {
  cbor_load_result loaded{};
  const Item root(::cbor_load(bytes.data(), bytes.size(), &loaded));
  if (!root || !cbor_isa_map(root.get())) return bad("authData: the key is not a map");
  CoseKey out;
  const auto* pairs = ::cbor_map_handle(root.get());
  for (std::size_t i = 0; i < ::cbor_map_size(root.get()); ++i) {
    const auto label = integer_of(pairs[i].key);
    if (!label) return bad("authData: a label of the key is not an integer");
    const bool twice = out.integers.contains(*label) || out.octets.contains(*label);
    if (twice) return bad("authData: a label of the key is there twice");
    if (cbor_isa_bytestring(pairs[i].value)) {
      const auto* data = ::cbor_bytestring_handle(pairs[i].value);
      out.octets[*label] = Bytes(data, data + ::cbor_bytestring_length(pairs[i].value));
      continue;
    }
    const auto number = integer_of(pairs[i].value);
    if (!number) return bad("authData: a member of the key is neither octets nor an integer");
    out.integers[*label] = *number;
  }
  return out;
}

// RFC 9053 §7.1 and RFC 8230 §4; another type, or a key that crypto refuses, is no key.
std::optional<crypto::PublicKey> public_key(const CoseKey& cose) {
  constexpr std::int64_t kKty = 1, kEc2 = 2, kRsa = 3, kCurve = -1, kX = -2, kY = -3;
  Result<crypto::PublicKey> key = bad("authData: a key type that is not taken");
  if (cose.integer(kKty) == kEc2 && cose.integer(kCurve) == 1)
    key = crypto::PublicKey::from_ec(crypto::KeyKind::kEcP256, cose.bytes(kX), cose.bytes(kY));
  if (cose.integer(kKty) == kEc2 && cose.integer(kCurve) == 2)
    key = crypto::PublicKey::from_ec(crypto::KeyKind::kEcP384, cose.bytes(kX), cose.bytes(kY));
  if (cose.integer(kKty) == kRsa) key = crypto::PublicKey::from_rsa(cose.bytes(-1), cose.bytes(-2));
  if (!key) return std::nullopt;
  return *key;
}

}  // namespace

Result<AuthenticatorData> parse_authenticator_data(ByteView bytes) {
  if (bytes.size() < kHeadBytes + kAaguidBytes + 2) return bad("authData: too short");
  const std::uint8_t flags = bytes[kRpIdHashBytes];
  if ((flags & kAttestedCredential) == 0) return bad("authData: no attested credential data");
  AuthenticatorData out;
  out.rp_id_hash = to_bytes(bytes.first(kRpIdHashBytes));
  out.backup_eligible = (flags & kBackupEligible) != 0;
  out.aaguid = to_bytes(bytes.subspan(kHeadBytes, kAaguidBytes));
  auto rest = bytes.subspan(kHeadBytes + kAaguidBytes);
  const std::size_t id_bytes = std::size_t{rest[0]} << 8 | rest[1];
  rest = rest.subspan(2);
  if (id_bytes > kCredentialIdBytesMax || rest.size() < id_bytes)
    return bad("authData: the credential's id does not fit");
  rest = rest.subspan(id_bytes);
  constexpr int kDepth = limits::kAttestationCborDepthMax,
                kItems = limits::kAttestationCborItemsMax;
  KEYWARD_TRY(key_bytes, cbor_item_bytes(rest, kDepth, kItems));
  KEYWARD_TRY(cose, read_cose_key(rest.first(key_bytes)));
  out.key = public_key(cose);
  rest = rest.subspan(key_bytes);
  const bool extensions = (flags & kExtensions) != 0;
  if (extensions != !rest.empty()) return bad("authData: octets behind the key");
  if (extensions && !scan_cbor(rest, kDepth, kItems))
    return bad("authData: the extensions are not one strict CBOR item");
  return out;
}

}  // namespace keyward::attest
