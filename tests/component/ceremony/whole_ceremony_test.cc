// Holds whole ceremonies with keywardctl on SoftHSMv2: two issuing CAs, responders, an older root that
// certifies one of them, operators, three of five custodians. OpenSSL says what came of it, and
// `ceremony verify` what was changed afterwards.
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/ceremony/transcript.h"
#include "firmware/crypto/crypto.h"
#include "firmware/operate/operators.h"
#include "firmware/recovery/recovery_slot.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

std::string source(const std::string& name) {
  return std::string(std::getenv("KEYWARD_SOURCE")) + "/docs/examples/ceremony/" + name;
}
std::string text_of_file(const std::string& path) {
  return read_text_file(path, 4'194'304).value_or("");
}
CommandResult ceremony(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   {std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl", "ceremony"});
  return run_command(arguments);
}
CommandResult run(const std::string& plan, const std::string& out) {
  return ceremony({"run", plan, "--out", out, "--yes"});
}
CommandResult verify(const std::string& out) {
  return ceremony({"verify", out, "--root", out + "/root.pem"});
}

// One line with its comment; the line must be there.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// A ceremony is dear: one serves all tests that change a copy of its products.
class WholeCeremony : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    work_ = new TempDir;
    const auto plan = work_->path("plan");
    fs::copy(source(""), plan, fs::copy_options::recursive);
    // The older root is a ceremony of its own, in tokens that stay where they are.
    auto old = replaced(text_of_file(plan + "/small.toml"), "id = \"workshop-1\"", "id = \"old\"");
    write_file(plan + "/old.toml", view_of(old));
    old_ = run(plan + "/old.toml", old_out());
    fs::copy(old_out() + "/root.pem", plan + "/old-root.pem");
    auto text = text_of_file(plan + "/plant.toml");
    text +=
        "\n[[tokens]]\nname = \"old-root\"\nboard = \"softhsm.toml\"\nlabel = \"keyward-root\"\n"
        "folder = \"" +
        old_out() + "/tokens/root\"\npin = \"file\"\npin_file = \"" + old_out() +
        "/handover/pin-root.txt\"\n\n[[cross]]\nname = \"old-root\"\nissuing = \"devices\"\ntoken "
        "= \"old-root\"\nkey_label = \"root\"\ncertificate = \"old-root.pem\"\nlifetime_days = "
        "1096\n";
    write_file(plan + "/whole.toml", view_of(text));
    held_ = run(plan + "/whole.toml", out());
  }
  static void TearDownTestSuite() { delete work_; }
  void SetUp() override {
    ASSERT_EQ(old_.status, 0) << old_.output;
    ASSERT_EQ(held_.status, 0) << held_.output;
  }
  static std::string old_out() { return work_->path("old"); }
  static std::string out() { return work_->path("out"); }

  // A copy without tokens, to be changed.
  std::string copy() {
    const auto to = work_->path("copy-" + std::to_string(++copies_));
    fs::copy(out(), to, fs::copy_options::recursive);
    return to;
  }
  void expect_finding(const std::string& folder, const std::string& text) {
    const auto judged = verify(folder);
    EXPECT_EQ(judged.status, 2) << judged.output;
    EXPECT_THAT(judged.output, HasSubstr(text));
  }

  static inline TempDir* work_ = nullptr;
  static inline CommandResult old_, held_;
  static inline int copies_ = 0;
};

TEST_F(WholeCeremony, Certificates_OpensslAcceptsEach) {
  const auto accepts = [&](const std::string& anchor, std::vector<std::string> more) {
    std::vector<std::string> line{"openssl", "verify", "-x509_strict", "-CAfile", anchor};
    line.insert(line.end(), more.begin(), more.end());
    const auto judged = run_command(line);
    EXPECT_EQ(judged.status, 0) << judged.output;
  };
  for (const auto* name : {"devices", "servers"}) {
    const auto issuing = out() + "/issuing-" + name + ".pem";
    accepts(out() + "/root.pem", {"-crl_check", "-CRLfile", out() + "/root.crl", issuing});
    accepts(out() + "/root.pem", {"-untrusted", issuing, out() + "/ocsp-" + name + ".pem"});
    const auto list = run_command({"openssl", "crl", "-in", out() + "/issuing-" + name + ".crl",
                                   "-noout", "-CAfile", issuing});
    EXPECT_THAT(list.output, HasSubstr("verify OK"));
  }
  accepts(out() + "/root.pem", {out() + "/audit.pem"});
  accepts(old_out() + "/root.pem", {out() + "/cross-old-root.pem"});
  // The other way round it is nobody's.
  EXPECT_NE(run_command({"openssl", "verify", "-CAfile", out() + "/root.pem",
                         out() + "/cross-old-root.pem"})
                .status,
            0);
}

TEST_F(WholeCeremony, Constraints_StandInTheCertificates) {
  const auto devices =
      run_command({"openssl", "x509", "-in", out() + "/issuing-devices.pem", "-noout", "-text"});
  EXPECT_THAT(devices.output, HasSubstr("DNS:devices.plant.example"));
  EXPECT_THAT(devices.output, HasSubstr("IP:10.20.0.0/255.255.0.0"));
  EXPECT_THAT(devices.output, HasSubstr("http://pki.plant.example/root.crl"));
  const auto responder =
      run_command({"openssl", "x509", "-in", out() + "/ocsp-servers.pem", "-noout", "-text"});
  EXPECT_THAT(responder.output, HasSubstr("OCSP Signing"));
  EXPECT_THAT(responder.output, HasSubstr("OCSP No Check"));
}

TEST_F(WholeCeremony, OperatorsFile_IsTheOneTheSignerReads) {
  const auto operators = operate::Operators::parse(text_of_file(out() + "/operators.json"));
  ASSERT_TRUE(operators.has_value()) << operators.error().what;
  EXPECT_EQ(operators->unit(), "plant-north-1");
  EXPECT_EQ(operators->all().size(), 3u);
  EXPECT_TRUE(operators->needs_two("policy", "policy-approve"));
}

std::vector<std::string> share_lines(const std::string& out, const std::string& what) {
  std::vector<std::string> lines;
  for (const auto* name : {"2-emil-braun", "4-georg-huber", "5-hanna-vogel"}) {
    const auto sheet = text_of_file(out + "/handover/custodian-" + name + ".txt");
    const auto at = sheet.find("keyward-share-1", sheet.find(what));
    lines.push_back(sheet.substr(at, sheet.find('\n', at) - at));
  }
  return lines;
}

TEST_F(WholeCeremony, ThreeOfFiveCustodians_OpenThePinAndTheBackupKey) {
  const auto pin_lines = share_lines(out(), "PIN of token 'unit'");
  const std::vector<std::string_view> pin_views(pin_lines.begin(), pin_lines.end());
  const auto key = shares::combine(pin_views);
  ASSERT_TRUE(key.has_value()) << key.error().text;
  const auto pin =
      recovery::open_recovery_slot(text_of_file(out() + "/recovery-unit.json"), key->view());
  ASSERT_TRUE(pin.has_value());
  EXPECT_EQ(std::string(text_of(pin->view())) + "\n",
            text_of_file(out() + "/handover/pin-unit.txt"));
  const auto two = std::vector<std::string_view>{pin_lines[0], pin_lines[1]};
  EXPECT_EQ(shares::combine(two).error().code, "shares-too-few");

  const auto backup_lines = share_lines(out(), "Private key of backups");
  const std::vector<std::string_view> backup_views(backup_lines.begin(), backup_lines.end());
  const auto pem = shares::combine(backup_views);
  ASSERT_TRUE(pem.has_value()) << pem.error().text;
  const auto backup = crypto::PrivateKey::from_pem(text_of(pem->view()));
  ASSERT_TRUE(backup.has_value());
  const auto shown = run_command({"openssl", "pkey", "-pubin", "-in", out() + "/backup-public.pem",
                                  "-outform", "DER", "-out", out() + "/../backup.der"});
  EXPECT_EQ(shown.status, 0);
  EXPECT_EQ(read_whole_file(out() + "/../backup.der"), backup->public_key().spki_der());
}

TEST_F(WholeCeremony, InstallationLines_NameWhatTheSignerNeeds) {
  const auto lines = text_of_file(out() + "/installation-devices.toml");
  for (const auto* part :
       {"chain-devices.pem", "key_label = \"devices-1\"", "audit_key_label = \"audit-1\"",
        "alternate_chains = [", "operators.json", "token_label = \"plant-unit\"",
        "permitted_ip = [\"10.20.0.0/16\"]"})
    EXPECT_THAT(lines, HasSubstr(part));
  EXPECT_THAT(text_of_file(out() + "/installation-servers.toml"),
              Not(HasSubstr("alternate_chains")));
}

TEST_F(WholeCeremony, Secrets_AreInHandoverAlone) {
  const auto pin = text_of_file(out() + "/handover/pin-unit.txt");
  ASSERT_FALSE(pin.empty());
  const auto bare = pin.substr(0, pin.size() - 1);
  for (const auto& entry : fs::recursive_directory_iterator(out())) {
    if (!entry.is_regular_file()) continue;
    const auto path = entry.path().string();
    if (path.find("/tokens/") != std::string::npos) continue;
    if (path.find("/handover/") != std::string::npos) {
      EXPECT_EQ(entry.status().permissions() & fs::perms::all,
                fs::perms::owner_read | fs::perms::owner_write)
          << path;
      continue;
    }
    EXPECT_THAT(text_of_file(path), Not(HasSubstr(bare))) << path;
    EXPECT_THAT(text_of_file(path), Not(HasSubstr("keyward-share-1"))) << path;
  }
  EXPECT_THAT(held_.output, Not(HasSubstr(bare)));
  EXPECT_THAT(held_.output, Not(HasSubstr("keyward-share-1")));
}

// ---- the transcript

TEST_F(WholeCeremony, Verify_WholeAlsoWithoutWhatWasCarriedAway) {
  EXPECT_EQ(verify(out()).status, 0) << verify(out()).output;
  const auto folder = copy();
  fs::remove_all(folder + "/handover");
  EXPECT_EQ(verify(folder).status, 0);
  const auto shown = ceremony({"transcript", folder});
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.output, HasSubstr("Present: Chiara Rossi, auditor"));
  EXPECT_THAT(shown.output, HasSubstr("Let the root sign itself"));
}

TEST_F(WholeCeremony, Verify_NamesChangedMissingAndExtraProducts) {
  auto folder = copy();
  write_file(folder + "/operators.json",
             view_of(replaced(text_of_file(folder + "/operators.json"), "Anna", "Anja")));
  expect_finding(folder, "product-changed: operators.json");
  folder = copy();
  fs::remove(folder + "/issuing-servers.crl");
  expect_finding(folder, "product-missing: issuing-servers.crl");
  folder = copy();
  write_file(folder + "/issuing-third.pem", view_of("x"));
  expect_finding(folder, "product-extra: issuing-third.pem");
  folder = copy();
  write_file(folder + "/handover/pin-unit.txt", view_of("1234\n"));
  expect_finding(folder, "product-changed: handover/pin-unit.txt");
}

TEST_F(WholeCeremony, Verify_NamesAnotherPlanStepOrSignature) {
  auto folder = copy();
  write_file(folder + "/plan.toml", view_of(text_of_file(source("small.toml"))));
  expect_finding(folder, "product-changed: plan.toml");
  const auto path = "/transcript.json";
  folder = copy();
  const auto text = text_of_file(folder + path);
  const auto begin = text.find("\n{\"hash\"", text.find("\"id\":\"issuing-servers\"") - 200);
  auto dropped = text;
  dropped.erase(begin, text.find("\n{\"hash\"", begin + 1) - begin);
  write_file(folder + path, view_of(dropped));
  expect_finding(folder, "step-changed");
  // The seal of another ceremony.
  const auto other = text_of_file(old_out() + path);
  folder = copy();
  write_file(folder + path, view_of(text.substr(0, text.find("\"seals\"")) +
                                    other.substr(other.find("\"seals\""))));
  expect_finding(folder, "seal-foreign");
  // Judged by another root.
  const auto foreign = ceremony({"verify", out(), "--root", old_out() + "/root.pem", "--json"});
  EXPECT_EQ(foreign.status, 2);
  EXPECT_THAT(foreign.output, HasSubstr("\"seal-foreign\""));
}

TEST_F(WholeCeremony, Again_OverwritesNothing) {
  const auto again = run(work_->path("plan") + "/whole.toml", out());
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.output, HasSubstr("never overwrites"));
  EXPECT_EQ(verify(out()).status, 0);
}

// A label that is there: the ceremony uses no key whose birth it did not see.
TEST_F(WholeCeremony, LabelThatExists_StopsAndLosesNothing) {
  const auto plan = work_->path("plan") + "/existing.toml";
  auto text = replaced(text_of_file(source("small.toml")), "name = \"unit\"\nboard",
                       "name = \"unit\"\nfolder = \"" + old_out() + "/tokens/unit\"\nboard");
  const auto at = text.find("initialize = true", text.find("keyward-unit"));
  text.replace(at, text.find("[root]") - at,
               "pin = \"file\"\npin_file = \"" + old_out() + "/handover/pin-unit.txt\"\n\n");
  write_file(plan, view_of(text));
  const auto to = work_->path("existing");
  for (int i = 0; i < 2; ++i) {
    const auto held = run(plan, to);
    EXPECT_EQ(held.status, 1);
    EXPECT_THAT(held.output, HasSubstr("key-issuing-devices failed"));
    EXPECT_THAT(held.output, HasSubstr("whose birth it did not see"));
    EXPECT_THAT(held.output, HasSubstr("root: certificate SHA-256"));
  }
  EXPECT_TRUE(file_exists(to + "/root.pem"));
  EXPECT_FALSE(file_exists(to + "/transcript.json"));
}

// Years later: the next list of the root, which no longer stands for one of its CAs.
TEST_F(WholeCeremony, ExistingRoot_SignsItsNextListAndRevokesACa) {
  const auto folder = work_->path("plan");
  fs::copy(out() + "/root.pem", folder + "/our-root.pem");
  fs::copy(out() + "/audit.pem", folder + "/our-audit.pem");
  const auto serial =
      run_command({"openssl", "x509", "-in", out() + "/issuing-servers.pem", "-noout", "-serial"});
  auto hex = serial.output.substr(serial.output.find('=') + 1);
  hex.erase(hex.find('\n'));
  auto text = text_of_file(source("next-list.toml"));
  text = replaced(text, "root-token-folder", out() + "/tokens/root");
  text = replaced(text, "unit-token-folder", out() + "/tokens/unit");
  for (const auto* token : {"root", "unit"})
    text = replaced(text, "pin = \"prompt\"",
                    "pin = \"file\"\npin_file = \"" + out() + "/handover/pin-" + token + ".txt\"");
  text = replaced(text, "4100112233445566778899aabbccddee", hex);
  write_file(folder + "/next.toml", view_of(text));
  const auto to = work_->path("next");
  const auto held = run(folder + "/next.toml", to);
  ASSERT_EQ(held.status, 0) << held.output;
  EXPECT_EQ(ceremony({"verify", to, "--root", out() + "/root.pem"}).status, 0);
  const auto check = [&](const std::string& name) {
    return run_command({"openssl", "verify", "-CAfile", out() + "/root.pem", "-crl_check",
                        "-CRLfile", to + "/root.crl", out() + "/issuing-" + name + ".pem"});
  };
  EXPECT_EQ(check("devices").status, 0) << check("devices").output;
  EXPECT_THAT(check("servers").output, HasSubstr("certificate revoked"));
  // Another root's certificate does not pass for this token's key.
  fs::copy(old_out() + "/root.pem", folder + "/our-root.pem", fs::copy_options::overwrite_existing);
  const auto wrong = run(folder + "/next.toml", work_->path("wrong-root"));
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.output, HasSubstr("root failed"));
}

// ---- courses of their own

TEST(WholeCeremony_StoppedInTheMiddle, GoesOnWhereItWas) {
  const TempDir work;
  fs::copy(source(""), work.path("plan"), fs::copy_options::recursive);
  const auto plan = work.path("plan") + "/small.toml", out = work.path("out");
  const auto first_try = ceremony({"run", plan, "--out", out});
  EXPECT_EQ(first_try.status, 64) << first_try.output;  // nobody to ask
  EXPECT_FALSE(file_exists(out));
  // A file stands where the second token's folder should be made.
  const auto held = [&] { return run(plan, out); };
  write_file(work.path("file"), view_of("x"));
  auto text = replaced(text_of_file(plan), "label = \"keyward-unit\"",
                       "label = \"keyward-unit\"\nfolder = \"" + work.path("file") + "/unit\"");
  write_file(plan, view_of(text));
  const auto failed = held();
  EXPECT_EQ(failed.status, 1);
  EXPECT_THAT(failed.output, HasSubstr("token-unit failed"));
  EXPECT_THAT(failed.output, HasSubstr("token-root: set up"));
  fs::remove(work.path("file"));
  const auto root_pin = text_of_file(out + "/handover/pin-root.txt");
  // Another plan cannot go on with it.
  write_file(work.path("plan") + "/other.toml", view_of(text + "\n# changed\n"));
  const auto other = run(work.path("plan") + "/other.toml", out);
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, HasSubstr("begun with another plan"));
  const auto done = held();
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("done before"));
  EXPECT_EQ(text_of_file(out + "/handover/pin-root.txt"), root_pin);
  EXPECT_EQ(verify(out).status, 0) << verify(out).output;
  EXPECT_FALSE(file_exists(out + "/transcript.partial.json"));
}

TEST(WholeCeremony_DryRun, MakesNothing) {
  const TempDir work;
  const auto shown =
      ceremony({"run", source("plant.toml"), "--out", work.path("out"), "--dry-run"});
  EXPECT_EQ(shown.status, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr("3 of 5 custodians"));
  EXPECT_FALSE(file_exists(work.path("out")));
}

TEST(WholeCeremony_FilesThatThePlanNames, AreReadBeforeAnyKeyIsMade) {
  const TempDir work;
  fs::copy(source(""), work.path("plan"), fs::copy_options::recursive);
  write_file(work.path("plan") + "/operators/boris.pem", view_of("no key"));
  fs::remove(work.path("plan") + "/softhsm.toml");
  const auto refused = run(work.path("plan") + "/plant.toml", work.path("out"));
  EXPECT_EQ(refused.status, 78);
  EXPECT_THAT(refused.output, HasSubstr("'Boris Maier': public_key operators/boris.pem"));
  EXPECT_THAT(refused.output, HasSubstr("softhsm.toml"));
  EXPECT_FALSE(file_exists(work.path("out")));
}

TEST(WholeCeremony_WrongPin, IsTriedOnce) {
  const TempDir work;
  fs::copy(source(""), work.path("plan"), fs::copy_options::recursive);
  ASSERT_EQ(run(work.path("plan") + "/small.toml", work.path("first")).status, 0);
  write_file(work.path("pin"), view_of("0000\n"));
  auto text = text_of_file(work.path("plan") + "/small.toml");
  const auto at = text.find("initialize = true", text.find("keyward-unit"));
  text.replace(at, text.find("[root]") - at,
               "folder = \"" + work.path("first") +
                   "/tokens/unit\"\npin = \"file\"\npin_file = \"" + work.path("pin") + "\"\n\n");
  write_file(work.path("plan") + "/wrong.toml", view_of(text));
  for (int i = 0; i < 2; ++i) {
    const auto held = run(work.path("plan") + "/wrong.toml", work.path("out"));
    EXPECT_EQ(held.status, 1);
    EXPECT_THAT(held.output, HasSubstr("token-unit failed"));
    EXPECT_THAT(held.output, HasSubstr("not tried again"));
  }
}

}  // namespace
}  // namespace keyward::test
