// Tests of the identifiers of authority tokens. Values are from RFC 9448's example and from
// `openssl asn1parse -genconf`; each refusal changes one thing of them.
#include <gtest/gtest.h>

#include "firmware/identifier/identifier.h"

namespace keyward::identifier {
namespace {

constexpr auto kList = IdentifierType::kTnAuthList;
constexpr auto kClaims = IdentifierType::kJwtClaimConstraints;
constexpr auto kEnhanced = IdentifierType::kEnhancedJwtClaimConstraints;

constexpr std::string_view kSpc = "MAigBhYENzA5Sg";
constexpr std::string_view kAllEntries =
    "MCygBhYENzA5SqETMBEWCzEyMTU1NTUxMDAwAgIAyKINFgsxMjE1NTU1MTIxMw";
constexpr std::string_view kBothMembers = "MCKgCjAIFgZhdHRlc3ShFDASMBAWBmF0dGVzdDAGDAFBDAFC";
constexpr std::string_view kExclude = "MB6gDjAMFgpjb25maWRlbmNlogwwChYIcHJpb3JpdHk";
constexpr std::string_view kExcludeAlone = "MA6iDDAKFghwcmlvcml0eQ";

std::string from_hex(std::string_view hex) {
  const auto bytes = hex_decode(hex);
  EXPECT_TRUE(bytes) << hex;
  return bytes ? base64url_encode(*bytes) : "";
}

void expect_refused(IdentifierType type, std::string_view value, std::string_view what,
                    ErrorKind kind = ErrorKind::kBadInput) {
  const auto result = canonical(type, value);
  ASSERT_FALSE(result) << value;
  EXPECT_EQ(std::string_view(result.error().what), what) << value;
  EXPECT_EQ(result.error().kind, kind) << value;
}

TEST(TnAuthList_ExampleOfTheRfc, IsTheDerOfOneServiceProviderCode) {
  const auto list = canonical(kList, kSpc);
  ASSERT_TRUE(list) << list.error().what;
  EXPECT_EQ(list->value, kSpc);
  const auto der = authority_der(*list);
  ASSERT_TRUE(der);
  EXPECT_EQ(hex_encode(*der), "3008a00616043730394a");
}

TEST(TnAuthList_Padded, BecomesUnpadded) {
  const auto list = canonical(kList, "MAigBhYENzA5Sg==");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->value, kSpc);
  expect_refused(kList, "MAigBhYENzA5Sg=", "authority identifier: not base64url");
  expect_refused(kList, "MAigBhYENzA5Sg====", "authority identifier: not base64url");
  expect_refused(kList, "====", "authority identifier: not base64url");
  expect_refused(kList, "", "authority identifier: not base64url");
  expect_refused(kList, "MAigBhYENzA5Sh", "authority identifier: not base64url");
  expect_refused(kList, "MAig BhYENzA5Sg", "authority identifier: not base64url");
}

TEST(TnAuthList_EveryEntry, IsRead) {
  EXPECT_TRUE(canonical(kList, kAllEntries));
  EXPECT_TRUE(canonical(kList, from_hex("3006a20416022a23")));  // "*#"
}

TEST(TnAuthList_NotItsGrammar, IsBadInputForItsReason) {
  const auto bad_der = "authority identifier: not the DER expected";
  expect_refused(kList, from_hex("3000"), "TNAuthList: no entry");
  expect_refused(kList, from_hex("3108a00616043730394a"), bad_der);
  expect_refused(kList, from_hex("3009a00616043730394a"), bad_der);
  expect_refused(kList, from_hex("3080a00616043730394a0000"), bad_der);
  expect_refused(kList, from_hex("308108a00616043730394a"),
                 "authority identifier: a length that is not minimal");
  expect_refused(kList, from_hex("3008a00616043730394a00"),
                 "authority identifier: octets after the end");
  expect_refused(kList, from_hex("300aa00816043730394a0500"),
                 "authority identifier: octets after the end");
  expect_refused(kList, from_hex("300680043730394a"), "TNAuthList: not an entry");  // implicit
  expect_refused(kList, from_hex("3008a30616043730394a"), "TNAuthList: not an entry");
  expect_refused(kList, from_hex("3008a0060c043730394a"), bad_der);  // UTF8String
  expect_refused(kList, from_hex("3004a0021600"), "authority identifier: an empty text");
  expect_refused(kList, from_hex("3005a0031601c3"), "authority identifier: not IA5");
  expect_refused(kList, from_hex("3005a003160107"), "identifier: control character",
                 ErrorKind::kRefused);
}

TEST(TnAuthList_Numbers, HaveTheirCharactersAndSize) {
  const auto bad = "TNAuthList: not a telephone number";
  expect_refused(kList, from_hex("3005a203160141"), bad);                          // "A"
  expect_refused(kList, from_hex("3005a20316012b"), bad);                          // "+"
  expect_refused(kList, from_hex("3004a2021600"), bad);                            // empty
  expect_refused(kList, from_hex("3014a2121610" + std::string(32, '3')), bad);     // 16 of them
  EXPECT_TRUE(canonical(kList, from_hex("3013a211160f" + std::string(30, '3'))));  // 15
}

TEST(TnAuthList_Ranges, CountTwoOrMore) {
  EXPECT_TRUE(canonical(kList, from_hex("300aa1083006160131020102")));
  const auto count = "TNAuthList: not a count of numbers";
  expect_refused(kList, from_hex("300aa1083006160131020101"),
                 "TNAuthList: a range of less than two");
  expect_refused(kList, from_hex("300aa1083006160131020100"),
                 "TNAuthList: a range of less than two");
  expect_refused(kList, from_hex("300aa1083006160131020182"), count);    // negative
  expect_refused(kList, from_hex("300ba109300716013102020002"), count);  // not minimal
  expect_refused(kList, from_hex("3009a10730051601310200"), count);      // no octet
  expect_refused(kList, from_hex("3012a110300e1601310209010101010101010101"), count);
  expect_refused(kList, from_hex("300ca10a30081601310201020500"),
                 "authority identifier: octets after the end");
}

TEST(ClaimConstraints_EitherMember, IsEnough) {
  EXPECT_TRUE(canonical(kClaims, kBothMembers));
  EXPECT_TRUE(canonical(kEnhanced, kBothMembers));
  EXPECT_TRUE(canonical(kEnhanced, kExclude));
  EXPECT_TRUE(canonical(kEnhanced, kExcludeAlone));
  EXPECT_TRUE(canonical(kClaims, from_hex("3009a00730051603666f6f")));
}

TEST(ClaimConstraints_NotTheirGrammar, AreBadInputForTheirReason) {
  const auto end = "authority identifier: octets after the end";
  expect_refused(kClaims, from_hex("3000"), "claim constraints: none");
  expect_refused(kClaims, kExclude, end);  // mustExclude is of RFC 9118 alone
  expect_refused(kClaims, kExcludeAlone, end);
  expect_refused(kClaims, from_hex("3004a0023000"), "claim constraints: an empty list");
  expect_refused(kClaims, from_hex("3004a1023000"), "claim constraints: an empty list");
  expect_refused(kClaims, from_hex("300ba109300730051601613000"),
                 "claim constraints: an empty list");
  expect_refused(kEnhanced, from_hex("3004a2023000"), "claim constraints: an empty list");
  // The members twice, or in another order.
  expect_refused(kClaims, from_hex("300ea0053003160161a0053003160161"), end);
  expect_refused(kEnhanced, from_hex("300ea2053003160161a0053003160161"), end);
  expect_refused(kClaims, kSpc, "authority identifier: not the DER expected");
}

TEST(AuthorityIdentifier_Large, IsRefusedByItsSize) {
  expect_refused(kList, std::string(limits::kIdentifierBytesMax + 4, 'A'),
                 "identifier: over 1024 octets", ErrorKind::kRefused);
  Bytes entries;
  while (entries.size() + 4 + 15 <= 760) {
    append(entries, *hex_decode("a211160f"));
    append(entries, Bytes(15, '7'));
  }
  Bytes list = {0x30, 0x82, static_cast<std::uint8_t>(entries.size() >> 8),
                static_cast<std::uint8_t>(entries.size() & 0xff)};
  append(list, entries);
  EXPECT_TRUE(canonical(kList, base64url_encode(list)));
}

TEST(AuthorityDer_OtherTypesAndOtherForms, AreRefused) {
  EXPECT_FALSE(authority_der({IdentifierType::kDns, std::string(kSpc)}));
  EXPECT_FALSE(authority_der({kList, "MAigBhYENzA5Sg=="}));
  EXPECT_TRUE(is_authority_type(kList));
  EXPECT_TRUE(is_authority_type(kClaims));
  EXPECT_TRUE(is_authority_type(kEnhanced));
  EXPECT_FALSE(is_authority_type(IdentifierType::kHardwareModule));
}

TEST(AuthorityTypes_Names, AreThoseOfTheRegistry) {
  EXPECT_EQ(type_from("TNAuthList"), kList);
  EXPECT_EQ(type_from("JWTClaimConstraints"), kClaims);
  EXPECT_EQ(type_from("EnhancedJWTClaimConstraints"), kEnhanced);
  for (const auto type : {kList, kClaims, kEnhanced}) EXPECT_EQ(type_from(to_string(type)), type);
}

}  // namespace
}  // namespace keyward::identifier
