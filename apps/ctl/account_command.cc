// Owns the words and the exit codes of `keywardctl account`. Must not know the task.
#include "apps/ctl/account_command.h"

#include <algorithm>
#include <iostream>
#include <thread>

#include <CLI/CLI.hpp>

#include "firmware/acme/account_requests.h"
#include "firmware/jose/jwk.h"
#include "firmware/operate/operator_file.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"

namespace keyward::ctl {
namespace {

using acme::AccountAction;
using acme::AccountRequest;
using acme::AccountResult;

constexpr int kExitFailed = 1, kExitUsage = 64, kExitFile = 78;
constexpr auto kPoll = std::chrono::milliseconds(200);

int fail_with(int code, std::string_view what) {
  std::cerr << "keywardctl: " << what << "\n";
  return code;
}

Result<std::vector<AccountResult>> results_in(const operate::OperatorDirectory& folder) {
  KEYWARD_TRY(text, folder.read(std::string(acme::kResultsFile), limits::kAccountRequestsBytesMax));
  if (text.empty()) return std::vector<AccountResult>{};
  return acme::parse_results(text);
}

// Adds the request to those that were not answered yet.
Status post(operate::OperatorDirectory& folder, const AccountRequest& request) {
  KEYWARD_TRY(text,
              folder.read(std::string(acme::kRequestsFile), limits::kAccountRequestsBytesMax));
  KEYWARD_TRY(results, results_in(folder));
  std::vector<AccountRequest> open;
  if (!text.empty()) {
    KEYWARD_TRY(earlier, acme::parse_requests(text));
    open = std::move(earlier);
  }
  std::erase_if(open, [&](const AccountRequest& r) {
    return std::any_of(results.begin(), results.end(),
                       [&](const AccountResult& result) { return result.id == r.id; });
  });
  if (open.size() >= limits::kAccountRequestsMax)
    return fail(ErrorKind::kExhausted, "too many requests wait; is the acme task running?");
  open.push_back(request);
  return folder.replace(std::string(acme::kRequestsFile), view_of(acme::requests_json(open)));
}

Result<AccountResult> wait_for(const AccountOptions& options, const std::string& id) {
  const auto deadline = Deadline::after_ms(options.wait_s * 1'000);
  while (true) {
    {
      KEYWARD_TRY(folder, operate::OperatorDirectory::open(options.directory,
                                                           std::string(acme::kAccountsFolder)));
      KEYWARD_TRY(results, results_in(folder));
      for (auto& result : results) {
        if (result.id == id) return std::move(result);
      }
    }
    if (deadline.passed())
      return fail(ErrorKind::kUnavailable, "no answer in time; the request stays");
    std::this_thread::sleep_for(kPoll);
  }
}

Result<AccountResult> ask(const AccountOptions& options, const AccountRequest& request) {
  {
    KEYWARD_TRY(folder, operate::OperatorDirectory::open(options.directory,
                                                         std::string(acme::kAccountsFolder)));
    KEYWARD_CHECK(post(folder, request));
  }
  return wait_for(options, request.id);
}

Result<std::string> read_jwk(const std::string& path) {
  KEYWARD_TRY(text, read_text_file(path, limits::kJwkBytesMax));
  KEYWARD_TRY(document, json::Document::parse(text, limits::kJwkBytesMax));
  KEYWARD_TRY(jwk, jose::Jwk::from_json(document.root()));
  return jwk.canonical();
}

int print(const AccountOptions& options, const AccountResult& result) {
  if (options.json) {
    std::cout << acme::results_json({result}) << "\n";
    return result.done ? 0 : kExitFailed;
  }
  if (!result.done)
    return fail_with(kExitFailed, "refused: " + result.detail + " (" + result.code + ")");
  std::cout << result.account_json << "\n";
  return 0;
}

int run_request(const AccountOptions& options, AccountAction action) {
  AccountRequest request;
  request.id = random_id();
  request.action = action;
  const auto slash = options.account.rfind('/');
  request.account_id =
      slash == std::string::npos ? options.account : options.account.substr(slash + 1);
  if (request.account_id.empty() || request.account_id.size() > limits::kIdBytesMax)
    return fail_with(kExitUsage, "this is no account: " + options.account);
  if (action == AccountAction::kRekey) {
    auto jwk = read_jwk(options.jwk_path);
    if (!jwk) return fail_with(kExitFile, options.jwk_path + ": " + jwk.error().what);
    request.jwk = std::move(*jwk);
  }
  if (!options.order_path.empty()) {
    auto order = read_text_file(options.order_path, limits::kOperatorOrderBytesMax);
    if (!order) return fail_with(kExitFile, options.order_path + ": " + order.error().what);
    request.order = std::move(*order);
  }
  const auto result = ask(options, request);
  if (result) return print(options, *result);
  const auto kind = result.error().kind;
  const bool file = kind == ErrorKind::kBadInput || kind == ErrorKind::kRefused;
  return fail_with(file ? kExitFile : kExitFailed, options.directory + ": " + result.error().what);
}

}  // namespace

AccountCommand::AccountCommand(CLI::App& app)
    : command_(app.add_subcommand("account", "Accounts of the running certificate authority")),
      show_(command_->add_subcommand("show", "What is known of an account")),
      revoke_(command_->add_subcommand("revoke", "End an account, for good")),
      rekey_(command_->add_subcommand("rekey", "Another key for an account whose key was lost")) {
  command_->require_subcommand(1);
  auto& o = options_;
  for (auto* command : {show_, revoke_, rekey_}) {
    command
        ->add_option("directory", o.directory, "The acme task's own directory, e.g. .../state/acme")
        ->required()
        ->check(CLI::ExistingDirectory);
    command->add_option("account", o.account, "The account's URL, or its last part")->required();
    command->add_option("--wait", o.wait_s, "Seconds to wait for the answer")
        ->capture_default_str()
        ->check(CLI::Range(1, 3'600));
    command->add_flag("--json", o.json, "For programs");
  }
  for (auto* command : {revoke_, rekey_})
    command
        ->add_option("--order", o.order_path,
                     "Where operators are configured: their signed order (keywardctl order sign)")
        ->check(CLI::ExistingFile);
  rekey_->add_option("--jwk", o.jwk_path, "File with the new public key as JWK")
      ->required()
      ->check(CLI::ExistingFile);
}

bool AccountCommand::parsed() const { return command_->parsed(); }

int AccountCommand::run() const {
  if (show_->parsed()) return run_request(options_, AccountAction::kShow);
  if (revoke_->parsed()) return run_request(options_, AccountAction::kRevoke);
  return run_request(options_, AccountAction::kRekey);
}

}  // namespace keyward::ctl
