// Owns the reading of PKIX evidence and of a CSR's attestation attribute. Must not know any policy.
#include "firmware/rats/pkix_evidence.h"

#include <algorithm>
#include <array>
#include <set>

#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"
#include "hal/base/limits.h"

namespace keyward::rats {
namespace {

using x509::DerReader;
namespace tag = x509::tag;

constexpr unsigned kDigitalSignature = 0;  // RFC 5280 §4.2.1.3
constexpr std::uint64_t kVersion = 1;

tl::unexpected<Refusal> malformed() {
  return refuse("pkix.malformed", "not an Evidence in strict DER");
}

struct SignatureBlock {
  std::optional<Bytes> key_id;
  std::optional<Bytes> spki;
  std::optional<x509::Certificate> certificate;
  ByteView algorithm;
  ByteView signature;
};

struct Cut {
  ByteView tbs;
  std::vector<SignatureBlock> blocks;
  std::vector<x509::Certificate> intermediates;
};

// The one element of an EXPLICIT tag.
Result<ByteView> explicit_element(DerReader& in, unsigned number, std::uint8_t inner,
                                  bool contents) {
  KEYWARD_TRY(outer, in.nested(tag::context_constructed(number)));
  auto element = contents ? outer.element(inner) : outer.element_whole(inner);
  if (!element) return fail(element.error());
  KEYWARD_CHECK(outer.expect_end());
  return *element;
}

Result<SignatureBlock> cut_block(DerReader block) {
  SignatureBlock out;
  KEYWARD_TRY(sid, block.sequence());
  if (sid.peek_tag() == tag::context_constructed(0)) {
    KEYWARD_TRY(key_id, explicit_element(sid, 0, tag::kOctetString, true));
    out.key_id = to_bytes(key_id);
  }
  if (sid.peek_tag() == tag::context_constructed(1)) {
    KEYWARD_TRY(spki, explicit_element(sid, 1, tag::kSequence, false));
    out.spki = to_bytes(spki);
  }
  if (sid.peek_tag() == tag::context_constructed(2)) {
    KEYWARD_TRY(der, explicit_element(sid, 2, tag::kSequence, false));
    KEYWARD_TRY(certificate, x509::parse_certificate(der));
    out.certificate = std::move(certificate);
  }
  KEYWARD_CHECK(sid.expect_end());
  KEYWARD_TRY(algorithm, block.element_whole(tag::kSequence));
  KEYWARD_TRY(signature, block.element(tag::kOctetString));
  KEYWARD_CHECK(block.expect_end());
  out.algorithm = algorithm;
  out.signature = signature;
  return out;
}

Result<Cut> cut_evidence(ByteView der) {
  DerReader outer(der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  Cut out;
  KEYWARD_TRY(tbs, in.element_whole(tag::kSequence));
  out.tbs = tbs;
  KEYWARD_TRY(blocks, in.sequence());
  while (!blocks.at_end()) {
    if (out.blocks.size() >= limits::kChainCertificatesMax)
      return fail(ErrorKind::kExhausted, "pkix evidence: too many signatures");
    KEYWARD_TRY(block, blocks.sequence());
    KEYWARD_TRY(read, cut_block(block));
    out.blocks.push_back(std::move(read));
  }
  if (!in.at_end()) {
    KEYWARD_TRY(certificates, in.nested(tag::context_constructed(0)));
    while (!certificates.at_end()) {
      if (out.intermediates.size() >= limits::kChainCertificatesMax)
        return fail(ErrorKind::kExhausted, "pkix evidence: too many certificates");
      KEYWARD_TRY(whole, certificates.element_whole(tag::kSequence));
      KEYWARD_TRY(certificate, x509::parse_certificate(whole));
      out.intermediates.push_back(std::move(certificate));
    }
  }
  KEYWARD_CHECK(in.expect_end());
  return out;
}

Appraised<void> check_certificate(const x509::Certificate& certificate, const Cut& cut,
                                  const TrustAnchors& anchors, const PkixOids& oids) {
  const auto path =
      x509::verify_chain(certificate, cut.intermediates, anchors.roots, {anchors.at_utc_ms, {}});
  if (!path)
    return refuse("trust.certificate",
                  std::string("the attestation key's certificate: ") + path.error().what);
  const auto usages = certificate.extended_key_usages();
  if (!certificate.key_usage(kDigitalSignature).value_or(false) ||
      std::ranges::find(usages, oids.attestation_key_usage) == usages.end())
    return refuse("pkix.ak-usage",
                  "the certificate's key is not for signatures, or not an attestation key");
  return {};
}

Appraised<Signer> signer_of(const SignatureBlock& block, const Cut& cut,
                            const TrustAnchors& anchors, const PkixOids& oids) {
  if (block.certificate) {
    const auto& certificate = *block.certificate;
    if (!certificate.key || (block.spki && *block.spki != certificate.spki_der))
      return refuse("pkix.signer", "the signer's key is not the one of its certificate");
    KEYWARD_APPRAISE(check_certificate(certificate, cut, anchors, oids));
    return Signer{*certificate.key, certificate};
  }
  if (!block.spki && !block.key_id) return refuse("pkix.signer", "a signature names no signer");
  for (const auto& trusted : anchors.keys) {
    const bool named = block.spki ? *block.spki == trusted.key.spki_der()
                                  : equal(*block.key_id, view_of(trusted.kid));
    if (named) return Signer{trusted.key, std::nullopt};
  }
  return refuse("trust.key", "no configured key is the one that the signature names");
}

Appraised<std::vector<Signer>> verify_signatures(const Cut& cut, const TrustAnchors& anchors,
                                                 const PkixOids& oids) {
  std::vector<Signer> out;
  for (const auto& block : cut.blocks) {
    if (!x509::is_signature_algorithm(block.algorithm))
      return refuse("pkix.algorithm", "a signature is of an algorithm that is not accepted");
    auto signer = signer_of(block, cut, anchors, oids);
    if (!signer) return tl::unexpected(signer.error());
    if (!x509::verify_octets_signed_by(block.algorithm, cut.tbs, block.signature, signer->key))
      return refuse("pkix.signature", "a signature is not its signer's over the evidence");
    out.push_back(std::move(*signer));
  }
  return out;
}

// ---- claims, read behind the signatures alone

enum class ValueTag : std::uint8_t { kBytes = 0, kText = 1, kBool = 2, kTime = 3, kInteger = 4 };

struct Claim {
  std::string type;
  std::optional<std::uint8_t> tag;  // absent: no value
  Bytes content;
};

class ClaimReader {
 public:
  explicit ClaimReader(const Claim& claim) : claim_(claim) {}
  bool bytes(Bytes& out) const {
    out = claim_.content;
    return is(ValueTag::kBytes);
  }
  bool text(std::string& out) const {
    out = std::string(text_of(claim_.content));
    return is(ValueTag::kText) && !out.empty() && out.size() <= limits::kUrlBytesMax &&
           wire::is_valid_utf8(claim_.content);
  }
  bool boolean(std::optional<bool>& out) const {
    return keep(ValueTag::kBool, tag::kBoolean, out, [](DerReader& in) { return in.boolean(); });
  }
  bool time(std::optional<std::int64_t>& out) const {
    return keep(ValueTag::kTime, tag::kGeneralizedTime, out,
                [](DerReader& in) { return in.time_ms(); });
  }
  bool natural(std::optional<std::int64_t>& out) const {
    return keep(ValueTag::kInteger, tag::kInteger, out, [](DerReader& in) -> Result<std::int64_t> {
      KEYWARD_TRY(value, in.small_unsigned());
      return static_cast<std::int64_t>(value);
    });
  }

 private:
  bool is(ValueTag wanted) const {
    return claim_.tag == tag::context(static_cast<unsigned>(wanted));
  }
  // IMPLICIT tags: the universal one is put back, and the strict reader used.
  template <class T, class F>
  bool keep(ValueTag wanted, std::uint8_t universal, std::optional<T>& out, F read) const {
    if (!is(wanted)) return false;
    const auto whole = x509::tlv(universal, claim_.content);
    DerReader in(whole);
    auto value = read(in);
    if (!value || !in.at_end()) return false;
    out = *value;
    return true;
  }

  const Claim& claim_;
};

struct Element {
  std::string type;
  std::vector<Claim> claims;
};

Result<Element> cut_element(DerReader in) {
  Element out;
  KEYWARD_TRY(type, in.oid());
  out.type = x509::oid_text(type);
  KEYWARD_TRY(claims, in.sequence());
  KEYWARD_CHECK(in.expect_end());
  while (!claims.at_end()) {
    if (out.claims.size() >= limits::kPkixClaimsMax)
      return fail(ErrorKind::kExhausted, "pkix evidence: too many claims");
    KEYWARD_TRY(claim, claims.sequence());
    KEYWARD_TRY(claim_type, claim.oid());
    Claim one{x509::oid_text(claim_type), std::nullopt, {}};
    if (!claim.at_end()) {
      KEYWARD_TRY(value, claim.any());
      one.tag = value.tag;
      one.content = to_bytes(value.content);
    }
    KEYWARD_CHECK(claim.expect_end());
    out.claims.push_back(std::move(one));
  }
  if (out.claims.empty()) return fail(ErrorKind::kBadInput, "pkix evidence: element of no claim");
  return out;
}

struct Tbs {
  std::uint64_t version = 0;
  std::vector<Element> elements;
};

Result<Tbs> cut_tbs(ByteView der) {
  DerReader outer(der);
  KEYWARD_TRY(in, outer.sequence());
  Tbs out;
  KEYWARD_TRY(version, in.small_unsigned());
  out.version = version;
  KEYWARD_TRY(elements, in.sequence());
  KEYWARD_CHECK(in.expect_end());
  while (!elements.at_end()) {
    if (out.elements.size() >= limits::kPkixClaimsMax)
      return fail(ErrorKind::kExhausted, "pkix evidence: too many elements");
    KEYWARD_TRY(element, elements.sequence());
    KEYWARD_TRY(cut, cut_element(element));
    out.elements.push_back(std::move(cut));
  }
  if (out.elements.empty()) return fail(ErrorKind::kBadInput, "pkix evidence: no element");
  return out;
}

class EvidenceReader {
 public:
  EvidenceReader(PkixEvidence& out, const PkixOids& oids) : out_(out), arc_(oids.arc) {}

  Appraised<void> element(const Element& element) {
    for (unsigned kind = 0; kind < 3; ++kind) {
      if (element.type == arc_ + ".0." + std::to_string(kind)) return known(element, kind);
    }
    unknown(element.type);
    return {};
  }

 private:
  void unknown(const std::string& type) {
    if (out_.unknown.size() < limits::kPkixClaimsMax) out_.unknown.push_back(type);
  }

  Appraised<void> known(const Element& element, unsigned kind) {
    if (kind != kKeyElement && !kinds_.insert(kind).second)
      return refuse("pkix.elements", "two elements describe the transaction, or the platform");
    if (kind == kPlatformElement) out_.platform.emplace();
    if (kind == kKeyElement) out_.keys.emplace_back();
    std::set<std::string> seen;
    for (const auto& claim : element.claims) {
      const auto number = number_of(claim.type, kind);
      if (!number) {
        unknown(claim.type);
        continue;
      }
      const bool repeatable = (kind == kTransactionElement && *number == kAkSpki) ||
                              (kind == kKeyElement && *number == 0);
      if (!seen.insert(claim.type).second && !repeatable)
        return refuse("pkix.claim", "the claim " + claim.type + " comes twice in one element");
      const ClaimReader value(claim);
      const bool right = kind == kTransactionElement ? transaction(*number, value)
                         : kind == kPlatformElement  ? platform(*number, value)
                                                     : key(*number, value);
      if (!right)
        return refuse("pkix.claim", "the claim " + claim.type + " has another value than it must");
    }
    return check_key_names(kind);
  }

  // draft §4.1: an element is reported once at most.
  Appraised<void> check_key_names(unsigned kind) {
    if (kind != kKeyElement) return {};
    for (const auto& name : out_.keys.back().identifiers) {
      if (!key_names_.insert(name).second)
        return refuse("pkix.elements", "two elements describe the key '" + name + "'");
    }
    return {};
  }

  // The last arc of a claim that belongs to this kind of element.
  std::optional<unsigned> number_of(const std::string& type, unsigned kind) const {
    constexpr std::array<unsigned, 3> kCounts{3, 15, 8};
    for (unsigned number = 0; number < kCounts[kind]; ++number) {
      if (type == arc_ + ".1." + std::to_string(kind) + "." + std::to_string(number)) return number;
    }
    return std::nullopt;
  }

  bool transaction(unsigned number, const ClaimReader& value) {
    switch (number) {
      case 0:
        return value.bytes(out_.nonce.emplace());
      case 1:
        return value.time(out_.timestamp_ms);
      default: {
        Bytes spki;
        const bool right = value.bytes(spki);
        ak_spkis.push_back(std::move(spki));
        return right;
      }
    }
  }

  bool platform(unsigned number, const ClaimReader& value) {
    auto& out = *out_.platform;
    Bytes ignored;
    switch (number) {
      case 0:
        return value.text(out.vendor);
      case 1:
        return value.bytes(out.oemid);
      case 2:
        return value.bytes(out.hwmodel);
      case 3:
        return value.text(out.hwversion);
      case 4:
        return value.text(out.hwserial);
      case 5:
        return value.text(out.swname);
      case 6:
        return value.text(out.swversion);
      case 7:
        return value.natural(out.dbgstat) && *out.dbgstat <= 4;
      case 8:
        return value.natural(out.uptime_s);
      case 9:
        return value.natural(out.bootcount);
      case 10:
        return value.bytes(ignored);  // usermods: octets of the vendor's
      case 11:
        return value.boolean(out.fipsboot);
      case 12:
        return value.text(out.fipsver);
      case 13:
        return value.natural(out.fipslevel) && *out.fipslevel >= 1 && *out.fipslevel <= 4;
      default:
        return value.text(out.fipsmodule);
    }
  }

  bool key(unsigned number, const ClaimReader& value) {
    auto& out = out_.keys.back();
    Bytes ignored;
    switch (number) {
      case 0:
        return value.text(out.identifiers.emplace_back());
      case 1: {
        if (!value.bytes(out.spki) || out.spki.empty()) return false;
        if (auto read = crypto::PublicKey::from_spki(out.spki)) out.key = std::move(*read);
        return true;
      }
      case 2:
        return value.boolean(out.extractable);
      case 3:
        return value.boolean(out.sensitive);
      case 4:
        return value.boolean(out.never_extractable);
      case 5:
        return value.boolean(out.local);
      case 6:
        return value.time(out.expiry_ms);
      default:
        return value.bytes(ignored);  // purpose: capabilities are not compared
    }
  }

  static constexpr unsigned kTransactionElement = 0, kPlatformElement = 1, kKeyElement = 2;
  static constexpr unsigned kAkSpki = 2;
  PkixEvidence& out_;
  std::string arc_;
  std::set<unsigned> kinds_;
  std::set<std::string> key_names_;

 public:
  std::vector<Bytes> ak_spkis;
};

Appraised<void> check_ak_spkis(const std::vector<Bytes>& spkis, const PkixEvidence& evidence) {
  for (const auto& spki : spkis) {
    const bool signs = std::ranges::any_of(
        evidence.signers, [&](const Signer& signer) { return signer.key.spki_der() == spki; });
    if (!signs) return refuse("pkix.ak-spki", "ak-spki is not the key of a signature");
  }
  return {};
}

// ---- CSR

tl::unexpected<Error> bad_bundle() {
  return fail(ErrorKind::kBadInput, "not an AttestationBundle");
}

Status read_statements(DerReader list, CsrAttestation& out) {
  while (!list.at_end()) {
    if (out.statements.size() >= limits::kCmwEntriesMax) return bad_bundle();
    KEYWARD_TRY(one, list.sequence());
    KEYWARD_TRY(type, one.oid());
    KEYWARD_TRY(statement, one.any());
    KEYWARD_CHECK(one.expect_end());
    out.statements.push_back({x509::oid_text(type), to_bytes(statement.whole)});
  }
  if (out.statements.empty()) return bad_bundle();
  return {};
}

Status read_bundle(ByteView der, CsrAttestation& out) {
  DerReader outer(der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  KEYWARD_TRY(statements, in.sequence());
  KEYWARD_CHECK(read_statements(statements, out));
  if (in.at_end()) return {};
  KEYWARD_TRY(certificates, in.sequence());
  while (!certificates.at_end()) {
    if (out.certificates.size() >= limits::kChainCertificatesMax) return bad_bundle();
    // A Certificate; the other forms ([3]) are not read here.
    KEYWARD_TRY(certificate, certificates.element_whole(tag::kSequence));
    out.certificates.push_back(to_bytes(certificate));
  }
  return in.expect_end();
}

}  // namespace

Appraised<PkixEvidence> verify_pkix_evidence(ByteView der, const TrustAnchors& anchors,
                                             const PkixOids& oids) {
  if (oids.arc.empty() || oids.attestation_key_usage.empty())
    return refuse("pkix.oids", "the configuration does not say this evidence's OIDs");
  if (der.size() > limits::kEvidenceBytesMax) return malformed();
  const auto cut = cut_evidence(der);
  if (!cut) return malformed();
  if (cut->blocks.empty()) return refuse("pkix.unsigned", "the evidence has no signature");
  auto signers = verify_signatures(*cut, anchors, oids);
  if (!signers) return tl::unexpected(signers.error());
  const auto tbs = cut_tbs(cut->tbs);
  if (!tbs) return malformed();
  if (tbs->version != kVersion) return refuse("pkix.version", "the evidence is not of version 1");
  PkixEvidence out;
  out.signers = std::move(*signers);
  EvidenceReader reader(out, oids);
  for (const auto& element : tbs->elements) KEYWARD_APPRAISE(reader.element(element));
  KEYWARD_APPRAISE(check_ak_spkis(reader.ak_spkis, out));
  return out;
}

Appraised<CsrAttestation> read_csr_attestation(ByteView csr_der) {
  const auto csr = x509::parse_csr(csr_der);
  if (!csr) return refuse("csr.malformed", std::string("the CSR: ") + csr.error().what);
  if (csr->attestations.size() != 1)
    return refuse("csr.attestation", "the CSR has no attestation attribute, or several");
  CsrAttestation out{csr->key, {}, {}};
  if (!read_bundle(csr->attestations.front(), out))
    return refuse("csr.attestation", "the CSR's attestation attribute is not an AttestationBundle");
  return out;
}

}  // namespace keyward::rats
