// Sealing, the sealed PIN and the NV counter against a real swtpm.
#include <sys/stat.h>

#include "hal/base/file.h"
#include "hal/tss2/nv_counter.h"
#include "hal/tss2/tss2_key_file.h"
#include "hal/tss2/tss2_sealed_pin.h"

#include "fixture.h"

namespace keyward::hal::tss2_test {
namespace {

const PcrSelection kSelection{TPM2_ALG_SHA256, {7, 16}};
constexpr std::uint32_t kIndex = 0x01800010;

TEST_F(TpmTest, Unseal_WithPcrsUnchanged_GivesTheSecret) {
  const Bytes secret = to_bytes("1234-the-pin");
  const auto blob = tpm_->seal(secret, kSelection);
  ASSERT_OK(blob);
  const auto opened = tpm_->unseal(*blob, kSelection);
  ASSERT_OK(opened);
  EXPECT_EQ(to_bytes(opened->view()), secret);
}

TEST_F(TpmTest, Unseal_AfterPcrExtend_IsRefused) {
  const auto blob = tpm_->seal(to_bytes("pin"), kSelection);
  ASSERT_OK(blob);
  const auto extended = tpm_->pcr_extend(16, Bytes(32, 1));
  ASSERT_OK(extended);
  EXPECT_KIND(ErrorKind::kRefused, tpm_->unseal(*blob, kSelection));
}

TEST_F(TpmTest, UnsealUnmeasured_AfterPcrExtend_GivesTheSecret) {
  const Bytes secret(128, 0x5a);
  const auto blob = tpm_->seal_unmeasured(secret);
  ASSERT_OK(blob);
  const auto extended = tpm_->pcr_extend(16, Bytes(32, 1));
  ASSERT_OK(extended);
  const auto opened = tpm_->unseal_unmeasured(*blob);
  ASSERT_OK(opened);
  EXPECT_EQ(to_bytes(opened->view()), secret);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->seal_unmeasured(Bytes(129, 1)));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->seal_unmeasured({}));
}

TEST_F(TpmTest, Unseal_AfterExtendOfAnUnselectedPcr_GivesTheSecret) {
  const auto blob = tpm_->seal(to_bytes("pin"), kSelection);
  ASSERT_OK(blob);
  const auto extended = tpm_->pcr_extend(15, Bytes(32, 1));
  ASSERT_OK(extended);
  const auto opened = tpm_->unseal(*blob, kSelection);
  ASSERT_OK(opened);
}

TEST_F(TpmTest, Unseal_WithAnotherSelection_IsRefused) {
  const auto blob = tpm_->seal(to_bytes("pin"), kSelection);
  ASSERT_OK(blob);
  EXPECT_KIND(ErrorKind::kRefused, tpm_->unseal(*blob, {TPM2_ALG_SHA256, {7}}));
}

TEST_F(TpmTest, Unseal_OnAnotherTpm_IsBadInput) {
  const auto blob = tpm_->seal(to_bytes("pin"), kSelection);
  ASSERT_OK(blob);
  const test::Swtpm other;
  EXPECT_KIND(ErrorKind::kBadInput, open(other)->unseal(*blob, kSelection));
}

TEST_F(TpmTest, Unseal_OfASigningKey_IsNotPossible) {
  const auto blob = tpm_->create_key({});
  ASSERT_OK(blob);
  EXPECT_FALSE(tpm_->unseal(*blob, kSelection));
}

TEST_F(TpmTest, Seal_AtAndBeyondTheLimit_IsTakenAndBadInput) {
  const auto largest = tpm_->seal(Bytes(128, 3), kSelection);
  ASSERT_OK(largest);
  const auto opened = tpm_->unseal(*largest, kSelection);
  ASSERT_OK(opened);
  EXPECT_EQ(opened->size(), 128u);
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->seal(Bytes(129, 3), kSelection));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->seal({}, kSelection));
}

// A bank that is not allocated would leave a policy over nothing (Structures §10.6.2).
TEST(ManufacturedTpm, Seal_UnderABankThatIsNotAllocated_IsBadInput) {
  const test::Swtpm device(test::Swtpm::Kind::kManufactured);  // SHA-256 bank alone
  auto tpm = open_tpm(device.tcti());
  ASSERT_OK(tpm);
  EXPECT_KIND(ErrorKind::kBadInput, (*tpm)->seal(Bytes(8, 1), {TPM2_ALG_SHA384, {7}}));
}

class SealedPinTest : public TpmTest {
 protected:
  std::string path() const { return device_.directory() + "/pin.tss2"; }
  std::unique_ptr<SealedPin> pin() {
    auto made = make_tss2_sealed_pin(*tpm_, path(), kSelection);
    if (!made) ADD_FAILURE() << made.error().what;
    return made ? std::move(*made) : nullptr;
  }
};

TEST_F(SealedPinTest, Unseal_AfterPowerLoss_GivesThePin) {
  const auto sealed = pin()->seal(SecretBytes(view_of("4711")));
  ASSERT_OK(sealed);
  device_.power_cut();
  device_.start();
  tpm_ = open(device_);
  const auto opened = pin()->unseal();
  ASSERT_OK(opened);
  EXPECT_EQ(text_of(opened->view()), "4711");
}

TEST_F(SealedPinTest, Seal_File_IsForItsOwnerAloneAndHoldsNoPin) {
  const auto sealed = pin()->seal(SecretBytes(view_of("clear-text-pin")));
  ASSERT_OK(sealed);
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto blob = read_tss2_key_file(path(), TpmKeyFileKind::kSealed);
  ASSERT_OK(blob);
  EXPECT_EQ(text_of(blob->private_area).find("clear-text-pin"), std::string_view::npos);
}

TEST_F(SealedPinTest, Unseal_AfterPcrExtend_IsRefused) {
  const auto sealed = pin()->seal(SecretBytes(view_of("4711")));
  ASSERT_OK(sealed);
  const auto extended = tpm_->pcr_extend(7, Bytes(32, 1));
  ASSERT_OK(extended);
  EXPECT_KIND(ErrorKind::kRefused, pin()->unseal());
}

TEST_F(SealedPinTest, Unseal_NeverSealed_IsBadInput) {
  EXPECT_KIND(ErrorKind::kBadInput, pin()->unseal());
}

TEST_F(SealedPinTest, Unseal_OfAForeignFile_IsBadInput) {
  const auto written = replace_file(path(), view_of("not a key"), 0600);
  ASSERT_OK(written);
  EXPECT_KIND(ErrorKind::kBadInput, pin()->unseal());
}

TEST_F(SealedPinTest, Make_WithPcrZeroOrNone_IsBadInput) {
  EXPECT_KIND(ErrorKind::kBadInput, make_tss2_sealed_pin(*tpm_, path(), {TPM2_ALG_SHA256, {7, 0}}));
  EXPECT_KIND(ErrorKind::kBadInput, make_tss2_sealed_pin(*tpm_, path(), {TPM2_ALG_SHA256, {}}));
  EXPECT_KIND(ErrorKind::kBadInput, make_tss2_sealed_pin(*tpm_, "", kSelection));
}

TEST_F(TpmTest, NvCounter_Increments_GrowByOneAndSurvivePowerLoss) {
  auto counter = open_nv_counter(*tpm_, kIndex);
  ASSERT_OK(counter);
  const auto start = (*counter)->read();
  ASSERT_OK(start);
  for (std::uint64_t step = 1; step <= 3; ++step) {
    const auto value = (*counter)->increment();
    ASSERT_OK(value);
    EXPECT_EQ(*value, *start + step);
  }
  device_.power_cut();
  device_.start();
  tpm_ = open(device_);
  auto again = open_nv_counter(*tpm_, kIndex);
  ASSERT_OK(again);
  const auto after = (*again)->read();
  ASSERT_OK(after);
  EXPECT_EQ(*after, *start + 3);
}

TEST_F(TpmTest, NvDefineCounter_Twice_IsRefused) {
  const auto first = tpm_->nv_define_counter(kIndex);
  ASSERT_OK(first);
  EXPECT_KIND(ErrorKind::kRefused, tpm_->nv_define_counter(kIndex));
}

TEST_F(TpmTest, NvCounter_NotThereOrNoCounter_IsBadInput) {
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->nv_read_counter(kIndex));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->nv_increment(kIndex));
  EXPECT_KIND(ErrorKind::kBadInput, tpm_->nv_define_counter(0x81000001));
}

TEST(ManufacturedTpm, NvCounter_AtTheIndexOfACertificate_IsBadInput) {
  const test::Swtpm device(test::Swtpm::Kind::kManufactured);
  auto tpm = open_tpm(device.tcti());
  ASSERT_OK(tpm);
  EXPECT_KIND(ErrorKind::kBadInput, (*tpm)->nv_read_counter(0x01c00002));
  EXPECT_KIND(ErrorKind::kBadInput, (*tpm)->nv_increment(0x01c00002));
}

}  // namespace
}  // namespace keyward::hal::tss2_test
