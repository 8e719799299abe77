// Destruction of files and folders: see zeroise.h.
#include "firmware/zeroise/zeroise.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "hal/base/unique_fd.h"

namespace keyward::zeroise {
namespace {

namespace fs = std::filesystem;

// They hold no secret, and an auditor wants them.
constexpr std::string_view kLedgerNames[] = {"ledger", "audit", "crl.der", "crl"};
constexpr std::string_view kTasksWithMarker[] = {"signer", "platform"};

// Through a descriptor that names a plain file: not through a link.
bool overwrite(const std::string& path, Report& report) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return errno == ELOOP || errno == ENXIO;  // a link or a socket holds nothing
  struct ::stat info {};
  if (::fstat(fd.get(), &info) != 0) return false;
  if (!S_ISREG(info.st_mode)) return true;
  static constexpr std::array<char, 65'536> kZeros{};
  for (off_t at = 0; at < info.st_size;) {
    const auto size = static_cast<std::size_t>(
        std::min<off_t>(static_cast<off_t>(kZeros.size()), info.st_size - at));
    const auto written = ::pwrite(fd.get(), kZeros.data(), size, at);
    if (written <= 0) return false;
    at += written;
  }
  report.octets += static_cast<std::uint64_t>(info.st_size);
  return ::fdatasync(fd.get()) == 0;
}

bool destroy_file(const std::string& path, Report& report) {
  const bool overwritten = overwrite(path, report);
  const bool gone = ::unlink(path.c_str()) == 0 || errno == ENOENT;
  if (gone) ++report.files;
  if (!overwritten || !gone) report.failed.push_back(path);
  return overwritten && gone;
}

bool destroy_path(const std::string& path, Report& report) {
  std::error_code error;
  const auto status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return true;
  if (status.type() != fs::file_type::directory) return destroy_file(path, report);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path, error)) names.push_back(entry.path());
  bool all = !error;
  for (const auto& name : names) all = destroy_path(name, report) && all;
  static_cast<void>(sync_directory(path));
  if (::rmdir(path.c_str()) != 0) {
    report.failed.push_back(path);
    return false;
  }
  return all;
}

void destroy_top(const std::string& path, Report& report) {
  if (!fs::exists(fs::symlink_status(path))) return;
  if (destroy_path(path, report)) report.gone.push_back(path);
}

Status write_marker(const std::string& folder, const Order& order) {
  KEYWARD_CHECK(make_directories(folder, 0700));
  json::Writer text;
  text.begin_object().member("cause", order.cause).member_int("utc_ms", order.utc_ms).end_object();
  KEYWARD_CHECK(replace_file(folder + "/" + kMarkerFile, view_of(text.take() + "\n"), 0600));
  // As the folder's owner: the task reads it with its own user id.
  struct ::stat owner {};
  if (::geteuid() == 0 && ::stat(folder.c_str(), &owner) == 0 &&
      ::lchown((folder + "/" + kMarkerFile).c_str(), owner.st_uid, owner.st_gid) != 0)
    return fail(ErrorKind::kUnavailable, "cannot give the marker to its task", errno);
  return {};
}

}  // namespace

Result<Report> destroy(const Order& order) {
  const auto root = fs::path(order.state_root).lexically_normal();
  if (!root.is_absolute() || std::distance(root.begin(), root.end()) < 3)
    return fail(ErrorKind::kBadInput, "the state's folder is not one that may be destroyed");
  Report report;
  // First, so that a power cut in the middle leaves a unit that says what it is.
  for (const auto task : kTasksWithMarker) {
    const auto folder = order.state_root + "/" + std::string(task);
    if (!write_marker(folder, order)) report.failed.push_back(folder + "/" + kMarkerFile);
  }
  for (const auto& path : order.also) destroy_top(path, report);
  std::error_code error;
  for (const auto& task : fs::directory_iterator(order.state_root, error)) {
    if (!task.is_directory() || task.is_symlink()) {
      destroy_top(task.path(), report);
      continue;
    }
    for (const auto& entry : fs::directory_iterator(task.path(), error)) {
      const std::string name = entry.path().filename();
      const bool marked = std::ranges::find(kTasksWithMarker, task.path().filename().string()) !=
                          std::end(kTasksWithMarker);
      if (name == kMarkerFile && marked) continue;
      const bool of_ledger = task.path().filename() == "signer" &&
                             std::ranges::find(kLedgerNames, name) != std::end(kLedgerNames);
      if (of_ledger && !order.ledger) {
        report.kept.push_back(entry.path());
        continue;
      }
      destroy_top(entry.path(), report);
    }
  }
  if (error) report.failed.push_back(order.state_root);
  ::sync();
  return report;
}

}  // namespace keyward::zeroise
