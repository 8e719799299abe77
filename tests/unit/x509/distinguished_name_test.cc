// Tests of the walk through a Name: each attribute once in its order, and what is no Name.
#include "firmware/x509/distinguished_name.h"

#include "issuing.h"

namespace keyward::x509 {
namespace {

constexpr auto kBad = ErrorKind::kBadInput;

Bytes attribute(std::string_view oid, std::string_view text, ByteView behind = {}) {
  return der_sequence({der_oid(oid), tlv(tag::kUtf8String, view_of(text)), behind});
}

Status walk(ByteView name, std::string& out) {
  return for_each_attribute(name, [&](ByteView type, const DerReader::Any& value) -> Status {
    out += oid_text(type) + "=" + std::string(text_of(value.content)) + ";";
    return {};
  });
}

TEST(DistinguishedName, Attributes_OfOneSetOrSeveral_ComeInTheirOrder) {
  const Bytes cn = attribute("2.5.4.3", "unit"), organization = attribute("2.5.4.10", "plant"),
              serial = attribute("2.5.4.5", "7");
  // The first set stands the wrong way round, as vendors write it.
  const Bytes name = der_sequence({tlv(tag::kSet, {organization, cn}), tlv(tag::kSet, {serial})});
  std::string seen;
  ASSERT_TRUE(walk(name, seen));
  EXPECT_EQ(seen, "2.5.4.10=plant;2.5.4.3=unit;2.5.4.5=7;");
  seen.clear();
  ASSERT_TRUE(walk(der_sequence({}), seen));
  EXPECT_EQ(seen, "");
}

TEST(DistinguishedName, Refusal_EndsTheWalkWithItsError) {
  const Bytes cn = attribute("2.5.4.3", "unit");
  const Bytes name = der_sequence({tlv(tag::kSet, {cn}), tlv(tag::kSet, {cn})});
  int taken = 0;
  const auto walked = for_each_attribute(name, [&](ByteView, const DerReader::Any&) -> Status {
    ++taken;
    return fail(ErrorKind::kRefused, "not this one");
  });
  EXPECT_EQ(taken, 1);
  ASSERT_FALSE(walked);
  EXPECT_EQ(walked.error().kind, ErrorKind::kRefused);
}

TEST(DistinguishedName, NoName_IsRefused) {
  const Bytes cn = attribute("2.5.4.3", "unit");
  std::string seen;
  expect_error(walk(der_sequence({tlv(tag::kSet, Bytes())}), seen), kBad, "name: empty RDN");
  Bytes behind_name = der_sequence({tlv(tag::kSet, {cn})});
  behind_name.push_back(0);
  expect_error(walk(behind_name, seen), kBad, "der: trailing octets");
  const Bytes extra = der_boolean(true);
  const Bytes behind_value = attribute("2.5.4.3", "unit", extra);
  expect_error(walk(der_sequence({tlv(tag::kSet, {behind_value})}), seen), kBad,
               "der: trailing octets");
  EXPECT_FALSE(walk(der_sequence({cn}), seen)) << "no SET";
  EXPECT_FALSE(walk(tlv(tag::kSet, {tlv(tag::kSet, {cn})}), seen)) << "no SEQUENCE";
  EXPECT_FALSE(walk(der_sequence({tlv(tag::kSet, {der_sequence({der_oid("2.5.4.3")})})}), seen))
      << "no value";
  EXPECT_EQ(seen, "");
}

}  // namespace
}  // namespace keyward::x509
