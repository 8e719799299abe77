// Owns the words and the exit codes of `keywardctl incident`. Must not know the service.
#include "apps/ctl/incident_command.h"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>
#include <time.h>

#include "firmware/acme/incidents.h"
#include "firmware/operate/operator_file.h"
#include "hal/base/clock.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"

namespace keyward::ctl {
namespace {

using acme::Incident;
using acme::Incidents;

constexpr int kExitFailed = 1, kExitUsage = 64, kExitFile = 78;
constexpr std::size_t kIdBytes = 6;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr const char* kTimeFormat = "%Y-%m-%dT%H:%M:%SZ";

int fail_with(int code, std::string_view what) {
  std::cerr << "keywardctl: " << what << "\n";
  return code;
}

int complain(const IncidentOptions& options, const Error& error) {
  const bool file_is_wrong =
      error.kind == ErrorKind::kBadInput || error.kind == ErrorKind::kRefused;
  return fail_with(
      file_is_wrong ? kExitFile : kExitFailed,
      options.directory + "/" + std::string(acme::kIncidentsFolder) + ": " + error.what);
}

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1'000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, kTimeFormat, &parts);
  return text;
}

// A time in UTC, or "+12h", "+2d" after `base_ms`.
std::optional<std::int64_t> time_from(const std::string& text, std::int64_t base_ms) {
  if (text.starts_with('+')) {
    constexpr std::int64_t kCountMax = 10'000;
    std::int64_t count = 0;
    const auto* end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + 1, end, count);
    const std::string_view unit(read.ptr, static_cast<std::size_t>(end - read.ptr));
    const bool good = read.ec == std::errc() && count > 0 && count <= kCountMax;
    if (!good || (unit != "d" && unit != "h")) return std::nullopt;
    return base_ms + count * (unit == "d" ? 24 * kHourMs : kHourMs);
  }
  ::tm parts{};
  const char* rest = ::strptime(text.c_str(), kTimeFormat, &parts);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  return static_cast<std::int64_t>(::timegm(&parts)) * 1'000;
}

Result<Incidents> read_incidents(const operate::OperatorDirectory& folder) {
  KEYWARD_TRY(bytes, folder.read(std::string(acme::kIncidentsFile), limits::kIncidentsBytesMax));
  if (bytes.empty()) return Incidents{};
  return acme::parse_incidents(bytes);
}

// Serials as the ledger prints them; the content octets of a DER INTEGER, with the sign octet that
// hexadecimal dumps leave out.
std::optional<std::vector<Bytes>> serials_of(const std::vector<std::string>& texts) {
  std::vector<Bytes> out;
  for (auto text : texts) {
    text.erase(std::remove(text.begin(), text.end(), ':'), text.end());
    auto octets = hex_decode(text);
    if (!octets || octets->empty()) return std::nullopt;
    if (octets->front() >= 0x80) octets->insert(octets->begin(), 0x00);
    out.push_back(std::move(*octets));
  }
  return out;
}

std::optional<Incident> incident_from(const IncidentOptions& options, const char*& wrong) {
  Incident out;
  out.id = hex_encode(random_bytes(kIdBytes));  // no leading dash on a command line
  out.declared_at_ms = system_clock().utc_ms();
  auto serials = serials_of(options.serials);
  if (!serials) return wrong = "--serial is not hexadecimal", std::nullopt;
  out.serials = std::move(*serials);
  if (!options.profile.empty()) out.profile = options.profile;
  const auto now_ms = out.declared_at_ms;
  if (!options.issued_from.empty()) {
    out.issued_from_ms = time_from(options.issued_from, now_ms);
    if (!out.issued_from_ms) return wrong = "--issued-from is not a time", std::nullopt;
  }
  if (!options.issued_until.empty()) {
    out.issued_until_ms = time_from(options.issued_until, now_ms);
    if (!out.issued_until_ms) return wrong = "--issued-until is not a time", std::nullopt;
  }
  const bool selects =
      !out.serials.empty() || out.profile || out.issued_from_ms || out.issued_until_ms;
  if (selects == options.all)
    return wrong =
               "say which certificates: --all, or --serial, --profile, --issued-from, "
               "--issued-until",
           std::nullopt;
  const auto start = options.start.empty() ? now_ms : time_from(options.start, now_ms);
  if (!start) return wrong = "--start is not a time", std::nullopt;
  const auto end = time_from(options.end, *start);
  if (!end || *end / 1'000 <= *start / 1'000)
    return wrong = "--end is not a time after --start", std::nullopt;
  out.window_start_ms = *start;
  out.window_end_ms = *end;
  out.explanation_url = options.explanation_url;
  return out;
}

Status write_incidents(operate::OperatorDirectory& folder, const Incidents& incidents) {
  const auto text = acme::incidents_json(incidents);
  // What the task would refuse is not written: it would go on with the file before.
  KEYWARD_CHECK(acme::parse_incidents(view_of(text)));
  return folder.replace(std::string(acme::kIncidentsFile), view_of(text));
}

int declare_incident(const IncidentOptions& options) {
  const char* wrong = nullptr;
  auto incident = incident_from(options, wrong);
  if (!incident) return fail_with(kExitUsage, wrong);
  auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(acme::kIncidentsFolder));
  if (!folder) return complain(options, folder.error());
  auto incidents = read_incidents(*folder);
  if (!incidents) return complain(options, incidents.error());
  incidents->push_back(*incident);
  if (auto written = write_incidents(*folder, *incidents); !written)
    return complain(options, written.error());
  std::cout << incident->id << "\n";
  return 0;
}

int end_incident(const IncidentOptions& options) {
  auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(acme::kIncidentsFolder));
  if (!folder) return complain(options, folder.error());
  auto incidents = read_incidents(*folder);
  if (!incidents) return complain(options, incidents.error());
  const auto removed =
      std::erase_if(*incidents, [&](const Incident& each) { return each.id == options.id; });
  if (removed == 0) return fail_with(kExitFailed, "there is no such incident");
  if (auto written = write_incidents(*folder, *incidents); !written)
    return complain(options, written.error());
  return 0;
}

int list_incidents(const IncidentOptions& options) {
  auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(acme::kIncidentsFolder));
  if (!folder) return complain(options, folder.error());
  const auto incidents = read_incidents(*folder);
  if (!incidents) return complain(options, incidents.error());
  if (options.json) {
    std::cout << acme::incidents_json(*incidents) << "\n";
    return 0;
  }
  for (const auto& each : *incidents) {
    std::cout << each.id << "  renew " << utc_text(each.window_start_ms) << " to "
              << utc_text(each.window_end_ms) << " :";
    for (const auto& serial : each.serials) std::cout << " serial " << hex_encode(serial);
    if (each.profile) std::cout << " profile " << *each.profile;
    if (each.issued_from_ms) std::cout << " issued from " << utc_text(*each.issued_from_ms);
    if (each.issued_until_ms) std::cout << " issued until " << utc_text(*each.issued_until_ms);
    const bool selects =
        !each.serials.empty() || each.profile || each.issued_from_ms || each.issued_until_ms;
    if (!selects) std::cout << " all";
    if (!each.explanation_url.empty()) std::cout << " (" << each.explanation_url << ")";
    std::cout << "\n";
  }
  return 0;
}

}  // namespace

IncidentCommand::IncidentCommand(CLI::App& app) {
  command_ = app.add_subcommand("incident", "Certificates to be renewed before their time");
  command_->require_subcommand(1);
  declare_ = command_->add_subcommand("declare", "Pull renewal windows forward; prints its id");
  end_ = command_->add_subcommand("end", "Take one back");
  list_ = command_->add_subcommand("list", "Those that are in force");
  for (auto* each : {declare_, end_, list_}) {
    each->add_option("directory", options_.directory, "The acme task's state, e.g. .../state/acme")
        ->required()
        ->check(CLI::ExistingDirectory);
  }
  declare_->add_flag("--all", options_.all, "Every certificate");
  declare_->add_option("--serial", options_.serials, "This certificate, hexadecimal; repeatable");
  declare_->add_option("--profile", options_.profile, "Those of this profile");
  declare_->add_option("--issued-from", options_.issued_from,
                       "Issued at or after, e.g. 2027-01-31T00:00:00Z");
  declare_->add_option("--issued-until", options_.issued_until, "Issued at or before");
  declare_->add_option("--start", options_.start, "When renewals begin (default: now)");
  declare_
      ->add_option("--end", options_.end,
                   "When they should be done: a time, or +12h, +2d after the start")
      ->required();
  declare_->add_option("--explanation", options_.explanation_url, "URL for those who look why");
  end_->add_option("id", options_.id, "As declare printed it")->required();
  list_->add_flag("--json", options_.json, "For programs");
}

bool IncidentCommand::parsed() const { return command_->parsed(); }

int IncidentCommand::run() const {
  if (declare_->parsed()) return declare_incident(options_);
  if (end_->parsed()) return end_incident(options_);
  return list_incidents(options_);
}

}  // namespace keyward::ctl
