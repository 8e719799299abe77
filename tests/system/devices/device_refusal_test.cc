// Sends a running appliance statements of real TPMs (swtpm) that are wrong in one way each. Every
// one must be answered with badAttestationStatement, a detail that names the fault, and an invalid
// challenge, and the good one between them must be issued.
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/agent/tpm_statement.h"
#include "firmware/attest/tpm_structures.h"
#include "firmware/x509/csr.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/tss2/tss2_tpm.h"
#include "tests/support/acme_client/acme_client.h"
#include "tests/support/simulator/simulator.h"
#include "tests/support/statement/statement.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kHourMs = 3'600'000;

template <class T>
T must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().what;
  return std::move(*result);
}

// One device's TPM with its AK.
struct Device {
  explicit Device(const SimDevice& info)
      : identifier(info.identifier),
        tpm(must(hal::open_tpm(info.tcti))),
        ak(must(tpm->open_persistent(info.ak_handle))),
        chain(must(x509::certificates_from_pem(must(read_text_file(info.ak_chain, 1u << 20)), 8))) {
  }
  crypto::PublicKey ak_key() const { return *attest::parse_public_area(ak->public_area())->key; }
  std::string identifier;
  std::unique_ptr<hal::Tpm> tpm;
  hal::TpmObjectPtr ak;
  std::vector<Bytes> chain;
};

// What goes into a statement; the defaults are a good one.
struct Recipe {
  hal::TpmKeyTemplate key;
  bool ak_of_other_device = false;       // its AK signs, with this device's AK certificate
  bool chain_of_other_device = false;    // and its certificate too
  std::string key_authorization_suffix;  // spoils extraData
  std::function<void(agent::TpmStatementParts&)> change = [](auto&) {};
  std::optional<StatementSpec> ak_certificate;  // another certificate for this device's AK
};

class DeviceRefusal : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    simulator_ = new Simulator({"--quiet"});
    ASSERT_TRUE(simulator_->started()) << simulator_->output();
    mine_ = new Device(must(simulator_->device("UNIT-1")));
    other_ = new Device(must(simulator_->device("UNIT-2")));
    const std::string folder = simulator_->dir() + "/manufacturer/";
    auto key =
        must(crypto::PrivateKey::from_pem(must(read_text_file(folder + "ca.key", 1u << 16))));
    auto anchor = must(x509::parse_certificate(
        must(x509::certificates_from_pem(must(read_text_file(folder + "ca.pem", 1u << 16)), 1))
            .front()));
    maker_ = new StatementMaker(system_clock().utc_ms(), std::move(key), std::move(anchor));
  }
  static void TearDownTestSuite() {
    delete mine_;
    delete other_;
    delete maker_;
    delete simulator_;
  }

  static AcmeClient client() {
    return AcmeClient(simulator_->env("KEYWARD_DIRECTORY"), simulator_->env("KEYWARD_CA_FILE"),
                      must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)));
  }

  // A statement by a real TPM over `key_authorization`, made as the recipe says.
  static Bytes statement(const Recipe& recipe, const std::string& key_authorization) {
    Device& signing = recipe.ak_of_other_device ? *other_ : *mine_;
    const auto blob = must(signing.tpm->create_key(recipe.key));
    const auto key = must(signing.tpm->load(blob));
    const auto extra = crypto::sha256(view_of(key_authorization + recipe.key_authorization_suffix));
    const auto attestation = must(signing.tpm->certify(*key, *signing.ak, extra));
    const auto signature = must(agent::plain_signature(attestation.signature));
    agent::TpmStatementParts parts;
    parts.alg = signature.algorithm.cose_alg;
    parts.sig = signature.signature;
    parts.cert_info = attestation.attest;
    parts.pub_area = to_bytes(key->public_area());
    parts.x5c = recipe.chain_of_other_device ? other_->chain : mine_->chain;
    if (recipe.ak_certificate)
      parts.x5c = {maker_->ak_certificate(*recipe.ak_certificate, mine_->ak_key())};
    recipe.change(parts);
    return agent::build_attestation_object(parts);
  }

  static void expect_refused(const Recipe& recipe, const std::string& words) {
    auto acme = client();
    ASSERT_TRUE(acme.start().has_value());
    const auto csr_key =
        must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));  // never reached
    const auto result = enrol_device(
        acme, mine_->identifier, csr_key,
        [&](const std::string& key_authorization) { return statement(recipe, key_authorization); });
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().step, "challenge");
    EXPECT_EQ(result.error().status, 400);
    EXPECT_THAT(result.error().body,
                HasSubstr("urn:ietf:params:acme:error:badAttestationStatement"));
    EXPECT_THAT(result.error().body, HasSubstr(words));
  }

  static StatementSpec certificate_for_mine() {
    auto spec = StatementMaker::good();
    spec.ak.permanent_identifier = mine_->identifier;
    return spec;
  }

  static inline Simulator* simulator_ = nullptr;
  static inline Device* mine_ = nullptr;
  static inline Device* other_ = nullptr;
  static inline StatementMaker* maker_ = nullptr;
};

TEST_F(DeviceRefusal, AkOfAnotherTpm_SignatureIsNotByTheCertifiedAk) {
  Recipe recipe;
  recipe.ak_of_other_device = true;
  expect_refused(recipe, "not by the key in the AK certificate");
}

TEST_F(DeviceRefusal, IdentifierOfAnotherDevice) {
  Recipe recipe;
  recipe.ak_of_other_device = recipe.chain_of_other_device = true;
  expect_refused(recipe, "another device");
}

TEST_F(DeviceRefusal, WrongExtraData) {
  Recipe recipe;
  recipe.key_authorization_suffix = "x";
  expect_refused(recipe, "extraData");
}

TEST_F(DeviceRefusal, KeyThatIsNotFixedTpm) {
  Recipe recipe;
  recipe.key.fixed_tpm = false;
  expect_refused(recipe, "fixedTPM");
}

TEST_F(DeviceRefusal, RestrictedKey) {
  Recipe recipe;
  recipe.key.restricted = true;
  expect_refused(recipe, "restricted");
}

TEST_F(DeviceRefusal, Rsa1024) {
  Recipe recipe;
  recipe.key.type = hal::TpmKeyType::kRsa1024ForTests;
  expect_refused(recipe, "1024 bits");
}

TEST_F(DeviceRefusal, ChangedCertInfo) {
  Recipe recipe;
  recipe.change = [](agent::TpmStatementParts& parts) { parts.cert_info.back() ^= 1; };
  expect_refused(recipe, "signature over certInfo");
}

TEST_F(DeviceRefusal, ChangedPubArea) {
  Recipe recipe;
  recipe.change = [](agent::TpmStatementParts& parts) {
    parts.pub_area =
        to_bytes(must(mine_->tpm->load(must(mine_->tpm->create_key({}))))->public_area());
  };
  expect_refused(recipe, "certifies another key");
}

TEST_F(DeviceRefusal, AkCertificateOfAnUnknownCa) {
  Recipe recipe;
  recipe.ak_certificate = certificate_for_mine();
  recipe.ak_certificate->unknown_ca = true;
  expect_refused(recipe, "not among the configured trust anchors");
}

TEST_F(DeviceRefusal, AkCertificateExpired) {
  Recipe recipe;
  recipe.ak_certificate = certificate_for_mine();
  recipe.ak_certificate->ak.not_before_ms = system_clock().utc_ms() - 3 * kHourMs;
  recipe.ak_certificate->ak.not_after_ms = system_clock().utc_ms() - 2 * kHourMs;
  expect_refused(recipe, "expired");
}

TEST_F(DeviceRefusal, AkCertificateWithoutTheTcgEku) {
  Recipe recipe;
  recipe.ak_certificate = certificate_for_mine();
  recipe.ak_certificate->ak.usages = {"1.3.6.1.5.5.7.3.2"};
  expect_refused(recipe, "2.23.133.8.3");
}

TEST_F(DeviceRefusal, CsrWithAnotherKey_IsBadCsrAndTheOrderStaysReady) {
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  const auto other_key = must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  const auto result = enrol_device(
      acme, mine_->identifier, other_key,
      [&](const std::string& key_authorization) { return statement({}, key_authorization); });
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().step, "finalize");
  EXPECT_EQ(result.error().status, 400);
  EXPECT_THAT(result.error().body, HasSubstr("urn:ietf:params:acme:error:badCSR"));  // D-D13
  EXPECT_THAT(result.error().body, HasSubstr("attested"));
}

// The recipe itself is good: what is refused above is refused for the one thing changed.
TEST_F(DeviceRefusal, GoodStatementOfTheSameTpm_IsIssued) {
  auto acme = client();
  ASSERT_TRUE(acme.start().has_value());
  Recipe recipe;
  recipe.ak_certificate = certificate_for_mine();
  const auto blob = must(mine_->tpm->create_key({}));
  const auto key = must(mine_->tpm->load(blob));
  const auto public_key = *attest::parse_public_area(key->public_area())->key;
  struct Signer {
    hal::Tpm* tpm;
    hal::TpmObject* key;
  } signer{mine_->tpm.get(), key.get()};
  const auto csr = must(x509::build_csr(
      public_key, {{wire::IdentifierType::kPermanentIdentifier, mine_->identifier}},
      [](void* context, ByteView to_be_signed) -> Result<Bytes> {
        auto* s = static_cast<Signer*>(context);
        return s->tpm->sign_digest(*s->key, crypto::sha256(to_be_signed), 0x000B);
      },
      &signer));
  const auto result =
      enrol_device(acme, mine_->identifier, csr, [&](const std::string& key_authorization) {
        const auto attestation =
            must(mine_->tpm->certify(*key, *mine_->ak, crypto::sha256(view_of(key_authorization))));
        const auto signature = must(agent::plain_signature(attestation.signature));
        agent::TpmStatementParts parts;
        parts.alg = signature.algorithm.cose_alg;
        parts.sig = signature.signature;
        parts.cert_info = attestation.attest;
        parts.pub_area = to_bytes(key->public_area());
        parts.x5c = {maker_->ak_certificate(*recipe.ak_certificate, mine_->ak_key())};
        return agent::build_attestation_object(parts);
      });
  ASSERT_TRUE(result.has_value()) << result.error().step << " " << result.error().body;
  EXPECT_THAT(result->pem, HasSubstr("BEGIN CERTIFICATE"));
}

}  // namespace
}  // namespace keyward::test
