#include "firmware/appraise/policy.h"

#include <algorithm>
#include <filesystem>

#include "firmware/appraise/versions.h"
#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::appraise {
namespace {

constexpr std::size_t kTrustFilesMax = 64;
constexpr std::size_t kTrustFileBytesMax = 1u << 20;
constexpr std::size_t kSetsMax = 256;
constexpr std::size_t kValuesMax = 64;  // of one register, of one claim
constexpr std::int64_t kAgeDaysMax = 3'650;
constexpr unsigned kRegisters = 24;
using Problems = std::vector<std::string>;

// One policy while it is read: where its files are, and what is wrong with it.
struct Reading {
  std::string name;
  std::string folder;
  Problems& problems;
  void complain(std::string_view what) { problems.push_back(name + ": " + std::string(what)); }
  std::string path_of(const std::string& file) const {
    return std::filesystem::path(file).is_absolute() ? file : folder + "/" + file;
  }
};

void read_roots(Reading& reading, const std::vector<std::string>& files,
                std::vector<x509::Certificate>& out) {
  for (const auto& file : files) {
    const auto text = read_text_file(reading.path_of(file), kTrustFileBytesMax);
    const auto ders = text ? x509::certificates_from_pem(*text, limits::kTrustAnchorsMax)
                           : Result<std::vector<Bytes>>(fail(text.error()));
    if (!ders || ders->empty()) {
      reading.complain("no certificate can be read from \"" + file + "\"");
      continue;
    }
    for (const auto& der : *ders) {
      auto certificate = x509::parse_certificate(der);
      if (certificate && certificate->key)
        out.push_back(std::move(*certificate));
      else
        reading.complain("a certificate in \"" + file + "\" does not read");
    }
  }
}

Status add_jwk(const json::Value& value, std::vector<rats::TrustedKey>& out) {
  KEYWARD_TRY(jwk, jose::Jwk::from_json(value));
  out.push_back({std::string(value.get("kid").string()), jwk.key()});
  return {};
}

// A JWK, a JWK set, or certificates whose keys are meant.
Status read_key_file(const std::string& path, std::vector<rats::TrustedKey>& out) {
  KEYWARD_TRY(text, read_text_file(path, kTrustFileBytesMax));
  if (text.starts_with("-----BEGIN")) {
    KEYWARD_TRY(ders, x509::certificates_from_pem(text, limits::kTrustAnchorsMax));
    for (const auto& der : ders) {
      KEYWARD_TRY(certificate, x509::parse_certificate(der));
      if (!certificate.key) return fail(ErrorKind::kBadInput, "a key of another type");
      out.push_back({"", *certificate.key});
    }
    return {};
  }
  KEYWARD_TRY(document, json::Document::parse(text));
  const auto root = document.root();
  if (!root.get("keys").is_array()) return add_jwk(root, out);
  for (const auto& item : root.get("keys").items()) KEYWARD_CHECK(add_jwk(item, out));
  return {};
}

void read_keys(Reading& reading, const std::vector<std::string>& files,
               std::vector<rats::TrustedKey>& out) {
  for (const auto& file : files) {
    const auto before = out.size();
    if (!read_key_file(reading.path_of(file), out) || out.size() == before)
      reading.complain("no public key (JWK or certificate) can be read from \"" + file + "\"");
  }
}

// "sha256:0a1b…", or plain hexadecimal whose length says which hash.
std::optional<std::pair<Bank, Bytes>> read_digest(std::string_view text) {
  std::optional<Bank> said;
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    said = bank_from(text.substr(0, colon));
    if (!said) return std::nullopt;
    text = text.substr(colon + 1);
  }
  const auto octets = hex_decode(text);
  if (!octets) return std::nullopt;
  for (const Bank bank : {Bank::kSha256, Bank::kSha384, Bank::kSha512, Bank::kSha1}) {
    if (octets->size() == crypto::digest_bytes(bank) && (!said || *said == bank))
      return std::pair(bank, *octets);
  }
  return std::nullopt;
}

void read_registers(Reading& reading, config::Section table, PcrSet& out) {
  for (const auto& key : table.keys()) {
    const auto number = read_number(key);
    if (!number || *number >= kRegisters || std::to_string(*number) != key) {
      reading.complain("a PCR set's register \"" + key + "\" is not a number from 0 to 23");
      continue;
    }
    auto& allowed = out.allowed[static_cast<unsigned>(*number)];
    for (const auto& text : table.strings_or_empty(key, kValuesMax)) {
      auto digest = read_digest(text);
      if (digest && digest->first == out.bank)
        allowed.push_back(std::move(digest->second));
      else
        reading.complain("PCR " + key + ": \"" + text + "\" is no digest of the set's bank");
    }
    if (allowed.empty()) reading.complain("PCR " + key + " has no value that is allowed");
  }
}

PcrSet read_pcr_set(Reading& reading, config::Section section) {
  PcrSet out;
  out.name = section.string("name");
  const auto bank = bank_from(section.string_or("bank", "sha256"));
  if (!bank || *bank == Bank::kSha1)
    reading.complain("a PCR set's bank is one of sha256, sha384, sha512");
  out.bank = bank.value_or(Bank::kSha256);
  read_registers(reading, section.table("pcrs"), out);
  if (out.allowed.empty()) reading.complain("the PCR set \"" + out.name + "\" compares nothing");
  return out;
}

EventRule read_event_rule(Reading& reading, config::Section section) {
  EventRule out;
  const auto verb = section.string("rule");
  if (verb == "required")
    out.verb = EventRule::Verb::kRequired;
  else if (verb == "forbidden")
    out.verb = EventRule::Verb::kForbidden;
  else if (verb == "allowed")
    out.verb = EventRule::Verb::kAllowed;
  else
    reading.complain("an event's rule is required, forbidden or allowed");
  out.pcr = static_cast<unsigned>(section.integer("pcr", 0, kRegisters - 1));
  if (const auto type = section.string_or("type", ""); !type.empty()) {
    out.type = event_type_from(type);
    if (!out.type) reading.complain("\"" + type + "\" is no type of event");
  }
  for (const auto& text : section.strings_or_empty("digests", kValuesMax)) {
    if (auto digest = read_digest(text); digest && digest->first != Bank::kSha1)
      out.digests.push_back(std::move(*digest));
    else
      reading.complain("an event's digest \"" + text + "\" is none");
  }
  out.description = section.string_or("description", "");
  // A type alone says nothing of what was measured; to forbid one is fine.
  if (out.digests.empty() && out.description.empty() &&
      (out.verb != EventRule::Verb::kForbidden || !out.type))
    reading.complain("an event's rule needs digests or a description: it compares nothing");
  return out;
}

// "4 EV_EFI_BOOT_SERVICES_APPLICATION sha256:0a1b… description".
std::optional<ReferenceEvent> read_reference_event(std::string_view line) {
  std::array<std::string_view, 3> words;
  for (auto& word : words) {
    const auto space = line.find(' ');
    word = line.substr(0, space);
    line = space == std::string_view::npos ? "" : line.substr(space + 1);
  }
  const auto pcr = read_number(words[0]);
  const auto type = event_type_from(words[1]);
  auto digest = read_digest(words[2]);
  if (!pcr || *pcr >= kRegisters || !type || !digest) return std::nullopt;
  return ReferenceEvent{static_cast<unsigned>(*pcr), *type, digest->first,
                        std::move(digest->second), std::string(line)};
}

TpmRules read_tpm(Reading& reading, config::Section section) {
  TpmRules out;
  read_roots(reading, section.strings_or_empty("ak_roots", kTrustFilesMax), out.ak_roots);
  if (out.ak_roots.empty()) reading.complain("tpm.ak_roots: no attestation key can be trusted");
  for (auto& item : section.tables("pcr_set")) out.sets.push_back(read_pcr_set(reading, item));
  for (auto& item : section.tables("event")) out.events.push_back(read_event_rule(reading, item));
  for (const auto& line : section.strings_or_empty("reference_log", limits::kEventLogEventsMax)) {
    if (auto event = read_reference_event(line))
      out.reference_log.push_back(std::move(*event));
    else
      reading.complain("tpm.reference_log: \"" + line.substr(0, 40) + "\" is no event");
  }
  out.require_event_log = section.boolean_or("require_event_log", false) || !out.events.empty();
  if (out.sets.size() > kSetsMax || out.events.size() > limits::kAppraisalRulesMax)
    reading.complain("tpm: too many PCR sets or rules");
  const bool says_what_is_good = std::ranges::any_of(
      out.events, [](const auto& rule) { return rule.verb != EventRule::Verb::kForbidden; });
  if (out.sets.empty() && !says_what_is_good)
    reading.complain(
        "tpm: compares nothing; a pcr_set, or an event required or allowed, is needed");
  return out;
}

ClaimRule read_claim_rule(Reading& reading, config::Section section) {
  ClaimRule out;
  out.claim = section.string("claim");
  out.submod = section.string_or("submod", "");
  if (const auto equal = section.string_or("equal", ""); !equal.empty()) out.one_of = {equal};
  for (auto& value : section.strings_or_empty("one_of", kValuesMax))
    out.one_of.push_back(std::move(value));
  out.minimum_version = section.string_or("minimum_version", "");
  if (!out.minimum_version.empty() && !compare_versions(out.minimum_version, "0"))
    reading.complain("minimum_version of \"" + out.claim + "\" is no version");
  if (section.has("minimum")) out.minimum = section.integer("minimum", 0, std::int64_t{1} << 53);
  if (const auto text = section.string_or("at_least", ""); !text.empty()) {
    out.debug_at_least = rats::debug_status_from(text);
    if (!out.debug_at_least || out.claim != "dbgstat")
      reading.complain("at_least is for dbgstat, with one of its words");
  }
  if (section.has("age_max_days"))
    out.age_max_days = section.integer("age_max_days", 1, kAgeDaysMax);
  if (!is_claim_compared(out.claim)) reading.complain("no claim is called \"" + out.claim + "\"");
  const int comparisons = int{!out.one_of.empty()} + int{!out.minimum_version.empty()} +
                          int{out.minimum.has_value()} + int{out.debug_at_least.has_value()} +
                          int{out.age_max_days.has_value()};
  if (comparisons == 0) reading.complain("the rule for \"" + out.claim + "\" compares nothing");
  return out;
}

EatRules read_eat(Reading& reading, config::Section section) {
  EatRules out;
  read_keys(reading, section.strings_or_empty("keys", kTrustFilesMax), out.keys);
  read_roots(reading, section.strings_or_empty("roots", kTrustFilesMax), out.roots);
  if (out.keys.empty() && out.roots.empty())
    reading.complain("eat: neither keys nor roots: no token can be trusted");
  out.profile = section.string_or("profile", "");
  for (auto& item : section.tables("claim")) out.claims.push_back(read_claim_rule(reading, item));
  if (out.claims.empty()) reading.complain("eat: compares nothing; a claim is needed");
  if (out.claims.size() > limits::kAppraisalRulesMax) reading.complain("eat: too many claims");
  out.device_claim = section.string_or("device_claim", "");
  if (!out.device_claim.empty() && out.device_claim != "ueid" && out.device_claim != "sub")
    reading.complain("eat.device_claim is ueid or sub");
  return out;
}

std::optional<rats::Tier> read_tier(Reading& reading, const std::string& text) {
  const auto tier = rats::tier_from(text);
  if (tier && (*tier == rats::Tier::kAffirming || *tier == rats::Tier::kWarning)) return tier;
  reading.complain("a minimum tier is affirming or warning, not \"" + text + "\"");
  return std::nullopt;
}

void read_tiers(Reading& reading, config::Section& section, EarRules& out) {
  out.minimum = read_tier(reading, section.string_or("minimum", "affirming")).value_or(out.minimum);
  auto tiers = section.table("tiers");
  for (std::size_t i = 0; i < rats::kVectorNames.size(); ++i) {
    if (tiers.has(rats::kVectorNames[i]))
      out.minimum_of_claim[i] = read_tier(reading, tiers.string(rats::kVectorNames[i]));
  }
  for (const auto& name : section.strings_or_empty("required", rats::kVectorNames.size())) {
    const auto found = std::ranges::find(rats::kVectorNames, name);
    if (found == rats::kVectorNames.end())
      reading.complain("ear.required: \"" + name + "\" is no claim of AR4SI");
    else
      out.required[static_cast<std::size_t>(found - rats::kVectorNames.begin())] = true;
  }
}

EarRules read_ear(Reading& reading, config::Section section) {
  EarRules out;
  for (auto& item : section.tables("verifier")) {
    EarVerifier verifier;
    verifier.name = item.string("name");
    verifier.developer = item.string("developer");
    verifier.build = item.string_or("build", "");
    read_keys(reading, item.strings_or_empty("keys", kTrustFilesMax), verifier.keys);
    read_roots(reading, item.strings_or_empty("roots", kTrustFilesMax), verifier.roots);
    if (verifier.keys.empty() && verifier.roots.empty())
      reading.complain("the verifier \"" + verifier.name + "\" has neither keys nor roots");
    out.verifiers.push_back(std::move(verifier));
  }
  if (out.verifiers.empty()) reading.complain("ear: no verifier is trusted");
  out.policy_ids = section.strings_or_empty("policy_ids", kValuesMax);
  read_tiers(reading, section, out);
  return out;
}

PkixRules read_pkix(Reading& reading, config::Section section) {
  PkixRules out;
  out.oids.arc = section.string("arc");
  out.oids.attestation_key_usage = section.string_or("attestation_key_usage", "");
  read_keys(reading, section.strings_or_empty("keys", kTrustFilesMax), out.keys);
  read_roots(reading, section.strings_or_empty("roots", kTrustFilesMax), out.roots);
  if (out.keys.empty() && out.roots.empty())
    reading.complain("pkix: neither keys nor roots: no module can be trusted");
  // Written as the claims are: a policy says "extractable = false".
  if (section.has("extractable")) {
    out.not_extractable = !section.boolean_or("extractable", true);
    if (!out.not_extractable) reading.complain("pkix.extractable can only be false");
  }
  out.never_extractable = section.boolean_or("never_extractable", false);
  out.local = section.boolean_or("local", false);
  out.sensitive = section.boolean_or("sensitive", false);
  out.fips_boot = section.boolean_or("fips_boot", false);
  if (section.has("fips_level_min")) out.fips_level_min = section.integer("fips_level_min", 1, 4);
  if (!out.not_extractable && !out.never_extractable && !out.local && !out.sensitive &&
      !out.fips_boot && !out.fips_level_min)
    reading.complain("pkix: compares nothing");
  return out;
}

void read_bind(Reading& reading, const std::vector<std::string>& words, Bind& out) {
  if (words.empty()) {
    out = {true, true, true, false};
    return;
  }
  for (const auto& word : words) {
    out.account |= word == "account";
    out.device |= word == "device";
    out.key |= word == "key";
    out.nonce |= word == "nonce";
    if (word != "account" && word != "device" && word != "key" && word != "nonce")
      reading.complain("bind: \"" + word + "\" is none of account, device, key, nonce");
  }
}

void read_kinds(Reading& reading, const std::vector<std::string>& words, std::set<Kind>& out) {
  for (const auto& word : words) {
    bool known = false;
    for (const Kind kind : {Kind::kTpmQuote, Kind::kEat, Kind::kEar, Kind::kPkix}) {
      if (to_string(kind) != word) continue;
      out.insert(kind);
      known = true;
    }
    if (!known) reading.complain("evidence: \"" + word + "\" is none of tpm-quote, eat, ear, pkix");
  }
}

// Each kind has its table, and no table stands without its kind.
void read_rules(Reading& reading, config::Section& root, AppraisalPolicy& out) {
  const auto is_wanted = [&](Kind kind, std::string_view table) {
    if (!out.evidence.contains(kind)) return false;
    if (!root.has(table)) reading.complain("[" + std::string(table) + "] is missing");
    return root.has(table);
  };
  if (is_wanted(Kind::kTpmQuote, "tpm")) out.tpm = read_tpm(reading, root.table("tpm"));
  if (is_wanted(Kind::kEat, "eat")) out.eat = read_eat(reading, root.table("eat"));
  if (is_wanted(Kind::kEar, "ear")) out.ear = read_ear(reading, root.table("ear"));
  if (is_wanted(Kind::kPkix, "pkix")) out.pkix = read_pkix(reading, root.table("pkix"));
}

void read_policy(Reading& reading, config::Section root, AppraisalPolicy& out) {
  out.name = root.string("name");
  out.version = root.string("version");
  if (out.name.empty() || out.name.size() + out.version.size() >= limits::kProfileNameBytesMax)
    reading.complain("name and version are needed, below 64 octets together");
  read_kinds(reading, root.strings_or_empty("evidence", 4), out.evidence);
  read_bind(reading, root.strings_or_empty("bind", 4), out.bind);
  out.claims_hint = root.strings_or_empty("claims_hint", limits::kClaimsHintsMax);
  out.relay = root.string_or("relay", "");
  out.relay_media_types = root.strings_or_empty("relay_media_types", kValuesMax);
  if (out.evidence.empty()) reading.complain("evidence: the policy accepts none");
  // What another verifier judged comes back as a result, and that alone is judged here.
  if (!out.relay.empty() &&
      (out.evidence != std::set<Kind>{Kind::kEar} || out.relay_media_types.empty()))
    reading.complain("relay needs evidence = [\"ear\"] and relay_media_types");
  if (out.relay.empty() && !out.relay_media_types.empty())
    reading.complain("relay_media_types without relay");
  read_rules(reading, root, out);
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::kTpmQuote:
      return "tpm-quote";
    case Kind::kEat:
      return "eat";
    case Kind::kEar:
      return "ear";
    case Kind::kPkix:
      return "pkix";
  }
  return "";
}

std::optional<AppraisalPolicy> parse_policy(std::string_view toml, const std::string& name,
                                            const std::string& folder,
                                            std::vector<std::string>& problems) {
  auto document = config::Document::parse(toml, name);
  Problems own;
  Reading reading{name, folder, own};
  AppraisalPolicy out;
  read_policy(reading, document.root(), out);
  auto found = document.finish();
  problems.insert(problems.end(), found.begin(), found.end());
  problems.insert(problems.end(), own.begin(), own.end());
  if (!found.empty() || !own.empty()) return std::nullopt;
  return out;
}

std::optional<AppraisalPolicy> load_policy(const std::string& path,
                                           std::vector<std::string>& problems) {
  const auto text = read_text_file(path, limits::kAppraisalPolicyBytesMax);
  if (!text) {
    problems.push_back(path + ": " + text.error().what);
    return std::nullopt;
  }
  return parse_policy(*text, path, std::filesystem::path(path).parent_path().string(), problems);
}

PolicySet::Paths PolicySet::read(config::Section& section) {
  Paths out;
  auto table = section.table("policies");
  for (const auto& key : table.keys()) out[key] = table.string(key);
  return out;
}

std::optional<PolicySet> PolicySet::load(const Paths& paths, std::vector<std::string>& problems) {
  PolicySet out;
  const auto before = problems.size();
  if (paths.size() > limits::kAppraisalPoliciesMax) problems.emplace_back("policies: too many");
  std::map<std::string, std::shared_ptr<const AppraisalPolicy>> loaded;
  for (const auto& [key, path] : paths) {
    const auto slash = key.find('/');
    if (slash == 0 || slash == std::string::npos) {
      problems.push_back("policies: \"" + key + "\" is not \"profile/hint\" or \"*/hint\"");
      continue;
    }
    auto& policy = loaded[path];
    if (!policy) {
      auto read = load_policy(path, problems);
      if (!read) continue;
      policy = std::make_shared<const AppraisalPolicy>(std::move(*read));
    }
    if (key.substr(slash + 1) == "hsm" && !policy->bind.key)
      problems.push_back(path + ": a policy for the hint hsm must bind the key");
    out.policies_.emplace(key, policy);
  }
  if (problems.size() != before) return std::nullopt;
  return out;
}

const AppraisalPolicy* PolicySet::find(std::string_view profile, std::string_view hint) const {
  for (const auto& name : {std::string(profile), std::string("*")}) {
    const auto found = policies_.find(name + "/" + std::string(hint));
    if (found != policies_.end()) return found->second.get();
  }
  return nullptr;
}

}  // namespace keyward::appraise
