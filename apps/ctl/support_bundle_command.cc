#include "apps/ctl/support_bundle_command.h"

#include <filesystem>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "apps/ctl/diagnose_command.h"
#include "apps/ctl/scrub.h"
#include "apps/ctl/tar_file.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/crypto/crypto.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;

constexpr int kExitFailed = 1, kExitFile = 78;
constexpr std::size_t kProgramBytesMax = 256u << 20, kFilesMax = 4'096, kPublicBytesMax = 262'144;

struct Item {
  std::string name;
  std::string content;
};

// The newest `bytes_max` octets, from the beginning of a line.
std::string tail_of(const std::string& path, std::size_t bytes_max) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return {};
  const auto size = static_cast<std::size_t>(in.tellg());
  const auto from = size > bytes_max ? size - bytes_max : 0;
  in.seekg(static_cast<std::streamoff>(from));
  std::string out(size - from, '\0');
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  out.resize(static_cast<std::size_t>(in.gcount()));
  if (from > 0) out.erase(0, out.find('\n') + 1);
  return out;
}

std::string versions_json() {
  json::Writer out;
  ::utsname kernel{};
  ::uname(&kernel);
  out.begin_object().member("kernel", std::string(kernel.release) + " " + kernel.version);
  out.member("machine", kernel.machine);
  out.member("os", read_text_file("/etc/os-release", 16'384).value_or(""));
  out.key("programs").begin_array();
  std::error_code error;
  const auto folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("keyward") || !entry.is_regular_file(error)) continue;
    const auto content = read_file(entry.path(), kProgramBytesMax);
    if (!content) continue;
    out.begin_object()
        .member("name", name)
        .member_int("bytes", static_cast<std::int64_t>(content->size()));
    out.member("sha256", hex_encode(crypto::sha256(*content))).end_object();
  }
  return out.end_array().end_object().take() + "\n";
}

// Names, sizes and owners of the state: no content.
std::string files_text(const UnitPlaces& places) {
  std::string out;
  std::size_t count = 0;
  for (const auto& root : {places.state_root, places.run_dir}) {
    std::error_code error;
    for (auto at = fs::recursive_directory_iterator(
             root, fs::directory_options::skip_permission_denied, error);
         !error && at != fs::recursive_directory_iterator() && count < kFilesMax;
         at.increment(error), ++count) {
      struct ::stat info {};
      if (::lstat(at->path().c_str(), &info) != 0) continue;
      char line[96];
      std::snprintf(line, sizeof line, "%06o %6u %6u %12lld ", info.st_mode, info.st_uid,
                    info.st_gid, static_cast<long long>(info.st_size));
      out += line + at->path().string() + "\n";
    }
  }
  if (count == kFilesMax) out += "(more are left out)\n";
  return out;
}

void add_file(const std::string& name, const std::string& path, std::size_t bytes_max,
              std::vector<Item>& out) {
  if (auto text = read_text_file(path, bytes_max)) out.push_back({name, std::move(*text)});
}

std::vector<Item> gather(const UnitPlaces& places, const UnitSettings& settings,
                         std::size_t log_bytes) {
  std::vector<Item> out;
  out.push_back({"diagnose.json", checks_json(diagnose(places, settings)) + "\n"});
  add_file("status.json", places.run_dir + "/status.json", limits::kStatusFileBytesMax, out);
  add_file("metrics.json", places.run_dir + "/metrics.json", limits::kMetricsFileBytesMax, out);
  if (const auto toml = read_text_file(places.installation, kPublicBytesMax)) {
    if (auto cleaned = clean_installation(*toml))
      out.push_back({"keyward.toml", std::move(*cleaned)});
  }
  out.push_back({"versions.json", versions_json()});
  out.push_back({"files.txt", files_text(places)});
  // Certificates are public; acme's own file holds a key besides and is left out.
  add_file("certificates/issuer-chain.pem", places.issuer_chain, kPublicBytesMax, out);
  add_file("certificates/audit.pem", places.audit_certificate, kPublicBytesMax, out);
  add_file("certificates/ocsp.pem", places.ocsp_certificate, kPublicBytesMax, out);
  if (!settings.tls_chain.empty())
    add_file("certificates/tls-chain.pem", settings.tls_chain, kPublicBytesMax, out);
  const auto newest = tail_of(places.run_dir + "/log", log_bytes);
  if (newest.size() < log_bytes) {
    const auto older = tail_of(places.run_dir + "/log.1", log_bytes - newest.size());
    if (!older.empty()) out.push_back({"log.1", older});
  }
  out.push_back({"log", newest});
  return out;
}

std::string manifest_of(const std::vector<Item>& items, const UnitPlaces& places,
                        const Scrubber& scrubber, std::int64_t now_ms) {
  json::Writer out;
  out.begin_object().member_int("version", 1).member("unit", places.unit);
  out.member("made", ceremony::utc_text(now_ms));
  out.member_int("secrets_looked_for", static_cast<std::int64_t>(scrubber.secrets()));
  out.key("files").begin_array();
  for (const auto& item : items) {
    out.begin_object().member("name", item.name);
    out.member_int("bytes", static_cast<std::int64_t>(item.content.size()));
    out.member("sha256", hex_encode(crypto::sha256(view_of(item.content)))).end_object();
  }
  return out.end_array().end_object().take() + "\n";
}

}  // namespace

SupportBundleCommand::SupportBundleCommand(CLI::App& app)
    : command_(
          app.add_subcommand("support-bundle", "One archive without secrets for who shall help")) {
  command_->add_option("installation", installation_, "Installation file (keyward.toml)")
      ->required()
      ->check(CLI::ExistingFile);
  command_->add_option("--out", out_, "The archive to be written (.tar), which must not be there")
      ->required();
  command_->add_option("--log-kib", log_kib_, "At most so much of the log, newest first")
      ->capture_default_str()
      ->check(CLI::Range(0, 65'536));
  command_->add_flag("--json", json_, "For programs");
}

bool SupportBundleCommand::parsed() const { return command_->parsed(); }

int SupportBundleCommand::run() const {
  const auto places = read_unit_places(installation_);
  if (!places) return kExitFile;
  const auto settings = read_unit_settings(installation_);
  if (!settings) return kExitFile;
  if (file_exists(out_)) {
    std::cerr << "keywardctl: " << out_ << " is there already: choose another name\n";
    return kExitFailed;
  }
  const auto now_ms = system_clock().utc_ms();
  const Scrubber scrubber(*places);
  auto items = gather(*places, *settings, static_cast<std::size_t>(log_kib_) * 1'024);
  for (auto& item : items) item.content = scrubber.clean(std::move(item.content));
  items.insert(items.begin(), {"manifest.json", manifest_of(items, *places, scrubber, now_ms)});
  TarFile tar;
  for (const auto& item : items) {
    if (!scrubber.is_clean(item.content) ||
        !tar.add("keyward-support/" + item.name, item.content, now_ms)) {
      std::cerr << "keywardctl: " << item.name << " could not be freed of secrets: no bundle\n";
      return kExitFailed;
    }
  }
  const auto archive = tar.take();
  if (const auto kept = replace_file(out_, view_of(archive), 0600); !kept) {
    std::cerr << "keywardctl: " << out_ << ": " << kept.error().what << "\n";
    return kExitFailed;
  }
  const auto digest = hex_encode(crypto::sha256(view_of(archive)));
  if (json_) {
    json::Writer out;
    out.begin_object().member("file", out_).member("sha256", digest);
    out.member_int("files", static_cast<std::int64_t>(items.size())).end_object();
    std::cout << out.take() << "\n";
  } else {
    std::cout
        << out_ << ": " << items.size() << " files, SHA-256 " << digest
        << "\nNames, addresses and serial numbers of your plant are in it, and no key or PIN: "
           "look through it before it leaves (tar -xf).\n";
  }
  return 0;
}

}  // namespace keyward::ctl
