#include "firmware/issue/state_file.h"

#include "firmware/issue/record_file.h"
#include "hal/base/file.h"

namespace keyward::issue {

StateFile::StateFile(std::shared_ptr<RecordFile> file, std::size_t bytes_max)
    : file_(std::move(file)), bytes_max_(bytes_max) {}

StateFile::~StateFile() = default;

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& path,
                                                   std::size_t row_bytes_max,
                                                   const std::function<Status(ByteView row)>& visit,
                                                   std::size_t bytes_max) {
  std::uint64_t good_bytes = 0;
  if (file_exists(path)) {
    KEYWARD_TRY(scan, scan_records(path, row_bytes_max,
                                   [&](ByteView body, const Digest256&, std::uint64_t) -> Status {
                                     return visit(body);
                                   }));
    good_bytes = scan.good_bytes;
  }
  KEYWARD_TRY(file, RecordFile::open(path, row_bytes_max, good_bytes));
  return std::unique_ptr<StateFile>(new StateFile(file, bytes_max));
}

Status StateFile::append(ByteView row) {
  if (file_->size_bytes() >= bytes_max_)
    return fail(ErrorKind::kExhausted, "a state file of the signer is full");
  KEYWARD_TRY(place, file_->append(row));
  return file_->sync(place.end);
}

}  // namespace keyward::issue
