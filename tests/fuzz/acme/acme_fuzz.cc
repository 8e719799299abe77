// Fuzzes what clients and operators give the front end beside a JWS' own form. First octet: what.
// Held: a request that passes the fence has one form, an id reads back as written, no binding holds
// that no credential's secret made.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "firmware/acme/account_requests.h"
#include "firmware/acme/incidents.h"
#include "firmware/acme/renewal_info.h"
#include "firmware/eab/binding.h"
#include "firmware/eab/bindings.h"
#include "firmware/eab/credentials.h"
#include "firmware/https/request_fence.h"
#include "firmware/inventory/enrolments.h"
#include "firmware/issue/tenants.h"
#include "firmware/issue/timestamp.h"
#include "firmware/jose/jwk.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

// One buffer as civetweb leaves it: NULs over what separates, pointers to the elements, and behind the
// last value what was the empty line.
class ParsedHead {
 public:
  // Lines: method, target, query ("-": none), version, then name and value of each header in turn.
  // A value that begins with a tilde has a space before its colon, as nobody may send it.
  explicit ParsedHead(const std::vector<std::string_view>& lines) {
    for (const auto line : lines) size_ += line.size() + 8;
    buffer_.reserve(size_ + 16);  // pointers into it stay
    raw_.method = put(lines[0], 1);
    raw_.target = put(lines[1], 1);
    raw_.query = lines[2] == "-" ? nullptr : put(lines[2], 1);
    buffer_ += "HTTP/";
    raw_.version = put(lines[3], 2);
    for (std::size_t i = 4; i + 1 < lines.size(); i += 2) {
      const bool odd = lines[i + 1].starts_with('~');
      const char* name = put(lines[i], odd ? 2 : 1);
      buffer_ += ' ';
      raw_.headers.push_back({name, put(lines[i + 1], 2)});
    }
    buffer_ += std::string_view("\r\0\0", 3);
  }
  const https::RawRequest& raw() const { return raw_; }

 private:
  const char* put(std::string_view text, std::size_t ends) {
    const char* at = buffer_.data() + buffer_.size();
    buffer_ += text;
    buffer_.append(ends, '\0');
    return at;
  }
  std::size_t size_ = 0;
  std::string buffer_;
  https::RawRequest raw_{};
};

void fuzz_fence(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin <= text.size() && lines.size() < 140;) {
    const auto end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (lines.size() < 4) return;
  const ParsedHead head(lines);
  const auto result = https::fence(head.raw(), {{"ca.example"}, 443});
  if (!result.request && (result.refusal.status < 400 || result.refusal.status > 599)) std::abort();
}

const crypto::PublicKey& account() {
  static const auto* const made = new auto(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  return made->public_key();
}

// Three parts of the inner JWS, each behind a line feed; the book knows one kid.
void fuzz_binding(std::string_view text) {
  static const auto book = eab::CredentialBook::parse({});
  const auto first = text.find('\n');
  const auto second = first == text.npos ? first : text.find('\n', first + 1);
  if (second == text.npos) return;
  wire::EabVerify request;
  request.account_jwk = jose::Jwk::from_public_key(account())->canonical();
  request.url = "https://ca.example/acme/new-account";
  request.binding.protected_b64 = text.substr(0, first);
  request.binding.payload_b64 = text.substr(first + 1, second - first - 1);
  request.binding.signature = to_bytes(text.substr(second + 1));
  const auto checked = eab::check_binding(request, book ? &*book : nullptr, 1'790'000'000'000);
  if (checked || checked.error().code.empty()) std::abort();
}

void fuzz_ids(const std::string& text) {
  if (const auto id = acme::parse_certificate_id(text); id && id->text() != text) std::abort();
  (void)issue::parse_rfc3339(text);
  const auto place = issue::place_in(text, "https://ca.example", {{"tenant", {}}});
  if (place && text.find(place->path) == text.npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const std::string text(text_of(rest));
  switch (data[0] % 8) {
    case 0:
      fuzz_fence(text);
      break;
    case 1:
      fuzz_binding(text);
      break;
    case 2:
      fuzz_ids(text);
      break;
    case 3:
      (void)acme::certificate_id_of(rest);
      break;
    case 4:
      (void)acme::parse_requests(rest);
      (void)acme::parse_results(rest);
      break;
    case 5:
      (void)acme::parse_incidents(rest);
      break;
    case 6:
      (void)eab::CredentialBook::parse(rest);
      break;
    default:
      (void)eab::Bindings::parse(rest);
      (void)inventory::Enrolments::parse(rest);
      break;
  }
  return 0;
}
