// Tests of the gate's small parts: grants, journal, budgets, issued orders, serials, key cache,
// ticket key.
#include <set>

#include "firmware/issue/grant_journal.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using issue::Grant;
using wire::ValidationMethod;
constexpr std::int64_t kNow = 1'800'000'000'000, kHourMs = 3'600'000;

wire::GrantName name_grant(const wire::Identifier& identifier) {
  return {Digest256{1}, identifier,     false, ValidationMethod::kHttp01,
          std::nullopt, kNow + kHourMs, {},    false,
          std::nullopt};
}
wire::GrantDevice device_grant() {
  return {Digest256{1}, device("SN-1"), "tpm", "ticket", Digest256{7}, kNow + kHourMs, {}};
}

std::string code(const issue::Verdict<Grant>& verdict) {
  return verdict ? "admitted" : verdict.error().code;
}

// ---- what may be asserted

TEST(GrantAdmit, Name_ByItsMethods_Admitted) {
  const issue::GrantRules rules;
  EXPECT_EQ(code(issue::admit(name_grant(dns("a.example")), rules, kNow)), "admitted");
  EXPECT_EQ(code(issue::admit(name_grant(ip("192.0.2.1")), rules, kNow)), "admitted");
}

TEST(GrantAdmit, Name_ThatIsADevice_NotPermitted) {
  EXPECT_EQ(code(issue::admit(name_grant(device("SN-1")), {}, kNow)), "grant-not-permitted");
}

TEST(GrantAdmit, Name_ByADevicesMethod_NotPermitted) {
  auto grant = name_grant(dns("a.example"));
  grant.method = ValidationMethod::kDeviceAttest01;
  EXPECT_EQ(code(issue::admit(grant, {}, kNow)), "grant-not-permitted");
}

TEST(GrantAdmit, Name_NotCanonical_IdentifierMalformed) {
  for (const auto& name : {"A.example", "a.example.", "*.a.example", "a", "a..b"}) {
    EXPECT_EQ(code(issue::admit(name_grant(dns(name)), {}, kNow)), "identifier-malformed") << name;
  }
}

TEST(GrantAdmit, Wildcard_ByDns01Alone) {
  auto grant = name_grant(dns("a.example"));
  grant.wildcard = true;
  EXPECT_EQ(code(issue::admit(grant, {}, kNow)), "grant-not-permitted");
  grant.method = ValidationMethod::kDns01;
  EXPECT_EQ(code(issue::admit(grant, {}, kNow)), "admitted");
  grant.identifier = ip("192.0.2.1");
  EXPECT_EQ(code(issue::admit(grant, {}, kNow)), "grant-not-permitted");
}

TEST(GrantAdmit, AppliancesNames_ByApplianceAloneAndForOneOrder) {
  const issue::GrantRules rules{{dns("ca.example")}};
  auto grant = name_grant(dns("ca.example"));
  EXPECT_EQ(code(issue::admit(grant, rules, kNow)), "grant-not-permitted");
  grant.method = ValidationMethod::kAppliance;
  EXPECT_EQ(code(issue::admit(grant, rules, kNow)), "grant-not-permitted");
  grant.ticket = "ticket";
  EXPECT_EQ(code(issue::admit(grant, rules, kNow)), "admitted");
  grant.identifier = dns("other.example");
  EXPECT_EQ(code(issue::admit(grant, rules, kNow)), "grant-not-permitted");
}

TEST(GrantAdmit, Lifetime_OverOrTooLong_Refused) {
  auto grant = name_grant(dns("a.example"));
  grant.expires_at_ms = kNow;
  EXPECT_EQ(code(issue::admit(grant, {}, kNow)), "grant-expired");
  grant.expires_at_ms = kNow + limits::kGrantLifetimeMsMax + 1;
  EXPECT_EQ(code(issue::admit(grant, {}, kNow)), "grant-not-permitted");
}

TEST(GrantAdmit, Device_NameOrNoOrderOrNoKey_Refused) {
  EXPECT_EQ(code(issue::admit(device_grant(), kNow)), "admitted");
  auto grant = device_grant();
  grant.identifier = dns("a.example");
  EXPECT_EQ(code(issue::admit(grant, kNow)), "grant-not-permitted");
  grant = device_grant();
  grant.ticket.clear();
  EXPECT_EQ(code(issue::admit(grant, kNow)), "grant-not-permitted");
  grant = device_grant();
  grant.spki_sha256 = {};
  EXPECT_EQ(code(issue::admit(grant, kNow)), "attested-key-missing");
  grant = device_grant();
  grant.identifier.value = "two/slashes/1.2";
  EXPECT_EQ(code(issue::admit(grant, kNow)), "identifier-malformed");
}

// ---- the table

Grant grant_of(std::uint8_t account, const std::string& name, std::int64_t expires_at_ms) {
  Grant grant;
  grant.thumbprint[0] = account;
  grant.identifier = dns(name);
  grant.method = ValidationMethod::kHttp01;
  grant.expires_at_ms = expires_at_ms;
  return grant;
}

// By any method of names, signed with the account URL "kid".
issue::Verdict<Grant> covered(const issue::GrantTable& table, const Digest256& thumbprint,
                              const wire::Identifier& identifier, std::string_view ticket,
                              std::int64_t now_ms) {
  static constexpr ValidationMethod kMethods[] = {
      ValidationMethod::kHttp01, ValidationMethod::kDns01, ValidationMethod::kDnsAccount01,
      ValidationMethod::kDeviceAttest01};
  return table.cover({std::span(&thumbprint, 1), ticket, "kid", kMethods}, identifier, now_ms);
}

TEST(GrantTable, SameProofAgain_ReplacesTheOld) {
  issue::GrantTable table;
  ASSERT_TRUE(table.add(grant_of(1, "a.example", kNow + 1), kNow));
  ASSERT_TRUE(table.add(grant_of(1, "a.example", kNow + 100), kNow));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_TRUE(covered(table, grant_of(1, "", 0).thumbprint, dns("a.example"), "t", kNow + 50));
}

TEST(GrantTable, FullAccount_LosesItsOwnSoonestGrant) {
  issue::GrantTable table({100, 2});
  ASSERT_TRUE(table.add(grant_of(2, "z.example", kNow + 1), kNow));
  ASSERT_TRUE(table.add(grant_of(1, "a.example", kNow + 10), kNow));
  ASSERT_TRUE(table.add(grant_of(1, "b.example", kNow + 20), kNow));
  ASSERT_TRUE(table.add(grant_of(1, "c.example", kNow + 30), kNow));
  EXPECT_EQ(table.size(), 3u);
  const auto account = grant_of(1, "", 0).thumbprint;
  EXPECT_EQ(covered(table, account, dns("a.example"), "t", kNow).error().code, "grant-missing");
  EXPECT_TRUE(covered(table, account, dns("c.example"), "t", kNow));
  EXPECT_TRUE(table.any_live(grant_of(2, "", 0).thumbprint, kNow));
}

TEST(GrantTable, FullTable_RefusesUntilSomethingExpires) {
  issue::GrantTable table({2, 10});
  ASSERT_TRUE(table.add(grant_of(1, "a.example", kNow + 10), kNow));
  ASSERT_TRUE(table.add(grant_of(2, "b.example", kNow + 10), kNow));
  EXPECT_EQ(table.add(grant_of(3, "c.example", kNow + 10), kNow).error().kind,
            ErrorKind::kExhausted);
  const auto later = kNow + 10 + limits::kExpiredGrantKeptMs;
  EXPECT_TRUE(table.add(grant_of(3, "c.example", later + 10), later));
  EXPECT_EQ(table.size(), 1u);
}

TEST(GrantTable, ProofForOneOrder_DoesNotCoverAnother) {
  issue::GrantTable table;
  auto grant = grant_of(1, "a.example", kNow + 10);
  grant.ticket = "first";
  ASSERT_TRUE(table.add(grant, kNow));
  EXPECT_TRUE(covered(table, grant.thumbprint, dns("a.example"), "first", kNow));
  EXPECT_EQ(covered(table, grant.thumbprint, dns("a.example"), "second", kNow).error().code,
            "grant-missing");
  table.drop_order(grant.thumbprint, "first");
  EXPECT_EQ(table.size(), 0u);
}

TEST(GrantTable, DeviceProofWithoutOrder_CoversNothing) {
  issue::GrantTable table;
  auto grant = grant_of(1, "", kNow + 10);
  grant.identifier = device("SN-1");
  ASSERT_TRUE(table.add(grant, kNow));
  EXPECT_EQ(covered(table, grant.thumbprint, device("SN-1"), "t", kNow).error().code,
            "grant-missing");
}

TEST(GrantTable, Subtree_CoversEveryNameBelowAndWildcards) {
  issue::GrantTable table;
  auto grant = grant_of(1, "plant.example", kNow + 10);
  grant.method = ValidationMethod::kDns01;
  grant.subtree = true;
  ASSERT_TRUE(table.add(grant, kNow));
  for (const auto* name : {"plant.example", "a.plant.example", "x.y.plant.example",
                           "*.plant.example", "*.a.plant.example"})
    EXPECT_TRUE(covered(table, grant.thumbprint, dns(name), "t", kNow)) << name;
  for (const auto* name : {"example", "notplant.example", "aplant.example", "*.example"})
    EXPECT_EQ(code(covered(table, grant.thumbprint, dns(name), "t", kNow)), "grant-missing")
        << name;
  EXPECT_EQ(code(covered(table, grant.thumbprint, ip("192.0.2.1"), "t", kNow)), "grant-missing");
  EXPECT_EQ(code(covered(table, grant.thumbprint, dns("a.plant.example"), "t", kNow + 10)),
            "grant-expired");
}

TEST(GrantTable, GrantWithoutSubtree_CoversNothingBelow) {
  issue::GrantTable table;
  auto grant = grant_of(1, "plant.example", kNow + 10);
  grant.method = ValidationMethod::kDns01;
  grant.wildcard = true;
  ASSERT_TRUE(table.add(grant, kNow));
  EXPECT_TRUE(covered(table, grant.thumbprint, dns("*.plant.example"), "t", kNow));
  EXPECT_EQ(code(covered(table, grant.thumbprint, dns("a.plant.example"), "t", kNow)),
            "grant-missing");
}

TEST(GrantTable, MethodThatTheProfileRulesOut_GrantMethod) {
  issue::GrantTable table;
  const auto grant = grant_of(1, "a.example", kNow + 10);
  ASSERT_TRUE(table.add(grant, kNow));
  static constexpr ValidationMethod kDnsAlone[] = {ValidationMethod::kDns01};
  const std::span<const Digest256> keys(&grant.thumbprint, 1);
  EXPECT_EQ(code(table.cover({keys, "t", "kid", kDnsAlone}, dns("a.example"), kNow)),
            "grant-method");
  EXPECT_EQ(code(table.cover({keys, "t", "kid", {}}, dns("a.example"), kNow)), "grant-method");
}

TEST(GrantTable, ProofForAnotherAccountUrl_GrantAccountUrl) {
  issue::GrantTable table;
  auto grant = grant_of(1, "a.example", kNow + 10);
  grant.account_url = "another";
  ASSERT_TRUE(table.add(grant, kNow));
  EXPECT_EQ(code(covered(table, grant.thumbprint, dns("a.example"), "t", kNow)),
            "grant-account-url");
  grant.account_url = "kid";
  ASSERT_TRUE(table.add(grant, kNow));
  EXPECT_TRUE(covered(table, grant.thumbprint, dns("a.example"), "t", kNow));
}

TEST(GrantTable, EarlierKeys_AreLookedAtToo) {
  issue::GrantTable table;
  const auto grant = grant_of(1, "a.example", kNow + 10);
  ASSERT_TRUE(table.add(grant, kNow));
  static constexpr ValidationMethod kHttp[] = {ValidationMethod::kHttp01};
  const std::vector<Digest256> keys{grant_of(2, "", 0).thumbprint, grant.thumbprint};
  EXPECT_TRUE(table.cover({keys, "t", "kid", kHttp}, dns("a.example"), kNow));
  EXPECT_EQ(
      code(table.cover({std::span(keys).first(1), "t", "kid", kHttp}, dns("a.example"), kNow)),
      "grant-missing");
}

// ---- the journal

TEST(GrantBook, Withdrawn_StaysWithdrawnOverAStart) {
  TempDir directory;
  ManualClock clock;
  auto grant = grant_of(1, "a.example", clock.utc_ms() + 10'000);
  auto other = grant_of(1, "b.example", clock.utc_ms() + 10'000);
  {
    auto book = issue::GrantBook::open(directory.path("grants"), clock);
    ASSERT_TRUE(book);
    ASSERT_TRUE((*book)->record(grant));
    ASSERT_TRUE((*book)->record(other));
    ASSERT_TRUE((*book)->withdraw(std::span(&grant.thumbprint, 1), dns("a.example")));
    EXPECT_EQ((*book)->table().size(), 1u);
  }
  auto book = issue::GrantBook::open(directory.path("grants"), clock);
  ASSERT_TRUE(book);
  EXPECT_EQ((*book)->table().size(), 1u);
  EXPECT_TRUE(covered((*book)->table(), grant.thumbprint, dns("b.example"), "t", clock.utc_ms()));
}

TEST(GrantBook, Damaged_LosesWhatFollowsAndSaysSo) {
  TempDir directory;
  ManualClock clock;
  const std::string path = directory.path("grants");
  std::uint64_t first_end = 0;
  {
    auto book = issue::GrantBook::open(path, clock);
    ASSERT_TRUE(book);
    ASSERT_TRUE((*book)->record(grant_of(1, "a.example", clock.utc_ms() + kHourMs)));
    first_end = read_whole_file(path).size();
    ASSERT_TRUE((*book)->record(grant_of(1, "b.example", clock.utc_ms() + kHourMs)));
    ASSERT_TRUE((*book)->record(grant_of(1, "c.example", clock.utc_ms() + kHourMs)));
  }
  Bytes bytes = read_whole_file(path);
  bytes[first_end + 20] ^= 1;
  write_file(path, bytes);
  auto book = issue::GrantBook::open(path, clock);
  ASSERT_TRUE(book);
  EXPECT_TRUE((*book)->damaged_at_start());
  EXPECT_EQ((*book)->table().size(), 1u);
  auto again = issue::GrantBook::open(path, clock);  // it was rewritten whole
  ASSERT_TRUE(again);
  EXPECT_FALSE((*again)->damaged_at_start());
}

TEST(GrantBook, Expired_AreNotReadAgain) {
  TempDir directory;
  ManualClock clock;
  ASSERT_TRUE((*issue::GrantBook::open(directory.path("grants"), clock))
                  ->record(grant_of(1, "a.example", clock.utc_ms() + 1'000)));
  clock.advance(1'000);
  auto book = issue::GrantBook::open(directory.path("grants"), clock);
  ASSERT_TRUE(book);
  EXPECT_EQ((*book)->table().size(), 0u);
  EXPECT_TRUE(read_whole_file(directory.path("grants")).empty());
}

// ---- budgets

TEST(Budget, HoldEndsWithoutKeep_IsGivenBack) {
  issue::Budget budget(1, 10);
  const Digest256 account{1};
  { ASSERT_TRUE(budget.reserve(account, kNow)); }
  auto hold = budget.reserve(account, kNow);
  ASSERT_TRUE(hold);
  hold->keep();
  const auto refused = budget.reserve(account, kNow + 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "rate-account");
  EXPECT_EQ(refused.error().retry_after_ms, static_cast<std::uint64_t>(kHourMs - 1));
  EXPECT_TRUE(budget.reserve(account, kNow + kHourMs));
}

TEST(Budget, NotedFromTheLedger_Counts) {
  issue::Budget budget(5, 2);
  budget.note(Digest256{1}, kNow);
  budget.note(Digest256{2}, kNow);
  EXPECT_EQ(budget.reserve(Digest256{3}, kNow + 1).error().code, "rate-overall");
}

// ---- issued orders

issue::OrderKey order_key(std::uint8_t ticket, std::uint8_t csr) {
  issue::OrderKey key;
  key.ticket_id[0] = ticket;
  key.csr_sha256[0] = csr;
  key.expires_at_ms = kNow + kHourMs;
  return key;
}

TEST(IssuedOrders, ClaimEndsBeforeAnIntent_OrderIsFree) {
  issue::IssuedOrders orders;
  { ASSERT_TRUE(orders.claim(order_key(1, 1), kNow)); }
  EXPECT_EQ(orders.size(), 0u);
  EXPECT_TRUE(orders.claim(order_key(1, 2), kNow));  // another CSR may come
}

TEST(IssuedOrders, FirstTakesTooLong_OrderBusy) {
  issue::IssuedOrders orders;
  const auto first = orders.claim(order_key(1, 1), kNow);
  ASSERT_TRUE(first);
  const auto second = orders.claim(order_key(1, 1), kNow, 10);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "order-busy");
}

TEST(IssuedOrders, Full_OrdersFullUntilTicketsExpire) {
  issue::IssuedOrders orders(1);
  {
    auto claim = orders.claim(order_key(1, 1), kNow);
    ASSERT_TRUE(claim);
    std::get<issue::OrderClaim>(*claim).intent_written({});
    std::get<issue::OrderClaim>(*claim).issued({});
  }
  EXPECT_EQ(orders.claim(order_key(2, 1), kNow).error().code, "orders-full");
  EXPECT_TRUE(orders.any_of(Digest256{}, kNow));
  EXPECT_TRUE(orders.claim(order_key(2, 1), kNow + kHourMs));
  EXPECT_FALSE(orders.any_of(Digest256{}, kNow + kHourMs));
}

// ---- serials

TEST(Serials, Next_PositiveOfOneLengthAndNeverTwice) {
  issue::Serials serials;
  std::set<Bytes> seen;
  for (int i = 0; i < 1'000; ++i) {
    const auto serial = serials.next();
    ASSERT_TRUE(serial);
    EXPECT_EQ(serial->size(), 16u);
    EXPECT_EQ(serial->at(0) & 0xc0, 0x40);
    EXPECT_TRUE(seen.insert(*serial).second);
  }
}

TEST(Serials, MemoryFull_Exhausted) {
  issue::Serials serials(1);
  serials.note(Bytes(16, 1));
  EXPECT_EQ(serials.next().error().kind, ErrorKind::kExhausted);
}

// ---- key cache, ticket key

TEST(KeyCache, Full_LeastRecentlyUsedGoes) {
  issue::KeyCache cache(2);
  const TestClient a, b, c;
  const auto first = cache.get(a.jwk());
  ASSERT_TRUE(first);
  ASSERT_TRUE(cache.get(b.jwk()));
  EXPECT_EQ(*cache.get(a.jwk()), *first);
  ASSERT_TRUE(cache.get(c.jwk()));  // b goes
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(*cache.get(a.jwk()), *first);
  EXPECT_FALSE(cache.get("{}"));
}

TEST(TicketKey, FileOfAnotherSize_Corrupt) {
  TempDir directory;
  write_file(directory.path("key"), Bytes(31, 1));
  EXPECT_EQ(issue::TicketKey::load_or_create(directory.path("key")).error().kind,
            ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace keyward::test
