// What an admin task that was taken over may try with operators' orders, at the real signer: it can
// order nothing. After every attempt: its code, no new row, and certificates are issued as before.
// And the operators' own way: keywardctl, the inbox, two signatures.
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "firmware/operate/order.h"
#include "firmware/wire/messages/certificate_revoke.h"
#include "firmware/wire/messages/operator_order.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;
constexpr int kExitProtocol = 70;
constexpr std::int64_t kHourMs = 3'600'000;

std::string entry(const std::string& name, const crypto::PrivateKey& key,
                  const std::string& roles) {
  return R"({"name":")" + name + R"(","jwk":)" +
         jose::Jwk::from_public_key(key.public_key())->canonical() + R"(,"roles":[)" + roles + "]}";
}

class HostileOperator : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TempDir>();
    ann_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    bob_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEd25519);
    const std::string file = R"({"version":1,"unit":"unit7","operators":[)" +
                             entry("ann", *ann_, R"("revoke","ca","account","eab")") + "," +
                             entry("bob", *bob_, R"("revoke","ca")") +
                             R"(],"dual_control":["ca"]})";
    write_file(directory_->path("operators.json"), view_of(file));
    write_file(directory_->path("ann.pem"), ann_->to_pem()->view());
    write_file(directory_->path("bob.pem"), bob_->to_pem()->view());
    stage_ =
        std::make_unique<SignerStage>("operators = \"" + directory_->path("operators.json") + "\"");
    stage_->start();
  }
  static void TearDownTestSuite() {
    stage_.reset();
    directory_.reset();
  }
  void SetUp() override {
    ASSERT_TRUE(stage_->prove(client_, dns("a.example")));
    serial_ = issue();
    ASSERT_FALSE(serial_.empty());
  }
  void TearDown() override {
    EXPECT_EQ(stage_->signatures(), stage_->ledger().signatures_intended());
  }

  Bytes issue() {
    const auto made = stage_->call(TaskId::kAcme, client_.new_order({dns("a.example")}));
    if (!made) return {};
    const auto reply =
        stage_->call(TaskId::kAcme, client_.finalize(*made, make_csr(key_, {dns("a.example")})));
    code_ = reply ? "issued" : reply.error().code;
    return reply ? reply->serial : Bytes();
  }
  operate::OrderHead head(const std::string& order) const {
    operate::OrderHead out{order, "unit7", {}, system_clock().utc_ms() / 1'000 * 1'000, 0, ""};
    random_fill(out.id);
    out.expires_ms = out.issued_ms + kHourMs;
    return out;
  }
  std::string revocation() const { return "\"serials\":[\"" + hex_encode(serial_) + "\"]"; }
  std::string signed_by(const crypto::PrivateKey& key, const operate::OrderHead& head) const {
    const bool revokes = head.order == "revoke";
    return *operate::sign_order(key, operate::order_payload(head, revokes ? revocation() : ""));
  }
  std::string give(const std::string& jws) {
    const auto reply = stage_->call(TaskId::kAdmin, wire::OperatorOrder{to_bytes(jws)});
    return reply ? "done" : reply.error().code;
  }
  // Refused with that code; the ledger has no new row, and issuing goes on.
  void refused(const std::string& code, const std::string& jws) {
    const auto rows = stage_->ledger().rows;
    EXPECT_EQ(give(jws), code);
    EXPECT_EQ(stage_->ledger().rows, rows);
    EXPECT_TRUE(stage_->alive()) << stage_->log();
    EXPECT_FALSE(issue().empty()) << code_;
  }
  CommandResult ctl(const std::string& arguments) const {
    std::vector<std::string> argv{std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl"};
    std::istringstream words(arguments);
    for (std::string word; words >> word;) argv.push_back(word);
    return run_command(argv);
  }
  static std::string path(const std::string& name) { return directory_->path(name); }

  static std::unique_ptr<TempDir> directory_;
  static std::unique_ptr<SignerStage> stage_;
  static std::optional<crypto::PrivateKey> ann_, bob_;
  TestClient client_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  Bytes serial_;
  std::string code_;
};
std::unique_ptr<TempDir> HostileOperator::directory_;
std::unique_ptr<SignerStage> HostileOperator::stage_;
std::optional<crypto::PrivateKey> HostileOperator::ann_, HostileOperator::bob_;

TEST_F(HostileOperator, Unsigned_OrByAStranger_Refused) {
  const auto good = signed_by(*ann_, head("revoke"));
  const auto document = json::Document::parse(good);
  const std::string payload(document->root().get("payload").string());
  refused("order-unsigned", R"({"payload":")" + payload + R"(","signatures":[]})");
  refused("order-malformed", R"({"payload":")" + payload + R"("})");
  const auto stranger = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  refused("order-key-unknown", signed_by(stranger, head("revoke")));
}

TEST_F(HostileOperator, Malformed_Refused) {
  refused("order-malformed", "");
  refused("order-malformed", "not json");
  refused("order-malformed", R"({"payload":1,"protected":"","signature":""})");
  refused("order-payload", *operate::sign_order(*ann_, "{}"));
  refused("order-payload", *operate::sign_order(*ann_, operate::order_payload(head("revoke"), "")));
  refused("order-unknown", signed_by(*ann_, head("make-me-ca")));
}

TEST_F(HostileOperator, PayloadSwapped_SignatureRefused) {
  const auto good = signed_by(*ann_, head("revoke"));
  const auto other = signed_by(*ann_, head("revoke"));
  const auto text_in = [](const std::string& jws, const char* member) {
    const auto document = json::Document::parse(jws);
    return std::string(document->root().get(member).string());
  };
  auto swapped = good;
  const auto old = text_in(good, "payload");
  swapped.replace(swapped.find(old), old.size(), text_in(other, "payload"));
  refused("order-signature", swapped);
}

TEST_F(HostileOperator, AnotherUnits_ExpiredOrFuture_Refused) {
  auto wrong = head("revoke");
  wrong.unit = "unit8";
  refused("order-unit", signed_by(*ann_, wrong));
  auto old = head("revoke");
  old.issued_ms -= 2 * kHourMs;
  old.expires_ms -= 2 * kHourMs;
  refused("order-expired", signed_by(*ann_, old));
  auto early = head("revoke");
  early.issued_ms += kHourMs;
  early.expires_ms += kHourMs;
  refused("order-future", signed_by(*ann_, early));
  auto endless = head("revoke");
  endless.expires_ms += 30 * 24 * kHourMs;
  refused("order-window", signed_by(*ann_, endless));
}

TEST_F(HostileOperator, Replayed_Refused) {
  const auto order = signed_by(*ann_, head("revoke"));
  EXPECT_EQ(give(order), "done");
  refused("order-replayed", order);
  stage_->stop();
  stage_->start();
  refused("order-replayed", order);
}

TEST_F(HostileOperator, RoleMissing_Refused) {
  const auto account = head("account-revoke");
  refused("order-role",
          *operate::sign_order(
              *bob_,
              operate::order_payload(
                  account, R"("thumbprint":")" + base64url_encode(client_.thumbprint()) + "\"")));
}

TEST_F(HostileOperator, OneWhereTwoAreNeeded_OrOneTwice_Refused) {
  const auto one = signed_by(*ann_, head("resume-issuance"));
  refused("order-dual-control", one);
  const auto document = json::Document::parse(one);
  const auto member = [&](const char* name) {
    return std::string(document->root().get(name).string());
  };
  const std::string signature = R"({"protected":")" + member("protected") + R"(","signature":")" +
                                member("signature") + R"("})";
  refused("order-same-operator", R"({"payload":")" + member("payload") + R"(","signatures":[)" +
                                     signature + "," + signature + "]}");
  const auto stranger = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  refused("order-key-unknown", *operate::cosign_order(stranger, one));
}

TEST_F(HostileOperator, AnotherTasksMessage_IsFatal) {
  stage_->send(TaskId::kAdmin, wire::encode_frame(stage_->next_id(), wire::CertificateRevoke{}));
  EXPECT_EQ(stage_->wait_exit(), kExitProtocol);
  stage_->start();
  stage_->send(TaskId::kAcme,
               wire::encode_frame(stage_->next_id(),
                                  wire::OperatorOrder{to_bytes(signed_by(*ann_, head("revoke")))}));
  EXPECT_EQ(stage_->wait_exit(), kExitProtocol);
  stage_->start();
  EXPECT_FALSE(issue().empty());
}

// ---- the operators' own way

TEST_F(HostileOperator, Keywardctl_Revoke_StandsInTheLedger) {
  const auto revoked = stage_->ledger().revoked;
  const std::string command = "revoke --operators " + path("operators.json") + " --key " +
                              path("ann.pem") + " --serial " + hex_encode(serial_) +
                              " --reason-code superseded --reason lost --state " +
                              stage_->state_directory();
  const auto done = ctl(command);
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_NE(done.output.find("1 certificates revoked"), std::string::npos) << done.output;
  EXPECT_EQ(stage_->ledger().revoked, revoked + 1);
  const auto again = ctl(command);
  EXPECT_EQ(again.status, 1);
  EXPECT_NE(again.output.find("revocation-already"), std::string::npos) << again.output;
}

TEST_F(HostileOperator, Keywardctl_HoldAndResumeByTwo_IsSeenInTheState) {
  const std::string from = "order sign --operators " + path("operators.json") + " --key ";
  const std::string send = "order send --state " + stage_->state_directory() + " ";
  EXPECT_EQ(
      ctl(from + path("bob.pem") + " hold-issuance --reason suspicion --out " + path("hold.jws"))
          .status,
      0);
  EXPECT_EQ(ctl(send + path("hold.jws")).status, 0);
  EXPECT_TRUE(stage_->wait_state("degraded"));
  EXPECT_TRUE(issue().empty());
  EXPECT_EQ(code_, "issuance-held");
  EXPECT_EQ(ctl(from + path("ann.pem") + " resume-issuance --out " + path("resume.jws")).status, 0);
  const auto one = ctl(send + path("resume.jws"));
  EXPECT_EQ(one.status, 1);
  EXPECT_NE(one.output.find("order-dual-control"), std::string::npos) << one.output;
  EXPECT_EQ(ctl("order cosign " + path("resume.jws") + " --key " + path("bob.pem")).status, 0);
  const auto shown =
      ctl("order show " + path("resume.jws") + " --operators " + path("operators.json"));
  EXPECT_EQ(shown.status, 0);
  EXPECT_NE(shown.output.find("good: signed by ann, bob"), std::string::npos) << shown.output;
  EXPECT_EQ(ctl(send + path("resume.jws")).status, 0);
  EXPECT_TRUE(stage_->wait_state("operational"));
  EXPECT_FALSE(issue().empty());
}

TEST_F(HostileOperator, Keywardctl_OperatorKeyUnderAPassphrase_Signs) {
  write_file(path("words"), view_of("correct horse\n"));
  write_file(path("wrong"), view_of("wrong horses\n"));
  const auto made =
      ctl("operator-key new " + path("new.pem") + " --passphrase-file " + path("words"));
  EXPECT_EQ(made.status, 0) << made.output;
  const auto text = read_text_file(path("new.pem"), 16'384);
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("ENCRYPTED PRIVATE KEY"), std::string::npos);
  const std::string sign = "order sign hold-issuance --unit unit7 --key " + path("new.pem") +
                           " --out " + path("new.jws") + " --passphrase-file ";
  EXPECT_EQ(ctl(sign + path("wrong")).status, 78);
  EXPECT_EQ(ctl(sign + path("words")).status, 0);
  const auto shown =
      ctl("order show " + path("new.jws") + " --operators " + path("operators.json"));
  EXPECT_EQ(shown.status, 1);
  EXPECT_NE(shown.output.find("order-key-unknown"), std::string::npos) << shown.output;
  EXPECT_EQ(ctl("operator-key new " + path("new.pem") + " --no-passphrase").status, 1);
}

TEST_F(HostileOperator, Inbox_OfAnything_AnswersAndStaysEmpty) {
  const auto rows = stage_->ledger().rows;
  const std::string inbox = stage_->state_directory() + "/orders/inbox/",
                    done = stage_->state_directory() + "/orders/done/";
  write_file(inbox + "junk.jws", view_of("junk"));
  write_file(inbox + "large.jws", Bytes(limits::kOperatorOrderBytesMax + 1, ' '));
  ASSERT_EQ(::symlink("/etc/passwd", (inbox + "link.jws").c_str()), 0);
  const auto deadline = Deadline::after_ms(30'000);
  for (const std::string name : {"junk", "large", "link"}) {
    while (!file_exists(done + name + ".json") && !deadline.passed()) ::usleep(50'000);
    const auto answer = read_text_file(done + name + ".json", 4'096).value_or("");
    EXPECT_NE(answer.find("\"done\":false"), std::string::npos) << name << answer;
    while (file_exists(inbox + name + ".jws") && !deadline.passed()) ::usleep(50'000);
    EXPECT_FALSE(file_exists(inbox + name + ".jws"));
  }
  EXPECT_EQ(stage_->ledger().rows, rows);
}

}  // namespace
}  // namespace keyward::test
