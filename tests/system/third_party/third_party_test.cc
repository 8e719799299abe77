// Orders certificates for a vendor's devices of a running appliance, as the slides of 2019 have it:
// the customer's account at the vendor's newOrder, the vendor's token, a MAC address and a service.
// Each thing that may be wrong with a token, a tenant or a service is refused for its own reason,
// and leaves no certificate in the ledger.
#include <filesystem>

#include <gtest/gtest.h>

#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/authority/authority.h"
#include "tests/support/command/command.h"
#include "tests/support/dns_server/dns_server.h"
#include "tests/support/simulator/enrol_loop.h"
#include "tests/system/extensions/kit.h"

namespace keyward::test {
namespace {

constexpr std::string_view kMac = "00-24-98-7B-19-02";
constexpr std::string_view kOtherMac = "00:24:98:7b:19:03";
// RFC 10031: otherName of id-on-MACAddress, an OCTET STRING of six octets.
constexpr std::string_view kMacNameHex = "a01406082b0601050507080ca00804060024987b1902";
constexpr std::string_view kDomain = "customer.example";
constexpr std::string_view kService = "https://pbx.customer.example/phones";
constexpr const char* kSanOid = "2.5.29.17";
constexpr std::int64_t kMinuteS = 60;
constexpr std::int64_t kAgeMaxS = 600;

std::int64_t now_s() { return system_clock().utc_ms() / 1'000; }

// A token's parts, each of which can be made wrong alone. Claims are JSON; empty: it is not there.
struct Token {
  std::string alg = "ES256";
  std::string header = R"("typ":"JWT","kid":"k1")";
  std::string iss = R"("as.vendor.example")";
  std::string sub;  // a text, not JSON
  std::string aud = R"(["customer.example","ca.example"])";
  std::string exp, nbf, iat, jti;
  std::string jkt;
  std::string atc;
};

class ThirdParty : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir;
    std::filesystem::permissions(folder_->root(), std::filesystem::perms(0755));
    dns_ = new DnsServer;
    vendor_ = new crypto::PrivateKey(fresh_key());
    strong_ = new crypto::PrivateKey(must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP384)));
    other_ = new crypto::PrivateKey(fresh_key());
    publish("vendor.jwks", key_set({{"k1", vendor_}, {"k2", strong_}}));
    publish("other.jwks", key_set({{"o1", other_}}));
    auto options = up_options(settings());
    options.insert(options.end(),
                   {"--permit", std::string(kDomain), "--permit", "elsewhere.example"});
    simulator_ = new Simulator(options);
    ASSERT_TRUE(simulator_->started()) << simulator_->output();
    client_ = customer();
    vendor_order_url_ = order_url_of("vendor");
    prove_domain(*client_, kDomain);
  }
  static void TearDownTestSuite() {
    delete client_;
    delete simulator_;
    delete other_;
    delete strong_;
    delete vendor_;
    delete dns_;
    delete folder_;
  }
  static std::vector<std::string> settings() {
    const auto keys = [](const char* name) { return "\"" + folder_->path(name) + "\""; };
    return {R"(tenants.vendor.delegates=["customer"])",
            "tenants.customer.delegates=[]",
            "tenants.stranger.delegates=[]",
            R"(signer.profiles.phone.kind="third-party")",
            "signer.profiles.phone.days=30",
            "acme.compat.jwt_at_authorization=true",
            R"(validation.resolver.forward=[")" + dns_->forward() + R"("])",
            R"(attestation.vendors.acmevendor.iss="as.vendor.example")",
            "attestation.vendors.acmevendor.keys=" + keys("vendor.jwks"),
            R"(attestation.vendors.acmevendor.audience="ca.example")",
            R"(attestation.vendors.acmevendor.macs=["00:24:98"])",
            "attestation.vendors.acmevendor.max_age_s=" + std::to_string(kAgeMaxS),
            R"(attestation.vendors.othervendor.iss="as.other.example")",
            "attestation.vendors.othervendor.keys=" + keys("other.jwks"),
            R"(attestation.vendors.othervendor.audience="ca.example")",
            R"(attestation.vendors.othervendor.macs=["00:1b:c5"])"};
  }
  // For tasks that have user ids of their own.
  static void publish(const std::string& name, const std::string& text) {
    write_file(folder_->path(name), view_of(text));
    std::filesystem::permissions(folder_->path(name), std::filesystem::perms(0644));
  }
  static std::string key_set(
      const std::vector<std::pair<std::string, const crypto::PrivateKey*>>& keys) {
    std::string list;
    for (const auto& [kid, key] : keys)
      list += (list.empty() ? "" : ",") + (R"({"kid":")" + kid + "\",") + jwk_of(*key).substr(1);
    return R"({"keys":[)" + list + "]}";
  }

  // ---- tenants

  static std::string base() {
    const auto directory = simulator_->env("KEYWARD_DIRECTORY");
    return directory.substr(0, directory.find('/', 8));
  }
  static std::string directory_of(const std::string& tenant) {
    return base() + "/acme/t/" + tenant + "/directory";
  }
  static std::string order_url_of(const std::string& tenant) {
    return Client(*simulator_, fresh_key(), directory_of(tenant)).url_of("newOrder");
  }
  static Client* of_tenant(const std::string& tenant) {
    auto* client = new Client(*simulator_, fresh_key(), directory_of(tenant));
    client->sign_up();
    return client;
  }
  static Client* customer() { return of_tenant("customer"); }
  static void prove_domain(Client& client, std::string_view name) {
    const auto made = client.post(client.url_of("newAuthz"),
                                  R"({"identifier":)" + identifier_json("dns", name) + "}");
    ASSERT_EQ(made.status, 201) << made.body;
    prove_authz(client, *dns_, made);
  }

  // ---- orders

  static std::string order_json(std::string_view mac, std::string_view uri = {}) {
    auto list = identifier_json("mac", mac);
    if (!uri.empty()) list += "," + identifier_json("uri", uri);
    return R"({"identifiers":[)" + list + "]}";
  }
  static HttpReply order(Client& client, std::string_view mac = kMac, std::string_view uri = {}) {
    const auto made = client.post(vendor_order_url_, order_json(mac, uri));
    EXPECT_EQ(made.status, 201) << made.body;
    return made;
  }
  static HttpReply order(std::string_view mac = kMac, std::string_view uri = {}) {
    return order(*client_, mac, uri);
  }
  static std::string authz_url(const HttpReply& made, std::size_t number = 0) {
    const auto document = json_of(made);
    const auto urls = document.root().get("authorizations").items();
    return number < urls.size() ? std::string(urls[number].string()) : "";
  }
  static HttpReply respond(const HttpReply& made, const std::string& token) {
    simulator_->keep_secret("a vendor's token", view_of(token));
    return client_->post(challenge_in(authz_of(*client_, made), "vendor-jwt-01").url,
                         R"({"jwt":")" + token + "\"}");
  }
  static std::string status_of(const std::string& url) {
    return text_at(client_->read(url), "status");
  }
  static std::string csr(std::string_view mac = "00:24:98:7b:19:02", std::string_view uri = {}) {
    std::vector<wire::Identifier> names{{wire::IdentifierType::kMac, std::string(mac)}};
    if (!uri.empty()) names.push_back({wire::IdentifierType::kUri, std::string(uri)});
    return base64url_encode(must(x509::build_csr(fresh_key(), names)));
  }
  static long issued() { return ledger_count(*simulator_, "issued"); }

  // ---- tokens

  static Token good(const Client& client, std::string_view mac = kMac) {
    Token out;
    out.sub = mac;
    out.exp = std::to_string(now_s() + 5 * kMinuteS);
    out.jti = "\"token-" + std::to_string(++tokens_) + "\"";
    out.jkt = base64url_encode(client.thumbprint());
    return out;
  }
  static Token good() { return good(*client_); }
  static std::string to_be_signed(const Token& token) {
    std::string claims;
    const auto add = [&](const char* name, const std::string& json) {
      if (!json.empty()) claims += (claims.empty() ? "\"" : ",\"") + (name + ("\":" + json));
    };
    add("iss", token.iss);
    if (!token.sub.empty()) add("sub", "\"" + token.sub + "\"");
    add("aud", token.aud);
    add("exp", token.exp);
    add("nbf", token.nbf);
    add("iat", token.iat);
    add("jti", token.jti);
    if (!token.jkt.empty()) add("cnf", R"({"jkt":")" + token.jkt + "\"}");
    add("atc", token.atc);
    const auto header = R"({"alg":")" + token.alg + "\"," + token.header + "}";
    return base64url_encode(view_of(header)) + "." + base64url_encode(view_of("{" + claims + "}"));
  }
  static std::string sign(const Token& token, const crypto::PrivateKey& key,
                          crypto::HashAlgorithm hash = crypto::HashAlgorithm::kSha256) {
    const auto text = to_be_signed(token);
    const auto signature = must(key.sign(crypto::SignatureScheme::kEcdsaRaw, hash, view_of(text)));
    return text + "." + base64url_encode(signature);
  }
  static std::string sign(const Token& token) { return sign(token, *vendor_); }

  // A token that is refused: final for challenge, authorization and order, and nothing was issued.
  static void expect_refused(const std::string& token, std::string_view type, std::string_view code,
                             std::string_view mac = kMac) {
    SCOPED_TRACE(code);
    const auto before = issued();
    const auto made = order(mac);
    expect_problem(respond(made, token), 403, type, code);
    EXPECT_EQ(status_of(authz_url(made)), "invalid");
    EXPECT_EQ(status_of(made.header("location")), "invalid");
    expect_problem(finalize(*client_, made, csr()), 403, "orderNotReady", "order.not-ready");
    EXPECT_EQ(issued(), before);
  }
  static std::string chain_of(const HttpReply& done) {
    EXPECT_EQ(text_at(done, "status"), "valid") << done.body;
    return client_->read(text_at(done, "certificate")).body;
  }
  // The leaf's subjectAltName, octet for octet; and OpenSSL finds the chain good.
  static std::string san_hex(const std::string& pem) {
    const TempDir work;
    write_file(work.path("leaf.pem"), view_of(pem));
    const auto verified = run_command({"openssl", "verify", "-x509_strict", "-CAfile",
                                       simulator_->env("KEYWARD_CA_FILE"), "-untrusted",
                                       work.path("leaf.pem"), work.path("leaf.pem")});
    EXPECT_EQ(verified.status, 0) << verified.output;
    const auto chain = x509::certificates_from_pem(pem, 4);
    if (!chain || chain->empty()) return "no certificate";
    const auto leaf = x509::parse_certificate(chain->front());
    const auto* names = leaf ? leaf->extension(kSanOid) : nullptr;
    return names ? hex_encode(names->value) : "none";
  }
  // A GeneralNames of the address, and of a URI ([6] uniformResourceIdentifier).
  static std::string san_of(std::string_view uri = {}) {
    std::string names(kMacNameHex);
    const auto length = [](std::size_t octets) {
      const auto octet = static_cast<std::uint8_t>(octets);
      return hex_encode(ByteView(&octet, 1));
    };
    if (!uri.empty()) names += "86" + length(uri.size()) + hex_encode(view_of(std::string(uri)));
    return "30" + length(names.size() / 2) + names;
  }

  static inline TempDir* folder_ = nullptr;
  static inline DnsServer* dns_ = nullptr;
  static inline crypto::PrivateKey* vendor_ = nullptr;  // "k1"
  static inline crypto::PrivateKey* strong_ = nullptr;  // "k2", P-384
  static inline crypto::PrivateKey* other_ = nullptr;   // of another vendor
  static inline Simulator* simulator_ = nullptr;
  static inline Client* client_ = nullptr;  // the customer's, which has proved kDomain
  static inline std::string vendor_order_url_;
  static inline int tokens_ = 0;
};

// The slides' [01] to [06]: each URL in the tenant that they say.
TEST_F(ThirdParty, SlidesFlow_MacAndServiceUri_CertificateHoldsBothOctetForOctet) {
  const auto before = issued();
  const auto vendor = base() + "/acme/t/vendor/", mine = base() + "/acme/t/customer/";
  EXPECT_TRUE(client_->kid.starts_with(mine + "account/")) << client_->kid;
  const auto made = order(kMac, kService);
  EXPECT_TRUE(made.header("location").starts_with(mine + "order/")) << made.header("location");
  EXPECT_TRUE(text_at(made, "finalize").starts_with(mine + "order/")) << made.body;
  EXPECT_TRUE(authz_url(made, 0).starts_with(vendor + "authz/")) << made.body;
  EXPECT_TRUE(authz_url(made, 1).starts_with(vendor + "authz/")) << made.body;
  const auto document = json_of(made);
  const auto echoed = document.root().get("identifiers").items();
  ASSERT_EQ(echoed.size(), 2u);
  EXPECT_EQ(echoed[0].get("value").string(), kMac);  // as it was written (D-T1)
  EXPECT_EQ(echoed[1].get("value").string(), kService);
  EXPECT_EQ(status_of(authz_url(made, 1)), "valid");  // the domain, proved beforehand (D-T3)
  const auto challenge = challenge_in(authz_of(*client_, made), "vendor-jwt-01");
  EXPECT_TRUE(challenge.url.starts_with(vendor + "challenge/")) << challenge.url;

  const auto valid = respond(made, sign(good()));
  ASSERT_EQ(valid.status, 200) << valid.body;
  EXPECT_EQ(text_at(valid, "status"), "valid");
  EXPECT_EQ(status_of(made.header("location")), "ready");
  const auto done = finalize(*client_, made, csr("00:24:98:7b:19:02", kService));
  const auto pem = chain_of(done);
  EXPECT_TRUE(text_at(done, "certificate").starts_with(mine + "certificate/")) << done.body;
  EXPECT_EQ(san_hex(pem), san_of(kService));
  EXPECT_EQ(issued(), before + 1);
}

TEST_F(ThirdParty, MacAlone_TokenPostedToTheAuthorizationAsInTheSlides_Issued) {
  const auto made = order();
  const auto valid = client_->post(authz_url(made), R"({"jwt":")" + sign(good()) + "\"}");
  ASSERT_EQ(valid.status, 200) << valid.body;
  EXPECT_EQ(text_at(valid, "status"), "valid");
  EXPECT_EQ(san_hex(chain_of(finalize(*client_, made, csr()))), san_of());
}

TEST_F(ThirdParty, Tkauth_TktypeMac_Issued) {
  const auto made = order(kMac, kService);
  const auto challenge = challenge_in(authz_of(*client_, made), "tkauth-01");
  EXPECT_TRUE(challenge.url.starts_with(base() + "/acme/t/vendor/challenge/")) << challenge.url;
  auto token = good();
  token.sub.clear();
  token.jkt.clear();
  token.atc = R"({"tktype":"mac","tkvalue":"0024987b1902","fingerprint":")" +
              fingerprint_text(client_->thumbprint()) + "\"}";
  const auto valid = client_->post(challenge.url, R"({"tkauth":")" + sign(token) + "\"}");
  ASSERT_EQ(valid.status, 200) << valid.body;
  EXPECT_EQ(text_at(valid, "status"), "valid");
  const auto pem = chain_of(finalize(*client_, made, csr("00:24:98:7b:19:02", kService)));
  EXPECT_EQ(san_hex(pem), san_of(kService));
}

TEST_F(ThirdParty, Tkauth_WrongAtc_RefusedInTurn) {
  const auto refused = [](const std::string& atc, std::string_view type, std::string_view code) {
    SCOPED_TRACE(code);
    const auto before = issued();
    const auto made = order();
    auto token = good();
    token.atc = atc;
    const auto url = challenge_in(authz_of(*client_, made), "tkauth-01").url;
    expect_problem(client_->post(url, R"({"tkauth":")" + sign(token) + "\"}"), 403, type, code);
    EXPECT_EQ(status_of(made.header("location")), "invalid");
    EXPECT_EQ(issued(), before);
  };
  refused("", "incorrectResponse", "vendor.atc");
  refused(R"({"tktype":"TNAuthList","tkvalue":"0024987b1902"})", "incorrectResponse",
          "vendor.type");
  refused(R"({"tktype":"mac","tkvalue":"0024987b1902","ca":true})", "unauthorized", "vendor.ca");
  refused(R"({"tktype":"mac","tkvalue":"0024987b1903"})", "incorrectResponse", "vendor.sub");
}

// ---- the token's checks

TEST_F(ThirdParty, Algorithm_NoneHmacOrAnotherOne_Refused) {
  auto none = good();
  none.alg = "none";
  expect_refused(to_be_signed(none) + ".", "incorrectResponse", "vendor.syntax");
  expect_refused(to_be_signed(none) + ".AA", "unauthorized", "vendor.algorithm");
  // The vendor's public key, which everybody knows, as the secret.
  auto hmac = good();
  hmac.alg = "HS256";
  const auto text = to_be_signed(hmac);
  const auto tag =
      crypto::hmac(crypto::HashAlgorithm::kSha256, view_of(jwk_of(*vendor_)), view_of(text));
  expect_refused(text + "." + base64url_encode(tag), "unauthorized", "vendor.algorithm");
  auto other = good();
  other.alg = "ES384";  // by the vendor's own key, and not on its list
  other.header = R"("typ":"JWT","kid":"k2")";
  expect_refused(sign(other, *strong_, crypto::HashAlgorithm::kSha384), "unauthorized",
                 "vendor.algorithm");
}

TEST_F(ThirdParty, Key_UnknownOrAnother_Refused) {
  auto unknown = good();
  unknown.header = R"("typ":"JWT","kid":"k9")";
  expect_refused(sign(unknown), "unauthorized", "vendor.key");
  expect_refused(sign(good(), fresh_key()), "unauthorized", "vendor.signature");
}

TEST_F(ThirdParty, Issuer_UnknownOrAnotherVendors_Refused) {
  auto unknown = good();
  unknown.iss = R"("as.nobody.example")";
  expect_refused(sign(unknown), "unauthorized", "vendor.iss");
  auto posing = good();
  posing.header = R"("typ":"JWT","kid":"o1")";
  expect_refused(sign(posing, *other_), "unauthorized", "vendor.iss");
}

TEST_F(ThirdParty, Subject_AnotherDevice_Refused) {
  auto token = good();
  token.sub = kOtherMac;
  expect_refused(sign(token), "incorrectResponse", "vendor.sub");
}

TEST_F(ThirdParty, Audience_WithoutTheCaOrACustomer_Refused) {
  auto without_ca = good();
  without_ca.aud = R"(["customer.example","ca.elsewhere.example"])";
  expect_refused(sign(without_ca), "unauthorized", "vendor.aud");
  auto without_customer = good();
  without_customer.aud = R"(["ca.example"])";
  expect_refused(sign(without_customer), "unauthorized", "vendor.aud");
}

TEST_F(ThirdParty, Times_ExpiredNotYetTooOldOrNone_Refused) {
  auto expired = good();
  expired.exp = std::to_string(now_s() - 1);
  expect_refused(sign(expired), "unauthorized", "vendor.expired");
  auto early = good();
  early.nbf = std::to_string(now_s() + 3 * kMinuteS);
  expect_refused(sign(early), "unauthorized", "vendor.not-yet");
  auto old = good();
  old.exp.clear();
  old.iat = std::to_string(now_s() - kAgeMaxS - 1);
  expect_refused(sign(old), "unauthorized", "vendor.expired");
  auto endless = good();
  endless.exp.clear();
  expect_refused(sign(endless), "unauthorized", "vendor.lifetime");
}

TEST_F(ThirdParty, TokenWithoutId_Refused) {
  auto token = good();
  token.jti.clear();
  expect_refused(sign(token), "incorrectResponse", "vendor.jti");
}

TEST_F(ThirdParty, TokenUsedBefore_RefusedForEveryFurtherOrder) {
  const auto token = good();
  const auto made = order();
  ASSERT_EQ(respond(made, sign(token)).status, 200);
  expect_refused(sign(token), "unauthorized", "vendor.replayed");
  EXPECT_EQ(san_hex(chain_of(finalize(*client_, made, csr()))), san_of());
  expect_refused(sign(token), "unauthorized", "vendor.replayed");
}

TEST_F(ThirdParty, Fingerprint_OfAnotherAccountOrNone_Refused) {
  auto foreign = good();
  foreign.jkt = base64url_encode(crypto::sha256(view_of("another account's key")));
  expect_refused(sign(foreign), "unauthorized", "vendor.fingerprint");
  auto bearer = good();
  bearer.jkt.clear();
  expect_refused(sign(bearer), "unauthorized", "vendor.fingerprint");
}

TEST_F(ThirdParty, Mac_OutsideTheVendorsPrefixes_Refused) {
  expect_refused(sign(good(*client_, "00:24:99:00:00:01")), "unauthorized", "vendor.mac",
                 "00:24:99:00:00:01");
  // Another vendor, trusted for its own addresses alone.
  auto other = good();
  other.iss = R"("as.other.example")";
  other.header = R"("typ":"JWT","kid":"o1")";
  expect_refused(sign(other, *other_), "unauthorized", "vendor.mac");
}

TEST_F(ThirdParty, Mac_OfAGroup_NoOrder) {
  const auto before = issued();
  expect_problem(client_->post(vendor_order_url_, order_json("01:00:5e:00:00:fb")), 403,
                 "rejectedIdentifier", "identifier-not-permitted");
  EXPECT_EQ(issued(), before);
}

// ---- orders

TEST_F(ThirdParty, ProofOfOneOrder_ServesNoOther) {
  const auto before = issued();
  const auto proved = order();
  const auto second = order();  // the same address, the same account
  EXPECT_NE(authz_url(proved), authz_url(second));
  ASSERT_EQ(respond(proved, sign(good())).status, 200);
  EXPECT_EQ(status_of(authz_url(second)), "pending");
  expect_problem(finalize(*client_, second, csr()), 403, "orderNotReady", "order.not-ready");
  EXPECT_EQ(status_of(second.header("location")), "pending");
  EXPECT_EQ(issued(), before);
  EXPECT_EQ(san_hex(chain_of(finalize(*client_, proved, csr()))), san_of());
}

TEST_F(ThirdParty, Csr_OfAnotherDeviceOrWithoutTheService_RefusedAndTheOrderStaysReady) {
  const auto before = issued();
  const auto made = order(kMac, kService);
  ASSERT_EQ(respond(made, sign(good())).status, 200);
  expect_problem(finalize(*client_, made, csr(kOtherMac, kService)), 400, "badCSR", "csr-names");
  expect_problem(finalize(*client_, made, csr("00:24:98:7b:19:02")), 400, "badCSR", "csr-names");
  expect_problem(
      finalize(*client_, made, csr("00:24:98:7b:19:02", "https://pbx.customer.example/other")), 400,
      "badCSR", "csr-names");
  EXPECT_EQ(status_of(made.header("location")), "ready");
  EXPECT_EQ(issued(), before);
}

// ---- services

TEST_F(ThirdParty, Service_OutsideTheTokensDomains_Refused) {
  const std::string elsewhere = "https://phones.elsewhere.example/";
  const auto before = issued();
  prove_domain(*client_, "elsewhere.example");
  const auto made = order(kMac, elsewhere);
  ASSERT_EQ(respond(made, sign(good())).status, 200);
  expect_problem(finalize(*client_, made, csr("00:24:98:7b:19:02", elsewhere)), 403, "unauthorized",
                 "service-domain-missing");
  EXPECT_EQ(status_of(made.header("location")), "invalid");
  EXPECT_EQ(issued(), before);
}

// Nothing of the domain was ever proved by this account: the order waits for that.
TEST_F(ThirdParty, Service_DomainOfAnotherAccount_NotReadyUntilItsHostIsProved) {
  const auto before = issued();
  const std::unique_ptr<Client> second(customer());
  const auto made = order(*second, kMac, kService);
  const auto url = challenge_in(authz_of(*second, made), "vendor-jwt-01").url;
  ASSERT_EQ(second->post(url, R"({"jwt":")" + sign(good(*second)) + "\"}").status, 200);
  const auto host = authz_of(*second, made, 1);
  EXPECT_EQ(text_at(host, "status"), "pending");
  EXPECT_EQ(json_of(host).root().get("identifier").get("value").string(), "pbx.customer.example");
  const auto request = csr("00:24:98:7b:19:02", kService);
  expect_problem(finalize(*second, made, request), 403, "orderNotReady", "order.not-ready");
  EXPECT_EQ(issued(), before);
  prove_authz(*second, *dns_, host);
  EXPECT_EQ(text_at(finalize(*second, made, request), "status"), "valid");
}

// The order relies on a name above, which is not the one that the token is for. Neither order nor
// token is lost: what is missing is proved, and the same order goes on.
TEST_F(ThirdParty, Service_NameAboveTheTokensDomain_RefusedUntilThatDomainIsProved) {
  const auto before = issued();
  const std::string service = "https://phone.site.customer.example/";
  const auto made = order(kMac, service);
  EXPECT_EQ(status_of(authz_url(made, 1)), "valid");
  auto token = good();
  token.aud = R"(["site.customer.example","ca.example"])";
  ASSERT_EQ(respond(made, sign(token)).status, 200);
  const auto request = csr("00:24:98:7b:19:02", service);
  expect_problem(finalize(*client_, made, request), 403, "unauthorized", "service-domain-unproved");
  EXPECT_EQ(status_of(made.header("location")), "ready");
  EXPECT_EQ(issued(), before);
  prove_domain(*client_, "site.customer.example");
  EXPECT_EQ(san_hex(chain_of(finalize(*client_, made, request))), san_of(service));
}

// ---- tenants

TEST_F(ThirdParty, Tenant_ThatIsNotDelegatedTo_CannotOrder) {
  const auto before = issued();
  const std::unique_ptr<Client> stranger(of_tenant("stranger"));
  expect_problem(stranger->post(vendor_order_url_, order_json(kMac)), 403, "unauthorized",
                 "tenant.not-delegated");
  // Delegation goes one way.
  const std::unique_ptr<Client> vendor(of_tenant("vendor"));
  expect_problem(vendor->post(client_->url_of("newOrder"), order_json(kMac)), 403, "unauthorized",
                 "tenant.not-delegated");
  EXPECT_EQ(issued(), before);
}

TEST_F(ThirdParty, Kid_InAnotherTenantsForm_IsNoAccount) {
  const auto before = issued();
  for (const std::string tenant : {"vendor", "stranger"}) {
    const auto kid = base() + "/acme/t/" + tenant + "/account/" + client_->account_id();
    expect_problem(client_->post_as(client_->key, kid, vendor_order_url_, order_json(kMac)), 400,
                   "accountDoesNotExist", "account.unknown");
  }
  const auto plain = base() + "/acme/account/" + client_->account_id();
  expect_problem(client_->post_as(client_->key, plain, vendor_order_url_, order_json(kMac)), 400,
                 "accountDoesNotExist", "account.unknown");
  EXPECT_EQ(issued(), before);
}

TEST_F(ThirdParty, OrderAndAuthorization_OfAnotherAccount_NotServed) {
  const auto made = order();
  const std::unique_ptr<Client> second(customer()), stranger(of_tenant("stranger")),
      vendor(of_tenant("vendor"));
  for (auto* client : {second.get(), stranger.get(), vendor.get()}) {
    for (const auto& url : {made.header("location"), authz_url(made)}) {
      const auto reply = client->read(url);
      EXPECT_TRUE(reply.status == 403 || reply.status == 404) << reply.status << reply.body;
    }
  }
  EXPECT_EQ(status_of(made.header("location")), "pending");
}

// ---- keyward-agent

// The device makes its account and order first; the vendor's token, which names that account, comes
// then, and the same command goes on.
TEST_F(ThirdParty, Agent_MacServiceAndVendorsToken_EnrolledWithAKeyInTheTpm) {
  const auto device = must(simulator_->device("phone"));
  const TempDir work;
  const auto dir = work.path("agent");
  const auto enroll = [&](std::vector<std::string> more) {
    std::vector<std::string> words{keyward_binary("keyward-agent"),
                                   "enroll",
                                   "--dir",
                                   dir,
                                   "--tcti",
                                   device.tcti,
                                   "--directory",
                                   directory_of("customer"),
                                   "--order-directory",
                                   directory_of("vendor"),
                                   "--ca-file",
                                   simulator_->env("KEYWARD_CA_FILE"),
                                   "--mac",
                                   std::string(kMac),
                                   "--service-uri",
                                   std::string(kService)};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  };
  const auto waiting = enroll({});
  EXPECT_EQ(waiting.status, 2) << waiting.output;
  EXPECT_NE(waiting.output.find("pbx.customer.example"), std::string::npos) << waiting.output;
  const auto state =
      must(json::Document::parse(must(read_text_file(dir + "/state.json", 1 << 16))));
  const std::string pem(state.root().get("account_key").string());
  Client account(*simulator_, must(crypto::PrivateKey::from_pem(pem)), directory_of("customer"));
  account.kid = state.root().get("account_url").string();
  // The service's host, by whoever runs it; only then is the token asked for, which serves once.
  const auto order_url = std::string(state.root().get("pending").get("order_url").string());
  prove_authz(account, *dns_, authz_of(account, account.read(order_url), 1));
  const auto without = enroll({});
  EXPECT_EQ(without.status, 2) << without.output;
  EXPECT_NE(without.output.find(base64url_encode(account.thumbprint())), std::string::npos)
      << without.output;
  EXPECT_NE(without.output.find(order_url), std::string::npos) << without.output;
  write_file(work.path("vendor.jwt"), view_of(sign(good(account)) + "\n"));
  const auto done = enroll({"--vendor-jwt", work.path("vendor.jwt")});
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(san_hex(must(read_text_file(dir + "/certificate.pem", 1 << 16))), san_of(kService));
}

}  // namespace
}  // namespace keyward::test
