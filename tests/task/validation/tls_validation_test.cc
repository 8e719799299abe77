// tls-alpn-01 against the real keyward-validation: the right answer, and each wrong one.
#include <gtest/gtest.h>

#include "firmware/crypto/crypto.h"
#include "tests/task/validation/tiny_tls.h"
#include "tests/task/validation/validation_stage.h"

namespace keyward::validate {
namespace {

using test::TestCertificate;
using test::TinyTls;
using wire::IdentifierType;
using wire::ValidationMethod;

constexpr const char* kHost = "host.plant.example";

class TlsValidationTest : public ValidationStage {
 protected:
  void begin(const std::string& more = "") {
    start("tls_port = " + std::to_string(server_->port()) + "\n" + more);
    request_ = request_of(mint_request(ValidationMethod::kTlsAlpn01, kHost));
  }
  TestCertificate right() const {
    Bytes content{0x04, 32};
    append(content, digest());
    return {{std::string("DNS:") + kHost}, content};
  }
  Digest256 digest() const {
    return crypto::sha256(view_of(key_authorization(request_.token, request_.thumbprint)));
  }
  std::string against(const TestCertificate& certificate,
                      TinyTls::Options options = {"acme-tls/1"}) {
    server_->use(test::make_certificate(certificate), std::move(options));
    return outcome(request_);
  }
  TlsValidationTest() {
    resolver_more_ =
        "hosts = [\"host.plant.example=127.0.0.1\", \"inside.plant.example=10.0.0.1\"]\n";
  }
  wire::NameValidate request_;
  std::unique_ptr<TinyTls> server_ = std::make_unique<TinyTls>();
};

TEST_F(TlsValidationTest, RightCertificate_IsValidAndNothingIsSent) {
  begin();
  EXPECT_EQ(against(right()), "valid") << last_detail_;
  EXPECT_EQ(server_->last_sni(), kHost);
  EXPECT_FALSE(server_->saw_data());
  ASSERT_EQ(grants().size(), 1u);
  EXPECT_EQ(grants()[0].method, ValidationMethod::kTlsAlpn01);
  EXPECT_FALSE(grants()[0].wildcard || grants()[0].subtree);
}

TEST_F(TlsValidationTest, NameInOtherCase_IsValid) {
  begin();
  auto certificate = right();
  certificate.names = {"DNS:Host.PLANT.example"};
  EXPECT_EQ(against(certificate), "valid") << last_detail_;
}

TEST_F(TlsValidationTest, Address_IsAskedByItsReverseName) {
  begin();
  auto mint = mint_request(ValidationMethod::kTlsAlpn01);
  mint.identifier = {IdentifierType::kIp, "127.0.0.1"};
  request_ = request_of(mint);
  auto certificate = right();
  certificate.names = {"IP:127.0.0.1"};
  EXPECT_EQ(against(certificate), "valid") << last_detail_;
  EXPECT_EQ(server_->last_sni(), "1.0.0.127.in-addr.arpa");
  certificate.names = {"DNS:127.0.0.1"};
  EXPECT_EQ(against(certificate), "incorrectResponse tls-alpn.san");
  certificate.names = {"IP:127.0.0.2"};
  EXPECT_EQ(against(certificate), "incorrectResponse tls-alpn.san");
}

TEST_F(TlsValidationTest, WrongCertificate_IsRefusedForItsReason) {
  begin();
  const auto spoiled = [&](auto change) {
    auto certificate = right();
    change(certificate);
    return against(certificate);
  };
  EXPECT_EQ(spoiled([](auto& c) { c.names = {}; }), "incorrectResponse tls-alpn.san");
  EXPECT_EQ(spoiled([](auto& c) { c.names.push_back("DNS:other.plant.example"); }),
            "incorrectResponse tls-alpn.san");
  EXPECT_EQ(spoiled([](auto& c) { c.names = {"DNS:other.plant.example"}; }),
            "incorrectResponse tls-alpn.san");
  EXPECT_EQ(spoiled([](auto& c) { c.names = {"DNS:*.plant.example"}; }),
            "incorrectResponse tls-alpn.san");
  EXPECT_EQ(spoiled([](auto& c) { c.names = {"IP:127.0.0.1"}; }), "incorrectResponse tls-alpn.san");
  EXPECT_EQ(spoiled([](auto& c) { c.self_signed = false; }),
            "incorrectResponse tls-alpn.self-signed");
  EXPECT_EQ(spoiled([](auto& c) { c.acme_identifier.reset(); }),
            "incorrectResponse tls-alpn.extension");
  EXPECT_EQ(spoiled([](auto& c) { c.critical = false; }), "incorrectResponse tls-alpn.extension");
  EXPECT_EQ(spoiled([](auto& c) { c.twice = true; }), "incorrectResponse tls-alpn.extension");
  EXPECT_EQ(spoiled([](auto& c) { c.acme_identifier->pop_back(); }),
            "incorrectResponse tls-alpn.extension");
  EXPECT_EQ(spoiled([](auto& c) {
              c.acme_identifier->erase(c.acme_identifier->begin(), c.acme_identifier->begin() + 2);
            }),
            "incorrectResponse tls-alpn.extension");
  EXPECT_EQ(spoiled([](auto& c) { c.acme_identifier->back() ^= 1; }),
            "incorrectResponse tls-alpn.digest");
  EXPECT_TRUE(grants().empty());
}

TEST_F(TlsValidationTest, ProtocolNotChosenOrRejected_IsATlsProblem) {
  begin();
  EXPECT_EQ(against(right(), {""}), "tls tls-alpn.protocol");
  EXPECT_EQ(against(right(), {.alpn = "", .reject = true}), "tls tls-alpn.protocol");
}

TEST_F(TlsValidationTest, OldTls_IsRefused) {
  begin();
  EXPECT_EQ(against(right(), {.alpn = "acme-tls/1", .tls11 = true}), "tls tls-alpn.handshake");
}

TEST_F(TlsValidationTest, SilentServer_EndsAtTheDeadline) {
  begin("tls_total_ms = 500\n");
  EXPECT_EQ(against(right(), {.alpn = "acme-tls/1", .silent = true}),
            "connection tls-alpn.timeout");
}

TEST_F(TlsValidationTest, NobodyListens_IsAConnectionProblem) {
  begin();
  EXPECT_EQ(against(right()), "valid");
  server_.reset();
  EXPECT_EQ(outcome(request_), "connection tls-alpn.connect");
}

TEST_F(TlsValidationTest, PrivateAddress_IsRefusedByThePolicy) {
  begin();
  request_ = request_of(mint_request(ValidationMethod::kTlsAlpn01, "inside.plant.example"));
  EXPECT_EQ(outcome(request_), "connection egress.refused");
}

TEST_F(TlsValidationTest, Wildcard_IsRefused) {
  begin();
  auto mint = mint_request(ValidationMethod::kTlsAlpn01);
  mint.wildcard = true;
  EXPECT_EQ(validation_->call(mint).error().code, "wildcard-tls-alpn-01");
  mint.wildcard = false;
  mint.subtree = true;
  EXPECT_EQ(validation_->call(mint).error().code, "subtree-method");
}

// ---- which methods there are, and what only simulators may do

using SettingsTest = ValidationStage;

TEST_F(SettingsTest, Methods_OthersThanListedAreUnsupported) {
  start("methods = [\"dns-01\"]\n");
  EXPECT_TRUE(validation_->call(mint_request(ValidationMethod::kDns01)));
  for (const auto method :
       {ValidationMethod::kHttp01, ValidationMethod::kTlsAlpn01, ValidationMethod::kDnsAccount01,
        ValidationMethod::kDnsPersist01, ValidationMethod::kDeviceAttest01})
    EXPECT_EQ(validation_->call(mint_request(method)).error().code, "method-unsupported");
}

TEST_F(SettingsTest, NoMethods_ValidatesNothing) {
  start("methods = []\n");
  EXPECT_EQ(validation_->call(mint_request(ValidationMethod::kHttp01)).error().code,
            "method-unsupported");
}

TEST_F(SettingsTest, AlwaysValid_OnlyInASimulatorAndStillThroughTheSigner) {
  EXPECT_FALSE(starts("always_valid = true\n"));
  EXPECT_EQ(task_.wait_exit(), task::kExitConfig);
  EXPECT_FALSE(starts("sleep_s_max = 1\n", "[appliance]\nsimulator = false\n"));
  EXPECT_EQ(task_.wait_exit(), task::kExitConfig);
  start("always_valid = true\nsleep_s_max = 1\n", "[appliance]\nsimulator = true\n");
  auto request = request_of(mint_request(ValidationMethod::kHttp01, "nowhere.plant.example"));
  EXPECT_EQ(outcome(request), "valid");
  EXPECT_EQ(grants().size(), 1u);
  request.token = "AAAA";
  EXPECT_EQ(outcome(request), "refused challenge-token-forged");
}

TEST_F(SettingsTest, Wrong_EndsWithItsStatus) {
  const std::string prefix = "account_hash_prefix = \"https://ca.example/h/\"\n";
  for (const std::string& bad :
       {std::string("methods = [\"http-02\"]\n"), std::string("methods = [\"dns-persist-01\"]\n"),
        std::string("caa_identities = [\"CA.example\"]\n"),
        std::string("caa_identities = [\"ca.example.\"]\n"), prefix,
        std::string("persist_issuer_names = [\"ca.example\"]\n"),
        "persist_issuer_names = [\"ca.example;x\"]\n" + prefix,
        "persist_issuer_names = [\"ca.example\"]\ncaa_identities = [\"ca2.example\"]\n" + prefix,
        std::string("persist_issuer_names = [\"ca.example\"]\naccount_hash_prefix = \"a;b:c\"\n"),
        std::string("smtp_url = \"http://relay\"\nsmtp_from = \"ca@plant.example\"\n"),
        std::string("smtp_url = \"smtp://relay\"\n"),
        std::string("smtp_url = \"smtp://relay\"\nsmtp_from = \"ca@plant.example\"\nsmtp_user = "
                    "\"u\"\nsmtp_plaintext = true\n"),
        std::string("smtp_password_file = \"/nonexistent\"\n"), std::string("tls_port = 0\n")}) {
    EXPECT_FALSE(starts(bad)) << bad;
    EXPECT_EQ(task_.wait_exit(), task::kExitConfig) << bad;
  }
  resolver_more_ = "trust_anchor = \"/nonexistent\"\n";
  EXPECT_FALSE(starts(""));
  EXPECT_EQ(task_.wait_exit(), task::kExitConfig);
}

}  // namespace
}  // namespace keyward::validate
