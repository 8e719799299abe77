// Owns "keyward-attest verify" of everything beside attestation objects (quotes, EAT, EAR, CMW, EK
// certificates) and "keyward-attest record". Must not know how evidence is judged: that is
// firmware/appraise and firmware/attest, the same code as the attestation task's.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "firmware/appraise/decision.h"

namespace keyward::attest_tool {

enum class Content : std::uint8_t {
  kAttestationObject = 1,
  kCmw,
  kQuote,
  kJwt,
  kCwt,
  kCertificate,
};
std::string_view to_string(Content content);
Content content_of(ByteView bytes);  // by its first octets and members; the first one by default

struct EvidenceQuestion {
  Content content{};
  Bytes bytes;
  std::string
      policy;  // path; of a certificate: TOML with roots, intermediates, time, manufacturers
  appraise::Fresh fresh;
  std::int64_t at_ms = 0;
  bool json = false;
};
// Prints every check and every reason; the exit code as verify.h has them.
int verify_evidence(const EvidenceQuestion& question, std::ostream& out, std::ostream& errors);

struct RecordOptions {
  std::string file;  // a quote record; empty: this machine
  std::string sysfs = "/sys";
  std::string name;
  std::string version = "1";
  std::string bank = "sha256";
  std::vector<unsigned> pcrs;  // empty: all that are quoted; of this machine 0 to 7
  std::vector<std::string> ak_roots;
};
// Writes a policy with the device's values as reference to `out`.
int record(const RecordOptions& options, std::ostream& out, std::ostream& errors);

}  // namespace keyward::attest_tool
