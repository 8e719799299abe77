// Owns the reading and writing of CMW. Must not know what a message in it means.
#include "firmware/rats/cmw.h"

#include <algorithm>
#include <array>

#include "firmware/json/json.h"
#include "firmware/rats/cose.h"
#include "firmware/rats/jwt.h"
#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"

namespace keyward::rats {
namespace {

using Kind = Value::Kind;

constexpr std::string_view kCollectionType = "__cmwc_t";

struct Format {
  std::uint64_t number;
  std::string_view media_type;
};
constexpr std::array<Format, 10> kFormats{{{263, "application/eat+cwt"},
                                           {264, "application/eat+jwt"},
                                           {265, "application/eat-bun+cbor"},
                                           {266, "application/eat-bun+json"},
                                           {267, "application/eat-ucs+cbor"},
                                           {268, "application/eat-ucs+json"},
                                           {273, "application/cmw+cbor"},
                                           {274, "application/cmw+json"},
                                           {275, "application/cmw+cose"},
                                           {276, "application/cmw+jws"}}};

constexpr std::uint64_t kTagFirst = 1'668'546'817;
constexpr std::uint64_t kTagLast = 1'668'612'095;

tl::unexpected<Refusal> malformed(const char* detail) { return refuse("cmw.malformed", detail); }
tl::unexpected<Refusal> bad_type(const char* detail) { return refuse("cmw.type", detail); }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_token_char(char c) {  // RFC 9110 §5.6.2
  const bool alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

class MediaTypeReader {
 public:
  explicit MediaTypeReader(std::string_view in) : in_(in) {}
  bool at_end() const { return in_.empty(); }
  bool take(char c) {
    if (in_.empty() || in_.front() != c) return false;
    in_.remove_prefix(1);
    return true;
  }
  void space() {
    while (take(' ') || take('\t')) {
    }
  }
  std::string token() {
    std::string out;
    while (!in_.empty() && is_token_char(in_.front())) {
      out.push_back(in_.front());
      in_.remove_prefix(1);
    }
    return out;
  }
  std::optional<std::string> quoted() {  // RFC 9110 §5.6.4, after the first quote
    std::string out;
    while (!in_.empty()) {
      char c = in_.front();
      in_.remove_prefix(1);
      if (c == '"') return out;
      if (c == '\\') {
        if (in_.empty()) return std::nullopt;
        c = in_.front();
        in_.remove_prefix(1);
      }
      if (c < 0x20 || c > 0x7e) return std::nullopt;
      out.push_back(c);
    }
    return std::nullopt;
  }

 private:
  std::string_view in_;
};

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), lower);
  return text;
}

// msg-wrap-23 §3.1: an absolute URI or an OID.
bool is_collection_type(std::string_view text) {
  if (text.empty() || text.size() > limits::kMediaTypeBytesMax) return false;
  if (text.front() >= '0' && text.front() <= '2') return x509::der_oid_checked(text).has_value();
  const auto colon = text.find(':');
  const bool letter = lower(text.front()) >= 'a' && lower(text.front()) <= 'z';
  if (!letter || colon == text.npos || colon + 1 == text.size()) return false;
  return std::ranges::all_of(text.substr(0, colon),
                             [](char c) {
                               const char l = lower(c);
                               return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
                                      c == '+' || c == '-' || c == '.';
                             }) &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

Appraised<std::uint32_t> read_indicators(const Value& value) {
  if (!value.is(Kind::kInteger) || value.integer < 1 || value.integer > indicator::kAll)
    return refuse("cmw.ind", "ind must be 1 to 31");
  return static_cast<std::uint32_t>(value.integer);
}

Appraised<MediaType> known_format(std::uint64_t content_format) {
  const auto name = media_type_of(content_format);
  if (!name)
    return refuse("cmw.content-format", "the content format " + std::to_string(content_format) +
                                            " is none that is read here");
  return MediaType{std::string(*name), {}};
}

Appraised<MediaType> read_type(const Value& value, Encoding encoding) {
  if (value.is(Kind::kText)) return parse_media_type(value.text);
  if (encoding == Encoding::kJson || !value.is(Kind::kInteger) || value.integer < 0)
    return bad_type("a record's type is neither a media type nor a content format");
  return known_format(static_cast<std::uint64_t>(value.integer));
}

Appraised<Bytes> read_value(const Value& value, Encoding encoding) {
  constexpr const char* kDetail =
      "a record's value is not unpadded base64url (JSON) or a byte string (CBOR)";
  if (encoding == Encoding::kCbor) {
    if (!value.is(Kind::kBytes)) return refuse("cmw.value", kDetail);
    return value.bytes;
  }
  if (!value.is(Kind::kText)) return refuse("cmw.value", kDetail);
  auto octets = base64url_decode(value.text);
  if (!octets) return refuse("cmw.value", kDetail);
  return std::move(*octets);
}

Appraised<Cmw> read_record(const Value& value, Encoding encoding) {
  if (value.items.size() != 2 && value.items.size() != 3)
    return malformed("a record has two or three elements");
  CmwRecord record;
  auto type = read_type(value.items[0], encoding);
  if (!type) return tl::unexpected(type.error());
  record.media_type = std::move(*type);
  auto octets = read_value(value.items[1], encoding);
  if (!octets) return tl::unexpected(octets.error());
  record.value = std::move(*octets);
  if (value.items.size() == 3) {
    auto bits = read_indicators(value.items[2]);
    if (!bits) return tl::unexpected(bits.error());
    record.indicators = *bits;
  }
  Cmw out;
  out.record = std::move(record);
  return out;
}

Appraised<Cmw> read_tag(const Value& value) {
  const auto content_format = content_format_of_tag(value.tag);
  if (!content_format) return refuse("cmw.tag", "the tag is none of a conceptual message");
  auto type = known_format(*content_format);
  if (!type) return tl::unexpected(type.error());
  if (!value.items.front().is(Kind::kBytes))
    return refuse("cmw.value", "the tag does not stand before a byte string");
  Cmw out;
  out.record = CmwRecord{std::move(*type), value.items.front().bytes, 0};
  return out;
}

Appraised<Cmw> read_cmw(const Value& value, Encoding encoding, int depth);

Appraised<void> read_entry(const Key& key, const Value& value, Encoding encoding, int depth,
                           Cmw& out) {
  if (key.is_text && key.text == kCollectionType) {
    std::string type = value.text;
    if (encoding == Encoding::kCbor && value.is(Kind::kBytes)) type = x509::oid_text(value.bytes);
    if (!is_collection_type(type))
      return refuse("cmw.collection-type", "__cmwc_t is neither an absolute URI nor an OID");
    out.collection_type = std::move(type);
    return {};
  }
  const auto label = key.print();
  if (label.empty() || label.size() > limits::kIdBytesMax)
    return refuse("cmw.label", "a label is empty or too long");
  // The integer 1 and the text "1" must not become one.
  for (const auto& entry : out.entries) {
    if (entry.label == label) return refuse("cmw.label", "a label comes twice");
  }
  auto cmw = read_cmw(value, encoding, depth + 1);
  if (!cmw) return tl::unexpected(cmw.error());
  out.entries.push_back({label, std::move(*cmw)});
  return {};
}

Appraised<Cmw> read_collection(const Value& value, Encoding encoding, int depth) {
  if (depth >= limits::kCmwDepthMax) return refuse("cmw.depth", "too many nested collections");
  if (value.keys.size() > limits::kCmwEntriesMax + 1)
    return refuse("cmw.entries", "a collection has too many entries");
  Cmw out;
  for (std::size_t i = 0; i < value.keys.size(); ++i)
    KEYWARD_APPRAISE(read_entry(value.keys[i], value.items[i], encoding, depth, out));
  if (out.entries.empty()) return refuse("cmw.empty", "a collection has no entry");
  if (out.entries.size() > limits::kCmwEntriesMax)
    return refuse("cmw.entries", "a collection has too many entries");
  return out;
}

Appraised<Cmw> read_cmw(const Value& value, Encoding encoding, int depth) {
  if (value.is(Kind::kArray)) return read_record(value, encoding);
  if (value.is(Kind::kMap)) return read_collection(value, encoding, depth);
  if (value.is(Kind::kTagged) && encoding == Encoding::kCbor) return read_tag(value);
  return malformed("neither a record nor a collection");
}

void mark_signed(Cmw& cmw) {
  cmw.is_signed = true;
  for (auto& entry : cmw.entries) mark_signed(entry.cmw);
}

void collect(const Cmw& cmw, const std::string& path, std::vector<FlatRecord>& out) {
  if (cmw.record) out.push_back({path, &*cmw.record, cmw.is_signed});
  for (const auto& entry : cmw.entries)
    collect(entry.cmw, path.empty() ? entry.label : path + "/" + entry.label, out);
}

bool is_compact_jwe(std::string_view text) { return std::ranges::count(text, '.') == 4; }

Appraised<ResponsePayload> wrap(Appraised<Cmw> cmw) {
  if (!cmw) return tl::unexpected(cmw.error());
  return ResponsePayload(std::move(*cmw));
}

Appraised<ResponsePayload> read_jwe_text(const Value& value) {
  if (!value.is(Kind::kText) || !is_compact_jwe(value.text))
    return refuse("payload.form", "the text is not a compact JWE");
  return ResponsePayload(JwePayload{value.text});
}

Appraised<ResponsePayload> read_octets(const Value& value, bool is_csr) {
  auto octets = base64url_decode(value.text);
  if (!value.is(Kind::kText) || !octets)
    return refuse("payload.form", "the member is not unpadded base64url");
  if (is_csr) return ResponsePayload(CsrPayload{std::move(*octets)});
  return wrap(parse_cbor_cmw(*octets));
}

}  // namespace

std::string MediaType::eat_profile() const {
  const auto found = parameters.find("eat_profile");
  return found == parameters.end() ? std::string() : found->second;
}

Appraised<MediaType> parse_media_type(std::string_view text) {
  if (text.size() > limits::kMediaTypeBytesMax) return bad_type("the media type is too long");
  MediaTypeReader in(text);
  MediaType out;
  const auto type = in.token();
  const bool slash = in.take('/');
  const auto subtype = in.token();
  if (type.empty() || !slash || subtype.empty()) return bad_type("not a media type");
  out.type = lower_case(type + "/" + subtype);
  // A slip of draft-ietf-rats-ear for application/eat+jwt.
  if (out.type == "application/eat-jwt") out.type = "application/eat+jwt";
  for (in.space(); !in.at_end(); in.space()) {
    if (!in.take(';')) return bad_type("not a media type");
    in.space();
    const auto name = lower_case(in.token());
    if (name.empty() || !in.take('=')) return bad_type("a parameter without name or value");
    const auto value = in.take('"') ? in.quoted() : std::optional(in.token());
    if (!value || value->empty()) return bad_type("a parameter without value");
    if (!out.parameters.emplace(name, *value).second) return bad_type("a parameter comes twice");
  }
  return out;
}

std::optional<std::string_view> media_type_of(std::uint64_t content_format) {
  const auto* found = std::ranges::find(kFormats, content_format, &Format::number);
  return found == kFormats.end() ? std::nullopt : std::optional(found->media_type);
}

std::optional<std::uint64_t> content_format_of(std::string_view media_type) {
  const auto* found = std::ranges::find(kFormats, media_type, &Format::media_type);
  return found == kFormats.end() ? std::nullopt : std::optional(found->number);
}

std::uint64_t cmw_tag_of(std::uint64_t content_format) {
  return kTagFirst + (content_format / 255) * 256 + content_format % 255;
}

std::optional<std::uint64_t> content_format_of_tag(std::uint64_t tag) {
  if (tag < kTagFirst || tag > kTagLast) return std::nullopt;
  const auto offset = tag - kTagFirst;
  if (offset % 256 == 255) return std::nullopt;  // no format maps there
  return (offset / 256) * 255 + offset % 256;
}

Appraised<Cmw> parse_json_cmw(const Value& value) { return read_cmw(value, Encoding::kJson, 0); }

Appraised<Cmw> parse_cbor_cmw(ByteView bytes) {
  const auto value = parse_cbor(bytes);
  if (!value) return malformed("not one strictly encoded CBOR item");
  return read_cmw(*value, Encoding::kCbor, 0);
}

Appraised<Cmw> parse_cmw(ByteView bytes) {
  if (bytes.empty()) return malformed("empty");
  // msg-wrap-23 §5: '[' and '{' are no first octets of a record, collection or tag in CBOR.
  if (bytes.front() != '[' && bytes.front() != '{') return parse_cbor_cmw(bytes);
  const auto value = parse_json(text_of(bytes));
  if (!value) return malformed("not strict JSON");
  return parse_json_cmw(*value);
}

Appraised<Cmw> open_signed_cose(ByteView bytes, const TrustAnchors& anchors) {
  auto message = verify_sign1(bytes, anchors);
  if (!message) return tl::unexpected(message.error());
  const bool right = message->content_type == "application/cmw+cbor" ||
                     message->content_format == content_format_of("application/cmw+cbor");
  if (!right) return refuse("cmw.content-type", "the signed content is not application/cmw+cbor");
  auto cmw = parse_cbor_cmw(message->payload);
  if (cmw) mark_signed(*cmw);
  return cmw;
}

Appraised<Cmw> open_signed_jws(std::string_view text, const TrustAnchors& anchors) {
  auto message =
      text.starts_with('{') ? verify_flattened(text, anchors) : verify_compact(text, anchors);
  if (!message) return tl::unexpected(message.error());
  // RFC 7515 §4.1.10: "application/" may be left out.
  if (message->cty != "application/cmw+json" && message->cty != "cmw+json")
    return refuse("cmw.content-type", "the signed content is not application/cmw+json");
  const auto value = parse_json(text_of(message->payload));
  if (!value) return malformed("not strict JSON");
  auto cmw = parse_json_cmw(*value);
  if (cmw) mark_signed(*cmw);
  return cmw;
}

Appraised<Cmw> open_signed(const CmwRecord& record, const TrustAnchors& anchors) {
  if (record.media_type.type == "application/cmw+cose")
    return open_signed_cose(record.value, anchors);
  if (record.media_type.type == "application/cmw+jws")
    return open_signed_jws(text_of(record.value), anchors);
  return bad_type("not a signed conceptual message");
}

std::vector<FlatRecord> records_of(const Cmw& cmw) {
  std::vector<FlatRecord> out;
  collect(cmw, "", out);
  return out;
}

std::string write_json_record(std::string_view media_type, ByteView value,
                              std::uint32_t indicators) {
  json::Writer out;
  out.begin_array().string(media_type).string(base64url_encode(value));
  if (indicators != 0) out.integer(indicators);
  out.end_array();
  return out.take();
}

Bytes write_cbor_record(std::string_view media_type, ByteView value, std::uint32_t indicators) {
  wire::CborWriter out;
  out.array(indicators != 0 ? 3 : 2);
  if (const auto content_format = content_format_of(media_type)) {
    out.unsigned_integer(*content_format);
  } else {
    out.text(media_type);
  }
  out.bytes(value);
  if (indicators != 0) out.unsigned_integer(indicators);
  return out.take();
}

Appraised<ResponsePayload> read_response_payload(ByteView payload) {
  const auto value = parse_json(text_of(payload));
  if (!value) return refuse("payload.malformed", "the payload is not strict JSON");
  if (value->is(Kind::kText)) return read_jwe_text(*value);
  if (value->is(Kind::kMap) && value->keys.size() == 1) {
    const auto& name = value->keys.front().text;
    const auto& member = value->items.front();
    if (name == "jwe") return read_jwe_text(member);
    if (name == "csr") return read_octets(member, true);
    if (name == "cmw")
      return member.is(Kind::kText) ? read_octets(member, false) : wrap(parse_json_cmw(member));
  }
  if (!value->is(Kind::kArray) && !value->is(Kind::kMap))
    return refuse("payload.form", "the payload is none of the forms that carry evidence");
  return wrap(parse_json_cmw(*value));
}

}  // namespace keyward::rats
