// Owns the tokens of a ceremony. Must not know what is done with them.
#include "apps/ctl/ceremony_tokens.h"

#include <filesystem>
#include <iostream>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "apps/ctl/in_child.h"
#include "firmware/config/config.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"
#include "hal/base/unique_fd.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
using ceremony::PinSource;
using ceremony::TokenPlan;

constexpr std::size_t kEnvironmentMax = 16;
constexpr std::size_t kPinFileBytesMax = 1'024;
constexpr std::size_t kMadeUpPinBytes = 18;  // 144 bits, 24 characters
constexpr std::int64_t kReadyMs = 60'000;    // an HSM over a network logs in slowly

// One line; the end of line is no part of it.
Result<SecretBytes> read_pin_file(const std::string& path) {
  auto text = read_file(path, kPinFileBytesMax);
  if (!text) return fail(ErrorKind::kBadInput, "a PIN file cannot be read");
  SecretBytes whole{ByteView(*text)};
  std::fill(text->begin(), text->end(), std::uint8_t{0});
  auto line = whole.view();
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
    line = line.first(line.size() - 1);
  if (line.empty()) return fail(ErrorKind::kBadInput, "a PIN file is empty");
  return SecretBytes(line);
}

std::string pin_file_name(const TokenPlan& token) { return "handover/pin-" + token.name + ".txt"; }
std::string so_pin_file_name(const TokenPlan& token) {
  return "handover/so-pin-" + token.name + ".txt";
}

Status make_softhsm_folder(const TokenBoard& board) {
  const std::string conf = board.folder + "/softhsm2.conf";
  KEYWARD_CHECK(make_directories(board.folder + "/tokens", 0700));
  if (file_exists(conf)) return {};
  const std::string text = "directories.tokendir = " + board.folder +
                           "/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
                           "slots.removable = false\n";
  return replace_file(conf, view_of(text), 0600);
}

}  // namespace

Result<SecretBytes> read_pin_from_terminal(const std::string& question) {
  const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal)
    return fail(ErrorKind::kUnavailable, "a PIN is asked for, and there is no terminal");
  ::termios before{};
  if (::tcgetattr(terminal.get(), &before) != 0)
    return fail(ErrorKind::kUnavailable, "a PIN is asked for, and there is no terminal");
  ::termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  (void)!::write(terminal.get(), question.data(), question.size());
  ::tcsetattr(terminal.get(), TCSAFLUSH, &silent);
  SecretBytes buffer(std::size_t{512});
  const ssize_t got = ::read(terminal.get(), buffer.data(), buffer.size());
  ::tcsetattr(terminal.get(), TCSAFLUSH, &before);
  (void)!::write(terminal.get(), "\n", 1);
  auto line = buffer.view().first(got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
    line = line.first(line.size() - 1);
  if (line.empty()) return fail(ErrorKind::kBadInput, "no PIN was typed");
  return SecretBytes(line);
}

std::string CeremonyTokens::beside_plan(const std::string& path) const {
  return fs::path(path).is_absolute() ? path : plan_folder_ + "/" + path;
}

std::string CeremonyTokens::load_board(const TokenPlan& token) {
  const std::string path = beside_plan(token.board);
  auto document = config::Document::load(path);
  auto root = document.root();
  TokenBoard out;
  out.folder = fs::path(token.folder).is_absolute() ? token.folder : out_ + "/" + token.folder;
  root.integer("format", 1, 1);
  auto section = root.table("pkcs11");
  out.spec.module_path = section.string("module");
  out.spec.token_label = token.label;
  out.spec.sessions_max =
      static_cast<int>(section.integer_or("sessions_max", 1, limits::kTokenSessionsMax, 1));
  out.spec.session_open_stagger_ms =
      static_cast<int>(section.integer_or("session_open_stagger_ms", 0, 60'000, 0));
  out.spec.recover_by_finalize = section.boolean_or("recover_by_finalize", true);
  out.spec.in_process = section.boolean_or("in_process", false);
  // Over processes and runs: a PIN that was refused is never sent again.
  out.spec.refused_pins_path = out_ + "/tokens/refused-pins-" + token.name;
  out.softhsm_folder = root.boolean_or("softhsm.make_folder", false);
  std::string wrong;
  for (auto line : section.strings_or_empty("environment", kEnvironmentMax)) {
    if (const auto at = line.find("{folder}"); at != std::string::npos)
      line.replace(at, 8, out.folder);
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0)
      wrong = path + ": 'pkcs11.environment' must hold NAME=VALUE";
    else
      out.spec.environment.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  const auto problems = document.finish();
  if (!problems.empty()) return problems.front();
  if (!wrong.empty()) return wrong;
  if (!file_exists(out.spec.module_path))
    return path + ": 'pkcs11.module' names no file: " + out.spec.module_path;
  boards_[token.name] = std::move(out);
  return {};
}

std::vector<std::string> CeremonyTokens::load() {
  std::vector<std::string> problems;
  for (const auto& token : plan_.tokens) {
    if (auto problem = load_board(token); !problem.empty()) problems.push_back(std::move(problem));
  }
  return problems;
}

const SecretBytes* CeremonyTokens::pin(const std::string& token) const {
  const auto at = pins_.find(token);
  return at == pins_.end() ? nullptr : &at->second;
}

Status CeremonyTokens::gather_pins() {
  for (const auto& token : plan_.tokens) {
    if (token.pin == PinSource::kFile) {
      KEYWARD_TRY(pin, read_pin_file(beside_plan(token.pin_file)));
      pins_[token.name] = std::move(pin);
    } else if (token.pin == PinSource::kPrompt) {
      KEYWARD_TRY(
          pin, read_pin_from_terminal("PIN of token '" + token.name + "' (" + token.label + "): "));
      pins_[token.name] = std::move(pin);
    } else if (file_exists(out_ + "/" + pin_file_name(token))) {
      KEYWARD_TRY(pin, read_pin_file(out_ + "/" + pin_file_name(token)));
      pins_[token.name] = std::move(pin);
    }
  }
  return {};
}

Result<std::vector<std::string>> CeremonyTokens::initialize(const TokenPlan& token) {
  const auto& board = board_of(token.name);
  std::vector<std::string> files;
  KEYWARD_CHECK(make_directories(out_ + "/handover", 0700));
  const auto keep = [&](const std::string& name, const SecretBytes& pin) -> Status {
    if (!file_exists(out_ + "/" + name)) {
      SecretBytes line(pin.size() + 1);
      std::copy(pin.view().begin(), pin.view().end(), line.data());
      line.data()[pin.size()] = '\n';
      KEYWARD_CHECK(replace_file(out_ + "/" + name, line.view(), 0600));
    }
    files.push_back(name);
    return {};
  };
  SecretBytes so_pin;
  if (!token.so_pin_file.empty()) {
    KEYWARD_TRY(read, read_pin_file(beside_plan(token.so_pin_file)));
    so_pin = std::move(read);
  } else if (const auto path = out_ + "/" + so_pin_file_name(token); file_exists(path)) {
    KEYWARD_TRY(read, read_pin_file(path));  // of a run that was stopped
    so_pin = std::move(read);
  } else {
    so_pin = SecretBytes(view_of(random_id(kMadeUpPinBytes)));
  }
  if (token.so_pin_file.empty()) KEYWARD_CHECK(keep(so_pin_file_name(token), so_pin));
  if (token.pin == PinSource::kMadeUp) {
    if (!pins_.contains(token.name))
      pins_[token.name] = SecretBytes(view_of(random_id(kMadeUpPinBytes)));
    KEYWARD_CHECK(keep(pin_file_name(token), pins_[token.name]));
  }
  if (board.softhsm_folder) KEYWARD_CHECK(make_softhsm_folder(board));
  const auto made = in_child([&]() -> Result<Bytes> {
    KEYWARD_CHECK(board::initialize_signing_token(board.spec, so_pin, pins_[token.name]));
    return Bytes();
  });
  if (!made) return fail(made.error());
  return files;
}

Result<Bytes> CeremonyTokens::with(const std::string& token, const Step& step) const {
  const auto* secret = pin(token);
  if (secret == nullptr)
    return fail(ErrorKind::kUnavailable,
                "its made-up PIN was carried away: put the sheet back into handover/ for this run");
  return in_child([&]() -> Result<Bytes> {
    KEYWARD_TRY(open, board::make_signing_token(board_of(token).spec));
    KEYWARD_CHECK(open->unlock(secret->clone()));
    const auto deadline = Deadline::after_ms(kReadyMs);
    while (true) {
      const auto state = open->status().state;
      if (state == hal::TokenState::kReady) break;
      if (state == hal::TokenState::kLocked)
        return fail(ErrorKind::kRefused, "the token refused the PIN: it is not tried again");
      if (deadline.passed()) return fail(ErrorKind::kUnavailable, "the token did not become ready");
      ::usleep(5'000);
    }
    return step(*open);
  });
}

}  // namespace keyward::ctl
