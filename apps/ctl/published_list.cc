#include "apps/ctl/published_list.h"

#include <optional>

#include "firmware/crypto/crypto.h"
#include "firmware/x509/der.h"
#include "firmware/x509/distinguished_name.h"
#include "firmware/x509/tbs.h"

namespace keyward::ctl {
namespace {

using x509::DerReader;

constexpr const char *kCrlNumber = "2.5.29.20", *kDeltaIndicator = "2.5.29.27",
                     *kDistributionPoint = "2.5.29.28", *kCommonName = "2.5.4.3";

tl::unexpected<Error> wrong(const char* what) { return fail(ErrorKind::kBadInput, what); }

struct Parts {
  ByteView tbs, algorithm, signature;
};
Result<Parts> split(ByteView der) {
  DerReader outer(der);
  KEYWARD_TRY(list, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  Parts out;
  KEYWARD_TRY(tbs, list.element_whole(x509::tag::kSequence));
  KEYWARD_TRY(algorithm, list.element_whole(x509::tag::kSequence));
  KEYWARD_TRY(signature, list.bit_string_octets());
  KEYWARD_CHECK(list.expect_end());
  out.tbs = tbs;
  out.algorithm = algorithm;
  out.signature = signature;
  return out;
}

// RFC 5280 §6.3.3 (f): the key of a CA that may sign lists.
bool may_sign_lists(const x509::Certificate& issuer) {
  return issuer.key && issuer.basic_constraints_ca().value_or(false) &&
         issuer.key_usage(x509::kCrlSign).value_or(true);
}

Status read_extensions(DerReader& tbs, PublishedList& out, Bytes& part) {
  if (tbs.at_end()) return wrong("the list has no number");
  KEYWARD_TRY(explicit_tag, tbs.nested(x509::tag::context_constructed(0)));
  KEYWARD_TRY(extensions, explicit_tag.sequence());
  bool numbered = false;
  while (!extensions.at_end()) {
    KEYWARD_TRY(extension, extensions.sequence());
    KEYWARD_TRY(oid, extension.oid());
    if (extension.peek_tag() == x509::tag::kBoolean) KEYWARD_CHECK(extension.boolean());
    KEYWARD_TRY(value, extension.element(x509::tag::kOctetString));
    const auto name = x509::oid_text(oid);
    // A delta's numbers are its whole list's, so it is a series beside that.
    if (name == kDeltaIndicator) append(part, view_of(kDeltaIndicator));
    if (name == kDistributionPoint) append(part, value);
    if (name != kCrlNumber) continue;
    DerReader number(value);
    KEYWARD_TRY(read, number.small_unsigned());
    out.number = read;
    numbered = true;
  }
  if (!numbered) return wrong("the list has no number");
  return {};
}

Status read_tbs(ByteView octets, ByteView algorithm, const x509::Certificate& issuer,
                PublishedList& out) {
  DerReader whole(octets);
  KEYWARD_TRY(tbs, whole.sequence());
  KEYWARD_TRY(version, tbs.small_unsigned());
  if (version != 1) return wrong("the list is not of version 2");
  KEYWARD_TRY(inner, tbs.element_whole(x509::tag::kSequence));
  if (!equal(inner, algorithm)) return wrong("the list names two signature algorithms");
  KEYWARD_TRY(name, tbs.element_whole(x509::tag::kSequence));
  if (!equal(name, issuer.subject_der)) return wrong("the list names another issuer");
  KEYWARD_TRY(this_update, tbs.time_ms());
  if (const auto next = tbs.peek_tag();
      next != x509::tag::kUtcTime && next != x509::tag::kGeneralizedTime)
    return wrong("the list does not say when the next one comes");
  KEYWARD_TRY(next_update, tbs.time_ms());
  out.this_update_ms = this_update;
  out.next_update_ms = next_update;
  if (tbs.peek_tag() == x509::tag::kSequence) KEYWARD_CHECK(tbs.any());
  Bytes part;
  KEYWARD_CHECK(read_extensions(tbs, out, part));
  Bytes scope = issuer.spki_der;
  append(scope, part);
  out.scope = hex_encode(crypto::sha256(scope));
  return {};
}

}  // namespace

Result<PublishedList> read_published_list(Bytes der,
                                          const std::vector<x509::Certificate>& issuers) {
  KEYWARD_TRY(parts, split(der));
  std::optional<std::size_t> signer;
  for (std::size_t i = 0; i < issuers.size() && !signer; ++i) {
    if (!may_sign_lists(issuers[i])) continue;
    if (x509::verify_octets_signed_by(parts.algorithm, parts.tbs, parts.signature, *issuers[i].key))
      signer = i;
  }
  if (!signer)
    return fail(ErrorKind::kRefused, "none of the issuer certificates verifies the list");
  PublishedList out;
  out.issuer = *signer;
  KEYWARD_CHECK(read_tbs(parts.tbs, parts.algorithm, issuers[*signer], out));
  out.der = std::move(der);
  return out;
}

std::string long_scope_of(const PublishedList& list) {
  return hex_encode(crypto::sha256(view_of(list.scope + " long")));
}

std::string file_stem_of(const x509::Certificate& certificate) {
  constexpr std::size_t kStemMax = 64;
  std::string out;
  const auto take = [&](ByteView type, const DerReader::Any& value) -> Status {
    if (x509::oid_text(type) != kCommonName) return {};
    for (const auto octet : value.content) {
      const char c = static_cast<char>(octet >= 'A' && octet <= 'Z' ? octet - 'A' + 'a' : octet);
      if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        out.push_back(c);
      else if (!out.empty() && out.back() != '-')
        out.push_back('-');
    }
    return {};
  };
  // A name that cannot be read to its end is only a worse name for the file.
  (void)x509::for_each_attribute(certificate.subject_der, take).has_value();
  out.resize(std::min(out.size(), kStemMax));
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? "ca" : out;
}

}  // namespace keyward::ctl
