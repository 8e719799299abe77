#include "firmware/acme/crl.h"

#include <algorithm>

#include "firmware/acme/context.h"
#include "firmware/acme/request.h"

namespace keyward::acme {
namespace {

// A revocation makes a new list at once; so long a cache may not know of it.
constexpr std::int64_t kCachedSMax = 300;
constexpr int kTriesMax = 3;  // a list that is replaced while it is fetched is fetched anew

tl::unexpected<wire::Failure> damaged(std::string_view detail) {
  return tl::unexpected<wire::Failure>(
      wire::Failure::of(wire::FailureKind::kCorrupt, "crl.damaged", detail));
}

// The signer has no such list, by configuration or from its build.
bool has_none(const wire::Failure& failure) {
  return failure.code == "not-served" || failure.code == "crl-not-offered";
}

// Null: it was replaced meanwhile.
Answer<CrlPtr> fetch_rest(SignerBackend& signer, const wire::CrlGetReply& first) {
  if (first.total_bytes > limits::kCrlBytesMax || first.part.empty() ||
      first.part.size() > first.total_bytes)
    return damaged("the list has no size that one may have");
  auto crl = std::make_shared<Crl>();
  crl->number = first.number;
  crl->this_update_ms = first.this_update_ms;
  crl->next_update_ms = first.next_update_ms;
  crl->der.reserve(first.total_bytes);
  crl->der += text_of(first.part);
  while (crl->der.size() < first.total_bytes) {
    auto next = signer.ask(wire::CrlGet{first.number, crl->der.size()});
    if (!next) {
      if (next.error().kind == wire::FailureKind::kUnavailable)
        return tl::unexpected<wire::Failure>(std::move(next.error()));
      return CrlPtr{};
    }
    if (next->number != first.number) return CrlPtr{};
    if (next->part.empty() || next->part.size() > first.total_bytes - crl->der.size())
      return damaged("a part of the list does not fit");
    crl->der += text_of(next->part);
  }
  return crl;
}

Answer<CrlPtr> fetch(SignerBackend& signer, const CrlPtr& kept) {
  for (int i = 0; i < kTriesMax; ++i) {
    auto first = signer.ask(wire::CrlGet{});
    if (!first) return tl::unexpected<wire::Failure>(std::move(first.error()));
    if (kept && kept->number == first->number) return kept;
    auto whole = fetch_rest(signer, *first);
    if (!whole || *whole) return whole;
  }
  return tl::unexpected<wire::Failure>(
      wire::Failure::of(wire::FailureKind::kUnavailable, "crl.replaced",
                        "the list was replaced again and again while it was read"));
}

}  // namespace

Answer<CrlPtr> CrlCache::newest(SignerBackend& signer, std::int64_t utc_ms,
                                std::int64_t monotonic_ms) {
  const std::lock_guard lock(mutex_);
  const bool fresh = asked_at_ms_ != 0 && monotonic_ms - asked_at_ms_ < limits::kCrlRecheckMs;
  if (kept_ && fresh) return kept_;
  auto found = fetch(signer, kept_);
  if (!found) {
    const bool holds = kept_ && utc_ms < kept_->next_update_ms && !has_none(found.error());
    if (holds) return kept_;
    if (has_none(found.error())) kept_.reset();
    return found;
  }
  kept_ = *found;
  asked_at_ms_ = monotonic_ms;
  return kept_;
}

Outcome<HttpResponse> revocation_list(Context& context) {
  const auto now_ms = context.clock.utc_ms();
  auto crl = context.crl.newest(context.backend.signer, now_ms, context.clock.monotonic_ms());
  if (!crl) {
    if (has_none(crl.error())) return refuse(not_found());
    return refuse(problem_from(crl.error()));
  }
  const auto left_s = std::max<std::int64_t>(0, ((*crl)->next_update_ms - now_ms) / 1'000);
  HttpResponse response;
  response.status = 200;
  response.headers = {
      {"Content-Type", "application/pkix-crl"},
      {"Last-Modified", http_date((*crl)->this_update_ms)},
      {"ETag", "\"" + std::to_string((*crl)->number) + "\""},
      {"Cache-Control", "public, max-age=" + std::to_string(std::min(left_s, kCachedSMax))}};
  response.shared_body = std::shared_ptr<const std::string>(*crl, &(*crl)->der);
  return response;
}

}  // namespace keyward::acme
