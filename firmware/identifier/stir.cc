// Owns the identifiers that authority tokens vouch for: TNAuthList (RFC 9448, RFC 8226 §9) and the
// claim constraints (RFC 8226 §8, RFC 9118 §4). Must not know tokens.
//
// Their value is base64url of DER. It is read strictly, since the same octets become a certificate
// extension; then one DER has one identifier. The reader stands here and not in firmware/x509,
// which itself depends on this folder.
#include <algorithm>
#include <optional>

#include "firmware/identifier/grammar.h"
#include "firmware/identifier/identifier.h"

namespace keyward::identifier {
namespace {

constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t kUtf8String = 0x0c;
constexpr std::uint8_t kIa5String = 0x16;
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kContext = 0xa0;  // constructed: both modules have EXPLICIT TAGS
constexpr std::size_t kTelephoneNumberBytesMax = 15;  // RFC 8226 §9
constexpr std::size_t kCountBytesMax = 8;             // of a range; far above any numbering plan

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// One level of DER: definite, minimal lengths, single-octet tags.
class Reader {
 public:
  explicit Reader(ByteView in) : in_(in) {}
  bool at_end() const { return in_.empty(); }
  std::uint8_t next_tag() const { return in_.empty() ? 0 : in_[0]; }

  Result<ByteView> element(std::uint8_t tag) {
    if (in_.size() < 2 || in_[0] != tag) return bad("authority identifier: not the DER expected");
    std::size_t header = 2;
    std::size_t size = in_[1];
    if (size >= 0x80) {
      const std::size_t octets = size & 0x7f;
      if (octets == 0 || octets > 2 || in_.size() < 2 + octets)
        return bad("authority identifier: not the DER expected");
      size = 0;
      for (std::size_t i = 0; i < octets; ++i) size = (size << 8) | in_[2 + i];
      if (size < 0x80 || (octets == 2 && size < 0x100))
        return bad("authority identifier: a length that is not minimal");
      header += octets;
    }
    if (in_.size() - header < size) return bad("authority identifier: not the DER expected");
    const auto content = in_.subspan(header, size);
    in_ = in_.subspan(header + size);
    return content;
  }

  Result<Reader> nested(std::uint8_t tag) {
    KEYWARD_TRY(content, element(tag));
    return Reader(content);
  }

  Status expect_end() const {
    return at_end() ? Status{} : bad("authority identifier: octets after the end");
  }

 private:
  ByteView in_;
};

Status check_text(ByteView content) {
  if (content.empty()) return bad("authority identifier: an empty text");
  if (!wire::is_valid_utf8(content)) return bad("authority identifier: not UTF-8");
  if (has_control_character(text_of(content)))
    return fail(ErrorKind::kRefused, "identifier: control character");
  return {};
}

Status check_ia5(Reader& in) {
  KEYWARD_TRY(content, in.element(kIa5String));
  if (std::ranges::any_of(content, [](std::uint8_t c) { return c >= 0x80; }))
    return bad("authority identifier: not IA5");
  return check_text(content);
}

Status check_number(Reader& in) {
  KEYWARD_TRY(content, in.element(kIa5String));
  const auto is_allowed = [](std::uint8_t c) {
    return (c >= '0' && c <= '9') || c == '#' || c == '*';
  };
  if (content.empty() || content.size() > kTelephoneNumberBytesMax ||
      !std::ranges::all_of(content, is_allowed))
    return bad("TNAuthList: not a telephone number");
  return {};
}

// TelephoneNumberRange: `count` is 2 or more; nothing stands in the extension marker's place yet.
Status check_range(Reader& in) {
  KEYWARD_TRY(range, in.nested(kSequence));
  KEYWARD_CHECK(check_number(range));
  KEYWARD_TRY(count, range.element(kInteger));
  if (count.empty() || count.size() > kCountBytesMax || (count[0] & 0x80) != 0)
    return bad("TNAuthList: not a count of numbers");
  if (count.size() > 1 && count[0] == 0 && (count[1] & 0x80) == 0)
    return bad("TNAuthList: not a count of numbers");
  if (count.size() == 1 && count[0] < 2) return bad("TNAuthList: a range of less than two");
  return range.expect_end();
}

Status check_tn_entry(Reader& list) {
  const auto tag = list.next_tag();
  if (tag != kContext && tag != kContext + 1 && tag != kContext + 2)
    return bad("TNAuthList: not an entry");
  KEYWARD_TRY(entry, list.nested(tag));
  if (tag == kContext) {
    KEYWARD_CHECK(check_ia5(entry));
  } else if (tag == kContext + 1) {
    KEYWARD_CHECK(check_range(entry));
  } else {
    KEYWARD_CHECK(check_number(entry));
  }
  return entry.expect_end();
}

Status check_tn_auth_list(ByteView der) {
  Reader in(der);
  KEYWARD_TRY(list, in.nested(kSequence));
  KEYWARD_CHECK(in.expect_end());
  if (list.at_end()) return bad("TNAuthList: no entry");
  while (!list.at_end()) KEYWARD_CHECK(check_tn_entry(list));
  return {};
}

Status check_claim_names(Reader& in) {
  KEYWARD_TRY(names, in.nested(kSequence));
  if (names.at_end()) return bad("claim constraints: an empty list");
  while (!names.at_end()) KEYWARD_CHECK(check_ia5(names));
  return {};
}

Status check_permitted_values(Reader& in) {
  KEYWARD_TRY(list, in.nested(kSequence));
  if (list.at_end()) return bad("claim constraints: an empty list");
  while (!list.at_end()) {
    KEYWARD_TRY(one, list.nested(kSequence));
    KEYWARD_CHECK(check_ia5(one));
    KEYWARD_TRY(values, one.nested(kSequence));
    KEYWARD_CHECK(one.expect_end());
    if (values.at_end()) return bad("claim constraints: an empty list");
    while (!values.at_end()) {
      KEYWARD_TRY(value, values.element(kUtf8String));
      KEYWARD_CHECK(check_text(value));
    }
  }
  return {};
}

// [0] mustInclude, [1] permittedValues, and in the enhanced form [2] mustExclude: in this order,
// each once at most, one at least.
Status check_claim_constraints(ByteView der, bool enhanced) {
  Reader in(der);
  KEYWARD_TRY(constraints, in.nested(kSequence));
  KEYWARD_CHECK(in.expect_end());
  if (constraints.at_end()) return bad("claim constraints: none");
  const std::uint8_t members = enhanced ? 3 : 2;
  for (std::uint8_t i = 0; i < members && !constraints.at_end(); ++i) {
    if (constraints.next_tag() != kContext + i) continue;
    KEYWARD_TRY(member, constraints.nested(static_cast<std::uint8_t>(kContext + i)));
    KEYWARD_CHECK(i == 1 ? check_permitted_values(member) : check_claim_names(member));
    KEYWARD_CHECK(member.expect_end());
  }
  return constraints.expect_end();
}

// Tokens carry the value padded or not (RFC 9448 §3); other mistakes of the encoding are refused.
std::string_view without_padding(std::string_view text) {
  if (text.size() % 4 != 0) return text;
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<std::string> canonical_authority(IdentifierType type, std::string_view value) {
  const auto text = without_padding(value);
  if (text.size() > limits::kIdentifierBytesMax)
    return fail(ErrorKind::kRefused, "identifier: over 1024 octets");
  const auto der = base64url_decode(text);
  if (!der || der->empty()) return bad("authority identifier: not base64url");
  if (type == IdentifierType::kTnAuthList) {
    KEYWARD_CHECK(check_tn_auth_list(*der));
  } else {
    KEYWARD_CHECK(
        check_claim_constraints(*der, type == IdentifierType::kEnhancedJwtClaimConstraints));
  }
  return std::string(text);
}

bool is_authority_type(IdentifierType type) {
  return type == IdentifierType::kTnAuthList || type == IdentifierType::kJwtClaimConstraints ||
         type == IdentifierType::kEnhancedJwtClaimConstraints;
}

Result<Bytes> authority_der(const Identifier& identifier) {
  if (!is_authority_type(identifier.type)) return bad("not an identifier of an authority token");
  KEYWARD_TRY(text, canonical_authority(identifier.type, identifier.value));
  if (text != identifier.value) return bad("authority identifier: not in canonical form");
  return base64url_decode(text);
}

}  // namespace keyward::identifier
