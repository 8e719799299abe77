// Owns the simulator below keyward-pebble: its command line made of the options, its process, its
// readiness. Must not know the management interface. Threads: one.
#pragma once

#include <string>
#include <vector>

#include "apps/pebble/options.h"
#include "apps/pebble/test_ca.h"

namespace keyward::pebble {

// "https://name:port" for clients: as given, or made of the certificate's first DNS name.
Result<std::string> base_url_of(const Options& options);
// DNS names and addresses of the server's certificate: what a Host header may say.
Result<std::vector<std::string>> names_of_certificate(const std::string& pem_path);

// Words after `keyward-sim`.
std::vector<std::string> up_words(const Options& options, const TestCa& ca,
                                  const std::string& ca_folder, const std::string& base_url,
                                  const std::vector<std::string>& names);

class Appliance {
 public:
  Appliance(std::string programs_dir, std::string dir)
      : programs_dir_(std::move(programs_dir)), dir_(std::move(dir)) {}
  ~Appliance();  // ends it in order
  Appliance(const Appliance&) = delete;
  Appliance& operator=(const Appliance&) = delete;

  // In the foreground, as our child; it ends when this process does. kUnavailable.
  Status start(const std::vector<std::string>& words, bool quiet);
  // kUnavailable: it ended, or is not operational in time.
  Status wait_until_ready(std::int64_t patience_ms);
  bool ended();
  // Before start(): a stopped simulator's credentials for external account binding. kUnavailable.
  Status add_binding_key(const std::string& kid, const std::string& key);
  bool has_binding_key(const std::string& kid) const;
  std::string ledger_dir() const { return dir_ + "/state/signer/ledger"; }
  std::string dir() const { return dir_; }

 private:
  int run(const std::vector<std::string>& words, bool silent) const;
  std::string programs_dir_;
  std::string dir_;
  int pid_ = 0;
};

}  // namespace keyward::pebble
