// Owns a test kit's ACME client (RFC 8555): raw enough to send anything, and a straight run through
// an enrolment. Must not know the server's code beside JOSE and CSR writing. Threads: one.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "firmware/crypto/crypto.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "tests/support/acme_client/tls_client.h"

namespace keyward::test {

class AcmeClient {
 public:
  // `directory_url` is https://host:port/path.
  AcmeClient(const std::string& directory_url, const std::string& ca_file,
             crypto::PrivateKey account_key, const std::string& source = {});

  Status start();  // directory, first nonce, newAccount
  const std::string& kid() const { return kid_; }
  Digest256 thumbprint() const;
  std::string url_of(const std::string& resource) const;  // from the directory
  // Signs and posts; retries badNonce. Payload "" is POST-as-GET.
  Result<HttpReply> post(const std::string& url, const std::string& payload);
  // Posts a body as it is.
  Result<HttpReply> post_raw(const std::string& url, const std::string& body,
                             std::string_view content_type = "application/jose+json");
  Result<std::string> nonce();
  TlsClient& http() { return http_; }
  // Told of each request: path, status (0: no answer) and how long it took.
  using Observer = std::function<void(std::string_view path, int status, std::int64_t us)>;
  void observe(Observer observer) { observer_ = std::move(observer); }
  const crypto::PrivateKey& key() const { return key_; }
  std::string path_of(const std::string& url) const;

 private:
  void keep_nonce(const HttpReply& reply);
  Result<HttpReply> timed(std::string_view method, const std::string& path,
                          std::string_view content_type, const std::string& body);
  Observer observer_;
  std::string origin_;
  std::string directory_path_;
  TlsClient http_;
  crypto::PrivateKey key_;
  std::map<std::string, std::string> directory_;
  std::string kid_;
  std::string nonce_;
};

// One order through device-attest-01. `statement` gets the key authorization and answers the
// attestation object; `csr_key` is the attested key. The step that failed is in the error text.
struct EnrolledChain {
  std::string pem;
  std::string order_url;
};
struct EnrolFailure {
  std::string step;
  int status = 0;
  std::string body;
};
tl::expected<EnrolledChain, EnrolFailure> enrol_device(
    AcmeClient& client, const std::string& permanent_identifier, const crypto::PrivateKey& csr_key,
    const std::function<Bytes(const std::string& key_authorization)>& statement,
    std::int64_t patience_ms = 60'000);
// The same with a CSR (DER) that was made elsewhere, by a TPM's key for example.
tl::expected<EnrolledChain, EnrolFailure> enrol_device(
    AcmeClient& client, const std::string& permanent_identifier, const Bytes& csr_der,
    const std::function<Bytes(const std::string& key_authorization)>& statement,
    std::int64_t patience_ms = 60'000);

}  // namespace keyward::test
