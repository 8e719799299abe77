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
Answer<CrlPtr> fetch_rest(SignerBackend& signer, wire::CrlGet request,
                          const wire::CrlGetReply& first) {
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
    request.number = first.number;
    request.offset = crl->der.size();
    auto next = signer.ask(request);
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

Answer<CrlPtr> fetch(SignerBackend& signer, const std::string& list, const CrlPtr& kept) {
  wire::CrlGet request;
  if (!list.empty()) request.list = list;
  for (int i = 0; i < kTriesMax; ++i) {
    auto first = signer.ask(request);
    if (!first) return tl::unexpected<wire::Failure>(std::move(first.error()));
    if (kept && kept->number == first->number) return kept;
    auto whole = fetch_rest(signer, request, *first);
    if (!whole || *whole) return whole;
  }
  return tl::unexpected<wire::Failure>(
      wire::Failure::of(wire::FailureKind::kUnavailable, "crl.replaced",
                        "the list was replaced again and again while it was read"));
}

}  // namespace

// Full: the others are fetched anew when somebody asks for them.
void CrlCache::keep(const std::string& list, Kept kept) {
  std::size_t bytes = kept.crl->der.size();
  for (const auto& [name, other] : kept_)
    if (name != list) bytes += other.crl->der.size();
  if (bytes > limits::kCrlKeptBytesMax) kept_.clear();
  kept_[list] = std::move(kept);
}

Answer<CrlPtr> CrlCache::newest(SignerBackend& signer, const std::string& list, std::int64_t utc_ms,
                                std::int64_t monotonic_ms) {
  const std::lock_guard lock(mutex_);
  const auto known = kept_.find(list);
  const Kept kept = known == kept_.end() ? Kept{} : known->second;
  const bool fresh = monotonic_ms - kept.asked_at_ms < limits::kCrlRecheckMs;
  if (kept.crl && fresh) return kept.crl;
  auto found = fetch(signer, list, kept.crl);
  if (!found) {
    const bool none = has_none(found.error());
    if (none) kept_.erase(list);
    if (kept.crl && utc_ms < kept.crl->next_update_ms && !none) return kept.crl;
    return found;
  }
  keep(list, {*found, monotonic_ms});
  return *found;
}

Outcome<HttpResponse> revocation_list(Context& context, std::string_view list) {
  const auto now_ms = context.clock.utc_ms();
  if (list.size() > limits::kListNameBytesMax) return refuse(not_found());
  auto crl = context.crl.newest(context.backend.signer, std::string(list), now_ms,
                                context.clock.monotonic_ms());
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
