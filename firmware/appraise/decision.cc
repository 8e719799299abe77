#include "firmware/appraise/decision.h"

#include <algorithm>

#include "hal/base/limits.h"

namespace keyward::appraise {
namespace {

using attest::note;

constexpr std::string_view kPkixMediaType = "application/vnd.keyward.pkix-evidence";

// nullopt: nothing that any policy could judge.
std::optional<Kind> kind_of(const rats::MediaType& type) {
  if (type.type == kTpmQuoteMediaType) return Kind::kTpmQuote;
  if (type.type == kPkixMediaType) return Kind::kPkix;
  if (type.type == "application/eat-jwt") return Kind::kEar;  // the slip of the draft
  if (type.type == "application/eat+jwt" || type.type == "application/eat+cwt")
    return rats::is_ear_profile(type.eat_profile()) ? Kind::kEar : Kind::kEat;
  if (type.type == "application/eat-ucs+json" || type.type == "application/eat-ucs+cbor")
    return Kind::kEat;
  return std::nullopt;
}

rats::TrustAnchors cmw_anchors(const AppraisalPolicy& policy, std::int64_t at_utc_ms) {
  return {policy.eat.keys, policy.eat.roots, at_utc_ms};
}

// A token without the parameter eat_profile may be either; a policy for one of them says which.
Kind settled(Kind kind, const AppraisalPolicy& policy) {
  if (kind == Kind::kEat && !policy.evidence.contains(Kind::kEat) &&
      policy.evidence.contains(Kind::kEar))
    return Kind::kEar;
  return kind;
}

// All evidence is of one device with one key, or it proves nothing of either (msg-wrap-23 §5).
void unite(Findings& all, const Findings& one, bool is_first, Decision& decision) {
  if (is_first) {
    all = one;
    return;
  }
  all.freshness = std::min(all.freshness, one.freshness);
  if (all.key && one.key && all.key->spki_sha256() != one.key->spki_sha256())
    add(decision, "bind.keys", "the pieces of evidence are about different keys");
  if (!all.key) all.key = one.key;
  if (all.ak_serial && one.ak_serial && *all.ak_serial != *one.ak_serial)
    add(decision, "bind.keys", "the pieces of evidence are signed by different attestation keys");
  if (!all.ak_serial) all.ak_serial = one.ak_serial;
  if (all.devices.empty() || one.devices.empty()) {
    if (all.devices.empty()) all.devices = one.devices;
    return;
  }
  std::erase_if(all.devices, [&](const auto& device) {
    return std::ranges::find(one.devices, device) == one.devices.end();
  });
  if (all.devices.empty())
    add(decision, "bind.devices", "the pieces of evidence are about different devices");
}

class Appraisal {
 public:
  Appraisal(const AppraisalPolicy& policy, const Question& question)
      : policy_(policy), question_(question) {}

  void judge(const rats::Cmw& cmw) {
    for (const auto& flat : rats::records_of(cmw)) judge(*flat.record, flat.path, flat.is_signed);
  }
  void judge(const rats::CsrPayload& csr) {
    const auto read = rats::read_csr_attestation(csr.der);
    if (!read) return add(decision_, read.error());
    if (!policy_.evidence.contains(Kind::kPkix)) return;
    for (const auto& statement : read->statements) {
      if (statement.type != policy_.pkix.oids.arc) continue;
      take(Kind::kPkix,
           appraise_pkix(policy_.pkix, statement.statement, &read->key, question_, decision_));
    }
  }
  Decision finish() {
    if (decision_.relay) return std::move(decision_);
    if (decision_.kinds.empty() && decision_.why_not.empty())
      add(decision_, "evidence.kind", "there is no evidence of a kind that the policy accepts");
    if (decision_.why_not.empty()) bind();
    return std::move(decision_);
  }
  // The same evidence as in the first round is looked for again: the result is about that.
  void judge_relayed(const rats::Cmw& cmw, ByteView result) {
    relay(cmw);
    if (!decision_.relay) return;
    Question question = question_;
    question.relayed_evidence_sha256 = crypto::sha256(decision_.relay->evidence);
    decision_.relay.reset();
    // A compact JWS is text; a CWT begins with a CBOR tag or array.
    const bool is_text = !result.empty() && result.front() < 0x80;
    const rats::MediaType type{is_text ? "application/eat+jwt" : "application/eat+cwt", {}};
    take(Kind::kEar, appraise_ear(policy_.ear, type, result, question, decision_));
  }
  void relay(const rats::Cmw& cmw) {
    for (const auto& flat : rats::records_of(cmw)) {
      const auto& type = flat.record->media_type.type;
      if (std::ranges::find(policy_.relay_media_types, type) == policy_.relay_media_types.end())
        continue;
      if (decision_.relay)
        return decision_.relay.reset(),
               add(decision_, "evidence.relay", "more than one piece of evidence is to be relayed");
      auto name = type;
      if (const auto profile = flat.record->media_type.eat_profile(); !profile.empty())
        name += "; eat_profile=\"" + profile + "\"";
      decision_.relay = RelayWanted{policy_.relay, std::move(name), flat.record->value};
    }
    if (!decision_.relay)
      add(decision_, "evidence.relay", "there is no evidence of a kind that is relayed");
  }
  Decision& decision() { return decision_; }

 private:
  void judge(const rats::CmwRecord& record, const std::string& path, bool is_signed) {
    if (record.media_type.type == "application/cmw+cose" ||
        record.media_type.type == "application/cmw+jws")
      return judge_signed(record);
    auto kind = kind_of(record.media_type);
    if (kind) kind = settled(*kind, policy_);
    if (!kind || !policy_.evidence.contains(*kind)) {
      note(&decision_.passed, "evidence.ignored",
           record.media_type.type + (path.empty() ? "" : " (" + path + ")") +
               " is nothing that the policy asks for");
      return;
    }
    const auto before = decision_.why_not.size();
    take(*kind, judge(*kind, record, is_signed));
    for (std::size_t i = before; i < decision_.why_not.size(); ++i) {
      auto& submod = decision_.why_not[i].submod;
      if (!path.empty()) submod = submod.empty() ? path : path + "/" + submod;
    }
  }
  Findings judge(Kind kind, const rats::CmwRecord& record, bool is_signed) {
    switch (kind) {
      case Kind::kTpmQuote:
        return appraise_quote(policy_.tpm, record.value, question_, decision_);
      case Kind::kEat:
        return appraise_eat(policy_.eat, record, is_signed, question_, decision_);
      case Kind::kEar:
        return appraise_ear(policy_.ear, record.media_type, record.value, question_, decision_);
      case Kind::kPkix:
        return appraise_pkix(policy_.pkix, record.value, nullptr, question_, decision_);
    }
    return {};
  }
  void judge_signed(const rats::CmwRecord& record) {
    const auto opened = rats::open_signed(record, cmw_anchors(policy_, question_.at_utc_ms));
    if (!opened) return add(decision_, opened.error());
    // Once is enough: a signature around a signature says nothing more.
    for (const auto& flat : rats::records_of(*opened)) {
      if (flat.record->media_type.type.starts_with("application/cmw+"))
        return add(decision_, "cmw.depth", "a signed wrapper inside a signed wrapper");
    }
    judge(*opened);
  }
  void take(Kind kind, const Findings& findings) {
    unite(decision_.findings, findings, decision_.kinds.empty(), decision_);
    decision_.kinds.insert(kind);
  }
  void bind() {
    auto& found = decision_.findings;
    const auto& wanted = policy_.bind;
    std::string by;
    const auto holds = [&](bool is_wanted, bool is_there, std::string_view name) {
      if (is_wanted && is_there) by += (by.empty() ? "" : ", ") + std::string(name);
    };
    holds(wanted.account, found.freshness == Freshness::kAccount, "account");
    holds(wanted.device, !found.devices.empty(), "device");
    holds(wanted.key, found.key.has_value(), "key");
    holds(wanted.nonce, found.freshness != Freshness::kNone, "nonce");
    if (by.empty())
      return add(decision_, "bind.none",
                 "nothing ties the evidence to this order: it answers no key authorization, names "
                 "no device and carries no key, as far as the policy takes them");
    note(&decision_.passed, "bind.none", "the evidence is tied to this order by " + by);
    // Only what the policy binds by is enforced at the end.
    if (!wanted.device) found.devices.clear();
    if (!wanted.key) found.key.reset();
  }

  const AppraisalPolicy& policy_;
  const Question& question_;
  Decision decision_;
};

}  // namespace

void add(Decision& decision, std::string_view id, std::string words, std::string submod) {
  if (decision.why_not.size() < limits::kWhyNotMax)
    decision.why_not.push_back({std::string(id), std::move(words), std::move(submod)});
}

Decision appraise(const AppraisalPolicy& policy, const rats::ResponsePayload& payload,
                  const Question& question) {
  Appraisal appraisal(policy, question);
  const auto* cmw = std::get_if<rats::Cmw>(&payload);
  const auto* csr = std::get_if<rats::CsrPayload>(&payload);
  if (!policy.relay.empty()) {
    if (cmw != nullptr && question.relayed)
      appraisal.judge_relayed(*cmw, *question.relayed);
    else if (cmw != nullptr)
      appraisal.relay(*cmw);
    return appraisal.finish();
  }
  if (cmw != nullptr)
    appraisal.judge(*cmw);
  else if (csr != nullptr)
    appraisal.judge(*csr);
  else
    add(appraisal.decision(), "evidence.none", "the evidence is still encrypted");
  return appraisal.finish();
}

std::vector<std::string> claims_hint(const AppraisalPolicy& policy) {
  if (!policy.claims_hint.empty()) return policy.claims_hint;
  std::vector<std::string> out;
  const auto name = [&](const std::string& claim) {
    const bool known = std::ranges::find(out, claim) != out.end();
    if (!known && out.size() < limits::kClaimsHintsMax) out.push_back(claim);
  };
  for (const auto& rule : policy.eat.claims) {
    if (!rule.submod.empty()) name("submods");
    name(rule.claim);
  }
  if (policy.evidence.contains(Kind::kTpmQuote)) name("measurements");
  return out;
}

}  // namespace keyward::appraise
