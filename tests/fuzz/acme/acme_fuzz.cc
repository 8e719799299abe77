// Fuzzes what clients and operators give the front end beside a JWS' own form. First octet: what.
// Held: a request that passes the fence has one form, an id reads back as written, no binding holds
// that no credential's secret made.
#include <cstdlib>
#include <cstring>

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

// Lines: method, target, query ("-": none), version, then name and value of each header in turn.
void fuzz_fence(std::string text) {
  std::vector<const char*> lines;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size() && lines.size() < 140; ++i) {
    if (i != text.size() && text[i] != '\n') continue;
    if (i < text.size()) text[i] = '\0';
    lines.push_back(text.data() + begin);
    begin = i + 1;
  }
  if (lines.size() < 4) return;
  https::RawRequest raw{
      lines[0], lines[1], std::strcmp(lines[2], "-") == 0 ? nullptr : lines[2], lines[3], {}};
  for (std::size_t i = 4; i + 1 < lines.size(); i += 2)
    raw.headers.push_back({lines[i], lines[i + 1]});
  const auto result = https::fence(raw, {{"ca.example"}, 443});
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
