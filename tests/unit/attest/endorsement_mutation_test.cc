// Proves that no field of an EK certificate, of the public areas and of the attestation CA's payloads
// may be another: each is changed alone, and the refusal is that field's.
#include <filesystem>
#include <functional>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/attest/attestation_ca.h"
#include "firmware/json/json.h"
#include "firmware/x509/der.h"
#include "tests/support/endorsement/endorsement.h"

namespace keyward::attest {
namespace {

using test::EkSpec;

constexpr std::int64_t kNowMs = 1'790'000'000'000;

const test::EkMaker& maker() {
  static const auto* const made = new test::EkMaker(kNowMs);
  return *made;
}
std::string ek_code(ByteView der) {
  EkPolicy policy;
  policy.roots = {maker().root()};
  const auto result = appraise_ek(der, {maker().intermediate().der}, policy, kNowMs);
  return result ? "" : result.error().code;
}
template <class Change>
std::string ek_changed(Change change) {
  EkSpec spec;
  change(spec);
  return ek_code(maker().certificate(spec));
}

Bytes attribute(std::string_view oid, std::string_view value) {
  return x509::der_sequence(
      {x509::der_oid(oid), x509::tlv(x509::tag::kUtf8String, view_of(value))});
}
Bytes san_of(const std::vector<Bytes>& attributes) {
  Bytes set;
  for (const auto& one : attributes) append(set, one);
  const auto name = x509::tlv(x509::tag::kSequence, x509::tlv(x509::tag::kSet, set));
  return x509::der_sequence({x509::tlv(x509::tag::context_constructed(4), name)});
}

TEST(EkMutation, EachFieldOfTheCertificate) {
  const Bytes manufacturer = attribute("2.23.133.2.1", "id:49465800"),
              model = attribute("2.23.133.2.2", "SLB9670"),
              version = attribute("2.23.133.2.3", "id:0007");
  const auto san = [](const std::vector<Bytes>& attributes) {
    return ek_changed([&](auto& s) { s.raw_san = san_of(attributes); });
  };
  EXPECT_EQ(ek_changed([](auto&) {}), "");
  EXPECT_EQ(san({manufacturer, model, version}), "");
  EXPECT_EQ(san({model, version}), "ek.san");
  EXPECT_EQ(san({manufacturer, version}), "ek.san");
  EXPECT_EQ(san({manufacturer, model}), "ek.san");
  EXPECT_EQ(san({manufacturer, manufacturer, model, version}), "ek.san");
  EXPECT_EQ(san({manufacturer, model, model, version}), "ek.san");
  EXPECT_EQ(san({manufacturer, model, version, version}), "ek.san");
  EXPECT_EQ(san({manufacturer, attribute("2.23.133.2.2", "\xff"), version}), "ek.san");
  EXPECT_EQ(san({attribute("2.23.133.2.1", "id:4946580"), model, version}), "ek.san");
  EXPECT_EQ(san({x509::der_boolean(true)}), "ek.san");
  EXPECT_EQ(ek_changed([](auto& s) { s.raw_san = to_bytes("no DER"); }), "ek.san");
  EXPECT_EQ(ek_changed([](auto& s) { s.basic_constraints = false; }), "ek.ca");
  EXPECT_EQ(ek_changed([](auto& s) { s.usages.clear(); }), "ek.eku");
}

TEST(EkMutation, EachOctetOfTheCertificate_OnceSigned) {
  const auto good = maker().certificate();
  for (std::size_t at = 0; at < good.size(); ++at) {
    auto changed = good;
    changed[at] ^= 1;
    EXPECT_TRUE(ek_code(changed).starts_with("ek.")) << at;
  }
}

using Edit = std::function<void(Bytes&)>;
Edit flip(std::size_t at, std::uint8_t mask = 1) {
  return [=](Bytes& octets) { octets.at(at) ^= mask; };
}
Edit set16(std::size_t at, std::uint16_t value) {
  return [=](Bytes& octets) {
    octets.at(at) = static_cast<std::uint8_t>(value >> 8);
    octets.at(at + 1) = static_cast<std::uint8_t>(value & 0xff);
  };
}
struct Field {
  const char* name;
  Edit edit;
  const char* code;  // "": not judged
};

std::string area_code(const crypto::PublicKey& key, ByteView area) {
  const auto result = check_ek_public(key, area);
  return result ? "" : result.error().code;
}

// TPMT_PUBLIC of an ECC endorsement key: type 0, nameAlg 2, objectAttributes 4, authPolicy 8, symmetric
// 10 (algorithm, bits, mode), scheme 16, curveID 18, kdf 20, x 22, y 56.
TEST(EkMutation, EachFieldOfThePublicArea) {
  const auto& key = maker().ek().public_key();
  const auto good = test::area_of(test::good_ek_area(), key);
  const Field fields[] = {
      {"none", [](Bytes&) {}, ""},
      {"type", set16(0, 0x0099), "ek.public"},
      {"nameAlg", set16(2, 0x0012), "ek.public-parameters"},
      {"fixedTPM", flip(7, 0x02), "ek.public-attributes"},
      {"fixedParent", flip(7, 0x10), "ek.public-attributes"},
      {"sensitiveDataOrigin", flip(7, 0x20), "ek.public-attributes"},
      {"restricted", flip(5, 0x01), "ek.public-attributes"},
      {"decrypt", flip(5, 0x02), "ek.public-attributes"},
      {"sign", flip(5, 0x04), "ek.public-attributes"},
      {"authPolicy, beyond the end", set16(8, 0xffff), "ek.public"},
      {"cipher", set16(10, 0x0099), "ek.public"},
      {"cipher's bits", set16(12, 192), "ek.public-parameters"},
      {"cipher's mode", set16(14, 0x0042), "ek.public-parameters"},
      {"curveID", set16(18, 0x0004), "ek.public-key"},
      {"x", flip(24), "ek.public-key"},
      {"y", flip(89), "ek.public-key"},
      {"octets behind it", [](Bytes& o) { o.push_back(0); }, "ek.public"},
      {"cut", [](Bytes& o) { o.pop_back(); }, "ek.public"},
  };
  ASSERT_EQ(good.size(), 90u);
  for (const auto& field : fields) {
    auto changed = good;
    field.edit(changed);
    EXPECT_EQ(area_code(key, changed), field.code) << field.name;
  }
  auto none = test::good_ek_area();
  none.aes_bits = 0;
  EXPECT_EQ(area_code(key, test::area_of(none, key)), "ek.public-parameters");
  const auto unusual = *crypto::PrivateKey::generate(crypto::KeyKind::kEd25519);
  EXPECT_EQ(area_code(unusual.public_key(), {}), "ek.public-parameters");
}

// TPMT_PUBLIC of an ECC attestation key: ... symmetric 10, scheme 12 (and its hash 14), curveID 16,
// kdf 18, x 20, y 54.
TEST(AkMutation, EachFieldOfThePublicArea) {
  const auto good = test::area_of(test::good_ak_area(), maker().ak().public_key());
  const Field fields[] = {
      {"none", [](Bytes&) {}, ""},
      {"type", set16(0, 0x0099), "ak.public"},
      {"nameAlg", set16(2, 0x0012), "ak.name-alg"},
      {"fixedTPM", flip(7, 0x02), "ak.fixed-tpm"},
      {"fixedParent", flip(7, 0x10), "ak.fixed-parent"},
      {"sensitiveDataOrigin", flip(7, 0x20), "ak.origin"},
      {"userWithAuth", flip(7, 0x40), ""},
      {"restricted", flip(5, 0x01), "ak.restricted"},
      {"decrypt", flip(5, 0x02), "ak.decrypt"},
      {"sign", flip(5, 0x04), "ak.sign"},
      {"authPolicy, beyond the end", set16(8, 0xffff), "ak.public"},
      {"symmetric", set16(10, 0x0099), "ak.public"},
      {"scheme", set16(12, 0x001A), "ak.public"},  // ECDAA has one field more
      {"curveID", set16(16, 0x0005), "ak.type"},
      {"kdf", set16(18, 0x0099), "ak.public"},
      {"x", flip(22), "ak.type"},
      {"y", flip(87), "ak.type"},
      {"octets behind it", [](Bytes& o) { o.push_back(0); }, "ak.public"},
      {"cut", [](Bytes& o) { o.pop_back(); }, "ak.public"},
  };
  ASSERT_EQ(good.size(), 88u);
  for (const auto& field : fields) {
    auto changed = good;
    field.edit(changed);
    const auto result = check_ak_public(changed);
    EXPECT_EQ(result ? "" : result.error().code, field.code) << field.name;
  }
}

class AttestationCaMutation : public ::testing::Test {
 protected:
  AttestationCaMutation() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-ca-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    ca_.emplace(*AttestationCa::open(directory_ + "/ca.key"));
    policy_.ek.roots = {maker().root()};
  }
  ~AttestationCaMutation() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  // A member's JSON in place of the good one; "": left out.
  std::string begin_code(std::string_view member, std::string_view json) {
    const auto octets = [](ByteView value) { return "\"" + base64url_encode(value) + "\""; };
    std::vector<std::pair<std::string, std::string>> members = {
        {"ekCertificate", octets(maker().certificate())},
        {"ekChain", "[" + octets(maker().intermediate().der) + "]"},
        {"ekPublic", octets(test::area_of(test::good_ek_area(), maker().ek().public_key()))},
        {"akPublic", octets(test::area_of(test::good_ak_area(), maker().ak().public_key()))}};
    std::string text;
    for (const auto& [name, good] : members) {
      const std::string value = name == member ? std::string(json) : good;
      if (!value.empty()) text += (text.empty() ? "\"" : ",\"") + name + "\":" + value;
    }
    const auto begun = ca_->begin(Digest256{}, view_of("{" + text + "}"), policy_, kNowMs);
    if (begun) session_ = begun->session;
    return begun ? "" : begun.error().code;
  }
  std::string activate_code(const std::string& session) {
    const auto text = R"({"session":")" + session + R"(","secret":"AAAA"})";
    const auto grant = ca_->activate(Digest256{}, view_of(text), policy_, kNowMs);
    return grant ? "" : grant.error().code;
  }

  std::string directory_, session_;
  std::optional<AttestationCa> ca_;
  AttestationCaPolicy policy_;
};

TEST_F(AttestationCaMutation, EachMemberOfBegin) {
  EXPECT_EQ(begin_code("", ""), "");
  for (const char* name : {"ekCertificate", "ekPublic", "akPublic"}) {
    for (const char* wrong : {"1", "null", "[]", R"("")", R"("AA==")", R"("+/")"})
      EXPECT_EQ(begin_code(name, wrong), "payload.malformed") << name << " " << wrong;
  }
  EXPECT_EQ(begin_code("ekCertificate", ""), "payload.malformed");
  EXPECT_EQ(begin_code("akPublic", ""), "payload.malformed");
  EXPECT_EQ(begin_code("ekPublic", ""), "");  // the usual template
  EXPECT_EQ(begin_code("ekChain", ""), "ek.unknown-ca");
  for (const char* wrong : {"1", "null", R"("AA")", "[1]", R"([""])", R"(["AA=="])"})
    EXPECT_EQ(begin_code("ekChain", wrong), "payload.malformed") << wrong;
  EXPECT_EQ(begin_code("ekCertificate", R"("AA")"), "ek.certificate");
  EXPECT_EQ(begin_code("ekChain", R"(["AA"])"), "ek.chain");
  EXPECT_EQ(begin_code("ekPublic", R"("AA")"), "ek.public");
  EXPECT_EQ(begin_code("akPublic", R"("AA")"), "ak.public");
}

TEST_F(AttestationCaMutation, EachOctetOfTheSession) {
  ASSERT_EQ(begin_code("", ""), "");
  ASSERT_EQ(activate_code(session_), "ak.credential");  // all but the secret holds
  auto octets = *base64url_decode(session_);
  for (std::size_t at = 0; at < octets.size(); ++at) {
    octets[at] ^= 1;
    EXPECT_EQ(activate_code(base64url_encode(octets)), "session.forged") << at;
    octets[at] ^= 1;
  }
}

}  // namespace
}  // namespace keyward::attest
