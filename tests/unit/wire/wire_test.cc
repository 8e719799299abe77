// Tests of firmware/wire: one accepted encoding per message, a refusal for everything else, and the
// schema file equal to the code.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/all.h"
#include "firmware/wire/schema.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward::wire {
namespace {

enum class Color : std::uint8_t { kRed = 1, kBlue = 2 };
bool is_known(Color c) { return c == Color::kRed || c == Color::kBlue; }

struct Inner {
  std::uint64_t number = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "number", m.number);
  }
};

struct Sample {
  static constexpr MessageType kType = MessageType::kFailure;
  static constexpr std::string_view kName = "sample";
  std::string text;
  std::optional<std::uint64_t> count;
  std::int64_t signed_number = 0;
  bool flag = false;
  Bytes octets;
  Digest256 digest{};
  Color color = Color::kRed;
  std::vector<Inner> inners;
  std::vector<std::string> names;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "text", m.text, 8);
    v(2, "count", m.count);
    v(3, "signed_number", m.signed_number);
    v(4, "flag", m.flag);
    v(5, "octets", m.octets, 4);
    v(6, "digest", m.digest);
    v(7, "color", m.color);
    v(8, "inners", m.inners, 3);
    v(9, "names", m.names, 2, 4);
  }
};

struct Small {
  std::uint64_t number = 0;
  std::optional<std::string> text;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "number", m.number);
    v(3, "text", m.text, 4);
  }
};

Bytes hex(std::string_view text) { return *hex_decode(text); }

template <class M>
void expect_refused(std::string_view hex_text, std::string_view what) {
  const auto result = decode_body<M>(hex(hex_text));
  ASSERT_FALSE(result) << hex_text;
  EXPECT_EQ(result.error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(std::string_view(result.error().what), what) << hex_text;
}

TEST(Codec_EveryFieldType, RoundTrips) {
  Sample sample;
  sample.text = "h\xc3\xa9";
  sample.count = 1'000'000'000'000;
  sample.signed_number = INT64_MIN;
  sample.flag = true;
  sample.octets = {1, 2, 3};
  sample.digest.fill(7);
  sample.color = Color::kBlue;
  sample.inners = {{1}, {2}};
  sample.names = {"a", ""};
  const auto bytes = encode_body(sample);
  const auto again = decode_body<Sample>(bytes);
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(again->text, sample.text);
  EXPECT_EQ(again->count, sample.count);
  EXPECT_EQ(again->signed_number, INT64_MIN);
  EXPECT_EQ(again->inners[1].number, 2U);
  EXPECT_EQ(again->names, sample.names);
  EXPECT_EQ(encode_body(*again), bytes);
  sample.count.reset();
  EXPECT_FALSE(decode_body<Sample>(encode_body(sample))->count);
}

TEST(Codec_EveryTruncation, IsRefused) {
  Sample sample;
  sample.text = "text";
  sample.inners = {{300}};
  sample.names = {"name"};
  const auto bytes = encode_body(sample);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_body<Sample>(ByteView(bytes).first(size))) << size;
}

TEST(Codec_EveryChangedByte, IsRefusedOrComesBackEqual) {
  Sample sample;
  sample.text = "text";
  sample.count = 24;
  sample.inners = {{300}};
  const auto bytes = encode_body(sample);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (unsigned value = 0; value < 256; ++value) {
      auto changed = bytes;
      changed[i] = static_cast<std::uint8_t>(value);
      const auto result = decode_body<Sample>(changed);
      if (!result) continue;
      EXPECT_EQ(encode_body(*result), changed) << "a second encoding of one message at " << i;
    }
  }
}

TEST(Codec_Good, IsAccepted) {
  EXPECT_TRUE(decode_body<Small>(hex("a10105")));
  EXPECT_TRUE(decode_body<Small>(hex("a20105036161")));
}

TEST(Codec_NotTheShortestForm, IsRefused) {
  const auto what = "cbor: not the shortest form";
  expect_refused<Small>("a1011805", what);
  expect_refused<Small>("a101190005", what);
  expect_refused<Small>("a1011a00000005", what);
  expect_refused<Small>("a1011b0000000000000005", what);
  expect_refused<Small>("a1011900ff", what);
  expect_refused<Small>("a118010500", what);
  expect_refused<Small>("b8010105", what);
  expect_refused<Small>("a2010503780161", what);
  EXPECT_TRUE(decode_body<Small>(hex("a1011818")));
  EXPECT_TRUE(decode_body<Small>(hex("a101190100")));
}

TEST(Codec_IndefiniteOrReservedLength, IsRefused) {
  const auto what = "cbor: indefinite or reserved length";
  expect_refused<Small>("bf0105ff", what);
  expect_refused<Small>("a20105037f6161ff", what);
  expect_refused<Small>("a1011c", what);
  expect_refused<Small>("a1011f", what);
}

TEST(Codec_Keys_MustBeKnownAscendingAndOnce, OrAreRefused) {
  expect_refused<Small>("a201050106", "cbor: map keys not ascending");
  expect_refused<Small>("a20361610105", "cbor: a field is missing, unknown or out of order");
  expect_refused<Small>(
      "a201050261"
      "61",
      "cbor: unknown field");
  expect_refused<Small>(
      "a2010504"
      "6161",
      "cbor: unknown field");
  expect_refused<Small>(
      "a2000501"
      "05",
      "cbor: a field is missing, unknown or out of order");
  expect_refused<Small>("a1036161", "cbor: a field is missing, unknown or out of order");
  expect_refused<Small>("a0", "cbor: a field is missing, unknown or out of order");
  expect_refused<Small>(
      "a161"
      "6105",
      "cbor: another type was expected");
  expect_refused<Small>("a12005", "cbor: another type was expected");
}

TEST(Codec_TrailingOctets, AreRefused) {
  expect_refused<Small>("a1010500", "cbor: trailing bytes");
  expect_refused<Small>("a10105a10105", "cbor: trailing bytes");
}

TEST(Codec_OtherTypes_TagsFloatsAndNull, AreRefused) {
  const auto what = "cbor: another type was expected";
  for (const auto text : {"a101c105", "a101f90000", "a101fb0000000000000000", "a101f6", "a101f7",
                          "a101f5", "a10120", "a1014105", "a1016161", "80"}) {
    expect_refused<Small>(text, what);
  }
}

TEST(Codec_StringsOverTheirCap, AreRefused) {
  expect_refused<Small>("a2010503656161616161", "cbor: string over its limit");
  EXPECT_TRUE(decode_body<Small>(hex("a20105036461616161")));
}

TEST(Codec_InvalidUtf8, IsRefused) {
  for (const auto text :
       {"62c080", "61ff", "62c328", "63eda080", "64f4908080", "64f0808080", "61c3", "63e28061"}) {
    expect_refused<Small>(std::string("a2010503") + text, "cbor: text is not UTF-8");
  }
}

TEST(Codec_HugeClaims_AllocateNothing, AndAreRefused) {
  Sample sample;
  auto bytes = encode_body(sample);
  // The list of inners is the last but one field: ... 08 80 09 80.
  ASSERT_EQ(hex_encode(ByteView(bytes).last(4)), "08800980");
  bytes.resize(bytes.size() - 3);
  for (const auto claim : {"84", "981e", "99ffff", "9affffffff", "9bffffffffffffffff"}) {
    auto attack = bytes;
    append(attack, hex(claim));
    const auto result = decode_body<Sample>(attack);
    ASSERT_FALSE(result) << claim;
    EXPECT_STREQ(result.error().what, "cbor: array over its limit");
  }
  expect_refused<Small>("bbffffffffffffffff", "cbor: map over its limit");
  expect_refused<Small>("b841", "cbor: map over its limit");
  expect_refused<Small>("a20105037bffffffffffffffff", "cbor: truncated");
}

TEST(Codec_Integers_OutOfRange, AreRefused) {
  CborWriter big;
  big.unsigned_integer(UINT64_MAX);
  const auto bytes = big.take();
  EXPECT_EQ(*CborReader(bytes).unsigned_integer(), UINT64_MAX);
  EXPECT_STREQ(CborReader(bytes).integer().error().what, "cbor: integer out of range");
  EXPECT_STREQ(CborReader(hex("3bffffffffffffffff")).integer().error().what,
               "cbor: integer out of range");
  EXPECT_EQ(*CborReader(hex("3b7fffffffffffffff")).integer(), INT64_MIN);
}

TEST(Codec_EnumerationsFixedStringsAndBooleans, AreExact) {
  Sample sample;
  const auto good = encode_body(sample);
  const auto text = hex_encode(good);
  const auto at = text.find("0701");
  ASSERT_NE(at, std::string::npos);
  auto unknown = text;
  unknown.replace(at, 4, "0703");
  expect_refused<Sample>(unknown, "cbor: unknown enumeration value");
  auto zero = text;
  zero.replace(at, 4, "0700");
  expect_refused<Sample>(zero, "cbor: unknown enumeration value");
  auto wide = text;
  wide.replace(at, 4, "071a00010001");
  expect_refused<Sample>(wide, "cbor: unknown enumeration value");
  auto cut_down = text;  // 257 and 65537 are 1 in one octet and in two
  cut_down.replace(at, 4, "07190101");
  expect_refused<Sample>(cut_down, "cbor: unknown enumeration value");
  auto flag = text;
  flag.replace(flag.find("04f4"), 4, "0401");
  expect_refused<Sample>(flag, "cbor: a boolean was expected");
  auto digest = text;
  digest.replace(digest.find("065820"), 8, "06581f");
  expect_refused<Sample>(digest, "cbor: a fixed byte string has another length");
}

TEST(Frame_HeadAndBody, AreSplit) {
  const auto frame = encode_frame(70'000, Sample{});
  const auto open = open_frame(frame);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->head.type, MessageType::kFailure);
  EXPECT_EQ(open->head.id, 70'000U);
  EXPECT_TRUE(decode_body<Sample>(open->body));
}

TEST(Frame_Malformed, IsRefusedForItsReason) {
  const auto check = [](const Bytes& frame, std::string_view what) {
    const auto open = open_frame(frame);
    ASSERT_FALSE(open);
    EXPECT_EQ(open.error().kind, ErrorKind::kBadInput);
    EXPECT_EQ(std::string_view(open.error().what), what);
  };
  check({}, "cbor: truncated");
  check(hex("820100"), "a frame has three parts");
  check(hex("84010001a0"), "cbor: array over its limit");
  check(hex("a0"), "cbor: another type was expected");
  check(hex("831a0001000000a0"), "message type out of range");
  check(hex("83180100a0"), "cbor: not the shortest form");
  check(hex("8301"), "cbor: array over its limit");
  check(Bytes(limits::kFrameBytesMax + 1), "frame over its limit");
}

TEST(Schema_File, EqualsTheCode) {
  const char* source = ::getenv("KEYWARD_SOURCE");
  ASSERT_NE(source, nullptr) << "run by ctest, or set KEYWARD_SOURCE to the repository's root";
  const auto path = std::string(source) + "/firmware/wire/schema.cddl";
  const auto expected = schema_cddl();
  if (::getenv("KEYWARD_UPDATE_SCHEMA") != nullptr) {
    ASSERT_TRUE(replace_file(path, view_of(expected), 0644));
  }
  EXPECT_EQ(std::string(text_of(test::read_whole_file(path))), expected)
      << "the messages changed: run this test once with KEYWARD_UPDATE_SCHEMA=1 and review the "
         "difference";
}

}  // namespace
}  // namespace keyward::wire
