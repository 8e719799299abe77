// Proves that a challenge token is good for exactly what it was minted for.
#include "firmware/challenge/token.h"

#include <functional>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace keyward::challenge {
namespace {

TokenBinding binding() {
  TokenBinding b;
  b.thumbprint.fill(7);
  b.identifier = {wire::IdentifierType::kDns, "a.example"};
  b.method = wire::ValidationMethod::kHttp01;
  b.ticket = "ticket";
  b.expires_at_ms = 1'000;
  return b;
}

TokenMint mint_with(std::uint8_t byte) { return TokenMint(SecretBytes(Bytes(32, byte))); }

TEST(TokenMint_SameBinding_IsAccepted, Holds) {
  const auto mint = mint_with(1);
  EXPECT_TRUE(mint.check(mint.mint(binding()), binding(), 999).has_value());
}

TEST(TokenMint_TwoMints_Differ, Holds) {
  const auto mint = mint_with(1);
  EXPECT_NE(mint.mint(binding()), mint.mint(binding()));
}

TEST(TokenMint_Expired_IsRefused, Holds) {
  const auto mint = mint_with(1);
  EXPECT_STREQ(mint.check(mint.mint(binding()), binding(), 1'000).error().what,
               "challenge-token-expired");
}

TEST(TokenMint_OtherKey_IsForged, Holds) {
  EXPECT_STREQ(mint_with(2).check(mint_with(1).mint(binding()), binding(), 0).error().what,
               "challenge-token-forged");
}

TEST(TokenMint_NotBase64OrWrongSize_IsForged, Holds) {
  const auto mint = mint_with(1);
  EXPECT_STREQ(mint.check("***", binding(), 0).error().what, "challenge-token-forged");
  EXPECT_STREQ(mint.check("AAAA", binding(), 0).error().what, "challenge-token-forged");
  EXPECT_STREQ(mint.check("", binding(), 0).error().what, "challenge-token-forged");
}

class TokenField : public ::testing::TestWithParam<std::function<void(TokenBinding&)>> {};

TEST_P(TokenField, Changed_IsForged) {
  const auto mint = mint_with(1);
  const auto token = mint.mint(binding());
  TokenBinding other = binding();
  GetParam()(other);
  EXPECT_STREQ(mint.check(token, other, 0).error().what, "challenge-token-forged");
}

INSTANTIATE_TEST_SUITE_P(
    Each, TokenField,
    ::testing::Values([](TokenBinding& b) { b.thumbprint[0] ^= 1; },
                      [](TokenBinding& b) { b.identifier.value = "b.example"; },
                      [](TokenBinding& b) { b.identifier.type = wire::IdentifierType::kIp; },
                      [](TokenBinding& b) { b.wildcard = true; },
                      [](TokenBinding& b) { b.method = wire::ValidationMethod::kDns01; },
                      [](TokenBinding& b) { b.ticket = "other"; },
                      [](TokenBinding& b) { b.expires_at_ms += 1; },
                      [](TokenBinding& b) { b.subtree = true; }));

TEST(TokenMint_KeyChanged, TokenOfAnEarlierKey_IsAcceptedForThisAccountAlone) {
  const auto mint = mint_with(1);
  const auto token = mint.mint(binding());
  TokenBinding now = binding();
  now.thumbprint.fill(9);
  const std::vector<wire::EarlierKey> keys{{Digest256{}}, {binding().thumbprint}};
  EXPECT_STREQ(mint.check(token, now, {}, 0).error().what, "challenge-token-forged");
  EXPECT_TRUE(mint.check(token, now, keys, 0).has_value());
  EXPECT_STREQ(mint.check(token, now, keys, 1'000).error().what, "challenge-token-expired");
  now.identifier.value = "b.example";
  EXPECT_STREQ(mint.check(token, now, keys, 0).error().what, "challenge-token-forged");
}

TEST(TokenMint_EmptyTicket, IsABindingOfItsOwn) {
  const auto mint = mint_with(1);
  TokenBinding any_order = binding();
  any_order.ticket.clear();
  const auto token = mint.mint(any_order);
  EXPECT_TRUE(mint.check(token, any_order, 0).has_value());
  EXPECT_STREQ(mint.check(token, binding(), 0).error().what, "challenge-token-forged");
}

TEST(TokenMint_Open_KeepsItsKeyAndRefusesAWrongSize, Holds) {
  char path[] = "/tmp/keyward-token-XXXXXX";
  ASSERT_NE(::mkdtemp(path), nullptr);
  const std::string file = std::string(path) + "/key";
  auto first = TokenMint::open(file);
  ASSERT_TRUE(first.has_value());
  const auto token = first->mint(binding());
  auto second = TokenMint::open(file);
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(second->check(token, binding(), 0).has_value());
  ASSERT_EQ(::truncate(file.c_str(), 5), 0);
  EXPECT_EQ(TokenMint::open(file).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace keyward::challenge
