// Owns what status, diagnose and zeroise look up about a unit: further keys of its installation file,
// its status and metrics, certificates, the newest revocation list, disk space. It only reads. Must not
// know what is made of it.
//
// Errors: kUnavailable (not there, no right to read), kBadInput (not what it should be). Threads: one.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/ctl/unit_places.h"
#include "board/compose.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"

namespace keyward::ctl {

struct UnitSettings {
  std::string base_url;
  std::string listen;                   // of acme: "address:port"
  std::vector<std::string> hosts;       // further names of acme
  std::string tls_chain, tls_key;       // empty: the appliance makes its own
  std::string resolver_trust_anchor;    // of validation; empty: no DNSSEC
  std::vector<std::string> forwarders;  // empty: own recursion
  bool separate_uids = true;
  board::TokenSpec token;
  std::string key_label, audit_key_label, evidence_key_label, ocsp_key_label;
  std::uint32_t anchor_index = 0;  // 0: none
  // Where the TLS certificate that is served stands: tls_chain, or acme's own file.
  std::string served_chain(const UnitPlaces& places) const;
};
Result<UnitSettings> read_unit_settings(const std::string& installation);

std::optional<json::Document> read_status(const UnitPlaces& places);
std::optional<json::Document> read_metrics(const UnitPlaces& places);
// The sum over a metric's series; absent: no such metric.
std::optional<std::int64_t> metric(const json::Document& metrics, std::string_view name);

// Leaf first.
Result<std::vector<x509::Certificate>> read_chain(const std::string& path);

struct ListTimes {
  std::int64_t this_update_ms = 0, next_update_ms = 0;
};
// Of a CertificateList (RFC 5280 §5.1.2); its signature is not judged.
Result<ListTimes> read_list_times(const std::string& path);

struct DiskSpace {
  std::uint64_t free_bytes = 0, total_bytes = 0;
  int free_percent() const;
};
std::optional<DiskSpace> disk_space(const std::string& path);

std::string in_words(std::int64_t span_ms);  // "3 days", "4 hours"; of the absolute value

}  // namespace keyward::ctl
