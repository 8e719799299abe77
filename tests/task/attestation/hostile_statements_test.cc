// The real keyward-attestation under a stream of hostile statements of every format and of every
// message that carries one: its memory stays bounded, and it still answers a good one. How many:
// KEYWARD_HOSTILE_STATEMENTS (2,000 by default; 100,000 in the label long). Random by a fixed seed.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/attest/tpm_structures.h"
#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/rats/cmw.h"
#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/ak_begin.h"
#include "firmware/wire/messages/authority_verify.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"
#include "firmware/wire/messages/evidence_key_find.h"
#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/grant_device.h"
#include "firmware/wire/messages/grant_remote.h"
#include "firmware/wire/messages/remote_verify.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/authority/authority.h"
#include "tests/support/endorsement/endorsement.h"
#include "tests/support/memory/memory.h"
#include "tests/support/quote/quote.h"
#include "tests/support/rats/rats.h"
#include "tests/support/statement/formats.h"
#include "tests/support/statement/statement.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"

namespace keyward::attest {
namespace {

namespace cb = test::cb;
using wire::IdentifierType;
using wire::TaskId;
using wire::ValidationMethod;

constexpr std::int64_t kHourMs = 3'600'000;
// Above what it had when it was ready. The largest question is 96 KiB and its parts are parsed into
// several copies of it; the allocator keeps an arena for each thread.
constexpr long kGrowthKibMax = 64 * 1'024;

// Never freed: the threads of a Server end with their process.
struct SignerSide {
  task::Server server;
};

class HostileStatements : public ::testing::Test {
 protected:
  HostileStatements()
      : now_ms_(system_clock().utc_ms()),
        statements_(now_ms_),
        formats_(now_ms_),
        quotes_(now_ms_),
        authority_(now_ms_),
        vendor_(now_ms_) {
    auto name = (std::filesystem::temp_directory_path() / "keyward-hostile-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    const auto pem = [](const x509::Certificate& one) {
      return x509::to_pem("CERTIFICATE", one.der);
    };
    write("ak.pem", pem(statements_.anchor()));
    write("quote.pem", pem(quotes_.anchor()));
    write("formats.pem", pem(formats_.root()));
    write("authority.pem", authority_.root_pem());
    write("ek.pem", pem(vendor_.root()));
    const auto record = quotes_.record({});
    write("boot.toml",
          "name = \"boot\"\nversion = \"1\"\nevidence = [\"tpm-quote\"]\n[tpm]\nak_roots = "
          "[\"quote.pem\"]\n[[tpm.pcr_set]]\nname = \"good\"\npcrs = { 4 = [\"" +
              hex_encode(record.pcrs.at(appraise::Bank::kSha256).at(4)) + "\"] }\n");
  }
  ~HostileStatements() override {
    task_.kill_now();
    if (HasFailure()) {
      const auto log = test::log_text(directory_ + "/log");
      std::fputs(log.substr(log.size() - std::min<std::size_t>(log.size(), 2'000)).c_str(), stderr);
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void write(const std::string& name, const std::string& text) {
    if (!replace_file(directory_ + "/" + name, view_of(text), 0600)) ::abort();
  }
  std::string file(const std::string& name) const { return "\"" + directory_ + "/" + name + "\""; }
  void start() {
    const std::string roots = "roots = [" + file("formats.pem") + "]\n";
    const std::string config =
        "state_dir = \"" + directory_ + "\"\nak_roots = [" + file("ak.pem") +
        "]\nevidence_key_unsealed = true\nauthority_roots = [" + file("authority.pem") +
        "]\nformats = [\"tpm\", \"packed\", \"apple\", \"android-key\", \"step\"]\n[packed]\n" +
        roots + "[apple]\nrequire_external_account = false\n" + roots +
        "[android]\nallow_without_status_list = true\n" + roots + "[step]\n" + roots +
        "[attestation_ca]\nenabled = true\nek_roots = [" + file("ek.pem") +
        "]\n[policies]\n\"*/measured_boot\" = " + file("boot.toml") +
        "\n[appliance]\nbase_url = \"https://ca.example\"\n";
    ASSERT_TRUE(task_.start("keyward-attestation", TaskId::kAttestation, config,
                            {{TaskId::kAcme, true}, {TaskId::kSigner, false}},
                            directory_ + "/log"));
    ASSERT_TRUE(task_.wait_ready());
    attestation_.emplace(TaskId::kAttestation);
    attestation_->rebind(task_.take(TaskId::kAcme));
    auto* side = test::immortal(std::make_unique<SignerSide>());
    side->server.on<wire::GrantRemote>(TaskId::kAttestation, [](const auto&) {
      return task::Answer<wire::GrantRemoteReply>(wire::GrantRemoteReply{});
    });
    side->server.on<wire::GrantDevice>(TaskId::kAttestation, [](const auto&) {
      return task::Answer<wire::GrantDeviceReply>(wire::GrantDeviceReply{});
    });
    side->server.on<wire::GrantAuthority>(TaskId::kAttestation, [](const auto&) {
      return task::Answer<wire::GrantAuthorityReply>(wire::GrantAuthorityReply{});
    });
    side->server.on<wire::EvidenceKeyFind>(TaskId::kAttestation, [](const auto&) {
      return task::Answer<wire::EvidenceKeyFindReply>(wire::EvidenceKeyFindReply{});
    });
    side->server.serve(TaskId::kAttestation, task_.take(TaskId::kSigner), 1);
  }

  // ---- questions, all but the payload as an honest front end asks them
  template <class Question>
  Question question(const wire::Identifier& identifier, ValidationMethod method) {
    wire::DeviceTokenMint mint;
    mint.thumbprint.fill(0x5a);
    mint.identifier = identifier;
    mint.ticket = "ticket-1";
    mint.expires_at_ms = now_ms_ + 2 * kHourMs;
    mint.method = method;
    if (method == ValidationMethod::kRemoteAttest01) mint.profile = "laptop";
    const auto minted = attestation_->call(mint);
    EXPECT_TRUE(minted) << minted.error().code;
    Question out;
    out.thumbprint = mint.thumbprint;
    out.identifier = identifier;
    out.ticket = mint.ticket;
    out.expires_at_ms = mint.expires_at_ms;
    if (minted) out.token = minted->token;
    return out;
  }
  void prepare() {
    device_ = question<wire::DeviceVerify>({IdentifierType::kPermanentIdentifier, "DEVICE-1"},
                                           ValidationMethod::kDeviceAttest01);
    remote_ = question<wire::RemoteVerify>({IdentifierType::kRemoteAttestation, "measured_boot"},
                                           ValidationMethod::kRemoteAttest01);
    remote_.profile = "laptop";
    tn_ = question<wire::AuthorityVerify>(
        {IdentifierType::kTnAuthList, std::string(test::kTnAuthList)}, ValidationMethod::kTkauth01);
    auto spec = test::StatementMaker::good();
    spec.key_authorization = jose::key_authorization(device_.token, device_.thumbprint);
    good_tpm_ = statements_.attestation_object(spec);
    objects_ = {good_tpm_, packed(), apple(), android(), step()};
    test::QuoteSpec quote;
    quote.extra_data = to_bytes(
        crypto::sha256(view_of(jose::key_authorization(remote_.token, remote_.thumbprint))));
    good_quote_ = appraise::write_quote_record(quotes_.record(quote));
    test::AuthorityTokenSpec token;
    token.thumbprint = tn_.thumbprint;
    token.x5c = true;
    token_ = authority_.token(token);
    auto large = quote;
    for (unsigned i = 0; i < 1'000; ++i)
      large.log.events.push_back({i % 8, 0x05, "event", std::nullopt});
    large_log_ = appraise::write_quote_record(quotes_.record(large));
  }
  test::FormatSpec spec_of(const char* format) const {
    test::FormatSpec out;
    out.format = format;
    out.message = to_bytes(jose::key_authorization(device_.token, device_.thumbprint));
    return out;
  }
  Bytes packed() const {
    auto spec = spec_of("packed");
    test::AuthDataSpec auth;
    auth.cose_key = test::cose_ec_key(formats_.key(crypto::KeyKind::kEcP384).public_key());
    spec.auth_data = test::auth_data(auth);
    auto message = *spec.auth_data;
    append(message, crypto::sha256(spec.message));
    spec.message = message;
    return formats_.attestation_object(spec);
  }
  Bytes apple() const {
    auto spec = spec_of("apple");
    spec.alg.reset();
    spec.has_sig = false;
    spec.leaf.extensions.emplace_back("1.2.840.113635.100.8.9.1", to_bytes("OTHER"));
    return formats_.attestation_object(spec);
  }
  Bytes android() const {
    auto spec = spec_of("android-key");
    test::KeyDescriptionSpec description;
    description.challenge = spec.message;
    description.serial = "OTHER";
    spec.leaf.extensions.emplace_back("1.3.6.1.4.1.11129.2.1.17",
                                      test::key_description(description));
    return formats_.attestation_object(spec);
  }
  Bytes step() const {
    auto spec = spec_of("step");
    spec.wrap_signature = true;
    return formats_.attestation_object(spec);
  }

  // ---- harm
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  Bytes mutated(Bytes bytes) {
    if (bytes.empty()) return bytes;
    const auto at = below(bytes.size());
    switch (below(5)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(64), 0xff);
        break;
      case 2:
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 3:
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    std::min<std::size_t>(4, bytes.size() - at), std::uint8_t{0xff});
        bytes[0] ^= 1;
        break;
      default:
        bytes[at] ^= static_cast<std::uint8_t>(1 + below(255));
    }
    return bytes;
  }
  Bytes deep(std::size_t size) {
    static constexpr std::uint8_t kOpeners[] = {0x81, 0xa1, 0xc1, 0x9f, 0x5f};
    return Bytes(size, kOpeners[below(std::size(kOpeners))]);
  }
  Bytes huge_count() {
    static constexpr std::uint8_t kHeads[] = {0x9b, 0xbb, 0x5b, 0x7b, 0x9a, 0xba, 0x5a, 0x7a};
    const auto head = kHeads[below(std::size(kHeads))];
    Bytes out{0xa3, 0x67, 'a', 't', 't', 'S', 't', 'm', 't', head};
    out.insert(out.end(), (head & 1) != 0 ? 8 : 4,
               static_cast<std::uint8_t>(below(2) ? 0xff : 0x7f));
    out.insert(out.end(), 1'000, 0);
    return out;
  }
  Bytes many_certificates() {
    const auto one = vendor_.certificate();
    std::vector<Bytes> chain(1 + below(30'000 / (one.size() + 8)), cb::bytes(one));
    return cb::map({{cb::text("fmt"), cb::text("tpm")},
                    {cb::text("attStmt"), cb::map({{cb::text("alg"), cb::integer(-7)},
                                                   {cb::text("x5c"), cb::array(chain)}})}});
  }
  std::string ak_payload() {
    const auto certificate = vendor_.certificate();
    json::Writer out;
    out.begin_object().member("ekCertificate",
                              base64url_encode(below(2) ? certificate : mutated(certificate)));
    out.key("ekChain").begin_array();
    const auto intermediate = base64url_encode(vendor_.intermediate().der);
    for (auto left = below(70'000 / intermediate.size()); left > 0; --left)
      out.string(intermediate);
    const auto area = test::area_of(test::good_ak_area(), vendor_.ak().public_key());
    last_area_ = mutated(area);
    out.end_array().member("akPublic", base64url_encode(last_area_)).end_object();
    return out.take();
  }
  Bytes remote_payload(unsigned kind) {
    const auto record = [](ByteView value, std::string_view type) {
      return to_bytes(rats::write_json_record(type, value));
    };
    switch (kind) {
      case 0:
        last_quote_ = mutated(good_quote_);
        return record(last_quote_, appraise::kTpmQuoteMediaType);
      case 1:
        return record(mutated(large_log_), appraise::kTpmQuoteMediaType);
      case 2:
        return record(deep(below(60'000)), appraise::kTpmQuoteMediaType);
      case 3:
        return record(huge_count(), below(2) ? "application/eat+cwt" : "application/x");
      case 4:
        return Bytes(below(90'000), '[');
      case 5:
        return to_bytes(R"({"cmw":")" + base64url_encode(below(2) ? deep(50'000) : huge_count()) +
                        "\"}");
      case 6:
        return to_bytes(R"({"jwe":"eyJhbGciOiJFQ0RILUVTIn0.)" + std::string(below(60'000), 'A') +
                        "..A.A\"}");
      default:
        return to_bytes(R"({"csr":")" + base64url_encode(mutated(vendor_.certificate())) + "\"}");
    }
  }

  // The data of an event that its digest is not over is nobody's word, and no rule of this policy
  // looks at it: such a log replays to the same registers, and its quote is as good as before.
  bool only_log_texts_differ(ByteView record) const {
    const auto good = appraise::parse_quote_record(good_quote_);
    const auto other = appraise::parse_quote_record(record);
    if (!good || !other || !good->event_log || !other->event_log) return false;
    return other->quoted == good->quoted && other->sig == good->sig && other->x5c == good->x5c &&
           other->pcrs == good->pcrs && other->event_log != good->event_log;
  }
  // Attributes that nobody judges (userWithAuth, noDA) may be others: the credential is then for the
  // name of that object, and a TPM that has none of that name cannot activate it.
  bool only_unjudged_attributes_differ(ByteView area) const {
    const auto read = parse_public_area(area);
    if (!read || !read->key) return false;
    const auto& a = read->attributes;
    return read->key->spki_sha256() == vendor_.ak().public_key().spki_sha256() && a.fixed_tpm &&
           a.fixed_parent && a.sensitive_data_origin && a.restricted && a.sign && !a.decrypt;
  }
  template <class Question>
  std::string ask(const Question& question) {
    const auto answer = attestation_->call(question);
    if (!answer) return answer.error().code;
    return answer->problem ? answer->problem->code : "good";
  }
  std::string ask_device(Bytes object) {
    auto one = device_;
    one.attestation_object = std::move(object);
    return ask(one);
  }
  std::string ask_remote(Bytes payload) {
    auto one = remote_;
    one.payload = std::move(payload);
    return ask(one);
  }
  std::string hostile(std::size_t i) {
    const auto kind = i % 20;
    if (kind < 5) return ask_device(mutated(objects_[kind]));
    if (kind == 5) return ask_device(deep(32'000));
    if (kind == 6) return ask_device(huge_count());
    if (kind == 7) return ask_device(many_certificates());
    if (kind < 16) return ask_remote(remote_payload(static_cast<unsigned>(kind - 8)));
    if (kind < 18) {
      wire::AkBegin one;
      one.payload = to_bytes(ak_payload());
      return ask(one);
    }
    auto one = tn_;
    auto token = to_bytes(token_);
    while (token == to_bytes(token_)) {  // the octet's eighth bit alone changes nothing
      token = mutated(to_bytes(token_));
      for (auto& octet : token) octet &= 0x7f;  // a front end's text is UTF-8, or its edge closes
    }
    one.tkauth = std::string(text_of(token));
    return ask(one);
  }

  std::int64_t now_ms_;
  test::StatementMaker statements_;
  test::FormatMaker formats_;
  test::QuoteMaker quotes_;
  test::AuthorityMaker authority_;
  test::EkMaker vendor_;
  std::minstd_rand random_{20'261'122};
  std::string directory_;
  test::TaskProcess task_;
  std::optional<task::Peer> attestation_;
  wire::DeviceVerify device_;
  wire::RemoteVerify remote_;
  wire::AuthorityVerify tn_;
  Bytes good_tpm_, good_quote_, large_log_, last_quote_, last_area_;
  std::vector<Bytes> objects_;
  std::string token_;
};

TEST_F(HostileStatements, ManyOfEveryFormat_MemoryStaysBoundedAndAGoodOneIsAnswered) {
  const char* asked = ::getenv("KEYWARD_HOSTILE_STATEMENTS");
  const std::size_t all = asked ? std::strtoul(asked, nullptr, 10) : 2'000;
  start();
  ASSERT_FALSE(HasFailure());
  prepare();
  const long begin_kib = test::resident_kib(task_.pid());
  ASSERT_GT(begin_kib, 0);
  std::map<std::string, std::size_t> answers;
  const std::size_t turn = std::max<std::size_t>(1, all / 10);
  const bool any_size = test::memory_is_the_sanitizers();
  for (std::size_t i = 0; i < all; ++i) {
    if (i % 100 == 0) task_.take_control();
    const auto code = hostile(i);
    ASSERT_NE(code, "peer-lost") << "the task is gone at statement " << i;
    ++answers[code];
    if (code == "good" && (i % 20 == 16 || i % 20 == 17)) {
      ASSERT_TRUE(only_unjudged_attributes_differ(last_area_)) << hex_encode(last_area_);
    } else if (code == "good") {
      ASSERT_EQ(i % 20, 8u) << "only a quote's log has octets that nothing signs";
      ASSERT_TRUE(only_log_texts_differ(last_quote_)) << "statement " << i;
    }
    if ((i + 1) % turn != 0) continue;
    const long now_kib = test::resident_kib(task_.pid());
    std::printf("%zu statements: VmRSS %ld KiB (%+ld)\n", i + 1, now_kib, now_kib - begin_kib);
    ASSERT_GT(now_kib, 0) << "the task is gone";
    if (!any_size) ASSERT_LE(now_kib - begin_kib, kGrowthKibMax);
  }
  for (const auto& [code, times] : answers) std::printf("  %s: %zu\n", code.c_str(), times);
  EXPECT_GT(answers.size(), 15u) << "they do not reach the checks";
  tn_.tkauth = token_;
  EXPECT_EQ(ask(tn_), "good");
  EXPECT_EQ(ask_device(good_tpm_), "good");
  EXPECT_EQ(
      ask_remote(to_bytes(rats::write_json_record(appraise::kTpmQuoteMediaType, good_quote_))),
      "good");
}

}  // namespace
}  // namespace keyward::attest
