#include "firmware/validate/tls_alpn01.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include "firmware/crypto/crypto.h"
#include "firmware/validate/issue_value.h"
#include "firmware/validate/locate.h"
#include "hal/base/unique_fd.h"

namespace keyward::validate {
namespace {

constexpr unsigned char kProtocols[] =
    "\x0a"
    "acme-tls/1";  // RFC 8737 §3, one length octet first
constexpr std::string_view kProtocol = "acme-tls/1";
constexpr std::int64_t kConnectMs = 5'000;  // then the next address is tried
constexpr int kCertificateListMax = 16'384;

struct Free {
  void operator()(SSL_CTX* p) const { ::SSL_CTX_free(p); }
  void operator()(SSL* p) const { ::SSL_free(p); }
  void operator()(X509* p) const { ::X509_free(p); }
  void operator()(GENERAL_NAMES* p) const { ::GENERAL_NAMES_free(p); }
  void operator()(ASN1_OBJECT* p) const { ::ASN1_OBJECT_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

wire::ChallengeProblem wrong(std::string_view code, std::string detail) {
  return problem("incorrectResponse", code, std::move(detail));
}

bool wait_for(int fd, short events, Deadline deadline) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, static_cast<int>(deadline.remaining_ms())) > 0;
}

UniqueFd connect_to(const IpAddress& address, std::uint16_t port, Deadline deadline) {
  UniqueFd fd(::socket(address.is_v6() ? AF_INET6 : AF_INET,
                       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {};
  sockaddr_storage to{};
  socklen_t size = 0;
  const auto octets = address.octets();
  if (address.is_v6()) {
    auto& in = reinterpret_cast<sockaddr_in6&>(to);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, octets.data(), octets.size());
    size = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in&>(to);
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, octets.data(), octets.size());
    size = sizeof in;
  }
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size) == 0) return fd;
  if (errno != EINPROGRESS || !wait_for(fd.get(), POLLOUT, deadline)) return {};
  int error = 0;
  socklen_t error_size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &error_size) != 0 || error != 0)
    return {};
  return fd;
}

// The extension with this object identifier: exactly one, else null.
X509_EXTENSION* only_extension(X509* certificate, const ASN1_OBJECT* object) {
  const int at = ::X509_get_ext_by_OBJ(certificate, object, -1);
  if (at < 0 || ::X509_get_ext_by_OBJ(certificate, object, at) >= 0) return nullptr;
  return ::X509_get_ext(certificate, at);
}

// RFC 8737 §3: one SAN of the identifier and nothing else; RFC 8738 §6: an iPAddress for an address.
std::optional<wire::ChallengeProblem> judge_san(X509* certificate,
                                                const wire::Identifier& identifier) {
  auto* extension = only_extension(certificate, ::OBJ_nid2obj(NID_subject_alt_name));
  if (extension == nullptr) return wrong("tls-alpn.san", "not exactly one subjectAltName");
  const Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(::X509V3_EXT_d2i(extension)));
  if (!names || sk_GENERAL_NAME_num(names.get()) != 1)
    return wrong("tls-alpn.san", "the subjectAltName does not have exactly one name");
  const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), 0);
  int kind = 0;
  const auto* value = static_cast<const ASN1_STRING*>(::GENERAL_NAME_get0_value(name, &kind));
  const bool ip = identifier.type == wire::IdentifierType::kIp;
  if (kind != (ip ? GEN_IPADD : GEN_DNS))
    return wrong("tls-alpn.san", "the subjectAltName has a name of another kind");
  const ByteView octets(::ASN1_STRING_get0_data(value),
                        static_cast<std::size_t>(::ASN1_STRING_length(value)));
  bool same = false;
  if (ip) {
    const auto address = IpAddress::parse(identifier.value);
    same = address && equal(octets, address->octets());
  } else {
    same = ascii_lower(text_of(octets)) == identifier.value;
  }
  if (!same) return wrong("tls-alpn.san", "the subjectAltName has another name");
  return std::nullopt;
}

std::optional<wire::ChallengeProblem> judge_extension(X509* certificate, const Digest256& digest) {
  const Owned<ASN1_OBJECT> object(::OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));  // id-pe-acmeIdentifier
  auto* extension = only_extension(certificate, object.get());
  if (extension == nullptr)
    return wrong("tls-alpn.extension", "not exactly one acmeIdentifier extension");
  if (::X509_EXTENSION_get_critical(extension) == 0)
    return wrong("tls-alpn.extension", "the acmeIdentifier extension is not critical");
  const auto* value = ::X509_EXTENSION_get_data(extension);
  const ByteView der(::ASN1_STRING_get0_data(value),
                     static_cast<std::size_t>(::ASN1_STRING_length(value)));
  // DER of an OCTET STRING of 32 octets has one form.
  if (der.size() != 2 + digest.size() || der[0] != 0x04 || der[1] != digest.size())
    return wrong("tls-alpn.extension", "acmeIdentifier is no OCTET STRING of 32 octets");
  if (!equal_constant_time(der.subspan(2), digest))
    return wrong("tls-alpn.digest",
                 "acmeIdentifier is not the digest of the key authorization of this account and "
                 "challenge");
  return std::nullopt;
}

class Handshake {
 public:
  Handshake(const LookRequest& request, Deadline deadline)
      : request_(request), deadline_(deadline) {}

  // Leaves the leaf in `leaf`. The connection is closed at once: no octet of an application passes.
  std::optional<wire::ChallengeProblem> run(const UniqueFd& fd, Bytes& leaf) {
    ::ERR_clear_error();
    const Owned<SSL_CTX> context(::SSL_CTX_new(::TLS_client_method()));
    if (!context || ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1)
      return problem("serverInternal", "tls-alpn.internal", "no TLS here");
    // The certificate is judged by what it says: nobody vouches for it (RFC 8737 §3).
    ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    ::SSL_CTX_set_max_cert_list(context.get(), kCertificateListMax);
    const Owned<SSL> ssl(::SSL_new(context.get()));
    if (!ssl || ::SSL_set_fd(ssl.get(), fd.get()) != 1 ||
        ::SSL_set_alpn_protos(ssl.get(), kProtocols, sizeof kProtocols - 1) != 0 ||
        ::SSL_set_tlsext_host_name(ssl.get(), sni_of(request_.identifier).c_str()) != 1)
      return problem("serverInternal", "tls-alpn.internal", "no TLS here");
    auto failed = shake(ssl.get(), fd.get());
    ::ERR_clear_error();
    if (failed) return failed;
    return take(ssl.get(), leaf);
  }

 private:
  std::optional<wire::ChallengeProblem> shake(SSL* ssl, int fd) const {
    while (true) {
      const int done = ::SSL_connect(ssl);
      if (done == 1) return std::nullopt;
      const int why = ::SSL_get_error(ssl, done);
      const bool waits = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
      if (!waits) break;
      if (!wait_for(fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_))
        return problem("connection", "tls-alpn.timeout", "no TLS handshake in time");
    }
    const bool alpn =
        ERR_GET_REASON(::ERR_peek_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL;
    if (alpn) return problem("tls", "tls-alpn.protocol", "the server does not speak acme-tls/1");
    return problem("tls", "tls-alpn.handshake", "the TLS handshake failed");
  }

  static std::optional<wire::ChallengeProblem> take(SSL* ssl, Bytes& leaf) {
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    ::SSL_get0_alpn_selected(ssl, &protocol, &size);
    if (protocol == nullptr || text_of({protocol, size}) != kProtocol)
      return problem("tls", "tls-alpn.protocol", "the server did not choose acme-tls/1");
    const Owned<X509> certificate(::SSL_get1_peer_certificate(ssl));
    const int bytes = certificate ? ::i2d_X509(certificate.get(), nullptr) : 0;
    if (bytes <= 0 || static_cast<std::size_t>(bytes) > limits::kCertificateBytesMax)
      return wrong("tls-alpn.certificate", "no certificate, or a larger one than is read");
    leaf.resize(static_cast<std::size_t>(bytes));
    unsigned char* out = leaf.data();
    ::i2d_X509(certificate.get(), &out);
    return std::nullopt;
  }

  const LookRequest& request_;
  Deadline deadline_;
};

}  // namespace

std::string sni_of(const wire::Identifier& identifier) {
  if (identifier.type != wire::IdentifierType::kIp) return identifier.value;
  const auto address = IpAddress::parse(identifier.value);
  if (!address) return identifier.value;
  const auto octets = address->octets();
  std::string out;
  for (auto at = octets.rbegin(); at != octets.rend(); ++at) {
    if (!address->is_v6()) {
      out += std::to_string(*at) + ".";
      continue;
    }
    constexpr std::string_view kHex = "0123456789abcdef";
    for (const unsigned nibble : {*at & 15u, unsigned{*at} >> 4u}) {
      out += kHex[nibble];
      out += '.';
    }
  }
  return out + (address->is_v6() ? "ip6.arpa" : "in-addr.arpa");
}

std::optional<wire::ChallengeProblem> judge_alpn_certificate(ByteView der,
                                                             const wire::Identifier& identifier,
                                                             const Digest256& digest) {
  const unsigned char* at = der.data();
  const Owned<X509> certificate(::d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ::ERR_clear_error();
  if (!certificate || at != der.data() + der.size())
    return wrong("tls-alpn.certificate", "the certificate cannot be read");
  const bool own_name = ::X509_NAME_cmp(::X509_get_subject_name(certificate.get()),
                                        ::X509_get_issuer_name(certificate.get())) == 0;
  const bool own_key = ::X509_verify(certificate.get(), ::X509_get0_pubkey(certificate.get())) == 1;
  ::ERR_clear_error();
  if (!own_name || !own_key)
    return wrong("tls-alpn.self-signed", "the certificate is not self-signed");
  auto failed = judge_san(certificate.get(), identifier);
  if (!failed) failed = judge_extension(certificate.get(), digest);
  ::ERR_clear_error();
  return failed;
}

LookOutcome tls_alpn01_look(const LookRequest& request, const TlsAlpn01Options& options,
                            Resolver& resolver) {
  LookOutcome outcome;
  const auto deadline = Deadline::after_ms(options.total_ms);
  std::vector<IpAddress> addresses;
  outcome.problem = locate(request.identifier.value, options.egress, resolver, deadline, addresses);
  if (outcome.problem) return outcome;
  UniqueFd fd;
  for (const auto& address : addresses) {
    const auto patience = std::min<std::int64_t>(deadline.remaining_ms(), kConnectMs);
    fd = connect_to(address, options.port, Deadline::after_ms(patience));
    outcome.where = address.text();
    if (fd) break;
  }
  const auto at = shown(request.identifier.value) + " port " + std::to_string(options.port) + ": ";
  Bytes leaf;
  if (!fd) {
    outcome.problem = problem("connection", "tls-alpn.connect", "cannot connect");
  } else {
    outcome.problem = Handshake(request, deadline).run(fd, leaf);
  }
  const auto digest = crypto::sha256(view_of(key_authorization(request.token, request.thumbprint)));
  if (!outcome.problem) outcome.problem = judge_alpn_certificate(leaf, request.identifier, digest);
  if (outcome.problem)
    outcome.problem =
        problem(outcome.problem->type, outcome.problem->code, at + outcome.problem->detail);
  outcome.what = hex_encode(crypto::sha256(leaf));
  return outcome;
}

}  // namespace keyward::validate
