// Tests what the gate makes of device identifiers: hardware modules, several in one order (D-D12),
// and certificates that do not say which device they are of (D-D10).
#include <set>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/pseudonym.h"
#include "firmware/x509/der.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using issue::DeviceNames;
using wire::IdentifierType;

// 2.25 and a UUID (X.667): one arc of 128 bits.
constexpr const char* kBigType = "2.25.329800735698586629295641978511506172918";

wire::Identifier module(const std::string& value) {
  return {IdentifierType::kHardwareModule, value};
}

class DeviceGateTest : public GateTest {
 protected:
  DeviceGateTest() {
    for (const auto& [name, names] : std::initializer_list<std::pair<const char*, DeviceNames>>{
             {"device", DeviceNames::kRequire},
             {"asked", DeviceNames::kInclude},
             {"private", DeviceNames::kOmit}}) {
      auto profile = issue::make_profile(name, issue::ProfileKind::kDevice, 365);
      profile.device_names = names;
      profile.preference = config_.profiles.empty() ? 50 : 100;
      config_.profiles.push_back(std::move(profile));
    }
  }
  wire::TicketMintReply order_of(const std::vector<wire::Identifier>& identifiers,
                                 const std::string& profile) {
    auto reply =
        gate_->mint_ticket(client_.new_order(TestClient::order_payload(identifiers, profile)));
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? *reply : wire::TicketMintReply{};
  }
  // The leaf of an order whose identifiers were all attested; the CSR holds `held`.
  std::optional<x509::Certificate> leaf(const std::vector<wire::Identifier>& identifiers,
                                        const std::string& profile, const Bytes& csr) {
    const auto made = order_of(identifiers, profile);
    for (const auto& id : identifiers) attest(client_, id, made.ticket, key_->public_key());
    const auto reply = gate_->issue(client_.finalize(made, csr));
    EXPECT_TRUE(reply) << reply.error().code << " " << reply.error().detail;
    if (!reply) return std::nullopt;
    return *x509::parse_certificate(reply->chain[0]);
  }
  Bytes csr_with(const std::vector<wire::Identifier>& held) const {
    return held.empty() ? make_csr(*key_, CsrSpec{}) : make_csr(*key_, held);
  }
  static Bytes san_of(const x509::Certificate& certificate) {
    const auto* extension = certificate.extension("2.5.29.17");
    return extension == nullptr ? Bytes{} : extension->value;
  }
  static Bytes san(const std::vector<wire::Identifier>& identifiers,
                   const std::vector<std::string>& uris = {}) {
    const auto whole = x509::ext_subject_alt_name(identifiers, false, uris);
    x509::DerReader outer(*whole);
    auto in = outer.sequence();
    (void)in->oid();
    return to_bytes(*in->element(x509::tag::kOctetString));
  }
  static bool holds(const x509::Certificate& certificate, std::string_view text) {
    return text_of(certificate.tbs_der).find(text) != std::string_view::npos;
  }
  // Its SAN is one URI and its subject the same name.
  static std::string pseudonym_in(const x509::Certificate& certificate) {
    const Bytes value = san_of(certificate);
    x509::DerReader outer(value);
    auto names = outer.sequence();
    const auto uri = names->element(x509::tag::context(6));
    if (!uri || !names->at_end() || !text_of(*uri).starts_with("urn:uuid:")) return "";
    const std::string name(text_of(*uri).substr(9));
    const bool same = certificate.subject_der == x509::name_der({{"2.5.4.3", name}});
    return same ? name : "";
  }
};

// ---- hardware-module

TEST_F(DeviceGateTest, HardwareModule_Attested_StandsInTheCertificate) {
  open();
  const auto id = module("HSM-7/" + std::string(kBigType));
  for (const auto& held : {std::vector<wire::Identifier>{}, {id}}) {
    const auto certificate = leaf({id}, "", csr_with(held));
    ASSERT_TRUE(certificate);
    EXPECT_EQ(san_of(*certificate), san({id}));
    EXPECT_EQ(certificate->subject_der, x509::name_der({{"2.5.4.3", "HSM-7"}}));
  }
}

TEST_F(DeviceGateTest, HardwareModule_AttestedAsAnother_GrantMissing) {
  open();
  const auto made = order(client_, {module("HSM-7/" + std::string(kBigType))});
  for (const auto& other : {module("HSM-7/2.25.329800735698586629295641978511506172919"),
                            module("hsm-7/1.2.3"), device("HSM-7/" + std::string(kBigType))})
    attest(client_, other, made.ticket, key_->public_key());
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr_with({})))), "grant-missing");
}

TEST_F(DeviceGateTest, HardwareModule_WithoutType_IdentifierMalformed) {
  open();
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({module("HSM-7")}))), "identifier-malformed");
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({module("HSM-7/3.1")}))),
            "identifier-malformed");
}

TEST_F(DeviceGateTest, HardwareModule_CsrWithAnother_CsrNames) {
  open();
  const auto made = order(client_, {module("HSM-7/1.2.3")});
  attest(client_, module("HSM-7/1.2.3"), made.ticket, key_->public_key());
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr_with({module("HSM-8/1.2.3")})))),
            "csr-names");
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr_with({device("HSM-7/1.2.3")})))),
            "csr-names");
}

// ---- several in one order (D-D12)

TEST_F(DeviceGateTest, Several_OfOneKey_AllStandInTheCertificate) {
  open();
  const std::vector<wire::Identifier> ids = {device("SN-1"), device("SN-1/1.2.3"),
                                             module("HSM-7/1.2.3")};
  const auto certificate = leaf(ids, "", csr_with({}));
  ASSERT_TRUE(certificate);
  EXPECT_EQ(san_of(*certificate), san(ids));
}

TEST_F(DeviceGateTest, Several_OneOfAnotherKey_AttestedKeyMismatchWhicheverItIs) {
  open();
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const std::vector<wire::Identifier> ids = {device("SN-1"), module("HSM-7/1.2.3")};
  for (std::size_t odd = 0; odd < ids.size(); ++odd) {
    const auto made = order(client_, ids);
    for (std::size_t i = 0; i < ids.size(); ++i)
      attest(client_, ids[i], made.ticket, i == odd ? other->public_key() : key_->public_key());
    EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr_with({})))), "attested-key-mismatch");
    // Nor with the other key: all of them must be of one.
    EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*other, CsrSpec{})))),
              "attested-key-mismatch");
  }
}

TEST_F(DeviceGateTest, Several_OneNotAttested_GrantMissing) {
  open();
  const std::vector<wire::Identifier> ids = {device("SN-1"), module("HSM-7/1.2.3")};
  for (const auto& proved : ids) {
    const auto made = order(client_, ids);
    attest(client_, proved, made.ticket, key_->public_key());
    EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr_with({})))), "grant-missing");
  }
}

// ---- privacy (D-D10)

TEST_F(DeviceGateTest, Require_TheDefault_HoldsThemWhateverTheCsrHolds) {
  open();
  for (const auto& held : {std::vector<wire::Identifier>{}, {device("SN-0001")}}) {
    const auto certificate = leaf({device("SN-0001")}, "", csr_with(held));
    ASSERT_TRUE(certificate);
    EXPECT_EQ(san_of(*certificate), san({device("SN-0001")}));
  }
}

TEST_F(DeviceGateTest, Omit_HoldsAPseudonymWhateverTheCsrHolds) {
  open();
  const auto id = device("SN-0001/1.3.6.1.4.1.99999.1");
  CsrSpec by_common_name;
  by_common_name.subject = {{"2.5.4.3", "SN-0001"}};
  for (const auto& csr : {csr_with({}), csr_with({id}), make_csr(*key_, by_common_name)}) {
    const auto certificate = leaf({id}, "private", csr);
    ASSERT_TRUE(certificate);
    EXPECT_NE(pseudonym_in(*certificate), "");
    EXPECT_FALSE(holds(*certificate, "SN-0001"));
    EXPECT_FALSE(certificate->subject_is_empty);
  }
}

TEST_F(DeviceGateTest, Omit_OfAnotherDeviceInTheCsr_CsrNames) {
  open();
  const auto made = order_of({device("SN-1")}, "private");
  attest(client_, device("SN-1"), made.ticket, key_->public_key());
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, csr_with({device("SN-2")})))), "csr-names");
  // Another's pseudonym is no name of the order either.
  CsrSpec spec;
  spec.subject = {{"2.5.4.3", "5ac5d74e-4fc8-8a31-9ad5-000000000000"}};
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, spec)))), "csr-names");
}

TEST_F(DeviceGateTest, Omit_TheOwnPseudonymAsCommonName_IsTheCertificates) {
  open();
  const auto first = leaf({device("SN-1")}, "private", csr_with({}));
  ASSERT_TRUE(first);
  CsrSpec spec;
  spec.subject = {{"2.5.4.3", pseudonym_in(*first)}};
  const auto second = leaf({device("SN-1")}, "private", make_csr(*key_, spec));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->subject_der, first->subject_der);
}

TEST_F(DeviceGateTest, Include_HoldsWhatTheCsrHolds) {
  open();
  const auto one = device("SN-0001"), two = module("HSM-7/1.2.3");
  auto certificate = leaf({one, two}, "asked", csr_with({two}));
  ASSERT_TRUE(certificate);
  EXPECT_EQ(san_of(*certificate), san({two}));
  EXPECT_EQ(certificate->subject_der, x509::name_der({{"2.5.4.3", "HSM-7"}}));
  EXPECT_FALSE(holds(*certificate, "SN-0001"));
  certificate = leaf({one, two}, "asked", csr_with({one, two}));
  ASSERT_TRUE(certificate);
  EXPECT_EQ(san_of(*certificate), san({one, two}));
  CsrSpec by_common_name;
  by_common_name.subject = {{"2.5.4.3", "SN-0001"}};
  certificate = leaf({one, two}, "asked", make_csr(*key_, by_common_name));
  ASSERT_TRUE(certificate);
  EXPECT_EQ(san_of(*certificate), san({one}));
  certificate = leaf({one, two}, "asked", csr_with({}));
  ASSERT_TRUE(certificate);
  EXPECT_NE(pseudonym_in(*certificate), "");
  EXPECT_FALSE(holds(*certificate, "SN-0001") || holds(*certificate, "HSM-7"));
}

TEST_F(DeviceGateTest, Pseudonym_SameForAccountAndDeviceAlone) {
  open();
  const auto name = [&](const wire::Identifier& id) {
    const auto certificate = leaf({id}, "private", csr_with({}));
    return certificate ? pseudonym_in(*certificate) : std::string();
  };
  const auto first = name(device("SN-1"));
  ASSERT_EQ(first.size(), 36u);
  EXPECT_EQ(first[14], '8');  // RFC 9562 §5.8
  std::set<std::string> others = {name(device("SN-2")), name(device("SN-1/1.2.3")),
                                  name(module("SN-1/1.2.3"))};
  EXPECT_EQ(others.size(), 3u);
  EXPECT_FALSE(others.contains(first));
  open();  // and after a restart
  EXPECT_EQ(name(device("SN-1")), first);
  const TestClient original = client_;
  client_ = TestClient();
  EXPECT_NE(name(device("SN-1")), first);
  client_ = original;
  EXPECT_EQ(name(device("SN-1")), first);
}

TEST_F(DeviceGateTest, Pseudonym_NeedsTheSignersKey) {
  const wire::Identifier id = device("SN-1");
  const issue::TicketKey one(SecretBytes(Bytes(32, 1))), other(SecretBytes(Bytes(32, 2)));
  EXPECT_EQ(issue::pseudonym_of(one, Digest256{1}, id), issue::pseudonym_of(one, Digest256{1}, id));
  EXPECT_NE(issue::pseudonym_of(one, Digest256{1}, id),
            issue::pseudonym_of(other, Digest256{1}, id));
}

TEST_F(DeviceGateTest, Omit_TermsOfAnotherProfile_TicketForged) {
  open();
  auto made = order_of({device("SN-1")}, "private");
  attest(client_, device("SN-1"), made.ticket, key_->public_key());
  auto terms = *wire::decode_body<wire::OrderTerms>(made.terms);
  terms.profile = "device";
  auto forged = made;
  forged.terms = wire::encode_body(terms);
  EXPECT_EQ(code(gate_->issue(client_.finalize(forged, csr_with({device("SN-1")})))),
            "ticket-forged");
}

TEST_F(DeviceGateTest, Omit_RevocationByProofsOfAnother_IsNotVacuous) {
  open();
  const auto certificate = leaf({device("SN-1")}, "private", csr_with({}));
  ASSERT_TRUE(certificate);
  const TestClient stranger;
  prove(stranger, dns("a.example"));
  const auto payload = R"({"certificate":")" + base64url_encode(certificate->der) + R"("})";
  const auto reply = gate_->revoke(
      {stranger.jwk(), stranger.sign(std::string(kBaseUrl) + "/acme/revoke-cert", payload)});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, "revocation-unauthorized");
}

}  // namespace
}  // namespace keyward::test
