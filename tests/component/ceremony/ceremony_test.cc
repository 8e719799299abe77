// Holds a ceremony with keywardctl on SoftHSMv2; OpenSSL and the token itself say what came of it.
#include <chrono>
#include <cstdlib>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/pkcs11/pkcs11_token.h"
#include "tests/support/command/command.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

CommandResult hold(const std::string& dir) {
  return run_command(
      {std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl", "ceremony", "--simulator",
       std::string(std::getenv("KEYWARD_SOURCE")) + "/apps/ctl/ceremony.example.toml", "--dir",
       dir});
}

std::string text_of_certificate(const std::string& path) {
  return run_command({"openssl", "x509", "-in", path, "-noout", "-text"}).output;
}

TEST(Ceremony_OnSoftHsm, MakesAHierarchyThatOpensslAccepts) {
  const TempDir work;
  const auto held = hold(work.path("d"));
  ASSERT_EQ(held.status, 0) << held.output;
  const auto ca = work.path("d") + "/ca";
  const auto verified = run_command({"openssl", "verify", "-x509_strict", "-check_ss_sig",
                                     "-CAfile", ca + "/root.pem", ca + "/issuing.pem"});
  EXPECT_EQ(verified.status, 0) << verified.output;
  const auto root = text_of_certificate(ca + "/root.pem");
  EXPECT_THAT(root, HasSubstr("secp384r1"));
  EXPECT_THAT(root, HasSubstr("ecdsa-with-SHA384"));
  EXPECT_THAT(root, HasSubstr("CA:TRUE, pathlen:1"));
  const auto issuing = text_of_certificate(ca + "/issuing.pem");
  EXPECT_THAT(issuing, HasSubstr("prime256v1"));
  EXPECT_THAT(issuing, HasSubstr("CA:TRUE, pathlen:0"));
  EXPECT_THAT(issuing, HasSubstr("Certificate Sign, CRL Sign"));
  EXPECT_THAT(issuing, HasSubstr("DNS:plant.example"));
}

// For heads of the ledger alone, and by the root itself.
TEST(Ceremony_OnSoftHsm, CertifiesAnAuditKeyByTheRoot) {
  const TempDir work;
  ASSERT_EQ(hold(work.path("d")).status, 0);
  const auto ca = work.path("d") + "/ca";
  const auto verified = run_command(
      {"openssl", "verify", "-x509_strict", "-CAfile", ca + "/root.pem", ca + "/audit.pem"});
  EXPECT_EQ(verified.status, 0) << verified.output;
  const auto audit = text_of_certificate(ca + "/audit.pem");
  EXPECT_THAT(audit, HasSubstr("CA:FALSE"));
  EXPECT_THAT(audit, HasSubstr("Digital Signature"));
  EXPECT_THAT(audit, Not(HasSubstr("Certificate Sign")));
  EXPECT_THAT(audit, HasSubstr("2.25."));
}

TEST(Ceremony_Again, OverwritesNothing) {
  const TempDir work;
  ASSERT_EQ(hold(work.path("d")).status, 0);
  const auto root = read_text_file(work.path("d") + "/ca/root.pem", 65'536).value_or("");
  const auto again = hold(work.path("d"));
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.output, HasSubstr("never overwrites"));
  EXPECT_EQ(read_text_file(work.path("d") + "/ca/root.pem", 65'536).value_or(""), root);
}

// The signer's token holds the issuing key, which cannot leave it, and not the root's.
TEST(Ceremony_SignersToken, HoldsTheIssuingKeyAlone) {
  const TempDir work;
  ASSERT_EQ(hold(work.path("d")).status, 0);
  const auto pins = read_text_file(work.path("d") + "/offline/pins.toml", 4096).value_or("");
  const auto at = pins.find("issuing_pin = \"") + 15;
  const auto pin = pins.substr(at, pins.find('"', at) - at);
  hal::Pkcs11Config config;
  config.module_path = kModule;
  config.token_label = "keyward-issuing";
  config.environment = {{"SOFTHSM2_CONF", work.path("d") + "/state/signer/softhsm2.conf"}};
  auto token = hal::open_pkcs11_token(config);
  ASSERT_TRUE(token.has_value());
  ASSERT_TRUE((*token)->unlock(SecretBytes(view_of(pin))).has_value());
  const auto deadline = Deadline::after_ms(20'000);
  while ((*token)->status().state != hal::TokenState::kReady && !deadline.passed())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto key = (*token)->find_key("issuing");
  ASSERT_TRUE(key.has_value()) << key.error().what;
  EXPECT_TRUE(key->sensitive && key->always_sensitive && key->never_extractable && key->local);
  EXPECT_FALSE(key->extractable);
  EXPECT_FALSE((*token)->find_key("root").has_value());
}

}  // namespace
}  // namespace keyward::test
