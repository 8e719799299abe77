// The whole way on the simulator's real parts: a device with a TPM is enrolled by keyward-agent,
// and OpenSSL is the judge of what came out.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/tbs.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward {
namespace {

using testing::HasSubstr;
using CommandResult = test::CommandResult;

std::string program(const std::string& name) {
  const char* folder = std::getenv("KEYWARD_BIN");
  return std::string(folder != nullptr ? folder : ".") + "/" + name;
}

struct Device {
  std::string name, tcti, ak_handle, ak_chain;
};

class EnrollTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    work_ = new test::TempDir();
    const auto up = sim({"up", "--quiet"});
    ASSERT_EQ(up.status, 0) << up.output;
    const auto environment = sim({"env"});
    directory_url_ = value_of(environment.output, "KEYWARD_DIRECTORY");
    root_ = value_of(environment.output, "KEYWARD_CA_FILE");
    ASSERT_THAT(directory_url_, HasSubstr("https://127.0.0.1:"));
  }
  static void TearDownTestSuite() {
    (void)sim({"destroy", "--yes"});
    delete work_;
  }
  static CommandResult sim(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {program("keyward-sim"), "--dir", work_->path("sim")});
    return test::run_command(arguments);
  }
  static std::string value_of(const std::string& text, const std::string& name) {
    const auto at = text.find(name + "='");
    if (at == std::string::npos) return {};
    const auto begin = at + name.size() + 2;
    return text.substr(begin, text.find('\'', begin) - begin);
  }
  static Device device(const std::string& name) {
    const auto made = sim({"device", name, "--json"});
    EXPECT_EQ(made.status, 0) << made.output;
    // Progress lines may come before; the object is the last line.
    std::string line, last;
    for (std::istringstream lines(made.output); std::getline(lines, line);)
      if (line.starts_with("{\"identifier\"")) last = line;
    const auto document = json::Document::parse(last);
    EXPECT_TRUE(document) << made.output;
    if (!document) return {};
    const auto text = [&](const char* key) {
      return std::string(document->root().get(key).string());
    };
    return {text("identifier"), text("tcti"), text("ak_handle"), text("ak_chain")};
  }

  std::string dir(const std::string& name) const { return work_->path("agent-" + name); }
  std::vector<std::string> enroll_command(const Device& device,
                                          const std::string& identifier) const {
    return {program("keyward-agent"),
            "enroll",
            "--dir",
            dir(device.name),
            "--tcti",
            device.tcti,
            "--directory",
            directory_url_,
            "--ca-file",
            root_,
            "--identifier",
            identifier,
            "--ak-chain",
            device.ak_chain,
            "--ak-handle",
            device.ak_handle};
  }
  CommandResult enroll(const Device& device, std::vector<std::string> more = {}) const {
    auto command = enroll_command(device, device.name);
    command.insert(command.end(), more.begin(), more.end());
    return test::run_command(command);
  }
  CommandResult agent(const std::string& command, const Device& device,
                      std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {program("keyward-agent"), command, "--dir", dir(device.name)});
    return test::run_command(more);
  }
  std::string shown(const Device& device, const char* member) const {
    const auto result = agent("show", device, {"--json"});
    const auto document = json::Document::parse(result.output);
    return document ? std::string(document->root().get(member).string()) : result.output;
  }
  // OpenSSL verifies the chain to the ceremony's root, and the key file works through tpm2-openssl:
  // what it signs, the certificate's public key verifies.
  void expect_usable(const Device& device) const {
    const std::string certificate = dir(device.name) + "/certificate.pem";
    const auto verified =
        test::run_command({"openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile",
                           root_, "-untrusted", certificate, certificate});
    EXPECT_EQ(verified.status, 0) << verified.output;
    test::write_file(work_->path("data"), view_of("what is signed"));
    const auto signed_by_tpm =
        test::run_command({"env", "TPM2OPENSSL_TCTI=" + device.tcti, "TSS2_LOG=all+none", "openssl",
                           "dgst", "-provider", "tpm2", "-provider", "default", "-propquery",
                           "?provider=tpm2", "-sha256", "-sign", dir(device.name) + "/key.pem",
                           "-out", work_->path("signature"), work_->path("data")});
    ASSERT_EQ(signed_by_tpm.status, 0) << signed_by_tpm.output;
    const auto public_key = test::run_command({"openssl", "x509", "-in", certificate, "-pubkey",
                                               "-noout", "-out", work_->path("public.pem")});
    ASSERT_EQ(public_key.status, 0) << public_key.output;
    const auto checked =
        test::run_command({"openssl", "dgst", "-sha256", "-verify", work_->path("public.pem"),
                           "-signature", work_->path("signature"), work_->path("data")});
    EXPECT_EQ(checked.status, 0) << checked.output;
  }

  // The certificate's names are these, and no others.
  void expect_names(const Device& device, const std::vector<wire::Identifier>& names) const {
    const auto pem = read_text_file(dir(device.name) + "/certificate.pem", 65'536);
    ASSERT_TRUE(pem);
    const auto leaf = x509::parse_certificate(x509::certificates_from_pem(*pem, 8)->front());
    ASSERT_TRUE(leaf);
    const auto* san = leaf->extension("2.5.29.17");
    ASSERT_NE(san, nullptr);
    EXPECT_EQ(x509::extension_der("2.5.29.17", san->critical, san->value),
              *x509::ext_subject_alt_name(names, san->critical));
  }

  static inline test::TempDir* work_ = nullptr;
  static inline std::string directory_url_;
  static inline std::string root_;
};

TEST_F(EnrollTest, Enroll_Device_GivesACertificateThatOpensslTakes) {
  const Device one = device("SN-1");
  const auto result = enroll(one);
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("enrolled"));
  expect_usable(one);
  EXPECT_EQ(shown(one, "identifier"), "SN-1");
  EXPECT_EQ(shown(one, "validity"), "valid");
  const auto text = test::run_command(
      {"openssl", "x509", "-in", dir("SN-1") + "/certificate.pem", "-noout", "-text"});
  EXPECT_THAT(text.output, HasSubstr("TLS Web Client Authentication"));
}

TEST_F(EnrollTest, Enroll_EveryKeyType_IsUsable) {
  for (const std::string type : {"p384", "rsa2048"}) {
    const Device one = device("SN-" + type);
    const auto result = enroll(one, {"--key-type", type});
    ASSERT_EQ(result.status, 0) << type << "\n" << result.output;
    expect_usable(one);
  }
}

TEST_F(EnrollTest, Enroll_HardwareModule_AloneAndBesideTheIdentifier) {
  using wire::IdentifierType;
  const std::string type = "/2.23.133.1.2";  // a TPM 2.0
  Device one = device("SN-module");
  auto command = enroll_command(one, "");
  const auto at = std::ranges::find(command, "--identifier");
  *at = "--hardware-module";
  *std::next(at) = one.name + type;
  const auto alone = test::run_command(command);
  ASSERT_EQ(alone.status, 0) << alone.output;
  expect_usable(one);
  const wire::Identifier module{IdentifierType::kHardwareModule, one.name + type};
  expect_names(one, {module});
  ASSERT_EQ(agent("renew", one).status, 0);  // what it is called comes from the state
  expect_names(one, {module});

  const Device two = device("SN-both");
  const auto both = enroll(two, {"--hardware-module", two.name + type});
  ASSERT_EQ(both.status, 0) << both.output;
  expect_usable(two);
  expect_names(two, {{IdentifierType::kPermanentIdentifier, two.name},
                     {IdentifierType::kHardwareModule, two.name + type}});
}

TEST_F(EnrollTest, Enroll_HardwareModuleOfAnotherDevice_IsRefusedWithTheReason) {
  const Device one = device("SN-module-mine");
  for (const char* other : {"SN-theirs/2.23.133.1.2", "SN-module-mine/2.23.133.1.3"}) {
    const auto result = enroll(one, {"--hardware-module", other});
    EXPECT_EQ(result.status, 5) << result.output;
    EXPECT_THAT(result.output, HasSubstr("badAttestationStatement"));
    ASSERT_EQ(test::run_command({"rm", "-r", dir(one.name)}).status, 0);
  }
}

TEST_F(EnrollTest, Enroll_Nameless_IsAMistakeOfTheCommandLine) {
  const Device one = device("SN-nameless");
  auto command = enroll_command(one, "");
  const auto at = std::ranges::find(command, "--identifier");
  command.erase(at, std::next(at, 2));
  EXPECT_EQ(test::run_command(command).status, 2);
}

TEST_F(EnrollTest, Renew_NewKeyThenSameKey) {
  const Device one = device("SN-renew");
  ASSERT_EQ(enroll(one).status, 0);
  const std::string serial = shown(one, "serial");
  const std::string key = *read_text_file(dir(one.name) + "/key.pem", 65'536);
  const auto not_due = agent("renew", one, {"--if-due"});
  EXPECT_EQ(not_due.status, 0) << not_due.output;
  EXPECT_EQ(shown(one, "serial"), serial);
  const auto renewed = agent("renew", one);
  ASSERT_EQ(renewed.status, 0) << renewed.output;
  const std::string second = shown(one, "serial");
  const std::string second_key = *read_text_file(dir(one.name) + "/key.pem", 65'536);
  EXPECT_NE(second, serial);
  EXPECT_NE(second_key, key);
  ASSERT_EQ(agent("renew", one, {"--reuse-key"}).status, 0);
  EXPECT_NE(shown(one, "serial"), second);
  EXPECT_EQ(*read_text_file(dir(one.name) + "/key.pem", 65'536), second_key);
  expect_usable(one);
}

TEST_F(EnrollTest, Enroll_KilledAgainAndAgain_GoesOn) {
  const Device one = device("SN-kill");
  auto command = enroll_command(one, one.name);
  command.insert(command.begin(), {"timeout", "--signal=KILL", ""});
  int kills = 0;
  for (int ms = 10; ms <= 20'000; ms = ms * 5 / 4 + 5) {
    command[2] = "0." + std::string(ms < 10 ? "00" : ms < 100 ? "0" : "") + std::to_string(ms);
    if (ms >= 1'000) command[2] = std::to_string(ms / 1'000 + 1);
    const auto result = test::run_command(command);
    if (result.status == 0) break;
    ++kills;
  }
  EXPECT_GT(kills, 0);
  EXPECT_EQ(agent("show", one).status, 0);
  expect_usable(one);
}

TEST_F(EnrollTest, Enroll_IdentifierOfAnotherDevice_IsRefusedWithTheReason) {
  const Device one = device("SN-mine");
  const auto result = test::run_command(enroll_command(one, "SN-theirs"));
  EXPECT_EQ(result.status, 5) << result.output;
  EXPECT_THAT(result.output, HasSubstr("badAttestationStatement"));
  EXPECT_FALSE(file_exists(dir(one.name) + "/certificate.pem"));
}

TEST_F(EnrollTest, Enroll_AttestationKeyCertificateOfAnotherTpm_IsRefused) {
  const Device one = device("SN-a");
  Device mixed = one;
  mixed.ak_chain = device("SN-b").ak_chain;
  const auto result = enroll(mixed);
  EXPECT_EQ(result.status, 2) << result.output;
  EXPECT_THAT(result.output, HasSubstr("another key"));
}

TEST_F(EnrollTest, Enroll_ApplianceAway_ComesBackLater) {
  const Device one = device("SN-away");
  ASSERT_EQ(sim({"down"}).status, 0);
  const auto made_again = sim({"device", one.name});  // `down` stops devices too
  ASSERT_EQ(made_again.status, 0) << made_again.output;
  const auto away = enroll(one, {"--patience", "1"});
  EXPECT_EQ(away.status, 4) << away.output;
  ASSERT_EQ(sim({"up", "--quiet"}).status, 0);
  const auto result = enroll(one);
  ASSERT_EQ(result.status, 0) << result.output;
  expect_usable(one);
}

}  // namespace
}  // namespace keyward
