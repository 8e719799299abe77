// Owns the reading of certificate profiles from the installation file (table `profiles`), and what a
// profile may be. Must not know who issues from one. Errors: collected by the Section or given back
// as kBadInput; a profile that is wrong in any way does not load. Threads: one, at start.
//
//   [signer.profiles.<name>]
//   kind = "server"               device, server, sti, third-party, attestation-key; "device" and
//                                 "server" are their own kind
//   days = 90                     longest validity; or
//   hours = 8                     the same, for certificates that live a short time
//   purposes = ["clientAuth"]     extended key usages: clientAuth, serverAuth; not for sti and
//                                 attestation-key
//   attestations = ["measured_boot"]  remote attestations that it asks for beside its identifiers,
//                                 by hint (draft-ietf-acme-rats); not for attestation-key
//   methods = ["dns-01"]          challenge types that count; not an empty list, and
//                                 none at all for attestation-key, which no order asks for
//   description = "…"             shown in the directory
//   wildcard = true, ip = true    server alone
//   san_device_id = "require"     device alone: "require" (always in the certificate), "include"
//                                 (if the CSR holds it), "omit" (never; a pseudonym instead)
//   preference = 100              the smallest that fits is taken for an order without a profile
//   star = true, star_min_lifetime_s, star_max_duration_days   RFC 8739; never for sti,
//                                 third-party and attestation-key
//   keys = ["ec-p256"]            of the CSR: ec-p256, ec-p384, ed25519, rsa; rsa_bits_min
//   backdate_s, account_per_hour, overall_per_hour   for this profile, instead of the signer's and
//                                 beside its budgets
//   [profiles.<name>.subject]     country, organization, organizational_units, common_name = false
//   enabled = false               takes away "device" or "server"
#pragma once

#include "firmware/config/config.h"
#include "firmware/issue/profile.h"

namespace keyward::issue {

// `root`: the signer's own table. "device" and "server" are there unless disabled; what is not
// configured of them is as without the table. `problem`: empty, or what is wrong.
struct ConfiguredProfiles {
  std::vector<Profile> profiles;
  std::string problem;
};
ConfiguredProfiles read_profiles(config::Section& root, std::int64_t device_days,
                                 std::int64_t server_days);

// In the words of the configuration.
std::vector<std::string> key_names(const std::vector<crypto::KeyKind>& kinds);

// Null, or why such a profile cannot be: its name, its methods, or what is not of its kind.
const char* fault_of(const Profile& profile);

}  // namespace keyward::issue
