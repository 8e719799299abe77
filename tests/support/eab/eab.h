// Owns the client's side of external account binding for tests: what a right one looks like, and
// every part of it changeable. Must not know the verifier.
#pragma once

#include <optional>
#include <string>

#include "firmware/crypto/crypto.h"
#include "firmware/eab/credentials.h"
#include "firmware/jose/jwk.h"
#include "firmware/wire/messages/eab_verify.h"

namespace keyward::test {

inline constexpr std::string_view kNewAccountUrl = "https://ca.example/acme/new-account";

struct BindingSpec {
  std::string kid = "device-7";
  Bytes mac_key = Bytes(32, 0x42);
  std::string alg = "HS256";
  std::string url = std::string(kNewAccountUrl);
  std::optional<std::string> header = std::nullopt;   // the whole protected header
  std::optional<std::string> payload = std::nullopt;  // else the account's key
};
// The outer JWS is of `account` and goes to kNewAccountUrl.
wire::EabVerify binding(const jose::Jwk& account, const BindingSpec& spec = {});
jose::Jwk new_account_key();
eab::Credential credential(const std::string& kid = "device-7", std::uint8_t fill = 0x42);

}  // namespace keyward::test
