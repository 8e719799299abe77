#include "apps/attest/evidence.h"

#include <algorithm>
#include <filesystem>
#include <ostream>

#include "apps/attest/verify.h"
#include "firmware/attest/device_policy.h"
#include "firmware/attest/ek_certificate.h"
#include "firmware/attest/tpm_structures.h"
#include "firmware/config/toml_text.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::attest_tool {
namespace {

constexpr std::size_t kSysfsValueBytesMax = 256;

int complain(std::ostream& errors, int code, std::string_view what) {
  errors << "keyward-attest: " << what << "\n";
  return code;
}

// A compact JWS is text with two dots.
bool is_compact_jws(std::string_view text) {
  return text.starts_with("eyJ") && std::ranges::count(text, '.') == 2;
}

std::string_view trimmed(ByteView bytes) {
  auto text = text_of(bytes);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// Which of the two a token is stands in its eat_profile; only to choose the rules that judge it.
std::string media_type_of(Content content, ByteView bytes) {
  if (content == Content::kQuote) return std::string(appraise::kTpmQuoteMediaType);
  std::string type = content == Content::kJwt ? "application/eat+jwt" : "application/eat+cwt";
  std::string claims(text_of(bytes));
  if (content == Content::kJwt) {
    const auto first = claims.find('.'), last = claims.rfind('.');
    const auto payload = base64url_decode(std::string_view(claims).substr(
        first + 1, last == std::string::npos ? 0 : last - first - 1));
    claims = payload ? std::string(text_of(*payload)) : "";
  }
  for (const auto profile : {rats::kEarProfile, rats::kEarProfileLegacy}) {
    if (claims.find(profile) != std::string::npos)
      return type + "; eat_profile=\"" + std::string(profile) + "\"";
  }
  return type;
}

appraise::Decision judge(const EvidenceQuestion& question,
                         const appraise::AppraisalPolicy& policy) {
  appraise::Question asked;
  asked.fresh = question.fresh;
  asked.at_utc_ms = question.at_ms;
  appraise::Decision failed;
  if (question.content == Content::kCmw) {
    auto cmw = rats::parse_cmw(question.bytes);
    if (cmw) return appraise::appraise(policy, rats::ResponsePayload(std::move(*cmw)), asked);
    appraise::add(failed, cmw.error());
    return failed;
  }
  rats::CmwRecord record;
  const bool is_text = question.content == Content::kJwt;
  record.value = is_text ? to_bytes(trimmed(question.bytes)) : question.bytes;
  auto type = rats::parse_media_type(media_type_of(question.content, record.value));
  if (!type) {
    appraise::add(failed, type.error());
    return failed;
  }
  record.media_type = std::move(*type);
  rats::Cmw cmw;
  cmw.record = std::move(record);
  return appraise::appraise(policy, rats::ResponsePayload(std::move(cmw)), asked);
}

appraise::Decision judge_certificate(const EvidenceQuestion& question,
                                     const attest::EkPolicy& policy) {
  appraise::Decision out;
  std::vector<Bytes> chain{question.bytes};
  if (text_of(question.bytes).starts_with("-----BEGIN")) {
    auto read = x509::certificates_from_pem(text_of(question.bytes), limits::kTrustAnchorsMax);
    if (read && !read->empty()) chain = std::move(*read);
  }
  const Bytes leaf = chain.front();
  chain.erase(chain.begin());
  const auto ek = attest::appraise_ek(leaf, chain, policy, question.at_ms, &out.passed);
  if (!ek) appraise::add(out, ek.error());
  return out;
}

std::optional<attest::EkPolicy> read_ek_policy(const std::string& path, std::ostream& errors) {
  auto document = config::Document::load(path);
  auto root = document.root();
  const auto roots = root.strings_or_empty("roots", 64);
  const auto intermediates = root.strings_or_empty("intermediates", 64);
  const auto time = root.string_or("time", "now");
  attest::EkPolicy out;
  out.manufacturers = root.strings_or_empty("manufacturers", 64);
  auto problems = document.finish();
  const auto anchors = attest::load_anchors(roots, "roots: no certificate in them");
  if (!anchors) problems.emplace_back(anchors.error().what);
  const auto judged_at = attest::ek_time_from(time);
  if (!judged_at) problems.emplace_back("time: \"now\", \"issuance\" or a time in UTC");
  if (const auto good = attest::check_manufacturers(out.manufacturers); !good)
    problems.emplace_back(good.error().what);
  if (!intermediates.empty()) {
    const auto known = attest::load_anchors(intermediates, "intermediates: no certificate");
    if (known)
      out.intermediates = *known;
    else
      problems.emplace_back(known.error().what);
  }
  for (const auto& problem : problems) errors << "keyward-attest: " << problem << "\n";
  if (!problems.empty()) return std::nullopt;
  out.roots = *anchors;
  out.time = *judged_at;
  return out;
}

std::string in_words(const EvidenceQuestion& question, const appraise::Decision& decision) {
  std::string out = "content: " + std::string(to_string(question.content)) + "\n";
  for (const auto& check : decision.passed) out += "pass    " + check.id + ": " + check.text + "\n";
  for (const auto& reason : decision.why_not)
    out += "REFUSED " + reason.id + ": " + (reason.submod.empty() ? "" : reason.submod + ": ") +
           reason.words + "\n";
  if (decision.relay)
    return out + "RELAYED to the verifier " + decision.relay->verifier + ": nothing is decided\n";
  if (!decision.is_accepted()) return out;
  out += "ACCEPTED\n";
  if (decision.findings.key)
    out += "The certificate's key must be the one with SPKI SHA-256 " +
           hex_encode(decision.findings.key->spki_sha256()) + "\n";
  for (const auto& device : decision.findings.devices)
    out += "The evidence is of the device " + device.value + "\n";
  return out;
}

std::string in_json(const EvidenceQuestion& question, const appraise::Decision& decision) {
  json::Writer out;
  out.begin_object().member_bool("accepted", decision.is_accepted());
  out.member("content", to_string(question.content)).member_int("at_ms", question.at_ms);
  if (decision.relay) out.member("relay", decision.relay->verifier);
  out.key("passed").begin_array();
  for (const auto& check : decision.passed)
    out.begin_object().member("id", check.id).member("text", check.text).end_object();
  out.end_array().key("why_not").begin_array();
  for (const auto& reason : decision.why_not) {
    out.begin_object().member("id", reason.id).member("text", reason.words);
    if (!reason.submod.empty()) out.member("submod", reason.submod);
    out.end_object();
  }
  out.end_array();
  if (decision.findings.key)
    out.member("spki_sha256", hex_encode(decision.findings.key->spki_sha256()));
  out.key("devices").begin_array();
  for (const auto& device : decision.findings.devices) out.string(device.value);
  return out.end_array().end_object().take() + "\n";
}

// ---- record
struct Reference {
  appraise::PcrValues values;
  std::optional<appraise::EventLog> log;
};

// The record must prove itself: reference values of a forged one would be the forger's.
std::string read_quote(const RecordOptions& options, appraise::Bank bank, Reference& out) {
  const auto bytes = read_file(options.file, limits::kEvidenceBytesMax);
  if (!bytes) return bytes.error().what;
  const auto record = appraise::parse_quote_record(*bytes);
  if (!record) return record.error().detail;
  const auto anchors = attest::load_anchors(options.ak_roots, "--ak-root: no certificate in it");
  if (!anchors) return anchors.error().what;
  const auto info = attest::parse_quote_info(record->quoted);
  if (!info) return info.error().what;
  appraise::Fresh as_it_is;
  as_it_is.octets = info->extra_data;
  const auto quote = appraise::verify_quote(*record, *anchors, as_it_is, system_clock().utc_ms());
  if (!quote) return quote.error().detail;
  const auto values = quote->pcrs.find(bank);
  if (values == quote->pcrs.end()) return "the quote has no register of this bank";
  out.values = values->second;
  if (!record->event_log) return "";
  auto log = appraise::parse_event_log(*record->event_log);
  if (!log) return log.error().detail;
  out.log = std::move(*log);
  return "";
}

std::string read_machine(const RecordOptions& options, Reference& out) {
  std::vector<unsigned> pcrs = options.pcrs;
  if (pcrs.empty()) pcrs = {0, 1, 2, 3, 4, 5, 6, 7};
  for (const unsigned pcr : pcrs) {
    const auto text = read_text_file(
        options.sysfs + "/class/tpm/tpm0/pcr-" + options.bank + "/" + std::to_string(pcr),
        kSysfsValueBytesMax);
    const auto value = hex_decode(text ? trimmed(view_of(*text)) : std::string_view("x"));
    if (!value) return "PCR " + std::to_string(pcr) + " of this machine's TPM cannot be read";
    out.values[pcr] = *value;
  }
  const auto bytes =
      read_file(options.sysfs + "/kernel/security/tpm0/binary_bios_measurements", 1u << 20);
  if (!bytes) return "";
  auto log = appraise::parse_event_log(*bytes);
  if (!log) return log.error().detail;
  out.log = std::move(*log);
  return "";
}

void print_policy(const RecordOptions& options, appraise::Bank bank, const Reference& reference,
                  std::ostream& out) {
  std::vector<std::string> roots;
  for (const auto& root : options.ak_roots) roots.push_back(std::filesystem::absolute(root));
  out << "name = " << config::quoted(options.name)
      << "\nversion = " << config::quoted(options.version)
      << "\nevidence = [\"tpm-quote\"]\n\n[tpm]\nak_roots = " << config::quoted_list(roots) << "\n";
  if (reference.log) {
    out << "require_event_log = true\nreference_log = [\n";
    for (const auto& event : reference.log->events) {
      const auto digest = event.digests.find(bank);
      if (!event.is_extended() || digest == event.digests.end() ||
          !reference.values.contains(event.pcr))
        continue;
      out << "  "
          << config::quoted(std::to_string(event.pcr) + " " +
                            appraise::event_type_name(event.type) + " " + options.bank + ":" +
                            hex_encode(digest->second) +
                            (event.description.empty() ? "" : " " + event.description))
          << ",\n";
    }
    out << "]\n";
  }
  out << "\n[[tpm.pcr_set]]\nname = " << config::quoted(options.name)
      << "\nbank = " << config::quoted(options.bank) << "\n[tpm.pcr_set.pcrs]\n";
  for (const auto& [pcr, value] : reference.values)
    out << pcr << " = [\"" << hex_encode(value) << "\"]\n";
}

}  // namespace

std::string_view to_string(Content content) {
  switch (content) {
    case Content::kAttestationObject:
      return "attestation object";
    case Content::kCmw:
      return "conceptual message wrapper";
    case Content::kQuote:
      return "TPM quote";
    case Content::kJwt:
      return "JSON web token";
    case Content::kCwt:
      return "CBOR web token";
    case Content::kCertificate:
      return "endorsement key certificate";
  }
  return "";
}

Content content_of(ByteView bytes) {
  if (bytes.empty()) return Content::kAttestationObject;
  const auto text = trimmed(bytes);
  if (text.starts_with("-----BEGIN CERTIFICATE") || bytes.front() == 0x30)
    return Content::kCertificate;
  if (is_compact_jws(text)) return Content::kJwt;
  if (bytes.front() == '[' || bytes.front() == '{') return Content::kCmw;
  // CBOR: tags 18 (COSE_Sign1) and 61 (CWT), then arrays and CMW tags, then maps by their members.
  if (bytes.front() == 0xd2 || bytes.front() == 0xd8 || bytes.front() == 0x84) return Content::kCwt;
  if (bytes.front() == 0x82 || bytes.front() == 0x83 || bytes.front() == 0xda) return Content::kCmw;
  const auto map = rats::parse_cbor(bytes);
  if (!map || map->find("fmt") != nullptr) return Content::kAttestationObject;
  return map->find("quoted") != nullptr ? Content::kQuote : Content::kCmw;
}

int verify_evidence(const EvidenceQuestion& question, std::ostream& out, std::ostream& errors) {
  appraise::Decision decision;
  if (question.content == Content::kCertificate) {
    const auto policy = read_ek_policy(question.policy, errors);
    if (!policy) return kBadPolicy;
    decision = judge_certificate(question, *policy);
  } else {
    const auto& fresh = question.fresh;
    if (fresh.token.empty() && fresh.key_authorization.empty() && fresh.octets.empty())
      return complain(errors, kUsage,
                      "say what the evidence must answer: --nonce, --key-authorization or "
                      "--to-be-signed; without it nothing would be compared");
    std::vector<std::string> problems;
    const auto policy = appraise::load_policy(question.policy, problems);
    for (const auto& problem : problems) errors << "keyward-attest: " << problem << "\n";
    if (!policy) return kBadPolicy;
    decision = judge(question, *policy);
  }
  out << (question.json ? in_json(question, decision) : in_words(question, decision));
  return decision.is_accepted() ? kAccepted : kRefused;
}

int record(const RecordOptions& options, std::ostream& out, std::ostream& errors) {
  const auto bank = appraise::bank_from(options.bank);
  if (!bank || *bank == appraise::Bank::kSha1)
    return complain(errors, kUsage, "--bank is one of sha256, sha384, sha512");
  Reference reference;
  const auto wrong = options.file.empty() ? read_machine(options, reference)
                                          : read_quote(options, *bank, reference);
  if (!wrong.empty()) return complain(errors, kNoInput, wrong);
  for (const unsigned pcr : options.pcrs) {
    if (!reference.values.contains(pcr))
      return complain(errors, kNoInput, "PCR " + std::to_string(pcr) + " is not in the quote");
  }
  if (!options.pcrs.empty())
    std::erase_if(reference.values, [&](const auto& entry) {
      return std::ranges::find(options.pcrs, entry.first) == options.pcrs.end();
    });
  if (reference.values.empty()) return complain(errors, kNoInput, "there is nothing to record");
  // A log that does not lead to the registers would only mislead.
  if (reference.log) {
    const auto replayed = appraise::replay(*reference.log, *bank);
    for (const auto& [pcr, value] : reference.values) {
      const auto found = replayed.find(pcr);
      if (found != replayed.end() && !equal(found->second, value))
        return complain(errors, kNoInput,
                        "the event log does not lead to PCR " + std::to_string(pcr));
    }
  }
  print_policy(options, *bank, reference, out);
  return kAccepted;
}

}  // namespace keyward::attest_tool
