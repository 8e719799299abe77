// Owns the Conceptual Message Wrapper (draft-ietf-rats-msg-wrap-23) and the payload of a
// remote-attest-01 response (D-R2). Must not know what a message in it means.
//
// A CMW has no authenticity of its own; a signed one is opened by open_signed_* alone, and only what
// came out of there has `is_signed`. Codes: "cmw.malformed", "cmw.type", "cmw.content-format",
// "cmw.tag", "cmw.value", "cmw.ind", "cmw.empty", "cmw.entries", "cmw.depth", "cmw.label",
// "cmw.collection-type", "cmw.content-type" (signed; of another content), "payload.malformed",
// "payload.form". Threads: pure functions.
#pragma once

#include <map>
#include <variant>

#include "firmware/rats/trust.h"
#include "firmware/rats/value.h"

namespace keyward::rats {

// RFC 9110 §8.3.1: type and names in lower case, values as they came, quotes removed.
struct MediaType {
  std::string type;  // "application/eat+cwt"
  std::map<std::string, std::string> parameters;
  std::string eat_profile() const;  // "" if none
};
Appraised<MediaType> parse_media_type(std::string_view text);  // "cmw.type"
// CoAP content formats of RFC 9782 (263..268) and of CMW itself (273..276); nullopt: unknown here.
std::optional<std::string_view> media_type_of(std::uint64_t content_format);
std::optional<std::uint64_t> content_format_of(std::string_view media_type);
// #6.TN: msg-wrap-23 §3.3.
std::uint64_t cmw_tag_of(std::uint64_t content_format);
std::optional<std::uint64_t> content_format_of_tag(std::uint64_t tag);

// Bits of `ind`.
namespace indicator {
inline constexpr std::uint32_t kReferenceValues = 1, kEndorsements = 2, kEvidence = 4,
                               kAttestationResults = 8, kAppraisalPolicy = 16, kAll = 31;
}

struct CmwRecord {
  MediaType media_type;
  Bytes value;
  std::uint32_t indicators = 0;  // 0: not said
};

struct CmwEntry;
struct Cmw {
  std::optional<CmwRecord> record;  // absent: a collection
  std::string collection_type;      // of a collection; "" if not said
  std::vector<CmwEntry> entries;
  bool is_signed = false;  // opened by open_signed_*, at whatever depth
};
struct CmwEntry {
  std::string label;  // an integer as its digits
  Cmw cmw;
};

// By the first octet: JSON record or collection, CBOR record, collection or tag.
Appraised<Cmw> parse_cmw(ByteView bytes);
Appraised<Cmw> parse_json_cmw(const Value& value);
Appraised<Cmw> parse_cbor_cmw(ByteView bytes);

// COSE_Sign1 with content type application/cmw+cbor; JWS, compact or flattened, with cty
// application/cmw+json. The signature first; also "cose.*", "jws.*", "trust.*".
Appraised<Cmw> open_signed_cose(ByteView bytes, const TrustAnchors& anchors);
Appraised<Cmw> open_signed_jws(std::string_view text, const TrustAnchors& anchors);
// A record of application/cmw+cose or application/cmw+jws, opened as above; "cmw.type" for another.
Appraised<Cmw> open_signed(const CmwRecord& record, const TrustAnchors& anchors);

// Every record with the path of its labels ("" for a bare one, "a/b" inside collections).
struct FlatRecord {
  std::string path;
  const CmwRecord* record;
  bool is_signed;
};
std::vector<FlatRecord> records_of(const Cmw& cmw);

std::string write_json_record(std::string_view media_type, ByteView value,
                              std::uint32_t indicators = 0);
Bytes write_cbor_record(std::string_view media_type, ByteView value, std::uint32_t indicators = 0);

// ---- response payload (D-R2)
struct JwePayload {
  std::string compact;
};
struct CsrPayload {
  Bytes der;
};
using ResponsePayload = std::variant<Cmw, JwePayload, CsrPayload>;
// {"cmw": …}, {"jwe": …}, {"csr": …}, a bare JSON record or collection, a JSON string that is a
// compact JWE.
Appraised<ResponsePayload> read_response_payload(ByteView payload);

}  // namespace keyward::rats
