// Tests of automatic renewal (RFC 8739): the arithmetic, the terms, and a series at the gate from
// its first certificate to its end, with what a front end that was taken over would try.
#include "firmware/issue/star.h"

#include <ctime>

#include "firmware/issue/timestamp.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"

#include "fixture.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;

std::string utc(std::int64_t ms) {
  const std::time_t seconds = ms / 1'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::int64_t at(const char* text) { return *issue::parse_rfc3339(text); }

// ---- the arithmetic

TEST(Star, WorkedExample_OfRfc8739) {
  wire::StarTerms star;
  star.start_ms = at("2019-01-10T00:00:00Z");
  star.end_ms = at("2019-01-20T00:00:00Z");
  star.lifetime_ms = 4 * kDayMs;
  star.lifetime_adjust_ms = 3 * kDayMs;
  const char* const wanted[][2] = {{"2019-01-10T00:00:00Z", "2019-01-14T00:00:00Z"},
                                   {"2019-01-11T00:00:00Z", "2019-01-18T00:00:00Z"},
                                   {"2019-01-15T00:00:00Z", "2019-01-20T00:00:00Z"}};
  for (std::uint64_t period = 0; period < 3; ++period) {
    const auto validity = issue::star_validity(star, period);
    EXPECT_EQ(utc(validity.not_before_ms), wanted[period][0]);
    EXPECT_EQ(utc(validity.not_after_ms), wanted[period][1]);
  }
  EXPECT_EQ(issue::star_due_ms(star, 3), std::nullopt);
}

// §3.3: made when the one before has half its period left at the latest, and good from then on.
TEST(Star, EveryPeriod_DueHalfwayAndGoodAtOnce) {
  for (const std::int64_t lifetime_s : {3'600, 3'601, 86'400}) {
    for (const std::int64_t adjust_s : {std::int64_t{0}, lifetime_s / 4, lifetime_s}) {
      const wire::StarTerms star{at("2026-03-01T00:00:00Z"), at("2026-03-08T00:00:00Z"),
                                 lifetime_s * 1'000, adjust_s * 1'000};
      for (std::uint64_t period = 1; issue::star_due_ms(star, period); ++period) {
        const auto due_ms = *issue::star_due_ms(star, period);
        const auto validity = issue::star_validity(star, period);
        const auto nominal_ms =
            star.start_ms + static_cast<std::int64_t>(period) * lifetime_s * 1'000;
        EXPECT_LE(validity.not_before_ms, due_ms);
        EXPECT_LE(due_ms, nominal_ms - lifetime_s * 500);
        EXPECT_LT(due_ms, issue::star_validity(star, period - 1).not_after_ms);
        EXPECT_EQ(*issue::star_period(star, due_ms), period);
        EXPECT_EQ(*issue::star_period(star, due_ms - 1), period - 1);
        EXPECT_LE(validity.not_after_ms, star.end_ms);
        EXPECT_GE(validity.not_before_ms, star.start_ms);
      }
    }
  }
}

TEST(Star, AfterTheEnd_StarExpired) {
  const wire::StarTerms star{1'000, 10'000'000, 3'600'000, 0};
  EXPECT_TRUE(issue::star_period(star, 9'999'999));
  EXPECT_EQ(issue::star_period(star, 10'000'000).error().code, "star-expired");
  EXPECT_EQ(*issue::star_period(star, 0), 0u);  // before the start: the first one
}

// ---- at the gate

class StarTest : public GateTest {
 protected:
  StarTest() {
    auto profile = issue::make_profile("server", issue::ProfileKind::kServer, 90);
    profile.star = issue::StarLimits{3'600, 30 * 86'400};
    config_.profiles = {profile, issue::make_profile("device", issue::ProfileKind::kDevice, 365)};
    config_.profiles.push_back(issue::make_profile("plain", issue::ProfileKind::kServer, 90));
    clock_.advance(1'000 - clock_.utc_ms() % 1'000);
    start_ms_ = clock_.utc_ms();
  }
  // Beside identifiers and profile; `more`: members of auto-renewal or behind it.
  static std::string payload(const std::string& renewal, const std::string& more = "") {
    return R"({"identifiers":[{"type":"dns","value":"a.example"}],"auto-renewal":)" + renewal +
           more + "}";
  }
  std::string renewal(std::int64_t end_ms, std::int64_t lifetime_s,
                      const std::string& more = "") const {
    return R"({"end-date":")" + utc(end_ms) + R"(","lifetime":)" + std::to_string(lifetime_s) +
           more + "}";
  }
  wire::TicketMintReply star_order(std::int64_t end_ms, std::int64_t lifetime_s,
                                   const std::string& more = "") {
    auto reply = gate_->mint_ticket(client_.new_order(payload(renewal(end_ms, lifetime_s, more))));
    EXPECT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
    return reply ? *reply : wire::TicketMintReply{};
  }
  std::string refused(const std::string& order) {
    return code(gate_->mint_ticket(client_.new_order(order)));
  }
  wire::OrderCancel cancellation(const TestClient& client, const wire::TicketMintReply& made,
                                 const std::string& body = R"({"status":"canceled"})") const {
    return {client.jwk(), client.sign(std::string(kBaseUrl) + "/acme/order/" + made.ticket, body),
            made.terms};
  }
  std::string cancel(const wire::OrderCancel& request) {
    const auto reply = gate_->cancel_order(request);
    return reply ? "canceled" : reply.error().code;
  }
  // A proved order with an hour's lifetime over ten hours, and its finalize.
  wire::CertificateIssue series(wire::TicketMintReply& made) {
    made = star_order(start_ms_ + 10 * kHourMs, 3'600);
    prove(client_, dns("a.example"));
    return client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  }
  std::int64_t start_ms_ = 0;
};

TEST_F(StarTest, Terms_WrongInAnyWay_StarTerms) {
  open();
  const auto end_ms = start_ms_ + kDayMs;
  EXPECT_EQ(refused(payload(renewal(end_ms, 3'600))), "minted");
  const std::vector<std::string> all_wrong{
      std::string("true"),
      std::string("{}"),
      R"({"lifetime":3600})",
      R"({"end-date":")" + utc(end_ms) + R"("})",
      R"({"end-date":"tomorrow","lifetime":3600})",
      R"({"end-date":")" + utc(end_ms) + R"(","lifetime":"3600"})",
      R"({"end-date":")" + utc(end_ms) + R"(","lifetime":-3600})",
      R"({"end-date":")" + utc(end_ms) + R"(","lifetime":9007199254740991})",
      renewal(end_ms, 3'599),                                // meta's min-lifetime
      renewal(end_ms + 31 * kDayMs, 3'600),                  // meta's max-duration
      renewal(start_ms_ - kHourMs, 3'600),                   // over
      renewal(end_ms, 3'600, R"(,"lifetime-adjust":3601)"),  // longer than the lifetime
      renewal(end_ms, 3'600, R"(,"lifetime-adjust":"1")"),
      renewal(end_ms, 3'600, R"(,"lifetime-adjust":-1)"),
      renewal(end_ms, 61 * 86'400),  // the profile's 90 days, with lead
      renewal(end_ms, 3'600, R"(,"start-date":")" + utc(start_ms_ - kDayMs) + "\""),
      renewal(end_ms + 40 * kDayMs, 3'600,
              R"(,"start-date":")" + utc(start_ms_ + 31 * kDayMs) + "\""),
      renewal(end_ms, 3'600, R"(,"start-date":")" + utc(end_ms) + "\""),
      renewal(end_ms, 3'600, R"(,"start-date":7)"),
      renewal(end_ms, 3'600, R"(,"allow-certificate-get":"yes")"),
  };
  for (const auto& wrong : all_wrong) {
    EXPECT_EQ(refused(payload(wrong)), "star-terms") << wrong;
  }
  const auto dates = R"(,"notAfter":")" + utc(end_ms) + "\"";
  EXPECT_EQ(refused(payload(renewal(end_ms, 3'600), dates)), "star-terms");
  EXPECT_EQ(refused(payload(renewal(end_ms, 3'600), R"(,"profile":"plain")")), "star-not-offered");
}

TEST_F(StarTest, BeyondTheIssuersEnd_StarTerms) {
  ca_spec_.not_after_ms = start_ms_ + kDayMs;
  open();
  EXPECT_EQ(refused(payload(renewal(start_ms_ + 2 * kDayMs, 3'600))), "star-terms");
}

TEST_F(StarTest, ThreeRenewalsThenCancel_NoFurtherSignature) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  std::int64_t due_ms = start_ms_;
  std::vector<Bytes> serials;
  for (std::uint64_t period = 0; period < 4; ++period) {
    clock_.advance(due_ms - clock_.utc_ms());
    const auto reply = gate_->issue(finalize);
    ASSERT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
    EXPECT_FALSE(reply->replayed);
    const auto nominal_ms = start_ms_ + static_cast<std::int64_t>(period) * kHourMs;
    EXPECT_EQ(reply->not_after_ms, nominal_ms + kHourMs);
    EXPECT_EQ(reply->not_before_ms, std::max(nominal_ms - kHourMs / 2, start_ms_));
    EXPECT_LE(reply->not_before_ms, clock_.utc_ms());
    ASSERT_TRUE(reply->star_next_at_ms);
    EXPECT_EQ(*reply->star_next_at_ms, nominal_ms + kHourMs / 2);
    serials.push_back(reply->serial);
    // A front end that asks too early gets what it has.
    clock_.advance(*reply->star_next_at_ms - 1 - clock_.utc_ms());
    const auto early = gate_->issue(finalize);
    ASSERT_TRUE(early);
    EXPECT_TRUE(early->replayed);
    EXPECT_EQ(early->serial, reply->serial);
    EXPECT_EQ(early->star_next_at_ms, reply->star_next_at_ms);
    due_ms = *reply->star_next_at_ms;
  }
  EXPECT_EQ(token_.sign_calls, 4);
  EXPECT_NE(serials[2], serials[3]);
  EXPECT_EQ(cancel(cancellation(client_, made)), "canceled");
  EXPECT_EQ(cancel(cancellation(client_, made)), "canceled");  // said again: nothing more
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(finalize)), "star-canceled");
  open();
  EXPECT_EQ(code(gate_->issue(finalize)), "star-canceled");
  EXPECT_EQ(token_.sign_calls, 4);
}

TEST_F(StarTest, ProofsAreLongGone_RenewsAfterARestart) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  clock_.advance(2 * kHourMs);  // the proof was for one hour
  open();
  const auto reply = gate_->issue(finalize);
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_FALSE(reply->replayed);
  // One period was left out: its time is over.
  EXPECT_EQ(reply->not_after_ms, start_ms_ + 3 * kHourMs);
  open();
  const auto again = gate_->issue(finalize);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->serial, reply->serial);
  EXPECT_EQ(token_.sign_calls, 2);
}

TEST_F(StarTest, FirstCertificate_NeedsProofsAndTheOrdersTime) {
  open();
  const auto made = star_order(start_ms_ + 5 * kDayMs, 3'600);
  const auto finalize = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  EXPECT_EQ(code(gate_->issue(finalize)), "no-grant");
  prove(client_, dns("b.example"));
  EXPECT_EQ(code(gate_->issue(finalize)), "grant-missing");
  EXPECT_EQ(made.expires_at_ms, (start_ms_ + 5 * kDayMs) / 1'000 * 1'000);
  clock_.advance(limits::kOrderLifetimeMs);
  prove(client_, dns("a.example"));
  EXPECT_EQ(code(gate_->issue(finalize)), "ticket-expired");
  EXPECT_EQ(token_.sign_calls, 0);
}

TEST_F(StarTest, AnotherCsrOrOtherTerms_NoRenewal) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  clock_.advance(kHourMs);
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*other, {dns("a.example")})))),
            "order-already-issued");
  auto changed = finalize;
  auto terms = wire::decode_body<wire::OrderTerms>(made.terms);
  ASSERT_TRUE(terms && terms->star);
  terms->star->end_ms += kDayMs;
  changed.terms = wire::encode_body(*terms);
  EXPECT_EQ(code(gate_->issue(changed)), "ticket-forged");
  terms->star.reset();
  changed.terms = wire::encode_body(*terms);
  EXPECT_EQ(code(gate_->issue(changed)), "ticket-forged");
  EXPECT_EQ(token_.sign_calls, 1);
}

TEST_F(StarTest, AfterTheEnd_StarExpired) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  clock_.advance(9 * kHourMs);
  const auto last = gate_->issue(finalize);
  ASSERT_TRUE(last) << last.error().code;
  EXPECT_EQ(last->star_next_at_ms, std::nullopt);
  EXPECT_EQ(last->not_after_ms, start_ms_ + 10 * kHourMs);
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(finalize)), "star-expired");
  EXPECT_EQ(cancel(cancellation(client_, made)), "star-expired");
  EXPECT_EQ(token_.sign_calls, 2);
}

TEST_F(StarTest, InstallationChanged_NoRenewal) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  clock_.advance(kHourMs);
  const auto profiles = config_.profiles;
  config_.profiles[0].star.reset();
  open();
  EXPECT_EQ(code(gate_->issue(finalize)), "star-not-offered");
  config_.profiles.erase(config_.profiles.begin());
  open();
  EXPECT_EQ(code(gate_->issue(finalize)), "profile-unknown");
  config_.profiles = profiles;
  config_.names.permitted_dns = {"plant.example"};
  open();
  EXPECT_EQ(code(gate_->issue(finalize)), "identifier-not-permitted");
  config_.names.permitted_dns.clear();
  config_.account_per_hour = 1;
  open();
  EXPECT_EQ(code(gate_->issue(finalize)), "issued");
  clock_.advance(kHourMs - 1'000);
  EXPECT_EQ(code(gate_->issue(finalize)), "rate-account");
  EXPECT_EQ(token_.sign_calls, 2);
}

TEST_F(StarTest, CredentialWithdrawn_NoRenewal) {
  open();
  wire::GrantAccount admission;
  admission.thumbprint = client_.thumbprint();
  admission.kid = "kid-1";
  admission.expires_at_ms = clock_.utc_ms() + kDayMs;
  ASSERT_TRUE(gate_->grant_account(admission));
  wire::TicketMintReply made;
  const auto finalize = series(made);
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  admission.withdrawn = true;
  ASSERT_TRUE(gate_->grant_account(admission));
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(finalize)), "account-withdrawn");
  EXPECT_EQ(token_.sign_calls, 1);
}

TEST_F(StarTest, KeyReportedAsCompromised_NoRenewal) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  // The same key in a certificate that can be revoked, by the key's holder (RFC 8555 §7.6).
  const auto ordinary = order(client_, {dns("a.example")});
  const auto other = gate_->issue(client_.finalize(ordinary, make_csr(*key_, {dns("a.example")})));
  ASSERT_TRUE(other);
  const auto jws = jose::sign(
      *key_, {std::string(kBaseUrl) + "/acme/revoke-cert", "AAAA", std::nullopt,
              R"({"reason":1,"certificate":")" + base64url_encode(other->chain[0]) + "\"}"});
  ASSERT_TRUE(jws);
  const auto revoked =
      gate_->revoke({std::nullopt, {jws->protected_b64, jws->payload_b64, jws->signature}});
  ASSERT_TRUE(revoked) << revoked.error().code;
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(finalize)), "csr-key-compromised");
  EXPECT_EQ(token_.sign_calls, 2);
}

// RFC 8555 §7.3.5: what was ordered with the earlier key goes on; the new one may end it.
TEST_F(StarTest, AccountKeyChanged_RenewsAndTheNewKeyCancels) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  const TestClient next;
  const std::string url = std::string(kBaseUrl) + "/acme/key-change";
  const auto inner =
      jose::sign(next.key(), {url, std::nullopt, std::nullopt,
                              R"({"account":")" + std::string(kBaseUrl) +
                                  R"(/acme/account/1","oldKey":)" + client_.jwk() + "}"});
  ASSERT_TRUE(inner);
  const std::string payload = R"({"protected":")" + inner->protected_b64 + R"(","payload":")" +
                              inner->payload_b64 + R"(","signature":")" +
                              base64url_encode(inner->signature) + "\"}";
  const auto changed = gate_->change_key({client_.jwk(), client_.sign(url, payload)});
  ASSERT_TRUE(changed) << changed.error().code << " " << changed.error().detail;
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(finalize)), "issued");
  EXPECT_EQ(token_.sign_calls, 2);
  EXPECT_EQ(cancel(cancellation(client_, made)), "key-replaced");
  EXPECT_EQ(cancel(cancellation(next, made)), "canceled");
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(finalize)), "star-canceled");
}

TEST_F(StarTest, RenewalFailsInTheHsm_TheCurrentOneStaysAndTheNextTrySucceeds) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  const auto first = gate_->issue(finalize);
  ASSERT_TRUE(first);
  clock_.advance(kHourMs);
  token_.instead = [] { return Result<Bytes>(fail(ErrorKind::kUnavailable, "gone")); };
  EXPECT_EQ(code(gate_->issue(finalize)), "hsm-away");
  open();  // an intent without signature stands behind the certificate
  token_.instead = nullptr;
  const auto second = gate_->issue(finalize);
  ASSERT_TRUE(second) << second.error().code;
  EXPECT_FALSE(second->replayed);
  EXPECT_NE(second->serial, first->serial);
  const auto replay = gate_->issue(finalize);
  ASSERT_TRUE(replay);
  EXPECT_EQ(replay->serial, second->serial);
}

TEST_F(StarTest, Cancel_OnlyByTheClientAndOnlyASeries) {
  open();
  wire::TicketMintReply made;
  const auto finalize = series(made);
  EXPECT_EQ(cancel(cancellation(client_, made)), "star-cancel-invalid");  // nothing issued yet
  ASSERT_EQ(code(gate_->issue(finalize)), "issued");
  EXPECT_EQ(cancel(cancellation(client_, made, "{}")), "payload-malformed");
  EXPECT_EQ(cancel(cancellation(client_, made, R"({"status":"deactivated"})")),
            "payload-malformed");
  const TestClient other;
  EXPECT_EQ(cancel(cancellation(other, made)), "ticket-forged");
  auto stolen = cancellation(other, made);
  stolen.account_jwk = client_.jwk();
  EXPECT_EQ(cancel(stolen), "jws-signature");
  auto elsewhere = cancellation(client_, made);
  elsewhere.jws = client_.sign(TestClient::finalize_url(made.ticket), R"({"status":"canceled"})");
  EXPECT_EQ(cancel(elsewhere), "ticket-malformed");
  elsewhere.jws =
      client_.sign(std::string(kBaseUrl) + "/acme/account/1", R"({"status":"canceled"})");
  EXPECT_EQ(cancel(elsewhere), "jws-url");
  const auto ordinary = order(client_, {dns("a.example")});
  ASSERT_EQ(code(gate_->issue(client_.finalize(ordinary, make_csr(*key_, {dns("a.example")})))),
            "issued");
  EXPECT_EQ(cancel(cancellation(client_, ordinary)), "star-cancel-invalid");
  clock_.advance(kHourMs);
  EXPECT_EQ(code(gate_->issue(finalize)), "issued");  // none of it ended the series
}

TEST_F(StarTest, StartAhead_CertificateBeginsThere) {
  open();
  const auto made = star_order(start_ms_ + 10 * kDayMs, 86'400,
                               R"(,"start-date":")" + utc(start_ms_ + kDayMs) + "\"");
  prove(client_, dns("a.example"));
  const auto reply = gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_EQ(reply->not_before_ms, start_ms_ + kDayMs);
  EXPECT_EQ(reply->not_after_ms, start_ms_ + 2 * kDayMs);
}

TEST_F(StarTest, Directory_SaysWhatTheProfileOffers) {
  open();
  const auto reply = gate_->issuer_chain();
  ASSERT_TRUE(reply);
  for (const auto& info : reply->profiles) {
    EXPECT_EQ(info.star_lifetime_s_min.has_value(), info.name == "server");
    if (info.name != "server") continue;
    EXPECT_EQ(*info.star_lifetime_s_min, 3'600u);
    EXPECT_EQ(*info.star_duration_s_max, 30u * 86'400u);
  }
}

}  // namespace
}  // namespace keyward::test
