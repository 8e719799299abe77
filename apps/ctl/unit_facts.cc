#include "apps/ctl/unit_facts.h"

#include <cstdlib>

#include <sys/statvfs.h>

#include "firmware/config/config.h"
#include "firmware/x509/der.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr std::size_t kListMax = 64, kListBytesMax = 64u << 20;
constexpr std::int64_t kMinuteMs = 60'000, kHourMs = 60 * kMinuteMs, kDayMs = 24 * kHourMs;

board::TokenSpec read_token(config::Section pkcs11) {
  board::TokenSpec out;
  out.module_path = pkcs11.string_or("module", "");
  out.token_label = pkcs11.string_or("token_label", "");
  out.in_process = pkcs11.boolean_or("in_process", false);
  out.sessions_max = 1;
  for (const auto& line : pkcs11.strings_or_empty("environment", kListMax)) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    out.environment.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  for (auto each : pkcs11.tables("tokens")) {
    const auto label = each.string_or("token_label", "");
    out.replicas.push_back({each.string_or("module", out.module_path), label});
  }
  return out;
}

}  // namespace

std::string UnitSettings::served_chain(const UnitPlaces& places) const {
  return tls_chain.empty() ? places.state_of("acme") + "/appliance-identity.pem" : tls_chain;
}

Result<UnitSettings> read_unit_settings(const std::string& installation) {
  auto document = config::Document::load(installation);
  auto root = document.root();
  UnitSettings out;
  out.base_url = root.table("appliance").string_or("base_url", "");
  out.separate_uids = root.table("supervisor").boolean_or("separate_uids", true);
  auto acme = root.table("acme");
  out.listen = acme.string_or("listen", "");
  out.hosts = acme.strings_or_empty("hosts", kListMax);
  out.tls_chain = acme.string_or("tls_chain", "");
  out.tls_key = acme.string_or("tls_key", "");
  auto resolver = root.table("validation").table("resolver");
  out.forwarders = resolver.strings_or_empty("forward", kListMax);
  out.resolver_trust_anchor = resolver.string_or("trust_anchor", "");
  auto signer = root.table("signer");
  out.key_label = signer.string_or("key_label", "issuing");
  out.audit_key_label = signer.string_or("audit_key_label", "");
  out.evidence_key_label = signer.string_or("evidence_key_label", "");
  out.ocsp_key_label = signer.string_or("ocsp_key_label", "");
  out.token = read_token(root.table("pkcs11"));
  out.anchor_index =
      static_cast<std::uint32_t>(root.table("tpm").integer_or("anchor_index", 0, 0x01FF'FFFF, 0));
  for (const auto& problem : document.finish()) {
    if (problem.find("unknown") == std::string::npos)
      return fail(ErrorKind::kBadInput, "the installation file is wrong");
  }
  return out;
}

std::optional<json::Document> read_status(const UnitPlaces& places) {
  const auto text = read_text_file(places.run_dir + "/status.json", limits::kStatusFileBytesMax);
  if (!text) return std::nullopt;
  auto document = json::Document::parse(*text, limits::kStatusFileBytesMax);
  if (!document) return std::nullopt;
  return std::move(*document);
}

std::optional<json::Document> read_metrics(const UnitPlaces& places) {
  const auto text = read_text_file(places.run_dir + "/metrics.json", limits::kMetricsFileBytesMax);
  if (!text) return std::nullopt;
  auto document =
      json::Document::parse(*text, limits::kMetricsFileBytesMax, limits::kMetricsFileItemsMax);
  if (!document) return std::nullopt;
  return std::move(*document);
}

std::optional<std::int64_t> metric(const json::Document& metrics, std::string_view name) {
  std::optional<std::int64_t> out;
  for (const auto& task : metrics.root().get("tasks").items()) {
    for (const auto& sample : task.get("samples").items()) {
      if (sample.get("name").string() == name)
        out = out.value_or(0) + sample.get("value").integer();
    }
  }
  return out;
}

Result<std::vector<x509::Certificate>> read_chain(const std::string& path) {
  KEYWARD_TRY(pem, read_text_file(path, limits::kTlsIdentityBytesMax));
  KEYWARD_TRY(ders, x509::certificates_from_pem(pem, limits::kChainCertificatesMax));
  if (ders.empty()) return fail(ErrorKind::kBadInput, "there is no certificate in it");
  std::vector<x509::Certificate> out;
  for (const auto& der : ders) {
    KEYWARD_TRY(certificate, x509::parse_certificate(der));
    out.push_back(std::move(certificate));
  }
  return out;
}

Result<ListTimes> read_list_times(const std::string& path) {
  KEYWARD_TRY(der, read_file(path, kListBytesMax));
  x509::DerReader outer(der);
  KEYWARD_TRY(list, outer.sequence());
  KEYWARD_TRY(tbs, list.sequence());
  if (tbs.peek_tag() == x509::tag::kInteger) {
    if (const auto version = tbs.any(); !version) return fail(version.error());
  }
  for (int passed = 0; passed < 2; ++passed) {  // signature, issuer
    if (const auto part = tbs.any(); !part) return fail(part.error());
  }
  ListTimes out;
  KEYWARD_TRY(this_update, tbs.time_ms());
  KEYWARD_TRY(next_update, tbs.time_ms());
  out.this_update_ms = this_update;
  out.next_update_ms = next_update;
  return out;
}

int DiskSpace::free_percent() const {
  return total_bytes == 0 ? 0 : static_cast<int>(free_bytes / (total_bytes / 100 + 1));
}

std::optional<DiskSpace> disk_space(const std::string& path) {
  struct ::statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return std::nullopt;
  return DiskSpace{static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize,
                   static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize};
}

std::string in_words(std::int64_t span_ms) {
  const auto span = std::abs(span_ms);
  const auto text = [&](std::int64_t unit, const char* word) {
    const auto count = span / unit;
    return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
  };
  if (span >= 2 * kDayMs) return text(kDayMs, "day");
  if (span >= 2 * kHourMs) return text(kHourMs, "hour");
  if (span >= 2 * kMinuteMs) return text(kMinuteMs, "minute");
  return text(1'000, "second");
}

}  // namespace keyward::ctl
