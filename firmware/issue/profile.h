// Owns the built-in certificate profiles and turns one into a TBSCertificate: every octet comes
// from here (DESIGN §2.5). Must not know who asked or which proof there is.
//
// device: clientAuth, fit for EAP-TLS; SAN permanent-identifier / hardware-module (device-attest-10
// §3; D-D10:
//   included always, since this profile's relying parties look the device up by it); subject CN is
//   the device's name if it is printable and fits (RFC 5280: 64), else a pseudonym made of its
//   digest. Never empty.
// server: serverAuth; SAN dns and ip; subject CN is the first dns name that fits, else the subject
// is empty
//   and the SAN critical (RFC 5280 §4.2.1.6).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/issue/issuer.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/order_terms.h"

namespace keyward::issue {

struct Profile {
  std::string name;
  bool for_devices = false;  // its identifiers are devices; else names
  std::string extended_key_usage;
  std::int64_t lifetime_ms = 0;
};

class Profiles {
 public:
  Profiles(std::int64_t device_days, std::int64_t server_days);
  const Profile* find(std::string_view name) const;
  // All devices: "device"; all names: "server"; mixed or empty: null.
  const Profile* fitting(const std::vector<wire::Identifier>& identifiers) const;
  std::vector<wire::ProfileInfo> infos() const;

 private:
  std::array<Profile, 2> profiles_;
};

bool takes(const Profile& profile, const std::vector<wire::Identifier>& identifiers);

struct Validity {
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
};
// Whole seconds; never outside the issuer's. Empty: the issuer's time is over, or not come.
std::optional<Validity> validity_of(const Profile& profile, const Issuer& issuer,
                                    std::int64_t backdate_ms, std::int64_t now_ms);

struct CertificatePlan {
  const Profile& profile;
  const Issuer& issuer;
  const std::vector<wire::Identifier>& identifiers;
  const crypto::PublicKey& key;
  const Bytes& serial;
  Validity validity;
};
Bytes subject_of(const CertificatePlan& plan);  // Name
// kBadInput: an identifier has no form in a certificate.
Result<Bytes> build_profile_tbs(const CertificatePlan& plan);

}  // namespace keyward::issue
