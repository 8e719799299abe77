#include "apps/ctl/certificate_names.h"

#include <arpa/inet.h>

#include "firmware/x509/der.h"

namespace keyward::ctl {
namespace {

constexpr std::string_view kSubjectAltName = "2.5.29.17",
                           kPermanentIdentifier = "1.3.6.1.5.5.7.8.3";

Status read_names(ByteView subject_alt_name, std::vector<std::string>& out) {
  x509::DerReader outer(subject_alt_name);
  KEYWARD_TRY(names, outer.sequence());
  while (!names.at_end()) {
    KEYWARD_TRY(name, names.any());
    if (name.tag == x509::tag::context(2)) out.emplace_back(text_of(name.content));
    char address[INET6_ADDRSTRLEN];
    if (name.tag == x509::tag::context(7) &&
        (name.content.size() == 4 || name.content.size() == 16)) {
      const int family = name.content.size() == 4 ? AF_INET : AF_INET6;
      if (::inet_ntop(family, name.content.data(), address, sizeof address) != nullptr)
        out.emplace_back(address);
    }
    if (name.tag != x509::tag::context_constructed(0)) continue;
    x509::DerReader other(name.content);
    KEYWARD_TRY(type, other.oid());
    if (x509::oid_text(type) != kPermanentIdentifier) continue;
    KEYWARD_TRY(wrapped, other.nested(x509::tag::context_constructed(0)));
    KEYWARD_TRY(body, wrapped.sequence());
    KEYWARD_TRY(value, body.element(x509::tag::kUtf8String));
    out.emplace_back(text_of(value));
  }
  return {};
}

}  // namespace

std::vector<std::string> names_in(const x509::Certificate& certificate) {
  std::vector<std::string> out;
  const auto* san = certificate.extension(kSubjectAltName);
  if (san != nullptr && !read_names(san->value, out)) out.clear();
  return out;
}

}  // namespace keyward::ctl
