// The TPM that goes away and comes back, and power losses that must not lock it.
#include <csignal>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "hal/tss2/templates.h"

#include "fixture.h"

namespace keyward::hal::tss2_test {
namespace {

// TPM_PT_LOCKOUT_COUNTER, read past the code under test.
std::uint32_t lockout_counter(const test::Swtpm& device) {
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  ESYS_CONTEXT* esys = nullptr;
  TPMS_CAPABILITY_DATA* data = nullptr;
  std::uint32_t value = 0xffffffff;
  if (::Tss2_TctiLdr_Initialize(device.tcti().c_str(), &tcti) == TSS2_RC_SUCCESS &&
      ::Esys_Initialize(&esys, tcti, nullptr) == TSS2_RC_SUCCESS &&
      ::Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
                           TPM2_PT_LOCKOUT_COUNTER, 1, nullptr, &data) == TSS2_RC_SUCCESS &&
      data->data.tpmProperties.count == 1 &&
      data->data.tpmProperties.tpmProperty[0].property == TPM2_PT_LOCKOUT_COUNTER) {
    value = data->data.tpmProperties.tpmProperty[0].value;
  }
  ::Esys_Free(data);
  if (esys != nullptr) ::Esys_Finalize(&esys);
  if (tcti != nullptr) ::Tss2_TctiLdr_Finalize(&tcti);
  return value;
}

// What a boot of the appliance and an enrolment do with the TPM.
void use_everything(Tpm& tpm, const TpmKeyBlob& ak_blob, const TpmKeyBlob& key_blob,
                    const TpmKeyBlob& pin_blob) {
  const PcrSelection selection{TPM2_ALG_SHA256, {7}};
  {
    const auto ek = tpm.create_ek(TpmKeyType::kEccP256);
    ASSERT_OK(ek);
    const auto ak = tpm.load(ak_blob);
    ASSERT_OK(ak);
    const auto credential = tpm.make_credential((*ek)->public_area(), (*ak)->name(), Bytes(16, 1));
    ASSERT_OK(credential);
    const auto opened = tpm.activate_credential(**ak, **ek, *credential);
    ASSERT_OK(opened);
    const auto quoted = tpm.quote(**ak, selection, Bytes(8));
    ASSERT_OK(quoted);
  }
  const auto ak = tpm.load(ak_blob);
  ASSERT_OK(ak);
  {
    const auto key = tpm.load(key_blob);
    ASSERT_OK(key);
    const auto certified = tpm.certify(**key, **ak, Bytes(8));
    ASSERT_OK(certified);
    const auto signature = tpm.sign_digest(**key, Bytes(32), TPM2_ALG_SHA256);
    ASSERT_OK(signature);
  }
  const auto pin = tpm.unseal(pin_blob, selection);
  ASSERT_OK(pin);
  const auto count = tpm.nv_increment(0x01800010);
  ASSERT_OK(count);
}

struct Blobs {
  TpmKeyBlob ak, key, pin;
};
Blobs provision(Tpm& tpm, bool no_da) {
  Blobs blobs;
  blobs.ak = *tpm.create_key({TpmKeyType::kEccP256, true, true, no_da});
  blobs.key = *tpm.create_key({TpmKeyType::kEccP256, false, true, no_da});
  blobs.pin = *tpm.seal(Bytes(8, 1), {TPM2_ALG_SHA256, {7}});
  EXPECT_TRUE(tpm.nv_define_counter(0x01800010));
  return blobs;
}

TEST_F(TpmTest, PowerLoss_FiveTimesWithEverythingUsed_LeavesTheLockoutCounterAtZero) {
  const auto blobs = provision(*tpm_, true);
  for (int loss = 0; loss < 5; ++loss) {
    use_everything(*tpm_, blobs.ak, blobs.key, blobs.pin);
    device_.power_cut();
    tpm_.reset();
    device_.start();
    ASSERT_EQ(lockout_counter(device_), 0u) << "after power loss " << loss + 1;
    tpm_ = open(device_);
  }
  use_everything(*tpm_, blobs.ak, blobs.key, blobs.pin);
}

// The counterpart: it shows that the test above can fail.
TEST_F(TpmTest, PowerLoss_WithKeysUnderDictionaryAttackProtection_RaisesTheLockoutCounter) {
  const auto blobs = provision(*tpm_, false);
  use_everything(*tpm_, blobs.ak, blobs.key, blobs.pin);
  device_.power_cut();
  tpm_.reset();
  device_.start();
  EXPECT_GE(lockout_counter(device_), 1u);
}

TEST_F(TpmTest, ShutdownOrderly_BeforePowerOff_KeepsTheLockoutCounterEvenWithProtectedKeys) {
  const auto blobs = provision(*tpm_, false);
  use_everything(*tpm_, blobs.ak, blobs.key, blobs.pin);
  const auto shut = tpm_->shutdown_orderly();
  ASSERT_OK(shut);
  device_.stop();
  tpm_.reset();
  device_.start();
  EXPECT_EQ(lockout_counter(device_), 0u);
}

TEST_F(TpmTest, TpmKilled_NextCall_IsUnavailableAndTheOneAfterItsReturnWorks) {
  const auto before = tpm_->random(8);
  ASSERT_OK(before);
  device_.power_cut();
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->random(8));
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->random(8));  // still away
  device_.start();
  const auto after = tpm_->random(8);
  ASSERT_OK(after);
}

TEST_F(TpmTest, TpmRestartedBetweenCalls_CostsNoCall) {
  device_.power_cut();
  device_.start();
  const auto after = tpm_->random(8);
  ASSERT_OK(after);
}

TEST_F(TpmTest, TpmRestarted_ObjectsOfBefore_AreUnavailableAndLoadAgain) {
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  auto key = tpm_->load(*blob);
  ASSERT_OK(key);
  device_.power_cut();
  device_.start();
  // Another key now has the handle that `key` had before the reset; it must not sign in its place.
  const auto other_blob = tpm_->create_key({});
  ASSERT_OK(other_blob);
  auto other = tpm_->load(*other_blob);
  ASSERT_OK(other);
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->sign_digest(**key, Bytes(32), TPM2_ALG_SHA256));
  key = tpm_->load(*blob);
  ASSERT_OK(key);
  const auto signature = tpm_->sign_digest(**key, Bytes(32), TPM2_ALG_SHA256);
  ASSERT_OK(signature);
}

TEST_F(TpmTest, TpmKilledInTheMiddleOfUse_EveryCommandIsUnavailable) {
  auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  device_.power_cut();
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->sign_digest(*key, Bytes(32), TPM2_ALG_SHA256));
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->load(*blob));
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->unseal(*blob, {TPM2_ALG_SHA256, {7}}));
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->nv_read(0x01c00002));
  EXPECT_KIND(ErrorKind::kUnavailable, tpm_->shutdown_orderly());
}

// A program that is killed: its objects stay in a TPM without resource manager.
void leave_object_behind(const test::Swtpm& device, int sessions) {
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  ESYS_CONTEXT* esys = nullptr;
  ASSERT_EQ(::Tss2_TctiLdr_Initialize(device.tcti().c_str(), &tcti), TSS2_RC_SUCCESS);
  ASSERT_EQ(::Esys_Initialize(&esys, tcti, nullptr), TSS2_RC_SUCCESS);
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_PUBLIC area = tss2::srk_template();
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION pcrs{};
  const TPMT_SYM_DEF symmetric{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
  ESYS_TR tr = ESYS_TR_NONE;
  EXPECT_EQ(::Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                 ESYS_TR_NONE, &sensitive, &area, &outside, &pcrs, &tr, nullptr,
                                 nullptr, nullptr, nullptr),
            TSS2_RC_SUCCESS);
  for (int i = 0; i < sessions; ++i) {
    EXPECT_EQ(::Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      ESYS_TR_NONE, nullptr, TPM2_SE_TRIAL, &symmetric,
                                      TPM2_ALG_SHA256, &tr),
              TSS2_RC_SUCCESS);
  }
  ::Esys_Finalize(&esys);
  ::Tss2_TctiLdr_Finalize(&tcti);
}

TEST_F(TpmTest, Open_AfterProgramsDiedWithObjectsAndSessions_FindsRoom) {
  TpmKeyTemplate restricted;
  restricted.restricted = true;
  const auto key_blob = tpm_->create_key({});
  const auto ak_blob = tpm_->create_key(restricted);
  const auto pin_blob = tpm_->seal(Bytes(6, 1), {TPM2_ALG_SHA256, {7}});
  ASSERT_OK(key_blob);
  ASSERT_OK(ak_blob);
  ASSERT_OK(pin_blob);
  tpm_.reset();
  for (int i = 0; i < 3; ++i) leave_object_behind(device_, 1);
  tpm_ = open(device_);
  ASSERT_NE(tpm_, nullptr);
  {
    const auto key = tpm_->load(*key_blob);
    ASSERT_OK(key);
    const auto ak = tpm_->load(*ak_blob);
    ASSERT_OK(ak);
    ASSERT_OK(tpm_->certify(**key, **ak, Bytes(8)));
  }
  ASSERT_OK(tpm_->unseal(*pin_blob, {TPM2_ALG_SHA256, {7}}));
}

TEST_F(TpmTest, TpmObject_ThatOutlivesItsTpm_EndsQuietly) {
  auto key = key_of(*tpm_, {});
  ASSERT_TRUE(key);
  tpm_.reset();
  key.reset();
  const auto again = open(device_);
  ASSERT_TRUE(again);
}

TEST(OpenTpm, NobodyThere_IsUnavailable) {
  EXPECT_KIND(ErrorKind::kUnavailable, open_tpm("swtpm:path=/nonexistent/tpm.sock"));
  EXPECT_KIND(ErrorKind::kUnavailable, open_tpm("device:/nonexistent/tpm0"));
}

TEST(OpenTpm, NoSuchTcti_IsBadInput) {
  EXPECT_KIND(ErrorKind::kBadInput, open_tpm(""));
  EXPECT_KIND(ErrorKind::kBadInput, open_tpm(":path=/x"));
  EXPECT_KIND(ErrorKind::kBadInput, open_tpm("nosuchtcti:path=/x"));
  EXPECT_KIND(ErrorKind::kBadInput, open_tpm("../../tmp/evil:path=/x"));
  EXPECT_KIND(ErrorKind::kBadInput, make_tpm("nosuchtcti:path=/x"));
}

TEST(MakeTpm, TpmAway_ConnectsOnceItIsThere) {
  test::Swtpm device;
  device.power_cut();
  auto tpm = make_tpm(device.tcti());
  ASSERT_OK(tpm);
  EXPECT_KIND(ErrorKind::kUnavailable, (*tpm)->random(8));
  device.start();
  const auto octets = (*tpm)->random(8);
  ASSERT_OK(octets);
}

}  // namespace
}  // namespace keyward::hal::tss2_test
