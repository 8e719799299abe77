// Proves the restart budget and the overall state that an operator sees.
#include "firmware/supervise/child.h"

#include <gtest/gtest.h>

#include "firmware/json/json.h"

namespace keyward::supervise {
namespace {

constexpr RestartBudget kBudget{3, 10'000, 50, 1'000};

TEST(Restart_WithinTheBudget, WaitsLongerEachTime) {
  RestartHistory history(kBudget);
  EXPECT_EQ(history.ended(0, false).wait_ms, 50);
  EXPECT_EQ(history.ended(100, false).wait_ms, 100);
  EXPECT_EQ(history.ended(200, false).wait_ms, 200);
}

TEST(Restart_BudgetUsedUp, IsFailedForOneWindow) {
  RestartHistory history(kBudget);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(history.ended(i, false).phase, TaskPhase::kWaiting);
  const auto decision = history.ended(3, false);
  EXPECT_EQ(decision.phase, TaskPhase::kFailed);
  EXPECT_EQ(decision.wait_ms, 10'000);
  EXPECT_EQ(history.ended(10'004, false).phase, TaskPhase::kWaiting);
}

TEST(Restart_AfterAQuietWindow, StartsFromTheMinimumAgain) {
  RestartHistory history(kBudget);
  (void)history.ended(0, false);
  (void)history.ended(1, false);
  EXPECT_EQ(history.ended(20'000, false).wait_ms, 50);
}

TEST(Restart_ConfigurationWrong, IsNeverTriedAgain) {
  RestartHistory history(kBudget);
  const auto decision = history.ended(0, true);
  EXPECT_EQ(decision.phase, TaskPhase::kFailed);
  EXPECT_EQ(decision.wait_ms, -1);
}

TaskStatus task(TaskPhase phase, std::string state, std::int64_t restarts = 0) {
  TaskStatus out;
  out.name = "t";
  out.phase = phase;
  out.state = std::move(state);
  out.restarts = restarts;
  return out;
}

std::string overall(std::vector<TaskStatus> tasks) {
  ApplianceStatus status;
  status.tasks = std::move(tasks);
  return overall_state(status);
}

TEST(OverallState_EachMixture, SaysTheWorst) {
  EXPECT_EQ(
      overall({task(TaskPhase::kReady, "operational"), task(TaskPhase::kReady, "operational")}),
      "operational");
  EXPECT_EQ(overall({task(TaskPhase::kReady, ""), task(TaskPhase::kReady, "operational")}),
            "starting");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "", 1), task(TaskPhase::kReady, "operational")}),
            "degraded");
  EXPECT_EQ(overall({task(TaskPhase::kReady, ""), task(TaskPhase::kStarting, "")}), "starting");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "degraded")}), "degraded");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "starting")}), "starting");
  EXPECT_EQ(overall({task(TaskPhase::kReady, ""), task(TaskPhase::kWaiting, "")}), "degraded");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "operational"), task(TaskPhase::kStarting, "", 1)}),
            "degraded");
  EXPECT_EQ(overall({task(TaskPhase::kStarting, ""), task(TaskPhase::kFailed, "")}), "failed");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "degraded"), task(TaskPhase::kReady, "locked")}),
            "locked");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "tampered"), task(TaskPhase::kReady, "locked")}),
            "locked");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "locked"), task(TaskPhase::kFailed, "")}), "failed");
  EXPECT_EQ(overall({task(TaskPhase::kReady, "unprovisioned"), task(TaskPhase::kFailed, "")}),
            "unprovisioned");
}

TEST(Status_Rendered, IsJsonWithEverythingAnOperatorNeeds) {
  ApplianceStatus status;
  status.supervisor_pid = 7;
  status.reduced_isolation = {"shared \"uid\""};
  status.tasks = {task(TaskPhase::kReady, "operational", 2)};
  status.tasks.front().since_utc_ms = 1'700'000'000'000;
  const auto parsed = json::Document::parse(render_status(status));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->root().get("supervisor_pid").integer(), 7);
  EXPECT_EQ(parsed->root().get("reduced_isolation").items().at(0).string(), "shared \"uid\"");
  EXPECT_EQ(parsed->root().get("tasks").items().at(0).get("restarts").integer(), 2);
  EXPECT_EQ(parsed->root().get("tasks").items().at(0).get("since_utc_ms").integer(),
            1'700'000'000'000);
  EXPECT_EQ(parsed->root().get("state").string(), "operational");
}

}  // namespace
}  // namespace keyward::supervise
