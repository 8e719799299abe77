// Owns the words of the configuration. Must not know statements.
#include "firmware/attest/device_policy.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "firmware/identifier/identifier.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::size_t kAnchorFileBytesMax = 1u << 20;  // a bundle of a few hundred vendor roots
constexpr std::size_t kRootFilesMax = 64;
constexpr std::size_t kWordsMax = 16;
constexpr std::int64_t kMonthMax = 999'912, kDayMax = 99'991'231;  // YYYYMM, YYYYMMDD

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

void read_common(config::Section& section, DevicePolicyConfig::Common& out) {
  out.roots = section.strings_or_empty("roots", kRootFilesMax);
  out.assigner = section.string_or("assigner", "");
}

bool is_oid(const std::string& dotted) {
  return identifier::canonical(wire::IdentifierType::kHardwareModule, "x/" + dotted).has_value();
}

Status load_common(const DevicePolicyConfig::Common& config, const char* without_roots,
                   CommonFormatPolicy& out) {
  KEYWARD_TRY(roots, load_anchors(config.roots, without_roots));
  out.roots = std::move(roots);
  if (!config.assigner.empty() && !is_oid(config.assigner))
    return bad("assigner: not an object identifier");
  out.assigner = config.assigner;
  return {};
}

// A word's value in a table; none: not a word of it.
template <class T, std::size_t N>
std::optional<T> value_of(const std::pair<std::string_view, T> (&table)[N], std::string_view word) {
  for (const auto& [known, value] : table) {
    if (known == word) return value;
  }
  return std::nullopt;
}

// Words into a set; an empty list leaves the default.
template <class T, std::size_t N>
Status take_words(const std::vector<std::string>& words,
                  const std::pair<std::string_view, T> (&table)[N], const char* unknown,
                  std::set<T>& out) {
  if (words.empty()) return {};
  out.clear();
  for (const auto& word : words) {
    const auto value = value_of(table, word);
    if (!value) return bad(unknown);
    out.insert(*value);
  }
  return {};
}

Status load_packed(const DevicePolicyConfig::Packed& config, PackedPolicy& out) {
  KEYWARD_CHECK(load_common(config, "packed.roots: format packed needs its roots", out));
  if (config.serial != "hex" && config.serial != "text")
    return bad("packed.serial: \"hex\" or \"text\"");
  out.serial_is_text = config.serial == "text";
  out.allow_backup_eligible = config.allow_backup_eligible;
  for (auto aaguid : config.aaguids) {
    std::erase(aaguid, '-');
    const auto octets = hex_decode(aaguid);
    if (!octets || octets->size() != 16) return bad("packed.aaguids: not 16 octets in hexadecimal");
    out.aaguids.insert(hex_encode(*octets));
  }
  return {};
}

Status load_apple(const DevicePolicyConfig::Apple& config, ApplePolicy& out) {
  KEYWARD_CHECK(load_common(config, "apple.roots: format apple needs its roots", out));
  out.allow_missing_freshness = config.allow_missing_freshness;
  out.require_external_account = config.require_external_account;
  return {};
}

Status load_status_list(const DevicePolicyConfig::Android& config, AndroidPolicy& out) {
  if (config.status_list.empty()) {
    if (config.allow_without_status_list) return {};
    return bad("android.status_list: the imported list of revoked attestation keys is needed");
  }
  KEYWARD_TRY(text, read_text_file(config.status_list, limits::kAndroidStatusListBytesMax));
  KEYWARD_TRY(list, AndroidStatusList::parse(text));
  out.status_list = std::make_shared<const AndroidStatusList>(std::move(list));
  return {};
}

Status load_android(const DevicePolicyConfig::Android& config, AndroidPolicy& out) {
  static constexpr std::pair<std::string_view, AndroidSecurity> kLevels[] = {
      {"tee", AndroidSecurity::kTee}, {"strongbox", AndroidSecurity::kStrongBox}};
  static constexpr std::pair<std::string_view, AndroidIdentity> kIdentities[] = {
      {"serial", AndroidIdentity::kSerial},
      {"imei", AndroidIdentity::kImei},
      {"meid", AndroidIdentity::kMeid}};
  KEYWARD_CHECK(load_common(config, "android.roots: format android-key needs its roots", out));
  const auto level = value_of(kLevels, config.security_level);
  if (!level) return bad("android.security_level: \"tee\" or \"strongbox\"");
  out.security_min = *level;
  if (config.verified_boot != "verified" && config.verified_boot != "self-signed")
    return bad("android.verified_boot: \"verified\" or \"self-signed\"");
  out.allow_self_signed_boot = config.verified_boot == "self-signed";
  out.os_patch_min = static_cast<std::uint64_t>(config.os_patch);
  out.vendor_patch_min = static_cast<std::uint64_t>(config.vendor_patch);
  out.boot_patch_min = static_cast<std::uint64_t>(config.boot_patch);
  KEYWARD_CHECK(take_words(config.identities, kIdentities,
                           "android.identities: \"serial\", \"imei\", \"meid\"", out.identities));
  return load_status_list(config, out);
}

std::optional<std::uint32_t> version_of(std::string_view text) {
  std::uint32_t out = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int part = 0; part < 3; ++part) {
    std::uint8_t number = 0;
    const auto read = std::from_chars(at, end, number);
    const bool dot = part < 2 && read.ptr != end && *read.ptr == '.';
    if (read.ec != std::errc() || (part < 2 && !dot)) return std::nullopt;
    out = out << 8 | number;
    at = read.ptr + (dot ? 1 : 0);
  }
  if (at != end) return std::nullopt;
  return out;
}

Status load_step(const DevicePolicyConfig::Step& config, StepPolicy& out) {
  static constexpr std::pair<std::string_view, PinPolicy> kPin[] = {
      {"never", PinPolicy::kNever}, {"once", PinPolicy::kOnce}, {"always", PinPolicy::kAlways}};
  static constexpr std::pair<std::string_view, TouchPolicy> kTouch[] = {
      {"never", TouchPolicy::kNever},
      {"always", TouchPolicy::kAlways},
      {"cached", TouchPolicy::kCached}};
  KEYWARD_CHECK(load_common(config, "step.roots: format step needs its roots", out));
  KEYWARD_CHECK(take_words(config.pin_policies, kPin,
                           "step.pin_policies: \"never\", \"once\", \"always\"", out.pin));
  KEYWARD_CHECK(take_words(config.touch_policies, kTouch,
                           "step.touch_policies: \"never\", \"always\", \"cached\"", out.touch));
  const auto version = version_of(config.firmware);
  if (!version) return bad("step.firmware_min: not a version \"major.minor.patch\"");
  out.firmware_min = *version;
  return {};
}

}  // namespace

DevicePolicyConfig read_device_policy(config::Section& section) {
  DevicePolicyConfig out;
  out.ak_roots = section.strings_or_empty("ak_roots", kRootFilesMax);
  out.hardware_module_types = section.strings_or_empty("hardware_module_types", kWordsMax);
  out.tpm_allow_rs1 = section.boolean_or("tpm_allow_rs1", false);
  out.formats = section.strings_or_empty("formats", kWordsMax);
  auto packed = section.table("packed");
  read_common(packed, out.packed);
  out.packed.serial = packed.string_or("serial", "hex");
  out.packed.aaguids = packed.strings_or_empty("aaguids", limits::kAaguidsMax);
  out.packed.allow_backup_eligible = packed.boolean_or("allow_backup_eligible", false);
  auto apple = section.table("apple");
  read_common(apple, out.apple);
  out.apple.allow_missing_freshness = apple.boolean_or("allow_missing_freshness", false);
  out.apple.require_external_account = apple.boolean_or("require_external_account", true);
  auto android = section.table("android");
  read_common(android, out.android);
  out.android.security_level = android.string_or("security_level", "tee");
  out.android.verified_boot = android.string_or("verified_boot", "verified");
  out.android.status_list = android.string_or("status_list", "");
  out.android.allow_without_status_list = android.boolean_or("allow_without_status_list", false);
  out.android.identities = android.strings_or_empty("identities", kWordsMax);
  out.android.os_patch = android.integer_or("os_patch_min", 0, kMonthMax, 0);
  out.android.vendor_patch = android.integer_or("vendor_patch_min", 0, kDayMax, 0);
  out.android.boot_patch = android.integer_or("boot_patch_min", 0, kDayMax, 0);
  auto step = section.table("step");
  read_common(step, out.step);
  out.step.pin_policies = step.strings_or_empty("pin_policies", kWordsMax);
  out.step.touch_policies = step.strings_or_empty("touch_policies", kWordsMax);
  out.step.firmware = step.string_or("firmware_min", "4.3.5");
  return out;
}

Result<DeviceAttestPolicy> load_device_policy(const DevicePolicyConfig& config) {
  const std::vector<std::string> formats =
      config.formats.empty() ? std::vector<std::string>{"tpm"} : config.formats;
  DeviceAttestPolicy out;
  out.tpm = false;
  out.tpm_allow_rs1 = config.tpm_allow_rs1;
  KEYWARD_TRY(types, module_types(config.hardware_module_types));
  out.hardware_module_types = std::move(types);
  for (const auto& format : formats) {
    if (format == "tpm") {
      KEYWARD_TRY(anchors, load_anchors(config.ak_roots,
                                        "no trust anchor for attestation keys: set ak_roots"));
      out.ak_anchors = std::move(anchors);
      out.tpm = true;
    } else if (format == "packed") {
      KEYWARD_CHECK(load_packed(config.packed, out.packed.emplace()));
    } else if (format == "apple") {
      KEYWARD_CHECK(load_apple(config.apple, out.apple.emplace()));
    } else if (format == "android-key") {
      KEYWARD_CHECK(load_android(config.android, out.android.emplace()));
    } else if (format == "step") {
      KEYWARD_CHECK(load_step(config.step, out.step.emplace()));
    } else {
      return bad("formats: \"tpm\", \"packed\", \"apple\", \"android-key\", \"step\"");
    }
  }
  return out;
}

Result<std::vector<x509::Certificate>> load_anchors(const std::vector<std::string>& pem_paths,
                                                    const char* if_none) {
  std::vector<x509::Certificate> anchors;
  for (const auto& path : pem_paths) {
    KEYWARD_TRY(pem, read_text_file(path, kAnchorFileBytesMax));
    KEYWARD_TRY(ders, x509::certificates_from_pem(pem, limits::kTrustAnchorsMax));
    for (const auto& der : ders) {
      KEYWARD_TRY(certificate, x509::parse_certificate(der));
      anchors.push_back(std::move(certificate));
    }
  }
  if (anchors.empty()) return bad(if_none);
  if (anchors.size() > limits::kTrustAnchorsMax)
    return fail(ErrorKind::kExhausted, "too many trust anchors");
  return anchors;
}

Result<std::map<std::string, std::string>> module_types(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> out;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return bad("hardware_module_types: not \"format=OID\"");
    const auto type = text.substr(equals + 1);
    // The grammar of an order's value: what is not an OID there can never be asked for.
    if (!is_oid(type)) return bad("hardware_module_types: not an object identifier");
    if (!out.emplace(text.substr(0, equals), type).second)
      return bad("hardware_module_types: a format stands twice");
  }
  return out;
}

}  // namespace keyward::attest
