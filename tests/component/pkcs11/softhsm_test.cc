// The signing token over SoftHSMv2 itself: making a token, labels, keys that are not as they must
// be.
#include "tests/support/softhsm/softhsm.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <p11-kit/pkcs11.h>
#include <stdlib.h>

#include "tests/support/command/command.h"

#include "helpers.h"

namespace keyward::test {
namespace {

using hal::KeyAlgorithm;
using hal::SignPriority;
using hal::TokenState;

std::unique_ptr<hal::SigningToken> open_unlocked(const SoftHsm& hsm) {
  auto token = hal::open_pkcs11_token(hsm.config());
  EXPECT_TRUE(token);
  EXPECT_TRUE((*token)->unlock(hsm.pin())) << (*token)->status().detail;
  return std::move(*token);
}

// A key pair with the product's label, made as another tool would (and worse).
void import_pair(const SoftHsm& hsm, const std::string& label, const std::string& id) {
  const auto pem = hsm.directory() + "/key" + id + ".pem";
  ASSERT_EQ(run_command({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                         "ec_paramgen_curve:P-256", "-out", pem})
                .status,
            0);
  const auto done = run_command({"env", "SOFTHSM2_CONF=" + hsm.conf_path(), "softhsm2-util",
                                 "--import", pem, "--token", hsm.label(), "--label", label, "--id",
                                 id, "--pin", std::string(SoftHsm::kPin)});
  ASSERT_EQ(done.status, 0) << done.output;
}

TEST(InitializeToken, BlankSlot_IsMadeAndUsable) {
  const SoftHsm hsm(SoftHsm::Kind::kBlank);
  ASSERT_TRUE(hal::initialize_token(hsm.config(), hsm.so_pin(), hsm.pin()));
  auto token = open_unlocked(hsm);
  EXPECT_TRUE(token->generate_key("issuing", KeyAlgorithm::kEcdsaP256));
}

TEST(InitializeToken, LabelExists_IsRefused) {
  const SoftHsm hsm;
  const auto again = hal::initialize_token(hsm.config(), hsm.so_pin(), hsm.pin());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kRefused);
}

TEST(InitializeToken, ModuleAbsent_IsUnavailable) {
  hal::Pkcs11Config config;
  config.module_path = "/nonexistent/module.so";
  config.token_label = "x";
  const SecretBytes pin(view_of("1234"));
  EXPECT_EQ(hal::initialize_token(config, pin, pin).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(hal::initialize_token(config, SecretBytes(), pin).error().kind, ErrorKind::kBadInput);
}

// ---- key agreement

// The other side's half, by OpenSSL.
struct Ephemeral {
  EVP_PKEY* key = ::EVP_EC_gen("P-256");
  ~Ephemeral() { ::EVP_PKEY_free(key); }
  Bytes point() const {
    Bytes out(65);
    std::size_t size = 0;
    (void)::EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", out.data(), out.size(), &size);
    return out;
  }
  Bytes secret_with(const Bytes& spki_der) const {
    const unsigned char* at = spki_der.data();
    EVP_PKEY* peer = ::d2i_PUBKEY(nullptr, &at, static_cast<long>(spki_der.size()));
    EVP_PKEY_CTX* context = ::EVP_PKEY_CTX_new(key, nullptr);
    Bytes out(32);
    std::size_t size = out.size();
    const bool good = ::EVP_PKEY_derive_init(context) == 1 &&
                      ::EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                      ::EVP_PKEY_derive(context, out.data(), &size) == 1;
    ::EVP_PKEY_CTX_free(context);
    ::EVP_PKEY_free(peer);
    return good ? out : Bytes{};
  }
};

TEST(Agree, SameSecretAsTheOtherSide_AlsoAfterReopening) {
  const SoftHsm hsm;
  auto token = open_unlocked(hsm);
  const auto made = token->generate_agreement_key("evidence");
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_TRUE(made->sensitive && made->never_extractable && made->local && !made->extractable);
  const Ephemeral other;
  const auto expected = other.secret_with(made->spki_der);
  ASSERT_EQ(expected.size(), 32u);
  const auto secret = token->agree("evidence", other.point(), in_ms(5'000));
  ASSERT_TRUE(secret) << secret.error().what;
  EXPECT_EQ(to_bytes(secret->view()), expected);
  token.reset();
  token = open_unlocked(hsm);
  const auto again = token->agree("evidence", other.point(), in_ms(5'000));
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(to_bytes(again->view()), expected);
}

TEST(Agree, KeyOfOneUse_NotUsableForTheOther) {
  const SoftHsm hsm;
  auto token = open_unlocked(hsm);
  ASSERT_TRUE(token->generate_key("issuing", KeyAlgorithm::kEcdsaP256));
  ASSERT_TRUE(token->generate_agreement_key("evidence"));
  EXPECT_EQ(token->generate_agreement_key("evidence").error().kind, ErrorKind::kRefused);
  const Ephemeral other;
  EXPECT_FALSE(token->agree("issuing", other.point(), in_ms(5'000)));
  EXPECT_FALSE(token->sign("evidence", view_of("message"), in_ms(5'000), SignPriority::kIssuance));
  // And the token stays well.
  EXPECT_TRUE(token->sign("issuing", view_of("message"), in_ms(5'000), SignPriority::kIssuance));
  EXPECT_TRUE(token->agree("evidence", other.point(), in_ms(5'000)));
  EXPECT_EQ(token->status().state, TokenState::kReady);
}

TEST(Agree, PointOffTheCurveOrOfAnotherForm_BadInput) {
  const SoftHsm hsm;
  auto token = open_unlocked(hsm);
  ASSERT_TRUE(token->generate_agreement_key("evidence"));
  Bytes point = Ephemeral().point();
  point[64] ^= 1;
  EXPECT_EQ(token->agree("evidence", point, in_ms(5'000)).error().kind, ErrorKind::kBadInput);
  point.pop_back();
  EXPECT_EQ(token->agree("evidence", point, in_ms(5'000)).error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(token->agree("evidence", {}, in_ms(5'000)).error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(token->agree("nowhere", Ephemeral().point(), in_ms(5'000)).error().kind,
            ErrorKind::kBadInput);
}

TEST(Open, ModuleAbsent_StartsAway) {
  hal::Pkcs11Config config;
  config.module_path = "/nonexistent/module.so";
  config.token_label = "x";
  auto token = hal::open_pkcs11_token(config);
  ASSERT_TRUE(token);
  EXPECT_TRUE(becomes(**token, TokenState::kAway));
  EXPECT_THAT((*token)->status().detail, testing::HasSubstr("nonexistent"));
}

TEST(Open, NoPin_IsLocked) {
  const SoftHsm hsm;
  auto token = hal::open_pkcs11_token(hsm.config());
  ASSERT_TRUE(token);
  EXPECT_TRUE(becomes(**token, TokenState::kLocked));
  EXPECT_EQ((*token)->find_key("x").error().kind, ErrorKind::kUnavailable);
}

TEST(Open, ConfigContradicts_IsBadInput) {
  hal::Pkcs11Config config;
  EXPECT_EQ(hal::open_pkcs11_token(config).error().kind, ErrorKind::kBadInput);
  config.module_path = "m";
  config.token_label = std::string(33, 'x');
  EXPECT_EQ(hal::open_pkcs11_token(config).error().kind, ErrorKind::kBadInput);
  config.token_label = "x";
  config.quirks.max_sessions = 0;
  EXPECT_EQ(hal::open_pkcs11_token(config).error().kind, ErrorKind::kBadInput);
}

TEST(Open, TwoTokensOfOneLabel_StaysAway) {
  const SoftHsm hsm;
  hsm.add_token(hsm.label());
  auto token = hal::open_pkcs11_token(hsm.config());
  ASSERT_TRUE(token);
  EXPECT_EQ((*token)->unlock(hsm.pin()).error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT((*token)->status().detail, testing::HasSubstr("several tokens"));
}

TEST(FindKey, LabelTwice_IsCorrupt) {
  const SoftHsm hsm;
  import_pair(hsm, "issuing", "01");
  import_pair(hsm, "issuing", "02");
  auto token = open_unlocked(hsm);
  EXPECT_EQ(token->find_key("issuing").error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(
      token->sign("issuing", view_of("m"), in_ms(5'000), SignPriority::kIssuance).error().kind,
      ErrorKind::kCorrupt);
  EXPECT_EQ(token->generate_key("issuing", KeyAlgorithm::kEcdsaP256).error().kind,
            ErrorKind::kRefused);
}

TEST(FindKey, ImportedKey_ShowsThatItIsNotLocal) {
  const SoftHsm hsm;
  import_pair(hsm, "imported", "01");
  auto token = open_unlocked(hsm);
  auto key = token->find_key("imported");
  ASSERT_TRUE(key);
  EXPECT_FALSE(key->local);
  EXPECT_FALSE(key->never_extractable);
  EXPECT_FALSE(key->always_sensitive);
}

// The token was exchanged while it was away: another key under the known label must never sign.
TEST(Sign, KeyChangedUnderItsLabel_IsCorrupt) {
  const SoftHsm hsm;
  auto token = open_unlocked(hsm);
  ASSERT_TRUE(token->generate_key("issuing", KeyAlgorithm::kEcdsaP256));
  ASSERT_TRUE(token->sign("issuing", view_of("m"), in_ms(5'000), SignPriority::kIssuance));
  hsm.take_away();
  ASSERT_FALSE(token->sign("issuing", view_of("m"), in_ms(5'000), SignPriority::kIssuance));
  ASSERT_TRUE(becomes(*token, TokenState::kAway));
  const SoftHsm other;
  import_pair(other, "issuing", "01");
  ASSERT_EQ(run_command({"cp", "-r", other.token_directory(), hsm.token_directory()}).status, 0);
  ASSERT_TRUE(becomes(*token, TokenState::kReady)) << token->status().detail;
  EXPECT_EQ(
      token->sign("issuing", view_of("m"), in_ms(5'000), SignPriority::kIssuance).error().kind,
      ErrorKind::kCorrupt);
  EXPECT_EQ(token->find_key("issuing").error().kind, ErrorKind::kCorrupt);
}

// What the contract promises beyond the facts it returns, read with the module's own interface.
TEST(GenerateKey, PrivateObject_CanSignAndNothingElse) {
  const SoftHsm hsm;
  auto token = open_unlocked(hsm);
  ASSERT_TRUE(token->generate_key("issuing", KeyAlgorithm::kRsa2048));
  token.reset();
  ::setenv("SOFTHSM2_CONF", hsm.conf_path().c_str(), 1);
  void* handle = ::dlopen(SoftHsm::module_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  CK_FUNCTION_LIST* api = nullptr;
  reinterpret_cast<CK_C_GetFunctionList>(::dlsym(handle, "C_GetFunctionList"))(&api);
  ASSERT_EQ(api->C_Initialize(nullptr), CKR_OK);
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  ASSERT_EQ(api->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
  CK_SESSION_HANDLE session = 0;
  CK_TOKEN_INFO info{};
  for (CK_ULONG i = 0; i < count; ++i) {
    if (api->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
        (info.flags & CKF_TOKEN_INITIALIZED) != 0) {
      ASSERT_EQ(api->C_OpenSession(slots[i], CKF_SERIAL_SESSION, nullptr, nullptr, &session),
                CKR_OK);
    }
  }
  auto pin = hsm.pin();
  ASSERT_EQ(api->C_Login(session, CKU_USER, pin.data(), static_cast<CK_ULONG>(pin.size())), CKR_OK);
  CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE wanted{CKA_CLASS, &object_class, sizeof object_class};
  CK_OBJECT_HANDLE key = 0;
  ASSERT_EQ(api->C_FindObjectsInit(session, &wanted, 1), CKR_OK);
  ASSERT_EQ(api->C_FindObjects(session, &key, 1, &count), CKR_OK);
  ASSERT_EQ(count, 1u);
  ASSERT_EQ(api->C_FindObjectsFinal(session), CKR_OK);
  const auto is = [&](CK_ATTRIBUTE_TYPE type) {
    CK_BBOOL value = 2;
    CK_ATTRIBUTE asked{type, &value, sizeof value};
    EXPECT_EQ(api->C_GetAttributeValue(session, key, &asked, 1), CKR_OK) << std::hex << type;
    return value == CK_TRUE;
  };
  for (const CK_ATTRIBUTE_TYPE type : {CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_SIGN, CKA_LOCAL})
    EXPECT_TRUE(is(type)) << std::hex << type;
  for (const CK_ATTRIBUTE_TYPE type :
       {CKA_EXTRACTABLE, CKA_DECRYPT, CKA_UNWRAP, CKA_COPYABLE, CKA_MODIFIABLE, CKA_DESTROYABLE})
    EXPECT_FALSE(is(type)) << std::hex << type;
  api->C_Finalize(nullptr);
}

}  // namespace
}  // namespace keyward::test
