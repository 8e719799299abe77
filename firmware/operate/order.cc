// Owns verifying and reading operators' orders. Must not know how they are carried out.
#include "firmware/operate/order.h"

#include <algorithm>

#include <time.h>

#include "firmware/jose/jws.h"

namespace keyward::operate {
namespace {

constexpr std::size_t kSerialBytesMax = 20;  // RFC 5280 §4.1.2.2
constexpr std::string_view kCommon[] = {"order", "unit", "id", "issued", "expires", "reason"};

tl::unexpected<wire::Failure> refuse(std::string_view code, std::string_view detail) {
  return tl::unexpected<wire::Failure>(
      wire::Failure::of(wire::FailureKind::kRefused, code, detail));
}
tl::unexpected<wire::Failure> malformed(std::string_view detail) {
  return tl::unexpected<wire::Failure>(
      wire::Failure::of(wire::FailureKind::kBadInput, "order-malformed", detail));
}
tl::unexpected<wire::Failure> bad_payload(std::string_view detail) {
  return tl::unexpected<wire::Failure>(
      wire::Failure::of(wire::FailureKind::kBadInput, "order-payload", detail));
}

struct SignatureText {
  std::string protected_b64;
  Bytes signature;
};

struct OrderText {
  std::string payload_b64;
  std::vector<SignatureText> signatures;
};

bool has_exactly(const json::Value& object, std::initializer_list<std::string_view> names) {
  const auto keys = object.keys();
  return keys.size() == names.size() && std::ranges::all_of(names, [&](std::string_view name) {
           return object.get(name).exists();
         });
}

Verdict<SignatureText> read_signature(const json::Value& value) {
  const auto protected_b64 = value.get("protected"), signature = value.get("signature");
  if (!protected_b64.is_string() || !signature.is_string())
    return malformed("protected and signature must be strings");
  if (protected_b64.string().size() / 4 * 3 > limits::kOperatorOrderHeaderBytesMax)
    return malformed("a protected header is over its limit");
  auto octets = base64url_decode(signature.string());
  if (!octets || octets->empty() || octets->size() > limits::kJwsSignatureBytesMax)
    return malformed("a signature is not unpadded base64url of a signature");
  return SignatureText{std::string(protected_b64.string()), std::move(*octets)};
}

Verdict<OrderText> read_text(ByteView jws) {
  if (jws.size() > limits::kOperatorOrderBytesMax)
    return refuse("order-too-large", "the order is larger than its limit");
  const auto document = json::Document::parse(text_of(jws), limits::kOperatorOrderBytesMax);
  if (!document || !document->root().is_object()) return malformed("not a JSON object");
  const auto root = document->root();
  if (!root.get("payload").is_string()) return malformed("payload must be a string");
  OrderText out;
  out.payload_b64 = root.get("payload").string();
  if (out.payload_b64.size() / 4 * 3 > limits::kOperatorOrderPayloadBytesMax)
    return refuse("order-too-large", "the payload is larger than its limit");
  const auto list = root.get("signatures");
  if (!list.exists()) {
    if (!has_exactly(root, {"payload", "protected", "signature"}))
      return malformed("a flattened JWS has payload, protected and signature alone");
    auto one = read_signature(root);
    if (!one) return tl::unexpected<wire::Failure>(std::move(one.error()));
    out.signatures.push_back(std::move(*one));
    return out;
  }
  if (!list.is_array() || !has_exactly(root, {"payload", "signatures"}))
    return malformed("a general JWS has payload and signatures alone");
  const auto items = list.items();
  if (items.empty()) return refuse("order-unsigned", "nobody signed it");
  if (items.size() > limits::kOperatorOrderSignaturesMax)
    return refuse("order-too-large", "more signatures than are read");
  for (const auto& item : items) {
    if (!item.is_object() || !has_exactly(item, {"protected", "signature"}))
      return malformed("a signature has protected and signature alone");
    auto one = read_signature(item);
    if (!one) return tl::unexpected<wire::Failure>(std::move(one.error()));
    out.signatures.push_back(std::move(*one));
  }
  return out;
}

struct Header {
  std::string alg;
  std::string kid;
};

// Must be read to find the key; strictly, since nothing in it is signed for sure yet.
Verdict<Header> read_header(std::string_view protected_b64) {
  const auto octets = base64url_decode(protected_b64);
  if (!octets) return malformed("a protected header is not unpadded base64url");
  const auto document =
      json::Document::parse(text_of(*octets), limits::kOperatorOrderHeaderBytesMax);
  if (!document || !document->root().is_object())
    return malformed("a protected header is not a JSON object");
  const auto root = document->root();
  if (!has_exactly(root, {"alg", "kid", "typ"}) || !root.get("alg").is_string() ||
      !root.get("kid").is_string() || !root.get("typ").is_string())
    return malformed("a protected header has alg, kid and typ alone");
  // Else a message that an operator's key signed for something else would be an order.
  if (root.get("typ").string() != kOrderTyp)
    return refuse("order-typ", "the signature is not over an order");
  return Header{std::string(root.get("alg").string()), std::string(root.get("kid").string())};
}

Verdict<Signatory> verify_one(const SignatureText& text, std::string_view payload_b64,
                              const Operators& operators) {
  auto header = read_header(text.protected_b64);
  if (!header) return tl::unexpected<wire::Failure>(std::move(header.error()));
  const auto algorithm = jose::jws_algorithm_from(header->alg);
  const bool allowed = algorithm && (*algorithm == jose::JwsAlgorithm::kEs256 ||
                                     *algorithm == jose::JwsAlgorithm::kEdDsa);
  if (!allowed) return refuse("order-algorithm", "orders are signed by ES256 or EdDSA");
  const Operator* one = operators.find(header->kid);
  if (one == nullptr) return refuse("order-key-unknown", "no operator of this unit has that key");
  if (!jose::fits(*algorithm, one->jwk.key()))
    return refuse("order-algorithm", "the algorithm does not fit the operator's key");
  if (!jose::verify_signature(*algorithm, one->jwk.key(), text.protected_b64, payload_b64,
                              text.signature))
    return refuse("order-signature", "a signature is not the operator's: " + one->name);
  return Signatory{one->name, std::move(header->kid), one->jwk.thumbprint()};
}

// RFC 3339 in UTC and whole seconds, one spelling for each time.
std::optional<std::int64_t> time_from(std::string_view text) {
  if (text.size() != 20) return std::nullopt;
  const auto digits = [&](std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  ::tm parts{};
  parts.tm_year = digits(0, 4) - 1900;
  parts.tm_mon = digits(5, 2) - 1;
  parts.tm_mday = digits(8, 2);
  parts.tm_hour = digits(11, 2);
  parts.tm_min = digits(14, 2);
  parts.tm_sec = digits(17, 2);
  if (parts.tm_year < 70) return std::nullopt;
  const std::int64_t utc_ms = static_cast<std::int64_t>(::timegm(&parts)) * 1'000;
  // Days that do not exist, other separators, signs: the text is not what it would be.
  if (utc_ms < 0 || time_text(utc_ms) != text) return std::nullopt;
  return utc_ms;
}

std::optional<OrderId> id_from(std::string_view text) {
  const auto octets = hex_decode(text);
  if (!octets || octets->size() != OrderId{}.size() || hex_encode(*octets) != text)
    return std::nullopt;
  OrderId id{};
  std::copy(octets->begin(), octets->end(), id.begin());
  return id;
}

Verdict<OrderHead> read_head(const json::Value& root) {
  if (!root.is_object()) return bad_payload("not a JSON object");
  OrderHead head;
  for (const auto name : {"order", "unit", "id", "issued", "expires"}) {
    if (!root.get(name).is_string())
      return bad_payload(std::string(name) + " is missing, or no string");
  }
  head.order = root.get("order").string();
  head.unit = root.get("unit").string();
  const auto id = id_from(root.get("id").string());
  if (!id) return bad_payload("id is not 32 hexadecimal digits in lower case");
  head.id = *id;
  const auto issued = time_from(root.get("issued").string()),
             expires = time_from(root.get("expires").string());
  if (!issued || !expires)
    return bad_payload("issued and expires are times like 2027-01-31T12:00:00Z");
  head.issued_ms = *issued;
  head.expires_ms = *expires;
  const auto reason = root.get("reason");
  if (!reason.exists()) return head;
  if (!reason.is_string() || reason.string().size() > limits::kOperatorReasonBytesMax)
    return bad_payload("reason is no string, or too long");
  head.reason = reason.string();
  return head;
}

// The arguments beside what every order says: a member that the order has not got is a mistake of
// the one who signed it, who meant something by it.
Verdict<json::Document> arguments_of(const PermittedOrder& order,
                                     std::initializer_list<std::string_view> names) {
  auto document =
      json::Document::parse(text_of(order.payload()), limits::kOperatorOrderPayloadBytesMax);
  if (!document) return bad_payload("not readable");
  for (const auto key : document->root().keys()) {
    const bool known = std::ranges::find(kCommon, key) != std::end(kCommon) ||
                       std::ranges::find(names, key) != names.end();
    if (!known) return bad_payload("a member that this order has not got: " + std::string(key));
  }
  return std::move(*document);
}

Verdict<Digest256> digest_from(const Result<Bytes>& octets, std::string_view what) {
  Digest256 out{};
  if (!octets || octets->size() != out.size()) return bad_payload(what);
  std::copy(octets->begin(), octets->end(), out.begin());
  return out;
}

#define ORDER_TRY(name, expression)                                                   \
  auto name##_or = (expression);                                                      \
  if (!name##_or) return tl::unexpected<wire::Failure>(std::move(name##_or.error())); \
  auto& name = *name##_or

Verdict<Digest256> thumbprint_in(const json::Value& root) {
  return digest_from(base64url_decode(root.get("thumbprint").string()),
                     "thumbprint is not an account key's (RFC 7638, base64url)");
}

}  // namespace

const OrderRule* rule_of(std::string_view order) {
  const auto* found = std::ranges::find(kOrderRules, order, &OrderRule::order);
  return found == std::end(kOrderRules) ? nullptr : found;
}

Verdict<VerifiedOrder> verify_order(ByteView jws, const Operators& operators) {
  ORDER_TRY(text, read_text(jws));
  VerifiedOrder out;
  for (const auto& signature : text.signatures) {
    ORDER_TRY(signatory, verify_one(signature, text.payload_b64, operators));
    const bool again = std::ranges::any_of(
        out.signatories_, [&](const Signatory& s) { return s.kid == signatory.kid; });
    if (again) return refuse("order-same-operator", "one operator signed twice: " + signatory.name);
    out.signatories_.push_back(std::move(signatory));
  }
  auto payload = base64url_decode(text.payload_b64);
  if (!payload) return malformed("the payload is not unpadded base64url");
  out.payload_ = std::move(*payload);
  return out;
}

Verdict<PermittedOrder> permit(const VerifiedOrder& order, const Operators& operators,
                               std::int64_t now_ms) {
  const auto document =
      json::Document::parse(text_of(order.payload()), limits::kOperatorOrderPayloadBytesMax);
  if (!document) return bad_payload("not JSON");
  ORDER_TRY(head, read_head(document->root()));
  const OrderRule* rule = rule_of(head.order);
  if (rule == nullptr) return refuse("order-unknown", "there is no such order");
  if (head.unit != operators.unit()) return refuse("order-unit", "it is for another unit");
  if (head.expires_ms <= head.issued_ms ||
      head.expires_ms - head.issued_ms > limits::kOperatorOrderLifeMs)
    return refuse("order-window", "expires lies before issued, or more than seven days after it");
  if (head.issued_ms > now_ms + limits::kOperatorOrderSkewMs)
    return refuse("order-future", "it was issued later than now: is a clock wrong?");
  if (head.expires_ms <= now_ms) return refuse("order-expired", "its time is over");
  for (const auto& signatory : order.signatories()) {
    const Operator* one = operators.find(signatory.kid);
    if (one == nullptr || !one->has(rule->role))
      return refuse("order-role",
                    signatory.name + " has not got the role " + std::string(rule->role));
  }
  const bool two = operators.needs_two(rule->role, rule->order);
  if (order.signatories().size() < (two ? 2u : 1u))
    return refuse("order-dual-control", "two operators must sign this order");
  PermittedOrder out;
  out.head_ = std::move(head);
  out.signatories_ = order.signatories();
  out.payload_ = order.payload();
  return out;
}

Verdict<PermittedOrder> recorded_order(ByteView jws) {
  ORDER_TRY(text, read_text(jws));
  PermittedOrder out;
  for (const auto& signature : text.signatures) {
    ORDER_TRY(header, read_header(signature.protected_b64));
    ORDER_TRY(thumbprint, digest_from(base64url_decode(header.kid), "kid is no thumbprint"));
    out.signatories_.push_back({"", std::move(header.kid), thumbprint});
  }
  auto payload = base64url_decode(text.payload_b64);
  if (!payload) return malformed("the payload is not unpadded base64url");
  out.payload_ = std::move(*payload);
  const auto document =
      json::Document::parse(text_of(out.payload_), limits::kOperatorOrderPayloadBytesMax);
  if (!document) return bad_payload("not JSON");
  ORDER_TRY(head, read_head(document->root()));
  out.head_ = std::move(head);
  return out;
}

Verdict<RevokeArguments> read_revoke(const PermittedOrder& order) {
  ORDER_TRY(document, arguments_of(order, {"serials", "reason_code"}));
  const auto root = document.root();
  RevokeArguments out;
  const auto list = root.get("serials");
  if (!list.is_array() || list.items().empty())
    return bad_payload("serials is an empty list, or none");
  if (list.items().size() > limits::kOperatorOrderSerialsMax)
    return bad_payload("more than 256 serials: make several orders");
  for (const auto& item : list.items()) {
    auto serial = hex_decode(item.string());
    if (!serial || serial->empty() || serial->size() > kSerialBytesMax)
      return bad_payload("a serial is not hexadecimal, or too long");
    if (std::ranges::find(out.serials, *serial) != out.serials.end())
      return bad_payload("a serial stands twice");
    out.serials.push_back(std::move(*serial));
  }
  const auto code = root.get("reason_code");
  if (!code.exists()) return out;
  if (!code.is_integer() || code.integer() < 0 || code.integer() > 10)
    return bad_payload("reason_code is not one of RFC 5280");
  out.reason_code = static_cast<std::uint64_t>(code.integer());
  return out;
}

Verdict<void> read_nothing(const PermittedOrder& order) {
  ORDER_TRY(document, arguments_of(order, {}));
  (void)document;
  return {};
}

Verdict<Digest256> read_account(const PermittedOrder& order) {
  ORDER_TRY(document, arguments_of(order, {"thumbprint"}));
  return thumbprint_in(document.root());
}

Verdict<RekeyArguments> read_rekey(const PermittedOrder& order) {
  ORDER_TRY(document, arguments_of(order, {"thumbprint", "jwk", "account"}));
  const auto root = document.root();
  ORDER_TRY(from, thumbprint_in(root));
  auto jwk = jose::Jwk::from_json(root.get("jwk"));
  if (!jwk) return bad_payload("jwk is not a public key that accounts may have");
  return RekeyArguments{from, std::move(*jwk), std::string(root.get("account").string())};
}

Verdict<Digest256> read_policy_digest(const PermittedOrder& order) {
  ORDER_TRY(document, arguments_of(order, {"policy"}));
  return digest_from(hex_decode(document.root().get("policy").string()),
                     "policy is not the digest of one (64 hexadecimal digits)");
}

Verdict<std::string> read_eab_kid(const PermittedOrder& order) {
  ORDER_TRY(document, arguments_of(order, {"kid"}));
  const auto kid = document.root().get("kid").string();
  if (kid.empty() || kid.size() > limits::kEabKidBytesMax)
    return bad_payload("kid is not a credential's");
  return std::string(kid);
}

Verdict<AcceptArguments> read_accept(const PermittedOrder& order) {
  ORDER_TRY(document, arguments_of(order, {"code", "rows_found", "counter_found"}));
  const auto root = document.root();
  const auto rows = root.get("rows_found"), counter = root.get("counter_found");
  if (!root.get("code").is_string() || !rows.is_integer() || rows.integer() < 0 ||
      (counter.exists() && (!counter.is_integer() || counter.integer() < 0)))
    return bad_payload("code, rows_found or counter_found is not as the signer noted it");
  AcceptArguments out{std::string(root.get("code").string()),
                      static_cast<std::uint64_t>(rows.integer()), std::nullopt};
  if (counter.exists()) out.counter_found = static_cast<std::uint64_t>(counter.integer());
  return out;
}

Verdict<ShownOrder> show_order(ByteView jws) {
  ORDER_TRY(text, read_text(jws));
  ShownOrder out;
  for (const auto& signature : text.signatures) {
    ORDER_TRY(header, read_header(signature.protected_b64));
    out.kids.push_back(header.kid);
  }
  const auto payload = base64url_decode(text.payload_b64);
  if (!payload) return malformed("the payload is not unpadded base64url");
  out.payload = text_of(*payload);
  const auto document = json::Document::parse(out.payload, limits::kOperatorOrderPayloadBytesMax);
  if (!document) return bad_payload("not JSON");
  ORDER_TRY(head, read_head(document->root()));
  out.head = std::move(head);
  return out;
}

}  // namespace keyward::operate
