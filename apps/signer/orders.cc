#include "apps/signer/orders.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/json/json.h"
#include "firmware/log/log.h"
#include "hal/base/file.h"

namespace keyward::signer {
namespace {

constexpr std::string_view kOrderSuffix = ".jws", kAnswerSuffix = ".json";
constexpr std::size_t kNameBytesMax = 128, kEntriesMax = 4'096;

// Letters, digits and -_. alone: it becomes another file's name.
bool is_name(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() && name.size() <= kNameBytesMax && name.ends_with(suffix) &&
         name.front() != '.' && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

std::vector<std::string> names_in(const std::string& directory, std::string_view suffix) {
  std::vector<std::string> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return out;
  std::size_t seen = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (++seen > kEntriesMax) break;
    if (is_name(entry->d_name, suffix)) out.emplace_back(entry->d_name);
  }
  std::ranges::sort(out);
  return out;
}

// No link is followed, and nothing but a plain file is read.
Result<Bytes> read_order(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd)
    return fail(ErrorKind::kUnavailable, "cannot open the file (its owner? keywardctl sets it)",
                errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(ErrorKind::kRefused, "not a plain file");
  if (info.st_size > static_cast<off_t>(limits::kOperatorOrderBytesMax))
    return fail(ErrorKind::kExhausted, "larger than an order may be");
  Bytes out(limits::kOperatorOrderBytesMax + 1);
  std::size_t size = 0;
  while (size < out.size()) {
    const ssize_t got = ::read(fd.get(), out.data() + size, out.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorKind::kUnavailable, "cannot read the file", errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  out.resize(size);
  return out;
}

std::string refusal(std::string_view code, std::string_view detail) {
  json::Writer out;
  out.begin_object().member_bool("done", false).member("code", code).member("detail", detail);
  return out.end_object().take();
}

}  // namespace

Status OrderInbox::start() {
  KEYWARD_CHECK(make_directories(inbox_, 0700));
  KEYWARD_CHECK(make_directories(done_, 0700));
  thread_ = std::thread([this] { run(); });
  return {};
}

void OrderInbox::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void OrderInbox::run() {
  const auto pause = std::chrono::milliseconds(limits::kOperatorInboxMs);
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, pause, [this] { return ending_; })) {
    lock.unlock();
    auto names = names_in(inbox_, kOrderSuffix);
    names.resize(std::min(names.size(), limits::kOperatorInboxFilesMax));
    for (const auto& name : names) take(name);
    if (!names.empty()) drop_old_answers();
    lock.lock();
  }
}

std::string OrderInbox::carry_out(const std::string& path) const {
  auto jws = read_order(path);
  if (!jws) return refusal("order-unreadable", jws.error().what);
  if (jws->size() > limits::kOperatorOrderBytesMax)
    return refusal("order-too-large", "the order is larger than its limit");
  auto answer = in_flight_.run([&] { return gate_.carry_out({std::move(*jws)}); });
  if (answer) return std::move(answer->answer);
  return refusal(answer.error().code, answer.error().detail);
}

// The answer first: whoever waits for it never finds neither file.
void OrderInbox::take(const std::string& name) {
  const std::string path = inbox_ + "/" + name;
  const std::string answer = carry_out(path);
  const std::string stem = name.substr(0, name.size() - kOrderSuffix.size());
  if (const auto kept = replace_file(done_ + "/" + stem + std::string(kAnswerSuffix),
                                     view_of(answer + "\n"), 0600);
      !kept)
    log::error("an order's answer could not be kept", kept.error());
  if (::unlink(path.c_str()) != 0)
    log::error("an order that was taken cannot be removed",
               Error{ErrorKind::kUnavailable, "unlink", errno}, {{"file", name}});
  log::info("an order was taken from the inbox", {{"file", name}, {"answer", answer}});
}

void OrderInbox::drop_old_answers() const {
  auto names = names_in(done_, kAnswerSuffix);
  if (names.size() <= limits::kOperatorAnswersKeptMax) return;
  const auto changed_ns = [this](const std::string& name) {
    struct stat info {};
    if (::lstat((done_ + "/" + name).c_str(), &info) != 0) return std::int64_t{0};
    return static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
  };
  std::vector<std::pair<std::int64_t, std::string>> by_age;
  for (auto& name : names) by_age.emplace_back(changed_ns(name), std::move(name));
  std::ranges::sort(by_age);
  by_age.resize(by_age.size() - limits::kOperatorAnswersKeptMax);
  for (const auto& [age, name] : by_age) ::unlink((done_ + "/" + name).c_str());
}

}  // namespace keyward::signer
