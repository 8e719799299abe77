// A whole simulated unit is destroyed by its operators: keys in the token, PIN, credentials, databases; what is
// said about it is signed, in the ceremony's transcript and in a certificate, and true.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "firmware/ceremony/transcript.h"
#include "firmware/config/config.h"
#include "firmware/crypto/crypto.h"
#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

CommandResult ctl(std::vector<std::string> words) {
  words.insert(words.begin(), keyward_binary("keywardctl"));
  return run_command(words);
}

struct Keys {
  explicit Keys(const TempDir& work, const std::string& unit) : file(work.path("operators.json")) {
    json::Writer out;
    out.begin_object().member_int("version", 1).member("unit", unit);
    out.key("operators").begin_array();
    for (const std::string name : {"ann", "bob"}) {
      const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
      const auto jwk = jose::Jwk::from_public_key(key->public_key());
      write_file(work.path(name + ".pem"), key->to_pem()->view());
      out.begin_object().member("name", name).key("jwk").raw(jwk->canonical());
      out.key("roles").begin_array().string("ca").end_array().end_object();
    }
    out.end_array().key("dual_control").begin_array().string("zeroise").end_array().end_object();
    write_file(file, view_of(out.take()));
    EXPECT_EQ(::chmod(file.c_str(), 0644), 0);
  }
  std::string file;
};

bool stands_in(const std::string& folder, const std::string& secret) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    if (std::string(text_of(read_whole_file(entry.path()))).find(secret) != std::string::npos)
      return true;
  }
  return false;
}

std::string write_pins(const Simulator& sim, const TempDir& work) {
  auto pins = config::Document::load(sim.dir() + "/offline/pins.toml");
  write_file(work.path("pin"), view_of(pins.root().string("issuing_pin")));
  write_file(work.path("so-pin"), view_of(pins.root().string("issuing_so_pin")));
  return work.path("pin");
}

// A ceremony's transcript whose seal is yet to come.
std::string begun_transcript(const TempDir& work) {
  ceremony::TranscriptHead head;
  head.unit = "plant-7";
  head.title = "A ceremony";
  head.started = "2026-01-01T00:00:00Z";
  head.plan_file = "plan.toml";
  auto transcript = ceremony::Transcript::begin(head);
  write_file(work.path("transcript.json"), view_of(transcript->text()));
  return work.path("transcript.json");
}

TEST(Zeroise, ByTwoOperators_DestroysKeysPinCredentialsAndDatabases_AndCertifiesIt) {
  const TempDir work;
  ASSERT_EQ(::chmod(work.root().c_str(), 0755), 0);
  const Keys keys(work, "plant-7");
  Simulator sim({"--quiet", "--set", "signer.operators=\"" + keys.file + "\""});
  ASSERT_TRUE(sim.started()) << sim.output();
  const auto file = sim.dir() + "/keyward.toml";
  const auto added = ctl({"eab", "add", sim.dir() + "/state/attestation", "--json"});
  const auto credential = json::Document::parse(added.output);
  ASSERT_TRUE(credential) << added.output;
  const std::string secret(credential->root().get("key").string());
  const auto pin = write_pins(sim, work);
  const auto zeroise = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"zeroise", file, "--pin-file", pin});
    return ctl(more);
  };
  auto refused = zeroise({"--yes-destroy", "plant-7"});
  EXPECT_EQ(refused.status, 64);
  EXPECT_THAT(refused.output, HasSubstr("the unit runs"));
  ASSERT_EQ(sim.run({"down"}).status, 0);

  refused = zeroise({"--yes-destroy", "plant-7"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.output, HasSubstr("their order is needed"));
  const auto order = work.path("order.jws");
  ASSERT_EQ(ctl({"order", "sign", "zeroise", "--operators", keys.file, "--key",
                 work.path("ann.pem"), "--out", order})
                .status,
            0);
  refused = zeroise({"--yes-destroy", "plant-7", "--order", order});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.output, HasSubstr("order-dual-control"));
  const auto cosigned = ctl({"order", "cosign", order, "--key", work.path("bob.pem")});
  ASSERT_EQ(cosigned.status, 0) << cosigned.output;
  refused = zeroise({"--yes-destroy", "plant-8", "--order", order});
  EXPECT_EQ(refused.status, 64);
  EXPECT_THAT(refused.output, HasSubstr("not confirmed, nothing was destroyed"));
  EXPECT_TRUE(stands_in(sim.dir() + "/state", secret));

  // Keys of the ceremony forbid C_DestroyObject: without the officer's PIN all stays as it is.
  refused = zeroise({"--yes-destroy", "plant-7", "--order", order});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("CKA_DESTROYABLE"));
  for (const auto* label : {"issuing", "audit", "evidence", "ocsp"})
    EXPECT_THAT(refused.output, HasSubstr("key " + std::string(label))) << "no try at each key";
  EXPECT_TRUE(stands_in(sim.dir() + "/state", secret));

  const auto transcript = begun_transcript(work);
  const auto certificate = work.path("destruction.json");
  const auto done = zeroise({"--yes-destroy", "plant-7", "--order", order, "--so-pin-file",
                             work.path("so-pin"), "--transcript", transcript, "--certificate",
                             certificate, "--key", work.path("ann.pem")});
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("no object and no PIN of a user is in it"));
  EXPECT_THAT(done.output, HasSubstr("everything is gone"));
  EXPECT_FALSE(stands_in(sim.dir() + "/state", secret));
  for (const auto* path :
       {"/state/platform/hsm-pin.tss2", "/state/attestation/eab", "/state/store/keyward.db",
        "/state/signer/ticket.key", "/state/signer/tokens"})
    EXPECT_FALSE(fs::exists(sim.dir() + path)) << path;
  EXPECT_TRUE(fs::exists(sim.dir() + "/state/signer/ledger"));

  const auto verified = ctl({"destruction", "verify", certificate, "--operators", keys.file});
  EXPECT_EQ(verified.status, 0) << verified.output;
  EXPECT_THAT(verified.output, HasSubstr("signed by ann"));
  EXPECT_THAT(verified.output, HasSubstr("\"everything_gone\":true"));
  EXPECT_THAT(verified.output, HasSubstr("\"ordered_by\":[\"ann\",\"bob\"]"));
  auto forged = std::string(text_of(read_whole_file(certificate)));
  auto& octet = forged[forged.find("\"payload\":\"") + 40];
  octet = octet == 'A' ? 'B' : 'A';
  write_file(certificate, view_of(forged));
  EXPECT_EQ(ctl({"destruction", "verify", certificate, "--operators", keys.file}).status, 2);

  const auto sealed = ceremony::Transcript::parse(text_of(read_whole_file(transcript)));
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(sealed->has_step("destruction"));
  EXPECT_EQ(sealed->seals().size(), 1u);
  const auto root =
      x509::certificates_from_pem(text_of(read_whole_file(sim.dir() + "/ca/root.pem")), 1);
  ASSERT_TRUE(root);
  for (const auto& finding : ceremony::check_transcript(*sealed, root->front()))
    ADD_FAILURE() << finding.code << ": " << finding.what;
}

TEST(Zeroise, FactoryReset_LeavesTheTokenOutsideAndDestroysTheState) {
  const TempDir work;
  const Simulator sim({"--quiet"});
  ASSERT_TRUE(sim.started()) << sim.output();
  const auto file = sim.dir() + "/keyward.toml";
  const auto status = ctl({"status", file, "--json"});
  const auto parsed = json::Document::parse(status.output, 1u << 20);
  ASSERT_TRUE(parsed) << status.output;
  const std::string unit(parsed->root().get("unit").string());
  ASSERT_EQ(sim.run({"down"}).status, 0);
  write_file(work.path("recovery-slot.json"), view_of("{}"));
  const auto done = ctl({"factory-reset", file, "--yes-destroy", unit, "--also",
                         work.path("recovery-slot.json"), "--json"});
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("\"hsm_keys\":false"));
  EXPECT_FALSE(fs::exists(work.path("recovery-slot.json")));
  EXPECT_FALSE(fs::exists(sim.dir() + "/state/store/keyward.db"));
  EXPECT_TRUE(fs::exists(sim.dir() + "/state/signer/zeroised"));
}

TEST(Zeroise, OperatorsFileThatIsMissing_MakesTheUnitUnprovisionedUntilItIsThere) {
  const TempDir work;
  ASSERT_EQ(::chmod(work.root().c_str(), 0755), 0);
  const Keys keys(work, "plant-7");
  const Simulator sim({"--quiet", "--set", "signer.operators=\"" + keys.file + "\""});
  ASSERT_TRUE(sim.started()) << sim.output();
  const auto wait_state = [&](const std::string& wanted) {
    const auto deadline = Deadline::after_ms(60'000);
    while (!deadline.passed() && sim.state() != wanted) ::poll(nullptr, 0, 250);
    return sim.state() == wanted;
  };
  fs::rename(keys.file, keys.file + ".away");
  ASSERT_EQ(::kill(sim.pid_of("signer"), SIGKILL), 0);
  EXPECT_TRUE(wait_state("unprovisioned")) << sim.run({"status"}).output;
  EXPECT_THAT(sim.run({"status"}).output, HasSubstr("operators.json"));
  fs::rename(keys.file + ".away", keys.file);
  EXPECT_TRUE(wait_state("operational")) << sim.run({"status"}).output;
}

}  // namespace
}  // namespace keyward::test
