#include "firmware/issue/profile_config.h"

#include <algorithm>

#include "firmware/wire/challenge_types.h"

namespace keyward::issue {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kDaysMax = 3'650;
constexpr std::int64_t kServerDaysMax = 825;  // what TLS clients take of a private CA
constexpr std::int64_t kPreferenceMax = 1'000, kBuiltInPreference = 50, kPreference = 100;
constexpr std::size_t kMethodsMax = 16;

std::optional<ProfileKind> kind_from(std::string_view text) {
  if (text == "device") return ProfileKind::kDevice;
  if (text == "server") return ProfileKind::kServer;
  if (text == "sti") return ProfileKind::kSti;
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

void read_star(config::Section& table, Profile& profile) {
  const bool wanted = table.boolean_or("star", false);
  StarLimits star;
  star.lifetime_s_min =
      table.integer_or("star_min_lifetime_s", 60, 30 * 86'400, star.lifetime_s_min);
  star.duration_s_max = 86'400 * table.integer_or("star_max_duration_days", 1, kDaysMax,
                                                  star.duration_s_max / 86'400);
  if (wanted) profile.star = star;
}

struct ReadProfile {
  std::optional<Profile> profile;  // absent: disabled
  const char* fault = nullptr;
};

// `base`: what holds for keys that are not there; absent: the kind must be said.
ReadProfile read_profile(config::Section table, const std::string& name,
                         const std::optional<Profile>& base, std::int64_t days) {
  const auto kind = base ? base->kind : kind_from(table.string("kind")).value_or(ProfileKind{});
  if (kind == ProfileKind{}) return {std::nullopt, "kind is device, server or sti"};
  if (base && table.has("kind") && kind_from(table.string("kind")) != base->kind)
    return {std::nullopt, "this profile's kind cannot be another one"};
  Profile profile = base ? *base : make_profile(name, kind, days);
  profile.lifetime_ms =
      kDayMs * table.integer_or("days", 1, days_max(kind), profile.lifetime_ms / kDayMs);
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

}  // namespace

const char* fault_of(const Profile& profile) {
  if (!is_name(profile.name)) return "a name has a-z, 0-9, - and _";
  if (profile.description.size() > limits::kDetailBytesMax) return "the description is too long";
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
  if (profile.kind == ProfileKind::kSti && profile.star)
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
  if (out.problem.empty() && out.profiles.empty()) out.problem = "profiles: none is enabled";
  if (out.problem.empty() && out.profiles.size() > Profiles::kProfilesMax)
    out.problem = "profiles: more than 16";
  return out;
}

}  // namespace keyward::issue
