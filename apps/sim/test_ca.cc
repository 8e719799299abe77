#include "apps/sim/test_ca.h"

#include <iostream>

#include <stdlib.h>

#include "apps/sim/run_program.h"
#include "apps/sim/settings.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::simulator {
namespace {

constexpr std::size_t kFileBytesMax = 65'536;
constexpr const char* kUtil = "/usr/bin/softhsm2-util";

Status softhsm_util(const Places& places, std::vector<std::string> words) {
  words.insert(words.begin(), kUtil);
  const std::string log = places.run() + "/softhsm.log";
  const auto code = run_program(words, log);
  if (!code) return fail(code.error());
  if (*code == 0) return {};
  std::cerr << read_text_file(log, kFileBytesMax).value_or("");
  return fail(ErrorKind::kUnavailable, "softhsm2-util failed", *code);
}

Status copy_file(const std::string& from, const std::string& to) {
  KEYWARD_TRY(text, read_text_file(from, kFileBytesMax));
  return replace_file(to, view_of(text), 0644);
}

}  // namespace

Status adopt_test_ca(const Places& places, const std::string& folder) {
  for (const char* name : {"/root.pem", "/chain.pem", "/issuing.key"}) {
    if (!file_exists(folder + name))
      return fail(ErrorKind::kBadInput,
                  "a test CA's folder holds root.pem, chain.pem, issuing.key");
  }
  KEYWARD_CHECK(make_directories(places.root + "/ca", 0755));
  KEYWARD_CHECK(make_directories(places.root + "/offline", 0700));
  KEYWARD_CHECK(make_directories(places.state(), 0711));
  KEYWARD_CHECK(make_directories(places.tokens(), 0700));
  const std::string conf = places.signer_state() + "/softhsm2.conf";
  KEYWARD_CHECK(replace_file(conf,
                             view_of("directories.tokendir = " + places.tokens() +
                                     "\nobjectstore.backend = file\nlog.level = "
                                     "ERROR\nslots.removable = false\n"),
                             0600));
  const std::string so_pin = random_id(18), pin = random_id(18);
  KEYWARD_CHECK(replace_file(
      places.pins(),
      view_of("issuing_so_pin = \"" + so_pin + "\"\nissuing_pin = \"" + pin + "\"\n"), 0600));
  ::setenv("SOFTHSM2_CONF", conf.c_str(), 1);
  KEYWARD_CHECK(softhsm_util(places, {"--init-token", "--free", "--label", kTokenLabel, "--so-pin",
                                      so_pin, "--pin", pin}));
  KEYWARD_CHECK(softhsm_util(places, {"--import", folder + "/issuing.key", "--token", kTokenLabel,
                                      "--label", "issuing", "--id", "01", "--pin", pin}));
  ::unsetenv("SOFTHSM2_CONF");
  KEYWARD_CHECK(copy_file(folder + "/root.pem", places.root_certificate()));
  return copy_file(folder + "/chain.pem", places.issuer_chain());
}

}  // namespace keyward::simulator
