// Owns what keyward-pebble is told: Pebble's flags, its JSON configuration and its environment
// switches. Must not know how any of it is carried out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace keyward::pebble {

struct Listen {
  std::string address;  // "0.0.0.0" when none was given
  int port = 0;
};

struct Options {
  // Flags.
  std::string config_path = "test/config/pebble-config.json";  // Pebble's own default
  std::string dns_server;  // "address:port"; empty: /etc/resolv.conf
  bool strict = false;     // accepted: this server is always as strict as Pebble's strict mode
  bool help = false;
  std::string base_url;   // of the URLs handed out; empty: made of the server certificate's name
  std::string state_dir;  // kept for the next start; empty: a temporary one
  bool quiet = false;     // no log lines of the tasks

  // Configuration.
  Listen acme;
  Listen management;
  std::string certificate;
  std::string private_key;
  int http_port = 5002;
  int tls_port = 5001;
  bool binding_required = false;
  std::map<std::string, std::string> binding_keys;  // kid to base64url key
  std::vector<std::string> blocked_domains;
  int retry_after_order_s = 1;
  std::vector<std::string> ignored;  // members of the file that mean nothing here

  // Environment.
  bool always_valid = false;
  bool no_sleep = false;
  int sleep_s = 15;
  int nonce_reject_percent = 5;
  int authz_reuse_percent = 50;
  int chain_length = 1;
  int alternate_roots = 0;
  int orders_page = 3;
};

// Problems in words, one a line; empty: good.
struct Loaded {
  Options options;
  std::vector<std::string> problems;
};
// `environment` answers nullptr for what is not set.
Loaded load_options(const std::vector<std::string>& arguments,
                    const char* (*environment)(const char* name));

std::string usage();

}  // namespace keyward::pebble
