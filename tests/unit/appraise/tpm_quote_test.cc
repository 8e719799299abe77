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

TEST(TpmQuote, EachOctetOfSigAndOfTheCertificateChanged_IsRefused) {
  const auto record = maker().record(good());
  for (std::size_t i = 0; i < record.sig.size(); ++i) {
    auto changed = record;
    changed.sig[i] ^= 1;
    EXPECT_TRUE(code(changed).starts_with("quote.signature")) << i << " " << code(changed);
  }
  for (std::size_t i = 0; i < record.x5c[0].size(); ++i) {
    auto changed = record;
    changed.x5c[0][i] ^= 1;
    EXPECT_TRUE(code(changed).starts_with("ak.")) << i << " " << code(changed);
  }
}

using Edit = std::function<void(Bytes&)>;
Edit flip(std::size_t at, std::uint8_t mask = 1) {
  return [=](Bytes& octets) { octets.at(at) ^= mask; };
}
Edit set16(std::size_t at, std::uint16_t value) {
  return [=](Bytes& octets) {
    octets.at(at) = static_cast<std::uint8_t>(value >> 8);
    octets.at(at + 1) = static_cast<std::uint8_t>(value & 0xff);
  };
}
Edit erase(std::size_t at, std::ptrdiff_t size) {
  return [=](Bytes& octets) {
    const auto begin = octets.begin() + static_cast<std::ptrdiff_t>(at);
    octets.erase(begin, begin + size);
  };
}
Edit insert(std::size_t at, Bytes what) {
  return [=](Bytes& octets) {
    octets.insert(octets.begin() + static_cast<std::ptrdiff_t>(at), what.begin(), what.end());
  };
}
Edit both(Edit first, Edit second) {
  return [=](Bytes& octets) {
    first(octets);
    second(octets);
  };
}

struct Field {
  const char* name;
  Edit edit;
  const char* code;  // "": not judged
};

// TPMS_ATTEST (Part 2 §10.12.12) of a quote: magic 0, type 4, qualifiedSigner 6, extraData 42,
// clockInfo 76 (resetCount 84, restartCount 88, safe 92), firmwareVersion 93, pcrSelect 101 (hash 105,
// sizeofSelect 107, registers 108), pcrDigest 111.
TEST(QuoteMutation, EachFieldOfTheQuote_SignedAsItIs) {
  const Field fields[] = {
      {"none", [](Bytes&) {}, ""},
      {"magic", flip(3), "quote.attest"},
      {"type", flip(5), "quote.attest"},
      {"qualifiedSigner", flip(9), ""},
      {"qualifiedSigner, beyond the end", set16(6, 0xffff), "quote.attest"},
      {"extraData, first octet", flip(44), "quote.extra-data"},
      {"extraData, last octet", flip(75), "quote.extra-data"},
      {"extraData, shorter", both(set16(42, 31), erase(75, 1)), "quote.extra-data"},
      {"extraData, empty", both(set16(42, 0), erase(44, 32)), "quote.extra-data"},
      {"clock", flip(76), ""},
      {"resetCount", flip(84), ""},
      {"restartCount", flip(88), ""},
      {"safe", flip(92), ""},
      {"firmwareVersion", flip(93), ""},
      {"pcrSelect, empty", both(set16(103, 0), erase(105, 6)), "quote.attest"},
      {"pcrSelect, a bank twice", both(set16(103, 2), insert(105, {0, 0x0B, 3, 1, 0, 0})),
       "quote.attest"},
      {"pcrSelect, more than there are", set16(103, 0xffff), "quote.attest"},
      {"hash, unknown", set16(105, 0x0099), "quote.attest"},
      {"hash, another", set16(105, 0x000C), "quote.selection"},
      {"sizeofSelect", flip(107, 0x08), "quote.attest"},
      {"registers, one less", flip(108, 0x10), "quote.selection"},
      {"registers, one more", flip(108, 0x20), "quote.selection"},
      {"registers, one beyond 23", both(flip(107, 0x07), insert(111, {1})), "quote.attest"},
      {"registers, none", both(set16(108, 0), flip(110, 0)), "quote.attest"},
      {"pcrDigest, first octet", flip(113), "quote.pcr-digest"},
      {"pcrDigest, last octet", flip(144), "quote.pcr-digest"},
      {"pcrDigest, shorter", both(set16(111, 31), erase(144, 1)), "quote.pcr-digest"},
      {"pcrDigest, empty", both(set16(111, 0), erase(113, 32)), "quote.pcr-digest"},
      {"cut", [](Bytes& octets) { octets.pop_back(); }, "quote.attest"},
      {"octets behind it", [](Bytes& octets) { octets.push_back(0); }, "quote.attest"},
  };
  ASSERT_EQ(maker().record(good()).quoted.size(), 145u);
  for (const auto& field : fields)
    EXPECT_EQ(code([&](auto& s) { s.edit_quoted = field.edit; }), field.code) << field.name;
}

// TPMT_SIGNATURE: sigAlg 0, hash 2, r 4, s 38.
TEST(QuoteMutation, EachFieldOfTheSignature) {
  const Field fields[] = {
      {"sigAlg", set16(0, 0x0014), "quote.signature-form"},
      {"hash, another", set16(2, 0x000C), "quote.signature"},
      {"hash, SHA-1", set16(2, 0x0004), "quote.signature-hash"},
      {"r", flip(37), "quote.signature"},
      {"r, empty", both(set16(4, 0), erase(6, 32)), "quote.signature-form"},
      {"s", flip(71), "quote.signature"},
      {"s, empty", both(set16(38, 0), erase(40, 32)), "quote.signature-form"},
      {"cut", [](Bytes& octets) { octets.pop_back(); }, "quote.signature-form"},
  };
  for (const auto& field : fields) {
    auto record = maker().record(good());
    field.edit(record.sig);
    EXPECT_EQ(code(record), field.code) << field.name;
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

// The map's members in the order in which they are written; `at` is left out, or is no such thing.
Bytes with_member(const QuoteRecord& record, int at, bool left_out) {
  wire::CborWriter out;
  out.map(left_out ? 3 : 4);
  const char* const names[] = {"quoted", "sig", "x5c", "pcrs"};
  for (int i = 0; i < 4; ++i) {
    if (i == at && left_out) continue;
    out.text(names[i]);
    if (i == at) {
      out.boolean(true);
    } else if (i == 0) {
      out.bytes(record.quoted);
    } else if (i == 1) {
      out.bytes(record.sig);
    } else if (i == 2) {
      out.array(1);
      out.bytes(record.x5c[0]);
    } else {
      out.map(1);
      out.text("sha256");
      out.map(1);
      out.unsigned_integer(4);
      out.bytes(Bytes(32, 0));
    }
  }
  return out.take();
}

TEST(QuoteMutation, EachMemberOfTheRecord_MissingOrOfAnotherType) {
  const auto record = maker().record(good());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(record_code(with_member(record, i, true)), "quote.members") << i;
    EXPECT_EQ(record_code(with_member(record, i, false)), "quote.malformed") << i;
  }
}

TEST(QuoteMutation, EachOctetOfTheRecord_IsRefused) {
  auto spec = good();
  spec.has_log = false;  // what a log is judged by: EventLogMutation
  const auto cbor = write_quote_record(maker().record(spec));
  for (std::size_t i = 0; i < cbor.size(); ++i) {
    auto changed = cbor;
    changed[i] ^= 1;
    const auto record = parse_quote_record(changed);
    EXPECT_NE(record ? code(*record) : record.error().code, "") << i;
  }
}

}  // namespace
}  // namespace keyward::appraise
