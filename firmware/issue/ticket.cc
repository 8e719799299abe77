#include "firmware/issue/ticket.h"

#include <algorithm>

#include "firmware/crypto/crypto.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kLabel = "keyward-ticket-1";
constexpr std::size_t kExpiryBytes = 8;
constexpr std::size_t kHeadBytes = kExpiryBytes + std::tuple_size_v<TicketId>;
constexpr std::size_t kTicketBytes = kHeadBytes + 32;

}  // namespace

Result<TicketKey> TicketKey::load_or_create(const std::string& path) {
  if (!file_exists(path)) {
    SecretBytes key(kKeyBytes);
    random_fill({key.data(), key.size()});
    KEYWARD_CHECK(replace_file(path, key.view(), 0600));
    return TicketKey(std::move(key));
  }
  KEYWARD_TRY(bytes, read_file(path, kKeyBytes));
  if (bytes.size() != kKeyBytes)
    return fail(ErrorKind::kCorrupt, "the ticket key has another size");
  return TicketKey(SecretBytes(bytes));
}

Digest256 TicketKey::seal(ByteView head, const Digest256& thumbprint, ByteView terms) const {
  Bytes message = to_bytes(kLabel);
  append(message, head);
  append(message, thumbprint);
  append(message, crypto::sha256(terms));
  return crypto::hmac_sha256(key_.view(), message);
}

Digest256 TicketKey::tag(std::string_view label, ByteView message) const {
  Bytes whole = to_bytes(label);
  append(whole, message);
  return crypto::hmac_sha256(key_.view(), whole);
}

Ticket TicketKey::mint(const Digest256& thumbprint, ByteView terms,
                       std::int64_t expires_at_ms) const {
  Ticket ticket;
  ticket.expires_at_ms = expires_at_ms;
  random_fill(ticket.id);
  Bytes raw;
  const auto expiry = static_cast<std::uint64_t>(expires_at_ms);
  for (int shift = 56; shift >= 0; shift -= 8)
    raw.push_back(static_cast<std::uint8_t>(expiry >> shift));
  append(raw, ticket.id);
  append(raw, seal(raw, thumbprint, terms));
  ticket.text = base64url_encode(raw);
  return ticket;
}

Verdict<Ticket> TicketKey::open(std::string_view text, const Digest256& thumbprint, ByteView terms,
                                std::int64_t now_ms) const {
  const auto raw = base64url_decode(text);
  if (!raw || raw->size() != kTicketBytes)
    return bad_input("ticket-malformed", "the order's path holds no ticket");
  const ByteView head = ByteView(*raw).first(kHeadBytes);
  if (!equal_constant_time(seal(head, thumbprint, terms), ByteView(*raw).subspan(kHeadBytes))) {
    return refuse("ticket-forged", "the ticket was not minted for this account and these terms");
  }
  Ticket ticket;
  ticket.text = text;
  std::uint64_t expiry = 0;
  for (std::size_t i = 0; i < kExpiryBytes; ++i) expiry = expiry << 8 | head[i];
  ticket.expires_at_ms = static_cast<std::int64_t>(expiry);
  std::copy_n(head.begin() + kExpiryBytes, ticket.id.size(), ticket.id.begin());
  if (now_ms >= ticket.expires_at_ms) return refuse("ticket-expired", "the order has expired");
  return ticket;
}

}  // namespace keyward::issue
