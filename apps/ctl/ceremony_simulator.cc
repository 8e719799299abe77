#include "apps/ctl/ceremony_simulator.h"

#include <filesystem>
#include <iostream>

#include <sys/stat.h>
#include <unistd.h>

#include "apps/ctl/in_child.h"
#include "board/compose.h"
#include "firmware/ceremony/ceremony.h"
#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
constexpr int kExitConfig = 78;
constexpr std::string_view kRootToken = "keyward-root";
constexpr std::string_view kIssuingToken = "keyward-issuing";

// Where the simulator keeps what. offline/ is its make-believe safe: in a real ceremony the root's
// token and all PINs leave the building's network with their custodians.
struct Places {
  explicit Places(const std::string& dir) : root(dir) {}
  std::string root;
  std::string ca(const char* name) const { return root + "/ca/" + name; }
  std::string offline() const { return root + "/offline"; }
  std::string signer() const { return root + "/state/signer"; }
};

struct TokenPlace {
  std::string dir;  // holds softhsm2.conf and tokens/
  std::string label;
  std::string so_pin;
  std::string user_pin;
};

class Ceremony {
 public:
  Ceremony(ceremony::Plan plan, const CeremonyOptions& options)
      : plan_(std::move(plan)),
        options_(options),
        places_(fs::absolute(options.dir).lexically_normal().string()),
        now_ms_(system_clock().utc_ms()) {}

  Status run() {
    KEYWARD_CHECK(refuse_to_overwrite());
    KEYWARD_CHECK(make_places());
    KEYWARD_CHECK(make_token(root_token_, "root"));
    KEYWARD_CHECK(make_token(issuing_token_, "issuing CA"));
    KEYWARD_TRY(root_der, make_root());
    KEYWARD_TRY(issuing_spki, make_issuing_key());
    KEYWARD_TRY(issuing_der, certify_issuing(root_der, issuing_spki));
    KEYWARD_CHECK(ceremony::lint_hierarchy(plan_, root_der, issuing_der, now_ms_));
    say("lint",
        "both certificates read back: signatures, path, validity, CA rights, name constraints");
    KEYWARD_CHECK(make_audit(root_der));
    KEYWARD_CHECK(make_responder(issuing_der));
    return write_files(root_der, issuing_der);
  }

 private:
  void say(std::string_view step, const std::string& what) const {
    std::cout << "ceremony: " << step << ": " << what << std::endl;
  }

  Status refuse_to_overwrite() const {
    for (const auto& path : {places_.ca("root.pem"), places_.ca("chain.pem"), places_.offline(),
                             places_.signer() + "/tokens"}) {
      if (!file_exists(path)) continue;
      std::cerr << "keywardctl: " << path
                << " exists: a ceremony never overwrites keys or certificates\n";
      return fail(ErrorKind::kRefused, "there was a ceremony in this folder already");
    }
    return {};
  }

  Status make_places() {
    KEYWARD_CHECK(make_directories(places_.root, 0711));
    KEYWARD_CHECK(make_directories(places_.root + "/ca", 0755));
    KEYWARD_CHECK(make_directories(places_.root + "/state", 0711));
    KEYWARD_CHECK(make_directories(places_.signer(), 0700));
    KEYWARD_CHECK(make_directories(places_.offline(), 0700));
    root_token_ = {places_.offline(), std::string(kRootToken), random_id(18), random_id(18)};
    issuing_token_ = {places_.signer(), std::string(kIssuingToken), random_id(18), random_id(18)};
    // Before the tokens: a token whose PIN nobody knows is lost.
    const std::string text =
        "# The simulator's make-believe safe. A real ceremony hands each PIN to its custodian.\n"
        "root_so_pin = \"" +
        root_token_.so_pin + "\"\nroot_pin = \"" + root_token_.user_pin +
        "\"\nissuing_so_pin = \"" + issuing_token_.so_pin + "\"\nissuing_pin = \"" +
        issuing_token_.user_pin + "\"\n";
    KEYWARD_CHECK(replace_file(places_.offline() + "/pins.toml", view_of(text), 0600));
    say("folder", places_.root);
    return {};
  }

  board::TokenSpec spec_of(const TokenPlace& place) const {
    board::TokenSpec spec;
    spec.module_path = options_.module_path;
    spec.token_label = place.label;
    spec.environment = {{"SOFTHSM2_CONF", place.dir + "/softhsm2.conf"}};
    spec.sessions_max = 1;
    return spec;
  }

  Status make_token(const TokenPlace& place, std::string_view whose) {
    KEYWARD_CHECK(make_directories(place.dir + "/tokens", 0700));
    const std::string conf =
        "directories.tokendir = " + place.dir +
        "/tokens\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n";
    KEYWARD_CHECK(replace_file(place.dir + "/softhsm2.conf", view_of(conf), 0600));
    const auto made = in_child([&]() -> Result<Bytes> {
      KEYWARD_CHECK(board::initialize_signing_token(spec_of(place),
                                                    SecretBytes(view_of(place.so_pin)),
                                                    SecretBytes(view_of(place.user_pin))));
      return Bytes();
    });
    if (!made) return fail(made.error());
    say("token", std::string(whose) + ": '" + place.label + "' in " + place.dir);
    return {};
  }

  // One step with an open, unlocked token, in a process of its own.
  Result<Bytes> with_token(const TokenPlace& place,
                           const std::function<Result<Bytes>(hal::SigningToken&)>& step) const {
    return in_child([&]() -> Result<Bytes> {
      KEYWARD_TRY(token, board::make_signing_token(spec_of(place)));
      KEYWARD_CHECK(token->unlock(SecretBytes(view_of(place.user_pin))));
      const auto deadline = Deadline::after_ms(20'000);
      while (token->status().state != hal::TokenState::kReady &&
             token->status().state != hal::TokenState::kLocked) {
        if (deadline.passed())
          return fail(ErrorKind::kUnavailable, "the token did not become ready");
        ::usleep(5'000);
      }
      return step(*token);
    });
  }

  Result<Bytes> make_root() const {
    auto der = with_token(root_token_, [&](hal::SigningToken& token) -> Result<Bytes> {
      const auto key = ceremony::make_key(token, plan_.root);
      if (!key) return fail(key.error());
      return ceremony::make_root(token, plan_.root, now_ms_);
    });
    if (der)
      say("root",
          describe(plan_.root) + ", made and self-signed in its token; the key cannot leave it");
    return der;
  }

  Result<Bytes> make_issuing_key() const {
    auto spki = with_token(issuing_token_, [&](hal::SigningToken& token) -> Result<Bytes> {
      const auto key = ceremony::make_key(token, plan_.issuing);
      if (!key) return fail(key.error());
      if (!plan_.evidence_key_label.empty())
        KEYWARD_CHECK(token.generate_agreement_key(plan_.evidence_key_label));
      return key->spki_der;
    });
    if (spki && !plan_.evidence_key_label.empty())
      say("evidence key", "made in the issuing CA's token; it agrees and cannot sign");
    if (spki) say("issuing key", "made in its token; the key cannot leave it");
    return spki;
  }

  Result<Bytes> certify_issuing(ByteView root_der, ByteView spki) const {
    auto der = with_token(root_token_, [&](hal::SigningToken& token) {
      return ceremony::make_issuing(token, plan_, root_der, spki, now_ms_);
    });
    if (der) say("issuing CA", describe(plan_.issuing) + ", signed by the root");
    return der;
  }

  // In the issuing token: it signs what the signer writes, and the root says so.
  Status make_audit(ByteView root_der) const {
    const auto& label = plan_.audit.key_label;
    if (label.empty()) return {};
    ceremony::CaPlan key_plan;
    key_plan.key_label = label;
    KEYWARD_TRY(spki, with_token(issuing_token_, [&](hal::SigningToken& token) -> Result<Bytes> {
                  KEYWARD_TRY(key, ceremony::make_key(token, key_plan));
                  return key.spki_der;
                }));
    KEYWARD_TRY(der, with_token(root_token_, [&](hal::SigningToken& token) {
                  return ceremony::make_audit(token, plan_, root_der, spki, now_ms_);
                }));
    KEYWARD_CHECK(ceremony::lint_audit(plan_, root_der, der, now_ms_));
    const std::string pem = x509::to_pem("CERTIFICATE", der);
    KEYWARD_CHECK(replace_file(places_.ca("audit.pem"), view_of(pem), 0644));
    say("audit key", "made in the issuing CA's token; '" + plan_.audit.common_name +
                         "', signed by the root for the heads of the ledger alone");
    return {};
  }

  // In the issuing token: it answers for the certificates of that CA alone.
  Status make_responder(ByteView issuing_der) const {
    if (plan_.ocsp.key_label.empty()) return {};
    ceremony::CaPlan key_plan;
    key_plan.key_label = plan_.ocsp.key_label;
    KEYWARD_TRY(der, with_token(issuing_token_, [&](hal::SigningToken& token) -> Result<Bytes> {
                  KEYWARD_TRY(key, ceremony::make_key(token, key_plan));
                  return ceremony::make_ocsp(token, plan_, issuing_der, key.spki_der, now_ms_);
                }));
    const std::string pem = x509::to_pem("CERTIFICATE", der);
    KEYWARD_CHECK(replace_file(places_.ca("ocsp.pem"), view_of(pem), 0644));
    say("OCSP responder", "key made in the issuing CA's token; '" + plan_.ocsp.common_name +
                              "', signed by the issuing CA for OCSP alone");
    return {};
  }

  static std::string describe(const ceremony::CaPlan& plan) {
    std::string out = "'" + plan.common_name + "', " + std::string(hal::to_string(plan.algorithm)) +
                      ", " + std::to_string(plan.lifetime_days) + " days";
    if (plan.path_length) out += ", path length " + std::to_string(*plan.path_length);
    for (std::size_t i = 0; i < plan.permitted_dns.size(); ++i)
      out += (i == 0 ? ", names below " : " ") + plan.permitted_dns[i];
    return out;
  }

  // chain.pem last: it says that the ceremony is complete.
  Status write_files(ByteView root_der, ByteView issuing_der) const {
    const std::string root = x509::to_pem("CERTIFICATE", root_der);
    const std::string issuing = x509::to_pem("CERTIFICATE", issuing_der);
    KEYWARD_CHECK(replace_file(places_.ca("root.pem"), view_of(root), 0644));
    KEYWARD_CHECK(replace_file(places_.ca("issuing.pem"), view_of(issuing), 0644));
    KEYWARD_CHECK(replace_file(places_.ca("chain.pem"), view_of(issuing + root), 0644));
    say("root fingerprint", "SHA-256 " + hex_encode(crypto::sha256(root_der)));
    say("files", places_.root + "/ca: root.pem issuing.pem chain.pem");
    return {};
  }

  ceremony::Plan plan_;
  CeremonyOptions options_;
  Places places_;
  std::int64_t now_ms_;
  TokenPlace root_token_;
  TokenPlace issuing_token_;
};

}  // namespace

int run_ceremony(const CeremonyOptions& options) {
  auto loaded = ceremony::load_plan(options.plan_path);
  for (const auto& problem : loaded.problems) std::cerr << "keywardctl: " << problem << "\n";
  if (!loaded.problems.empty()) return kExitConfig;
  ::umask(022);
  const auto done = Ceremony(std::move(loaded.plan), options).run();
  if (done) return 0;
  std::cerr << "keywardctl: the ceremony failed: " << done.error().what << " ("
            << to_string(done.error().kind) << ", " << done.error().native << ")\n";
  return 1;
}

}  // namespace keyward::ctl
