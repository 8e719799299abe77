#include "firmware/attest/ca_search.h"

#include <algorithm>

#include "firmware/x509/der.h"
#include "firmware/x509/distinguished_name.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

constexpr std::size_t kNameTextBytesMax = 200;
constexpr std::size_t kUrlsMax = 4;
constexpr std::string_view kCaIssuers = "1.3.6.1.5.5.7.48.2";

std::string_view short_name(std::string_view oid) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"2.5.4.3", "CN"}, {"2.5.4.6", "C"},  {"2.5.4.7", "L"},
      {"2.5.4.8", "ST"}, {"2.5.4.10", "O"}, {"2.5.4.11", "OU"}};
  for (const auto& [known, name] : kNames) {
    if (known == oid) return name;
  }
  return oid;
}

std::string printable(ByteView octets) {
  std::string out;
  for (const auto octet : octets)
    out += octet >= 0x20 && octet < 0x7f ? static_cast<char>(octet) : '?';
  return out;
}

Result<std::string> read_name(ByteView name_der) {
  std::string out;
  KEYWARD_CHECK(x509::for_each_attribute(
      name_der, [&](ByteView type, const x509::DerReader::Any& value) -> Status {
        if (!out.empty()) out += ", ";
        out += std::string(short_name(x509::oid_text(type))) + "=" + printable(value.content);
        return {};
      }));
  return out;
}

Result<std::vector<std::string>> read_urls(ByteView value) {
  std::vector<std::string> out;
  x509::DerReader outer(value);
  KEYWARD_TRY(list, outer.sequence());
  while (!list.at_end() && out.size() < kUrlsMax) {
    KEYWARD_TRY(access, list.sequence());
    KEYWARD_TRY(method, access.oid());
    KEYWARD_TRY(location, access.any());
    const auto text = text_of(location.content);
    const bool web = text.starts_with("http://") || text.starts_with("https://");
    if (x509::oid_text(method) == kCaIssuers && location.tag == x509::tag::context(6) && web &&
        text.size() <= limits::kUrlBytesMax)
      out.push_back(printable(location.content));
  }
  return out;
}

// Higher is closer.
int closeness(const x509::Certificate& known, const x509::Certificate& child,
              const std::string& issuer, std::string& how) {
  const auto wanted = authority_key_id(child);
  if (!wanted.empty() && subject_key_id(known) == wanted) {
    how = "it has that key identifier and another name";
    return 4;
  }
  if (known.subject_der == child.issuer_der) {
    how = "it has that name and another key";
    return 3;
  }
  const auto name = name_text(known.subject_der);
  const auto organisation = [](const std::string& text) {
    const auto at = text.find("O=");
    return at == std::string::npos ? std::string() : text.substr(at, text.find(',', at) - at);
  };
  const auto of_known = organisation(name);
  if (!of_known.empty() && of_known == organisation(issuer)) {
    how = "it is of the same organisation";
    // Of several, the one whose name begins alike.
    return std::ranges::mismatch(name, issuer).in1 - name.begin() > 8 ? 2 : 1;
  }
  return 0;
}

}  // namespace

std::string name_text(ByteView name_der) {
  const auto read = read_name(name_der);
  std::string out = read ? *read : hex_encode(name_der);
  if (out.empty()) out = "(empty name)";
  if (out.size() > kNameTextBytesMax) out.resize(kNameTextBytesMax);
  return out;
}

Bytes subject_key_id(const x509::Certificate& certificate) {
  const auto* extension = certificate.extension("2.5.29.14");
  if (extension == nullptr) return {};
  x509::DerReader in(extension->value);
  const auto id = in.element(x509::tag::kOctetString);
  return id ? to_bytes(*id) : Bytes();
}

Bytes authority_key_id(const x509::Certificate& certificate) {
  const auto* extension = certificate.extension("2.5.29.35");
  if (extension == nullptr) return {};
  x509::DerReader outer(extension->value);
  auto in = outer.sequence();
  if (!in || in->peek_tag() != x509::tag::context(0)) return {};
  const auto id = in->element(x509::tag::context(0));
  return id ? to_bytes(*id) : Bytes();
}

std::vector<std::string> issuer_urls(const x509::Certificate& certificate) {
  const auto* extension = certificate.extension("1.3.6.1.5.5.7.1.1");
  if (extension == nullptr) return {};
  auto urls = read_urls(extension->value);
  return urls ? *urls : std::vector<std::string>();
}

MissingCa missing_ca(const x509::Certificate& leaf,
                     const std::vector<x509::Certificate>& candidates,
                     const std::vector<x509::Certificate>& anchors) {
  // The child above which nobody known stands. The way is short: a loop of names ends at its limit.
  const x509::Certificate* child = &leaf;
  for (std::size_t step = 0; step < limits::kChainCertificatesMax; ++step) {
    const auto signs = [&](const x509::Certificate& c) {
      return c.subject_der == child->issuer_der && c.der != child->der && c.key &&
             x509::verify_signed_by(*child, *c.key);
    };
    const auto next = std::ranges::find_if(candidates, signs);
    if (next == candidates.end()) break;
    child = &*next;
  }
  MissingCa out;
  out.issuer = name_text(child->issuer_der);
  out.key_id = hex_encode(authority_key_id(*child));
  out.urls = issuer_urls(*child);
  int best = 0;
  for (const auto* known : {&anchors, &candidates}) {
    for (const auto& certificate : *known) {
      std::string how;
      if (certificate.der == child->der) continue;
      const int close = closeness(certificate, *child, out.issuer, how);
      if (close <= best) continue;
      best = close;
      out.closest = name_text(certificate.subject_der);
      out.how = how;
    }
  }
  return out;
}

std::string to_text(const MissingCa& missing) {
  std::string out = "missing is the CA \"" + missing.issuer + "\"";
  if (!missing.key_id.empty()) out += " with key identifier " + missing.key_id;
  for (const auto& url : missing.urls) out += ", to be had at " + url;
  if (!missing.closest.empty())
    out += "; the closest known is \"" + missing.closest + "\": " + missing.how;
  return out;
}

}  // namespace keyward::attest
