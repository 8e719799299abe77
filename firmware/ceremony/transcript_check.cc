// Owns the judging of a transcript: chain, seals, products. Must not know how one is made.
#include <algorithm>
#include <map>

#include "firmware/ceremony/certifying.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/ledger_head_usage.h"

namespace keyward::ceremony {
namespace {

constexpr std::size_t kSealCertificatesMax = 8;

struct SealSays {
  std::string unit;
  std::uint64_t steps = 0;
  std::string hash;
  std::int64_t time_ms = 0;
  bool complete = false;
};

// The leaf of x5c, and what stands between it and the root.
Result<std::vector<x509::Certificate>> certificates_of(const json::Value& header) {
  const auto items = header.get("x5c").items();
  if (items.empty() || items.size() > kSealCertificatesMax)
    return fail(ErrorKind::kBadInput, "no certificate");
  std::vector<x509::Certificate> out;
  for (const auto& item : items) {
    KEYWARD_TRY(der, decode_base64(item.string()));
    KEYWARD_TRY(certificate, x509::parse_certificate(der));
    out.push_back(std::move(certificate));
  }
  return out;
}

Result<SealSays> read_payload(std::string_view payload_b64) {
  KEYWARD_TRY(octets, base64url_decode(payload_b64));
  KEYWARD_TRY(document, json::Document::parse(text_of(octets)));
  const auto root = document.root();
  SealSays out;
  const auto time = utc_from_text(std::string(root.get("time").string()));
  const auto steps = root.get("steps");
  if (!time || !steps.is_integer() || steps.integer() < 0)
    return fail(ErrorKind::kBadInput, "payload");
  out.unit = root.get("unit").string();
  out.steps = static_cast<std::uint64_t>(steps.integer());
  out.hash = root.get("hash").string();
  out.time_ms = *time;
  out.complete = root.get("complete").is_bool() && root.get("complete").boolean();
  return out;
}

// The signature first; what the payload says is read only when it holds.
Result<SealSays> open_seal(const Seal& seal, const x509::Certificate& root, const char*& code) {
  code = "seal-signature";
  KEYWARD_TRY(octets, base64url_decode(seal.protected_b64));
  KEYWARD_TRY(document, json::Document::parse(text_of(octets)));
  const auto header = document.root();
  const auto algorithm = jose::jws_algorithm_from(header.get("alg").string());
  if (!algorithm || header.get("typ").string() != "keyward-transcript+jws" ||
      header.get("crit").exists())
    return fail(ErrorKind::kBadInput, "header");
  KEYWARD_TRY(chain, certificates_of(header));
  if (!chain.front().key) return fail(ErrorKind::kBadInput, "key");
  KEYWARD_CHECK(jose::verify_signature(*algorithm, *chain.front().key, seal.protected_b64,
                                       seal.payload_b64, seal.signature));
  KEYWARD_TRY(says, read_payload(seal.payload_b64));
  code = "seal-foreign";
  if (chain.front().extended_key_usages() !=
          std::vector<std::string>{std::string(x509::kLedgerHeadUsage)} ||
      chain.front().basic_constraints_ca() == true)
    return fail(ErrorKind::kRefused, "not an audit key");
  const std::vector<x509::Certificate> between(chain.begin() + 1, chain.end());
  KEYWARD_CHECK(x509::verify_chain(chain.front(), between, {root}, {says.time_ms, {"2.5.29.30"}}));
  return std::move(says);
}

void check_chain(const Transcript& transcript, std::vector<Finding>& out) {
  for (std::size_t i = 0; i < transcript.steps().size(); ++i) {
    if (transcript.stated_hash(i) == hex_encode(transcript.hash_after(i + 1))) continue;
    out.push_back({"step-changed", "step " + std::to_string(i + 1) + " ('" +
                                       transcript.steps()[i].id +
                                       "') does not follow from what stands before it: it was "
                                       "changed, or one before it is missing"});
    return;
  }
}

// A name that leads out of the folder is never opened.
bool is_inside(const std::string& file) {
  if (file.empty() || file.front() == '/' || file.find('\0') != std::string::npos) return false;
  for (std::size_t at = 0; at <= file.size();) {
    const auto end = std::min(file.find('/', at), file.size());
    const auto part = file.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

std::optional<Finding> check_product(const Product& product, const Folder& folder) {
  const auto content = folder.read(product.file);
  if (!content) {
    if (product.leaves) return std::nullopt;
    return Finding{"product-missing", product.file + " is not there"};
  }
  if (crypto::sha256(*content) == product.sha256) return std::nullopt;
  return Finding{"product-changed", product.file + " is not what the ceremony made"};
}

}  // namespace

std::vector<Finding> check_transcript(const Transcript& transcript, ByteView root_der) {
  std::vector<Finding> out;
  check_chain(transcript, out);
  const auto root = x509::parse_certificate(root_der);
  if (!root) return {{"seal-foreign", "the root's certificate cannot be read"}};
  std::uint64_t sealed_until = 0;
  bool complete = false;
  for (std::size_t i = 0; i < transcript.seals().size(); ++i) {
    const std::string where = "seal " + std::to_string(i + 1) + " ";
    const char* code = nullptr;
    const auto says = open_seal(transcript.seals()[i], *root, code);
    if (!says) {
      out.push_back({code, where +
                               (std::string_view(code) == "seal-foreign"
                                    ? "was made by no audit key that this root certified: "
                                    : "does not verify: ") +
                               says.error().what});
      continue;
    }
    if (says->unit != transcript.head().unit)
      out.push_back({"seal-unit", where + "is of another unit: " + says->unit});
    if (says->steps > transcript.steps().size()) {
      out.push_back({"step-missing", where + "covers " + std::to_string(says->steps) +
                                         " steps, and there are " +
                                         std::to_string(transcript.steps().size())});
      continue;
    }
    if (says->hash != hex_encode(transcript.hash_after(says->steps))) {
      out.push_back({"seal-hash", where + "covers other words than these " +
                                      std::to_string(says->steps) + " steps"});
      continue;
    }
    sealed_until = std::max(sealed_until, says->steps);
    complete = complete || says->complete;
  }
  if (transcript.seals().empty())
    out.push_back({"seal-missing", "nobody signed this transcript"});
  else if (out.empty() && sealed_until < transcript.steps().size())
    out.push_back({"step-unsealed", "the last steps were signed by nobody"});
  else if (out.empty() && !complete)
    out.push_back({"not-complete", "no seal says that the ceremony came to its end"});
  return out;
}

std::vector<Finding> check_products(const Transcript& transcript, const Folder& folder) {
  std::vector<Finding> out;
  std::map<std::string, Product> newest;
  for (const auto& step : transcript.steps()) {
    for (const auto& product : step.products) newest[product.file] = product;
  }
  for (const auto& [file, product] : newest) {
    if (!is_inside(file)) {
      out.push_back({"product-name", "a product's name leads out of the folder: " + file});
      continue;
    }
    if (auto finding = check_product(product, folder)) out.push_back(std::move(*finding));
  }
  const auto plan = newest.find(transcript.head().plan_file);
  if (plan == newest.end() || plan->second.sha256 != transcript.head().plan_sha256)
    out.push_back(
        {"plan-other", "the plan among the products is not the one that was carried out"});
  for (const auto& file : folder.files) {
    if (!newest.contains(file))
      out.push_back({"product-extra", file + " is none of the ceremony's"});
  }
  return out;
}

}  // namespace keyward::ceremony
