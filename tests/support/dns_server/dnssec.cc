#include "tests/support/dns_server/dnssec.h"

#include <algorithm>

#include "hal/base/clock.h"

namespace keyward::test {
namespace {

constexpr unsigned kKskFlags = 257, kZskFlags = 256;
constexpr std::uint8_t kEcdsaP256 = 13;  // RFC 6605 §2
constexpr std::uint32_t kTtl = 300;      // as the server sends
constexpr std::size_t kPointBytes = 64;

// RFC 4034, appendix B.
unsigned key_tag(const Bytes& dnskey) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < dnskey.size(); ++i)
    sum += (i & 1) != 0 ? dnskey[i] : std::uint32_t{dnskey[i]} << 8;
  return (sum + (sum >> 16)) & 0xffff;
}

crypto::PrivateKey fresh_key() { return *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256); }

}  // namespace

SignedZone::SignedZone(std::string apex)
    : apex_(std::move(apex)), ksk_(fresh_key()), zsk_(fresh_key()) {}

Bytes SignedZone::dnskey(const crypto::PrivateKey& key, unsigned flags) const {
  Bytes out;
  dns::put16(out, flags);
  out.push_back(3);
  out.push_back(kEcdsaP256);
  const auto& spki = key.public_key().spki_der();  // ends with the point's coordinates
  append(out, ByteView(spki).last(kPointBytes));
  return out;
}

std::string SignedZone::anchor() const {
  const Bytes rdata = dnskey(ksk_, kKskFlags);
  return apex_ + ". IN DNSKEY 257 3 13 " + base64_encode(ByteView(rdata).subspan(4)) + "\n";
}

void SignedZone::publish_keys(DnsServer& server) const {
  const Bytes ksk = dnskey(ksk_, kKskFlags);
  const Bytes zsk = dnskey(zsk_, kZskFlags);
  server.add(apex_, dns::kDnskey, ksk);
  server.add(apex_, dns::kDnskey, zsk);
  server.add(apex_, dns::kRrsig, sign_with(ksk_, ksk, apex_, dns::kDnskey, {ksk, zsk}, {}));
}

Bytes SignedZone::sign(const std::string& name, std::uint16_t type, std::vector<Bytes> set,
                       Window window) const {
  return sign_with(zsk_, dnskey(zsk_, kZskFlags), name, type, std::move(set), window);
}

Bytes SignedZone::sign_with(const crypto::PrivateKey& key, const Bytes& rdata,
                            const std::string& name, std::uint16_t type, std::vector<Bytes> set,
                            Window window) const {
  const std::int64_t now_s = system_clock().utc_ms() / 1'000;
  if (window.end_s == 0) window = {now_s - 3'600, now_s + 3'600};
  Bytes out;
  dns::put16(out, type);
  out.push_back(kEcdsaP256);
  out.push_back(static_cast<std::uint8_t>(std::count(name.begin(), name.end(), '.') + 1));
  dns::put32(out, kTtl);
  dns::put32(out, static_cast<std::uint32_t>(window.end_s));
  dns::put32(out, static_cast<std::uint32_t>(window.begin_s));
  dns::put16(out, key_tag(rdata));
  append(out, dns::name(apex_));
  // RFC 4034 §3.1.8.1: the RDATA without the signature, then the set in canonical order.
  Bytes signed_data = out;
  std::sort(set.begin(), set.end());
  for (const auto& record : set) {
    append(signed_data, dns::name(name));
    dns::put16(signed_data, type);
    dns::put16(signed_data, 1);
    dns::put32(signed_data, kTtl);
    dns::put16(signed_data, static_cast<unsigned>(record.size()));
    append(signed_data, record);
  }
  const auto signature =
      key.sign(crypto::SignatureScheme::kEcdsaRaw, crypto::HashAlgorithm::kSha256, signed_data);
  append(out, *signature);
  return out;
}

}  // namespace keyward::test
