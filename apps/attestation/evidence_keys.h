// Owns the keys that devices encrypt evidence for (verifierEncryptionCredential, D-R9): P-256 in the
// HSM where the module has one, else made here and kept sealed by the appliance's TPM; RSA-3072 for
// clients that know no ECDH, kept in a JWE for the P-256 key. Must not know evidence.
//
// A key that was replaced opens what challenges from before still bring. Threads: any; one mutex.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "firmware/rats/jwe.h"
#include "firmware/task/task.h"

namespace keyward::attestation {

struct EvidenceKeyConfig {
  std::string kind = "p256";  // which one challenges show: "p256", "rsa" or "none"
  std::int64_t lifetime_ms = 90LL * 86'400'000;
  bool allow_unsealed = false;  // a file of mode 0600 where no TPM seals: simulators
};

class EvidenceKeys {
 public:
  EvidenceKeys(EvidenceKeyConfig config, std::string state_dir, task::Peer& signer,
               task::Peer& platform);
  // The key to show in a new challenge; nullopt: none now.
  std::optional<std::string> shown_kid(std::int64_t now_ms);
  std::optional<std::string> jwk(std::string_view kid, std::int64_t now_ms);  // public
  // kBadInput and so on are in the refusal ("jwe.*").
  rats::Appraised<rats::OpenedJwe> open(std::string_view compact, std::int64_t now_ms);

 private:
  struct Pair {  // of one generation
    std::int64_t made_ms = 0;
    crypto::PublicKey p256_public, rsa_public;
    std::unique_ptr<rats::DecryptionKey> p256, rsa;
    std::string p256_kid, rsa_kid;
  };
  void ensure(std::int64_t now_ms);
  void load();
  std::optional<Bytes> find_in_hsm(bool& answered);
  Result<Pair> from_hsm(ByteView spki);
  Result<Pair> from_file(const std::string& path);
  Result<Pair> make(std::int64_t now_ms);
  Result<Pair> finish(std::unique_ptr<rats::DecryptionKey> p256, crypto::PublicKey p256_public,
                      std::int64_t made_ms, std::string rsa_jwe, std::string* made_rsa_jwe);
  Result<std::string> seal(ByteView secret, std::string& protection);
  Result<SecretBytes> unseal(std::string_view protection, ByteView sealed);
  std::string path(std::string_view name) const { return state_dir_ + "/" + std::string(name); }

  EvidenceKeyConfig config_;
  std::string state_dir_;
  task::Peer& signer_;
  task::Peer& platform_;
  std::mutex mutex_;
  std::vector<Pair> pairs_;  // the newest first; at most two
  bool in_hsm_ = false;
  std::int64_t next_try_ms_ = 0;
};

}  // namespace keyward::attestation
