// acme -> signer: a part of the newest certificate revocation list (RFC 5280 §5), DER.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct CrlGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kCrlGet) + 1);
  static constexpr std::string_view kName = "crl-get-reply";
  std::uint64_t number = 0;  // cRLNumber
  std::uint64_t total_bytes = 0;
  Bytes part;
  std::int64_t this_update_ms = 0;
  std::int64_t next_update_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "number", m.number);
    v(2, "total_bytes", m.total_bytes);
    v(3, "part", m.part, limits::kCrlPartBytesMax);
    v(4, "this_update_ms", m.this_update_ms);
    v(5, "next_update_ms", m.next_update_ms);
  }
};

struct CrlGet {
  using Reply = CrlGetReply;
  static constexpr MessageType kType = MessageType::kCrlGet;
  static constexpr std::string_view kName = "crl-get";
  std::optional<std::uint64_t> number;  // absent: the newest
  std::uint64_t offset = 0;             // octets
  // "delta", "long", "shard-<of>-<index>"; absent: the whole list.
  std::optional<std::string> list{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "number", m.number);
    v(2, "offset", m.offset);
    v(3, "list", m.list, limits::kListNameBytesMax);
  }
};

}  // namespace keyward::wire
