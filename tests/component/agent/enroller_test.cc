// Tests of the enrolment against a real TPM (swtpm) and a CA in memory that appraises statements
// for real.
#include "firmware/agent/enroller.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/agent/installed.h"
#include "firmware/attest/tpm_structures.h"
#include "hal/base/file.h"
#include "hal/tss2/tss2_key_file.h"
#include "hal/tss2/tss2_tpm.h"
#include "tests/support/swtpm/swtpm.h"

#include "fake_ca.h"

namespace keyward::agent {
namespace {

using test::FakeCa;
using test::Manufacturer;
using test::Trouble;
using testing::HasSubstr;

constexpr std::uint32_t kAkEcc = 0x81010002;
constexpr std::uint32_t kAkRsa = 0x81010003;

// Time that passes only when somebody sleeps.
class SteppedClock final : public Clock {
 public:
  std::int64_t utc_ms() const override { return system_clock().utc_ms(); }
  std::int64_t monotonic_ms() const override { return now_ms; }
  std::int64_t now_ms = 1'000;
};

class EnrollerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    device_ = new keyward::test::Swtpm();
    tpm_ = hal::open_tpm(device_->tcti()).value().release();
    make_ak(hal::TpmKeyType::kEccP256, kAkEcc);
    make_ak(hal::TpmKeyType::kRsa2048, kAkRsa);
  }
  static void TearDownTestSuite() {
    delete tpm_;
    delete device_;
  }
  static void make_ak(hal::TpmKeyType type, std::uint32_t handle) {
    hal::TpmKeyTemplate wanted;
    wanted.type = type;
    wanted.restricted = true;
    const auto blob = tpm_->create_key(wanted).value();
    const auto loaded = tpm_->load(blob).value();
    ASSERT_TRUE(tpm_->make_persistent(*loaded, handle));
  }
  static crypto::PublicKey public_key_of(std::uint32_t handle) {
    const auto object = tpm_->open_persistent(handle).value();
    return *attest::parse_public_area(object->public_area()).value().key;
  }

  void SetUp() override {
    dir_ = device_->directory() + "/agent-" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    options_.directory_url = FakeCa::kDirectoryUrl;
    options_.identifier = "SN-1";
    options_.ak_chain = {manufacturer_.certify_ak(public_key_of(kAkEcc), "SN-1")};
  }
  Outcome<Enroled> run() {
    auto directory = StateDirectory::open(dir_);
    if (!directory) return failed(FailureKind::kBusy, directory.error().what);
    EnrolSeams seams{*tpm_, ca_, clock_, {}, {}, {}, {}};
    seams.write_key_file = [](const std::string& path, const hal::TpmKeyBlob& key) {
      return hal::write_tss2_key_file(path, key);
    };
    seams.sleep_ms = [this](std::int64_t ms) { clock_.now_ms += ms; };
    seams.on_step = [this](std::string_view name, std::string_view) { steps_.emplace_back(name); };
    return Enroller(*directory, options_, std::move(seams)).run();
  }
  // What lies in the directory belongs together: the key file is loadable and is the certificate's
  // key.
  void expect_installed() {
    const auto directory = StateDirectory::open_for_reading(dir_);
    const auto blob = hal::read_tss2_key_file(directory.key_path());
    ASSERT_TRUE(blob);
    const auto key = tpm_->load(*blob);
    ASSERT_TRUE(key);
    const auto chain = x509::certificates_from_pem(
        read_text_file(directory.certificate_path(), 1 << 20).value(), 4);
    ASSERT_TRUE(chain);
    const auto leaf = x509::parse_certificate(chain->at(0));
    ASSERT_TRUE(leaf);
    const auto area = attest::parse_public_area((*key)->public_area());
    EXPECT_EQ(leaf->spki_der, area->key->spki_der());
    const auto state = directory.load();
    ASSERT_TRUE(state);
    EXPECT_FALSE((*state)->pending);
    EXPECT_EQ(ca_.not_fresh_nonces, 0);
  }
  std::string installed_spki() {
    const auto chain =
        x509::certificates_from_pem(read_text_file(dir_ + "/certificate.pem", 1 << 20).value(), 4);
    return hex_encode(x509::parse_certificate(chain->at(0)).value().spki_der);
  }

  static inline keyward::test::Swtpm* device_ = nullptr;
  static inline hal::Tpm* tpm_ = nullptr;
  Manufacturer manufacturer_;
  FakeCa ca_{manufacturer_};
  SteppedClock clock_;
  EnrolOptions options_;
  std::string dir_;
  std::vector<std::string> steps_;
};

TEST_F(EnrollerTest, Enrol_GoodDevice_InstallsCertificateAndKey) {
  const auto result = run();
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_FALSE(result->already);
  expect_installed();
  EXPECT_EQ(ca_.certificates_issued, 1);
  EXPECT_THAT(steps_, testing::ElementsAre("attestation key", "key", "directory", "account",
                                           "order", "attestation", "challenge", "finalize",
                                           "certificate", "installed"));
  const auto installed = read_installed(StateDirectory::open_for_reading(dir_));
  ASSERT_TRUE(installed);
  EXPECT_EQ(installed->key_text, "P-256");
  EXPECT_GT(installed->renew_after_ms, installed->not_before_ms);
  EXPECT_LT(installed->renew_after_ms, installed->not_after_ms);
}

TEST_F(EnrollerTest, Enrol_Twice_DoesNothing) {
  ASSERT_TRUE(run());
  const int before = ca_.exchanges();
  const auto again = run();
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->already);
  EXPECT_EQ(ca_.exchanges(), before);
}

TEST_F(EnrollerTest, Enrol_EveryKeyTypeAndAkAlgorithm_IsAccepted) {
  for (const auto type :
       {hal::TpmKeyType::kEccP256, hal::TpmKeyType::kEccP384, hal::TpmKeyType::kRsa2048}) {
    for (const std::uint32_t ak : {kAkEcc, kAkRsa}) {
      options_.key_type = type;
      options_.ak_handle = ak;
      options_.ak_chain = {manufacturer_.certify_ak(public_key_of(ak), "SN-1")};
      options_.renew = true;
      const auto result = run();
      ASSERT_TRUE(result) << static_cast<int>(type) << " " << ak << " " << result.error().text;
      expect_installed();
    }
  }
}

TEST_F(EnrollerTest, Renew_MakesNewKey_UnlessReuseIsAsked) {
  ASSERT_TRUE(run());
  const std::string first = installed_spki();
  options_.renew = true;
  ASSERT_TRUE(run());
  const std::string second = installed_spki();
  EXPECT_NE(first, second);
  options_.reuse_key = true;
  ASSERT_TRUE(run());
  EXPECT_EQ(installed_spki(), second);
  expect_installed();
  EXPECT_EQ(ca_.accounts_made, 1);
  EXPECT_EQ(ca_.certificates_issued, 3);
}

// The agent dies at each exchange in turn, before the CA hears it and after: the next run goes on.
TEST_F(EnrollerTest, Interrupted_AtEachExchange_NextRunFinishes) {
  const std::string base = dir_;
  ca_.processing_polls = 1;
  int interrupted = 0;
  for (const Trouble trouble : {Trouble::kNotConnected, Trouble::kAnswerLost}) {
    for (int at = 0; at < 40; ++at) {
      dir_ = base + "-" + std::to_string(static_cast<int>(trouble)) + "-" + std::to_string(at);
      const int accounts = ca_.accounts_made;
      options_.patience_ms = 0;  // the first trouble ends the run, as a kill would
      ca_.trouble_at(at, trouble);
      const auto first = run();
      options_.patience_ms = 120'000;
      if (first) {
        EXPECT_GT(at, 8);  // more exchanges than an enrolment has
        break;
      }
      ++interrupted;
      EXPECT_EQ(first.error().kind, FailureKind::kUnreachable) << first.error().text;
      const int issued = ca_.certificates_issued;
      const auto second = run();
      ASSERT_TRUE(second) << at << ": " << second.error().text;
      expect_installed();
      EXPECT_EQ(ca_.accounts_made, accounts + 1) << at;  // the same account, whatever was lost
      EXPECT_LE(ca_.certificates_issued, issued + 1);
    }
  }
  EXPECT_GT(interrupted, 16);
}

// Within one run the same troubles are waited out.
TEST_F(EnrollerTest, Trouble_AtEachExchange_IsWaitedOut) {
  const std::string base = dir_;
  for (const Trouble trouble : {Trouble::kNotConnected, Trouble::kAnswerLost,
                                Trouble::kUnavailable503, Trouble::kBadNonce}) {
    for (int at = 0; at < 12; ++at) {
      dir_ = base + "-" + std::to_string(static_cast<int>(trouble)) + "-" + std::to_string(at);
      ca_.trouble_at(at, trouble);
      const std::int64_t before = clock_.now_ms;
      const auto result = run();
      ASSERT_TRUE(result) << static_cast<int>(trouble) << " " << at << ": " << result.error().text;
      expect_installed();
      if (trouble != Trouble::kUnavailable503 || at > 8) continue;
      EXPECT_GE(clock_.now_ms - before, 7'000);  // Retry-After
    }
  }
}

TEST_F(EnrollerTest, Processing_ForLong_IsPolledUntilPatienceIsOver) {
  ca_.processing_polls = 1'000;
  options_.patience_ms = 30'000;
  const auto first = run();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().kind, FailureKind::kUnreachable);
  EXPECT_THAT(first.error().text, HasSubstr("processing"));
  options_.patience_ms = 3'600'000;
  const auto second = run();
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_EQ(ca_.certificates_issued, 1);
  EXPECT_EQ(ca_.orders_made, 1);
  expect_installed();
}

TEST_F(EnrollerTest, BadNonce_ForEver_GivesUp) {
  ca_.bad_nonces = 1'000'000;
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().problem_type, "badNonce");
  EXPECT_LT(ca_.exchanges(), 20);
}

TEST_F(EnrollerTest, Refused_WrongIdentifier_TellsTheCasWords_AndNextRunMakesNewOrder) {
  options_.identifier = "SN-2";  // the AK's certificate says SN-1
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, FailureKind::kRefused);
  EXPECT_EQ(result.error().problem_type, "badAttestationStatement");
  EXPECT_EQ(ca_.last_refusal_code, "ak.identifier");
  options_.ak_chain = {manufacturer_.certify_ak(public_key_of(kAkEcc), "SN-2")};
  ASSERT_TRUE(run());
  EXPECT_EQ(ca_.orders_made, 2);
  expect_installed();
}

TEST_F(EnrollerTest, Refused_UnknownManufacturer_IsRefusedByTheCa) {
  const Manufacturer other;
  options_.ak_chain = {other.certify_ak(public_key_of(kAkEcc), "SN-1")};
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().problem_type, "badAttestationStatement");
}

TEST_F(EnrollerTest, AkCertificate_OfAnotherKey_IsRefusedBeforeAnythingIsSent) {
  options_.ak_chain = {manufacturer_.certify_ak(public_key_of(kAkRsa), "SN-1")};
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, FailureKind::kUsage);
  EXPECT_EQ(ca_.exchanges(), 0);
}

TEST_F(EnrollerTest, AkHandle_WithNothingThere_IsATpmFailure) {
  options_.ak_handle = 0x8101FFFF;
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, FailureKind::kTpm);
}

TEST_F(EnrollerTest, Ca_WithoutDeviceAttest_IsRefused) {
  ca_.offers_device_attest = false;
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, FailureKind::kRefused);
  EXPECT_THAT(result.error().text, HasSubstr("device-attest-01"));
}

TEST_F(EnrollerTest, Ca_CertifiesAnotherKey_IsNotInstalled) {
  ca_.certifies_other_key = true;
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text, HasSubstr("another key"));
  EXPECT_FALSE(file_exists(dir_ + "/certificate.pem"));
  EXPECT_FALSE(file_exists(dir_ + "/key.pem"));
}

TEST_F(EnrollerTest, Terms_NotAgreed_StopsBeforeTheAccount) {
  ca_.terms = "https://ca.test/terms";
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, FailureKind::kUsage);
  EXPECT_THAT(result.error().text, HasSubstr("https://ca.test/terms"));
  options_.agree_to_terms = true;
  EXPECT_TRUE(run());
}

TEST_F(EnrollerTest, Ca_ForgotTheAccount_ItIsOpenedAgain) {
  ASSERT_TRUE(run());
  ca_.forget_everything();
  options_.renew = true;
  const auto result = run();
  ASSERT_TRUE(result) << result.error().text;
  expect_installed();
}

TEST_F(EnrollerTest, StateDirectory_OfAnotherDevice_IsRefused) {
  ASSERT_TRUE(run());
  options_.identifier = "SN-9";
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, FailureKind::kUsage);
}

TEST_F(EnrollerTest, StateDirectory_WithAnAgentAtWork_IsBusy) {
  const auto held = StateDirectory::open(dir_);
  ASSERT_TRUE(held);
  const auto result = run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, FailureKind::kBusy);
}

TEST_F(EnrollerTest, Installing_Interrupted_IsRepairedByNextRun) {
  ASSERT_TRUE(run());
  // As if the power failed between key file and certificate: pending again, key file of another
  // key.
  const auto directory = StateDirectory::open_for_reading(dir_);
  AgentState state = **directory.load();
  state.pending = PendingEnrolment{*state.key, "https://ca.test/acme/order/o1",
                                   read_text_file(directory.certificate_path(), 1 << 20).value()};
  state.key.reset();
  ASSERT_TRUE(directory.save(state));
  std::filesystem::remove(directory.certificate_path());
  const int before = ca_.exchanges();
  ASSERT_TRUE(run());
  EXPECT_EQ(ca_.exchanges(), before);
  expect_installed();
}

}  // namespace
}  // namespace keyward::agent
