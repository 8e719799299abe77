// Owns the two sets of names of an EAR and the rules of its claims. Must not know any policy.
#include "firmware/rats/ear.h"

#include <algorithm>

namespace keyward::rats {
namespace {

using Kind = Value::Kind;

// The names of one version of the draft. In a CWT the numbers are the same in both; private claims of
// the verifier that wrote the draft are below -70000.
struct Names {
  std::string_view profile;
  bool legacy;
  std::string_view status;
  std::string_view vector;
  std::string_view raw_evidence;
  std::string_view policy;  // a list in draft -03, one text before
  std::string_view verifier;
  std::string_view key_attestation;
};
constexpr std::array<Names, 2> kNames{{
    {kEarProfile, false, "ear_status", "ear_trustworthiness_vector", "ear_raw_evidence",
     "ear_appraisal_policy_ids", "ear_verifier_id", "ear_veraison_key_attestation"},
    {kEarProfileLegacy, true, "ear.status", "ear.trustworthiness-vector", "ear.raw-evidence",
     "ear.appraisal-policy-id", "ear.verifier-id", "ear.veraison.key-attestation"},
}};
constexpr std::int64_t kStatus = 1000, kVector = 1001, kRawEvidence = 1002, kPolicy = 1003,
                       kVerifier = 1004, kKeyAttestation = -70002;
constexpr std::int64_t kNonce = 10, kProfile = 265, kSubmods = 266, kIat = 6, kExp = 4;

constexpr std::array<std::pair<Tier, std::string_view>, 4> kTiers{
    {{Tier::kNone, "none"},
     {Tier::kAffirming, "affirming"},
     {Tier::kWarning, "warning"},
     {Tier::kContraindicated, "contraindicated"}}};

bool short_text(const Value* value) {
  return value != nullptr && value->is(Kind::kText) && !value->text.empty() &&
         value->text.size() <= limits::kUrlBytesMax;
}

// A set of claims whose members are taken out one by one; what is left is unknown.
class Set {
 public:
  Set(const Value& map, Encoding encoding) : map_(map), encoding_(encoding) {}
  const Value* take(std::string_view name, std::int64_t number) {
    for (std::size_t i = 0; i < map_.keys.size(); ++i) {
      const auto& key = map_.keys[i];
      const bool right =
          encoding_ == Encoding::kJson ? key.text == name : !key.is_text && key.integer == number;
      if (!right) continue;
      taken_.push_back(i);
      return &map_.items[i];
    }
    return nullptr;
  }
  std::vector<std::string> rest() const {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < map_.keys.size() && out.size() < limits::kClaimItemsMax; ++i) {
      if (std::ranges::find(taken_, i) == taken_.end()) out.push_back(map_.keys[i].print());
    }
    return out;
  }
  Encoding encoding() const { return encoding_; }

 private:
  const Value& map_;
  Encoding encoding_;
  std::vector<std::size_t> taken_;
};

std::optional<Bytes> octets_of(const Value& value, Encoding encoding) {
  if (encoding == Encoding::kCbor)
    return value.is(Kind::kBytes) ? std::optional(value.bytes) : std::nullopt;
  auto decoded = base64url_decode(value.text);
  if (!value.is(Kind::kText) || !decoded) return std::nullopt;
  return std::move(*decoded);
}

Appraised<Tier> read_status(const Value& value, const Names& names, Encoding encoding) {
  // Text in JSON and a number in CBOR; the older verifiers wrote numbers in JSON too.
  const bool number = value.is(Kind::kInteger) && (encoding == Encoding::kCbor || names.legacy);
  for (const auto& [tier, name] : kTiers) {
    if (number && value.integer == static_cast<std::int64_t>(tier)) return tier;
    if (encoding == Encoding::kJson && value.is(Kind::kText) && value.text == name) return tier;
  }
  return refuse("ear.status", "a status is none of none, affirming, warning, contraindicated");
}

Appraised<void> read_vector(const Value& value, Encoding encoding, EarAppraisal& out) {
  if (!value.is(Kind::kMap)) return refuse("ear.vector", "the trustworthiness vector is not a map");
  for (std::size_t i = 0; i < value.keys.size(); ++i) {
    const auto& key = value.keys[i];
    auto index = static_cast<std::size_t>(-1);
    if (encoding == Encoding::kJson) {
      index = static_cast<std::size_t>(std::ranges::find(kVectorNames, std::string_view(key.text)) -
                                       kVectorNames.begin());
    } else if (!key.is_text && key.integer >= 0) {
      index = static_cast<std::size_t>(key.integer);
    }
    // AR4SI has eight claims; one that nobody can weigh must not pass as if it were not there.
    if (index >= kVectorNames.size())
      return refuse("ear.vector", "the vector has a claim that AR4SI does not know");
    const auto& item = value.items[i];
    if (!item.is(Kind::kInteger) || item.integer < -128 || item.integer > 127)
      return refuse("ear.vector", "a claim of the vector is not a number from -128 to 127");
    out.vector[index] = static_cast<std::int8_t>(item.integer);
  }
  out.has_vector = true;
  return {};
}

Appraised<void> read_policies(const Value& value, const Names& names, EarAppraisal& out) {
  if (names.legacy && short_text(&value)) {
    out.policy_ids.push_back(value.text);
    return {};
  }
  const bool list = value.is(Kind::kArray) && !value.items.empty() && !names.legacy &&
                    value.items.size() <= limits::kClaimItemsMax;
  if (!list) return refuse("ear.policy-id", "the policies' ids have another form than they must");
  for (const auto& item : value.items) {
    if (!short_text(&item)) return refuse("ear.policy-id", "a policy's id is not text");
    out.policy_ids.push_back(item.text);
  }
  return {};
}

Appraised<void> read_nonce(const Value& value, Encoding encoding, std::vector<Bytes>& out) {
  auto nonces = read_nonces(value, encoding);
  if (!nonces) return refuse("ear.nonce", nonces.error().detail);
  out = std::move(*nonces);
  return {};
}

Appraised<void> read_key(const Value& value, Encoding encoding, EarAppraisal& out) {
  const auto* member = encoding == Encoding::kJson ? value.find("akpub") : value.find(0);
  if (member == nullptr && encoding == Encoding::kCbor) member = value.find("akpub");
  const auto der = member == nullptr ? std::nullopt : octets_of(*member, encoding);
  if (!der) return refuse("ear.key", "the key attestation has no octets akpub");
  auto key = crypto::PublicKey::from_spki(*der);
  if (!key) return refuse("ear.key", "akpub is not a public key that is accepted");
  out.attested_key = std::move(*key);
  return {};
}

Appraised<EarAppraisal> read_appraisal(const Value& map, const Names& names, Encoding encoding) {
  if (!map.is(Kind::kMap)) return refuse("ear.submods", "an appraisal is not a map");
  Set set(map, encoding);
  EarAppraisal out;
  const auto* status = set.take(names.status, kStatus);
  if (status == nullptr) return refuse("ear.status", "an appraisal has no status");
  auto tier = read_status(*status, names, encoding);
  if (!tier) return tl::unexpected(tier.error());
  out.status = *tier;
  if (const auto* vector = set.take(names.vector, kVector))
    KEYWARD_APPRAISE(read_vector(*vector, encoding, out));
  if (out.status < worst_of(out.vector))
    return refuse("ear.status-better", "the status is better than the worst claim of the vector");
  if (const auto* policies = set.take(names.policy, kPolicy))
    KEYWARD_APPRAISE(read_policies(*policies, names, out));
  if (const auto* nonce = set.take("eat_nonce", kNonce))
    KEYWARD_APPRAISE(read_nonce(*nonce, encoding, out.nonces));
  if (const auto* key = set.take(names.key_attestation, kKeyAttestation))
    KEYWARD_APPRAISE(read_key(*key, encoding, out));
  out.unknown = set.rest();
  return out;
}

Appraised<void> read_submods(const Value* map, const Names& names, Ear& out) {
  if (map == nullptr || !map->is(Kind::kMap) || map->keys.empty() ||
      map->keys.size() > limits::kSubmodsMax)
    return refuse("ear.submods", "submods is not a map of one to sixteen appraisals");
  for (std::size_t i = 0; i < map->keys.size(); ++i) {
    const auto& label = map->keys[i].text;
    if (label.empty() || label.size() > limits::kIdBytesMax)
      return refuse("ear.submods", "a submodule's label is not short text");
    auto appraisal = read_appraisal(map->items[i], names, out.encoding);
    if (!appraisal) return tl::unexpected(appraisal.error());
    appraisal->label = label;
    out.appraisals.push_back(std::move(*appraisal));
  }
  return {};
}

Appraised<void> read_verifier(const Value* map, Ear& out) {
  if (map == nullptr || !map->is(Kind::kMap))
    return refuse("ear.verifier-id", "the verifier's id is missing");
  const bool json = out.encoding == Encoding::kJson;
  const auto* developer = json ? map->find("developer") : map->find(0);
  const auto* build = json ? map->find("build") : map->find(1);
  if (!short_text(developer) || !short_text(build))
    return refuse("ear.verifier-id", "the verifier's id needs developer and build");
  out.developer = developer->text;
  out.build = build->text;
  return {};
}

std::optional<std::int64_t> seconds_of(const Value* value) {
  constexpr std::int64_t kYear9999 = 253'402'300'799;
  const bool right = value != nullptr && value->is(Kind::kInteger) && value->integer >= 0 &&
                     value->integer <= kYear9999;
  return right ? std::optional(value->integer) : std::nullopt;
}

Appraised<void> read_times(Set& set, std::int64_t at_utc_ms, Ear& out) {
  const auto iat = seconds_of(set.take("iat", kIat));
  if (!iat) return refuse("ear.iat", "iat is missing or not a whole number of seconds");
  out.iat_s = *iat;
  if (const auto* exp = set.take("exp", kExp)) {
    out.exp_s = seconds_of(exp);
    if (!out.exp_s) return refuse("ear.expired", "exp is not a whole number of seconds");
  }
  return check_times(iat, out.exp_s, std::nullopt, at_utc_ms, "ear.");
}

Appraised<void> read_optional(Set& set, const Names& names, Ear& out) {
  if (const auto* nonce = set.take("eat_nonce", kNonce))
    KEYWARD_APPRAISE(read_nonce(*nonce, out.encoding, out.nonces));
  if (const auto* status = set.take(names.status, kStatus)) {
    auto tier = read_status(*status, names, out.encoding);
    if (!tier) return tl::unexpected(tier.error());
    out.status = *tier;
  }
  if (const auto* raw = set.take(names.raw_evidence, kRawEvidence)) {
    const auto octets = octets_of(*raw, out.encoding);
    if (!octets || octets->empty())
      return refuse("ear.raw-evidence", "the raw evidence is not octets");
    out.raw_evidence_sha256 = crypto::sha256(*octets);
  }
  return {};
}

Appraised<Ear> read_ear(ByteView payload, Encoding encoding, Signer signer,
                        const TrustAnchors& anchors) {
  const auto map = encoding == Encoding::kCbor ? parse_cbor(payload) : parse_json(text_of(payload));
  if (!map || !map->is(Kind::kMap)) return refuse("ear.malformed", "the claims set does not read");
  Set set(*map, encoding);
  Ear out;
  out.encoding = encoding;
  const auto* profile = set.take("eat_profile", kProfile);
  const auto* names = std::ranges::find(
      kNames, profile == nullptr ? std::string_view() : profile->text, &Names::profile);
  if (names == kNames.end())
    return refuse("ear.profile", "eat_profile is none of an attestation result that is read here");
  out.legacy_names = names->legacy;
  KEYWARD_APPRAISE(read_times(set, anchors.at_utc_ms, out));
  KEYWARD_APPRAISE(read_verifier(set.take(names->verifier, kVerifier), out));
  KEYWARD_APPRAISE(read_submods(set.take("submods", kSubmods), *names, out));
  KEYWARD_APPRAISE(read_optional(set, *names, out));
  if (out.status) {
    for (const auto& appraisal : out.appraisals) {
      if (*out.status < appraisal.status)
        return refuse("ear.status-better", "the overall status is better than the worst appraisal");
    }
  }
  out.unknown = set.rest();
  out.signer = std::move(signer);
  return out;
}

bool is_ear_type(std::string_view typ) {
  constexpr std::array<std::string_view, 6> kTypes{
      "", "jwt", "eat+jwt", "application/eat+jwt", "eat-jwt", "application/eat-jwt"};
  std::string lower(typ);
  for (auto& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::ranges::find(kTypes, std::string_view(lower)) != kTypes.end();
}

}  // namespace

std::string_view to_string(Tier tier) {
  const auto* found = std::ranges::find(kTiers, tier, &std::pair<Tier, std::string_view>::first);
  return found == kTiers.end() ? "none" : found->second;
}

std::optional<Tier> tier_from(std::string_view text) {
  const auto* found = std::ranges::find(kTiers, text, &std::pair<Tier, std::string_view>::second);
  return found == kTiers.end() ? std::nullopt : std::optional(found->first);
}

Tier tier_of(std::int8_t value) {
  if (value >= -1 && value <= 1) return Tier::kNone;
  if (value >= -32 && value <= 31) return Tier::kAffirming;
  if (value >= -96 && value <= 95) return Tier::kWarning;
  return Tier::kContraindicated;
}

Tier worst_of(const TrustVector& vector) {
  auto worst = Tier::kNone;
  for (const auto& claim : vector) {
    if (claim) worst = std::max(worst, tier_of(*claim));
  }
  return worst;
}

Tier Ear::worst() const {
  auto worst = status.value_or(Tier::kNone);
  for (const auto& appraisal : appraisals) worst = std::max(worst, appraisal.status);
  return worst;
}

Appraised<Ear> verify_ear_jwt(std::string_view token, const TrustAnchors& anchors) {
  auto message = verify_compact(token, anchors);
  if (!message) return tl::unexpected(message.error());
  if (!is_ear_type(message->typ)) return refuse("ear.type", "typ says that it is another token");
  return read_ear(message->payload, Encoding::kJson, std::move(message->signer), anchors);
}

Appraised<Ear> verify_ear_cwt(ByteView token, const TrustAnchors& anchors) {
  auto message = verify_sign1(token, anchors);
  if (!message) return tl::unexpected(message.error());
  const auto& type = message->content_type;
  if (!type.empty() && type != "application/eat+cwt" && type != "application/cwt" &&
      !type.starts_with("application/eat+cwt;"))
    return refuse("ear.type", "the content type says that it is another token");
  return read_ear(message->payload, Encoding::kCbor, std::move(message->signer), anchors);
}

bool is_ear_profile(std::string_view eat_profile) {
  return std::ranges::find(kNames, eat_profile, &Names::profile) != kNames.end();
}

}  // namespace keyward::rats
