// Tests the appliance's own certificate: first one, kept, renewed, healed, tried again.
#include "firmware/acme/appliance_certificate.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::TempDir;
using test::TestClock;

class Appliance : public testing::Test {
 protected:
  std::unique_ptr<ApplianceCertificate> make(std::vector<std::string> names = {"ca.plant.example",
                                                                               "127.0.0.1"}) {
    ApplianceOptions options;
    options.base_url = test::kBase;
    options.names = std::move(names);
    options.state_dir = dir.path();
    options.retry_ms_min = 1;
    return std::make_unique<ApplianceCertificate>(
        options, Backend{store, validation, attestation, signer}, clock,
        [this](const TlsIdentity& identity) { published.push_back(identity); },
        [this](std::string_view state, std::string_view) { states.emplace_back(state); });
  }
  std::string identity_path() const { return dir.path() + "/appliance-identity.pem"; }
  x509::Certificate leaf(const TlsIdentity& identity) const {
    return *x509::parse_certificate(x509::certificates_from_pem(identity.chain_pem, 6)->at(0));
  }
  TempDir dir;
  TestClock clock;
  test::FakeStore store{clock};
  test::FakeValidation validation;
  test::FakeAttestation attestation;
  test::FakeSigner signer{clock};
  std::vector<TlsIdentity> published;
  std::vector<std::string> states;
};

TEST_F(Appliance, FirstStart_CertificateForItsNamesAndItsKey) {
  auto appliance = make();
  EXPECT_GT(appliance->round(), 1'000);
  ASSERT_EQ(published.size(), 1U);
  const auto key = crypto::PrivateKey::from_pem(published[0].key_pem);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->public_key().kind(), crypto::KeyKind::kEcP256);
  EXPECT_EQ(leaf(published[0]).spki_der, key->public_key().spki_der());
  EXPECT_EQ(validation.names().size(), 2U);
  EXPECT_EQ(states.back(), "operational");
  for (const auto* file : {"/appliance-identity.pem", "/appliance-account.pem"}) {
    struct stat info {};
    ASSERT_EQ(::stat((dir.path() + file).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << file;
  }
}

TEST_F(Appliance, SecondStart_FromDiskWithoutTheSigner) {
  make()->round();
  signer.break_message("ticket-mint",
                       wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  signer.break_message("issuer-get",
                       wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  make()->round();
  ASSERT_EQ(published.size(), 2U);
  EXPECT_EQ(published[0].chain_pem, published[1].chain_pem);
  EXPECT_EQ(signer.signatures(), 1);
}

TEST_F(Appliance, TwoThirdsOfItsLife_RenewedWithANewKey) {
  auto appliance = make();
  appliance->round();
  clock.advance(signer.life_ms / 3 * 2 - 3'600'000);
  appliance->round();
  EXPECT_EQ(published.size(), 1U);
  clock.advance(2 * 3'600'000);
  appliance->round();
  ASSERT_EQ(published.size(), 2U);
  EXPECT_NE(published[0].key_pem, published[1].key_pem);
  appliance->round();
  EXPECT_EQ(published.size(), 2U) << "renewed once";
}

TEST_F(Appliance, RenewalFails_OldOneStaysAndIsRetried) {
  auto appliance = make();
  appliance->round();
  clock.advance(signer.life_ms / 3 * 2 + 1'000);
  signer.break_message("certificate-issue",
                       wire::Failure::of(wire::FailureKind::kUnavailable, "hsm-away", "gone"));
  const auto first = appliance->round();
  const auto second = appliance->round();
  EXPECT_GT(second, first) << "back-off";
  EXPECT_EQ(published.size(), 1U);
  EXPECT_EQ(states.back(), "degraded");
  // The same order and finalize are tried again, not a new one each time.
  EXPECT_EQ(signer.count("ticket-mint"), 2);
  signer.heal("certificate-issue");
  appliance->round();
  EXPECT_EQ(published.size(), 2U);
  EXPECT_EQ(states.back(), "operational");
}

TEST_F(Appliance, HsmAwayAtFirst_StartingAndThenOperational) {
  signer.break_message("certificate-issue",
                       wire::Failure::of(wire::FailureKind::kUnavailable, "hsm-away", "gone"));
  auto appliance = make();
  EXPECT_LE(appliance->round(), limits::kJobBackoffMsMax);
  EXPECT_EQ(states.back(), "starting");
  EXPECT_TRUE(published.empty());
  signer.heal("certificate-issue");
  appliance->start();
  EXPECT_TRUE(test::eventually([&] { return signer.signatures() == 1; }));
  appliance.reset();  // joins the thread before the results are read
  EXPECT_EQ(published.size(), 1U);
}

TEST_F(Appliance, Refused_NewOrderNextTime) {
  signer.break_message("certificate-issue",
                       wire::Failure::of(wire::FailureKind::kRefused, "ticket-expired", "late"));
  auto appliance = make();
  appliance->round();
  appliance->round();
  EXPECT_EQ(signer.count("ticket-mint"), 2);
}

TEST_F(Appliance, ValidationRefusesTheNames_NoCertificate) {
  validation.break_message("appliance-grant",
                           wire::Failure::of(wire::FailureKind::kRefused, "names", "not ours"));
  make()->round();
  EXPECT_TRUE(published.empty());
  EXPECT_EQ(signer.signatures(), 0);
}

TEST_F(Appliance, DamagedFiles_MadeAgain) {
  make()->round();
  for (const std::string damage : {"", "garbage", "names: ca.plant.example,127.0.0.1\ngarbage"}) {
    const auto before = published.size();
    ASSERT_TRUE(replace_file(identity_path(), to_bytes(damage), 0600).has_value());
    ASSERT_TRUE(
        replace_file(dir.path() + "/appliance-account.pem", to_bytes("garbage"), 0600).has_value());
    make()->round();
    EXPECT_EQ(published.size(), before + 1);
  }
}

TEST_F(Appliance, KeyOfAnotherCertificate_MadeAgain) {
  make()->round();
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)->to_pem();
  const auto text = *read_text_file(identity_path(), 1 << 20);
  const auto swapped = "names: ca.plant.example,127.0.0.1\n" + std::string(text_of(other->view())) +
                       text.substr(text.find("-----BEGIN CERTIFICATE-----"));
  ASSERT_TRUE(replace_file(identity_path(), to_bytes(swapped), 0600).has_value());
  make()->round();
  ASSERT_EQ(published.size(), 2U);
  EXPECT_NE(published[0].chain_pem, published[1].chain_pem);
}

TEST_F(Appliance, OtherNames_MadeAgain) {
  make()->round();
  make({"other.plant.example"})->round();
  ASSERT_EQ(published.size(), 2U);
  EXPECT_EQ(validation.names().size(), 1U);
}

TEST_F(Appliance, OtherCa_MadeAgainOnce) {
  auto appliance = make();
  appliance->round();
  signer.change_issuer();
  appliance->round();
  EXPECT_EQ(published.size(), 2U);
  appliance->round();
  EXPECT_EQ(published.size(), 2U);
}

TEST_F(Appliance, NoNames_Refused) {
  make({})->round();
  EXPECT_TRUE(published.empty());
  EXPECT_EQ(signer.count("ticket-mint"), 0);
}

}  // namespace
}  // namespace keyward::acme
