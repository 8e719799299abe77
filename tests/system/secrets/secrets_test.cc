// A day with every kind of secret in it, at the most talkative log level, and then the search: nothing
// that a support engineer is shown may hold one of them, in any form. (What all other system tests
// leave behind is searched by the Simulator.)
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include "firmware/crypto/crypto.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "tests/support/secret_scan/secret_scan.h"
#include "tests/support/simulator/enrol_loop.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;
using testing::SizeIs;
constexpr std::int64_t kPatienceMs = 90'000;
constexpr const char* kTasks[] = {"supervisor",  "acme",   "store",   "validation",
                                  "attestation", "signer", "platform"};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
void put(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

class Secrets : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(sim_.started()) << sim_.output(); }
  bool becomes(const std::string& state) {
    const auto deadline = Deadline::after_ms(kPatienceMs);
    while (!deadline.passed()) {
      if (sim_.state() == state) return true;
      ::poll(nullptr, 0, 200);
    }
    ADD_FAILURE() << "not " << state << ": " << sim_.run({"status"}).output;
    return false;
  }
  // Runs keywardctl; what it says is searched with the rest, unless saying it is what it is for.
  CommandResult ctl(std::vector<std::string> words, bool prints_secret = false) {
    words.insert(words.begin(), keyward_binary("keywardctl"));
    auto out = run_command(words);
    if (!prints_secret) outputs_ += out.output;
    return out;
  }
  // newAccount with a binding whose MAC is made with `mac_key`.
  int bind(const std::string& kid, const Bytes& mac_key) {
    AcmeClient client(sim_.env("KEYWARD_DIRECTORY"), sim_.env("KEYWARD_CA_FILE"),
                      *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
    const auto directory = sim_.env("KEYWARD_DIRECTORY");
    const auto url = directory.substr(0, directory.find('/', 8)) + "/acme/new-account";
    const auto nonce = client.http().request("HEAD", "/acme/new-nonce", "", "");
    const auto jwk = jose::Jwk::from_public_key(client.key().public_key())->canonical();
    const auto head =
        base64url_encode(view_of(R"({"alg":"HS256","kid":")" + kid + R"(","url":")" + url + "\"}"));
    const auto body = base64url_encode(view_of(jwk));
    const auto mac =
        crypto::hmac(crypto::HashAlgorithm::kSha256, mac_key, view_of(head + "." + body));
    const std::string payload =
        R"({"termsOfServiceAgreed":true,"externalAccountBinding":{"protected":")" + head +
        R"(","payload":")" + body + R"(","signature":")" + base64url_encode(mac) + "\"}}";
    jose::SignRequest request{url, nonce->header("replay-nonce"), std::nullopt, payload};
    const auto reply = client.post_raw(url, jose::to_json(*jose::sign(client.key(), request)));
    return reply ? reply->status : 0;
  }
  void lose_sealed_pin() {
    fs::remove(sim_.dir() + "/state/platform/hsm-pin.tss2");
    const int pid = sim_.pid_of("signer");
    ASSERT_GT(pid, 0);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
  }
  std::vector<std::string> found() {
    scan_.gather(sim_.dir());
    auto out = scan_.in_folder(sim_.dir() + "/run");
    const auto add = [&](const std::vector<std::string>& more) {
      out.insert(out.end(), more.begin(), more.end());
    };
    add(scan_.in_text("what keywardctl said", outputs_));
    add(scan_.in_text("keyward-sim status", sim_.run({"status", "--json"}).output));
    add(scan_.in_text("keyward-sim logs", sim_.run({"logs"}).output));
    for (const char* task : kTasks) add(scan_.in_process(sim_.pid_of(task)));
    return out;
  }

  const Simulator sim_{{"--quiet"}};
  SecretScan scan_;
  std::string outputs_;
};

TEST_F(Secrets, DayWithAllOfThem_NoneIsShown) {
  // The PIN, in every way in which it comes to the unit.
  const std::string slot = sim_.dir() + "/slot", pin_file = sim_.dir() + "/pin";
  const auto pins = content_of(sim_.dir() + "/offline/pins.toml");
  const auto at = pins.find("issuing_pin = \"") + 15;
  put(pin_file, pins.substr(at, pins.find('"', at) - at));
  const auto made =
      ctl({"recovery", "create", "--unit", "sim", "--pin-file", pin_file, "--threshold", "2",
           "--custodian", "Ada", "--custodian", "Bo", "--custodian", "Cy", "--out", slot});
  ASSERT_EQ(made.status, 0) << made.output;
  fs::remove(pin_file);
  for (const auto& entry : fs::directory_iterator(slot)) {
    if (entry.path().extension() != ".share") continue;
    const auto sheet = content_of(entry.path().string());
    const auto begin = sheet.find("keyward-share-1");
    ASSERT_NE(begin, std::string::npos);
    // The header says what it is for; the secret is the end of the line.
    const auto line = sheet.substr(begin, sheet.find('\n', begin) - begin);
    ASSERT_GT(line.size(), 40U);
    scan_.add("a share", view_of(std::string_view(line).substr(line.size() - 24)));
  }
  lose_sealed_pin();
  ASSERT_TRUE(becomes("locked"));
  const auto unlock = [&](const std::vector<std::string>& shares) {
    std::vector<std::string> words{"unlock", sim_.dir() + "/keyward.toml", "--recovery",
                                   slot + "/recovery-slot.json"};
    for (const auto& share : shares)
      words.insert(words.end(), {"--share", slot + "/" + share + ".share"});
    return ctl(words);
  };
  EXPECT_NE(unlock({"01-Ada"}).status, 0);
  EXPECT_EQ(unlock({"01-Ada", "03-Cy"}).status, 0);
  ASSERT_TRUE(becomes("operational"));

  // The MAC key of a credential: used rightly, wrongly, and with an unknown name.
  const auto eab =
      ctl({"eab", "add", sim_.dir() + "/state/attestation", "--accounts", "0", "--json"}, true);
  ASSERT_EQ(eab.status, 0) << eab.output;
  const auto credential = json::Document::parse(eab.output.substr(0, eab.output.find('\n')));
  ASSERT_TRUE(credential) << eab.output;
  const std::string kid(credential->root().get("kid").string());
  const std::string key(credential->root().get("key").string());
  const auto mac_key = base64url_decode(key);
  ASSERT_TRUE(mac_key);
  scan_.add("a credential's key", *mac_key);
  scan_.add("a credential's key, as printed", view_of(key));
  const auto deadline = Deadline::after_ms(kPatienceMs);  // until the change is in force
  while (bind(kid, *mac_key) != 201 && !deadline.passed()) ::poll(nullptr, 0, 200);
  EXPECT_EQ(bind(kid, *mac_key), 201);
  const Bytes wrong(32, 0x5a);
  scan_.add("a wrong key", wrong);
  EXPECT_GE(bind(kid, wrong), 400);
  EXPECT_GE(bind("nobody", *mac_key), 400);
  (void)ctl({"eab", "list", sim_.dir() + "/state/attestation", "--json"});

  // An operator's key and passphrase: an order that this unit does not take.
  const std::string passphrase = "correct horse battery staple 4711";
  put(sim_.dir() + "/pass", passphrase + "\n");
  scan_.add("an operator's passphrase", view_of(passphrase));
  ASSERT_EQ(ctl({"operator-key", "new", sim_.dir() + "/anna.pem", "--passphrase-file",
                 sim_.dir() + "/pass"})
                .status,
            0);
  EXPECT_NE(ctl({"revoke", "--serial", "00112233445566778899", "--reason", "stolen", "--unit",
                 "sim", "--key", sim_.dir() + "/anna.pem", "--passphrase-file",
                 sim_.dir() + "/pass", "--state", sim_.dir() + "/state/signer", "--wait", "3"})
                .status,
            0);

  // Bearer tokens and private matter in requests, well-formed and not.
  const std::string token = "eyJhbGciOiJFUzI1NiJ9.c2VjcmV0LWJlYXJlci10b2tlbi1vZi1hLWRldmljZQ.AAAA";
  scan_.add("a bearer token", view_of(std::string_view(token).substr(21, 40)));
  AcmeClient client(sim_.env("KEYWARD_DIRECTORY"), sim_.env("KEYWARD_CA_FILE"),
                    *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  ASSERT_TRUE(client.start());
  const auto order = client.post(client.url_of("newOrder"),
                                 R"({"identifiers":[{"type":"dns","value":"a.plant.example"}]})");
  ASSERT_TRUE(order);
  const auto parsed = json::Document::parse(order->body);
  for (const auto& url : parsed->root().get("authorizations").items()) {
    const auto authz = client.post(std::string(url.string()), "");
    const auto body = json::Document::parse(authz->body);
    for (const auto& challenge : body->root().get("challenges").items())
      (void)client.post(std::string(challenge.get("url").string()), R"({"jwt":")" + token + "\"}");
  }
  (void)client.post_raw(client.url_of("newOrder"), token);
  (void)client.http().request("GET", "/acme/renewal-info/" + token, "", "");
  (void)client.http().request("GET", "/a path " + token, "", "");  // no HTTP: refused, and logged

  EnrolLoop devices(sim_, 1);
  EXPECT_TRUE(devices.wait_for(1, kPatienceMs)) << devices.last_failure();
  devices.stop();

  // What is sent to those who shall help.
  const auto bundle = sim_.dir() + "/run/support.tar";
  const auto packed = ctl({"support-bundle", sim_.dir() + "/keyward.toml", "--out", bundle});
  EXPECT_EQ(packed.status, 0) << packed.output;
  EXPECT_GT(fs::file_size(bundle), 10'000U);
  (void)ctl({"diagnose", sim_.dir() + "/keyward.toml"});
  (void)ctl({"status", sim_.dir() + "/keyward.toml", "--json"});

  EXPECT_THAT(found(), IsEmpty());
  EXPECT_GE(scan_.size(), 12U) << "a search for nothing";
  EXPECT_GE(scan_.files_read(), 3U) << "a search in nothing";
  const auto log = content_of(sim_.dir() + "/run/log");
  EXPECT_NE(log.find("level=debug"), std::string::npos) << "not the most talkative level";
}

// No task leaves its memory on a disk, whatever the machine's core pattern is.
TEST_F(Secrets, Tasks_HaveNoCoreFiles) {
  for (const char* task : kTasks) {
    if (std::string(task) == "supervisor") continue;  // it has none of them
    const auto limits = content_of("/proc/" + std::to_string(sim_.pid_of(task)) + "/limits");
    const auto line = limits.find("Max core file size");
    ASSERT_NE(line, std::string::npos) << task;
    EXPECT_EQ(limits.substr(line, limits.find('\n', line) - line).find("unlimited"),
              std::string::npos)
        << task;
    EXPECT_NE(limits.substr(line, 40).find(" 0 "), std::string::npos) << task;
  }
}

// The search itself: each form is found, wherever it begins.
TEST(SecretScan, EachForm_IsFound) {
  SecretScan scan;
  const Bytes secret = to_bytes("a secret of some length?>");
  scan.add("planted", secret);
  const auto hex = hex_encode(secret);
  EXPECT_THAT(scan.in_text("x", "before " + std::string(text_of(secret)) + " after"), SizeIs(1));
  EXPECT_THAT(scan.in_text("x", hex), SizeIs(1));
  std::string upper = hex;
  for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 32) : c;
  EXPECT_THAT(scan.in_text("x", upper), SizeIs(1));
  for (std::size_t lead = 0; lead < 4; ++lead) {
    for (std::size_t tail = 0; tail < 3; ++tail) {
      Bytes longer(lead, 'p');
      longer.insert(longer.end(), secret.begin(), secret.end());
      longer.insert(longer.end(), tail, 'q');
      EXPECT_THAT(scan.in_text("x", base64_encode(longer)), SizeIs(1)) << lead << tail;
      EXPECT_THAT(scan.in_text("x", base64url_encode(longer)), SizeIs(1)) << lead << tail;
    }
  }
  EXPECT_THAT(scan.in_text("x", "a secret of some lengt"), IsEmpty());
}

}  // namespace
}  // namespace keyward::test
