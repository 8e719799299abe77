// Owns what a certificate is for, in words: names, addresses and devices of its subjectAltName. Must not
// know why a certificate is shown.
#pragma once

#include <string>
#include <vector>

#include "firmware/x509/certificate.h"

namespace keyward::ctl {

// dNSName texts, addresses and permanentIdentifier values; other names are left out. Unreadable: none.
std::vector<std::string> names_in(const x509::Certificate& certificate);

}  // namespace keyward::ctl
