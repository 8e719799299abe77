// acme -> signer: the issuing chain and the names of the profiles.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct IssuerGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kIssuerGet) + 1);
  static constexpr std::string_view kName = "issuer-get-reply";
  std::vector<Bytes> chain;  // issuing CA first
  std::vector<std::string> profiles;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "chain", m.chain, limits::kChainCertificatesMax, limits::kCertificateBytesMax);
    v(2, "profiles", m.profiles, 16, limits::kProfileNameBytesMax);
  }
};

struct IssuerGet {
  using Reply = IssuerGetReply;
  static constexpr MessageType kType = MessageType::kIssuerGet;
  static constexpr std::string_view kName = "issuer-get";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
