#include "apps/ctl/ledger_command.h"

#include <iostream>
#include <map>

#include <time.h>

#include "apps/ctl/certificate_names.h"
#include "firmware/issue/ledger_reader.h"
#include "firmware/json/json.h"
#include "firmware/wire/challenge_types.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr int kExitUnreadable = 1, kExitBroken = 2;
constexpr std::size_t kChainFileBytesMax = 1u << 20;

// An intent with what became of it.
struct Entry {
  issue::LedgerRow intent;
  std::optional<issue::OutcomeRow> outcome;
  std::optional<issue::RevocationRow> revocation;
  std::int64_t revoked_at_ms = 0;
};

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::vector<std::string> names_of(const Entry& entry) {
  if (!entry.outcome || entry.outcome->result != issue::OutcomeResult::kIssued) return {};
  const auto der = issue::certificate_of(*entry.intent.intent, *entry.outcome);
  const auto certificate =
      der ? x509::parse_certificate(*der) : Result<x509::Certificate>(fail(der.error()));
  return certificate ? names_in(*certificate) : std::vector<std::string>();
}

std::string_view result_text(const Entry& entry) {
  if (!entry.outcome) return "open";
  if (entry.revocation) return "revoked";
  switch (entry.outcome->result) {
    case issue::OutcomeResult::kIssued:
      return "issued";
    case issue::OutcomeResult::kFailed:
      return "failed";
    case issue::OutcomeResult::kAbandoned:
      return "abandoned";
  }
  return "unknown";
}

std::string_view method_text(wire::ValidationMethod method) {
  return method == wire::ValidationMethod::kAppliance ? "appliance" : wire::challenge_type(method);
}

std::string_view authority_text(issue::RevocationAuthority authority) {
  switch (authority) {
    case issue::RevocationAuthority::kAccount:
      return "account";
    case issue::RevocationAuthority::kCertificateKey:
      return "certificate-key";
    case issue::RevocationAuthority::kAuthorizations:
      return "authorizations";
    case issue::RevocationAuthority::kOperator:
      return "operator";
  }
  return "unknown";
}

void complain(const LedgerOptions& options, const Error& error) {
  std::cerr << "keywardctl: the ledger in " << options.directory << ": " << error.what;
  if (error.kind == ErrorKind::kCorrupt) std::cerr << " (row " << error.native << ")";
  std::cerr << "\n";
}

int exit_code_of(const Error& error) {
  return error.kind == ErrorKind::kCorrupt ? kExitBroken : kExitUnreadable;
}

// The newest `last` intents with their outcomes and revocations, oldest first. Those of older ones
// are passed over.
Result<issue::LedgerSummary> collect(const LedgerOptions& options,
                                     std::map<std::uint64_t, Entry>& entries) {
  const auto wanted = hex_decode(options.serial);
  if (!wanted) return fail(ErrorKind::kBadInput, "--serial must be hexadecimal");
  return issue::read_ledger(
      options.directory, [&](const issue::LedgerRow& row, const issue::RowPlace&) -> Status {
        if (row.intent && (wanted->empty() || equal(row.intent->serial, *wanted))) {
          entries.emplace(row.number, Entry{row, std::nullopt, std::nullopt, 0});
          if (options.last > 0 && entries.size() > static_cast<std::size_t>(options.last))
            entries.erase(entries.begin());
        }
        if (!row.outcome && !row.revocation) return {};
        const auto found =
            entries.find(row.outcome ? row.outcome->intent_row : row.revocation->intent_row);
        if (found == entries.end()) return {};
        if (row.outcome) found->second.outcome = *row.outcome;
        if (row.revocation) found->second.revocation = *row.revocation;
        if (row.revocation) found->second.revoked_at_ms = row.time_ms;
        return {};
      });
}

void print_revocation(const Entry& entry, json::Writer& out) {
  const auto& revocation = *entry.revocation;
  out.key("revocation").begin_object().member("time", utc_text(entry.revoked_at_ms));
  if (revocation.reason) out.member_int("reason", static_cast<std::int64_t>(*revocation.reason));
  out.member("authority", authority_text(revocation.authority))
      .member("thumbprint", base64url_encode(revocation.thumbprint))
      .member("jws_sha256", hex_encode(revocation.jws_sha256))
      .end_object();
}

void print_json(const Entry& entry, json::Writer& out) {
  const auto& intent = *entry.intent.intent;
  out.begin_object()
      .member_int("row", static_cast<std::int64_t>(entry.intent.number))
      .member("time", utc_text(entry.intent.time_ms));
  out.member("serial", hex_encode(intent.serial))
      .member("profile", intent.profile)
      .member("result", result_text(entry));
  if (entry.outcome && entry.outcome->reason) out.member("reason", *entry.outcome->reason);
  if (entry.revocation) print_revocation(entry, out);
  if (intent.eab_kid) out.member("eab_kid", *intent.eab_kid);
  out.key("names").begin_array();
  for (const auto& name : names_of(entry)) out.string(name);
  out.end_array()
      .member("account_thumbprint", base64url_encode(intent.thumbprint))
      .member("finalize_jws_sha256", hex_encode(intent.jws_sha256));
  out.key("grounds").begin_array();
  for (const auto& grant : intent.grants) {
    out.begin_object()
        .member("method", method_text(grant.method))
        .member("evidence_sha256", hex_encode(grant.evidence_sha256))
        .end_object();
  }
  out.end_array().end_object();
}

void print_line(const Entry& entry) {
  const auto& intent = *entry.intent.intent;
  std::cout << "row " << entry.intent.number << "  " << utc_text(entry.intent.time_ms) << "  "
            << result_text(entry) << "  " << intent.profile << "  serial "
            << hex_encode(intent.serial) << "\n     ";
  for (const auto& name : names_of(entry)) std::cout << " " << name;
  for (const auto& grant : intent.grants)
    std::cout << "  by " << method_text(grant.method) << " (evidence "
              << hex_encode(grant.evidence_sha256).substr(0, 16) << ")";
  std::cout << "  account " << base64url_encode(intent.thumbprint).substr(0, 16) << "\n";
  if (!entry.revocation) return;
  std::cout << "      revoked " << utc_text(entry.revoked_at_ms) << " by "
            << authority_text(entry.revocation->authority);
  if (entry.revocation->reason) std::cout << ", reason " << *entry.revocation->reason;
  std::cout << "\n";
}

void print_summary(const issue::LedgerSummary& summary) {
  std::cout << summary.rows << " rows: " << summary.intents << " intents, " << summary.issued
            << " issued, " << summary.revoked << " revoked, " << summary.failed << " failed, "
            << summary.abandoned << " abandoned, " << summary.open_intents.size() << " open; "
            << summary.lists << " revocation lists, the newest number " << summary.list_number
            << "; head " << hex_encode(summary.head) << "\n";
  if (summary.torn_bytes > 0)
    std::cout << summary.torn_bytes << " octets of a row that never got whole stand at the end\n";
}

void add_summary(const issue::LedgerSummary& summary, json::Writer& out) {
  const auto number = [&](std::string_view name, std::uint64_t value) {
    out.member_int(name, static_cast<std::int64_t>(value));
  };
  number("rows", summary.rows);
  number("intents", summary.intents);
  number("issued", summary.issued);
  number("revoked", summary.revoked);
  number("failed", summary.failed);
  number("abandoned", summary.abandoned);
  number("open", summary.open_intents.size());
  number("lists", summary.lists);
  number("list_number", summary.list_number);
  number("torn_bytes", summary.torn_bytes);
  out.member("head", hex_encode(summary.head));
}

Result<crypto::PublicKey> issuer_key(const std::string& path) {
  KEYWARD_TRY(pem, read_text_file(path, kChainFileBytesMax));
  KEYWARD_TRY(ders, x509::certificates_from_pem(pem, limits::kChainCertificatesMax));
  if (ders.empty()) return fail(ErrorKind::kBadInput, "no certificate in it");
  KEYWARD_TRY(certificate, x509::parse_certificate(ders.front()));
  if (!certificate.key) return fail(ErrorKind::kBadInput, "its key is of a type that is not read");
  return *certificate.key;
}

}  // namespace

int show_ledger(const LedgerOptions& options) {
  std::map<std::uint64_t, Entry> entries;
  const auto summary = collect(options, entries);
  if (!summary) {
    complain(options, summary.error());
    return exit_code_of(summary.error());
  }
  if (!options.serial.empty() && entries.empty()) {
    std::cerr << "keywardctl: no certificate with serial " << options.serial
              << " stands in the ledger\n";
    return kExitUnreadable;
  }
  if (!options.json) {
    for (const auto& [number, entry] : entries) print_line(entry);
    print_summary(*summary);
    return 0;
  }
  json::Writer out;
  out.begin_object();
  add_summary(*summary, out);
  out.key("entries").begin_array();
  for (const auto& [number, entry] : entries) print_json(entry, out);
  std::cout << out.end_array().end_object().take() << "\n";
  return 0;
}

int verify_ledger(const LedgerOptions& options) {
  const auto key = issuer_key(options.issuer_path);
  if (!key) {
    std::cerr << "keywardctl: " << options.issuer_path << ": " << key.error().what << "\n";
    return kExitUnreadable;
  }
  const auto summary = issue::verify_issued(options.directory, *key);
  if (!summary) {
    complain(options, summary.error());
    return exit_code_of(summary.error());
  }
  if (options.json) {
    json::Writer out;
    out.begin_object().member_bool("whole", true);
    add_summary(*summary, out);
    std::cout << out.end_object().take() << "\n";
  } else {
    std::cout << "the chain is whole, and every issued certificate is signed by "
              << options.issuer_path << "\n";
    print_summary(*summary);
  }
  return 0;
}

}  // namespace keyward::ctl
