// Owns the certificate profiles and turns one into a TBSCertificate: every octet comes from here
// (DESIGN §2.5). Must not know who asked or which proof there is, nor where profiles are written
// down (profile_config.h).
//
// device: clientAuth, fit for EAP-TLS; SAN permanent-identifier / hardware-module (device-attest-10
//   §3; D-D10: always, unless the profile says otherwise, since the built-in one's relying parties
//   look the device up by it); subject CN is the first one's name if it is printable and fits (RFC
//   5280: 64), else a name made of its digest. Without an identifier: subject CN and SAN URI are the
//   device's pseudonym (pseudonym.h). Never empty.
// server: serverAuth; SAN dns and ip; subject CN is the first dns name that fits, else the subject
// is empty
//   and the SAN critical (RFC 5280 §4.2.1.6).
// sti: telephone identity (RFC 8226, RFC 9118; form of ATIS-1000080): no SAN and no extended key
//   usage; TNAuthList and claim constraints, not critical, are the order's identifiers octet for
//   octet; subject CN "SHAKEN <service provider code>" where there is a code, else a pseudonym.
// third-party: a device that its vendor vouches for; SAN id-on-MACAddress (RFC 10031) and the Service
//   URIs; subject CN is the first MAC address as text.
// attestation-key: a TPM's key that signs statements (TCG EK and AK credential profiles): empty
//   subject, critical SAN with the TPM's facts as a directoryName and the device's identifiers, EKU
//   tcg-kp-AIKCertificate. Of `CertificatePlan::tpm`, never of an ACME order.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/issue/issuer.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/order_terms.h"

namespace keyward::issue {

// Which of the order's device identifiers stand in the certificate (D-D10, `san_device_id`).
enum class DeviceNames : std::uint8_t {
  kRequire = 1,  // all of them, whatever the CSR holds
  kInclude = 2,  // those that the CSR holds
  kOmit = 3,     // none, whatever the CSR holds
};

enum class ProfileKind : std::uint8_t {
  kDevice = 1,
  kServer = 2,
  kSti = 3,
  kAttestationKey = 4,
  kThirdParty = 5
};

struct StarLimits {
  std::int64_t lifetime_s_min = 3'600;
  std::int64_t duration_s_max = 365LL * 86'400;
};

// What stands in every subject of a profile before the common name: the operator's words, the same
// for all (RFC 5280 appendix A: 2 letters, 64 characters).
struct SubjectWords {
  std::string country, organization;
  std::vector<std::string> units;
  bool empty() const { return country.empty() && organization.empty() && units.empty(); }
  bool operator==(const SubjectWords&) const = default;
};

struct Profile {
  std::string name;
  ProfileKind kind = ProfileKind::kServer;
  std::string description;
  std::int64_t lifetime_ms = 0;
  // The proofs that count; empty for attestation keys alone, which no order asks for.
  std::vector<wire::ValidationMethod> methods;
  bool wildcard = true;                              // server: "*.name"
  bool ip = true;                                    // server: addresses
  std::optional<StarLimits> star;                    // RFC 8739; absent: not offered
  DeviceNames device_names = DeviceNames::kRequire;  // device
  std::int64_t preference = 100;  // the smallest that fits an order without a profile is taken
  std::vector<std::string>
      attestations{};                   // canonical hints: the gate wants a GrantRemote for each
  std::vector<std::string> purposes{};  // extended key usages, dotted
  SubjectWords subject{};
  bool common_name = true;              // false: the words alone
  std::vector<crypto::KeyKind> keys{};  // of the CSR; empty: every one that is accepted at all
  int rsa_bits_min = limits::kRsaBitsMin;
  std::optional<std::int64_t> backdate_ms{};  // absent: the signer's
  // Certificates of this profile in an hour, beside the signer's budgets; absent: those alone.
  std::optional<std::int64_t> account_per_hour{}, overall_per_hour{};
  bool for_devices() const { return kind == ProfileKind::kDevice; }
};

// With every default of its kind: methods, description. `days`: lifetime.
Profile make_profile(std::string_view name, ProfileKind kind, std::int64_t days);
// The challenge types that can prove something for such a profile.
std::vector<wire::ValidationMethod> methods_of(ProfileKind kind);
// Extended key usages unless configured; sti: none (RFC 8226 names no purpose).
std::vector<std::string> purposes_of(ProfileKind kind);

class Profiles {
 public:
  static constexpr std::size_t kProfilesMax = 16;  // as many as IssuerGetReply holds
  // "device" and "server" as they are without configuration.
  Profiles(std::int64_t device_days, std::int64_t server_days);
  explicit Profiles(std::vector<Profile> profiles);  // checked: profile_config.h
  const Profile* find(std::string_view name) const;
  // The preferred one that takes them, with automatic renewal if that is `renewed`; mixed, empty, or
  // of no profile: null.
  const Profile* fitting(const std::vector<wire::Identifier>& identifiers,
                         bool renewed = false) const;
  // The one that attestation keys are certified with; null: none is configured.
  const Profile* ak_profile() const;
  std::vector<wire::ProfileInfo> infos() const;

 private:
  std::vector<Profile> profiles_;  // by preference, then by name
};

// What such a profile certifies of an order: a remote attestation is asked for and never certified.
// sti: exactly one TNAuthList, and beside it at most one kind of claim constraints.
// third-party: one MAC address or more. attestation-key: never.
bool takes(const Profile& profile, const std::vector<wire::Identifier>& identifiers);

struct Validity {
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
};
// Whole seconds; never outside the issuer's. Empty: the issuer's time is over, or not come.
std::optional<Validity> validity_of(const Profile& profile, const Issuer& issuer,
                                    std::int64_t backdate_ms, std::int64_t now_ms);

// What the EK certificate says about the TPM (TCG EK Credential Profile §3.2.9), as it says it.
struct TpmFacts {
  std::string manufacturer;  // 2.23.133.2.1, "id:49465800"
  std::string model;         // 2.23.133.2.2
  std::string version;       // 2.23.133.2.3
};

struct CertificatePlan {
  const Profile& profile;
  const Issuer& issuer;
  const std::vector<wire::Identifier>& identifiers;  // that the certificate is to hold
  const crypto::PublicKey& key;
  const Bytes& serial;
  Validity validity;
  const wire::OrderTerms* terms = nullptr;  // null: nothing was asked for beside the identifiers
  std::string pseudonym{};                  // instead of every identifier; empty: none
  std::optional<TpmFacts> tpm{};            // for attestation keys, and for these alone
  std::string list{};  // the shard of revocation lists that it names; empty: none
};
// The whole SubjectAltName extension that the plan wants. kBadInput: a name has no form.
Result<Bytes> alternative_names_of(const std::vector<wire::Identifier>& identifiers, bool critical,
                                   std::string_view pseudonym, const std::optional<TpmFacts>& tpm);
// An attestation key signs and does nothing else, whatever its kind (TCG AK credential profile).
Bytes key_usage_of(ProfileKind kind, const crypto::PublicKey& key);
Bytes subject_of(const CertificatePlan& plan);  // Name
// The Name with the profile's words and, unless that is empty, this common name.
Bytes subject_der(const Profile& profile, std::string_view common_name);
// The common name that the profile gives, if any.
std::optional<std::string> common_name_of(const Profile& profile, const Issuer& issuer,
                                          const std::vector<wire::Identifier>& identifiers);
std::string_view authority_extension_oid(wire::IdentifierType type);  // "": it has none
// sti: the extensions that stand for the identifiers, whole TLVs in the identifiers' order.
Result<std::vector<Bytes>> authority_extensions(const std::vector<wire::Identifier>& identifiers);
// kBadInput: an identifier has no form in a certificate.
Result<Bytes> build_profile_tbs(const CertificatePlan& plan);

}  // namespace keyward::issue
