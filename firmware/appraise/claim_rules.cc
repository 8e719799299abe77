// Owns the comparison of claims with a policy: EAT, EAR and the evidence of security modules.
#include <algorithm>

#include "firmware/appraise/decision.h"
#include "firmware/appraise/versions.h"
#include "firmware/identifier/identifier.h"
#include "hal/base/limits.h"

namespace keyward::appraise {
namespace {

using attest::note;

constexpr std::int64_t kDayMs = 86'400'000;

Freshness freshness_of_octets(ByteView nonce, const Fresh& fresh) {
  if (!fresh.octets.empty())
    return equal_constant_time(nonce, fresh.octets) ? Freshness::kNonce : Freshness::kNone;
  return static_cast<Freshness>(
      rats::freshness_of_octets(nonce, fresh.token, fresh.key_authorization));
}

Freshness freshness_of(const std::vector<Bytes>& nonces, rats::Encoding encoding,
                       const Fresh& fresh) {
  if (fresh.octets.empty())
    return static_cast<Freshness>(
        rats::freshness_of(nonces, encoding, fresh.token, fresh.key_authorization));
  const bool there = std::ranges::any_of(
      nonces, [&](const Bytes& nonce) { return equal_constant_time(nonce, fresh.octets); });
  return there ? Freshness::kNonce : Freshness::kNone;
}

// How a claim of octets is written: in hexadecimal, and as it is if people can read it.
std::vector<std::string> texts_of(ByteView octets) {
  std::vector<std::string> out{hex_encode(octets)};
  const bool readable =
      std::ranges::all_of(octets, [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; });
  if (readable && !octets.empty()) out.emplace_back(text_of(octets));
  return out;
}

std::vector<std::string> text_if(const std::string& text) {
  if (text.empty()) return {};
  return {text};
}

std::vector<std::string> number_if(const std::optional<std::int64_t>& number) {
  if (!number) return {};
  return {std::to_string(*number)};
}

std::string result_of(const rats::EatClaims& claims) {
  bool good = !claims.measres.empty();
  for (const auto& group : claims.measres) {
    good &= !group.items.empty();
    for (const auto& item : group.items) good &= item.result == rats::MeasurementResult::kSuccess;
  }
  return good ? "success" : "fail";
}

std::vector<std::string> version_if(const std::optional<rats::Version>& version) {
  if (!version) return {};
  return {version->version};
}

// Every way in which a claim may be written in a rule; empty: the claim is absent.
std::vector<std::string> claim_texts(const rats::EatClaims& claims, std::string_view name) {
  if (name == "ueid" && claims.ueid) return texts_of(*claims.ueid);
  if (name == "hwmodel" && claims.hwmodel) return texts_of(*claims.hwmodel);
  if (name == "oemid") return text_if(claims.oemid);
  if (name == "hwversion") return version_if(claims.hwversion);
  if (name == "swversion") return version_if(claims.swversion);
  if (name == "swname") return text_if(claims.swname);
  if (name == "eat_profile") return text_if(claims.profile);
  if (name == "iss") return text_if(claims.iss);
  if (name == "sub") return text_if(claims.sub);
  if (name == "aud") return claims.aud;
  if (name == "uptime") return number_if(claims.uptime_s);
  if (name == "bootcount") return number_if(claims.bootcount);
  if (name == "intuse") return number_if(claims.intuse);
  if (name == "oemboot" && claims.oemboot) return {*claims.oemboot ? "true" : "false"};
  if (name == "dbgstat" && claims.dbgstat) return {std::string(rats::to_string(*claims.dbgstat))};
  if (name == "measres" && !claims.measres.empty()) return {result_of(claims)};
  return {};
}

// "a/b" inside the outermost set; null: no such submodule.
const rats::EatClaims* submod_of(const rats::EatClaims& claims, std::string_view path) {
  const auto* at = &claims;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto label = path.substr(0, slash);
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
    const auto found = std::ranges::find(at->submods, label, &rats::Submod::label);
    if (found == at->submods.end()) return nullptr;
    at = &found->claims;
  }
  return at;
}

void check_version(const ClaimRule& rule, const std::string& text, Decision& decision) {
  const auto order = compare_versions(text, rule.minimum_version);
  if (!order || *order < 0)
    add(decision, "claim.version",
        rule.claim + " is \"" + text + "\"; at least " + rule.minimum_version + " is needed",
        rule.submod);
}

void check_age(const ClaimRule& rule, const std::string& text, std::int64_t at_utc_ms,
               Decision& decision) {
  const auto date = read_date_ms(text);
  if (!date || at_utc_ms - *date > *rule.age_max_days * kDayMs)
    add(decision, "claim.age",
        rule.claim + " is \"" + text + "\", which is no date, or older than " +
            std::to_string(*rule.age_max_days) + " days",
        rule.submod);
}

void check_claim(const ClaimRule& rule, const rats::EatClaims& outermost, std::int64_t at_utc_ms,
                 Decision& decision) {
  const auto* claims = submod_of(outermost, rule.submod);
  if (claims == nullptr)
    return add(decision, "claim.submod", "there is no such submodule", rule.submod);
  const auto texts = claim_texts(*claims, rule.claim);
  if (texts.empty())
    return add(decision, "claim.missing", "the claim " + rule.claim + " is absent", rule.submod);
  const auto before = decision.why_not.size();
  const bool listed = std::ranges::any_of(texts, [&](const auto& text) {
    return std::ranges::find(rule.one_of, text) != rule.one_of.end();
  });
  if (!rule.one_of.empty() && !listed)
    add(decision, "claim.value",
        rule.claim + " is \"" + texts.back() + "\", which the policy does not list", rule.submod);
  if (!rule.minimum_version.empty()) check_version(rule, texts.back(), decision);
  const auto number = rule.minimum ? read_number(texts.back()) : std::nullopt;
  if (rule.minimum && (!number || static_cast<std::int64_t>(*number) < *rule.minimum))
    add(decision, "claim.minimum",
        rule.claim + " is " + texts.back() + "; at least " + std::to_string(*rule.minimum) +
            " is needed",
        rule.submod);
  if (rule.debug_at_least && (!claims->dbgstat || *claims->dbgstat < *rule.debug_at_least))
    add(decision, "claim.debug",
        "dbgstat is " + texts.back() + "; at least " +
            std::string(rats::to_string(*rule.debug_at_least)) + " is needed",
        rule.submod);
  if (rule.age_max_days) check_age(rule, texts.back(), at_utc_ms, decision);
  if (decision.why_not.size() == before)
    note(&decision.passed, "claim.value",
         rule.claim + (rule.submod.empty() ? "" : " of " + rule.submod) + " is as the policy asks");
}

std::vector<wire::Identifier> device_of(const EatRules& rules, const rats::EatClaims& claims) {
  std::string value;
  if (rules.device_claim == "sub") value = claims.sub;
  if (rules.device_claim == "ueid" && claims.ueid) value = hex_encode(*claims.ueid);
  const auto type = wire::IdentifierType::kPermanentIdentifier;
  if (value.empty() || !identifier::canonical(type, value)) return {};
  return {{type, value}};
}

Appraised<rats::Ear> verify_ear(const rats::MediaType& type, ByteView token,
                                const rats::TrustAnchors& anchors) {
  if (type.type == "application/eat+cwt") return rats::verify_ear_cwt(token, anchors);
  return rats::verify_ear_jwt(text_of(token), anchors);
}

// The result must be by a verifier whose keys say so, and who says that it is this verifier.
std::optional<rats::Ear> result_by_one_of(const EarRules& rules, const rats::MediaType& type,
                                          ByteView token, std::int64_t at_utc_ms,
                                          Decision& decision) {
  std::optional<attest::Refusal> first;
  for (const auto& verifier : rules.verifiers) {
    auto ear = verify_ear(type, token, {verifier.keys, verifier.roots, at_utc_ms});
    if (ear && ear->developer == verifier.developer &&
        (verifier.build.empty() || ear->build == verifier.build)) {
      note(&decision.passed, "ear.verifier", "the result is by the verifier " + verifier.name);
      return std::move(*ear);
    }
    const auto why =
        ear ? attest::Refusal{"ear.verifier", "the result says that it is by " + ear->developer +
                                                  ", build " + ear->build +
                                                  ", which is not whose key signed it"}
            : ear.error();
    // The key of another verifier is no reason to tell, if one fits and something else is wrong.
    const auto is_about_key = [](const attest::Refusal& refusal) {
      return refusal.code.starts_with("trust.") || refusal.code.ends_with(".signature");
    };
    if (!first || (is_about_key(*first) && !is_about_key(why))) first = why;
  }
  if (first) add(decision, *first);
  return std::nullopt;
}

bool is_at_least(rats::Tier tier, rats::Tier minimum) {
  return tier != rats::Tier::kNone && tier <= minimum;  // affirming < warning < contraindicated
}

void check_vector(const EarRules& rules, const rats::EarAppraisal& appraisal, Decision& decision) {
  for (std::size_t i = 0; i < rats::kVectorNames.size(); ++i) {
    const auto& value = appraisal.vector[i];
    const auto tier = value ? rats::tier_of(*value) : rats::Tier::kNone;
    const std::string name(rats::kVectorNames[i]);
    // AR4SI: "no assertion" is as if the claim were absent.
    if (!value || *value == 0) {
      if (rules.required[i])
        add(decision, "ear.required", name + " is required, and the result has none",
            appraisal.label);
      continue;
    }
    const auto minimum = rules.minimum_of_claim[i].value_or(rules.minimum);
    if (!is_at_least(tier, minimum))
      add(decision, "ear.tier",
          name + " is " + std::string(rats::to_string(tier)) + " (" + std::to_string(*value) +
              "); " + std::string(rats::to_string(minimum)) + " is needed",
          appraisal.label);
  }
}

void check_appraisal(const EarRules& rules, const rats::EarAppraisal& appraisal,
                     Decision& decision) {
  // A claim that may be a warning lets the status be one: it is as bad as the worst of them.
  auto minimum = rules.minimum;
  for (const auto& own : rules.minimum_of_claim) {
    if (own) minimum = std::max(minimum, *own);
  }
  if (!is_at_least(appraisal.status, minimum))
    add(decision, "ear.tier",
        "the status is " + std::string(rats::to_string(appraisal.status)) + "; " +
            std::string(rats::to_string(minimum)) + " is needed",
        appraisal.label);
  check_vector(rules, appraisal, decision);
  const bool by_policy = std::ranges::any_of(appraisal.policy_ids, [&](const auto& id) {
    return std::ranges::find(rules.policy_ids, id) != rules.policy_ids.end();
  });
  if (!rules.policy_ids.empty() && !by_policy)
    add(decision, "ear.policy-id-other",
        "the verifier judged by none of the policies that are taken", appraisal.label);
}

// The nonce stands in the result, or in each appraisal.
Freshness freshness_of(const rats::Ear& ear, const Fresh& fresh) {
  const auto whole = freshness_of(ear.nonces, ear.encoding, fresh);
  if (whole != Freshness::kNone || ear.appraisals.empty()) return whole;
  auto least = Freshness::kAccount;
  for (const auto& appraisal : ear.appraisals)
    least = std::min(least, freshness_of(appraisal.nonces, ear.encoding, fresh));
  return least;
}

void check_module(const PkixRules& rules, const rats::PkixEvidence& evidence, Decision& decision) {
  const auto* platform = evidence.platform ? &*evidence.platform : nullptr;
  if (rules.fips_boot && (platform == nullptr || platform->fipsboot != true))
    add(decision, "pkix.fips", "the module does not say that it was started in FIPS mode");
  if (rules.fips_level_min &&
      (platform == nullptr || platform->fipslevel.value_or(0) < *rules.fips_level_min))
    add(decision, "pkix.fips",
        "the module is not certified to FIPS level " + std::to_string(*rules.fips_level_min));
}

void check_key(const PkixRules& rules, const rats::PkixKey& key, Decision& decision) {
  if (rules.not_extractable && key.extractable != false)
    add(decision, "pkix.extractable", "the key may be extractable");
  if (rules.never_extractable && key.never_extractable != true)
    add(decision, "pkix.never-extractable", "the key may have been extractable once");
  if (rules.local && key.local != true)
    add(decision, "pkix.local", "the key may have been made elsewhere");
  if (rules.sensitive && key.sensitive != true)
    add(decision, "pkix.sensitive", "the key may be read in the clear");
}

}  // namespace

Findings appraise_eat(const EatRules& rules, const rats::CmwRecord& record, bool is_signed,
                      const Question& question, Decision& decision) {
  const rats::TrustAnchors anchors{rules.keys, rules.roots, question.at_utc_ms};
  const auto& type = record.media_type.type;
  const auto eat = [&]() -> Appraised<rats::VerifiedEat> {
    if (type == "application/eat+cwt") return rats::verify_eat_cwt(record.value, anchors);
    if (type == "application/eat-ucs+json")
      return rats::read_eat_ucs(record.value, rats::Encoding::kJson, is_signed, anchors);
    if (type == "application/eat-ucs+cbor")
      return rats::read_eat_ucs(record.value, rats::Encoding::kCbor, is_signed, anchors);
    return rats::verify_eat_jwt(text_of(record.value), anchors);
  }();
  if (!eat) return add(decision, eat.error()), Findings{};
  note(&decision.passed, "eat.signature", "the token is by a key that the policy trusts");
  const auto& claims = eat->claims;
  Findings out{freshness_of(claims.nonces, claims.encoding, question.fresh), claims.cnf,
               device_of(rules, claims)};
  if (out.freshness == Freshness::kNone)
    add(decision, "eat.freshness", "eat_nonce is not this challenge's");
  else
    note(&decision.passed, "eat.freshness", "eat_nonce answers this challenge");
  if (!rules.profile.empty() && claims.profile != rules.profile)
    add(decision, "eat.profile-other", "eat_profile is not " + rules.profile);
  for (const auto& rule : rules.claims) check_claim(rule, claims, question.at_utc_ms, decision);
  return out;
}

Findings appraise_ear(const EarRules& rules, const rats::MediaType& type, ByteView token,
                      const Question& question, Decision& decision) {
  const auto ear = result_by_one_of(rules, type, token, question.at_utc_ms, decision);
  if (!ear) return {};
  Findings out;
  out.freshness = freshness_of(*ear, question.fresh);
  if (out.freshness == Freshness::kNone)
    add(decision, "ear.freshness", "the result's eat_nonce is not this challenge's");
  else
    note(&decision.passed, "ear.freshness", "the result's eat_nonce answers this challenge");
  const auto before = decision.why_not.size();
  if (question.relayed_evidence_sha256 && ear->raw_evidence_sha256 &&
      *ear->raw_evidence_sha256 != *question.relayed_evidence_sha256)
    add(decision, "ear.evidence-other", "the verifier judged other evidence than it was given");
  for (const auto& appraisal : ear->appraisals) {
    check_appraisal(rules, appraisal, decision);
    if (!appraisal.attested_key) continue;
    if (out.key && out.key->spki_sha256() != appraisal.attested_key->spki_sha256())
      add(decision, "bind.keys", "the result attests several keys", appraisal.label);
    out.key = appraisal.attested_key;
  }
  if (ear->status && !is_at_least(*ear->status, std::max(rules.minimum, rats::Tier::kWarning)))
    add(decision, "ear.tier",
        "the overall status is " + std::string(rats::to_string(*ear->status)));
  if (decision.why_not.size() == before)
    note(&decision.passed, "ear.tier", "every claim of the result is good enough");
  return out;
}

Findings appraise_pkix(const PkixRules& rules, ByteView der, const crypto::PublicKey* csr_key,
                       const Question& question, Decision& decision) {
  const rats::TrustAnchors anchors{rules.keys, rules.roots, question.at_utc_ms};
  const auto evidence = rats::verify_pkix_evidence(der, anchors, rules.oids);
  if (!evidence) return add(decision, evidence.error()), Findings{};
  note(&decision.passed, "pkix.signature", "the evidence is by a module that the policy trusts");
  Findings out;
  if (evidence->nonce) out.freshness = freshness_of_octets(*evidence->nonce, question.fresh);
  if (out.freshness == Freshness::kNone)
    add(decision, "pkix.freshness", "the evidence's nonce is not this challenge's");
  else
    note(&decision.passed, "pkix.freshness", "the evidence's nonce answers this challenge");
  const auto before = decision.why_not.size();
  check_module(rules, *evidence, decision);
  // The CSR says which of several keys is meant; without it there must be one.
  const rats::PkixKey* meant = nullptr;
  for (const auto& key : evidence->keys) {
    const bool is_csrs =
        csr_key != nullptr && key.key && key.key->spki_sha256() == csr_key->spki_sha256();
    if (is_csrs || (csr_key == nullptr && evidence->keys.size() == 1)) meant = &key;
  }
  if (meant == nullptr || !meant->key) {
    add(decision, csr_key == nullptr ? "pkix.keys" : "pkix.csr-key",
        csr_key == nullptr ? "the evidence is not about exactly one key of a kind that is taken"
                           : "the evidence is not about the CSR's key");
    return out;
  }
  out.key = meant->key;
  check_key(rules, *meant, decision);
  if (decision.why_not.size() == before)
    note(&decision.passed, "pkix.extractable", "module and key are as the policy asks");
  return out;
}

}  // namespace keyward::appraise
