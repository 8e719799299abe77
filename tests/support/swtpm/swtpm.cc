// A swtpm in a temporary directory: see swtpm.h.
#include "tests/support/swtpm/swtpm.h"

#include <cstdio>
#include <filesystem>

#include <stdlib.h>

namespace keyward::test {
namespace {

constexpr std::int64_t kStartMs = 20'000;  // a loaded machine; 16 ms on a quiet one

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "test TPM: %s (%lld)\n", error.what, static_cast<long long>(error.native));
  std::abort();
}

std::string temporary_directory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "keyward-tpm-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) give_up({ErrorKind::kUnavailable, "mkdtemp failed", 0});
  return pattern;
}

}  // namespace

Swtpm::Swtpm(Kind kind) : directory_(temporary_directory()), ca_dir_(directory_ + "/manufacturer") {
  begin(kind);
}

Swtpm::Swtpm(Kind kind, const std::string& ca_dir)
    : directory_(temporary_directory()), ca_dir_(ca_dir) {
  begin(kind);
}

std::unique_ptr<Swtpm> Swtpm::of_same_manufacturer(const Swtpm& manufacturer) {
  return std::unique_ptr<Swtpm>(new Swtpm(Kind::kManufactured, manufacturer.ca_dir_));
}

void Swtpm::begin(Kind kind) {
  if (kind == Kind::kManufactured) {
    const auto made =
        sim::manufacture_swtpm(directory_ + "/state", {ca_dir_, ""}, Deadline::after_ms(kStartMs));
    if (!made) give_up(made.error());
  }
  start();
}

Swtpm::~Swtpm() {
  process_.reset();
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

std::string Swtpm::tcti() const { return "swtpm:path=" + directory_ + "/tpm.sock"; }
std::string Swtpm::manufacturer_root_file() const {
  return ca_dir_ + "/swtpm-localca-rootca-cert.pem";
}
std::string Swtpm::manufacturer_issuer_file() const { return ca_dir_ + "/issuercert.pem"; }

void Swtpm::power_cut() {
  if (process_) process_->kill();
}

void Swtpm::stop() {
  if (process_) process_->stop(Deadline::after_ms(kStartMs));
}

void Swtpm::start() {
  sim::SwtpmSpec spec;
  spec.state_dir = directory_ + "/state";
  spec.socket_path = directory_ + "/tpm.sock";
  spec.log_path = directory_ + "/swtpm.log";
  auto started = sim::SwtpmProcess::start(spec, Deadline::after_ms(kStartMs));
  if (!started) give_up(started.error());
  process_ = std::make_unique<sim::SwtpmProcess>(std::move(*started));
}

}  // namespace keyward::test
