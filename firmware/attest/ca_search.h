// Owns the answer to "which CA is missing": where a chain ends among known certificates, and the
// known one that comes closest. Must not know trust: it looks at names and key identifiers alone.
// Pure. Threads: any.
#pragma once

#include <string>
#include <vector>

#include "firmware/x509/certificate.h"

namespace keyward::attest {

// A Name in words, in the order in which it stands ("CN=..., O=..."): printable ASCII; what cannot
// be shown is shown as "?", a name that cannot be read as hexadecimal. At most 200 octets.
std::string name_text(ByteView name_der);
Bytes subject_key_id(const x509::Certificate& certificate);    // empty: it says none
Bytes authority_key_id(const x509::Certificate& certificate);  // likewise
std::vector<std::string> issuer_urls(
    const x509::Certificate& certificate);  // AIA caIssuers, http and https, printable; at most 4

struct MissingCa {
  std::string issuer;             // name_text() of whoever is missing
  std::string key_id;             // hexadecimal; empty: the child does not say
  std::vector<std::string> urls;  // where the child says that it can be had
  std::string closest;            // name of the known certificate that comes closest; empty: none
  std::string how;                // why it is not the one
};
// Follows the leaf's issuers through `candidates` and `anchors` by raw name, as far as it goes.
MissingCa missing_ca(const x509::Certificate& leaf,
                     const std::vector<x509::Certificate>& candidates,
                     const std::vector<x509::Certificate>& anchors);
std::string to_text(const MissingCa& missing);

}  // namespace keyward::attest
