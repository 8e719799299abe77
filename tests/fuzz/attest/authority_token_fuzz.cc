// Fuzzes authority tokens (tkauth-01). First octet: how. Held: nothing is good that no authority signed,
// or that came without a root; of claims that an authority signed as they came, what is good has an
// end ahead and is for the identifier that was asked about.
#include <cstdlib>

#include "firmware/attest/authority_token.h"
#include "tests/support/authority/authority.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

constexpr std::int64_t kAt = 1'790'000'000'000;
const wire::Identifier kNumbers{wire::IdentifierType::kTnAuthList, std::string(test::kTnAuthList)};

const test::AuthorityMaker& maker() {
  static const auto* const made = new test::AuthorityMaker(kAt);
  return *made;
}

attest::AuthorityVerdict ask(std::string_view token, bool rooted, std::optional<ByteView> fetched) {
  attest::AuthorityPolicy policy;
  if (rooted) policy.roots = {maker().root()};
  policy.hosts = {"authority.example"};
  return attest::verify_authority_token({token, &kNumbers, Digest256{}, fetched}, policy, kAt);
}

void check(const attest::AuthorityVerdict& verdict, bool may_be_good) {
  if (verdict.refusal && (verdict.refusal->code == nullptr || verdict.fetch_url)) std::abort();
  const bool good = !verdict.refusal && !verdict.fetch_url;
  if (good && (!may_be_good || verdict.expires_ms <= kAt)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const std::string text(text_of(rest));
  test::AuthorityTokenSpec spec;
  switch (data[0] % 6) {
    case 0:  // a token as it came
      check(ask(text, true, view_of(maker().chain_pem())), false);
      break;
    case 1:  // a header as it came, properly signed, without a root
      spec.header = text;
      check(ask(maker().token(spec), false, view_of(maker().chain_pem())), false);
      break;
    case 2:  // the same with the root
      spec.header = text;
      check(ask(maker().token(spec), true, view_of(maker().chain_pem())), true);
      break;
    case 3:  // what stands at x5u
      check(ask(maker().token(spec), true, rest), text.find("BEGIN") != std::string::npos);
      break;
    case 4:  // claims as they came, properly signed
      spec.claims = text;
      check(ask(maker().token(spec), true, view_of(maker().chain_pem())), true);
      break;
    default:
      (void)attest::fingerprint_is(text, Digest256{});
      break;
  }
  return 0;
}
