// Owns the words and the exit codes of `keywardctl eab`. Must not know the task.
#include "apps/ctl/eab_command.h"

#include <charconv>
#include <iostream>
#include <limits>
#include <optional>

#include <CLI/CLI.hpp>
#include <string.h>
#include <time.h>

#include "firmware/eab/bindings.h"
#include "firmware/eab/credentials.h"
#include "firmware/json/json.h"
#include "firmware/operate/operator_file.h"
#include "hal/base/clock.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"

namespace keyward::ctl {
namespace {

using eab::Credential;
using eab::CredentialBook;

constexpr int kExitFailed = 1, kExitUsage = 64, kExitFile = 78;
constexpr std::size_t kMadeUpKidBytes = 9;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr const char* kTimeFormat = "%Y-%m-%dT%H:%M:%SZ";

int fail_with(int code, std::string_view what) {
  std::cerr << "keywardctl: " << what << "\n";
  return code;
}

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, kTimeFormat, &parts);
  return text;
}

// "30d", "12h" from now, or a time in UTC.
std::optional<std::int64_t> time_from(const std::string& text, std::int64_t now_ms) {
  std::int64_t count = 0;
  const auto* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, count);
  const std::string_view unit(parsed.ptr, static_cast<std::size_t>(end - parsed.ptr));
  constexpr std::int64_t kCountMax = 1'000'000;
  if (parsed.ec == std::errc() && (unit == "d" || unit == "h")) {
    if (count <= 0 || count > kCountMax) return std::nullopt;
    return now_ms + count * (unit == "d" ? 24 * kHourMs : kHourMs);
  }
  ::tm parts{};
  const char* rest = ::strptime(text.c_str(), kTimeFormat, &parts);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  return static_cast<std::int64_t>(::timegm(&parts)) * 1'000;
}

Result<CredentialBook> read_book(const operate::OperatorDirectory& folder) {
  KEYWARD_TRY(bytes,
              folder.read(std::string(eab::kCredentialsFile), limits::kEabCredentialsBytesMax));
  auto book = CredentialBook::parse(bytes);
  if (!bytes.empty()) ::explicit_bzero(bytes.data(), bytes.size());
  return book;
}

int complain(const EabOptions& options, const Error& error) {
  std::cerr << "keywardctl: " << options.directory << "/" << eab::kFolder << ": " << error.what;
  const bool file_is_wrong = error.kind == ErrorKind::kBadInput ||
                             error.kind == ErrorKind::kCorrupt || error.kind == ErrorKind::kRefused;
  if (file_is_wrong && error.native > 0) std::cerr << " (line " << error.native << ")";
  if (error.kind == ErrorKind::kUnavailable && error.native > 0)
    std::cerr << ": " << ::strerror(static_cast<int>(error.native));
  std::cerr << "\n";
  return file_is_wrong ? kExitFile : kExitFailed;
}

Status save(operate::OperatorDirectory& folder, const CredentialBook& book) {
  return folder.replace(std::string(eab::kCredentialsFile), book.to_lines().view());
}

// Never one whose text begins with "-": clients' command lines take that for an option (certbot).
SecretBytes made_up_key() {
  for (;;) {
    SecretBytes key(random_bytes(limits::kEabKeyBytesMin));
    if (base64url_encode(key.view()).front() != '-') return key;
  }
}

std::optional<std::string> option_problem(const EabOptions& options, std::int64_t now_ms,
                                          Credential& out) {
  out.kid = options.kid.empty() ? "eab-" + random_id(kMadeUpKidBytes) : options.kid;
  if (options.key.empty()) {
    out.key = made_up_key();
  } else {
    const auto given = base64url_decode(options.key);
    if (!given) return "--key is base64url without padding";
    out.key = SecretBytes(*given);
  }
  out.created_ms = now_ms;
  out.profiles = options.profiles;
  if (options.quota >= 0) out.quota = static_cast<std::uint64_t>(options.quota);
  if (options.accounts > 0) out.accounts_max = static_cast<std::uint64_t>(options.accounts);
  out.on_excess = *eab::on_excess_from(options.on_excess);
  if (!options.recovers.empty()) out.recovers_account = options.recovers;
  if (!options.expires.empty()) {
    out.expires_ms = time_from(options.expires, now_ms);
    if (!out.expires_ms)
      return "--expires is a time like 2027-01-31T00:00:00Z, or so many days (30d) or hours (12h)";
    if (*out.expires_ms <= now_ms) return "--expires has passed already";
  }
  if (const auto checked = eab::check(out); !checked) return checked.error().what;
  return std::nullopt;
}

void print_new(const Credential& credential, bool as_json) {
  auto key = base64url_encode(credential.key.view());
  if (as_json) {
    json::Writer out;
    out.begin_object().member("kid", credential.kid).member("key", key).end_object();
    std::cout << out.take() << "\n";
  } else {
    std::cout
        << "kid  " << credential.kid << "\nkey  " << key
        << "\n\nGive both to the client (with certbot: --eab-kid and --eab-hmac-key). The key "
           "is not shown again.\n";
  }
  ::explicit_bzero(key.data(), key.size());
}

struct Listed {
  const Credential* credential;
  std::size_t accounts = 0;
  std::string_view state;  // live, expired, revoked
  bool by_excess = false;  // revoked by the appliance
};

Listed listed(const Credential& credential, const eab::Bindings& bindings, std::int64_t now_ms) {
  Listed out{&credential, bindings.accounts_of(credential.kid), "live",
             bindings.is_revoked(credential.kid)};
  if (credential.expires_ms && now_ms >= *credential.expires_ms) out.state = "expired";
  if (credential.revoked_ms || out.by_excess) out.state = "revoked";
  return out;
}

void print_line(const Listed& entry) {
  const auto& credential = *entry.credential;
  std::cout << credential.kid << "  " << entry.state
            << (entry.by_excess ? " (used by more accounts than allowed)" : "") << "  made "
            << utc_text(credential.created_ms);
  if (credential.expires_ms) std::cout << "  expires " << utc_text(*credential.expires_ms);
  std::cout << "  accounts " << entry.accounts << "/";
  if (credential.accounts_max) {
    std::cout << *credential.accounts_max << " then " << eab::to_string(credential.on_excess);
  } else {
    std::cout << "any";
  }
  std::cout << "  quota " << (credential.quota ? std::to_string(*credential.quota) : "none");
  std::cout << "  profiles";
  if (credential.profiles.empty()) std::cout << " all";
  for (const auto& profile : credential.profiles) std::cout << " " << profile;
  if (credential.recovers_account) std::cout << "  recovers " << *credential.recovers_account;
  std::cout << "\n";
}

void print_json(const Listed& entry, json::Writer& out) {
  const auto& credential = *entry.credential;
  out.begin_object().member("kid", credential.kid).member("state", entry.state);
  out.member_bool("revoked_for_excess", entry.by_excess);
  out.member("created", utc_text(credential.created_ms));
  if (credential.expires_ms) out.member("expires", utc_text(*credential.expires_ms));
  if (credential.revoked_ms) out.member("revoked", utc_text(*credential.revoked_ms));
  out.member_int("accounts", static_cast<std::int64_t>(entry.accounts));
  if (credential.accounts_max)
    out.member_int("accounts_max", static_cast<std::int64_t>(*credential.accounts_max));
  out.member("on_excess", eab::to_string(credential.on_excess));
  if (credential.quota) out.member_int("quota", static_cast<std::int64_t>(*credential.quota));
  out.key("profiles").begin_array();
  for (const auto& profile : credential.profiles) out.string(profile);
  out.end_array();
  if (credential.recovers_account) out.member("recovers_account", *credential.recovers_account);
  out.end_object();
}

}  // namespace

int add_credential(const EabOptions& options) {
  Credential credential;
  if (const auto problem = option_problem(options, system_clock().utc_ms(), credential))
    return fail_with(kExitUsage, *problem);
  auto folder = operate::OperatorDirectory::open(options.directory, std::string(eab::kFolder));
  if (!folder) return complain(options, folder.error());
  auto book = read_book(*folder);
  if (!book) return complain(options, book.error());
  const auto kid = credential.kid;
  if (const auto added = book->add(std::move(credential)); !added)
    return fail_with(kExitFailed, kid + ": " + added.error().what);
  if (const auto saved = save(*folder, *book); !saved) return complain(options, saved.error());
  print_new(*book->find(kid), options.json);
  return 0;
}

int list_credentials(const EabOptions& options) {
  const auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(eab::kFolder));
  if (!folder) return complain(options, folder.error());
  const auto book = read_book(*folder);
  if (!book) return complain(options, book.error());
  const auto record =
      folder->read(std::string(eab::kBindingsFile), limits::kEabBindingsFileBytesMax);
  if (!record) return complain(options, record.error());
  const auto bindings = eab::Bindings::parse(*record);
  if (!bindings) return complain(options, bindings.error());
  const auto now_ms = system_clock().utc_ms();
  json::Writer out;
  out.begin_object().key("credentials").begin_array();
  for (const auto& credential : book->all()) {
    const auto entry = listed(credential, *bindings, now_ms);
    if (!options.json) print_line(entry);
    print_json(entry, out);
  }
  out.end_array().end_object();
  if (options.json) std::cout << out.take() << "\n";
  if (!options.json && book->all().empty()) std::cout << "no credentials\n";
  return 0;
}

int revoke_credential(const EabOptions& options) {
  auto folder = operate::OperatorDirectory::open(options.directory, std::string(eab::kFolder));
  if (!folder) return complain(options, folder.error());
  auto book = read_book(*folder);
  if (!book) return complain(options, book.error());
  auto* credential = book->find(options.kid);
  if (credential == nullptr)
    return fail_with(kExitFailed, "no credential has the kid " + options.kid);
  if (!credential->revoked_ms) credential->revoked_ms = system_clock().utc_ms();
  if (const auto saved = save(*folder, *book); !saved) return complain(options, saved.error());
  std::cout << options.kid << " is revoked; its accounts get nothing more\n";
  return 0;
}

EabCommand::EabCommand(CLI::App& app)
    : command_(app.add_subcommand("eab", "Credentials of external account binding")),
      add_(command_->add_subcommand("add", "Make a credential; prints its kid and key, once")),
      list_(
          command_->add_subcommand("list", "Which there are, and how many accounts each admitted")),
      revoke_(command_->add_subcommand("revoke", "Revoke a credential and all of its accounts")) {
  command_->require_subcommand(1);
  auto& o = options_;
  for (auto* command : {add_, list_, revoke_}) {
    command
        ->add_option("directory", o.directory,
                     "The attestation task's own directory, e.g. .../state/attestation")
        ->required()
        ->check(CLI::ExistingDirectory);
  }
  for (auto* command : {add_, list_}) command->add_flag("--json", o.json, "For programs");
  revoke_->add_option("kid", o.kid, "The credential")->required();
  add_->add_option("--kid", o.kid, "Its name; else one is made up");
  add_->add_option("--profile", o.profiles, "Profiles its accounts may use; else all");
  add_->add_option("--quota", o.quota, "Certificates that its accounts may get, all together")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int32_t>::max() * 1L));
  add_->add_option("--expires", o.expires, "No new account after it: a time in UTC, 30d, 12h");
  add_->add_option("--accounts", o.accounts, "Accounts it may admit; 0: any number")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int32_t>::max() * 1L));
  add_->add_option("--on-excess", o.on_excess,
                   "One account more: refuse it, or revoke the credential with all accounts")
      ->capture_default_str()
      ->check(CLI::IsMember({"refuse", "revoke"}));
  add_->add_option("--key", options_.key,
                   "An HMAC key that the client has already, base64url (others on this machine see "
                   "the command line); else one is made up");
  add_->add_option("--recovers", o.recovers, "For the recovery of this account alone (its id)");
}

bool EabCommand::parsed() const { return command_->parsed(); }

int EabCommand::run() const {
  if (add_->parsed()) return add_credential(options_);
  if (list_->parsed()) return list_credentials(options_);
  return revoke_credential(options_);
}

}  // namespace keyward::ctl
