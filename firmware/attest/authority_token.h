// Owns the verification of authority tokens for tkauth-01 (RFC 9447 §3, RFC 9448 §6): whether an
// authority vouches for one identifier of one account. Must not know the network: a certificate that
// stands elsewhere is asked for (fetch_url) and comes back as untrusted octets.
//
// Order: form and header -> x5u is one that may be asked -> certificate chain to a configured root
// -> signature -> and only then the claims, each with its own code. RFC 9448 §6 looks at the claims'
// presence first; nothing of a payload is read here before its signature holds. Threads: pure
// function.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/json/json.h"
#include "firmware/wire/messages/common.h"
#include "firmware/x509/certificate.h"

namespace keyward::attest {

struct AuthorityPolicy {
  std::vector<x509::Certificate> roots;       // empty: no token is ever good
  std::map<std::string, Bytes> certificates;  // x5u -> PEM or DER, configured; before any fetch
  std::vector<std::string> hosts;  // "host" or "host:port", lower case, that may be asked
};
// "https://…=/path/of/file" each; reads the files. kBadInput: another form.
Result<std::map<std::string, Bytes>> load_authority_files(const std::vector<std::string>& entries);

struct AuthorityRequest {
  std::string_view token;                        // compact JWS
  const wire::Identifier* identifier = nullptr;  // canonical
  Digest256 thumbprint{};                        // of the account's key
  std::optional<ByteView> fetched;               // what stands at x5u
};

struct AuthorityRefusal {
  const char* type;  // ACME error type: incorrectResponse or unauthorized
  const char* code;  // tkauth.syntax, tkauth.claims, …
  const char* detail;
};

struct AuthorityVerdict {
  std::optional<AuthorityRefusal> refusal;
  std::optional<std::string> fetch_url;  // nothing decided yet
  std::int64_t expires_ms = 0;           // of the token
  Digest256 token_id{};                  // issuer's key and jti
};
// Codes, in order: tkauth.syntax, tkauth.x5u-untrusted, tkauth.certificate, tkauth.signature,
// tkauth.claims, tkauth.type, tkauth.value, tkauth.expired, tkauth.not-yet, tkauth.fingerprint,
// tkauth.ca. That a token is used once is SpentTokens' part (tkauth.replayed).
AuthorityVerdict verify_authority_token(const AuthorityRequest& request,
                                        const AuthorityPolicy& policy, std::int64_t now_ms);

// The leaf's key, once its chain reaches a root: a key that signs, and no CA's own. kRefused: why.
Result<crypto::PublicKey> token_signer(const std::vector<Bytes>& chain_ders,
                                       const std::vector<x509::Certificate>& roots,
                                       std::int64_t now_ms);

// "SHA256 56:3E:…" or the bare base64url of RFC 7638 (D-T5).
bool fingerprint_is(std::string_view text, const Digest256& thumbprint);

}  // namespace keyward::attest
