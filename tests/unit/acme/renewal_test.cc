// Tests renewal information (RFC 9773), incidents, and orders that replace a certificate.
#include <gtest/gtest.h>

#include "firmware/acme/renewal_info.h"
#include "firmware/x509/certificate.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::header_of;
using test::json_of;
using test::text_at;
using test::World;

constexpr std::int64_t kDayMs = 24LL * 3'600'000;

TEST(CertificateIds, Rfc9773Example_TextBothWays) {
  constexpr std::string_view kText = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
  const auto id = parse_certificate_id(kText);
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(hex_encode(id->key_identifier), "69885b6b87464041e1b37b847ba0ae2cde01c8d4");
  EXPECT_EQ(hex_encode(id->serial), "0087654321");
  EXPECT_EQ(id->text(), kText);
}

TEST(CertificateIds, EachMalformation_Refused) {
  for (const auto* text : {"", ".", "aYhb", "aYhb.", ".AIdl", "aYhb.AI=dl", "aYhb.AIdl.x",
                           "a b.AIdl", "aYhb.AAAAAAAAAAAAAAAAAAAAAAAAAAAA"})
    EXPECT_FALSE(parse_certificate_id(text).has_value()) << text;
}

TEST(UsualWindow, EachLife_BeginsInTimeAndEndsBeforeTheCertificate) {
  struct Case {
    std::int64_t life_ms, start_ms, end_ms;
  };
  for (const auto& each :
       {Case{90 * kDayMs, 90 * kDayMs / 100 * 67, 90 * kDayMs / 100 * 67 + 3 * kDayMs},
        Case{6 * kDayMs, 3 * kDayMs, 3 * kDayMs + kDayMs / 5},
        Case{3'600'000, 1'800'000, 1'920'000}, Case{10'000, 5'000, 6'000}}) {
    const auto window = usual_window(0, each.life_ms, 67);
    EXPECT_EQ(window.start_ms, each.start_ms / 1'000 * 1'000);
    EXPECT_EQ(window.end_ms, each.end_ms);
    EXPECT_LT(window.end_ms, each.life_ms);
    EXPECT_GE(window.end_ms - window.start_ms, 1'000);
  }
}

TEST(IncidentFile, WrittenAndRead_TheSame) {
  Incident all{"a", 1, {}, {}, {}, {}, 1'000, 2'000, ""};
  Incident some{"b", 2, {Bytes{0x00, 0x87}}, "server", 5, 6, 3'000, 5'000, "https://a.example/"};
  const auto read = parse_incidents(view_of(incidents_json({all, some})));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(incidents_json(*read), incidents_json({all, some}));
  EXPECT_TRUE(concerns(read->at(0), {Bytes{1}, "x", 9}));
  const Bytes serial{0x00, 0x87};
  EXPECT_TRUE(concerns(read->at(1), {serial, "server", 5}));
  EXPECT_FALSE(concerns(read->at(1), {serial, "device", 5}));
  EXPECT_FALSE(concerns(read->at(1), {serial, "server", 4}));
  EXPECT_FALSE(concerns(read->at(1), {serial, "server", 7}));
  EXPECT_FALSE(concerns(read->at(1), {Bytes{1}, "server", 5}));
  EXPECT_EQ(earliest_incident(*read, {serial, "server", 5})->id, "a");
  EXPECT_EQ(earliest_incident({}, {serial, "server", 5}), nullptr);
}

TEST(IncidentFile, EachMalformation_Refused) {
  for (
      const auto* text :
      {"", "[]", "{}", R"({"incidents":{}})", R"({"incidents":[{}]})",
       R"({"incidents":[{"id":"a","declared_at_ms":1,"window_start_ms":2000,"window_end_ms":2999}]})",
       R"({"incidents":[{"id":"a","declared_at_ms":1,"window_start_ms":0,"window_end_ms":2999,"serials":[]}]})",
       R"({"incidents":[{"id":"a","declared_at_ms":1,"window_start_ms":0,"window_end_ms":2999,"serials":["xy"]}]})",
       R"({"incidents":[{"id":"a","declared_at_ms":1,"window_start_ms":0,"window_end_ms":2999,"profile":1}]})",
       R"({"incidents":[{"id":"a","declared_at_ms":"1","window_start_ms":0,"window_end_ms":2999}]})"})
    EXPECT_FALSE(parse_incidents(view_of(text)).has_value()) << text;
}

class RenewalInfo : public testing::Test {
 protected:
  void SetUp() override {
    client.register_account();
    leaf = enrol("device-1");
    id = certificate_id_of(leaf)->text();
  }
  Bytes enrol(std::string_view device) {
    const auto order = client.ready_device_order(device);
    const auto made = client.post_url(order.finalize, client.csr_payload(device));
    const auto chain =
        x509::certificates_from_pem(client.read(text_at(made, "certificate")).body, 6);
    return chain ? chain->at(0) : Bytes{};
  }
  HttpResponse get(const std::string& which) {
    HttpRequest request;
    request.method = "GET";
    request.raw_path = "/acme/renewal-info/" + which;
    return world.service->handle(request);
  }
  std::string start() {
    return std::string(json_of(get(id)).root().get("suggestedWindow").get("start").string());
  }
  void declare(const Incidents& incidents) {
    auto directory =
        operate::OperatorDirectory::open(world.dir.path(), std::string(kIncidentsFolder));
    ASSERT_TRUE(directory.has_value()) << directory.error().what;
    ASSERT_TRUE(directory->replace(std::string(kIncidentsFile), view_of(incidents_json(incidents)))
                    .has_value());
  }
  HttpResponse order_replacing(Client& who, std::string_view device, std::string_view which) {
    return who.post("/acme/new-order",
                    R"({"identifiers":[{"type":"permanent-identifier","value":")" +
                        std::string(device) + R"("}],"replaces":")" + std::string(which) + "\"}");
  }
  World world;
  Client client{world};
  Bytes leaf;
  std::string id;
};

TEST_F(RenewalInfo, Known_WindowAndRetryAfterWithoutASignature) {
  const auto response = get(id);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(header_of(response, "Retry-After"), "21600");
  EXPECT_EQ(header_of(response, "Content-Type"), "application/json");
  EXPECT_EQ(header_of(response, "Replay-Nonce"), "");
  const auto document = json_of(response);
  const auto window = document.root().get("suggestedWindow");
  EXPECT_LT(window.get("start").string(), window.get("end").string());
  EXPECT_GT(window.get("start").string(), rfc3339(world.clock.utc_ms()));
  EXPECT_FALSE(document.root().get("explanationURL").exists());
}

TEST_F(RenewalInfo, UnknownSerialOrOtherIssuer_404) {
  const auto dot = id.find('.');
  expect_problem(get("AAAA" + id.substr(dot)), 404, "malformed", "not-found");
  expect_problem(get(id.substr(0, dot) + ".AAAA"), 404, "malformed", "not-found");
  expect_problem(get("a.b"), 404, "malformed", "not-found");
  expect_problem(get(id.substr(0, dot)), 404, "malformed", "not-found");
  world.store.break_message(
      "certificate-find", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(get(id), 503, "serverInternal", "peer-lost");
}

TEST_F(RenewalInfo, Revoked_WindowLiesInThePast) {
  EXPECT_EQ(client.post("/acme/revoke-cert", R"({"certificate":")" + base64url_encode(leaf) + "\"}")
                .status,
            200);
  const auto document = json_of(get(id));
  EXPECT_LE(document.root().get("suggestedWindow").get("end").string(),
            rfc3339(world.clock.utc_ms()));
}

TEST_F(RenewalInfo, IncidentDeclaredAndEnded_WindowMovesAndGoesBack) {
  const auto usual = start();
  const auto now_ms = world.clock.utc_ms();
  Incident incident{
      "i", now_ms, {}, "server", {}, {}, now_ms, now_ms + 3'600'000, "https://ca.test/incident"};
  declare({incident});
  EXPECT_EQ(start(), rfc3339(now_ms));
  EXPECT_EQ(text_at(get(id), "explanationURL"), "https://ca.test/incident");
  incident.profile = "other";
  declare({incident});
  EXPECT_EQ(start(), usual);
  incident.profile.reset();
  incident.serials = {Bytes{0x42}};
  declare({incident});
  EXPECT_EQ(start(), usual);
  incident.serials = {parse_certificate_id(id)->serial};
  incident.window_start_ms += 80 * kDayMs;  // later than usual: never kept longer
  incident.window_end_ms += 80 * kDayMs;
  declare({incident});
  EXPECT_EQ(start(), usual);
  EXPECT_EQ(text_at(get(id), "explanationURL"), "https://ca.test/incident");
  declare({});
  EXPECT_EQ(start(), usual);
  EXPECT_EQ(text_at(get(id), "explanationURL"), "");
}

TEST_F(RenewalInfo, Replaces_ReflectedAndEachRefusal) {
  const auto made = order_replacing(client, "device-1", id);
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(text_at(made, "replaces"), id);
  EXPECT_EQ(text_at(client.read(header_of(made, "Location")), "replaces"), id);
  expect_problem(order_replacing(client, "device-1", "nonsense"), 400, "malformed",
                 "replaces.form");
  expect_problem(order_replacing(client, "device-1", "AAAA.AAAA"), 400, "malformed",
                 "replaces.unknown");
  expect_problem(order_replacing(client, "device-2", id), 400, "malformed", "replaces.identifiers");
  expect_problem(
      client.post("/acme/new-order",
                  R"({"identifiers":[{"type":"dns","value":"a.example"}],"replaces":1})"),
      400, "malformed", "replaces.form");
  Client other(world);
  other.register_account();
  expect_problem(order_replacing(other, "device-1", id), 400, "malformed", "replaces.unknown");
}

TEST_F(RenewalInfo, ReplacedAlready_409UnlessThatOrderIsInvalid) {
  const auto made = order_replacing(client, "device-1", id);
  const auto url = header_of(made, "Location");
  world.store.change_certificate(parse_certificate_id(id)->serial, [&](auto& record) {
    record.replaced_by = url.substr(url.rfind('/') + 1);
  });
  expect_problem(order_replacing(client, "device-1", id), 409, "alreadyReplaced",
                 "already-replaced");
  world.clock.advance(limits::kOrderLifetimeMs + 1);
  EXPECT_EQ(order_replacing(client, "device-1", id).status, 201);
}

}  // namespace
}  // namespace keyward::acme
