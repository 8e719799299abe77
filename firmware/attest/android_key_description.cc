// Owns the octets of KeyDescription. Must not know policy.
#include "firmware/attest/android_key_description.h"

#include "firmware/x509/der.h"

namespace keyward::attest {
namespace {

using x509::DerReader;

constexpr std::uint8_t kEnumerated = 0x0a;
constexpr std::uint64_t kSecurityLevelMax = 2, kBootStateMax = 3;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Result<std::uint64_t> enumerated(DerReader& reader, std::uint64_t max) {
  KEYWARD_TRY(content, reader.element(kEnumerated));
  if (content.size() != 1 || content[0] > max)
    return bad("KeyDescription: an enumerated value is out of range");
  return std::uint64_t{content[0]};
}

Result<Bytes> octets(DerReader& reader) {
  KEYWARD_TRY(content, reader.element(x509::tag::kOctetString));
  return to_bytes(content);
}

struct Tagged {
  std::uint32_t number;
  ByteView content;
};

// One [n] EXPLICIT, also with n over 30, which DerReader refuses: its identifier octets are replaced
// by a low tag, so that DerReader's strict lengths hold for it too.
Result<Tagged> read_tagged(ByteView& rest) {
  constexpr std::uint8_t kContextConstructed = 0xa0, kHighTag = 0x1f;
  if (rest.empty() || (rest[0] & 0xe0) != kContextConstructed)
    return bad("KeyDescription: an authorization is not an explicit tag");
  std::uint32_t number = rest[0] & kHighTag;
  std::size_t head = 1;
  if (number == kHighTag) {
    number = 0;
    do {
      if (head >= rest.size() || head > 3) return bad("KeyDescription: malformed tag");
      if (head == 1 && rest[head] == 0x80) return bad("KeyDescription: malformed tag");
      number = number << 7 | (rest[head] & 0x7f);
    } while ((rest[head++] & 0x80) != 0);
    if (number < kHighTag) return bad("KeyDescription: malformed tag");
  }
  Bytes low{kContextConstructed};
  append(low, rest.subspan(head));
  DerReader reader(low);
  KEYWARD_TRY(found, reader.any());
  const std::size_t whole = head + found.whole.size() - 1;
  const auto content = rest.subspan(whole - found.content.size(), found.content.size());
  rest = rest.subspan(whole);
  return Tagged{number, content};
}

Result<std::set<std::uint64_t>> integer_set(DerReader& reader) {
  KEYWARD_TRY(set, reader.nested(x509::tag::kSet));
  std::set<std::uint64_t> out;
  while (!set.at_end()) {
    KEYWARD_TRY(value, set.small_unsigned());
    out.insert(value);
  }
  return out;
}

// RootOfTrust ::= SEQUENCE { verifiedBootKey, deviceLocked, verifiedBootState, verifiedBootHash
// OPTIONAL (absent before attestation version 3) }
Result<AndroidRootOfTrust> root_of_trust(DerReader& reader) {
  KEYWARD_TRY(body, reader.sequence());
  AndroidRootOfTrust out;
  KEYWARD_CHECK(octets(body));  // verifiedBootKey
  KEYWARD_TRY(locked, body.boolean());
  KEYWARD_TRY(state, enumerated(body, kBootStateMax));
  out.device_locked = locked;
  out.verified_boot_state = state;
  if (!body.at_end()) KEYWARD_CHECK(octets(body));
  KEYWARD_CHECK(body.expect_end());
  return out;
}

template <class T>
Status take(std::optional<T>& to, Result<T> value) {
  if (!value) return tl::unexpected<Error>(value.error());
  to = std::move(*value);
  return {};
}

Status read_authorization(const Tagged& tagged, AndroidAuthorizations& out) {
  DerReader reader(tagged.content);
  switch (tagged.number) {
    case 1: {
      KEYWARD_TRY(purposes, integer_set(reader));
      out.purposes = std::move(purposes);
      break;
    }
    case 600:  // allApplications NULL
      KEYWARD_CHECK(reader.element(x509::tag::kNull));
      out.all_applications = true;
      break;
    case 702:
      KEYWARD_CHECK(take(out.origin, reader.small_unsigned()));
      break;
    case 704:
      KEYWARD_CHECK(take(out.root_of_trust, root_of_trust(reader)));
      break;
    case 706:
      KEYWARD_CHECK(take(out.os_patch, reader.small_unsigned()));
      break;
    case 713:
      KEYWARD_CHECK(take(out.id_serial, octets(reader)));
      break;
    case 714:
      KEYWARD_CHECK(take(out.id_imei, octets(reader)));
      break;
    case 715:
      KEYWARD_CHECK(take(out.id_meid, octets(reader)));
      break;
    case 718:
      KEYWARD_CHECK(take(out.vendor_patch, reader.small_unsigned()));
      break;
    case 719:
      KEYWARD_CHECK(take(out.boot_patch, reader.small_unsigned()));
      break;
    case 723:
      KEYWARD_CHECK(take(out.id_second_imei, octets(reader)));
      break;
    default:
      KEYWARD_CHECK(reader.any());
      break;
  }
  return reader.expect_end();
}

Result<AndroidAuthorizations> authorizations(DerReader& reader) {
  KEYWARD_TRY(rest, reader.element(x509::tag::kSequence));
  AndroidAuthorizations out;
  std::int64_t last = -1;
  while (!rest.empty()) {
    KEYWARD_TRY(tagged, read_tagged(rest));
    if (std::int64_t{tagged.number} <= last)
      return bad("KeyDescription: authorization tags do not ascend");
    last = tagged.number;
    KEYWARD_CHECK(read_authorization(tagged, out));
  }
  return out;
}

}  // namespace

Result<AndroidKeyDescription> parse_key_description(ByteView der) {
  DerReader outer(der);
  KEYWARD_TRY(body, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  AndroidKeyDescription out;
  KEYWARD_TRY(version, body.small_unsigned());
  KEYWARD_TRY(attestation_security, enumerated(body, kSecurityLevelMax));
  KEYWARD_CHECK(body.small_unsigned());  // keymintVersion
  KEYWARD_TRY(keymint_security, enumerated(body, kSecurityLevelMax));
  KEYWARD_TRY(challenge, octets(body));
  KEYWARD_CHECK(octets(body));  // uniqueId
  KEYWARD_TRY(software, authorizations(body));
  KEYWARD_TRY(hardware, authorizations(body));
  KEYWARD_CHECK(body.expect_end());
  return AndroidKeyDescription{version,
                               attestation_security,
                               keymint_security,
                               std::move(challenge),
                               std::move(software),
                               std::move(hardware)};
}

}  // namespace keyward::attest
