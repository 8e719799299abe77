// SoftHSM behind p11-kit server, where the HSM is another process: it freezes, dies in its sleep,
// and is exchanged.
#include <gtest/gtest.h>

#include "tests/support/p11kit_server/p11kit_server.h"
#include "tests/support/softhsm/softhsm.h"

#include "helpers.h"

namespace keyward::test {
namespace {

using hal::KeyAlgorithm;
using hal::SignPriority;
using hal::TokenState;

class RemoteHsm : public testing::Test {
 protected:
  void SetUp() override {
    server_.start();
    auto config = hsm_.config();
    config.module_path = P11KitServer::client_module_path();
    config.environment = {{"P11_KIT_SERVER_ADDRESS", server_.address()}};
    config.quirks.stall_ms = 300;
    config.quirks.max_sessions = 1;  // see backend.cc
    auto opened = hal::open_pkcs11_token(config);
    ASSERT_TRUE(opened);
    token_ = std::move(*opened);
    ASSERT_TRUE(token_->unlock(hsm_.pin())) << token_->status().detail;
    ASSERT_TRUE(token_->generate_key("issuing", KeyAlgorithm::kEcdsaP256));
    ASSERT_TRUE(sign());
  }
  Result<Bytes> sign(std::int64_t ms = 10'000) {
    return token_->sign("issuing", view_of("a message"), in_ms(ms), SignPriority::kIssuance);
  }
  SoftHsm hsm_;
  P11KitServer server_{SoftHsm::module_path(), hsm_.directory() + "/socket",
                       hsm_.config().environment};
  std::unique_ptr<hal::SigningToken> token_;
};

TEST_F(RemoteHsm, Frozen_CallersLeaveAtTheirDeadline_ThawedWorks) {
  server_.freeze();
  const auto start = system_clock().monotonic_ms();
  EXPECT_EQ(sign(400).error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(sign(400).error().kind, ErrorKind::kUnavailable);
  EXPECT_LT(system_clock().monotonic_ms() - start, 3'000);
  server_.thaw();
  EXPECT_TRUE(eventually([&] { return sign(1'000).has_value(); })) << token_->status().detail;
}

TEST_F(RemoteHsm, FrozenThenKilled_RecoversWithTheNextServer) {
  server_.freeze();
  EXPECT_EQ(sign(400).error().kind, ErrorKind::kUnavailable);
  server_.kill();
  EXPECT_TRUE(eventually([&] { return !sign(500); }));
  server_.start();
  EXPECT_TRUE(eventually([&] { return sign(1'000).has_value(); })) << token_->status().detail;
}

TEST_F(RemoteHsm, RestartedWhileIdle_NextSignatureSucceedsWithoutTheCallerNoticing) {
  server_.kill();
  server_.start();
  // The first C_SignInit fails on the dead connection; nothing was signed, so the call is repeated.
  auto signature = sign();
  EXPECT_TRUE(signature) << signature.error().what;
  EXPECT_EQ(token_->status().reconnects, 1);
}

}  // namespace
}  // namespace keyward::test
