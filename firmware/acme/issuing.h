// Owns the way of an order from processing to its end, however long the signer or its HSM is away.
// Must not know HTTP. The finalize JWS stands in the order: nothing is lost when this task ends in
// between, and the signer answers the same JWS twice with the same certificate.
#pragma once

#include "firmware/acme/context.h"

namespace keyward::acme {

// Who learns of a refusal: the client that waits for an answer, or only the order's "error" member.
enum class Audience : std::uint8_t { kClient, kOrder };

struct IssueStep {
  wire::OrderRecord order;               // as it is now
  std::optional<Problem> problem;        // refused; the order is ready again, or invalid
  std::optional<std::int64_t> again_ms;  // still processing: try again after so long
};

// One try: asks the signer and writes the result into the store. `order` is processing and the
// caller has entered it in `context.in_flight`.
IssueStep issue(Context& context, const Account& account, wire::OrderRecord order,
                Audience audience);

// Tries in the background, with back-off, until the order is valid or invalid.
void post_issuance(Context& context, const std::string& ticket, const std::string& account_id,
                   std::int64_t delay_ms);
// The same for an order that was found processing, unless somebody is at it already.
void resume_issuance(Context& context, const std::string& ticket, const std::string& account_id);

}  // namespace keyward::acme
