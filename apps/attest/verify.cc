// Owns the question and the words of the answer. Must not know formats.
#include "apps/attest/verify.h"

#include <algorithm>
#include <ostream>

#include "apps/attest/evidence.h"
#include "firmware/attest/attestation_object.h"
#include "firmware/attest/device_policy.h"
#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/x509/der.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::attest_tool {
namespace {

constexpr std::string_view kHardwareModule = "hardware-module:";

// What came in the challenge's response is base64url; vectors are hexadecimal; captures are CBOR,
// whose first octet, a map, is no character of either.
Result<Bytes> read_statement(const std::string& path) {
  KEYWARD_TRY(raw, read_file(path, 3 * limits::kEvidenceBytesMax));
  std::string_view text = text_of(raw);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  if (auto hex = hex_decode(text); hex && !hex->empty()) return hex;
  if (auto base64 = base64url_decode(text); base64 && !base64->empty()) return base64;
  return raw;
}

// "2026-11-22T20:00:00Z", by the reader that reads certificates' times.
std::optional<std::int64_t> read_time(std::string text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (text.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] != '0' && text[i] != kForm[i]) return std::nullopt;
  }
  std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  const Bytes der = x509::tlv(x509::tag::kGeneralizedTime, view_of(text));
  const auto time = x509::DerReader(der).time_ms();
  if (!time) return std::nullopt;
  return *time;
}

std::optional<wire::Identifier> read_identifier(std::string_view text) {
  const bool module = text.starts_with(kHardwareModule);
  if (module) text.remove_prefix(kHardwareModule.size());
  const auto type =
      module ? wire::IdentifierType::kHardwareModule : wire::IdentifierType::kPermanentIdentifier;
  const auto canonical = identifier::canonical(type, text);
  if (!canonical) return std::nullopt;
  return wire::Identifier{type, std::string(text)};
}

Result<attest::DeviceAttestPolicy> read_policy(const std::string& path, std::ostream& errors) {
  auto document = config::Document::load(path);
  auto root = document.root();
  // The installation's file has the keys under [attestation], beside the task's other ones.
  const bool whole = root.has("attestation");
  auto section = whole ? root.table("attestation") : root;
  const auto config = attest::read_device_policy(section);
  if (whole) {
    (void)root.text();
    (void)section.text();
  }
  const auto problems = document.finish();
  for (const auto& problem : problems) errors << "keyward-attest: " << problem << "\n";
  if (!problems.empty()) return fail(ErrorKind::kBadInput, "the policy does not read");
  return attest::load_device_policy(config);
}

int complain(std::ostream& errors, int code, std::string_view what) {
  errors << "keyward-attest: " << what << "\n";
  return code;
}

// Fills challenge and time; the exit code of what is wrong.
int read_question(const VerifyOptions& options, attest::DeviceChallenge& challenge,
                  std::int64_t& at_ms, std::ostream& errors) {
  if (options.to_be_signed.empty() == options.key_authorization.empty()) {
    return complain(errors, kUsage,
                    "say what the statement must answer: one of --key-authorization and "
                    "--to-be-signed; without it nothing would be compared");
  }
  challenge.key_authorization = options.key_authorization;
  challenge.account_admitted = options.account_admitted;
  if (!options.to_be_signed.empty()) {
    const auto octets = hex_decode(options.to_be_signed);
    if (!octets) return complain(errors, kUsage, "--to-be-signed is not hexadecimal");
    challenge.to_be_signed = *octets;
  }
  at_ms = system_clock().utc_ms();
  if (options.at.empty()) return kAccepted;
  const auto at = read_time(options.at);
  if (!at) return complain(errors, kUsage, "--at is a time like 2026-11-22T20:00:00Z");
  at_ms = *at;
  return kAccepted;
}

}  // namespace

std::string in_words(const Explanation& explanation) {
  std::string out;
  if (!explanation.format.empty()) out += "format: " + explanation.format + "\n";
  for (const auto& check : explanation.passed)
    out += "pass    " + check.id + ": " + check.text + "\n";
  if (!explanation.verdict) {
    const auto& refusal = explanation.verdict.error();
    return out + "REFUSED " + refusal.code + ": " + refusal.detail + "\n";
  }
  const auto& key = *explanation.verdict;
  out += "ACCEPTED: the certificate's key must be the attested one, SPKI SHA-256 " +
         hex_encode(key.key.spki_sha256()) + "\n";
  return out + (key.non_exportable
                    ? "The statement proves that the key cannot leave its hardware.\n"
                    : "The statement does not prove that the key stays in its "
                      "hardware.\n");
}

std::string in_json(const Explanation& explanation) {
  json::Writer out;
  out.begin_object();
  out.member_bool("accepted", explanation.verdict.has_value());
  out.member("format", explanation.format);
  out.member_int("at_ms", explanation.at_ms);
  out.key("passed").begin_array();
  for (const auto& check : explanation.passed)
    out.begin_object().member("id", check.id).member("text", check.text).end_object();
  out.end_array();
  if (explanation.verdict) {
    out.member("spki_sha256", hex_encode(explanation.verdict->key.spki_sha256()));
    out.member_bool("non_exportable", explanation.verdict->non_exportable);
  } else {
    out.key("why_not").begin_object();
    out.member("id", explanation.verdict.error().code);
    out.member("text", explanation.verdict.error().detail).end_object();
  }
  out.end_object();
  return out.take() + "\n";
}

// Everything that is no attestation object: other rules judge it, and no identifier is asked for.
static int verify_other(const VerifyOptions& options, Content content, const Bytes& bytes,
                        std::ostream& out, std::ostream& errors) {
  EvidenceQuestion question;
  question.content = content;
  question.bytes = bytes;
  question.policy = options.policy;
  question.json = options.json;
  question.fresh.token = options.nonce;
  question.fresh.key_authorization = options.key_authorization;
  // The key authorization begins with the nonce.
  if (options.nonce.empty() && !options.key_authorization.empty())
    question.fresh.token = options.key_authorization.substr(0, options.key_authorization.find('.'));
  if (!options.to_be_signed.empty()) {
    const auto octets = hex_decode(options.to_be_signed);
    if (!octets) return complain(errors, kUsage, "--to-be-signed is not hexadecimal");
    question.fresh.octets = *octets;
  }
  const auto at =
      options.at.empty() ? std::optional(system_clock().utc_ms()) : read_time(options.at);
  if (!at) return complain(errors, kUsage, "--at is a time like 2026-11-22T20:00:00Z");
  question.at_ms = *at;
  return verify_evidence(question, out, errors);
}

int verify(const VerifyOptions& options, std::ostream& out, std::ostream& errors) {
  const auto statement = read_statement(options.file);
  if (!statement) return complain(errors, kNoInput, statement.error().what);
  if (const auto content = content_of(*statement); content != Content::kAttestationObject)
    return verify_other(options, content, *statement, out, errors);
  attest::DeviceChallenge challenge;
  Explanation explanation;
  if (const int code = read_question(options, challenge, explanation.at_ms, errors);
      code != kAccepted)
    return code;
  const auto identifier = read_identifier(options.identifier);
  if (!identifier) {
    return complain(errors, kUsage,
                    "--identifier is the order's: \"value\", \"value/OID\" or "
                    "\"hardware-module:serial/OID\"");
  }
  const auto policy = read_policy(options.policy, errors);
  if (!policy) return complain(errors, kBadPolicy, policy.error().what);
  if (const auto object = attest::parse_attestation_object(*statement); object)
    explanation.format = object->format;
  explanation.verdict = attest::appraise_device(*statement, *identifier, challenge, *policy,
                                                explanation.at_ms, &explanation.passed);
  out << (options.json ? in_json(explanation) : in_words(explanation));
  return explanation.verdict ? kAccepted : kRefused;
}

}  // namespace keyward::attest_tool
