// Owns SubjectAltName values (RFC 5280 §4.2.1.6, RFC 4043, RFC 4108, RFC 10031). Never included outside
// firmware/x509.
#pragma once

#include <string>
#include <vector>

#include "firmware/wire/messages/common.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::x509 {

// GeneralNames, the content of the extension's OCTET STRING: a directoryName (whole Name) unless it
// is empty, the identifiers, then the URIs. No name at all, or a URI that is no printable ASCII, is
// kBadInput.
Result<Bytes> general_names_der(const std::vector<wire::Identifier>& identifiers,
                                const std::vector<std::string>& uris = {},
                                ByteView directory_name = {});

struct GeneralNames {
  std::vector<std::string> dns_names;
  std::vector<Bytes> ip_addresses;
  std::vector<std::string> permanent_identifiers;
  std::vector<std::string> hardware_modules;
  std::vector<std::string> macs{};  // canonical text; a group's address is kBadInput
  std::vector<std::string> uris{};  // as written, printable ASCII
  bool has_other = false;
};
Result<GeneralNames> read_general_names(ByteView der);

}  // namespace keyward::x509
