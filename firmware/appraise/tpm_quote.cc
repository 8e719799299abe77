#include "firmware/appraise/tpm_quote.h"

#include <algorithm>
#include <set>

#include "firmware/attest/tpm_structures.h"
#include "firmware/identifier/identifier.h"
#include "firmware/wire/cbor.h"
#include "hal/base/limits.h"

namespace keyward::appraise {
namespace {

using attest::note;
using attest::refuse;

constexpr unsigned kRegisters = 24;

Result<BankValues> read_pcrs(wire::CborReader& reader) {
  BankValues out;
  KEYWARD_TRY(banks, reader.map(limits::kEventBanksMax));
  for (std::uint64_t i = 0; i < banks; ++i) {
    KEYWARD_TRY(name, reader.text(16));
    const auto bank = bank_from(name);
    if (!bank || out.contains(*bank))
      return fail(ErrorKind::kRefused, "a bank is unknown or twice");
    auto& values = out[*bank];
    KEYWARD_TRY(count, reader.map(kRegisters));
    for (std::uint64_t n = 0; n < count; ++n) {
      KEYWARD_TRY(pcr, reader.unsigned_integer());
      KEYWARD_TRY(digest, reader.bytes(64));
      if (pcr >= kRegisters || digest.size() != crypto::digest_bytes(*bank))
        return fail(ErrorKind::kRefused, "a register beyond 23, or a value of another size");
      if (!values.emplace(static_cast<unsigned>(pcr), to_bytes(digest)).second)
        return fail(ErrorKind::kRefused, "a register stands twice");
    }
  }
  return out;
}

Status read_member(wire::CborReader& reader, std::string_view name, QuoteRecord& out) {
  if (name == "quoted" || name == "sig") {
    KEYWARD_TRY(octets, reader.bytes(limits::kTpmStructureBytesMax));
    (name == "sig" ? out.sig : out.quoted) = to_bytes(octets);
    return {};
  }
  if (name == "x5c") {
    KEYWARD_TRY(count, reader.array(limits::kChainCertificatesMax));
    for (std::uint64_t i = 0; i < count; ++i) {
      KEYWARD_TRY(der, reader.bytes(limits::kCertificateBytesMax));
      out.x5c.push_back(to_bytes(der));
    }
    return {};
  }
  if (name == "pcrs") {
    KEYWARD_TRY(pcrs, read_pcrs(reader));
    out.pcrs = std::move(pcrs);
    return {};
  }
  if (name != "eventlog") return fail(ErrorKind::kBadInput, "a member that is not known");
  KEYWARD_TRY(log, reader.bytes(limits::kEvidenceBytesMax));
  out.event_log = to_bytes(log);
  return {};
}

Appraised<std::vector<x509::Certificate>> parse_chain(const QuoteRecord& record) {
  std::vector<x509::Certificate> out;
  for (const auto& der : record.x5c) {
    auto certificate = x509::parse_certificate(der);
    if (!certificate)
      return refuse("ak.chain",
                    std::string("a certificate in x5c is malformed: ") + certificate.error().what);
    out.push_back(std::move(*certificate));
  }
  return out;
}

// A quote over SHA-1 could be made for two states of the registers.
Appraised<attest::TpmSignature> check_signature(const QuoteRecord& record,
                                                const crypto::PublicKey& ak) {
  auto signature = attest::parse_signature(record.sig);
  if (!signature) return refuse("quote.signature-form", signature.error().what);
  if (signature->hash == crypto::HashAlgorithm::kSha1)
    return refuse("quote.signature-hash", "the quote is signed with SHA-1");
  if (!ak.verify(signature->scheme, signature->hash, record.quoted, signature->signature))
    return refuse("quote.signature",
                  "the signature over the quote is not by the key in the AK certificate");
  return std::move(*signature);
}

std::size_t count_of(const BankValues& values) {
  std::size_t out = 0;
  for (const auto& [bank, registers] : values) out += registers.size();
  return out;
}

// pcrDigest is over the selected registers in the selection's order (Part 3 §18.4), with the hash of
// the signing scheme.
Appraised<void> check_pcr_digest(const attest::TpmQuoteInfo& info, const BankValues& values,
                                 Bank hash) {
  Bytes concatenated;
  std::size_t selected = 0;
  for (const auto& selection : info.selections) {
    const auto bank = values.find(selection.bank);
    for (const unsigned pcr : selection.pcrs) {
      const bool given = bank != values.end() && bank->second.contains(pcr);
      if (!given)
        return refuse("quote.selection", "PCR " + std::to_string(pcr) + " (" +
                                             std::string(to_string(selection.bank)) +
                                             ") is quoted, but its value is not in the record");
      append(concatenated, bank->second.at(pcr));
      ++selected;
    }
  }
  if (selected != count_of(values))
    return refuse("quote.selection", "the record has values of registers that are not quoted");
  if (!equal(crypto::hash(hash, concatenated), info.pcr_digest))
    return refuse("quote.pcr-digest",
                  "the values of the registers in the record are not those that the TPM quoted");
  return {};
}

// Names that no order could have, and more than the signer takes, are left out.
std::vector<wire::Identifier> devices_of(const attest::AkSubject& subject) {
  std::vector<wire::Identifier> out;
  const auto add = [&](wire::IdentifierType type, std::string value) {
    const auto canonical = identifier::canonical(type, value);
    if (canonical && out.size() < limits::kGrantDevicesMax) out.push_back({type, std::move(value)});
  };
  for (const auto& name : subject.permanent_identifiers)
    add(wire::IdentifierType::kPermanentIdentifier,
        name.value + (name.assigner ? "/" + *name.assigner : ""));
  for (const auto& module : subject.hardware_modules)
    add(wire::IdentifierType::kHardwareModule, module.serial + "/" + module.type);
  return out;
}

bool is_octets_of(ByteView extra_data, ByteView octets) {
  return equal_constant_time(extra_data, octets) ||
         equal_constant_time(extra_data, crypto::sha256(octets));
}

}  // namespace

Appraised<QuoteRecord> parse_quote_record(ByteView cbor) {
  QuoteRecord out;
  wire::CborReader reader(cbor);
  const auto members = reader.map(5);
  if (!members) return refuse("quote.malformed", "the quote record is not a CBOR map");
  std::set<std::string, std::less<>> seen;
  for (std::uint64_t i = 0; i < *members; ++i) {
    const auto name = reader.text(16);
    if (!name) return refuse("quote.malformed", "a member's name in the quote record is no text");
    if (!seen.emplace(*name).second)
      return refuse("quote.malformed", "a member of the quote record stands twice");
    const auto read = read_member(reader, *name, out);
    if (!read && read.error().kind == ErrorKind::kRefused)
      return refuse("quote.pcrs", std::string("the quote record's pcrs: ") + read.error().what);
    if (!read)
      return refuse("quote.malformed",
                    std::string("the quote record does not read: ") + read.error().what);
  }
  if (!reader.at_end()) return refuse("quote.malformed", "octets behind the quote record");
  if (out.quoted.empty() || out.sig.empty() || out.x5c.empty() || out.pcrs.empty())
    return refuse("quote.members", "a quote record needs quoted, sig, x5c and pcrs");
  return out;
}

Bytes write_quote_record(const QuoteRecord& record) {
  wire::CborWriter out;
  out.map(record.event_log ? 5 : 4);
  out.text("sig");
  out.bytes(record.sig);
  out.text("x5c");
  out.array(record.x5c.size());
  for (const auto& der : record.x5c) out.bytes(der);
  out.text("pcrs");
  out.map(record.pcrs.size());
  for (const auto& [bank, values] : record.pcrs) {
    out.text(to_string(bank));
    out.map(values.size());
    for (const auto& [pcr, digest] : values) {
      out.unsigned_integer(pcr);
      out.bytes(digest);
    }
  }
  out.text("quoted");
  out.bytes(record.quoted);
  if (record.event_log) {
    out.text("eventlog");
    out.bytes(*record.event_log);
  }
  return out.take();
}

Freshness freshness_of_extra_data(ByteView extra_data, const Fresh& fresh) {
  if (extra_data.empty()) return Freshness::kNone;
  if (!fresh.octets.empty())
    return is_octets_of(extra_data, fresh.octets) ? Freshness::kNonce : Freshness::kNone;
  if (!fresh.key_authorization.empty() &&
      is_octets_of(extra_data, view_of(fresh.key_authorization)))
    return Freshness::kAccount;
  if (fresh.token.empty()) return Freshness::kNone;
  const auto decoded = base64url_decode(fresh.token);
  if (decoded && is_octets_of(extra_data, *decoded)) return Freshness::kNonce;
  return is_octets_of(extra_data, view_of(fresh.token)) ? Freshness::kNonce : Freshness::kNone;
}

Appraised<VerifiedQuote> verify_quote(const QuoteRecord& record,
                                      const std::vector<x509::Certificate>& ak_roots,
                                      const Fresh& fresh, std::int64_t at_utc_ms,
                                      attest::Checks* checks) {
  auto chain = parse_chain(record);
  if (!chain) return tl::unexpected(chain.error());
  if (chain->empty()) return refuse("quote.members", "the record has no AK certificate");
  const x509::Certificate leaf = std::move(chain->front());
  chain->erase(chain->begin());
  KEYWARD_APPRAISE(attest::check_ak_chain(leaf, *chain, ak_roots, at_utc_ms));
  note(checks, "ak.chain", "the AK certificate chains to a root of the policy, and is valid now");
  const auto subject = attest::check_ak_certificate(leaf);
  if (!subject) return tl::unexpected(subject.error());
  note(checks, "ak.certificate", "the AK certificate is as the TCG's profile demands");
  const auto signature = check_signature(record, *leaf.key);
  if (!signature) return tl::unexpected(signature.error());
  note(checks, "quote.signature", "the attestation key signed the quote");
  const auto info = attest::parse_quote_info(record.quoted);
  if (!info) return refuse("quote.attest", info.error().what);
  KEYWARD_APPRAISE(check_pcr_digest(*info, record.pcrs, signature->hash));
  note(checks, "quote.pcr-digest", "the registers' values are those that the TPM quoted");
  const auto freshness = freshness_of_extra_data(info->extra_data, fresh);
  if (freshness == Freshness::kNone)
    return refuse("quote.extra-data",
                  "the quote's extraData is not this challenge's: it answers another one");
  note(checks, "quote.extra-data",
       freshness == Freshness::kAccount ? "the quote answers this challenge for this account"
                                        : "the quote answers this challenge");
  return VerifiedQuote{record.pcrs, freshness, *leaf.key, devices_of(*subject),
                       attest::revocable_serial(leaf)};
}

}  // namespace keyward::appraise
