#include "tests/task/validation/validation_stage.h"

#include <filesystem>

#include <stdlib.h>

#include "firmware/crypto/crypto.h"

namespace keyward::validate {

using wire::TaskId;

ValidationStage::ValidationStage() {
  std::string name =
      (std::filesystem::temp_directory_path() / "keyward-validation-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) ::abort();
  directory_ = name;
  thumbprint_.fill(0x5a);
}

ValidationStage::~ValidationStage() {
  task_.kill_now();
  if (HasFailure()) std::fputs(test::log_text(directory_ + "/log").c_str(), stderr);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool ValidationStage::starts(const std::string& more, const std::string& tables) {
  const std::string config =
      "state_dir = \"" + directory_ + "\"\negress_allow = [\"127.0.0.0/8\"]\n" + more +
      "[resolver]\nforward = [\"" + dns_.forward() + "\"]\n" + resolver_more_ + tables;
  return task_.start("keyward-validation", TaskId::kValidation, config,
                     {{TaskId::kAcme, true}, {TaskId::kSigner, false}}, directory_ + "/log") &&
         task_.wait_ready();
}

void ValidationStage::start(const std::string& more, const std::string& tables) {
  ASSERT_TRUE(dns_.listening());
  ASSERT_TRUE(starts(more, tables));
  validation_.emplace(TaskId::kValidation);
  validation_->rebind(task_.take(TaskId::kAcme));
  signer_->server.on<wire::GrantName>(
      TaskId::kValidation,
      [side = signer_](const wire::GrantName& grant) -> task::Answer<wire::GrantNameReply> {
        const std::lock_guard lock(side->mutex);
        side->grants.push_back(grant);
        return wire::GrantNameReply{};
      });
  signer_->server.serve(TaskId::kValidation, task_.take(TaskId::kSigner), 1);
}

std::vector<wire::GrantName> ValidationStage::grants() {
  const std::lock_guard lock(signer_->mutex);
  return signer_->grants;
}

wire::NameTokenMint ValidationStage::mint_request(wire::ValidationMethod method,
                                                  const std::string& name) const {
  wire::NameTokenMint request;
  request.thumbprint = thumbprint_;
  request.identifier = {wire::IdentifierType::kDns, name};
  request.ticket = "ticket-1";
  request.method = method;
  request.expires_at_ms = system_clock().utc_ms() + kHourMs;
  return request;
}

wire::NameValidate ValidationStage::request_of(const wire::NameTokenMint& mint) {
  const auto minted = validation_->call(mint);
  EXPECT_TRUE(minted) << minted.error().code;
  return {mint.thumbprint,
          mint.identifier,
          mint.wildcard,
          mint.ticket,
          mint.method,
          mint.expires_at_ms,
          minted ? minted->token : "",
          mint.subtree,
          kAccountUrl,
          {}};
}

std::string ValidationStage::outcome(const wire::NameValidate& request) {
  const auto answer = validation_->call(request, limits::kPeerCallSlowMs);
  if (!answer) return "refused " + answer.error().code;
  last_ = *answer;
  last_detail_ = answer->problem ? answer->problem->detail : "";
  return answer->problem ? answer->problem->type + " " + answer->problem->code : "valid";
}

std::string ValidationStage::txt_for(const wire::NameValidate& request) const {
  return base64url_encode(
      crypto::sha256(view_of(key_authorization(request.token, request.thumbprint))));
}

}  // namespace keyward::validate
