// Proves JWE against RFC 7518 Appendix C and another implementation, and that every field changed
// is refused, those behind the private key with one and the same answer.
#include "firmware/rats/jwe.h"

#include <gtest/gtest.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "tests/support/rats/rats.h"

namespace keyward::rats {
namespace {

using crypto::KeyKind;
using crypto::PrivateKey;

struct Keys {
  SoftwareDecryptionKey ec{"ec-1", test::must_have(PrivateKey::generate(KeyKind::kEcP256))};
  SoftwareDecryptionKey rsa{"rsa-1", test::must_have(PrivateKey::generate(KeyKind::kRsa))};
  std::vector<DecryptionKey*> all{&ec, &rsa};
};

Keys& shared_keys() {
  static auto* const made = new Keys;
  return *made;
}

std::string code_of(const Appraised<OpenedJwe>& result) {
  return result ? "good" : result.error().code;
}

TEST(Jwe, Rfc7518AppendixC_ConcatKdf) {
  const Bytes z{158, 86, 217, 29,  129, 113, 53,  211, 114, 131, 66,  131, 191, 132, 38,  156,
                251, 49, 110, 163, 218, 128, 106, 72,  246, 218, 167, 121, 140, 254, 144, 196};
  EXPECT_EQ(
      base64url_encode(concat_kdf(z, "A128GCM", view_of("Alice"), view_of("Bob"), 128).view()),
      "VqqN6vgjbSBcIijNcacQGg");
}

// Made by python3-jwcrypto 1.1.0: an implementation of its own.
TEST(Jwe, OfAnotherImplementation_Opens) {
  const auto text = test::must_have(read_file(
      std::string(::getenv("KEYWARD_SOURCE")) + "/tests/unit/rats/vectors/jwcrypto.json", 65'536));
  const auto document = test::must_have(json::Document::parse(text_of(text)));
  const auto root = document.root();
  const auto pem = [&](const char* name) {
    return test::must_have(PrivateKey::from_pem(root.get("keys").get(name).string()));
  };
  SoftwareDecryptionKey ec("ec-1", pem("ec-1")), rsa("rsa-1", pem("rsa-1"));
  int seen = 0;
  for (const auto& [name, value] : root.get("jwe").members()) {
    const auto opened = open_jwe(value.string(), {&ec, &rsa});
    ASSERT_TRUE(opened) << name << " " << opened.error().code;
    EXPECT_EQ(text_of(opened->plaintext), root.get("plaintext").string());
    EXPECT_EQ(opened->cty, "cmw+json");
    ++seen;
  }
  EXPECT_EQ(seen, 4);
}

std::string make(Keys& keys, JweAlgorithm algorithm, ByteView plaintext, std::string kid) {
  auto& key = algorithm == JweAlgorithm::kRsaOaep256 ? keys.rsa : keys.ec;
  return test::must_have(
      make_jwe(key.public_key(), plaintext, {algorithm, std::move(kid), "cmw+json"}));
}

constexpr std::array<JweAlgorithm, 3> kAll{JweAlgorithm::kEcdhEs, JweAlgorithm::kEcdhEsA256Kw,
                                           JweAlgorithm::kRsaOaep256};

TEST(Jwe, ThereAndBack) {
  auto& keys = shared_keys();
  for (const auto algorithm : kAll) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{40'000}}) {
      const Bytes plaintext(size, 0x5a);
      const auto kid = algorithm == JweAlgorithm::kRsaOaep256 ? "rsa-1" : "ec-1";
      const auto opened = open_jwe(make(keys, algorithm, plaintext, kid), keys.all);
      ASSERT_TRUE(opened) << opened.error().code;
      EXPECT_EQ(opened->plaintext, plaintext);
      EXPECT_EQ(code_of(open_jwe(make(keys, algorithm, plaintext, ""), keys.all)), "good");
    }
  }
  EXPECT_FALSE(make_jwe(keys.ec.public_key(), {}, {JweAlgorithm::kRsaOaep256, "", ""}));
}

std::vector<std::string> split(std::string_view compact) {
  std::vector<std::string> out(1);
  for (const char c : compact) {
    if (c == '.')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}
std::string join(const std::vector<std::string>& parts) {
  std::string out = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) out += "." + parts[i];
  return out;
}

// Each part changed in turn: behind the private key one code and one detail, whatever it was.
TEST(JweMutation, EachPart_OneAnswerBehindTheKey) {
  auto& keys = shared_keys();
  Keys strangers;
  for (const auto algorithm : kAll) {
    const auto kid = algorithm == JweAlgorithm::kRsaOaep256 ? "rsa-1" : "ec-1";
    const auto good = split(make(keys, algorithm, Bytes(64, 1), kid));
    std::string detail;
    for (std::size_t i = 1; i < good.size(); ++i) {
      auto bad = good;
      if (bad[i].empty())
        bad[i] = std::string(54, 'A');
      else
        bad[i][0] = bad[i][0] == 'A' ? 'B' : 'A';
      const auto result = open_jwe(join(bad), keys.all);
      ASSERT_EQ(code_of(result), "jwe.decrypt") << i;
      if (detail.empty()) detail = result.error().detail;
      EXPECT_EQ(result.error().detail, detail);
    }
    // The header is authenticated: a member more changes nothing that is seen, and does not open.
    auto header = to_bytes(text_of(test::must_have(base64url_decode(good[0]))));
    header.insert(header.begin() + 1, {'"', 'x', '"', ':', '1', ','});
    auto bad = good;
    bad[0] = base64url_encode(header);
    EXPECT_EQ(code_of(open_jwe(join(bad), keys.all)), "jwe.decrypt");
    // No key, or a foreign one, under the right name.
    bad = good;
    bad[1].clear();
    EXPECT_EQ(code_of(open_jwe(join(bad), keys.all)),
              algorithm == JweAlgorithm::kEcdhEs ? "good" : "jwe.decrypt");
    EXPECT_EQ(code_of(open_jwe(join(good), strangers.all)), "jwe.decrypt");
  }
}

TEST(JweMutation, EachOctet_NeverOpens) {
  auto& keys = shared_keys();
  for (const auto algorithm : {JweAlgorithm::kEcdhEs, JweAlgorithm::kEcdhEsA256Kw}) {
    const auto good = make(keys, algorithm, Bytes(64, 1), "ec-1");
    for (std::size_t i = 0; i < good.size(); ++i) {
      auto bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      EXPECT_TRUE(code_of(open_jwe(bad, keys.all)).starts_with("jwe.")) << i;
    }
  }
  const auto rsa = make(keys, JweAlgorithm::kRsaOaep256, Bytes(64, 1), "rsa-1");
  for (std::size_t i = 0; i < rsa.size(); i += 5) {  // a private operation each
    auto bad = rsa;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_TRUE(code_of(open_jwe(bad, keys.all)).starts_with("jwe.")) << i;
  }
}

std::string with_header(std::string_view header) {
  return base64url_encode(view_of(header)) + "..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA";
}

std::string epk(std::string_view members) {
  return R"({"alg":"ECDH-ES","enc":"A256GCM","epk":)" + std::string(members) + "}";
}

TEST(JweRefusal, IsReachedExactly) {
  auto& keys = shared_keys();
  const auto code = [&](std::string_view header) {
    return code_of(open_jwe(with_header(header), keys.all));
  };
  EXPECT_EQ(code_of(open_jwe("a.b.c.d", keys.all)), "jwe.malformed");
  EXPECT_EQ(code_of(open_jwe("a.b.c.d.e.f", keys.all)), "jwe.malformed");
  EXPECT_EQ(code_of(open_jwe("e30..AA.AA.AA", keys.all)), "jwe.malformed");
  EXPECT_EQ(code_of(open_jwe(std::string(limits::kEvidenceBytesMax + 1, 'A'), keys.all)),
            "jwe.size");
  EXPECT_EQ(code("[]"), "jwe.malformed");
  EXPECT_EQ(code(R"({"crit":["x"],"alg":"ECDH-ES"})"), "jwe.crit");
  EXPECT_EQ(code(R"({"zip":"DEF","alg":"ECDH-ES"})"), "jwe.zip");
  for (const char* alg :
       {"RSA1_5", "dir", "RSA-OAEP", "A256KW", "ECDH-ES+A128KW", "PBES2-HS256+A128KW", "none"})
    EXPECT_EQ(code(R"({"alg":")" + std::string(alg) + R"(","enc":"A256GCM"})"), "jwe.alg") << alg;
  for (const char* enc : {"A128GCM", "A256CBC-HS512", "A128CBC-HS256", ""})
    EXPECT_EQ(code(R"({"alg":"RSA-OAEP-256","enc":")" + std::string(enc) + "\"}"), "jwe.enc")
        << enc;
  EXPECT_EQ(code(R"({"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"})"), "jwe.cty");
  EXPECT_EQ(code(R"({"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"other"})"), "jwe.kid");
  EXPECT_EQ(code(R"({"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"ec-1"})"), "jwe.kid");
  EXPECT_EQ(code(R"({"alg":"ECDH-ES","enc":"A256GCM"})"), "jwe.epk");
  EXPECT_EQ(code(epk("1")), "jwe.epk");
  // A point that is not on the curve.
  const std::string ones = base64url_encode(Bytes(32, 1));
  EXPECT_EQ(code(epk(R"({"kty":"EC","crv":"P-256","x":")" + ones + R"(","y":")" + ones + "\"}")),
            "jwe.epk");
  EXPECT_EQ(code(epk(R"({"kty":"OKP","crv":"Ed25519","x":")" + ones + "\"}")), "jwe.epk");
  SoftwareDecryptionKey second("rsa-2", test::must_have(PrivateKey::generate(KeyKind::kRsa)));
  EXPECT_EQ(code_of(open_jwe(make(keys, JweAlgorithm::kRsaOaep256, {}, ""), {&keys.rsa, &second})),
            "jwe.kid");
}

class AwayKey final : public DecryptionKey {
 public:
  std::string_view kid() const override { return "ec-1"; }
  KeyKind kind() const override { return KeyKind::kEcP256; }
  Result<SecretBytes> agree(ByteView) override { return fail(ErrorKind::kUnavailable, "away"); }
  Result<SecretBytes> unwrap_rsa(ByteView) override { return fail(ErrorKind::kRefused, "no"); }
};

TEST(Jwe, KeyAway_IsNoVerdict) {
  auto& keys = shared_keys();
  AwayKey away;
  EXPECT_EQ(code_of(open_jwe(make(keys, JweAlgorithm::kEcdhEs, {}, "ec-1"), {&away})),
            "jwe.key-away");
}

}  // namespace
}  // namespace keyward::rats
