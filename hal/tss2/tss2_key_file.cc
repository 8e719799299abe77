// Writer and strict reader of TPMKey: see tss2_key_file.h.
#include "hal/tss2/tss2_key_file.h"

#include <algorithm>
#include <memory>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::hal {
namespace {

constexpr std::string_view kPemName = "TSS2 PRIVATE KEY";
constexpr std::string_view kPemBegin = "-----BEGIN TSS2 PRIVATE KEY-----";
constexpr std::size_t kPemLineBytes = 64;  // RFC 7468 §2

constexpr std::uint8_t kBoolean = 0x01;
constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t kOctetString = 0x04;
constexpr std::uint8_t kOid = 0x06;
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kContext0 = 0xa0;

Bytes oid_of(TpmKeyFileKind kind) {  // 2.23.133.10.1.x
  return {0x67, 0x81, 0x05, 0x0a, 0x01, static_cast<std::uint8_t>(kind)};
}

void put(Bytes& out, std::uint8_t tag, ByteView content) {
  out.push_back(tag);
  const auto size = content.size();
  if (size >= 0x100) {
    out.push_back(0x82);
    out.push_back(static_cast<std::uint8_t>(size >> 8));
  } else if (size >= 0x80) {
    out.push_back(0x81);
  }
  out.push_back(static_cast<std::uint8_t>(size));
  append(out, content);
}

Bytes integer_of(std::uint32_t value) {  // DER: shortest, positive
  Bytes out{0};
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  while (out.size() > 1 && out[0] == 0 && (out[1] & 0x80) == 0) out.erase(out.begin());
  return out;
}

struct Element {
  std::uint8_t tag;
  ByteView content;
};

// Takes one definite, minimally encoded element from the front of `in`.
Result<Element> take(ByteView& in) {
  if (in.size() < 2) return fail(ErrorKind::kBadInput, "tss2 key: an element is cut");
  std::size_t size = in[1];
  std::size_t head = 2;
  if (size == 0x81 || size == 0x82) {
    const std::size_t octets = size - 0x80;
    if (in.size() < 2 + octets) return fail(ErrorKind::kBadInput, "tss2 key: an element is cut");
    size = octets == 1 ? in[2] : static_cast<std::size_t>(in[2]) << 8 | in[3];
    if (size < (octets == 1 ? 0x80u : 0x100u)) {
      return fail(ErrorKind::kBadInput, "tss2 key: a length is not minimal");
    }
    head += octets;
  } else if (size >= 0x80) {
    return fail(ErrorKind::kBadInput, "tss2 key: an indefinite or oversize length");
  }
  if (in.size() - head < size) return fail(ErrorKind::kBadInput, "tss2 key: an element is cut");
  const Element element{in[0], in.subspan(head, size)};
  in = in.subspan(head + size);
  return element;
}

Result<ByteView> take(ByteView& in, std::uint8_t tag) {
  KEYWARD_TRY(element, take(in));
  if (element.tag != tag)
    return fail(ErrorKind::kBadInput, "tss2 key: another element expected", element.tag);
  return element.content;
}

Status check_empty_auth(ByteView& in) {
  if (in.empty() || in[0] != kContext0) {
    // Absent means that a password protects the key (draft §3.1.2).
    return fail(ErrorKind::kRefused, "tss2 key: a key with a password");
  }
  KEYWARD_TRY(wrapper, take(in, kContext0));
  KEYWARD_TRY(value, take(wrapper, kBoolean));
  if (!wrapper.empty() || value.size() != 1)
    return fail(ErrorKind::kBadInput, "tss2 key: malformed emptyAuth");
  // DER writes TRUE as FF; tpm2-openssl writes 01, so any non-zero octet is TRUE here (BER).
  if (value[0] == 0) return fail(ErrorKind::kRefused, "tss2 key: a key with a password");
  return {};
}

Result<std::uint32_t> take_parent(ByteView& in) {
  KEYWARD_TRY(octets, take(in, kInteger));
  if (octets.empty() || octets.size() > 5 || (octets[0] & 0x80) != 0 ||
      (octets.size() == 5 && octets[0] != 0)) {
    return fail(ErrorKind::kBadInput, "tss2 key: the parent is no handle");
  }
  if (octets.size() > 1 && octets[0] == 0 && (octets[1] & 0x80) == 0) {
    return fail(ErrorKind::kBadInput, "tss2 key: an integer is not minimal");
  }
  std::uint32_t parent = 0;
  for (const auto octet : octets) parent = parent << 8 | octet;
  return parent;
}

struct BioFree {
  void operator()(BIO* bio) const { ::BIO_free(bio); }
};
struct OpensslFree {
  void operator()(void* p) const { ::OPENSSL_free(p); }
};

}  // namespace

Bytes tss2_key_der(const TpmKeyBlob& blob, TpmKeyFileKind kind) {
  Bytes truth;
  put(truth, kBoolean, Bytes{0xff});
  Bytes body;
  put(body, kOid, oid_of(kind));
  put(body, kContext0, truth);
  put(body, kInteger, integer_of(blob.parent));
  put(body, kOctetString, blob.public_area);
  put(body, kOctetString, blob.private_area);
  Bytes out;
  put(out, kSequence, body);
  return out;
}

std::string tss2_key_pem(const TpmKeyBlob& blob, TpmKeyFileKind kind) {
  const std::string body = base64_encode(tss2_key_der(blob, kind));
  std::string out(kPemBegin);
  for (std::size_t at = 0; at < body.size(); at += kPemLineBytes) {
    out += '\n';
    out += body.substr(at, kPemLineBytes);
  }
  out += "\n-----END TSS2 PRIVATE KEY-----\n";
  return out;
}

Result<TpmKeyBlob> parse_tss2_key_der(ByteView der, TpmKeyFileKind kind) {
  if (der.size() > 2 * limits::kTpmStructureBytesMax) {
    return fail(ErrorKind::kExhausted, "tss2 key: larger than its limit");
  }
  KEYWARD_TRY(body, take(der, kSequence));
  if (!der.empty()) return fail(ErrorKind::kBadInput, "tss2 key: trailing octets");
  KEYWARD_TRY(oid, take(body, kOid));
  if (!equal(oid, oid_of(kind))) return fail(ErrorKind::kBadInput, "tss2 key: another type of key");
  KEYWARD_CHECK(check_empty_auth(body));
  if (!body.empty() && (body[0] & 0xc0) == 0x80) {  // [1] policy, [2] secret, [3] authPolicy
    return fail(ErrorKind::kRefused, "tss2 key: a policy or secret that is not supported");
  }
  KEYWARD_TRY(parent, take_parent(body));
  KEYWARD_TRY(public_area, take(body, kOctetString));
  KEYWARD_TRY(private_area, take(body, kOctetString));
  if (!body.empty()) return fail(ErrorKind::kBadInput, "tss2 key: trailing fields");
  return TpmKeyBlob{to_bytes(public_area), to_bytes(private_area), parent};
}

Result<TpmKeyBlob> parse_tss2_key_pem(std::string_view pem, TpmKeyFileKind kind) {
  if (pem.size() > 4 * limits::kTpmStructureBytesMax) {
    return fail(ErrorKind::kExhausted, "tss2 key: larger than its limit");
  }
  // OpenSSL skips what stands before and leaves what stands behind; here the file is the key alone.
  if (!pem.starts_with(kPemBegin))
    return fail(ErrorKind::kBadInput, "tss2 key: not a TSS2 PRIVATE KEY");
  const std::unique_ptr<BIO, BioFree> bio(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return fail(ErrorKind::kInternal, "tss2 key: no memory");
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  const int ok = ::PEM_read_bio(bio.get(), &name, &header, &data, &size);
  const std::unique_ptr<void, OpensslFree> own_name(name), own_header(header), own_data(data);
  if (ok != 1 || kPemName != name || (header != nullptr && *header != '\0')) {
    return fail(ErrorKind::kBadInput, "tss2 key: malformed PEM");
  }
  if (::BIO_ctrl_pending(bio.get()) != 0)
    return fail(ErrorKind::kBadInput, "tss2 key: text after the PEM");
  return parse_tss2_key_der({data, static_cast<std::size_t>(size)}, kind);
}

Status write_tss2_key_file(const std::string& path, const TpmKeyBlob& blob, TpmKeyFileKind kind) {
  return replace_file(path, view_of(tss2_key_pem(blob, kind)), 0600);
}

Result<TpmKeyBlob> read_tss2_key_file(const std::string& path, TpmKeyFileKind kind) {
  KEYWARD_TRY(text, read_text_file(path, 4 * limits::kTpmStructureBytesMax));
  return parse_tss2_key_pem(text, kind);
}

}  // namespace keyward::hal
