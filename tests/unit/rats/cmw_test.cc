// Proves the reading of conceptual messages: every form, every refusal by its code, and that only
// what came out of a signed one is called signed.
#include "firmware/rats/cmw.h"

#include <gtest/gtest.h>

#include "firmware/rats/cose.h"
#include "firmware/rats/jwt.h"
#include "tests/support/rats/rats.h"

namespace keyward::rats {
namespace {

namespace cb = test::cb;

const crypto::PrivateKey& key() {
  static const auto* const made =
      new auto(test::must_have(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)));
  return *made;
}

TrustAnchors anchors() { return {{{"v", key().public_key()}}, {}, test::kRatsAtMs}; }

template <class T>
std::string code_of(const Appraised<T>& result) {
  return result ? "good" : result.error().code;
}

Appraised<Cmw> json(std::string_view text) { return parse_cmw(view_of(text)); }

TEST(Cmw, JsonRecord_ExampleOfTheDraft_Reads) {
  const auto cmw = json(R"(["application/eat+cwt; eat_profile=\"tag:a,2024:x\"","I0faVQ"])");
  ASSERT_TRUE(cmw) << cmw.error().detail;
  ASSERT_TRUE(cmw->record);
  EXPECT_EQ(cmw->record->media_type.type, "application/eat+cwt");
  EXPECT_EQ(cmw->record->media_type.eat_profile(), "tag:a,2024:x");
  EXPECT_EQ(cmw->record->value, (Bytes{0x23, 0x47, 0xda, 0x55}));
  EXPECT_EQ(cmw->record->indicators, 0u);
  EXPECT_FALSE(cmw->is_signed);
}

TEST(Cmw, JsonCollection_ExampleOfTheDraft_Reads) {
  const auto cmw =
      json(R"({"__cmwc_t":"tag:a,2024:c","attester A":["application/eat-ucs+json","e30K",4]})");
  ASSERT_TRUE(cmw) << cmw.error().detail;
  EXPECT_EQ(cmw->collection_type, "tag:a,2024:c");
  const auto records = records_of(*cmw);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].path, "attester A");
  EXPECT_EQ(records[0].record->indicators, indicator::kEvidence);
}

TEST(Cmw, NestedCollections_PathsAreLabels) {
  const auto cmw = json(R"({"a":{"b":["a/b","AA"],"c":["a/c",""]},"d":["a/d","AQ"]})");
  ASSERT_TRUE(cmw);
  std::string paths;
  for (const auto& record : records_of(*cmw)) paths += record.path + " ";
  EXPECT_EQ(paths, "a/b a/c d ");
}

TEST(Cmw, CborForms_Read) {
  const Bytes value{1, 2, 3};
  auto cmw = parse_cmw(cb::array({cb::integer(263), cb::bytes(value)}));
  ASSERT_TRUE(cmw);
  EXPECT_EQ(cmw->record->media_type.type, "application/eat+cwt");
  cmw = parse_cmw(write_cbor_record("application/vnd.keyward.tpm-quote+cbor", value, 4));
  ASSERT_TRUE(cmw);
  EXPECT_EQ(cmw->record->media_type.type, "application/vnd.keyward.tpm-quote+cbor");
  EXPECT_EQ(cmw->record->indicators, 4u);
  cmw = parse_cmw(cb::tag(cmw_tag_of(264), cb::bytes(value)));
  ASSERT_TRUE(cmw);
  EXPECT_EQ(cmw->record->media_type.type, "application/eat+jwt");
  cmw = parse_cmw(cb::map({{cb::integer(1), cb::array({cb::integer(263), cb::bytes(value)})},
                           {cb::text("x"), cb::tag(cmw_tag_of(264), cb::bytes(value))}}));
  ASSERT_TRUE(cmw);
  ASSERT_EQ(cmw->entries.size(), 2u);
  EXPECT_EQ(cmw->entries[0].label, "1");
}

TEST(Cmw, TagNumbers_AreTheDraftsMapping) {
  EXPECT_EQ(cmw_tag_of(0), 1'668'546'817u);
  EXPECT_EQ(cmw_tag_of(273), 1'668'547'091u);  // application/cmw+cbor
  EXPECT_EQ(cmw_tag_of(65'024), 1'668'612'094u + 1);
  for (const std::uint64_t format : {0u, 254u, 255u, 263u, 276u, 65'024u})
    EXPECT_EQ(content_format_of_tag(cmw_tag_of(format)), format);
  EXPECT_FALSE(content_format_of_tag(1'668'546'816));
  EXPECT_FALSE(content_format_of_tag(1'668'546'817 + 255));
  EXPECT_FALSE(content_format_of_tag(1'668'612'096));
}

TEST(Cmw, MediaType_SlipOfTheDraft_IsTheRegisteredName) {
  const auto type = parse_media_type(R"(Application/EAT-JWT ; eat_profile="a\"b;c")");
  ASSERT_TRUE(type);
  EXPECT_EQ(type->type, "application/eat+jwt");
  EXPECT_EQ(type->eat_profile(), "a\"b;c");
}

struct Case {
  const char* name;
  Bytes bytes;
  const char* code;
};

std::vector<Case> refusals() {
  const auto text = [](std::string_view json) { return to_bytes(json); };
  const Bytes value{1};
  const auto record = cb::array({cb::integer(263), cb::bytes(value)});
  std::string many = "{";
  for (int i = 0; i < 17; ++i)
    many += (i ? ",\"l" : "\"l") + std::to_string(i) + R"(":["a/b","AA"])";
  return {
      {"Empty", {}, "cmw.malformed"},
      {"NotJson", text("[1,"), "cmw.malformed"},
      {"TrailingOctets", text(R"(["a/b","AA"] x)"), "cmw.malformed"},
      {"JsonOneElement", text(R"(["a/b"])"), "cmw.malformed"},
      {"JsonFourElements", text(R"(["a/b","AA",1,1])"), "cmw.malformed"},
      {"EntryIsText", text(R"({"a":"b"})"), "cmw.malformed"},
      {"DuplicateJsonLabel", text(R"({"a":["a/b","AA"],"a":["a/b","AA"]})"), "cmw.malformed"},
      {"NoSlash", text(R"(["ab","AA"])"), "cmw.type"},
      {"EmptySubtype", text(R"(["a/","AA"])"), "cmw.type"},
      {"OpenQuote", text(R"(["a/b; x=\"y","AA"])"), "cmw.type"},
      {"ParameterTwice", text(R"(["a/b; x=y; X=z","AA"])"), "cmw.type"},
      {"ParameterWithoutValue", text(R"(["a/b; x","AA"])"), "cmw.type"},
      {"NumberInJson", text(R"([263,"AA"])"), "cmw.type"},
      {"TypeTooLong", text("[\"a/" + std::string(300, 'b') + "\",\"AA\"]"), "cmw.type"},
      {"UnknownFormat", cb::array({cb::integer(60), cb::bytes(value)}), "cmw.content-format"},
      {"NegativeFormat", cb::array({cb::integer(-1), cb::bytes(value)}), "cmw.type"},
      {"UnknownTag", cb::tag(18, cb::bytes(value)), "cmw.tag"},
      {"TagOfUnknownFormat", cb::tag(cmw_tag_of(60), cb::bytes(value)), "cmw.content-format"},
      {"TagBeforeText", cb::tag(cmw_tag_of(263), cb::text("x")), "cmw.value"},
      {"Padded", text(R"(["a/b","AA=="])"), "cmw.value"},
      {"StandardAlphabet", text(R"(["a/b","+/8"])"), "cmw.value"},
      {"UnusedBits", text(R"(["a/b","AB"])"), "cmw.value"},
      {"JsonValueNumber", text(R"(["a/b",1])"), "cmw.value"},
      {"CborValueText", cb::array({cb::integer(263), cb::text("AA")}), "cmw.value"},
      {"IndZero", text(R"(["a/b","AA",0])"), "cmw.ind"},
      {"IndTooLarge", text(R"(["a/b","AA",32])"), "cmw.ind"},
      {"IndText", text(R"(["a/b","AA","4"])"), "cmw.ind"},
      {"EmptyCollection", text("{}"), "cmw.empty"},
      {"OnlyItsType", text(R"({"__cmwc_t":"tag:a,2024:c"})"), "cmw.empty"},
      {"SeventeenEntries", text(many + "}"), "cmw.entries"},
      {"TooDeep", text(R"({"a":{"b":{"c":{"d":{"e":["a/b","AA"]}}}}})"), "cmw.depth"},
      {"EmptyLabel", text(R"({"":["a/b","AA"]})"), "cmw.label"},
      {"LabelsThatPrintAlike", cb::map({{cb::integer(1), record}, {cb::text("1"), record}}),
       "cmw.label"},
      {"TypeOfCollectionRelative", text(R"({"__cmwc_t":"rel","a":["a/b","AA"]})"),
       "cmw.collection-type"},
      {"TypeOfCollectionBadOid", text(R"({"__cmwc_t":"1.2..3","a":["a/b","AA"]})"),
       "cmw.collection-type"},
      {"IndefiniteRecord", {0x9f, 0x19, 0x01, 0x07, 0x41, 0x01, 0xff}, "cmw.malformed"},
      {"LongHead", {0x82, 0x1a, 0, 0, 1, 7, 0x41, 1}, "cmw.malformed"},
  };
}

TEST(Cmw, Refusal_IsReachedExactly) {
  for (const auto& one : refusals()) EXPECT_EQ(code_of(parse_cmw(one.bytes)), one.code) << one.name;
}

TEST(Cmw, FourLevels_AreRead) {
  EXPECT_EQ(code_of(json(R"({"a":{"b":{"c":{"d":["a/b","AA"]}}}})")), "good");
}

// ---- signed

Bytes signed_cose(std::string_view content_type = "application/cmw+cbor") {
  return test::must_have(make_sign1(key(),
                                    write_cbor_record("application/eat-ucs+cbor", Bytes{0xa0}),
                                    {.kid = "v", .content_type = std::string(content_type)}));
}

std::string signed_jws(std::string_view cty = "application/cmw+json") {
  return test::must_have(make_compact(key(), R"({"a":["application/eat-ucs+json","e30",4]})",
                                      {.kid = "v", .cty = std::string(cty)}));
}

std::string flattened(std::string_view compact) {
  const auto first = compact.find('.'), second = compact.find('.', first + 1);
  return R"({"protected":")" + std::string(compact.substr(0, first)) + R"(","payload":")" +
         std::string(compact.substr(first + 1, second - first - 1)) + R"(","signature":")" +
         std::string(compact.substr(second + 1)) + "\"}";
}

TEST(SignedCmw, Good_EveryRecordIsSigned) {
  const auto cose = open_signed_cose(signed_cose(), anchors());
  ASSERT_TRUE(cose) << cose.error().detail;
  EXPECT_TRUE(records_of(*cose)[0].is_signed);
  for (const auto& text : {signed_jws(), signed_jws("cmw+json"), flattened(signed_jws())}) {
    const auto jws = open_signed_jws(text, anchors());
    ASSERT_TRUE(jws) << jws.error().detail;
    EXPECT_TRUE(records_of(*jws)[0].is_signed);
  }
  CmwRecord record{{"application/cmw+cose", {}}, signed_cose(), 0};
  EXPECT_EQ(code_of(open_signed(record, anchors())), "good");
  record = {{"application/cmw+jws", {}}, to_bytes(signed_jws()), 0};
  EXPECT_EQ(code_of(open_signed(record, anchors())), "good");
  record.media_type.type = "application/cmw+json";
  EXPECT_EQ(code_of(open_signed(record, anchors())), "cmw.type");
}

TEST(SignedCmw, OtherContent_ContentType) {
  EXPECT_EQ(code_of(open_signed_cose(signed_cose("application/cwt"), anchors())),
            "cmw.content-type");
  EXPECT_EQ(code_of(open_signed_jws(signed_jws("JWT"), anchors())), "cmw.content-type");
}

// The unprotected header alone stands outside of the signature, and says nothing about the content.
TEST(SignedCmw, EveryOctetChanged_OpensNothingElse) {
  const auto good = signed_cose();
  int opened = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x01;
    const auto result = open_signed_cose(bad, anchors());
    if (!result) continue;
    ++opened;
    EXPECT_EQ(records_of(*result)[0].record->value, Bytes{0xa0}) << "octet " << i;
  }
  EXPECT_LE(opened, 1);  // the label of kid
}

TEST(SignedCmw, ContentIsNotReadBeforeTheSignature) {
  const auto bad = test::must_have(make_sign1(key(), Bytes{0xff}, {.kid = "other"}));
  const auto seen = open_signed_cose(bad, anchors());
  EXPECT_EQ(code_of(seen), "trust.key") << seen.error().detail;
}

// ---- response payload

std::string kind_of(std::string_view payload) {
  const auto result = read_response_payload(view_of(payload));
  if (!result) return result.error().code;
  if (std::holds_alternative<Cmw>(*result)) return "cmw";
  return std::holds_alternative<JwePayload>(*result) ? "jwe" : "csr";
}

TEST(ResponsePayload, EveryForm_IsTold) {
  EXPECT_EQ(kind_of(R"({"cmw":["a/b","AA"]})"), "cmw");
  EXPECT_EQ(kind_of(R"({"cmw":{"l":["a/b","AA"]}})"), "cmw");
  EXPECT_EQ(kind_of(R"({"cmw":")" + base64url_encode(write_cbor_record("a/b", Bytes{1})) + "\"}"),
            "cmw");
  EXPECT_EQ(kind_of(R"(["a/b","AA"])"), "cmw");
  EXPECT_EQ(kind_of(R"({"x":["a/b","AA"],"y":["a/b","AA"]})"), "cmw");
  EXPECT_EQ(kind_of(R"({"jwe":"a..b.c.d"})"), "jwe");
  EXPECT_EQ(kind_of(R"("a..b.c.d")"), "jwe");
  EXPECT_EQ(kind_of(R"({"csr":"AAAA"})"), "csr");
}

TEST(ResponsePayload, Refusal_IsReachedExactly) {
  EXPECT_EQ(kind_of(""), "payload.malformed");
  EXPECT_EQ(kind_of("{"), "payload.malformed");
  EXPECT_EQ(kind_of("1"), "payload.form");
  EXPECT_EQ(kind_of("null"), "payload.form");
  EXPECT_EQ(kind_of(R"("a.b.c")"), "payload.form");
  EXPECT_EQ(kind_of(R"({"jwe":1})"), "payload.form");
  EXPECT_EQ(kind_of(R"({"csr":"A="})"), "payload.form");
  EXPECT_EQ(kind_of(R"({"cmw":"A="})"), "payload.form");
  EXPECT_EQ(kind_of("{}"), "cmw.empty");
}

}  // namespace
}  // namespace keyward::rats
