#include "firmware/attest/attestation_ca.h"

#include <algorithm>

#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#include "firmware/attest/utc_text.h"
#include "firmware/json/json.h"
#include "firmware/wire/cbor.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"

namespace keyward::attest {
namespace {

constexpr std::size_t kKeyBytes = 32, kNonceBytes = 16;
constexpr std::int64_t kSessionMs = 600'000;  // a TPM opens a credential within seconds
constexpr std::int64_t kGrantMs = 600'000;    // the certificate is asked for in the same request
constexpr std::string_view kSessionLabel = "keyward-ak-session-1",
                           kSecretLabel = "keyward-ak-secret-1";
constexpr std::string_view kEkAssigner = "2.23.133.12.1";  // tcg-on-ekPermIdSha256
constexpr std::size_t kFactBytesMax = 64;
constexpr std::uint64_t kSessionFields = 10;

tl::unexpected<Refusal> malformed(std::string detail) {
  return refuse("payload.malformed", std::move(detail));
}

Appraised<void> only(const json::Value& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return malformed("the payload is not a JSON object");
  for (const auto key : object.keys()) {
    if (std::ranges::find(known, key) == known.end())
      return malformed("the payload has a member that is not known here");
  }
  return {};
}

// base64url without padding, not empty.
Appraised<Bytes> octets_of(const json::Value& value, std::string_view name) {
  const auto octets = base64url_decode(value.string());
  if (!value.is_string() || !octets || octets->empty())
    return malformed(std::string(name) + " must be base64url without padding, not empty");
  return *octets;
}

// What begin() found, for activate().
struct Session {
  Digest256 thumbprint{};
  Bytes ak_spki;
  Digest256 ek_certificate_sha256{}, ek_spki_sha256{};
  TpmFacts tpm;
  std::vector<wire::Identifier> identifiers;
  std::int64_t expires_at_ms = 0;
};

Bytes encode(const Session& session) {
  wire::CborWriter out;
  out.array(kSessionFields);
  out.bytes(random_bytes(kNonceBytes));  // no two sessions have one secret
  out.bytes(session.thumbprint);
  out.bytes(session.ak_spki);
  out.bytes(session.ek_certificate_sha256);
  out.bytes(session.ek_spki_sha256);
  out.text(session.tpm.manufacturer);
  out.text(session.tpm.model);
  out.text(session.tpm.version);
  out.array(session.identifiers.size());
  for (const auto& identifier : session.identifiers) {
    out.array(2);
    out.unsigned_integer(static_cast<std::uint64_t>(identifier.type));
    out.text(identifier.value);
  }
  out.integer(session.expires_at_ms);
  return out.take();
}

Result<Digest256> read_digest(wire::CborReader& in) {
  KEYWARD_TRY(octets, in.bytes(sizeof(Digest256)));
  Digest256 out{};
  if (octets.size() != out.size()) return fail(ErrorKind::kBadInput, "session: a digest");
  std::ranges::copy(octets, out.begin());
  return out;
}

Result<wire::Identifier> read_identifier(wire::CborReader& in) {
  KEYWARD_CHECK(in.array(2));
  KEYWARD_TRY(type, in.unsigned_integer());
  KEYWARD_TRY(value, in.text(limits::kIdentifierBytesMax));
  return wire::Identifier{static_cast<wire::IdentifierType>(type), std::string(value)};
}

// Octets of our own: their MAC held.
Result<Session> decode(ByteView body) {
  wire::CborReader in(body);
  Session out;
  KEYWARD_TRY(fields, in.array(kSessionFields));
  if (fields != kSessionFields) return fail(ErrorKind::kBadInput, "session: of another version");
  KEYWARD_CHECK(in.bytes(kNonceBytes));
  KEYWARD_TRY(thumbprint, read_digest(in));
  KEYWARD_TRY(spki, in.bytes(limits::kSpkiBytesMax));
  KEYWARD_TRY(ek_certificate, read_digest(in));
  KEYWARD_TRY(ek_spki, read_digest(in));
  KEYWARD_TRY(manufacturer, in.text(kFactBytesMax));
  KEYWARD_TRY(model, in.text(kFactBytesMax));
  KEYWARD_TRY(version, in.text(kFactBytesMax));
  KEYWARD_TRY(count, in.array(limits::kIdentifiersPerOrderMax));
  for (std::uint64_t i = 0; i < count; ++i) {
    KEYWARD_TRY(identifier, read_identifier(in));
    out.identifiers.push_back(std::move(identifier));
  }
  KEYWARD_TRY(expires, in.integer());
  out.thumbprint = thumbprint;
  out.ak_spki = to_bytes(spki);
  out.ek_certificate_sha256 = ek_certificate;
  out.ek_spki_sha256 = ek_spki;
  out.tpm = {std::string(manufacturer), std::string(model), std::string(version)};
  out.expires_at_ms = expires;
  return out;
}

// What the inventory says; none: nobody is asked, or it does not know the device.
Appraised<std::optional<KnownDevice>> standing_of(const DeviceQuestion& question,
                                                  const AttestationCaPolicy& policy) {
  auto known = policy.find_device ? policy.find_device(question) : std::nullopt;
  if (!known && policy.must_be_known)
    return refuse("device.unknown",
                  "the inventory does not know this device, and the policy asks that it does");
  if (known && known->standing == DeviceStanding::kQuarantined)
    return refuse("device.quarantined", "the inventory holds this device in quarantine");
  if (known && known->standing == DeviceStanding::kRetired)
    return refuse("device.retired", "the inventory calls this device retired");
  return known;
}

// The inventory's names; else the EK certificate's digest (TCG, tcg-on-ekPermIdSha256).
std::vector<wire::Identifier> names_of(const std::optional<KnownDevice>& known,
                                       const AppraisedEk& ek) {
  if (known && !known->identifiers.empty()) return known->identifiers;
  return {{wire::IdentifierType::kPermanentIdentifier,
           hex_encode(ek.certificate_sha256) + "/" + std::string(kEkAssigner)}};
}

}  // namespace

Appraised<AkBeginRequest> read_ak_begin(ByteView payload) {
  const auto document = json::Document::parse(text_of(payload));
  if (!document) return malformed(std::string("the payload is no JSON: ") + document.error().what);
  const auto root = document->root();
  KEYWARD_APPRAISE(only(root, {"ekCertificate", "ekChain", "ekPublic", "akPublic"}));
  AkBeginRequest out;
  const auto take = [&](std::string_view name, Bytes& into) -> Appraised<void> {
    auto octets = octets_of(root.get(name), name);
    if (!octets) return tl::unexpected(octets.error());
    into = std::move(*octets);
    return {};
  };
  KEYWARD_APPRAISE(take("ekCertificate", out.ek_certificate));
  KEYWARD_APPRAISE(take("akPublic", out.ak_public));
  if (root.get("ekPublic").exists()) KEYWARD_APPRAISE(take("ekPublic", out.ek_public));
  const auto chain = root.get("ekChain");
  if (!chain.exists()) return out;
  if (!chain.is_array()) return malformed("ekChain must be an array");
  for (const auto& entry : chain.items()) {
    auto octets = octets_of(entry, "ekChain's entries");
    if (!octets) return tl::unexpected(octets.error());
    out.ek_chain.push_back(std::move(*octets));
  }
  return out;
}

Appraised<AkActivateRequest> read_ak_activate(ByteView payload) {
  const auto document = json::Document::parse(text_of(payload));
  if (!document) return malformed(std::string("the payload is no JSON: ") + document.error().what);
  const auto root = document->root();
  KEYWARD_APPRAISE(only(root, {"session", "secret"}));
  const auto session = root.get("session");
  if (!session.is_string()) return malformed("session must be the text that begin gave");
  auto secret = octets_of(root.get("secret"), "secret");
  if (!secret) return tl::unexpected(secret.error());
  return AkActivateRequest{std::string(session.string()), std::move(*secret)};
}

Appraised<TpmPublicArea> check_ak_public(ByteView public_area) {
  auto area = parse_public_area(public_area);
  if (!area) return refuse("ak.public", std::string("the AK's public area: ") + area.error().what);
  const auto& has = area->attributes;
  if (!has.fixed_tpm) return refuse("ak.fixed-tpm", "the AK may leave its TPM: it is not fixedTPM");
  if (!has.fixed_parent)
    return refuse("ak.fixed-parent",
                  "the AK may be moved to another parent: it is not fixedParent");
  if (!has.sensitive_data_origin)
    return refuse("ak.origin", "the AK was made outside the TPM: it is not sensitiveDataOrigin");
  if (!has.restricted)
    return refuse("ak.restricted",
                  "the AK signs what the TPM did not make: it must be a restricted key");
  if (!has.sign) return refuse("ak.sign", "the AK cannot sign");
  if (has.decrypt)
    return refuse("ak.decrypt", "the AK decrypts, which an attestation key must not");
  if (!area->key)
    return refuse("ak.type", "the AK must be RSA of 2048 to 4096 bits, or on P-256 or P-384");
  if (area->scheme != TPM2_ALG_RSASSA && area->scheme != TPM2_ALG_RSAPSS &&
      area->scheme != TPM2_ALG_ECDSA)
    return refuse("ak.scheme", "the AK names no signing scheme of RSASSA, RSAPSS and ECDSA");
  if (area->computed_name.empty() || area->name_alg == TPM2_ALG_SHA1)
    return refuse("ak.name-alg", "the AK's nameAlg must be SHA-256, SHA-384 or SHA-512");
  return *area;
}

std::string to_json(const AkBegun& begun) {
  json::Writer out;
  out.begin_object().member("credentialBlob", base64url_encode(begun.credential.id_object));
  out.member("secret", base64url_encode(begun.credential.encrypted_secret));
  out.member("session", begun.session).member("expires", utc_text(begun.expires_at_ms));
  out.end_object();
  return out.take();
}

Result<AttestationCa> AttestationCa::open(const std::string& key_path) {
  if (!file_exists(key_path)) {
    const SecretBytes fresh(random_bytes(kKeyBytes));
    KEYWARD_CHECK(replace_file(key_path, fresh.view(), 0600));
  }
  KEYWARD_TRY(bytes, read_file(key_path, kKeyBytes));
  SecretBytes key(bytes);
  ::explicit_bzero(bytes.data(), bytes.size());
  if (key.size() != kKeyBytes)
    return fail(ErrorKind::kCorrupt, "the attestation CA's session key has a wrong size");
  return AttestationCa(std::move(key));
}

Digest256 AttestationCa::derived(std::string_view label, ByteView session) const {
  wire::CborWriter out;
  out.array(2);
  out.text(label);
  out.bytes(session);
  return crypto::hmac_sha256(key_.view(), out.take());
}

Appraised<AkBegun> AttestationCa::begin(const Digest256& thumbprint, ByteView payload,
                                        const AttestationCaPolicy& policy,
                                        std::int64_t now_ms) const {
  const auto request = read_ak_begin(payload);
  if (!request) return tl::unexpected(request.error());
  const auto ek = appraise_ek(request->ek_certificate, request->ek_chain, policy.ek, now_ms);
  if (!ek) return tl::unexpected(ek.error());
  const auto ek_public = check_ek_public(ek->key, request->ek_public);
  if (!ek_public) return tl::unexpected(ek_public.error());
  const auto ak = check_ak_public(request->ak_public);
  if (!ak) return tl::unexpected(ak.error());
  const auto known =
      standing_of({ek->certificate_sha256, ek->spki_sha256, ak->key->spki_sha256()}, policy);
  if (!known) return tl::unexpected(known.error());
  Session session{thumbprint, ak->key->spki_der(),   ek->certificate_sha256, ek->spki_sha256,
                  ek->tpm,    names_of(*known, *ek), now_ms + kSessionMs};
  Bytes text = encode(session);
  const auto secret = derived(kSecretLabel, text);
  auto credential = make_credential(*ek_public, ak->computed_name, secret);
  if (!credential)
    return refuse("ek.credential",
                  std::string("no credential can be made for this EK: ") + credential.error().what);
  append(text, derived(kSessionLabel, text));
  return AkBegun{std::move(*credential), base64url_encode(text), session.expires_at_ms};
}

Appraised<wire::GrantAk> AttestationCa::activate(const Digest256& thumbprint, ByteView payload,
                                                 const AttestationCaPolicy& policy,
                                                 std::int64_t now_ms, DeviceQuestion* about) const {
  const auto request = read_ak_activate(payload);
  if (!request) return tl::unexpected(request.error());
  const auto forged = refuse("session.forged", "the session was not made here for this account");
  const auto text = base64url_decode(request->session);
  if (!text || text->size() <= sizeof(Digest256)) return forged;
  const auto body = ByteView(*text).first(text->size() - sizeof(Digest256));
  if (!equal_constant_time(derived(kSessionLabel, body), ByteView(*text).subspan(body.size())))
    return forged;
  const auto session = decode(body);
  if (!session || session->thumbprint != thumbprint) return forged;
  if (now_ms >= session->expires_at_ms)
    return refuse("session.expired", "the session has expired: begin anew");
  if (!equal_constant_time(derived(kSecretLabel, body), request->secret))
    return refuse("ak.credential",
                  "the secret is not what the credential held: the TPM that made the AK does not "
                  "hold the EK of this certificate");
  const auto ak_sha256 = crypto::sha256(session->ak_spki);
  const DeviceQuestion question{session->ek_certificate_sha256, session->ek_spki_sha256, ak_sha256};
  const auto known = standing_of(question, policy);
  if (!known) return tl::unexpected(known.error());
  if (about != nullptr) *about = question;
  wire::GrantAk grant;
  grant.thumbprint = thumbprint;
  grant.session_sha256 = crypto::sha256(view_of(request->session));
  grant.spki = session->ak_spki;
  grant.manufacturer = session->tpm.manufacturer;
  grant.model = session->tpm.model;
  grant.version = session->tpm.version;
  grant.identifiers = session->identifiers;
  grant.expires_at_ms = now_ms + kGrantMs;
  grant.evidence_sha256 = session->ek_certificate_sha256;
  return grant;
}

std::string_view problem_type_of(std::string_view code) {
  if (code.starts_with("payload.")) return "malformed";
  if (code.starts_with("session.") || code.starts_with("device.")) return "unauthorized";
  return "badAttestationStatement";
}

}  // namespace keyward::attest
