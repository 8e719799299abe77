#include "apps/ctl/order_command.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <thread>

#include <CLI/CLI.hpp>

#include "apps/ctl/order_key_source.h"
#include "firmware/audit/notary.h"
#include "firmware/operate/operator_file.h"
#include "firmware/operate/order.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::ctl {
namespace {

constexpr int kExitFailed = 1, kExitUsage = 64, kExitFile = 78;
constexpr auto kPoll = std::chrono::milliseconds(200);

int fail_with(int code, const std::string& what) {
  std::cerr << "keywardctl: " << what << "\n";
  return code;
}

// RFC 5280 §5.3.1, those that the signer takes.
constexpr std::array<std::pair<std::string_view, int>, 6> kReasonCodes{{{"unspecified", 0},
                                                                        {"keyCompromise", 1},
                                                                        {"affiliationChanged", 3},
                                                                        {"superseded", 4},
                                                                        {"cessationOfOperation", 5},
                                                                        {"privilegeWithdrawn", 9}}};
std::optional<int> reason_code_from(std::string_view text) {
  for (const auto& [name, code] : kReasonCodes) {
    if (text == name || text == std::to_string(code)) return code;
  }
  return std::nullopt;
}

// "30m", "12h", "7d".
std::optional<std::int64_t> lifetime_ms(const std::string& text) {
  if (text.size() < 2 || text.size() > 6) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  const char unit = text.back();
  if (unit != 'm' && unit != 'h' && unit != 'd') return std::nullopt;
  const std::int64_t ms = value * (unit == 'm' ? 60'000 : unit == 'h' ? 3'600'000 : 86'400'000);
  if (ms <= 0 || ms > limits::kOperatorOrderLifeMs) return std::nullopt;
  return ms;
}

// What is to be signed, as JSON members; or what is missing.
struct Arguments {
  std::string json;
  std::string problem;
};

std::string inner(std::string object) { return object.substr(1, object.size() - 2); }

Arguments revoke_arguments(const OrderOptions& o) {
  if (o.serials.empty()) return {"", "--serial is missing"};
  json::Writer out;
  out.begin_object().key("serials").begin_array();
  for (std::string serial : o.serials) {
    std::erase(serial, ':');
    const auto octets = hex_decode(serial);
    if (!octets || octets->empty()) return {"", "--serial is not hexadecimal: " + serial};
    out.string(hex_encode(*octets));
  }
  out.end_array();
  if (!o.reason_code.empty()) {
    const auto code = reason_code_from(o.reason_code);
    if (!code)
      return {"",
              "--reason-code is one of unspecified, keyCompromise, affiliationChanged, superseded, "
              "cessationOfOperation, privilegeWithdrawn"};
    out.member_int("reason_code", *code);
  }
  return {inner(out.end_object().take()), ""};
}

Arguments rekey_arguments(const OrderOptions& o) {
  if (o.thumbprint.empty() || o.jwk.empty())
    return {"", "--thumbprint (the key until now) and --jwk FILE (the new one) are needed"};
  const auto text = read_text_file(o.jwk, limits::kJwkBytesMax);
  if (!text) return {"", o.jwk + ": " + text.error().what};
  const auto document = json::Document::parse(*text, limits::kJwkBytesMax);
  const auto jwk =
      document ? jose::Jwk::from_json(document->root()) : Result<jose::Jwk>(fail(document.error()));
  if (!jwk) return {"", o.jwk + ": " + jwk.error().what};
  json::Writer out;
  out.begin_object().member("thumbprint", o.thumbprint).key("jwk").raw(jwk->canonical());
  if (!o.account.empty()) out.member("account", o.account);
  return {inner(out.end_object().take()), ""};
}

Arguments one_argument(std::string_view name, const std::string& value, std::string_view option) {
  if (value.empty()) return {"", std::string(option) + " is missing"};
  json::Writer out;
  return {inner(out.begin_object().member(name, value).end_object().take()), ""};
}

// What the signer found, word for word.
Arguments accept_arguments(const OrderOptions& o) {
  if (o.refused.empty() || o.reason.empty())
    return {"", "--refused STATE/audit/refused.json and --reason are needed"};
  const auto text = read_text_file(o.refused, 4'096);
  const auto found =
      text ? audit::parse_acceptance(*text) : Result<audit::Acceptance>(fail(text.error()));
  if (!found) return {"", o.refused + ": " + found.error().what};
  json::Writer out;
  out.begin_object().member("code", found->code);
  out.member_int("rows_found", static_cast<std::int64_t>(found->rows_found));
  if (found->counter_found)
    out.member_int("counter_found", static_cast<std::int64_t>(*found->counter_found));
  return {inner(out.end_object().take()), ""};
}

Arguments arguments_of(const OrderOptions& o) {
  if (o.order == "accept-rollback") return accept_arguments(o);
  if (o.order == "revoke") return revoke_arguments(o);
  if (o.order == "account-rekey") return rekey_arguments(o);
  if (o.order == "account-revoke") return one_argument("thumbprint", o.thumbprint, "--thumbprint");
  if (o.order == "policy-approve") return one_argument("policy", o.policy, "--policy");
  if (o.order == "eab-revoke") return one_argument("kid", o.kid, "--kid");
  return {};
}

Result<operate::Operators> load_operators(const std::string& path) {
  KEYWARD_TRY(text, read_text_file(path, limits::kOperatorsBytesMax));
  return operate::Operators::parse(text);
}

int put(const std::string& text, const std::string& path) {
  if (path.empty()) {
    std::cout << text << "\n";
    return 0;
  }
  const auto written = replace_file(path, view_of(text + "\n"), 0644);
  if (!written) return fail_with(kExitFailed, path + ": " + written.error().what);
  std::cerr << path << ": written\n";
  return 0;
}

// Before a signature: what it will stand for.
void say(const operate::OrderHead& head, const std::string& payload, std::ostream& out) {
  out << "order    " << head.order << "\nunit     " << head.unit << "\nid       "
      << hex_encode(head.id) << "\nissued   " << operate::time_text(head.issued_ms) << "\nexpires  "
      << operate::time_text(head.expires_ms) << "\n";
  if (!head.reason.empty()) out << "reason   " << head.reason << "\n";
  out << "payload  " << payload << "\n";
}

// The signed order in `out`, or an exit code.
int make(const OrderOptions& o, std::string& out) {
  if (operate::rule_of(o.order) == nullptr) {
    std::string all;
    for (const auto& rule : operate::kOrderRules) all += " " + std::string(rule.order);
    return fail_with(kExitUsage, "there is no order " + o.order + "; there are:" + all);
  }
  operate::OrderHead head;
  head.order = o.order;
  head.unit = o.unit;
  if (!o.operators.empty()) {
    const auto operators = load_operators(o.operators);
    if (!operators) return fail_with(kExitFile, o.operators + ": " + operators.error().what);
    head.unit = operators->unit();
  }
  if (head.unit.empty())
    return fail_with(kExitUsage, "--unit ID or --operators FILE says which unit is meant");
  const auto life_ms = lifetime_ms(o.lifetime);
  if (!life_ms) return fail_with(kExitUsage, "--expires-in is a number with m, h or d, at most 7d");
  const auto arguments = arguments_of(o);
  if (!arguments.problem.empty()) return fail_with(kExitUsage, arguments.problem);
  random_fill(head.id);
  head.reason = o.reason;
  head.issued_ms = system_clock().utc_ms() / 1'000 * 1'000;
  head.expires_ms = head.issued_ms + *life_ms;
  const std::string payload = operate::order_payload(head, arguments.json);
  say(head, payload, std::cerr);
  const auto key = take_order_key({o.key, o.passphrase_file, o.token_uri});
  if (!key) return kExitFile;
  auto jws = operate::sign_order(*key, payload);
  if (!jws)
    return fail_with(jws.error().kind == ErrorKind::kUnavailable ? kExitFailed : kExitFile,
                     (o.key.empty() ? o.token_uri : o.key) + ": " + jws.error().what);
  out = std::move(*jws);
  return 0;
}

// Before anything is made or shown.
int check_key(const OrderOptions& o) {
  if (o.key.empty() != o.token_uri.empty()) return 0;
  return fail_with(kExitUsage, "--key FILE or --pkcs11-uri URI says which key signs");
}

int run_sign(const OrderOptions& o) {
  if (const int code = check_key(o); code != 0) return code;
  std::string jws;
  if (const int code = make(o, jws); code != 0) return code;
  return put(jws, o.out);
}

int run_cosign(const OrderOptions& o) {
  if (const int code = check_key(o); code != 0) return code;
  const auto text = read_text_file(o.file, limits::kOperatorOrderBytesMax);
  if (!text) return fail_with(kExitFile, o.file + ": " + text.error().what);
  const auto shown = operate::show_order(view_of(*text));
  if (!shown) return fail_with(kExitFile, o.file + ": " + shown.error().detail);
  say(*shown->head, shown->payload, std::cerr);
  const auto key = take_order_key({o.key, o.passphrase_file, o.token_uri});
  if (!key) return kExitFile;
  const auto jws = operate::cosign_order(*key, *text);
  if (!jws) return fail_with(kExitFile, o.file + ": " + jws.error().what);
  return put(*jws, o.out.empty() ? o.file : o.out);
}

// With the operators file: judged as the signer would, now.
std::string judgement(const OrderOptions& o, ByteView jws) {
  if (o.operators.empty()) return "not verified (--operators FILE)";
  const auto operators = load_operators(o.operators);
  if (!operators) return std::string("not verified: operators file: ") + operators.error().what;
  const auto verified = operate::verify_order(jws, *operators);
  if (!verified) return "REFUSED: " + verified.error().code + ": " + verified.error().detail;
  const auto permitted = operate::permit(*verified, *operators, system_clock().utc_ms());
  if (!permitted) return "REFUSED: " + permitted.error().code + ": " + permitted.error().detail;
  std::string names;
  for (const auto& signatory : permitted->signatories())
    names += (names.empty() ? "" : ", ") + signatory.name;
  return "good: signed by " + names;
}

int run_show(const OrderOptions& o) {
  const auto text = read_text_file(o.file, limits::kOperatorOrderBytesMax);
  if (!text) return fail_with(kExitFile, o.file + ": " + text.error().what);
  const auto shown = operate::show_order(view_of(*text));
  if (!shown) return fail_with(kExitFile, o.file + ": " + shown.error().detail);
  const auto verdict = judgement(o, view_of(*text));
  const bool refused = verdict.starts_with("REFUSED");
  if (o.json) {
    json::Writer out;
    out.begin_object().key("payload").raw(shown->payload).key("kids").begin_array();
    for (const auto& kid : shown->kids) out.string(kid);
    std::cout << out.end_array().member("verdict", verdict).end_object().take() << "\n";
    return refused ? kExitFailed : 0;
  }
  say(*shown->head, shown->payload, std::cout);
  for (const auto& kid : shown->kids) std::cout << "kid      " << kid << "\n";
  std::cout << verdict << "\n";
  return refused ? kExitFailed : 0;
}

Result<std::string> wait_for(const OrderOptions& o, const std::string& name) {
  const auto deadline = Deadline::after_ms(o.wait_s * 1'000);
  while (!deadline.passed()) {
    {
      KEYWARD_TRY(done, operate::OperatorDirectory::open(o.state + "/orders", "done"));
      KEYWARD_TRY(answer, done.read(name, limits::kOperatorAnswerBytesMax + 2));
      if (!answer.empty()) return std::string(text_of(answer));
    }
    std::this_thread::sleep_for(kPoll);
  }
  return fail(ErrorKind::kUnavailable, "no answer in time; the order stays in the inbox");
}

int print(const OrderOptions& o, const std::string& answer) {
  const auto document = json::Document::parse(answer);
  if (!document) return fail_with(kExitFailed, "the answer is not readable");
  const auto root = document->root();
  const bool done = root.get("done").boolean();
  if (o.json) {
    std::cout << answer;
    return done ? 0 : kExitFailed;
  }
  if (!done)
    return fail_with(kExitFailed, "refused: " + std::string(root.get("detail").string()) + " (" +
                                      std::string(root.get("code").string()) + ")");
  std::cout << root.get("order").string() << ": done; ledger row " << root.get("row").integer()
            << "\n";
  if (root.get("revoked").exists())
    std::cout << root.get("revoked").integer() << " certificates revoked, "
              << root.get("already_revoked").items().size() << " were revoked before\n";
  return 0;
}

int deliver(const OrderOptions& o, const std::string& jws) {
  if (!file_exists(o.state + "/orders"))
    return fail_with(kExitFailed, o.state +
                                      "/orders is not there: is this the signer's state folder, "
                                      "and [signer] operators configured?");
  const std::string stem = random_id();
  {
    auto inbox = operate::OperatorDirectory::open(o.state + "/orders", "inbox");
    const Status put_there =
        inbox ? inbox->replace(stem + ".jws", view_of(jws)) : Status(fail(inbox.error()));
    if (!put_there) return fail_with(kExitFailed, o.state + ": " + put_there.error().what);
  }
  const auto answer = wait_for(o, stem + ".json");
  if (!answer) return fail_with(kExitFailed, o.state + ": " + answer.error().what);
  return print(o, *answer);
}

int run_send(const OrderOptions& o) {
  const auto text = read_text_file(o.file, limits::kOperatorOrderBytesMax);
  if (!text) return fail_with(kExitFile, o.file + ": " + text.error().what);
  if (const auto shown = operate::show_order(view_of(*text)); !shown)
    return fail_with(kExitFile, o.file + ": " + shown.error().detail);
  return deliver(o, *text);
}

int run_revoke(OrderOptions o) {
  o.order = "revoke";
  if (const int code = check_key(o); code != 0) return code;
  std::string jws;
  if (const int code = make(o, jws); code != 0) return code;
  return o.state.empty() ? put(jws, o.out) : deliver(o, jws);
}

void add_signing(CLI::App* command, OrderOptions& o) {
  command->add_option("--unit", o.unit, "The unit's id, as in its operators file");
  command->add_option("--operators", o.operators, "The operators file, which holds the unit's id")
      ->check(CLI::ExistingFile);
  command->add_option("--reason", o.reason, "In words; it stands in the ledger");
  command->add_option("--expires-in", o.lifetime, "30m, 12h, 7d: later it counts no more")
      ->capture_default_str();
  command->add_option("--serial", o.serials, "revoke: a certificate, hexadecimal; repeatable");
  command->add_option("--reason-code", o.reason_code, "revoke: e.g. keyCompromise, superseded");
}

void add_key(CLI::App* command, OrderOptions& o) {
  auto* file =
      command->add_option("--key", o.key, "The operator's private key (PEM, may be encrypted)")
          ->check(CLI::ExistingFile);
  command
      ->add_option("--pkcs11-uri", o.token_uri,
                   "Instead: a key in a token (RFC 7512), with module-path, token and object")
      ->excludes(file);
  command
      ->add_option("--passphrase-file", o.passphrase_file,
                   "Its first line is the passphrase; else it is asked for")
      ->check(CLI::ExistingFile);
  command->add_option("--out", o.out, "File to write");
}

void add_waiting(CLI::App* command, OrderOptions& o) {
  command->add_option("--wait", o.wait_s, "Seconds to wait for the answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600));
  command->add_flag("--json", o.json, "For programs");
}

}  // namespace

OrderCommand::OrderCommand(CLI::App& app)
    : command_(app.add_subcommand("order", "What operators order, signed")),
      revoke_(app.add_subcommand("revoke", "Order the revocation of certificates")),
      sign_(command_->add_subcommand("sign", "Make an order and sign it")),
      cosign_(command_->add_subcommand("cosign", "Add a second operator's signature")),
      show_(command_->add_subcommand("show", "What an order says, and whether it would be taken")),
      send_(command_->add_subcommand("send", "Give an order to the signer of this unit")) {
  command_->require_subcommand(1);
  auto& o = options_;
  sign_->add_option("order", o.order, "revoke, hold-issuance, resume-issuance, policy-approve, ...")
      ->required();
  for (auto* command : {sign_, revoke_}) add_signing(command, o);
  for (auto* command : {sign_, revoke_, cosign_}) add_key(command, o);
  sign_->add_option("--thumbprint", o.thumbprint, "account-*: of the account's key (RFC 7638)");
  sign_->add_option("--jwk", o.jwk, "account-rekey: file with the new public key")
      ->check(CLI::ExistingFile);
  sign_->add_option("--account", o.account, "account-rekey: the account's URL");
  sign_->add_option("--policy", o.policy, "policy-approve: digest, from the signer's state");
  sign_->add_option("--refused", o.refused, "accept-rollback: the signer's audit/refused.json")
      ->check(CLI::ExistingFile);
  sign_->add_option("--kid", o.kid, "eab-revoke: the credential");
  for (auto* command : {cosign_, show_, send_})
    command->add_option("file", o.file, "The order")->required()->check(CLI::ExistingFile);
  show_->add_option("--operators", o.operators, "Judge it by this operators file")
      ->check(CLI::ExistingFile);
  show_->add_flag("--json", o.json, "For programs");
  send_->add_option("--state", o.state, "The signer's own directory, e.g. .../state/signer")
      ->required()
      ->check(CLI::ExistingDirectory);
  revoke_
      ->add_option("--state", o.state,
                   "The signer's own directory; without it the order is printed, to be cosigned or "
                   "sent")
      ->check(CLI::ExistingDirectory);
  for (auto* command : {send_, revoke_}) add_waiting(command, o);
}

bool OrderCommand::parsed() const { return command_->parsed() || revoke_->parsed(); }

int OrderCommand::run() const {
  if (revoke_->parsed()) return run_revoke(options_);
  if (sign_->parsed()) return run_sign(options_);
  if (cosign_->parsed()) return run_cosign(options_);
  if (show_->parsed()) return run_show(options_);
  return run_send(options_);
}

}  // namespace keyward::ctl
