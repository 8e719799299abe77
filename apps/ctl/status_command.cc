#include "apps/ctl/status_command.h"

#include <iostream>

#include <CLI/CLI.hpp>
#include <poll.h>

#include "apps/ctl/columns.h"
#include "apps/ctl/unit_facts.h"
#include "firmware/ceremony/transcript.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

using ceremony::utc_text;

constexpr int kExitTrouble = 2, kExitFile = 78;
constexpr std::int64_t kDayMs = 86'400'000;
// A certificate that ends in so many days, a disk with so little left: worth an operator's day.
constexpr std::int64_t kEndSoonMs = 7 * kDayMs;
constexpr int kDiskPercentMin = 10;

struct Fact {
  std::string name;
  std::string words;
  std::optional<std::int64_t> number;  // what it counts, or a time in ms
  bool trouble = false;
};

struct View {
  std::string unit, state;
  std::optional<json::Document> status;
  std::vector<Fact> facts;
  bool trouble() const {
    return state != "operational" ||
           std::ranges::any_of(facts, [](const Fact& fact) { return fact.trouble; });
  }
};

// What a state asks of the person who reads it.
std::string_view advice(std::string_view state) {
  if (state == "locked") return "the HSM's PIN is not given: keywardctl unlock";
  if (state == "tampered")
    return "the tamper input was active: keywardctl unlock, once it is clear";
  if (state == "unprovisioned") return "hold a ceremony, or restore a backup";
  if (state == "failed") return "a file or key in the configuration is wrong: see the log";
  if (state == "degraded") return "something is missing; it comes back by itself if it can";
  if (state == "starting") return "look again in some seconds";
  if (state == "not running") return "start keyward-supervisor";
  return "";
}

Fact end_of(const std::string& name, const std::string& path, std::int64_t now_ms) {
  const auto chain = read_chain(path);
  if (!chain) return {name, std::string("not read: ") + chain.error().what, std::nullopt, false};
  const auto end_ms = chain->front().not_after_ms;
  const bool over = end_ms <= now_ms;
  return {name, utc_text(end_ms) + (over ? ", over since " : ", in ") + in_words(end_ms - now_ms),
          end_ms, end_ms - now_ms < kEndSoonMs};
}

Fact list_fact(const UnitPlaces& places, std::int64_t now_ms) {
  const auto times = read_list_times(places.state_of("signer") + "/crl.der");
  if (!times)
    return {"revocation list", std::string("not read: ") + times.error().what, std::nullopt, false};
  const bool over = times->next_update_ms <= now_ms;
  return {"revocation list",
          "made " + utc_text(times->this_update_ms) + ", next update " +
              utc_text(times->next_update_ms) + (over ? " (lapsed)" : ""),
          times->next_update_ms, over};
}

void add_counts(const View&, const std::optional<json::Document>& metrics, std::vector<Fact>& out) {
  constexpr std::pair<const char*, const char*> kCounts[] = {
      {"ledger rows", "keyward_signer_ledger_rows"},
      {"rows not yet under a signed head", "keyward_signer_audit_unsigned_rows"},
      {"signatures since the start", "keyward_signer_hsm_signatures"},
      {"HSM won back", "keyward_signer_hsm_reconnects"},
      {"open HTTPS connections", "keyward_acme_connections"}};
  if (!metrics) return;
  for (const auto& [name, series] : kCounts) {
    if (const auto value = metric(*metrics, series))
      out.push_back({name, std::to_string(*value), value, false});
  }
}

void add_disk(const UnitPlaces& places, std::vector<Fact>& out) {
  const auto space = disk_space(places.state_root);
  if (!space) return;
  out.push_back({"disk of the state",
                 std::to_string(space->free_bytes >> 20) + " MiB free (" +
                     std::to_string(space->free_percent()) + " %)",
                 static_cast<std::int64_t>(space->free_bytes),
                 space->free_percent() < kDiskPercentMin});
}

View look(const UnitPlaces& places, const UnitSettings& settings) {
  View out;
  out.unit = places.unit;
  out.status = read_status(places);
  // A status file outlives a supervisor that was killed.
  out.state =
      !unit_runs(places) ? "not running" : std::string(out.status->root().get("state").string());
  const auto now_ms = system_clock().utc_ms();
  out.facts.push_back(end_of("TLS certificate ends", settings.served_chain(places), now_ms));
  if (!places.issuer_chain.empty())
    out.facts.push_back(end_of("issuing CA ends", places.issuer_chain, now_ms));
  out.facts.push_back(list_fact(places, now_ms));
  add_counts(out, read_metrics(places), out.facts);
  add_disk(places, out.facts);
  return out;
}

std::string since_text(const json::Value& task) {
  const auto since_ms = task.get("since_utc_ms").integer();
  return since_ms == 0 ? "" : utc_text(since_ms);
}

void print(const View& view) {
  std::cout << view.unit << ": " << view.state;
  if (const auto words = advice(view.state); !words.empty()) std::cout << " (" << words << ")";
  std::cout << "\n";
  if (view.status && view.state != "not running") {
    for (const auto& task : view.status->root().get("tasks").items()) {
      const auto own = task.get("state").string();
      std::cout << "  " << left(task.get("name").string(), 13)
                << left(task.get("phase").string(), 10) << left(own.empty() ? "-" : own, 15)
                << left(since_text(task), 22) << "restarts " << task.get("restarts").integer();
      if (!task.get("detail").string().empty()) std::cout << "  " << task.get("detail").string();
      std::cout << "\n";
    }
    for (const auto& text : view.status->root().get("reduced_isolation").items())
      std::cout << "  isolation is reduced: " << text.string() << "\n";
  }
  for (const auto& fact : view.facts)
    std::cout << (fact.trouble ? "! " : "  ") << left(fact.name, 34) << fact.words << "\n";
}

void print_json(const View& view) {
  json::Writer out;
  out.begin_object().member("unit", view.unit).member("state", view.state);
  out.member_bool("trouble", view.trouble()).member("advice", advice(view.state));
  out.key("tasks");
  if (view.status && view.state != "not running")
    out.raw(view.status->root().get("tasks").print());
  else
    out.begin_array().end_array();
  out.key("facts").begin_array();
  for (const auto& fact : view.facts) {
    out.begin_object().member("name", fact.name).member("words", fact.words);
    if (fact.number) out.member_int("value", *fact.number);
    out.member_bool("trouble", fact.trouble).end_object();
  }
  std::cout << out.end_array().end_object().take() << "\n";
}

}  // namespace

StatusCommand::StatusCommand(CLI::App& app)
    : command_(app.add_subcommand("status", "How the unit is: tasks, certificates, disk")) {
  command_->add_option("installation", installation_, "Installation file (keyward.toml)")
      ->required()
      ->check(CLI::ExistingFile);
  command_->add_flag("--json", json_, "For programs");
  command_->add_option("--watch", watch_s_, "Again every so many seconds, until it is interrupted")
      ->check(CLI::Range(1, 3'600));
}

bool StatusCommand::parsed() const { return command_->parsed(); }

int StatusCommand::show() const {
  const auto places = read_unit_places(installation_);
  if (!places) return kExitFile;
  const auto settings = read_unit_settings(installation_);
  if (!settings) return kExitFile;
  const View view = look(*places, *settings);
  if (json_)
    print_json(view);
  else
    print(view);
  std::cout << std::flush;
  return view.trouble() ? kExitTrouble : 0;
}

int StatusCommand::run() const {
  int code = show();
  while (watch_s_ > 0 && code != kExitFile) {
    ::poll(nullptr, 0, watch_s_ * 1'000);
    if (!json_) std::cout << "\n" << utc_text(system_clock().utc_ms()) << "\n";
    code = show();
  }
  return code;
}

}  // namespace keyward::ctl
