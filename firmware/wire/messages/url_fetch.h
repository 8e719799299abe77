// acme -> validation: a small document from an https URL, within the egress policy (RFC 9447 x5u).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct UrlFetchReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kUrlFetch) + 1);
  static constexpr std::string_view kName = "url-fetch-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  Bytes body;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "body", m.body, limits::kFetchedBytesMax);
  }
};

struct UrlFetch {
  using Reply = UrlFetchReply;
  static constexpr MessageType kType = MessageType::kUrlFetch;
  static constexpr std::string_view kName = "url-fetch";
  std::string url;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "url", m.url, limits::kUrlBytesMax);
  }
};

}  // namespace keyward::wire
