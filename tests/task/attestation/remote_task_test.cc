// The real keyward-attestation and remote-attest-01, spoken to as supervisor, acme and signer: the
// nonce, the grant before "valid", each way in which evidence comes, and each refusal.
#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/rats/cmw.h"
#include "firmware/rats/jwe.h"
#include "firmware/rats/jwt.h"
#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/evidence_key_find.h"
#include "firmware/wire/messages/evidence_key_get.h"
#include "firmware/wire/messages/grant_remote.h"
#include "firmware/wire/messages/key_seal.h"
#include "firmware/wire/messages/key_unseal.h"
#include "firmware/wire/messages/remote_verify.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/quote/quote.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"

namespace keyward::attest {
namespace {

using wire::TaskId;

constexpr std::int64_t kHourMs = 3'600'000;

// Never freed: the threads of a Server end with their process.
struct SignerSide {
  task::Server server;
  std::mutex mutex;
  std::vector<wire::GrantRemote> grants;
  std::atomic<bool> revoked = false;  // whichever attestation key it was
};

struct PlatformSide {
  task::Server server;
  std::atomic<int> sealed = 0, unsealed = 0;
  std::atomic<bool> is_away = false;
};

class RemoteTask : public ::testing::Test {
 protected:
  RemoteTask() : now_ms_(system_clock().utc_ms()), quotes_(now_ms_) {
    auto name = (std::filesystem::temp_directory_path() / "keyward-remote-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    write("ak.pem", x509::to_pem("CERTIFICATE", quotes_.anchor().der));
    write("verifier.jwk", jose::Jwk::from_public_key(verifier_.public_key())->canonical());
    const auto record = quotes_.record({});
    const auto& values = record.pcrs.at(appraise::Bank::kSha256);
    write("boot.toml",
          "name = \"boot\"\nversion = \"1\"\nevidence = [\"tpm-quote\"]\nclaims_hint = "
          "[\"measurements\"]\n[tpm]\nak_roots = [\"ak.pem\"]\n[[tpm.pcr_set]]\nname = "
          "\"good\"\npcrs = { 4 = [\"" +
              hex_encode(values.at(4)) + "\"] }\n");
    write("relay.toml",
          "name = \"relay\"\nversion = \"1\"\nevidence = [\"ear\"]\nbind = [\"nonce\"]\nrelay = "
          "\"other\"\nrelay_media_types = [\"application/x\"]\n[ear]\n[[ear.verifier]]\nname = "
          "\"other\"\ndeveloper = \"https://v.example\"\nkeys = [\"verifier.jwk\"]\n");
  }
  ~RemoteTask() override {
    task_.kill_now();
    if (HasFailure()) std::fputs(test::log_text(directory_ + "/log").c_str(), stderr);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(replace_file(directory_ + "/" + name, view_of(text), 0600));
  }
  std::string file(const std::string& name) const { return "\"" + directory_ + "/" + name + "\""; }
  // With a TPM beside the task that seals, keys in files are not allowed.
  void start(bool is_sealed = false) {
    const std::string config = "state_dir = \"" + directory_ + "\"\nak_roots = [" + file("ak.pem") +
                               "]\nevidence_key_unsealed = " + (is_sealed ? "false" : "true") +
                               "\n[policies]\n\"*/measured_boot\" = " + file("boot.toml") +
                               "\n\"laptop/os\" = " + file("relay.toml") +
                               "\n[appliance]\nbase_url = \"https://ca.example\"\n";
    std::vector<wire::PeerEnd> peers{{TaskId::kAcme, true}, {TaskId::kSigner, false}};
    if (is_sealed) peers.push_back({TaskId::kPlatform, false});
    ASSERT_TRUE(task_.start("keyward-attestation", TaskId::kAttestation, config, peers,
                            directory_ + "/log"));
    ASSERT_TRUE(task_.wait_ready());
    attestation_.emplace(TaskId::kAttestation);
    attestation_->rebind(task_.take(TaskId::kAcme));
    auto* side = signer_ = test::immortal(std::make_unique<SignerSide>());
    side->server.on<wire::GrantRemote>(TaskId::kAttestation, [side](const auto& grant) {
      const std::lock_guard lock(side->mutex);
      if (side->revoked && grant.ak_serial)
        return task::Answer<wire::GrantRemoteReply>(
            task::refuse(wire::FailureKind::kRefused, "ak-revoked", "it was revoked"));
      side->grants.push_back(grant);
      return task::Answer<wire::GrantRemoteReply>(wire::GrantRemoteReply{});
    });
    side->server.on<wire::EvidenceKeyFind>(TaskId::kAttestation, [](const auto&) {
      return task::Answer<wire::EvidenceKeyFindReply>(wire::EvidenceKeyFindReply{});
    });
    side->server.serve(TaskId::kAttestation, task_.take(TaskId::kSigner), 1);
    if (is_sealed) seal();
  }
  // A make-believe TPM: what it seals is the secret with every bit turned.
  void seal() {
    auto* side = platform_ = test::immortal(std::make_unique<PlatformSide>());
    const auto turned = [](Bytes octets) {
      for (auto& octet : octets) octet = static_cast<std::uint8_t>(~octet);
      return octets;
    };
    side->server.on<wire::KeySeal>(TaskId::kAttestation, [=](const wire::KeySeal& request) {
      side->sealed += 1;
      return task::Answer<wire::KeySealReply>(wire::KeySealReply{turned(request.secret)});
    });
    side->server.on<wire::KeyUnseal>(
        TaskId::kAttestation,
        [=](const wire::KeyUnseal& request) -> task::Answer<wire::KeyUnsealReply> {
          side->unsealed += 1;
          if (side->is_away)
            return task::refuse(wire::FailureKind::kUnavailable, "tpm-away", "not now");
          return wire::KeyUnsealReply{turned(request.sealed)};
        });
    side->server.serve(TaskId::kAttestation, task_.take(TaskId::kPlatform), 1);
  }
  std::string key_file(const std::string& name = "evidence-key.json") const {
    return read_text_file(directory_ + "/" + name, 16'384).value_or("");
  }
  // A payload that is encrypted to the key that the last challenge showed.
  std::string encrypted(const std::string& text) {
    wire::EvidenceKeyGet get;
    get.kid = minted_.evidence_kid.value_or("");
    const auto key = attestation_->call(get);
    const auto document = json::Document::parse(key && key->jwk ? *key->jwk : "");
    EXPECT_TRUE(document);
    if (!document) return "";
    rats::JweMake how;
    how.kid = get.kid;
    return R"({"jwe":")" +
           *rats::make_jwe(jose::Jwk::from_json(document->root())->key(), view_of(text), how) +
           "\"}";
  }
  wire::RemoteVerify challenge(const std::string& hint, const std::string& profile = "laptop") {
    wire::DeviceTokenMint mint;
    mint.thumbprint.fill(0x5a);
    mint.identifier = {wire::IdentifierType::kRemoteAttestation, hint};
    mint.ticket = "ticket-1";
    mint.expires_at_ms = now_ms_ + 2 * kHourMs;
    mint.method = wire::ValidationMethod::kRemoteAttest01;
    mint.profile = profile;
    const auto minted = attestation_->call(mint);
    EXPECT_TRUE(minted) << minted.error().code;
    if (minted) minted_ = *minted;
    wire::RemoteVerify out;
    out.thumbprint = mint.thumbprint;
    out.identifier = mint.identifier;
    out.profile = profile;
    out.ticket = mint.ticket;
    out.expires_at_ms = mint.expires_at_ms;
    out.token = minted_.token;
    return out;
  }
  std::string authorization(const wire::RemoteVerify& question) const {
    return jose::key_authorization(question.token, question.thumbprint);
  }
  std::string quote(const wire::RemoteVerify& question, test::QuoteSpec spec = {}) const {
    if (spec.extra_data.empty())
      spec.extra_data = to_bytes(crypto::sha256(view_of(authorization(question))));
    return rats::write_json_record(appraise::kTpmQuoteMediaType,
                                   appraise::write_quote_record(quotes_.record(spec)));
  }
  // "good", "relay", the problem's "type code", or the failure's code.
  std::string ask(const wire::RemoteVerify& question) {
    const auto answer = attestation_->call(question);
    if (!answer) return answer.error().code;
    reply_ = *answer;
    if (answer->relay) return "relay";
    return answer->problem ? answer->problem->type + " " + answer->problem->code : "good";
  }
  std::string answer(wire::RemoteVerify question, const std::string& payload) {
    question.payload = to_bytes(payload);
    return ask(question);
  }

  std::int64_t now_ms_;
  test::QuoteMaker quotes_;
  crypto::PrivateKey verifier_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::string directory_;
  test::TaskProcess task_;
  std::optional<task::Peer> attestation_;
  SignerSide* signer_ = nullptr;
  PlatformSide* platform_ = nullptr;
  wire::DeviceTokenMintReply minted_;
  wire::RemoteVerifyReply reply_;
};

TEST_F(RemoteTask, GoodQuote_TheSignerHasTheGrantForThisOrderProfileAndDevice) {
  start();
  const auto question = challenge("measured_boot");
  EXPECT_THAT(minted_.claims_hint, ::testing::ElementsAre("measurements"));
  EXPECT_EQ(answer(question, quote(question)), "good");
  ASSERT_EQ(signer_->grants.size(), 1u);
  const auto& grant = signer_->grants[0];
  EXPECT_EQ(grant.hint, "measured_boot");
  EXPECT_EQ(grant.profile, "laptop");
  EXPECT_EQ(grant.policy, "boot/1");
  EXPECT_EQ(grant.ticket, "ticket-1");
  ASSERT_EQ(grant.devices.size(), 1u);
  EXPECT_EQ(grant.devices[0].value, "DEVICE-1");
  EXPECT_EQ(answer(question, R"({"cmw":)" + quote(question) + "}"), "good");
}

TEST_F(RemoteTask, EachRefusal_LeavesTheTaskByTypeAndCode_AndGrantsNothing) {
  start();
  const auto question = challenge("measured_boot");
  auto changed = test::QuoteSpec{};
  changed.log.events[3] = {4, 0x0000000D, "grub_cmd: linux /other", "linux /other"};
  EXPECT_EQ(answer(question, quote(question, changed)), "badAttestationStatement pcr.value");
  EXPECT_THAT(reply_.problem->detail, ::testing::HasSubstr("PCR 4 (sha256)"));
  auto stale = test::QuoteSpec{};
  stale.extra_data = Bytes(32, 1);
  EXPECT_EQ(answer(question, quote(question, stale)), "badAttestationStatement quote.extra-data");
  EXPECT_EQ(answer(question, R"(["application/eat+jwt","eA"])"),
            "badAttestationStatement evidence.kind");
  EXPECT_THAT(answer(question, R"(["no media type","eA"])"),
              ::testing::StartsWith("malformed cmw."));
  EXPECT_THAT(answer(question, "{}"), ::testing::StartsWith("malformed "));
  auto other = question;
  other.ticket = "ticket-2";
  EXPECT_EQ(answer(other, quote(question)), "challenge-token-forged");
  other = question;
  other.identifier.value = "os";
  EXPECT_EQ(answer(other, quote(question)), "challenge-token-forged");
  EXPECT_TRUE(signer_->grants.empty());
}

TEST_F(RemoteTask, AttestationKeyRevoked_TheQuoteIsRefused) {
  start();
  const auto question = challenge("measured_boot");
  EXPECT_EQ(answer(question, quote(question)), "good");
  ASSERT_EQ(signer_->grants.size(), 1u);
  ASSERT_TRUE(signer_->grants[0].ak_serial);
  signer_->revoked = true;
  EXPECT_EQ(answer(question, quote(question)), "badAttestationStatement ak.revoked");
  EXPECT_EQ(signer_->grants.size(), 1u);
}

TEST_F(RemoteTask, HintWithoutPolicy_IsNotServed) {
  start();
  wire::DeviceTokenMint mint;
  mint.identifier = {wire::IdentifierType::kRemoteAttestation, "fido2"};
  mint.ticket = "ticket-1";
  mint.expires_at_ms = now_ms_ + kHourMs;
  mint.method = wire::ValidationMethod::kRemoteAttest01;
  mint.profile = "laptop";
  const auto minted = attestation_->call(mint);
  ASSERT_FALSE(minted);
  EXPECT_EQ(minted.error().code, "hint-not-served");
}

TEST_F(RemoteTask, EncryptedEvidence_IsOpenedAlsoAfterARestart) {
  start();
  auto question = challenge("measured_boot");
  ASSERT_TRUE(minted_.evidence_kid);
  wire::EvidenceKeyGet get;
  get.kid = *minted_.evidence_kid;
  const auto key = attestation_->call(get);
  ASSERT_TRUE(key);
  ASSERT_TRUE(key->jwk);
  const auto document = json::Document::parse(*key->jwk);
  ASSERT_TRUE(document) << *key->jwk;
  const auto jwk = jose::Jwk::from_json(document->root());
  ASSERT_TRUE(jwk);
  EXPECT_EQ(jwk->thumbprint_text(), get.kid);
  rats::JweMake how;
  how.kid = get.kid;
  how.cty = "cmw+json";
  const auto encrypted = [&](const std::string& text) {
    return R"({"jwe":")" + *rats::make_jwe(jwk->key(), view_of(text), how) + "\"}";
  };
  const auto payload = encrypted(quote(question));
  EXPECT_EQ(answer(question, payload), "good");
  auto spoiled = payload;
  spoiled[spoiled.size() - 8] = spoiled[spoiled.size() - 8] == 'A' ? 'B' : 'A';
  EXPECT_EQ(answer(question, spoiled), "badAttestationStatement jwe.decrypt");
  get.kid = "unknown";
  EXPECT_FALSE(attestation_->call(get)->jwk);
  task_.kill_now();
  start();
  EXPECT_EQ(answer(question, payload), "good");
}

TEST_F(RemoteTask, SealedEvidenceKey_IsInNoFileAndOpensAfterARestart) {
  start(true);
  const auto question = challenge("measured_boot");
  const auto kid = minted_.evidence_kid;
  ASSERT_TRUE(kid);
  EXPECT_EQ(platform_->sealed, 1);
  EXPECT_THAT(key_file(), ::testing::HasSubstr(R"("protection":"tpm")"));
  const auto payload = encrypted(quote(question));
  EXPECT_EQ(answer(question, payload), "good");
  task_.kill_now();
  start(true);
  EXPECT_EQ(answer(question, payload), "good");
  EXPECT_EQ(platform_->sealed, 0);
  EXPECT_GE(platform_->unsealed, 1);
  EXPECT_EQ(challenge("measured_boot").payload.size(), 0u);
  EXPECT_EQ(minted_.evidence_kid, kid);
}

TEST_F(RemoteTask, SealingTpmAway_NoVerdictAndNoOtherKey) {
  start(true);
  const auto question = challenge("measured_boot");
  const auto payload = encrypted(quote(question));
  const auto before = key_file();
  task_.kill_now();
  start(true);
  platform_->is_away = true;
  EXPECT_EQ(answer(question, payload), "evidence-key-away");
  static_cast<void>(challenge("measured_boot"));
  EXPECT_FALSE(minted_.evidence_kid);  // evidence in the clear is taken meanwhile
  EXPECT_EQ(answer(question, quote(question)), "good");
  EXPECT_EQ(key_file(), before);
}

TEST_F(RemoteTask, EvidenceKeyInAFile_IsNotTakenWhereItMustBeSealed) {
  start();
  static_cast<void>(challenge("measured_boot"));
  EXPECT_THAT(key_file(), ::testing::HasSubstr(R"("protection":"file")"));
  task_.kill_now();
  start(true);
  static_cast<void>(challenge("measured_boot"));
  EXPECT_FALSE(minted_.evidence_kid);
}

TEST_F(RemoteTask, EvidenceKeyWhoseTimeIsOver_IsReplacedAndStillOpens) {
  start(true);
  const auto question = challenge("measured_boot");
  const auto old_kid = minted_.evidence_kid;
  const auto payload = encrypted(quote(question));
  task_.kill_now();
  auto text = key_file();
  const auto begin = text.find(R"("made_ms":)") + 10;
  text.replace(begin, text.find(',', begin) - begin, std::to_string(now_ms_ - 91 * 24 * kHourMs));
  write("evidence-key.json", text);
  start(true);
  const auto next = challenge("measured_boot");
  ASSERT_TRUE(minted_.evidence_kid);
  EXPECT_NE(minted_.evidence_kid, old_kid);
  EXPECT_EQ(platform_->sealed, 1);
  EXPECT_EQ(key_file("evidence-key.previous.json"), text);
  EXPECT_EQ(answer(question, payload), "good");  // from before
  EXPECT_EQ(answer(next, encrypted(quote(next))), "good");
  task_.kill_now();
  start(true);
  EXPECT_EQ(answer(question, payload), "good");
}

TEST_F(RemoteTask, Relay_FirstAsksTheOtherVerifierThenJudgesItsResult) {
  start();
  auto question = challenge("os");
  question.payload = to_bytes(rats::write_json_record("application/x", view_of("evidence")));
  EXPECT_EQ(ask(question), "relay");
  EXPECT_EQ(reply_.relay->verifier, "other");
  EXPECT_EQ(reply_.relay->nonce, question.token);
  EXPECT_EQ(text_of(reply_.relay->evidence), "evidence");
  EXPECT_TRUE(signer_->grants.empty());
  const auto result = [&](const std::string& status) {
    return to_bytes(*rats::make_compact(
        verifier_, R"({"eat_profile":"tag:ietf.org,2026:rats/ear#03","iat":)" +
                       std::to_string(now_ms_ / 1'000) +
                       R"(,"ear_verifier_id":{"developer":"https://v.example","build":"1"},)" +
                       R"("eat_nonce":")" + question.token +
                       R"(","submods":{"host":{"ear_status":")" + status + R"("}}})"));
  };
  question.relayed = result("warning");
  EXPECT_EQ(ask(question), "badAttestationStatement ear.tier");
  question.relayed = result("affirming");
  EXPECT_EQ(ask(question), "good");
  EXPECT_EQ(signer_->grants.size(), 1u);
}

}  // namespace
}  // namespace keyward::attest
