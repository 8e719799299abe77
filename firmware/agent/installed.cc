// Owns what can be said about an installed certificate. Must not know ACME or a TPM.
#include "firmware/agent/installed.h"

#include <array>
#include <ctime>

#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

std::string key_text(const x509::Certificate& certificate) {
  if (!certificate.key) return "unknown";
  switch (certificate.key->kind()) {
    case crypto::KeyKind::kEcP256:
      return "P-256";
    case crypto::KeyKind::kEcP384:
      return "P-384";
    case crypto::KeyKind::kEcP521:
      return "P-521";
    case crypto::KeyKind::kEd25519:
      return "Ed25519";
    case crypto::KeyKind::kRsa:
      return "RSA " + std::to_string(certificate.key->bits());
  }
  return "unknown";
}

}  // namespace

std::string utc_text(std::int64_t utc_ms) {
  const auto seconds = static_cast<std::time_t>(utc_ms / 1'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

Result<Installed> read_installed(const StateDirectory& directory) {
  KEYWARD_TRY(pem, read_text_file(directory.certificate_path(), limits::kAgentReplyBytesMax));
  const auto chain = x509::certificates_from_pem(pem, limits::kChainCertificatesMax);
  if (!chain || chain->empty())
    return fail(ErrorKind::kCorrupt, "certificate.pem holds no certificates");
  const auto leaf = x509::parse_certificate(chain->front());
  if (!leaf) return fail(ErrorKind::kCorrupt, "certificate.pem holds no certificates");
  Installed out;
  out.serial_hex = hex_encode(leaf->serial);
  out.key_text = key_text(*leaf);
  out.not_before_ms = leaf->not_before_ms;
  out.not_after_ms = leaf->not_after_ms;
  out.renew_after_ms = leaf->not_before_ms + (leaf->not_after_ms - leaf->not_before_ms) / 3 * 2;
  out.chain_certificates = chain->size();
  return out;
}

}  // namespace keyward::agent
