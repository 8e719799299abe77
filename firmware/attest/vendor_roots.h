// Owns the signed bundle of TPM vendors' CA certificates (docs/attestation-ca.md): its signature,
// its manifest, and the file in which an import keeps it together with the publisher's key. Must not
// know how a chain is judged, nor who runs the import.
//
// A bundle is a compact JWS, typ "keyward-roots+json", by the publisher's key. Nothing of the
// manifest is read before the signature holds. Errors, static texts: kBadInput (form), kRefused
// (signature, other publisher, older version), kExhausted (limits). Threads: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"

namespace keyward::attest {

inline constexpr std::string_view kRootsFolder = "roots";  // below attestation's own directory
inline constexpr std::string_view kRootsFile = "vendor-roots.json";

// Revoked: the key of this certificate, a CA's or an endorsement key, counts no more.
enum class RootUse : std::uint8_t { kRoot = 1, kIntermediate = 2, kRevoked = 3 };
std::string_view to_string(RootUse use);

struct VendorCertificate {
  std::string vendor;  // as the publisher calls it
  RootUse use = RootUse::kRoot;
  x509::Certificate certificate;
};

struct VendorRoots {
  std::int64_t version = 0;  // grows with each bundle
  std::int64_t date_ms = 0;
  std::vector<VendorCertificate> certificates;

  std::vector<x509::Certificate> of(RootUse use) const;
  std::vector<Digest256> revoked_keys() const;  // SHA-256 of SubjectPublicKeyInfos
};

// The manifest alone, before it is signed.
Result<VendorRoots> parse_manifest(std::string_view json);
Result<VendorRoots> open_bundle(std::string_view jws, const crypto::PublicKey& publisher);
Result<std::string> sign_bundle(std::string_view manifest_json,
                                const crypto::PrivateKey& publisher);

// What an import leaves: the publisher that is trusted from then on, and its bundle.
struct ImportedRoots {
  std::string publisher_jwk;  // canonical
  std::string bundle;         // compact JWS
  VendorRoots roots;
};
// Verifies the bundle again: the file lies in a directory of the task's.
Result<ImportedRoots> parse_imported(ByteView file);
std::string to_file(const ImportedRoots& imported);
// `publisher_jwk` canonical. kRefused unless it is the publisher of `before` and the bundle is not
// older (null: nothing was imported yet); `force` lets either be otherwise.
Result<ImportedRoots> import_bundle(std::string_view jws, std::string_view publisher_jwk,
                                    const ImportedRoots* before, bool force);

}  // namespace keyward::attest
