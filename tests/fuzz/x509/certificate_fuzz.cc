// Fuzzes certificate reading. Held: the parts stand in the whole; nothing verifies by accident.
#include <algorithm>
#include <cstdlib>

#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace keyward;
  const ByteView der(data, size);
  const auto certificate = x509::parse_certificate(der);
  if (!certificate) return 0;
  const auto& tbs = certificate->tbs_der;
  if (std::search(der.begin(), der.end(), tbs.begin(), tbs.end()) == der.end()) std::abort();
  (void)certificate->basic_constraints_ca();
  (void)certificate->extended_key_usages();
  (void)certificate->key_usage(5);
  for (const auto& extension : certificate->extensions) {
    if (extension.oid.empty()) std::abort();
    const auto oid =
        x509::der_oid_checked(extension.oid);  // refuses texts over its own limit alone
    if (oid && x509::oid_text(ByteView(*oid).subspan(2)) != extension.oid) std::abort();
  }
  (void)x509::verify_chain(*certificate, {*certificate}, {},
                           {.at_utc_ms = certificate->not_before_ms, .handled_critical_oids = {}});
  return 0;
}
