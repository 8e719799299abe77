// Renewals at a running appliance: series of short-lived certificates (RFC 8739), whose times are so
// chosen that little is left of them, and renewal information with an operator's incident
// (RFC 9773).
#include <csignal>
#include <ctime>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "hal/base/clock.h"
#include "tests/support/dns_server/dns_server.h"
#include "tests/system/extensions/kit.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::int64_t kLifetimeS = 60;
constexpr std::int64_t kSoonS = 4;  // until something becomes due

struct Free {
  void operator()(X509* p) const { ::X509_free(p); }
  void operator()(BIO* p) const { ::BIO_free(p); }
};
using X509Ptr = std::unique_ptr<X509, Free>;

X509Ptr leaf_of(const std::string& pem) {
  const std::unique_ptr<BIO, Free> bio(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Ptr(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

Bytes serial_of(const X509* certificate) {  // content octets of the DER INTEGER
  unsigned char der[64];
  unsigned char* end = der;
  const int size = ::i2d_ASN1_INTEGER(::X509_get0_serialNumber(certificate), &end);
  return size > 2 ? Bytes(der + 2, der + size) : Bytes{};
}

// RFC 9773 §4.1.
std::string certificate_id(X509* certificate) {
  const ASN1_OCTET_STRING* key = ::X509_get0_authority_key_id(certificate);
  const ByteView octets(::ASN1_STRING_get0_data(key),
                        static_cast<std::size_t>(::ASN1_STRING_length(key)));
  return base64url_encode(octets) + "." + base64url_encode(serial_of(certificate));
}

std::time_t time_of(const ASN1_TIME* time) {
  std::tm parts{};
  ::ASN1_TIME_to_tm(time, &parts);
  return ::timegm(&parts);
}

std::string utc_text(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::int64_t now_s() { return system_clock().utc_ms() / 1'000; }

class Renewal : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dns_ = new DnsServer;
    simulator_ = new Simulator(
        up_options({"signer.profiles.server.star=true", "signer.profiles.server.days=90",
                    "signer.profiles.server.star_min_lifetime_s=60",
                    R"(validation.resolver.forward=[")" + dns_->forward() + R"("])"}));
    ASSERT_TRUE(simulator_->started()) << simulator_->output();
    client_ = new Client(*simulator_);
    client_->sign_up();
  }
  static void TearDownTestSuite() {
    delete client_;
    delete simulator_;
    delete dns_;
  }

  static std::string auto_renewal(std::int64_t start_s, std::int64_t end_s,
                                  const std::string& more = "") {
    return R"(,"auto-renewal":{"start-date":")" + utc_text(start_s) + R"(","end-date":")" +
           utc_text(end_s) + R"(","lifetime":)" + std::to_string(kLifetimeS) + more + "}";
  }
  // A series whose next certificate is due in a few seconds: half a lifetime after its start.
  static HttpReply series(const std::string& name, const std::string& more) {
    const auto start_s = now_s() - kLifetimeS / 2 + kSoonS;
    return order_names(*client_, {name}, auto_renewal(start_s, start_s + 3'600, more));
  }
  static HttpReply finish(const HttpReply& order, const std::string& name) {
    prove(*client_, *dns_, order);
    const auto done = finalize(*client_, order, csr_for(fresh_key(), {name}));
    EXPECT_EQ(text_at(done, "status"), "valid") << done.body;
    return done;
  }
  // The task looks for renewals when it starts, and every half minute.
  static void kill_acme() {
    const int pid = simulator_->pid_of("acme");
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    ASSERT_TRUE(eventually([&] {
      const int now = simulator_->pid_of("acme");
      return now > 0 && now != pid && simulator_->state() == "operational";
    }));
  }
  static HttpReply renewal_info(const std::string& id) {
    auto reply = client_->get(client_->url_of("renewalInfo") + "/" + id);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply;
  }
  static std::string window_start(const HttpReply& info) {
    return std::string(json_of(info).root().get("suggestedWindow").get("start").string());
  }

  static inline DnsServer* dns_ = nullptr;
  static inline Simulator* simulator_ = nullptr;
  static inline Client* client_ = nullptr;
};

TEST_F(Renewal, Series_FetchedByGetRenewedByItselfThenCanceled) {
  const std::string name = "star.plant.example";
  const auto meta = json_of(client_->get(simulator_->env("KEYWARD_DIRECTORY")));
  const auto bounds = meta.root().get("meta").get("auto-renewal");
  EXPECT_EQ(bounds.get("min-lifetime").integer(), kLifetimeS);
  EXPECT_TRUE(bounds.get("allow-certificate-get").boolean());

  const auto order = series(name, R"(,"allow-certificate-get":true)");
  ASSERT_EQ(order.status, 201) << order.body;
  EXPECT_EQ(json_of(order).root().get("auto-renewal").get("lifetime").integer(), kLifetimeS);
  const auto done = finish(order, name);
  EXPECT_EQ(text_at(done, "certificate"), "");
  const auto url = text_at(done, "star-certificate");
  ASSERT_NE(url, "");
  const auto first = client_->get(url);  // without a signature
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_NE(first.header("cert-not-before"), "");
  EXPECT_NE(first.header("cert-not-after"), "");
  EXPECT_EQ(client_->read(url).body, first.body);
  const auto old_leaf = leaf_of(first.body);

  const auto due_s = time_of(::X509_get0_notAfter(old_leaf.get())) - kLifetimeS / 2;
  ASSERT_TRUE(eventually([&] { return now_s() > due_s; }));
  kill_acme();
  ASSERT_TRUE(eventually([&] { return client_->get(url).body != first.body; }));
  const auto second = client_->get(url);
  EXPECT_EQ(second.status, 200) << second.body;
  const auto new_leaf = leaf_of(second.body);
  EXPECT_NE(serial_of(new_leaf.get()), serial_of(old_leaf.get()));
  EXPECT_EQ(time_of(::X509_get0_notAfter(new_leaf.get())),
            time_of(::X509_get0_notAfter(old_leaf.get())) + kLifetimeS);
  EXPECT_LE(time_of(::X509_get0_notBefore(new_leaf.get())), now_s());  // good at once (§3.3)
  EXPECT_EQ(::X509_cmp(old_leaf.get(), new_leaf.get()) != 0, true);
  // The same key: the CSR is the one that was finalized.
  EXPECT_EQ(::EVP_PKEY_eq(::X509_get0_pubkey(old_leaf.get()), ::X509_get0_pubkey(new_leaf.get())),
            1);

  const auto canceled = client_->post(order.header("location"), R"({"status":"canceled"})");
  EXPECT_EQ(canceled.status, 200) << canceled.body;
  EXPECT_EQ(text_at(canceled, "status"), "canceled");
  expect_problem(client_->get(url), 403, "autoRenewalCanceled", "star.canceled");
  expect_problem(client_->read(url), 403, "autoRenewalCanceled", "star.canceled");
  expect_problem(client_->post(order.header("location"), R"({"status":"canceled"})"), 400,
                 "autoRenewalCancellationInvalid", "star.not-cancelable");
}

TEST_F(Renewal, SeriesWithoutNegotiatedGet_EndsAtItsEndDate) {
  const std::string name = "short.plant.example";
  const auto start_s = now_s() - kLifetimeS / 2;
  const auto end_s = now_s() + kSoonS;
  const auto order = order_names(*client_, {name}, auto_renewal(start_s, end_s));
  ASSERT_EQ(order.status, 201) << order.body;
  const auto url = text_at(finish(order, name), "star-certificate");
  expect_problem(client_->get(url), 405, "malformed", "http.method");
  const auto fetched = client_->read(url);
  ASSERT_EQ(fetched.status, 200) << fetched.body;
  const auto leaf = leaf_of(fetched.body);
  EXPECT_LE(time_of(::X509_get0_notAfter(leaf.get())), end_s);
  const auto revocation = client_->post(
      client_->url_of("revokeCert"), R"({"certificate":")" + [&] {
        unsigned char* der = nullptr;
        const int size = ::i2d_X509(leaf.get(), &der);
        const auto text = base64url_encode(ByteView(der, static_cast<std::size_t>(size)));
        ::OPENSSL_free(der);
        return text;
      }() + "\"}");
  expect_problem(revocation, 403, "autoRenewalRevocationNotSupported", "revocation-star");
  ASSERT_TRUE(eventually([&] { return now_s() > end_s; }));
  expect_problem(client_->read(url), 403, "autoRenewalExpired", "star.ended");
}

TEST_F(Renewal, SeriesBelowTheProfilesLifetime_Malformed) {
  const auto order = order_names(
      *client_, {"brief.plant.example"},
      R"(,"auto-renewal":{"end-date":")" + utc_text(now_s() + 600) + R"(","lifetime":59})");
  expect_problem(order, 400, "malformed", "star-terms");
}

TEST_F(Renewal, IncidentDeclared_WindowMovesAndReplacesIsTakenOnce) {
  const std::vector<std::string> names{"ari.plant.example"};
  const auto leaf = leaf_of(enrol(*client_, *dns_, names, fresh_key()));
  ASSERT_NE(leaf, nullptr);
  const auto id = certificate_id(leaf.get());
  const auto usual = renewal_info(id);
  EXPECT_NE(usual.header("retry-after"), "");
  const auto usual_start = window_start(usual);
  EXPECT_GT(usual_start, utc_text(now_s() + 50 * 86'400));
  EXPECT_EQ(client_->get(client_->url_of("renewalInfo") + "/" + id + "AAAA").status, 404);

  const auto state = simulator_->dir() + "/state/acme";
  const auto declared =
      keywardctl({"incident", "declare", state, "--serial", hex_encode(serial_of(leaf.get())),
                  "--end", "+12h", "--explanation", "https://ca.plant.example/incident"});
  ASSERT_EQ(declared.status, 0) << declared.output;
  EXPECT_TRUE(
      eventually([&] { return window_start(renewal_info(id)) <= utc_text(now_s()); }, 2'000));
  EXPECT_EQ(text_at(renewal_info(id), "explanationURL"), "https://ca.plant.example/incident");
  // Of another certificate nothing was said.
  const auto other = leaf_of(enrol(*client_, *dns_, {"calm.plant.example"}, fresh_key()));
  EXPECT_GT(window_start(renewal_info(certificate_id(other.get()))),
            utc_text(now_s() + 50 * 86'400));

  const auto replaces = R"(,"replaces":")" + id + "\"";
  expect_problem(order_names(*client_, {"elsewhere.plant.example"}, replaces), 400, "malformed",
                 "replaces.identifiers");
  const auto renewed = leaf_of(enrol(*client_, *dns_, names, fresh_key(), replaces));
  ASSERT_NE(renewed, nullptr);
  EXPECT_NE(serial_of(renewed.get()), serial_of(leaf.get()));
  expect_problem(order_names(*client_, names, replaces), 409, "alreadyReplaced",
                 "already-replaced");
  EXPECT_GT(window_start(renewal_info(certificate_id(renewed.get()))),
            utc_text(now_s() + 50 * 86'400));

  auto incident = declared.output;
  incident.erase(incident.find_last_not_of('\n') + 1);
  EXPECT_EQ(keywardctl({"incident", "end", state, incident}).status, 0);
  EXPECT_TRUE(eventually([&] { return window_start(renewal_info(id)) == usual_start; }, 2'000));
}

}  // namespace
}  // namespace keyward::test
