#include "apps/ctl/zeroise_command.h"

#include <filesystem>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "apps/ctl/in_child.h"
#include "apps/ctl/operator_key.h"
#include "apps/ctl/share_input.h"
#include "apps/ctl/unit_facts.h"
#include "board/destroy.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/crypto/crypto.h"
#include "firmware/operate/destruction.h"
#include "firmware/operate/order.h"
#include "firmware/zeroise/zeroise.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
using ceremony::utc_text;

constexpr int kExitFailed = 1, kExitFinding = 2, kExitUsage = 64, kExitFile = 78;
constexpr std::int64_t kTokenMs = 30'000;

int stop(int code, const std::string& what) {
  std::cerr << "keywardctl: " << what << "\n";
  return code;
}

struct Step {
  std::string id, words;
  bool done = false;
  std::string detail;
};

// Everything that one destruction goes through, in its order.
class Destruction {
 public:
  Destruction(const ZeroiseOptions& options, UnitPlaces places, UnitSettings settings)
      : options_(options), places_(std::move(places)), settings_(std::move(settings)) {}

  int run() {
    if (unit_runs(places_)) return stop(kExitUsage, "the unit runs: stop keyward-supervisor first");
    if (const int code = check_paths(); code != 0) return code;
    if (const int code = check_order(); code != 0) return code;
    if (const int code = load_key(); code != 0) return code;
    if (!confirmed()) return kExitUsage;
    if (!options_.keep_hsm_keys) {
      if (const int code = take_pins(); code != 0) return code;
      if (!seal_transcript() || !destroy_token_content()) return give_up();
    }
    const bool gone = destroy_files();
    const int kept = certify(gone);
    return gone ? kept : kExitFailed;
  }

 private:
  // A certificate below what is destroyed would be destroyed with it.
  int check_paths() const {
    if (options_.certificate.empty()) return 0;
    if (file_exists(options_.certificate))
      return stop(kExitUsage, options_.certificate + " is there already");
    const auto below = fs::absolute(options_.certificate).lexically_normal().string();
    if (below.starts_with(fs::path(places_.state_root).lexically_normal().string() + "/"))
      return stop(kExitUsage, "--certificate must lie outside " + places_.state_root);
    return 0;
  }

  // Where there are operators, two of them may be needed (dual_control); the unit obeys no other.
  int check_order() {
    if (places_.operators.empty()) return 0;
    const auto text = read_text_file(places_.operators, limits::kOperatorsBytesMax);
    const auto operators =
        text ? operate::Operators::parse(*text) : Result<operate::Operators>(fail(text.error()));
    if (!operators) return stop(kExitFile, places_.operators + ": " + operators.error().what);
    if (options_.order.empty())
      return stop(kExitFailed,
                  "this unit has operators: their order is needed (keywardctl order "
                  "sign zeroise … --out FILE, then --order FILE)");
    const auto jws = read_file(options_.order, limits::kOperatorOrderBytesMax);
    if (!jws) return stop(kExitFile, options_.order + ": " + jws.error().what);
    const auto verified = operate::verify_order(*jws, *operators);
    if (!verified)
      return stop(kExitFailed,
                  "the order is refused: " + verified.error().code + " " + verified.error().detail);
    const auto permitted = operate::permit(*verified, *operators, system_clock().utc_ms());
    if (!permitted)
      return stop(kExitFailed, "the order is refused: " + permitted.error().code + " " +
                                   permitted.error().detail);
    if (permitted->head().order != "zeroise")
      return stop(kExitFailed,
                  "this is an order to " + permitted->head().order + ", not to zeroise");
    for (const auto& by : permitted->signatories()) ordered_by_.push_back(by.name);
    order_sha256_ = hex_encode(crypto::sha256(*jws));
    return 0;
  }

  int load_key() {
    if (options_.key.empty()) return 0;
    auto key = load_operator_key(options_.key, options_.passphrase_file);
    if (!key) return kExitFile;
    key_ = std::move(*key);
    return 0;
  }

  bool confirmed() const {
    std::string typed = options_.yes_destroy;
    if (typed.empty() && ::isatty(STDIN_FILENO) == 1) {
      std::cerr << "Everything that makes this unit what it is will be destroyed"
                << (options_.keep_hsm_keys ? ", except the keys in the HSM" : "")
                << ". There is no way back but a backup.\nType the unit's name (" << places_.unit
                << ") to go on: ";
      std::getline(std::cin, typed);
    }
    if (typed == places_.unit && !typed.empty()) return true;
    stop(kExitUsage, "not confirmed, nothing was destroyed: --yes-destroy takes the unit's name, " +
                         places_.unit);
    return false;
  }

  int take_pins() {
    if (!options_.so_pin_file.empty()) {
      auto pin = read_secret_line(options_.so_pin_file, "");
      if (!pin) return stop(kExitFile, options_.so_pin_file + ": " + pin.error().what);
      so_pin_ = std::move(*pin);
    }
    if (!options_.pin_file.empty()) {
      auto pin = read_secret_line(options_.pin_file, "");
      if (!pin) return stop(kExitFile, options_.pin_file + ": " + pin.error().what);
      pin_ = std::move(*pin);
      return 0;
    }
    const auto unsealed = in_child([&]() -> Result<Bytes> {
      KEYWARD_TRY(tpm, board::make_tpm(places_.tcti));
      KEYWARD_TRY(sealed, board::make_sealed_pin(*tpm, {places_.sealed_pin, places_.pcrs}));
      KEYWARD_TRY(pin, sealed->unseal());
      return to_bytes(pin.view());
    });
    if (unsealed) pin_ = SecretBytes(*unsealed);
    if (pin_.empty() && so_pin_.empty())
      return stop(
          kExitFailed,
          std::string("the HSM's PIN is not to be had from the TPM (") + unsealed.error().what +
              "): --pin-file, --so-pin-file, or factory-reset, which leaves the HSM's keys; "
              "nothing was destroyed");
    return 0;
  }

  void show(Step step) {
    if (!options_.json)
      std::cout << (step.done ? "done    " : "FAILED  ") << step.words
                << (step.detail.empty() ? "" : ": " + step.detail) << std::endl;
    steps_.push_back(std::move(step));
  }

  // The last thing that the ledger's signer signs.
  bool seal_transcript() {
    if (options_.transcript.empty()) return true;
    const auto sealed = sealed_transcript();
    const auto kept =
        sealed ? replace_file(options_.transcript, view_of(*sealed), 0644) : fail(sealed.error());
    show({"transcript", "the ceremony's transcript says that its keys are to be destroyed",
          kept.has_value(), kept ? options_.transcript : kept.error().what});
    return kept.has_value();
  }
  Result<std::string> sealed_transcript() {
    KEYWARD_TRY(text, read_text_file(options_.transcript, ceremony::kTranscriptBytesMax));
    if (settings_.audit_key_label.empty() || pin_.empty())
      return fail(ErrorKind::kBadInput, "sealing needs signer.audit_key_label and the HSM's PIN");
    KEYWARD_TRY(chain, read_chain(places_.audit_certificate));
    const auto& key = chain.front().key;
    if (!key || key->kind() != crypto::KeyKind::kEcP256)
      return fail(ErrorKind::kBadInput, "the ledger's certificate has no P-256 key");
    const ceremony::Sealer sealer{
        {chain.front().der}, hal::KeyAlgorithm::kEcdsaP256, [&](ByteView message) {
          return in_child([&]() -> Result<Bytes> {
            KEYWARD_CHECK(take_user_of(places_.state_of("signer")));
            auto spec = settings_.token;
            spec.replicas.clear();
            KEYWARD_TRY(token, board::make_signing_token(spec));
            KEYWARD_CHECK(token->unlock(pin_.clone()));
            return token->sign(settings_.audit_key_label, message, Deadline::after_ms(kTokenMs),
                               hal::SignPriority::kUrgent);
          });
        }};
    std::string by;
    for (const auto& name : ordered_by_) by += (by.empty() ? "ordered by " : ", ") + name;
    ceremony::TranscriptStep step;
    step.id = "destruction";
    step.time = utc_text(system_clock().utc_ms());
    step.words = "Destroy the keys of unit " + places_.unit +
                 " in its token, its PIN, credentials and databases";
    step.note =
        by + (by.empty() ? "" : "; ") + "the certificate of destruction says what came of it";
    return ceremony::append_sealed_step(text, step, sealer);
  }

  // In a process of its own each, as the signer: one module, one life.
  Result<std::vector<board::DestroyedKey>> destroy_in(const board::TokenSpec& spec) const {
    std::vector<std::string> labels = {settings_.key_label};
    for (const auto& label :
         {settings_.audit_key_label, settings_.evidence_key_label, settings_.ocsp_key_label}) {
      if (!label.empty()) labels.push_back(label);
    }
    KEYWARD_TRY(text, in_child([&]() -> Result<Bytes> {
                  KEYWARD_CHECK(take_user_of(places_.state_of("signer")));
                  KEYWARD_TRY(keys, board::destroy_token_keys(spec, pin_, labels));
                  std::ostringstream out;
                  for (const auto& key : keys)
                    out << key.gone << ' ' << key.found << ' ' << key.destroyed << ' ' << key.label
                        << '\t' << key.why << '\n';
                  return to_bytes(out.str());
                }));
    std::vector<board::DestroyedKey> out;
    std::istringstream in{std::string(text_of(text))};
    board::DestroyedKey key;
    while (in >> key.gone >> key.found >> key.destroyed && in.get() == ' ' &&
           std::getline(in, key.label, '\t') && std::getline(in, key.why))
      out.push_back(key);
    return out;
  }

  bool destroy_keys_of(const board::TokenSpec& spec) {
    const auto keys = destroy_in(spec);
    if (!keys) {
      show({"hsm-login", "token " + spec.token_label, false, keys.error().what});
      return false;
    }
    bool all = true;
    for (const auto& key : *keys) {
      all = all && key.gone;
      show({"hsm-key", "key " + key.label + " of token " + spec.token_label, key.gone,
            key.gone ? std::to_string(key.destroyed) + " objects destroyed, none is left"
                     : key.why});
    }
    return all;
  }

  bool destroy_one_token(const board::TokenSpec& spec) {
    if (so_pin_.empty()) return destroy_keys_of(spec);
    // The erasure takes all at once, or nothing: no key is destroyed before it.
    const auto erased = in_child([&]() -> Result<Bytes> {
      KEYWARD_CHECK(take_user_of(places_.state_of("signer")));
      KEYWARD_CHECK(board::erase_token(spec, so_pin_));
      return to_bytes("gone");
    });
    show({"hsm-token", "token " + spec.token_label + " erased", erased.has_value(),
          erased ? "no object and no PIN of a user is in it" : erased.error().what});
    return erased.has_value();
  }

  bool destroy_token_content() {
    auto spec = settings_.token;
    const auto replicas = std::move(spec.replicas);
    spec.replicas.clear();
    bool all = destroy_one_token(spec);
    for (const auto& replica : replicas) {
      spec.module_path = replica.module_path;
      spec.token_label = replica.token_label;
      all = destroy_one_token(spec) && all;
    }
    return all;
  }

  int give_up() const {
    return stop(
        kExitFailed,
        "the HSM still holds what was to be destroyed: the unit's files, its sealed PIN among "
        "them, were left as they are, so that it can be tried again. --so-pin-file erases the "
        "token; factory-reset destroys the files alone");
  }

  bool destroy_files() {
    zeroise::Order order;
    order.state_root = places_.state_root;
    order.also = places_.zeroise_also;
    order.also.push_back(places_.sealed_pin);
    order.also.insert(order.also.end(), options_.also.begin(), options_.also.end());
    order.ledger = options_.ledger;
    order.cause = options_.keep_hsm_keys ? "keywardctl factory-reset" : "keywardctl zeroise";
    order.utc_ms = system_clock().utc_ms();
    const auto report = zeroise::destroy(order);
    if (!report) {
      show({"files", "files of " + places_.state_root, false, report.error().what});
      return false;
    }
    bool gone = report->failed.empty();
    show({"files", "files overwritten and removed", gone,
          std::to_string(report->files) + " files, " + std::to_string(report->octets) + " octets"});
    for (const auto& path : report->failed) show({"file", path, false, "could not be destroyed"});
    const std::pair<const char*, std::string> kLooked[] = {
        {"sealed PIN", places_.sealed_pin},
        {"EAB credentials", places_.state_of("attestation") + "/eab"},
        {"database", places_.state_of("store") + "/keyward.db"},
        {"ticket key", places_.state_of("signer") + "/ticket.key"}};
    for (const auto& [what, path] : kLooked) {
      const bool away = !fs::exists(fs::symlink_status(path));
      show({"looked-for", what, away, away ? "is not there any more" : path + " is still there"});
      gone = gone && away;
    }
    for (const auto& path : options_.also) {
      const bool away = !fs::exists(fs::symlink_status(path));
      show({"looked-for", path, away, away ? "is not there any more" : "is still there"});
      gone = gone && away;
    }
    kept_ = report->kept;
    return gone;
  }

  std::string payload(bool gone) const {
    json::Writer out;
    out.begin_object().member_int("version", 1).member("kind", "keyward-destruction");
    out.member("unit", places_.unit).member("time", utc_text(system_clock().utc_ms()));
    out.member_bool("everything_gone", gone).member_bool("hsm_keys", !options_.keep_hsm_keys);
    if (const auto chain = read_chain(places_.issuer_chain))
      out.member("issuing_ca_sha256", hex_encode(crypto::sha256(chain->front().der)));
    if (!order_sha256_.empty()) {
      out.member("order_sha256", order_sha256_).key("ordered_by").begin_array();
      for (const auto& name : ordered_by_) out.string(name);
      out.end_array();
    }
    out.key("steps").begin_array();
    for (const auto& step : steps_)
      out.begin_object()
          .member("step", step.id)
          .member("what", step.words)
          .member_bool("done", step.done)
          .member("detail", step.detail)
          .end_object();
    out.end_array().key("kept").begin_array();
    for (const auto& path : kept_) out.string(path);
    return out.end_array().end_object().take();
  }

  int certify(bool gone) {
    const auto text = payload(gone);
    const auto certificate =
        key_ ? operate::sign_destruction(*key_, text) : Result<std::string>(std::string(text));
    if (!options_.certificate.empty()) {
      const auto kept = certificate
                            ? replace_file(options_.certificate, view_of(*certificate + "\n"), 0644)
                            : fail(certificate.error());
      if (!kept) return stop(kExitFailed, options_.certificate + ": " + kept.error().what);
    }
    if (options_.json) {
      std::cout << text << "\n";
    } else {
      for (const auto& path : kept_) std::cout << "kept    " << path << "\n";
      std::cout << (gone ? "everything is gone" : "SOMETHING IS LEFT, see above") << "\n";
      if (!options_.certificate.empty())
        std::cout << "certificate of destruction: " << options_.certificate
                  << (key_ ? "" : " (NOT SIGNED: no --key was given)") << "\n";
    }
    return 0;
  }

  const ZeroiseOptions& options_;
  UnitPlaces places_;
  UnitSettings settings_;
  SecretBytes pin_, so_pin_;
  std::optional<crypto::PrivateKey> key_;
  std::vector<std::string> ordered_by_, kept_;
  std::string order_sha256_;
  std::vector<Step> steps_;
};

int verify_certificate(const ZeroiseOptions& options) {
  const auto text = read_text_file(options.certificate, operate::kDestructionBytesMax);
  if (!text) return stop(kExitFile, options.certificate + ": " + text.error().what);
  const auto file = read_text_file(options.operators, limits::kOperatorsBytesMax);
  const auto operators =
      file ? operate::Operators::parse(*file) : Result<operate::Operators>(fail(file.error()));
  if (!operators) return stop(kExitFile, options.operators + ": " + operators.error().what);
  const auto verified = operate::verify_destruction(*text, *operators);
  if (!verified) return stop(kExitFinding, options.certificate + ": " + verified.error().what);
  if (!options.json) std::cout << "signed by " << verified->operator_name << ":\n";
  std::cout << verified->payload << "\n";
  return 0;
}

void add_common(CLI::App* command, ZeroiseOptions& options) {
  command->add_option("installation", options.installation, "Installation file (keyward.toml)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--yes-destroy", options.yes_destroy,
                      "The unit's name; else it is asked for");
  command
      ->add_option("--order", options.order,
                   "The operators' signed order, where there are operators")
      ->check(CLI::ExistingFile);
  command->add_option(
      "--also", options.also,
      "A file or folder elsewhere that goes too (a recovery slot, a TLS key); repeatable");
  command->add_flag("--ledger", options.ledger, "The ledger, its heads and lists go too");
  command->add_option("--certificate", options.certificate,
                      "Write the certificate of destruction here");
  command->add_option("--key", options.key, "The operator's key that signs it")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--passphrase-file", options.passphrase_file, "Of --key; else it is asked for")
      ->check(CLI::ExistingFile);
  command->add_flag("--json", options.json, "For programs");
}

}  // namespace

ZeroiseCommand::ZeroiseCommand(CLI::App& app) {
  zeroise_ =
      app.add_subcommand("zeroise", "Destroy the unit's keys, PIN, credentials and databases");
  reset_ = app.add_subcommand("factory-reset", "Destroy the unit's state and leave the HSM's keys");
  destruction_ = app.add_subcommand("destruction", "Certificates of destruction");
  destruction_->require_subcommand(1);
  verify_ = destruction_->add_subcommand("verify", "Who signed it, and what it says");
  add_common(zeroise_, options_);
  add_common(reset_, options_);
  zeroise_->add_option("--pin-file", options_.pin_file, "The HSM's PIN; else the TPM gives it")
      ->check(CLI::ExistingFile);
  zeroise_
      ->add_option("--so-pin-file", options_.so_pin_file,
                   "The security officer's PIN: the token is erased as a whole")
      ->check(CLI::ExistingFile);
  zeroise_
      ->add_option("--transcript", options_.transcript,
                   "The ceremony's transcript gets a sealed step")
      ->check(CLI::ExistingFile);
  verify_->add_option("certificate", options_.certificate, "The certificate")
      ->required()
      ->check(CLI::ExistingFile);
  verify_->add_option("--operators", options_.operators, "The operators file")
      ->required()
      ->check(CLI::ExistingFile);
  verify_->add_flag("--json", options_.json, "For programs");
}

bool ZeroiseCommand::parsed() const {
  return zeroise_->parsed() || reset_->parsed() || destruction_->parsed();
}

int ZeroiseCommand::run() const {
  if (destruction_->parsed()) return verify_certificate(options_);
  auto options = options_;
  options.keep_hsm_keys = reset_->parsed();
  auto places = read_unit_places(options.installation);
  if (!places) return kExitFile;
  auto settings = read_unit_settings(options.installation);
  if (!settings) return kExitFile;
  return Destruction(options, std::move(*places), std::move(*settings)).run();
}

}  // namespace keyward::ctl
