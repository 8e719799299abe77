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
  expect_edges<S>({S::kPending, S::kReady, S::kProcessing, S::kValid, S::kInvalid, S::kCanceled},
                  {{S::kPending, S::kReady},
                   {S::kPending, S::kInvalid},
                   {S::kReady, S::kProcessing},
                   {S::kReady, S::kInvalid},
                   {S::kProcessing, S::kValid},
                   {S::kProcessing, S::kInvalid},
                   {S::kProcessing, S::kReady},
                   {S::kValid, S::kCanceled}});
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

// Each status on both sides of its expiry (§7.1.6: what is drawn as "expires").
template <class S>
struct AtExpiry {
  S before;
  S after;
};

TEST(States, Order_EachStatusAtItsExpiry) {
  using S = OrderStatus;
  const AtExpiry<S> cases[] = {
      {S::kPending, S::kInvalid},       {S::kReady, S::kInvalid},
      {S::kProcessing, S::kProcessing},  // its finalize came in time: the signer decides
      {S::kValid, S::kValid},            // its certificate exists
      {S::kInvalid, S::kInvalid},       {S::kCanceled, S::kCanceled}};
  for (const auto& c : cases) {
    EXPECT_EQ(at_time(c.before, 100, 99), c.before) << static_cast<int>(c.before);
    EXPECT_EQ(at_time(c.before, 100, 100), c.after) << static_cast<int>(c.before);
    EXPECT_EQ(at_time(c.before, 100, 1'000), c.after) << static_cast<int>(c.before);
    // What time does is an edge of the machine, or nothing.
    EXPECT_TRUE(c.before == c.after || may_change(c.before, c.after));
  }
}

TEST(States, Authz_EachStatusAtItsExpiry) {
  using S = AuthzStatus;
  const AtExpiry<S> cases[] = {{S::kPending, S::kExpired}, {S::kValid, S::kExpired},
                               {S::kInvalid, S::kInvalid}, {S::kDeactivated, S::kDeactivated},
                               {S::kExpired, S::kExpired}, {S::kRevoked, S::kRevoked}};
  for (const auto& c : cases) {
    EXPECT_EQ(at_time(c.before, 100, 99), c.before) << static_cast<int>(c.before);
    EXPECT_EQ(at_time(c.before, 100, 100), c.after) << static_cast<int>(c.before);
    EXPECT_TRUE(c.before == c.after || may_change(c.before, c.after));
  }
}

// What one authorization's status makes of an order that relies on it and on a valid one.
TEST(States, OrderAfter_EachPair) {
  using O = OrderStatus;
  using A = AuthzStatus;
  for (const auto order :
       {O::kPending, O::kReady, O::kProcessing, O::kValid, O::kInvalid, O::kCanceled}) {
    for (const auto authz :
         {A::kPending, A::kValid, A::kInvalid, A::kDeactivated, A::kExpired, A::kRevoked}) {
      const bool open = order == O::kPending || order == O::kReady;
      const auto expected = !open                  ? order
                            : authz == A::kPending ? order
                            : authz == A::kValid   ? O::kReady
                                                   : O::kInvalid;
      const std::vector<A> all = {A::kValid, authz};
      EXPECT_EQ(order_after(order, all), expected)
          << static_cast<int>(order) << " with " << static_cast<int>(authz);
      EXPECT_TRUE(expected == order || may_change(order, expected));
    }
  }
}

// What a challenge's end makes of its authorization: nothing but the edges that are drawn.
TEST(States, AuthzAfter_EachPair) {
  using A = AuthzStatus;
  using C = ChallengeStatus;
  for (const auto authz :
       {A::kPending, A::kValid, A::kInvalid, A::kDeactivated, A::kExpired, A::kRevoked}) {
    for (const auto challenge : {C::kPending, C::kProcessing, C::kValid, C::kInvalid}) {
      const auto expected = authz != A::kPending       ? authz
                            : challenge == C::kValid   ? A::kValid
                            : challenge == C::kInvalid ? A::kInvalid
                                                       : A::kPending;
      EXPECT_EQ(authz_after(authz, challenge), expected);
    }
  }
}

}  // namespace
}  // namespace keyward::acme
