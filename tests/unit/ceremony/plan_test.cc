// Proves that a plan which would make a bad hierarchy is refused before any key is made.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/ceremony/ceremony.h"

namespace keyward::ceremony {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kRoot =
    "[root]\nkey_label = \"root\"\nalgorithm = \"ecdsa-p384\"\ncommon_name = \"R\"\nlifetime_days "
    "= 7300\npath_length = 1\n";
const std::string kIssuing =
    "[issuing]\nkey_label = \"issuing\"\nalgorithm = \"ecdsa-p256\"\ncommon_name = "
    "\"I\"\nlifetime_days = 1825\npath_length = 0\n";

std::vector<std::string> problems_of(std::string text, const std::string& from = "",
                                     const std::string& to = "") {
  if (!from.empty()) text.replace(text.rfind(from), from.size(), to);
  return parse_plan(text, "plan").problems;
}

TEST(Plan_Example, HasNoProblem) {
  EXPECT_THAT(
      load_plan(std::string(std::getenv("KEYWARD_SOURCE")) + "/apps/ctl/ceremony.example.toml")
          .problems,
      IsEmpty());
  EXPECT_THAT(problems_of(kRoot + kIssuing), IsEmpty());
}

TEST(Plan_IssuingThatCouldMakeCas, IsRefused) {
  EXPECT_THAT(problems_of(kRoot + kIssuing, "path_length = 0\n", "path_length = 1\n"),
              Contains(HasSubstr("path_length must be 0")));
  EXPECT_THAT(problems_of(kRoot + kIssuing, "path_length = 0\n", ""),
              Contains(HasSubstr("path_length must be 0")));
}

TEST(Plan_RootWithoutRoomForIssuing, IsRefused) {
  EXPECT_THAT(problems_of(kRoot + kIssuing, "path_length = 1\n", "path_length = 0\n"),
              Contains(HasSubstr("leave room")));
}

TEST(Plan_IssuingThatOutlivesTheRoot, IsRefused) {
  EXPECT_THAT(problems_of(kRoot + kIssuing, "1825", "7301"),
              Contains(HasSubstr("must not outlive")));
}

TEST(Plan_SameNameTwice, IsRefused) {
  EXPECT_THAT(problems_of(kRoot + kIssuing, "\"I\"", "\"R\""),
              Contains(HasSubstr("different names")));
}

// A key has one use: what decrypts signs no certificate.
TEST(Plan_EvidenceKeyThatIsTheIssuingOne, IsRefused) {
  const auto evidence = [](const std::string& label) {
    return parse_plan(kRoot + kIssuing + "[evidence]\nkey_label = \"" + label + "\"\n", "plan");
  };
  const auto plan = evidence("evidence");
  EXPECT_TRUE(plan.problems.empty());
  EXPECT_EQ(plan.plan.evidence_key_label, "evidence");
  EXPECT_THAT(evidence(plan.plan.issuing.key_label).problems,
              Contains(HasSubstr("a key has one use")));
}

TEST(Plan_UnknownAlgorithm, IsRefused) {
  EXPECT_THAT(problems_of(kRoot + kIssuing, "ecdsa-p256", "rsa-1024"),
              Contains(HasSubstr("algorithm 'rsa-1024'")));
}

TEST(Plan_NameConstraintsMalformedOrOnTheRoot, AreRefused) {
  EXPECT_THAT(problems_of(kRoot + kIssuing + "permitted_dns = [\"Plant.example\"]\n"),
              Contains(HasSubstr("lower-case DNS name")));
  EXPECT_THAT(problems_of(kRoot + "permitted_dns = [\"plant.example\"]\n" + kIssuing),
              Contains(HasSubstr("belong to the issuing CA")));
}

TEST(Plan_UnknownKey, IsRefused) {
  EXPECT_THAT(problems_of(kRoot + kIssuing + "lifetime = 3\n"), Contains(HasSubstr("unknown key")));
}

}  // namespace
}  // namespace keyward::ceremony
