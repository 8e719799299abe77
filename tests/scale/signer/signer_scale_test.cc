// The signer's memory with many certificates: a ledger of rows as the gate writes them, filled by
// the ledger itself, then what an operator feels: start, revocation, list, and what is left of it
// when the certificates have ended. KEYWARD_SCALE_CERTIFICATES and KEYWARD_SCALE_REVOKED give the
// size. Figures are printed; what is judged are bounds per certificate and nothing of time.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "firmware/x509/tbs.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"
#include "tests/support/memory/memory.h"

#include "fixture.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;
constexpr std::size_t kAccounts = 1'000, kThreads = 32, kOpenOrders = 100;

std::size_t number_from(const char* variable, std::size_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t bytes_in(const std::string& folder) {
  std::uint64_t out = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) out += entry.file_size();
  return out;
}

// Seconds of the wall clock.
class Watch {
 public:
  double s() const {
    return static_cast<double>(system_clock().monotonic_ms() - begun_ms_) / 1'000.0;
  }

 private:
  std::int64_t begun_ms_ = system_clock().monotonic_ms();
};

void say(const std::string& what, double value, const char* unit) {
  std::printf("SCALE %-44s %12.3f %s\n", what.c_str(), value, unit);
  std::fflush(stdout);
}

// One certificate's rows as the gate wrote them, and how the next one's differ.
struct Pattern {
  issue::IntentRow intent;
  issue::OutcomeRow outcome;
  issue::RevocationRow revocation;
  std::size_t serial_at = 0;  // in the TBS
};

class SignerScale : public GateTest {
 protected:
  SignerScale()
      : certificates_(number_from("KEYWARD_SCALE_CERTIFICATES", 20'000)),
        revoked_(number_from("KEYWARD_SCALE_REVOKED", certificates_ / 10)) {
    config_.crl_validity_ms = 7 * kDayMs;
    config_.time.jump_ms = 0;  // this clock leaps over years
    config_.account_per_hour = config_.overall_per_hour = 4 * certificates_ + 100;
  }
  // The stage counts the token's signatures; here the filler signs beside it.
  void TearDown() override { gate_.reset(); }

  Bytes certify(const std::string& name) {
    prove(client_, dns(name));
    const auto made = order(client_, {dns(name)});
    const auto reply = gate_->issue(client_.finalize(made, make_csr(*key_, {dns(name)})));
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? reply->chain[0] : Bytes();
  }
  bool revoke(const Bytes& der) {
    const std::string payload = R"({"certificate":")" + base64url_encode(der) + R"("})";
    const auto url = std::string(kBaseUrl) + "/acme/revoke-cert";
    return gate_->revoke({client_.jwk(), client_.sign(url, payload)}).has_value();
  }
  Pattern take_pattern();
  void fill(const Pattern& pattern);
  void append(issue::Ledger& ledger, const Pattern& pattern, std::size_t count,
              std::size_t revoked);

  std::size_t certificates_, revoked_;
};

Pattern SignerScale::take_pattern() {
  const Bytes der = certify("pump-1.plant.example");
  EXPECT_TRUE(revoke(der));
  Pattern out;
  const auto read = issue::read_ledger(directory_.path("ledger"),
                                       [&](const issue::LedgerRow& row, const auto&) -> Status {
                                         if (row.intent) out.intent = *row.intent;
                                         if (row.outcome) out.outcome = *row.outcome;
                                         if (row.revocation) out.revocation = *row.revocation;
                                         return {};
                                       });
  EXPECT_TRUE(read);
  const auto& tbs = out.intent.tbs_der;
  const auto at =
      std::search(tbs.begin(), tbs.end(), out.intent.serial.begin(), out.intent.serial.end());
  EXPECT_NE(at, tbs.end());
  out.serial_at = static_cast<std::size_t>(at - tbs.begin());
  return out;
}

void SignerScale::append(issue::Ledger& ledger, const Pattern& pattern, std::size_t count,
                         std::size_t revoked) {
  const auto algorithm =
      issue::load_issuer(ca_->chain_pem, clock_.utc_ms())->signature_algorithm_der;
  for (std::size_t i = 0; i < count; ++i) {
    issue::IntentRow intent = pattern.intent;
    // Made over months: all but the last orders have passed.
    if (i + kOpenOrders < count) intent.ticket_expires_at_ms = clock_.utc_ms();
    random_fill(intent.serial);
    intent.serial[0] = static_cast<std::uint8_t>(0x40 | (intent.serial[0] & 0x3f));
    std::copy(intent.serial.begin(), intent.serial.end(),
              intent.tbs_der.begin() + static_cast<std::ptrdiff_t>(pattern.serial_at));
    random_fill(intent.ticket_id);
    random_fill(intent.csr_sha256);
    random_fill(intent.jws_sha256);
    intent.thumbprint = {};
    intent.thumbprint[0] = static_cast<std::uint8_t>(i % kAccounts);
    intent.thumbprint[1] = static_cast<std::uint8_t>(i % kAccounts >> 8);
    const auto row = ledger.append_intent(intent);
    ASSERT_TRUE(row);
    issue::OutcomeRow outcome = pattern.outcome;
    outcome.intent_row = row->number;
    outcome.certificate_sha256 =
        crypto::sha256(x509::join_certificate(intent.tbs_der, algorithm, *outcome.signature));
    ASSERT_TRUE(ledger.append_outcome(outcome));
    if (i >= revoked) continue;
    issue::RevocationRow revocation = pattern.revocation;
    revocation.intent_row = row->number;
    revocation.serial = intent.serial;
    ASSERT_TRUE(ledger.append_revocation(revocation));
  }
}

// In a process of its own: what this one needs is measured afterwards.
void SignerScale::fill(const Pattern& pattern) {
  gate_.reset();
  const Watch watch;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto ledger = issue::Ledger::open(directory_.path("ledger"), clock_,
                                      [](const auto&, const auto&) -> Status { return {}; }, {});
    if (!ledger) ::_exit(1);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      const auto share = [&](std::size_t all) { return all / kThreads + (t < all % kThreads); };
      threads.emplace_back([&, count = share(certificates_), revoked = share(revoked_)] {
        append(**ledger, pattern, count, revoked);
      });
    }
    for (auto& thread : threads) thread.join();
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  say("filling the ledger", watch.s(), "s");
}

TEST_F(SignerScale, ManyCertificates_StartRevocationListAndWhatIsLeft) {
  open();
  const Pattern pattern = take_pattern();
  ASSERT_FALSE(HasFailure());
  fill(pattern);
  ASSERT_FALSE(HasFatalFailure());
  const double all = static_cast<double>(certificates_);
  say("certificates", all, "");
  say("of them revoked", static_cast<double>(revoked_), "");
  const auto ledger_bytes = static_cast<double>(bytes_in(directory_.path("ledger")));
  say("ledger", ledger_bytes / 1'048'576.0, "MiB");
  say("ledger for each certificate", ledger_bytes / all, "octets");

  const auto before_kib = test::resident_kib(::getpid());
  const Watch start;
  open();
  say("start: the ledger read and checked", start.s(), "s");
  const auto memory_kib = static_cast<double>(test::resident_kib(::getpid()) - before_kib);
  say("memory after the start", memory_kib / 1'024.0, "MiB");
  say("memory for each certificate", memory_kib * 1'024.0 / all, "octets");

  const Watch first_list;
  ASSERT_TRUE(gate_->crl().make());
  say("a revocation list", first_list.s(), "s");
  const auto part = gate_->crl_part({});
  ASSERT_TRUE(part);
  say("its size", static_cast<double>(part->total_bytes) / 1'048'576.0, "MiB");

  constexpr int kTries = 10;
  double issued_s = 0, revoked_s = 0, published_s = 0;
  for (int i = 0; i < kTries; ++i) {
    const Watch issuing;
    const Bytes der = certify("late-" + std::to_string(i) + ".plant.example");
    issued_s += issuing.s();
    const Watch revoking;
    ASSERT_TRUE(revoke(der));
    revoked_s += revoking.s();
    ASSERT_TRUE(gate_->crl().make());
    published_s += revoking.s();
  }
  say("a certificate, mean", issued_s * 1'000 / kTries, "ms");
  say("a revocation on record, mean", revoked_s * 1'000 / kTries, "ms");
  say("a revocation until it is in a signed list, mean", published_s * 1'000 / kTries, "ms");

  // The certificates end. The next list still has the revoked ones (RFC 5280 3.3), the one after it
  // has not.
  clock_.advance(400 * kDayMs);
  const auto last = gate_->crl().make();
  ASSERT_TRUE(last) << last.error().code << " " << last.error().detail;
  ASSERT_TRUE(gate_->crl().make());
  const auto after = gate_->crl_part({});
  ASSERT_TRUE(after);
  say("the list when all have ended", static_cast<double>(after->total_bytes), "octets");
  EXPECT_LT(after->total_bytes, 1'024u);
}

}  // namespace
}  // namespace keyward::test
