// Proves that a line becomes exactly one well-formed RFC 5424 message, whatever a task wrote.
#include "firmware/syslog/message.h"

#include <gtest/gtest.h>

#include "hal/base/limits.h"

namespace keyward::syslog {
namespace {

const Origin kOrigin{"ca.example", 16, 32'473};

Record record(std::string text, std::string task = "signer") {
  return {{7, 42}, 1'700'000'000'123, std::move(task), std::move(text)};
}

TEST(Message, ALine_BecomesStructuredData) {
  EXPECT_EQ(message_of(record("ts=2023-11-14T22:13:20.100Z level=warning task=signer "
                              "msg=\"the token is away\" kind=unavailable native=5"),
                       kOrigin),
            "<132>1 2023-11-14T22:13:20.123Z ca.example keyward-signer - log "
            "[meta sequenceId=\"42\"]"
            "[keywardSpool@32473 start=\"7\" number=\"42\" task=\"signer\"]"
            "[keyward@32473 ts=\"2023-11-14T22:13:20.100Z\" kind=\"unavailable\" native=\"5\"]"
            " the token is away");
}

TEST(Message, LedgerRowOfTheSigner_HasItsOwnId) {
  const std::string line = "ts=x level=info task=signer msg=\"ledger row\" row=3 sha256=ab";
  EXPECT_NE(message_of(record(line), kOrigin).find(" - ledger ["), std::string::npos);
  EXPECT_NE(message_of(record(line, "acme"), kOrigin).find(" - log ["), std::string::npos);
}

TEST(Message, ALineInAnothersName_IsShownAsSuch) {
  const auto out = message_of(record("ts=x level=info task=signer msg=hi", "acme"), kOrigin);
  EXPECT_NE(out.find(" keyward-acme - "), std::string::npos);
  EXPECT_NE(out.find("task=\"acme\" claims=\"signer\""), std::string::npos);
}

TEST(Message, QuotesBracketsAndBackslashes_AreEscaped) {
  const auto out =
      message_of(record(R"(ts=x level=info task=signer msg=a why="a\"b]c\\d\x0ae")"), kOrigin);
  EXPECT_NE(out.find(R"(why="a\"b\]c\\d\\x0ae")"), std::string::npos) << out;
}

TEST(Message, ValueThatLooksLikeAMessage_StaysInItsValue) {
  const auto out = message_of(
      record("ts=x level=info task=signer msg=a why=\"\\\"] <0>1 - - - - -\n<0>1 - evil\""),
      kOrigin);
  EXPECT_EQ(out.find('\n'), std::string::npos);
  EXPECT_NE(out.find(R"(why="\"\] <0>1 - - - - - <0>1 - evil")"), std::string::npos) << out;
}

TEST(Message, WhatIsNotUtf8_BecomesQuestionMarks) {
  const auto bad = message_of(record("ts=x level=info task=signer msg=\"a\xff\xfe\""), kOrigin);
  EXPECT_TRUE(bad.ends_with(" a??"));
  const auto good = message_of(record("ts=x level=info task=signer msg=\"\xc3\xa4\""), kOrigin);
  EXPECT_TRUE(good.ends_with("] \xEF\xBB\xBF\xc3\xa4"));
}

TEST(Message, RawLine_IsTextAlone) {
  const auto out = message_of(record("terminate called [boom]"), kOrigin);
  EXPECT_NE(out.find("<132>1 "), std::string::npos);
  EXPECT_NE(out.find(" - raw [meta"), std::string::npos);
  EXPECT_TRUE(out.ends_with("] terminate called [boom]"));
}

TEST(Message, LongestLine_IsWithinTheBoundAndSaysThatItWasCut) {
  std::string line = "ts=x level=info task=signer msg=m";
  for (int i = 0; i < 8; ++i)
    line += " k" + std::to_string(i) + "=\"" + std::string(900, ']') + "\"";
  const auto out = message_of(record(line), kOrigin);
  EXPECT_LE(out.size(), limits::kSyslogMessageBytesMax);
  EXPECT_NE(out.find(" cut=\"1\"]"), std::string::npos);
  const auto fits = message_of(record("ts=x level=info task=signer msg=m k=1"), kOrigin);
  EXPECT_EQ(fits.find("cut="), std::string::npos);
}

TEST(Message, RawLineOfAnyOctets_IsWithinTheBound) {
  std::string text;
  for (int i = 0; i < 5'000; ++i) text += static_cast<char>(i % 256);
  const auto out = message_of(record(text), kOrigin);
  EXPECT_LE(out.size(), limits::kSyslogMessageBytesMax);
  for (const char c : out) EXPECT_GE(static_cast<unsigned char>(c), 0x20U);
}

TEST(Message, ReportOfALoss_NamesTheNumbers) {
  const auto out = loss_of({3, 41}, record("x"), kOrigin);
  EXPECT_NE(out.find("keyward-syslog - loss [meta sequenceId=\"41\"]"), std::string::npos) << out;
  EXPECT_NE(out.find("first=\"3\" last=\"41\" count=\"39\"]"), std::string::npos) << out;
}

TEST(Message, SequenceId_BeginsAgainAtOne) {
  auto last = record("x");
  last.place.number = 2'147'483'647;
  EXPECT_NE(message_of(last, kOrigin).find("sequenceId=\"2147483647\""), std::string::npos);
  ++last.place.number;
  EXPECT_NE(message_of(last, kOrigin).find("sequenceId=\"1\""), std::string::npos);
}

TEST(Message, HostWithABlank_CannotEndItsField) {
  EXPECT_NE(message_of(record("x"), {"a b", 16, 1}).find(" a?b keyward-"), std::string::npos);
  EXPECT_NE(message_of(record("x"), {"", 16, 1}).find(" - keyward-"), std::string::npos);
}

TEST(Frame, OctetsAreCountedNotCharacters) {
  EXPECT_EQ(framed("ab"), "2 ab");
  EXPECT_EQ(framed("\xc3\xa4\n"), "3 \xc3\xa4\n");
  EXPECT_EQ(framed(std::string(1'000, 'x')).substr(0, 6), "1000 x");
}

}  // namespace
}  // namespace keyward::syslog
