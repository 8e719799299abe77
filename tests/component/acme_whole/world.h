// Owns the whole of ACME in one process: the real service above the real store (SQLite in a fresh
// directory) and the real gate (a software token), on one test clock, and a client that speaks raw
// JWS to it. Only the look at the outside is make-believe: every name is proved at once, and the
// signer gets the grant as from `validation`. Must not know single tests.
#pragma once

#include <gtest/gtest.h>

#include "firmware/issue/gate.h"
#include "firmware/store/store.h"
#include "firmware/wire/messages/grant_name.h"
#include "tests/support/issuing/issuing.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme::test {

constexpr std::int64_t kDayMs = 24LL * 3'600'000;

class OneClock final : public Clock {
 public:
  std::int64_t utc_ms() const override { return now_ms_; }
  std::int64_t monotonic_ms() const override { return now_ms_; }
  void advance(std::int64_t ms) { now_ms_ += ms; }

 private:
  std::atomic<std::int64_t> now_ms_{system_clock().utc_ms() / 1'000 * 1'000};
};

class SoftwareToken final : public hal::SigningToken {
 public:
  Status unlock(SecretBytes) override { return {}; }
  Result<hal::TokenKey> find_key(std::string_view label) override {
    return hal::TokenKey{std::string(label),
                         hal::KeyAlgorithm::kEcdsaP256,
                         key.public_key().spki_der(),
                         true,
                         false,
                         true,
                         true,
                         true};
  }
  Result<hal::TokenKey> generate_key(std::string_view, hal::KeyAlgorithm) override {
    return fail(ErrorKind::kRefused, "a test token");
  }
  Result<Bytes> sign(std::string_view, ByteView message, Deadline, hal::SignPriority) override {
    if (away) return fail(ErrorKind::kUnavailable, "away");
    ++signatures;
    return key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, message);
  }
  Result<Bytes> random(std::size_t size) override { return random_bytes(size); }
  bool supports(hal::KeyAlgorithm) override { return true; }
  hal::TokenStatus status() override {
    hal::TokenStatus out;
    out.state = away ? hal::TokenState::kAway : hal::TokenState::kReady;
    return out;
  }
  crypto::PrivateKey key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::atomic<bool> away = false;
  std::atomic<int> signatures = 0;
};

// Each question goes straight to the store.
#define KEYWARD_DIRECT(Request, call)                                               \
  Answer<wire::Request::Reply> ask(const wire::Request& m, std::int64_t) override { \
    return call(m);                                                                 \
  }
class DirectStore final : public StoreBackend {
 public:
  explicit DirectStore(store::Store& store) : store_(store) {}
  using StoreBackend::ask;
  KEYWARD_DIRECT(AccountPut, store_.account_put)
  KEYWARD_DIRECT(AccountGet, store_.account_get)
  KEYWARD_DIRECT(AccountUpdate, store_.account_update)
  KEYWARD_DIRECT(AccountRekey, store_.account_rekey)
  KEYWARD_DIRECT(OrderPut, store_.order_put)
  KEYWARD_DIRECT(OrderGet, store_.order_get)
  KEYWARD_DIRECT(OrderUpdate, store_.order_update)
  KEYWARD_DIRECT(OrderList, store_.order_list)
  KEYWARD_DIRECT(AuthzPut, store_.authz_put)
  KEYWARD_DIRECT(AuthzGet, store_.authz_get)
  KEYWARD_DIRECT(AuthzFind, store_.authz_find)
  KEYWARD_DIRECT(AuthzUpdate, store_.authz_update)
  KEYWARD_DIRECT(ChallengeUpdate, store_.challenge_update)
  KEYWARD_DIRECT(CertificateGet, store_.certificate_get)
  KEYWARD_DIRECT(CertificateFind, store_.certificate_find)
  KEYWARD_DIRECT(CertificateMark, store_.certificate_mark)
  KEYWARD_DIRECT(WorkList, store_.work_list)

 private:
  store::Store& store_;
};

class DirectSigner final : public SignerBackend {
 public:
  explicit DirectSigner(issue::Gate& gate) : gate_(gate) {}
  using SignerBackend::ask;
  KEYWARD_DIRECT(TicketMint, gate_.mint_ticket)
  KEYWARD_DIRECT(CertificateIssue, gate_.issue)
  KEYWARD_DIRECT(KeyChange, gate_.change_key)
  KEYWARD_DIRECT(CertificateRevoke, gate_.revoke)
  KEYWARD_DIRECT(OrderCancel, gate_.cancel_order)
  KEYWARD_DIRECT(GrantWithdraw, gate_.withdraw_grants)
  Answer<wire::IssuerGetReply> ask(const wire::IssuerGet&, std::int64_t) override {
    return gate_.issuer_chain();
  }

 private:
  issue::Gate& gate_;
};
#undef KEYWARD_DIRECT

// Proves every name at once.
class YesValidation final : public ValidationBackend {
 public:
  YesValidation(issue::Gate& gate, const Clock& clock) : gate_(gate), clock_(clock) {}
  using ValidationBackend::ask;
  Answer<wire::NameTokenMintReply> ask(const wire::NameTokenMint&, std::int64_t) override {
    return wire::NameTokenMintReply{random_id(32)};
  }
  Answer<wire::NameValidateReply> ask(const wire::NameValidate& m, std::int64_t) override {
    wire::GrantName grant;
    grant.thumbprint = m.thumbprint;
    grant.identifier = m.identifier;
    grant.wildcard = m.wildcard;
    grant.method = m.method;
    grant.expires_at_ms = clock_.utc_ms() + 30 * kDayMs;
    auto reply = gate_.grant_name(grant);
    if (!reply) return tl::unexpected<wire::Failure>(reply.error());
    return wire::NameValidateReply{std::nullopt, clock_.utc_ms(), grant.expires_at_ms};
  }

 private:
  issue::Gate& gate_;
  const Clock& clock_;
};

class Whole {
 public:
  Whole() {
    ca = keyward::test::make_test_ca(token.key.public_key().spki_der());
    open();
  }
  // A new life of all tasks over the same directories.
  void open() {
    service.reset();
    signer.reset();
    validation.reset();
    store_backend.reset();
    gate.reset();
    store.reset();
    for (const auto* name : {"/store", "/signer", "/acme"})
      std::filesystem::create_directories(dir.path() + name);
    store::Options options;
    options.directory = dir.path() + "/store";
    auto opened = store::Store::open(options, clock);
    ASSERT_TRUE(opened.has_value()) << opened.error().what;
    store = std::move(*opened);
    open_gate();
    store_backend = std::make_unique<DirectStore>(*store);
    signer = std::make_unique<DirectSigner>(*gate);
    validation = std::make_unique<YesValidation>(*gate, clock);
    ServiceConfig config;
    config.base_url = kBase;
    config.state_dir = dir.path() + "/acme";
    auto nonces = Nonces::open(config.state_dir + "/nonce.key", clock);
    ASSERT_TRUE(nonces.has_value());
    service = std::make_unique<Service>(config,
                                        Backend{*store_backend, *validation, attestation, *signer},
                                        clock, std::move(*nonces));
    ASSERT_TRUE(service->refresh_profiles());  // operational from here on
  }

  TempDir dir;
  OneClock clock;
  SoftwareToken token;
  keyward::test::TestCa ca;
  FakeAttestation attestation;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<issue::Gate> gate;
  std::unique_ptr<DirectStore> store_backend;
  std::unique_ptr<DirectSigner> signer;
  std::unique_ptr<YesValidation> validation;
  std::unique_ptr<Service> service;

 private:
  void open_gate() {
    issue::GateConfig config;
    config.base_url = kBase;
    config.key_label = "issuing";
    config.account_per_hour = 1'000;
    config.overall_per_hour = 1'000;
    auto server = issue::make_profile("server", issue::ProfileKind::kServer, 90);
    server.star = issue::StarLimits{};
    config.profiles = {server, issue::make_profile("device", issue::ProfileKind::kDevice, 365)};
    auto issuer = issue::load_issuer(ca.chain_pem, clock.utc_ms());
    ASSERT_TRUE(issuer.has_value()) << issuer.error().what;
    auto opened =
        issue::Gate::open(dir.path() + "/signer", config, std::move(*issuer), token, clock);
    ASSERT_TRUE(opened.has_value()) << opened.error().what;
    gate = std::move(*opened);
    gate->set_key_ready(true);
  }
};

// A client of the whole, raw enough to send anything.
class WholeClient {
 public:
  explicit WholeClient(Whole& whole) : whole_(whole) {}
  std::string kid;
  crypto::PrivateKey key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);

  HttpResponse get(const std::string& url, std::string_view method = "GET") {
    HttpRequest request;
    request.method = method;
    request.raw_path = url.starts_with(kBase) ? url.substr(kBase.size()) : url;
    return whole_.service->handle(request);
  }
  // Signed by `signer` with its own key in the header if `by_key`, else with the account's URL.
  HttpResponse post_as(const crypto::PrivateKey& signer, bool by_key, const std::string& url,
                       std::string payload) {
    jose::SignRequest sign;
    sign.url = url.starts_with(kBase) ? url : std::string(kBase) + url;
    sign.nonce = header_of(get("/acme/new-nonce", "HEAD"), "Replay-Nonce");
    if (!by_key) sign.kid = kid;
    sign.payload = std::move(payload);
    HttpRequest request;
    request.method = "POST";
    request.raw_path = sign.url.substr(kBase.size());
    request.content_type = "application/jose+json";
    request.body = to_bytes(jose::to_json(*jose::sign(signer, sign)));
    return whole_.service->handle(request);
  }
  HttpResponse post(const std::string& url, std::string payload) {
    return post_as(key, false, url, std::move(payload));
  }
  HttpResponse read(const std::string& url) { return post(url, ""); }

  void register_account() {
    const auto made = post_as(key, true, "/acme/new-account", R"({"termsOfServiceAgreed":true})");
    ASSERT_EQ(made.status, 201) << made.body;
    kid = header_of(made, "Location");
  }
  // newOrder for one dns name; `more` are further members, with a comma in front.
  HttpResponse order(const std::string& name, const std::string& more = "") {
    return post("/acme/new-order",
                R"({"identifiers":[{"type":"dns","value":")" + name + "\"}]" + more + "}");
  }
  // Answers the first http-01 challenge of each authorization that waits.
  void prove(const HttpResponse& made) {
    const auto document = json_of(made);
    for (const auto& url : document.root().get("authorizations").items()) {
      const auto authz = json_of(read(std::string(url.string())));
      if (authz.root().get("status").string() != "pending") continue;
      for (const auto& challenge : authz.root().get("challenges").items()) {
        if (challenge.get("type").string() != "http-01") continue;
        EXPECT_EQ(post(std::string(challenge.get("url").string()), "{}").status, 200);
      }
    }
    const auto location = header_of(made, "Location");
    EXPECT_TRUE(eventually([&] { return text_at(read(location), "status") == "ready"; }));
  }
  // From the order to a valid one; the order as it is then.
  HttpResponse finish(const HttpResponse& made, const std::string& name,
                      const crypto::PrivateKey& certificate_key) {
    prove(made);
    const auto csr = x509::build_csr(certificate_key, {{wire::IdentifierType::kDns, name}});
    return post(text_at(made, "finalize"), R"({"csr":")" + base64url_encode(*csr) + "\"}");
  }
  // A certificate for the name, its leaf.
  Bytes enrol(const std::string& name, const crypto::PrivateKey& certificate_key,
              const std::string& more = "") {
    const auto made = order(name, more);
    EXPECT_EQ(made.status, 201) << made.body;
    const auto valid = finish(made, name, certificate_key);
    EXPECT_EQ(text_at(valid, "status"), "valid") << valid.body;
    return leaf_in(read(text_at(valid, "certificate")));
  }
  static Bytes leaf_in(const HttpResponse& response) {
    const auto chain = x509::certificates_from_pem(response.body, 6);
    return chain && !chain->empty() ? chain->at(0) : Bytes{};
  }

 private:
  Whole& whole_;
};

}  // namespace keyward::acme::test
