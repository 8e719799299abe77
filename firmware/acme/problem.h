// Owns problem documents (RFC 7807, RFC 8555 §6.7): the only place of the product that makes them.
// Must not know why something failed. Threads: values.
//
// Beside the members of RFC 7807 a document has "code": a stable reason for people and programs,
// e.g. "jws.url" or the signer's "grant-missing". Details hold no secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/acme/http.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/failure.h"

namespace keyward::acme {

enum class ProblemType : std::uint8_t {
  kAccountDoesNotExist,
  kAlreadyReplaced,
  kAlreadyRevoked,
  kAutoRenewalCanceled,
  kAutoRenewalCancellationInvalid,
  kAutoRenewalExpired,
  kAutoRenewalRevocationNotSupported,
  kBadAttestationStatement,
  kBadCsr,
  kBadNonce,
  kBadPublicKey,
  kBadRevocationReason,
  kBadSignatureAlgorithm,
  kCaa,
  kCompound,
  kConnection,
  kDns,
  kExternalAccountRequired,
  kIncorrectResponse,
  kInvalidContact,
  kInvalidProfile,
  kMalformed,
  kOrderNotReady,
  kRateLimited,
  kRejectedIdentifier,
  kServerInternal,
  kTls,
  kUnauthorized,
  kUnsupportedContact,
  kUnsupportedIdentifier,
  kUserActionRequired,
};

struct ProblemTypeRow {
  ProblemType type;
  std::string_view name;  // after "urn:ietf:params:acme:error:"
  int status;             // usual HTTP status (protocols: §4.16)
};
const ProblemTypeRow& row_of(ProblemType type);
std::optional<ProblemType> problem_type_from(std::string_view name);

// About one identifier of the request (RFC 8555 §6.7.1).
struct Subproblem {
  ProblemType type = ProblemType::kServerInternal;
  std::string code;
  std::string detail;
  wire::Identifier identifier;
};

struct Problem {
  ProblemType type = ProblemType::kServerInternal;
  int status = 500;
  std::string code;
  std::string detail;
  std::vector<std::pair<std::string, std::string>> headers;  // Retry-After, Allow, Link, Location
  std::vector<std::string> algorithms;  // badSignatureAlgorithm, RFC 8555 §6.2
  std::optional<std::string> instance;  // userActionRequired, §7.3.3
  std::vector<Subproblem> subproblems;  // none: the member is absent, never null (field notes)

  static Problem of(ProblemType type, std::string_view code, std::string_view detail);
  // One problem about several identifiers: of their type if they have one in common, else
  // "compound" (§6.7.1). At most limits::kIdentifierFaultsMax are kept. `parts` is not empty.
  static Problem about(std::vector<Subproblem> parts);
  Problem with_status(int value) &&;
  Problem with_header(std::string_view name, std::string_view value) &&;
  Problem retry_after_s(std::int64_t seconds) &&;

  std::string json() const;         // the document
  std::string stored_json() const;  // the same, its detail cut so that it fits a store record
  HttpResponse response() const;    // application/problem+json; without nonce and index link
};

template <class T>
using Outcome = tl::expected<T, Problem>;

inline tl::unexpected<Problem> refuse(Problem problem) {
  return tl::unexpected<Problem>(std::move(problem));
}
inline tl::unexpected<Problem> refuse(ProblemType type, std::string_view code,
                                      std::string_view detail) {
  return tl::unexpected<Problem>(Problem::of(type, code, detail));
}

// What becomes of an order whose certificate another task refused to make.
enum class OrderFate : std::uint8_t {
  kStaysReady,  // the client may finalize again (§7.4)
  kInvalid,     // no finalize can succeed any more
  kProcessing,  // nobody is to blame: it is tried again in the background
};

struct FailureRow {
  std::string_view code;
  ProblemType type;
  OrderFate fate;
};
// The one table from the codes of the other tasks to ACME's error types.
std::span<const FailureRow> failure_rows();
// nullptr: not in the table; `problem_from` and `fate_of` then go by the kind.
const FailureRow* failure_row(std::string_view code);

Problem problem_from(const wire::Failure& failure);
OrderFate fate_of(const wire::Failure& failure);
// From a validation's result: the type's name if it is one of ACME's, else serverInternal.
Problem problem_from(const wire::ChallengeProblem& problem);

// DESIGN: a peer that is away comes back; the client is told when to ask again.
inline constexpr std::int64_t kRetryAfterDefaultS = 5;

}  // namespace keyward::acme
