// Owns the rules of format `apple`. Must not know other formats.
#include "firmware/attest/apple_format.h"

#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"

namespace keyward::attest {
namespace {

// Values are raw octets, without a DER type.
constexpr std::string_view kSerial = "1.2.840.113635.100.8.9.1";
constexpr std::string_view kUdid = "1.2.840.113635.100.8.9.2";
constexpr std::string_view kFreshness = "1.2.840.113635.100.8.11.1";
constexpr std::string_view kAnonymousNonce = "1.2.840.113635.100.8.2";  // WebAuthn §8.8

// SEQUENCE { [1] OCTET STRING }
bool anonymous_nonce_is(const x509::Extension& extension, ByteView wanted) {
  x509::DerReader outer(extension.value);
  auto body = outer.sequence();
  if (!body || !outer.at_end()) return false;
  auto wrapped = body->nested(x509::tag::context_constructed(1));
  if (!wrapped || !body->at_end()) return false;
  const auto nonce = wrapped->element(x509::tag::kOctetString);
  return nonce && wrapped->at_end() && equal_constant_time(*nonce, wanted);
}

Appraised<void> check_freshness(const Statement& statement, const ApplePolicy& policy,
                                const x509::Certificate& leaf) {
  const auto wrong = [] {
    return refuse(
        "apple.freshness",
        "the attestation's freshness code is not the digest of this challenge's token: "
        "the device sent an earlier attestation, as it does within some days of the last");
  };
  const auto& challenge = statement.challenge;
  const auto wanted = challenge.to_be_signed ? crypto::sha256(*challenge.to_be_signed)
                                             : crypto::sha256(view_of(challenge.token()));
  if (const auto* anonymous = leaf.extension(kAnonymousNonce); anonymous != nullptr) {
    if (challenge.to_be_signed && !anonymous_nonce_is(*anonymous, wanted)) return wrong();
    return refuse("apple.anonymous",
                  "WebAuthn's anonymous attestation names no device; Managed Device Attestation "
                  "does");
  }
  const auto* freshness = leaf.extension(kFreshness);
  if (freshness == nullptr) {
    if (!policy.allow_missing_freshness) {
      return refuse("apple.no-freshness",
                    "the attestation answers no challenge (extension 1.2.840.113635.100.8.11.1 is "
                    "missing)");
    }
    statement.passed("apple.no-freshness",
                     "the attestation answers no challenge, which the policy allows");
    return {};
  }
  if (!equal_constant_time(freshness->value, wanted)) return wrong();
  statement.passed("apple.freshness", "the attestation answers this challenge's token");
  return {};
}

std::vector<std::string> identifiers(const x509::Certificate& leaf) {
  std::vector<std::string> out;
  for (const auto oid : {kSerial, kUdid}) {
    const auto* extension = leaf.extension(oid);
    if (extension != nullptr && wire::is_valid_utf8(extension->value))
      out.emplace_back(text_of(extension->value));
  }
  return out;
}

}  // namespace

Appraised<AttestedKey> appraise_apple(const Statement& statement, const ApplePolicy& policy) {
  if (statement.object.x5c.empty()) {
    return refuse("apple.members",
                  "an apple statement needs x5c: the device could not attest, or sent something "
                  "else");
  }
  if (policy.require_external_account && !statement.challenge.account_admitted) {
    return refuse("apple.account",
                  "an apple statement does not name the account, so the account must have been "
                  "admitted by an external account binding that still stands");
  }
  const auto chain = appraise_chain(statement, "apple", policy.roots);
  if (!chain) return tl::unexpected<Refusal>(chain.error());
  KEYWARD_APPRAISE(check_freshness(statement, policy, chain->leaf));
  const auto key = certifiable_key(statement, "apple", chain->leaf.key);
  if (!key) return tl::unexpected<Refusal>(key.error());
  KEYWARD_APPRAISE(check_identifier(statement, "apple", identifiers(chain->leaf), policy.assigner));
  // Hardware-bound as Apple says, but nothing in the statement does.
  return AttestedKey{statement.object.format, *key, false};
}

}  // namespace keyward::attest
