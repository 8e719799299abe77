// Proves what an operator may write about statements, and that nothing loads that would take less
// than it seems to.
#include "firmware/attest/device_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/command/command.h"
#include "tests/support/statement/formats.h"

namespace keyward::attest {
namespace {

class DevicePolicy : public ::testing::Test {
 protected:
  DevicePolicy() {
    const test::FormatMaker maker(1'790'000'000'000);
    test::write_file(folder_.path("root.pem"),
                     view_of(x509::to_pem("CERTIFICATE", maker.root().der)));
    test::write_file(folder_.path("status.json"), view_of(R"({"entries":{}})"));
  }
  // "ROOT" and "LIST" stand for the files.
  Result<DeviceAttestPolicy> load(std::string toml) {
    const auto put = [&](const std::string& word, const std::string& file) {
      for (auto at = toml.find(word); at != std::string::npos; at = toml.find(word))
        toml.replace(at, word.size(), folder_.path(file));
    };
    put("ROOT", "root.pem");
    put("LIST", "status.json");
    auto document = config::Document::parse(toml, "test");
    auto root = document.root();
    const auto read = read_device_policy(root);
    problems_ = document.finish();
    return load_device_policy(read);
  }
  test::TempDir folder_;
  std::vector<std::string> problems_;
};

TEST_F(DevicePolicy, NothingSaid_TakesTpmAlone) {
  const auto policy = load(R"(ak_roots = ["ROOT"])");
  ASSERT_TRUE(policy.has_value()) << policy.error().what;
  EXPECT_TRUE(policy->tpm && !policy->packed && !policy->apple && !policy->android &&
              !policy->step);
  EXPECT_THAT(problems_, ::testing::IsEmpty());
}

TEST_F(DevicePolicy, EachFormatWithItsRoots_IsOnAndStrict) {
  const auto policy = load(R"(formats = ["packed", "apple", "android-key", "step"]
packed.roots = ["ROOT"]
apple.roots = ["ROOT"]
step.roots = ["ROOT"]
[android]
roots = ["ROOT"]
status_list = "LIST")");
  ASSERT_TRUE(policy.has_value()) << policy.error().what;
  EXPECT_FALSE(policy->tpm);
  ASSERT_TRUE(policy->packed && policy->apple && policy->android && policy->step);
  EXPECT_FALSE(policy->packed->allow_backup_eligible);
  EXPECT_TRUE(policy->apple->require_external_account);
  EXPECT_FALSE(policy->apple->allow_missing_freshness);
  EXPECT_EQ(policy->android->security_min, AndroidSecurity::kTee);
  EXPECT_FALSE(policy->android->allow_self_signed_boot);
  EXPECT_TRUE(policy->android->status_list != nullptr);
  EXPECT_FALSE(policy->step->pin.contains(PinPolicy::kNever));
  EXPECT_EQ(policy->step->firmware_min, 0x040305u);
}

TEST_F(DevicePolicy, EachWord_IsTaken) {
  const auto policy = load(R"(formats = ["packed", "apple", "android-key", "step"]
hardware_module_types = ["step=1.3.6.1.4.1.99999.1"]
[packed]
roots = ["ROOT"]
serial = "text"
aaguids = ["A5A5A5A5-a5a5-a5a5-a5a5-a5a5a5a5a5a5"]
allow_backup_eligible = true
[apple]
roots = ["ROOT"]
assigner = "1.2.3"
allow_missing_freshness = true
require_external_account = false
[android]
roots = ["ROOT"]
security_level = "strongbox"
verified_boot = "self-signed"
allow_without_status_list = true
identities = ["imei", "meid"]
os_patch_min = 202601
vendor_patch_min = 20260105
boot_patch_min = 20260105
[step]
roots = ["ROOT"]
pin_policies = ["never"]
touch_policies = ["always", "cached"]
firmware_min = "5.4.3")");
  ASSERT_TRUE(policy.has_value()) << policy.error().what;
  EXPECT_THAT(problems_, ::testing::IsEmpty());
  EXPECT_TRUE(policy->packed->serial_is_text && policy->packed->allow_backup_eligible);
  EXPECT_TRUE(policy->packed->aaguids.contains(hex_encode(Bytes(16, 0xa5))));
  EXPECT_TRUE(policy->apple->allow_missing_freshness);
  EXPECT_EQ(policy->apple->assigner, "1.2.3");
  EXPECT_EQ(policy->android->security_min, AndroidSecurity::kStrongBox);
  EXPECT_TRUE(policy->android->allow_self_signed_boot);
  EXPECT_FALSE(policy->android->identities.contains(AndroidIdentity::kSerial));
  EXPECT_EQ(policy->android->os_patch_min, 202601u);
  EXPECT_EQ(policy->step->pin, std::set<PinPolicy>{PinPolicy::kNever});
  EXPECT_EQ(policy->step->touch.size(), 2u);
  EXPECT_EQ(policy->step->firmware_min, 0x050403u);
  EXPECT_EQ(policy->hardware_module_types.at("step"), "1.3.6.1.4.1.99999.1");
}

TEST_F(DevicePolicy, WhatWouldTakeLessThanItSeems_DoesNotLoad) {
  const std::pair<const char*, const char*> kBad[] = {
      {"", "ak_roots"},
      {R"(formats = ["none"])", "formats"},
      {R"(formats = ["packed"])", "packed.roots"},
      {R"(formats = ["apple"])", "apple.roots"},
      {R"(formats = ["android-key"])", "android.roots"},
      {R"(formats = ["step"])", "step.roots"},
      {"formats = [\"packed\"]\npacked.roots = [\"ROOT\"]\npacked.serial = \"HEX\"",
       "packed.serial"},
      {"formats = [\"packed\"]\npacked.roots = [\"ROOT\"]\npacked.aaguids = [\"a5\"]",
       "packed.aaguids"},
      {"formats = [\"apple\"]\napple.roots = [\"ROOT\"]\napple.assigner = \"me\"", "assigner"},
      {"formats = [\"android-key\"]\nandroid.roots = [\"ROOT\"]", "android.status_list"},
      {"formats = [\"android-key\"]\nandroid.roots = [\"ROOT\"]\nandroid.status_list = \"ROOT\"",
       "json"},
      {"formats = [\"android-key\"]\nandroid.roots = [\"ROOT\"]\nandroid.security_level = "
       "\"software\"",
       "android.security_level"},
      {"formats = [\"android-key\"]\nandroid.roots = [\"ROOT\"]\nandroid.verified_boot = \"any\"",
       "android.verified_boot"},
      {"formats = [\"android-key\"]\nandroid.roots = [\"ROOT\"]\nandroid.identities = [\"brand\"]",
       "android.identities"},
      {"formats = [\"step\"]\nstep.roots = [\"ROOT\"]\nstep.pin_policies = [\"often\"]",
       "step.pin_policies"},
      {"formats = [\"step\"]\nstep.roots = [\"ROOT\"]\nstep.touch_policies = [\"once\"]",
       "step.touch_policies"},
      {"formats = [\"step\"]\nstep.roots = [\"ROOT\"]\nstep.firmware_min = \"5.4\"",
       "step.firmware_min"},
      {"ak_roots = [\"ROOT\"]\nhardware_module_types = [\"step\"]", "hardware_module_types"},
  };
  for (const auto& [toml, text] : kBad) {
    const auto policy = load(toml);
    ASSERT_FALSE(policy.has_value()) << toml;
    EXPECT_THAT(policy.error().what, ::testing::HasSubstr(text)) << toml;
  }
}

}  // namespace
}  // namespace keyward::attest
