// Proves that a whole ceremony's plan which cannot be carried out, or would make a bad CA, is refused
// with a text that says where, before any key is made.
#include "firmware/ceremony/whole_plan.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/ceremony/name_constraints.h"
#include "hal/base/file.h"

namespace keyward::ceremony {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

std::string example(const char* name) {
  return read_text_file(
             std::string(std::getenv("KEYWARD_SOURCE")) + "/docs/examples/ceremony/" + name, 65'536)
      .value_or("");
}

// The plant's plan with one place changed; the change must be there.
WholePlanResult changed(const std::string& from, const std::string& to) {
  std::string text = example("plant.toml");
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return parse_whole_plan(text, "plan.toml");
}

std::vector<std::string> problems(const std::string& from, const std::string& to) {
  return changed(from, to).problems;
}

TEST(WholePlan_Examples, HaveNoProblem) {
  for (const auto* name : {"plant.toml", "small.toml", "external-root.toml"}) {
    ASSERT_FALSE(example(name).empty()) << name;
    EXPECT_THAT(parse_whole_plan(example(name), name).problems, IsEmpty());
  }
}

TEST(WholePlan_Example_IsReadWhole, AsItStands) {
  const auto plan = parse_whole_plan(example("plant.toml"), "p").plan;
  EXPECT_EQ(plan.unit, "plant-north-1");
  ASSERT_EQ(plan.issuing.size(), 2u);
  EXPECT_EQ(plan.issuing[1].ca.permitted_ip.size(), 2u);
  EXPECT_EQ(plan.ocsp.size(), 2u);
  EXPECT_EQ(plan.operators.size(), 3u);
  EXPECT_EQ(plan.custodians.threshold, 3);
  EXPECT_EQ(plan.token("unit")->folder, "tokens/unit");
  EXPECT_EQ(plan.token("nobody"), nullptr);
}

struct Wrong {
  const char* from;
  const char* to;
  const char* says;
};

class WholePlan_Wrong : public testing::TestWithParam<Wrong> {};

TEST_P(WholePlan_Wrong, IsRefusedByName) {
  EXPECT_THAT(problems(GetParam().from, GetParam().to), Contains(HasSubstr(GetParam().says)));
}

const Wrong kWrong[] = {
    {"format = 1", "format = 2", "'format' must be an integer from 1 to 1"},
    {"id = \"plant-north-1\"", "id = \"\"", "[unit] id must have"},
    {"id = \"plant-north-1\"", "ident = \"x\"", "'unit.id' is missing"},
    {"crl_days = 400", "crl_day = 400", "unknown key 'root.crl_day'"},
    {"initialize = true        #", "initialise = true #", "pin = \"made-up\" needs initialize"},
    {"pin = \"made-up\"          # or", "pin = \"guess\" #", "pin must be \"made-up\""},
    {"pin = \"made-up\"          # or", "pin = \"file\" #", "pin_file belongs to"},
    {"label = \"plant-root\"", "label = \"\"", "label must have 1 to 32"},
    {"name = \"unit\"\nboard", "name = \"root\"\nboard", "name stands twice"},
    {"name = \"unit\"\nboard", "name = \"Unit\"\nboard", "name must have 1 to 32 of a-z"},
    {"token = \"root\"\nkey_label = \"root-1\"", "token = \"safe\"\nkey_label = \"root-1\"",
     "[root] token 'safe' is none of [[tokens]]"},
    {"token = \"unit\"\nkey_label = \"devices-1\"", "token = \"root\"\nkey_label = \"devices-1\"",
     "token is the root's"},
    {"token = \"unit\"\nkey_label = \"audit-1\"", "token = \"root\"\nkey_label = \"audit-1\"",
     "[audit] token is the root's"},
    {"key_label = \"servers-1\"", "key_label = \"devices-1\"", "a key has one use"},
    {"key_label = \"audit-1\"", "key_label = \"devices-1\"", "a key has one use"},
    {"key_label = \"evidence-1\"", "key_label = \"audit-1\"", "a key has one use"},
    {"key_label = \"devices-ocsp-1\"", "key_label = \"devices-1\"", "a key has one use"},
    {"key_label = \"audit-1\"", "key_label = \"\"", "[audit] key_label must have"},
    {"algorithm = \"ecdsa-p384\"", "algorithm = \"rsa-1024\"", "algorithm 'rsa-1024'"},
    {"lifetime_days = 7305", "lifetime_days = 100", "must not outlive the root"},
    {"lifetime_days = 366", "lifetime_days = 3000", "must not outlive its CA"},
    {"path_length = 1", "path_length = 0", "leave room"},
    {"path_length = 0\npermitted_dns", "permitted_dns", "path_length must be 0"},
    {"\"10.20.0.0/16\"]\nprofiles", "\"10.20.0.1/16\"]\nprofiles", "is no network such as"},
    {"\"devices.plant.example\"", "\"Devices.plant.example\"", "lower-case DNS name"},
    {"profiles = [\"device\"]", "profiles = []", "profiles is missing"},
    {"common_name = \"Plant North Servers CA 1\"", "common_name = \"Plant North Devices CA 1\"",
     "CAs need different names"},
    {"crl_url = \"http:", "crl_url = \"ldap:", "must begin with http://"},
    {"[[ocsp]]\nissuing = \"servers\"", "[[ocsp]]\nissuing = \"printers\"",
     "issuing is none of [[issuing]]"},
    {"[[ocsp]]\nissuing = \"servers\"", "[[ocsp]]\nissuing = \"devices\"",
     "has a responder already"},
    {"roles = [\"audit\"]", "roles = [\"king\"]", "role 'king' is not known"},
    {"roles = [\"audit\"]", "roles = []", "he could order nothing"},
    {"name = \"Boris Maier\"\npublic", "name = \"Anna Lee\"\npublic", "name stands twice"},
    {"operators/boris.pem", "operators/anna.pem", "public_key is another operator's"},
    {"orders = [\"policy\", \"ca\"", "orders = [\"policy\", \"eab\"", "needs two operators"},
    {"path_length = 1\n", "path_length = 1\ncertificate = \"r.pem\"\n", "is not set up again"},
    {"[audit]", "[[revoked]]\nserial = \"zz\"\nat = \"x\"\nreason = \"whim\"\n[audit]",
     "serial must be 1 to 20 octets"},
    {"[audit]", "[[revoked]]\nserial = \"zz\"\nat = \"x\"\nreason = \"whim\"\n[audit]",
     "at must be a time"},
    {"[audit]", "[[revoked]]\nserial = \"zz\"\nat = \"x\"\nreason = \"whim\"\n[audit]",
     "reason must be"},
    {"threshold = 3", "threshold = 1", "'custodians.threshold' must be"},
    {"threshold = 3", "threshold = 6", "more than there are names"},
    {"threshold = 3\n", "", "threshold is missing"},
    {"\"Emil Braun\"", "\"Dora Weiss\"", "would hold two shares"},
    {"recover_pins = [\"unit\"]\nbackup_key = true", "", "nothing to hold"},
    {"recover_pins = [\"unit\"]", "recover_pins = [\"root\"]", "recover_pins names the root's"},
    {"recover_pins = [\"unit\"]", "recover_pins = [\"cellar\"]", "is none of [[tokens]]"},
    {"names = [\"Dora Weiss\", \"Emil Braun\", \"Fatima Said\", \"Georg Huber\", \"Hanna Vogel\"]",
     "", "nobody would hold the shares"},
};
INSTANTIATE_TEST_SUITE_P(Plant, WholePlan_Wrong, testing::ValuesIn(kWrong));

// With a root that exists a list alone can be made; what belongs together must be there.
TEST(WholePlan_ExistingRoot, NeedsNumberAndAListOrACa) {
  const std::string base =
      "format = 1\n[unit]\nid = \"u\"\n[[tokens]]\nname = \"root\"\nboard = \"b\"\nlabel = "
      "\"r\"\npin = \"prompt\"\n[[tokens]]\nname = \"unit\"\nboard = \"b\"\nlabel = \"u\"\npin "
      "= \"prompt\"\n[audit]\ntoken = \"unit\"\nkey_label = \"audit\"\ncertificate = \"a.pem\"\n"
      "[[revoked]]\nserial = \"41ff\"\nat = \"2031-05-01T12:00:00Z\"\nreason = "
      "\"ca-compromise\"\n[root]\ntoken = \"root\"\nkey_label = \"root\"\nalgorithm = "
      "\"ecdsa-p384\"\ncommon_name = \"R\"\nlifetime_days = 10\npath_length = 1\n";
  const auto judged = [&](const std::string& more) {
    return parse_whole_plan(base + more, "p").problems;
  };
  EXPECT_THAT(judged("certificate = \"r.pem\"\ncrl_number = 2\n"), IsEmpty());
  EXPECT_THAT(judged("certificate = \"r.pem\"\n"), Contains(HasSubstr("crl_number is missing")));
  EXPECT_THAT(judged("certificate = \"r.pem\"\ncrl_days = 0\n"),
              Contains(HasSubstr("nothing is made")));
  const auto without = judged("crl_number = 2\n");
  for (const auto* says : {"[[issuing]] is missing", "crl_number belongs to a root that exists",
                           "has certified no signer yet", "[[revoked]] needs a list"})
    EXPECT_THAT(without, Contains(HasSubstr(says)));
}

// A CA elsewhere has no key here: what would need one, or could not be told apart, is said.
TEST(WholePlan_ExternalRoot, TakesNothingThatNeedsItsKey) {
  const auto judged = [&](const std::string& from, const std::string& to) {
    std::string text = example("external-root.toml");
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return parse_whole_plan(text.replace(at, from.size(), to), "p").problems;
  };
  const std::string root = "certificate = \"company-root.pem\"";
  EXPECT_THAT(judged(root, ""), Contains(HasSubstr("[root] certificate is missing")));
  for (const auto* key : {"crl_days = 30", "crl_number = 2", "token = \"unit\"",
                          "crl_url = \"http://x.example/r.crl\"", "key_label = \"root\""})
    EXPECT_THAT(judged(root, root + "\n" + key), testing::Not(IsEmpty())) << key;
  EXPECT_THAT(judged(root, root + "\ncountry = \"Germany\""),
              Contains(HasSubstr("two capital letters")));
  EXPECT_THAT(judged("certified = \"audit.pem\"", "certificate = \"audit.pem\""),
              Contains(HasSubstr("the signer's key is made here")));
  EXPECT_THAT(judged("certified = \"audit.pem\"", "certified = \"issuing-devices.pem\""),
              Contains(HasSubstr("[audit] certified must name a file of its own")));
  EXPECT_THAT(judged("certified = \"issuing-devices.pem\"", "certified = \"company-root.pem\""),
              Contains(HasSubstr("certified must name a file of its own")));
  EXPECT_THAT(judged("[audit]",
                     "[[revoked]]\nserial = \"41ff\"\nat = "
                     "\"2031-05-01T12:00:00Z\"\n[audit]"),
              Contains(HasSubstr("signs its own lists")));
  // Where the root is here, nobody is waited for.
  EXPECT_THAT(problems("[audit]", "[audit]\ncertified = \"audit.pem\""),
              Contains(HasSubstr("certified")));
}

TEST(WholePlan_CrossByItsOwnRoot, IsRefused) {
  const auto text =
      example("plant.toml") +
      "\n[[cross]]\nname = \"x\"\nissuing = \"devices\"\ntoken = \"root\"\nkey_label = "
      "\"root-1\"\ncertificate = \"old.pem\"\nlifetime_days = 100\n";
  EXPECT_THAT(parse_whole_plan(text, "p").problems, Contains(HasSubstr("nothing is crossed")));
}

TEST(WholePlan_Problem, NamesFileAndLine) {
  EXPECT_THAT(problems("lifetime_days = 7305", "lifetime_days = \"long\""),
              Contains(testing::MatchesRegex("plan.toml:[0-9]+: 'root.lifetime_days' must be .*")));
}

TEST(WholePlan_DubiousButPossible, IsWarnedOf) {
  EXPECT_THAT(changed("permitted_dns = [\"devices.plant.example\"]\npermitted_ip = "
                      "[\"10.20.0.0/16\"]\n",
                      "")
                  .warnings,
              Contains(HasSubstr("'devices' has no name constraints")));
  EXPECT_THAT(changed("permitted_ip = [\"10.20.0.0/16\"]\n", "").warnings,
              Contains(HasSubstr("say nothing about addresses")));
  EXPECT_THAT(changed("threshold = 3", "threshold = 5").warnings,
              Contains(HasSubstr("one lost share")));
  EXPECT_THAT(changed("orders = [\"policy\", \"ca\", \"zeroise\"]", "").warnings,
              Contains(HasSubstr("no order needs two operators")));
  EXPECT_THAT(changed("present =", "# present =").warnings, Contains(HasSubstr("nobody is named")));
}

TEST(IpSubtree_Text, BecomesAddressAndMask) {
  EXPECT_EQ(ip_subtree_octets("10.20.0.0/15"), (Bytes{10, 20, 0, 0, 255, 254, 0, 0}));
  EXPECT_EQ(ip_subtree_octets("0.0.0.0/0"), Bytes(8, 0));
  EXPECT_EQ(ip_subtree_octets("2001:db8::/32")->size(), 32u);
  for (const auto* wrong : {"10.20.0.0", "10.20.0.0/33", "10.20.0.0/", "10.20.0.1/31/", "x/8",
                            "10.20.0.1/16", "10.20.0.0/-1"})
    EXPECT_FALSE(ip_subtree_octets(wrong).has_value()) << wrong;
}

}  // namespace
}  // namespace keyward::ceremony
