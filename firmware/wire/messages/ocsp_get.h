// acme -> signer: an answer to an OCSP request (RFC 6960), DER both ways.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct OcspGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kOcspGet) + 1);
  static constexpr std::string_view kName = "ocsp-get-reply";
  Bytes response;  // an OCSPResponse, also where it says that there is no answer
  // Present: the same question may get this answer again until then (RFC 5019 §6).
  std::optional<std::int64_t> this_update_ms;
  std::optional<std::int64_t> next_update_ms;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "response", m.response, limits::kOcspResponseBytesMax);
    v(2, "this_update_ms", m.this_update_ms);
    v(3, "next_update_ms", m.next_update_ms);
  }
};

struct OcspGet {
  using Reply = OcspGetReply;
  static constexpr MessageType kType = MessageType::kOcspGet;
  static constexpr std::string_view kName = "ocsp-get";
  Bytes request;  // as it came
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "request", m.request, limits::kOcspRequestBytesMax);
  }
};

}  // namespace keyward::wire
