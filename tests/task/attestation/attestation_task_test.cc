// The real keyward-attestation, spoken to as supervisor, acme and signer: what the signer is told
// and when, and each refusal as acme hears it.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <optional>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/inventory/devices.h"
#include "firmware/jose/jwk.h"
#include "firmware/operate/operator_file.h"
#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/authority_verify.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"
#include "firmware/wire/messages/grant_account.h"
#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/grant_device.h"
#include "firmware/x509/der.h"
#include "hal/base/file.h"
#include "tests/support/authority/authority.h"
#include "tests/support/eab/eab.h"
#include "tests/support/statement/formats.h"
#include "tests/support/statement/statement.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"

namespace keyward::attest {
namespace {

using wire::IdentifierType;
using wire::TaskId;
using wire::ValidationMethod;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kTurnMs = 10'000;  // far more than one look at the file takes

// The signer's side. Never freed: the threads of a Server end with their process.
struct SignerSide {
  task::Server server;
  std::mutex mutex;
  std::condition_variable came;
  std::vector<wire::GrantAccount> accounts;
  std::vector<wire::GrantAuthority> authorities;
  std::vector<wire::GrantDevice> devices;
  std::atomic<bool> revoked = false;  // whichever attestation key it was

  template <class Grant>
  void take(std::vector<Grant>& into, const Grant& grant) {
    const std::lock_guard lock(mutex);
    into.push_back(grant);
    came.notify_all();
  }
};

Digest256 filled(std::uint8_t value) {
  Digest256 out{};
  out.fill(value);
  return out;
}

class AttestationTaskTest : public ::testing::Test {
 protected:
  AttestationTaskTest() : now_ms_(system_clock().utc_ms()), maker_(now_ms_), authority_(now_ms_) {
    auto name = (std::filesystem::temp_directory_path() / "keyward-attest-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    write("ak.pem", x509::to_pem("CERTIFICATE", maker_.anchor().der));
    write("roots.pem", authority_.root_pem());
    write("chain.pem", authority_.chain_pem());
  }
  ~AttestationTaskTest() override {
    task_.kill_now();
    if (HasFailure()) std::fputs(test::log_text(directory_ + "/log").c_str(), stderr);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(replace_file(directory_ + "/" + name, view_of(text), 0600));
  }
  std::string roots() const { return "authority_roots = [\"" + directory_ + "/roots.pem\"]\n"; }
  std::string files() const {
    return "authority_files = [\"" + std::string(test::kX5u) + "=" + directory_ + "/chain.pem\"]\n";
  }
  void start(const std::string& more = "") {
    const std::string config = "state_dir = \"" + directory_ + "\"\nak_roots = [\"" + directory_ +
                               "/ak.pem\"]\n" + more +
                               "[appliance]\nbase_url = \"https://ca.example\"\n";
    ASSERT_TRUE(task_.start("keyward-attestation", TaskId::kAttestation, config,
                            {{TaskId::kAcme, true}, {TaskId::kSigner, false}},
                            directory_ + "/log"));
    ASSERT_TRUE(task_.wait_ready());
    attestation_.emplace(TaskId::kAttestation);
    attestation_->rebind(task_.take(TaskId::kAcme));
    signer_end_ = task_.take(TaskId::kSigner);
    auto* side = signer_ = test::immortal(std::make_unique<SignerSide>());
    side->server.on<wire::GrantAccount>(TaskId::kAttestation, [side](const auto& grant) {
      side->take(side->accounts, grant);
      return task::Answer<wire::GrantAccountReply>(wire::GrantAccountReply{});
    });
    side->server.on<wire::GrantAuthority>(TaskId::kAttestation, [side](const auto& grant) {
      side->take(side->authorities, grant);
      return task::Answer<wire::GrantAuthorityReply>(wire::GrantAuthorityReply{});
    });
    side->server.on<wire::GrantDevice>(TaskId::kAttestation, [side](const auto& grant) {
      if (side->revoked && grant.ak_serial)
        return task::Answer<wire::GrantDeviceReply>(
            task::refuse(wire::FailureKind::kRefused, "ak-revoked", "it was revoked"));
      side->take(side->devices, grant);
      return task::Answer<wire::GrantDeviceReply>(wire::GrantDeviceReply{});
    });
  }
  // What came so far. The order is the task's; the lock is for those who cannot see through it.
  template <class Grant>
  std::vector<Grant> came(const std::vector<Grant>& of) const {
    const std::lock_guard lock(signer_->mutex);
    return of;
  }
  std::vector<wire::GrantAccount> accounts() const { return came(signer_->accounts); }
  std::vector<wire::GrantAuthority> authorities() const { return came(signer_->authorities); }
  std::vector<wire::GrantDevice> devices() const { return came(signer_->devices); }
  void start_signer() { signer_->server.serve(TaskId::kAttestation, std::move(signer_end_), 1); }

  void save(const eab::CredentialBook& book) {
    auto folder = operate::OperatorDirectory::open(directory_, std::string(eab::kFolder));
    ASSERT_TRUE(folder);
    ASSERT_TRUE(folder->replace(std::string(eab::kCredentialsFile), book.to_lines().view()));
  }
  // "good", the problem's "type code", or the failure's code.
  template <class Request>
  std::string ask(const Request& request) {
    const auto answer = attestation_->call(request);
    if (!answer) return answer.error().code;
    if (!answer->problem) return "good";
    return answer->problem->type + " " + answer->problem->code;
  }
  // Waits for the signer's n-th account grant.
  std::optional<wire::GrantAccount> account_grant(std::size_t n) {
    std::unique_lock lock(signer_->mutex);
    const bool came = signer_->came.wait_for(lock, std::chrono::milliseconds(kTurnMs),
                                             [&] { return signer_->accounts.size() >= n; });
    return came ? std::optional(signer_->accounts[n - 1]) : std::nullopt;
  }

  wire::AuthorityVerify authority_question(const test::AuthorityTokenSpec& spec = {}) {
    wire::DeviceTokenMint mint;
    mint.thumbprint = filled(0x5a);
    mint.identifier = {IdentifierType::kTnAuthList, std::string(test::kTnAuthList)};
    mint.ticket = "ticket-1";
    mint.expires_at_ms = now_ms_ + 2 * kHourMs;
    mint.method = ValidationMethod::kTkauth01;
    const auto minted = attestation_->call(mint);
    EXPECT_TRUE(minted) << minted.error().code;
    wire::AuthorityVerify out;
    out.thumbprint = mint.thumbprint;
    out.identifier = mint.identifier;
    out.ticket = mint.ticket;
    out.expires_at_ms = mint.expires_at_ms;
    out.token = minted ? minted->token : "";
    auto token = spec;
    token.thumbprint = filled(0x5a);
    out.tkauth = authority_.token(token);
    return out;
  }

  // A challenge for this account and identifier, not answered yet.
  wire::DeviceVerify device_challenge(const Digest256& thumbprint, std::string_view value) {
    wire::DeviceTokenMint mint;
    mint.thumbprint = thumbprint;
    mint.identifier = {IdentifierType::kPermanentIdentifier, std::string(value)};
    mint.ticket = "ticket-1";
    mint.expires_at_ms = now_ms_ + 2 * kHourMs;
    mint.method = ValidationMethod::kDeviceAttest01;
    const auto minted = attestation_->call(mint);
    EXPECT_TRUE(minted) << minted.error().code;
    wire::DeviceVerify out;
    out.thumbprint = mint.thumbprint;
    out.identifier = mint.identifier;
    out.ticket = mint.ticket;
    out.expires_at_ms = mint.expires_at_ms;
    out.token = minted ? minted->token : "";
    return out;
  }

  // A challenge for this account and identifier, answered by a statement as `spec` says.
  wire::DeviceVerify device_question(const wire::Identifier& identifier, test::StatementSpec spec) {
    wire::DeviceTokenMint mint;
    mint.thumbprint = filled(0x5a);
    mint.identifier = identifier;
    mint.ticket = "ticket-1";
    mint.expires_at_ms = now_ms_ + 2 * kHourMs;
    mint.method = ValidationMethod::kDeviceAttest01;
    const auto minted = attestation_->call(mint);
    EXPECT_TRUE(minted) << minted.error().code;
    wire::DeviceVerify out;
    out.thumbprint = mint.thumbprint;
    out.identifier = mint.identifier;
    out.ticket = mint.ticket;
    out.expires_at_ms = mint.expires_at_ms;
    out.token = minted ? minted->token : "";
    spec.key_authorization = jose::key_authorization(out.token, mint.thumbprint);
    out.attestation_object = maker_.attestation_object(spec);
    return out;
  }

  std::int64_t now_ms_;
  test::StatementMaker maker_;
  test::AuthorityMaker authority_;
  std::string directory_;
  test::TaskProcess task_;
  std::optional<task::Peer> attestation_;
  UniqueFd signer_end_;
  SignerSide* signer_ = nullptr;
};

TEST_F(AttestationTaskTest, Eab_Right_TheSignerHasTheGrantFirst) {
  eab::CredentialBook book;
  ASSERT_TRUE(book.add(test::credential()));
  save(book);
  start();
  start_signer();
  const auto account = test::new_account_key();
  EXPECT_EQ(ask(test::binding(account)), "good");
  ASSERT_EQ(accounts().size(), 1u);
  EXPECT_EQ(accounts()[0].thumbprint, account.thumbprint());
  EXPECT_FALSE(accounts()[0].withdrawn);
}

TEST_F(AttestationTaskTest, Eab_Refused_LeavesTheTaskByTypeAndCode) {
  eab::CredentialBook book;
  ASSERT_TRUE(book.add(test::credential()));
  save(book);
  start();
  start_signer();
  const auto account = test::new_account_key();
  EXPECT_EQ(ask(test::binding(account, {.kid = "other"})), "unauthorized eab.mac");
  EXPECT_EQ(ask(test::binding(account, {.mac_key = Bytes(32, 1)})), "unauthorized eab.mac");
  EXPECT_EQ(ask(test::binding(account, {.url = "https://ca.example/"})), "malformed eab.url");
  EXPECT_TRUE(accounts().empty());
}

TEST_F(AttestationTaskTest, Eab_CredentialMadeAndRevokedWhileItRuns_IsNoticed) {
  start();
  start_signer();
  const auto account = test::new_account_key();
  EXPECT_EQ(ask(test::binding(account)), "unauthorized eab.mac");
  eab::CredentialBook book;
  ASSERT_TRUE(book.add(test::credential()));
  save(book);
  EXPECT_EQ(ask(test::binding(account)), "good");
  book.find("device-7")->revoked_ms = 1;
  save(book);
  const auto withdrawn = account_grant(2);
  ASSERT_TRUE(withdrawn);
  EXPECT_TRUE(withdrawn->withdrawn);
  EXPECT_EQ(withdrawn->thumbprint, account.thumbprint());
  EXPECT_EQ(ask(test::binding(account)), "unauthorized eab.revoked");
}

TEST_F(AttestationTaskTest, Eab_Restart_TellsTheSignerAgain) {
  eab::CredentialBook book;
  ASSERT_TRUE(book.add(test::credential()));
  save(book);
  start();
  start_signer();
  const auto account = test::new_account_key();
  EXPECT_EQ(ask(test::binding(account)), "good");
  task_.kill_now();
  start();
  start_signer();
  const auto again = account_grant(1);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->thumbprint, account.thumbprint());
}

TEST_F(AttestationTaskTest, Eab_SignerAway_IsUnavailable) {
  eab::CredentialBook book;
  ASSERT_TRUE(book.add(test::credential()));
  save(book);
  start();
  signer_end_.reset();
  EXPECT_EQ(ask(test::binding(test::new_account_key())), "peer-lost");
}

TEST_F(AttestationTaskTest, HardwareModule_Proved_TheSignerHasTheGrantFirst) {
  start("hardware_module_types = [\"tpm=2.23.133.1.2\"]\n");
  start_signer();
  auto spec = test::StatementMaker::good();
  spec.ak.hardware_module = {"2.25.329800735698586629295641978511506172918", "HSM-7"};
  const auto verify = [&](std::string_view value) {
    const auto question =
        device_question({IdentifierType::kHardwareModule, std::string(value)}, spec);
    return ask(question);
  };
  EXPECT_EQ(verify("HSM-8/2.25.329800735698586629295641978511506172918"),
            "badAttestationStatement ak.identifier");
  EXPECT_TRUE(devices().empty());
  EXPECT_EQ(verify("HSM-7/2.25.329800735698586629295641978511506172918"), "good");
  EXPECT_EQ(verify("DEVICE-1/2.23.133.1.2"), "good");  // by the table
  ASSERT_EQ(devices().size(), 2u);
  const auto grant = devices()[0];
  EXPECT_EQ(grant.identifier.type, IdentifierType::kHardwareModule);
  EXPECT_EQ(grant.identifier.value, "HSM-7/2.25.329800735698586629295641978511506172918");
  EXPECT_EQ(grant.spki_sha256, maker_.attested_key().spki_sha256());
}

TEST_F(AttestationTaskTest, Step_IsARefusalUnlessTheConfigurationSaysSo) {
  const test::FormatMaker tokens(now_ms_);
  write("step.pem", x509::to_pem("CERTIFICATE", tokens.root().der));
  const auto question = [&] {
    auto out = device_challenge(filled(0x5a), "7654321");
    test::FormatSpec spec;
    spec.format = "step";
    spec.wrap_signature = true;
    spec.message = to_bytes(jose::key_authorization(out.token, out.thumbprint));
    spec.leaf.extensions = {{"1.3.6.1.4.1.41482.3.3", {5, 7, 1}},
                            {"1.3.6.1.4.1.41482.3.7", x509::der_unsigned(7'654'321)},
                            {"1.3.6.1.4.1.41482.3.8", {2, 1}}};
    out.attestation_object = tokens.attestation_object(spec);
    return out;
  };
  start();
  start_signer();
  EXPECT_EQ(ask(question()), "badAttestationStatement format.unsupported");
  task_.kill_now();
  start("formats = [\"tpm\", \"step\"]\nstep.roots = [\"" + directory_ + "/step.pem\"]\n");
  start_signer();
  EXPECT_EQ(ask(question()), "good");
  ASSERT_EQ(devices().size(), 1u);
  EXPECT_EQ(devices()[0].format, "step");
  EXPECT_EQ(devices()[0].spki_sha256,
            tokens.key(crypto::KeyKind::kEcP256).public_key().spki_sha256());
  auto other = question();
  other.attestation_object = question().attestation_object;  // the answer to another challenge
  EXPECT_EQ(ask(other), "badAttestationStatement step.signature");
}

TEST_F(AttestationTaskTest, Apple_NeedsAnAccountThatWasAdmitted) {  // D-D5
  const test::FormatMaker tokens(now_ms_);
  write("apple.pem", x509::to_pem("CERTIFICATE", tokens.root().der));
  eab::CredentialBook book;
  ASSERT_TRUE(book.add(test::credential()));
  save(book);
  start("formats = [\"apple\"]\napple.roots = [\"" + directory_ + "/apple.pem\"]\n");
  start_signer();
  const auto account = test::new_account_key();
  const auto question = [&] {
    auto out = device_challenge(account.thumbprint(), "C02XYZ");
    test::FormatSpec spec;
    spec.format = "apple";
    spec.alg.reset();
    spec.has_sig = false;
    spec.leaf.extensions = {
        {"1.2.840.113635.100.8.9.1", to_bytes("C02XYZ")},
        {"1.2.840.113635.100.8.11.1", to_bytes(crypto::sha256(view_of(out.token)))}};
    out.attestation_object = tokens.attestation_object(spec);
    return out;
  };
  EXPECT_EQ(ask(question()), "badAttestationStatement apple.account");
  EXPECT_EQ(ask(test::binding(account)), "good");
  EXPECT_EQ(ask(question()), "good");
  book.find("device-7")->revoked_ms = 1;
  save(book);
  EXPECT_EQ(ask(question()), "badAttestationStatement apple.account");
}

TEST_F(AttestationTaskTest, Rs1_IsARefusalUnlessTheConfigurationSaysSo) {
  auto spec = test::StatementMaker::good();
  spec.alg = spec.ak_alg = -65535;
  const wire::Identifier device{IdentifierType::kPermanentIdentifier, "DEVICE-1"};
  start();
  start_signer();
  EXPECT_EQ(ask(device_question(device, spec)), "badAttestationStatement tpm.algorithm");
  task_.kill_now();
  start("tpm_allow_rs1 = true\n");
  start_signer();
  EXPECT_EQ(ask(device_question(device, spec)), "good");
}

TEST_F(AttestationTaskTest, Authority_Good_TheSignerHasTheGrantFirst) {
  start(roots() + files());
  start_signer();
  const auto question = authority_question();
  const auto answer = attestation_->call(question);
  ASSERT_TRUE(answer) << answer.error().code;
  EXPECT_FALSE(answer->problem) << answer->problem->code;
  ASSERT_EQ(authorities().size(), 1u);
  const auto grant = authorities()[0];
  EXPECT_EQ(grant.thumbprint, filled(0x5a));
  EXPECT_EQ(grant.identifier, question.identifier);
  EXPECT_EQ(grant.ticket, "ticket-1");
  EXPECT_EQ(grant.not_after_max_ms, (now_ms_ + kHourMs) / 1'000 * 1'000);
  EXPECT_EQ(grant.expires_at_ms, grant.not_after_max_ms);  // before its order's
  EXPECT_EQ(grant.evidence_sha256, crypto::sha256(view_of(question.tkauth)));
  EXPECT_EQ(answer->grant_expires_at_ms, grant.expires_at_ms);
}

TEST_F(AttestationTaskTest, Authority_SecondOrder_IsAReplayOverARestart) {
  start(roots() + files());
  start_signer();
  const auto question = authority_question();
  EXPECT_EQ(ask(question), "good");
  EXPECT_EQ(ask(question), "good");  // the same answer again
  task_.kill_now();
  start(roots() + files());
  start_signer();
  auto mint = wire::DeviceTokenMint{question.thumbprint, question.identifier, "ticket-2",
                                    question.expires_at_ms, ValidationMethod::kTkauth01};
  auto other = question;
  other.ticket = mint.ticket;
  other.token = attestation_->call(mint)->token;
  EXPECT_EQ(ask(other), "unauthorized tkauth.replayed");
  EXPECT_TRUE(authorities().empty());
}

TEST_F(AttestationTaskTest, Authority_X5uElsewhere_IsAskedForAndThenVerified) {
  start(roots() + "authority_hosts = [\"authority.example\"]\n");
  start_signer();
  auto question = authority_question();
  const auto asked = attestation_->call(question);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->fetch_url, std::string(test::kX5u));
  EXPECT_FALSE(asked->problem);
  EXPECT_TRUE(authorities().empty());
  question.fetched = to_bytes(test::AuthorityMaker(now_ms_).chain_pem());  // a stranger's
  EXPECT_EQ(ask(question), "unauthorized tkauth.certificate");
  question.fetched = to_bytes(authority_.chain_pem());
  EXPECT_EQ(ask(question), "good");
  EXPECT_EQ(authorities().size(), 1u);
}

TEST_F(AttestationTaskTest, Authority_RefusedToken_GrantsNothing) {
  start(roots() + files());
  start_signer();
  EXPECT_EQ(ask(authority_question({.fingerprint = "SHA256 00"})),
            "unauthorized tkauth.fingerprint");
  EXPECT_EQ(ask(authority_question({.tkvalue = "MAigBhYENzA5Sw"})),
            "incorrectResponse tkauth.value");
  EXPECT_EQ(ask(authority_question({.ca = "true"})), "unauthorized tkauth.ca");
  EXPECT_TRUE(authorities().empty());
}

TEST_F(AttestationTaskTest, Inventory_StateOfTheDevice_IsHeldTo) {
  start("inventory = \"required\"\n[evidence_days]\naudited = 1\n");
  start_signer();
  const wire::Identifier identifier{IdentifierType::kPermanentIdentifier, "DEVICE-1"};
  const auto answer = [&](const char* profile = "") {
    test::StatementSpec spec = maker_.good();
    auto question = device_question(identifier, spec);
    question.profile = profile;
    return std::pair(ask(question), crypto::sha256(question.attestation_object));
  };
  inventory::DeviceBook book;
  inventory::Device device;
  device.id = "laptop-1";
  device.identifiers = {identifier};
  const auto save_devices = [&] {
    auto folder = operate::OperatorDirectory::open(directory_, std::string(inventory::kFolder));
    ASSERT_TRUE(folder);
    ASSERT_TRUE(folder->replace(std::string(inventory::kDevicesFile), book.to_lines()));
  };
  EXPECT_EQ(answer().first, "badAttestationStatement device.unknown");
  ASSERT_TRUE(book.add(device));
  for (const auto& [state, code] : {std::pair(inventory::State::kQuarantined, "device.quarantined"),
                                    std::pair(inventory::State::kRetired, "device.retired")}) {
    book.set_state("laptop-1", state, 1);
    save_devices();
    EXPECT_EQ(answer().first, std::string("badAttestationStatement ") + code);
  }
  EXPECT_TRUE(devices().empty());
  book.set_state("laptop-1", inventory::State::kExpected, 1);
  save_devices();
  const auto plain = answer(), kept = answer("audited");
  EXPECT_EQ(plain.first, "good");
  EXPECT_EQ(kept.first, "good");
  EXPECT_EQ(devices().size(), 2u);
  EXPECT_FALSE(file_exists(directory_ + "/evidence/" + hex_encode(plain.second)));
  EXPECT_TRUE(file_exists(directory_ + "/evidence/" + hex_encode(kept.second)));
  const auto record = read_text_file(directory_ + "/devices/enrolments.jsonl", 1u << 16);
  ASSERT_TRUE(record);
  EXPECT_NE(record->find("\"device\":\"laptop-1\""), std::string::npos);
}

TEST_F(AttestationTaskTest, AttestationKeyRevoked_TheStatementIsRefused) {
  start();
  start_signer();
  const wire::Identifier identifier{IdentifierType::kPermanentIdentifier, "DEVICE-1"};
  EXPECT_EQ(ask(device_question(identifier, maker_.good())), "good");
  ASSERT_EQ(devices().size(), 1u);
  ASSERT_TRUE(devices()[0].ak_serial);
  signer_->revoked = true;
  EXPECT_EQ(ask(device_question(identifier, maker_.good())), "badAttestationStatement ak.revoked");
  EXPECT_EQ(devices().size(), 1u);
}

TEST_F(AttestationTaskTest, Inventory_NeverRead_NothingIsGranted) {
  std::filesystem::create_directory(directory_ + "/devices");
  write("devices/devices.jsonl", "nonsense\n");
  start();
  start_signer();
  EXPECT_EQ(ask(device_question({IdentifierType::kPermanentIdentifier, "DEVICE-1"}, maker_.good())),
            "inventory-unavailable");
  EXPECT_TRUE(devices().empty());
}

TEST_F(AttestationTaskTest, Vendor_EitherForm_GrantsOnceAndIsReplayedElsewhere) {
  start(
      "[vendors.v]\niss = \"as.vendor.com\"\naudience = \"acme.com\"\n"
      "macs = [\"00:24:98\"]\nroots = [\"" +
      directory_ + "/roots.pem\"]\n");
  start_signer();
  const auto question = [&](ValidationMethod method, const char* ticket) {
    wire::DeviceTokenMint mint;
    mint.thumbprint = filled(0x5a);
    mint.identifier = {IdentifierType::kMac, "00:24:98:7b:19:02"};
    mint.ticket = ticket;
    mint.expires_at_ms = now_ms_ + 2 * kHourMs;
    mint.method = method;
    const auto minted = attestation_->call(mint);
    EXPECT_TRUE(minted) << minted.error().code;
    wire::AuthorityVerify out;
    out.thumbprint = mint.thumbprint;
    out.identifier = mint.identifier;
    out.ticket = mint.ticket;
    out.expires_at_ms = mint.expires_at_ms;
    out.token = minted ? minted->token : "";
    out.method = method;
    test::AuthorityTokenSpec token;
    token.x5c = true;
    const auto print = base64url_encode(filled(0x5a));
    token.claims = R"({"iss":"as.vendor.com","sub":"00-24-98-7B-19-02","aud":["customer.com",)"
                   R"("acme.com"],"jti":")" +
                   std::to_string(static_cast<int>(method)) + R"(","exp":)" +
                   std::to_string(now_ms_ / 1000 + 3600) +
                   R"(,"atc":{"tktype":"mac","tkvalue":"0024987b1902","fingerprint":")" + print +
                   R"("}})";
    out.tkauth = authority_.token(token);
    return out;
  };
  for (const auto method : {ValidationMethod::kVendorJwt01, ValidationMethod::kTkauth01}) {
    EXPECT_EQ(ask(question(method, "ticket-1")), "good");
    const auto grant = authorities().back();
    EXPECT_EQ(grant.method, method);
    EXPECT_EQ(grant.domains, std::vector<std::string>{"customer.com"});
    // RFC 9447 §7 alone bounds certificates; of the other form the signer takes no bound.
    EXPECT_EQ(grant.not_after_max_ms != 0, method == ValidationMethod::kTkauth01);
    EXPECT_EQ(ask(question(method, "ticket-2")), "unauthorized vendor.replayed");
  }
  auto crossed = question(ValidationMethod::kTkauth01, "ticket-1");
  crossed.method = ValidationMethod::kVendorJwt01;
  EXPECT_EQ(ask(crossed), "challenge-token-forged");
  EXPECT_EQ(authorities().size(), 2u);
}

TEST_F(AttestationTaskTest, Vendor_NoneConfigured_IsNotOfferedAndNotVerified) {
  start(roots());
  start_signer();
  wire::DeviceTokenMint mint;
  mint.identifier = {IdentifierType::kMac, "00:24:98:7b:19:02"};
  mint.method = ValidationMethod::kVendorJwt01;
  const auto minted = attestation_->call(mint);
  ASSERT_FALSE(minted);
  EXPECT_EQ(minted.error().code, "authority-not-configured");
  wire::AuthorityVerify question;
  question.identifier = mint.identifier;
  question.method = mint.method;
  EXPECT_EQ(ask(question), "authority-not-configured");
}

TEST_F(AttestationTaskTest, Authority_NoRoots_IsNotOfferedAndNotVerified) {
  start(files());
  start_signer();
  wire::DeviceTokenMint mint;
  mint.identifier = {IdentifierType::kTnAuthList, std::string(test::kTnAuthList)};
  mint.method = ValidationMethod::kTkauth01;
  const auto minted = attestation_->call(mint);
  ASSERT_FALSE(minted);
  EXPECT_EQ(minted.error().code, "authority-not-configured");
  wire::AuthorityVerify question;
  question.identifier = mint.identifier;
  EXPECT_EQ(ask(question), "authority-not-configured");
}

TEST_F(AttestationTaskTest, Mint_MethodAndTypeThatDoNotGoTogether_AreRefused) {
  start(roots());
  const auto code = [&](IdentifierType type, ValidationMethod method) {
    wire::DeviceTokenMint mint;
    mint.identifier = {type, "x"};
    mint.method = method;
    const auto minted = attestation_->call(mint);
    return minted ? std::string("minted") : minted.error().code;
  };
  const auto no = "identifier-unsupported";
  EXPECT_EQ(code(IdentifierType::kPermanentIdentifier, ValidationMethod::kDeviceAttest01),
            "minted");
  EXPECT_EQ(code(IdentifierType::kHardwareModule, ValidationMethod::kDeviceAttest01), "minted");
  EXPECT_EQ(code(IdentifierType::kTnAuthList, ValidationMethod::kTkauth01), "minted");
  EXPECT_EQ(code(IdentifierType::kTnAuthList, ValidationMethod::kDeviceAttest01), no);
  EXPECT_EQ(code(IdentifierType::kPermanentIdentifier, ValidationMethod::kTkauth01), no);
  EXPECT_EQ(code(IdentifierType::kDns, ValidationMethod::kTkauth01), no);
  EXPECT_EQ(code(IdentifierType::kDns, ValidationMethod::kHttp01), no);
}

TEST_F(AttestationTaskTest, Authority_ChallengeTokenOfSomethingElse_IsRefused) {
  start(roots() + files());
  start_signer();
  const auto good = authority_question();
  const auto forged = "challenge-token-forged";
  auto other = good;
  other.ticket = "ticket-2";
  EXPECT_EQ(ask(other), forged);
  other = good;
  other.thumbprint = filled(1);
  EXPECT_EQ(ask(other), forged);
  other = good;
  other.expires_at_ms += 1;
  EXPECT_EQ(ask(other), forged);
  other = good;
  other.identifier = {IdentifierType::kTnAuthList, "MAigBhYENzA5Sw"};
  EXPECT_EQ(ask(other), forged);
  other = good;
  other.identifier = {IdentifierType::kTnAuthList, std::string(test::kTnAuthList) + "=="};
  EXPECT_EQ(ask(other), "identifier-unsupported");  // not canonical
  EXPECT_TRUE(authorities().empty());
}

// RFC 8555 §7.3.5: the account changed its key while the challenge was open.
TEST_F(AttestationTaskTest, Device_TokenOfAnEarlierKey_AnswersForTheKeyOfToday) {
  start();
  start_signer();
  wire::DeviceTokenMint mint;
  mint.thumbprint = filled(1);
  mint.identifier = {IdentifierType::kPermanentIdentifier, "DEVICE-1"};
  mint.ticket = "ticket-1";
  mint.expires_at_ms = now_ms_ + kHourMs;
  const auto minted = attestation_->call(mint);
  ASSERT_TRUE(minted);
  wire::DeviceVerify question;
  question.thumbprint = filled(2);
  question.identifier = mint.identifier;
  question.ticket = mint.ticket;
  question.expires_at_ms = mint.expires_at_ms;
  question.token = minted->token;
  auto statement = test::StatementMaker::good();
  statement.key_authorization = jose::key_authorization(question.token, question.thumbprint);
  question.attestation_object = maker_.attestation_object(statement);
  EXPECT_EQ(ask(question), "challenge-token-forged");
  question.earlier_keys = {{filled(9)}, {filled(1)}};
  EXPECT_EQ(ask(question), "good");
  ASSERT_EQ(devices().size(), 1u);
  EXPECT_EQ(devices()[0].thumbprint, filled(2));
  // What answers is never compared with an earlier key.
  statement.key_authorization = jose::key_authorization(question.token, filled(1));
  question.attestation_object = maker_.attestation_object(statement);
  EXPECT_EQ(ask(question), "badAttestationStatement tpm.extra-data");
}

TEST_F(AttestationTaskTest, Authority_TokenForAnEarlierKey_IsRefused) {
  start(roots() + files());
  start_signer();
  auto question = authority_question();
  question.earlier_keys = {{question.thumbprint}};
  question.thumbprint = filled(2);
  EXPECT_EQ(ask(question), "unauthorized tkauth.fingerprint");
}

}  // namespace
}  // namespace keyward::attest
