// Owns how large the store is and what it holds, in figures. Must not know metrics, nor who looks.
#include "firmware/store/internal.h"
#include "hal/base/disk.h"

namespace keyward::store {
namespace {

constexpr std::int64_t kPageBytes = 4'096;

}  // namespace

Result<FileFigures> Store::file_figures() {
  if (failed()) return fail(ErrorKind::kCorrupt, "the database was taken out of service");
  Lease lease(*this);
  Query free(lease.connection(), kFreePageCount);
  KEYWARD_CHECK(free.next());
  return FileFigures{bytes_of(path_), bytes_of(path_ + "-wal"), free.integer(0) * kPageBytes,
                     options_.bytes_max};
}

Result<RowFigures> Store::row_figures() {
  if (failed()) return fail(ErrorKind::kCorrupt, "the database was taken out of service");
  Lease lease(*this);
  Query counts(lease.connection(), kRowCounts);
  KEYWARD_TRY(row, counts.next());
  RowFigures out;
  for (std::size_t i = 0; row && i < out.rows.size(); ++i)
    out.rows[i] = counts.integer(static_cast<int>(i));
  return out;
}

}  // namespace keyward::store
