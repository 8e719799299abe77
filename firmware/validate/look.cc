#include "firmware/validate/look.h"

#include "hal/base/limits.h"

namespace keyward::validate {
namespace {

constexpr std::size_t kShownBytesMax = 200;

}  // namespace

wire::ChallengeProblem problem(std::string_view type, std::string_view code, std::string detail) {
  if (detail.size() > limits::kDetailBytesMax) detail.resize(limits::kDetailBytesMax);
  return {std::string(type), std::string(code), std::move(detail)};
}

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.size() == kShownBytesMax) return out + "...";
    out += c > 0x20 && c < 0x7f && c != '"' && c != '\\' ? c : '?';
  }
  return out;
}

std::string key_authorization(const std::string& token, const Digest256& thumbprint) {
  return token + "." + base64url_encode(thumbprint);
}

}  // namespace keyward::validate
