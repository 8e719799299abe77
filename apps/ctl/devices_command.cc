// Owns the words and the exit codes of `keywardctl devices`. Must not know the task.
#include "apps/ctl/devices_command.h"

#include <algorithm>
#include <iostream>

#include <CLI/CLI.hpp>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "firmware/identifier/identifier.h"
#include "firmware/inventory/device_csv.h"
#include "firmware/inventory/enrolments.h"
#include "firmware/json/json.h"
#include "firmware/operate/operator_file.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::ctl {
namespace {

using inventory::Device;
using inventory::DeviceBook;
using inventory::Enrolments;
using inventory::State;

constexpr int kExitFailed = 1, kExitFile = 78;
constexpr std::size_t kProgressEvery = 5'000;

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

int complain(const std::string& where, const Error& error) {
  std::cerr << "keywardctl: " << where << ": " << error.what;
  const bool file_is_wrong = error.kind == ErrorKind::kBadInput ||
                             error.kind == ErrorKind::kCorrupt || error.kind == ErrorKind::kRefused;
  if (file_is_wrong && error.native > 0) std::cerr << " (line " << error.native << ")";
  if (error.kind == ErrorKind::kUnavailable && error.native > 0)
    std::cerr << ": " << ::strerror(static_cast<int>(error.native));
  std::cerr << "\n";
  return file_is_wrong ? kExitFile : kExitFailed;
}
int complain(const DevicesOptions& options, const Error& error) {
  return complain(options.directory + "/" + std::string(inventory::kFolder), error);
}

int no_such_device(const std::string& id) {
  std::cerr << "keywardctl: no device has the id " << id << "\n";
  return kExitFailed;
}

Result<DeviceBook> read_book(const operate::OperatorDirectory& folder) {
  KEYWARD_TRY(bytes,
              folder.read(std::string(inventory::kDevicesFile), limits::kInventoryFileBytesMax));
  return DeviceBook::parse(bytes);
}

Result<Enrolments> read_enrolments(const operate::OperatorDirectory& folder) {
  KEYWARD_TRY(bytes, folder.read(std::string(inventory::kEnrolmentsFile),
                                 2 * limits::kEnrolmentsMax * limits::kEnrolmentBytesMax));
  return Enrolments::parse(bytes);
}

Status save(operate::OperatorDirectory& folder, const DeviceBook& book) {
  const auto lines = book.to_lines();
  if (lines.size() > limits::kInventoryFileBytesMax)
    return fail(ErrorKind::kExhausted, "the list would be larger than its limit");
  return folder.replace(std::string(inventory::kDevicesFile), lines);
}

// An expected device that proved itself is enrolled; the other states stand above that.
std::string_view shown_state(const Device& device, bool is_enrolled) {
  if (device.state == State::kExpected && is_enrolled) return "enrolled";
  return inventory::to_string(device.state);
}

void print_problems(const DevicesOptions& options,
                    const std::vector<inventory::CsvProblem>& problems) {
  for (const auto& problem : problems)
    std::cerr << options.file << ":" << problem.line << ": " << problem.text << "\n";
  std::cerr << "keywardctl: nothing was imported\n";
  if (!options.json) return;
  json::Writer out;
  out.begin_object().member_int("imported", 0).key("problems").begin_array();
  for (const auto& problem : problems)
    out.begin_object().member_int("line", problem.line).member("text", problem.text).end_object();
  out.end_array().end_object();
  std::cout << out.take() << "\n";
}

// Into the book as it would be, so that a clash with the list is found before anything is written.
std::vector<inventory::CsvProblem> merge(const inventory::CsvDevices& read, DeviceBook& book) {
  std::vector<inventory::CsvProblem> out;
  const bool shows_progress = ::isatty(STDERR_FILENO) == 1;
  std::size_t done = 0;
  for (const auto& [line, device] : read.devices) {
    if (const auto added = book.add(device); !added) {
      out.push_back({line, std::string("against the list: ") + added.error().what});
      if (out.size() >= inventory::kCsvProblemsMax) break;
    }
    if (shows_progress && ++done % kProgressEvery == 0)
      std::cerr << done << " of " << read.devices.size() << " devices\r";
  }
  return out;
}

int import_devices(const DevicesOptions& options) {
  const auto text = read_text_file(options.file, limits::kInventoryFileBytesMax);
  if (!text) return complain(options.file, text.error());
  const auto read = inventory::read_devices_csv(*text, system_clock().utc_ms());
  if (!read.problems.empty()) {
    print_problems(options, read.problems);
    return kExitFile;
  }
  auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(inventory::kFolder));
  if (!folder) return complain(options, folder.error());
  auto book = read_book(*folder);
  if (!book) return complain(options, book.error());
  if (const auto problems = merge(read, *book); !problems.empty()) {
    print_problems(options, problems);
    return kExitFile;
  }
  if (!options.dry_run) {
    if (const auto saved = save(*folder, *book); !saved) return complain(options, saved.error());
  }
  if (options.json) {
    json::Writer out;
    out.begin_object()
        .member_int("imported",
                    options.dry_run ? 0 : static_cast<std::int64_t>(read.devices.size()))
        .member_int("read", static_cast<std::int64_t>(read.devices.size()))
        .key("problems")
        .begin_array()
        .end_array()
        .end_object();
    std::cout << out.take() << "\n";
  } else {
    std::cout << read.devices.size() << " devices "
              << (options.dry_run ? "would be imported; nothing was changed\n" : "imported\n");
  }
  return 0;
}

template <class List, class Text>
void put_list(json::Writer& out, std::string_view name, const List& list, Text text) {
  out.key(name).begin_array();
  for (const auto& entry : list) out.string(text(entry));
  out.end_array();
}

std::string hex_of(const Digest256& digest) { return hex_encode(digest); }
std::string text_of_identifier(const wire::Identifier& identifier) {
  return std::string(identifier::to_string(identifier.type)) + ":" + identifier.value;
}
std::string text_of_root(const inventory::Root& root) { return inventory::to_string(root); }

void put_device(json::Writer& out, const Device& device,
                const std::vector<inventory::Enrolment>& enrolments) {
  out.begin_object().member("id", device.id);
  out.member("state", shown_state(device, !enrolments.empty()));
  put_list(out, "ek_sha256", device.ek_sha256, hex_of);
  put_list(out, "ak_sha256", device.ak_sha256, hex_of);
  put_list(out, "roots", device.roots, text_of_root);
  put_list(out, "identifiers", device.identifiers, text_of_identifier);
  out.member("owner", device.owner).member("note", device.note);
  out.member("created", utc_text(device.created_ms)).member("changed", utc_text(device.changed_ms));
  out.key("enrolments").begin_array();
  for (const auto& enrolment : enrolments) {
    out.begin_object().member("decision", inventory::to_string(enrolment.decision));
    out.member("at", utc_text(enrolment.at_ms));
    if (enrolment.ak_spki_sha256) out.member("ak_sha256", hex_encode(*enrolment.ak_spki_sha256));
    out.member("account_sha256", hex_encode(enrolment.account_sha256));
    out.member("evidence_sha256", hex_encode(enrolment.evidence_sha256)).end_object();
  }
  out.end_array().end_object();
}

void print_device(const Device& device, const std::vector<inventory::Enrolment>& enrolments) {
  std::cout << "id       " << device.id << "\nstate    " << shown_state(device, !enrolments.empty())
            << "\n";
  if (!device.owner.empty()) std::cout << "owner    " << device.owner << "\n";
  for (const auto& digest : device.ek_sha256) std::cout << "ek       " << hex_of(digest) << "\n";
  for (const auto& digest : device.ak_sha256) std::cout << "ak       " << hex_of(digest) << "\n";
  for (const auto& root : device.roots) std::cout << "root     " << text_of_root(root) << "\n";
  for (const auto& identifier : device.identifiers)
    std::cout << "named    " << text_of_identifier(identifier) << "\n";
  if (!device.note.empty()) std::cout << "note     " << device.note << "\n";
  std::cout << "made     " << utc_text(device.created_ms) << "\nchanged  "
            << utc_text(device.changed_ms) << "\n";
  for (const auto& enrolment : enrolments) {
    std::cout << "proved   " << utc_text(enrolment.at_ms) << "  "
              << inventory::to_string(enrolment.decision) << "  account "
              << hex_of(enrolment.account_sha256).substr(0, 16) << "  evidence "
              << hex_of(enrolment.evidence_sha256).substr(0, 16) << "\n";
  }
}

int show_devices(const DevicesOptions& options, bool one) {
  const auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(inventory::kFolder));
  if (!folder) return complain(options, folder.error());
  const auto book = read_book(*folder);
  if (!book) return complain(options, book.error());
  const auto record = read_enrolments(*folder);
  if (!record) return complain(options, record.error());
  if (one) {
    const auto* device = book->find(options.id);
    if (device == nullptr) return no_such_device(options.id);
    json::Writer out;
    put_device(out, *device, record->of_device(device->id));
    if (options.json) std::cout << out.take() << "\n";
    if (!options.json) print_device(*device, record->of_device(device->id));
    return 0;
  }
  std::map<std::string, std::vector<inventory::Enrolment>> enrolments;
  for (auto& enrolment : record->all()) enrolments[enrolment.device_id].push_back(enrolment);
  json::Writer out;
  out.begin_object().key("devices").begin_array();
  for (const auto& device : book->all()) {
    const auto& own = enrolments[device.id];
    const auto state = shown_state(device, !own.empty());
    if (!options.state.empty() && state != options.state) continue;
    if (options.json) put_device(out, device, own);
    if (!options.json)
      std::cout << device.id << "  " << state << "  " << (device.owner.empty() ? "-" : device.owner)
                << "\n";
  }
  out.end_array().end_object();
  if (options.json) std::cout << out.take() << "\n";
  if (!options.json && book->all().empty()) std::cout << "no devices\n";
  return 0;
}

int say(const DevicesOptions& options, std::string_view state) {
  if (options.json) {
    json::Writer out;
    out.begin_object().member("id", options.id).member("state", state).end_object();
    std::cout << out.take() << "\n";
  } else {
    std::cout << options.id << " is " << state << "\n";
  }
  return 0;
}

// `state` none: removed.
int change_device(const DevicesOptions& options, std::optional<State> state) {
  auto folder =
      operate::OperatorDirectory::open(options.directory, std::string(inventory::kFolder));
  if (!folder) return complain(options, folder.error());
  auto book = read_book(*folder);
  if (!book) return complain(options, book.error());
  const bool found = state ? book->set_state(options.id, *state, system_clock().utc_ms())
                           : book->remove(options.id);
  if (!found) return no_such_device(options.id);
  if (const auto saved = save(*folder, *book); !saved) return complain(options, saved.error());
  return say(options, state ? inventory::to_string(*state) : "removed");
}

}  // namespace

DevicesCommand::DevicesCommand(CLI::App& app)
    : command_(app.add_subcommand("devices", "The inventory of devices")),
      import_(command_->add_subcommand("import", "Take in devices from a CSV file, all or none")),
      list_(command_->add_subcommand("list", "Which there are, and in which state")),
      show_(command_->add_subcommand("show", "All about one, with what it proved")),
      expect_(command_->add_subcommand("expect", "It may prove itself (again)")),
      quarantine_(
          command_->add_subcommand("quarantine", "Nothing more for it until it is expected")),
      retire_(command_->add_subcommand("retire", "Nothing more for it")),
      remove_(command_->add_subcommand("remove", "Forget it: it is then unknown, not refused")) {
  command_->require_subcommand(1);
  auto& o = options_;
  for (auto* command : {import_, list_, show_, expect_, quarantine_, retire_, remove_}) {
    command
        ->add_option("directory", o.directory,
                     "The attestation task's own directory, e.g. .../state/attestation")
        ->required()
        ->check(CLI::ExistingDirectory);
    command->add_flag("--json", o.json, "For programs");
  }
  import_->add_option("file", o.file, "CSV with a header line (docs/inventory.md)")
      ->required()
      ->check(CLI::ExistingFile);
  import_->add_flag("--dry-run", o.dry_run, "Only say what would be done");
  list_->add_option("--state", o.state, "Only these")
      ->check(CLI::IsMember({"expected", "enrolled", "quarantined", "retired"}));
  for (auto* command : {show_, expect_, quarantine_, retire_, remove_})
    command->add_option("id", o.id, "The device")->required();
}

bool DevicesCommand::parsed() const { return command_->parsed(); }

int DevicesCommand::run() const {
  if (import_->parsed()) return import_devices(options_);
  if (list_->parsed()) return show_devices(options_, false);
  if (show_->parsed()) return show_devices(options_, true);
  if (expect_->parsed()) return change_device(options_, State::kExpected);
  if (quarantine_->parsed()) return change_device(options_, State::kQuarantined);
  if (retire_->parsed()) return change_device(options_, State::kRetired);
  return change_device(options_, std::nullopt);
}

}  // namespace keyward::ctl
