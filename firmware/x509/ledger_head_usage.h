// Owns one object identifier: the extended key usage of the certificate that a root gives to the key
// that signs the heads of a ledger, and to no other. A UUID below 2.25 (X.667). Must not know more.
#pragma once

#include <string_view>

namespace keyward::x509 {

inline constexpr std::string_view kLedgerHeadUsage = "2.25.218307836987136765334196418420538047032";

}  // namespace keyward::x509
