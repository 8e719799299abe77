#include "firmware/attest/vendor_roots.h"

#include <algorithm>
#include <optional>
#include <set>

#include "firmware/attest/utc_text.h"
#include "firmware/jose/compact.h"
#include "firmware/jose/jwk.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::string_view kType = "keyward-roots+json";
constexpr std::string_view kManifestType = "keyward-vendor-roots";
constexpr std::size_t kVendorBytesMax = 64;
constexpr int kItemsMax = static_cast<int>(limits::kTrustAnchorsMax) * 8;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// Members that a reader does not know are a newer form, which it must not half understand.
Status only(const json::Value& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return bad("bundle: not an object");
  for (const auto key : object.keys()) {
    if (std::ranges::find(known, key) == known.end()) return bad("bundle: unknown member");
  }
  return {};
}

std::optional<RootUse> use_from(std::string_view text) {
  for (const auto use : {RootUse::kRoot, RootUse::kIntermediate, RootUse::kRevoked}) {
    if (text == to_string(use)) return use;
  }
  return std::nullopt;
}

Result<VendorCertificate> read_certificate(const json::Value& entry) {
  KEYWARD_CHECK(only(entry, {"vendor", "use", "pem"}));
  KEYWARD_TRY(vendor, entry.require_string("vendor"));
  KEYWARD_TRY(use, entry.require_string("use"));
  KEYWARD_TRY(pem, entry.require_string("pem"));
  if (vendor.empty() || vendor.size() > kVendorBytesMax) return bad("bundle: vendor");
  const auto known = use_from(use);
  if (!known) return bad("bundle: use");
  KEYWARD_TRY(ders, x509::certificates_from_pem(pem, 1));
  if (ders.size() != 1) return bad("bundle: an entry is not one certificate");
  KEYWARD_TRY(certificate, x509::parse_certificate(ders.front()));
  return VendorCertificate{std::string(vendor), *known, std::move(certificate)};
}

// RFC 7515 §4.1; `typ` keeps what the publisher signs for other purposes out.
Result<jose::JwsAlgorithm> read_header(std::string_view header_b64) {
  KEYWARD_TRY(octets, base64url_decode(header_b64));
  KEYWARD_TRY(document, json::Document::parse(text_of(octets), limits::kJwsProtectedBytesMax));
  KEYWARD_CHECK(only(document.root(), {"alg", "typ", "kid"}));
  KEYWARD_TRY(alg, document.root().require_string("alg"));
  KEYWARD_TRY(type, document.root().require_string("typ"));
  if (type != kType) return bad("bundle: not typ keyward-roots+json");
  const auto algorithm = jose::jws_algorithm_from(alg);
  if (!algorithm) return fail(ErrorKind::kRefused, "bundle: signature algorithm is not taken");
  return *algorithm;
}

Result<jose::JwsAlgorithm> algorithm_of(const crypto::PublicKey& key) {
  for (const auto algorithm :
       {jose::JwsAlgorithm::kEs256, jose::JwsAlgorithm::kEs384, jose::JwsAlgorithm::kEs512,
        jose::JwsAlgorithm::kEdDsa, jose::JwsAlgorithm::kRs256}) {
    if (jose::is_accepted(algorithm) && jose::fits(algorithm, key)) return algorithm;
  }
  return fail(ErrorKind::kRefused, "bundle: a key that signs with no algorithm that is taken");
}

Result<Bytes> sign(const crypto::PrivateKey& key, jose::JwsAlgorithm algorithm,
                   std::string_view input) {
  using crypto::HashAlgorithm;
  using crypto::SignatureScheme;
  switch (algorithm) {
    case jose::JwsAlgorithm::kEs256:
      return key.sign(SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha256, view_of(input));
    case jose::JwsAlgorithm::kEs384:
      return key.sign(SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha384, view_of(input));
    case jose::JwsAlgorithm::kEs512:
      return key.sign(SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha512, view_of(input));
    case jose::JwsAlgorithm::kEdDsa:
      return key.sign(SignatureScheme::kEd25519, HashAlgorithm::kSha512, view_of(input));
    case jose::JwsAlgorithm::kRs256:
      break;
  }
  return key.sign(SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256, view_of(input));
}

}  // namespace

std::string_view to_string(RootUse use) {
  if (use == RootUse::kRevoked) return "revoked";
  return use == RootUse::kRoot ? "root" : "intermediate";
}

std::vector<Digest256> VendorRoots::revoked_keys() const {
  std::vector<Digest256> out;
  for (const auto& certificate : of(RootUse::kRevoked))
    out.push_back(crypto::sha256(certificate.spki_der));
  return out;
}

std::vector<x509::Certificate> VendorRoots::of(RootUse use) const {
  std::vector<x509::Certificate> out;
  for (const auto& entry : certificates) {
    if (entry.use == use) out.push_back(entry.certificate);
  }
  return out;
}

Result<VendorRoots> parse_manifest(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, limits::kVendorRootsBytesMax, kItemsMax));
  const auto root = document.root();
  KEYWARD_CHECK(only(root, {"type", "version", "date", "certificates"}));
  KEYWARD_TRY(type, root.require_string("type"));
  KEYWARD_TRY(date, root.require_string("date"));
  const auto version = root.get("version"), list = root.get("certificates");
  if (type != kManifestType) return bad("bundle: not of type keyward-vendor-roots");
  if (!version.is_integer() || version.integer() < 1) return bad("bundle: version");
  const auto date_ms = utc_from_text(date);
  if (!date_ms) return bad("bundle: date");
  if (!list.is_array()) return bad("bundle: certificates");
  VendorRoots out{version.integer(), *date_ms, {}};
  std::set<Bytes> seen;
  for (const auto& entry : list.items()) {
    if (out.certificates.size() >= limits::kTrustAnchorsMax)
      return fail(ErrorKind::kExhausted, "bundle: too many certificates");
    KEYWARD_TRY(certificate, read_certificate(entry));
    if (!seen.insert(certificate.certificate.der).second)
      return bad("bundle: a certificate stands twice");
    out.certificates.push_back(std::move(certificate));
  }
  const bool any_root =
      std::ranges::any_of(out.certificates, [](const auto& c) { return c.use == RootUse::kRoot; });
  if (!any_root) return bad("bundle: no root in it");
  return out;
}

Result<VendorRoots> open_bundle(std::string_view jws, const crypto::PublicKey& publisher) {
  if (jws.size() > limits::kVendorRootsFileBytesMax)
    return fail(ErrorKind::kExhausted, "bundle: over its limit");
  while (!jws.empty() && (jws.back() == '\n' || jws.back() == '\r')) jws.remove_suffix(1);
  const auto parts = jose::parse_compact(jws);
  if (!parts) return bad("bundle: not a compact JWS");
  KEYWARD_TRY(algorithm, read_header(parts->protected_b64));
  if (!jose::verify_signature(algorithm, publisher, parts->protected_b64, parts->payload_b64,
                              parts->signature))
    return fail(ErrorKind::kRefused, "bundle: the signature is not the publisher's");
  KEYWARD_TRY(manifest, base64url_decode(parts->payload_b64));
  return parse_manifest(text_of(manifest));
}

Result<std::string> sign_bundle(std::string_view manifest_json,
                                const crypto::PrivateKey& publisher) {
  KEYWARD_CHECK(parse_manifest(manifest_json));
  KEYWARD_TRY(algorithm, algorithm_of(publisher.public_key()));
  json::Writer header;
  header.begin_object().member("alg", jose::to_string(algorithm)).member("typ", kType).end_object();
  std::string out =
      base64url_encode(view_of(header.take())) + "." + base64url_encode(view_of(manifest_json));
  KEYWARD_TRY(signature, sign(publisher, algorithm, out));
  return out + "." + base64url_encode(signature);
}

Result<ImportedRoots> parse_imported(ByteView file) {
  KEYWARD_TRY(document, json::Document::parse(text_of(file), limits::kVendorRootsFileBytesMax));
  KEYWARD_CHECK(only(document.root(), {"publisher", "bundle"}));
  KEYWARD_TRY(publisher, document.root().require_string("publisher"));
  KEYWARD_TRY(bundle, document.root().require_string("bundle"));
  return import_bundle(bundle, publisher, nullptr, false);
}

std::string to_file(const ImportedRoots& imported) {
  json::Writer out;
  out.begin_object().member("publisher", imported.publisher_jwk);
  out.member("bundle", imported.bundle).end_object();
  return out.take();
}

Result<ImportedRoots> import_bundle(std::string_view jws, std::string_view publisher_jwk,
                                    const ImportedRoots* before, bool force) {
  KEYWARD_TRY(publisher, jose::Jwk::from_canonical(publisher_jwk));
  if (before != nullptr && !force && before->publisher_jwk != publisher_jwk)
    return fail(ErrorKind::kRefused, "bundle: another publisher than the one that is trusted");
  KEYWARD_TRY(roots, open_bundle(jws, publisher.key()));
  if (before != nullptr && !force && roots.version < before->roots.version)
    return fail(ErrorKind::kRefused, "bundle: older than the one that is imported");
  return ImportedRoots{std::string(publisher_jwk), std::string(jws), std::move(roots)};
}

}  // namespace keyward::attest
