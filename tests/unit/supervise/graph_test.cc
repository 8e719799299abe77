// Proves that tasks.toml is accepted as shipped and that a graph which could deadlock or lies is
// refused.
#include "firmware/supervise/graph.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/wire/names.h"

namespace keyward::supervise {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::TaskId;

std::string task(const std::string& name, int rank, int uid_offset) {
  return "[[task]]\nname = \"" + name + "\"\nrank = " + std::to_string(rank) +
         "\nexecutable = \"keyward-" + name + "\"\nuid_offset = " + std::to_string(uid_offset) +
         "\nrestart = {max = 3, window_s = 60, backoff_min_ms = 50, backoff_max_ms = 1000}\n"
         "silence_ms = 15000\nstart_ms = 60000\nstop_ms = 5000\nfiles_max = 64\nthreads_max = 64\n";
}

std::string edge(const std::string& from, const std::string& to, const std::string& messages) {
  return "[[edge]]\nfrom = \"" + from + "\"\nto = \"" + to + "\"\nmessages = [" + messages + "]\n";
}

std::vector<std::string> problems_of(const std::string& body) {
  return parse_graph("format = 1\n" + body, "t").problems;
}

const std::string kTwo = task("acme", 1, 1) + task("store", 2, 2);

TEST(Graph_AsShipped, HasNoProblem) {
  const auto result =
      load_graph(std::string(std::getenv("KEYWARD_SOURCE")) + "/apps/supervisor/tasks.toml");
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_EQ(result.graph.tasks.size(), 8U);
  EXPECT_THAT(result.graph.ranks(), ElementsAre(1, 2, 3, 4, 9));
  // DESIGN §2.1: grants reach the signer from two tasks alone.
  for (const auto& e : result.graph.edges) {
    EXPECT_NE(e.from, TaskId::kSyslog);  // whoever has it can ask nobody anything
    EXPECT_NE(e.to, TaskId::kSyslog);
    for (const auto type : e.messages) {
      if (type == wire::MessageType::kOperatorOrder) {
        EXPECT_EQ(e.from, TaskId::kAdmin);
      }
      if (type == wire::MessageType::kAuditHeadGet) {
        EXPECT_EQ(e.from, TaskId::kAdmin);
      }
      if (type == wire::MessageType::kGrantName) {
        EXPECT_EQ(e.from, TaskId::kValidation);
      }
      if (type == wire::MessageType::kGrantDevice) {
        EXPECT_EQ(e.from, TaskId::kAttestation);
      }
    }
  }
}

TEST(Graph_TwoTasks, AreAccepted) {
  EXPECT_THAT(problems_of(kTwo + edge("acme", "store", "\"account-get\"")), IsEmpty());
}

TEST(Graph_EdgeDownhill, IsRefused) {
  EXPECT_THAT(problems_of(kTwo + edge("store", "acme", "\"account-get\"")),
              ElementsAre(HasSubstr("is not uphill")));
}

TEST(Graph_EdgeWithinARank, IsRefused) {
  EXPECT_THAT(problems_of(task("acme", 1, 1) + task("store", 1, 2) +
                          edge("acme", "store", "\"account-get\"")),
              ElementsAre(HasSubstr("is not uphill")));
}

TEST(Graph_UnknownMessage, IsRefused) {
  EXPECT_THAT(problems_of(kTwo + edge("acme", "store", "\"account-steal\"")),
              Contains(HasSubstr("unknown message 'account-steal'")));
}

TEST(Graph_ReplyOrControlMessage, IsRefused) {
  EXPECT_THAT(problems_of(kTwo + edge("acme", "store", "\"account-get-reply\"")),
              Contains(HasSubstr("is not a request")));
  EXPECT_THAT(problems_of(kTwo + edge("acme", "store", "\"control-stop\"")),
              Contains(HasSubstr("is not a request")));
  EXPECT_THAT(problems_of(kTwo + edge("acme", "store", "\"failure\"")),
              Contains(HasSubstr("is not a request")));
}

TEST(Graph_EdgeWithoutMessages, IsRefused) {
  EXPECT_THAT(problems_of(kTwo + edge("acme", "store", "")), ElementsAre(HasSubstr("no messages")));
}

TEST(Graph_EdgeToNowhere, IsRefused) {
  EXPECT_THAT(problems_of(kTwo + edge("acme", "signer", "\"issuer-get\"")),
              ElementsAre(HasSubstr("without a [[task]]")));
  EXPECT_THAT(problems_of(kTwo + edge("acme", "cellar", "\"issuer-get\"")),
              Contains(HasSubstr("no such task")));
}

TEST(Graph_AnythingTwice, IsRefused) {
  const auto e = edge("acme", "store", "\"account-get\"");
  EXPECT_THAT(problems_of(kTwo + e + e), ElementsAre(HasSubstr("stands twice")));
  EXPECT_THAT(problems_of(kTwo + task("store", 2, 3)), ElementsAre(HasSubstr("stands twice")));
  EXPECT_THAT(problems_of(kTwo + edge("acme", "store", "\"account-get\", \"account-get\"")),
              ElementsAre(HasSubstr("stands twice")));
  EXPECT_THAT(problems_of(task("acme", 1, 1) + task("store", 2, 1)),
              ElementsAre(HasSubstr("another task's")));
}

TEST(Graph_SupervisorOrUnknownTask, IsRefused) {
  EXPECT_THAT(problems_of(task("supervisor", 1, 1)), ElementsAre(HasSubstr("is not a task")));
  EXPECT_THAT(problems_of(task("cellar", 1, 1)), ElementsAre(HasSubstr("is not a task")));
}

TEST(Graph_ExecutableWithFolder, IsRefused) {
  auto text = task("acme", 1, 1);
  text.replace(text.find("keyward-acme"), 12, "../bin/sh");
  EXPECT_THAT(problems_of(text), ElementsAre(HasSubstr("without a folder")));
}

TEST(Graph_UnknownKey, IsRefused) {
  EXPECT_THAT(problems_of(kTwo + "rnak = 3\n"),
              ElementsAre(AllOf(HasSubstr("unknown key"), HasSubstr("rnak"))));
}

TEST(Graph_Empty, IsRefused) {
  EXPECT_THAT(problems_of(""), ElementsAre(HasSubstr("there is no task")));
}

TEST(Backoff_Restarts, DoubleTheWaitUpToTheMaximum) {
  const RestartBudget budget{10, 60'000, 50, 1'000};
  EXPECT_EQ(backoff_ms(budget, 1), 50);
  EXPECT_EQ(backoff_ms(budget, 2), 100);
  EXPECT_EQ(backoff_ms(budget, 5), 800);
  EXPECT_EQ(backoff_ms(budget, 6), 1'000);
  EXPECT_EQ(backoff_ms(budget, 1'000), 1'000);
}

}  // namespace
}  // namespace keyward::supervise
