// Owns the certificate revocation list as anybody may fetch it, and the one copy that is kept of
// it. Must not know what stands in it: the signer made and signed it.
//
// The copy is replaced when the signer says another number, which it is asked at most once in
// limits::kCrlRecheckMs; one list of at most limits::kCrlBytesMax is kept, and one fetched at a
// time. Threads: any. Source: RFC 5280 §5, RFC 2585 §4 (media type).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

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
  // The newest list. While the signer is away: the one that is kept, as long as it holds.
  Answer<CrlPtr> newest(SignerBackend& signer, std::int64_t utc_ms, std::int64_t monotonic_ms);

 private:
  std::mutex mutex_;  // held while the signer is asked: a second asker gets what the first fetched
  CrlPtr kept_;
  std::int64_t asked_at_ms_ = 0;  // monotonic; 0: never
};

// 404: this installation has none.
Outcome<HttpResponse> revocation_list(Context& context);

}  // namespace keyward::acme
