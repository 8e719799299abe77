// Owns what stands in a revocation list. Must not know when one is made.
#include "firmware/issue/crl_content.h"

#include <algorithm>

#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kCrlNumber = "2.5.29.20", kReasonCode = "2.5.29.21",
                           kDeltaIndicator = "2.5.29.27", kDistributionPoint = "2.5.29.28",
                           kFreshest = "2.5.29.46", kShardPrefix = "shard-";
constexpr std::uint8_t kEnumerated = 0x0a;

std::int64_t floor_to_second(std::int64_t ms) { return ms - ms % 1'000; }

// RFC 5280 §5.3.1: unspecified is said by saying nothing.
Bytes entry_der(const RevokedCertificate& revoked) {
  const Bytes serial = x509::der_unsigned(revoked.serial);
  const Bytes time = x509::der_time(floor_to_second(revoked.revoked_ms));
  if (!revoked.reason || *revoked.reason == 0) return x509::der_sequence({serial, time});
  const std::uint8_t reason = static_cast<std::uint8_t>(*revoked.reason);
  const Bytes value = x509::tlv(kEnumerated, ByteView(&reason, 1));
  return x509::der_sequence(
      {serial, time, x509::der_sequence({x509::extension_der(kReasonCode, false, value)})});
}

// DistributionPointName with one URI: fullName [0] in distributionPoint [0].
Bytes point_name(std::string_view url) {
  const Bytes uri = x509::tlv(x509::tag::context(6), view_of(url));
  const Bytes name = x509::tlv(x509::tag::context_constructed(0), ByteView(uri));
  return x509::tlv(x509::tag::context_constructed(0), ByteView(name));
}

}  // namespace

std::string shard_name(std::uint64_t of, std::uint64_t index) {
  return std::string(kShardPrefix) + std::to_string(of) + "-" + std::to_string(index);
}

bool is_shard_name(std::string_view list) { return list.starts_with(kShardPrefix); }

// Serial numbers are random (RFC 5280 §4.1.2.2 and serial.h): their last octets spread evenly.
std::string shard_of(ByteView serial, std::uint64_t of) {
  if (of < 2 || serial.size() < 2) return {};
  const std::uint64_t last = serial[serial.size() - 2] * 256U + serial[serial.size() - 1];
  return shard_name(of, last % of);
}

std::string list_url(const Issuer& issuer, std::string_view list) {
  if (issuer.crl_url.empty() || list.empty()) return issuer.crl_url;
  return issuer.crl_url + "/" + std::string(list);
}

// ---- entries

std::uint16_t RevokedEntries::index_of(const std::string& list) {
  const auto known = std::ranges::find(lists_, list);
  if (known == lists_.end()) lists_.push_back(list);
  return static_cast<std::uint16_t>(std::ranges::find(lists_, list) - lists_.begin());
}

Status RevokedEntries::add(const RevokedCertificate& revoked) {
  Bytes der = entry_der(revoked);
  if (bytes_ + der.size() > bytes_max_)
    return fail(ErrorKind::kExhausted, "the revocation list is full");
  bytes_ += der.size();
  until_row_ = std::max(until_row_, revoked.row);
  entries_.push_back({revoked.not_after_ms, revoked.row, index_of(revoked.list), std::move(der)});
  return {};
}

void RevokedEntries::drop_ended(std::int64_t this_update_ms, std::uint64_t until_row) {
  std::erase_if(entries_, [&](const Entry& entry) {
    const bool done = entry.not_after_ms < this_update_ms && entry.row <= until_row;
    if (done) bytes_ -= entry.der.size();
    return done;
  });
}

template <class Visit>
void RevokedEntries::each(const Selection& selection, const Visit& visit) const {
  std::optional<std::uint16_t> list;
  if (selection.list) {
    const auto known = std::ranges::find(lists_, *selection.list);
    if (known == lists_.end()) return;
    list = static_cast<std::uint16_t>(known - lists_.begin());
  }
  for (const auto& entry : entries_) {
    // Rows count from 0; a list that held nothing says 0 too, so that 0 leaves nothing out.
    const bool later = selection.after_row == 0 || entry.row > selection.after_row;
    if (later && entry.row <= selection.until_row && (!list || entry.list == *list)) visit(entry);
  }
}

Bytes RevokedEntries::joined(const Selection& selection) const {
  Bytes out;
  if (!selection.list && selection.after_row == 0) out.reserve(bytes_);
  each(selection, [&](const Entry& entry) { append(out, entry.der); });
  return out;
}

std::uint64_t RevokedEntries::count(const Selection& selection) const {
  std::uint64_t out = 0;
  each(selection, [&](const Entry&) { ++out; });
  return out;
}

// ---- octets

Bytes build_crl_tbs(const Issuer& issuer, const CrlContent& content) {
  const Bytes number = x509::der_unsigned(content.number);
  Bytes extensions = x509::ext_authority_key_id(issuer.key_id);
  append(extensions, x509::extension_der(kCrlNumber, false, number));
  // §5.2.4, §5.2.5: critical, since whoever does not know them would take a part for the whole.
  if (content.base_number)
    append(extensions,
           x509::extension_der(kDeltaIndicator, true, x509::der_unsigned(*content.base_number)));
  if (!content.scope_url.empty())
    append(extensions, x509::extension_der(kDistributionPoint, true,
                                           x509::der_sequence({point_name(content.scope_url)})));
  // §5.2.6: never in a delta.
  if (!content.freshest_url.empty())
    append(extensions,
           x509::extension_der(
               kFreshest, false,
               x509::der_sequence({x509::der_sequence({point_name(content.freshest_url)})})));
  const Bytes list = x509::tlv(x509::tag::kSequence, extensions);
  const Bytes entries =
      content.entries.empty() ? Bytes{} : x509::tlv(x509::tag::kSequence, content.entries);
  return x509::der_sequence({x509::der_unsigned(std::uint64_t{1}), issuer.signature_algorithm_der,
                             issuer.certificate.subject_der, x509::der_time(content.this_update_ms),
                             x509::der_time(content.next_update_ms), entries,
                             x509::tlv(x509::tag::context_constructed(0), ByteView(list))});
}

}  // namespace keyward::issue
