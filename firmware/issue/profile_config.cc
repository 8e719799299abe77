#include "firmware/issue/profile_config.h"

#include <algorithm>
#include <array>

#include "firmware/identifier/identifier.h"
#include "firmware/wire/challenge_types.h"

namespace keyward::issue {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kDaysMax = 3'650;
constexpr std::int64_t kServerDaysMax = 825;  // what TLS clients take of a private CA
constexpr std::int64_t kPreferenceMax = 1'000, kBuiltInPreference = 50, kPreference = 100;
constexpr std::size_t kMethodsMax = 16;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::size_t kPurposesMax = 4;
constexpr std::size_t kUnitsMax = 4, kNameWordBytesMax = 64;  // RFC 5280, ub-organization-name
constexpr std::string_view kServerAuth = "1.3.6.1.5.5.7.3.1", kClientAuth = "1.3.6.1.5.5.7.3.2";

struct KeyName {
  std::string_view name;
  crypto::KeyKind kind;
};
// Those that check_csr_key takes at all.
constexpr std::array<KeyName, 4> kKeyNames = {{{"ec-p256", crypto::KeyKind::kEcP256},
                                               {"ec-p384", crypto::KeyKind::kEcP384},
                                               {"ed25519", crypto::KeyKind::kEd25519},
                                               {"rsa", crypto::KeyKind::kRsa}}};

std::optional<ProfileKind> kind_from(std::string_view text) {
  if (text == "device") return ProfileKind::kDevice;
  if (text == "server") return ProfileKind::kServer;
  if (text == "sti") return ProfileKind::kSti;
  if (text == "third-party") return ProfileKind::kThirdParty;
  if (text == "attestation-key") return ProfileKind::kAttestationKey;
  return std::nullopt;
}

std::int64_t days_max(ProfileKind kind) {
  return kind == ProfileKind::kServer ? kServerDaysMax : kDaysMax;
}

// False: a text that is none of the three.
bool read_device_names(config::Section& table, Profile& profile) {
  if (!table.has("san_device_id")) return true;
  const auto text = table.string("san_device_id");
  if (text == "require") profile.device_names = DeviceNames::kRequire;
  if (text == "include") profile.device_names = DeviceNames::kInclude;
  if (text == "omit") profile.device_names = DeviceNames::kOmit;
  return text == "require" || text == "include" || text == "omit";
}

// What was asked for, or nothing said: a name that is none stays visible as an empty list.
bool read_methods(config::Section& table, Profile& profile) {
  if (!table.has("methods")) return true;
  profile.methods.clear();
  for (const auto& name : table.strings_or_empty("methods", kMethodsMax)) {
    const auto method = wire::method_of(name);
    if (!method) return false;
    profile.methods.push_back(*method);
  }
  return true;
}

// A hint that is none stays visible: it fits no identifier, and fault_of() says so.
void read_attestations(config::Section& table, Profile& profile) {
  for (const auto& text :
       table.strings_or_empty("attestations", limits::kAttestationsPerOrderMax)) {
    const auto hint = identifier::canonical(wire::IdentifierType::kRemoteAttestation, text);
    profile.attestations.push_back(hint ? hint->value : text);
  }
}

// Null, or what is wrong with them.
const char* read_purposes(config::Section& table, Profile& profile) {
  if (!table.has("purposes")) return nullptr;
  if (profile.kind == ProfileKind::kSti || profile.kind == ProfileKind::kAttestationKey)
    return "purposes are for device, server and third-party";
  profile.purposes.clear();
  for (const auto& text : table.strings_or_empty("purposes", kPurposesMax)) {
    if (text != "clientAuth" && text != "serverAuth")
      return "a purpose is clientAuth or serverAuth";
    profile.purposes.emplace_back(text == "clientAuth" ? kClientAuth : kServerAuth);
  }
  return nullptr;
}

const char* read_lifetime(config::Section& table, Profile& profile) {
  if (table.has("hours") && table.has("days")) return "days or hours, not both";
  const auto max_days = days_max(profile.kind);
  if (table.has("hours"))
    profile.lifetime_ms = kHourMs * table.integer_or("hours", 1, 24 * max_days, 1);
  else
    profile.lifetime_ms =
        kDayMs * table.integer_or("days", 1, max_days, profile.lifetime_ms / kDayMs);
  return nullptr;
}

void read_star(config::Section& table, Profile& profile) {
  const bool wanted = table.boolean_or("star", false);
  StarLimits star;
  star.lifetime_s_min =
      table.integer_or("star_min_lifetime_s", 60, 30 * 86'400, star.lifetime_s_min);
  star.duration_s_max = 86'400 * table.integer_or("star_max_duration_days", 1, kDaysMax,
                                                  star.duration_s_max / 86'400);
  if (wanted) profile.star = star;
}

// Null, or what is wrong with them. The certificate's subject: [profiles.<name>.subject].
const char* read_subject(config::Section& table, Profile& profile) {
  if (!table.has("subject")) return nullptr;
  auto own = table.table("subject");
  profile.subject.country = own.string_or("country", "");
  profile.subject.organization = own.string_or("organization", "");
  profile.subject.units = own.strings_or_empty("organizational_units", kUnitsMax);
  profile.common_name = own.boolean_or("common_name", true);
  return nullptr;
}

const char* read_keys(config::Section& table, Profile& profile) {
  for (const auto& name : table.strings_or_empty("keys", kKeyNames.size())) {
    const auto found = std::ranges::find(kKeyNames, name, &KeyName::name);
    if (found == kKeyNames.end()) return "a key is ec-p256, ec-p384, ed25519 or rsa";
    profile.keys.push_back(found->kind);
  }
  if (table.has("keys") && profile.keys.empty()) return "keys is empty: no key would be taken";
  profile.rsa_bits_min = static_cast<int>(table.integer_or(
      "rsa_bits_min", limits::kRsaBitsMin, limits::kRsaBitsMax, limits::kRsaBitsMin));
  return nullptr;
}

void read_budgets(config::Section& table, Profile& profile) {
  if (table.has("backdate_s"))
    profile.backdate_ms = 1'000 * table.integer_or("backdate_s", 0, 86'400, 60);
  if (table.has("account_per_hour"))
    profile.account_per_hour =
        table.integer_or("account_per_hour", 1, limits::kIssuancesPerHourMax, 1);
  if (table.has("overall_per_hour"))
    profile.overall_per_hour =
        table.integer_or("overall_per_hour", 1, limits::kIssuancesPerHourMax, 1);
}

struct ReadProfile {
  std::optional<Profile> profile;  // absent: disabled
  const char* fault = nullptr;
};

// `base`: what holds for keys that are not there; absent: the kind must be said.
ReadProfile read_profile(config::Section table, const std::string& name,
                         const std::optional<Profile>& base, std::int64_t days) {
  const auto kind = base ? base->kind : kind_from(table.string("kind")).value_or(ProfileKind{});
  if (kind == ProfileKind{})
    return {std::nullopt, "kind is device, server, sti, third-party or attestation-key"};
  if (base && table.has("kind") && kind_from(table.string("kind")) != base->kind)
    return {std::nullopt, "this profile's kind cannot be another one"};
  Profile profile = base ? *base : make_profile(name, kind, days);
  if (const auto* fault = read_lifetime(table, profile)) return {std::nullopt, fault};
  if (const auto* fault = read_purposes(table, profile)) return {std::nullopt, fault};
  if (const auto* fault = read_subject(table, profile)) return {std::nullopt, fault};
  if (const auto* fault = read_keys(table, profile)) return {std::nullopt, fault};
  read_budgets(table, profile);
  read_attestations(table, profile);
  profile.description = table.string_or("description", profile.description);
  profile.wildcard = table.boolean_or("wildcard", kind == ProfileKind::kServer);
  profile.ip = table.boolean_or("ip", kind == ProfileKind::kServer);
  profile.preference =
      table.integer_or("preference", 0, kPreferenceMax, base ? kBuiltInPreference : kPreference);
  if (!read_methods(table, profile)) return {std::nullopt, "a method that is no challenge type"};
  if (table.has("san_device_id") && kind != ProfileKind::kDevice)
    return {std::nullopt, "san_device_id is for devices"};
  if (!read_device_names(table, profile))
    return {std::nullopt, "san_device_id is omit, include or require"};
  read_star(table, profile);
  if (!table.boolean_or("enabled", true)) return {};
  return {profile, fault_of(profile)};
}

bool is_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= limits::kProfileNameBytesMax &&
         std::all_of(name.begin(), name.end(), allowed);
}

const char* fault_of_attestations(const Profile& profile) {
  if (profile.attestations.size() > limits::kAttestationsPerOrderMax)
    return "more than 8 attestations";
  for (const auto& hint : profile.attestations) {
    const auto form = identifier::canonical(wire::IdentifierType::kRemoteAttestation, hint);
    if (!form || form->value != hint || hint.empty())
      return "an attestation's hint has a-z, 0-9, _ and -";
    if (std::count(profile.attestations.begin(), profile.attestations.end(), hint) != 1)
      return "an attestation stands twice";
  }
  return nullptr;
}

const char* fault_of_attestation_key(const Profile& profile) {
  if (!profile.methods.empty() || !profile.attestations.empty() || profile.star ||
      profile.wildcard || profile.ip)
    return "an attestation key has no order: no methods, attestations, star, wildcard or ip";
  return nullptr;
}

bool is_word_of_a_name(std::string_view text) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  return text.size() <= kNameWordBytesMax && std::ranges::none_of(text, is_control) &&
         text.find_first_not_of(' ') != text.npos;
}

const char* fault_of_subject(const Profile& profile) {
  const auto& words = profile.subject;
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (!words.country.empty() &&
      (words.country.size() != 2 || !std::ranges::all_of(words.country, is_capital)))
    return "subject: a country is two capital letters (ISO 3166)";
  if (!words.organization.empty() && !is_word_of_a_name(words.organization))
    return "subject: an organization has 1 to 64 octets, none of them a control character";
  if (words.units.size() > kUnitsMax || !std::ranges::all_of(words.units, is_word_of_a_name))
    return "subject: organizational_units are at most 4, of 1 to 64 octets each";
  if (profile.kind == ProfileKind::kAttestationKey && (!words.empty() || !profile.common_name))
    return "an attestation key's subject is empty (TCG)";
  const bool may_be_empty =
      profile.kind == ProfileKind::kServer || profile.kind == ProfileKind::kAttestationKey;
  if (!profile.common_name && words.empty() && !may_be_empty)
    return "subject: without a common name it needs an organization or the like";
  return nullptr;
}

const char* fault_of_keys(const Profile& profile) {
  for (const auto kind : profile.keys) {
    if (std::ranges::count(profile.keys, kind) != 1) return "a key stands twice";
  }
  if (profile.kind == ProfileKind::kSti && !profile.keys.empty() &&
      std::ranges::find(profile.keys, crypto::KeyKind::kEcP256) == profile.keys.end())
    return "telephone identities have P-256 keys: keys leaves none";
  return nullptr;
}

const char* fault_of_purposes(const Profile& profile) {
  if (profile.kind == ProfileKind::kSti) return nullptr;
  if (profile.purposes.empty()) return "purposes is empty";
  for (const auto& purpose : profile.purposes) {
    if (purpose != kClientAuth && purpose != kServerAuth)
      return "a purpose is clientAuth or serverAuth";
    if (std::count(profile.purposes.begin(), profile.purposes.end(), purpose) != 1)
      return "a purpose stands twice";
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> key_names(const std::vector<crypto::KeyKind>& kinds) {
  std::vector<std::string> out;
  for (const auto& known : kKeyNames) {
    if (std::ranges::find(kinds, known.kind) != kinds.end()) out.emplace_back(known.name);
  }
  return out;
}

const char* fault_of(const Profile& profile) {
  if (!is_name(profile.name)) return "a name has a-z, 0-9, - and _";
  if (profile.description.size() > limits::kDetailBytesMax) return "the description is too long";
  if (const auto* fault = fault_of_attestations(profile)) return fault;
  if (const auto* fault = fault_of_subject(profile)) return fault;
  if (const auto* fault = fault_of_keys(profile)) return fault;
  if (profile.kind == ProfileKind::kAttestationKey) return fault_of_attestation_key(profile);
  if (const auto* fault = fault_of_purposes(profile)) return fault;
  if (profile.methods.empty()) return "methods is empty: nothing could prove anything";
  const auto possible = methods_of(profile.kind);
  for (const auto method : profile.methods) {
    if (std::count(profile.methods.begin(), profile.methods.end(), method) != 1)
      return "a method stands twice";
    if (std::find(possible.begin(), possible.end(), method) == possible.end())
      return "a method that proves nothing for this kind";
  }
  // Whoever once had a certificate would keep the name for ever.
  if (profile.methods.size() == 1 && profile.methods[0] == wire::ValidationMethod::kPossession01)
    return "proof-of-possession-01 must not be the only method";
  const bool server = profile.kind == ProfileKind::kServer;
  if (!server && (profile.wildcard || profile.ip)) return "wildcard and ip are for servers";
  if ((profile.kind == ProfileKind::kSti || profile.kind == ProfileKind::kThirdParty) &&
      profile.star)
    return "no renewal beyond an authority's token (RFC 9447)";
  return nullptr;
}

ConfiguredProfiles read_profiles(config::Section& root, std::int64_t device_days,
                                 std::int64_t server_days) {
  ConfiguredProfiles out;
  auto tables = root.table("profiles");
  auto names = tables.keys();
  for (const auto* own : {"device", "server"}) {
    if (std::find(names.begin(), names.end(), own) == names.end()) names.emplace_back(own);
  }
  for (const auto& name : names) {
    std::optional<Profile> base;
    if (name == "device") base = make_profile(name, ProfileKind::kDevice, device_days);
    if (name == "server") base = make_profile(name, ProfileKind::kServer, server_days);
    auto read = read_profile(tables.table(name), name, base, server_days);
    if (read.fault != nullptr && out.problem.empty())
      out.problem = "profiles." + name + ": " + read.fault;
    if (read.profile && read.fault == nullptr) out.profiles.push_back(std::move(*read.profile));
  }
  const auto keys = std::ranges::count(out.profiles, ProfileKind::kAttestationKey, &Profile::kind);
  if (out.problem.empty() && keys > 1) out.problem = "profiles: two for attestation keys";
  if (out.problem.empty() && out.profiles.empty()) out.problem = "profiles: none is enabled";
  if (out.problem.empty() && out.profiles.size() > Profiles::kProfilesMax)
    out.problem = "profiles: more than 16";
  return out;
}

}  // namespace keyward::issue
