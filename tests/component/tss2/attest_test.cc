// Certify, quote, credentials and EK certificates of Tss2Tpm against a real swtpm.
#include <openssl/x509.h>

#include "fixture.h"

namespace keyward::hal::tss2_test {
namespace {

constexpr std::uint32_t kMagic = 0xff544347;
constexpr std::uint32_t kAttestCertify = 0x8017;
constexpr std::uint32_t kAttestQuote = 0x8018;

// TPMS_ATTEST: magic(4) type(2) qualifiedSigner(2+n) extraData(2+n) clockInfo(17) firmware(8)
// attested
struct Attest {
  std::uint32_t magic;
  std::uint32_t type;
  ByteView extra_data;
  ByteView attested;
};
Attest read_attest(ByteView bytes) {
  const std::size_t extra_at = 8 + u16_at(bytes, 6);
  const std::size_t extra_bytes = u16_at(bytes, extra_at);
  return {u32_at(bytes, 0), u16_at(bytes, 4), bytes.subspan(extra_at + 2, extra_bytes),
          bytes.subspan(extra_at + 2 + extra_bytes + 25)};
}

class AttestTest : public TpmTest, public ::testing::WithParamInterface<TpmKeyType> {};

TEST_P(AttestTest, Certify_DeviceKey_NamesTheKeyAndVerifies) {
  const auto ak = ak_of(*tpm_, GetParam());
  const auto key = key_of(*tpm_, {});
  ASSERT_TRUE(ak && key);
  const Bytes challenge = sha256(view_of("key authorization"));
  const auto made = tpm_->certify(*key, *ak, challenge);
  ASSERT_OK(made);
  const auto attest = read_attest(made->attest);
  EXPECT_EQ(attest.magic, kMagic);
  EXPECT_EQ(attest.type, kAttestCertify);
  EXPECT_EQ(to_bytes(attest.extra_data), challenge);
  EXPECT_EQ(to_bytes(attest.attested.subspan(2, key->name().size())), to_bytes(key->name()));
  const char* const md = GetParam() == TpmKeyType::kEccP384 ? "SHA384" : "SHA256";
  Bytes digest(GetParam() == TpmKeyType::kEccP384 ? 48 : 32);
  ::EVP_Digest(made->attest.data(), made->attest.size(), digest.data(), nullptr,
               ::EVP_get_digestbyname(md), nullptr);
  EXPECT_TRUE(openssl_verifies(ak->public_area(), md, digest, openssl_signature(made->signature)));
}
INSTANTIATE_TEST_SUITE_P(Aks, AttestTest,
                         ::testing::Values(TpmKeyType::kEccP256, TpmKeyType::kEccP384,
                                           TpmKeyType::kRsa2048));

// The device tests need every kind of key certified, also those that the verifier then refuses.
TEST_F(TpmTest, Certify_EveryKindOfKey_IsNotRefused) {
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  const TpmKeyTemplate kinds[] = {{TpmKeyType::kEccP384, false, true, true},
                                  {TpmKeyType::kRsa2048, false, true, true},
                                  {TpmKeyType::kRsa1024ForTests, false, true, true},
                                  {TpmKeyType::kEccP256, true, true, true},
                                  {TpmKeyType::kEccP256, false, false, true},
                                  {TpmKeyType::kEccP256, false, true, false}};
  for (const auto& kind : kinds) {
    const auto key = key_of(*tpm_, kind);
    ASSERT_TRUE(key);
    const auto made = tpm_->certify(*key, *ak, Bytes(32, 1));
    ASSERT_OK(made);
  }
}

TEST_F(TpmTest, Certify_TheAkByItself_Works) {
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  const auto made = tpm_->certify(*ak, *ak, {});
  ASSERT_OK(made);
}

TEST_F(TpmTest, Certify_QualifyingDataOfMoreThanTheTypeHolds_IsBadInput) {
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->certify(*ak, *ak, Bytes(67)));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->quote(*ak, {TPM2_ALG_SHA256, {1}}, Bytes(67)));
}

TEST_F(TpmTest, Quote_OfRegisters_HoldsTheirDigestAndTheNonce) {
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  const auto extended = tpm_->pcr_extend(16, sha256(view_of("event")));
  ASSERT_OK(extended);
  const PcrSelection selection{TPM2_ALG_SHA256, {7, 16}};
  const auto values = tpm_->pcr_read(selection);
  ASSERT_OK(values);
  const auto made = tpm_->quote(*ak, selection, Bytes(20, 9));
  ASSERT_OK(made);
  const auto attest = read_attest(made->attest);
  EXPECT_EQ(attest.type, kAttestQuote);
  EXPECT_EQ(to_bytes(attest.extra_data), Bytes(20, 9));
  Bytes both = (*values)[0];
  append(both, (*values)[1]);
  EXPECT_EQ(to_bytes(attest.attested.last(32)), sha256(both));
  EXPECT_TRUE(openssl_verifies(ak->public_area(), "SHA256", sha256(made->attest),
                               openssl_signature(made->signature)));
}

TEST_F(TpmTest, PcrExtend_OfARegister_ChangesItAsTheArchitectureSays) {
  const PcrSelection selection{TPM2_ALG_SHA256, {16}};
  const auto before = tpm_->pcr_read(selection);
  ASSERT_OK(before);
  const auto event = sha256(view_of("event"));
  const auto extended = tpm_->pcr_extend(16, event);
  ASSERT_OK(extended);
  const auto after = tpm_->pcr_read(selection);
  ASSERT_OK(after);
  Bytes expected = before->front();
  append(expected, event);
  EXPECT_EQ(after->front(), sha256(expected));
}

TEST_F(TpmTest, PcrRead_AllRegistersInAnyOrder_GivesEachItsOwn) {
  const auto extended = tpm_->pcr_extend(3, Bytes(32, 1));
  ASSERT_OK(extended);
  const auto one = tpm_->pcr_read({TPM2_ALG_SHA256, {3}});
  ASSERT_OK(one);
  PcrSelection all{TPM2_ALG_SHA256, {}};
  for (int pcr = 23; pcr >= 0; --pcr) all.registers.push_back(static_cast<std::uint8_t>(pcr));
  const auto values = tpm_->pcr_read(all);
  ASSERT_OK(values);
  ASSERT_EQ(values->size(), 24u);
  EXPECT_EQ((*values)[20], one->front());
  EXPECT_NE((*values)[19], one->front());
}

TEST_F(TpmTest, PcrSelection_ThatSelectsNothing_IsBadInput) {
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  for (const PcrSelection& wrong :
       {PcrSelection{TPM2_ALG_SHA256, {}}, PcrSelection{TPM2_ALG_SHA256, {24}},
        PcrSelection{TPM2_ALG_SHA256, {7, 7}}, PcrSelection{0x7777, {7}}}) {
    EXPECT_KIND(ErrorKind::kBadInput, tpm_->pcr_read(wrong));
    EXPECT_KIND(ErrorKind::kBadInput, tpm_->quote(*ak, wrong, Bytes(8)));
    EXPECT_KIND(ErrorKind::kBadInput, tpm_->seal(Bytes(8, 1), wrong));
  }
}

TEST_F(TpmTest, PcrExtend_WrongDigestOrRegister_IsBadInput) {
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->pcr_extend(16, Bytes(20)));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->pcr_extend(24, Bytes(32)));
}

class CredentialTest : public TpmTest, public ::testing::WithParamInterface<TpmKeyType> {};

TEST_P(CredentialTest, ActivateCredential_OnTheTpmOfTheEk_GivesTheSecret) {
  const test::Swtpm ca_device;
  const auto ca_tpm = open(ca_device);  // the maker of the credential has another TPM
  const auto ek = tpm_->create_ek(GetParam());
  ASSERT_OK(ek);
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  const Bytes secret(32, 0x42);
  const auto credential = ca_tpm->make_credential((*ek)->public_area(), ak->name(), secret);
  ASSERT_OK(credential);
  const auto opened = tpm_->activate_credential(*ak, **ek, *credential);
  ASSERT_OK(opened);
  EXPECT_EQ(*opened, secret);
}

TEST_P(CredentialTest, ActivateCredential_OnAnotherTpm_IsBadInput) {
  const auto ek = tpm_->create_ek(GetParam());
  ASSERT_OK(ek);
  const auto ak_blob = tpm_->create_key({TpmKeyType::kEccP256, true, true, true});
  ASSERT_OK(ak_blob);
  const auto ak = tpm_->load(*ak_blob);
  ASSERT_OK(ak);
  const auto credential = tpm_->make_credential((*ek)->public_area(), (*ak)->name(), Bytes(32, 1));
  ASSERT_OK(credential);
  const test::Swtpm thief;
  const auto thief_tpm = open(thief);
  const auto thief_ek = thief_tpm->create_ek(GetParam());
  ASSERT_OK(thief_ek);
  const auto thief_ak = ak_of(*thief_tpm);
  ASSERT_TRUE(thief_ak);
  EXPECT_KIND(ErrorKind::kBadInput,
              thief_tpm->activate_credential(*thief_ak, **thief_ek, *credential));
}

TEST_P(CredentialTest, ActivateCredential_ForAnotherAk_IsBadInput) {
  const auto ek = tpm_->create_ek(GetParam());
  ASSERT_OK(ek);
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  Bytes other_name = to_bytes(ak->name());
  other_name.back() ^= 1;
  const auto credential = tpm_->make_credential((*ek)->public_area(), other_name, Bytes(32, 1));
  ASSERT_OK(credential);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->activate_credential(*ak, **ek, *credential));
}
INSTANTIATE_TEST_SUITE_P(Eks, CredentialTest,
                         ::testing::Values(TpmKeyType::kEccP256, TpmKeyType::kRsa2048));

TEST_F(TpmTest, Credential_MalformedParts_AreBadInput) {
  const auto ek = tpm_->create_ek(TpmKeyType::kEccP256);
  ASSERT_OK(ek);
  const auto ak = ak_of(*tpm_);
  ASSERT_TRUE(ak);
  const auto good = tpm_->make_credential((*ek)->public_area(), ak->name(), Bytes(16, 1));
  ASSERT_OK(good);
  auto wrong = *good;
  wrong.id_object.push_back(0);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->activate_credential(*ak, **ek, wrong));
  wrong = *good;
  wrong.encrypted_secret.push_back(0);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->activate_credential(*ak, **ek, wrong));
  wrong = *good;
  wrong.id_object = Bytes(6000);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->activate_credential(*ak, **ek, wrong));
  Bytes trailing = to_bytes((*ek)->public_area());
  trailing.push_back(0);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->make_credential(trailing, ak->name(), Bytes(16)));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->make_credential((*ek)->public_area(), {}, Bytes(16)));
  EXPECT_KIND(ErrorKind::kBadInput,
              tpm_->make_credential((*ek)->public_area(), Bytes(100), Bytes(16)));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->make_credential((*ek)->public_area(), ak->name(), {}));
  EXPECT_KIND(ErrorKind::kBadInput,
              tpm_->make_credential((*ek)->public_area(), ak->name(), Bytes(65)));
}

TEST(ManufacturedTpm, NvRead_OfTheEkCertificate_IsForTheRsaEk) {
  const test::Swtpm device(test::Swtpm::Kind::kManufactured);
  auto opened = open_tpm(device.tcti());
  ASSERT_OK(opened);
  auto& tpm = **opened;
  const auto der = tpm.nv_read(0x01c00002);
  ASSERT_OK(der);
  EXPECT_GT(der->size(), 512u);  // so that more than one chunk was read
  const unsigned char* at = der->data();
  const std::unique_ptr<X509, decltype(&::X509_free)> certificate(
      ::d2i_X509(nullptr, &at, static_cast<long>(der->size())), &::X509_free);
  ASSERT_TRUE(certificate);
  const auto ek = tpm.create_ek(TpmKeyType::kRsa2048);
  ASSERT_OK(ek);
  EXPECT_EQ(
      ::EVP_PKEY_eq(openssl_key((*ek)->public_area()).get(), ::X509_get0_pubkey(certificate.get())),
      1);
}

TEST_F(TpmTest, NvRead_OfNoIndexOrAWrongHandle_IsBadInput) {
  EXPECT_KIND(ErrorKind::kBadInput,
              tpm_->nv_read(0x01c00002));  // a plain TPM has no EK certificate
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->nv_read(0x81000001));
}

}  // namespace
}  // namespace keyward::hal::tss2_test
