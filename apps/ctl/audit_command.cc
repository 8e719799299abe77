#include "apps/ctl/audit_command.h"

#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "firmware/audit/auditor.h"
#include "firmware/audit/notary.h"
#include "firmware/issue/ledger_reader.h"
#include "firmware/json/json.h"
#include "firmware/wire/challenge_types.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr int kExitFailed = 1, kExitBroken = 2, kExitUnproven = 3, kExitFile = 78;
constexpr std::size_t kPemBytesMax = 131'072, kNoteBytesMax = 4'096;
constexpr std::size_t kHeadsBytesMax = 1U << 30;  // one a minute for three years

int complain(const std::string& about, const Error& error) {
  std::cerr << "keywardctl: " << about << ": " << error.what;
  if (error.kind == ErrorKind::kUnavailable && error.native > 0)
    std::cerr << ": " << ::strerror(static_cast<int>(error.native));
  std::cerr << "\n";
  return error.kind == ErrorKind::kBadInput || error.kind == ErrorKind::kCorrupt ? kExitFile
                                                                                 : kExitFailed;
}

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

// A line that is written over, for a person who waits; nothing for a log.
audit::BundleProgress progress_of(const char* what) {
  if (::isatty(STDERR_FILENO) == 0) return {};
  return [what, last = std::int64_t{-1}](std::uint64_t done, std::uint64_t all) mutable {
    const auto percent = number(all == 0 ? 100 : std::min(done, all) * 100 / all);
    if (percent == last) return;
    last = percent;
    std::cerr << "\r" << what << " " << percent << " %" << (percent == 100 ? "\n" : "");
  };
}

void print_finding(const audit::Finding& finding, json::Writer& out) {
  out.key("broken").begin_object().member("flaw", to_string(finding.flaw));
  out.member_int("row", number(finding.row)).member_int("row_to", number(finding.row_to));
  out.member_int("segment", number(finding.segment)).member_int("offset", number(finding.offset));
  if (finding.head) out.member_int("head", number(*finding.head));
  out.member("detail", finding.detail).end_object();
}

void say_finding(const audit::Finding& finding) {
  std::cout << "BROKEN: " << to_string(finding.flaw) << ": row " << finding.row;
  if (finding.row_to > finding.row) std::cout << " to " << finding.row_to;
  std::cout << " (file " << issue::segment_path("", finding.segment).substr(1) << ", octet "
            << finding.offset << "): " << finding.detail << "\n"
            << "Nothing from row " << finding.row << " on is proven.\n";
}

void print_report(const audit::AuditReport& report, json::Writer& out) {
  out.begin_object().member_bool("whole", !report.broken);
  out.member_bool("proven", report.proven());
  if (report.broken) print_finding(*report.broken, out);
  out.member_int("rows", number(report.ledger.rows));
  out.member_int("certificates", number(report.ledger.issued));
  out.member_int("revoked", number(report.ledger.revoked));
  out.member_int("signatures_intended", number(report.ledger.signatures_intended()));
  out.member_int("orders", number(report.orders));
  out.member_int("heads", number(report.heads));
  out.member_int("unsigned_rows", number(report.unsigned_rows));
  if (report.last_head) {
    const auto& head = *report.last_head;
    out.key("last_head").begin_object().member_int("number", number(head.number));
    out.member_int("row", number(head.row)).member("time", utc_text(head.time_ms));
    if (head.counter) out.member_int("counter", number(*head.counter));
    out.end_object();
  }
  out.key("notes").begin_array();
  for (const auto& note : report.notes) out.string(note);
  out.end_array().end_object();
}

void say_report(const audit::AuditReport& report) {
  for (const auto& note : report.notes) std::cout << "NOTE: " << note << "\n";
  if (report.broken) return say_finding(*report.broken);
  std::cout << "whole: " << report.ledger.rows << " rows, " << report.ledger.issued
            << " certificates, " << report.ledger.revoked << " revoked, " << report.ledger.lists
            << " revocation lists, " << report.orders << " operators' orders\n";
  if (!report.last_head) {
    std::cout << "NOT PROVEN: no signed head is in the export; its end, or all of it, may have been"
                 " replaced\n";
    return;
  }
  const auto& head = *report.last_head;
  std::cout << "proven up to row " << head.row << " by head " << head.number << " of "
            << utc_text(head.time_ms);
  if (head.counter) std::cout << ", counter " << *head.counter;
  if (!head.counter) std::cout << ", not anchored in a TPM";
  std::cout << "\n" << report.unsigned_rows << " rows after it are not signed yet\n";
}

Result<audit::AuditReport> judge(const AuditOptions& options, audit::Bundle& bundle) {
  KEYWARD_TRY(root, read_text_file(options.root, kPemBytesMax));
  audit::AuditOptions how;
  if (options.counter >= 0) how.counter = static_cast<std::uint64_t>(options.counter);
  for (const auto& path : options.operators) {
    KEYWARD_TRY(text, read_text_file(path, limits::kOperatorsBytesMax));
    how.operators.push_back(std::move(text));
  }
  if (!options.heads.empty()) {
    KEYWARD_TRY(text, read_text_file(options.heads, kHeadsBytesMax));
    how.kept_heads = std::move(text);
  }
  how.progress = progress_of("verifying");
  KEYWARD_TRY(report, audit::audit_bundle(bundle, root, how));
  if (options.against.empty()) return std::move(report);
  KEYWARD_TRY(older, audit::Bundle::open(options.against));
  KEYWARD_TRY(difference, audit::compare(bundle, older));
  // It names the row exactly, where a head names a span.
  if (difference && (!report.broken || difference->row <= report.broken->row_to))
    report.broken = difference;
  return std::move(report);
}

std::string_view method_text(wire::ValidationMethod method) {
  return method == wire::ValidationMethod::kAppliance ? "appliance" : wire::challenge_type(method);
}

std::string_view result_text(const audit::Issuance& found) {
  if (!found.outcome) return "open: counts as issued";
  if (found.revocation) return "revoked";
  switch (found.outcome->outcome->result) {
    case issue::OutcomeResult::kIssued:
      return "issued";
    case issue::OutcomeResult::kFailed:
      return "failed";
    case issue::OutcomeResult::kAbandoned:
      return "abandoned";
  }
  return "unknown";
}

// The whole certificate, if one was issued.
std::optional<x509::Certificate> certificate_of(const audit::Issuance& found) {
  if (!found.outcome || found.outcome->outcome->result != issue::OutcomeResult::kIssued) return {};
  const auto der = issue::certificate_of(*found.intent.intent, *found.outcome->outcome);
  auto certificate =
      der ? x509::parse_certificate(*der) : Result<x509::Certificate>(fail(der.error()));
  if (!certificate) return {};
  return std::move(*certificate);
}

void print_place(std::string_view name, const issue::LedgerRow& row, const issue::RowPlace& place,
                 json::Writer& out) {
  out.key(name).begin_object().member_int("row", number(row.number));
  out.member("time", utc_text(row.time_ms)).member_int("segment", number(place.segment));
  out.member_int("offset", number(place.offset)).end_object();
}

void print_why(const audit::Issuance& found, json::Writer& out) {
  const auto& intent = *found.intent.intent;
  out.begin_object().member("serial", hex_encode(intent.serial));
  out.member("result", result_text(found)).member("profile", intent.profile);
  out.member("account_thumbprint", base64url_encode(intent.thumbprint));
  if (intent.eab_kid) out.member("admitted_by_eab_kid", *intent.eab_kid);
  out.member("client_jws_sha256", hex_encode(intent.jws_sha256));
  out.member("csr_sha256", hex_encode(intent.csr_sha256));
  out.member("ticket_id", hex_encode(intent.ticket_id));
  out.key("grants").begin_array();
  for (const auto& grant : intent.grants) {
    out.begin_object().member("method", method_text(grant.method));
    out.member("grant_sha256", hex_encode(grant.grant_sha256));
    out.member("evidence_sha256", hex_encode(grant.evidence_sha256)).end_object();
  }
  out.end_array();
  print_place("intent", found.intent, found.intent_place, out);
  if (found.outcome) print_place("outcome", *found.outcome, found.outcome_place, out);
  if (const auto certificate = certificate_of(found)) {
    out.member("not_before", utc_text(certificate->not_before_ms));
    out.member("not_after", utc_text(certificate->not_after_ms));
    out.member("key_sha256", hex_encode(crypto::sha256(certificate->spki_der)));
    out.member("certificate_sha256", hex_encode(crypto::sha256(certificate->der)));
    out.member("certificate", x509::to_pem("CERTIFICATE", certificate->der));
  }
  if (found.revocation) {
    out.key("revocation").begin_object().member_int("row", number(found.revocation->number));
    out.member("time", utc_text(found.revocation->time_ms));
    if (found.order) {
      out.member("order_id", hex_encode(found.order->operator_order->id));
      out.member_int("order_row", number(found.order->number)).key("ordered_by").begin_array();
      for (const auto& name : found.order_signatories) out.string(name);
      out.end_array();
    }
    out.end_object();
  }
  if (found.head) {
    out.key("head").begin_object().member_int("number", number(found.head->number));
    out.member_int("row", number(found.head->row)).end_object();
  }
  out.end_object();
}

void say_why(const audit::Issuance& found) {
  const auto& intent = *found.intent.intent;
  const auto place = [](const issue::LedgerRow& row, const issue::RowPlace& at) {
    return "row " + std::to_string(row.number) + " of " + utc_text(row.time_ms) + " (file " +
           issue::segment_path("", at.segment).substr(1) + ", octet " + std::to_string(at.offset) +
           ")";
  };
  std::cout << "serial " << hex_encode(intent.serial) << ": " << result_text(found) << "\n"
            << "  asked for by account " << base64url_encode(intent.thumbprint) << "\n";
  if (intent.eab_kid) std::cout << "  which credential " << *intent.eab_kid << " admitted\n";
  std::cout << "  in the signed request (SHA-256) " << hex_encode(intent.jws_sha256) << "\n"
            << "  with the CSR (SHA-256) " << hex_encode(intent.csr_sha256) << "\n";
  for (const auto& grant : intent.grants)
    std::cout << "  because of " << method_text(grant.method) << ", evidence "
              << hex_encode(grant.evidence_sha256) << ", grant " << hex_encode(grant.grant_sha256)
              << "\n";
  std::cout << "  by profile " << intent.profile << "\n";
  if (const auto certificate = certificate_of(found))
    std::cout << "  valid " << utc_text(certificate->not_before_ms) << " to "
              << utc_text(certificate->not_after_ms) << ", key (SHA-256) "
              << hex_encode(crypto::sha256(certificate->spki_der)) << "\n";
  std::cout << "  intent: " << place(found.intent, found.intent_place) << "\n";
  if (found.outcome)
    std::cout << "  outcome: " << place(*found.outcome, found.outcome_place) << "\n";
  if (found.revocation)
    std::cout << "  revoked: row " << found.revocation->number << " of "
              << utc_text(found.revocation->time_ms) << "\n";
  if (found.order) {
    std::cout << "  revoked by order of";
    for (const auto& name : found.order_signatories) std::cout << " " << name;
    std::cout << ": order " << hex_encode(found.order->operator_order->id) << ", row "
              << found.order->number << "\n";
  }
  if (found.head)
    std::cout << "  covered by signed head " << found.head->number << "\n";
  else
    std::cout << "  no signed head covers it yet\n";
}

}  // namespace

AuditCommand::AuditCommand(CLI::App& app)
    : command_(app.add_subcommand("audit", "The ledger for an auditor, on any machine")),
      export_(command_->add_subcommand("export", "Put the ledger into one file")),
      verify_(command_->add_subcommand("verify", "Judge such a file with the root alone")),
      why_(command_->add_subcommand("why", "On which grounds a certificate was issued")),
      accept_(command_->add_subcommand("accept-rollback",
                                       "Take note that rows were lost, and let issuing go on")) {
  command_->require_subcommand(1);
  auto& o = options_;
  for (auto* command : {export_, accept_})
    command->add_option("state", o.state, "The signer's state, e.g. .../state/signer")
        ->required()
        ->check(CLI::ExistingDirectory);
  export_->add_option("--out", o.out, "File to make")->required();
  export_->add_option("--chain", o.chain, "PEM of the issuing CA and its root, if not in the state")
      ->check(CLI::ExistingFile);
  export_
      ->add_option("--audit-certificate", o.certificate,
                   "PEM of the audit key (several: all that ever signed), if not in the state")
      ->check(CLI::ExistingFile);
  for (auto* command : {verify_, why_}) {
    command->add_option("file", o.file, "An export")->required()->check(CLI::ExistingFile);
    command->add_flag("--json", o.json, "For programs");
  }
  verify_->add_option("--root", o.root, "PEM of the root certificate, from a source of your own")
      ->required()
      ->check(CLI::ExistingFile);
  verify_->add_option("--against", o.against, "An older export: this one must continue it")
      ->check(CLI::ExistingFile);
  verify_->add_option("--heads", o.heads, "Heads kept elsewhere, a line each: all must be in it")
      ->check(CLI::ExistingFile);
  verify_
      ->add_option("--operators", o.operators,
                   "Operators file of your own (repeatable): no others may have ordered anything")
      ->check(CLI::ExistingFile);
  verify_->add_option("--counter", o.counter, "What the unit's TPM counter stands at")
      ->check(CLI::NonNegativeNumber);
  why_->add_option("--root", o.root, "PEM of the root: verify the whole export first")
      ->check(CLI::ExistingFile);
  why_->add_option("--serial", o.serial, "Hexadecimal")->required();
  auto* reason = accept_->add_option("--reason", o.reason,
                                     "For the auditor; it is signed into the ledger's head");
  accept_->add_flag("--no-operators", o.no_operators,
                    "[signer] operators is not set any more, whatever the ledger says");
  accept_
      ->add_option("--order", o.order,
                   "Where operators sign: their order accept-rollback (keywardctl order sign)")
      ->check(CLI::ExistingFile)
      ->excludes(reason);
}

bool AuditCommand::parsed() const { return command_->parsed(); }

int AuditCommand::run() const {
  if (export_->parsed()) return run_export();
  if (verify_->parsed()) return run_verify();
  if (why_->parsed()) return run_why();
  return run_accept();
}

int AuditCommand::run_export() const {
  const std::string beside = options_.state + "/audit/";
  audit::BundleSources sources{options_.state + "/ledger", beside + std::string(audit::kHeadsFile),
                               options_.chain, options_.certificate};
  if (sources.chain_path.empty()) sources.chain_path = beside + "chain.pem";
  if (sources.audit_path.empty()) sources.audit_path = beside + "audit.pem";
  if (!file_exists(sources.chain_path)) {
    std::cerr << "keywardctl: " << sources.chain_path << " is not there: name it by --chain\n";
    return kExitFailed;
  }
  const auto written = audit::write_bundle(sources, options_.out, progress_of("exporting"));
  if (!written) return complain(options_.out, written.error());
  std::cout << options_.out << ": " << *written << " octets\n";
  if (!file_exists(sources.heads_path) || !file_exists(sources.audit_path))
    std::cout << "NOTE: without signed heads or the audit key's certificate: the chain of hashes "
                 "alone can be verified\n";
  return 0;
}

int AuditCommand::run_verify() const {
  auto bundle = audit::Bundle::open(options_.file);
  if (!bundle) return complain(options_.file, bundle.error());
  const auto report = judge(options_, *bundle);
  if (!report) {
    complain(options_.file, report.error());
    return report.error().kind == ErrorKind::kRefused ? kExitBroken : kExitFile;
  }
  if (options_.json) {
    json::Writer out;
    print_report(*report, out);
    std::cout << out.take() << "\n";
  } else {
    say_report(*report);
  }
  if (report->broken) return kExitBroken;
  return report->proven() ? 0 : kExitUnproven;
}

int AuditCommand::run_why() const {
  const auto serial = hex_decode(options_.serial);
  if (!serial || serial->empty()) {
    std::cerr << "keywardctl: --serial must be hexadecimal\n";
    return 64;
  }
  auto bundle = audit::Bundle::open(options_.file);
  if (!bundle) return complain(options_.file, bundle.error());
  if (options_.root.empty()) {
    std::cerr << "keywardctl: without --root nothing of this is verified\n";
  } else {
    const auto report = judge(options_, *bundle);
    if (!report) return complain(options_.file, report.error());
    if (report->broken) {
      say_finding(*report->broken);
      return kExitBroken;
    }
  }
  const auto found = audit::find_issuance(*bundle, *serial);
  if (!found) return complain(options_.file, found.error());
  if (!*found) {
    std::cerr << "keywardctl: no certificate with serial " << options_.serial
              << " stands in the ledger\n";
    return kExitFailed;
  }
  if (!options_.json) {
    say_why(**found);
    return 0;
  }
  json::Writer out;
  print_why(**found, out);
  std::cout << out.take() << "\n";
  return 0;
}

namespace {

// Whether the newest row about operators names any, as far as the ledger can be read: it is behind.
bool has_operators(const std::string& ledger) {
  bool any = false;
  static_cast<void>(issue::read_ledger(ledger, [&](const issue::LedgerRow& row, const auto&) {
    if (row.operators) any = !row.operators->file.empty();
    return Status();
  }));
  return any;
}

}  // namespace

int AuditCommand::run_accept() const {
  const std::string folder = options_.state + "/audit/";
  const auto text = read_text_file(folder + std::string(audit::kRefusedFile), kNoteBytesMax);
  if (!text) {
    std::cerr << "keywardctl: the signer has refused nothing: there is nothing to accept\n";
    return kExitFailed;
  }
  auto found = audit::parse_acceptance(*text);
  if (!found) return complain(folder + std::string(audit::kRefusedFile), found.error());
  std::string accepted;
  if (!options_.order.empty()) {
    auto order = read_text_file(options_.order, limits::kOperatorOrderBytesMax);
    if (!order) return complain(options_.order, order.error());
    accepted = std::move(*order);
  } else if (options_.reason.empty() || options_.reason.size() > 500) {
    std::cerr << "keywardctl: --reason must have 1 to 500 octets (or --order FILE)\n";
    return 64;
  } else if (!options_.no_operators && has_operators(options_.state + "/ledger")) {
    std::cerr << "keywardctl: this unit has operators (its ledger says so): the signer takes their "
                 "order alone.\n  keywardctl order sign accept-rollback --refused "
              << folder << audit::kRefusedFile
              << " --reason … --out FILE\n  keywardctl audit accept-rollback " << options_.state
              << " --order FILE\nIf [signer] operators is not set any more: --no-operators.\n";
    return kExitFailed;
  } else {
    found->reason = options_.reason;
    accepted = audit::acceptance_text(*found);
  }
  const std::string path = folder + std::string(audit::kAcceptedFile);
  if (const auto kept = replace_file(path, view_of(accepted), 0600); !kept)
    return complain(path, kept.error());
  // As the folder's owner: the signer reads it with its own user id.
  struct ::stat owner {};
  if (::stat(folder.c_str(), &owner) == 0 && ::geteuid() == 0 &&
      ::chown(path.c_str(), owner.st_uid, owner.st_gid) != 0)
    return complain(path, {ErrorKind::kUnavailable, "cannot give it to the signer", errno});
  std::cout << "accepted: " << found->code << ", " << found->rows_found << " rows found";
  if (found->counter_found) std::cout << ", counter " << *found->counter_found;
  std::cout << ".\nThe signer takes it up within seconds and signs it into its next head; every "
               "verification will show it.\n";
  return 0;
}

}  // namespace keyward::ctl
