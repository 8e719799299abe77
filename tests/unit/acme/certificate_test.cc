// Tests the download of certificates: formats, alternate chains, issuers.
#include "firmware/x509/certificate.h"

#include <gtest/gtest.h>
#include <openssl/objects.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "firmware/acme/accept.h"
#include "firmware/acme/certificate_resources.h"
#include "firmware/crypto/certs_only.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::has_link;
using test::header_of;
using test::text_at;
using test::World;

TEST(Accept, EachHeader_GivesTheBestFormat) {
  struct Case {
    std::string_view accept;
    std::optional<CertificateFormat> wanted;
  };
  constexpr auto kPem = CertificateFormat::kPemChain;
  constexpr auto kPkix = CertificateFormat::kPkix;
  constexpr auto kPkcs7 = CertificateFormat::kPkcs7;
  const Case cases[] = {
      {"", kPem},
      {"*/*", kPem},
      {"application/*", kPem},
      {"application/pem-certificate-chain", kPem},
      {"Application/PKIX-Cert", kPkix},
      {"application/pkcs7-mime", kPkcs7},
      {"application/pkcs7-mime; smime-type=certs-only", kPkcs7},
      {"application/pkcs7-mime; smime-type=\"certs-only\"", kPkcs7},
      {"application/pkcs7-mime; smime-type=signed-data", std::nullopt},
      {"application/pkix-cert, */*;q=0.1", kPkix},
      {"application/pkix-cert;q=0.2, application/pem-certificate-chain;q=0.3", kPem},
      {"application/pkix-cert;q=0.5, application/pkcs7-mime;q=0.501", kPkcs7},
      {"*/*, application/pem-certificate-chain;q=0", kPkix},
      {"application/pem-certificate-chain;q=0", std::nullopt},
      {"text/html", std::nullopt},
      {"text/html, */*;q=0.0", std::nullopt},
      {"application/json, text/plain, */*", kPem},
      {"gibberish", kPem},
      {",,;q=1, /", kPem},
      {"application/pkix-cert;q=2", kPem},       // no quality: passed over
      {"application/pkix-cert;q=0.1234", kPem},  // likewise
  };
  for (const auto& each : cases) EXPECT_EQ(choose_format(each.accept), each.wanted) << each.accept;
}

class Certificates : public testing::Test {
 protected:
  void SetUp() override {
    client.register_account();
    const auto order = client.ready_device_order("device-1");
    url = text_at(client.post_url(order.finalize, client.csr_payload("device-1")), "certificate");
    ASSERT_NE(url, "");
  }
  HttpResponse read(const std::string& from, std::string_view accept) {
    const auto path = client.path_of(from);
    auto request = client.signed_request(path, client.defaults(path, ""));
    request.accept = accept;
    return world.service->handle(request);
  }
  HttpResponse get(const std::string& from) {
    HttpRequest request;
    request.method = "GET";
    request.raw_path = client.path_of(from);
    return world.service->handle(request);
  }
  std::string link(const HttpResponse& response, std::string_view relation) {
    for (const auto& [name, value] : response.headers) {
      if (name == "Link" && value.ends_with(";rel=\"" + std::string(relation) + "\""))
        return value.substr(1, value.find('>') - 1);
    }
    return "";
  }
  World world;
  Client client{world};
  std::string url;
};

TEST_F(Certificates, Pkix_LeafAndTheIssuerOneLinkUp) {
  world.service->resume_work();
  ASSERT_TRUE(world.service->refresh_profiles());
  const auto response = read(url, "application/pkix-cert");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "Content-Type"), "application/pkix-cert");
  EXPECT_EQ(header_of(response, "Cache-Control"), "no-store");
  const auto leaf = x509::parse_certificate(view_of(response.body));
  ASSERT_TRUE(leaf.has_value());
  const auto up = get(link(response, "up"));
  EXPECT_EQ(up.status, 200) << up.body;
  EXPECT_EQ(header_of(up, "Content-Type"), "application/pkix-cert");
  EXPECT_EQ(header_of(up, "Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(header_of(up, "Replay-Nonce"), "");
  const auto issuer = x509::parse_certificate(view_of(up.body));
  ASSERT_TRUE(issuer.has_value());
  EXPECT_EQ(issuer->subject_der, leaf->issuer_der);
  EXPECT_EQ(link(up, "up"), "");  // self-signed
}

TEST_F(Certificates, Pkcs7_HoldsTheWholeChain) {
  const auto response = read(url, "application/pkcs7-mime");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "Content-Type"), "application/pkcs7-mime;smime-type=certs-only");
  const auto* at = reinterpret_cast<const unsigned char*>(response.body.data());
  PKCS7* message = ::d2i_PKCS7(nullptr, &at, static_cast<long>(response.body.size()));
  ASSERT_NE(message, nullptr);
  EXPECT_EQ(::OBJ_obj2nid(message->type), NID_pkcs7_signed);
  EXPECT_EQ(sk_X509_num(message->d.sign->cert), 2);
  EXPECT_EQ(sk_PKCS7_SIGNER_INFO_num(message->d.sign->signer_info), 0);
  ::PKCS7_free(message);
}

TEST(CertsOnly, Nothing_OrNoCertificate_IsRefused) {
  EXPECT_EQ(crypto::certs_only_der({}).error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(crypto::certs_only_der({Bytes{0x30, 0x00}}).error().kind, ErrorKind::kBadInput);
}

TEST_F(Certificates, NothingAcceptable_406) {
  expect_problem(read(url, "text/html"), 406, "malformed", "http.accept");
}

TEST_F(Certificates, Alternates_LinkedFromEachOtherAndDownloaded) {
  world.signer.add_alternate();
  ASSERT_TRUE(world.service->refresh_profiles());
  const auto usual = read(url, "");
  EXPECT_TRUE(has_link(usual, url + "/1>;rel=\"alternate\""));
  const auto other = read(url + "/1", "");
  EXPECT_EQ(other.status, 200);
  EXPECT_TRUE(has_link(other, url + ">;rel=\"alternate\""));
  EXPECT_FALSE(has_link(other, "/1>;rel=\"alternate\""));
  const auto a = x509::certificates_from_pem(usual.body, 6);
  const auto b = x509::certificates_from_pem(other.body, 6);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(b->size(), 3U);
  EXPECT_EQ(a->at(0), b->at(0));
  EXPECT_NE(a->at(1), b->at(1));
  for (const auto* wrong : {"/0", "/01", "/2", "/x", "/99999999999999999999"})
    expect_problem(read(url + wrong, ""), 404, "malformed", "not-found");
  world.signer.change_issuer();
  Client stranger(world);
  stranger.register_account();
  expect_problem(stranger.read(url + "/1"), 404, "malformed", "not-found");
}

TEST_F(Certificates, Issuer_Unknown_404) {
  expect_problem(get(std::string(test::kBase) + "/acme/issuer/AAAA"), 404, "malformed",
                 "not-found");
  world.restart();
  world.signer.break_message(
      "issuer-get", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(get(std::string(test::kBase) + "/acme/issuer/AAAA"), 503, "serverInternal",
                 "peer-lost");
}

}  // namespace
}  // namespace keyward::acme
