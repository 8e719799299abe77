// Owns one attempt to reach the token: module, slot, session, login, keys, self-test.
#include "hal/pkcs11/connection.h"

#include "hal/pkcs11/return_value.h"

namespace keyward::hal::pkcs11 {
namespace {

std::string text_of_error(const Error& error) {
  std::string text = error.what;
  if (error.native != 0) text += ": " + rv_text(static_cast<CK_RV>(error.native));
  return text;
}

std::string text_of_call(const char* call, CK_RV rv) {
  return std::string(call) + ": " + rv_text(rv);
}

// Brings the module to life, by way of C_Finalize if the step says so.
Status prepare_module(std::shared_ptr<Module>& module, const Pkcs11Config& config, Step step,
                      std::string& detail) {
  if (module == nullptr) {
    auto loaded = Module::load(config.module_path, detail);
    if (!loaded) return fail(loaded.error());
    module = std::move(*loaded);
  }
  if (step == Step::kReinitialize && !module->finalize(Deadline::after_ms(limits::kTokenCloseMs))) {
    detail = "a call is stuck in the module, which therefore cannot be finalized";
    return fail(ErrorKind::kUnavailable, "a call is stuck in the module");
  }
  if (const CK_RV rv = module->initialize(); rv != CKR_OK) {
    detail = text_of_call("C_Initialize", rv);
    return fail(error_of(rv, "C_Initialize"));
  }
  return {};
}

bool login(Session& session, const SecretBytes& pin, Attempt& attempt) {
  bool logged_in = false;
  if (session.is_user(logged_in) == CKR_OK && logged_in) return true;
  const CK_RV rv = session.login(CKU_USER, pin.view());
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return true;
  attempt.detail = text_of_call("C_Login", rv);
  attempt.pin_refused = is_pin_refusal(rv);
  attempt.pin_wrong = is_pin_wrong(rv);
  if (attempt.pin_refused) attempt.state = TokenState::kLocked;
  return false;
}

// Finds the wanted keys; if nothing is wanted yet, any one key, for the self-test. False: token
// lost.
bool find_keys(Session& session, const std::vector<std::string>& wanted_labels, Attempt& attempt) {
  std::vector<std::string> labels = wanted_labels;
  CK_RV rv = CKR_OK;
  if (labels.empty()) {
    auto listed = list_private_labels(session, rv);
    if (!listed) {
      attempt.detail = text_of_error(listed.error());
      return false;
    }
    labels = std::move(*listed);
  }
  for (const auto& label : labels) {
    rv = CKR_OK;
    auto found = find_pair(session, label, rv);
    if (found) {
      if (wanted_labels.empty() && !found->known->signs) continue;  // nothing to test it with
      attempt.keys.push_back(std::move(*found));
      if (wanted_labels.empty()) return true;
      continue;
    }
    attempt.detail = "key \"" + label + "\": " + text_of_error(found.error());
    if (rv != CKR_OK && !is_request_error(rv)) return false;
  }
  return true;
}

const FoundKey* cheapest(const std::vector<FoundKey>& keys) {
  const FoundKey* any = nullptr;
  for (const auto& key : keys) {
    if (!key.known->signs) continue;
    if (key.known->facts.algorithm == KeyAlgorithm::kEcdsaP256) return &key;
    if (any == nullptr) any = &key;
  }
  return any;
}

}  // namespace

Attempt connect(std::shared_ptr<Module>& module, const Pkcs11Config& config, Step step,
                const SecretBytes* pin, const std::vector<std::string>& wanted_labels) {
  Attempt attempt;
  if (!prepare_module(module, config, step, attempt.detail)) return attempt;
  auto token = find_token(*module, config.token_label);
  if (!token) {
    attempt.detail = text_of_error(token.error());
    return attempt;
  }
  attempt.slot = token->slot;
  if (step == Step::kCloseAll) {
    const auto entry = module->enter();
    (void)module->api().C_CloseAllSessions(token->slot);  // the next call says whether it helped
  }
  Session session;
  if (const CK_RV rv = Session::open(module, token->slot, session); rv != CKR_OK) {
    attempt.detail = text_of_call("C_OpenSession", rv);
    return attempt;
  }
  auto mechanisms = list_mechanisms(*module, token->slot);
  if (!mechanisms) {
    attempt.detail = text_of_error(mechanisms.error());
    return attempt;
  }
  attempt.mechanisms = std::move(*mechanisms);
  if (pin == nullptr) {
    attempt.state = TokenState::kLocked;
    attempt.detail = "waiting for the PIN";
    attempt.session = std::move(session);
    return attempt;
  }
  if (!login(session, *pin, attempt)) {
    if (attempt.state == TokenState::kLocked) attempt.session = std::move(session);
    return attempt;
  }
  if (!find_keys(session, wanted_labels, attempt)) return attempt;
  if (const FoundKey* key = cheapest(attempt.keys)) {
    CK_RV rv = CKR_OK;
    if (auto tested = self_test(session, *key, config.quirks, rv); !tested) {
      attempt.detail = text_of_error(tested.error());
      return attempt;
    }
  } else if (attempt.detail.empty()) {
    attempt.detail = "logged in; no key on the token yet, so nothing was signed as a test";
  }
  attempt.state = TokenState::kReady;
  attempt.session = std::move(session);
  return attempt;
}

}  // namespace keyward::hal::pkcs11
