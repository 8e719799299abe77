// Owns the real keyward-validation under test with everything around it: its folder, the signer's
// side, a DNS server, and requests as acme makes them. Must not know one method from another.
// Threads: one, except the servers.
#pragma once

#include <mutex>
#include <optional>

#include <gtest/gtest.h>

#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/validate/look.h"
#include "firmware/wire/messages/grant_name.h"
#include "firmware/wire/messages/name_token_mint.h"
#include "firmware/wire/messages/name_validate.h"
#include "tests/support/dns_server/dns_server.h"
#include "tests/support/task_process/immortal.h"
#include "tests/support/task_process/task_process.h"

namespace keyward::validate {

inline constexpr std::int64_t kHourMs = 3'600'000;
inline constexpr const char* kAccountUrl = "https://ca.example/acme/acct/1";

// The signer's side. Never freed: the threads of a Server end with their process.
struct SignerSide {
  task::Server server;
  std::mutex mutex;
  std::vector<wire::GrantName> grants;
};

class ValidationStage : public ::testing::Test {
 protected:
  ValidationStage();
  ~ValidationStage() override;

  // Top-level keys in `more`; tables in `tables`. The resolver asks the stage's DNS server.
  void start(const std::string& more = "", const std::string& tables = "");
  bool starts(const std::string& more, const std::string& tables = "");
  std::vector<wire::GrantName> grants();

  wire::NameTokenMint mint_request(wire::ValidationMethod method,
                                   const std::string& name = "host.plant.example") const;
  // With a token, and the account's URL.
  wire::NameValidate request_of(const wire::NameTokenMint& mint);
  // "valid", "type code" of the problem, or "refused code".
  std::string outcome(const wire::NameValidate& request);
  std::string txt_for(const wire::NameValidate& request) const;

  std::string directory_;
  std::string resolver_more_;  // further lines of [resolver]
  Digest256 thumbprint_{};
  test::DnsServer dns_;
  test::TaskProcess task_;
  std::optional<task::Peer> validation_;
  SignerSide* signer_ = test::immortal(std::make_unique<SignerSide>());
  std::string last_detail_;
  wire::NameValidateReply last_;
};

}  // namespace keyward::validate
