#include "firmware/acme/accept.h"

#include <algorithm>
#include <array>
#include <string>

namespace keyward::acme {
namespace {

struct Offer {
  CertificateFormat format;
  std::string_view subtype;     // of application/
  std::string_view smime_type;  // parameter that the range may ask for; empty: none
};
constexpr std::array kOffers = std::to_array<Offer>({
    {CertificateFormat::kPemChain, "pem-certificate-chain", ""},
    {CertificateFormat::kPkix, "pkix-cert", ""},
    {CertificateFormat::kPkcs7, "pkcs7-mime", "certs-only"},
});

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool same(std::string_view a, std::string_view lower) {
  const auto equal = [](char x, char y) {
    return x == y || (x >= 'A' && x <= 'Z' && x - 'A' + 'a' == y);
  };
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), equal);
}

// Takes what stands before `separator` off the front of `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const auto at = rest.find(separator);
  const auto part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return trim(part);
}

// In thousandths (RFC 9110 §12.4.2: at most three digits). Empty: not a quality.
std::optional<int> quality_of(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int value = (text[0] - '0') * 1'000;
  text.remove_prefix(1);
  if (text.empty()) return value;
  if (text[0] != '.' || text.size() > 4) return std::nullopt;
  int weight = 100;
  for (const char digit : text.substr(1)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value += (digit - '0') * weight;
    weight /= 10;
  }
  return value <= 1'000 ? std::optional(value) : std::nullopt;
}

struct Range {
  std::string_view type;
  std::string_view subtype;
  std::string_view smime_type;
  int quality = 1'000;
};

std::optional<Range> range_of(std::string_view element) {
  Range out;
  auto name = take(element, ';');
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  out.type = name.substr(0, slash);
  out.subtype = name.substr(slash + 1);
  if (out.type.empty() || out.subtype.empty()) return std::nullopt;
  while (!element.empty()) {
    auto value = take(element, ';');
    const auto key = take(value, '=');
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    if (same(key, "smime-type")) out.smime_type = value;
    if (!same(key, "q")) continue;
    const auto quality = quality_of(value);
    if (!quality) return std::nullopt;
    out.quality = *quality;
  }
  return out;
}

// How closely the range names the offer: 0 not at all, then "*/*", "application/*", the type, the
// type with its parameter.
int closeness(const Range& range, const Offer& offer) {
  if (range.type == "*") return range.subtype == "*" ? 1 : 0;
  if (!same(range.type, "application")) return 0;
  if (range.subtype == "*") return 2;
  if (!same(range.subtype, offer.subtype)) return 0;
  if (range.smime_type.empty() || offer.smime_type.empty()) return 3;
  return same(range.smime_type, offer.smime_type) ? 4 : 0;
}

}  // namespace

std::string_view media_type_of(CertificateFormat format) {
  switch (format) {
    case CertificateFormat::kPemChain:
      return "application/pem-certificate-chain";
    case CertificateFormat::kPkix:
      return "application/pkix-cert";
    case CertificateFormat::kPkcs7:
      return "application/pkcs7-mime;smime-type=certs-only";
  }
  return "";
}

std::optional<CertificateFormat> choose_format(std::string_view accept) {
  struct Best {
    int closeness = 0;
    int quality = 0;
  };
  std::array<Best, kOffers.size()> best{};
  bool any = false;
  while (!accept.empty()) {
    const auto range = range_of(take(accept, ','));
    if (!range) continue;
    any = true;
    for (std::size_t i = 0; i < kOffers.size(); ++i) {
      const int close = closeness(*range, kOffers[i]);
      if (close > best[i].closeness) best[i] = {close, range->quality};
    }
  }
  if (!any) return CertificateFormat::kPemChain;
  const auto at = std::max_element(
      best.begin(), best.end(), [](const Best& a, const Best& b) { return a.quality < b.quality; });
  if (at->quality == 0) return std::nullopt;
  return kOffers[static_cast<std::size_t>(at - best.begin())].format;
}

}  // namespace keyward::acme
