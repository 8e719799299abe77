// Owns what the signer knows of its own CA: chain, names, key identifier, constraints. Must not
// know tokens beyond the public half and attributes that they report.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "firmware/x509/certificate.h"
#include "hal/signing_token.h"

namespace keyward::issue {

struct Issuer {
  std::vector<Bytes> chain;          // issuing CA first, as configured
  std::vector<Bytes> chain_to_send;  // without a self-signed root, unless the issuing CA is it
  x509::Certificate certificate;
  crypto::PublicKey key;
  hal::KeyAlgorithm algorithm{};
  Bytes signature_algorithm_der;           // of certificates it signs
  Bytes key_id;                            // its subjectKeyIdentifier
  std::vector<std::string> permitted_dns;  // name constraints; empty: none
  std::string crl_url{};                   // where its revocation list is; for certificates
  std::string ocsp_url{};                  // where its OCSP responder is; for certificates
  std::string ca_issuers_url{};            // where its own certificate is; for certificates
  std::vector<Bytes> permitted_ip{};       // name constraints: address and mask, 8 or 32 octets
};

// PEM, issuing CA first. The chain must verify up to its last certificate; the issuing one must be
// a CA that may sign certificates; name constraints other than permitted dns and ip subtrees are
// refused, since nothing here would check them. Errors: kBadInput, kRefused.
Result<Issuer> load_issuer(std::string_view pem, std::int64_t now_ms);

// Another way to a root for what this issuer signs (RFC 8555 §7.4.2): a chain as above, whose first
// certificate has the issuer's name, key and key identifier: else kRefused. Gives what follows the
// leaf, a self-signed root left out.
Result<std::vector<Bytes>> load_alternate_chain(std::string_view pem, const Issuer& issuer,
                                                std::int64_t now_ms);

// The token's key is the issuer's, was generated inside, and cannot leave (DESIGN §3): else
// kRefused. This comparison, made at every load of the key, is why a signature that the HAL
// verified with the token key's public half is one that verifies under the CA certificate.
// kTest: where the CA's keys are known to others on purpose (keyward-pebble); it is compared all the
// same.
enum class KeyOrigin : std::uint8_t { kToken = 1, kTest = 2 };
Status check_token_key(const Issuer& issuer, const hal::TokenKey& key,
                       KeyOrigin origin = KeyOrigin::kToken);

}  // namespace keyward::issue
