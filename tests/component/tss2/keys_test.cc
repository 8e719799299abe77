// Keys of Tss2Tpm against a real swtpm; signatures are verified by OpenSSL.
#include "fixture.h"

namespace keyward::hal::tss2_test {
namespace {

constexpr std::uint32_t kDeviceAttributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT;

TEST_F(TpmTest, CreateKey_Default_IsADeviceKeyOutsideDictionaryAttackProtection) {
  const auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  EXPECT_EQ(u16_at(key->public_area(), 0), TPM2_ALG_ECC);
  EXPECT_EQ(u32_at(key->public_area(), 4), kDeviceAttributes);
}

TEST_F(TpmTest, CreateKey_Restricted_HasRestrictedSet) {
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  EXPECT_EQ(u32_at(ak->public_area(), 4), kDeviceAttributes | TPMA_OBJECT_RESTRICTED);
}

TEST_F(TpmTest, CreateKey_NotFixedTpm_ClearsBothFixedBits) {
  TpmKeyTemplate wanted;
  wanted.fixed_tpm = false;
  const auto key = key_of(*tpm_, wanted);
  ASSERT_TRUE(key);
  EXPECT_EQ(u32_at(key->public_area(), 4) & (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT), 0u);
}

TEST_F(TpmTest, Name_OfAnyKey_IsAlgorithmAndDigestOfThePublicArea) {
  const auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  Bytes expected{0x00, 0x0b};
  append(expected, sha256(key->public_area()));
  EXPECT_EQ(to_bytes(key->name()), expected);
}

TEST_F(TpmTest, Load_TwiceFromOneBlob_GivesTheSameKey) {
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  const auto first = tpm_->load(*blob);
  const auto second = tpm_->load(*blob);
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_EQ(to_bytes((*first)->name()), to_bytes((*second)->name()));
}

struct SignCase {
  TpmKeyType type;
  std::uint16_t hash_alg;
  const char* md;
  std::size_t digest_bytes;
};
class SignTest : public TpmTest, public ::testing::WithParamInterface<SignCase> {};

TEST_P(SignTest, SignDigest_OfDeviceKey_VerifiesWithOpenssl) {
  const auto& c = GetParam();
  TpmKeyTemplate wanted;
  wanted.type = c.type;
  const auto key = key_of(*tpm_, wanted);
  ASSERT_TRUE(key);
  Bytes digest(c.digest_bytes, 0x5a);
  const auto signature = tpm_->sign_digest(*key, digest, c.hash_alg);
  ASSERT_OK(signature);
  EXPECT_TRUE(openssl_verifies(key->public_area(), c.md, digest, *signature));
  digest[0] ^= 1;
  EXPECT_FALSE(openssl_verifies(key->public_area(), c.md, digest, *signature));
}
INSTANTIATE_TEST_SUITE_P(
    Types, SignTest,
    ::testing::Values(SignCase{TpmKeyType::kEccP256, TPM2_ALG_SHA256, "SHA256", 32},
                      SignCase{TpmKeyType::kEccP256, TPM2_ALG_SHA384, "SHA384", 48},
                      SignCase{TpmKeyType::kEccP384, TPM2_ALG_SHA384, "SHA384", 48},
                      SignCase{TpmKeyType::kRsa2048, TPM2_ALG_SHA256, "SHA256", 32},
                      SignCase{TpmKeyType::kRsa1024ForTests, TPM2_ALG_SHA256, "SHA256", 32}));

TEST_F(TpmTest, SignDigest_OfRestrictedKey_IsRefused) {
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  EXPECT_KIND(ErrorKind::kRefused, tpm_->sign_digest(*ak, Bytes(32), TPM2_ALG_SHA256));
}

TEST_F(TpmTest, SignDigest_OfEk_IsRefused) {
  const auto ek = tpm_->create_ek(TpmKeyType::kEccP256);
  ASSERT_OK(ek);
  EXPECT_KIND(ErrorKind::kRefused, tpm_->sign_digest(**ek, Bytes(32), TPM2_ALG_SHA256));
}

TEST_F(TpmTest, SignDigest_OfAnotherLengthThanItsHash_IsBadInput) {
  const auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->sign_digest(*key, Bytes(31), TPM2_ALG_SHA256));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->sign_digest(*key, Bytes(33), TPM2_ALG_SHA256));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->sign_digest(*key, Bytes(20), TPM2_ALG_SHA1));
}

TEST_F(TpmTest, Load_TrailingOctetAfterPublicArea_IsBadInput) {
  auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  blob->public_area.push_back(0);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load(*blob));
}

TEST_F(TpmTest, Load_SizeFieldLargerThanPublicArea_IsBadInput) {
  auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  ++blob->public_area[1];
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load(*blob));
}

TEST_F(TpmTest, Load_TrailingOctetAfterPrivateArea_IsBadInput) {
  auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  blob->private_area.push_back(0);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load(*blob));
}

TEST_F(TpmTest, Load_EmptyOrOversizeAreas_AreBadInput) {
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load({{}, blob->private_area}));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load({blob->public_area, {}}));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load({Bytes(5000), blob->private_area}));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load({blob->public_area, Bytes(5000)}));
}

TEST_F(TpmTest, Load_ChangedPrivateArea_IsBadInput) {
  auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  blob->private_area.back() ^= 1;
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load(*blob));
}

TEST_F(TpmTest, Load_AnyMutatedOctetOfPublicArea_NeverLoads) {
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  for (std::size_t at = 0; at < blob->public_area.size(); ++at) {
    auto mutated = *blob;
    mutated.public_area[at] ^= 0x41;
    EXPECT_FALSE(tpm_->load(mutated)) << "octet " << at;
  }
  const auto unchanged = tpm_->load(*blob);
  ASSERT_OK(unchanged);
}

TEST_F(TpmTest, Load_OnAnotherTpm_IsBadInput) {
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  const test::Swtpm other;
  const auto other_tpm = open(other);
  EXPECT_KIND(ErrorKind::kBadInput, other_tpm->load(*blob));
}

TEST_F(TpmTest, Load_UnderAHandleThatIsNoParent_IsBadInput) {
  auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  blob->parent = 0x40000007;
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load(*blob));
  blob->parent = 0x81000001;  // persistent, and not there
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->load(*blob));
}

TEST_F(TpmTest, OpenPersistent_AfterMakePersistent_SignsAndSurvivesPowerLoss) {
  const auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  const auto made = tpm_->make_persistent(*key, 0x81010010);
  ASSERT_OK(made);
  device_.power_cut();
  device_.start();
  tpm_ = open(device_);
  const auto again = tpm_->open_persistent(0x81010010);
  ASSERT_OK(again);
  EXPECT_EQ(to_bytes((*again)->public_area()), to_bytes(key->public_area()));
  const auto signature = tpm_->sign_digest(**again, Bytes(32, 7), TPM2_ALG_SHA256);
  ASSERT_OK(signature);
  EXPECT_TRUE(openssl_verifies(key->public_area(), "SHA256", Bytes(32, 7), *signature));
}

TEST_F(TpmTest, MakePersistent_AtATakenHandle_IsRefused) {
  const auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  const auto made = tpm_->make_persistent(*key, 0x81010010);
  ASSERT_OK(made);
  EXPECT_KIND(ErrorKind::kRefused, tpm_->make_persistent(*key, 0x81010010));
}

TEST_F(TpmTest, Persistent_HandleOutsideTheOwnersRange_IsBadInput) {
  const auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->make_persistent(*key, 0x81800000));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->make_persistent(*key, 0x80000001));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->open_persistent(0x01c00002));
}

TEST_F(TpmTest, OpenPersistent_NothingThere_IsBadInput) {
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->open_persistent(0x81010099));
}

TEST_F(TpmTest, Objects_ThatEnd_LeaveNoSlotTaken) {
  for (int round = 0; round < 20; ++round) {  // a swtpm has three slots
    const auto ek = tpm_->create_ek(TpmKeyType::kEccP256);
    ASSERT_OK(ek);
    const auto ak = ak_of(*tpm_);
    ASSERT_TRUE(ak) << "round " << round;
  }
}

TEST_F(TpmTest, Objects_TooMany_AreExhaustedAndRecover) {
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  std::vector<TpmObjectPtr> held;
  Result<TpmObjectPtr> next = tpm_->load(*blob);
  for (int i = 0; i < 8 && next; ++i) {
    held.push_back(std::move(*next));
    next = tpm_->load(*blob);
  }
  EXPECT_KIND(ErrorKind::kExhausted, next);
  held.clear();
  const auto again = tpm_->load(*blob);
  ASSERT_OK(again);
}

TEST_F(TpmTest, Random_TwoCalls_DifferAndHaveTheLengthAskedFor) {
  const auto first = tpm_->random(100);
  const auto second = tpm_->random(100);
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_EQ(first->size(), 100u);
  EXPECT_NE(*first, *second);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->random(1u << 20));
}

TEST_F(TpmTest, CreateEk_Twice_IsTheSameKey) {
  for (const auto type : {TpmKeyType::kEccP256, TpmKeyType::kRsa2048}) {
    const auto first = tpm_->create_ek(type);
    const auto second = tpm_->create_ek(type);
    ASSERT_OK(first);
    ASSERT_OK(second);
    EXPECT_EQ(to_bytes((*first)->public_area()), to_bytes((*second)->public_area()));
  }
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->create_ek(TpmKeyType::kEccP384));
}

}  // namespace
}  // namespace keyward::hal::tss2_test
