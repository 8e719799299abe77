// The signer's gate while its files fail: ledger, grants, tickets. From the new order to the
// certificate, with file call number n failing: whatever was answered holds after the restart, no
// certificate was given without a row, and the client gets its one certificate in the end.
#include <iostream>
#include <optional>

#include "faulty_files.h"
#include "fixture.h"

namespace keyward::test {
namespace {

// One life with a fault in it, and the next one without.
class Life : public GateTest {
 public:
  void TestBody() override {}
  void TearDown() override { gate_.reset(); }  // judged below

  void run(FaultKind kind, std::uint64_t nth, bool from_the_start) {
    if (!from_the_start) open();
    FaultyFiles::arm(directory_.root(), kind, nth);
    if (!from_the_start || try_open()) first_life();
    gate_.reset();  // its end writes as well
    FaultyFiles::disarm();
    reached_ = FaultyFiles::happened();
    next_life();
  }
  bool reached() const { return reached_; }

 private:
  // Whatever is refused on the way is refused with a code: the sequence goes on as a client would.
  void first_life() {
    for (int i = 0; i < 2 && !order_; ++i) {
      auto minted = gate_->mint_ticket(client_.new_order({name_}));
      if (minted) order_ = *minted;
      if (!minted) {
        EXPECT_FALSE(minted.error().code.empty());
      }
    }
    if (!order_) return;
    const auto granted = gate_->grant_name(grant());
    proved_ = granted.has_value();
    if (!granted) {
      EXPECT_FALSE(granted.error().code.empty());
    }
    for (int i = 0; i < 2 && !given_; ++i) {
      const auto issued = gate_->issue(client_.finalize(*order_, csr()));
      if (issued) given_ = issued->chain.at(0);
      if (!issued) {
        EXPECT_FALSE(issued.error().code.empty());
      }
    }
  }

  void next_life() {
    ASSERT_TRUE(try_open()) << "the signer does not start after " << FaultyFiles::where();
    check_ledger();
    if (!order_) order_ = order(client_, {name_});
    // A proof that was acknowledged needs no other.
    if (!proved_) {
      ASSERT_TRUE(gate_->grant_name(grant()));
    }
    const auto issued = gate_->issue(client_.finalize(*order_, csr()));
    ASSERT_TRUE(issued) << issued.error().code << " " << issued.error().detail;
    if (given_) {
      EXPECT_EQ(issued->chain.at(0), *given_) << "another certificate for the same order";
    }
    EXPECT_EQ(code(gate_->issue(client_.finalize(*order_, csr()))), "issued");
    check_ledger();
    EXPECT_EQ(ledger().issued, 1U);
    gate_.reset();
  }

  void check_ledger() {
    const auto all = ledger();
    EXPECT_GE(all.signatures_intended(), static_cast<std::uint64_t>(token_.sign_calls));
    EXPECT_GE(all.issued, given_ ? 1U : 0U) << "a certificate was given without a row";
    EXPECT_TRUE(all.open_intents.empty());
    EXPECT_TRUE(issue::verify_issued(directory_.path("ledger"), token_.key()));
  }

  wire::GrantName grant() const {
    wire::GrantName out;
    out.thumbprint = client_.thumbprint();
    out.identifier = name_;
    out.method = wire::ValidationMethod::kHttp01;
    out.expires_at_ms = clock_.utc_ms() + 3'600'000;
    return out;
  }
  const Bytes& csr() {
    if (!csr_) csr_ = make_csr(*key_, {name_});
    return *csr_;
  }

  const wire::Identifier name_ = dns("a.plant.example");
  std::optional<wire::TicketMintReply> order_;
  std::optional<Bytes> csr_, given_;
  bool proved_ = false, reached_ = false;
};

std::uint64_t every_nth_of(FaultKind kind, bool from_the_start) {
  return every_nth<Life>(kind, from_the_start, 1, 1'000);
}

class FaultyGate : public testing::TestWithParam<FaultKind> {};

TEST_P(FaultyGate, Issuance_NthFileCallFails_NothingAnsweredIsLost) {
  const auto lives = every_nth_of(GetParam(), false);
  EXPECT_GE(lives, 4U) << "a comparison of nothing";
  std::cout << "[faults] issuance, " << name_of(GetParam()) << ": " << lives << " lives\n";
}

TEST_P(FaultyGate, FirstStart_NthFileCallFails_StartsTheNextTime) {
  const auto lives = every_nth_of(GetParam(), true);
  EXPECT_GE(lives, 8U) << "a comparison of nothing";
  std::cout << "[faults] first start, " << name_of(GetParam()) << ": " << lives << " lives\n";
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultyGate, testing::ValuesIn(kFaultKinds));

}  // namespace
}  // namespace keyward::test
