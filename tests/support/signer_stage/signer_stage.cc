#include "tests/support/signer_stage/signer_stage.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>

#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/pin_unseal.h"
#include "hal/base/file.h"
#include "hal/pkcs11/pkcs11_token.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kReplyMs = 30'000;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "signer stage: %s\n", what.c_str());
  std::abort();
}

}  // namespace

SignerStage::SignerStage(std::string extra_toml, std::string pkcs11_toml)
    : extra_toml_(std::move(extra_toml)), pkcs11_toml_(std::move(pkcs11_toml)) {
  if (extra_toml_.find("crl_hours") == std::string::npos)
    extra_toml_ = "crl_hours = 0\n" + extra_toml_;
  shim_ = std::make_unique<ShimControl>(directory_.path("shim"));
  if (!make_directories(directory_.path("state"), 0700)) die("no state directory");
  make_key();
  platform_.on<wire::PinUnseal>(wire::TaskId::kSigner,
                                [this](const auto&) -> task::Answer<wire::PinUnsealReply> {
                                  return wire::PinUnsealReply{to_bytes(softhsm_.pin().view())};
                                });
  platform_.on<wire::TimeGet>(
      wire::TaskId::kSigner, [this](const auto&) -> task::Answer<wire::TimeGetReply> {
        return wire::TimeGetReply{time_level_.load(),
                                  static_cast<std::uint64_t>(system_clock().utc_ms()), "played"};
      });
  platform_.on<wire::AnchorAdvance>(wire::TaskId::kSigner,
                                    [this](const auto& request) { return advance(request); });
}

// As the platform's, without a TPM.
task::Answer<wire::AnchorAdvanceReply> SignerStage::advance(const wire::AnchorAdvance& request) {
  if (counter_.away)
    return task::refuse(wire::FailureKind::kUnavailable, "tpm-away", "played by the test");
  const std::uint64_t value = counter_.value;
  if (value == 0 && request.from != 0u) return wire::AnchorAdvanceReply{};
  if (value == 0 || request.from == value) counter_.value = value == 0 ? 7 : value + 1;
  return wire::AnchorAdvanceReply{counter_.value.load()};
}

SignerStage::~SignerStage() {
  if (running_) kill();
}

void SignerStage::make_key() {
  auto token = hal::open_pkcs11_token(softhsm_.config());
  if (!token || !(*token)->unlock(softhsm_.pin())) die("the token does not open");
  const auto key = (*token)->generate_key("issuing", hal::KeyAlgorithm::kEcdsaP256);
  if (!key) die(std::string("no key: ") + key.error().what);
  if (extra_toml_.find("audit_key_label") != std::string::npos &&
      !(*token)->generate_key("audit", hal::KeyAlgorithm::kEcdsaP256))
    die("no audit key");
  issuer_key_ = *crypto::PublicKey::from_spki(key->spki_der);
  write_file(directory_.path("chain.pem"), view_of(make_test_ca(key->spki_der).chain_pem));
}

std::string SignerStage::config() const {
  return "state_dir = \"" + directory_.path("state") + "\"\nissuer_chain = \"" +
         directory_.path("chain.pem") + "\"\n" + extra_toml_ + "\n[appliance]\nbase_url = \"" +
         std::string(kBaseUrl) + "\"\nnames = [\"ca.test.example\"]\nsimulator = true\n" +
         "[pkcs11]\nmodule = \"" + KEYWARD_SHIM_PATH + "\"\ntoken_label = \"" + softhsm_.label() +
         "\"\nsessions_max = 4\n" + "environment = [\"SOFTHSM2_CONF=" + softhsm_.conf_path() +
         "\", \"KEYWARD_SHIM_MODULE=" + SoftHsm::module_path() +
         "\", \"KEYWARD_SHIM_STATE=" + shim_->path() + "\"]\n" + pkcs11_toml_;
}

void SignerStage::start(const std::string& state) {
  using wire::TaskId;
  const std::vector<wire::PeerEnd> peers{{TaskId::kAcme, true},
                                         {TaskId::kValidation, true},
                                         {TaskId::kAttestation, true},
                                         {TaskId::kAdmin, true},
                                         {TaskId::kPlatform, false}};
  ends_.clear();
  if (!process_.start("keyward-signer", TaskId::kSigner, config(), peers,
                      directory_.path("signer.log")))
    die("keyward-signer does not start");
  running_ = true;
  platform_.serve(TaskId::kSigner, process_.take(TaskId::kPlatform), 1);
  for (const auto task : {TaskId::kAcme, TaskId::kValidation, TaskId::kAttestation, TaskId::kAdmin})
    ends_[task] = process_.take(task);
  if (!process_.wait_ready() || !process_.wait_state(state))
    die("keyward-signer does not become " + state + ":\n" + log());
  baseline_ = shim_->succeeded(ShimCall::kSign);
}

int SignerStage::wait_exit(std::int64_t timeout_ms) {
  const int status = process_.wait_exit(timeout_ms);
  if (status == -1000) return status;
  before_ = signatures();
  running_ = false;
  return status;
}

int SignerStage::stop() {
  process_.send_stop();
  return wait_exit();
}

void SignerStage::kill() {
  process_.kill_now();
  before_ = signatures();
  running_ = false;
}

std::uint64_t SignerStage::signatures() const {
  return before_ + (running_ ? shim_->succeeded(ShimCall::kSign) - baseline_ : 0);
}

bool SignerStage::alive() {
  return running_ && call(wire::TaskId::kAcme, wire::IssuerGet{}).has_value();
}

void SignerStage::send(wire::TaskId edge, ByteView datagram, std::span<const int> descriptors) {
  const int fd = ends_.at(edge).get();
  if (datagram.size() <= limits::kFrameBytesMax) {
    (void)task::send_frame(fd, datagram, descriptors, Deadline::after_ms(kReplyMs));
    return;
  }
  if (::send(fd, datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0)
    die(std::string("cannot send: ") + std::strerror(errno));
}

task::Answer<Bytes> SignerStage::receive_body(wire::TaskId edge, wire::MessageType type) {
  const int fd = ends_.at(edge).get();
  const auto readable = task::wait_readable(fd, kReplyMs);
  if (!readable || !*readable)
    return task::refuse(wire::FailureKind::kUnavailable, "no-reply", "nothing came");
  const auto frame = task::receive_frame(fd, 0);
  if (!frame) return task::refuse(wire::FailureKind::kUnavailable, "lost", frame.error().what);
  const auto opened = wire::open_frame(frame->bytes);
  if (!opened) return task::refuse(wire::FailureKind::kInternal, "bad-reply", opened.error().what);
  if (opened->head.type == wire::MessageType::kFailure) {
    auto failure = wire::decode_body<wire::Failure>(opened->body);
    if (!failure)
      return task::refuse(wire::FailureKind::kInternal, "bad-reply", failure.error().what);
    return tl::unexpected<wire::Failure>(std::move(*failure));
  }
  if (opened->head.type != type)
    return task::refuse(wire::FailureKind::kInternal, "bad-reply", "another type");
  return to_bytes(opened->body);
}

issue::LedgerSummary SignerStage::ledger() const {
  auto summary = issue::verify_issued(ledger_directory(), *issuer_key_);
  if (!summary) die(std::string("the ledger does not verify: ") + summary.error().what);
  return *summary;
}

task::Answer<wire::GrantNameReply> SignerStage::prove(const TestClient& client,
                                                      const wire::Identifier& identifier,
                                                      std::int64_t lifetime_ms) {
  return call(
      wire::TaskId::kValidation,
      wire::GrantName{client.thumbprint(), identifier, false, wire::ValidationMethod::kHttp01,
                      std::nullopt, system_clock().utc_ms() + lifetime_ms, Digest256{1}, false,
                      std::nullopt});
}

task::Answer<wire::GrantDeviceReply> SignerStage::attest(const TestClient& client,
                                                         const wire::Identifier& identifier,
                                                         const std::string& ticket,
                                                         const crypto::PublicKey& key,
                                                         std::int64_t lifetime_ms) {
  return call(wire::TaskId::kAttestation,
              wire::GrantDevice{client.thumbprint(), identifier, "tpm", ticket, key.spki_sha256(),
                                system_clock().utc_ms() + lifetime_ms, Digest256{1}});
}

}  // namespace keyward::test
