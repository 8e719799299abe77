#include "apps/ctl/operator_key.h"

#include <iostream>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "apps/ctl/order_key_source.h"
#include "firmware/crypto/encrypted_key.h"
#include "firmware/jose/jwk.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr int kExitFailed = 1, kExitUsage = 64, kExitFile = 78;
constexpr std::size_t kPemBytesMax = 16'384, kPassphraseBytesMax = 1'024, kPassphraseBytesMin = 8;

// Echo off while it lives.
class SilentTerminal {
 public:
  explicit SilentTerminal(int fd) : fd_(fd), known_(::tcgetattr(fd, &before_) == 0) {
    ::termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (known_) ::tcsetattr(fd_, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    if (known_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  int fd_;
  ::termios before_{};
  bool known_;
};

Result<std::string> ask(const std::string& prompt) {
  const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal)
    return fail(ErrorKind::kUnavailable,
                "no terminal to ask for the passphrase: --passphrase-file");
  const SilentTerminal silent(terminal.get());
  (void)!::write(terminal.get(), prompt.data(), prompt.size());
  std::string out;
  char c = 0;
  while (out.size() < kPassphraseBytesMax && ::read(terminal.get(), &c, 1) == 1 && c != '\n')
    out.push_back(c);
  (void)!::write(terminal.get(), "\n", 1);
  return out;
}

Result<std::string> passphrase_from(const std::string& path, const std::string& prompt) {
  if (path.empty()) return ask(prompt);
  KEYWARD_TRY(text, read_text_file(path, kPassphraseBytesMax));
  if (const auto end = text.find('\n'); end != std::string::npos) text.resize(end);
  return std::move(text);
}

int complain(const std::string& about, const Error& error) {
  std::cerr << "keywardctl: " << about << ": " << error.what;
  if (error.kind == ErrorKind::kUnavailable && error.native > 0)
    std::cerr << ": " << ::strerror(static_cast<int>(error.native));
  std::cerr << "\n";
  return error.kind == ErrorKind::kUnavailable ? kExitFailed : kExitFile;
}

// Never over a file that is there: it may be the only copy of another key.
Status write_new(const std::string& path, ByteView content) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail(ErrorKind::kUnavailable, "cannot make the file", errno);
  const bool whole =
      ::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size());
  if (!whole || ::fsync(fd.get()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot write the file", errno);
  return {};
}

}  // namespace

Result<crypto::PrivateKey> load_operator_key(const std::string& path,
                                             const std::string& passphrase_path) {
  const auto loaded = [&]() -> Result<crypto::PrivateKey> {
    KEYWARD_TRY(pem, read_text_file(path, kPemBytesMax));
    if (!crypto::is_encrypted_key(pem)) return crypto::PrivateKey::from_pem(pem);
    KEYWARD_TRY(passphrase, passphrase_from(passphrase_path, "Passphrase of " + path + ": "));
    auto plain = crypto::decrypt_key_pem(pem, passphrase);
    ::explicit_bzero(passphrase.data(), passphrase.size());
    if (!plain) return fail(plain.error());
    return crypto::PrivateKey::from_pem(text_of(plain->view()));
  };
  auto key = loaded();
  if (!key) (void)complain(path, key.error());
  return key;
}

OperatorKeyCommand::OperatorKeyCommand(CLI::App& app)
    : command_(app.add_subcommand("operator-key", "Keys that operators sign orders with")),
      new_(command_->add_subcommand("new", "Make one; prints the public half for the ceremony")),
      show_(command_->add_subcommand("show", "Print the public half of a key in a file or token")) {
  command_->require_subcommand(1);
  new_->add_option("file", path_, "File to make (PEM, PKCS#8)")->required();
  new_->add_option("--type", type_, "p256 or ed25519")
      ->capture_default_str()
      ->check(CLI::IsMember({"p256", "ed25519"}));
  auto* file = new_->add_option("--passphrase-file", passphrase_path_,
                                "Its first line is the passphrase; else it is asked for")
                   ->check(CLI::ExistingFile);
  auto* key = show_->add_option("--key", path_, "PEM file, may be encrypted");
  key->check(CLI::ExistingFile);
  show_->add_option("--pkcs11-uri", token_uri_, "A key in a token (RFC 7512)")->excludes(key);
  show_->add_option("--passphrase-file", passphrase_path_, "Its first line is the passphrase")
      ->check(CLI::ExistingFile);
  new_->add_flag("--no-passphrase", plain_, "Write the key without encryption")->excludes(file);
}

bool OperatorKeyCommand::parsed() const { return command_->parsed(); }

int OperatorKeyCommand::run_show() const {
  if (path_.empty() == token_uri_.empty()) {
    std::cerr << "keywardctl: --key FILE or --pkcs11-uri URI says which key\n";
    return kExitUsage;
  }
  const auto key = take_order_key({path_, passphrase_path_, token_uri_});
  if (!key) return kExitFile;
  const auto jwk = jose::Jwk::from_public_key(key->public_key);
  if (!jwk) return complain("operator-key", jwk.error());
  std::cout << jwk->canonical() << "\n";
  std::cerr << "kid " << jwk->thumbprint_text() << "\n";
  return 0;
}

int OperatorKeyCommand::run() const {
  if (show_->parsed()) return run_show();
  auto key = crypto::PrivateKey::generate(type_ == "ed25519" ? crypto::KeyKind::kEd25519
                                                             : crypto::KeyKind::kEcP256);
  if (!key) return complain("operator-key", key.error());
  auto pem = key->to_pem();
  if (!pem) return complain("operator-key", pem.error());
  if (!plain_) {
    auto passphrase = passphrase_from(passphrase_path_, "New passphrase: ");
    if (!passphrase) return complain("passphrase", passphrase.error());
    if (passphrase->size() < kPassphraseBytesMin) {
      std::cerr << "keywardctl: the passphrase must have at least 8 characters\n";
      return kExitUsage;
    }
    if (passphrase_path_.empty()) {
      const auto again = ask("Again: ");
      if (!again || *again != *passphrase) {
        std::cerr << "keywardctl: the two passphrases are not the same\n";
        return kExitUsage;
      }
    }
    pem = crypto::encrypt_key_pem(text_of(pem->view()), *passphrase);
    ::explicit_bzero(passphrase->data(), passphrase->size());
    if (!pem) return complain("operator-key", pem.error());
  }
  if (const auto written = write_new(path_, pem->view()); !written)
    return complain(path_, written.error());
  const auto jwk = jose::Jwk::from_public_key(key->public_key());
  if (!jwk) return complain("operator-key", jwk.error());
  std::cout << jwk->canonical() << "\n";
  std::cerr << path_ << ": made; kid " << jwk->thumbprint_text()
            << "\nGive the line above to the ceremony; keep the file yourself.\n";
  return 0;
}

}  // namespace keyward::ctl
