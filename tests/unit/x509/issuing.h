// Owns a make-believe CA for the tests of firmware/x509, and calls of the openssl program.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "tests/support/command/command.h"

namespace keyward::x509 {

inline constexpr std::int64_t kNow = 1'795'000'000'000;  // 2026-11-18
inline constexpr std::int64_t kDay = 86'400'000;

template <class R>
void expect_error(const R& result, ErrorKind kind, std::string_view what) {
  ASSERT_FALSE(result.has_value()) << "expected: " << what;
  EXPECT_EQ(result.error().kind, kind);
  EXPECT_EQ(std::string_view(result.error().what), what);
}

inline Bytes hex(std::string_view text) { return *hex_decode(text); }

Bytes common_name(const std::string& value);

struct Plan {
  Bytes subject = common_name("leaf");
  Bytes issuer = common_name("root");
  std::int64_t not_before_ms = kNow - kDay;
  std::int64_t not_after_ms = kNow + kDay;
  std::vector<Bytes> extensions;
  Bytes serial = {0x11};
};
// Signs with the issuer's key kind's usual method.
Bytes issue(const crypto::PublicKey& subject_key, const crypto::PrivateKey& issuer_key,
            const Plan& plan);
Certificate issue_parsed(const crypto::PublicKey& subject_key, const crypto::PrivateKey& issuer_key,
                         const Plan& plan);
crypto::PrivateKey new_key(crypto::KeyKind kind = crypto::KeyKind::kEcP256);

// openssl with these arguments must succeed; gives what it printed.
std::string openssl(std::vector<std::string> arguments);

}  // namespace keyward::x509
