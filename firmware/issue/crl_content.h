// Owns what stands in a revocation list: its entries in memory, and its octets. Must not know when a
// list is made, nor ledger and token (crl.h).
//
// Lists of one issuer: the whole one; a delta to it (RFC 5280 §5.2.4); shards, each for the
// certificates that name it as their distribution point (§5.2.5); a long one, the same entries for
// sites that are reached seldom. Threads: one at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/issue/issuer.h"
#include "hal/base/limits.h"

namespace keyward::issue {

inline constexpr std::string_view kDeltaList = "delta", kLongList = "long";

// "shard-<of>-<index>": a number of shards that is changed leaves the lists of before.
std::string shard_name(std::uint64_t of, std::uint64_t index);
bool is_shard_name(std::string_view list);
// The shard that a certificate belongs to, from its serial number; empty: `of` is 0 or 1.
std::string shard_of(ByteView serial, std::uint64_t of);
// Where relying parties fetch it; `list` empty: the whole one.
std::string list_url(const Issuer& issuer, std::string_view list);

struct RevokedCertificate {
  Bytes serial;
  std::int64_t revoked_ms = 0;
  std::optional<std::uint64_t> reason;  // RFC 5280 §5.3.1; unspecified is left out there
  std::int64_t not_after_ms = 0;
  std::uint64_t row = 0;  // of the revocation
  std::string list{};     // the shard that the certificate names; empty: none
};

// Entries in the order of their revocation, each encoded once.
class RevokedEntries {
 public:
  struct Selection {
    std::optional<std::string> list{};  // absent: of every shard and of none
    std::uint64_t after_row = 0;
    std::uint64_t until_row = UINT64_MAX;
  };
  explicit RevokedEntries(std::size_t bytes_max = limits::kCrlEntriesBytesMax)
      : bytes_max_(bytes_max) {}
  // kExhausted: as many as a list may hold.
  Status add(const RevokedCertificate& revoked);
  // Lists that were made at `this_update_ms` held everything up to row `until_row`: entries whose
  // certificate had ended by then have done their duty.
  void drop_ended(std::int64_t this_update_ms, std::uint64_t until_row);
  Bytes joined(const Selection& selection) const;
  Bytes joined() const { return joined(Selection{}); }
  std::uint64_t count(const Selection& selection) const;
  std::uint64_t count() const { return entries_.size(); }
  std::uint64_t until_row() const { return until_row_; }
  // Nine tenths: what is issued from here on might not find room when it is revoked.
  bool nearly_full() const { return bytes_ > bytes_max_ / 10 * 9; }

 private:
  struct Entry {
    std::int64_t not_after_ms = 0;
    std::uint64_t row = 0;
    std::uint16_t list = 0;  // in lists_
    Bytes der;
  };
  std::uint16_t index_of(const std::string& list);
  template <class Visit>
  void each(const Selection& selection, const Visit& visit) const;
  std::size_t bytes_max_;
  std::vector<std::string> lists_{""};
  std::vector<Entry> entries_;
  std::size_t bytes_ = 0;
  std::uint64_t until_row_ = 0;
};

struct CrlContent {
  std::uint64_t number = 0;
  std::int64_t this_update_ms = 0;  // whole seconds
  std::int64_t next_update_ms = 0;
  ByteView entries;  // revokedCertificates' content; empty: the field is absent
  std::optional<std::uint64_t> base_number{};  // a delta: of the list that it goes with
  std::string scope_url{};     // a shard: what its certificates name; empty: all certificates
  std::string freshest_url{};  // where the delta is; empty: there is none
};
Bytes build_crl_tbs(const Issuer& issuer, const CrlContent& content);

}  // namespace keyward::issue
