#include "firmware/acme/account_requests.h"

#include <array>
#include <optional>

#include "firmware/json/json.h"
#include "hal/base/limits.h"

namespace keyward::acme {
namespace {

struct ActionRow {
  AccountAction action;
  std::string_view name;
};
constexpr std::array kActions = std::to_array<ActionRow>({
    {AccountAction::kShow, "show"},
    {AccountAction::kRevoke, "revoke"},
    {AccountAction::kRekey, "rekey"},
});

Result<json::Document> parse(ByteView text, std::string_view list) {
  KEYWARD_TRY(document, json::Document::parse(text_of(text), limits::kAccountRequestsBytesMax));
  const auto rows = document.root().get(list);
  if (!rows.is_array()) return fail(ErrorKind::kBadInput, "the list is missing");
  if (rows.items().size() > limits::kAccountRequestsMax)
    return fail(ErrorKind::kBadInput, "the list is too long");
  return std::move(document);
}

Result<AccountAction> action_from(std::string_view name) {
  for (const auto& row : kActions) {
    if (row.name == name) return row.action;
  }
  return fail(ErrorKind::kBadInput, "an action is unknown");
}

}  // namespace

std::string_view to_string(AccountAction action) {
  for (const auto& row : kActions) {
    if (row.action == action) return row.name;
  }
  return "";
}

Result<std::vector<AccountRequest>> parse_requests(ByteView text) {
  KEYWARD_TRY(document, parse(text, "requests"));
  std::vector<AccountRequest> out;
  for (const auto& row : document.root().get("requests").items()) {
    KEYWARD_TRY(action, action_from(row.get("action").string()));
    AccountRequest request;
    request.action = action;
    request.id = row.get("id").string();
    request.account_id = row.get("account").string();
    if (request.id.empty() || request.id.size() > limits::kIdBytesMax ||
        request.account_id.empty() || request.account_id.size() > limits::kIdBytesMax)
      return fail(ErrorKind::kBadInput, "a request needs an id and an account");
    if (action == AccountAction::kRekey) {
      if (!row.get("jwk").is_object()) return fail(ErrorKind::kBadInput, "a rekey needs a jwk");
      request.jwk = row.get("jwk").print();
    }
    request.order = row.get("order").string();
    out.push_back(std::move(request));
  }
  return out;
}

std::string requests_json(const std::vector<AccountRequest>& requests) {
  json::Writer out;
  out.begin_object().key("requests").begin_array();
  for (const auto& request : requests) {
    out.begin_object().member("id", request.id).member("action", to_string(request.action));
    out.member("account", request.account_id);
    if (!request.order.empty()) out.member("order", request.order);
    if (!request.jwk.empty()) out.key("jwk").raw(request.jwk);
    out.end_object();
  }
  out.end_array().end_object();
  return out.take();
}

Result<std::vector<AccountResult>> parse_results(ByteView text) {
  KEYWARD_TRY(document, parse(text, "results"));
  std::vector<AccountResult> out;
  for (const auto& row : document.root().get("results").items()) {
    AccountResult result;
    result.id = row.get("id").string();
    result.done = row.get("done").boolean();
    result.code = row.get("code").string();
    result.detail = row.get("detail").string();
    if (row.get("account").is_object()) result.account_json = row.get("account").print();
    out.push_back(std::move(result));
  }
  return out;
}

std::string results_json(const std::vector<AccountResult>& results) {
  json::Writer out;
  out.begin_object().key("results").begin_array();
  for (const auto& result : results) {
    out.begin_object().member("id", result.id).member_bool("done", result.done);
    if (!result.code.empty()) out.member("code", result.code).member("detail", result.detail);
    if (!result.account_json.empty()) out.key("account").raw(result.account_json);
    out.end_object();
  }
  out.end_array().end_object();
  return out.take();
}

}  // namespace keyward::acme
