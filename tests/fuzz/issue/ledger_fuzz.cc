// Fuzzes what lies on the disk, and what an auditor is given. First octet: what. Held: a row has one
// encoding; a record that is told whole has its digest; no head is believed without the key.
#include <cstdlib>

#include <sys/mman.h>
#include <unistd.h>

#include "firmware/audit/bundle.h"
#include "firmware/audit/head.h"
#include "firmware/issue/ledger_reader.h"
#include "firmware/issue/record_file.h"
#include "firmware/wire/codec.h"
#include "hal/base/unique_fd.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

constexpr std::size_t kBodyBytesMax = 65'536;

void fuzz_row(ByteView body) {
  const auto row = wire::decode_body<issue::LedgerRow>(body);
  if (!row) return;
  if (!equal(wire::encode_body(*row), body)) std::abort();
  issue::LedgerSummary summary;
  issue::RowChecker checker(summary);
  (void)checker.take(*row, crypto::sha256(body));
  if (row->intent && row->outcome) (void)issue::certificate_of(*row->intent, *row->outcome);
}

// Several rows one after the other, as they would be read: length in two octets, row.
void fuzz_rows(ByteView all) {
  issue::LedgerSummary summary;
  issue::RowChecker checker(summary);
  while (all.size() >= 2) {
    const std::size_t size = std::min<std::size_t>(all[0] << 8 | all[1], all.size() - 2);
    const auto body = all.subspan(2, size);
    all = all.subspan(2 + size);
    auto row = wire::decode_body<issue::LedgerRow>(body);
    if (!row) return;
    row->previous = summary.head;  // the chain of hashes is not what is looked for here
    if (!checker.take(*row, crypto::sha256(body))) return;
  }
}

class FileOf {
 public:
  explicit FileOf(ByteView octets) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (::write(fd_.get(), octets.data(), octets.size()) != static_cast<ssize_t>(octets.size()))
      std::abort();
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  UniqueFd fd_;
};

void fuzz_records(ByteView file) {
  const FileOf made(file);
  (void)issue::scan_records(made.path(), kBodyBytesMax,
                            [](ByteView body, const Digest256& digest, std::uint64_t) -> Status {
                              if (crypto::sha256(body) != digest) std::abort();
                              return {};
                            });
}

void fuzz_bundle(ByteView file) {
  const FileOf made(file);
  auto bundle = audit::Bundle::open(made.path());
  if (!bundle) return;
  for (const auto section :
       {audit::Section::kHeads, audit::Section::kChain, audit::Section::kAudit})
    (void)bundle->text(section, kBodyBytesMax);
  audit::RecordCursor cursor(*bundle);
  audit::RecordCursor::Record record;
  for (auto more = cursor.next(record); more && *more; more = cursor.next(record)) {
    const bool same = crypto::sha256(record.body) == record.digest;
    if (record.state == audit::RecordCursor::State::kWhole && !same) std::abort();
  }
}

void fuzz_head(ByteView line) {
  static const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto head = audit::parse_line(text_of(line));
  if (head && audit::verify(*head, key.public_key())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const int what = data[0] % 6;
  if (what == 0) fuzz_row(rest);
  if (what == 1) fuzz_rows(rest);
  if (what == 2) fuzz_records(rest);
  if (what == 3) fuzz_bundle(rest);
  if (what == 4) fuzz_head(rest);
  if (what == 5) (void)audit::parse_acceptance(text_of(rest));
  return 0;
}
