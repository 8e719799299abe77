// Owns the checks of `keywardctl diagnose` that look at files, tasks, certificates and the disk. Must not
// know devices (diagnose_devices.cc) nor how results are shown.
#include <algorithm>
#include <filesystem>
#include <map>

#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/ctl/certificate_names.h"
#include "apps/ctl/diagnose_command.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/crypto/crypto.h"
#include "firmware/supervise/graph.h"
#include "firmware/supervise/installation.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
using ceremony::utc_text;

constexpr std::int64_t kDayMs = 86'400'000, kEndSoonMs = 14 * kDayMs;
constexpr int kDiskPercentMin = 10;
constexpr const char* kTasks[] = {"acme",   "store",    "validation", "attestation",
                                  "signer", "platform", "admin",      "syslog"};

std::string own_directory() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

struct FileFacts {
  unsigned mode = 0;
  unsigned uid = 0;
};
std::optional<FileFacts> facts_of(const std::string& path) {
  struct ::stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return FileFacts{info.st_mode & 07777U, info.st_uid};
}

std::string octal(unsigned mode) {
  char text[8];
  ::snprintf(text, sizeof text, "%04o", mode);
  return text;
}

// A secret that others may read.
void check_secret_file(const std::string& path, const std::string& name, Checks& out) {
  const auto facts = facts_of(path);
  if (!facts) return;
  if ((facts->mode & 0077U) == 0) return ok(out, name, path + ", mode " + octal(facts->mode));
  finding(out, name, path + " may be read by others: mode " + octal(facts->mode),
          "chmod 0600 " + path + " (owned by the task that reads it)");
}

void check_task_folders(const UnitPlaces& places, const UnitSettings& settings, Checks& out) {
  std::map<unsigned, std::string> owners;
  bool good = true;
  int looked = 0;
  for (const std::string task : kTasks) {
    const auto folder = places.state_of(task);
    const auto facts = facts_of(folder);
    if (!facts) continue;
    ++looked;
    if ((facts->mode & 0077U) != 0) {
      good = false;
      finding(out, "state-folders", folder + " is open to others: mode " + octal(facts->mode),
              "chmod 0700 " + folder);
    }
    const bool own = owners.emplace(facts->uid, task).second;
    if (own || !settings.separate_uids || ::geteuid() != 0 || facts->uid == 0) continue;
    good = false;
    finding(out, "state-folders",
            folder + " belongs to user id " + std::to_string(facts->uid) + ", as that of " +
                owners[facts->uid] + " does",
            "each task has a user id of its own: chown the folder to supervisor.uid_base plus the "
            "task's offset in tasks.toml, and start the unit anew");
  }
  if (looked == 0)
    finding(out, "state-folders", "there is none below " + places.state_root,
            "start the unit once, or correct supervisor.state_root");
  else if (good)
    ok(out, "state-folders", std::to_string(looked) + " folders, closed to others");
}

// Names and addresses that a client may call the unit by.
std::vector<std::string> called_by(const UnitSettings& settings) {
  auto names = settings.hosts;
  auto host = settings.base_url;
  if (const auto scheme = host.find("://"); scheme != std::string::npos) host.erase(0, scheme + 3);
  host = host.substr(0, host.find('/'));
  if (!host.empty() && host.front() == '[')
    host = host.substr(1, host.find(']') - 1);
  else
    host = host.substr(0, host.find(':'));
  if (!host.empty()) names.insert(names.begin(), host);
  return names;
}

bool covers(const std::vector<std::string>& san, const std::string& name) {
  return std::ranges::any_of(san, [&](const std::string& each) {
    if (::strcasecmp(each.c_str(), name.c_str()) == 0) return true;
    const auto dot = name.find('.');  // RFC 6125 §6.4.3: a whole left-most label
    return each.starts_with("*.") && dot != std::string::npos &&
           ::strcasecmp(each.c_str() + 1, name.c_str() + dot) == 0;
  });
}

void check_end(const std::string& name, const x509::Certificate& certificate,
               const std::string& what_to_do, Checks& out) {
  const auto now_ms = system_clock().utc_ms();
  const auto end_ms = certificate.not_after_ms;
  if (certificate.not_before_ms > now_ms)
    finding(out, name, "is not valid before " + utc_text(certificate.not_before_ms),
            "look at the clock: keywardctl time show");
  else if (end_ms <= now_ms)
    finding(out, name, "ended " + utc_text(end_ms), what_to_do);
  else if (end_ms - now_ms < kEndSoonMs)
    finding(out, name, "ends " + utc_text(end_ms) + ", in " + in_words(end_ms - now_ms),
            what_to_do);
  else
    ok(out, name, "good until " + utc_text(end_ms));
}

void check_order(const std::vector<x509::Certificate>& chain, const std::string& path,
                 Checks& out) {
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    if (chain[i + 1].key && x509::verify_signed_by(chain[i], *chain[i + 1].key)) continue;
    return finding(out, "tls-chain",
                   "certificate " + std::to_string(i + 1) + " of " + path +
                       " is not signed by the one after it",
                   "put the server's certificate first, then each issuer");
  }
  ok(out, "tls-chain", std::to_string(chain.size()) + " certificates in order");
}

}  // namespace

void check_installation(const UnitPlaces& places, Checks& out) {
  const auto graph = supervise::load_graph(own_directory() + "/tasks.toml");
  if (!graph.problems.empty())
    return not_looked(out, "installation-file",
                      "tasks.toml is not beside this program: " + graph.problems.front());
  const auto loaded = supervise::load_installation(places.installation, graph.graph);
  for (const auto& problem : loaded.problems)
    finding(out, "installation-file", problem, "correct it; the supervisor refuses this file");
  if (loaded.problems.empty()) ok(out, "installation-file", places.installation + " can be used");
  const auto facts = facts_of(places.installation);
  if (facts && (facts->mode & 0022U) != 0)
    finding(out, "installation-file", "others may write it: mode " + octal(facts->mode),
            "chmod go-w " + places.installation);
  for (const auto& path :
       {places.issuer_chain, places.audit_certificate, places.ocsp_certificate, places.operators}) {
    if (!path.empty() && !file_exists(path))
      finding(out, "named-files", path + " is named and not there",
              "put the file there, or take the key out of the installation file");
  }
}

void check_files(const UnitPlaces& places, const UnitSettings& settings, Checks& out) {
  check_task_folders(places, settings, out);
  if (!file_exists(places.sealed_pin))
    finding(out, "sealed-pin", places.sealed_pin + " is not there",
            "keywardctl unlock, with the custodians' shares");
  else
    check_secret_file(places.sealed_pin, "sealed-pin", out);
  if (!settings.tls_key.empty()) check_secret_file(settings.tls_key, "tls-key", out);
  check_secret_file(places.state_of("attestation") + "/eab/credentials.jsonl", "eab-credentials",
                    out);
}

void check_tasks(const UnitPlaces& places, Checks& out) {
  if (!unit_runs(places))
    return finding(out, "running", "no supervisor of this unit runs",
                   "start keyward-supervisor " + places.installation);
  const auto status = read_status(places);
  if (!status)
    return finding(out, "running", places.run_dir + "/status.json cannot be read",
                   "look at the supervisor's log in " + places.run_dir);
  for (const auto& task : status->root().get("tasks").items()) {
    const std::string name(task.get("name").string()), state(task.get("state").string());
    const std::string phase(task.get("phase").string());
    const bool good = phase == "ready" && state == "operational";
    const std::string found = phase + (state.empty() ? "" : ", " + state) + ": " +
                              std::string(task.get("detail").string());
    if (good)
      ok(out, "task-" + name, "operational");
    else
      finding(out, "task-" + name, found,
              "grep task=" + name + " " + places.run_dir + "/log | tail");
    if (task.get("restarts").integer() > 3)
      finding(out, "restarts-" + name,
              std::to_string(task.get("restarts").integer()) + " restarts since the start",
              "the log says how it ended each time: " + places.run_dir + "/log");
  }
  const auto reduced = status->root().get("reduced_isolation").items();
  for (const auto& text : reduced)
    finding(out, "isolation", std::string(text.string()),
            "docs/isolation.md says what each layer needs");
  if (reduced.empty()) ok(out, "isolation", "nothing is reduced");
}

void check_tls(const UnitPlaces& places, const UnitSettings& settings, Checks& out) {
  const auto path = settings.served_chain(places);
  const auto chain = read_chain(path);
  const bool own = settings.tls_chain.empty();
  if (!chain) {
    if (own && ::geteuid() != 0)
      return not_looked(out, "tls-chain", path + ": " + chain.error().what + " (be root)");
    return finding(out, "tls-chain", path + ": " + chain.error().what,
                   own ? "acme makes it by itself once the signer is operational"
                       : "put a PEM chain there, the server's certificate first");
  }
  check_order(*chain, path, out);
  check_end("tls-end", chain->front(),
            own ? "acme renews it by itself: see its state above"
                : "put a new certificate in place and start the unit anew",
            out);
  const auto san = names_in(chain->front());
  for (const auto& name : called_by(settings)) {
    if (covers(san, name))
      ok(out, "tls-names", name + " stands in it");
    else
      finding(out, "tls-names", "clients call " + name + ", which is not in the certificate",
              own ? "add it to appliance.names" : "get a certificate that holds the name");
  }
  if (settings.tls_key.empty()) return;
  const auto pem = read_text_file(settings.tls_key, limits::kTlsIdentityBytesMax);
  const auto key =
      pem ? crypto::PrivateKey::from_pem(*pem) : Result<crypto::PrivateKey>(fail(pem.error()));
  if (!key)
    finding(out, "tls-key", settings.tls_key + ": " + key.error().what,
            "an unencrypted PKCS#8 key in PEM, readable by the acme task");
  else if (key->public_key().spki_der() != chain->front().spki_der)
    finding(out, "tls-key", "is not the certificate's key", "put key and certificate together");
}

void check_issuing(const UnitPlaces& places, Checks& out) {
  if (places.issuer_chain.empty())
    return finding(out, "issuing-ca", "signer.issuer_chain is not set", "hold a ceremony");
  const auto chain = read_chain(places.issuer_chain);
  if (!chain)
    return finding(out, "issuing-ca", places.issuer_chain + ": " + chain.error().what,
                   "hold a ceremony, or restore a backup");
  check_end("issuing-ca", chain->front(), "have the root issue a new one (docs/ceremony.md)", out);
  const auto path = places.state_of("signer") + "/crl.der";
  const auto times = read_list_times(path);
  if (!times && file_exists(path))
    return finding(out, "revocation-list", path + ": " + times.error().what,
                   "read it as root; the signer makes it anew at its start");
  if (!times)
    return not_looked(out, "revocation-list", "none is there, or it is closed to this user");
  if (times->next_update_ms <= system_clock().utc_ms())
    return finding(out, "revocation-list", "lapsed at " + utc_text(times->next_update_ms),
                   "the signer makes a new one once it is operational: see task-signer");
  ok(out, "revocation-list", "good until " + utc_text(times->next_update_ms));
}

void check_disk(const UnitPlaces& places, Checks& out) {
  for (const auto& path : {places.state_root, places.run_dir}) {
    const auto space = disk_space(path);
    if (!space) {
      not_looked(out, "disk", path + " is not there");
      continue;
    }
    const auto words = path + ": " + std::to_string(space->free_bytes >> 20) + " MiB free (" +
                       std::to_string(space->free_percent()) + " %)";
    if (space->free_percent() < kDiskPercentMin)
      finding(out, "disk", words, "make room: a full disk stops issuance (and loses nothing)");
    else
      ok(out, "disk", words);
  }
}

}  // namespace keyward::ctl
