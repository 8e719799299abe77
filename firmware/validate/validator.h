// Owns the decision that an account controls a name: token minted here, looked for where the name
// points, grant sent to the signer before anyone hears "valid" (DESIGN §2.1, §2.2). Must not know
// frames.
//
// Failure codes: "method-unsupported", "wildcard-http-01", "wildcard-tls-alpn-01",
// "subtree-method", "subtree-caa", "identifier-unsupported", "account-url-missing" (refused),
// "identifier-malformed" (bad input), "challenge-token-forged", "challenge-token-expired"
// (refused), "validation-busy" (exhausted), "validation-late" (unavailable),
// "appliance-names-empty", "appliance-name-unknown", "appliance-ticket-missing" (refused), and the
// signer's own, passed on. Threads: any.
#pragma once

#include <functional>
#include <set>

#include "firmware/challenge/token.h"
#include "firmware/validate/caa.h"
#include "firmware/validate/dns_look.h"
#include "firmware/validate/http01.h"
#include "firmware/validate/pool.h"
#include "firmware/validate/tls_alpn01.h"
#include "firmware/wire/messages/appliance_grant.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/grant_name.h"
#include "firmware/wire/messages/name_token_mint.h"
#include "firmware/wire/messages/name_validate.h"

namespace keyward::validate {

template <class T>
using Answer = tl::expected<T, wire::Failure>;

struct ValidatorOptions {
  std::set<wire::ValidationMethod> methods = {
      wire::ValidationMethod::kHttp01, wire::ValidationMethod::kDns01,
      wire::ValidationMethod::kTlsAlpn01, wire::ValidationMethod::kDnsAccount01};
  Http01Options http01;
  TlsAlpn01Options tls_alpn01;
  PersistOptions persist;
  std::int64_t dns_total_ms = limits::kDnsLookMs;
  // Lower case; empty: CAA is not consulted. Consulted, a grant lives at most kCaaGrantMs, since
  // the records may forbid tomorrow what they permit today (RFC 8659 §4 leaves the time to the CA).
  std::vector<std::string> caa_identities;
  std::int64_t grant_lifetime_ms = 24LL * 3'600'000;
  std::set<wire::Identifier> appliance_names;  // canonical
  int workers = limits::kValidationWorkers;
  std::size_t queue_max = limits::kValidationQueueMax;
  // Simulators alone: nothing is looked at, and looks begin late, by up to so much.
  bool always_valid = false;
  std::int64_t sleep_ms_max = 0;
};

// "http-01" and so on; empty: not a method of this task.
std::string_view method_name(wire::ValidationMethod method);
std::optional<wire::ValidationMethod> method_from(std::string_view name);

// Installation's "appliance.names" to canonical identifiers; kBadInput or kRefused for one that is
// none.
Result<std::set<wire::Identifier>> parse_appliance_names(const std::vector<std::string>& names);

class Validator {
 public:
  using SendGrant = std::function<Answer<wire::GrantNameReply>(const wire::GrantName&)>;
  using Reply = std::function<void(Answer<wire::NameValidateReply>)>;
  Validator(challenge::TokenMint tokens, ValidatorOptions options,
            std::unique_ptr<NameServers> name_servers, SendGrant send_grant, Clock& clock);

  Answer<wire::NameTokenMintReply> mint(const wire::NameTokenMint& request) const;
  // Checks at once; looks in a worker; `reply` is called exactly once, from any thread.
  void validate(const wire::NameValidate& request, Reply reply);
  Answer<wire::ApplianceGrantReply> grant_appliance(const wire::ApplianceGrant& request) const;

 private:
  template <class Request>
  std::optional<wire::Failure> not_ours(const Request& request) const;
  Answer<wire::NameValidateReply> decide(const wire::NameValidate& request) const;
  LookOutcome look(const wire::NameValidate& request, Resolver& resolver) const;
  CaaOutcome consult_caa(const wire::NameValidate& request, Resolver& resolver) const;
  challenge::TokenMint tokens_;
  ValidatorOptions options_;
  std::unique_ptr<NameServers> name_servers_;
  SendGrant send_grant_;
  Clock& clock_;
  Pool pool_;  // last: its threads end before what they use
};

}  // namespace keyward::validate
