// acme -> signer: the issuing chain and the names of the profiles.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

// What a profile takes and how it is proved, as the signer enforces it.
struct ProfileInfo {
  std::string name;
  std::string description;
  std::vector<std::string> identifier_types;  // RFC 8555 names
  std::vector<std::string> methods;           // challenge types; the signer counts no other proof
  std::optional<std::uint64_t> star_lifetime_s_min;  // RFC 8739; absent: not for this profile
  std::optional<std::uint64_t> star_duration_s_max;
  std::vector<std::string> attestations{};  // canonical hints: one more authorization for each
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "name", m.name, limits::kProfileNameBytesMax);
    v(2, "description", m.description, limits::kDetailBytesMax);
    v(3, "identifier_types", m.identifier_types, 16, limits::kProfileNameBytesMax);
    v(4, "methods", m.methods, 16, limits::kProfileNameBytesMax);
    v(5, "star_lifetime_s_min", m.star_lifetime_s_min);
    v(6, "star_duration_s_max", m.star_duration_s_max);
    v(7, "attestations", m.attestations, limits::kAttestationsPerOrderMax,
      limits::kProfileNameBytesMax);
  }
};

// Another way from the issuing CA to a root (RFC 8555 §7.4.2).
struct AlternateChain {
  std::vector<Bytes> certificates;  // what follows the leaf
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "certificates", m.certificates, limits::kChainCertificatesMax,
      limits::kCertificateBytesMax);
  }
};

struct IssuerGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kIssuerGet) + 1);
  static constexpr std::string_view kName = "issuer-get-reply";
  std::vector<Bytes> chain;  // issuing CA first
  std::vector<ProfileInfo> profiles;
  bool external_account_required = false;
  std::vector<AlternateChain> alternates;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "chain", m.chain, limits::kChainCertificatesMax, limits::kCertificateBytesMax);
    v(2, "profiles", m.profiles, 16);
    v(3, "external_account_required", m.external_account_required);
    v(4, "alternates", m.alternates, limits::kAlternateChainsMax);
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
