// Owns the making of a `tpm` attestation object from its parts. Must not know a TPM, keys or ACME.
#include "firmware/agent/tpm_statement.h"

#include <cassert>
#include <cstdlib>
#include <memory>

#include <cbor.h>

namespace keyward::agent {
namespace {

// TCG "Structures" (TPM 2.0 Part 2) §6.3: TPM_ALG_ID.
constexpr std::uint16_t kAlgRsa = 0x0001, kAlgNull = 0x0010, kAlgEcc = 0x0023;
constexpr std::uint16_t kAlgSha256 = 0x000B, kAlgSha384 = 0x000C;
constexpr std::uint16_t kAlgRsassa = 0x0014, kAlgEcdsa = 0x0018;
constexpr std::size_t kEcParameterBytesMax = 66;  // P-521

class TpmReader {  // big-endian, TCG Part 1 §3.2 "marshalling"
 public:
  explicit TpmReader(ByteView in) : in_(in) {}
  Result<std::uint16_t> u16() {
    KEYWARD_TRY(octets, take(2));
    return static_cast<std::uint16_t>(octets[0] << 8 | octets[1]);
  }
  Result<ByteView> tpm2b() {
    KEYWARD_TRY(size, u16());
    return take(size);
  }
  Result<ByteView> take(std::size_t size) {
    if (size > in_.size()) return fail(ErrorKind::kBadInput, "TPM structure is too short");
    const ByteView out = in_.first(size);
    in_ = in_.subspan(size);
    return out;
  }
  bool at_end() const { return in_.empty(); }

 private:
  ByteView in_;
};

Result<StatementAlgorithm> algorithm(bool is_rsa, std::uint16_t hash_alg) {
  if (hash_alg == kAlgSha256)
    return StatementAlgorithm{is_rsa ? kCoseRs256 : kCoseEs256, crypto::HashAlgorithm::kSha256};
  if (hash_alg == kAlgSha384)
    return StatementAlgorithm{is_rsa ? kCoseRs384 : kCoseEs384, crypto::HashAlgorithm::kSha384};
  return fail(ErrorKind::kRefused,
              "the attestation key's hash has no COSE algorithm that is used here");
}

struct CborFree {
  void operator()(cbor_item_t* item) const { ::cbor_decref(&item); }
};
using CborPtr = std::unique_ptr<cbor_item_t, CborFree>;

CborPtr text(std::string_view value) {
  return CborPtr(::cbor_build_stringn(value.data(), value.size()));
}
CborPtr octets(ByteView value) {
  return CborPtr(::cbor_build_bytestring(value.data(), value.size()));
}
CborPtr integer(std::int64_t value) {
  return value < 0 ? CborPtr(::cbor_build_negint64(static_cast<std::uint64_t>(-1 - value)))
                   : CborPtr(::cbor_build_uint64(static_cast<std::uint64_t>(value)));
}
// libcbor writes an integer as wide as it was made: make it as narrow as RFC 8949 §4.2.1 wants.
CborPtr shortest_integer(std::int64_t value) {
  const std::uint64_t magnitude = static_cast<std::uint64_t>(value < 0 ? -1 - value : value);
  cbor_item_t* item = nullptr;
  if (magnitude <= 0xff)
    item = ::cbor_build_uint8(static_cast<std::uint8_t>(magnitude));
  else if (magnitude <= 0xffff)
    item = ::cbor_build_uint16(static_cast<std::uint16_t>(magnitude));
  else if (magnitude <= 0xffffffff)
    item = ::cbor_build_uint32(static_cast<std::uint32_t>(magnitude));
  else
    return integer(value);
  if (value < 0) ::cbor_mark_negint(item);
  return CborPtr(item);
}

void put(const CborPtr& map, std::string_view key, CborPtr value) {
  const CborPtr name = text(key);
  [[maybe_unused]] const bool added = ::cbor_map_add(map.get(), {name.get(), value.get()});
  assert(added);  // the map was made large enough
}

Bytes serialized(const CborPtr& item) {
  unsigned char* buffer = nullptr;
  std::size_t capacity = 0;
  const std::size_t size = ::cbor_serialize_alloc(item.get(), &buffer, &capacity);
  Bytes out(buffer, buffer + size);
  std::free(buffer);
  return out;
}

}  // namespace

Result<StatementAlgorithm> algorithm_of_ak(ByteView ak_public_area) {
  TpmReader reader(ak_public_area);
  KEYWARD_TRY(type, reader.u16());
  if (type != kAlgRsa && type != kAlgEcc)
    return fail(ErrorKind::kRefused, "the attestation key is neither RSA nor ECC");
  KEYWARD_CHECK(reader.u16());    // nameAlg
  KEYWARD_CHECK(reader.take(4));  // objectAttributes
  KEYWARD_CHECK(reader.tpm2b());  // authPolicy
  KEYWARD_TRY(symmetric, reader.u16());
  if (symmetric != kAlgNull)
    return fail(ErrorKind::kRefused, "the attestation key is a storage key");
  KEYWARD_TRY(scheme, reader.u16());
  if (scheme != (type == kAlgRsa ? kAlgRsassa : kAlgEcdsa))
    return fail(ErrorKind::kRefused, "the attestation key's signature scheme is not used here");
  KEYWARD_TRY(hash_alg, reader.u16());
  return algorithm(type == kAlgRsa, hash_alg);
}

Result<PlainSignature> plain_signature(ByteView tpmt_signature) {
  TpmReader reader(tpmt_signature);
  PlainSignature out;
  KEYWARD_TRY(scheme, reader.u16());
  if (scheme != kAlgRsassa && scheme != kAlgEcdsa)
    return fail(ErrorKind::kRefused, "the TPM signed with a scheme that is not used here");
  KEYWARD_TRY(hash_alg, reader.u16());
  KEYWARD_TRY(used, algorithm(scheme == kAlgRsassa, hash_alg));
  out.algorithm = used;
  KEYWARD_TRY(first, reader.tpm2b());
  if (scheme == kAlgRsassa) {
    out.signature = to_bytes(first);
  } else {
    KEYWARD_TRY(second, reader.tpm2b());
    const std::size_t size = std::max(first.size(), second.size());
    if (size == 0 || size > kEcParameterBytesMax)
      return fail(ErrorKind::kBadInput, "ECDSA signature of a wrong size");
    Bytes raw(2 * size);  // r and s are written without leading zeros
    std::copy(first.begin(), first.end(),
              raw.begin() + static_cast<std::ptrdiff_t>(size - first.size()));
    std::copy(second.begin(), second.end(), raw.end() - static_cast<std::ptrdiff_t>(second.size()));
    KEYWARD_TRY(der, crypto::ecdsa_raw_to_der(raw));
    out.signature = std::move(der);
  }
  if (!reader.at_end() || out.signature.empty())
    return fail(ErrorKind::kBadInput, "TPMT_SIGNATURE has a wrong end");
  return out;
}

Bytes build_attestation_object(const TpmStatementParts& parts) {
  const CborPtr chain(::cbor_new_definite_array(parts.x5c.size()));
  for (const Bytes& certificate : parts.x5c) {
    const CborPtr item = octets(certificate);
    [[maybe_unused]] const bool pushed = ::cbor_array_push(chain.get(), item.get());
    assert(pushed);
  }
  CborPtr statement(::cbor_new_definite_map(6));
  put(statement, "ver", text(parts.ver));
  put(statement, "alg", shortest_integer(parts.alg));
  put(statement, "x5c", CborPtr(::cbor_incref(chain.get())));
  put(statement, "sig", octets(parts.sig));
  put(statement, "certInfo", octets(parts.cert_info));
  put(statement, "pubArea", octets(parts.pub_area));
  const CborPtr object(::cbor_new_definite_map(parts.auth_data ? 3 : 2));
  put(object, "fmt", text(parts.format));
  put(object, "attStmt", std::move(statement));
  if (parts.auth_data) put(object, "authData", octets(*parts.auth_data));
  return serialized(object);
}

}  // namespace keyward::agent
