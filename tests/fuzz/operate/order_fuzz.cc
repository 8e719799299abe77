// Fuzzes what operators order. First octet: what. Held: nobody's signature counts that is not an
// operator's; of a payload that a good operator signed as it came, what is permitted is for this unit,
// in its time, and of a kind that there is.
#include <cstdlib>

#include "firmware/operate/order.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

constexpr std::int64_t kAt = 1'790'000'000'000;

struct Stage {
  crypto::PrivateKey key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  operate::Operators operators;
};

operate::Operators operators_with(const crypto::PrivateKey& key) {
  const auto jwk = *jose::Jwk::from_public_key(key.public_key());
  const auto file = operate::Operators::parse(
      R"({"version":1,"unit":"unit-1","operators":[{"name":"Ada","jwk":)" + jwk.canonical() +
      R"(,"roles":["revoke","policy","eab","account","ca","backup","audit"]}],"dual_control":[]})");
  if (!file) std::abort();
  return *file;
}

const Stage& stage() {
  static const auto* const made = [] {
    auto* out = new Stage;
    out->operators = operators_with(out->key);
    return out;
  }();
  return *made;
}

template <class T>
void needs_code(const operate::Verdict<T>& verdict) {
  if (!verdict && verdict.error().code.empty()) std::abort();
}

void read_all(const operate::PermittedOrder& order) {
  needs_code(operate::read_revoke(order));
  needs_code(operate::read_nothing(order));
  needs_code(operate::read_account(order));
  needs_code(operate::read_rekey(order));
  needs_code(operate::read_policy_digest(order));
  needs_code(operate::read_eab_kid(order));
  needs_code(operate::read_accept(order));
}

void fuzz_payload(std::string_view payload) {
  const auto jws = operate::sign_order(stage().key, payload);
  if (!jws) return;
  const auto verified = operate::verify_order(view_of(*jws), stage().operators);
  if (!verified) {  // too large, or nothing to sign
    needs_code(verified);
    return;
  }
  const auto order = operate::permit(*verified, stage().operators, kAt);
  needs_code(order);
  if (!order) return;
  const auto& head = order->head();
  if (head.unit != "unit-1" || head.expires_ms <= kAt || operate::rule_of(head.order) == nullptr ||
      order->signatories().empty())
    std::abort();
  read_all(*order);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      fuzz_payload(text_of(rest));
      break;
    case 1:  // an order as it came: nobody here signed it
      if (operate::verify_order(rest, stage().operators)) std::abort();
      needs_code(operate::show_order(rest));
      (void)operate::cosign_order(stage().key, text_of(rest));
      break;
    case 2:
      if (const auto order = operate::recorded_order(rest)) read_all(*order);
      break;
    default:
      if (const auto file = operate::Operators::parse(text_of(rest));
          file && (file->unit().empty() || file->all().empty()))
        std::abort();
      break;
  }
  return 0;
}
