// Tests the state machines edge by edge.
#include "firmware/acme/states.h"

#include <set>

#include <gtest/gtest.h>

namespace keyward::acme {
namespace {

// Every edge that RFC 8555 §7.1.6 draws (and the two that states.h explains); all others are
// refused.
template <class S>
void expect_edges(const std::vector<S>& all, const std::set<std::pair<S, S>>& allowed) {
  for (const auto from : all) {
    for (const auto to : all) {
      EXPECT_EQ(may_change(from, to), allowed.contains({from, to}))
          << static_cast<int>(from) << " -> " << static_cast<int>(to);
    }
  }
}

TEST(States, Order_AllPairs_OnlyDrawnEdges) {
  using S = OrderStatus;
  expect_edges<S>({S::kPending, S::kReady, S::kProcessing, S::kValid, S::kInvalid},
                  {{S::kPending, S::kReady},
                   {S::kPending, S::kInvalid},
                   {S::kReady, S::kProcessing},
                   {S::kReady, S::kInvalid},
                   {S::kProcessing, S::kValid},
                   {S::kProcessing, S::kInvalid},
                   {S::kProcessing, S::kReady}});
}

TEST(States, Authz_AllPairs_OnlyDrawnEdges) {
  using S = AuthzStatus;
  expect_edges<S>({S::kPending, S::kValid, S::kInvalid, S::kDeactivated, S::kExpired, S::kRevoked},
                  {{S::kPending, S::kValid},
                   {S::kPending, S::kInvalid},
                   {S::kPending, S::kDeactivated},
                   {S::kPending, S::kExpired},
                   {S::kValid, S::kDeactivated},
                   {S::kValid, S::kExpired},
                   {S::kValid, S::kRevoked}});
}

TEST(States, Challenge_AllPairs_OnlyDrawnEdges) {
  using S = ChallengeStatus;
  expect_edges<S>({S::kPending, S::kProcessing, S::kValid, S::kInvalid},
                  {{S::kPending, S::kProcessing},
                   {S::kPending, S::kValid},
                   {S::kPending, S::kInvalid},
                   {S::kProcessing, S::kValid},
                   {S::kProcessing, S::kInvalid}});
}

TEST(States, Account_Deactivated_NeverComesBack) {
  using S = AccountStatus;
  expect_edges<S>({S::kValid, S::kDeactivated, S::kRevoked},
                  {{S::kValid, S::kDeactivated}, {S::kValid, S::kRevoked}});
}

TEST(States, AuthzAfter_ChallengeEnds_FollowsOnlyWhilePending) {
  EXPECT_EQ(authz_after(AuthzStatus::kPending, ChallengeStatus::kValid), AuthzStatus::kValid);
  EXPECT_EQ(authz_after(AuthzStatus::kPending, ChallengeStatus::kInvalid), AuthzStatus::kInvalid);
  EXPECT_EQ(authz_after(AuthzStatus::kPending, ChallengeStatus::kProcessing),
            AuthzStatus::kPending);
  EXPECT_EQ(authz_after(AuthzStatus::kDeactivated, ChallengeStatus::kValid),
            AuthzStatus::kDeactivated);
  EXPECT_EQ(authz_after(AuthzStatus::kValid, ChallengeStatus::kInvalid), AuthzStatus::kValid);
}

TEST(States, OrderAfter_Authorizations_ReadyOnlyWhenAllValid) {
  using A = AuthzStatus;
  const auto after = [](std::vector<A> authzs) {
    return order_after(OrderStatus::kPending, authzs);
  };
  EXPECT_EQ(after({A::kValid, A::kValid}), OrderStatus::kReady);
  EXPECT_EQ(after({A::kValid, A::kPending}), OrderStatus::kPending);
  EXPECT_EQ(after({A::kPending, A::kInvalid}), OrderStatus::kInvalid);
  EXPECT_EQ(after({A::kValid, A::kDeactivated}), OrderStatus::kInvalid);
  EXPECT_EQ(after({A::kValid, A::kExpired}), OrderStatus::kInvalid);
  EXPECT_EQ(after({A::kValid, A::kRevoked}), OrderStatus::kInvalid);
}

TEST(States, OrderAfter_NoAuthorizations_NeverReady) {
  EXPECT_EQ(order_after(OrderStatus::kPending, {}), OrderStatus::kPending);
}

TEST(States, OrderAfter_LaterStates_Stay) {
  const std::vector<AuthzStatus> dead{AuthzStatus::kInvalid};
  EXPECT_EQ(order_after(OrderStatus::kProcessing, dead), OrderStatus::kProcessing);
  EXPECT_EQ(order_after(OrderStatus::kValid, dead), OrderStatus::kValid);
}

TEST(States, AtTime_Expiry_EndsWhatWaitsForTheClient) {
  EXPECT_EQ(at_time(OrderStatus::kPending, 100, 99), OrderStatus::kPending);
  EXPECT_EQ(at_time(OrderStatus::kPending, 100, 100), OrderStatus::kInvalid);
  EXPECT_EQ(at_time(OrderStatus::kReady, 100, 100), OrderStatus::kInvalid);
  EXPECT_EQ(at_time(OrderStatus::kProcessing, 100, 100), OrderStatus::kProcessing);
  EXPECT_EQ(at_time(OrderStatus::kValid, 100, 100), OrderStatus::kValid);
  EXPECT_EQ(at_time(AuthzStatus::kPending, 100, 100), AuthzStatus::kExpired);
  EXPECT_EQ(at_time(AuthzStatus::kValid, 100, 100), AuthzStatus::kExpired);
  EXPECT_EQ(at_time(AuthzStatus::kInvalid, 100, 100), AuthzStatus::kInvalid);
}

}  // namespace
}  // namespace keyward::acme
