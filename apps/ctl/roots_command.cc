// Owns the words and the exit codes of `keywardctl roots`. Must not know the task.
#include "apps/ctl/roots_command.h"

#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>
#include <string.h>

#include "firmware/attest/ca_search.h"
#include "firmware/attest/device_policy.h"
#include "firmware/attest/ek_certificate.h"
#include "firmware/attest/utc_text.h"
#include "firmware/attest/vendor_roots.h"
#include "firmware/jose/jwk.h"
#include "firmware/operate/operator_file.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::ctl {
namespace {

using attest::ImportedRoots;

constexpr int kExitFailed = 1, kExitNotHeld = 2, kExitUsage = 64, kExitFile = 78;

int complain(const std::string& about, const Error& error) {
  std::cerr << "keywardctl: " << about << ": " << error.what;
  if (error.kind == ErrorKind::kUnavailable && error.native > 0)
    std::cerr << ": " << ::strerror(static_cast<int>(error.native));
  std::cerr << "\n";
  return error.kind == ErrorKind::kUnavailable ? kExitFailed : kExitFile;
}

// None: nothing was imported yet.
Result<std::optional<ImportedRoots>> read_imported(const operate::OperatorDirectory& folder) {
  KEYWARD_TRY(bytes,
              folder.read(std::string(attest::kRootsFile), limits::kVendorRootsFileBytesMax));
  if (bytes.empty()) return std::optional<ImportedRoots>();
  KEYWARD_TRY(imported, attest::parse_imported(bytes));
  return std::optional<ImportedRoots>(std::move(imported));
}

Result<std::string> canonical_jwk(const std::string& path) {
  KEYWARD_TRY(text, read_text_file(path, limits::kJwkBytesMax));
  KEYWARD_TRY(document, json::Document::parse(text));
  KEYWARD_TRY(jwk, jose::Jwk::from_json(document.root()));
  return jwk.canonical();
}

// Every certificate of a file: PEM blocks, or one in DER.
Result<std::vector<Bytes>> certificates_of(const std::string& path) {
  KEYWARD_TRY(octets, read_file(path, limits::kVendorRootsBytesMax));
  if (text_of(octets).find("-----BEGIN") == std::string_view::npos)
    return std::vector<Bytes>{std::move(octets)};
  KEYWARD_TRY(ders, x509::certificates_from_pem(text_of(octets), limits::kTrustAnchorsMax));
  if (ders.empty()) return fail(ErrorKind::kBadInput, "no certificate in it");
  return ders;
}

void print_entry(const attest::VendorCertificate& entry, json::Writer& out) {
  const auto& certificate = entry.certificate;
  out.begin_object().member("vendor", entry.vendor).member("use", attest::to_string(entry.use));
  out.member("subject", attest::name_text(certificate.subject_der));
  out.member("key_id", hex_encode(attest::subject_key_id(certificate)));
  out.member("not_after", attest::utc_text(certificate.not_after_ms));
  out.member("sha256", hex_encode(crypto::sha256(certificate.der))).end_object();
}

// What the attestation task would trust: the bundle, if any, and the files that are named.
Result<attest::EkPolicy> policy_of(const RootsOptions& options) {
  attest::EkPolicy out;
  KEYWARD_TRY(time, attest::ek_time_from(options.time));
  out.time = time;
  if (!options.directory.empty()) {
    KEYWARD_TRY(folder, operate::OperatorDirectory::open(options.directory,
                                                         std::string(attest::kRootsFolder)));
    KEYWARD_TRY(imported, read_imported(folder));
    if (imported) {
      out.roots = imported->roots.of(attest::RootUse::kRoot);
      out.intermediates = imported->roots.of(attest::RootUse::kIntermediate);
      out.revoked = imported->roots.revoked_keys();
    }
  }
  if (options.roots.empty()) return out;
  KEYWARD_TRY(more, attest::load_anchors(options.roots, "no certificate in --roots"));
  for (auto& root : more) out.roots.push_back(std::move(root));
  return out;
}

void print_missing(const attest::MissingCa& missing, json::Writer& out) {
  out.key("missing").begin_object().member("issuer", missing.issuer);
  out.member("key_id", missing.key_id).key("urls").begin_array();
  for (const auto& url : missing.urls) out.string(url);
  out.end_array().member("closest", missing.closest).member("how", missing.how).end_object();
}

struct Diagnosis {
  attest::Checks checks;
  attest::Appraised<attest::AppraisedEk> result;
  std::optional<attest::MissingCa> missing;
};

Diagnosis diagnose(const std::vector<Bytes>& certificates, const attest::EkPolicy& policy) {
  Diagnosis out{{}, attest::refuse("", ""), {}};
  const std::vector<Bytes> chain(certificates.begin() + 1, certificates.end());
  out.result = attest::appraise_ek(certificates.front(), chain, policy, system_clock().utc_ms(),
                                   &out.checks);
  if (out.result || out.result.error().code != "ek.unknown-ca") return out;
  std::vector<x509::Certificate> known = policy.intermediates;
  for (const auto& der : chain) {
    if (auto certificate = x509::parse_certificate(der)) known.push_back(std::move(*certificate));
  }
  if (const auto leaf = x509::parse_certificate(certificates.front()))
    out.missing = attest::missing_ca(*leaf, known, policy.roots);
  return out;
}

void print_words(const Diagnosis& diagnosis) {
  for (const auto& check : diagnosis.checks)
    std::cout << "ok    " << check.id << "  " << check.text << "\n";
  if (!diagnosis.result)
    std::cout << "FAIL  " << diagnosis.result.error().code << "  "
              << diagnosis.result.error().detail << "\n";
}

void print_json(const Diagnosis& diagnosis) {
  json::Writer out;
  out.begin_object().member_bool("holds", diagnosis.result.has_value());
  out.key("checks").begin_array();
  for (const auto& check : diagnosis.checks)
    out.begin_object().member("id", check.id).member("text", check.text).end_object();
  out.end_array();
  if (diagnosis.result) {
    const auto& ek = *diagnosis.result;
    out.member("manufacturer", ek.tpm.manufacturer).member("model", ek.tpm.model);
    out.member("version", ek.tpm.version).member("sha256", hex_encode(ek.certificate_sha256));
  } else {
    out.member("code", diagnosis.result.error().code);
    out.member("detail", diagnosis.result.error().detail);
  }
  if (diagnosis.missing) print_missing(*diagnosis.missing, out);
  out.end_object();
  std::cout << out.take() << "\n";
}

}  // namespace

int import_roots(const RootsOptions& options) {
  auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(attest::kRootsFolder));
  if (!folder) return complain(options.directory, folder.error());
  auto before = read_imported(*folder);
  // A file that does not read must not bar the way to a good one, if that is wanted.
  if (!before && !options.force) return complain(options.directory, before.error());
  const auto* earlier = before && *before ? &**before : nullptr;
  std::string publisher = earlier != nullptr ? earlier->publisher_jwk : "";
  if (!options.publisher.empty()) {
    const auto jwk = canonical_jwk(options.publisher);
    if (!jwk) return complain(options.publisher, jwk.error());
    publisher = *jwk;
  }
  if (publisher.empty()) {
    std::cerr << "keywardctl: the first import needs --publisher, the key to trust from then on\n";
    return kExitUsage;
  }
  const auto bundle = read_text_file(options.file, limits::kVendorRootsFileBytesMax);
  if (!bundle) return complain(options.file, bundle.error());
  const auto imported = attest::import_bundle(*bundle, publisher, earlier, options.force);
  if (!imported) return complain(options.file, imported.error());
  if (const auto saved =
          folder->replace(std::string(attest::kRootsFile), view_of(attest::to_file(*imported)));
      !saved)
    return complain(options.directory, saved.error());
  const auto& roots = imported->roots;
  if (options.json) {
    json::Writer out;
    out.begin_object().member_int("version", roots.version);
    out.member("date", attest::utc_text(roots.date_ms));
    out.member_int("certificates", static_cast<std::int64_t>(roots.certificates.size()));
    std::cout << out.end_object().take() << "\n";
    return 0;
  }
  std::cout << "imported version " << roots.version << " of " << attest::utc_text(roots.date_ms)
            << ", " << roots.certificates.size() << " certificates\n";
  return 0;
}

int list_roots(const RootsOptions& options) {
  const auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(attest::kRootsFolder));
  if (!folder) return complain(options.directory, folder.error());
  const auto imported = read_imported(*folder);
  if (!imported) return complain(options.directory, imported.error());
  if (!*imported) {
    std::cerr << "keywardctl: no bundle of vendor roots was imported yet\n";
    return kExitFailed;
  }
  const auto& roots = (*imported)->roots;
  json::Writer out;
  out.begin_object().member_int("version", roots.version);
  out.member("date", attest::utc_text(roots.date_ms)).key("certificates").begin_array();
  for (const auto& entry : roots.certificates) print_entry(entry, out);
  out.end_array().end_object();
  if (options.json) {
    std::cout << out.take() << "\n";
    return 0;
  }
  std::cout << "version " << roots.version << " of " << attest::utc_text(roots.date_ms) << "\n";
  for (const auto& entry : roots.certificates)
    std::cout << entry.vendor << "  " << attest::to_string(entry.use) << "  until "
              << attest::utc_text(entry.certificate.not_after_ms) << "  "
              << attest::name_text(entry.certificate.subject_der) << "\n";
  return 0;
}

int diagnose_certificate(const RootsOptions& options) {
  const auto policy = policy_of(options);
  if (!policy) {
    // A time that does not read is the option's fault, the rest a file's.
    const bool time = !attest::ek_time_from(options.time);
    const int code = complain(time ? "--at" : options.directory, policy.error());
    return time ? kExitUsage : code;
  }
  auto certificates = certificates_of(options.file);
  if (!certificates) return complain(options.file, certificates.error());
  for (const auto& path : options.chain) {
    const auto more = certificates_of(path);
    if (!more) return complain(path, more.error());
    certificates->insert(certificates->end(), more->begin(), more->end());
  }
  const auto diagnosis = diagnose(*certificates, *policy);
  options.json ? print_json(diagnosis) : print_words(diagnosis);
  return diagnosis.result ? 0 : kExitNotHeld;
}

int sign_roots(const RootsOptions& options) {
  const auto manifest = read_text_file(options.file, limits::kVendorRootsBytesMax);
  if (!manifest) return complain(options.file, manifest.error());
  auto pem = read_text_file(options.key, limits::kSealedKeyBytesMax * 2);
  if (!pem) return complain(options.key, pem.error());
  const auto key = crypto::PrivateKey::from_pem(*pem);
  ::explicit_bzero(pem->data(), pem->size());
  if (!key) return complain(options.key, key.error());
  const auto bundle = attest::sign_bundle(*manifest, *key);
  if (!bundle) return complain(options.file, bundle.error());
  constexpr unsigned kReadable = 0644;
  if (const auto saved = replace_file(options.out, view_of(*bundle), kReadable); !saved)
    return complain(options.out, saved.error());
  const auto jwk = jose::Jwk::from_public_key(key->public_key());
  if (jwk) std::cout << jwk->canonical() << "\n";  // what importers are given as --publisher
  return 0;
}

RootsCommand::RootsCommand(CLI::App& app)
    : command_(app.add_subcommand("roots", "CAs of TPM vendors, as a signed bundle")),
      import_(command_->add_subcommand("import", "Take a bundle in, if its signature holds")),
      list_(command_->add_subcommand("list", "What is imported")),
      diagnose_(
          command_->add_subcommand("diagnose", "Judge an EK certificate; say which CA is missing")),
      sign_(command_->add_subcommand("sign", "Make a bundle; prints the publisher's JWK")) {
  command_->require_subcommand(1);
  auto& o = options_;
  for (auto* command : {import_, list_}) {
    command
        ->add_option("state", o.directory,
                     "The attestation task's own directory, e.g. .../state/attestation")
        ->required()
        ->check(CLI::ExistingDirectory);
  }
  for (auto* command : {import_, list_, diagnose_})
    command->add_flag("--json", o.json, "For programs");
  import_->add_option("bundle", o.file, "The bundle")->required();
  import_->add_option("--publisher", o.publisher,
                      "The publisher's public key (JWK), the first time");
  import_->add_flag("--force", o.force, "Also an older version, or another publisher's");
  diagnose_->add_option("certificate", o.file, "EK certificate, PEM or DER; a chain may follow it")
      ->required();
  diagnose_->add_option("--state", o.directory, "Where a bundle is imported: as for import");
  diagnose_->add_option("--roots", o.roots, "Further roots (PEM)");
  diagnose_->add_option("--chain", o.chain, "Further certificates, PEM or DER");
  diagnose_->add_option("--at", o.time, "now, issuance, or a time like 2026-01-31T00:00:00Z")
      ->capture_default_str();
  sign_->add_option("manifest", o.file, "The manifest (JSON)")->required();
  sign_->add_option("--key", o.key, "The publisher's private key (PEM, PKCS#8)")->required();
  sign_->add_option("--out", o.out, "The bundle")->required();
}

bool RootsCommand::parsed() const { return command_->parsed(); }

int RootsCommand::run() const {
  if (import_->parsed()) return import_roots(options_);
  if (list_->parsed()) return list_roots(options_);
  if (diagnose_->parsed()) return diagnose_certificate(options_);
  return sign_roots(options_);
}

}  // namespace keyward::ctl
