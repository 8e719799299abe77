#include "tests/support/quote/quote.h"

#include <stdlib.h>

namespace keyward::test {
namespace {

void little(Bytes& out, std::uint64_t value, int size_bytes) {
  for (int i = 0; i < size_bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void big(Bytes& out, std::uint64_t value, int size_bytes) {
  for (int i = size_bytes - 1; i >= 0; --i)
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void sized(Bytes& out, ByteView octets) {
  big(out, octets.size(), 2);
  append(out, octets);
}

crypto::HashAlgorithm hash_of(std::uint16_t algorithm) {
  switch (algorithm) {
    case 0x0004:
      return crypto::HashAlgorithm::kSha1;
    case 0x000C:
      return crypto::HashAlgorithm::kSha384;
    default:
      return crypto::HashAlgorithm::kSha256;
  }
}

void add_event(Bytes& out, const LogSpec& spec, const EventSpec& event) {
  little(out, event.pcr, 4);
  little(out, event.type, 4);
  little(out, spec.algorithms.size(), 4);
  for (const auto algorithm : spec.algorithms) {
    little(out, algorithm, 2);
    append(out, crypto::hash(hash_of(algorithm), view_of(event.measured.value_or(event.data))));
  }
  little(out, event.data.size(), 4);
  append(out, view_of(event.data));
}

Bytes spec_id(const LogSpec& spec) {
  Bytes out = to_bytes(spec.signature);
  for (const int octet : {0, 0, 0, 0, 0, 2, 0, 2}) out.push_back(static_cast<std::uint8_t>(octet));
  little(out, spec.algorithms.size(), 4);
  for (const auto algorithm : spec.algorithms) {
    little(out, algorithm, 2);
    little(out, crypto::digest_bytes(hash_of(algorithm)), 2);
  }
  out.push_back(0);
  return out;
}

template <class T>
T must(Result<T> result) {
  if (!result) ::abort();
  return std::move(*result);
}

}  // namespace

Bytes event_log(const LogSpec& spec) {
  Bytes out;
  const Bytes header = spec_id(spec);
  little(out, 0, 4);
  little(out, 3, 4);
  append(out, Bytes(20, 0));
  little(out, header.size(), 4);
  append(out, header);
  if (spec.locality) {
    std::string data("StartupLocality\0", 16);
    data += static_cast<char>(*spec.locality);
    add_event(out, spec, {0, 3, data, {}});
  }
  for (const auto& event : spec.events) add_event(out, spec, event);
  return out;
}

LogSpec good_boot() {
  LogSpec out;
  out.events = {{0, 0x00000008, "firmware 1.7", {}},
                {7, 0x80000001, "SecureBoot=1", {}},
                {4, 0x80000003, "\\EFI\\debian\\shimx64.efi", "the loader's code"},
                {4, 0x0000000D, "grub_cmd: linux /vmlinuz", "linux /vmlinuz"}};
  return out;
}

QuoteMaker::QuoteMaker(std::int64_t at_utc_ms)
    : statements_(at_utc_ms),
      ak_(must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256))),
      other_(must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256))) {}

appraise::QuoteRecord QuoteMaker::record(const QuoteSpec& spec) const {
  appraise::QuoteRecord out;
  const Bytes log = event_log(spec.log);
  if (spec.has_log) out.event_log = log;
  const auto bank = hash_of(spec.bank);
  if (const auto parsed = appraise::parse_event_log(log)) {
    const auto values = appraise::replay(*parsed, bank);
    for (const unsigned pcr : spec.pcrs) {
      const auto found = values.find(pcr);
      out.pcrs[bank][pcr] =
          found == values.end() ? Bytes(crypto::digest_bytes(bank), 0) : found->second;
    }
  } else {
    for (const unsigned pcr : spec.pcrs) out.pcrs[bank][pcr] = Bytes(crypto::digest_bytes(bank), 0);
  }
  Bytes& quoted = out.quoted;
  big(quoted, spec.magic, 4);
  big(quoted, spec.type, 2);
  sized(quoted, Bytes(34, 1));
  sized(quoted, spec.extra_data);
  append(quoted, Bytes(17, 0));
  append(quoted, Bytes(8, 0));
  big(quoted, 1, 4);
  big(quoted, spec.bank, 2);
  quoted.push_back(3);
  std::uint32_t mask = 0;
  Bytes values;
  for (const unsigned pcr : spec.pcrs) {
    mask |= 1u << pcr;
    append(values, out.pcrs[bank][pcr]);
  }
  little(quoted, mask, 3);
  if (spec.other_pcr_digest) values.push_back(0);
  sized(quoted, crypto::hash(hash_of(spec.signature_hash), values));
  if (spec.trailing) quoted.push_back(0);
  if (spec.edit_quoted) spec.edit_quoted(quoted);
  const auto& key = spec.signed_by_other ? other_ : ak_;
  const auto raw =
      must(key.sign(crypto::SignatureScheme::kEcdsaRaw, hash_of(spec.signature_hash), out.quoted));
  big(out.sig, 0x0018, 2);
  big(out.sig, spec.signature_hash, 2);
  sized(out.sig, ByteView(raw).first(32));
  sized(out.sig, ByteView(raw).last(32));
  StatementSpec statement = StatementMaker::good();
  statement.ak = spec.ak;
  statement.unknown_ca = spec.unknown_ca;
  out.x5c = {statements_.ak_certificate(statement, ak_.public_key())};
  return out;
}

}  // namespace keyward::test
