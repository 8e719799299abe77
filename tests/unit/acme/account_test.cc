// Tests accounts and the orders list.
#include <gtest/gtest.h>

#include "firmware/acme/account_resources.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::header_of;
using test::json_of;
using test::text_at;
using test::World;

constexpr std::string_view kNewAccount = "/acme/new-account";

HttpResponse new_account(Client& client, std::string payload) {
  return client.post(std::string(kNewAccount), std::move(payload));
}

TEST(NewAccount, Fresh_201WithLocationAndObject) {
  World world;
  Client client(world);
  const auto response = new_account(
      client, R"({"contact":["mailto:a@example.org"],"unknown":1,"onlyReturnExisting":false})");
  EXPECT_EQ(response.status, 201);
  EXPECT_TRUE(
      header_of(response, "Location").starts_with(std::string(test::kBase) + "/acme/account/"));
  EXPECT_EQ(text_at(response, "status"), "valid");
  EXPECT_EQ(json_of(response).root().get("contact").items().at(0).string(), "mailto:a@example.org");
  EXPECT_EQ(text_at(response, "orders"), header_of(response, "Location") + "/orders");
  EXPECT_FALSE(json_of(response).root().get("onlyReturnExisting").exists());
  EXPECT_FALSE(json_of(response).root().get("unknown").exists());
}

TEST(NewAccount, KnownKey_200SameLocationAndUnchanged) {
  World world;
  Client client(world);
  const auto first = new_account(client, R"({"contact":["mailto:a@example.org"]})");
  const auto second = new_account(client, R"({"contact":["mailto:b@example.org"]})");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(header_of(second, "Location"), header_of(first, "Location"));
  EXPECT_EQ(json_of(second).root().get("contact").items().at(0).string(), "mailto:a@example.org");
  // Even fields that would be refused for a new account do not matter.
  EXPECT_EQ(new_account(client, R"({"contact":["tel:1"]})").status, 200);
}

TEST(NewAccount, OnlyReturnExisting_FindsOrRefuses) {
  World world;
  Client client(world);
  expect_problem(new_account(client, R"({"onlyReturnExisting":true})"), 400, "accountDoesNotExist",
                 "account.none");
  client.register_account();
  const auto found = new_account(client, R"({"onlyReturnExisting":true})");
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(header_of(found, "Location"), client.kid);
}

TEST(NewAccount, TermsConfigured_AgreementNeeded) {
  World world([](ServiceConfig& config) { config.terms_of_service = "https://ca.test/terms"; });
  Client client(world);
  for (const std::string payload :
       {"{}", R"({"termsOfServiceAgreed":false})", R"({"termsOfServiceAgreed":"true"})"}) {
    const auto refused = new_account(client, payload);
    expect_problem(refused, 403, "userActionRequired", "terms.not-agreed");
    EXPECT_EQ(text_at(refused, "instance"), "https://ca.test/terms");
    EXPECT_TRUE(test::has_link(refused, "<https://ca.test/terms>;rel=\"terms-of-service\""));
  }
  const auto made = new_account(client, R"({"termsOfServiceAgreed":true})");
  EXPECT_EQ(made.status, 201);
  EXPECT_TRUE(json_of(made).root().get("termsOfServiceAgreed").boolean());
}

TEST(NewAccount, PayloadForms_Refused) {
  World world;
  Client client(world);
  expect_problem(new_account(client, ""), 400, "malformed", "payload.json");
  expect_problem(new_account(client, "{"), 400, "malformed", "payload.json");
  expect_problem(new_account(client, "[]"), 400, "malformed", "payload.object");
  expect_problem(new_account(client, R"({"contact":"mailto:a@b.org"})"), 400, "malformed",
                 "contact.form");
  expect_problem(new_account(client, R"({"contact":[1]})"), 400, "malformed", "contact.form");
  expect_problem(new_account(client, R"({"onlyReturnExisting":"yes"})"), 400, "malformed",
                 "account.form");
}

TEST(Contact, EachForm_JudgedAlone) {
  for (const auto* good : {"mailto:a@example.org", "MAILTO:first.last+tag@mail.example.org"}) {
    EXPECT_TRUE(check_contact(good).has_value()) << good;
  }
  for (const auto* scheme : {"tel:+4912345", "https://example.org", "xmpp:a@example.org"}) {
    const auto refused = check_contact(scheme);
    ASSERT_FALSE(refused) << scheme;
    EXPECT_EQ(refused.error().type, ProblemType::kUnsupportedContact);
  }
  for (const auto* bad :
       {"", "a@example.org", "mailto:", "mailto:a", "mailto:@example.org", "mailto:a@",
        "mailto:a@b@example.org", "mailto:a@example.org,b@example.org",
        "mailto:a@example.org?subject=x", "mailto:a b@example.org", "mailto:a@-example.org",
        "mailto:a@*.example.org", "mailto:\"a\"@example.org", "mailto:%61@example.org",
        "mailto:\xc3\xa4@example.org"}) {
    const auto refused = check_contact(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().type, ProblemType::kInvalidContact) << bad;
  }
  EXPECT_FALSE(check_contact("mailto:" + std::string(65, 'a') + "@example.org"));
  EXPECT_FALSE(check_contact("mailto:a@" + std::string(320, 'a') + ".org"));
}

TEST(NewAccount, TooManyContacts_InvalidContact) {
  World world;
  Client client(world);
  std::string list;
  for (std::size_t i = 0; i <= limits::kContactsMax; ++i)
    list += std::string(i == 0 ? "" : ",") + R"("mailto:a@example.org")";
  expect_problem(new_account(client, R"({"contact":[)" + list + "]}"), 400, "invalidContact",
                 "contact.many");
}

TEST(Account, Update_ContactsChangeAndTheRestIsIgnored) {
  World world;
  Client client(world);
  client.register_account();
  const auto response = client.post_url(
      client.kid,
      R"({"contact":["mailto:new@example.org"],"status":"valid","orders":"x","termsOfServiceAgreed":false,"z":1})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(json_of(client.read(client.kid)).root().get("contact").items().at(0).string(),
            "mailto:new@example.org");
  expect_problem(client.post_url(client.kid, R"({"contact":["tel:1"]})"), 400, "unsupportedContact",
                 "contact.scheme");
  EXPECT_EQ(client.post_url(client.kid, "{}").status, 200);
}

TEST(Account, Deactivated_EverythingAfterwards401) {
  World world;
  Client client(world);
  client.register_account();
  const auto order = client.new_order("permanent-identifier", "device-1");
  const auto response = client.post_url(client.kid, R"({"status":"deactivated"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text_at(response, "status"), "deactivated");
  expect_problem(client.read(client.kid), 401, "unauthorized", "account.not-valid");
  expect_problem(client.read(order.url), 401, "unauthorized", "account.not-valid");
  expect_problem(new_account(client, "{}"), 401, "unauthorized", "account.not-valid");
  expect_problem(new_account(client, R"({"onlyReturnExisting":true})"), 401, "unauthorized",
                 "account.not-valid");
}

TEST(Account, OfSomebodyElse_LikeUnknown) {
  World world;
  Client one(world);
  Client two(world);
  one.register_account();
  two.register_account();
  const auto foreign = two.read(one.kid);
  const auto unknown = two.post("/acme/account/unknown", "");
  expect_problem(foreign, 404, "malformed", "not-found");
  EXPECT_EQ(foreign.body, unknown.body);
  expect_problem(two.read(one.kid + "/orders"), 404, "malformed", "not-found");
}

TEST(OrdersList, List_OwnOnesWithoutInvalid) {
  World world;
  Client client(world);
  Client other(world);
  client.register_account();
  other.register_account();
  const auto first = client.new_order("permanent-identifier", "device-1");
  const auto dead = client.new_order("permanent-identifier", "device-2");
  other.new_order("permanent-identifier", "device-3");
  world.store.change_order(dead.ticket, [](auto& order) { order.status = OrderStatus::kInvalid; });
  const auto response = client.read(client.kid + "/orders");
  EXPECT_EQ(response.status, 200);
  const auto document = json_of(response);
  ASSERT_EQ(document.root().get("orders").items().size(), 1U);
  EXPECT_EQ(document.root().get("orders").items()[0].string(), first.url);
  expect_problem(client.post_url(client.kid + "/orders", "{}"), 400, "malformed",
                 "payload.not-empty");
}

TEST(OrdersList, MoreThanAPage_NextLinkLeadsToTheRest) {
  World world;
  Client client(world);
  client.register_account();
  for (std::size_t i = 0; i < limits::kOrdersPageMax + 3; ++i) {
    EXPECT_EQ(
        client.post("/acme/new-order", R"({"identifiers":[{"type":"dns","value":"a.example"}]})")
            .status,
        201);
  }
  const auto page = client.read(client.kid + "/orders");
  EXPECT_EQ(json_of(page).root().get("orders").items().size(), limits::kOrdersPageMax);
  std::string next;
  for (const auto& [name, value] : page.headers) {
    if (name == "Link" && value.ends_with(";rel=\"next\""))
      next = value.substr(1, value.find('>') - 1);
  }
  ASSERT_NE(next, "");
  EXPECT_EQ(json_of(client.read(next)).root().get("orders").items().size(), 3U);
}

}  // namespace
}  // namespace keyward::acme
