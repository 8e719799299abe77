// Owns incidents: what an operator says about certificates that must be renewed before their time
// (RFC 9773 §4.1), as a file. Must not know HTTP, nor how the file is written or watched
// (firmware/operate).
//
// keywardctl writes the file into the acme task's own directory; the task reads it. It only moves
// the dates at which well-behaved clients renew, and grants nothing.
// Errors: kBadInput with what is wrong. Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::acme {

struct Incident {
  std::string id;
  std::int64_t declared_at_ms = 0;
  // Which certificates: all of those that are given must hold; none given means every certificate.
  std::vector<Bytes> serials;  // content octets
  std::optional<std::string> profile;
  std::optional<std::int64_t> issued_from_ms;  // against notBefore, which lies a little earlier
  std::optional<std::int64_t> issued_until_ms;
  // When they are to be renewed.
  std::int64_t window_start_ms = 0;
  std::int64_t window_end_ms = 0;  // > start
  std::string explanation_url;     // empty: none
};
using Incidents = std::vector<Incident>;

inline constexpr std::string_view kIncidentsFolder = "operator";
inline constexpr std::string_view kIncidentsFile = "incidents.json";

Result<Incidents> parse_incidents(ByteView file);
std::string incidents_json(const Incidents& incidents);

// What there is to know about one certificate.
struct CertificateFacts {
  ByteView serial;
  std::string_view profile;
  std::int64_t not_before_ms = 0;
};
bool concerns(const Incident& incident, const CertificateFacts& certificate);
// The one among those that concern it whose window begins first; null: none does.
const Incident* earliest_incident(const Incidents& incidents, const CertificateFacts& certificate);

}  // namespace keyward::acme
