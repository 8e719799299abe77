// Holds a ceremony below a root that is elsewhere: OpenSSL with a key that no token here ever saw.
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int kAwaits = 75;

std::string text_of_file(const std::string& path) {
  return read_text_file(path, 4'194'304).value_or("");
}

void openssl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  const auto done = run_command(arguments);
  ASSERT_EQ(done.status, 0) << done.output;
}

// The first part is dear: one serves all tests, each of which goes on with a copy of it.
class ExternalRoot : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    work_ = new TempDir;
    fs::copy(std::string(std::getenv("KEYWARD_SOURCE")) + "/docs/examples/ceremony", plan_folder(),
             fs::copy_options::recursive);
    make_root("company-root", "/O=Company/CN=Company Root", "1");
    first_ = run();
  }
  static void TearDownTestSuite() { delete work_; }
  void SetUp() override { ASSERT_EQ(first_.status, kAwaits) << first_.output; }
  void TearDown() override {
    for (const auto* name : {"issuing-devices.pem", "audit.pem"})
      fs::remove(plan_folder() + "/" + name);
  }

  static std::string plan_folder() { return work_->path("plan"); }
  static std::string out() { return work_->path("out"); }
  static std::string request(const std::string& name) {
    return out() + "/requests/" + name + ".csr";
  }
  static std::string answer(const std::string& name) { return plan_folder() + "/" + name + ".pem"; }

  static CommandResult ceremony(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl", "ceremony"});
    return run_command(arguments);
  }
  static CommandResult run() {
    return ceremony({"run", plan_folder() + "/external-root.toml", "--out", out(), "--yes"});
  }
  static void make_root(const std::string& name, const std::string& subject,
                        const std::string& path_length) {
    openssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-days", "3650",
             "-addext", "basicConstraints=critical,CA:TRUE,pathlen:" + path_length, "-addext",
             "keyUsage=critical,keyCertSign,cRLSign", "-keyout", work_->path(name + ".key"), "-out",
             plan_folder() + "/" + name + ".pem"});
  }
  // With `by_itself` the CA elsewhere does as it likes with what was asked for.
  static void certify(const std::string& name, const std::string& days = "1825",
                      const std::string& root = "company-root", const std::string& by_itself = "") {
    const auto more = work_->path("more.cnf");
    write_file(more, view_of("subjectKeyIdentifier=hash\n"
                             "authorityKeyIdentifier=keyid:always,issuer:always\n" +
                             by_itself));
    openssl({"x509", "-req", "-in", request(name), "-CA", plan_folder() + "/" + root + ".pem",
             "-CAkey", work_->path(root + ".key"), "-CAcreateserial", "-days", days,
             "-copy_extensions", by_itself.empty() ? "copyall" : "none", "-extfile", more, "-out",
             answer(name)});
  }
  void expect_refused(const std::string& step, const std::string& why) {
    const auto refused = run();
    EXPECT_EQ(refused.status, 1) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(step + " failed: " + why));
    EXPECT_FALSE(file_exists(out() + "/transcript.json"));
  }

  static inline TempDir* work_ = nullptr;
  static inline CommandResult first_;
};

// In this order: each leaves the ceremony where it was, until the last one finishes it.
TEST_F(ExternalRoot, FirstPart_NamesEveryRequestAndWhereItsAnswerBelongs) {
  for (const auto* name : {"issuing-devices", "audit"}) {
    EXPECT_THAT(first_.output, HasSubstr(request(name)));
    EXPECT_THAT(first_.output, HasSubstr(answer(name)));
  }
  const auto asked = run_command(
      {"openssl", "req", "-in", request("issuing-devices"), "-noout", "-verify", "-text"});
  EXPECT_EQ(asked.status, 0) << asked.output;
  for (const auto* part : {"CA:TRUE, pathlen:0", "DNS:south.example", "IP:10.30.0.0/255.255.0.0",
                           "O = Plant South, CN = Plant South Devices CA"})
    EXPECT_THAT(asked.output, HasSubstr(part));
  // What people do is done in the first part.
  EXPECT_TRUE(file_exists(out() + "/operators.json"));
  EXPECT_TRUE(file_exists(out() + "/backup-public.pem"));
  EXPECT_EQ(run().status, kAwaits);
}

TEST_F(ExternalRoot, AnswerWithoutConstraints_IsRefused) {
  certify("issuing-devices", "1825", "company-root",
          "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n");
  expect_refused("issuing-devices", "name constraints differ from the plan");
}

TEST_F(ExternalRoot, AnswerWithMoreRights_IsRefused) {
  certify("issuing-devices", "1825", "company-root",
          "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
  expect_refused("issuing-devices", "the path length differs from the plan");
}

TEST_F(ExternalRoot, AnswerForAnotherKey_IsRefused) {
  certify("audit");
  fs::rename(answer("audit"), answer("issuing-devices"));
  expect_refused("issuing-devices", "it is for another key than the one of the request");
}

TEST_F(ExternalRoot, AnswerThatLivesTooLong_IsRefused) {
  certify("issuing-devices", "1830");
  expect_refused("issuing-devices", "it lives longer than the plan says");
}

TEST_F(ExternalRoot, AnswerOfAnotherCa_IsRefused) {
  make_root("other-root", "/O=Company/CN=Company Root", "1");
  certify("issuing-devices", "1825", "other-root");
  expect_refused("issuing-devices", "the authority key identifier is not the issuer's");
}

TEST_F(ExternalRoot, CaThatMayHaveNoneBelowIt_IsRefusedBeforeAnyKeyIsMade) {
  const auto kept = text_of_file(plan_folder() + "/company-root.pem");
  make_root("narrow-root", "/CN=Narrow", "0");
  fs::copy(plan_folder() + "/narrow-root.pem", plan_folder() + "/company-root.pem",
           fs::copy_options::overwrite_existing);
  const auto refused = ceremony(
      {"run", plan_folder() + "/external-root.toml", "--out", work_->path("narrow-out"), "--yes"});
  write_file(plan_folder() + "/company-root.pem", view_of(kept));
  EXPECT_EQ(refused.status, 78) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("may have no CA below it"));
  EXPECT_FALSE(file_exists(work_->path("narrow-out")));
}

TEST_F(ExternalRoot, WithBothAnswers_ComesToItsEndAndVerifies) {
  certify("issuing-devices");
  const auto second = run();  // goes as far as it can
  EXPECT_EQ(second.status, kAwaits) << second.output;
  certify("audit");
  const auto sheet = out() + "/handover/pin-unit.txt";
  fs::rename(sheet, work_->path("pin"));
  const auto stopped = run();
  fs::rename(work_->path("pin"), sheet);
  EXPECT_EQ(stopped.status, 1);
  EXPECT_THAT(stopped.output, HasSubstr("put the sheet back into handover/"));
  const auto done = run();
  ASSERT_EQ(done.status, 0) << done.output;
  const auto root = plan_folder() + "/company-root.pem";
  const auto judged = ceremony({"verify", out(), "--root", root});
  EXPECT_EQ(judged.status, 0) << judged.output;
  openssl({"verify", "-x509_strict", "-CAfile", root, out() + "/issuing-devices.pem",
           out() + "/audit.pem"});
  openssl({"verify", "-CAfile", root, "-untrusted", out() + "/issuing-devices.pem",
           out() + "/ocsp-devices.pem"});
  EXPECT_THAT(text_of_file(out() + "/installation-devices.toml"), HasSubstr("chain-devices.pem"));
  EXPECT_FALSE(file_exists(out() + "/root.crl"));
}

}  // namespace
}  // namespace keyward::test
