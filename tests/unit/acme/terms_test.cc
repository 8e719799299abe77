// Tests agreement to terms of service that have changed.
#include <gtest/gtest.h>

#include "firmware/acme/pages.h"
#include "hal/base/file.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::header_of;
using test::text_at;
using test::World;

constexpr std::string_view kNew = "https://ca.test/terms-2";

class Terms : public testing::Test {
 protected:
  Terms() {
    client.register_account();
    order = client.ready_device_order("device-1");
    change_terms(std::string(kNew));
  }
  void change_terms(std::string to) {
    terms = std::move(to);
    world.restart();
  }
  HttpResponse new_order() {
    return client.post("/acme/new-order",
                       R"({"identifiers":[{"type":"permanent-identifier","value":"d"}]})");
  }
  HttpResponse page(std::string_view method, const std::string& url, std::string_view body = {}) {
    HttpRequest request;
    request.method = method;
    request.raw_path = client.path_of(url);
    if (method == "POST") request.content_type = "application/x-www-form-urlencoded";
    request.body = to_bytes(body);
    return world.service->handle(request);
  }
  std::string instance() { return text_at(new_order(), "instance"); }

  std::string terms = "https://ca.test/terms-1";
  std::string change = "ask";
  World world{[this](ServiceConfig& config) {
    config.terms_of_service = terms;
    config.terms_change = change;
  }};
  Client client{world};
  Client::Order order;
};

TEST_F(Terms, Changed_NewThingsRefusedAndReadsWork) {
  const auto refused = new_order();
  expect_problem(refused, 403, "userActionRequired", "terms.changed");
  EXPECT_TRUE(text_at(refused, "instance").starts_with(std::string(test::kBase) + "/acme/terms/"));
  EXPECT_TRUE(test::has_link(refused, "<https://ca.test/terms-2>;rel=\"terms-of-service\""));
  expect_problem(client.post_url(order.finalize, client.csr_payload("device-1")), 403,
                 "userActionRequired", "terms.changed");
  expect_problem(
      client.post("/acme/new-authz", R"({"identifier":{"type":"dns","value":"a.example"}})"), 403,
      "userActionRequired", "terms.changed");
  EXPECT_EQ(client.read(client.kid).status, 200);
  EXPECT_EQ(client.status_of(order), "ready");
  EXPECT_EQ(client.read(order.authz).status, 200);
}

TEST_F(Terms, AgreedOnThePage_TheNextRequestWorks) {
  const auto url = instance();
  const auto shown = page("GET", url);
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(header_of(shown, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_NE(header_of(shown, "Content-Security-Policy").find("default-src 'none'"),
            std::string::npos);
  EXPECT_EQ(header_of(shown, "Cache-Control"), "no-store");
  EXPECT_EQ(header_of(shown, "Referrer-Policy"), "no-referrer");
  EXPECT_EQ(header_of(shown, "Access-Control-Allow-Origin"), "");
  EXPECT_NE(shown.body.find("<form method=\"post\">"), std::string::npos);
  EXPECT_NE(shown.body.find(kNew), std::string::npos);
  EXPECT_EQ(page("HEAD", url).body, "");
  EXPECT_EQ(new_order().status, 403);  // looking is not agreeing
  EXPECT_EQ(page("POST", url, "agree=yes").status, 200);
  EXPECT_EQ(new_order().status, 201);
  EXPECT_EQ(client.post_url(order.finalize, client.csr_payload("device-1")).status, 200);
  EXPECT_EQ(world.store.account(client.account_id()).terms_url, kNew);
}

TEST_F(Terms, OtherForms_Refused) {
  const auto url = instance();
  for (const std::string_view body : {"", "agree=no", "agree=yes&x=1"})
    expect_problem(page("POST", url, body), 400, "malformed", "page.form");
  EXPECT_EQ(new_order().status, 403);
}

TEST_F(Terms, AddressAltered_404) {
  auto url = instance();
  for (const std::size_t back : {1U, 20U, 50U}) {
    auto wrong = url;
    auto& c = wrong[wrong.size() - back];
    c = c == 'A' ? 'B' : 'A';
    EXPECT_EQ(page("POST", wrong, "agree=yes").status, 404) << back;
  }
  EXPECT_EQ(page("GET", std::string(test::kBase) + "/acme/terms/AAAA").status, 404);
  EXPECT_EQ(new_order().status, 403);
}

TEST_F(Terms, AddressTooOld_404) {
  const auto url = instance();
  world.clock.advance(limits::kTermsTokenMs);
  EXPECT_EQ(page("POST", url, "agree=yes").status, 404);
}

TEST_F(Terms, AddressOfOtherTerms_404) {
  const auto url = instance();
  change_terms("https://ca.test/terms-3");
  EXPECT_EQ(page("POST", url, "agree=yes").status, 404);
}

TEST_F(Terms, AccountDeactivated_AgreeingIs404) {
  const auto url = instance();
  client.post_url(client.kid, R"({"status":"deactivated"})");
  EXPECT_EQ(page("POST", url, "agree=yes").status, 404);
}

TEST_F(Terms, AfterARestart_TheAddressIsStillGood) {
  const auto url = instance();
  world.restart();
  EXPECT_EQ(page("POST", url, "agree=yes").status, 200);
}

TEST_F(Terms, PolicyContinue_NobodyIsAsked) {
  change = "continue";
  world.restart();
  EXPECT_EQ(new_order().status, 201);
}

TEST_F(Terms, AgreedBeforeTermsWereRecorded_NotAsked) {
  world.store.change_account(client.account_id(),
                             [](wire::AccountRecord& record) { record.terms_url.reset(); });
  world.restart();
  EXPECT_EQ(new_order().status, 201);
}

TEST_F(Terms, NeverAgreed_Asked) {
  world.store.change_account(client.account_id(), [](wire::AccountRecord& record) {
    record.terms_url.reset();
    record.terms_agreed = false;
  });
  world.restart();
  expect_problem(new_order(), 403, "userActionRequired", "terms.changed");
}

TEST(TermsIntroduced, AgreedToNone_Asked) {
  std::string terms;
  World world([&](ServiceConfig& config) { config.terms_of_service = terms; });
  Client client(world);
  client.register_account();
  terms = kNew;
  world.restart();
  expect_problem(client.post("/acme/new-order", "{}"), 403, "userActionRequired", "terms.changed");
}

TEST(Pages, Html_IsEscaped) { EXPECT_EQ(escape_html("<a&\"'>"), "&lt;a&amp;&quot;&#39;&gt;"); }

TEST(Pages, KeyFile_MadeOnceAndAgainWhenDamaged) {
  test::TempDir dir;
  const auto path = dir.path() + "/page.key";
  const auto first = open_page_key(path);
  EXPECT_TRUE(equal(first.view(), open_page_key(path).view()));
  ASSERT_TRUE(replace_file(path, to_bytes("short"), 0600));
  EXPECT_FALSE(equal(first.view(), open_page_key(path).view()));
  EXPECT_EQ(open_page_key("/nowhere/page.key").size(), 32U);
}

}  // namespace
}  // namespace keyward::acme
