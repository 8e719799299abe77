#include "firmware/attest/ek_certificate.h"

#include <algorithm>

#include "firmware/attest/ca_search.h"
#include "firmware/attest/utc_text.h"
#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"
#include "firmware/x509/distinguished_name.h"
#include "firmware/x509/tbs.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::string_view kEkCertificate = "2.23.133.8.1";  // tcg-kp-EKCertificate
constexpr std::uint8_t kDirectoryName = x509::tag::context_constructed(4);
constexpr std::size_t kFactBytesMax = 64;  // as GrantAk carries it
constexpr std::size_t kManufacturerBytes = 4;

// The attributes of a Name. Vendors write all three into one RDN, unsorted, or into three: both do.
Status read_facts(ByteView directory_name, TpmFacts& out) {
  return x509::for_each_attribute(
      directory_name, [&](ByteView type, const x509::DerReader::Any& value) -> Status {
        const auto oid = x509::oid_text(type);
        auto* into = oid == "2.23.133.2.1"   ? &out.manufacturer
                     : oid == "2.23.133.2.2" ? &out.model
                     : oid == "2.23.133.2.3" ? &out.version
                                             : nullptr;
        if (into == nullptr) return {};
        if (!into->empty()) return fail(ErrorKind::kBadInput, "a TPM attribute stands twice");
        *into = std::string(text_of(value.content));
        return {};
      });
}

Result<TpmFacts> parse_facts(ByteView subject_alt_name) {
  TpmFacts out;
  x509::DerReader outer(subject_alt_name);
  KEYWARD_TRY(names, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  while (!names.at_end()) {
    KEYWARD_TRY(name, names.any());
    if (name.tag == kDirectoryName) KEYWARD_CHECK(read_facts(name.content, out));
  }
  return out;
}

bool is_fact(const std::string& text) {
  return !text.empty() && text.size() <= kFactBytesMax && wire::is_valid_utf8(view_of(text)) &&
         std::ranges::none_of(
             text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// The four octets of a TPM manufacturer (TCG Vendor ID Registry); none: not of that form.
std::optional<Bytes> manufacturer_octets(std::string_view text) {
  if (text.starts_with("id:")) {
    const auto octets = hex_decode(text.substr(3));
    if (!octets || octets->size() != kManufacturerBytes) return std::nullopt;
    return *octets;
  }
  if (text.empty() || text.size() > kManufacturerBytes) return std::nullopt;
  Bytes out = to_bytes(text);
  out.resize(kManufacturerBytes, 0);
  return out;
}
// Short names are padded by zeros or blanks, as vendors like it.
Bytes trimmed(Bytes octets) {
  while (!octets.empty() && (octets.back() == 0 || octets.back() == ' ')) octets.pop_back();
  return octets;
}

Appraised<TpmFacts> check_subject(const x509::Certificate& certificate, const EkPolicy& policy) {
  const auto* san = certificate.extension(kSubjectAltName);
  if (san == nullptr)
    return refuse("ek.san", "the EK certificate has no subjectAltName, so it names no TPM");
  auto facts = parse_facts(san->value);
  if (!facts)
    return refuse("ek.san", std::string("the EK certificate's subjectAltName is malformed: ") +
                                facts.error().what);
  const bool whole = is_fact(facts->manufacturer) && is_fact(facts->model) &&
                     is_fact(facts->version) && facts->manufacturer.starts_with("id:") &&
                     manufacturer_octets(facts->manufacturer);
  if (!whole)
    return refuse("ek.san",
                  "the EK certificate's subjectAltName must name TPM manufacturer (\"id:\" and "
                  "eight hexadecimal digits), model and version (2.23.133.2.1 to .3)");
  const auto octets = trimmed(*manufacturer_octets(facts->manufacturer));
  const bool allowed =
      policy.manufacturers.empty() || std::ranges::any_of(policy.manufacturers, [&](const auto& m) {
        const auto wanted = manufacturer_octets(m);
        return wanted && trimmed(*wanted) == octets;
      });
  if (!allowed)
    return refuse("ek.manufacturer", "the TPM's manufacturer " + facts->manufacturer +
                                         " is not among those that are taken");
  return *facts;
}

// EK Credential Profile §3.2: keyEncipherment of RSA, keyAgreement of ECC.
Appraised<void> check_usage(const x509::Certificate& certificate) {
  const auto usages = certificate.extended_key_usages();
  if (std::ranges::find(usages, kEkCertificate) == usages.end())
    return refuse("ek.eku",
                  "the EK certificate lacks the extended key usage 2.23.133.8.1 "
                  "(tcg-kp-EKCertificate)");
  if (!certificate.key || certificate.key->kind() == crypto::KeyKind::kEd25519)
    return refuse("ek.key", "the EK certificate's key is of a type or size that is not taken");
  const bool rsa = certificate.key->kind() == crypto::KeyKind::kRsa;
  if (certificate.key_usage(rsa ? x509::kKeyEncipherment : x509::kKeyAgreement) == false)
    return refuse("ek.key-usage", rsa ? "the EK certificate's key usage lacks keyEncipherment"
                                      : "the EK certificate's key usage lacks keyAgreement");
  return {};
}

// From an NV index a certificate comes padded; what follows the DER is then all zeros or all ones.
ByteView without_padding(ByteView der) {
  x509::DerReader in(der);
  const auto whole = in.element_whole(x509::tag::kSequence);
  if (!whole) return der;
  const auto rest = der.subspan(whole->size());
  const bool padding = std::ranges::all_of(rest, [](auto octet) { return octet == 0x00; }) ||
                       std::ranges::all_of(rest, [](auto octet) { return octet == 0xff; });
  return padding ? *whole : der;
}

Appraised<std::vector<x509::Certificate>> read_chain(const std::vector<Bytes>& chain) {
  if (chain.size() > limits::kChainCertificatesMax)
    return refuse("ek.chain", "more certificates came with the EK certificate than any chain has");
  std::vector<x509::Certificate> out;
  for (const auto& der : chain) {
    auto certificate = x509::parse_certificate(der);
    if (!certificate)
      return refuse("ek.chain", std::string("a certificate beside the EK certificate is no "
                                            "certificate: ") +
                                    certificate.error().what);
    out.push_back(std::move(*certificate));
  }
  return out;
}

// What came and what is known, as far as it can lie on the leaf's way: names lead, raw octets
// compared (field notes: unsorted RDN sets). One list short enough for verify_chain().
std::vector<x509::Certificate> on_the_way(const x509::Certificate& leaf,
                                          const std::vector<x509::Certificate>& sent,
                                          const std::vector<x509::Certificate>& known) {
  std::vector<x509::Certificate> out;
  const auto add_issuers_of = [&](const x509::Certificate& child) {
    for (const auto* list : {&sent, &known}) {
      for (const auto& candidate : *list) {
        if (out.size() >= limits::kChainCertificatesMax) return;
        const bool new_one =
            std::ranges::none_of(out, [&](const auto& c) { return c.der == candidate.der; });
        if (new_one && candidate.subject_der == child.issuer_der) out.push_back(candidate);
      }
    }
  };
  add_issuers_of(leaf);
  for (std::size_t i = 0; i < out.size(); ++i) add_issuers_of(x509::Certificate(out[i]));
  return out;
}

std::int64_t judged_at(const EkTime& time, const x509::Certificate& leaf, std::int64_t now_ms) {
  if (time.kind == EkTime::Kind::kIssuance) return leaf.not_before_ms;
  return time.kind == EkTime::Kind::kFixed ? time.fixed_ms : now_ms;
}

// A signature that does not verify, by a CA that has the issuer's name and not the key identifier
// that the child asks for: vendors reuse names, and it is the other CA that is missing.
bool is_namesake(const x509::Certificate& leaf, const std::vector<x509::Certificate>& way,
                 const std::vector<x509::Certificate>& roots, std::string_view why) {
  if (why != "bad signature in chain") return false;
  std::vector<x509::Certificate> children = way;
  children.push_back(leaf);
  for (const auto* list : {&way, &roots}) {
    for (const auto& issuer : *list) {
      const auto id = subject_key_id(issuer);
      const bool meant = std::ranges::any_of(children, [&](const auto& child) {
        return child.der != issuer.der && child.issuer_der == issuer.subject_der && !id.empty() &&
               authority_key_id(child) == id &&
               (!issuer.key || !x509::verify_signed_by(child, *issuer.key));
      });
      if (meant) return false;
    }
  }
  return true;
}

bool is_revoked(const x509::Certificate& certificate, const EkPolicy& policy) {
  const auto key = crypto::sha256(certificate.spki_der);
  return std::ranges::find(policy.revoked, key) != policy.revoked.end();
}

// By the key, so that no other certificate of the same CA leads around it.
std::vector<x509::Certificate> unrevoked(std::vector<x509::Certificate> list,
                                         const EkPolicy& policy) {
  std::erase_if(list, [&](const auto& certificate) { return is_revoked(certificate, policy); });
  return list;
}

Appraised<void> check_chain(const x509::Certificate& leaf,
                            const std::vector<x509::Certificate>& sent, const EkPolicy& policy,
                            std::int64_t now_ms) {
  if (policy.roots.empty())
    return refuse("ek.unknown-ca", "no vendor root is configured or imported");
  if (is_revoked(leaf, policy))
    return refuse("ek.revoked", "the endorsement key was revoked (vendors' bundle)");
  const x509::ChainOptions options{judged_at(policy.time, leaf, now_ms),
                                   {std::string(kSubjectAltName)}};
  const auto whole_way = on_the_way(leaf, sent, policy.intermediates);
  const auto way = unrevoked(whole_way, policy), roots = unrevoked(policy.roots, policy);
  const auto chained = x509::verify_chain(leaf, way, roots, options);
  if (chained) return {};
  if (!policy.revoked.empty() && x509::verify_chain(leaf, whole_way, policy.roots, options))
    return refuse("ek.revoked",
                  "the EK certificate's chain leads over a CA that was revoked (vendors' bundle)");
  const std::string_view why = chained.error().what;
  if (why == "certificate expired")
    return refuse("ek.expired",
                  "the EK certificate, or one in its chain, has expired at the time at which the "
                  "policy judges it (ek_time)");
  if (why == "certificate not yet valid")
    return refuse("ek.not-yet-valid",
                  "the EK certificate, or one in its chain, is not valid yet at the time at which "
                  "the policy judges it (ek_time)");
  if (why == "no path to a trust anchor" || is_namesake(leaf, way, roots, why))
    return refuse("ek.unknown-ca", "no way leads from the EK certificate to a trusted root; " +
                                       to_text(missing_ca(leaf, way, roots)));
  return refuse("ek.chain", "the EK certificate's chain does not verify: " + std::string(why));
}

Appraised<void> check_form(const x509::Certificate& certificate) {
  if (certificate.version != 3)
    return refuse("ek.version", "the EK certificate must be X.509 version 3");
  if (certificate.basic_constraints_ca() != false)
    return refuse("ek.ca", "the EK certificate must have basicConstraints with CA:FALSE");
  return {};
}

}  // namespace

Result<EkTime> ek_time_from(std::string_view text) {
  if (text == "now") return EkTime{};
  if (text == "issuance") return EkTime{EkTime::Kind::kIssuance};
  const auto time_ms = utc_from_text(text);
  if (!time_ms) return fail(ErrorKind::kBadInput, "\"now\", \"issuance\" or a time in UTC");
  return EkTime{EkTime::Kind::kFixed, *time_ms};
}

Status check_manufacturers(const std::vector<std::string>& manufacturers) {
  for (const auto& manufacturer : manufacturers) {
    if (!manufacturer_octets(manufacturer))
      return fail(ErrorKind::kBadInput,
                  "a TPM manufacturer is \"id:\" and eight hexadecimal "
                  "digits, or up to four letters");
  }
  return {};
}

Appraised<AppraisedEk> appraise_ek(ByteView certificate, const std::vector<Bytes>& chain,
                                   const EkPolicy& policy, std::int64_t now_ms, Checks* checks) {
  auto leaf = x509::parse_certificate(without_padding(certificate));
  if (!leaf)
    return refuse("ek.certificate",
                  std::string("the EK certificate is no certificate: ") + leaf.error().what);
  note(checks, "ek.certificate", "it is a certificate");
  KEYWARD_APPRAISE(check_form(*leaf));
  note(checks, "ek.ca", "it is version 3 and no CA's");
  KEYWARD_APPRAISE(check_usage(*leaf));
  note(checks, "ek.eku", "its usages are those of an endorsement key");
  auto facts = check_subject(*leaf, policy);
  if (!facts) return tl::unexpected(facts.error());
  note(checks, "ek.san",
       "it names the TPM: " + facts->manufacturer + ", " + facts->model + ", " + facts->version);
  const auto sent = read_chain(chain);
  if (!sent) return tl::unexpected(sent.error());
  KEYWARD_APPRAISE(check_chain(*leaf, *sent, policy, now_ms));
  note(checks, "ek.chain", "a chain leads to a trusted root");
  auto key = *leaf->key;
  const auto certificate_sha256 = crypto::sha256(leaf->der);
  const auto spki_sha256 = crypto::sha256(leaf->spki_der);
  return AppraisedEk{std::move(*leaf), std::move(key), std::move(*facts), certificate_sha256,
                     spki_sha256};
}

Appraised<EkPublic> check_ek_public(const crypto::PublicKey& certified, ByteView public_area,
                                    Checks* checks) {
  if (public_area.empty()) {
    auto usual = ek_template(certified);
    if (!usual)
      return refuse("ek.public-parameters",
                    "no template of the TCG makes such an endorsement key: its public area is "
                    "needed (ekPublic)");
    return *usual;
  }
  const auto area = parse_public_area(public_area);
  if (!area) return refuse("ek.public", std::string("the EK's public area: ") + area.error().what);
  if (!area->key || area->key->spki_sha256() != certified.spki_sha256())
    return refuse("ek.public-key", "the EK's public area is not of the certificate's key");
  const auto& has = area->attributes;
  if (!has.fixed_tpm || !has.fixed_parent || !has.sensitive_data_origin || !has.restricted ||
      !has.decrypt || has.sign)
    return refuse("ek.public-attributes",
                  "an endorsement key must be fixedTPM, fixedParent, sensitiveDataOrigin, "
                  "restricted and decrypt, and not sign");
  auto parameters = ek_parameters(*area);
  if (!parameters)
    return refuse("ek.public-parameters",
                  "the EK needs a nameAlg of SHA-256, SHA-384 or SHA-512, and AES-CFB with 128 or "
                  "256 bits");
  note(checks, "ek.public",
       "the public area is of the certificate's key, and an endorsement key's");
  return *parameters;
}

}  // namespace keyward::attest
