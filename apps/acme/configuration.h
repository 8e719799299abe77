// Owns the reading of keyward-acme's configuration. Must not know what is done with it.
#pragma once

#include <optional>
#include <string>

#include "firmware/acme/appliance_certificate.h"
#include "firmware/acme/context.h"
#include "firmware/https/https_server.h"
#include "firmware/task/task.h"

namespace keyward::acme {

struct Configuration {
  ServiceConfig service;
  ApplianceOptions appliance;
  https::HttpsOptions https;
  std::optional<https::HttpsOptions> public_http;  // for relying parties, without TLS; absent: none
  bool simulator = false;
  bool quick_cooling = false;
  std::string tenants_problem;  // empty, or what is wrong with the section [tenants]
  std::string tls_chain;  // the operator's own TLS certificate; empty: the appliance makes its own
  std::string operators;  // path of the operators file; empty: none
  std::string tls_key;
};

// Ends the task, with words in the log, if something is missing, wrong or not for this installation.
Configuration read_configuration_or_die(task::Task& task);
// The operator's own; absent: none configured. Ends the task if the files cannot be read.
std::optional<TlsIdentity> own_identity_or_die(const Configuration& config);

}  // namespace keyward::acme
