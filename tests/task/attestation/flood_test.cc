// The real keyward-attestation under a flood of hostile statements: its memory stays within a bound,
// and it still takes a good one. KEYWARD_FLOOD: how many (2,000 in each check; 100,000 outside CI).
// Each is a good statement with octets changed, cut off, repeated or with huge CBOR heads in it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/jose/jwk.h"
#include "firmware/rats/cmw.h"
#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/ak_activate.h"
#include "firmware/wire/messages/ak_begin.h"
#include "firmware/wire/messages/authority_verify.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"
#include "firmware/wire/messages/evidence_key_find.h"
#include "firmware/wire/messages/grant_device.h"
#include "firmware/wire/messages/remote_verify.h"
#include "firmware/x509/der.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/quote/quote.h"
#include "tests/support/statement/formats.h"
#include "tests/support/statement/statement.h"
#include "tests/support/task_process/task_process.h"

namespace keyward::attest {
namespace {

using wire::TaskId;
using wire::ValidationMethod;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr long kGrowthKibMax = 64L * 1024;  // above what the task holds when it is ready
constexpr std::uint32_t kSeed = 20261122;

long resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtol(line.c_str() + 6, nullptr, 10);
  }
  return -1;
}

// Never freed: the threads of a Server end with their process.
struct SignerSide {
  task::Server server;
};

class Mutator {
 public:
  Bytes operator()(Bytes octets) {
    const auto kind = random_(6);
    if (kind == 0) octets.resize(random_(static_cast<std::uint32_t>(octets.size()) + 1));
    if (kind == 1) repeat(octets);
    if (kind == 2) insert(octets, {0x9b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff});  // array of 2^32
    if (kind == 3) insert(octets, Bytes(random_(400) + 1, 0x81));               // nested arrays
    if (kind == 4) insert(octets, {0x5a, 0x7f, 0xff, 0xff, 0xff});              // 2 GiB of octets
    for (auto n = random_(4); n > 0 && !octets.empty(); --n)
      octets[random_(static_cast<std::uint32_t>(octets.size()))] ^=
          static_cast<std::uint8_t>(1u << random_(8));
    return octets;
  }
  std::uint32_t operator()(std::uint32_t below) { return random_(below); }

 private:
  std::uint32_t random_(std::uint32_t below) {
    return below == 0 ? 0 : static_cast<std::uint32_t>(engine_() % below);
  }
  void insert(Bytes& octets, const Bytes& what) {
    const auto at = random_(static_cast<std::uint32_t>(octets.size()) + 1);
    octets.insert(octets.begin() + at, what.begin(), what.end());
  }
  void repeat(Bytes& octets) {
    const Bytes once = octets;
    while (!once.empty() && octets.size() + once.size() < 24'000) append(octets, once);
  }
  std::mt19937 engine_{kSeed};
};

class FloodTest : public ::testing::Test {
 protected:
  FloodTest()
      : now_ms_(system_clock().utc_ms()),
        statements_(now_ms_),
        formats_(now_ms_),
        quotes_(now_ms_) {
    auto name = (std::filesystem::temp_directory_path() / "keyward-flood-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    write("ak.pem", x509::to_pem("CERTIFICATE", statements_.anchor().der));
    write("formats.pem", x509::to_pem("CERTIFICATE", formats_.root().der));
    write("quotes.pem", x509::to_pem("CERTIFICATE", quotes_.anchor().der));
    write("boot.toml",
          "name = \"boot\"\nversion = \"1\"\nevidence = [\"tpm-quote\"]\n[tpm]\nak_roots = "
          "[\"quotes.pem\"]\n[[tpm.pcr_set]]\nname = \"good\"\npcrs = { 4 = [\"" +
              hex_encode(Bytes(32, 7)) + "\"] }\n");
  }
  ~FloodTest() override {
    task_.kill_now();
    if (HasFailure())
      std::fputs(test::log_text(directory_ + "/log").substr(0, 4'000).c_str(), stderr);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(replace_file(directory_ + "/" + name, view_of(text), 0600));
  }
  std::string file(const std::string& name) const { return "\"" + directory_ + "/" + name + "\""; }
  std::string format_table(const std::string& name, const std::string& more = "") const {
    return "[" + name + "]\nroots = [" + file("formats.pem") + "]\n" + more;
  }
  void start() {
    const std::string config =
        "state_dir = \"" + directory_ + "\"\nak_roots = [" + file("ak.pem") +
        "]\nevidence_key_unsealed = true\nformats = [\"tpm\", \"packed\", \"apple\", "
        "\"android-key\", \"step\"]\nauthority_roots = [" +
        file("formats.pem") + "]\n" + format_table("packed") +
        format_table("apple", "require_external_account = false\n") +
        format_table("android", "allow_without_status_list = true\n") + format_table("step") +
        "[attestation_ca]\nenabled = true\nek_roots = [" + file("formats.pem") +
        "]\n[policies]\n\"*/measured_boot\" = " + file("boot.toml") +
        "\n[appliance]\nbase_url = \"https://ca.example\"\n";
    ASSERT_TRUE(
        task_.start("keyward-attestation", TaskId::kAttestation, config,
                    {{TaskId::kAcme, true}, {TaskId::kSigner, false}, {TaskId::kPlatform, false}},
                    directory_ + "/log"));
    ASSERT_TRUE(task_.wait_ready()) << test::log_text(directory_ + "/log");
    attestation_.emplace(TaskId::kAttestation);
    attestation_->rebind(task_.take(TaskId::kAcme));
    auto* side = new SignerSide;
    side->server.on<wire::GrantDevice>(TaskId::kAttestation, [](const auto&) {
      return task::Answer<wire::GrantDeviceReply>(wire::GrantDeviceReply{});
    });
    side->server.on<wire::EvidenceKeyFind>(TaskId::kAttestation, [](const auto&) {
      return task::Answer<wire::EvidenceKeyFindReply>(wire::EvidenceKeyFindReply{});
    });
    side->server.serve(TaskId::kAttestation, task_.take(TaskId::kSigner), 1);
    make_bases();
  }
  template <class Question>
  Question challenge(const wire::Identifier& identifier, ValidationMethod method) {
    wire::DeviceTokenMint mint;
    mint.thumbprint.fill(0x5a);
    mint.identifier = identifier;
    mint.ticket = "ticket-1";
    mint.expires_at_ms = now_ms_ + 10 * kHourMs;
    mint.method = method;
    mint.profile = "laptop";
    const auto minted = attestation_->call(mint);
    EXPECT_TRUE(minted) << minted.error().code;
    Question out;
    out.thumbprint = mint.thumbprint;
    out.identifier = identifier;
    out.ticket = mint.ticket;
    out.expires_at_ms = mint.expires_at_ms;
    out.token = minted ? minted->token : "";
    return out;
  }
  void make_bases() {
    using wire::IdentifierType;
    device_ = challenge<wire::DeviceVerify>({IdentifierType::kPermanentIdentifier, "DEVICE-1"},
                                            ValidationMethod::kDeviceAttest01);
    remote_ = challenge<wire::RemoteVerify>({IdentifierType::kRemoteAttestation, "measured_boot"},
                                            ValidationMethod::kRemoteAttest01);
    remote_.profile = "laptop";
    auto spec = test::StatementMaker::good();
    spec.key_authorization = jose::key_authorization(device_.token, device_.thumbprint);
    good_ = statements_.attestation_object(spec);
    device_bases_.push_back(good_);
    for (const char* format : {"packed", "apple", "android-key", "step"}) {
      test::FormatSpec other;
      other.format = format;
      other.message = to_bytes(view_of(spec.key_authorization));
      other.leaf.extensions = {{"1.3.6.1.4.1.11129.2.1.17", test::key_description({})}};
      other.auth_data = Bytes(200, 0xa5);
      other.through_intermediate = true;
      device_bases_.push_back(formats_.attestation_object(other));
    }
    test::QuoteSpec quote;
    quote.extra_data = to_bytes(crypto::sha256(view_of(remote_.token)));
    for (int i = 0; i < 200; ++i)
      quote.log.events.push_back({4, 0x0000000D, "event " + std::to_string(i), {}});
    quote_record_ = appraise::write_quote_record(quotes_.record(quote));
  }
  void send_one(std::size_t i) {
    switch (i % 8) {
      case 5: {
        auto ask = remote_;
        ask.payload = to_bytes(
            view_of(rats::write_json_record(appraise::kTpmQuoteMediaType, mutate_(quote_record_))));
        refused(attestation_->call(ask));
        break;
      }
      case 6: {
        wire::AkBegin ask;
        ask.thumbprint.fill(0x5a);
        const auto certificate = base64url_encode(mutate_(formats_.root().der));
        ask.payload =
            to_bytes(view_of("{\"ekCertificate\":\"" + certificate + "\",\"akPublic\":\"" +
                             base64url_encode(mutate_(Bytes(90, 1))) + "\"}"));
        refused(attestation_->call(ask));
        break;
      }
      case 7: {
        auto ask = remote_;
        ask.payload =
            mutate_(to_bytes(view_of("{\"cmw\":{\"a\":[\"application/eat+jwt\",\"eA\"]}}")));
        refused(attestation_->call(ask));
        break;
      }
      default: {
        auto ask = device_;
        ask.attestation_object = mutate_(device_bases_[i % 5]);
        refused(attestation_->call(ask), ask.attestation_object == good_);
      }
    }
  }
  template <class Answer>
  void refused(const Answer& answer, bool unchanged = false) {
    if (unchanged) return;
    if (answer && !answer->problem) ++accepted_;
    if (!answer && answer.error().kind == wire::FailureKind::kUnavailable) ++unavailable_;
  }

  std::int64_t now_ms_;
  test::StatementMaker statements_;
  test::FormatMaker formats_;
  test::QuoteMaker quotes_;
  std::string directory_;
  test::TaskProcess task_;
  std::optional<task::Peer> attestation_;
  Mutator mutate_;
  wire::DeviceVerify device_;
  wire::RemoteVerify remote_;
  Bytes good_, quote_record_;
  std::vector<Bytes> device_bases_;
  int accepted_ = 0, unavailable_ = 0;
};

TEST_F(FloodTest, HostileStatements_MemoryBoundedAndAGoodOneIsStillTaken) {
  start();
  const char* wanted = ::getenv("KEYWARD_FLOOD");
  const std::size_t count = wanted ? std::strtoul(wanted, nullptr, 10) : 2'000;
  const long before_kib = resident_kib(task_.pid());
  ASSERT_GT(before_kib, 0);
  long most_kib = before_kib;
  for (std::size_t i = 0; i < count; ++i) {
    send_one(i);
    if ((i + 1) % (count / 10) != 0) continue;
    const long now_kib = resident_kib(task_.pid());
    most_kib = std::max(most_kib, now_kib);
    std::printf("%zu statements: %ld KiB resident (%+ld)\n", i + 1, now_kib, now_kib - before_kib);
    ASSERT_GT(now_kib, 0) << "the task has ended";
    ASSERT_LE(now_kib - before_kib, kGrowthKibMax);
  }
  EXPECT_EQ(unavailable_, 0);
  auto good = device_;
  good.attestation_object = good_;
  const auto answer = attestation_->call(good);
  ASSERT_TRUE(answer) << answer.error().code;
  EXPECT_FALSE(answer->problem) << answer->problem->code << ": " << answer->problem->detail;
  // A changed octet that no rule is about may leave a statement good (a CA that is not in the path).
  EXPECT_LE(accepted_, static_cast<int>(count / 100));
}

}  // namespace
}  // namespace keyward::attest
