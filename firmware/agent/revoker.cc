// Owns the revocation of the installed certificate. Must not know TPMs.
#include "firmware/agent/revoker.h"

#include <errno.h>
#include <stdio.h>

#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

Outcome<x509::Certificate> installed_leaf(const StateDirectory& directory) {
  const auto pem = read_text_file(directory.certificate_path(), limits::kAgentReplyBytesMax);
  if (!pem) return failed(FailureKind::kState, "reading the certificate", pem.error());
  const auto chain = x509::certificates_from_pem(*pem, limits::kChainCertificatesMax);
  if (!chain || chain->empty())
    return failed(FailureKind::kState, "the installed file holds no certificate");
  auto leaf = x509::parse_certificate(chain->front());
  if (!leaf) return failed(FailureKind::kState, "reading the certificate", leaf.error());
  return std::move(*leaf);
}

std::string payload_of(const x509::Certificate& leaf, std::optional<std::int64_t> reason) {
  json::Writer out;
  out.begin_object().member("certificate", base64url_encode(leaf.der));
  if (reason) out.member_int("reason", *reason);
  out.end_object();
  return out.take();
}

Outcome<void> put_aside(const StateDirectory& directory, AgentState state) {
  state.key.reset();  // first: a run that dies in between enrols anew
  if (const auto saved = directory.save(state); !saved)
    return failed(FailureKind::kState, "saving the state", saved.error());
  for (const auto& path : {directory.certificate_path(), directory.key_path()}) {
    if (::rename(path.c_str(), (path + ".revoked").c_str()) != 0 && errno != ENOENT)
      return failed(FailureKind::kState, "putting " + path + " aside");
  }
  return {};
}

}  // namespace

Outcome<std::string> revoke_installed(const StateDirectory& directory,
                                      std::optional<std::int64_t> reason,
                                      const RevokeSeams& seams) {
  auto state = directory.load();
  if (!state) return failed(FailureKind::kState, "reading the state", state.error());
  if (!*state || !(**state).key || (**state).account_url.empty())
    return failed(FailureKind::kState, "no certificate is installed here");
  const auto leaf = installed_leaf(directory);
  if (!leaf) return failed(leaf.error());
  auto key = crypto::PrivateKey::from_pem((**state).account_key_pem);
  if (!key) return failed(FailureKind::kState, "reading the account key", key.error());
  AcmeClient client(seams.transport, seams.clock,
                    {(**state).directory_url, seams.patience_ms, {}, {}}, std::move(*key));
  client.use_account((**state).account_url);
  const auto where = client.directory();
  if (!where) return failed(where.error());
  if (where->revoke_cert.empty())
    return failed(FailureKind::kRefused, "the directory has no revokeCert");
  const auto reply = client.post(where->revoke_cert, payload_of(*leaf, reason));
  if (!reply && reply.error().problem_type != "alreadyRevoked") return failed(reply.error());
  if (auto done = put_aside(directory, std::move(**state)); !done) return failed(done.error());
  return hex_encode(leaf->serial);
}

}  // namespace keyward::agent
