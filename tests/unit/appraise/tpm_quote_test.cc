// Proves the verification of quotes: each field changed alone is refused for its own reason.
#include "firmware/appraise/tpm_quote.h"

#include <functional>

#include <gtest/gtest.h>

#include "firmware/wire/cbor.h"
#include "tests/support/quote/quote.h"

namespace keyward::appraise {
namespace {

using test::QuoteMaker;
using test::QuoteSpec;

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::int64_t kHourMs = 3'600'000;

const QuoteMaker& maker() {
  static const auto* const made = new QuoteMaker(kAt);
  return *made;
}

Fresh fresh() {
  Fresh out;
  out.token = base64url_encode(Bytes(48, 7));
  out.key_authorization = out.token + ".thumbprint";
  return out;
}

QuoteSpec good() {
  QuoteSpec out;
  const auto digest = crypto::sha256(view_of(fresh().key_authorization));
  out.extra_data = to_bytes(digest);
  return out;
}

std::string code(const QuoteRecord& record) {
  const auto result = verify_quote(record, {maker().anchor()}, fresh(), kAt);
  return result ? "" : result.error().code;
}
std::string code(const std::function<void(QuoteSpec&)>& spoil) {
  auto spec = good();
  spoil(spec);
  return code(maker().record(spec));
}

TEST(TpmQuote, Good_GivesRegistersAccountAndDevice) {
  const auto result = verify_quote(maker().record(good()), {maker().anchor()}, fresh(), kAt);
  ASSERT_TRUE(result) << result.error().code << ": " << result.error().detail;
  EXPECT_EQ(result->freshness, Freshness::kAccount);
  EXPECT_EQ(result->pcrs.at(Bank::kSha256).size(), 3u);
  ASSERT_EQ(result->devices.size(), 1u);
  EXPECT_EQ(result->devices[0].value, "DEVICE-1");
}

TEST(TpmQuote, ExtraData_IsTheNonceInEachOfItsForms) {
  const auto token = fresh().token;
  for (const Bytes& extra : {Bytes(48, 7), to_bytes(token), to_bytes(crypto::sha256(Bytes(48, 7))),
                             to_bytes(crypto::sha256(view_of(token)))})
    EXPECT_EQ(freshness_of_extra_data(extra, fresh()), Freshness::kNonce);
  EXPECT_EQ(freshness_of_extra_data({}, fresh()), Freshness::kNone);
  EXPECT_EQ(freshness_of_extra_data(Bytes(48, 7), Fresh{}), Freshness::kNone);
  Fresh octets;
  octets.octets = Bytes(20, 1);
  EXPECT_EQ(freshness_of_extra_data(Bytes(20, 1), octets), Freshness::kNonce);
  EXPECT_EQ(freshness_of_extra_data(Bytes(20, 2), octets), Freshness::kNone);
}

TEST(TpmQuote, EachFieldChanged_IsRefusedForItsOwnReason) {
  EXPECT_EQ(code([](auto& s) { s.magic ^= 1; }), "quote.attest");
  EXPECT_EQ(code([](auto& s) { s.type = 0x8017; }), "quote.attest");
  EXPECT_EQ(code([](auto& s) { s.trailing = true; }), "quote.attest");
  EXPECT_EQ(code([](auto& s) { s.extra_data[0] ^= 1; }), "quote.extra-data");
  EXPECT_EQ(code([](auto& s) { s.other_pcr_digest = true; }), "quote.pcr-digest");
  EXPECT_EQ(code([](auto& s) { s.signed_by_other = true; }), "quote.signature");
  EXPECT_EQ(code([](auto& s) { s.signature_hash = 0x0004; }), "quote.signature-hash");
  EXPECT_EQ(code([](auto& s) { s.pcrs.clear(); }), "quote.attest");
  EXPECT_EQ(code([](auto& s) { s.ak.usages = {"1.2.3"}; }), "ak.eku");
  EXPECT_EQ(code([](auto& s) {
              s.ak.not_before_ms = kAt - 2 * kHourMs;
              s.ak.not_after_ms = kAt - kHourMs;
            }),
            "ak.expired");
  EXPECT_EQ(code([](auto& s) { s.unknown_ca = true; }), "ak.unknown-ca");
}

TEST(TpmQuote, EachValueOfTheRecordChanged_IsRefusedForItsOwnReason) {
  const auto record = maker().record(good());
  auto changed = record;
  changed.pcrs[Bank::kSha256][4][0] ^= 1;
  EXPECT_EQ(code(changed), "quote.pcr-digest");
  changed = record;
  changed.pcrs[Bank::kSha256].erase(7);
  EXPECT_EQ(code(changed), "quote.selection");
  changed = record;
  changed.pcrs[Bank::kSha256][5] = Bytes(32, 0);
  EXPECT_EQ(code(changed), "quote.selection");
  changed = record;
  changed.sig.push_back(0);
  EXPECT_EQ(code(changed), "quote.signature-form");
  changed = record;
  changed.x5c[0].push_back(0);
  EXPECT_EQ(code(changed), "ak.chain");
  changed = record;
  changed.x5c.clear();
  EXPECT_EQ(code(changed), "quote.members");
}

TEST(TpmQuote, EachOctetOfTheQuoteChanged_BreaksTheSignature) {
  const auto record = maker().record(good());
  for (std::size_t i = 0; i < record.quoted.size(); ++i) {
    auto changed = record;
    changed.quoted[i] ^= 1;
    EXPECT_EQ(code(changed), "quote.signature") << i;
  }
}

std::string record_code(ByteView cbor) {
  const auto parsed = parse_quote_record(cbor);
  return parsed ? "" : parsed.error().code;
}

TEST(TpmQuoteRecord, WrittenAndRead_IsTheSame) {
  const auto record = maker().record(good());
  const Bytes cbor = write_quote_record(record);
  const auto again = parse_quote_record(cbor);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->quoted, record.quoted);
  EXPECT_EQ(again->pcrs, record.pcrs);
  EXPECT_EQ(again->event_log, record.event_log);
  for (std::size_t size = 0; size < cbor.size(); ++size)
    EXPECT_NE(record_code(ByteView(cbor).first(size)), "") << size;
}

TEST(TpmQuoteRecord, EachFault_IsRefusedByItsCode) {
  const auto record = maker().record(good());
  Bytes behind = write_quote_record(record);
  behind.push_back(0);
  EXPECT_EQ(record_code(behind), "quote.malformed");
  EXPECT_EQ(record_code(Bytes{0xa0}), "quote.members");
  wire::CborWriter twice;
  twice.map(2);
  for (int i = 0; i < 2; ++i) {
    twice.text("sig");
    twice.bytes(Bytes{1});
  }
  EXPECT_EQ(record_code(twice.take()), "quote.malformed");
  auto bad = record;
  bad.pcrs[Bank::kSha256][4].pop_back();
  EXPECT_EQ(record_code(write_quote_record(bad)), "quote.pcrs");
  bad = record;
  bad.pcrs[Bank::kSha256][24] = Bytes(32, 0);
  EXPECT_EQ(record_code(write_quote_record(bad)), "quote.pcrs");
}

}  // namespace
}  // namespace keyward::appraise
