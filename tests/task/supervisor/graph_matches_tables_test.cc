// Proves that the table compiled into each task says the same as tasks.toml.
#include <cstdlib>
#include <set>

#include <gtest/gtest.h>
#include <stdio.h>

#include "firmware/supervise/graph.h"
#include "firmware/wire/names.h"

namespace keyward::supervise {
namespace {

using Lines = std::set<std::string>;

Lines wanted(const Graph& graph, wire::TaskId id) {
  Lines out;
  for (const auto& edge : graph.edges) {
    for (const auto type : edge.messages) {
      if (edge.from == id)
        out.insert("to " + std::string(wire::to_string(edge.to)) + " " +
                   std::string(wire::message_name(type)));
      if (edge.to == id)
        out.insert("from " + std::string(wire::to_string(edge.from)) + " " +
                   std::string(wire::message_name(type)));
    }
  }
  return out;
}

Lines compiled_in(const TaskSpec& task) {
  Lines out;
  const std::string command =
      std::string(std::getenv("KEYWARD_BIN")) + "/" + task.executable + " --print-peers";
  FILE* pipe = ::popen(command.c_str(), "r");
  char line[256];
  while (pipe != nullptr && ::fgets(line, sizeof line, pipe) != nullptr) {
    std::string text(line);
    text.pop_back();
    out.insert(text);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return out;
}

TEST(PeerTables_OfEveryTask, EqualTheGraph) {
  const auto result =
      load_graph(std::string(std::getenv("KEYWARD_SOURCE")) + "/apps/supervisor/tasks.toml");
  ASSERT_TRUE(result.problems.empty());
  ASSERT_FALSE(result.graph.tasks.empty());
  for (const auto& task : result.graph.tasks) {
    const auto lines = wanted(result.graph, task.id);
    // One task alone has nobody to speak with.
    EXPECT_EQ(lines.empty(), task.name == "syslog") << task.name;
    EXPECT_EQ(compiled_in(task), lines) << task.name;
  }
}

}  // namespace
}  // namespace keyward::supervise
