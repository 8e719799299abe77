// Fuzzes what comes back from outside: DNS records, bodies, certificates of tls-alpn-01, URLs. First
// octet: what. Held: no answer proves an identifier by chance, and an address reads back as written.
#include <cstdlib>

#include "firmware/validate/address.h"
#include "firmware/validate/caa.h"
#include "firmware/validate/curl.h"
#include "firmware/validate/http01.h"
#include "firmware/validate/issue_value.h"
#include "firmware/validate/resolver.h"
#include "firmware/validate/tls_alpn01.h"
#include "firmware/validate/validator.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

// Records: length in one octet, data.
void fuzz_caa(ByteView all) {
  std::vector<Bytes> records;
  while (all.size() > 1 && records.size() < 16) {
    const std::size_t size = std::min<std::size_t>(all[0], all.size() - 1);
    records.push_back(to_bytes(all.subspan(1, size)));
    all = all.subspan(1 + size);
  }
  for (const bool wildcard : {false, true}) {
    const validate::CaaQuestion question{
        {"ca.example"}, "www.example.com", wildcard, "http-01", "https://ca.example/acme/acct/1"};
    const auto outcome = validate::caa_decide(records, question);
    if (outcome.problem && outcome.problem->code.empty()) std::abort();
  }
}

void fuzz_body(std::string_view body) {
  const std::string authorization = "token.thumbprint";
  if (!validate::body_matches(body, authorization)) return;
  if (!body.starts_with(authorization)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const std::string text(text_of(rest));
  switch (data[0] % 6) {
    case 0:
      fuzz_caa(rest);
      (void)validate::parse_issue_value(text);
      break;
    case 1:
      (void)validate::txt_text(rest);
      break;
    case 2:
      fuzz_body(text);
      break;
    case 3:
      for (const auto type : {wire::IdentifierType::kDns, wire::IdentifierType::kIp}) {
        const wire::Identifier name{
            type, type == wire::IdentifierType::kDns ? "www.example.com" : "192.0.2.1"};
        // The digest of nothing: a certificate would have to hold it.
        if (!validate::judge_alpn_certificate(rest, name, Digest256{}) &&
            text.find(std::string(32, '\0')) == std::string::npos)
          std::abort();
      }
      break;
    case 4:
      if (const auto target = validate::parse_target(text, {"http", "https"});
          target && target->host.empty())
        std::abort();
      break;
    default:
      (void)validate::IpAddress::parse(text);
      (void)validate::Prefix::parse(text);
      (void)validate::parse_hosts({text});
      (void)validate::parse_appliance_names({text});
      (void)validate::method_from(text);
      break;
  }
  return 0;
}
