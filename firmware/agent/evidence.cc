// Owns the making of evidence about the state of this device's platform. Must not know ACME or files.
#include "firmware/agent/evidence.h"

#include <algorithm>
#include <charconv>

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "firmware/rats/jwe.h"
#include "firmware/wire/cbor.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

constexpr unsigned kRegisterMax = 23;  // TCG PC Client: PCR 0 to 23

struct Bank {
  std::string_view name;
  std::uint16_t hash_alg;  // TPM_ALG_ID
};
constexpr Bank kBanks[] = {{"sha1", 0x0004}, {"sha256", 0x000B}, {"sha384", 0x000C}};

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Result<std::string_view> bank_name(std::uint16_t hash_alg) {
  for (const auto& bank : kBanks) {
    if (bank.hash_alg == hash_alg) return bank.name;
  }
  return bad("no such bank of registers");
}

void write_registers(wire::CborWriter& out, std::string_view bank,
                     const std::vector<std::uint8_t>& registers, const std::vector<Bytes>& values) {
  out.map(1);
  out.text(bank);
  out.map(registers.size());
  for (std::size_t i = 0; i < registers.size(); ++i) {
    out.unsigned_integer(registers[i]);
    out.bytes(values[i]);
  }
}

}  // namespace

Result<hal::PcrSelection> selection_from(std::string_view text) {
  hal::PcrSelection out;
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    const auto name = text.substr(0, colon);
    const auto* bank = std::ranges::find(kBanks, name, &Bank::name);
    if (bank == std::end(kBanks)) return bad("a bank of registers is sha1, sha256 or sha384");
    out.hash_alg = bank->hash_alg;
    text.remove_prefix(colon + 1);
  }
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto word = text.substr(0, comma);
    unsigned value = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size() || value > kRegisterMax)
      return bad("a register is a number from 0 to 23");
    out.registers.push_back(static_cast<std::uint8_t>(value));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (text.empty()) return bad("a register is a number from 0 to 23");
  }
  std::ranges::sort(out.registers);
  const auto repeated = std::ranges::adjacent_find(out.registers) != out.registers.end();
  if (out.registers.empty() || repeated) return bad("registers: none, or one twice");
  return out;
}

Result<Bytes> make_quote_record(hal::Tpm& tpm, hal::TpmObject& ak, const QuoteRequest& request) {
  KEYWARD_TRY(bank, bank_name(request.selection.hash_alg));
  KEYWARD_TRY(values, tpm.pcr_read(request.selection));
  if (values.size() != request.selection.registers.size())
    return fail(ErrorKind::kCorrupt, "the TPM gave another number of registers");
  KEYWARD_TRY(quote, tpm.quote(ak, request.selection, request.qualifying_data));
  wire::CborWriter out;  // keys by length, then by octets (RFC 8949 §4.2.3)
  out.map(request.event_log.empty() ? 4 : 5);
  out.text("sig");
  out.bytes(quote.signature);
  out.text("x5c");
  out.array(request.ak_chain.size());
  for (const auto& certificate : request.ak_chain) out.bytes(certificate);
  out.text("pcrs");
  write_registers(out, bank, request.selection.registers, values);
  out.text("quoted");
  out.bytes(quote.attest);
  if (!request.event_log.empty()) {
    out.text("eventlog");
    out.bytes(request.event_log);
  }
  return out.take();
}

std::string cmw_record(std::string_view media_type, ByteView value, int ind) {
  json::Writer out;
  out.begin_array().string(media_type).string(base64url_encode(value));
  if (ind != 0) out.integer(ind);
  out.end_array();
  return out.take();
}

Result<std::string> encrypt_record(std::string_view jwk_json, std::string_view record) {
  const auto document = json::Document::parse(jwk_json, limits::kJwkBytesMax);
  if (!document) return bad("the CA's key for evidence is not JSON");
  KEYWARD_TRY(jwk, jose::Jwk::from_json(document->root()));
  rats::JweMake make;
  const auto kind = jwk.key().kind();
  if (kind != crypto::KeyKind::kEcP256 && kind != crypto::KeyKind::kRsa)
    return bad("the CA's key for evidence is neither P-256 nor RSA");
  make.algorithm = kind == crypto::KeyKind::kRsa ? rats::JweAlgorithm::kRsaOaep256
                                                 : rats::JweAlgorithm::kEcdhEsA256Kw;
  make.kid = document->root().get("kid").string();
  make.cty = "cmw+json";
  return rats::make_jwe(jwk.key(), view_of(record), make);
}

}  // namespace keyward::agent
