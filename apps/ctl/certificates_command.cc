#include "apps/ctl/certificates_command.h"

#include <deque>
#include <iostream>
#include <unordered_map>

#include <CLI/CLI.hpp>

#include "apps/ctl/certificate_names.h"
#include "apps/ctl/columns.h"
#include "apps/ctl/in_child.h"
#include "apps/ctl/ledger_command.h"
#include "apps/ctl/unit_places.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/issue/ledger_reader.h"
#include "firmware/json/json.h"
#include "firmware/store/sqlite.h"
#include "hal/base/clock.h"

namespace keyward::ctl {
namespace {

using ceremony::utc_text;

constexpr int kExitFailed = 1, kExitBroken = 2, kExitFile = 78;
constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::size_t kThumbprintTextMin = 6;  // so few characters of one are enough to ask by

struct Revocation {
  std::int64_t at_ms = 0;
  std::optional<std::uint64_t> reason;
};

struct Found {
  std::uint64_t row = 0;
  std::int64_t issued_ms = 0, not_before_ms = 0, not_after_ms = 0;
  std::string serial, profile, account;
  std::optional<std::string> kid;
  std::vector<std::string> names;
  std::optional<Revocation> revocation;
};

std::string state_of(const Found& found, std::int64_t now_ms) {
  if (found.revocation) return "revoked";
  return found.not_after_ms <= now_ms ? "expired" : "valid";
}

// Reads the ledger twice: what was revoked comes after what was issued, and only the newest matches are
// kept, however long the ledger is.
class Search {
 public:
  Search(const CertificateOptions& options, std::string account)
      : options_(options), account_(std::move(account)), now_ms_(system_clock().utc_ms()) {}

  Status run(const std::string& ledger) {
    auto read = issue::read_ledger(ledger, [this](const issue::LedgerRow& row, const auto&) {
      if (row.revocation)
        revocations_[row.revocation->intent_row] = {row.time_ms, row.revocation->reason};
      return Status();
    });
    if (!read) return fail(read.error());
    read = issue::read_ledger(
        ledger, [this](const issue::LedgerRow& row, const auto&) { return take(row); });
    if (!read) return fail(read.error());
    return {};
  }
  const std::deque<Found>& found() const { return found_; }
  bool more() const { return more_; }

 private:
  bool before(std::uint64_t row) const {
    return options_.before_row == 0 || row < static_cast<std::uint64_t>(options_.before_row);
  }
  // By what stands in the intent itself; reading the certificate is the dear part.
  bool wanted(const issue::LedgerRow& row) const {
    const auto& intent = *row.intent;
    if (!before(row.number)) return false;
    if (!options_.profile.empty() && intent.profile != options_.profile) return false;
    if (!options_.kid.empty() && intent.eab_kid != options_.kid) return false;
    return account_.empty() || base64url_encode(intent.thumbprint).starts_with(account_);
  }
  bool matches(const Found& found) const {
    if (options_.revoked && !found.revocation) return false;
    const bool good = !found.revocation && found.not_after_ms > now_ms_;
    if ((options_.valid || options_.expiring_days >= 0) && !good) return false;
    if (options_.expiring_days >= 0 &&
        found.not_after_ms - now_ms_ > options_.expiring_days * kDayMs)
      return false;
    return options_.name.empty() || std::ranges::any_of(found.names, [&](const std::string& name) {
             return name.find(options_.name) != std::string::npos;
           });
  }
  Status take(const issue::LedgerRow& row) {
    if (row.intent && wanted(row)) open_.emplace(row.number, row);
    if (!row.outcome) return {};
    const auto at = open_.find(row.outcome->intent_row);
    if (at == open_.end()) return {};
    const auto begun = std::move(at->second);
    open_.erase(at);
    if (row.outcome->result != issue::OutcomeResult::kIssued) return {};
    KEYWARD_TRY(der, issue::certificate_of(*begun.intent, *row.outcome));
    KEYWARD_TRY(certificate, x509::parse_certificate(der, x509::KeyReading::kSkip));
    Found found{begun.number,
                begun.time_ms,
                certificate.not_before_ms,
                certificate.not_after_ms,
                hex_encode(begun.intent->serial),
                begun.intent->profile,
                base64url_encode(begun.intent->thumbprint),
                begun.intent->eab_kid,
                names_in(certificate),
                std::nullopt};
    if (const auto revoked = revocations_.find(begun.number); revoked != revocations_.end())
      found.revocation = revoked->second;
    if (!matches(found)) return {};
    found_.push_back(std::move(found));
    if (found_.size() <= static_cast<std::size_t>(options_.limit)) return {};
    found_.pop_front();
    more_ = true;
    return {};
  }

  const CertificateOptions& options_;
  std::string account_;
  std::int64_t now_ms_;
  std::unordered_map<std::uint64_t, Revocation> revocations_;
  std::unordered_map<std::uint64_t, issue::LedgerRow> open_;
  std::deque<Found> found_;
  bool more_ = false;
};

// An account's id is the store's; the ledger knows its key alone.
Result<std::string> thumbprint_text(const UnitPlaces& places, const std::string& account) {
  const auto asked = in_child([&]() -> Result<Bytes> {
    const auto folder = places.state_of("store");
    KEYWARD_CHECK(take_user_of(folder));
    KEYWARD_TRY(
        db, store::Connection::open(folder + "/keyward.db", store::Connection::Mode::kReadOnly));
    KEYWARD_TRY(statement, db.prepare_one("SELECT thumbprint FROM accounts WHERE id = ?1"));
    store::Query query(db, statement, account);
    KEYWARD_TRY(row, query.next());
    return row ? query.blob(0) : Bytes();
  });
  if (asked && !asked->empty()) return base64url_encode(*asked);
  if (account.size() >= kThumbprintTextMin) return account;
  return fail(ErrorKind::kBadInput, "no account has this id, and it is too short for a thumbprint");
}

void print_json(const Search& search, std::int64_t now_ms) {
  json::Writer out;
  out.begin_object().key("entries").begin_array();
  for (const auto& found : search.found()) {
    out.begin_object().member_int("row", static_cast<std::int64_t>(found.row));
    out.member("serial", found.serial).member("state", state_of(found, now_ms));
    out.member("profile", found.profile).member("issued", utc_text(found.issued_ms));
    out.member("not_before", utc_text(found.not_before_ms));
    out.member("not_after", utc_text(found.not_after_ms));
    out.member("account_thumbprint", found.account).key("names").begin_array();
    for (const auto& name : found.names) out.string(name);
    out.end_array();
    if (found.kid) out.member("eab_kid", *found.kid);
    if (found.revocation) {
      out.member("revoked", utc_text(found.revocation->at_ms));
      if (found.revocation->reason)
        out.member_int("reason", static_cast<std::int64_t>(*found.revocation->reason));
    }
    out.end_object();
  }
  out.end_array();
  if (search.more())
    out.member_int("next_before_row", static_cast<std::int64_t>(search.found().front().row));
  std::cout << out.end_object().take() << "\n";
}

void print(const Search& search, std::int64_t now_ms) {
  if (search.more()) std::cout << "older ones: --before-row " << search.found().front().row << "\n";
  for (const auto& found : search.found()) {
    std::cout << right(std::to_string(found.row), 8) << "  " << left(state_of(found, now_ms), 7)
              << "  until " << utc_text(found.not_after_ms) << "  " << found.serial << "  "
              << found.profile << "  account " << found.account.substr(0, 12) << " ";
    for (const auto& name : found.names) std::cout << " " << name;
    if (found.revocation) std::cout << "  (revoked " << utc_text(found.revocation->at_ms) << ")";
    std::cout << "\n";
  }
}

}  // namespace

CertificatesCommand::CertificatesCommand(CLI::App& app)
    : command_(app.add_subcommand("certificates", "Certificates, as the ledger has them")),
      list_(command_->add_subcommand("list", "Certificates that match, newest last")),
      show_(
          command_->add_subcommand("show", "One certificate and on which grounds it was issued")) {
  command_->require_subcommand(1);
  for (auto* command : {list_, show_}) {
    command->add_option("installation", options_.installation, "Installation file (keyward.toml)")
        ->required()
        ->check(CLI::ExistingFile);
    command->add_flag("--json", options_.json, "For programs");
  }
  show_->add_option("serial", options_.serial, "Its serial number, hexadecimal")->required();
  list_->add_option("--name", options_.name, "A name, address or device in it holds this");
  list_->add_option("--account", options_.account, "The account's id, or a thumbprint's beginning");
  list_->add_option("--profile", options_.profile, "Issued under this profile");
  list_->add_option("--kid", options_.kid, "Issued under this external credential");
  auto* expiring = list_
                       ->add_option("--expiring", options_.expiring_days,
                                    "Good now, and over within so many days")
                       ->check(CLI::Range(0, 36'500));
  auto* valid = list_->add_flag("--valid", options_.valid, "Good now");
  auto* revoked = list_->add_flag("--revoked", options_.revoked, "Revoked");
  revoked->excludes(valid)->excludes(expiring);
  list_->add_option("--before-row", options_.before_row, "Older than this row of the ledger")
      ->check(CLI::NonNegativeNumber);
  list_->add_option("--limit", options_.limit, "At most so many, the newest")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
}

bool CertificatesCommand::parsed() const { return command_->parsed(); }

int CertificatesCommand::list() const {
  const auto places = read_unit_places(options_.installation);
  if (!places) return kExitFile;
  std::string account;
  if (!options_.account.empty()) {
    auto text = thumbprint_text(*places, options_.account);
    if (!text) {
      std::cerr << "keywardctl: " << options_.account << ": " << text.error().what
                << " (keywardctl accounts list)\n";
      return kExitFailed;
    }
    account = std::move(*text);
  }
  Search search(options_, account);
  const auto ledger = places->state_of("signer") + "/ledger";
  if (const auto done = search.run(ledger); !done) {
    std::cerr << "keywardctl: " << ledger << ": " << done.error().what << "\n";
    return done.error().kind == ErrorKind::kCorrupt ? kExitBroken : kExitFailed;
  }
  if (options_.json)
    print_json(search, system_clock().utc_ms());
  else
    print(search, system_clock().utc_ms());
  return 0;
}

int CertificatesCommand::run() const {
  if (list_->parsed()) return list();
  const auto places = read_unit_places(options_.installation);
  if (!places) return kExitFile;
  LedgerOptions one;
  one.directory = places->state_of("signer") + "/ledger";
  one.serial = options_.serial;
  one.json = options_.json;
  return show_ledger(one);
}

}  // namespace keyward::ctl
