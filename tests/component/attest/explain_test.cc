// keyward-attest as an operator runs it: the words, the JSON, the exit codes, and the W3C's vectors
// from a file through --to-be-signed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/json/json.h"
#include "firmware/x509/der.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"
#include "tests/support/statement/formats.h"

namespace keyward {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kAt = 1'795'377'600'000;  // 2026-11-22T20:00:00Z
constexpr const char* kAtText = "2026-11-22T20:00:00Z";

class Explain : public ::testing::Test {
 protected:
  Explain() : maker_(kAt) {
    test::write_file(folder_.path("root.pem"),
                     view_of(x509::to_pem("CERTIFICATE", maker_.root().der)));
    test::write_file(folder_.path("policy.toml"), view_of("formats = [\"step\"]\nstep.roots = [\"" +
                                                          folder_.path("root.pem") + "\"]\n"));
    test::write_file(folder_.path("statement"), maker_.attestation_object(good_step()));
  }
  static test::FormatSpec good_step() {
    test::FormatSpec spec;
    spec.format = "step";
    spec.wrap_signature = true;
    spec.message = to_bytes("token.thumbprint");
    spec.leaf.extensions = {{"1.3.6.1.4.1.41482.3.3", {5, 7, 1}},
                            {"1.3.6.1.4.1.41482.3.7", x509::der_unsigned(7'654'321)},
                            {"1.3.6.1.4.1.41482.3.8", {2, 1}}};
    return spec;
  }
  test::CommandResult run(std::vector<std::string> more, const std::string& file = "statement",
                          const std::string& policy = "policy.toml") {
    std::vector<std::string> argv{std::string(::getenv("KEYWARD_BIN")) + "/keyward-attest",
                                  "verify",
                                  folder_.path(file),
                                  "--policy",
                                  folder_.path(policy),
                                  "--at",
                                  kAtText};
    argv.insert(argv.end(), more.begin(), more.end());
    return test::run_command(argv);
  }
  static std::vector<std::string> asking(const std::string& identifier,
                                         const std::string& key_authorization) {
    return {"--identifier", identifier, "--key-authorization", key_authorization};
  }
  test::TempDir folder_;
  test::FormatMaker maker_;
};

TEST_F(Explain, GoodStatement_SaysEachCheckAndTheKey) {
  const auto result = run(asking("7654321", "token.thumbprint"));
  EXPECT_EQ(result.status, 0) << result.output;
  for (const char* id : {"step.chain", "step.signature", "step.firmware", "step.identifier"})
    EXPECT_THAT(result.output, HasSubstr(std::string("pass    ") + id));
  const auto& key = maker_.key(crypto::KeyKind::kEcP256).public_key();
  EXPECT_THAT(result.output, HasSubstr("ACCEPTED"));
  EXPECT_THAT(result.output, HasSubstr(hex_encode(key.spki_sha256())));
}

TEST_F(Explain, Refused_SaysWhatPassedBeforeAndWhyNot) {
  const auto result = run(asking("7654322", "token.thumbprint"));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("pass    step.signature"));
  EXPECT_THAT(result.output, HasSubstr("REFUSED step.identifier"));
}

TEST_F(Explain, Json_IsTheSame) {
  auto more = asking("7654322", "token.thumbprint");
  more.push_back("--json");
  const auto result = run(more);
  EXPECT_EQ(result.status, 1);
  const auto document = json::Document::parse(result.output);
  ASSERT_TRUE(document.has_value()) << result.output;
  EXPECT_FALSE(document->root().get("accepted").boolean());
  EXPECT_EQ(document->root().get("format").string(), "step");
  EXPECT_EQ(document->root().get("at_ms").integer(), kAt);
  EXPECT_EQ(document->root().get("why_not").get("id").string(), "step.identifier");
  EXPECT_GE(document->root().get("passed").items().size(), 6u);
  auto good = asking("7654321", "token.thumbprint");
  good.push_back("--json");
  const auto accepted = json::Document::parse(run(good).output);
  ASSERT_TRUE(accepted.has_value());
  EXPECT_TRUE(accepted->root().get("accepted").boolean());
  EXPECT_TRUE(accepted->root().get("non_exportable").boolean());
}

TEST_F(Explain, StatementAsText_IsRead) {
  const auto object = maker_.attestation_object(good_step());
  test::write_file(folder_.path("base64url"), view_of(base64url_encode(object) + "\n"));
  test::write_file(folder_.path("hex"), view_of(hex_encode(object) + "\n"));
  EXPECT_EQ(run(asking("7654321", "token.thumbprint"), "base64url").status, 0);
  EXPECT_EQ(run(asking("7654321", "token.thumbprint"), "hex").status, 0);
}

TEST_F(Explain, AnotherTime_IsJudgedAtThatTime) {
  const auto result =
      test::run_command({std::string(::getenv("KEYWARD_BIN")) + "/keyward-attest", "verify",
                         folder_.path("statement"), "--policy", folder_.path("policy.toml"), "--at",
                         "2027-11-22T20:00:00Z", "--identifier", "7654321", "--key-authorization",
                         "token.thumbprint"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("REFUSED step.expired"));
}

TEST_F(Explain, QuestionThatComparesNothing_IsNotAnswered) {
  EXPECT_EQ(run({"--identifier", "7654321"}).status, 64);
  EXPECT_EQ(run({"--key-authorization", "token.thumbprint"}).status, 64);
  EXPECT_EQ(run({"--identifier", "a/b/c", "--key-authorization", "t.t"}).status, 64);
  EXPECT_EQ(run({"--identifier", "7654321", "--to-be-signed", "xy"}).status, 64);
  auto both = asking("7654321", "token.thumbprint");
  both.insert(both.end(), {"--to-be-signed", "00"});
  EXPECT_EQ(run(both).status, 64);
  EXPECT_EQ(run(asking("7654321", "token.thumbprint"), "absent").status, 64);
}

TEST_F(Explain, PolicyThatDoesNotLoad_IsSaid) {
  test::write_file(folder_.path("typo.toml"), view_of("format = [\"step\"]\n"));
  test::write_file(folder_.path("rootless.toml"), view_of("formats = [\"step\"]\n"));
  const auto typo = run(asking("7654321", "token.thumbprint"), "statement", "typo.toml");
  EXPECT_EQ(typo.status, 78);
  EXPECT_THAT(typo.output, HasSubstr("format"));
  const auto rootless = run(asking("7654321", "token.thumbprint"), "statement", "rootless.toml");
  EXPECT_EQ(rootless.status, 78);
  EXPECT_THAT(rootless.output, HasSubstr("step.roots"));
}

TEST_F(Explain, InstallationsFile_IsAPolicyToo) {
  test::write_file(folder_.path("installation.toml"),
                   view_of("[store]\nstate_dir = \"/s\"\n[attestation]\nstate_dir = \"/a\"\n"
                           "formats = [\"step\"]\nstep.roots = [\"" +
                           folder_.path("root.pem") + "\"]\n"));
  const auto result = run(asking("7654321", "token.thumbprint"), "statement", "installation.toml");
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(Explain, Vectors_BehaveAsTheirFormatsDemand) {
  const char* vectors = ::getenv("KEYWARD_VECTORS");
  const auto text = vectors != nullptr
                        ? read_text_file(std::string(vectors) + "/webauthn-l3.json", 1u << 20)
                        : Result<std::string>(fail(ErrorKind::kUnavailable, ""));
  if (!text)
    GTEST_SKIP() << "SKIPPED LOUDLY: no webauthn-l3.json: set KEYWARD_VECTORS to the folder of "
                    "test vectors";
  const auto document = json::Document::parse(*text, 1u << 20);
  ASSERT_TRUE(document.has_value());
  const auto root = *hex_decode(document->root().get("attestation_root_der").string());
  test::write_file(folder_.path("w3c.pem"), view_of(x509::to_pem("CERTIFICATE", root)));
  const std::string roots = "[\"" + folder_.path("w3c.pem") + "\"]\n";
  test::write_file(
      folder_.path("w3c.toml"),
      view_of("formats = [\"tpm\", \"packed\", \"apple\", \"android-key\", \"step\"]\nak_roots = " +
              roots + "packed.roots = " + roots + "packed.allow_backup_eligible = true\n" +
              "apple.roots = " + roots + "apple.require_external_account = false\n" +
              "android.roots = " + roots + "android.allow_without_status_list = true\n" +
              "step.roots = " + roots));
  const std::map<std::string, std::string> reasons{{"none", "format.none"},
                                                   {"packed-self", "packed.self"},
                                                   {"packed-es512", "packed.key"},
                                                   {"packed-ed", "packed.key"},
                                                   {"packed", "packed.no-identifier"},
                                                   {"tpm", "tpm.fixed-tpm"},
                                                   {"android", "android.security-level"},
                                                   {"apple", "apple.anonymous"},
                                                   {"fido", "format.unsupported"}};
  int seen = 0;
  for (const auto& vector : document->root().get("vectors").items()) {
    const std::string name(vector.get("name").string());
    const std::string object(vector.get("attestationObject").string());
    std::string reason;  // of the longest prefix
    for (const auto& [prefix, code] : reasons) {
      if (name.starts_with(prefix)) reason = code;
    }
    const auto at = object.find("6175746844617461");  // "authData", the last member
    ASSERT_NE(at, std::string::npos);
    const bool two_octets = object.substr(at + 16, 2) == "59";
    const std::string data = object.substr(at + (two_octets ? 22 : 20));
    const auto client = crypto::sha256(*hex_decode(vector.get("clientDataJSON").string()));
    test::write_file(folder_.path(name), view_of(object));
    const auto result =
        run({"--identifier", "X", "--to-be-signed", data + hex_encode(client)}, name, "w3c.toml");
    EXPECT_EQ(result.status, 1) << name;
    EXPECT_THAT(result.output, HasSubstr("REFUSED " + reason)) << name;
    ++seen;
  }
  EXPECT_EQ(seen, 15);
}

}  // namespace
}  // namespace keyward
