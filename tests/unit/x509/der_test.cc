// Tests of the DER reader and writer: strictness of the reader, the one form of the writer.
#include "firmware/x509/der.h"

#include "issuing.h"

namespace keyward::x509 {
namespace {

constexpr auto kBad = ErrorKind::kBadInput;

TEST(DerReader_Lengths, AreMinimalAndDefinite) {
  const auto read = [](std::string_view text) {
    static Bytes kept;
    kept = hex(text);
    return DerReader(kept).any();
  };
  expect_error(read(""), kBad, "der: truncated");
  expect_error(read("30"), kBad, "der: truncated");
  expect_error(read("3080"
                    "0000"),
               kBad, "der: indefinite length");
  expect_error(read("308101"
                    "00"),
               kBad, "der: not the shortest length");
  expect_error(read("30820001"
                    "00"),
               kBad, "der: not the shortest length");
  expect_error(read("3082007f"), kBad, "der: not the shortest length");
  expect_error(read("30850000000001"
                    "00"),
               kBad, "der: length out of range");
  expect_error(read("30ff"), kBad, "der: length out of range");
  expect_error(read("3082"), kBad, "der: truncated");
  expect_error(read("3002"
                    "00"),
               kBad, "der: truncated");
  expect_error(read("3084ffffffff"), kBad, "der: truncated");
  expect_error(read("1f8101"
                    "00"),
               kBad, "der: high tag number");
  EXPECT_TRUE(read("3000"));
}

TEST(DerReader_Integers_AreMinimalAndPositive, OrRefused) {
  const auto read = [](std::string_view text) {
    const auto in = hex(text);
    return DerReader(in).unsigned_integer();
  };
  expect_error(read("0200"), kBad, "der: empty integer");
  expect_error(read("0201ff"), kBad, "der: negative integer");
  expect_error(read("02020001"), kBad, "der: not the shortest integer");
  expect_error(read("040101"), kBad, "der: another type was expected");
  EXPECT_EQ(*read("020200ff"), Bytes{0xff});
  EXPECT_EQ(*read("020100"), Bytes{0});
  const auto small = [](std::string_view text) {
    const auto in = hex(text);
    return DerReader(in).small_unsigned();
  };
  EXPECT_EQ(*small("02087fffffffffffffff"), 0x7fffffffffffffffU);
  expect_error(small("0209008000000000000000"), kBad, "der: integer out of range");
  expect_error(small("0209010000000000000000"), kBad, "der: integer out of range");
}

TEST(DerReader_BooleansBitStringsAndEnds, AreExact) {
  const auto boolean = [](std::string_view text) {
    const auto in = hex(text);
    return DerReader(in).boolean();
  };
  EXPECT_TRUE(*boolean("0101ff"));
  EXPECT_FALSE(*boolean("010100"));
  expect_error(boolean("010101"), kBad, "der: malformed boolean");
  expect_error(boolean("0102ffff"), kBad, "der: malformed boolean");
  const auto bits = [](std::string_view text) {
    const auto in = hex(text);
    const auto found = DerReader(in).bit_string_octets();
    return found ? Result<Bytes>(to_bytes(*found)) : Result<Bytes>(fail(found.error()));
  };
  EXPECT_EQ(*bits("030200aa"), Bytes{0xaa});
  expect_error(bits("030204a0"), kBad, "der: bit string is not whole octets");
  expect_error(bits("0300"), kBad, "der: bit string is not whole octets");
  const auto two = hex("05000500");
  DerReader in(two);
  ASSERT_TRUE(in.any());
  expect_error(in.expect_end(), kBad, "der: trailing octets");
}

TEST(DerReader_ObjectIdentifiers_AreWellFormed, OrRefused) {
  const auto read = [](std::string_view text) {
    const auto in = hex(text);
    const auto found = DerReader(in).oid();
    return found ? Result<std::string>(oid_text(*found)) : Result<std::string>(fail(found.error()));
  };
  EXPECT_EQ(*read("06092a864886f70d010101"), "1.2.840.113549.1.1.1");
  EXPECT_EQ(*read("0603550403"), "2.5.4.3");
  EXPECT_EQ(*read("06028837"), "2.999");
  const auto malformed = "der: malformed object identifier";
  expect_error(read("0600"), kBad, malformed);
  expect_error(read("060255"
                    "84"),
               kBad, malformed);
  expect_error(read("06035580"
                    "03"),
               kBad, malformed);
  expect_error(read("06028003"), kBad, malformed);
  Bytes huge(limits::kOidBytesMax + 1, 0x81);
  huge.back() = 1;
  const auto wrapped = tlv(tag::kOid, huge);
  expect_error(DerReader(wrapped).oid(), kBad, malformed);
  EXPECT_EQ(oid_text(huge), "");
}

TEST(DerOid_AnySize_RoundTripsAndMatchesTheOpensslProgram, ForEachArc) {
  for (const auto text :
       {"1.2.3.4", "0.0", "0.39", "1.39.127.128.16383.16384", "2.0", "2.47", "2.48", "2.999.3",
        "2.40.1", "2.25.340282366920938463463374607431768211455",
        "2.25.329800735698586629295641978511506172918",
        "1.3.6.1.4.1.4294967296.18446744073709551616", "2.18446744073709551536"}) {
    const auto der = der_oid(text);
    DerReader in(der);
    const auto content = in.oid();
    ASSERT_TRUE(content) << text;
    EXPECT_EQ(oid_text(*content), text);
    const test::TempDir dir;
    test::write_file(dir.path("oid"), der);
    const auto printed =
        openssl({"asn1parse", "-inform", "DER", "-in", dir.path("oid"), "-oid", "/dev/null"});
    if (std::string_view(text).starts_with("2.25") || std::string_view(text).starts_with("2.999")) {
      EXPECT_NE(printed.find(text), std::string::npos) << printed;
    }
  }
}

TEST(DerOid_NotDotted, IsRefused) {
  for (const auto text : {"", "1", "1.", "3.1", "1.40", "0.40", "1.2.", "1..2", "1.02", "01.2",
                          "1.2.x", "1.2.-3", "1.2 .3", "11.2", ".1.2"}) {
    expect_error(der_oid_checked(text), kBad, "der: not a dotted object identifier");
  }
  expect_error(der_oid_checked("1.2." + std::string(300, '9')), kBad,
               "der: not a dotted object identifier");
}

Result<std::int64_t> read_time(std::uint8_t tag_value, std::string_view text) {
  const auto der = tlv(tag_value, view_of(text));
  return DerReader(der).time_ms();
}

TEST(DerTime_Valid, IsRead) {
  EXPECT_EQ(*read_time(tag::kUtcTime, "700101000000Z"), 0);
  EXPECT_EQ(*read_time(tag::kUtcTime, "691231235959Z"), -1000);
  EXPECT_EQ(*read_time(tag::kUtcTime, "491231235959Z"), 2524607999000);
  EXPECT_EQ(*read_time(tag::kUtcTime, "500101000000Z"), -631152000000);
  EXPECT_EQ(*read_time(tag::kGeneralizedTime, "20500101000000Z"), 2524608000000);
  EXPECT_EQ(*read_time(tag::kGeneralizedTime, "99991231235959Z"), 253402300799000);
  EXPECT_EQ(*read_time(tag::kGeneralizedTime, "20000229120000Z"), 951825600000);
}

TEST(DerTime_Malformed, IsRefused) {
  const auto form = "der: time is not in the form of RFC 5280";
  expect_error(read_time(tag::kUtcTime, "7001010000Z"), kBad, form);
  expect_error(read_time(tag::kUtcTime, "700101000000+0000"), kBad, form);
  expect_error(read_time(tag::kUtcTime, "7001010000001"), kBad, form);
  expect_error(read_time(tag::kGeneralizedTime, "20500101000000.5Z"), kBad, form);
  expect_error(read_time(tag::kGeneralizedTime, "500101000000Z"), kBad, form);
  expect_error(read_time(tag::kUtcTime, "7001O1000000Z"), kBad, "der: time is not digits");
  for (const auto date : {"701301000000Z", "700001000000Z", "700100000000Z", "700132000000Z",
                          "700229000000Z", "700431000000Z"}) {
    expect_error(read_time(tag::kUtcTime, date), kBad, "der: no such date");
  }
  expect_error(read_time(tag::kGeneralizedTime, "21000229000000Z"), kBad, "der: no such date");
  expect_error(read_time(tag::kGeneralizedTime, "00000101000000Z"), kBad, "der: no such date");
  for (const auto time : {"700101240000Z", "700101006000Z", "700101000060Z"}) {
    expect_error(read_time(tag::kUtcTime, time), kBad, "der: no such time of day");
  }
  expect_error(read_time(tag::kOctetString, "700101000000Z"), kBad,
               "der: another type was expected");
}

TEST(DerTime_Switch, IsAt2050) {
  EXPECT_EQ(text_of(der_time(2524607999000)).substr(2), "491231235959Z");
  EXPECT_EQ(der_time(2524607999999)[0], tag::kUtcTime);
  EXPECT_EQ(text_of(der_time(2524608000000)).substr(2), "20500101000000Z");
  EXPECT_EQ(text_of(der_time(253402300799000)).substr(2), "99991231235959Z");
  for (std::int64_t day = -7305; day < 100'000; day += 13) {  // 1950 to 2243
    const auto ms = day * kDay + 43'261'000;
    const auto der = der_time(ms);
    ASSERT_EQ(*DerReader(der).time_ms(), ms);
  }
}

TEST(DerWriter_LengthsAndIntegers, AreMinimal) {
  EXPECT_EQ(hex_encode(tlv(tag::kOctetString, Bytes(127))).substr(0, 4), "047f");
  EXPECT_EQ(hex_encode(tlv(tag::kOctetString, Bytes(128))).substr(0, 6), "048180");
  EXPECT_EQ(hex_encode(tlv(tag::kOctetString, Bytes(256))).substr(0, 8), "04820100");
  EXPECT_EQ(hex_encode(tlv(tag::kOctetString, Bytes(65536))).substr(0, 10), "0483010000");
  EXPECT_EQ(hex_encode(der_unsigned(std::uint64_t{0})), "020100");
  EXPECT_EQ(hex_encode(der_unsigned(std::uint64_t{128})), "02020080");
  EXPECT_EQ(hex_encode(der_unsigned(UINT64_MAX)), "020900ffffffffffffffff");
  EXPECT_EQ(hex_encode(der_unsigned(ByteView())), "020100");
  EXPECT_EQ(hex_encode(der_unsigned(ByteView(hex("00007f")))), "02017f");
  EXPECT_EQ(hex_encode(der_boolean(true)), "0101ff");
  EXPECT_EQ(hex_encode(der_bit_string(hex("aa"))), "030200aa");
}

}  // namespace
}  // namespace keyward::x509
