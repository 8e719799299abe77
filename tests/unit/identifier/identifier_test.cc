// Tests of firmware/identifier: every form that becomes one, and every refusal with its reason.
#include "firmware/identifier/identifier.h"

#include <gtest/gtest.h>

namespace keyward::identifier {
namespace {

using namespace std::string_literals;

constexpr auto kDns = IdentifierType::kDns;
constexpr auto kIp = IdentifierType::kIp;
constexpr auto kPermanent = IdentifierType::kPermanentIdentifier;
constexpr auto kModule = IdentifierType::kHardwareModule;

std::string form(IdentifierType type, std::string_view value) {
  const auto result = canonical(type, value);
  return result ? result->value : "refused: "s + result.error().what;
}

void expect_error(IdentifierType type, std::string_view value, ErrorKind kind,
                  std::string_view what) {
  const auto result = canonical(type, value);
  ASSERT_FALSE(result) << value;
  EXPECT_EQ(result.error().kind, kind) << value;
  EXPECT_EQ(std::string_view(result.error().what), what) << value;
}

TEST(Dns_CaseTrailingDotAndALabel, BecomeOneForm) {
  EXPECT_EQ(form(kDns, "WWW.Example.COM"), "www.example.com");
  EXPECT_EQ(form(kDns, "www.example.com."), "www.example.com");
  EXPECT_EQ(form(kDns, "*.EXAMPLE.com."), "*.example.com");
  EXPECT_EQ(form(kDns, "XN--BCHER-KVA.example"), "xn--bcher-kva.example");
  EXPECT_EQ(form(kDns, "a-1.2b.example"), "a-1.2b.example");
  EXPECT_EQ(form(kDns, "1.2.3.example"), "1.2.3.example");
}

TEST(Dns_Malformed, IsBadInputForItsReason) {
  const auto bad = ErrorKind::kBadInput;
  expect_error(kDns, "", bad, "dns: empty name");
  expect_error(kDns, ".", bad, "dns: empty name");
  expect_error(kDns, "a..example", bad, "dns: empty label");
  expect_error(kDns, ".example.com", bad, "dns: empty label");
  expect_error(kDns, "example.com..", bad, "dns: empty label");
  expect_error(kDns, "*.", bad, "dns: wildcard not at the front");
  expect_error(kDns, std::string(64, 'a') + ".example", bad, "dns: label over 63 octets");
  expect_error(kDns, "a_b.example", bad, "dns: a character that is not LDH");
  expect_error(kDns, "a b.example", bad, "dns: a character that is not LDH");
  expect_error(kDns, "a/b.example", bad, "dns: a character that is not LDH");
  expect_error(kDns, "-a.example", bad, "dns: hyphen at the edge of a label");
  expect_error(kDns, "a-.example", bad, "dns: hyphen at the edge of a label");
  expect_error(kDns, "ab--cd.example", bad, "dns: reserved label");
  expect_error(kDns,
               "b\xc3\xbc"
               "cher.example",
               bad, "dns: not an A-label");
  expect_error(kDns, "www.*.example", bad, "dns: wildcard not at the front");
  expect_error(kDns, "*.*.example", bad, "dns: wildcard not at the front");
  expect_error(kDns, "a*.example", bad, "dns: wildcard not at the front");
  expect_error(kDns, "192.0.2.1", bad, "dns: an address is not a name");
  expect_error(kDns, "example.123", bad, "dns: an address is not a name");
  expect_error(kDns, "[2001:db8::1]", bad, "dns: a character that is not LDH");
}

TEST(Dns_ALabelsThatIdna2008DoesNotKnow, AreRefused) {
  const auto what = "dns: not a valid A-label";
  expect_error(kDns, "xn--.example", ErrorKind::kBadInput, "dns: hyphen at the edge of a label");
  expect_error(kDns, "xn--zzzzzzzzz99999999.example", ErrorKind::kBadInput, what);
  expect_error(kDns, "xn--abc-.example", ErrorKind::kBadInput,
               "dns: hyphen at the edge of a label");
  expect_error(kDns, "xn--bcher-kva8445foa.example", ErrorKind::kBadInput, what);
  expect_error(kDns, "xn--i-7iq.example", ErrorKind::kBadInput, what);  // U+2665: a symbol
  expect_error(kDns, "xn--abc.example", ErrorKind::kBadInput, what);    // does not decode
}

TEST(Dns_TotalLength, IsHeldTo253Octets) {
  std::string name;
  while (name.size() < 240) name += "aaaaaaaaa.";
  name += "example";  // 247
  const auto longest = "aaaaa." + name;
  ASSERT_EQ(longest.size(), 253U);
  EXPECT_EQ(form(kDns, longest + "."), longest);
  expect_error(kDns, "a" + longest, ErrorKind::kBadInput, "dns: name over 253 octets");
}

TEST(Dns_SingleLabel, IsRefusedUnlessAllowed) {
  expect_error(kDns, "localhost", ErrorKind::kRefused, "dns: a single label");
  expect_error(kDns, "*.com", ErrorKind::kRefused, "dns: a single label");
  const auto allowed = canonical(kDns, "LOCALHOST", true);
  ASSERT_TRUE(allowed);
  EXPECT_EQ(allowed->value, "localhost");
}

TEST(ControlCharacters_InAnyType, AreRefused) {
  const auto what = "identifier: control character";
  expect_error(kDns, "a\0.example"s, ErrorKind::kRefused, what);
  expect_error(kDns, "a.example\n", ErrorKind::kRefused, what);
  expect_error(kIp, "192.0.2.1\0"s, ErrorKind::kRefused, what);
  expect_error(kPermanent, "AB\0CD"s, ErrorKind::kRefused, what);
  expect_error(kPermanent, "AB\x7f", ErrorKind::kRefused, what);
  expect_error(kPermanent, "AB\xc2\x85", ErrorKind::kRefused, what);
  expect_error(kPermanent, "AB\x1b[1m", ErrorKind::kRefused, what);
  expect_error(kModule, "AB\t/1.2.3", ErrorKind::kRefused, what);
}

TEST(Ip_Forms, BecomeRfc5952) {
  EXPECT_EQ(form(kIp, "192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(form(kIp, "2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
  EXPECT_EQ(form(kIp, "2001:0db8::0001"), "2001:db8::1");
  EXPECT_EQ(form(kIp, "2001:db8:0:1:1:1:1:1"),
            "2001:db8:0:1:1:1:1:1");  // §4.2.2: one group is not shortened
  EXPECT_EQ(form(kIp, "2001:db8:0:0:1:0:0:1"),
            "2001:db8::1:0:0:1");                               // §4.2.3: the first of equal runs
  EXPECT_EQ(form(kIp, "2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");  // §4.2.3: the longest run
  EXPECT_EQ(form(kIp, "::1"), "::1");
  EXPECT_EQ(form(kIp, "::"), "::");
}

TEST(Ip_Malformed, IsBadInput) {
  for (const auto text :
       {"", "192.0.2", "192.0.2.1.5", "192.0.2.256", "192.0.02.1", "0x7f.0.0.1", "3232235777",
        " 192.0.2.1", "192.0.2.1 ", "192.0.2.1/32", "2001:db8::1%eth0", "[2001:db8::1]", "2001:db8",
        ":::", "1:2:3:4:5:6:7:8:9", "2001:db8::1::2", "12345::1", "example.com"}) {
    expect_error(kIp, text, ErrorKind::kBadInput, "ip: not an address");
  }
}

TEST(Ip_Ipv4WrittenAsIpv6, IsRefused) {
  for (const auto text : {"::ffff:192.0.2.1", "::ffff:c000:201", "::192.0.2.1", "::c000:201",
                          "0:0:0:0:0:FFFF:192.0.2.1"}) {
    expect_error(kIp, text, ErrorKind::kRefused, "ip: an IPv4 address written as IPv6");
  }
}

TEST(PermanentIdentifier_Grammar, KeepsTheOctets) {
  for (const auto text :
       {"ABCDEF123456", "abcDEF", "ABCDEF123456/1.2.3.4", "a b.c:d", "x/0.0", "x/1.39.5", "x/2.999",
        "x/2.25.340282366920938463463374607431768211455", "G\xc3\xa9r\xc3\xa4t 1", "e\xcc\x81"}) {
    EXPECT_EQ(form(kPermanent, text), text);
  }
}

TEST(PermanentIdentifier_Malformed, IsBadInputForItsReason) {
  const auto bad = ErrorKind::kBadInput;
  expect_error(kPermanent, "", bad, "device identifier: empty value");
  expect_error(kPermanent, "/1.2.3", bad, "device identifier: empty value");
  expect_error(kPermanent, "a/1.2/3.4", bad, "device identifier: two slashes");
  expect_error(kPermanent, "a//1.2", bad, "device identifier: two slashes");
  expect_error(kPermanent, "\xff\xfe", bad, "device identifier: not UTF-8");
  expect_error(kPermanent, "\xc0\xaf", bad, "device identifier: not UTF-8");
  const auto not_oid = "device identifier: not an object identifier after the slash";
  for (const auto tail :
       {"", "1", "a", "1.", ".1.2", "1..2", "3.1", "0.40", "1.40", "1.100", "01.2", "1.02", "2.00",
        "1.2.03", "1.2.-3", "1.2.+3", "1.2.3 ", "1.2.x", "2"}) {
    expect_error(kPermanent, "a/"s + tail, bad, not_oid);
  }
}

TEST(DeviceIdentifier_OverItsLength, IsRefused) {
  EXPECT_EQ(form(kPermanent, std::string(256, 'a')), std::string(256, 'a'));
  expect_error(kPermanent, std::string(257, 'a'), ErrorKind::kRefused,
               "identifier: over 256 octets");
  expect_error(kModule, std::string(250, 'a') + "/1.2.3.4", ErrorKind::kRefused,
               "identifier: over 256 octets");
}

TEST(HardwareModule_Grammar, NeedsItsType) {
  EXPECT_EQ(form(kModule, "ABCD/1.2.3.4"), "ABCD/1.2.3.4");
  expect_error(kModule, "ABCD", ErrorKind::kBadInput, "hardware-module: the type is missing");
  expect_error(kModule, "/1.2.3", ErrorKind::kBadInput, "device identifier: empty value");
  expect_error(kModule, "ABCD/", ErrorKind::kBadInput,
               "device identifier: not an object identifier after the slash");
}

TEST(SplitDeviceValue_Valid, GivesValueAndOid) {
  const auto with = split_device_value({kPermanent, "AB/1.2.3"});
  ASSERT_TRUE(with);
  EXPECT_EQ(with->value, "AB");
  EXPECT_EQ(with->oid, "1.2.3");
  const auto without = split_device_value({kPermanent, "AB"});
  ASSERT_TRUE(without);
  EXPECT_FALSE(without->oid);
  EXPECT_FALSE(split_device_value({kModule, "AB"}));
  EXPECT_FALSE(split_device_value({kDns, "a.example"}));
}

TEST(Types_Names, AreThoseOfTheRegistry) {
  for (const auto type : {kDns, kIp, kPermanent, kModule, IdentifierType::kRemoteAttestation,
                          IdentifierType::kMac, IdentifierType::kUri})
    EXPECT_EQ(type_from(to_string(type)), type);
  EXPECT_FALSE(type_from("DNS"));
  EXPECT_FALSE(type_from(""));
  expect_error(static_cast<IdentifierType>(11), "a", ErrorKind::kBadInput,
               "identifier: unknown type");
}

TEST(Wildcard_Recognised, IsADnsNameWithAStarAlone) {
  EXPECT_TRUE(is_wildcard({kDns, "*.example.com"}));
  EXPECT_FALSE(is_wildcard({kDns, "example.com"}));
  EXPECT_FALSE(is_wildcard({kPermanent, "*.example.com"}));
  EXPECT_EQ(without_wildcard({kDns, "*.example.com"}).value, "example.com");
  EXPECT_EQ(without_wildcard({kDns, "example.com"}).value, "example.com");
}

TEST(IsWithin_WholeLabels, Count) {
  EXPECT_TRUE(is_within("example.com", "example.com"));
  EXPECT_TRUE(is_within("a.b.example.com", "example.com"));
  EXPECT_FALSE(is_within("badexample.com", "example.com"));
  EXPECT_FALSE(is_within("example.com", "a.example.com"));
  EXPECT_FALSE(is_within("example.com", ""));
}

}  // namespace
}  // namespace keyward::identifier
