// Owns reading one revocation list for publishing: whose it is, and when it lapses. Must not know
// folders, nor what is revoked.
//
// The signature is verified with one of the given certificates before anything inside is read. Errors:
// kRefused (nobody of these signed it), kBadInput (it is no list with a number and a nextUpdate).
// Threads: functions. Source: RFC 5280 §5.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "firmware/x509/certificate.h"

namespace keyward::ctl {

struct PublishedList {
  Bytes der;
  std::size_t issuer = 0;  // of the given certificates
  std::string scope;       // hex: the issuer's key and the list's part; one number series each
  std::uint64_t number = 0;
  std::int64_t this_update_ms = 0, next_update_ms = 0;  // UTC
};
Result<PublishedList> read_published_list(Bytes der, const std::vector<x509::Certificate>& issuers);

// The series of the signer's long list, which says nothing inside that tells it from the whole one.
std::string long_scope_of(const PublishedList& list);

// The subject's common name in lower case letters, digits and hyphens; "ca" if it has none.
std::string file_stem_of(const x509::Certificate& certificate);

}  // namespace keyward::ctl
