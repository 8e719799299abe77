// Sends requests that are no requests (RFC 8555 §6.2 to §6.5): each misuse of a nonce, of the
// header, of the body and of POST-as-GET is refused for its reason and changes nothing, and what
// belongs to another account looks as if it were not there.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/system/protocol/kit.h"

namespace keyward::test {
namespace {

using Body = std::function<std::string(std::string)>;

Body replacing(const std::string& what, const std::string& by) {
  return [what, by](std::string body) {
    const auto at = body.find(what);
    EXPECT_NE(at, std::string::npos) << body;
    return at == std::string::npos ? body : body.replace(at, what.size(), by);
  };
}

struct Misuse {
  const char* name;
  int status;
  const char* type;
  const char* code;
  std::function<void(Client&, Draft&)> spoil;  // of a newOrder that is otherwise good
};
void PrintTo(const Misuse& row, std::ostream* out) { *out << row.name; }

const Misuse kMisuses[] = {
    // §6.5
    {"NonceMissing", 400, "badNonce", "nonce.missing",
     [](Client&, Draft& d) { d.without_nonce = true; }},
    {"NonceUsed", 400, "badNonce", "nonce.bad",
     [](Client& c, Draft& d) { d.nonce = c.last_nonce(); }},
    {"NonceOfAnotherServer", 400, "badNonce", "nonce.bad",
     [](Client&, Draft& d) { d.nonce = Client(binding_stage(), Client::Account::kNone).nonce(); }},
    {"NonceMadeUp", 400, "badNonce", "nonce.bad",
     [](Client& c, Draft& d) { d.nonce = std::string(c.nonce().size(), 'A'); }},
    {"NonceShortened", 400, "badNonce", "nonce.bad",
     [](Client& c, Draft& d) { d.nonce = c.nonce().substr(0, 4); }},
    {"NonceEmpty", 400, "badNonce", "nonce.bad", [](Client&, Draft& d) { d.nonce = ""; }},
    {"NonceNotBase64url", 400, "malformed", "nonce.malformed",
     [](Client&, Draft& d) { d.nonce = "a+b/"; }},
    {"NoncePadded", 400, "malformed", "nonce.malformed",
     [](Client& c, Draft& d) { d.nonce = c.nonce() + "="; }},
    {"NonceNoString", 400, "malformed", "jws.header",
     [](Client&, Draft& d) {
       d.without_nonce = true;
       d.more_header = ",\"nonce\":7";
     }},
    {"NonceTwiceInTheHeader", 400, "malformed", "jws.header",
     [](Client& c, Draft& d) {
       d.nonce = c.nonce();
       d.more_header = ",\"nonce\":\"" + *d.nonce + "\"";
     }},
    {"NonceUnprotected", 400, "malformed", "jws.form",
     [](Client& c, Draft& d) {
       d.without_nonce = true;
       d.body = replacing("{\"protected\"",
                          "{\"header\":{\"nonce\":\"" + c.nonce() + "\"},\"protected\"");
     }},
    {"NonceInThePayload", 400, "badNonce", "nonce.missing",
     [](Client& c, Draft& d) {
       d.without_nonce = true;
       d.payload.insert(1, "\"nonce\":\"" + c.nonce() + "\",");
     }},
    // §6.4
    {"UrlOfAnotherResource", 403, "unauthorized", "jws.url",
     [](Client& c, Draft& d) { d.header_url = c.kid; }},
    {"UrlInOtherCase", 403, "unauthorized", "jws.url",
     [](Client&, Draft& d) { d.header_url = "HTTPS" + d.url.substr(5); }},
    {"UrlWithAQuery", 403, "unauthorized", "jws.url",
     [](Client&, Draft& d) { d.header_url = d.url + "?"; }},
    {"UrlTwice", 400, "malformed", "jws.header",
     [](Client&, Draft& d) { d.more_header = ",\"url\":\"" + d.url + "\""; }},
    // §6.2
    {"KidAndJwk", 400, "malformed", "jws.header",
     [](Client& c, Draft& d) {
       d.kid = c.kid;
       d.jwk = jwk_of(c.key);
     }},
    {"NeitherKidNorJwk", 400, "malformed", "jws.header",
     [](Client&, Draft& d) { d.without_key = true; }},
    {"JwkWhereKidIsWanted", 400, "malformed", "jws.kid-required",
     [](Client& c, Draft& d) { d.jwk = jwk_of(c.key); }},
    {"KidWhereJwkIsWanted", 400, "malformed", "jws.jwk-required",
     [](Client& c, Draft& d) { d.url = c.stage.url_of("newAccount"); }},
    {"KidOfAnotherServer", 400, "accountDoesNotExist", "account.unknown",
     [](Client& c, Draft& d) {
       d.kid = "https://other.example" + c.kid.substr(c.kid.find("/acme"));
     }},
    {"AlgNone", 400, "badSignatureAlgorithm", "jws.algorithm",
     [](Client&, Draft& d) { d.alg = "none"; }},
    {"AlgNoneUnsigned", 400, "malformed", "jws.form",
     [](Client&, Draft& d) {
       d.alg = "none";
       d.body = [](std::string body) {
         return body.substr(0, body.find("\"signature\"")) + "\"signature\":\"\"}";
       };
     }},
    {"AlgHs256", 400, "badSignatureAlgorithm", "jws.algorithm",
     [](Client&, Draft& d) { d.alg = "HS256"; }},
    {"AlgOfAnotherKey", 400, "badSignatureAlgorithm", "jws.algorithm-key",
     [](Client&, Draft& d) { d.alg = "RS256"; }},
    {"AlgTwice", 400, "malformed", "jws.header",
     [](Client&, Draft& d) { d.more_header = ",\"alg\":\"ES256\""; }},
    {"UnencodedPayload", 400, "malformed", "jws.header",
     [](Client&, Draft& d) { d.more_header = ",\"b64\":false"; }},
    {"UnencodedPayloadCritical", 400, "malformed", "jws.header",
     [](Client&, Draft& d) { d.more_header = ",\"b64\":false,\"crit\":[\"b64\"]"; }},
    {"Critical", 400, "malformed", "jws.header",
     [](Client&, Draft& d) { d.more_header = ",\"crit\":[\"exp\"],\"exp\":1"; }},
    {"SeveralSignatures", 400, "malformed", "jws.form",
     [](Client&, Draft& d) {
       d.body = [](std::string body) {
         const auto document = must(json::Document::parse(body));
         const auto root = document.root();
         const auto one = "{\"protected\":" + root.get("protected").print() +
                          ",\"signature\":" + root.get("signature").print() + "}";
         return "{\"payload\":" + root.get("payload").print() + ",\"signatures\":[" + one + "," +
                one + "]}";
       };
     }},
    {"UnprotectedHeader", 400, "malformed", "jws.form",
     [](Client&, Draft& d) {
       d.body = replacing("{\"protected\"", "{\"header\":{},\"protected\"");
     }},
    {"DetachedPayload", 400, "malformed", "jws.form",
     [](Client&, Draft& d) { d.body = replacing("\"payload\"", "\"payloads\""); }},
    {"PaddedPayload", 400, "malformed", "", [](Client&, Draft& d) { d.payload_b64 = "e30="; }},
    {"PayloadSwapped", 400, "malformed", "jws.signature",
     [](Client&, Draft& d) {
       d.body = [](std::string body) {
         const auto at = body.find("\"payload\":\"") + 11;
         const auto other =
             base64url_encode(view_of(Client::names_payload({"swapped.plant.example"})));
         return body.replace(at, body.find('"', at) - at, other);
       };
     }},
    {"SignatureByAnotherKey", 400, "malformed", "jws.signature",
     [](Client&, Draft& d) {
       static const auto other = fresh_key();
       d.signer = &other;
     }},
    {"SignatureCut", 400, "malformed", "",
     [](Client&, Draft& d) {
       d.body = [](std::string body) { return body.substr(0, body.size() - 6) + "\"}"; };
     }},
    {"CompactForm", 400, "malformed", "jws.form",
     [](Client&, Draft& d) { d.body = [](std::string) { return std::string("e30.e30.e30"); }; }},
    {"NoBody", 400, "malformed", "jws.form",
     [](Client&, Draft& d) { d.body = [](std::string) { return std::string(); }; }},
    {"MediaTypeJson", 415, "malformed", "http.content-type",
     [](Client&, Draft& d) { d.content_type = "application/json"; }},
    {"MediaTypeJose", 415, "malformed", "http.content-type",
     [](Client&, Draft& d) { d.content_type = "application/jose"; }},
    {"MediaTypeEmpty", 415, "malformed", "http.content-type",
     [](Client&, Draft& d) { d.content_type = ""; }},
    {"BodyTooLarge", 413, "malformed", "",
     [](Client&, Draft& d) {
       d.body = [](std::string body) { return body + std::string(1U << 20, ' '); };
     }},
    // §6.3
    {"PostAsGetWhereSomethingIsMade", 400, "malformed", "",
     [](Client&, Draft& d) { d.payload.clear(); }},
};

class RequestMisuse : public ::testing::TestWithParam<Misuse> {};

TEST_P(RequestMisuse, RefusedForItsReasonAndNothingChanged) {
  const auto& row = GetParam();
  Client client(open_stage());
  const auto before = client.picture();
  Draft draft;
  draft.url = client.stage.url_of("newOrder");
  draft.payload = Client::names_payload({client.fresh_name()});
  row.spoil(client, draft);
  const auto reply = client.send(draft);
  expect_problem(reply, row.status, row.type, row.code);
  EXPECT_EQ(client.picture(), before);  // with the nonce of the refusal
}

INSTANTIATE_TEST_SUITE_P(Each, RequestMisuse, ::testing::ValuesIn(kMisuses),
                         [](const auto& each) { return std::string(each.param.name); });

// §6.3: reading is the empty payload; "{}" is another thing where the two differ.
TEST(PostAsGet, WithAnEmptyObject_RefusedWhereOnlyReadingMakesSense) {
  Client client(open_stage());
  const auto order = client.ready_order();
  ASSERT_EQ(client.finalize(order).status, 200);
  const auto valid = client.settled(order.url);
  const auto before = client.picture();
  for (const auto& url : {order.url, order.authorizations.at(0), text_at(valid, "certificate"),
                          client.kid + "/orders", client.stage.url_of("newNonce"),
                          client.stage.simulator->env("KEYWARD_DIRECTORY")}) {
    SCOPED_TRACE(url);
    EXPECT_TRUE(client.read(url).status == 200 || client.read(url).status == 204);
    const auto refused = client.post(url, "{}");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(text_at(refused, "type"), "urn:ietf:params:acme:error:malformed");
  }
  // An account may be updated by nothing (§7.3.2); a finalize is never read.
  EXPECT_EQ(client.post(client.kid, "{}").body, client.read(client.kid).body);
  expect_problem(client.read(order.finalize), 400, "malformed", "finalize.form");
  EXPECT_EQ(client.picture(), before);
}

// §6.3, D-A4: reading a challenge never begins a look.
TEST(PostAsGet, AtAChallenge_NeverTriggers) {
  Client client(open_stage());
  const auto name = client.fresh_name();
  const auto order = client.order_for(name);
  const auto dns_01 = client.challenge(order.authorizations.at(0), "dns-01");
  client.put_txt(name, dns_01);
  EXPECT_EQ(text_at(client.read(dns_01.url), "status"), "pending");
  EXPECT_EQ(client.stage.dns.asked("_acme-challenge." + name, dns::kTxt), 0);
  EXPECT_EQ(client.status_of(order.url), "pending");
}

// §10.5: nobody can tell what others have.
TEST(ForeignResources, EachOne_LooksAsIfItWereNotThere) {
  Client owner(open_stage());
  const auto order = owner.ready_order();
  ASSERT_EQ(owner.finalize(order).status, 200);
  const auto certificate = text_at(owner.settled(order.url), "certificate");
  const auto open = owner.order_for(owner.fresh_name());
  const auto dns_01 = owner.challenge(open.authorizations.at(0), "dns-01");
  const auto before = owner.picture();

  Client other(open_stage());
  struct {
    std::string url, payload;
  } const tries[] = {
      {owner.kid, ""},
      {owner.kid, R"({"status":"deactivated"})"},
      {owner.kid, R"({"contact":[]})"},
      {owner.kid + "/orders", ""},
      {open.url, ""},
      {open.url, R"({"status":"canceled"})"},
      {open.finalize, csr_payload(fresh_key(), {owner.name_of(open)})},
      {order.url, ""},
      {order.authorizations.at(0), ""},
      {order.authorizations.at(0), R"({"status":"deactivated"})"},
      {open.authorizations.at(0), R"({"status":"deactivated"})"},
      {dns_01.url, ""},
      {dns_01.url, "{}"},
      {certificate, ""},
  };
  for (const auto& [url, payload] : tries) {
    SCOPED_TRACE(url + " " + payload);
    const auto foreign = other.post(url, payload);
    expect_problem(foreign, 404, "malformed", "not-found");
    auto unknown_url = url;  // the last letter of its id
    const auto tail = url.ends_with("/orders")     ? std::string("/orders")
                      : url.ends_with("/finalize") ? std::string("/finalize")
                                                   : std::string();
    auto& letter = unknown_url[url.size() - tail.size() - 2];
    letter = letter == 'A' ? 'B' : 'A';
    EXPECT_EQ(other.post(unknown_url, payload).body, foreign.body);
  }
  EXPECT_EQ(owner.picture(), before);
  EXPECT_EQ(other.status_of(other.kid), "valid");
}

// docs/adr/0005-nonces.md: a nonce of the life before is good once more where repeating changes
// nothing, and nowhere else.
TEST(NoncesOverARestart, OfTheLifeBefore_OnlyWhereRepeatingIsHarmless) {
  Client client(open_stage());
  std::vector<std::string> earlier;
  for (int i = 0; i < 3; ++i) {
    (void)client.send("HEAD", client.stage.url_of("newNonce"));
    earlier.push_back(client.nonce());
  }
  const int pid = client.stage.simulator->pid_of("acme");
  ASSERT_GT(pid, 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] {
    const int now = client.stage.simulator->pid_of("acme");
    return now > 0 && now != pid && client.stage.simulator->state() == "operational";
  }));
  const auto before = client.picture();
  Draft update;
  update.url = client.kid;
  update.payload = R"({"contact":[]})";
  update.nonce = earlier[0];
  expect_problem(client.send(update), 400, "badNonce", "nonce.bad");
  Draft read;
  read.url = client.kid + "/orders";
  read.nonce = earlier[1];
  EXPECT_EQ(client.send(read).status, 200);
  expect_problem(client.send(read), 400, "badNonce", "nonce.bad");
  EXPECT_EQ(client.picture(), before);
}

// §7.2, §6.5.1: where nonces come from.
TEST(NewNonce, EachMethod_AnotherNonceEachTime) {
  Client client(open_stage());
  const auto url = client.stage.url_of("newNonce");
  const auto head = client.send("HEAD", url);
  EXPECT_EQ(head.status, 200);
  const auto get = client.send("GET", url);
  EXPECT_EQ(get.status, 204);
  EXPECT_EQ(get.body, "");
  for (const auto& reply : {head, get}) {
    EXPECT_EQ(reply.header("cache-control"), "no-store");
    EXPECT_TRUE(has_link(reply, "index", "/acme/directory"));
    EXPECT_TRUE(base64url_decode(reply.header("replay-nonce")).has_value());
  }
  EXPECT_NE(head.header("replay-nonce"), get.header("replay-nonce"));
}

}  // namespace
}  // namespace keyward::test
