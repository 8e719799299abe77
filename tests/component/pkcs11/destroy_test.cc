// Keys in a real SoftHSM are destroyed, one by one and with their whole token, and are really gone.
#include "hal/pkcs11/destroy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/softhsm/softhsm.h"

namespace keyward::test {
namespace {

using hal::KeyAlgorithm;

// Two keys that may be destroyed, or (as the product makes them) may not.
void make_keys(const SoftHsm& hsm, bool destroyable) {
  auto config = hsm.config();
  config.quirks.omit.destroyable = destroyable;
  auto token = hal::open_pkcs11_token(config);
  ASSERT_TRUE(token);
  ASSERT_TRUE((*token)->unlock(hsm.pin()));
  ASSERT_TRUE((*token)->generate_key("issuing", KeyAlgorithm::kEcdsaP256));
  ASSERT_TRUE((*token)->generate_key("audit", KeyAlgorithm::kEcdsaP256));
}

TEST(DestroyKeys, ThatMayBeDestroyed_AreGoneAndOthersStay) {
  const SoftHsm hsm;
  make_keys(hsm, true);
  const auto done = hal::destroy_keys(hsm.config(), hsm.pin(), {"issuing", "absent"});
  ASSERT_TRUE(done) << done.error().what;
  ASSERT_EQ(done->size(), 2u);
  EXPECT_TRUE((*done)[0].gone) << (*done)[0].why;
  EXPECT_EQ((*done)[0].destroyed, 2);  // both halves
  EXPECT_TRUE((*done)[1].gone);
  EXPECT_EQ((*done)[1].found, 0);
  auto token = hal::open_pkcs11_token(hsm.config());
  ASSERT_TRUE(token && (*token)->unlock(hsm.pin()));
  EXPECT_EQ((*token)->find_key("issuing").error().kind, ErrorKind::kBadInput);
  EXPECT_TRUE((*token)->find_key("audit"));
}

TEST(DestroyKeys, MadeByTheProduct_SayThatTheyForbidIt_AndFallWithTheToken) {
  const SoftHsm hsm;
  make_keys(hsm, false);
  const auto done = hal::destroy_keys(hsm.config(), hsm.pin(), {"issuing", "audit"});
  ASSERT_TRUE(done) << done.error().what;
  for (const auto& key : *done) {
    if (key.gone) continue;  // a module that heeds no CKA_DESTROYABLE
    EXPECT_THAT(key.why, ::testing::HasSubstr("CKA_DESTROYABLE"));
    EXPECT_EQ(key.destroyed, 0);  // nor its public half: it still works
    auto token = hal::open_pkcs11_token(hsm.config());
    ASSERT_TRUE(token && (*token)->unlock(hsm.pin()));
    EXPECT_TRUE((*token)->find_key(key.label)) << key.label;
  }
  const auto erased = hal::erase_token(hsm.config(), hsm.so_pin());
  ASSERT_TRUE(erased) << erased.error().what;
  // The user's PIN went with it: nobody logs in.
  const auto again = hal::destroy_keys(hsm.config(), hsm.pin(), {"issuing"});
  EXPECT_FALSE(again);
}

TEST(DestroyKeys, WrongPins_AreRefusedAndNothingIsLost) {
  const SoftHsm hsm;
  make_keys(hsm, true);
  const SecretBytes wrong(view_of("0000-wrong"));
  const auto by_user = hal::destroy_keys(hsm.config(), wrong, {"issuing"});
  ASSERT_FALSE(by_user);
  EXPECT_EQ(by_user.error().kind, ErrorKind::kRefused);
  const auto by_officer = hal::erase_token(hsm.config(), wrong);
  ASSERT_FALSE(by_officer);
  EXPECT_EQ(by_officer.error().kind, ErrorKind::kRefused);
  auto token = hal::open_pkcs11_token(hsm.config());
  ASSERT_TRUE(token && (*token)->unlock(hsm.pin()));
  EXPECT_TRUE((*token)->find_key("issuing"));
}

TEST(DestroyKeys, ModuleAbsent_IsUnavailable) {
  hal::Pkcs11Config config;
  config.module_path = "/nonexistent/module.so";
  config.token_label = "x";
  const SecretBytes pin(view_of("1234"));
  EXPECT_EQ(hal::destroy_keys(config, pin, {"a"}).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(hal::erase_token(config, pin).error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace keyward::test
