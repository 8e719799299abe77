// Owns a SoftHSMv2 token for a test. Must not know what is tested.
#include "tests/support/softhsm/softhsm.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "tests/support/command/command.h"

namespace keyward::test {
namespace {

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "SoftHsm: %s\n", what.c_str());
  std::abort();
}

}  // namespace

SoftHsm::SoftHsm(Kind kind, std::string label) : label_(std::move(label)) {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "keyward-softhsm-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) die("no temporary directory");
  directory_ = pattern;
  std::filesystem::create_directory(token_directory());
  const std::string conf =
      "directories.tokendir = " + token_directory() +
      "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n";
  write_file(conf_path(), view_of(conf));
  if (kind == Kind::kInitialized) add_token(label_);
}

SoftHsm::~SoftHsm() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string SoftHsm::module_path() {
  for (const char* path : {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"})
    if (std::filesystem::exists(path)) return path;
  die("libsofthsm2.so is not installed");
}

hal::Pkcs11Config SoftHsm::config() const {
  hal::Pkcs11Config config;
  config.module_path = module_path();
  config.token_label = label_;
  config.environment = {{"SOFTHSM2_CONF", conf_path()}};
  return config;
}

void SoftHsm::add_token(const std::string& label) const {
  const auto made =
      run_command({"env", "SOFTHSM2_CONF=" + conf_path(), "softhsm2-util", "--init-token", "--free",
                   "--label", label, "--pin", std::string(kPin), "--so-pin", std::string(kSoPin)});
  if (made.status != 0) die("softhsm2-util: " + made.output);
}

void SoftHsm::take_away() const {
  std::filesystem::rename(token_directory(), directory_ + "/away");
}

void SoftHsm::bring_back() const {
  std::filesystem::rename(directory_ + "/away", token_directory());
}

}  // namespace keyward::test
