#include "firmware/issue/grant_journal.h"

#include <stdio.h>
#include <unistd.h>

#include "firmware/issue/record_file.h"
#include "hal/base/file.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kGrantRecordBytesMax =
    12'288;  // 9 identifiers of 1,024 octets, account URL 512, ticket 128, digests, heads

}  // namespace

GrantBook::~GrantBook() = default;

Result<std::unique_ptr<GrantBook>> GrantBook::open(const std::string& path, const Clock& clock) {
  std::unique_ptr<GrantBook> book(new GrantBook(path, clock));
  if (file_exists(path)) {
    const auto now_ms = clock.utc_ms();
    const auto scan = scan_records(path, kGrantRecordBytesMax,
                                   [&](ByteView body, const Digest256&, std::uint64_t) -> Status {
                                     KEYWARD_TRY(grant, wire::decode_body<Grant>(body));
                                     if (grant.expires_at_ms <= now_ms) {
                                       book->table_.remove(grant);  // over, or withdrawn
                                       return {};
                                     }
                                     return book->table_.add(grant, now_ms);
                                   });
    if (!scan && scan.error().kind == ErrorKind::kUnavailable) return fail(scan.error());
    book->damaged_ = !scan;
  }
  KEYWARD_CHECK(book->rewrite());
  return book;
}

Status GrantBook::rewrite() {
  const std::string temporary = path_ + ".new";
  if (::unlink(temporary.c_str()) != 0 && errno != ENOENT)
    return fail(ErrorKind::kUnavailable, "cannot remove a file", errno);
  KEYWARD_TRY(file, RecordFile::open(temporary, kGrantRecordBytesMax, 0));
  for (const auto& grant : table_.live(clock_.utc_ms()))
    KEYWARD_CHECK(file->append(wire::encode_body(grant)));
  KEYWARD_CHECK(file->sync(file->size_bytes()));
  if (::rename(temporary.c_str(), path_.c_str()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot replace the grant journal", errno);
  const auto slash = path_.rfind('/');
  KEYWARD_CHECK(sync_directory(slash == std::string::npos ? "." : path_.substr(0, slash + 1)));
  file_ = file;
  return {};
}

Status GrantBook::record(const Grant& grant) {
  std::shared_ptr<RecordFile> file;
  RecordFile::Place place;
  {
    const std::lock_guard lock(mutex_);
    if (file_->size_bytes() >= limits::kGrantJournalBytesMax) KEYWARD_CHECK(rewrite());
    auto appended = file_->append(wire::encode_body(grant));
    if (!appended) return fail(appended.error());
    place = *appended;
    file = file_;
  }
  // A grant for one order dies with it: should the power fail, the client orders and proves again.
  // One that is good for any order is what the front end builds on for days.
  if (!grant.ticket) KEYWARD_CHECK(file->sync(place.end));
  return table_.add(grant, clock_.utc_ms());
}

// A withdrawn proof is journalled as one that ended long ago: a reader drops what it replaces.
Status GrantBook::withdraw(std::span<const Digest256> thumbprints,
                           const wire::Identifier& identifier) {
  std::shared_ptr<RecordFile> file;
  std::uint64_t end = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& thumbprint : thumbprints) {
      for (Grant grant : table_.withdraw(thumbprint, identifier)) {
        grant.expires_at_ms = 0;
        KEYWARD_TRY(place, file_->append(wire::encode_body(grant)));
        end = place.end;
      }
    }
    if (end == 0) return {};
    file = file_;
  }
  return file->sync(end);
}

}  // namespace keyward::issue
