// Owns the certificate revocation lists as anybody may fetch them, and the one copy that is kept of
// each. Must not know what stands in one: the signer made and signed it.
//
// A copy is replaced when the signer says another number, which it is asked at most once in
// limits::kCrlRecheckMs for each list; lists that the signer has are kept, of at most
// limits::kCrlBytesMax each and limits::kCrlKeptBytesMax together, and one is fetched at a time. Threads: any. Source: RFC 5280 §5, RFC 2585 §4 (media type).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "firmware/acme/backend.h"
#include "firmware/acme/http.h"
#include "firmware/acme/problem.h"

namespace keyward::acme {

struct Context;

struct Crl {
  std::uint64_t number = 0;  // cRLNumber
  std::string der;
  std::int64_t this_update_ms = 0;  // UTC
  std::int64_t next_update_ms = 0;
};
using CrlPtr = std::shared_ptr<const Crl>;

class CrlCache {
 public:
  // The newest list; `list` empty: the whole one. While the signer is away: the one that is kept, as
  // long as it holds.
  Answer<CrlPtr> newest(SignerBackend& signer, const std::string& list, std::int64_t utc_ms,
                        std::int64_t monotonic_ms);

 private:
  struct Kept {
    CrlPtr crl;
    std::int64_t asked_at_ms = 0;  // monotonic; 0: never
  };
  void keep(const std::string& list, Kept kept);
  std::mutex mutex_;  // held while the signer is asked: a second asker gets what the first fetched
  std::map<std::string, Kept> kept_;
};

// 404: this installation has none, or none of that name (`list` empty: the whole one).
Outcome<HttpResponse> revocation_list(Context& context, std::string_view list = {});

}  // namespace keyward::acme
