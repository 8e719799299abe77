// Tests of remote attestation hints, MAC addresses and Service URIs: every form that becomes one,
// and every refusal with its reason.
#include <gtest/gtest.h>

#include "firmware/identifier/identifier.h"

namespace keyward::identifier {
namespace {

using namespace std::string_literals;

constexpr auto kHint = IdentifierType::kRemoteAttestation;
constexpr auto kMac = IdentifierType::kMac;
constexpr auto kUri = IdentifierType::kUri;

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

TEST(Hint_HyphenAndUnderscore, AreTheSame) {
  EXPECT_EQ(form(kHint, "measured-boot"), "measured_boot");
  EXPECT_EQ(form(kHint, "measured_boot"), "measured_boot");
  EXPECT_EQ(form(kHint, ""), "");
  EXPECT_EQ(form(kHint, std::string(64, 'a')), std::string(64, 'a'));
}

TEST(Hint_Malformed, IsBadInputForItsReason) {
  const auto bad = ErrorKind::kBadInput;
  const auto* characters = "remote-attestation: a hint has a-z, 0-9, _ and -";
  expect_error(kHint, "Measured", bad, characters);
  expect_error(kHint, "a b", bad, characters);
  expect_error(kHint, "a\x01", bad, characters);
  expect_error(kHint, std::string(65, 'a'), bad, "remote-attestation: hint over 64 octets");
}

TEST(Mac_EachSeparatorAndCase, BecomesOneForm) {
  for (const auto* text :
       {"00-24-98-7B-19-02", "00:24:98:7b:19:02", "0024987B1902", "00:24:98:7B:19:02"}) {
    EXPECT_EQ(form(kMac, text), "00:24:98:7b:19:02") << text;
  }
  EXPECT_EQ(form(kMac, "AC-DE-48-23-45-67-AB-CD"), "ac:de:48:23:45:67:ab:cd");
  EXPECT_EQ(form(kMac, "acde48234567abcd"), "ac:de:48:23:45:67:ab:cd");
}

TEST(Mac_Malformed, IsBadInputForItsReason) {
  const auto bad = ErrorKind::kBadInput;
  expect_error(kMac, "", bad, "mac: not 6 or 8 octets");
  expect_error(kMac, "00:24:98:7b:19", bad, "mac: not 6 or 8 octets");
  expect_error(kMac, "00:24:98:7b:19:02:03", bad, "mac: not 6 or 8 octets");
  expect_error(kMac, "00:24:98:7b:19:02:03:04:05", bad, "mac: not 6 or 8 octets");
  expect_error(kMac, "00:24-98:7b:19:02", bad, "mac: not hex octets");
  expect_error(kMac, "00:24:98:7b:19:0", bad, "mac: not hex octets");
  expect_error(kMac, "00:24:98:7b:19:02:", bad, "mac: not hex octets");
  expect_error(kMac, "00:24:98:7b:19:0g", bad, "mac: not hex octets");
  expect_error(kMac, "00.24.98.7b.19.02", bad, "mac: not hex octets");
  expect_error(kMac, "0:24:98:7b:19:02", bad, "mac: not hex octets");
}

TEST(Mac_OfAGroupOrOfNobody, IsRefused) {
  expect_error(kMac, "01-00-5e-00-00-01", ErrorKind::kRefused, "mac: a group's address");
  expect_error(kMac, "ff:ff:ff:ff:ff:ff", ErrorKind::kRefused, "mac: a group's address");
  expect_error(kMac, "00:00:00:00:00:00", ErrorKind::kRefused, "mac: nobody's address");
}

TEST(Mac_OctetsAndText, AreEachOther) {
  const auto octets = mac_octets({kMac, "00:24:98:7b:19:02"});
  ASSERT_TRUE(octets);
  EXPECT_EQ(hex_encode(*octets), "0024987b1902");
  EXPECT_EQ(mac_text(*octets).value(), "00:24:98:7b:19:02");
  EXPECT_EQ(mac_text(ByteView(*octets).first(5)).error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(mac_octets({kUri, "sip:example.com"}).error().kind, ErrorKind::kBadInput);
}

TEST(Uri_SchemeAndHost, AreLowerCaseTheRestAsWritten) {
  EXPECT_EQ(form(kUri, "SIP:Alice@Customer.EXAMPLE"), "sip:Alice@customer.example");
  EXPECT_EQ(form(kUri, "sips:PBX.customer.example:5061;transport=TLS"),
            "sips:pbx.customer.example:5061;transport=TLS");
  EXPECT_EQ(form(kUri, "HTTPS://Provision.Customer.example/Phone?A=b"),
            "https://provision.customer.example/Phone?A=b");
  EXPECT_EQ(form(kUri, "https://a.customer.example:8443"), "https://a.customer.example:8443");
}

TEST(Uri_Malformed, IsBadInputForItsReason) {
  const auto bad = ErrorKind::kBadInput;
  expect_error(kUri, "", bad, "uri: no scheme");
  expect_error(kUri, "customer.example", bad, "uri: no scheme");
  for (const auto* text : {"http://a.customer.example/", "urn:a.b", "tel:+49", "ftp://a.b/"})
    expect_error(kUri, text, bad, "uri: a scheme that is not sip, sips or https");
  expect_error(kUri, "https:/a.customer.example", bad, "uri: no host");
  expect_error(kUri, "https:///x", bad, "dns: empty name");
  expect_error(kUri, "sip:", bad, "dns: empty name");
  expect_error(kUri, "sip:alice@", bad, "dns: empty name");
  expect_error(kUri, "sip:@a.customer.example", bad, "uri: an empty user");
  expect_error(kUri, "https://u@a.customer.example/", bad, "uri: user information");
  expect_error(kUri, "https://a.customer.example:/", bad, "uri: port");
  expect_error(kUri, "sip:a.customer.example:99999x", bad, "uri: port");
  expect_error(kUri, "sip:192.0.2.1", bad, "dns: an address is not a name");
  expect_error(kUri, "https://*.customer.example/", bad, "uri: a wildcard is no host");
  expect_error(kUri, "https://[2001:db8::1]/", bad, "uri: a character that is no URI's");
  expect_error(kUri, "https://a.customer.example/ x", bad, "uri: a character that is no URI's");
  expect_error(kUri, "https://a.customer.example\\@b.example/", bad,
               "uri: a character that is no URI's");
}

// Two readers that disagree on the host would let one domain's owner speak for another's.
TEST(Uri_HostThatReadersCouldSeeElsewhere, IsBadInput) {
  const auto* unclear = "uri: where its host begins is not clear";
  expect_error(kUri, "sip:a@b@victim.example", ErrorKind::kBadInput, unclear);
  expect_error(kUri, "sip:evil.example;x=y@victim.example", ErrorKind::kBadInput, unclear);
  expect_error(kUri, "sip:evil.example?x@victim.example", ErrorKind::kBadInput, unclear);
}

TEST(Uri_SingleLabelOrTooLong, IsRefused) {
  expect_error(kUri, "sip:pbx", ErrorKind::kRefused, "dns: a single label");
  expect_error(kUri, "https://a.customer.example/" + std::string(256, 'a'), ErrorKind::kRefused,
               "uri: over 256 octets");
}

TEST(Uri_Host, IsTheDnsName) {
  EXPECT_EQ(uri_host({kUri, "sip:alice@customer.example:5060;x=y"}).value(), "customer.example");
  EXPECT_EQ(uri_host({kUri, "https://a.customer.example/b@c"}).value(), "a.customer.example");
  EXPECT_EQ(uri_host({kMac, "00:24:98:7b:19:02"}).error().kind, ErrorKind::kBadInput);
}

TEST(Hint_OfAnotherType, IsBadInput) {
  EXPECT_EQ(hint_of({kHint, "measured_boot"}).value(), "measured_boot");
  EXPECT_EQ(hint_of({kMac, "00:24:98:7b:19:02"}).error().kind, ErrorKind::kBadInput);
  EXPECT_TRUE(is_attestation_type(kHint));
  EXPECT_FALSE(is_attestation_type(kUri));
}

}  // namespace
}  // namespace keyward::identifier
