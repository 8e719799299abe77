// Tests what the gate makes of remote attestations: one live grant for each that the order or its
// profile asks for, and none of another account, order, profile, key or device.
#include "firmware/issue/remote_grants.h"

#include "fixture.h"

namespace keyward::test {
namespace {

class RemoteGateTest : public GateTest {
 protected:
  RemoteGateTest() {
    auto plain = issue::make_profile("device", issue::ProfileKind::kDevice, 365);
    plain.preference = 50;
    auto measured = issue::make_profile("measured", issue::ProfileKind::kDevice, 365);
    measured.attestations = {"measured_boot"};
    auto server = issue::make_profile("server", issue::ProfileKind::kServer, 90);
    server.preference = 50;
    config_.profiles = {plain, measured, server};
  }
  wire::TicketMintReply measured_order(const wire::Identifier& id = device("D-1")) {
    auto reply = gate_->mint_ticket(client_.new_order(TestClient::order_payload({id}, "measured")));
    EXPECT_TRUE(reply) << reply.error().code;
    if (!reply) return {};
    attest(client_, id, reply->ticket, key_->public_key());
    return *reply;
  }
  wire::GrantRemote remote(const std::string& ticket) const {
    wire::GrantRemote grant;
    grant.thumbprint = client_.thumbprint();
    grant.hint = "measured_boot";
    grant.profile = "measured";
    grant.policy = "laptops";
    grant.ticket = ticket;
    grant.expires_at_ms = clock_.utc_ms() + 3'600'000;
    grant.evidence_sha256[0] = 7;
    return grant;
  }
  std::string send(const wire::GrantRemote& grant) {
    const auto reply = gate_->grant_remote(grant);
    return reply ? "granted" : reply.error().code;
  }
  std::string finalize(const wire::TicketMintReply& made) {
    return code(gate_->issue(client_.finalize(made, make_csr(*key_, CsrSpec{}))));
  }
  std::string issue_with(const wire::GrantRemote& grant, const wire::TicketMintReply& made) {
    EXPECT_EQ(send(grant), "granted");
    return finalize(made);
  }
};

TEST_F(RemoteGateTest, Attested_Issued_AndTheLedgerNamesIt) {
  open();
  const auto made = measured_order();
  auto grant = remote(made.ticket);
  grant.spki_sha256 = key_->public_key().spki_sha256();
  grant.devices = {device("D-2"), device("D-1/1.2.3")};
  EXPECT_EQ(issue_with(grant, made), "issued");
  std::vector<issue::GrantNote> notes;
  const auto read = issue::read_ledger(directory_.path("ledger"),
                                       [&](const issue::LedgerRow& row, const auto&) -> Status {
                                         if (row.intent) notes = row.intent->grants;
                                         return {};
                                       });
  ASSERT_TRUE(read);
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_EQ(notes[1].method, wire::ValidationMethod::kRemoteAttest01);
  EXPECT_EQ(notes[1].evidence_sha256, grant.evidence_sha256);
  EXPECT_NE(notes[1].grant_sha256, Digest256{});
}

TEST_F(RemoteGateTest, Attested_Restart_StillCounts) {
  open();
  const auto made = measured_order();
  auto grant = remote(made.ticket);
  grant.devices = {device("D-1")};
  EXPECT_EQ(send(grant), "granted");
  open();
  EXPECT_EQ(finalize(made), "issued");
}

TEST_F(RemoteGateTest, NotAttested_AttestationMissing) {
  open();
  EXPECT_EQ(finalize(measured_order()), "attestation-missing");
}

TEST_F(RemoteGateTest, PromisedInTheOrder_ProfileAsksNoMore_StillWanted) {
  wire::OrderTerms terms;
  terms.attestations = std::vector<std::string>{"hsm", "measured_boot"};
  auto profile = issue::make_profile("p", issue::ProfileKind::kDevice, 1);
  profile.attestations = {"measured_boot", "fips"};
  EXPECT_EQ(issue::wanted_attestations(terms, profile),
            (std::vector<std::string>{"fips", "hsm", "measured_boot"}));
}

TEST_F(RemoteGateTest, ProfileAsksSinceTheOrder_AttestationMissing) {
  config_.profiles[0].attestations = {};
  open();
  const auto id = device("D-1");
  const auto made = order(client_, {id});
  attest(client_, id, made.ticket, key_->public_key());
  config_.profiles[0].attestations = {"measured_boot"};
  open();
  EXPECT_EQ(finalize(made), "attestation-missing");
  config_.profiles[0].attestations = {};
  open();
  EXPECT_EQ(finalize(made), "issued");
}

TEST_F(RemoteGateTest, OfAnotherProfile_AttestationProfile) {
  open();
  const auto made = measured_order();
  auto grant = remote(made.ticket);
  grant.profile = "device";
  EXPECT_EQ(issue_with(grant, made), "attestation-profile");
}

TEST_F(RemoteGateTest, Expired_AttestationExpired) {
  open();
  const auto made = measured_order();
  auto grant = remote(made.ticket);
  grant.expires_at_ms = clock_.utc_ms() + 1'000;
  EXPECT_EQ(send(grant), "granted");
  clock_.advance(1'000);
  EXPECT_EQ(finalize(made), "attestation-expired");
}

TEST_F(RemoteGateTest, OfAnotherKey_AttestationKeyMismatch) {
  open();
  const auto made = measured_order();
  auto grant = remote(made.ticket);
  grant.spki_sha256 = client_.key().public_key().spki_sha256();
  EXPECT_EQ(issue_with(grant, made), "attestation-key-mismatch");
}

TEST_F(RemoteGateTest, OfAnotherDevice_GrantDeviceMismatch) {
  open();
  const auto made = measured_order();
  auto grant = remote(made.ticket);
  grant.devices = {
      device("D-2"), {wire::IdentifierType::kHardwareModule, "D-1/1.2.3"}, device("d-1")};
  EXPECT_EQ(issue_with(grant, made), "grant-device-mismatch");
}

// The order's assigner is the client's word: a value of another one is another device.
TEST_F(RemoteGateTest, DeviceOfAnotherAssigner_GrantDeviceMismatch) {
  open();
  const auto made = measured_order(device("D-1/1.2.4"));
  auto grant = remote(made.ticket);
  grant.devices = {device("D-1/1.2.3"), device("D-1")};
  EXPECT_EQ(issue_with(grant, made), "grant-device-mismatch");
}

TEST_F(RemoteGateTest, OfAnotherOrderOrAccount_AttestationMissing) {
  open();
  const auto made = measured_order();
  auto grant = remote(measured_order().ticket);
  EXPECT_EQ(send(grant), "granted");
  grant = remote(made.ticket);
  grant.thumbprint = TestClient().thumbprint();
  EXPECT_EQ(send(grant), "granted");
  grant = remote(made.ticket);
  grant.hint = "measured_boot2";
  EXPECT_EQ(issue_with(grant, made), "attestation-missing");
}

// It proves no name and no device.
TEST_F(RemoteGateTest, AttestedAlone_DeviceNotProved_GrantMissing) {
  open();
  auto made =
      gate_->mint_ticket(client_.new_order(TestClient::order_payload({device("D-1")}, "measured")));
  ASSERT_TRUE(made);
  auto grant = remote(made->ticket);
  grant.devices = {device("D-1")};
  EXPECT_EQ(issue_with(grant, *made), "grant-missing");
}

// ---- admission

TEST_F(RemoteGateTest, Admission_EachRefusal) {
  open();
  const auto with = [&](auto&& change) {
    auto grant = remote("T");
    change(grant);
    return send(grant);
  };
  EXPECT_EQ(with([](auto& g) { g.hint = "measured-boot"; }), "identifier-malformed");
  EXPECT_EQ(with([](auto& g) { g.hint = ""; }), "granted");
  EXPECT_EQ(with([](auto& g) { g.devices = {dns("a.example")}; }), "identifier-malformed");
  EXPECT_EQ(with([](auto& g) { g.profile = "nowhere"; }), "profile-unknown");
  EXPECT_EQ(with([](auto& g) { g.ticket = ""; }), "grant-not-permitted");
  EXPECT_EQ(with([](auto& g) { g.spki_sha256 = Digest256{}; }), "grant-not-permitted");
  EXPECT_EQ(with([](auto& g) { g.devices.assign(9, device("D")); }), "grant-not-permitted");
  EXPECT_EQ(with([&](auto& g) { g.expires_at_ms = clock_.utc_ms(); }), "grant-expired");
  EXPECT_EQ(with([&](auto& g) { g.expires_at_ms += 91LL * 86'400'000; }), "grant-not-permitted");
}

}  // namespace
}  // namespace keyward::test
