// Owns the list of every metric of the product. Must not know values. Each task's block in
// alphabetical order.
#include "firmware/metrics/list.h"

#include <algorithm>

namespace keyward::metrics {
namespace {

using enum Kind;

constexpr Spec kList[] = {
    // ---- acme
    {"keyward_acme_connections", kGauge, "", "Open HTTPS connections."},
    {"keyward_acme_metrics_dropped_total", kCounter, "", "Touches of series beyond the limit."},
    {"keyward_acme_public_connections", kGauge, "", "Open connections of the plain listener."},
    {"keyward_acme_public_requests_total", kCounter, "route,status",
     "Requests for lists, OCSP and issuer certificates over plain HTTP."},
    {"keyward_acme_public_turned_away_total", kCounter, "why",
     "Connections and requests of the plain listener that were refused, displaced or made to "
     "wait."},
    {"keyward_acme_request_duration_seconds", kHistogram, "route",
     "Time from a request's header to its answer."},
    {"keyward_acme_requests_total", kCounter, "route,status", "Requests answered."},
    {"keyward_acme_turned_away_total", kCounter, "why",
     "Connections and requests of the front end that were refused, displaced or made to wait."},
    // ---- store
    {"keyward_store_disk_free_bytes", kGauge, "", "Free room of the database's file system."},
    {"keyward_store_disk_size_bytes", kGauge, "", "Size of the database's file system."},
    {"keyward_store_file_bytes", kGauge, "file",
     "Size of the database file, and of its write-ahead log."},
    {"keyward_store_file_free_bytes", kGauge, "", "Pages of the database file that hold nothing."},
    {"keyward_store_file_limit_bytes", kGauge, "", "What the database file may grow to."},
    {"keyward_store_filling", kGauge, "", "1: nearly full, so nothing new is begun; else 0."},
    {"keyward_store_metrics_dropped_total", kCounter, "", "Touches of series beyond the limit."},
    {"keyward_store_operation_duration_seconds", kHistogram, "message",
     "Time from a request's arrival to its answer."},
    {"keyward_store_operations_total", kCounter, "message,result", "Requests of acme answered."},
    {"keyward_store_rows", kGauge, "kind", "Rows kept, counted at most once in a minute."},
    {"keyward_store_swept_rows_total", kCounter, "kind", "Rows that housekeeping deleted."},
    // ---- validation
    {"keyward_validation_metrics_dropped_total", kCounter, "",
     "Touches of series beyond the limit."},
    {"keyward_validation_operation_duration_seconds", kHistogram, "message",
     "Time from a request's arrival to its answer."},
    {"keyward_validation_operations_total", kCounter, "message,result",
     "Requests of acme answered."},
    // ---- attestation
    {"keyward_attestation_metrics_dropped_total", kCounter, "",
     "Touches of series beyond the limit."},
    {"keyward_attestation_operation_duration_seconds", kHistogram, "message",
     "Time from a request's arrival to its answer."},
    {"keyward_attestation_operations_total", kCounter, "message,result",
     "Requests of acme answered; result is ok or the refusal's code."},
    // ---- signer
    {"keyward_signer_audit_head_seconds", kGauge, "",
     "Unix time of the newest signed head of the ledger; 0: there is none."},
    {"keyward_signer_audit_unsigned_rows", kGauge, "",
     "Rows of the ledger that no signed head covers yet."},
    {"keyward_signer_crl_bytes", kGauge, "", "Size of the newest revocation list."},
    {"keyward_signer_crl_entries", kGauge, "", "Certificates that the next revocation list names."},
    {"keyward_signer_crl_first_lapse_seconds", kGauge, "",
     "Unix time at which the first of all revocation lists ends; 0: one is not there yet."},
    {"keyward_signer_crl_lists", kGauge, "",
     "Revocation lists that are made: the whole one, delta, shards, the long one."},
    {"keyward_signer_crl_next_update_seconds", kGauge, "",
     "Unix time at which the newest revocation list ends; 0: there is none."},
    {"keyward_signer_crl_number", kGauge, "", "Number of the newest revocation list."},
    {"keyward_signer_crl_this_update_seconds", kGauge, "",
     "Unix time of the newest revocation list; 0: there is none."},
    {"keyward_signer_disk_free_bytes", kGauge, "", "Free room of the ledger's file system."},
    {"keyward_signer_disk_size_bytes", kGauge, "", "Size of the ledger's file system."},
    {"keyward_signer_hsm_calls", kGauge, "", "Calls that wait for the token or are in it."},
    {"keyward_signer_hsm_failures_total", kCounter, "kind",
     "Signatures and key agreements that the token did not give."},
    {"keyward_signer_hsm_ready", kGauge, "",
     "1: logged in and tested by a signature since; else 0."},
    {"keyward_signer_hsm_reconnects", kGauge, "", "Times the token was won back since the start."},
    {"keyward_signer_hsm_session_age_seconds", kGauge, "",
     "Since the last login; 0 while it is away."},
    {"keyward_signer_hsm_sign_duration_seconds", kHistogram, "priority",
     "Time that who asked for a signature waited for it, in vain or not."},
    {"keyward_signer_hsm_signatures", kGauge, "", "Signatures since the start, self-tests aside."},
    {"keyward_signer_hsm_stuck_seconds", kGauge, "",
     "So long calls have held up a token that is away."},
    {"keyward_signer_ledger_bytes", kGauge, "", "Size of the ledger's files."},
    {"keyward_signer_ledger_rows", kGauge, "", "Rows of the ledger."},
    {"keyward_signer_metrics_dropped_total", kCounter, "", "Touches of series beyond the limit."},
    {"keyward_signer_ocsp_answers_total", kCounter, "result",
     "Answers to OCSP requests: signed, kept, or why there was none."},
    {"keyward_signer_operation_duration_seconds", kHistogram, "message",
     "Time from a request's arrival to its answer."},
    {"keyward_signer_operations_total", kCounter, "message,result",
     "Requests answered; result is ok or the refusal's code."},
    // ---- platform
    {"keyward_platform_metrics_dropped_total", kCounter, "", "Touches of series beyond the limit."},
    {"keyward_platform_operation_duration_seconds", kHistogram, "message",
     "Time from a request's arrival to its answer."},
    {"keyward_platform_operations_total", kCounter, "message,result",
     "Requests of attestation and signer answered."},
    // ---- admin
    {"keyward_admin_metrics_dropped_total", kCounter, "", "Touches of series beyond the limit."},
    {"keyward_admin_requests_total", kCounter, "route,status",
     "Requests of the management port answered."},
    // ---- syslog
    {"keyward_syslog_connected", kGauge, "", "1 while the remote receiver is connected; else 0."},
    {"keyward_syslog_lines_lost_total", kCounter, "",
     "Lines that the spool's bound dropped before they could be sent."},
    {"keyward_syslog_lines_sent_total", kCounter, "",
     "Lines sent, those that were sent again after a broken connection too."},
    {"keyward_syslog_metrics_dropped_total", kCounter, "", "Touches of series beyond the limit."},
    {"keyward_syslog_oldest_unsent_seconds", kGauge, "",
     "Age of the oldest line that does not count as received; 0: there is none."},
    {"keyward_syslog_spool_bytes", kGauge, "", "Octets of the spool that were not sent yet."},
    // ---- supervisor
    {"keyward_supervisor_metrics_dropped_total", kCounter, "",
     "Touches of series beyond the limit."},
    {"keyward_supervisor_start_time_seconds", kGauge, "", "Start of the supervisor, Unix time."},
    {"keyward_supervisor_state", kGauge, "state",
     "1 for the appliance's present state, 0 for the others."},
    {"keyward_supervisor_task_ready", kGauge, "task", "1 while the task is ready."},
    {"keyward_supervisor_task_restarts_total", kCounter, "task", "Restarts of the task."},
};

}  // namespace

std::span<const Spec> list() { return kList; }

const Spec* find(std::string_view name) {
  const auto found = std::ranges::find(kList, name, &Spec::name);
  return found == std::end(kList) ? nullptr : found;
}

}  // namespace keyward::metrics
