// Tests of the OCSP request reader with requests that `openssl ocsp -reqout` made.
#include "firmware/x509/ocsp_request.h"

#include "firmware/x509/der.h"

#include "issuing.h"

namespace keyward::x509 {
namespace {

constexpr auto kBad = ErrorKind::kBadInput;
constexpr std::string_view kPlain =
    "30433041303f303d303b300906052b0e03021a0500041411048cd20cb3592307d019fd0889562b62d3649204142836"
    "90ee307cac19c4647bcbf7b49b00d36d49c302021234";
constexpr std::string_view kWithNonce =
    "308186308183305c305a3058300d0609608648016503040201050004206d55a0a38e5290f86e181e6a9c8e91f3aa5e"
    "e0e0ca89d5b77fff149591933271042044f74fa93db9c7c8cadb966184c36f928b224980d4813b1623c2085597daad"
    "82020300f234a2233021301f06092b060105050730010204120410f4ed595333673075317c9102c7f169aa";

Bytes question(ByteView serial) {
  const Bytes hash(20, 7);
  const Bytes id = der_sequence({der_sequence({der_oid("1.3.14.3.2.26")}), der_octet_string(hash),
                                 der_octet_string(hash), der_unsigned(serial)});
  return der_sequence({id});
}

Bytes extensions(std::string_view oid, bool critical, const Bytes& value) {
  const Bytes flag = critical ? der_boolean(true) : Bytes{};
  const Bytes one = der_sequence({der_oid(oid), flag, der_octet_string(value)});
  return tlv(tag::context_constructed(2), ByteView(der_sequence({one})));
}

Bytes request(const Bytes& questions, const Bytes& tail = {}) {
  return der_sequence({der_sequence({der_sequence({questions}), tail})});
}

Bytes nonce_of(std::size_t size) {
  return extensions("1.3.6.1.5.5.7.48.1.2", false, der_octet_string(Bytes(size, 9)));
}

const Bytes kSerial = {0x12};

TEST(OcspRequest_OfOpenssl_IsRead, Sha1) {
  const auto read = parse_ocsp_request(hex(kPlain));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->questions.size(), 1U);
  EXPECT_EQ(read->questions[0].hash, OcspHash::kSha1);
  EXPECT_EQ(read->questions[0].serial, hex("1234"));
  EXPECT_EQ(read->questions[0].issuer_key_hash, hex("283690ee307cac19c4647bcbf7b49b00d36d49c3"));
  EXPECT_FALSE(read->nonce);
}

TEST(OcspRequest_OfOpenssl_IsRead, Sha256WithNonce) {
  const auto read = parse_ocsp_request(hex(kWithNonce));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->questions.at(0).hash, OcspHash::kSha256);
  EXPECT_EQ(read->questions.at(0).serial, hex("f234"));
  ASSERT_TRUE(read->nonce);
  EXPECT_EQ(*read->nonce, hex("f4ed595333673075317c9102c7f169aa"));
}

TEST(OcspRequest_CutOrLonger_IsRefused, EveryLength) {
  Bytes whole = hex(kWithNonce);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse_ocsp_request(ByteView(whole).first(size))) << size;
  whole.push_back(0);
  EXPECT_FALSE(parse_ocsp_request(whole));
}

TEST(OcspRequest_Nonce_HasOneTo128Octets, Rfc9654) {
  const std::string_view refused = "OCSP: the nonce's length (RFC 9654 §2.1)";
  const Bytes asked = question(kSerial);
  expect_error(parse_ocsp_request(request(asked, nonce_of(0))), kBad, refused);
  EXPECT_TRUE(parse_ocsp_request(request(asked, nonce_of(1))));
  EXPECT_TRUE(parse_ocsp_request(request(asked, nonce_of(128))));
  expect_error(parse_ocsp_request(request(asked, nonce_of(129))), kBad, refused);
}

TEST(OcspRequest_UnknownExtension_IsRefusedIfCritical, Rfc6960) {
  const Bytes asked = question(kSerial);
  EXPECT_TRUE(parse_ocsp_request(request(asked, extensions("1.2.3", false, {}))));
  expect_error(parse_ocsp_request(request(asked, extensions("1.2.3", true, {}))), kBad,
               "OCSP: an unknown extension is critical");
}

TEST(OcspRequest_Questions_AreBounded, NoneAndNine) {
  expect_error(parse_ocsp_request(request({})), kBad, "OCSP: nothing is asked");
  Bytes many;
  for (std::size_t n = 0; n < kOcspQuestionsMax; ++n) append(many, question(kSerial));
  EXPECT_TRUE(parse_ocsp_request(request(many)));
  append(many, question(kSerial));
  expect_error(parse_ocsp_request(request(many)), kBad, "OCSP: too many questions in one request");
}

TEST(OcspRequest_Serial_HasTwentyOctetsAtMost, Rfc5280) {
  EXPECT_TRUE(parse_ocsp_request(request(question(Bytes(20, 1)))));
  expect_error(parse_ocsp_request(request(question(Bytes(21, 1)))), kBad,
               "OCSP: the serial number is too long");
}

TEST(OcspRequest_OtherHash_IsReadAsUnknown, AnyLength) {
  Bytes bad = hex(kPlain);
  // The OID of SHA-1 becomes one that nobody knows: then any length goes, and the hash is unknown.
  bad[17] = 0x1b;
  const auto read = parse_ocsp_request(bad);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->questions.at(0).hash);
}

}  // namespace
}  // namespace keyward::x509
