// The real keyward-attestation as attestation CA, with a TPM of swtpm_localca's as the device: what the
// signer is told and when, each kind of refusal as acme hears it, and roots imported while it runs.
#include <filesystem>
#include <mutex>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "firmware/attest/vendor_roots.h"
#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/operate/operator_file.h"
#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/ak_activate.h"
#include "firmware/wire/messages/ak_begin.h"
#include "firmware/wire/messages/grant_ak.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/statement/statement.h"
#include "tests/support/swtpm/swtpm.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"
#include "tests/support/tpm_rig/tpm_rig.h"

namespace keyward::attest {
namespace {

using test::EkKind;
using wire::TaskId;

constexpr std::int64_t kTurnMs = 10'000;  // far more than one look at the file takes
constexpr std::uint32_t kEkCertificateIndex = 0x01c00002;

// The signer's side. Never freed: the threads of a Server end with their process.
struct SignerSide {
  task::Server server;
  std::mutex mutex;
  std::vector<wire::GrantAk> grants;
};

class AttestationCaTaskTest : public ::testing::Test {
 protected:
  AttestationCaTaskTest() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-attest-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    const test::StatementMaker maker(system_clock().utc_ms());
    const auto pem = x509::to_pem("CERTIFICATE", maker.anchor().der);
    if (!replace_file(directory_ + "/ak.pem", view_of(pem), 0600)) ::abort();
  }
  ~AttestationCaTaskTest() override {
    task_.kill_now();
    if (HasFailure()) std::fputs(test::log_text(directory_ + "/log").c_str(), stderr);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void start(const std::string& table) {
    const std::string config = "state_dir = \"" + directory_ + "\"\nak_roots = [\"" + directory_ +
                               "/ak.pem\"]\n" + table +
                               "[appliance]\nbase_url = \"https://ca.example\"\n";
    ASSERT_TRUE(task_.start("keyward-attestation", TaskId::kAttestation, config,
                            {{TaskId::kAcme, true}, {TaskId::kSigner, false}},
                            directory_ + "/log"));
    ASSERT_TRUE(task_.wait_ready());
    attestation_.emplace(TaskId::kAttestation);
    attestation_->rebind(task_.take(TaskId::kAcme));
    auto* side = signer_ = test::immortal(std::make_unique<SignerSide>());
    side->server.on<wire::GrantAk>(TaskId::kAttestation, [side](const auto& grant) {
      const std::lock_guard lock(side->mutex);
      side->grants.push_back(grant);
      return task::Answer<wire::GrantAkReply>(wire::GrantAkReply{});
    });
    side->server.serve(TaskId::kAttestation, task_.take(TaskId::kSigner), 1);
  }
  std::string with_roots() const {
    return "[attestation_ca]\nenabled = true\nek_roots = [\"" + device_.manufacturer_root_file() +
           "\"]\n";
  }
  // Its answer, or "type code", or the failure's code.
  struct Begun {
    std::string code, session;
    Bytes blob, secret;
  };
  Begun begin(const test::TpmRig::Key& ak) {
    const auto issuer =
        *read_text_file(device_.manufacturer_issuer_file(), limits::kCertificateBytesMax);
    const std::vector<Bytes> chain = *x509::certificates_from_pem(issuer, 4);
    const auto certificate = rig_.read_nv(kEkCertificateIndex);
    if (!certificate) ::abort();
    json::Writer out;
    out.begin_object().member("ekCertificate", base64url_encode(*certificate));
    out.key("ekChain").begin_array();
    for (const auto& der : chain) out.string(base64url_encode(der));
    out.end_array().member("akPublic", base64url_encode(ak.area)).end_object();
    wire::AkBegin request;
    request.thumbprint = account_;
    request.payload = to_bytes(out.take());
    const auto answer = attestation_->call(request);
    if (!answer) return {answer.error().code, "", {}, {}};
    if (answer->problem) return {answer->problem->type + " " + answer->problem->code, "", {}, {}};
    const auto document = json::Document::parse(answer->answer_json);
    const auto root = document->root();
    return {"good", std::string(root.get("session").string()),
            *base64url_decode(root.get("credentialBlob").string()),
            *base64url_decode(root.get("secret").string())};
  }
  std::string activate(const std::string& session, ByteView secret) {
    json::Writer out;
    out.begin_object().member("session", session).member("secret", base64url_encode(secret));
    wire::AkActivate request;
    request.thumbprint = account_;
    request.payload = to_bytes(out.end_object().take());
    const auto answer = attestation_->call(request);
    if (!answer) return answer.error().code;
    if (!answer->problem) return answer->grant_expires_at_ms > 0 ? "good" : "no expiry";
    return answer->problem->type + " " + answer->problem->code;
  }

  const Digest256 account_ = crypto::sha256(view_of("account"));
  test::Swtpm device_{test::Swtpm::Kind::kManufactured};
  test::TpmRig rig_{device_.tcti()};
  std::string directory_;
  test::TaskProcess task_;
  std::optional<task::Peer> attestation_;
  SignerSide* signer_ = nullptr;
};

TEST_F(AttestationCaTaskTest, Activated_TheSignerHasTheGrantFirst) {
  start(with_roots());
  const auto ek = rig_.make_ek(EkKind::kRsa2048);
  const auto ak = rig_.make_ak();
  const auto begun = begin(ak);
  ASSERT_EQ(begun.code, "good");
  const auto secret = rig_.activate(ek, EkKind::kRsa2048, ak, begun.blob, begun.secret);
  ASSERT_TRUE(secret);
  EXPECT_EQ(activate(begun.session, Bytes(32, 7)), "badAttestationStatement ak.credential");
  EXPECT_EQ(activate(begun.session + "AA", *secret), "unauthorized session.forged");
  EXPECT_EQ(activate(begun.session, {}), "malformed payload.malformed");
  EXPECT_TRUE(signer_->grants.empty());
  EXPECT_EQ(activate(begun.session, *secret), "good");
  ASSERT_EQ(signer_->grants.size(), 1u);
  EXPECT_EQ(signer_->grants[0].thumbprint, account_);
  EXPECT_EQ(signer_->grants[0].session_sha256, crypto::sha256(view_of(begun.session)));
  EXPECT_EQ(signer_->grants[0].model, "swtpm");
}

TEST_F(AttestationCaTaskTest, OpenSession_OutlivesARestart) {
  start(with_roots());
  const auto ek = rig_.make_ek(EkKind::kRsa2048);
  const auto ak = rig_.make_ak();
  const auto begun = begin(ak);
  const auto secret = rig_.activate(ek, EkKind::kRsa2048, ak, begun.blob, begun.secret);
  ASSERT_TRUE(secret);
  task_.kill_now();
  start(with_roots());
  EXPECT_EQ(activate(begun.session, *secret), "good");
}

TEST_F(AttestationCaTaskTest, NotEnabled_IsNotServed) {
  start("");
  EXPECT_EQ(begin(rig_.make_ak()).code, "not-served");
  EXPECT_EQ(activate("x", Bytes(32, 7)), "not-served");
}

TEST_F(AttestationCaTaskTest, Policy_IsTheConfigurations) {
  start(with_roots() + "tpm_manufacturers = [\"IFX\"]\n");
  EXPECT_EQ(begin(rig_.make_ak()).code, "badAttestationStatement ek.manufacturer");
}

TEST_F(AttestationCaTaskTest, InventoryRequired_UnknownDeviceIsRefused) {
  start(with_roots() + "inventory = \"required\"\n");
  EXPECT_EQ(begin(rig_.make_ak()).code, "unauthorized device.unknown");
}

TEST_F(AttestationCaTaskTest, WrongKeysOfTheConfiguration_DoNotStart) {
  const auto starts = [&](const std::string& table) {
    test::TaskProcess task;
    const std::string config = "state_dir = \"" + directory_ + "\"\nak_roots = [\"" + directory_ +
                               "/ak.pem\"]\n[attestation_ca]\nenabled = true\n" + table +
                               "[appliance]\nbase_url = \"https://ca.example\"\n";
    return task.start("keyward-attestation", TaskId::kAttestation, config,
                      {{TaskId::kAcme, true}, {TaskId::kSigner, false}}, directory_ + "/log") &&
           task.wait_ready();
  };
  EXPECT_FALSE(starts("ek_time = \"yesterday\"\n"));
  EXPECT_FALSE(starts("inventory = \"maybe\"\n"));
  EXPECT_FALSE(starts("tpm_manufacturers = [\"Infineon\"]\n"));
  EXPECT_FALSE(starts("ek_roots = [\"/nowhere.pem\"]\n"));
}

TEST_F(AttestationCaTaskTest, RootsImportedWhileItRuns_AreNoticed) {
  start("[attestation_ca]\nenabled = true\n");
  const auto ak = rig_.make_ak();
  EXPECT_EQ(begin(ak).code, "badAttestationStatement ek.unknown-ca");
  const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  json::Writer manifest;
  manifest.begin_object().member("type", "keyward-vendor-roots").member_int("version", 1);
  manifest.member("date", "2026-11-01T00:00:00Z").key("certificates").begin_array();
  manifest.begin_object().member("vendor", "swtpm").member("use", "root");
  manifest.member("pem", *read_text_file(device_.manufacturer_root_file(), 16'384)).end_object();
  manifest.end_array().end_object();
  const auto bundle = sign_bundle(manifest.take(), key);
  ASSERT_TRUE(bundle) << bundle.error().what;
  const auto imported = import_bundle(
      *bundle, jose::Jwk::from_public_key(key.public_key())->canonical(), nullptr, false);
  ASSERT_TRUE(imported) << imported.error().what;
  auto folder = operate::OperatorDirectory::open(directory_, std::string(kRootsFolder));
  ASSERT_TRUE(folder);
  ASSERT_TRUE(folder->replace(std::string(kRootsFile), view_of(to_file(*imported))));
  const auto deadline = Deadline::after_ms(kTurnMs);
  std::string code;
  while ((code = begin(ak).code) != "good" && !deadline.passed()) ::usleep(50'000);
  EXPECT_EQ(code, "good");
}

}  // namespace
}  // namespace keyward::attest
