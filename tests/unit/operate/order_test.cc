// The operators file, and orders: each refusal by its code.
#include "firmware/operate/order.h"

#include <gtest/gtest.h>

namespace keyward::operate {
namespace {

constexpr std::int64_t kNowMs = 1'800'000'000'000;
constexpr std::string_view kSerial = "0a0b0c0d";

crypto::PrivateKey new_key(crypto::KeyKind kind = crypto::KeyKind::kEcP256) {
  return *crypto::PrivateKey::generate(kind);
}

std::string jwk_of(const crypto::PrivateKey& key) {
  return jose::Jwk::from_public_key(key.public_key())->canonical();
}

std::string one_operator(const std::string& name, const crypto::PrivateKey& key,
                         const std::string& roles) {
  return R"({"name":")" + name + R"(","jwk":)" + jwk_of(key) + R"(,"roles":[)" + roles + "]}";
}

struct OrderTest : ::testing::Test {
  crypto::PrivateKey ann = new_key(), bob = new_key(crypto::KeyKind::kEd25519), eve = new_key();
  Operators operators = *Operators::parse(
      R"({"version":1,"unit":"unit7","operators":[)" +
      one_operator("ann", ann, R"("revoke","ca","policy","account","eab","audit")") + "," +
      one_operator("bob", bob, R"("revoke","policy")") + R"(],"dual_control":["policy"]})");
  OrderHead head{"revoke", "unit7", {1, 2, 3}, kNowMs, kNowMs + 3'600'000, "stolen"};
  std::string arguments = R"("serials":["0a0b0c0d"],"reason_code":1)";

  std::string payload() const { return order_payload(head, arguments); }
  std::string by(const crypto::PrivateKey& key) const { return *sign_order(key, payload()); }

  std::string code(const std::string& jws, std::int64_t now_ms = kNowMs) const {
    const auto verified = verify_order(view_of(jws), operators);
    if (!verified) return verified.error().code;
    const auto permitted = permit(*verified, operators, now_ms);
    return permitted ? "" : permitted.error().code;
  }
  PermittedOrder permitted() const {
    return *permit(*verify_order(view_of(by(ann)), operators), operators, kNowMs);
  }
};

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, what.size(), with);
}

TEST_F(OrderTest, Order_OfAnOperator_Permitted) {
  EXPECT_EQ(code(by(ann)), "");
  EXPECT_EQ(code(by(bob)), "");
  const auto order = permitted();
  EXPECT_EQ(order.signatories()[0].name, "ann");
  EXPECT_EQ(order.head().reason, "stolen");
  const auto arguments_read = read_revoke(order);
  ASSERT_TRUE(arguments_read);
  EXPECT_EQ(hex_encode(arguments_read->serials.at(0)), kSerial);
  EXPECT_EQ(arguments_read->reason_code, 1u);
}

TEST_F(OrderTest, Order_OfTwo_HoldsBothNames) {
  const auto two = cosign_order(bob, by(ann));
  ASSERT_TRUE(two);
  const auto verified = verify_order(view_of(*two), operators);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->signatories().size(), 2u);
  EXPECT_EQ(code(*two), "");
  EXPECT_EQ(cosign_order(bob, *two).error().kind, ErrorKind::kRefused);
}

TEST_F(OrderTest, Order_OfAStranger_KeyUnknown) { EXPECT_EQ(code(by(eve)), "order-key-unknown"); }

TEST_F(OrderTest, Order_OneGoodSignatureAndOneStrangers_KeyUnknown) {
  EXPECT_EQ(code(*cosign_order(eve, by(ann))), "order-key-unknown");
}

TEST_F(OrderTest, Order_PayloadSwapped_SignatureRefused) {
  const auto jws = by(ann);
  head.id = {9};
  const auto other = base64url_encode(view_of(payload()));
  const auto document = json::Document::parse(jws);
  const std::string old(document->root().get("payload").string());
  EXPECT_EQ(code(replaced(jws, old, other)), "order-signature");
}

TEST_F(OrderTest, Order_KidOfAnother_Refused) {
  // Bob's kid over Ann's signature: the algorithm is not his key's.
  json::Writer header;
  header.begin_object().member("alg", "ES256");
  header.member("kid", operators.all()[1].jwk.thumbprint_text());
  header.member("typ", kOrderTyp).end_object();
  const auto jws = by(ann);
  const auto document = json::Document::parse(jws);
  const std::string old(document->root().get("protected").string());
  EXPECT_EQ(code(replaced(jws, old, base64url_encode(view_of(header.take())))), "order-algorithm");
}

TEST_F(OrderTest, Order_SignedForSomethingElse_Typ) {
  json::Writer header;
  header.begin_object().member("alg", "ES256");
  header.member("kid", operators.all()[0].jwk.thumbprint_text());
  header.member("typ", "keyward-backup").end_object();
  const auto jws = by(ann);
  const auto document = json::Document::parse(jws);
  const std::string old(document->root().get("protected").string());
  EXPECT_EQ(code(replaced(jws, old, base64url_encode(view_of(header.take())))), "order-typ");
}

TEST_F(OrderTest, Order_SameOperatorTwice_Refused) {
  head.order = "policy-approve";
  const auto jws = by(ann);
  const auto root = json::Document::parse(jws);
  const std::string protected_b64(root->root().get("protected").string()),
      signature(root->root().get("signature").string()),
      payload_b64(root->root().get("payload").string());
  const std::string one =
      R"({"protected":")" + protected_b64 + R"(","signature":")" + signature + R"("})";
  EXPECT_EQ(code(R"({"payload":")" + payload_b64 + R"(","signatures":[)" + one + "," + one + "]}"),
            "order-same-operator");
  EXPECT_EQ(code(R"({"payload":")" + payload_b64 + R"(","signatures":[]})"), "order-unsigned");
}

TEST_F(OrderTest, Order_Malformed_Refused) {
  const auto jws = by(ann);
  EXPECT_EQ(code(""), "order-malformed");
  EXPECT_EQ(code("[]"), "order-malformed");
  EXPECT_EQ(code(payload()), "order-malformed");
  EXPECT_EQ(code(replaced(jws, "{", R"({"header":{},)")), "order-malformed");
  EXPECT_EQ(code(replaced(jws, R"("protected":")", R"("protected":"=)")), "order-malformed");
  EXPECT_EQ(code(jws + " x"), "order-malformed");
  EXPECT_EQ(code(std::string(limits::kOperatorOrderBytesMax + 1, ' ')), "order-too-large");
}

TEST_F(OrderTest, Order_WrongUnit_Refused) {
  head.unit = "unit8";
  EXPECT_EQ(code(by(ann)), "order-unit");
}

TEST_F(OrderTest, Order_OutsideItsTime_Refused) {
  EXPECT_EQ(code(by(ann), head.expires_ms), "order-expired");
  EXPECT_EQ(code(by(ann), head.issued_ms - limits::kOperatorOrderSkewMs - 1), "order-future");
  EXPECT_EQ(code(by(ann), head.issued_ms - limits::kOperatorOrderSkewMs), "");
  head.expires_ms = head.issued_ms;
  EXPECT_EQ(code(by(ann)), "order-window");
  head.expires_ms = head.issued_ms + limits::kOperatorOrderLifeMs + 1'000;
  EXPECT_EQ(code(by(ann)), "order-window");
}

TEST_F(OrderTest, Order_RoleMissing_Refused) {
  head.order = "resume-issuance";
  EXPECT_EQ(code(by(bob)), "order-role");
  // Nor by two of whom one has it.
  EXPECT_EQ(code(*cosign_order(bob, by(ann))), "order-role");
  EXPECT_EQ(code(by(ann)), "");
}

TEST_F(OrderTest, Order_OneOfTwo_DualControl) {
  head.order = "policy-approve";
  EXPECT_EQ(code(by(ann)), "order-dual-control");
  EXPECT_EQ(code(*cosign_order(bob, by(ann))), "");
}

TEST_F(OrderTest, Order_Unknown_Refused) {
  head.order = "make-coffee";
  EXPECT_EQ(code(by(ann)), "order-unknown");
}

TEST_F(OrderTest, Order_PayloadNotAnOrder_Refused) {
  EXPECT_EQ(code(*sign_order(ann, "{}")), "order-payload");
  EXPECT_EQ(code(*sign_order(ann, "x")), "order-payload");
  EXPECT_EQ(code(*sign_order(ann, replaced(payload(), "0102030000", "0102030G00"))),
            "order-payload");
  EXPECT_EQ(code(*sign_order(ann, replaced(payload(), "Z\"", "+00:00\""))), "order-payload");
}

TEST_F(OrderTest, Arguments_NotOfTheOrder_Refused) {
  for (const auto* wrong :
       {R"("serials":[])", R"("serials":["xy"])", R"("serials":["0a","0a"])",
        R"("serials":["0a"],"reason_code":11)", R"("serials":["0a"],"reson":"x")", ""}) {
    arguments = wrong;
    const auto read = read_revoke(permitted());
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().code, "order-payload");
  }
  arguments = R"("serials":["0a"])";
  EXPECT_EQ(read_nothing(permitted()).error().code, "order-payload");
}

TEST_F(OrderTest, Arguments_OfEachOrder_AreRead) {
  const auto account = jose::Jwk::from_public_key(eve.public_key());
  arguments = R"("thumbprint":")" + account->thumbprint_text() + "\"";
  EXPECT_EQ(read_account(permitted()).value(), account->thumbprint());
  arguments += R"(,"jwk":)" + jwk_of(bob) + R"(,"account":"17")";
  EXPECT_EQ(read_rekey(permitted())->to.canonical(), jwk_of(bob));
  arguments = R"("policy":")" + hex_encode(account->thumbprint()) + "\"";
  EXPECT_EQ(read_policy_digest(permitted()).value(), account->thumbprint());
  arguments = R"("kid":"k1")";
  EXPECT_EQ(read_eab_kid(permitted()).value(), "k1");
  arguments = R"("code":"ledger-rolled-back","rows_found":7,"counter_found":3)";
  EXPECT_EQ(read_accept(permitted())->counter_found, 3u);
  arguments = "";
  EXPECT_TRUE(read_nothing(permitted()));
}

TEST_F(OrderTest, Show_AnyonesOrder_SaysWhatStandsInIt) {
  const auto shown = show_order(view_of(*cosign_order(bob, by(eve))));
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->kids.size(), 2u);
  EXPECT_EQ(shown->head->order, "revoke");
}

TEST_F(OrderTest, Sign_OtherKinds_Refused) {
  EXPECT_EQ(sign_order(new_key(crypto::KeyKind::kEcP384), payload()).error().kind,
            ErrorKind::kRefused);
}

struct OperatorsTest : ::testing::Test {
  crypto::PrivateKey key = new_key();
  std::string good =
      R"({"version":1,"unit":"u","operators":[)" + one_operator("ann", key, R"("revoke")") + "]}";
  ErrorKind kind(const std::string& text) const {
    const auto read = Operators::parse(text);
    return read ? ErrorKind{} : read.error().kind;
  }
};

TEST_F(OperatorsTest, File_AsMadeAtTheCeremony_IsRead) {
  const auto read = Operators::parse(good);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->unit(), "u");
  EXPECT_EQ(read->digest(), crypto::sha256(view_of(good)));
  EXPECT_FALSE(read->needs_two("revoke", "revoke"));
}

TEST_F(OperatorsTest, File_WithAnythingElse_Refused) {
  EXPECT_EQ(kind(""), ErrorKind::kBadInput);
  EXPECT_EQ(kind(replaced(good, "1", "2")), ErrorKind::kBadInput);
  EXPECT_EQ(kind(replaced(good, "{", R"({"more":1,)")), ErrorKind::kBadInput);
  EXPECT_EQ(kind(replaced(good, "\"revoke\"", "\"rule\"")), ErrorKind::kBadInput);
  EXPECT_EQ(kind(replaced(good, R"("unit":"u",)", "")), ErrorKind::kBadInput);
  EXPECT_EQ(kind(R"({"version":1,"unit":"u","operators":[]})"), ErrorKind::kBadInput);
  const auto p384 = new_key(crypto::KeyKind::kEcP384);
  EXPECT_EQ(kind(R"({"version":1,"unit":"u","operators":[)" + one_operator("ann", p384, "") + "]}"),
            ErrorKind::kRefused);
}

TEST_F(OperatorsTest, File_NameOrKeyTwice_Refused) {
  const auto other = new_key();
  const auto file = [&](const std::string& second) {
    return R"({"version":1,"unit":"u","operators":[)" + one_operator("ann", key, "") + "," +
           second + "]}";
  };
  EXPECT_EQ(kind(file(one_operator("bob", other, ""))), ErrorKind{});
  EXPECT_EQ(kind(file(one_operator("ann", other, ""))), ErrorKind::kBadInput);
  EXPECT_EQ(kind(file(one_operator("bob", key, ""))), ErrorKind::kBadInput);
}

}  // namespace
}  // namespace keyward::operate
