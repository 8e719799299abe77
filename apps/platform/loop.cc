// Unsealing for the signer and the watch over the TPM: see loop.h.
#include "apps/platform/loop.h"

#include <chrono>
#include <optional>

#include "firmware/log/log.h"

namespace keyward::platform {
namespace {

std::string_view code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUnavailable:
    case ErrorKind::kExhausted:
      return "tpm-away";
    case ErrorKind::kRefused:
      return "pin-refused";
    case ErrorKind::kBadInput:
      return "pin-unusable";
    default:
      return "tpm-failed";
  }
}

std::string_view key_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUnavailable:
    case ErrorKind::kExhausted:
      return "tpm-away";
    case ErrorKind::kRefused:
    case ErrorKind::kBadInput:
    case ErrorKind::kCorrupt:
      return "key-unusable";
    default:
      return "tpm-failed";
  }
}

// TPM2B_PUBLIC, then TPM2B_PRIVATE: each begins with its size.
Bytes joined(const hal::TpmKeyBlob& blob) {
  Bytes out = blob.public_area;
  append(out, blob.private_area);
  return out;
}

std::optional<hal::TpmKeyBlob> split(ByteView sealed) {
  if (sealed.size() < 2) return std::nullopt;
  const std::size_t size = 2 + (static_cast<std::size_t>(sealed[0]) << 8 | sealed[1]);
  if (sealed.size() <= size) return std::nullopt;
  hal::TpmKeyBlob blob;
  blob.public_area = to_bytes(sealed.first(size));
  blob.private_area = to_bytes(sealed.subspan(size));
  return blob;
}

}  // namespace

void Loop::note_away(const Error& error) {
  if (code_of(error.kind) == "tpm-away") away_ = error.what;
  publish();
}

// The TPM may have been reset since the last command: that costs the first command after it.
task::Answer<wire::KeySealReply> Loop::seal_key(const wire::KeySeal& request) {
  if (request.secret.empty())
    return task::refuse(wire::FailureKind::kBadInput, "key-empty", "nothing to seal");
  const std::lock_guard lock(tpm_lock_);
  auto blob = tpm_.seal_unmeasured(request.secret);
  if (!blob && blob.error().kind == ErrorKind::kUnavailable)
    blob = tpm_.seal_unmeasured(request.secret);
  if (blob) return wire::KeySealReply{joined(*blob)};
  log::error("a key was not sealed", blob.error());
  note_away(blob.error());
  return tl::unexpected<wire::Failure>(
      wire::failure_from(blob.error(), key_code_of(blob.error().kind)));
}

task::Answer<wire::KeyUnsealReply> Loop::unseal_key(const wire::KeyUnseal& request) {
  const auto blob = split(request.sealed);
  if (!blob)
    return task::refuse(wire::FailureKind::kBadInput, "key-unusable", "not what was sealed here");
  const std::lock_guard lock(tpm_lock_);
  auto secret = tpm_.unseal_unmeasured(*blob);
  if (!secret && secret.error().kind == ErrorKind::kUnavailable)
    secret = tpm_.unseal_unmeasured(*blob);
  if (secret) return wire::KeyUnsealReply{to_bytes(secret->view())};
  log::error("a key was not unsealed", secret.error());
  note_away(secret.error());
  return tl::unexpected<wire::Failure>(
      wire::failure_from(secret.error(), key_code_of(secret.error().kind)));
}

Result<std::optional<std::uint64_t>> Loop::move_anchor(const wire::AnchorAdvance& request) {
  const auto value = tpm_.nv_read_counter(anchor_index_);
  // kBadInput: no such index, or one that has no value yet.
  if (!value && value.error().kind != ErrorKind::kBadInput) return fail(value.error());
  if (!value && request.from != 0u) return std::optional<std::uint64_t>();
  if (!value) {
    // It may exist and have no value yet: a power cut before its first step.
    const auto defined = tpm_.nv_define_counter(anchor_index_);
    if (!defined && defined.error().kind != ErrorKind::kRefused) return fail(defined.error());
    KEYWARD_TRY(made, tpm_.nv_increment(anchor_index_));
    return std::optional<std::uint64_t>(made);
  }
  if (!request.from || *request.from != *value) return std::optional<std::uint64_t>(*value);
  KEYWARD_TRY(moved, tpm_.nv_increment(anchor_index_));
  return std::optional<std::uint64_t>(moved);
}

// Asked again after a reset: `from` keeps it from counting twice.
task::Answer<wire::AnchorAdvanceReply> Loop::advance_anchor(const wire::AnchorAdvance& request) {
  if (anchor_index_ == 0)
    return task::refuse(wire::FailureKind::kRefused, "anchor-not-configured",
                        "tpm.anchor_index is not set");
  const std::lock_guard lock(tpm_lock_);
  auto value = move_anchor(request);
  if (!value && value.error().kind == ErrorKind::kUnavailable) value = move_anchor(request);
  if (value) {
    if (request.head_sha256)
      log::info("the ledger's head is anchored", {{"head_sha256", hex_encode(*request.head_sha256)},
                                                  {"counter", value->value_or(0)}});
    return wire::AnchorAdvanceReply{*value};
  }
  log::error("the ledger's counter did not answer", value.error());
  note_away(value.error());
  const bool away = code_of(value.error().kind) == "tpm-away";
  return tl::unexpected<wire::Failure>(
      wire::failure_from(value.error(), away ? "tpm-away" : "tpm-failed"));
}

Result<hal::TpmClock> Loop::read_clock() {
  const std::lock_guard lock(tpm_lock_);
  auto clock = tpm_.read_clock();
  if (clock || clock.error().kind != ErrorKind::kUnavailable) return clock;
  return tpm_.read_clock();
}

Result<SecretBytes> Loop::unseal_locked() {
  auto pin = pin_.unseal();
  if (pin || pin.error().kind != ErrorKind::kUnavailable) return pin;
  // The TPM may have been reset since the last command: that costs the first command after it.
  return pin_.unseal();
}

Status Loop::take_pin(const SecretBytes& pin) {
  const std::lock_guard lock(tpm_lock_);
  if (tripped_ == "zeroise") return fail(ErrorKind::kRefused, "this unit is being zeroised");
  if (tripped_ == "unprovisioned") return fail(ErrorKind::kRefused, "this unit was zeroised");
  auto sealed = pin_.seal(pin);
  if (!sealed && sealed.error().kind == ErrorKind::kUnavailable) sealed = pin_.seal(pin);
  if (!sealed) return sealed;
  tripped_.clear();
  locked_.clear();
  publish();
  return {};
}

void Loop::trip(std::string_view state, std::string_view detail) {
  const std::lock_guard lock(tpm_lock_);
  if (tripped_ == "zeroise") return;
  tripped_ = state;
  tripped_detail_ = detail;
  publish();
}

void Loop::alarm(std::string_view detail) {
  const std::lock_guard lock(tpm_lock_);
  if (alarm_ == detail) return;
  alarm_ = detail;
  publish();
}

task::Answer<wire::PinUnsealReply> Loop::unseal() {
  const std::lock_guard lock(tpm_lock_);
  if (!tripped_.empty())
    return task::refuse(wire::FailureKind::kRefused, "tampered",
                        "the tamper input was active: an operator must unlock the unit");
  auto pin = unseal_locked();
  if (pin) {
    away_.clear();
    locked_.clear();
    publish();
    log::info("the HSM's PIN was unsealed for the signer");
    return wire::PinUnsealReply{to_bytes(pin->view())};
  }
  const Error& error = pin.error();
  log::error("the HSM's PIN was not unsealed", error);
  (code_of(error.kind) == "tpm-away" ? away_ : locked_) = error.what;
  publish();
  return tl::unexpected<wire::Failure>(wire::failure_from(error, code_of(error.kind)));
}

void Loop::publish() {
  const std::string state = !tripped_.empty()  ? tripped_
                            : !away_.empty()   ? "degraded"
                            : !locked_.empty() ? "locked"
                            : !alarm_.empty()  ? "degraded"
                                               : "operational";
  const std::string detail = !tripped_.empty()  ? tripped_detail_
                             : !away_.empty()   ? "the TPM is away: " + away_
                             : !locked_.empty() ? "the HSM's PIN stays sealed: " + locked_
                             : !alarm_.empty()  ? alarm_
                                                : "the TPM answers";
  const std::string all = state + "\n" + detail;
  if (published_once_ && all == published_) return;
  published_once_ = true;
  published_ = all;
  report_(state, detail);
}

void Loop::probe() {
  const std::lock_guard lock(tpm_lock_);
  auto answer = tpm_.random(1);
  if (!answer && answer.error().kind == ErrorKind::kUnavailable) answer = tpm_.random(1);
  away_ = answer ? "" : answer.error().what;
  publish();
}

void Loop::watch(std::int64_t interval_ms) {
  probe();
  watch_thread_ = std::thread([this, interval_ms] {
    std::unique_lock lock(watch_lock_);
    const auto interval = std::chrono::milliseconds(interval_ms);
    while (!watch_wake_.wait_for(lock, interval, [this] { return watch_ends_; })) {
      lock.unlock();
      probe();
      lock.lock();
    }
  });
}

void Loop::stop_watching() {
  {
    const std::lock_guard lock(watch_lock_);
    watch_ends_ = true;
  }
  watch_wake_.notify_all();
  if (watch_thread_.joinable()) watch_thread_.join();
}

void Loop::stop() {
  stop_watching();
  const std::lock_guard lock(tpm_lock_);
  if (const auto shut = tpm_.shutdown_orderly(); !shut)
    log::error("the TPM was not shut down", shut.error());
}

}  // namespace keyward::platform
