#include "apps/ctl/backup_command.h"

#include <filesystem>
#include <iostream>

#include <CLI/CLI.hpp>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/ctl/share_input.h"
#include "apps/ctl/unit_parts.h"
#include "apps/ctl/unit_places.h"
#include "firmware/issue/ledger_reader.h"
#include "firmware/json/json.h"
#include "firmware/store/snapshot.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
constexpr int kExitFailed = 1, kExitBroken = 2, kExitUsage = 64, kExitFile = 78;
constexpr std::size_t kPemBytesMax = 8'192;

int complain(const std::string& about, const Error& error) {
  std::cerr << "keywardctl: " << about << ": " << error.what;
  if (error.kind == ErrorKind::kUnavailable && error.native > 0)
    std::cerr << ": " << ::strerror(static_cast<int>(error.native));
  std::cerr << "\n";
  if (error.kind == ErrorKind::kBadInput) return kExitFile;
  return error.kind == ErrorKind::kCorrupt || error.kind == ErrorKind::kRefused ? kExitBroken
                                                                                : kExitFailed;
}

// "-----BEGIN PUBLIC KEY-----": base64 of a SubjectPublicKeyInfo.
std::string public_pem(const crypto::PublicKey& key) {
  std::string body = base64_encode(key.spki_der()), out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t at = 0; at < body.size(); at += 64) out += body.substr(at, 64) + "\n";
  return out + "-----END PUBLIC KEY-----\n";
}
Result<crypto::PublicKey> read_public_pem(const std::string& path) {
  KEYWARD_TRY(text, read_text_file(path, kPemBytesMax));
  const std::string begin = "-----BEGIN PUBLIC KEY-----", end = "-----END PUBLIC KEY-----";
  const auto from = text.find(begin), to = text.find(end);
  if (from == std::string::npos || to == std::string::npos || to < from)
    return fail(ErrorKind::kBadInput, "no PEM of a public key");
  std::string body;
  for (const char c : text.substr(from + begin.size(), to - from - begin.size())) {
    if (c == '\n' || c == '\r' || c == '=') continue;
    body += c == '+' ? '-' : c == '/' ? '_' : c;  // as base64url
  }
  KEYWARD_TRY(der, base64url_decode(body));
  return crypto::PublicKey::from_spki(der);
}

// A folder that goes with its content.
class Scratch {
 public:
  explicit Scratch(std::string path) : path_(std::move(path)) {
    ok_ = ::mkdir(path_.c_str(), 0700) == 0;
  }
  ~Scratch() {
    std::error_code error;
    if (ok_) fs::remove_all(path_, error);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  bool ok() const { return ok_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool ok_ = false;
};

Result<crypto::PrivateKey> private_key(const BackupOptions& options) {
  if (!options.key_file.empty()) {
    KEYWARD_TRY(pem, read_file(options.key_file, kPemBytesMax));
    const SecretBytes wiped{ByteView(pem)};
    std::ranges::fill(pem, std::uint8_t{0});
    return crypto::PrivateKey::from_pem(text_of(wiped.view()));
  }
  KEYWARD_TRY(secret, gather_secret(options.share_files, "", "the backup key"));
  return crypto::PrivateKey::from_pem(text_of(secret.view()));
}

// Everything but the database, which is a copy of one moment.
Status write_parts(backup::Writer& writer, const UnitPlaces& places, const BackupOptions& options,
                   const std::string& scratch) {
  const std::string database = places.state_of("store") + "/keyward.db";
  if (file_exists(database)) {
    KEYWARD_CHECK(store::snapshot_database(database, scratch + "/keyward.db"));
    KEYWARD_CHECK(store::check_database(scratch + "/keyward.db"));
    KEYWARD_CHECK(writer.add_file("state/store/keyward.db", scratch + "/keyward.db"));
  }
  for (const auto& part : parts_of(places, options.include, options.tokens)) {
    const auto added = writer.add_file(part.name, part.path);
    // A file of a running unit may go at any time; the ledger's never do.
    const bool may_go = !part.name.starts_with("state/signer/ledger/");
    if (!added && added.error().native == ENOENT && may_go) continue;
    KEYWARD_CHECK(added);
  }
  return writer.finish();
}

void say_header(const backup::Header& header, json::Writer& out) {
  out.member("id", header.id).member("unit", header.unit);
  out.member_int("created_utc_ms", header.created_utc_ms).key("recipients").begin_array();
  for (const auto& recipient : header.recipients) out.string(recipient);
  out.end_array();
}

// The restored state before it is taken: the database and the ledger whole.
Status check_unpacked(const std::string& folder, std::uint64_t& rows) {
  const std::string database = folder + "/state/store/keyward.db";
  if (file_exists(database)) KEYWARD_CHECK(store::check_database(database));
  const std::string ledger = folder + "/state/signer/ledger";
  if (!fs::exists(ledger)) return {};
  KEYWARD_TRY(summary,
              issue::read_ledger(ledger, [](const auto&, const auto&) { return Status(); }));
  rows = summary.rows;
  return {};
}

// What the unit's folders may hold before a restore: nothing but what a first start leaves.
bool is_fresh(const UnitPlaces& places) {
  std::error_code error;
  const auto ledger = places.state_of("signer") + "/ledger";
  return !fs::exists(ledger) || fs::is_empty(ledger, error);
}

Status move_into(const std::string& from, const std::string& to) {
  std::error_code error;
  KEYWARD_CHECK(make_directories(to, 0711));
  for (const auto& entry : fs::directory_iterator(from, error)) {
    const std::string target = to + "/" + entry.path().filename().string();
    if (entry.is_directory()) {
      KEYWARD_CHECK(make_directories(target, 0700));
      KEYWARD_CHECK(move_into(entry.path(), target));
      continue;
    }
    fs::rename(entry.path(), target, error);
    if (error)
      return fail(ErrorKind::kUnavailable, "a restored file cannot be placed", error.value());
  }
  if (error)
    return fail(ErrorKind::kUnavailable, "the unpacked folder cannot be read", error.value());
  return sync_directory(to);
}

// Over what is there: a new unit may have certificates of its own.
Status place_files(const std::string& from, const std::string& to) {
  if (!fs::exists(from)) return {};
  KEYWARD_CHECK(make_directories(to, 0755));
  for (const auto& entry : fs::directory_iterator(from)) {
    KEYWARD_TRY(octets, read_file(entry.path(), 1U << 20));
    KEYWARD_CHECK(replace_file(to + "/" + entry.path().filename().string(), octets, 0644));
  }
  return {};
}

}  // namespace

int BackupCommand::run_key() const {
  const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  if (!key) return complain("no key", key.error());
  const auto pem = key->to_pem();
  if (!pem) return complain("no key", pem.error());
  const auto made = shares::split(pem->view(), options_.threshold, options_.custodians);
  if (!made) {
    complain("no shares", made.error());
    return kExitUsage;
  }
  const std::string path = options_.out + "/backup-key.pem";
  if (file_exists(path)) {
    std::cerr << "keywardctl: " << path << " is there already\n";
    return kExitFailed;
  }
  if (const auto kept = write_shares(options_.out, *made); !kept)
    return complain(options_.out, kept.error());
  if (const auto kept = replace_file(path, view_of(public_pem(key->public_key())), 0644); !kept)
    return complain(path, kept.error());
  std::cout << path << " (public) and " << made->size() << " shares of the private key, "
            << options_.threshold << " of which open a backup; the key itself was not kept.\n";
  return 0;
}

int BackupCommand::run_create() const {
  const auto places = read_unit_places(options_.installation);
  if (!places) return complain(options_.installation, places.error());
  std::vector<crypto::PublicKey> recipients;
  for (const auto& path : options_.recipients) {
    auto key = read_public_pem(path);
    if (!key) return complain(path, key.error());
    recipients.push_back(std::move(*key));
  }
  const Scratch scratch(options_.file + ".work");
  const std::string fresh = options_.file + ".new";
  if (!scratch.ok() || file_exists(options_.file)) {
    std::cerr << "keywardctl: " << options_.file << " or its .work folder is there already\n";
    return kExitFailed;
  }
  UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return complain(fresh, {ErrorKind::kUnavailable, "cannot write", errno});
  const backup::Header header{
      hex_encode(random_bytes(16)), places->unit, system_clock().utc_ms(), {}};
  auto writer = backup::Writer::begin(std::move(fd), header, recipients);
  if (!writer) return complain(options_.file, writer.error());
  if (const auto done = write_parts(*writer, *places, options_, scratch.path()); !done) {
    ::unlink(fresh.c_str());
    return complain(options_.file, done.error());
  }
  if (::rename(fresh.c_str(), options_.file.c_str()) != 0)
    return complain(options_.file, {ErrorKind::kUnavailable, "cannot be placed", errno});
  static_cast<void>(sync_directory(fs::absolute(options_.file).parent_path().string()));
  if (options_.json) {
    json::Writer out;
    out.begin_object().member("file", options_.file).member("id", header.id);
    out.member_int("parts", writer->parts()).end_object();
    std::cout << out.take() << "\n";
  } else {
    std::cout << "backup " << header.id << " of " << header.unit << ": " << writer->parts()
              << " parts in " << options_.file << "\n";
  }
  return 0;
}

int BackupCommand::run_show() const {
  const auto header = backup::read_header(options_.file);
  if (!header) return complain(options_.file, header.error());
  json::Writer out;
  out.begin_object();
  say_header(*header, out);
  out.end_object();
  std::cout << out.take() << "\n";
  return 0;
}

int BackupCommand::run_verify() const {
  const auto key = private_key(options_);
  if (!key) return complain("no key", key.error());
  std::vector<std::pair<std::string, std::uint64_t>> seen;
  const auto opened = backup::read_backup(options_.file, *key, look_only(seen));
  if (!opened) return complain(options_.file, opened.error());
  if (options_.json) {
    json::Writer out;
    out.begin_object();
    say_header(opened->header, out);
    out.key("parts").begin_array();
    for (const auto& [name, size] : seen)
      out.begin_object()
          .member("name", name)
          .member_int("size", static_cast<std::int64_t>(size))
          .end_object();
    out.end_array().end_object();
    std::cout << out.take() << "\n";
    return 0;
  }
  for (const auto& [name, size] : seen) std::cout << size << "\t" << name << "\n";
  std::cout << "whole: " << opened->parts << " parts, " << opened->octets << " octets, unit "
            << opened->header.unit << "\n";
  return 0;
}

int BackupCommand::run_restore() const {
  const auto places = read_unit_places(options_.installation);
  if (!places) return complain(options_.installation, places.error());
  if (unit_runs(*places)) {
    std::cerr << "keywardctl: the appliance runs: stop it first\n";
    return kExitUsage;
  }
  if (!is_fresh(*places)) {
    std::cerr << "keywardctl: " << places->state_of("signer")
              << " has a ledger: a restore goes onto a new or a zeroised unit whose ledger was "
                 "exported and removed\n";
    return kExitFailed;
  }
  const auto key = private_key(options_);
  if (!key) return complain("no key", key.error());
  if (const auto made = make_directories(places->state_root, 0711); !made)
    return complain(places->state_root, made.error());
  const Scratch scratch(places->state_root + "/.restore");
  if (!scratch.ok()) {
    std::cerr << "keywardctl: " << scratch.path() << " is there already: remove it\n";
    return kExitFailed;
  }
  const auto opened = backup::read_backup(options_.file, *key, unpack_into(scratch.path()));
  if (!opened) return complain(options_.file, opened.error());
  std::uint64_t rows = 0;
  if (const auto whole = check_unpacked(scratch.path(), rows); !whole)
    return complain("what the backup holds", whole.error());
  const auto certificates = options_.certificates.empty()
                                ? fs::path(places->issuer_chain).parent_path().string()
                                : options_.certificates;
  for (const auto& [from, to] : {std::pair{"/certificates", certificates},
                                 std::pair{"/included", certificates + "/included"}}) {
    if (const auto placed = place_files(scratch.path() + from, to); !placed)
      return complain(to, placed.error());
  }
  if (const auto moved = move_into(scratch.path() + "/state", places->state_root); !moved)
    return complain(places->state_root, moved.error());
  for (const char* task : {"signer", "platform"})
    ::unlink((places->state_of(task) + "/zeroised").c_str());
  std::cout
      << "restored: backup " << opened->header.id << " of " << opened->header.unit << ", "
      << opened->parts << " parts, ledger of " << rows << " rows\n"
      << "Next: keywardctl unlock --offline (the PIN of this unit's HSM), start the appliance, "
         "then keywardctl audit accept-rollback: what was issued after the backup is unknown "
         "here (docs/operations/backup.md)\n";
  return 0;
}

BackupCommand::BackupCommand(CLI::App& app) {
  backup_ = app.add_subcommand("backup", "Encrypted copies of a unit's state");
  backup_->require_subcommand(1);
  key_ = backup_->add_subcommand("key", "Make a backup key whose private half exists as shares");
  key_->add_option("--threshold", options_.threshold, "So many shares open a backup")->required();
  key_->add_option("--custodian", options_.custodians, "A custodian's name; repeatable")
      ->required();
  key_->add_option("--out", options_.out, "Folder for the public key and the shares")->required();
  create_ = backup_->add_subcommand("create", "Of a running or a stopped unit");
  create_->add_option("installation", options_.installation, "Installation file")
      ->required()
      ->check(CLI::ExistingFile);
  create_->add_option("--out", options_.file, "The backup")->required();
  create_->add_option("--to", options_.recipients, "Public key (PEM, P-256); repeatable")
      ->required()
      ->check(CLI::ExistingFile);
  create_->add_option("--include", options_.include, "A further file, e.g. the recovery slot")
      ->check(CLI::ExistingFile);
  create_->add_flag("--tokens", options_.tokens,
                    "SoftHSM's token folder too: the keys themselves (simulator)");
  show_ = backup_->add_subcommand("show", "What stands outside the encryption");
  verify_ = backup_->add_subcommand("verify", "Read all of it with the key");
  for (auto* command : {show_, verify_})
    command->add_option("file", options_.file, "The backup")->required()->check(CLI::ExistingFile);
  restore_ = app.add_subcommand("restore", "Put a backup onto a new unit");
  restore_->add_option("file", options_.file, "The backup")->required()->check(CLI::ExistingFile);
  restore_->add_option("installation", options_.installation, "Installation file of the new unit")
      ->required()
      ->check(CLI::ExistingFile);
  restore_->add_option("--certificates", options_.certificates,
                       "Folder for the CA's certificates (default: that of issuer_chain)");
  for (auto* command : {verify_, restore_}) {
    command->add_option("--key", options_.key_file, "Private key (PEM) of a recipient")
        ->check(CLI::ExistingFile);
    command->add_option("--share", options_.share_files,
                        "A file with one share; repeatable. Missing ones are asked for");
  }
  for (auto* command : {create_, verify_})
    command->add_flag("--json", options_.json, "For programs");
}

bool BackupCommand::parsed() const { return backup_->parsed() || restore_->parsed(); }

int BackupCommand::run() const {
  if (restore_->parsed()) return run_restore();
  if (key_->parsed()) return run_key();
  if (create_->parsed()) return run_create();
  return show_->parsed() ? run_show() : run_verify();
}

}  // namespace keyward::ctl
