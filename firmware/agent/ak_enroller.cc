// Owns the enrolment of an attestation key. Must not know HTTP, files or options.
#include "firmware/agent/ak_enroller.h"

#include "firmware/attest/tpm_structures.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

// TCG EK Credential Profile §2.2.1.4, where manufacturers put the certificates: templates L-2, L-1.
struct EkPlace {
  std::uint32_t nv_index;
  hal::TpmKeyType type;
};
constexpr EkPlace kEkPlaces[] = {{0x01C0000A, hal::TpmKeyType::kEccP256},
                                 {0x01C00002, hal::TpmKeyType::kRsa2048}};

struct EndorsementKey {
  std::vector<Bytes> chain;
  hal::TpmObjectPtr object;
};

bool is_key_of(const x509::Certificate& certificate, const hal::TpmObject& object) {
  const auto area = attest::parse_public_area(object.public_area());
  return area && area->key && equal(area->key->spki_der(), certificate.spki_der);
}

// Of which of the two templates the certificate's key is; others are not made here.
Outcome<EndorsementKey> ek_of(hal::Tpm& tpm, std::vector<Bytes> chain) {
  const auto certificate = x509::parse_certificate(chain.front());
  if (!certificate)
    return failed(FailureKind::kUsage, "reading the endorsement certificate", certificate.error());
  for (const auto& place : kEkPlaces) {
    auto object = tpm.create_ek(place.type);
    if (!object) return failed(FailureKind::kTpm, "making the endorsement key", object.error());
    if (is_key_of(*certificate, **object))
      return EndorsementKey{std::move(chain), std::move(*object)};
  }
  return failed(
      FailureKind::kUsage,
      "the endorsement certificate is of another key than this TPM's (templates ECC P-256 "
      "and RSA 2048 were tried)");
}

Outcome<EndorsementKey> find_ek(hal::Tpm& tpm, const std::vector<Bytes>& given) {
  if (!given.empty()) return ek_of(tpm, given);
  for (const auto& place : kEkPlaces) {
    const auto content = tpm.nv_read(place.nv_index);
    if (!content) continue;
    auto certificate = trim_certificate(*content);
    if (!certificate) continue;
    return ek_of(tpm, {std::move(*certificate)});
  }
  return failed(FailureKind::kUsage,
                "the TPM holds no endorsement certificate; give its manufacturer's with "
                "--ek-certificate");
}

Outcome<hal::TpmObjectPtr> open_or_make_ak(const AkRequest& request, const AkSeams& seams) {
  if (auto ak = seams.tpm.open_persistent(request.ak_handle)) return std::move(*ak);
  hal::TpmKeyTemplate wanted;
  wanted.restricted = true;
  const auto blob = seams.tpm.create_key(wanted);
  if (!blob) return failed(FailureKind::kTpm, "making an attestation key", blob.error());
  const auto loaded = seams.tpm.load(*blob);
  if (!loaded) return failed(FailureKind::kTpm, "loading the attestation key", loaded.error());
  if (const auto kept = seams.tpm.make_persistent(**loaded, request.ak_handle); !kept)
    return failed(FailureKind::kTpm, "keeping the attestation key in the TPM", kept.error());
  auto ak = seams.tpm.open_persistent(request.ak_handle);
  if (!ak) return failed(FailureKind::kTpm, "opening the attestation key", ak.error());
  seams.on_step("attestation key", "made, ECC P-256");
  return std::move(*ak);
}

std::string begin_payload(const EndorsementKey& ek, const hal::TpmObject& ak) {
  json::Writer out;
  out.begin_object().member("ekCertificate", base64url_encode(ek.chain.front()));
  if (ek.chain.size() > 1) {
    out.key("ekChain").begin_array();
    for (std::size_t i = 1; i < ek.chain.size(); ++i) out.string(base64url_encode(ek.chain[i]));
    out.end_array();
  }
  out.member("ekPublic", base64url_encode(ek.object->public_area()));
  out.member("akPublic", base64url_encode(ak.public_area())).end_object();
  return out.take();
}

// Structures travel with their sizes inside the TPM's own interface (TPM2B).
Bytes sized(ByteView content) {
  Bytes out{static_cast<std::uint8_t>(content.size() >> 8),
            static_cast<std::uint8_t>(content.size())};
  append(out, content);
  return out;
}

struct Offer {
  hal::TpmCredential credential;
  std::string session;
};

Outcome<Offer> offer_from(const HttpReply& reply) {
  const auto document = json::Document::parse(reply.body, limits::kAgentReplyBytesMax);
  const json::Value root = document ? document->root() : json::Value();
  const auto blob = base64url_decode(root.get("credentialBlob").string());
  const auto secret = base64url_decode(root.get("secret").string());
  Offer out;
  out.session = root.get("session").string();
  if (!blob || !secret || blob->empty() || secret->empty() || out.session.empty())
    return failed(FailureKind::kRefused, "the attestation CA's offer cannot be read");
  out.credential = {sized(*blob), sized(*secret)};
  return out;
}

}  // namespace

Result<Bytes> trim_certificate(ByteView nv_content) {
  constexpr std::uint8_t kSequence = 0x30, kTwoOctetLength = 0x82;
  if (nv_content.size() < 4 || nv_content[0] != kSequence || nv_content[1] != kTwoOctetLength)
    return fail(ErrorKind::kBadInput, "no certificate in the TPM's memory");
  const std::size_t whole = 4 + (static_cast<std::size_t>(nv_content[2]) << 8) + nv_content[3];
  if (whole > nv_content.size())
    return fail(ErrorKind::kBadInput, "the certificate in the TPM's memory is cut off");
  return to_bytes(nv_content.first(whole));
}

Outcome<std::string> enroll_attestation_key(const AkRequest& request, const AkSeams& seams) {
  const auto directory = seams.client.directory();
  if (!directory) return failed(directory.error());
  if (directory->ak_begin.empty() || directory->ak_activate.empty())
    return failed(FailureKind::kUsage,
                  "this CA certifies no attestation keys; give the manufacturer's chain with "
                  "--ak-chain");
  auto ek = find_ek(seams.tpm, request.ek_chain);
  if (!ek) return failed(ek.error());
  seams.on_step("endorsement key", "certified, in this TPM");
  auto ak = open_or_make_ak(request, seams);
  if (!ak) return failed(ak.error());
  auto begun = seams.client.post(directory->ak_begin, begin_payload(*ek, **ak));
  if (!begun) return failed(begun.error());
  auto offer = offer_from(*begun);
  if (!offer) return failed(offer.error());
  const auto secret = seams.tpm.activate_credential(**ak, *ek->object, offer->credential);
  if (!secret)
    return failed(FailureKind::kTpm, "opening the CA's credential (TPM2_ActivateCredential)",
                  secret.error());
  seams.on_step("credential", "opened by the TPM");
  json::Writer answer;
  answer.begin_object().member("session", offer->session);
  answer.member("secret", base64url_encode(*secret)).end_object();
  auto issued = seams.client.post(directory->ak_activate, answer.take());
  if (!issued) return failed(issued.error());
  const auto chain = x509::certificates_from_pem(issued->body, limits::kChainCertificatesMax);
  if (!chain || chain->empty())
    return failed(FailureKind::kRefused, "the attestation CA sent no certificate chain");
  const auto leaf = x509::parse_certificate(chain->front());
  if (!leaf || !is_key_of(*leaf, **ak))
    return failed(FailureKind::kRefused, "the attestation CA certified another key than ours");
  seams.on_step("attestation key", "certified, serial " + hex_encode(leaf->serial));
  return std::move(issued->body);
}

}  // namespace keyward::agent
