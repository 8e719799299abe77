// Tests OCSP answers by OpenSSL's judgement: each state, each refusal, what is kept and for how long,
// and what an absent token and a flood leave of it.
#include "firmware/issue/ocsp.h"

#include "firmware/ceremony/products.h"
#include "hal/base/file.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using x509::OcspError;
constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;

class OcspTest : public GateTest {
 protected:
  OcspTest() { config_.time.jump_ms = 0; }
  void SetUp() override {
    open();
    certify_responder();
    leaf_ = certify("a.example");
    write("chain.pem", ca_->chain_pem);
    write("issuer.pem", x509::to_pem("CERTIFICATE", ca_->issuing_der));
    write("root.pem", x509::to_pem("CERTIFICATE", ca_->root_der));
    write("leaf.pem", x509::to_pem("CERTIFICATE", leaf_));
  }
  // The stage counts the certifying token's signatures; the responder's token is another one.
  void certify_responder() {
    const int before = token_.sign_calls;
    auto der =
        ceremony::certify_ocsp({token_, "issuing", ca_->issuing_der}, {"A responder", "", "", 365},
                               responder_token_.key().spki_der(), clock_.utc_ms());
    token_.sign_calls = before;
    ASSERT_TRUE(der) << der.error().what;
    responder_der_ = std::move(*der);
    ASSERT_TRUE(open_responder(responder_der_));
  }
  Status open_responder(const Bytes& der) {
    auto made = issue::OcspResponder::open(
        {"ocsp", der, 12 * kHourMs}, gate_->issuer(), responder_token_, clock_,
        [this](ByteView serial) { return gate_->status_of(serial); },
        [this] { return gate_->may_say_status(); });
    if (!made) return fail(made.error());
    responder_ = std::move(*made);
    return {};
  }
  Bytes certify(const std::string& name) {
    prove(client_, dns(name));
    const auto made = order(client_, {dns(name)});
    const auto reply = gate_->issue(client_.finalize(made, make_csr(*key_, {dns(name)})));
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? reply->chain[0] : Bytes();
  }
  void revoke(const Bytes& der, const std::string& reason) {
    ASSERT_TRUE(
        gate_->revoke({client_.jwk(), client_.sign(std::string(kBaseUrl) + "/acme/revoke-cert",
                                                   R"({"certificate":")" + base64url_encode(der) +
                                                       R"(","reason":)" + reason + "}")}));
  }
  void write(const std::string& name, const std::string& text) {
    write_file(directory_.path(name), view_of(text));
  }
  // A request as the stock client makes it.
  Bytes ask_for(const std::vector<std::string>& words, bool nonce = false) {
    std::vector<std::string> command = {"openssl", "ocsp", "-issuer",
                                        directory_.path("issuer.pem")};
    command.insert(command.end(), words.begin(), words.end());
    command.insert(command.end(),
                   {nonce ? "-nonce" : "-no_nonce", "-reqout", directory_.path("request.der")});
    const auto made = run_command(command);
    EXPECT_EQ(made.status, 0) << made.output;
    return *read_file(directory_.path("request.der"), 65'536);
  }
  Bytes ask_for_leaf(bool nonce = false) {
    return ask_for({"-cert", directory_.path("leaf.pem")}, nonce);
  }
  // What the stock client reads in the answer to its request: verified up to the root.
  std::string judged(const Bytes& response, const std::vector<std::string>& about) {
    write_file(directory_.path("response.der"), response);
    std::vector<std::string> command = {"openssl",       "ocsp",
                                        "-reqin",        directory_.path("request.der"),
                                        "-respin",       directory_.path("response.der"),
                                        "-CAfile",       directory_.path("root.pem"),
                                        "-verify_other", directory_.path("issuer.pem"),
                                        "-issuer",       directory_.path("issuer.pem"),
                                        "-no_nonce"};
    command.insert(command.end(), about.begin(), about.end());
    const auto read = run_command(command);
    return read.output;
  }
  std::string judged(const wire::OcspGetReply& reply) {
    return judged(reply.response, {"-cert", directory_.path("leaf.pem")});
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  SoftwareToken responder_token_;
  Bytes responder_der_, leaf_;
  std::unique_ptr<issue::OcspResponder> responder_;
};

TEST_F(OcspTest, Issued_IsGood) {
  const auto reply = responder_->answer({ask_for_leaf()});
  const auto read = judged(reply);
  EXPECT_TRUE(has(read, "Response verify OK")) << read;
  EXPECT_TRUE(has(read, "leaf.pem: good")) << read;
  ASSERT_TRUE(reply.next_update_ms && reply.this_update_ms);
  EXPECT_EQ(*reply.next_update_ms - *reply.this_update_ms, 12 * kHourMs);
}

TEST_F(OcspTest, AskedWithSha256_IsGood) {
  const auto reply =
      responder_->answer({ask_for({"-sha256", "-cert", directory_.path("leaf.pem")})});
  const auto read = judged(reply.response, {"-sha256", "-cert", directory_.path("leaf.pem")});
  EXPECT_TRUE(has(read, "Response verify OK") && has(read, ": good")) << read;
}

TEST_F(OcspTest, Revoked_SaysWhenAndWhy_AtOnce) {
  const Bytes request = ask_for_leaf();
  EXPECT_TRUE(has(judged(responder_->answer({request})), ": good"));  // kept by now
  revoke(leaf_, "4");
  const auto read = judged(responder_->answer({request}));
  EXPECT_TRUE(has(read, "Response verify OK") && has(read, ": revoked")) << read;
  EXPECT_TRUE(has(read, "Reason: superseded")) << read;
}

TEST_F(OcspTest, AfterARestart_RevokedStaysRevoked) {
  revoke(leaf_, "5");
  open();
  ASSERT_TRUE(open_responder(responder_der_));
  const auto read = judged(responder_->answer({ask_for_leaf()}));
  EXPECT_TRUE(has(read, ": revoked") && has(read, "Reason: cessationOfOperation")) << read;
}

TEST_F(OcspTest, NeverIssued_IsUnknownAndNotKept) {
  const auto reply = responder_->answer({ask_for({"-serial", "0x4242"})});
  const auto read = judged(reply.response, {"-serial", "0x4242"});
  EXPECT_TRUE(has(read, "Response verify OK") && has(read, "unknown")) << read;
  EXPECT_FALSE(reply.next_update_ms);
}

// The index knows 64 bits of a serial: one that shares them was still never issued.
TEST_F(OcspTest, SerialThatSharesItsKeyWithAnIssuedOne_IsUnknown) {
  const auto leaf = x509::parse_certificate(leaf_);
  ASSERT_TRUE(leaf);
  Bytes other = leaf->serial;
  for (std::size_t i = 0; i < other.size(); ++i) {
    Bytes changed = leaf->serial;
    changed[i] ^= 1;
    if (issue::Serials::key_of(changed) == issue::Serials::key_of(leaf->serial)) other = changed;
  }
  ASSERT_NE(other, leaf->serial);
  const auto reply = responder_->answer({ask_for({"-serial", "0x" + hex_encode(other)})});
  EXPECT_TRUE(has(judged(reply.response, {"-serial", "0x" + hex_encode(other)}), "unknown"));
}

TEST_F(OcspTest, Nonce_IsRepeatedAndTheAnswerNotKept) {
  const auto reply = responder_->answer({ask_for_leaf(true)});
  const auto read = judged(reply);
  EXPECT_TRUE(has(read, "Response verify OK") && has(read, ": good")) << read;
  EXPECT_FALSE(has(read, "WARNING: no nonce")) << read;
  EXPECT_FALSE(reply.next_update_ms);
}

TEST_F(OcspTest, SeveralQuestions_AreAnsweredTogether) {
  revoke(leaf_, "0");
  write("other.pem", x509::to_pem("CERTIFICATE", certify("b.example")));
  const std::vector<std::string> about = {"-cert", directory_.path("leaf.pem"), "-cert",
                                          directory_.path("other.pem")};
  const auto read = judged(responder_->answer({ask_for(about)}).response, about);
  EXPECT_TRUE(has(read, "leaf.pem: revoked") && has(read, "other.pem: good")) << read;
}

// ---- refusals

TEST_F(OcspTest, NoRequest_IsMalformed) {
  EXPECT_EQ(responder_->answer({to_bytes(std::string("no DER"))}).response,
            x509::ocsp_error(OcspError::kMalformedRequest));
  EXPECT_EQ(responder_->signatures_made(), 0u);
}

TEST_F(OcspTest, AnotherIssuersCertificate_IsUnauthorizedAndUnsigned) {
  SoftwareToken foreign;
  const auto other_ca = make_test_ca(foreign.key().spki_der());
  write("issuer.pem", x509::to_pem("CERTIFICATE", other_ca.issuing_der));
  EXPECT_EQ(responder_->answer({ask_for({"-serial", "0x42"})}).response,
            x509::ocsp_error(OcspError::kUnauthorized));
  EXPECT_EQ(responder_->signatures_made(), 0u);
}

TEST_F(OcspTest, TokenAway_KeptAnswerServesUntilItsEndAndOthersTryLater) {
  const Bytes request = ask_for_leaf();
  const auto kept = responder_->answer({request});
  write("other.pem", x509::to_pem("CERTIFICATE", certify("b.example")));
  const Bytes other = ask_for({"-cert", directory_.path("other.pem")});
  responder_token_.instead = [] {
    return std::optional<Result<Bytes>>(fail(ErrorKind::kUnavailable, "away"));
  };
  EXPECT_EQ(responder_->answer({request}).response, kept.response);
  EXPECT_EQ(responder_->answer({other}).response, x509::ocsp_error(OcspError::kTryLater));
  clock_.advance(11 * kHourMs);  // old, but it holds
  EXPECT_EQ(responder_->answer({request}).response, kept.response);
  clock_.advance(2 * kHourMs);
  EXPECT_EQ(responder_->answer({request}).response, x509::ocsp_error(OcspError::kTryLater));
}

TEST_F(OcspTest, SecondHalfOfItsTime_IsReplaced) {
  const Bytes request = ask_for_leaf();
  const auto first = responder_->answer({request});
  EXPECT_EQ(responder_->answer({request}).response, first.response);
  EXPECT_EQ(responder_->signatures_made(), 1u);
  clock_.advance(7 * kHourMs);
  const auto second = responder_->answer({request});
  EXPECT_EQ(responder_->signatures_made(), 2u);
  EXPECT_GT(*second.this_update_ms, *first.this_update_ms);
}

TEST_F(OcspTest, FloodOfNonces_CostsSoManySignaturesASecondAndTheKeptAnswerServes) {
  const auto kept = responder_->answer({ask_for_leaf()});
  const Bytes request = ask_for_leaf(true);
  std::uint64_t made = 0;
  bool got_kept = false;
  const auto until = Deadline::after_ms(900);
  for (int i = 0; i < 2'000 && !until.passed(); ++i) {
    const auto reply = responder_->answer({request});
    got_kept = got_kept || reply.response == kept.response;
    made = responder_->signatures_made();
  }
  EXPECT_TRUE(got_kept);
  EXPECT_LE(made, 2 * limits::kOcspSignaturesPerSecondMax + 1);  // two seconds of the clock at most
}

TEST_F(OcspTest, ClockBehindTheLedger_TryLater) {
  const Bytes request = ask_for_leaf();
  clock_.advance(-2 * kDayMs);
  EXPECT_EQ(responder_->answer({request}).response, x509::ocsp_error(OcspError::kTryLater));
  clock_.advance(2 * kDayMs);
}

TEST_F(OcspTest, AnotherKeyInTheToken_SignsNothing) {
  SoftwareToken other;
  auto made = issue::OcspResponder::open(
      {"ocsp", responder_der_, kHourMs}, gate_->issuer(), other, clock_,
      [this](ByteView serial) { return gate_->status_of(serial); },
      [this] { return gate_->may_say_status(); });
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->answer({ask_for_leaf()}).response, x509::ocsp_error(OcspError::kTryLater));
  EXPECT_EQ(other.sign_calls, 0);
}

TEST_F(OcspTest, Open_CertificateThatIsNoDelegates_IsRefused) {
  EXPECT_FALSE(open_responder(leaf_));             // not for OCSP
  EXPECT_FALSE(open_responder(ca_->issuing_der));  // the CA's own
  SoftwareToken foreign;
  const auto other_ca = make_test_ca(foreign.key().spki_der());
  const auto theirs =
      ceremony::certify_ocsp({foreign, "issuing", other_ca.issuing_der}, {"Another", "", "", 365},
                             responder_token_.key().spki_der(), clock_.utc_ms());
  ASSERT_TRUE(theirs);
  EXPECT_FALSE(open_responder(*theirs));  // another CA's
  clock_.advance(400 * kDayMs);
  EXPECT_FALSE(open_responder(responder_der_));  // ended
  clock_.advance(-400 * kDayMs);
}

}  // namespace
}  // namespace keyward::test
