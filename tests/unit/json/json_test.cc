// Tests of firmware/json: everything that cJSON alone would swallow is refused, with its own
// reason.
#include "firmware/json/json.h"

#include <gtest/gtest.h>

namespace keyward::json {
namespace {

using namespace std::string_literals;

struct Case {
  std::string name;
  std::string text;
  ErrorKind kind;
  std::string what;
};

std::string name_of(const testing::TestParamInfo<Case>& test) { return test.param.name; }

class JsonRefusal : public testing::TestWithParam<Case> {};

TEST_P(JsonRefusal, Parse_IsRefusedForItsReason) {
  const auto result = Document::parse(GetParam().text);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, GetParam().kind);
  EXPECT_EQ(std::string(result.error().what), GetParam().what);
}

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']');
}
std::string long_array(int count) {
  std::string out = "[1";
  for (int i = 1; i < count; ++i) out += ",1";
  return out + "]";
}

constexpr auto kBad = ErrorKind::kBadInput;
INSTANTIATE_TEST_SUITE_P(
    CjsonWouldAccept, JsonRefusal,
    testing::Values(
        Case{"TrailingGarbage", "{} x", kBad, "json: octets after the value"},
        Case{"TwoValues", "{}{}", kBad, "json: octets after the value"},
        Case{"TextAfterNul", "{}\0{}"s, kBad, "json: octets after the value"},
        Case{"NulAtTheEnd", "{}\0"s, kBad, "json: octets after the value"},
        Case{"ByteOrderMark", "\xEF\xBB\xBF{}", kBad, "json: a digit was expected"},
        Case{"DuplicateMember", R"({"a":1,"b":2,"a":3})", kBad, "json: duplicate member"},
        Case{"DuplicateMemberByEscape", R"({"a":1,"\u0061":3})", kBad, "json: duplicate member"},
        Case{"DuplicateMemberDeepInside", R"({"x":[{"a":1,"a":1}]})", kBad,
             "json: duplicate member"},
        Case{"RawControlCharacter", "[\"a\x01\"]", kBad, "json: control character in a string"},
        Case{"RawNewline", "[\"a\n\"]", kBad, "json: control character in a string"},
        Case{"RawNulInString", "[\"a\0b\"]"s, kBad, "json: control character in a string"},
        Case{"EscapedNul", R"(["x\u0000y"])", kBad, "json: U+0000 in a string"},
        Case{"EscapedNulInMemberName", R"({"a\u0000b":1})", kBad, "json: U+0000 in a string"},
        Case{"InvalidUtf8", "[\"\xff\xfe\"]", kBad, "json: invalid UTF-8"},
        Case{"OverlongUtf8", "[\"\xc0\x80\"]", kBad, "json: invalid UTF-8"},
        Case{"OverlongUtf8Three", "[\"\xe0\x80\xaf\"]", kBad, "json: invalid UTF-8"},
        Case{"OverlongUtf8Four", "[\"\xf0\x80\x80\xaf\"]", kBad, "json: invalid UTF-8"},
        Case{"SurrogateInUtf8", "[\"\xed\xa0\x80\"]", kBad, "json: invalid UTF-8"},
        Case{"AboveUnicode", "[\"\xf4\x90\x80\x80\"]", kBad, "json: invalid UTF-8"},
        Case{"TruncatedUtf8", "[\"\xe2\x82\"]", kBad, "json: invalid UTF-8"},
        Case{"ControlByteAsSpace", "{\x01}", kBad, "json: a member name was expected"},
        Case{"NulAsSpace", "[\0]"s, kBad, "json: a digit was expected"},
        Case{"FormFeedAsSpace", "[\f1]", kBad, "json: a digit was expected"},
        Case{"LeadingZero", "[010]", kBad, "json: a comma or a closing bracket was expected"},
        Case{"FractionWithoutDigits", "[5.]", kBad, "json: a digit was expected"},
        Case{"ExponentWithoutDigits", "[1e]", kBad, "json: a digit was expected"},
        Case{"TwoDots", "[1.2.3]", kBad, "json: a comma or a closing bracket was expected"},
        Case{"NumberBeyondDouble", "[1e400]", kBad, "json: number out of range"},
        Case{"MinusZero", "[-0]", kBad, "json: minus zero"},
        Case{"PlusSign", "[+1]", kBad, "json: a digit was expected"},
        Case{"Hexadecimal", "[0x10]", kBad, "json: a comma or a closing bracket was expected"},
        Case{"IntegerBeyond2To53", "[9007199254740993]", kBad, "json: integer beyond 2^53"},
        Case{"IntegerBelowMinus2To53", "[-9007199254740993]", kBad, "json: integer beyond 2^53"},
        Case{"IntegerBeyond64Bits", "[99999999999999999999]", kBad, "json: integer beyond 2^53"},
        Case{"NestedTooDeeply", nested(limits::kJsonDepthMax + 1), ErrorKind::kExhausted,
             "json: nested too deeply"},
        Case{"TooManyItems", long_array(limits::kJsonItemsMax), ErrorKind::kExhausted,
             "json: too many items"},
        Case{"TextOverItsLimit", "\"" + std::string(limits::kRequestBodyBytesMax, 'a') + "\"",
             ErrorKind::kExhausted, "json: text over its limit"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Grammar, JsonRefusal,
    testing::Values(
        Case{"Empty", "", kBad, "json: a digit was expected"},
        Case{"OnlySpace", "  ", kBad, "json: a digit was expected"},
        Case{"UnfinishedObject", "{", kBad, "json: a member name was expected"},
        Case{"UnfinishedArray", "[1", kBad, "json: a comma or a closing bracket was expected"},
        Case{"UnfinishedString", "\"a", kBad, "json: unfinished string"},
        Case{"UnfinishedEscape", "\"a\\", kBad, "json: unknown escape"},
        Case{"ShortUnicodeEscape", "\"\\u12", kBad, "json: short escape"},
        Case{"SignInUnicodeEscape", R"("\u-123")", kBad, "json: bad \\u escape"},
        Case{"BadEscape", R"("\x41")", kBad, "json: unknown escape"},
        Case{"LoneHighSurrogate", R"("\ud800")", kBad, "json: lone surrogate"},
        Case{"LoneLowSurrogate", R"("\udc00")", kBad, "json: lone surrogate"},
        Case{"TwoHighSurrogates", R"("\ud800\ud800")", kBad, "json: lone surrogate"},
        Case{"TrailingCommaInArray", "[1,]", kBad, "json: a digit was expected"},
        Case{"TrailingCommaInObject", R"({"a":1,})", kBad, "json: a member name was expected"},
        Case{"MissingColon", R"({"a" 1})", kBad, "json: a colon was expected"},
        Case{"MissingComma", R"({"a":1 "b":2})", kBad,
             "json: a comma or a closing brace was expected"},
        Case{"NumberAsName", "{1:2}", kBad, "json: a member name was expected"},
        Case{"WordInCapitals", "[True]", kBad, "json: a digit was expected"},
        Case{"HalfWord", "[tru]", kBad, "json: unknown word"},
        Case{"Comment", "[1/*x*/]", kBad, "json: a comma or a closing bracket was expected"}),
    name_of);

TEST(Json_WellFormed, IsReadExactly) {
  const auto document = Document::parse(
      R"( {"s":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀","i":9007199254740992,"n":-5,"f":1.5,"e":1e3,"t":true,"z":null,"a":[1,[],{}],"Key":1} )");
  ASSERT_TRUE(document) << document.error().what;
  const auto root = document->root();
  EXPECT_TRUE(root.is_object());
  EXPECT_EQ(root.get("s").string(), "\"\\/\b\f\n\r\té😀é😀");
  EXPECT_EQ(root.get("i").integer(), 9007199254740992);
  EXPECT_EQ(root.get("n").integer(), -5);
  EXPECT_FALSE(root.get("f").is_integer());
  EXPECT_FALSE(root.get("e").is_integer()) << "1e3 is a number, but not written as an integer";
  EXPECT_TRUE(root.get("t").is_bool());
  EXPECT_TRUE(root.get("t").boolean());
  EXPECT_TRUE(root.get("z").exists());
  EXPECT_FALSE(root.get("z").is_string());
  EXPECT_EQ(root.get("a").items().size(), 3U);
  EXPECT_EQ(root.keys().size(), 9U);
  EXPECT_FALSE(root.get("key").exists()) << "names are case-sensitive";
  EXPECT_TRUE(root.get("Key").exists());
}

TEST(Json_AtTheLimits, IsAccepted) {
  EXPECT_TRUE(Document::parse(nested(limits::kJsonDepthMax)));
  EXPECT_TRUE(Document::parse(long_array(limits::kJsonItemsMax - 1)));
  EXPECT_FALSE(Document::parse("[1]", 2));
  EXPECT_TRUE(Document::parse("[1]", 3));
}

TEST(Json_AbsentValues, AnswerNothing) {
  const Value nothing;
  EXPECT_FALSE(nothing.exists());
  EXPECT_FALSE(nothing.is_object());
  EXPECT_FALSE(nothing.get("a").exists());
  EXPECT_TRUE(nothing.items().empty());
  EXPECT_TRUE(nothing.keys().empty());
  EXPECT_EQ(nothing.string(), "");
  EXPECT_EQ(nothing.integer(), 0);
  EXPECT_EQ(nothing.print(), "");
  EXPECT_FALSE(nothing.require_string("a"));
}

TEST(Json_RequireString_RefusesOtherTypes, IsBadInput) {
  const auto document = Document::parse(R"({"a":1,"b":"x"})");
  ASSERT_TRUE(document);
  EXPECT_EQ(*document->root().require_string("b"), "x");
  EXPECT_EQ(document->root().require_string("a").error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(document->root().require_string("c").error().kind, ErrorKind::kBadInput);
}

TEST(Json_Print, KeepsOrderAndValues) {
  const auto document =
      Document::parse(R"({"b":[1,-2,9007199254740991,1.50,true,null],"a":{"x":"é\""}})");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().print(),
            R"({"b":[1,-2,9007199254740991,1.50,true,null],"a":{"x":"é\""}})");
}

TEST(Json_DocumentMoved_KeepsItsValues, AndEmptiesItsSource) {
  auto first = Document::parse(R"({"a":"x"})");
  ASSERT_TRUE(first);
  Document second = std::move(*first);
  EXPECT_FALSE(first->root().exists());
  EXPECT_EQ(second.root().get("a").string(), "x");
  auto third = Document::parse("[]");
  *third = std::move(second);
  EXPECT_EQ(third->root().get("a").string(), "x");
}

TEST(JsonWriter_Everything, IsWhatTheReaderReads) {
  Writer out;
  out.begin_object()
      .member("s", "a\"\\\n\t\r\x01\x7f/é")
      .member_int("i", -7)
      .member_bool("t", true);
  out.key("n")
      .null()
      .key("a")
      .begin_array()
      .integer(1)
      .begin_object()
      .end_object()
      .string("")
      .end_array();
  out.key("r").raw(R"({"x":1})").end_object();
  const auto text = out.take();
  EXPECT_EQ(
      text,
      R"({"s":"a\"\\\n\t\r\u0001\u007f/é","i":-7,"t":true,"n":null,"a":[1,{},""],"r":{"x":1}})");
  const auto document = Document::parse(text);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().get("s").string(), "a\"\\\n\t\r\x01\x7f/é");
}

TEST(JsonWriter_InvalidUtf8, BecomesTheReplacementCharacter) {
  for (const auto bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    Writer out;
    out.string("a"s + bad + "z");
    const auto text = out.take();
    const auto document = Document::parse(text);
    ASSERT_TRUE(document) << text;
    EXPECT_NE(document->root().string().find("\xEF\xBF\xBD"), std::string_view::npos);
    EXPECT_TRUE(document->root().string().starts_with("a"));
    EXPECT_TRUE(document->root().string().ends_with("z"));
  }
}

}  // namespace
}  // namespace keyward::json
