// Owns the PKCS#7 objects of OpenSSL. Must not know ACME.
#include "firmware/crypto/certs_only.h"

#include <memory>

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

namespace keyward::crypto {
namespace {

struct FreePkcs7 {
  void operator()(PKCS7* p) const { ::PKCS7_free(p); }
  void operator()(X509* p) const { ::X509_free(p); }
};
using Pkcs7Ptr = std::unique_ptr<PKCS7, FreePkcs7>;
using X509Ptr = std::unique_ptr<X509, FreePkcs7>;

// Empties the thread's error queue, so that a failure here is never blamed on a later call.
tl::unexpected<Error> failed(ErrorKind kind, const char* what) {
  const auto native = static_cast<std::int64_t>(::ERR_get_error());
  ::ERR_clear_error();
  return fail(kind, what, native);
}

}  // namespace

Result<Bytes> certs_only_der(const std::vector<Bytes>& certificates) {
  if (certificates.empty()) return fail(ErrorKind::kBadInput, "pkcs7: no certificates");
  const Pkcs7Ptr message(::PKCS7_new());
  if (!message || ::PKCS7_set_type(message.get(), NID_pkcs7_signed) != 1 ||
      ::PKCS7_content_new(message.get(), NID_pkcs7_data) != 1 ||
      ::PKCS7_set_detached(message.get(), 1) != 1) {
    return failed(ErrorKind::kInternal, "pkcs7: cannot be made");
  }
  for (const auto& der : certificates) {
    const unsigned char* at = der.data();
    const X509Ptr certificate(::d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!certificate || at != der.data() + der.size())
      return failed(ErrorKind::kBadInput, "pkcs7: not a certificate");
    if (::PKCS7_add_certificate(message.get(), certificate.get()) != 1)
      return failed(ErrorKind::kInternal, "pkcs7: cannot take a certificate");
  }
  unsigned char* out = nullptr;
  const int size = ::i2d_PKCS7(message.get(), &out);
  if (size <= 0) return failed(ErrorKind::kInternal, "pkcs7: cannot be written");
  Bytes der(out, out + size);
  ::OPENSSL_free(out);
  return der;
}

}  // namespace keyward::crypto
