// Owns the TLS settings of the server and the identity it shows. Must not know HTTP or civetweb.
#include "firmware/https/tls_context.h"

#include <mutex>
#include <string_view>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "hal/base/limits.h"

namespace keyward::https {
namespace {

constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305";

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
void free_stack(STACK_OF(X509) * chain) { sk_X509_pop_free(chain, ::X509_free); }
using CertificatePtr = std::unique_ptr<X509, Freer<::X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<::EVP_PKEY_free>>;
using ChainPtr = std::unique_ptr<STACK_OF(X509), Freer<free_stack>>;
using BioPtr = std::unique_ptr<BIO, Freer<::BIO_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<::SSL_CTX_free>>;

struct Identity {
  CertificatePtr leaf;
  KeyPtr key;
  ChainPtr intermediates;
};

int no_password(char*, int, int, void*) { return -1; }  // never ask on a terminal

BioPtr bio_of(std::string_view text) {
  return BioPtr(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<std::shared_ptr<const Identity>> load(const acme::TlsIdentity& from) {
  if (from.chain_pem.size() > limits::kTlsIdentityBytesMax ||
      from.key_pem.size() > limits::kTlsIdentityBytesMax)
    return fail(ErrorKind::kBadInput, "TLS identity is too large");
  auto out = std::make_shared<Identity>();
  const BioPtr chain = bio_of(from.chain_pem);
  const BioPtr key = bio_of(from.key_pem);
  out->leaf.reset(::PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr));
  if (!out->leaf) return fail(ErrorKind::kBadInput, "TLS identity has no certificate");
  out->intermediates.reset(sk_X509_new_null());
  while (CertificatePtr next{::PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr)}) {
    if (static_cast<std::size_t>(sk_X509_num(out->intermediates.get())) >=
        limits::kChainCertificatesMax)
      return fail(ErrorKind::kBadInput, "TLS identity has too many certificates");
    sk_X509_push(out->intermediates.get(), next.release());
  }
  ::ERR_clear_error();  // the end of the PEM text is reported as an error
  out->key.reset(::PEM_read_bio_PrivateKey(key.get(), nullptr, no_password, nullptr));
  if (!out->key) return fail(ErrorKind::kBadInput, "TLS identity has no private key");
  if (::X509_check_private_key(out->leaf.get(), out->key.get()) != 1) {
    ::ERR_clear_error();
    return fail(ErrorKind::kBadInput, "TLS certificate and key do not belong together");
  }
  return std::shared_ptr<const Identity>(std::move(out));
}

// RFC 7301: a client that offers protocols and not HTTP/1.1 is refused in the handshake.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_bytes,
                    const unsigned char* in, unsigned in_bytes, void*) {
  static constexpr std::string_view kHttp = "http/1.1";
  for (unsigned at = 0; at < in_bytes && at + 1 + in[at] <= in_bytes; at += 1u + in[at]) {
    const std::string_view name(reinterpret_cast<const char*>(in) + at + 1, in[at]);
    if (name != kHttp) continue;
    *out = in + at + 1;
    *out_bytes = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

Bytes spki_of(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = ::i2d_X509_PUBKEY(::X509_get_X509_PUBKEY(certificate), &der);
  Bytes out;
  if (size > 0) out.assign(der, der + size);
  ::OPENSSL_free(der);
  return out;
}

}  // namespace

struct TlsContext::Impl {
  ContextPtr context;
  ClientKeys clients;
  mutable std::mutex mutex;
  std::shared_ptr<const Identity> identity;

  std::shared_ptr<const Identity> current() const {
    std::lock_guard lock(mutex);
    return identity;
  }

  // In place of chain building: the key is one of those that are known, or the handshake ends.
  static int check_client(X509_STORE_CTX* store, void* arg) {
    const X509* leaf = ::X509_STORE_CTX_get0_cert(store);
    const Bytes key = leaf == nullptr ? Bytes{} : spki_of(leaf);
    const bool known = !key.empty() && static_cast<Impl*>(arg)->clients.is_known(key);
    ::X509_STORE_CTX_set_error(store, known ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return known ? 1 : 0;
  }

  // Called once in each handshake. The SSL object takes its own references.
  static int show_identity(SSL* ssl, void* arg) {
    const auto identity = static_cast<Impl*>(arg)->current();
    if (!identity) return 0;
    return ::SSL_use_cert_and_key(ssl, identity->leaf.get(), identity->key.get(),
                                  identity->intermediates.get(), 1);
  }
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;
ssl_ctx_st* TlsContext::native() const { return impl_->context.get(); }
bool TlsContext::has_identity() const { return impl_->current() != nullptr; }

Result<std::unique_ptr<TlsContext>> TlsContext::create(ClientKeys clients) {
  auto impl = std::make_unique<Impl>();
  impl->clients = std::move(clients);
  impl->context.reset(::SSL_CTX_new(::TLS_server_method()));
  SSL_CTX* context = impl->context.get();
  if (context == nullptr)
    return fail(ErrorKind::kInternal, "SSL_CTX_new", static_cast<std::int64_t>(::ERR_get_error()));
  bool ok = ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
  ok = ok && ::SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
  ok = ok && ::SSL_CTX_set_cipher_list(context, kTls12Ciphers) == 1;
  ok = ok && ::SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
  ok = ok && ::SSL_CTX_set_num_tickets(context, 0) == 1;
  if (!ok)
    return fail(ErrorKind::kInternal, "TLS settings", static_cast<std::int64_t>(::ERR_get_error()));
  // An end of input without close_notify ends reading alone: a late body can still be answered
  // (408). A truncated request shows by its Content-Length.
  ::SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // Idle connections give their buffers back: 34 KiB each.
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_ENABLE_PARTIAL_WRITE);
  ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  ::SSL_CTX_set_cert_cb(context, Impl::show_identity, impl.get());
  if (impl->clients.is_known) {
    ::SSL_CTX_set_verify(
        context, SSL_VERIFY_PEER | (impl->clients.required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
    ::SSL_CTX_set_cert_verify_callback(context, Impl::check_client, impl.get());
  }
  return std::unique_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

Bytes TlsContext::client_key(const ssl_st* connection) {
  const X509* leaf = connection == nullptr ? nullptr : ::SSL_get0_peer_certificate(connection);
  return leaf == nullptr ? Bytes{} : spki_of(leaf);
}

Status TlsContext::set_identity(const acme::TlsIdentity& identity) {
  KEYWARD_TRY(loaded, load(identity));
  std::lock_guard lock(impl_->mutex);
  impl_->identity = std::move(loaded);
  return {};
}

}  // namespace keyward::https
