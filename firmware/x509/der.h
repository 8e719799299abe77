// Owns DER (X.690): a strict reader over a view and a writer. Must not know X.509.
// The reader refuses indefinite and non-minimal lengths, high tag numbers above 30 unless asked,
// and trailing octets where `expect_end` is called. Errors: kBadInput. Threads: values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::x509 {

namespace tag {
inline constexpr std::uint8_t kBoolean = 0x01, kInteger = 0x02, kBitString = 0x03,
                              kOctetString = 0x04, kNull = 0x05, kOid = 0x06, kUtf8String = 0x0c,
                              kPrintableString = 0x13, kIa5String = 0x16, kUtcTime = 0x17,
                              kGeneralizedTime = 0x18, kSequence = 0x30, kSet = 0x31;
constexpr std::uint8_t context(unsigned n) { return static_cast<std::uint8_t>(0x80 | n); }
constexpr std::uint8_t context_constructed(unsigned n) {
  return static_cast<std::uint8_t>(0xa0 | n);
}
}  // namespace tag

class DerReader {
 public:
  explicit DerReader(ByteView in) : in_(in) {}
  bool at_end() const { return at_ == in_.size(); }
  Status expect_end() const;
  std::optional<std::uint8_t> peek_tag() const;
  Result<ByteView> element(std::uint8_t expected_tag);        // contents
  Result<ByteView> element_whole(std::uint8_t expected_tag);  // tag, length and contents
  struct Any {
    std::uint8_t tag;
    ByteView content;
    ByteView whole;
  };
  Result<Any> any();
  Result<DerReader> sequence() { return nested(tag::kSequence); }
  Result<DerReader> nested(std::uint8_t expected_tag);
  Result<ByteView> oid();            // content octets, well-formed, at most limits::kOidBytesMax
  Result<Bytes> unsigned_integer();  // big-endian, no leading zero; negative refused
  Result<std::uint64_t> small_unsigned();  // fits 63 bits
  Result<bool> boolean();                  // DER: 00 or ff
  Result<ByteView> bit_string_octets();    // unused bits must be 0
  Result<std::int64_t> time_ms();  // UTCTime or GeneralizedTime, Z, seconds (RFC 5280 §4.1.2.5)

 private:
  ByteView in_;
  std::size_t at_ = 0;
};

Bytes tlv(std::uint8_t tag, ByteView content);
Bytes tlv(std::uint8_t tag, std::initializer_list<ByteView> parts);
Bytes der_sequence(std::initializer_list<ByteView> parts);
Bytes der_oid(
    std::string_view dotted);  // full TLV; arcs of any size; aborts on a constant that is wrong
Result<Bytes> der_oid_checked(
    std::string_view dotted);             // kBadInput; arcs of any size (2.25.<uuid>)
std::string oid_text(ByteView content);   // dotted; "" if malformed
Bytes der_unsigned(ByteView big_endian);  // INTEGER; leading zeros removed, sign octet added
Bytes der_unsigned(std::uint64_t value);
Bytes der_bit_string(ByteView octets);
Bytes der_octet_string(ByteView octets);
Bytes der_boolean(bool value);
Bytes der_time(std::int64_t utc_ms);  // UTCTime until 2049, then GeneralizedTime

}  // namespace keyward::x509
