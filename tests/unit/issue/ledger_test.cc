// Tests of the ledger and its record files: chain, torn tails, damage, segments, group commit.
#include "firmware/issue/ledger.h"

#include <thread>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "firmware/issue/record_file.h"
#include "firmware/x509/der.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using issue::Ledger;
using issue::OutcomeResult;

class LedgerTest : public ::testing::Test {
 protected:
  static Status ignore(const issue::LedgerRow&, const issue::RowPlace&) { return {}; }
  Result<std::unique_ptr<Ledger>> open() { return Ledger::open(path(), clock_, ignore, options_); }
  std::string path() const { return directory_.path("ledger"); }
  std::string segment(std::uint64_t first = 0) const { return issue::segment_path(path(), first); }
  issue::IntentRow intent(std::uint8_t serial) const {
    issue::IntentRow row;
    row.serial = Bytes(16, serial);
    row.tbs_der = to_bytes("tbs");
    return row;
  }
  static issue::OutcomeRow failed(std::uint64_t row) {
    return {row, OutcomeResult::kFailed, std::nullopt, std::nullopt, "hsm-away"};
  }
  Result<issue::LedgerSummary> read() const { return issue::read_ledger(path(), ignore); }
  void fill(std::uint8_t count) {
    auto ledger = open();
    ASSERT_TRUE(ledger);
    for (std::uint8_t i = 1; i <= count; ++i) {
      const auto row = (*ledger)->append_intent(intent(i));
      ASSERT_TRUE(row);
      ASSERT_TRUE((*ledger)->append_outcome(failed(row->number)));
    }
  }
  std::vector<std::uint64_t> offsets() const {
    std::vector<std::uint64_t> out;
    EXPECT_TRUE(issue::scan_records(segment(), limits::kLedgerRowBytesMax,
                                    [&](ByteView, const Digest256&, std::uint64_t at) -> Status {
                                      out.push_back(at);
                                      return {};
                                    }));
    return out;
  }

  TempDir directory_;
  ManualClock clock_;
  Ledger::Options options_;
};

TEST_F(LedgerTest, Open_EmptyDirectory_WritesGenesis) {
  ASSERT_TRUE(open());
  const auto summary = read();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->rows, 1u);
}

TEST_F(LedgerTest, Append_ThenRead_SameRow) {
  auto ledger = open();
  ASSERT_TRUE(ledger);
  const auto appended = (*ledger)->append_intent(intent(7));
  ASSERT_TRUE(appended);
  const auto row = (*ledger)->read(appended->place);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->number, appended->number);
  EXPECT_EQ(row->intent->serial, Bytes(16, 7));
  EXPECT_EQ((*ledger)->head(), read()->head);
}

TEST_F(LedgerTest, Open_IntentWithoutOutcome_ClosedAsAbandoned) {
  ASSERT_TRUE((*open())->append_intent(intent(1)));
  EXPECT_EQ(read()->open_intents.size(), 1u);
  ASSERT_TRUE(open());
  EXPECT_TRUE(read()->open_intents.empty());
  EXPECT_EQ(read()->abandoned, 1u);
  ASSERT_TRUE(open());
  EXPECT_EQ(read()->abandoned, 1u);  // once
}

TEST_F(LedgerTest, Open_LastRowCutAnywhere_CutOffAndGoesOn) {
  fill(2);
  const Bytes whole = read_whole_file(segment());
  const auto last = offsets().back();
  for (std::uint64_t size = last + 1; size < whole.size(); size += size < last + 10 ? 1 : 23) {
    write_file(segment(), ByteView(whole).first(static_cast<std::size_t>(size)));
    auto ledger = open();
    ASSERT_TRUE(ledger) << size;
    EXPECT_EQ((*ledger)->torn_bytes_cut(), size - last);
    ASSERT_EQ(read()->abandoned, 1u);
    ASSERT_TRUE((*ledger)->append_intent(intent(9)));
  }
}

TEST_F(LedgerTest, Open_LastRowOfRightLengthButHalfWritten_CutOff) {
  fill(1);
  Bytes whole = read_whole_file(segment());
  whole.back() ^= 1;
  write_file(segment(), whole);
  EXPECT_TRUE(open());
}

TEST_F(LedgerTest, Open_ZerosBehindTheLastRow_CutOff) {
  fill(1);
  Bytes whole = read_whole_file(segment());
  const auto size = whole.size();
  whole.resize(size + 4096);
  write_file(segment(), whole);
  auto ledger = open();
  ASSERT_TRUE(ledger);
  EXPECT_EQ((*ledger)->torn_bytes_cut(), 4096u);
}

TEST_F(LedgerTest, Open_AnyOctetBeforeTheLastRowChanged_Corrupt) {
  fill(2);
  const Bytes whole = read_whole_file(segment());
  const auto last = offsets().back();
  for (std::size_t i = 0; i < last; i += i < 60 ? 1 : 7) {
    Bytes changed = whole;
    changed[i] ^= 0x10;
    write_file(segment(), changed);
    const auto ledger = open();
    ASSERT_FALSE(ledger) << i;
    ASSERT_EQ(ledger.error().kind, ErrorKind::kCorrupt) << i;
  }
}

// Whoever rewrites a row must rewrite all that follow; the chain tells.
TEST_F(LedgerTest, Read_RowReplacedByAWellFormedOne_ChainIsBroken) {
  fill(2);
  std::vector<Bytes> bodies;
  ASSERT_TRUE(issue::scan_records(segment(), limits::kLedgerRowBytesMax,
                                  [&](ByteView body, const Digest256&, std::uint64_t) -> Status {
                                    bodies.push_back(to_bytes(body));
                                    return {};
                                  }));
  auto row = wire::decode_body<issue::LedgerRow>(bodies[1]);
  ASSERT_TRUE(row);
  row->intent->serial[0] ^= 1;
  bodies[1] = wire::encode_body(*row);
  write_file(segment(), {});
  auto file = issue::RecordFile::open(segment(), limits::kLedgerRowBytesMax, 0);
  ASSERT_TRUE(file);
  for (const auto& body : bodies) ASSERT_TRUE((*file)->append(body));
  const auto summary = read();
  ASSERT_FALSE(summary);
  EXPECT_STREQ(summary.error().what, "the chain of hashes is broken");
}

TEST_F(LedgerTest, Read_SerialTwice_Corrupt) {
  auto ledger = open();
  ASSERT_TRUE((*ledger)->append_intent(intent(1)));
  ASSERT_TRUE((*ledger)->append_intent(intent(1)));
  const auto summary = read();
  ASSERT_FALSE(summary);
  EXPECT_STREQ(summary.error().what, "a serial stands twice");
}

TEST_F(LedgerTest, Read_SecondOutcome_Corrupt) {
  auto ledger = open();
  const auto row = (*ledger)->append_intent(intent(1));
  ASSERT_TRUE((*ledger)->append_outcome(failed(row->number)));
  ASSERT_TRUE((*ledger)->append_outcome(failed(row->number)));
  EXPECT_STREQ(read().error().what, "an outcome without intent, or a second one");
}

TEST_F(LedgerTest, Read_OutcomeWithoutWhatItNeeds_Corrupt) {
  auto ledger = open();
  const auto row = (*ledger)->append_intent(intent(1));
  ASSERT_TRUE((*ledger)->append_outcome(
      {row->number, OutcomeResult::kIssued, std::nullopt, std::nullopt, std::nullopt}));
  EXPECT_STREQ(read().error().what, "an outcome's content does not fit its result");
}

// RFC 8739 §3.1.2: only a series that runs can be canceled, once, and nothing is made after it.
TEST_F(LedgerTest, Cancellation_OnlyOfARunningSeriesAndTheLastWord) {
  const auto write = [&](int cancellations, bool intent_after) {
    TempDir directory;
    auto ledger = Ledger::open(directory.path("ledger"), clock_, ignore, options_);
    ASSERT_TRUE(ledger);
    auto row = intent(1);
    row.ticket_id[0] = 7;
    row.star_period = 0;
    // version, serial, AlgorithmIdentifier: as much of a TBS as a reader needs.
    row.tbs_der =
        x509::der_sequence({x509::der_unsigned(2), x509::der_unsigned(1), x509::der_sequence({})});
    const auto place = (*ledger)->append_intent(row);
    ASSERT_TRUE(place);
    issue::OutcomeRow outcome{place->number, OutcomeResult::kIssued, Bytes(64, 1), {}, {}};
    outcome.certificate_sha256 = crypto::sha256(*issue::certificate_of(row, outcome));
    ASSERT_TRUE((*ledger)->append_outcome(outcome));
    for (int i = 0; i < cancellations; ++i)
      ASSERT_TRUE((*ledger)->append_cancellation({row.ticket_id, {}, {}}));
    auto after = row;
    after.serial = Bytes(16, 2);
    if (intent_after) {
      ASSERT_TRUE((*ledger)->append_intent(after));
    }
    const auto summary = issue::read_ledger(directory.path("ledger"), ignore);
    const bool good = cancellations <= 1 && !(cancellations == 1 && intent_after);
    EXPECT_EQ(summary.has_value(), good) << cancellations << intent_after;
    if (!summary) {
      EXPECT_EQ(summary.error().kind, ErrorKind::kCorrupt);
    }
  };
  write(0, true);
  write(1, false);
  write(1, true);
  write(2, false);
  auto ledger = open();
  ASSERT_TRUE(ledger);
  ASSERT_TRUE((*ledger)->append_cancellation({}));  // of nothing
  EXPECT_EQ(read().error().kind, ErrorKind::kCorrupt);
}

TEST_F(LedgerTest, Append_ClockSetBack_TimesNeverDo) {
  auto ledger = open();
  clock_.advance(-60'000);
  const auto row = (*ledger)->append_intent(intent(1));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->time_ms, clock_.utc_ms() + 60'000);
  EXPECT_TRUE(read());
}

TEST_F(LedgerTest, Segments_ManyFiles_OneChain) {
  options_.segment_bytes_max = 400;
  fill(10);
  const auto summary = read();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->rows, 21u);
  EXPECT_GT(summary->segments.size(), 3u);
  auto ledger = open();
  ASSERT_TRUE(ledger);
  EXPECT_TRUE((*ledger)->read({summary->segments[0], 0}));  // an older file
  ledger->reset();
  ASSERT_EQ(::unlink(segment(summary->segments[1]).c_str()), 0);
  const auto broken = open();
  ASSERT_FALSE(broken);
  EXPECT_STREQ(broken.error().what, "a ledger segment is missing");
}

TEST_F(LedgerTest, Segments_TornInTheMiddle_Corrupt) {
  options_.segment_bytes_max = 400;
  fill(10);
  const auto first = read()->segments[0];
  const Bytes whole = read_whole_file(segment(first));
  write_file(segment(first), ByteView(whole).first(whole.size() - 1));
  EXPECT_EQ(open().error().kind, ErrorKind::kCorrupt);
}

TEST_F(LedgerTest, Open_ForeignFileInTheDirectory_Corrupt) {
  fill(1);
  write_file(path() + "/notes.txt", to_bytes("x"));
  EXPECT_EQ(open().error().kind, ErrorKind::kCorrupt);
}

TEST_F(LedgerTest, Append_ManyThreads_EveryRowOnceAndWhole) {
  auto ledger = open();
  ASSERT_TRUE(ledger);
  std::vector<std::thread> threads;
  for (std::uint8_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint8_t i = 0; i < 50; ++i) {
        issue::IntentRow row = intent(t);
        row.serial[1] = i;
        const auto appended = (*ledger)->append_intent(row);
        ASSERT_TRUE(appended);
        ASSERT_TRUE((*ledger)->append_outcome(failed(appended->number)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(read()->rows, 401u);
  EXPECT_EQ(read()->failed, 200u);
}

TEST_F(LedgerTest, Records_OverTheirLimit_Refused) {
  auto file = issue::RecordFile::open(directory_.path("records"), 16, 0);
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->append(Bytes(16)));
  EXPECT_EQ((*file)->append(Bytes(17)).error().kind, ErrorKind::kExhausted);
}

// A file size limit stands in for a full disk: the write stops in the middle of a record.
TEST_F(LedgerTest, Records_DiskFull_NothingHalfStaysAndTheNextFits) {
  auto file = issue::RecordFile::open(directory_.path("records"), 64, 0);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->append(Bytes(16)));
  const auto size = (*file)->size_bytes();
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{size + 20, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto refused = (*file)->append(Bytes(16));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(read_whole_file(directory_.path("records")).size(), size);
  EXPECT_FALSE((*file)->broken());
  EXPECT_TRUE((*file)->append(Bytes(16)));
}

}  // namespace
}  // namespace keyward::test
