// Tests problem documents and the table from other tasks' codes to ACME's errors.
#include "firmware/acme/problem.h"

#include <set>

#include <gtest/gtest.h>

#include "firmware/json/json.h"

namespace keyward::acme {
namespace {

struct Expected {
  std::string_view code;
  std::string_view type;
  int status;
  OrderFate fate;
};

// Every code that the signer and the runtime may answer with, spelled out once more.
const Expected kExpected[] = {
    {"jwk-malformed", "serverInternal", 500, OrderFate::kInvalid},
    {"no-grant", "unauthorized", 403, OrderFate::kInvalid},
    {"jws-signature", "malformed", 400, OrderFate::kStaysReady},
    {"jws-algorithm", "badSignatureAlgorithm", 400, OrderFate::kStaysReady},
    {"jws-url", "unauthorized", 403, OrderFate::kStaysReady},
    {"ticket-malformed", "serverInternal", 500, OrderFate::kInvalid},
    {"ticket-forged", "serverInternal", 500, OrderFate::kInvalid},
    {"ticket-expired", "unauthorized", 403, OrderFate::kInvalid},
    {"ticket-terms", "serverInternal", 500, OrderFate::kInvalid},
    {"payload-malformed", "malformed", 400, OrderFate::kStaysReady},
    {"csr-malformed", "badCSR", 400, OrderFate::kStaysReady},
    {"csr-signature", "badCSR", 400, OrderFate::kStaysReady},
    {"csr-key-profile", "badCSR", 400, OrderFate::kStaysReady},
    {"csr-key-refused", "badCSR", 400, OrderFate::kStaysReady},
    {"csr-key-is-account-key", "badCSR", 400, OrderFate::kStaysReady},
    {"csr-names", "badCSR", 400, OrderFate::kStaysReady},
    {"csr-extension", "badCSR", 400, OrderFate::kStaysReady},
    {"jws-malformed", "malformed", 400, OrderFate::kStaysReady},
    {"identifier-malformed", "malformed", 400, OrderFate::kInvalid},
    {"identifier-unsupported", "unsupportedIdentifier", 400, OrderFate::kInvalid},
    {"identifier-not-permitted", "rejectedIdentifier", 403, OrderFate::kInvalid},
    {"grant-missing", "unauthorized", 403, OrderFate::kInvalid},
    {"grant-expired", "unauthorized", 403, OrderFate::kInvalid},
    {"grant-wildcard", "unauthorized", 403, OrderFate::kInvalid},
    {"ak-revoked", "badAttestationStatement", 400, OrderFate::kInvalid},
    {"attested-key-mismatch", "badCSR", 400, OrderFate::kStaysReady},
    {"attested-key-missing", "unauthorized", 403, OrderFate::kInvalid},
    {"profile-unknown", "invalidProfile", 400, OrderFate::kInvalid},
    {"profile-identifiers", "invalidProfile", 400, OrderFate::kInvalid},
    {"validity-not-permitted", "malformed", 400, OrderFate::kInvalid},
    {"identifiers-refused", "compound", 400, OrderFate::kInvalid},
    {"rate-profile", "rateLimited", 429, OrderFate::kStaysReady},
    {"rate-profile-account", "rateLimited", 429, OrderFate::kStaysReady},
    {"rate-account", "rateLimited", 429, OrderFate::kStaysReady},
    {"rate-overall", "rateLimited", 429, OrderFate::kStaysReady},
    {"clock-behind-ledger", "serverInternal", 503, OrderFate::kProcessing},
    {"clock-jumped", "serverInternal", 503, OrderFate::kProcessing},
    {"clock-unset", "serverInternal", 503, OrderFate::kProcessing},
    {"issuer-expired", "serverInternal", 503, OrderFate::kProcessing},
    {"lint-failed", "serverInternal", 500, OrderFate::kInvalid},
    {"hsm-away", "serverInternal", 503, OrderFate::kProcessing},
    {"hsm-signature", "serverInternal", 500, OrderFate::kInvalid},
    {"order-already-issued", "orderNotReady", 403, OrderFate::kInvalid},
    {"ledger-unavailable", "serverInternal", 503, OrderFate::kProcessing},
    {"unprovisioned", "serverInternal", 503, OrderFate::kProcessing},
    {"account-revoked", "unauthorized", 403, OrderFate::kInvalid},
    {"issuance-held", "serverInternal", 503, OrderFate::kProcessing},
    {"policy-not-approved", "serverInternal", 503, OrderFate::kProcessing},
    {"revocation-reason", "badRevocationReason", 400, OrderFate::kInvalid},
    {"revocation-already", "alreadyRevoked", 400, OrderFate::kInvalid},
    {"revocation-unauthorized", "unauthorized", 403, OrderFate::kInvalid},
    {"revocation-star", "autoRenewalRevocationNotSupported", 403, OrderFate::kInvalid},
    {"revocation-busy", "serverInternal", 500, OrderFate::kInvalid},
    {"star-terms", "malformed", 400, OrderFate::kInvalid},
    {"star-not-offered", "malformed", 400, OrderFate::kInvalid},
    {"star-cancel-invalid", "autoRenewalCancellationInvalid", 400, OrderFate::kInvalid},
    {"star-canceled", "autoRenewalCanceled", 403, OrderFate::kInvalid},
    {"star-expired", "autoRenewalExpired", 403, OrderFate::kInvalid},
    {"certificate-unknown", "malformed", 400, OrderFate::kInvalid},
    {"already-replaced", "alreadyReplaced", 409, OrderFate::kInvalid},
    {"key-change-malformed", "malformed", 400, OrderFate::kInvalid},
    {"key-change-signature", "malformed", 400, OrderFate::kInvalid},
    {"key-change-algorithm", "badSignatureAlgorithm", 400, OrderFate::kInvalid},
    {"key-change-key", "badPublicKey", 400, OrderFate::kInvalid},
    {"key-links-full", "rateLimited", 429, OrderFate::kInvalid},
    {"key-change-url", "malformed", 400, OrderFate::kInvalid},
    {"key-change-account", "malformed", 400, OrderFate::kInvalid},
    {"key-change-old-key", "malformed", 400, OrderFate::kInvalid},
    {"key-change-same", "malformed", 400, OrderFate::kInvalid},
    {"key-already-linked", "unauthorized", 403, OrderFate::kInvalid},
    {"key-replaced", "unauthorized", 403, OrderFate::kInvalid},
    {"key-change-limit", "unauthorized", 403, OrderFate::kInvalid},
    {"key-was-used", "unauthorized", 403, OrderFate::kInvalid},
    {"key-history-full", "unauthorized", 403, OrderFate::kInvalid},
    {"recovery-limit", "rateLimited", 429, OrderFate::kInvalid},
    {"account-limit", "rateLimited", 429, OrderFate::kInvalid},
    {"order-limit", "rateLimited", 429, OrderFate::kInvalid},
    {"account-not-valid", "unauthorized", 403, OrderFate::kInvalid},
    {"edge-not-allowed", "malformed", 400, OrderFate::kInvalid},
    {"authority-not-configured", "unsupportedIdentifier", 400, OrderFate::kInvalid},
    {"challenge-token-forged", "unauthorized", 403, OrderFate::kInvalid},
    {"challenge-token-expired", "unauthorized", 403, OrderFate::kInvalid},
    {"eab-full", "rateLimited", 429, OrderFate::kInvalid},
    {"eab-unavailable", "serverInternal", 503, OrderFate::kProcessing},
    {"inventory-full", "rateLimited", 429, OrderFate::kInvalid},
    {"inventory-unavailable", "serverInternal", 503, OrderFate::kProcessing},
    {"authority-full", "rateLimited", 429, OrderFate::kInvalid},
    {"authority-unavailable", "serverInternal", 503, OrderFate::kProcessing},
    {"account-not-admitted", "externalAccountRequired", 403, OrderFate::kInvalid},
    {"account-profile", "invalidProfile", 400, OrderFate::kInvalid},
    {"account-quota", "rateLimited", 429, OrderFate::kStaysReady},
    {"account-withdrawn", "unauthorized", 403, OrderFate::kInvalid},
    {"account-unknown", "unauthorized", 403, OrderFate::kInvalid},
    {"authz-limit", "rateLimited", 429, OrderFate::kInvalid},
    {"csr-key-compromised", "badCSR", 400, OrderFate::kStaysReady},
    {"grant-account-url", "unauthorized", 403, OrderFate::kInvalid},
    {"grant-method", "unauthorized", 403, OrderFate::kInvalid},
    {"jws-key-refused", "badPublicKey", 400, OrderFate::kInvalid},
    {"subtree-caa", "rejectedIdentifier", 403, OrderFate::kInvalid},
    {"subtree-method", "rejectedIdentifier", 403, OrderFate::kInvalid},
    {"attestation-missing", "unauthorized", 403, OrderFate::kInvalid},
    {"attestation-expired", "unauthorized", 403, OrderFate::kInvalid},
    {"attestation-profile", "unauthorized", 403, OrderFate::kInvalid},
    {"attestation-key-mismatch", "badCSR", 400, OrderFate::kStaysReady},
    {"evidence-key-away", "serverInternal", 503, OrderFate::kProcessing},
    {"grant-device-mismatch", "unauthorized", 403, OrderFate::kInvalid},
    {"hint-not-served", "serverInternal", 500, OrderFate::kInvalid},
    {"tenant-not-delegated", "unauthorized", 403, OrderFate::kInvalid},
    {"service-domain-missing", "unauthorized", 403, OrderFate::kInvalid},
    {"service-domain-unproved", "unauthorized", 403, OrderFate::kStaysReady},
    {"ak-grant-missing", "unauthorized", 403, OrderFate::kInvalid},
    {"ak-key-malformed", "badAttestationStatement", 400, OrderFate::kInvalid},
    {"ak-not-offered", "unauthorized", 403, OrderFate::kInvalid},
    {"crl-full", "serverInternal", 503, OrderFate::kProcessing},
    {"crl-missing", "serverInternal", 503, OrderFate::kProcessing},
    {"peer-lost", "serverInternal", 503, OrderFate::kProcessing},
    {"peer-timeout", "serverInternal", 503, OrderFate::kProcessing},
    {"peer-busy", "serverInternal", 503, OrderFate::kProcessing},
};

TEST(Problem, FailureTable_EachCode_MapsAsWritten) {
  for (const auto& expected : kExpected) {
    const auto failure = wire::Failure::of(wire::FailureKind::kRefused, expected.code, "why");
    const auto problem = problem_from(failure);
    EXPECT_EQ(row_of(problem.type).name, expected.type) << expected.code;
    EXPECT_EQ(problem.status, expected.status) << expected.code;
    EXPECT_EQ(fate_of(failure), expected.fate) << expected.code;
    EXPECT_EQ(problem.code, expected.code);
    EXPECT_EQ(problem.detail, "why");
  }
}

TEST(Problem, FailureTable_NoRowUntested) {
  std::set<std::string_view> expected;
  for (const auto& row : kExpected) expected.insert(row.code);
  std::set<std::string_view> present;
  for (const auto& row : failure_rows())
    EXPECT_TRUE(present.insert(row.code).second) << "twice: " << row.code;
  EXPECT_EQ(present, expected);
}

TEST(Problem, UnknownCode_GoesByKind) {
  const auto status = [](wire::FailureKind kind) {
    return problem_from(wire::Failure::of(kind, "new-code", "x")).status;
  };
  EXPECT_EQ(status(wire::FailureKind::kBadInput), 400);
  EXPECT_EQ(status(wire::FailureKind::kRefused), 403);
  EXPECT_EQ(status(wire::FailureKind::kUnavailable), 503);
  EXPECT_EQ(status(wire::FailureKind::kExhausted), 503);
  EXPECT_EQ(status(wire::FailureKind::kCorrupt), 500);
  EXPECT_EQ(status(wire::FailureKind::kInternal), 500);
  EXPECT_EQ(fate_of(wire::Failure::of(wire::FailureKind::kUnavailable, "new-code", "x")),
            OrderFate::kProcessing);
  EXPECT_EQ(fate_of(wire::Failure::of(wire::FailureKind::kRefused, "new-code", "x")),
            OrderFate::kInvalid);
}

TEST(Problem, RetryAfter_FromMilliseconds_RoundedUp) {
  auto failure = wire::Failure::of(wire::FailureKind::kUnavailable, "hsm-away", "x");
  failure.retry_after_ms = 1'200;
  const auto response = problem_from(failure).response();
  bool seen = false;
  for (const auto& [name, value] : response.headers) {
    if (name != "Retry-After") continue;
    EXPECT_EQ(value, "2");
    seen = true;
  }
  EXPECT_TRUE(seen);
}

TEST(Problem, EachType_NameAndStatus_AreRegistered) {
  for (int i = 0; i <= static_cast<int>(ProblemType::kUserActionRequired); ++i) {
    const auto& row = row_of(static_cast<ProblemType>(i));
    EXPECT_EQ(static_cast<int>(row.type), i);
    EXPECT_EQ(problem_type_from(row.name), row.type);
    EXPECT_GE(row.status, 400);
  }
  EXPECT_FALSE(problem_type_from("noSuchType"));
}

wire::Identifier dns(std::string_view name) {
  return {wire::IdentifierType::kDns, std::string(name)};
}

TEST(Problem, Faults_OfOneType_ThatTypeWithEachIdentifier) {
  auto failure = wire::Failure::of(wire::FailureKind::kRefused, "identifier-not-permitted", "x");
  failure.faults = {{dns("a.example"), "identifier-not-permitted", "outside"},
                    {dns("b.example"), "identifier-not-permitted", "outside"}};
  const auto problem = problem_from(failure);
  EXPECT_EQ(problem.type, ProblemType::kRejectedIdentifier);
  EXPECT_EQ(problem.status, 403);
  const auto document = json::Document::parse(problem.json());
  const auto parts = document->root().get("subproblems").items();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[1].get("identifier").get("value").string(), "b.example");
  EXPECT_EQ(parts[1].get("type").string(), "urn:ietf:params:acme:error:rejectedIdentifier");
  EXPECT_FALSE(document->root().get("identifier").exists());
}

TEST(Problem, Faults_OfSeveralTypes_CompoundWithTheWorstStatus) {
  auto failure = wire::Failure::of(wire::FailureKind::kBadInput, "identifier-malformed", "x");
  failure.faults = {{dns("a_b"), "identifier-malformed", "no name"},
                    {dns("b.example"), "identifier-not-permitted", "outside"}};
  const auto problem = problem_from(failure);
  EXPECT_EQ(problem.type, ProblemType::kCompound);
  EXPECT_EQ(problem.status, 403);
  EXPECT_NE(problem.json().find("\"type\":\"urn:ietf:params:acme:error:compound\""),
            std::string::npos);
}

TEST(Problem, NoFaults_NoSubproblemsMember) {
  const auto failure = wire::Failure::of(wire::FailureKind::kRefused, "no-grant", "x");
  EXPECT_EQ(problem_from(failure).json().find("subproblems"), std::string::npos);
}

TEST(Problem, StoredJson_ManySubproblems_FitsTheRecord) {
  std::vector<Subproblem> parts(
      limits::kIdentifierFaultsMax * 2,
      {ProblemType::kCaa, "caa", std::string(200, 'x'), dns(std::string(250, 'a'))});
  const auto problem = Problem::about(std::move(parts));
  EXPECT_EQ(problem.subproblems.size(), limits::kIdentifierFaultsMax);
  const auto stored = problem.stored_json();
  EXPECT_LE(stored.size(), limits::kDetailBytesMax * 2);
  EXPECT_TRUE(json::Document::parse(stored)->root().get("subproblems").exists());
}

TEST(Problem, ChallengeProblem_UnknownType_BecomesServerInternal) {
  EXPECT_EQ(problem_from(wire::ChallengeProblem{"connection", "c", "d"}).type,
            ProblemType::kConnection);
  EXPECT_EQ(problem_from(wire::ChallengeProblem{"surprise", "c", "d"}).type,
            ProblemType::kServerInternal);
}

TEST(Problem, StoredJson_LongHostileDetail_FitsTheRecordAndStaysJson) {
  const std::string hostile(limits::kDetailBytesMax, '\x01');  // six characters each when escaped
  const auto problem = Problem::of(ProblemType::kConnection, "c", hostile);
  const auto stored = problem.stored_json();
  EXPECT_LE(stored.size(), limits::kDetailBytesMax * 2);
  EXPECT_TRUE(json::Document::parse(stored).has_value());
}

}  // namespace
}  // namespace keyward::acme
