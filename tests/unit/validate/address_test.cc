// Where validations may connect to.
#include "firmware/validate/address.h"

#include <cstring>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace keyward::validate {
namespace {

IpAddress ip(const char* text) {
  auto parsed = IpAddress::parse(text);
  EXPECT_TRUE(parsed) << text;
  return *parsed;
}

class EgressRefused : public ::testing::TestWithParam<const char*> {};
TEST_P(EgressRefused, ByDefault_IsRefused) {
  EXPECT_FALSE(EgressPolicy().allows(ip(GetParam()))) << GetParam();
}
INSTANTIATE_TEST_SUITE_P(
    Table, EgressRefused,
    ::testing::Values("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1",
                      "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
                      "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1",
                      "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9",
                      "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1",
                      "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
                      "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:10::1",
                      "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "4000::1",
                      "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1"));

class EgressAllowed : public ::testing::TestWithParam<const char*> {};
TEST_P(EgressAllowed, ByDefault_IsAllowed) {
  EXPECT_TRUE(EgressPolicy().allows(ip(GetParam()))) << GetParam();
}
INSTANTIATE_TEST_SUITE_P(Table, EgressAllowed,
                         ::testing::Values("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
                                           "100.63.255.255", "100.128.0.0", "126.255.255.255",
                                           "128.0.0.1", "169.253.255.255", "172.15.255.255",
                                           "172.32.0.0", "192.0.1.1", "192.167.255.255",
                                           "192.169.0.0", "198.17.255.255", "198.20.0.0",
                                           "223.255.255.255", "2001:4860:4860::8888",
                                           "2606:4700::1111", "2a00::1", "3ffe::1"));

EgressPolicy allowing(const char* prefix) { return EgressPolicy({*Prefix::parse(prefix)}); }

TEST(EgressPolicy_Allow, Prefix_OpensThatAlone) {
  EXPECT_TRUE(allowing("10.1.0.0/16").allows(ip("10.1.2.3")));
  EXPECT_FALSE(allowing("10.1.0.0/16").allows(ip("10.2.0.1")));
  EXPECT_TRUE(allowing("10.1.0.0/16").allows(ip("8.8.8.8")));
  EXPECT_TRUE(allowing("127.0.0.1/32").allows(ip("127.0.0.1")));
  EXPECT_FALSE(allowing("127.0.0.1/32").allows(ip("127.0.0.2")));
  EXPECT_TRUE(allowing("fd00::/8").allows(ip("fd12::1")));
  EXPECT_FALSE(allowing("fd00::/8").allows(ip("fc12::1")));
}

TEST(EgressPolicy_Allow, IPv4Prefix_DoesNotOpenItsMappedForm) {
  EXPECT_FALSE(allowing("127.0.0.0/8").allows(ip("::ffff:127.0.0.1")));
  EXPECT_FALSE(allowing("0.0.0.0/0").allows(ip("::1")));
  EXPECT_TRUE(allowing("::ffff:0:0/96").allows(ip("::ffff:127.0.0.1")));
}

class PrefixMalformed : public ::testing::TestWithParam<const char*> {};
TEST_P(PrefixMalformed, Parse_IsBadInput) {
  const auto parsed = Prefix::parse(GetParam());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().kind, ErrorKind::kBadInput);
}
INSTANTIATE_TEST_SUITE_P(Table, PrefixMalformed,
                         ::testing::Values("", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8",
                                           "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "fd00::1/8",
                                           "nonsense/8", "10.0.0/8"));

class AddressMalformed : public ::testing::TestWithParam<const char*> {};
TEST_P(AddressMalformed, Parse_IsBadInput) { EXPECT_FALSE(IpAddress::parse(GetParam())); }
INSTANTIATE_TEST_SUITE_P(Table, AddressMalformed,
                         ::testing::Values("", "127.1", "2130706433", "0x7f000001", "127.0.0.1 ",
                                           "0177.0.0.1", "[::1]", "fe80::1%eth0", "1.2.3.4.5",
                                           "host"));

TEST(IpAddress_From, Sockaddr_KeepsFamilyAndOctets) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(0x0a000001);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof in);
  std::memcpy(&generic, &in, sizeof in);
  EXPECT_EQ(IpAddress::from(generic)->text(), "10.0.0.1");
  generic.sa_family = AF_UNIX;
  EXPECT_FALSE(IpAddress::from(generic));
}

}  // namespace
}  // namespace keyward::validate
