// Runs `keywardctl roots` as publisher and operator do: what it prints, what it leaves, how it ends.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/attest/vendor_roots.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "tests/support/command/command.h"
#include "tests/support/endorsement/endorsement.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;

class RootsCommandTest : public ::testing::Test {
 protected:
  RootsCommandTest() : maker_(system_clock().utc_ms()) {
    const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    write_file(files_.path("key.pem"), key.to_pem()->view());
    write_file(files_.path("ek.der"), maker_.certificate());
    write_file(files_.path("ca.pem"),
               view_of(x509::to_pem("CERTIFICATE", maker_.intermediate().der)));
  }
  CommandResult roots(std::vector<std::string> arguments) {
    std::vector<std::string> argv = {std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl",
                                     "roots"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_command(argv);
  }
  std::string manifest(int version, bool with_intermediate) {
    json::Writer out;
    out.begin_object().member("type", "keyward-vendor-roots").member_int("version", version);
    out.member("date", "2026-11-01T00:00:00Z").key("certificates").begin_array();
    const auto add = [&out](const x509::Certificate& certificate, std::string_view use) {
      out.begin_object().member("vendor", "Maker").member("use", use);
      out.member("pem", x509::to_pem("CERTIFICATE", certificate.der)).end_object();
    };
    add(maker_.root(), "root");
    if (with_intermediate) add(maker_.intermediate(), "intermediate");
    return out.end_array().end_object().take();
  }
  // Signs it; leaves NAME.jws and publisher.jwk.
  void publish(const std::string& name, int version, bool with_intermediate = true) {
    write_file(files_.path(name + ".json"), view_of(manifest(version, with_intermediate)));
    const auto made = roots({"sign", files_.path(name + ".json"), "--key", files_.path("key.pem"),
                             "--out", files_.path(name + ".jws")});
    ASSERT_EQ(made.status, 0) << made.output;
    write_file(files_.path("publisher.jwk"),
               view_of(made.output.substr(0, made.output.find('\n'))));
  }
  CommandResult import(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"import", state_.root(), files_.path(name + ".jws")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return roots(arguments);
  }

  EkMaker maker_;
  TempDir state_, files_;
};

TEST_F(RootsCommandTest, Import_PinsThePublisherAndRefusesWhatIsOlder) {
  publish("three", 3);
  publish("two", 2);
  EXPECT_EQ(import("three").status, 64);
  const auto first = import("three", {"--publisher", files_.path("publisher.jwk")});
  EXPECT_EQ(first.status, 0) << first.output;
  EXPECT_THAT(first.output,
              HasSubstr("imported version 3 of 2026-11-01T00:00:00Z, 2 certificates"));
  EXPECT_EQ(import("three").status, 0);
  const auto older = import("two");
  EXPECT_EQ(older.status, 78);
  EXPECT_THAT(older.output, HasSubstr("older than the one that is imported"));
  EXPECT_EQ(import("two", {"--force"}).status, 0);
  write_file(files_.path("key.pem"),
             crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)->to_pem()->view());
  publish("four", 4);
  EXPECT_THAT(import("four").output, HasSubstr("the signature is not the publisher's"));
  const auto other = import("four", {"--publisher", files_.path("publisher.jwk")});
  EXPECT_EQ(other.status, 78);
  EXPECT_THAT(other.output, HasSubstr("another publisher"));
  const auto listed = roots({"list", state_.root()});
  EXPECT_EQ(listed.status, 0);
  EXPECT_THAT(listed.output, HasSubstr("version 2 of"));
}

TEST_F(RootsCommandTest, List_InWordsAndInJson) {
  const auto nothing = roots({"list", state_.root()});
  EXPECT_EQ(nothing.status, 1);
  EXPECT_THAT(nothing.output, HasSubstr("no bundle of vendor roots was imported yet"));
  publish("one", 1);
  ASSERT_EQ(import("one", {"--publisher", files_.path("publisher.jwk")}).status, 0);
  EXPECT_THAT(roots({"list", state_.root()}).output,
              HasSubstr("O=Maker of TPMs, CN=TPM Root CA, C=XX"));
  const auto json = roots({"list", state_.root(), "--json"});
  const auto document = json::Document::parse(json.output.substr(0, json.output.find('\n')));
  ASSERT_TRUE(document) << json.output;
  EXPECT_EQ(document->root().get("certificates").items().size(), 2u);
}

TEST_F(RootsCommandTest, Diagnose_SaysWhichCaIsMissing) {
  publish("one", 1, false);
  ASSERT_EQ(import("one", {"--publisher", files_.path("publisher.jwk")}).status, 0);
  const auto missing = roots({"diagnose", files_.path("ek.der"), "--state", state_.root()});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.output, HasSubstr("FAIL  ek.unknown-ca"));
  EXPECT_THAT(missing.output, HasSubstr("CN=TPM Intermediate CA, C=XX"));
  const auto as_json =
      roots({"diagnose", files_.path("ek.der"), "--state", state_.root(), "--json"});
  EXPECT_EQ(as_json.status, 2);
  const auto document = json::Document::parse(as_json.output.substr(0, as_json.output.find('\n')));
  ASSERT_TRUE(document) << as_json.output;
  EXPECT_EQ(document->root().get("missing").get("issuer").string(),
            "O=Maker of TPMs, CN=TPM Intermediate CA, C=XX");
  const auto whole = roots({"diagnose", files_.path("ek.der"), "--state", state_.root(), "--chain",
                            files_.path("ca.pem")});
  EXPECT_EQ(whole.status, 0) << whole.output;
  EXPECT_THAT(whole.output, HasSubstr("ok    ek.chain"));
  EXPECT_EQ(roots({"diagnose", files_.path("ek.der"), "--at", "today"}).status, 64);
  EXPECT_EQ(roots({"diagnose", files_.path("ek.der"), "--chain", files_.path("ca.pem"), "--state",
                   state_.root(), "--at", "2001-01-01T00:00:00Z"})
                .status,
            2);
}

TEST_F(RootsCommandTest, WrongFiles_AreSaidToBeWrong) {
  write_file(files_.path("bad.jws"), view_of("no bundle"));
  publish("one", 1);
  EXPECT_EQ(import("bad", {"--publisher", files_.path("publisher.jwk")}).status, 78);
  EXPECT_EQ(import("one", {"--publisher", files_.path("bad.jws")}).status, 78);
  EXPECT_EQ(import("none", {"--publisher", files_.path("publisher.jwk")}).status, 1);
  write_file(files_.path("bad.json"), view_of("{}"));
  EXPECT_EQ(roots({"sign", files_.path("bad.json"), "--key", files_.path("key.pem"), "--out",
                   files_.path("out")})
                .status,
            78);
}

}  // namespace
}  // namespace keyward::test
