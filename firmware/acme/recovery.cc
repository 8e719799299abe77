#include "firmware/acme/recovery.h"

#include "firmware/acme/account_resources.h"
#include "firmware/acme/mail.h"
#include "firmware/acme/pages.h"
#include "firmware/acme/recovery_proofs.h"
#include "firmware/acme/states.h"
#include "firmware/crypto/crypto.h"
#include "firmware/log/log.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

using wire::RecoveryRecord;
using wire::RecoveryStatus;

constexpr std::string_view kCodePurpose = "keyward-recovery-code-1";
constexpr std::string_view kVetoPurpose = "keyward-recovery-veto-1";
constexpr std::string_view kVetoForm = "veto=yes";
constexpr int kBeginTriesMax = 12;  // of the job behind the answer, with back-off: about a minute

RecoveryStatus status_at(const RecoveryRecord& record, std::int64_t now_ms) {
  const auto ends_at_ms = record.status == RecoveryStatus::kPending
                              ? record.created_at_ms + limits::kRecoveryProofMs
                              : record.expires_at_ms;
  return at_time(record.status, ends_at_ms, now_ms);
}

std::string recovery_url(const Context& context, std::string_view id) {
  return context.urls.of_path("/acme/recovery/" + std::string(id));
}

// In the part of the server that the account is of.
std::string account_url(Context& context, const std::string& id) {
  const auto account = load_account(context, id);
  if (!account || !*account) return context.urls.account(id);
  return context.urls.of((*account)->record.tenant).account(id);
}

std::string recovery_json(Context& context, const RecoveryRecord& record) {
  const auto status = status_at(record, context.clock.utc_ms());
  json::Writer out;
  out.begin_object().member("status", to_string(status));
  out.member("method", record.method).member("expires", rfc3339(record.expires_at_ms));
  if (status == RecoveryStatus::kProcessing) out.member("completes", rfc3339(record.ready_at_ms));
  if (status == RecoveryStatus::kValid)
    out.member("account", account_url(context, record.account_id));
  if (status == RecoveryStatus::kInvalid) {
    out.key("error").raw(record.error_json.value_or(
        Problem::of(ProblemType::kMalformed, "recovery.expired", "the recovery expired").json()));
  }
  out.end_object();
  return out.take();
}

HttpResponse recovery_response(Context& context, int status, const RecoveryRecord& record) {
  constexpr std::int64_t kAskAgainSMax = 3'600;
  auto response = json_response(status, recovery_json(context, record));
  response.headers.emplace_back("Location", recovery_url(context, record.id));
  if (record.status == RecoveryStatus::kProcessing) {
    const auto left_s = (record.ready_at_ms - context.clock.utc_ms() + 999) / 1'000;
    response.headers.emplace_back(
        "Retry-After", std::to_string(std::clamp<std::int64_t>(left_s, 1, kAskAgainSMax)));
  }
  return response;
}

// ---- notices

std::string veto_url(const Context& context, std::string_view id) {
  return recovery_url(context, id) + "/veto/" +
         page_code(context.page_key.view(), kVetoPurpose, id);
}

std::string how_to_stop(const Context& context, std::string_view id) {
  return "\n\nIf you did not ask for this, open\n  " + veto_url(context, id) +
         "\nor send {\"status\":\"vetoed\"}, signed by the account's present key, to\n  " +
         recovery_url(context, id) + "\n";
}

Notice code_notice(Context& context, const RecoveryRecord& record) {
  const auto code = page_code(context.page_key.view(), kCodePurpose, record.id);
  return {"start-" + record.id, "Recovery of a certificate account: your code",
          "Somebody asks for another key for the account\n  " +
              account_url(context, record.account_id) + "\n\nThe code for it is\n  " + code +
              "\nto be sent to\n  " + recovery_url(context, record.id) +
              how_to_stop(context, record.id)};
}

Notice cooling_notice(Context& context, const RecoveryRecord& record) {
  return {"proved-" + record.id, "Recovery of a certificate account: the key will be replaced",
          "The key of the account\n  " + account_url(context, record.account_id) +
              "\nwill be replaced at " + rfc3339(record.ready_at_ms) + " or later." +
              how_to_stop(context, record.id)};
}

Notice done_notice(Context& context, const RecoveryRecord& record) {
  return {"done-" + record.id, "Recovery of a certificate account: the key was replaced",
          "The account\n  " + account_url(context, record.account_id) +
              "\nhas another key now. Ask the operator if you do not know why.\n"};
}

// A notice that cannot be queued stops nothing: the veto by the old key is there without it.
void notify(Context& context, const wire::AccountRecord& account, const Notice& notice) {
  if (auto kept = queue_notice(context, account, notice); !kept)
    log::warning("a notice could not be queued", {{"code", kept.error().code}});
  post_mails(context);
}

// ---- edges

Answer<std::optional<wire::AccountRecord>> valid_account(Context& context, const std::string& id) {
  auto found = context.backend.store.ask(wire::AccountGet{id, std::nullopt});
  if (!found) return tl::unexpected<wire::Failure>(std::move(found.error()));
  if (found->account && found->account->status != wire::AccountStatus::kValid)
    found->account.reset();
  return std::move(found->account);
}

Answer<wire::RecoveryUpdateReply> move_to(Context& context, const RecoveryRecord& record,
                                          RecoveryStatus status, const Problem* why = nullptr) {
  wire::RecoveryUpdate update;
  update.id = record.id;
  update.expected = record.status;
  update.status = status;
  if (status == RecoveryStatus::kProcessing)
    update.ready_at_ms = context.clock.utc_ms() + context.config.recovery_cooling_ms;
  if (why != nullptr) update.error_json = why->stored_json();
  return context.backend.store.ask(update);
}

Problem vetoed() {
  return Problem::of(ProblemType::kUnauthorized, "recovery.vetoed",
                     "the account's key or one of its contacts said no");
}

Outcome<RecoveryRecord> moved(Answer<wire::RecoveryUpdateReply> reply) {
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->recovery) return refuse(not_found());
  return std::move(*reply->recovery);
}

// Proved: the cooling-off time begins. False: another edge was taken meanwhile.
Answer<void> start_cooling(Context& context, const RecoveryRecord& record,
                           const wire::AccountRecord& account) {
  auto reply = move_to(context, record, RecoveryStatus::kProcessing);
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  if (reply->applied && reply->recovery)
    notify(context, account, cooling_notice(context, *reply->recovery));
  return {};
}

// What is done behind the answer; an account that does not exist ends here without a trace.
Answer<void> begin(Context& context, const RecoveryRecord& record, const RecoveryAsk& ask) {
  auto account = valid_account(context, ask.account_id);
  if (!account) return tl::unexpected<wire::Failure>(std::move(account.error()));
  if (!*account) return {};
  if (ask.method == RecoveryMethod::kContact) {
    auto kept = queue_notice(context, **account, code_notice(context, record));
    if (kept) post_mails(context);
    return kept;
  }
  auto proved = proves(context, ask);
  if (!proved) return tl::unexpected<wire::Failure>(std::move(proved.error()));
  if (!*proved) return {};
  return start_cooling(context, record, **account);
}

Status post_begin(Context& context, RecoveryRecord record, RecoveryAsk ask) {
  const auto key = "recovery:" + record.id;
  return context.validations.post(
      key,
      [&context, record = std::move(record),
       ask = std::move(ask)](int attempt) -> std::optional<std::int64_t> {
        const auto begun = begin(context, record, ask);
        if (begun) return std::nullopt;
        if (attempt + 1 < kBeginTriesMax) return backoff_ms(attempt);
        log::warning("a recovery could not be begun", {{"code", begun.error().code}});
        return std::nullopt;
      });
}

// So that recoveries that came to nothing do not keep the account's few places.
Outcome<void> close_lapsed(Context& context, const std::string& account_id) {
  auto open = context.backend.store.ask(wire::RecoveryGet{std::nullopt, account_id});
  if (!open) return refuse(problem_from(open.error()));
  for (const auto& record : open->recoveries) {
    if (is_final(record.status)) continue;
    if (status_at(record, context.clock.utc_ms()) != RecoveryStatus::kInvalid) continue;
    static_cast<void>(move_to(context, record, RecoveryStatus::kInvalid));
  }
  return {};
}

RecoveryRecord new_record(const Context& context, const RecoveryAsk& ask, const jose::Jwk& jwk) {
  RecoveryRecord record;
  record.id = random_id();
  record.account_id = ask.account_id;
  record.thumbprint = jwk.thumbprint();
  record.jwk = jwk.canonical();
  record.method = to_string(ask.method);
  record.status = RecoveryStatus::kPending;
  record.created_at_ms = context.clock.utc_ms();
  record.expires_at_ms = record.created_at_ms + limits::kRecoveryProofMs +
                         context.config.recovery_cooling_ms + limits::kRecoveryPickUpMs;
  const auto key = context.page_key.view();
  record.code_sha256 = crypto::sha256(view_of(page_code(key, kCodePurpose, record.id)));
  record.veto_sha256 = crypto::sha256(view_of(page_code(key, kVetoPurpose, record.id)));
  return record;
}

Outcome<void> check_new_key(Context& context, const jose::Jwk& jwk) {
  auto holder = context.backend.store.ask(wire::AccountGet{std::nullopt, jwk.thumbprint()});
  if (!holder) return refuse(problem_from(holder.error()));
  if (!holder->account) return {};
  return refuse(
      Problem::of(ProblemType::kMalformed, "recovery.conflict",
                  "there is an account that has the new key")
          .with_status(409)
          .with_header("Location",
                       context.urls.of(holder->account->tenant).account(holder->account->id)));
}

// The cooling-off time is over and nobody said no. Under the lock, so that a veto comes before or
// after, never in between.
Outcome<RecoveryRecord> complete(Context& context, const RecoveryRecord& record) {
  auto account = valid_account(context, record.account_id);
  if (!account) return refuse(problem_from(account.error()));
  const auto gone = Problem::of(ProblemType::kUnauthorized, "recovery.account-gone",
                                "the account is no longer valid");
  if (!*account) return moved(move_to(context, record, RecoveryStatus::kInvalid, &gone));
  wire::AccountRekey rekey;
  rekey.id = record.account_id;
  rekey.expected = (*account)->thumbprint;
  rekey.thumbprint = record.thumbprint;
  rekey.jwk = record.jwk;
  rekey.end_orders = true;
  // A second try after a power cut finds the key in its place.
  if (rekey.expected != rekey.thumbprint) {
    auto done = context.backend.store.ask(rekey);
    context.accounts.forget(rekey.id);
    if (!done) return refuse(problem_from(done.error()));
    if (!done->applied) {
      const auto taken = Problem::of(ProblemType::kMalformed, "recovery.conflict",
                                     "the new key has become another account's");
      return moved(move_to(context, record, RecoveryStatus::kInvalid, &taken));
    }
  }
  auto valid = moved(move_to(context, record, RecoveryStatus::kValid));
  if (!valid) return valid;
  log::info("an account was recovered", {{"account", record.account_id}, {"by", record.method}});
  notify(context, **account, done_notice(context, record));
  static_cast<void>(end_recoveries(context, record.account_id));
  return valid;
}

Outcome<RecoveryRecord> find(Context& context, std::string_view id) {
  auto reply = context.backend.store.ask(wire::RecoveryGet{std::string(id), std::nullopt});
  if (!reply) return refuse(problem_from(reply.error()));
  if (reply->recoveries.empty()) return refuse(not_found());
  return std::move(reply->recoveries.front());
}

Outcome<RecoveryRecord> veto(Context& context, std::string_view id) {
  const std::lock_guard lock(context.recovery_mutex);
  auto record = find(context, id);
  if (!record || is_final(record->status)) return record;
  const auto why = vetoed();
  log::info("a recovery was vetoed", {{"account", record->account_id}});
  return moved(move_to(context, *record, RecoveryStatus::kInvalid, &why));
}

Outcome<RecoveryRecord> submit_code(Context& context, const RecoveryRecord& record,
                                    const json::Value& code) {
  if (auto ok = context.rates.admit(Rate::kChallengeRetries, "recovery/" + record.id); !ok)
    return refuse(ok.error());
  if (!code.is_string() || record.method != to_string(RecoveryMethod::kContact))
    return refuse(ProblemType::kMalformed, "recovery.form", "a \"code\" is wanted, as a string");
  const auto sha256 = crypto::sha256(view_of(code.string()));
  if (!record.code_sha256 || !equal_constant_time(sha256, *record.code_sha256))
    return refuse(ProblemType::kUnauthorized, "recovery.code", "this is not the code");
  auto account = valid_account(context, record.account_id);
  if (!account) return refuse(problem_from(account.error()));
  if (!*account) return refuse(ProblemType::kUnauthorized, "recovery.code", "this is not the code");
  if (auto started = start_cooling(context, record, **account); !started)
    return refuse(problem_from(started.error()));
  return find(context, record.id);
}

// By the new key: read, or the code.
Outcome<RecoveryRecord> by_new_key(Context& context, const SignedRequest& request,
                                   const RecoveryRecord& record) {
  const auto now_ms = context.clock.utc_ms();
  const auto status = status_at(record, now_ms);
  if (request.is_read()) {
    if (status != RecoveryStatus::kProcessing || now_ms < record.ready_at_ms) return record;
    const std::lock_guard lock(context.recovery_mutex);
    auto fresh = find(context, record.id);
    if (!fresh || fresh->status != RecoveryStatus::kProcessing) return fresh;
    return complete(context, *fresh);
  }
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  if (status != RecoveryStatus::kPending) return record;
  return submit_code(context, record, document->root().get("code"));
}

// By the account's present key: read, or the veto.
Outcome<RecoveryRecord> by_old_key(Context& context, const SignedRequest& request,
                                   const RecoveryRecord& record) {
  if (request.is_read()) return record;
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  if (document->root().get("status").string() != "vetoed")
    return refuse(ProblemType::kMalformed, "recovery.form", "\"status\" can be \"vetoed\" alone");
  return veto(context, record.id);
}

HttpResponse no_such_page() {
  return html_page(404, "Not found", "<p>This address is not, or no longer, good.</p>");
}

}  // namespace

Outcome<HttpResponse> recover_account(Context& context, const SignedRequest& request) {
  auto ask = read_recovery_ask(context, request);
  if (!ask) return refuse(std::move(ask.error()));
  if (auto ok =
          context.rates.admit({{Rate::kRecoveriesPerPrefix, address_prefix(request.peer_address)},
                               {Rate::kRecoveries, {}}});
      !ok) {
    return refuse(ok.error());
  }
  const auto& jwk = *request.verified.header().jwk;
  if (auto ok = check_new_key(context, jwk); !ok) return refuse(ok.error());
  if (!context.validations.has_room()) {
    return refuse(problem_from(
        wire::Failure::of(wire::FailureKind::kExhausted, "jobs-full", "too much is under way")));
  }
  if (auto ok = close_lapsed(context, ask->account_id); !ok) return refuse(ok.error());
  auto record = new_record(context, *ask, jwk);
  if (auto kept = context.backend.store.ask(wire::RecoveryPut{record}); !kept)
    return refuse(problem_from(kept.error()));
  auto response = recovery_response(context, 201, record);
  if (auto posted = post_begin(context, std::move(record), std::move(*ask)); !posted)
    log::warning("a recovery could not be begun", {{"why", posted.error().what}});
  return response;
}

Outcome<HttpResponse> recovery(Context& context, const SignedRequest& request) {
  auto record = find(context, request.match.segments[0]);
  if (!record) return refuse(std::move(record.error()));
  const bool old_key = request.account != nullptr;
  const bool own = old_key ? request.account->record.id == record->account_id
                           : request.verified.header().jwk->thumbprint() == record->thumbprint;
  if (!own) return refuse(not_found());
  auto now =
      old_key ? by_old_key(context, request, *record) : by_new_key(context, request, *record);
  if (!now) return refuse(std::move(now.error()));
  return recovery_response(context, 200, *now);
}

Outcome<HttpResponse> veto_page(Context& context, const HttpRequest& request,
                                const RouteMatch& match) {
  const bool vetoes = request.method == "POST";
  if (vetoes) {
    if (auto ok = check_form(request, match.route->body_bytes_max, kVetoForm); !ok)
      return refuse(ok.error());
  }
  auto record = find(context, match.segments[0]);
  if (!record && record.error().status != 404) return refuse(std::move(record.error()));
  const auto sha256 = crypto::sha256(view_of(match.segments[1]));
  if (!record || !record->veto_sha256 || !equal_constant_time(sha256, *record->veto_sha256))
    return no_such_page();
  if (!vetoes) {
    return html_page(200, "Stop the recovery of an account",
                     "<p>Somebody asks for another key for the account <code>" +
                         escape_html(account_url(context, record->account_id)) +
                         "</code>.</p><form method=\"post\"><button name=\"veto\" "
                         "value=\"yes\">Stop it</button></form>");
  }
  auto ended = veto(context, record->id);
  if (!ended) return refuse(std::move(ended.error()));
  if (ended->status == RecoveryStatus::kValid)
    return html_page(409, "Too late", "<p>The key was replaced already. Ask the operator.</p>");
  return html_page(200, "Stopped", "<p>The account keeps its key.</p>");
}

Outcome<void> end_recoveries(Context& context, const std::string& account_id) {
  if (!context.config.recovery) return {};
  auto open = context.backend.store.ask(wire::RecoveryGet{std::nullopt, account_id});
  if (!open) return refuse(problem_from(open.error()));
  const auto why = vetoed();
  for (const auto& record : open->recoveries) {
    if (is_final(record.status)) continue;
    auto ended = move_to(context, record, RecoveryStatus::kInvalid, &why);
    if (!ended) return refuse(problem_from(ended.error()));
  }
  return {};
}

}  // namespace keyward::acme
