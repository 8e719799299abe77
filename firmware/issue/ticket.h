// Owns order tickets: the signer's own statement, in the order's URL, of what a client asked for
// (DESIGN §2.4). Must not know orders or the store.
//
// ticket = base64url(expires_at_ms u64be || id(16) || HMAC-SHA256(key, "keyward-ticket-1" ||
// expires_at_ms || id || account thumbprint || SHA-256(terms))). The signer keeps nothing per
// order: a ticket with other terms, for another account or with another expiry is a forged one.
// Threads: values.
#pragma once

#include <string>
#include <string_view>

#include "firmware/issue/ledger_rows.h"
#include "firmware/issue/verdict.h"

namespace keyward::issue {

struct Ticket {
  TicketId id{};
  std::int64_t expires_at_ms = 0;
  std::string text;
};

class TicketKey {
 public:
  static constexpr std::size_t kKeyBytes = 32;
  explicit TicketKey(SecretBytes key) : key_(std::move(key)) {}
  // Reads the key file, or makes one (0600) at the first start. kCorrupt: of another size.
  static Result<TicketKey> load_or_create(const std::string& path);

  Ticket mint(const Digest256& thumbprint, ByteView terms, std::int64_t expires_at_ms) const;
  // "ticket-malformed", "ticket-forged", "ticket-expired", checked in this order.
  Verdict<Ticket> open(std::string_view text, const Digest256& thumbprint, ByteView terms,
                       std::int64_t now_ms) const;
  // HMAC for another kind of statement; `label` keeps the kinds apart, none is a prefix of another.
  Digest256 tag(std::string_view label, ByteView message) const;

 private:
  Digest256 seal(ByteView head, const Digest256& thumbprint, ByteView terms) const;
  SecretBytes key_;
};

}  // namespace keyward::issue
