// Orders telephone identities (RFC 9448, RFC 9447, RFC 8226) of a running appliance with the tokens
// of an authority that the test makes, and reads what comes out with OpenSSL. Each thing that may
// be wrong with a token is refused over ACME for its own reason.
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "hal/base/clock.h"
#include "tests/support/authority/authority.h"
#include "tests/support/command/command.h"
#include "tests/support/issuing/issuing.h"
#include "tests/system/extensions/kit.h"
#include "tests/task/validation/tiny_http.h"
#include "tests/task/validation/tiny_tls.h"

namespace keyward::test {
namespace {

constexpr const char* kListOid = "1.3.6.1.5.5.7.1.26";
constexpr const char* kConstraintsOid = "1.3.6.1.5.5.7.1.27";
constexpr std::string_view kListHex = "3008a00616043730394a";  // RFC 9448: SPC 709J
constexpr std::string_view kOtherList = "MAigBhYEMTIzNA";      // SPC 1234
constexpr std::string_view kConstraintsHex =
    "300ca00a300816066f7269676964";  // mustInclude "origid"
constexpr std::string_view kHost = "authority.plant.example";
constexpr std::string_view kFileUrl = "https://files.plant.example/cert";
constexpr std::int64_t kHourS = 3'600;

struct Free {
  void operator()(X509* p) const { ::X509_free(p); }
  void operator()(BIO* p) const { ::BIO_free(p); }
  void operator()(ASN1_OBJECT* p) const { ::ASN1_OBJECT_free(p); }
};
using X509Ptr = std::unique_ptr<X509, Free>;

X509Ptr leaf_of(const std::string& pem) {
  const std::unique_ptr<BIO, Free> bio(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Ptr(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// The content of the one extension with this OID, in hexadecimal; "critical " before it if it is.
std::string extension_hex(const X509* certificate, const char* oid) {
  const std::unique_ptr<ASN1_OBJECT, Free> object(::OBJ_txt2obj(oid, 1));
  const int at = ::X509_get_ext_by_OBJ(certificate, object.get(), -1);
  if (at < 0) return "none";
  if (::X509_get_ext_by_OBJ(certificate, object.get(), at) >= 0) return "twice";
  X509_EXTENSION* extension = ::X509_get_ext(certificate, at);
  const ASN1_OCTET_STRING* value = ::X509_EXTENSION_get_data(extension);
  const ByteView octets(::ASN1_STRING_get0_data(value),
                        static_cast<std::size_t>(::ASN1_STRING_length(value)));
  return (::X509_EXTENSION_get_critical(extension) != 0 ? "critical " : "") + hex_encode(octets);
}

std::string unpadded(std::string_view hex) { return base64url_encode(must(hex_decode(hex))); }

class Shaken : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir;
    std::filesystem::permissions(folder_->root(), std::filesystem::perms(0755));
    authority_ = new AuthorityMaker(system_clock().utc_ms());
    const auto web = make_certificate({{"DNS:" + std::string(kHost)}, std::nullopt});
    server_ = new TinyTls(answer);
    server_->use(web, {});
    publish("root.pem", authority_->root_pem());
    publish("authority.pem", authority_->chain_pem());
    publish("web.pem", web.pem);
    const auto host = std::string(kHost) + ":" + std::to_string(server_->port());
    auto options =
        up_options({R"(attestation.authority_roots=[")" + folder_->path("root.pem") + R"("])",
                    R"(attestation.authority_hosts=[")" + host + R"("])",
                    R"(attestation.authority_files=[")" + std::string(kFileUrl) + "=" +
                        folder_->path("authority.pem") + R"("])",
                    R"(validation.fetch_hosts=[")" + std::string(kHost) + R"("])",
                    R"(validation.fetch_ca_file=")" + folder_->path("web.pem") + R"(")",
                    R"(acme.token_authority="https://)" + host + R"(")",
                    R"(signer.profiles.sti.kind="sti")", "signer.profiles.sti.days=30"});
    options.insert(options.end(), {"--host", std::string(kHost) + "=127.0.0.1"});
    simulator_ = new Simulator(options);
    ASSERT_TRUE(simulator_->started()) << simulator_->output();
    x5u_ = "https://" + host + "/cert";
    client_ = new Client(*simulator_);
    client_->sign_up();
  }
  static void TearDownTestSuite() {
    delete client_;
    delete simulator_;
    delete server_;
    delete authority_;
    delete folder_;
  }

  // For tasks that have user ids of their own.
  static void publish(const std::string& name, const std::string& text) {
    write_file(folder_->path(name), view_of(text));
    std::filesystem::permissions(folder_->path(name), std::filesystem::perms(0644));
  }
  static void answer(ssl_st* ssl) {
    const auto request = tls_read_line(ssl);
    while (!tls_read_line(ssl).empty()) {
    }
    if (!request.starts_with("GET /cert "))
      return tls_write(ssl, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    tls_write(ssl, TinyHttp::ok(authority_->chain_pem()));
  }

  // A good token for the client; each has an id of its own.
  static AuthorityTokenSpec good() {
    AuthorityTokenSpec spec;
    spec.x5u = x5u_;
    spec.thumbprint = client_->thumbprint();
    spec.jti = "token-" + std::to_string(++tokens_);
    return spec;
  }
  static HttpReply order(const std::string& more_identifiers = "") {
    const auto reply =
        client_->post(client_->url_of("newOrder"), R"({"identifiers":[)" +
                                                       identifier_json("TNAuthList", kTnAuthList) +
                                                       more_identifiers + R"(],"profile":"sti"})");
    EXPECT_EQ(reply.status, 201) << reply.body;
    return reply;
  }
  static HttpReply respond(const HttpReply& authz, const std::string& token) {
    return client_->post(challenge_in(authz, "tkauth-01").url, R"({"tkauth":")" + token + "\"}");
  }
  static HttpReply respond_to_order(const HttpReply& made, const std::string& token) {
    return respond(authz_of(*client_, made), token);
  }
  static Bytes extension(const char* oid, std::string_view hex) {
    return x509::extension_der(oid, false, must(hex_decode(hex)));
  }
  static std::string csr(std::vector<Bytes> extensions) {
    CsrSpec spec;
    spec.extensions = std::move(extensions);
    return base64url_encode(make_csr(fresh_key(), spec));
  }
  static std::string list_csr() { return csr({extension(kListOid, kListHex)}); }
  static std::string certificate(const HttpReply& done) {
    EXPECT_EQ(text_at(done, "status"), "valid") << done.body;
    return client_->read(text_at(done, "certificate")).body;
  }
  // The whole way with a good token of this form.
  static std::string enrol(const AuthorityTokenSpec& spec) {
    const auto made = order();
    const auto valid = respond_to_order(made, authority_->token(spec));
    EXPECT_EQ(valid.status, 200) << valid.body;
    EXPECT_EQ(text_at(valid, "status"), "valid");
    return certificate(finalize(*client_, made, list_csr()));
  }
  // A token that is refused, final for the challenge and the order.
  static void expect_refused(const std::string& token, std::string_view type,
                             std::string_view code) {
    SCOPED_TRACE(code);
    const auto made = order();
    const auto refused = respond_to_order(made, token);
    expect_problem(refused, 403, type, code);
    const auto authz = authz_of(*client_, made);
    EXPECT_EQ(text_at(authz, "status"), "invalid");
    EXPECT_EQ(challenge_in(authz, "tkauth-01").status, "invalid");
    EXPECT_EQ(text_at(client_->read(made.header("location")), "status"), "invalid");
    expect_problem(finalize(*client_, made, list_csr()), 403, "orderNotReady", "order.not-ready");
  }

  static inline TempDir* folder_ = nullptr;
  static inline AuthorityMaker* authority_ = nullptr;
  static inline TinyTls* server_ = nullptr;
  static inline Simulator* simulator_ = nullptr;
  static inline Client* client_ = nullptr;
  static inline std::string x5u_;
  static inline int tokens_ = 0;
};

TEST_F(Shaken, OrderWithAGoodToken_CertificateCarriesTheListOctetByOctet) {
  const auto made = order();
  const auto authz = authz_of(*client_, made);
  const auto document = json_of(authz);
  EXPECT_EQ(document.root().get("identifier").get("type").string(), "TNAuthList");
  EXPECT_EQ(document.root().get("identifier").get("value").string(), kTnAuthList);
  const auto challenges = document.root().get("challenges").items();
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].get("tkauth-type").string(), "atc");  // RFC 9447 §3
  EXPECT_EQ(std::string(challenges[0].get("token-authority").string()) + "/cert", x5u_);

  auto spec = good();
  spec.exp_s = system_clock().utc_ms() / 1'000 + kHourS;
  const int fetched_before = server_->connections();
  const auto valid = respond(authz, authority_->token(spec));
  ASSERT_EQ(valid.status, 200) << valid.body;
  EXPECT_EQ(text_at(valid, "status"), "valid");
  EXPECT_EQ(server_->connections(), fetched_before + 1);  // x5u, by validation
  EXPECT_EQ(text_at(client_->read(made.header("location")), "status"), "ready");

  const auto pem = certificate(finalize(*client_, made, list_csr()));
  const auto leaf = leaf_of(pem);
  ASSERT_NE(leaf, nullptr) << pem;
  EXPECT_EQ(extension_hex(leaf.get(), kListOid), kListHex);
  EXPECT_EQ(extension_hex(leaf.get(), kConstraintsOid), "none");
  EXPECT_EQ(extension_hex(leaf.get(), "2.5.29.17"), "none");  // no name was proved
  // RFC 9447 §7: no longer than the token.
  const std::time_t expires = *spec.exp_s;
  EXPECT_EQ(::X509_cmp_time(::X509_get0_notAfter(leaf.get()), const_cast<std::time_t*>(&expires)),
            -1);
  const TempDir work;
  write_file(work.path("leaf.pem"), view_of(pem));
  const auto verified = run_command({"openssl", "verify", "-x509_strict", "-CAfile",
                                     simulator_->env("KEYWARD_CA_FILE"), "-untrusted",
                                     work.path("leaf.pem"), work.path("leaf.pem")});
  EXPECT_EQ(verified.status, 0) << verified.output;
}

TEST_F(Shaken, X5cAndPreFetchedFile_ServeWithoutANetwork) {
  const int fetched_before = server_->connections();
  auto by_chain = good();
  by_chain.x5c = true;
  EXPECT_EQ(extension_hex(leaf_of(enrol(by_chain)).get(), kListOid), kListHex);
  auto by_file = good();
  by_file.x5u = kFileUrl;
  by_file.tkvalue = kTnAuthList;  // without padding
  EXPECT_EQ(extension_hex(leaf_of(enrol(by_file)).get(), kListOid), kListHex);
  EXPECT_EQ(server_->connections(), fetched_before);
}

// RFC 9448 §6, check 1: syntax, and the claims that must be there.
TEST_F(Shaken, Check1_SyntaxAndClaims) {
  expect_refused("no-token", "incorrectResponse", "tkauth.syntax");
  auto claims = good();
  claims.claims = R"({"jti":"x","atc":{}})";  // no exp
  expect_refused(authority_->token(claims), "incorrectResponse", "tkauth.claims");
}

TEST_F(Shaken, Check2_X5uOfNobodyTrusted) {
  auto spec = good();
  spec.x5u = "https://stranger.plant.example/cert";
  const int fetched_before = server_->connections();
  expect_refused(authority_->token(spec), "unauthorized", "tkauth.x5u-untrusted");
  EXPECT_EQ(server_->connections(), fetched_before);
}

TEST_F(Shaken, Check3_CertificateNotObtainedOrNotOfARoot) {
  auto nowhere = good();
  nowhere.x5u = x5u_ + "-of-nobody";
  expect_refused(authority_->token(nowhere), "incorrectResponse", "fetch-status");
  const AuthorityMaker stranger(system_clock().utc_ms());
  auto foreign = good();
  foreign.x5c = true;
  expect_refused(stranger.token(foreign), "unauthorized", "tkauth.certificate");
}

TEST_F(Shaken, Check4_SignatureByAnotherKey) {
  auto spec = good();
  spec.other_key = true;
  expect_refused(authority_->token(spec), "unauthorized", "tkauth.signature");
}

TEST_F(Shaken, Check5_Tktype) {
  auto spec = good();
  spec.tktype = "JWTClaimConstraints";
  expect_refused(authority_->token(spec), "incorrectResponse", "tkauth.type");
}

TEST_F(Shaken, Check6_Tkvalue) {
  auto spec = good();
  spec.tkvalue = kOtherList;
  expect_refused(authority_->token(spec), "incorrectResponse", "tkauth.value");
}

TEST_F(Shaken, Check7_ExpiredOrNotYetValid) {
  const auto now_s = system_clock().utc_ms() / 1'000;
  auto expired = good();
  expired.exp_s = now_s - 1;
  expect_refused(authority_->token(expired), "unauthorized", "tkauth.expired");
  auto early = good();
  early.nbf_s = now_s + kHourS / 2;
  expect_refused(authority_->token(early), "unauthorized", "tkauth.not-yet");
}

TEST_F(Shaken, Check8_FingerprintOfAnotherAccount) {
  auto spec = good();
  spec.thumbprint = crypto::sha256(view_of("another key"));
  expect_refused(authority_->token(spec), "unauthorized", "tkauth.fingerprint");
}

TEST_F(Shaken, Check9_TokenForACa) {
  auto spec = good();
  spec.ca = "true";
  expect_refused(authority_->token(spec), "unauthorized", "tkauth.ca");
}

TEST_F(Shaken, TokenUsedForAnOrderBefore_Replayed) {
  const auto spec = good();
  (void)enrol(spec);
  expect_refused(authority_->token(spec), "unauthorized", "tkauth.replayed");
}

// Check 9 at finalize: what the CSR asks for. The order stays ready for a better one.
TEST_F(Shaken, CsrForACaOrForAnotherList_BadCsr) {
  const auto made = order();
  ASSERT_EQ(respond_to_order(made, authority_->token(good())).status, 200);
  const auto list = extension(kListOid, kListHex);
  expect_problem(
      finalize(*client_, made, csr({list, x509::ext_basic_constraints(true, std::nullopt)})), 400,
      "badCSR", "csr-extension");
  const auto other = hex_encode(must(base64url_decode(kOtherList)));
  expect_problem(finalize(*client_, made, csr({extension(kListOid, other)})), 400, "badCSR",
                 "csr-names");
  expect_problem(finalize(*client_, made, csr({})), 400, "badCSR", "csr-names");
  EXPECT_EQ(text_at(client_->read(made.header("location")), "status"), "ready");
  EXPECT_EQ(
      extension_hex(leaf_of(certificate(finalize(*client_, made, list_csr()))).get(), kListOid),
      kListHex);
}

TEST_F(Shaken, ClaimConstraintsBesideTheList_EachVouchedForAndBothInTheCertificate) {
  const auto constraints = unpadded(kConstraintsHex);
  const auto made = order("," + identifier_json("JWTClaimConstraints", constraints));
  std::set<std::string> types;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto authz = authz_of(*client_, made, i);
    const auto document = json_of(authz);
    const std::string type(document.root().get("identifier").get("type").string());
    types.insert(type);
    auto spec = good();
    spec.tktype = type;
    spec.tkvalue = document.root().get("identifier").get("value").string();
    EXPECT_EQ(text_at(client_->read(made.header("location")), "status"), "pending");
    const auto valid = respond(authz, authority_->token(spec));
    EXPECT_EQ(valid.status, 200) << valid.body;
  }
  EXPECT_EQ(types, (std::set<std::string>{"JWTClaimConstraints", "TNAuthList"}));
  expect_problem(finalize(*client_, made, list_csr()), 400, "badCSR", "csr-names");
  const auto both =
      csr({extension(kConstraintsOid, kConstraintsHex), extension(kListOid, kListHex)});
  const auto leaf = leaf_of(certificate(finalize(*client_, made, both)));
  EXPECT_EQ(extension_hex(leaf.get(), kListOid), kListHex);
  EXPECT_EQ(extension_hex(leaf.get(), kConstraintsOid), kConstraintsHex);
}

}  // namespace
}  // namespace keyward::test
