// The TSS2 key file's form: strict, and back again.
#include "hal/tss2/tss2_key_file.h"

#include <gtest/gtest.h>

#include "hal/base/limits.h"

namespace keyward::hal {
namespace {

// Written by tpm2-openssl 1.1.1 (openssl genpkey -provider tpm2).
constexpr std::string_view kByOpenssl =
    "-----BEGIN TSS2 PRIVATE KEY-----\n"
    "MIHwBgZngQUKAQOgAwEBAQIEQAAAAQRYAFYAIwALAAYAcgAAABAAEAADABAAIE7h\n"
    "wmEZG0x1caWW6JmdfP9wTlAZi2LuAc/ek4mOIhbeACDfj6X359k6ptHUen47YHP1\n"
    "c5wkEpLzgn7SopfHSn/XSwSBgAB+ACBjmipUOxvGdaaerto3sT8tTkCbs9qYeDob\n"
    "Ok8d2Jy7owAQDDXZ00KtV0Lf67RjRytOQpiS9MNhUhj1IxVCAO8ZBH6RQXGIeOlv\n"
    "1AwdliHaJ1LhIrGQdjFwQgsNuJzTa0L9OoEjdWaQ41xZ/2UY/Jbl2E/8jxThNNEq\n"
    "cjKx\n"
    "-----END TSS2 PRIVATE KEY-----\n";

TpmKeyBlob sample(std::uint32_t parent = 0x40000001) {
  return {Bytes(90, 1), Bytes(300, 2), parent};
}

// 30 82 LL LL | 06 06 oid | a0 03 01 01 ff | 02 04 40 00 00 01 | ...
constexpr std::size_t kOidAt = 4 + 2;
constexpr std::size_t kEmptyAuthAt = kOidAt + 6;

void expect_kind(ErrorKind kind, const Result<TpmKeyBlob>& result) {
  ASSERT_FALSE(result);
  EXPECT_EQ(to_string(kind), to_string(result.error().kind)) << result.error().what;
}

TEST(Tss2KeyFile, Parse_AFileOfTpm2Openssl_GivesItsParts) {
  const auto blob = parse_tss2_key_pem(kByOpenssl);
  ASSERT_TRUE(blob) << blob.error().what;
  EXPECT_EQ(blob->parent, 0x40000001u);
  EXPECT_EQ(blob->public_area.size(), 0x58u);
  EXPECT_EQ(blob->private_area.size(), 0x80u);
}

TEST(Tss2KeyFile, WriteAndParse_EveryParentForm_GiveTheSame) {
  for (const std::uint32_t parent : {0x40000001u, 0x81000001u, 0x81ffffffu, 0u, 0x80u}) {
    const auto blob = sample(parent);
    const auto back = parse_tss2_key_pem(tss2_key_pem(blob));
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->parent, parent);
    EXPECT_EQ(back->public_area, blob.public_area);
    EXPECT_EQ(back->private_area, blob.private_area);
  }
}

TEST(Tss2KeyFile, Der_OfSample_IsCanonical) {
  const auto der = tss2_key_der(sample());
  EXPECT_EQ(hex_encode(ByteView(der).subspan(4, 19)),
            "0606678105"
            "0a0103a003"
            "0101ff0204"
            "40000001");
}

TEST(Tss2KeyFile, Parse_SealedAsLoadableOrBack_IsBadInput) {
  expect_kind(ErrorKind::kBadInput,
              parse_tss2_key_der(tss2_key_der(sample(), TpmKeyFileKind::kSealed)));
  expect_kind(ErrorKind::kBadInput,
              parse_tss2_key_der(tss2_key_der(sample()), TpmKeyFileKind::kSealed));
}

TEST(Tss2KeyFile, Parse_TrailingOctets_IsBadInput) {
  auto der = tss2_key_der(sample());
  der.push_back(0);
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_der(der));
}

TEST(Tss2KeyFile, Parse_TrailingField_IsBadInput) {
  auto der = tss2_key_der(sample());
  der.insert(der.end(), {0x05, 0x00});
  der[3] = static_cast<std::uint8_t>(der[3] + 2);
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_der(der));
}

TEST(Tss2KeyFile, Parse_CutAnywhere_IsBadInput) {
  const auto der = tss2_key_der(sample());
  for (std::size_t size = 0; size < der.size(); ++size) {
    expect_kind(ErrorKind::kBadInput, parse_tss2_key_der(ByteView(der).first(size)));
  }
}

TEST(Tss2KeyFile, Parse_EmptyAuthFalse_IsRefused) {
  auto der = tss2_key_der(sample());
  ASSERT_EQ(der[kEmptyAuthAt], 0xa0);
  der[kEmptyAuthAt + 4] = 0;
  expect_kind(ErrorKind::kRefused, parse_tss2_key_der(der));
}

TEST(Tss2KeyFile, Parse_EmptyAuthAbsent_IsRefused) {
  auto der = tss2_key_der(sample());
  der.erase(der.begin() + kEmptyAuthAt, der.begin() + kEmptyAuthAt + 5);
  der[3] = static_cast<std::uint8_t>(der[3] - 5);
  expect_kind(ErrorKind::kRefused, parse_tss2_key_der(der));
}

TEST(Tss2KeyFile, Parse_WithPolicy_IsRefused) {
  auto der = tss2_key_der(sample());
  const Bytes policy{0xa1, 0x02, 0x30, 0x00};
  der.insert(der.begin() + kEmptyAuthAt + 5, policy.begin(), policy.end());
  der[3] = static_cast<std::uint8_t>(der[3] + 4);
  expect_kind(ErrorKind::kRefused, parse_tss2_key_der(der));
}

TEST(Tss2KeyFile, Parse_NegativeOrLongParent_IsBadInput) {
  auto der = tss2_key_der(sample());
  const auto parent_at = kEmptyAuthAt + 5;
  ASSERT_EQ(der[parent_at], 0x02);
  der[parent_at + 2] = 0x81;  // four octets with the top bit set: negative
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_der(der));
  der[parent_at + 2] = 0x00;  // and not minimal
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_der(der));
}

TEST(Tss2KeyFile, Parse_LengthNotMinimal_IsBadInput) {
  const auto der = tss2_key_der({Bytes(10, 1), Bytes(10, 2)});
  Bytes longer{0x30, 0x81};
  longer.insert(longer.end(), der.begin() + 1, der.end());
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_der(longer));
}

TEST(Tss2KeyFile, Parse_Oversize_IsExhausted) {
  expect_kind(ErrorKind::kExhausted, parse_tss2_key_der(Bytes(3 * limits::kTpmStructureBytesMax)));
  expect_kind(ErrorKind::kExhausted,
              parse_tss2_key_pem(std::string(5 * limits::kTpmStructureBytesMax, 'A')));
}

TEST(Tss2KeyFile, ParsePem_OtherLabelOrTextAround_IsBadInput) {
  const std::string good = tss2_key_pem(sample());
  std::string other = good;
  for (std::size_t at = 0; (at = other.find("TSS2 PRIVATE KEY", at)) != std::string::npos;) {
    other.replace(at, 16, "EC PRIVATE KEY");
  }
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_pem(other));
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_pem("text\n" + good));
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_pem(good + "text\n"));
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_pem(good + good));
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_pem(good.substr(0, good.size() / 2)));
  expect_kind(ErrorKind::kBadInput, parse_tss2_key_pem(""));
}

}  // namespace
}  // namespace keyward::hal
