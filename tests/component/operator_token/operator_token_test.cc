// Proves that keywardctl signs orders with a key in a token (SoftHSM), named by a PKCS#11 URI, and what
// it refuses of such a URI.
#include <gtest/gtest.h>
#include <unistd.h>

#include "firmware/operate/order.h"
#include "hal/base/file.h"
#include "hal/token_uri.h"
#include "tests/support/command/command.h"
#include "tests/support/softhsm/softhsm.h"

namespace keyward::test {
namespace {

class OperatorToken : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(path("pin"), view_of(std::string(SoftHsm::kPin) + "\n"));
    write_file(path("wrong"), view_of("0000-none\n"));
    auto token = hal::open_pkcs11_token(hsm_.config());  // sets the environment, also of children
    ASSERT_TRUE(token);
    ASSERT_TRUE((*token)->unlock(hsm_.pin()));
    const auto deadline = Deadline::after_ms(30'000);
    while ((*token)->status().state != hal::TokenState::kReady && !deadline.passed())
      ::usleep(10'000);
    ASSERT_TRUE((*token)->generate_key("ann", hal::KeyAlgorithm::kEcdsaP256));
    ASSERT_TRUE((*token)->generate_key("rsa", hal::KeyAlgorithm::kRsa2048));
  }
  std::string path(const std::string& name) const { return dir_.path(name); }
  std::string uri(const std::string& key, const std::string& pin = "pin") const {
    return "pkcs11:token=" + hsm_.label() + ";object=" + key +
           ";type=private?module-path=" + SoftHsm::module_path() + "&pin-source=file:" + path(pin);
  }
  CommandResult ctl(const std::string& arguments) const {
    std::vector<std::string> argv{std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl"};
    std::istringstream words(arguments);
    for (std::string word; words >> word;) argv.push_back(word);
    return run_command(argv);
  }
  std::string sign(const std::string& uri) const {
    return "order sign hold-issuance --unit unit7 --out " + path("hold.jws") + " --pkcs11-uri " +
           uri;
  }
  TempDir dir_;
  SoftHsm hsm_;
};

TEST_F(OperatorToken, Sign_ByAKeyInTheToken_IsTakenByItsOperatorsFile) {
  const auto shown = ctl("operator-key show --pkcs11-uri " + uri("ann"));
  ASSERT_EQ(shown.status, 0) << shown.output;
  const auto begin = shown.output.find("{\"");
  ASSERT_NE(begin, std::string::npos) << shown.output;
  const std::string jwk = shown.output.substr(begin, shown.output.find('}', begin) - begin + 1);
  const std::string operators = R"({"version":1,"unit":"unit7","operators":[{"name":"ann","jwk":)" +
                                jwk + R"(,"roles":["revoke"]}],"dual_control":[]})";
  write_file(path("operators.json"), view_of(operators));
  const auto made = ctl(sign(uri("ann")));
  ASSERT_EQ(made.status, 0) << made.output;
  const auto judged =
      ctl("order show " + path("hold.jws") + " --operators " + path("operators.json"));
  EXPECT_EQ(judged.status, 0);
  EXPECT_NE(judged.output.find("good: signed by ann"), std::string::npos) << judged.output;
  const auto again = ctl("order cosign " + path("hold.jws") + " --pkcs11-uri " + uri("ann"));
  EXPECT_NE(again.status, 0);
  EXPECT_NE(again.output.find("has signed the order already"), std::string::npos) << again.output;
}

TEST_F(OperatorToken, Sign_WrongPinKeyOrKind_IsRefused) {
  const auto pin = ctl(sign(uri("ann", "wrong")));
  EXPECT_EQ(pin.status, 78) << pin.output;
  EXPECT_EQ(ctl(sign(uri("nobody"))).status, 78);
  const auto rsa = ctl(sign(uri("rsa")));
  EXPECT_EQ(rsa.status, 78);
  EXPECT_NE(rsa.output.find("P-256 or Ed25519"), std::string::npos) << rsa.output;
  EXPECT_EQ(ctl("order sign hold-issuance --unit unit7").status, 64);
  EXPECT_FALSE(file_exists(path("hold.jws")));
}

std::string why_not(const std::string& uri) {
  const auto parsed = hal::parse_token_uri(uri);
  return parsed ? "" : parsed.error().what;
}

TEST(TokenUri, WholeOne_IsRead) {
  const auto uri = hal::parse_token_uri(
      "pkcs11:token=The%20card;object=ann;type=private?module-path=/m.so&pin-source=file:/p");
  ASSERT_TRUE(uri) << uri.error().what;
  EXPECT_EQ(uri->token_label, "The card");
  EXPECT_EQ(uri->key_label, "ann");
  EXPECT_EQ(uri->module_path, "/m.so");
  EXPECT_EQ(uri->pin_path, "/p");
}

TEST(TokenUri, WhatIsMissingTooMuchOrUnsafe_IsRefused) {
  const std::string whole = "pkcs11:token=t;object=o?module-path=/m.so";
  EXPECT_EQ(why_not(whole), "");
  EXPECT_NE(why_not("pkcs11:object=o?module-path=/m.so"), "");
  EXPECT_NE(why_not("pkcs11:token=t?module-path=/m.so"), "");
  EXPECT_NE(why_not("pkcs11:token=t;object=o"), "");
  EXPECT_NE(why_not("file:/key.pem"), "");
  EXPECT_NE(why_not("pkcs11:token=t;object=o;serial=12?module-path=/m.so"), "");
  EXPECT_NE(why_not("pkcs11:token=t;object=o;id=%01?module-path=/m.so"), "");
  EXPECT_NE(why_not("pkcs11:token=t;object=o;slot-id=3?module-path=/m.so"), "");
  EXPECT_NE(why_not("pkcs11:token=t;object=o;x-other=3?module-path=/m.so"), "");
  EXPECT_NE(why_not(whole + "&pin-value=1234"), "");
  EXPECT_NE(why_not(whole + "&pin-source=file:relative"), "");
  EXPECT_NE(why_not(whole + "&pin-source=http://h/p"), "");
  EXPECT_NE(why_not(std::string(3'000, 'x')), "");
}

}  // namespace
}  // namespace keyward::test
