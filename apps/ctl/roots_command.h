// Owns `keywardctl roots import|list|diagnose|sign`: the signed bundle of TPM vendors' CAs, in words
// and in JSON. Must not know how a chain is judged (firmware/attest).
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct RootsOptions {
  std::string directory;           // attestation's own, e.g. .../state/attestation
  std::string file;                // bundle, manifest or certificate
  std::string publisher;           // import: file with the publisher's public key as JWK
  std::string key;                 // sign: PEM, PKCS#8
  std::string out;                 // sign
  std::string time = "now";        // diagnose
  std::vector<std::string> chain;  // diagnose: further certificates, PEM or DER
  std::vector<std::string> roots;  // diagnose: PEM files beside what is imported
  bool force = false;
  bool json = false;
};

class RootsCommand {
 public:
  explicit RootsCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done (diagnose: the chain holds), 1 failed (state not readable, nothing imported),
  // 2 diagnose: it does not hold, 64 an option is wrong, 78 a file is wrong or refused.
  int run() const;

 private:
  RootsOptions options_;
  CLI::App* command_;
  CLI::App* import_;
  CLI::App* list_;
  CLI::App* diagnose_;
  CLI::App* sign_;
};

int import_roots(const RootsOptions& options);
int list_roots(const RootsOptions& options);
int diagnose_certificate(const RootsOptions& options);
int sign_roots(const RootsOptions& options);

}  // namespace keyward::ctl
