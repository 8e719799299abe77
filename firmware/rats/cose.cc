// Owns the reading, verifying and writing of COSE_Sign1, and COSE_Key. Must not know what is signed.
#include "firmware/rats/cose.h"

#include <array>

#include "firmware/wire/cbor.h"

namespace keyward::rats {
namespace {

using crypto::KeyKind;
using Kind = Value::Kind;

constexpr std::uint64_t kTagSign1 = 18;  // RFC 9052 §2
constexpr std::uint64_t kTagCwt = 61;    // RFC 8392 §6

// RFC 9052 §3.1, RFC 9360 §2.
constexpr std::int64_t kAlg = 1, kCrit = 2, kContentType = 3, kKid = 4, kX5chain = 33;

tl::unexpected<Refusal> malformed(const char* detail) { return refuse("cose.malformed", detail); }
tl::unexpected<Refusal> bad_header(const char* detail) { return refuse("cose.header", detail); }

const Value* untagged(const Value& root) {
  const Value* at = &root;
  if (at->is(Kind::kTagged) && at->tag == kTagCwt) {
    // RFC 8392 §6: the CWT tag stands before a COSE tag, never alone.
    at = &at->items.front();
    if (!at->is(Kind::kTagged)) return nullptr;
  }
  if (at->is(Kind::kTagged) && at->tag == kTagSign1) at = &at->items.front();
  return at;
}

// A header of either bucket; never in both (RFC 9052 §3).
Appraised<const Value*> header_of(const Value& in_protected, const Value& in_unprotected,
                                  std::int64_t label) {
  const auto* first = in_protected.find(label);
  const auto* second = in_unprotected.find(label);
  if (first != nullptr && second != nullptr) return bad_header("a header stands in both buckets");
  return first != nullptr ? first : second;
}

Appraised<std::vector<Bytes>> read_x5chain(const Value* value) {
  std::vector<Bytes> out;
  if (value == nullptr) return out;
  if (value->is(Kind::kBytes)) {
    out.push_back(value->bytes);
    return out;
  }
  // RFC 9360 §2: an array has two at least; one alone is accepted as well.
  if (!value->is(Kind::kArray) || value->items.empty() ||
      value->items.size() > limits::kChainCertificatesMax)
    return bad_header("x5chain is not a chain of certificates");
  for (const auto& item : value->items) {
    if (!item.is(Kind::kBytes)) return bad_header("x5chain is not a chain of certificates");
    out.push_back(item.bytes);
  }
  return out;
}

struct Headers {
  SignerHint hint;
  std::string content_type;
  std::optional<std::int64_t> content_format;
};

Appraised<void> read_content_type(const Value* value, Headers& out) {
  if (value == nullptr) return {};
  if (value->is(Kind::kText)) {
    out.content_type = value->text;
  } else if (value->is(Kind::kInteger) && value->integer >= 0) {
    out.content_format = value->integer;
  } else {
    return bad_header("the content type is neither text nor a number");
  }
  return {};
}

Appraised<Headers> read_headers(const Value& in_protected, const Value& in_unprotected) {
  auto crit = header_of(in_protected, in_unprotected, kCrit);
  if (!crit) return tl::unexpected(crit.error());
  if (*crit != nullptr)
    return refuse("cose.crit", "crit names extensions, and none is understood here");
  if (in_unprotected.find(kAlg) != nullptr || in_unprotected.find(kContentType) != nullptr)
    return bad_header("alg and content type belong to the protected header");
  Headers out;
  const auto* alg = in_protected.find(kAlg);
  if (alg == nullptr || !alg->is(Kind::kInteger))
    return refuse("cose.alg", "the protected header names no algorithm by its number");
  out.hint.algorithm = algorithm_from_cose(alg->integer);
  if (out.hint.algorithm == nullptr)
    return refuse("cose.alg", "the algorithm " + std::to_string(alg->integer) + " is not accepted");
  KEYWARD_APPRAISE(read_content_type(in_protected.find(kContentType), out));
  auto kid = header_of(in_protected, in_unprotected, kKid);
  if (!kid) return tl::unexpected(kid.error());
  if (*kid != nullptr) {
    if (!(*kid)->is(Kind::kBytes)) return bad_header("kid is not a byte string");
    out.hint.kid = (*kid)->bytes;
  }
  auto x5chain = header_of(in_protected, in_unprotected, kX5chain);
  if (!x5chain) return tl::unexpected(x5chain.error());
  auto chain = read_x5chain(*x5chain);
  if (!chain) return tl::unexpected(chain.error());
  out.hint.x5c = std::move(*chain);
  return out;
}

// RFC 9052 §4.4, with no external data.
Bytes sig_structure(ByteView protected_octets, ByteView payload) {
  wire::CborWriter out;
  out.array(4);
  out.text("Signature1");
  out.bytes(protected_octets);
  out.bytes({});
  out.bytes(payload);
  return out.take();
}

struct CurveRow {
  std::int64_t type;
  std::int64_t curve;
  KeyKind kind;
  std::size_t coordinate_bytes;
};
// RFC 9053 §7.1, §7.2.
constexpr std::int64_t kTypeOkp = 1, kTypeEc2 = 2, kTypeRsa = 3;
constexpr std::array<CurveRow, 4> kCurves{{{kTypeEc2, 1, KeyKind::kEcP256, 32},
                                           {kTypeEc2, 2, KeyKind::kEcP384, 48},
                                           {kTypeEc2, 3, KeyKind::kEcP521, 66},
                                           {kTypeOkp, 6, KeyKind::kEd25519, 32}}};

const Bytes* bytes_at(const Value& map, std::int64_t label) {
  const auto* value = map.find(label);
  return value != nullptr && value->is(Kind::kBytes) ? &value->bytes : nullptr;
}

Result<crypto::PublicKey> rsa_from_cose(const Value& map) {
  const auto* n = bytes_at(map, -1);
  const auto* e = bytes_at(map, -2);
  if (n == nullptr || e == nullptr) return fail(ErrorKind::kBadInput, "cose key: n or e missing");
  for (std::int64_t label = -3; label >= -12; --label) {  // RFC 8230 §4: private members
    if (map.find(label) != nullptr) return fail(ErrorKind::kRefused, "cose key: it is private");
  }
  if (n->empty() || n->front() == 0 || e->empty() || e->front() == 0)
    return fail(ErrorKind::kBadInput, "cose key: an integer has a leading zero");
  return crypto::PublicKey::from_rsa(*n, *e);
}

}  // namespace

Appraised<VerifiedSign1> verify_sign1(ByteView bytes, const TrustAnchors& anchors) {
  auto root = parse_cbor(bytes);
  if (!root) return malformed("not one strictly encoded CBOR item");
  const auto* message = untagged(*root);
  if (message == nullptr || !message->is(Kind::kArray) || message->items.size() != 4)
    return malformed("not a COSE_Sign1 message");
  const auto& parts = message->items;
  if (!parts[0].is(Kind::kBytes) || !parts[1].is(Kind::kMap) || !parts[3].is(Kind::kBytes))
    return malformed("not a COSE_Sign1 message");
  if (parts[3].bytes.empty() || parts[3].bytes.size() > limits::kJwsSignatureBytesMax)
    return malformed("the signature is empty or too long");
  auto in_protected = parse_cbor(parts[0].bytes, 4, 64);
  if (!in_protected || !in_protected->is(Kind::kMap))
    return malformed("the protected header is not an encoded map");
  auto headers = read_headers(*in_protected, parts[1]);
  if (!headers) return tl::unexpected(headers.error());
  if (!parts[2].is(Kind::kBytes))
    return refuse("cose.payload", "the payload is not in the message");
  auto signer = verify_signer(anchors, headers->hint, sig_structure(parts[0].bytes, parts[2].bytes),
                              parts[3].bytes, "cose.signature");
  if (!signer) return tl::unexpected(signer.error());
  return VerifiedSign1{parts[2].bytes, std::move(headers->content_type), headers->content_format,
                       std::move(*signer)};
}

Result<crypto::PublicKey> key_from_cose(const Value& cose_key) {
  const auto* type = cose_key.find(1);
  if (type == nullptr || !type->is(Kind::kInteger))
    return fail(ErrorKind::kBadInput, "cose key: no key type");
  if (type->integer == kTypeRsa) return rsa_from_cose(cose_key);
  if (cose_key.find(-4) != nullptr) return fail(ErrorKind::kRefused, "cose key: it is private");
  const auto* curve = cose_key.find(-1);
  const auto* x = bytes_at(cose_key, -2);
  if (curve == nullptr || !curve->is(Kind::kInteger) || x == nullptr)
    return fail(ErrorKind::kBadInput, "cose key: curve or x missing");
  for (const auto& row : kCurves) {
    if (row.type != type->integer || row.curve != curve->integer) continue;
    if (row.type == kTypeOkp) return crypto::PublicKey::from_ed25519(*x);
    const auto* y = bytes_at(cose_key, -3);  // a sign bit alone is not accepted
    if (y == nullptr) return fail(ErrorKind::kBadInput, "cose key: y missing");
    return crypto::PublicKey::from_ec(row.kind, *x, *y);
  }
  return fail(ErrorKind::kRefused, "cose key: type or curve is not accepted");
}

Bytes cose_key_from(const crypto::PublicKey& key) {
  wire::CborWriter out;
  if (const auto rsa = key.rsa_numbers()) {
    out.map(3);
    out.unsigned_integer(1);
    out.unsigned_integer(static_cast<std::uint64_t>(kTypeRsa));
    out.integer(-1);
    out.bytes(rsa->modulus);
    out.integer(-2);
    out.bytes(rsa->exponent);
    return out.take();
  }
  for (const auto& row : kCurves) {
    if (row.kind != key.kind()) continue;
    const bool two = row.type == kTypeEc2;
    const ByteView point = ByteView(key.spki_der()).last(row.coordinate_bytes * (two ? 2 : 1));
    out.map(two ? 4 : 3);
    out.unsigned_integer(1);
    out.integer(row.type);
    out.integer(-1);
    out.integer(row.curve);
    out.integer(-2);
    out.bytes(point.first(row.coordinate_bytes));
    if (two) {
      out.integer(-3);
      out.bytes(point.last(row.coordinate_bytes));
    }
  }
  return out.take();
}

Result<Bytes> make_sign1(const crypto::PrivateKey& key, ByteView payload, const Sign1Make& make) {
  const auto& algorithm =
      make.algorithm != nullptr ? *make.algorithm : algorithm_for(key.public_key().kind());
  wire::CborWriter header;
  header.map(make.content_type.empty() ? 1 : 2);
  header.integer(kAlg);
  header.integer(algorithm.cose);
  if (!make.content_type.empty()) {
    header.integer(kContentType);
    header.text(make.content_type);
  }
  const auto protected_octets = header.take();
  KEYWARD_TRY(signature,
              key.sign(algorithm.scheme, algorithm.hash, sig_structure(protected_octets, payload)));
  wire::CborWriter out;
  out.array(4);
  out.bytes(protected_octets);
  out.map((make.kid.empty() ? 0u : 1u) + (make.x5chain.empty() ? 0u : 1u));
  if (!make.kid.empty()) {
    out.integer(kKid);
    out.bytes(view_of(make.kid));
  }
  if (!make.x5chain.empty()) {
    out.integer(kX5chain);
    out.array(make.x5chain.size());
    for (const auto& der : make.x5chain) out.bytes(der);
  }
  out.bytes(payload);
  out.bytes(signature);
  Bytes message;
  if (make.cwt_tag) message = {0xd8, 0x3d};
  message.push_back(0xd2);
  append(message, out.take());
  return message;
}

}  // namespace keyward::rats
