// Owns the reading of the validation task's configuration. Must not know how anything is validated.
// What is wrong ends the process with its status for that. Threads: one.
#pragma once

#include "firmware/task/task.h"
#include "firmware/validate/fetch.h"
#include "firmware/validate/mail.h"
#include "firmware/validate/relay.h"
#include "firmware/validate/validator.h"

namespace keyward::validation {

struct Settings {
  std::string state_dir;
  validate::ValidatorOptions validator;
  validate::ResolverOptions resolver;
  validate::FetchOptions fetch;
  validate::MailOptions mail;
  validate::RelayOptions relay;
};

Settings read_settings_or_die(task::Task& task);

}  // namespace keyward::validation
