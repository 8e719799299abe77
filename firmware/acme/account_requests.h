// Owns what `keywardctl account` asks of the acme task and what it is answered, as two files in the
// task's own directory: one that the operator's command writes, one that the task writes. Must not
// know how a request is carried out. Errors: kBadInput, with what is wrong. Threads: pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::acme {

inline constexpr std::string_view kAccountsFolder = "accounts";
inline constexpr std::string_view kRequestsFile = "requests.json";
inline constexpr std::string_view kResultsFile = "results.json";

enum class AccountAction : std::uint8_t { kShow, kRevoke, kRekey };
std::string_view to_string(AccountAction action);

struct AccountRequest {
  std::string id;  // made up by the command; carried out once
  AccountAction action = AccountAction::kShow;
  std::string account_id;
  std::string jwk;      // rekey: the new public key, any JWK form
  std::string order{};  // revoke, rekey: the operators' signed order, where there are operators
};
struct AccountResult {
  std::string id;
  bool done = false;
  std::string code;          // not done: why
  std::string detail;        // the same in words
  std::string account_json;  // the account as it is now; empty: there is none
};

Result<std::vector<AccountRequest>> parse_requests(ByteView json);
std::string requests_json(const std::vector<AccountRequest>& requests);
Result<std::vector<AccountResult>> parse_results(ByteView json);
std::string results_json(const std::vector<AccountResult>& results);

}  // namespace keyward::acme
