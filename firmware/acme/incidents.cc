#include "firmware/acme/incidents.h"

#include <algorithm>

#include "firmware/json/json.h"
#include "hal/base/limits.h"

namespace keyward::acme {
namespace {

constexpr std::size_t kSerialBytesMax = 20;  // RFC 5280 §4.1.2.2

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Result<std::int64_t> time_of(const json::Value& item, std::string_view key) {
  const auto value = item.get(key);
  if (!value.is_integer() || value.integer() < 0) return bad("incidents: a time is not an integer");
  return value.integer();
}

Result<std::optional<std::int64_t>> time_if_there(const json::Value& item, std::string_view key) {
  if (!item.get(key).exists()) return std::optional<std::int64_t>{};
  KEYWARD_TRY(value, time_of(item, key));
  return std::optional<std::int64_t>(value);
}

Status read_selection(const json::Value& item, Incident& out) {
  const auto serials = item.get("serials");
  if (serials.exists()) {
    if (!serials.is_array() || serials.items().empty() ||
        serials.items().size() > limits::kIncidentSerialsMax)
      return bad("incidents: \"serials\" is no list, empty, or too long");
    for (const auto& serial : serials.items()) {
      auto octets = hex_decode(serial.string());
      if (!octets || octets->empty() || octets->size() > kSerialBytesMax)
        return bad("incidents: a serial is not hexadecimal");
      out.serials.push_back(std::move(*octets));
    }
  }
  const auto profile = item.get("profile");
  if (profile.exists()) {
    if (!profile.is_string() || profile.string().empty() ||
        profile.string().size() > limits::kProfileNameBytesMax)
      return bad("incidents: \"profile\" is not a name");
    out.profile = std::string(profile.string());
  }
  KEYWARD_TRY(from, time_if_there(item, "issued_from_ms"));
  KEYWARD_TRY(until, time_if_there(item, "issued_until_ms"));
  out.issued_from_ms = from;
  out.issued_until_ms = until;
  return {};
}

Result<Incident> read_incident(const json::Value& item) {
  Incident out;
  KEYWARD_TRY(id, item.require_string("id"));
  if (id.empty() || id.size() > limits::kIdBytesMax) return bad("incidents: \"id\" is not an id");
  out.id = std::string(id);
  KEYWARD_TRY(declared, time_of(item, "declared_at_ms"));
  KEYWARD_TRY(start, time_of(item, "window_start_ms"));
  KEYWARD_TRY(end, time_of(item, "window_end_ms"));
  // RFC 9773 §4.2: clients refuse a window whose end is not after its start.
  if (end / 1'000 <= start / 1'000) return bad("incidents: a window ends before it begins");
  out.declared_at_ms = declared;
  out.window_start_ms = start;
  out.window_end_ms = end;
  const auto explanation = item.get("explanation_url");
  if (explanation.exists()) {
    if (!explanation.is_string() || explanation.string().size() > limits::kUrlBytesMax)
      return bad("incidents: \"explanation_url\" is not a URL");
    out.explanation_url = std::string(explanation.string());
  }
  KEYWARD_CHECK(read_selection(item, out));
  return out;
}

}  // namespace

Result<Incidents> parse_incidents(ByteView file) {
  KEYWARD_TRY(document, json::Document::parse(text_of(file), limits::kIncidentsBytesMax));
  const auto list = document.root().get("incidents");
  if (!list.is_array()) return bad("incidents: no list \"incidents\"");
  const auto items = list.items();
  if (items.size() > limits::kIncidentsMax) return bad("incidents: too many");
  Incidents out;
  for (const auto& item : items) {
    KEYWARD_TRY(incident, read_incident(item));
    out.push_back(std::move(incident));
  }
  return out;
}

std::string incidents_json(const Incidents& incidents) {
  json::Writer out;
  out.begin_object().key("incidents").begin_array();
  for (const auto& each : incidents) {
    out.begin_object().member("id", each.id).member_int("declared_at_ms", each.declared_at_ms);
    if (!each.serials.empty()) {
      out.key("serials").begin_array();
      for (const auto& serial : each.serials) out.string(hex_encode(serial));
      out.end_array();
    }
    if (each.profile) out.member("profile", *each.profile);
    if (each.issued_from_ms) out.member_int("issued_from_ms", *each.issued_from_ms);
    if (each.issued_until_ms) out.member_int("issued_until_ms", *each.issued_until_ms);
    out.member_int("window_start_ms", each.window_start_ms);
    out.member_int("window_end_ms", each.window_end_ms);
    if (!each.explanation_url.empty()) out.member("explanation_url", each.explanation_url);
    out.end_object();
  }
  out.end_array().end_object();
  return out.take();
}

bool concerns(const Incident& incident, const CertificateFacts& certificate) {
  const auto is_it = [&](const Bytes& serial) { return equal(serial, certificate.serial); };
  if (!incident.serials.empty() &&
      std::none_of(incident.serials.begin(), incident.serials.end(), is_it))
    return false;
  if (incident.profile && *incident.profile != certificate.profile) return false;
  if (incident.issued_from_ms && certificate.not_before_ms < *incident.issued_from_ms) return false;
  return !incident.issued_until_ms || certificate.not_before_ms <= *incident.issued_until_ms;
}

const Incident* earliest_incident(const Incidents& incidents, const CertificateFacts& certificate) {
  const Incident* found = nullptr;
  for (const auto& incident : incidents) {
    if (!concerns(incident, certificate)) continue;
    if (found == nullptr || incident.window_start_ms < found->window_start_ms) found = &incident;
  }
  return found;
}

}  // namespace keyward::acme
