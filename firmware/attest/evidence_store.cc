// Owns the files of kept evidence and their ends. Must not know who asked.
#include "firmware/attest/evidence_store.h"

#include <algorithm>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/crypto/crypto.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::int64_t kDayS = 86'400;
constexpr std::size_t kNameBytes = 64;

bool is_name(std::string_view name) {
  return name.size() == kNameBytes && std::ranges::all_of(name, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Status set_end(const std::string& path, std::int64_t ends_s) {
  const ::timespec times[2] = {{0, UTIME_OMIT}, {ends_s, 0}};
  if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(ErrorKind::kUnavailable, "cannot say when kept evidence ends", errno);
  return {};
}

}  // namespace

Result<std::unique_ptr<EvidenceStore>> EvidenceStore::open(const std::string& folder,
                                                           DaysOfProfile days,
                                                           std::int64_t now_ms) {
  KEYWARD_CHECK(make_directories(folder, 0700));
  std::unique_ptr<EvidenceStore> out(new EvidenceStore(folder, std::move(days)));
  KEYWARD_CHECK(out->read_folder());
  out->sweep(now_ms);
  return out;
}

// What is not a kept file, such as one that a power cut left unfinished, goes at once.
Status EvidenceStore::read_folder() {
  ::DIR* directory = ::opendir(folder_.c_str());
  if (directory == nullptr)
    return fail(ErrorKind::kUnavailable, "cannot read the folder of kept evidence", errno);
  while (const ::dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const auto path = folder_ + "/" + name;
    struct stat info {};
    if (!is_name(name) || ::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
      (void)::unlink(path.c_str());
      continue;
    }
    const auto bytes = static_cast<std::size_t>(info.st_size);
    kept_[name] = {info.st_mtim.tv_sec, bytes};
    bytes_ += bytes;
  }
  ::closedir(directory);
  return {};
}

Result<bool> EvidenceStore::keep(std::string_view profile, ByteView evidence, std::int64_t now_ms) {
  const auto days = days_.find(profile);
  if (days == days_.end() || days->second <= 0) return false;
  const std::lock_guard lock(mutex_);
  const auto name = hex_encode(crypto::sha256(evidence));
  const auto path = folder_ + "/" + name;
  const auto ends_s = now_ms / 1'000 + days->second * kDayS;
  const auto found = kept_.find(name);
  if (found != kept_.end()) {
    if (ends_s <= found->second.ends_s) return true;
    KEYWARD_CHECK(set_end(path, ends_s));
    found->second.ends_s = ends_s;
    return true;
  }
  sweep_locked(now_ms);
  if (kept_.size() >= limits::kEvidenceKeptMax ||
      bytes_ + evidence.size() > limits::kEvidenceKeptBytesMax)
    return fail(ErrorKind::kExhausted, "the folder of kept evidence is full");
  KEYWARD_CHECK(replace_file(path, evidence, 0600));
  kept_[name] = {ends_s, evidence.size()};
  bytes_ += evidence.size();
  KEYWARD_CHECK(set_end(path, ends_s));
  return true;
}

void EvidenceStore::sweep(std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  sweep_locked(now_ms);
}

void EvidenceStore::sweep_locked(std::int64_t now_ms) {
  std::erase_if(kept_, [&](const auto& item) {
    const auto& [name, kept] = item;
    if (now_ms < kept.ends_s * 1'000) return false;
    if (::unlink((folder_ + "/" + name).c_str()) != 0 && errno != ENOENT) return false;
    bytes_ -= kept.bytes;
    return true;
  });
}

}  // namespace keyward::attest
