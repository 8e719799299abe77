// Owns the cutting of compact JWS. Must not know whose tokens they are.
#include "firmware/jose/compact.h"

#include "hal/base/limits.h"

namespace keyward::jose {

Result<CompactJws> parse_compact(std::string_view token) {
  const auto first = token.find('.');
  const auto second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos)
    return fail(ErrorKind::kBadInput, "not a compact JWS");
  auto signature = base64url_decode(token.substr(second + 1));
  if (!signature || signature->empty() || signature->size() > limits::kJwsSignatureBytesMax)
    return fail(ErrorKind::kBadInput, "the signature is not base64url of a signature's size");
  return CompactJws{token.substr(0, first), token.substr(first + 1, second - first - 1),
                    token.substr(0, second), std::move(*signature)};
}

Result<std::vector<Bytes>> parse_x5c(const json::Value& value) {
  constexpr const char* kNoChain = "x5c is not a chain of certificates";
  const auto items = value.items();
  if (!value.is_array() || items.empty() || items.size() > limits::kChainCertificatesMax)
    return fail(ErrorKind::kBadInput, kNoChain);
  std::vector<Bytes> out;
  for (const auto& item : items) {
    if (!item.is_string()) return fail(ErrorKind::kBadInput, kNoChain);
    auto der = base64_decode(item.string());
    if (!der || der->empty()) return fail(ErrorKind::kBadInput, kNoChain);
    out.push_back(std::move(*der));
  }
  return out;
}

}  // namespace keyward::jose
