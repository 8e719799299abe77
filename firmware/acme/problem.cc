#include "firmware/acme/problem.h"

#include <algorithm>
#include <array>

#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kUrn = "urn:ietf:params:acme:error:";

constexpr std::array kTypes = std::to_array<ProblemTypeRow>({
    {ProblemType::kAccountDoesNotExist, "accountDoesNotExist", 400},
    {ProblemType::kAlreadyReplaced, "alreadyReplaced", 409},  // RFC 9773 §5
    {ProblemType::kAlreadyRevoked, "alreadyRevoked", 400},
    {ProblemType::kAutoRenewalCanceled, "autoRenewalCanceled", 403},  // RFC 8739 §6.6
    {ProblemType::kAutoRenewalCancellationInvalid, "autoRenewalCancellationInvalid", 400},
    {ProblemType::kAutoRenewalExpired, "autoRenewalExpired", 403},
    {ProblemType::kAutoRenewalRevocationNotSupported, "autoRenewalRevocationNotSupported", 403},
    {ProblemType::kBadAttestationStatement, "badAttestationStatement", 400},  // D-D2
    {ProblemType::kBadCsr, "badCSR", 400},
    {ProblemType::kBadNonce, "badNonce", 400},
    {ProblemType::kBadPublicKey, "badPublicKey", 400},
    {ProblemType::kBadRevocationReason, "badRevocationReason", 400},
    {ProblemType::kBadSignatureAlgorithm, "badSignatureAlgorithm", 400},
    {ProblemType::kCaa, "caa", 403},
    {ProblemType::kCompound, "compound", 400},  // or of its worst part
    {ProblemType::kConnection, "connection", 400},
    {ProblemType::kDns, "dns", 400},
    {ProblemType::kExternalAccountRequired, "externalAccountRequired", 403},
    {ProblemType::kIncorrectResponse, "incorrectResponse", 403},
    {ProblemType::kInvalidContact, "invalidContact", 400},
    {ProblemType::kInvalidProfile, "invalidProfile", 400},
    {ProblemType::kMalformed, "malformed", 400},
    {ProblemType::kOrderNotReady, "orderNotReady", 403},
    {ProblemType::kRateLimited, "rateLimited", 429},
    {ProblemType::kRejectedIdentifier, "rejectedIdentifier", 403},
    {ProblemType::kServerInternal, "serverInternal", 500},
    {ProblemType::kTls, "tls", 400},
    {ProblemType::kUnauthorized, "unauthorized", 403},
    {ProblemType::kUnsupportedContact, "unsupportedContact", 400},
    {ProblemType::kUnsupportedIdentifier, "unsupportedIdentifier", 400},
    {ProblemType::kUserActionRequired, "userActionRequired", 403},
});

// The signer's codes. Those about what this task itself handed over (jwk, ticket, terms) are our
// own fault or a forgery of our store, and no matter of the client.
constexpr std::array kFailures = std::to_array<FailureRow>({
    {"jwk-malformed", ProblemType::kServerInternal, OrderFate::kInvalid},
    {"no-grant", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"unprovisioned", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"jws-signature", ProblemType::kMalformed, OrderFate::kStaysReady},
    {"jws-algorithm", ProblemType::kBadSignatureAlgorithm, OrderFate::kStaysReady},
    {"jws-url", ProblemType::kUnauthorized, OrderFate::kStaysReady},
    {"ticket-malformed", ProblemType::kServerInternal, OrderFate::kInvalid},
    {"ticket-forged", ProblemType::kServerInternal, OrderFate::kInvalid},
    {"ticket-expired", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"ticket-terms", ProblemType::kServerInternal, OrderFate::kInvalid},
    {"payload-malformed", ProblemType::kMalformed, OrderFate::kStaysReady},
    {"csr-malformed", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"csr-signature", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"csr-key-refused", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"csr-key-profile", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"csr-key-is-account-key", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"csr-names", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"csr-extension", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"jws-malformed", ProblemType::kMalformed, OrderFate::kStaysReady},
    {"identifier-malformed", ProblemType::kMalformed, OrderFate::kInvalid},
    {"identifier-unsupported", ProblemType::kUnsupportedIdentifier, OrderFate::kInvalid},
    {"identifier-not-permitted", ProblemType::kRejectedIdentifier, OrderFate::kInvalid},
    {"grant-missing", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"grant-expired", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"grant-wildcard", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"attested-key-mismatch", ProblemType::kBadCsr, OrderFate::kStaysReady},  // D-D13
    {"ak-revoked", ProblemType::kBadAttestationStatement, OrderFate::kInvalid},
    {"attested-key-missing", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"profile-unknown", ProblemType::kInvalidProfile, OrderFate::kInvalid},
    {"profile-identifiers", ProblemType::kInvalidProfile, OrderFate::kInvalid},
    {"validity-not-permitted", ProblemType::kMalformed, OrderFate::kInvalid},
    {"identifiers-refused", ProblemType::kCompound, OrderFate::kInvalid},
    {"rate-profile", ProblemType::kRateLimited, OrderFate::kStaysReady},
    {"rate-profile-account", ProblemType::kRateLimited, OrderFate::kStaysReady},
    {"rate-account", ProblemType::kRateLimited, OrderFate::kStaysReady},
    {"rate-overall", ProblemType::kRateLimited, OrderFate::kStaysReady},
    {"clock-behind-ledger", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"clock-jumped", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"clock-unset", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"issuer-expired", ProblemType::kServerInternal,
     OrderFate::kProcessing},  // or the clock is not set yet
    {"lint-failed", ProblemType::kServerInternal, OrderFate::kInvalid},
    {"hsm-away", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"hsm-signature", ProblemType::kServerInternal,
     OrderFate::kInvalid},  // never hammer a token that signs wrongly
    {"order-already-issued", ProblemType::kOrderNotReady, OrderFate::kInvalid},
    {"ledger-unavailable", ProblemType::kServerInternal, OrderFate::kProcessing},
    // Revocation (RFC 8555 §7.6).
    {"revocation-reason", ProblemType::kBadRevocationReason, OrderFate::kInvalid},
    {"account-revoked", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"issuance-held", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"crl-full", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"policy-not-approved", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"revocation-already", ProblemType::kAlreadyRevoked, OrderFate::kInvalid},
    {"revocation-unauthorized", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"revocation-star", ProblemType::kAutoRenewalRevocationNotSupported, OrderFate::kInvalid},
    {"revocation-busy", ProblemType::kServerInternal, OrderFate::kInvalid},
    // Renewal (RFC 8739).
    {"star-terms", ProblemType::kMalformed, OrderFate::kInvalid},
    {"star-not-offered", ProblemType::kMalformed, OrderFate::kInvalid},
    {"star-cancel-invalid", ProblemType::kAutoRenewalCancellationInvalid, OrderFate::kInvalid},
    {"star-canceled", ProblemType::kAutoRenewalCanceled, OrderFate::kInvalid},
    {"star-expired", ProblemType::kAutoRenewalExpired, OrderFate::kInvalid},
    {"certificate-unknown", ProblemType::kMalformed, OrderFate::kInvalid},
    // Keys of accounts: the signer's and the store's.
    {"key-change-malformed", ProblemType::kMalformed, OrderFate::kInvalid},
    {"key-change-signature", ProblemType::kMalformed, OrderFate::kInvalid},
    {"key-change-algorithm", ProblemType::kBadSignatureAlgorithm, OrderFate::kInvalid},
    {"key-change-key", ProblemType::kBadPublicKey, OrderFate::kInvalid},
    {"key-links-full", ProblemType::kRateLimited, OrderFate::kInvalid},
    {"key-change-url", ProblemType::kMalformed, OrderFate::kInvalid},
    {"key-change-account", ProblemType::kMalformed, OrderFate::kInvalid},
    {"key-change-old-key", ProblemType::kMalformed, OrderFate::kInvalid},
    {"key-change-same", ProblemType::kMalformed, OrderFate::kInvalid},
    {"key-already-linked", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"key-replaced", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"key-change-limit", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"key-was-used", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"key-history-full", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"recovery-limit", ProblemType::kRateLimited, OrderFate::kInvalid},
    // The store's. Its limits are per account or of the whole appliance: the client may come back
    // later.
    {"account-limit", ProblemType::kRateLimited, OrderFate::kInvalid},
    {"order-limit", ProblemType::kRateLimited, OrderFate::kInvalid},
    {"already-replaced", ProblemType::kAlreadyReplaced, OrderFate::kInvalid},
    {"account-not-valid", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"edge-not-allowed", ProblemType::kMalformed, OrderFate::kInvalid},
    // Of attestation.
    {"authority-not-configured", ProblemType::kUnsupportedIdentifier, OrderFate::kInvalid},
    {"challenge-token-forged", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"challenge-token-expired", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"eab-full", ProblemType::kRateLimited, OrderFate::kInvalid},
    {"eab-unavailable", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"inventory-full", ProblemType::kRateLimited, OrderFate::kInvalid},
    {"inventory-unavailable", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"authority-full", ProblemType::kRateLimited, OrderFate::kInvalid},
    {"authority-unavailable", ProblemType::kServerInternal, OrderFate::kProcessing},
    // Who was admitted by a credential, what a proof was made for, how much of it there is.
    {"account-not-admitted", ProblemType::kExternalAccountRequired, OrderFate::kInvalid},
    {"account-profile", ProblemType::kInvalidProfile, OrderFate::kInvalid},
    {"account-quota", ProblemType::kRateLimited, OrderFate::kStaysReady},
    {"account-withdrawn", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"account-unknown", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"authz-limit", ProblemType::kRateLimited, OrderFate::kInvalid},
    {"csr-key-compromised", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"grant-account-url", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"grant-method", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"jws-key-refused", ProblemType::kBadPublicKey, OrderFate::kInvalid},
    {"subtree-caa", ProblemType::kRejectedIdentifier, OrderFate::kInvalid},
    {"subtree-method", ProblemType::kRejectedIdentifier, OrderFate::kInvalid},
    // Remote attestations: the signer's, and attestation's that has no policy for what a profile
    // asks for.
    {"attestation-missing", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"attestation-expired", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"attestation-profile", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"attestation-key-mismatch", ProblemType::kBadCsr, OrderFate::kStaysReady},
    {"evidence-key-away", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"grant-device-mismatch", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"hint-not-served", ProblemType::kServerInternal, OrderFate::kInvalid},
    // Tenants, and what is not in orders: the signer's.
    {"tenant-not-delegated", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"service-domain-missing", ProblemType::kUnauthorized, OrderFate::kInvalid},
    // The token names a domain that acme could not know at newOrder: proved now, the order goes on.
    {"service-domain-unproved", ProblemType::kUnauthorized, OrderFate::kStaysReady},
    {"ak-grant-missing", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"ak-key-malformed", ProblemType::kBadAttestationStatement, OrderFate::kInvalid},
    {"ak-not-offered", ProblemType::kUnauthorized, OrderFate::kInvalid},
    {"crl-missing", ProblemType::kServerInternal, OrderFate::kProcessing},
    // Of the task runtime: the peer is away, late or full.
    {"peer-lost", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"peer-timeout", ProblemType::kServerInternal, OrderFate::kProcessing},
    {"peer-busy", ProblemType::kServerInternal, OrderFate::kProcessing},
});

bool comes_back(wire::FailureKind kind) {
  return kind == wire::FailureKind::kUnavailable || kind == wire::FailureKind::kExhausted;
}

ProblemType type_by_kind(wire::FailureKind kind) {
  switch (kind) {
    case wire::FailureKind::kBadInput:
      return ProblemType::kMalformed;
    case wire::FailureKind::kRefused:
      return ProblemType::kUnauthorized;
    default:
      return ProblemType::kServerInternal;
  }
}

std::string urn_of(ProblemType type) { return std::string(kUrn) + std::string(row_of(type).name); }

void write_subproblems(json::Writer& out, const std::vector<Subproblem>& parts) {
  out.key("subproblems").begin_array();
  for (const auto& part : parts) {
    out.begin_object().member("type", urn_of(part.type)).member("detail", part.detail);
    if (!part.code.empty()) out.member("code", part.code);
    out.key("identifier").begin_object();
    out.member("type", identifier::to_string(part.identifier.type));
    out.member("value", part.identifier.value).end_object().end_object();
  }
  out.end_array();
}

Subproblem subproblem_from(const wire::IdentifierFault& fault, wire::FailureKind kind) {
  const auto* row = failure_row(fault.code);
  return {row != nullptr ? row->type : type_by_kind(kind), fault.code, fault.detail,
          fault.identifier};
}

}  // namespace

const ProblemTypeRow& row_of(ProblemType type) {
  for (const auto& row : kTypes) {
    if (row.type == type) return row;
  }
  return kTypes[static_cast<std::size_t>(ProblemType::kServerInternal)];
}

std::optional<ProblemType> problem_type_from(std::string_view name) {
  for (const auto& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

Problem Problem::of(ProblemType type, std::string_view code, std::string_view detail) {
  Problem problem;
  problem.type = type;
  problem.status = row_of(type).status;
  problem.code = code;
  problem.detail = detail.substr(0, limits::kDetailBytesMax);
  return problem;
}

Problem Problem::about(std::vector<Subproblem> parts) {
  if (parts.size() > limits::kIdentifierFaultsMax) parts.resize(limits::kIdentifierFaultsMax);
  const auto& first = parts.front();
  const bool alike =
      std::all_of(parts.begin(), parts.end(), [&](const auto& p) { return p.type == first.type; });
  const bool one_code =
      std::all_of(parts.begin(), parts.end(), [&](const auto& p) { return p.code == first.code; });
  Problem problem = of(alike ? first.type : ProblemType::kCompound,
                       one_code ? std::string_view(first.code) : "identifiers",
                       one_code ? std::string_view(first.detail)
                                : "several identifiers were refused: see the subproblems");
  for (const auto& part : parts) {
    problem.status = std::max(problem.status, row_of(part.type).status);
  }
  problem.subproblems = std::move(parts);
  return problem;
}

Problem Problem::with_status(int value) && {
  status = value;
  return std::move(*this);
}

Problem Problem::with_header(std::string_view name, std::string_view value) && {
  headers.emplace_back(name, value);
  return std::move(*this);
}

Problem Problem::retry_after_s(std::int64_t seconds) && {
  headers.emplace_back("Retry-After", std::to_string(std::max<std::int64_t>(1, seconds)));
  return std::move(*this);
}

std::string Problem::json() const {
  json::Writer out;
  out.begin_object()
      .member("type", urn_of(type))
      .member("detail", detail)
      .member_int("status", status);
  if (!code.empty()) out.member("code", code);
  if (!algorithms.empty()) {
    out.key("algorithms").begin_array();
    for (const auto& algorithm : algorithms) out.string(algorithm);
    out.end_array();
  }
  if (instance) out.member("instance", *instance);
  if (!subproblems.empty()) write_subproblems(out, subproblems);
  out.end_object();
  return out.take();
}

std::string Problem::stored_json() const {
  constexpr std::size_t kStoredBytesMax = limits::kDetailBytesMax * 2;  // records.h, error_json
  Problem cut = *this;
  for (std::string out = cut.json();; out = cut.json()) {
    if (out.size() <= kStoredBytesMax) return out;
    if (!cut.subproblems.empty()) {
      cut.subproblems.pop_back();
      continue;
    }
    if (cut.detail.empty()) return out;
    cut.detail.resize(cut.detail.size() / 2);  // a torn character is replaced by the writer
  }
}

HttpResponse Problem::response() const {
  HttpResponse response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/problem+json");
  response.headers.insert(response.headers.end(), headers.begin(), headers.end());
  response.body = json();
  return response;
}

std::span<const FailureRow> failure_rows() { return kFailures; }

const FailureRow* failure_row(std::string_view code) {
  const auto* row = std::find_if(kFailures.begin(), kFailures.end(),
                                 [&](const FailureRow& r) { return r.code == code; });
  return row == kFailures.end() ? nullptr : row;
}

OrderFate fate_of(const wire::Failure& failure) {
  if (const auto* row = failure_row(failure.code)) return row->fate;
  if (comes_back(failure.kind)) return OrderFate::kProcessing;
  return OrderFate::kInvalid;
}

Problem problem_from(const wire::Failure& failure) {
  const auto* row = failure_row(failure.code);
  const auto type = row != nullptr ? row->type : type_by_kind(failure.kind);
  Problem problem = Problem::of(type, failure.code, failure.detail);
  if (!failure.faults.empty()) {
    std::vector<Subproblem> parts;
    for (const auto& fault : failure.faults) parts.push_back(subproblem_from(fault, failure.kind));
    problem = Problem::about(std::move(parts));
  }
  const bool again =
      comes_back(failure.kind) || (row != nullptr && row->fate == OrderFate::kProcessing);
  if (problem.type == ProblemType::kServerInternal && again) problem.status = 503;
  if (again || problem.type == ProblemType::kRateLimited) {
    const auto seconds =
        failure.retry_after_ms
            ? static_cast<std::int64_t>(
                  std::min<std::uint64_t>(*failure.retry_after_ms, 86'400'000) + 999) /
                  1000
            : kRetryAfterDefaultS;
    problem = std::move(problem).retry_after_s(seconds);
  }
  return problem;
}

Problem problem_from(const wire::ChallengeProblem& problem) {
  const auto type = problem_type_from(problem.type);
  return Problem::of(type.value_or(ProblemType::kServerInternal), problem.code, problem.detail);
}

}  // namespace keyward::acme
