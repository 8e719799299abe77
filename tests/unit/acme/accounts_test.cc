// Tests the account cache: bound, order of leaving, coherence.
#include "firmware/acme/accounts.h"

#include <gtest/gtest.h>

namespace keyward::acme {
namespace {

AccountPtr account(const std::string& id) {
  static const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  wire::AccountRecord record;
  record.id = id;
  return std::make_shared<const Account>(
      Account{record, *jose::Jwk::from_public_key(key.public_key())});
}

TEST(AccountCache, Kept_Found) {
  AccountCache cache(2);
  cache.keep(account("a"), cache.generation());
  ASSERT_NE(cache.find("a"), nullptr);
  EXPECT_EQ(cache.find("a")->record.id, "a");
  EXPECT_EQ(cache.find("b"), nullptr);
}

TEST(AccountCache, Full_LeastRecentlyUsedGoes) {
  AccountCache cache(2);
  cache.keep(account("a"), cache.generation());
  cache.keep(account("b"), cache.generation());
  EXPECT_NE(cache.find("a"), nullptr);
  cache.keep(account("c"), cache.generation());
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_NE(cache.find("a"), nullptr);
  EXPECT_NE(cache.find("c"), nullptr);
}

TEST(AccountCache, LoadOvertakenByAChange_NotKept) {
  AccountCache cache(2);
  const auto before = cache.generation();
  cache.forget("a");  // another thread deactivated it while this one waited for the store
  cache.keep(account("a"), before);
  EXPECT_EQ(cache.find("a"), nullptr);
}

TEST(AccountCache, Forgotten_Gone) {
  AccountCache cache(2);
  cache.keep(account("a"), cache.generation());
  cache.forget("a");
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(cache.size(), 0U);
}

}  // namespace
}  // namespace keyward::acme
