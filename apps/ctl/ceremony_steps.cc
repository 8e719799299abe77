// Owns what each step of a ceremony does. Must not know who agrees to it.
#include "apps/ctl/ceremony_steps.h"

#include <algorithm>
#include <filesystem>

#include "firmware/ceremony/requests.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/config/toml_text.h"
#include "firmware/crypto/crypto.h"
#include "firmware/recovery/recovery_slot.h"
#include "firmware/x509/certificate.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
using ceremony::CaPlan;
using ceremony::SigningCa;
using config::quoted;
using config::quoted_list;

constexpr std::size_t kPemBytesMax = 65'536;
constexpr std::int64_t kDayMs = 86'400'000;

std::int64_t now_ms() { return system_clock().utc_ms(); }

std::string days(std::int64_t count) { return std::to_string(count) + " days"; }

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::string describe(const CaPlan& ca) {
  std::string out = "'" + ca.common_name + "', " + std::string(hal::to_string(ca.algorithm)) +
                    ", " + days(ca.lifetime_days);
  if (ca.path_length) out += ", path length " + std::to_string(*ca.path_length);
  if (!ca.permitted_dns.empty()) out += ", DNS names below " + joined(ca.permitted_dns);
  if (!ca.permitted_ip.empty()) out += ", addresses in " + joined(ca.permitted_ip);
  return out;
}

std::string fingerprint(ByteView octets) { return "SHA-256 " + hex_encode(crypto::sha256(octets)); }

Result<Bytes> first_certificate(const std::string& path) {
  KEYWARD_TRY(text, read_text_file(path, kPemBytesMax));
  KEYWARD_TRY(ders, x509::certificates_from_pem(text, 1));
  if (ders.empty()) return fail(ErrorKind::kBadInput, "a file holds no certificate");
  return ders.front();
}

// Only letters and digits stay: part of a file name.
std::string slug(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      out += static_cast<char>(upper ? c - 'A' + 'a' : c);
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

void put_text(SecretBytes& to, std::string_view text) {
  SecretBytes grown(to.size() + text.size());
  std::copy(to.view().begin(), to.view().end(), grown.data());
  std::copy(text.begin(), text.end(), grown.data() + to.size());
  to = std::move(grown);
}

}  // namespace

std::string custodian_file(const std::vector<std::string>& names, std::size_t index) {
  return "handover/custodian-" + std::to_string(index + 1) + "-" + slug(names[index]) + ".txt";
}

Status CeremonySteps::put(const std::string& file, std::string_view content, unsigned mode) const {
  const auto folder = fs::path(out_ + "/" + file).parent_path().string();
  KEYWARD_CHECK(make_directories(folder, file.starts_with("handover/") ? 0700 : 0755));
  return replace_file(out_ + "/" + file, view_of(content), mode);
}

Result<Bytes> CeremonySteps::certificate(const std::string& file) const {
  return first_certificate(out_ + "/" + file);
}

// A key's public half, as its own step left it.
Result<Bytes> CeremonySteps::key_of(const std::string& id) const {
  return read_file(out_ + "/keys/" + id + ".spki", kPemBytesMax);
}

std::string CeremonySteps::beside_plan(const std::string& path) const {
  return fs::path(path).is_absolute() ? path : plan_folder_ + "/" + path;
}

std::vector<std::string> CeremonySteps::load() {
  std::vector<std::string> problems;
  for (const auto& one : plan_.operators) {
    auto text = read_text_file(beside_plan(one.public_key), kPemBytesMax);
    const auto key = text ? ceremony::read_operator_key(*text) : fail(text.error());
    if (!key)
      problems.push_back("[[operators]] '" + one.name + "': public_key " + one.public_key + ": " +
                         key.error().what);
    operator_keys_.push_back(text.value_or(""));
  }
  if (problems.empty() && !plan_.operators.empty()) {
    if (const auto text = ceremony::write_operators(plan_, operator_keys_); !text)
      problems.push_back(std::string("[[operators]]: ") + text.error().what);
  }
  const auto check = [&](const std::string& where, const std::string& file) {
    if (file.empty()) return;
    if (const auto der = first_certificate(beside_plan(file)); !der)
      problems.push_back(where + ": certificate " + file + " cannot be read: " + der.error().what);
  };
  for (const auto& cross : plan_.cross) check("[[cross]] '" + cross.name + "'", cross.certificate);
  check("[root]", plan_.root_certificate);
  if (plan_.root_external && problems.empty()) {
    const auto der = first_certificate(beside_plan(plan_.root_certificate));
    const auto fit = der ? ceremony::lint_ca_elsewhere(*der, now_ms()) : fail(der.error());
    if (!fit)
      problems.push_back("[root]: certificate " + plan_.root_certificate + ": " + fit.error().what);
  }
  check("[audit]", plan_.audit_certificate);
  return problems;
}

void CeremonySteps::add(const std::string& id, const std::string& words,
                        std::function<Result<StepResult>()> run) {
  steps_.push_back({id, words, std::move(run), {}});
}

void CeremonySteps::add_tokens() {
  for (const auto& token : plan_.tokens) {
    const auto where = "token '" + token.label + "' of board file " + token.board;
    if (token.initialize) {
      add("token-" + token.name, "Set up " + where + " in a free slot and give it its PINs",
          [this, &token]() -> Result<StepResult> {
            KEYWARD_TRY(files, tokens_.initialize(token));
            return StepResult{
                {},
                files,
                "set up; " + std::to_string(files.size()) + " made-up PINs in handover/"};
          });
      continue;
    }
    add("token-" + token.name, "Log in to " + where, [this, &token]() -> Result<StepResult> {
      KEYWARD_CHECK(
          tokens_.with(token.name, [](hal::SigningToken& open) { return open.random(8); }));
      return StepResult{{}, {}, "it took its PIN"};
    });
  }
}

void CeremonySteps::add_key(const std::string& id, const std::string& token,
                            const std::string& label, hal::KeyAlgorithm algorithm,
                            const std::string& whose) {
  add("key-" + id,
      "Make the key of " + whose + " (" + std::string(hal::to_string(algorithm)) + ", label '" +
          label + "') in token '" + token + "', so that it cannot leave it",
      [this, id, token, label, algorithm]() -> Result<StepResult> {
        CaPlan key_plan;
        key_plan.key_label = label;
        key_plan.algorithm = algorithm;
        KEYWARD_TRY(spki, tokens_.with(token, [&](hal::SigningToken& open) -> Result<Bytes> {
          KEYWARD_TRY(key, ceremony::make_key(open, key_plan));
          return key.spki_der;
        }));
        const std::string file = "keys/" + id + ".spki";
        KEYWARD_CHECK(put(file, text_of(spki)));
        return StepResult{{file}, {}, "public key " + fingerprint(spki)};
      });
}

Status CeremonySteps::check_existing_key(const std::string& token, const std::string& label,
                                         ByteView certificate_der) const {
  KEYWARD_TRY(certificate, x509::parse_certificate(certificate_der));
  KEYWARD_TRY(spki, tokens_.with(token, [&](hal::SigningToken& open) -> Result<Bytes> {
    KEYWARD_TRY(key, open.find_key(label));
    if (!key.always_sensitive || !key.never_extractable || !key.local)
      return fail(ErrorKind::kRefused, "the key could have left its token");
    return key.spki_der;
  }));
  if (spki != certificate.spki_der)
    return fail(ErrorKind::kRefused, "the certificate is not that of the token's key");
  return {};
}

void CeremonySteps::add_existing_root() {
  add("root",
      "Take the root that exists, '" + plan_.root.common_name + "' (" + plan_.root_certificate +
          "); its key is in token '" + plan_.root_token + "'",
      [this]() -> Result<StepResult> {
        KEYWARD_TRY(der, first_certificate(beside_plan(plan_.root_certificate)));
        KEYWARD_CHECK(ceremony::lint_root(plan_.root, der, now_ms()));
        KEYWARD_CHECK(check_existing_key(plan_.root_token, plan_.root.key_label, der));
        KEYWARD_CHECK(put("root.pem", x509::to_pem("CERTIFICATE", der)));
        return StepResult{{"root.pem"}, {}, "certificate " + fingerprint(der)};
      });
}

void CeremonySteps::add_existing_audit() {
  add("audit",
      "Take the ledger's signer that exists (" + plan_.audit_certificate +
          "); its key is in token '" + plan_.audit_token + "'",
      [this]() -> Result<StepResult> {
        KEYWARD_TRY(root, certificate("root.pem"));
        KEYWARD_TRY(der, first_certificate(beside_plan(plan_.audit_certificate)));
        KEYWARD_CHECK(ceremony::lint_audit_certificate(root, der, now_ms()));
        KEYWARD_CHECK(check_existing_key(plan_.audit_token, plan_.audit.key_label, der));
        KEYWARD_CHECK(put("audit.pem", x509::to_pem("CERTIFICATE", der)));
        return StepResult{{"audit.pem"}, {}, "certificate " + fingerprint(der)};
      });
}

void CeremonySteps::add_external_root() {
  add("root", "Take the CA elsewhere that will certify (" + plan_.root_certificate + ")",
      [this]() -> Result<StepResult> {
        KEYWARD_TRY(der, first_certificate(beside_plan(plan_.root_certificate)));
        KEYWARD_CHECK(ceremony::lint_ca_elsewhere(der, now_ms()));
        KEYWARD_CHECK(put("root.pem", x509::to_pem("CERTIFICATE", der)));
        return StepResult{{"root.pem"}, {}, "certificate " + fingerprint(der)};
      });
}

void CeremonySteps::add_root() {
  if (plan_.root_external) return add_external_root();
  if (!plan_.root_certificate.empty()) return add_existing_root();
  add_key("root", plan_.root_token, plan_.root.key_label, plan_.root.algorithm, "the root");
  add("root", "Let the root sign itself: " + describe(plan_.root), [this]() -> Result<StepResult> {
    KEYWARD_TRY(der, tokens_.with(plan_.root_token, [&](hal::SigningToken& open) {
      return ceremony::make_root(open, plan_.root, now_ms());
    }));
    KEYWARD_CHECK(ceremony::lint_root(plan_.root, der, now_ms()));
    KEYWARD_CHECK(put("root.pem", x509::to_pem("CERTIFICATE", der)));
    return StepResult{{"root.pem"}, {}, "certificate " + fingerprint(der)};
  });
}

void CeremonySteps::add_issuing(const ceremony::IssuingPlan& issuing) {
  const auto whose = "issuing CA '" + issuing.name + "'";
  add_key("issuing-" + issuing.name, issuing.token, issuing.ca.key_label, issuing.ca.algorithm,
          whose);
  add("issuing-" + issuing.name,
      "Let the root certify " + whose + ": " + describe(issuing.ca) + "; for profiles " +
          joined(issuing.profiles),
      [this, &issuing]() -> Result<StepResult> {
        KEYWARD_TRY(root, certificate("root.pem"));
        KEYWARD_TRY(spki, key_of("issuing-" + issuing.name));
        KEYWARD_TRY(der, tokens_.with(plan_.root_token, [&](hal::SigningToken& open) {
          return ceremony::certify_ca({open, plan_.root.key_label, root}, issuing.ca, spki,
                                      plan_.root_crl_url, now_ms());
        }));
        KEYWARD_CHECK(ceremony::lint_ca_below(issuing.ca, root, der, now_ms()));
        return put_issuing(issuing.name, root, der);
      });
}

Result<StepResult> CeremonySteps::put_issuing(const std::string& name, ByteView root,
                                              ByteView der) const {
  const auto pem = x509::to_pem("CERTIFICATE", der);
  const auto own = "issuing-" + name + ".pem", chain = "chain-" + name + ".pem";
  KEYWARD_CHECK(put(own, pem));
  KEYWARD_CHECK(put(chain, pem + x509::to_pem("CERTIFICATE", root)));
  return StepResult{{own, chain}, {}, "certificate " + fingerprint(der)};
}

// ---- below a CA that is elsewhere

void CeremonySteps::add_request(const std::string& id, const std::string& token,
                                const std::string& whose,
                                std::function<Result<Bytes>(hal::SigningToken&)> make) {
  const std::string file = "requests/" + id + ".csr";
  add("request-" + id,
      "Ask the CA elsewhere to certify " + whose + ": " + file + ", signed by the key itself",
      [this, file, token, make = std::move(make)]() -> Result<StepResult> {
        KEYWARD_TRY(der, tokens_.with(token, make));
        KEYWARD_CHECK(put(file, x509::to_pem("CERTIFICATE REQUEST", der)));
        return StepResult{{file}, {}, ""};
      });
}

// All that needs the tokens and the people comes before the first answer is waited for.
void CeremonySteps::add_requests() {
  for (const auto& issuing : plan_.issuing) {
    const auto id = "issuing-" + issuing.name;
    const auto whose = "issuing CA '" + issuing.name + "'";
    add_key(id, issuing.token, issuing.ca.key_label, issuing.ca.algorithm, whose);
    add_request(
        id, issuing.token, whose + " (" + describe(issuing.ca) + ")",
        [&issuing](hal::SigningToken& open) { return ceremony::request_ca(open, issuing.ca); });
  }
  add_key("audit", plan_.audit_token, plan_.audit.key_label, plan_.audit_algorithm,
          "the ledger's signer");
  add_request("audit", plan_.audit_token,
              "the ledger's signer '" + plan_.audit.common_name + "', " +
                  days(plan_.audit.lifetime_days) +
                  ", for heads of ledgers and this transcript alone",
              [this](hal::SigningToken& open) {
                return ceremony::request_audit(open, plan_.audit.key_label, audit_subject());
              });
}

void CeremonySteps::add_certified_issuing(const ceremony::IssuingPlan& issuing) {
  const auto file = beside_plan(issuing.certified);
  add("issuing-" + issuing.name,
      "Take the certificate of issuing CA '" + issuing.name + "' (" + issuing.certified +
          ") if it is what was asked for; for profiles " + joined(issuing.profiles),
      [this, &issuing, file]() -> Result<StepResult> {
        KEYWARD_TRY(root, certificate("root.pem"));
        KEYWARD_TRY(spki, key_of("issuing-" + issuing.name));
        KEYWARD_TRY(der, first_certificate(file));
        KEYWARD_CHECK(ceremony::lint_certified_ca(issuing.ca, spki, root, der, now_ms()));
        return put_issuing(issuing.name, root, der);
      });
  steps_.back().awaited = {fs::absolute(file).lexically_normal().string(),
                           "requests/issuing-" + issuing.name + ".csr"};
}

void CeremonySteps::add_certified_audit() {
  const auto file = beside_plan(plan_.audit_certified);
  add("audit",
      "Take the certificate of the ledger's signer (" + plan_.audit_certified +
          ") if it is what was asked for",
      [this, file]() -> Result<StepResult> {
        KEYWARD_TRY(root, certificate("root.pem"));
        KEYWARD_TRY(spki, key_of("audit"));
        KEYWARD_TRY(der, first_certificate(file));
        KEYWARD_CHECK(ceremony::lint_certified_audit(audit_subject(), spki, root, der, now_ms()));
        KEYWARD_CHECK(put("audit.pem", x509::to_pem("CERTIFICATE", der)));
        return StepResult{{"audit.pem"}, {}, "certificate " + fingerprint(der)};
      });
  steps_.back().awaited = {fs::absolute(file).lexically_normal().string(), "requests/audit.csr"};
}

ceremony::EndEntity CeremonySteps::audit_subject() const {
  return {plan_.audit.common_name, plan_.root.organization, plan_.root.country,
          plan_.audit.lifetime_days};
}

void CeremonySteps::add_audit() {
  if (!plan_.audit_certificate.empty()) return add_existing_audit();
  const auto& audit = plan_.audit;
  add_key("audit", plan_.audit_token, audit.key_label, plan_.audit_algorithm,
          "the ledger's signer");
  add("audit",
      "Let the root certify the ledger's signer '" + audit.common_name + "', " +
          days(audit.lifetime_days) + ", for heads of ledgers and this transcript alone",
      [this]() -> Result<StepResult> {
        KEYWARD_TRY(root, certificate("root.pem"));
        KEYWARD_TRY(spki, key_of("audit"));
        KEYWARD_TRY(der, tokens_.with(plan_.root_token, [&](hal::SigningToken& open) {
          return ceremony::certify_audit({open, plan_.root.key_label, root}, audit_subject(), spki,
                                         plan_.root_crl_url, now_ms());
        }));
        KEYWARD_CHECK(ceremony::lint_audit_certificate(root, der, now_ms()));
        KEYWARD_CHECK(put("audit.pem", x509::to_pem("CERTIFICATE", der)));
        return StepResult{{"audit.pem"}, {}, "certificate " + fingerprint(der)};
      });
}

void CeremonySteps::add_evidence() {
  if (plan_.evidence_key_label.empty()) return;
  add("key-evidence",
      "Make the key that opens encrypted evidence (label '" + plan_.evidence_key_label +
          "') in token '" + plan_.evidence_token + "'; it agrees and cannot sign",
      [this]() -> Result<StepResult> {
        KEYWARD_TRY(
            spki, tokens_.with(plan_.evidence_token, [&](hal::SigningToken& open) -> Result<Bytes> {
              KEYWARD_TRY(key, open.generate_agreement_key(plan_.evidence_key_label));
              return key.spki_der;
            }));
        KEYWARD_CHECK(put("keys/evidence.spki", text_of(spki)));
        return StepResult{{"keys/evidence.spki"}, {}, "public key " + fingerprint(spki)};
      });
}

void CeremonySteps::add_ocsp(const ceremony::OcspPlan& ocsp) {
  const auto* issuing = plan_.issuing_named(ocsp.issuing);
  add_key("ocsp-" + ocsp.issuing, issuing->token, ocsp.key_label, ocsp.algorithm,
          "the OCSP responder of '" + ocsp.issuing + "'");
  add("ocsp-" + ocsp.issuing,
      "Let issuing CA '" + ocsp.issuing + "' certify its OCSP responder '" + ocsp.common_name +
          "', " + days(ocsp.lifetime_days),
      [this, &ocsp, issuing]() -> Result<StepResult> {
        KEYWARD_TRY(ca, certificate("issuing-" + ocsp.issuing + ".pem"));
        KEYWARD_TRY(spki, key_of("ocsp-" + ocsp.issuing));
        const ceremony::EndEntity subject{ocsp.common_name, issuing->ca.organization,
                                          issuing->ca.country, ocsp.lifetime_days};
        KEYWARD_TRY(der, tokens_.with(issuing->token, [&](hal::SigningToken& open) {
          return ceremony::certify_ocsp({open, issuing->ca.key_label, ca}, subject, spki, now_ms());
        }));
        KEYWARD_CHECK(ceremony::lint_ocsp_certificate(ca, der, now_ms()));
        const auto file = "ocsp-" + ocsp.issuing + ".pem";
        KEYWARD_CHECK(put(file, x509::to_pem("CERTIFICATE", der)));
        return StepResult{{file}, {}, "certificate " + fingerprint(der)};
      });
}

Result<StepResult> CeremonySteps::make_cross(const ceremony::CrossPlan& cross) const {
  const auto* issuing = plan_.issuing_named(cross.issuing);
  KEYWARD_TRY(other, first_certificate(beside_plan(cross.certificate)));
  KEYWARD_TRY(spki, key_of("issuing-" + cross.issuing));
  CaPlan subject = issuing->ca;
  subject.lifetime_days = cross.lifetime_days;
  KEYWARD_TRY(der, tokens_.with(cross.token, [&](hal::SigningToken& open) {
    return ceremony::certify_ca({open, cross.key_label, other}, subject, spki, "", now_ms());
  }));
  KEYWARD_CHECK(ceremony::lint_ca_below(subject, other, der, now_ms()));
  const auto pem = x509::to_pem("CERTIFICATE", der);
  const auto own = "cross-" + cross.name + ".pem", chain = "chain-cross-" + cross.name + ".pem";
  KEYWARD_CHECK(put(own, pem));
  KEYWARD_CHECK(put(chain, pem + x509::to_pem("CERTIFICATE", other)));
  return StepResult{{own, chain}, {}, "certificate " + fingerprint(der)};
}

void CeremonySteps::add_cross(const ceremony::CrossPlan& cross) {
  add("cross-" + cross.name,
      "Let the other root in token '" + cross.token + "' certify the key of issuing CA '" +
          cross.issuing + "' too, " + days(cross.lifetime_days) + ", under the same constraints",
      [this, &cross] { return make_cross(cross); });
}

// The signer numbers its own lists from 1.
void CeremonySteps::add_list(const std::string& name, const std::string& token,
                             const std::string& key_label, ceremony::CrlTerms terms,
                             std::int64_t validity_days) {
  if (validity_days == 0) return;
  const auto what =
      terms.revoked.empty() ? "empty" : std::to_string(terms.revoked.size()) + " revoked";
  add("crl-" + name,
      "Let '" + name + "' sign a revocation list: " + what + ", number " +
          std::to_string(terms.number) + ", " + days(validity_days),
      [this, name, token, key_label, terms, validity_days]() -> Result<StepResult> {
        KEYWARD_TRY(issuer, certificate(name + ".pem"));
        auto dated = terms;
        dated.this_update_ms = now_ms() / 1'000 * 1'000;
        dated.next_update_ms = dated.this_update_ms + validity_days * kDayMs;
        KEYWARD_TRY(der, tokens_.with(token, [&](hal::SigningToken& open) {
          return ceremony::make_crl({open, key_label, issuer}, dated);
        }));
        KEYWARD_CHECK(ceremony::lint_crl(issuer, der, dated));
        const auto file = name + ".crl";
        KEYWARD_CHECK(put(file, text_of(der)));
        return StepResult{{file}, {}, "valid until " + ceremony::utc_text(dated.next_update_ms)};
      });
}

void CeremonySteps::add_operators() {
  if (plan_.operators.empty()) return;
  std::vector<std::string> names;
  for (const auto& one : plan_.operators)
    names.push_back(one.name + " (" + joined(one.roles) + ")");
  add("operators",
      "Enrol the operators: " + joined(names) +
          (plan_.dual_control.empty() ? "; no order needs two of them"
                                      : "; two are needed for " + joined(plan_.dual_control)),
      [this]() -> Result<StepResult> {
        KEYWARD_TRY(text, ceremony::write_operators(plan_, operator_keys_));
        KEYWARD_CHECK(put("operators.json", text));
        return StepResult{{"operators.json"}, {}, fingerprint(view_of(text))};
      });
}

// All sets are made before a file is written; each custodian has one file.
Result<StepResult> CeremonySteps::make_shares() const {
  const auto& plan = plan_.custodians;
  const auto threshold = static_cast<std::size_t>(plan.threshold);
  StepResult out;
  std::vector<SecretBytes> sheets;
  for (const auto& name : plan.names)
    sheets.push_back(SecretBytes(view_of("# Unit " + plan_.unit + ", share of " + name + ": " +
                                         std::to_string(plan.threshold) + " of " +
                                         std::to_string(plan.names.size()) +
                                         " custodians together open it.\n# Keep it where you alone "
                                         "reach it; nobody else has it.\n")));
  const auto deal = [&](const std::string& what, const std::vector<shares::Share>& set) {
    for (std::size_t i = 0; i < set.size(); ++i) {
      put_text(sheets[i], "\n# " + what + "\n");
      put_text(sheets[i], text_of(set[i].line.view()));
      put_text(sheets[i], "\n");
    }
  };
  for (const auto& token : plan.pins) {
    KEYWARD_TRY(slot, recovery::make_recovery_slot(tokens_.pin(token)->view(), plan_.unit,
                                                   threshold, plan.names));
    deal("Key of the recovery slot that holds the PIN of token '" + token + "'", slot.shares);
    out.files.push_back("recovery-" + token + ".json");
    KEYWARD_CHECK(put(out.files.back(), slot.text));
  }
  if (plan.backup) {
    KEYWARD_TRY(key, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
    KEYWARD_TRY(pem, key.to_pem());
    KEYWARD_TRY(set, shares::split(pem.view(), threshold, plan.names));
    deal("Private key of backups", set);
    out.files.emplace_back("backup-public.pem");
    KEYWARD_CHECK(put(out.files.back(), x509::to_pem("PUBLIC KEY", key.public_key().spki_der())));
  }
  for (std::size_t i = 0; i < sheets.size(); ++i) {
    out.leaving.push_back(custodian_file(plan.names, i));
    KEYWARD_CHECK(put(out.leaving.back(), text_of(sheets[i].view()), 0600));
  }
  out.note = std::to_string(sheets.size()) + " sheets in handover/, one for each custodian";
  return out;
}

void CeremonySteps::add_shares() {
  const auto& plan = plan_.custodians;
  if (plan.names.empty()) return;
  std::string what;
  if (!plan.pins.empty()) what = "the key that recovers the PIN of " + joined(plan.pins);
  if (plan.backup) what += std::string(what.empty() ? "" : ", and ") + "the private key of backups";
  add("shares",
      "Split " + what + ": " + std::to_string(plan.threshold) + " of " +
          std::to_string(plan.names.size()) + " custodians (" + joined(plan.names) + ") open it",
      [this] { return make_shares(); });
}

std::string CeremonySteps::installation_text(const ceremony::IssuingPlan& issuing) const {
  const auto& spec = tokens_.board_of(issuing.token).spec;
  const auto path = [&](const std::string& file) { return quoted(out_ + "/" + file); };
  std::string out = "# Unit " + plan_.unit + ", issuing CA '" + issuing.name +
                    "' (profiles: " + joined(issuing.profiles) +
                    "). Take these lines into the installation file.\n\n[signer]\n";
  out += "issuer_chain = " + path("chain-" + issuing.name + ".pem") + "\n";
  out += "key_label = " + quoted(issuing.ca.key_label) + "\n";
  if (!issuing.ca.permitted_dns.empty())
    out += "permitted_dns = " + quoted_list(issuing.ca.permitted_dns) + "\n";
  if (!issuing.ca.permitted_ip.empty())
    out += "permitted_ip = " + quoted_list(issuing.ca.permitted_ip) + "\n";
  std::string chains;
  for (const auto& cross : plan_.cross) {
    if (cross.issuing == issuing.name)
      chains += (chains.empty() ? "" : ", ") + path("chain-cross-" + cross.name + ".pem");
  }
  if (!chains.empty()) out += "alternate_chains = [" + chains + "]\n";
  if (plan_.audit_token == issuing.token)
    out += "audit_key_label = " + quoted(plan_.audit.key_label) +
           "\naudit_certificate = " + path("audit.pem") + "\n";
  for (const auto& ocsp : plan_.ocsp) {
    if (ocsp.issuing == issuing.name)
      out += "ocsp_key_label = " + quoted(ocsp.key_label) +
             "\nocsp_certificate = " + path("ocsp-" + ocsp.issuing + ".pem") + "\n";
  }
  if (!plan_.evidence_key_label.empty() && plan_.evidence_token == issuing.token)
    out += "evidence_key_label = " + quoted(plan_.evidence_key_label) + "\n";
  if (!plan_.operators.empty()) out += "operators = " + path("operators.json") + "\n";
  out += "\n[pkcs11]\nmodule = " + quoted(spec.module_path) +
         "\ntoken_label = " + quoted(spec.token_label) + "\n";
  std::vector<std::string> environment;
  for (const auto& [name, value] : spec.environment) environment.push_back(name + "=" + value);
  if (!environment.empty()) out += "environment = " + quoted_list(environment) + "\n";
  if (!spec.recover_by_finalize) out += "recover_by_finalize = false\n";
  return out;
}

void CeremonySteps::add_installation(const ceremony::IssuingPlan& issuing) {
  const auto file = "installation-" + issuing.name + ".toml";
  add("installation-" + issuing.name,
      "Write what the unit's installation file needs for issuing CA '" + issuing.name + "'",
      [this, file, &issuing]() -> Result<StepResult> {
        KEYWARD_CHECK(put(file, installation_text(issuing)));
        return StepResult{{file}, {}, ""};
      });
}

void CeremonySteps::add_below_root() {
  for (const auto& ocsp : plan_.ocsp) add_ocsp(ocsp);
  for (const auto& cross : plan_.cross) add_cross(cross);
  add_list("root", plan_.root_token, plan_.root.key_label,
           {plan_.root_crl_number, 0, 0, plan_.revoked}, plan_.root_crl_days);
  for (const auto& issuing : plan_.issuing)
    add_list("issuing-" + issuing.name, issuing.token, issuing.ca.key_label, {0, 0, 0, {}},
             issuing.crl_days);
}

std::vector<CeremonyStep> CeremonySteps::list() {
  steps_.clear();
  add_tokens();
  add_root();
  if (plan_.root_external) {
    add_requests();
    add_evidence();
    add_operators();
    add_shares();
    for (const auto& issuing : plan_.issuing) add_certified_issuing(issuing);
    add_certified_audit();
    add_below_root();
  } else {
    for (const auto& issuing : plan_.issuing) add_issuing(issuing);
    add_audit();
    add_evidence();
    add_below_root();
    add_operators();
    add_shares();
  }
  for (const auto& issuing : plan_.issuing) add_installation(issuing);
  return steps_;
}

}  // namespace keyward::ctl
