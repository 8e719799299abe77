#include "apps/ctl/unit_places.h"

#include <filesystem>
#include <iostream>

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/config/config.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr std::size_t kListMax = 32, kRegistersMax = 23, kFileBytesMax = 262'144;

// The operators' file names the unit; without one, the name in its URL does.
std::string name_of(const UnitPlaces& places, const std::string& base_url) {
  const auto text = read_text_file(places.operators, kFileBytesMax);
  if (text) {
    const auto document = json::Document::parse(*text, kFileBytesMax);
    if (document && !document->root().get("unit").string().empty())
      return std::string(document->root().get("unit").string());
  }
  auto host = base_url.substr(std::min(base_url.size(), base_url.find("://") + 3));
  return host.substr(0, host.find_first_of("/"));
}

}  // namespace

Result<UnitPlaces> read_unit_places(const std::string& installation) {
  auto document = config::Document::load(installation);
  auto root = document.root();
  UnitPlaces out;
  out.installation = installation;
  auto supervisor = root.table("supervisor");
  out.state_root = supervisor.string("state_root");
  out.run_dir = supervisor.string("run_dir");
  out.zeroise_also = supervisor.strings_or_empty("zeroise_also", kListMax);
  auto tpm = root.table("tpm");
  out.tcti = tpm.string("tcti");
  for (const auto pcr : tpm.integers("pcrs", 1, 23, kRegistersMax))
    out.pcrs.registers.push_back(static_cast<std::uint8_t>(pcr));
  out.sealed_pin = tpm.string_or("sealed_pin", out.state_of("platform") + "/hsm-pin.tss2");
  auto signer = root.table("signer");
  out.issuer_chain = signer.string_or("issuer_chain", "");
  out.audit_certificate = signer.string_or("audit_certificate", "");
  out.ocsp_certificate = signer.string_or("ocsp_certificate", "");
  out.operators = signer.string_or("operators", "");
  const auto base_url = root.table("appliance").string("base_url");
  // Every other key is a task's and is not looked at here.
  bool wrong = false;
  for (const auto& problem : document.finish()) {
    if (problem.find("unknown") != std::string::npos) continue;
    std::cerr << "keywardctl: " << problem << "\n";
    wrong = true;
  }
  if (wrong) return fail(ErrorKind::kBadInput, "the installation file is wrong");
  out.unit = name_of(out, base_url);
  return out;
}

std::string unit_state(const UnitPlaces& places) {
  const auto text = read_text_file(places.run_dir + "/status.json", kFileBytesMax);
  if (!text) return {};
  const auto document = json::Document::parse(*text, kFileBytesMax);
  return document ? std::string(document->root().get("state").string()) : "";
}

bool unit_runs(const UnitPlaces& places) {
  const auto text = read_text_file(places.run_dir + "/status.json", kFileBytesMax);
  if (!text) return false;
  const auto document = json::Document::parse(*text, kFileBytesMax);
  if (!document) return false;
  const auto pid = document->root().get("supervisor_pid").integer();
  if (pid <= 1 || (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH)) return false;
  const auto name = read_text_file("/proc/" + std::to_string(pid) + "/comm", 64);
  return name && name->starts_with("keyward-superv");  // comm ends after 15 characters
}

Status give_to_folders_owner(const std::string& path) {
  if (::geteuid() != 0) return {};
  struct ::stat owner {};
  const auto folder = std::filesystem::path(path).parent_path().string();
  if (::stat(folder.c_str(), &owner) != 0 ||
      ::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0)
    return fail(ErrorKind::kUnavailable, "cannot give the file to its task", errno);
  return {};
}

Status take_user_of(const std::string& folder) {
  struct ::stat owner {};
  if (::stat(folder.c_str(), &owner) != 0)
    return fail(ErrorKind::kUnavailable, "the task's folder is not there", errno);
  if (::geteuid() != 0 || owner.st_uid == 0) return {};
  if (::setgroups(0, nullptr) != 0 || ::setgid(owner.st_gid) != 0 || ::setuid(owner.st_uid) != 0)
    return fail(ErrorKind::kUnavailable, "cannot take the task's user id", errno);
  return {};
}

}  // namespace keyward::ctl
