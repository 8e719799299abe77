#include "firmware/audit/head.h"

#include <algorithm>

#include "firmware/json/json.h"

namespace keyward::audit {
namespace {

constexpr std::string_view kProtected = R"({"alg":"ES256","typ":"keyward-ledger-head"})";
constexpr std::size_t kReasonBytesMax = 512;

template <std::size_t N>
Status read_hex(const json::Value& object, std::string_view key, std::array<std::uint8_t, N>& out) {
  KEYWARD_TRY(text, object.require_string(key));
  const auto octets = hex_decode(text);
  if (!octets || octets->size() != N) return fail(ErrorKind::kBadInput, "a digest is misshapen");
  std::copy(octets->begin(), octets->end(), out.begin());
  return {};
}

Status read_number(const json::Value& object, std::string_view key, std::uint64_t& out) {
  const auto value = object.get(key);
  if (!value.is_integer() || value.integer() < 0)
    return fail(ErrorKind::kBadInput, "a number is missing");
  out = static_cast<std::uint64_t>(value.integer());
  return {};
}

Status read_optional(const json::Value& object, std::string_view key,
                     std::optional<std::uint64_t>& out) {
  if (!object.get(key).exists()) return {};
  return read_number(object, key, out.emplace());
}

Result<Acceptance> read_acceptance(const json::Value& object) {
  Acceptance out;
  KEYWARD_TRY(code, object.require_string("code"));
  KEYWARD_TRY(reason, object.require_string("reason"));
  if (code.size() > limits::kCodeBytesMax || reason.size() > kReasonBytesMax)
    return fail(ErrorKind::kBadInput, "an acceptance is too long");
  out.code = code;
  out.reason = reason;
  KEYWARD_CHECK(read_number(object, "rows_found", out.rows_found));
  KEYWARD_CHECK(read_optional(object, "counter_found", out.counter_found));
  return out;
}

Result<Head> read_head(const json::Value& object) {
  Head out;
  std::uint64_t version = 0, time_ms = 0;
  KEYWARD_CHECK(read_number(object, "version", version));
  if (version != 1) return fail(ErrorKind::kBadInput, "a head of another version");
  KEYWARD_CHECK(read_hex(object, "ledger_id", out.ledger_id));
  KEYWARD_CHECK(read_number(object, "number", out.number));
  KEYWARD_CHECK(read_hex(object, "previous_line", out.previous_line));
  KEYWARD_CHECK(read_number(object, "row", out.row));
  KEYWARD_CHECK(read_hex(object, "row_sha256", out.row_sha256));
  KEYWARD_CHECK(read_number(object, "segment", out.segment));
  KEYWARD_CHECK(read_number(object, "offset", out.offset));
  KEYWARD_CHECK(read_number(object, "time_ms", time_ms));
  out.time_ms = static_cast<std::int64_t>(time_ms);
  KEYWARD_CHECK(read_optional(object, "counter", out.counter));
  KEYWARD_TRY(cause, object.require_string("cause"));
  out.cause = cause.substr(0, limits::kCodeBytesMax);
  if (const auto accepted = object.get("accepted"); accepted.exists()) {
    KEYWARD_TRY(read, read_acceptance(accepted));
    out.accepted = std::move(read);
  }
  return out;
}

}  // namespace

std::string signing_input_of(const Head& head) {
  const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  json::Writer out;
  out.begin_object().member_int("version", 1);
  out.member("ledger_id", hex_encode(head.ledger_id)).member_int("number", number(head.number));
  out.member("previous_line", hex_encode(head.previous_line)).member_int("row", number(head.row));
  out.member("row_sha256", hex_encode(head.row_sha256));
  out.member_int("segment", number(head.segment)).member_int("offset", number(head.offset));
  out.member_int("time_ms", head.time_ms);
  if (head.counter) out.member_int("counter", number(*head.counter));
  out.member("cause", head.cause);
  if (head.accepted) {
    out.key("accepted").begin_object().member("code", head.accepted->code);
    out.member("reason", head.accepted->reason);
    out.member_int("rows_found", number(head.accepted->rows_found));
    if (head.accepted->counter_found)
      out.member_int("counter_found", number(*head.accepted->counter_found));
    out.end_object();
  }
  return base64url_encode(view_of(kProtected)) + "." +
         base64url_encode(view_of(out.end_object().take()));
}

std::string line_of(const std::string& signing_input, ByteView signature) {
  const auto dot = signing_input.find('.');
  json::Writer out;
  out.begin_object().member("protected", signing_input.substr(0, dot));
  out.member("payload", signing_input.substr(dot + 1));
  return out.member("signature", base64url_encode(signature)).end_object().take();
}

Result<SignedHead> parse_line(std::string_view line) {
  KEYWARD_TRY(outer, json::Document::parse(line, limits::kAuditHeadLineBytesMax));
  KEYWARD_TRY(header, outer.root().require_string("protected"));
  KEYWARD_TRY(payload, outer.root().require_string("payload"));
  KEYWARD_TRY(signature, outer.root().require_string("signature"));
  if (header != base64url_encode(view_of(kProtected)))
    return fail(ErrorKind::kBadInput, "not the header of a ledger's head");
  KEYWARD_TRY(octets, base64url_decode(payload));
  KEYWARD_TRY(inner, json::Document::parse(text_of(octets), limits::kAuditHeadLineBytesMax));
  SignedHead out;
  KEYWARD_TRY(head, read_head(inner.root()));
  out.head = std::move(head);
  KEYWARD_TRY(raw, base64url_decode(signature));
  out.signature = std::move(raw);
  out.signing_input = std::string(header) + "." + std::string(payload);
  out.line_sha256 = crypto::sha256(view_of(line));
  return out;
}

Status verify(const SignedHead& head, const crypto::PublicKey& key) {
  if (key.kind() != crypto::KeyKind::kEcP256)
    return fail(ErrorKind::kRefused, "an audit key is ECDSA on P-256");
  return key.verify(crypto::SignatureScheme::kEcdsaRaw, crypto::HashAlgorithm::kSha256,
                    view_of(head.signing_input), head.signature);
}

Result<Acceptance> parse_acceptance(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, limits::kAuditHeadLineBytesMax));
  return read_acceptance(document.root());
}

}  // namespace keyward::audit
