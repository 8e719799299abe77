// Owns how acme's objects look to clients: URLs and JSON (RFC 8555 §7.1). Must not know requests or
// storage. Threads: pure; `Urls` is constant after it was made.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/order_terms.h"
#include "firmware/wire/messages/records.h"

namespace keyward::acme {

class Urls {
 public:
  explicit Urls(std::string base_url) : base_(std::move(base_url)) {}
  std::string of_path(std::string_view raw_path) const { return base_ + std::string(raw_path); }
  std::string directory() const { return base_ + "/acme/directory"; }
  std::string new_nonce() const { return base_ + "/acme/new-nonce"; }
  std::string new_account() const { return base_ + "/acme/new-account"; }
  std::string new_order() const { return base_ + "/acme/new-order"; }
  std::string new_authz() const { return base_ + "/acme/new-authz"; }
  std::string key_change() const { return base_ + "/acme/key-change"; }
  std::string recover_account() const { return base_ + "/acme/recover-account"; }
  std::string account(std::string_view id) const {
    return base_ + "/acme/account/" + std::string(id);
  }
  std::string orders(std::string_view account_id) const { return account(account_id) + "/orders"; }
  std::string order(std::string_view ticket) const {
    return base_ + "/acme/order/" + std::string(ticket);
  }
  std::string finalize(std::string_view ticket) const { return order(ticket) + "/finalize"; }
  std::string authz(std::string_view id) const { return base_ + "/acme/authz/" + std::string(id); }
  std::string challenge(std::string_view authz_id, std::string_view id) const {
    return base_ + "/acme/challenge/" + std::string(authz_id) + "/" + std::string(id);
  }
  std::string certificate(std::string_view id) const {
    return base_ + "/acme/certificate/" + std::string(id);
  }
  std::string star_certificate(std::string_view ticket) const {
    return base_ + "/acme/star-certificate/" + std::string(ticket);
  }
  std::string issuer(std::string_view id) const {
    return base_ + "/acme/issuer/" + std::string(id);
  }
  std::string evidence_key(std::string_view kid) const {
    return base_ + "/acme/evidence-key/" + std::string(kid);
  }
  std::string revoke_cert() const { return base_ + "/acme/revoke-cert"; }
  std::string renewal_info() const { return base_ + "/acme/renewal-info"; }
  // The id in an account URL of ours, handed out exactly so; empty: another URL.
  std::string_view account_id_of(std::string_view url) const;

 private:
  std::string base_;
};

std::string rfc3339(std::int64_t utc_ms);  // seconds, "Z"

struct DirectoryMeta {
  std::string terms_of_service;  // empty: none
  std::string website;
  std::vector<wire::ProfileInfo> profiles;
  bool external_account_required = false;
  bool recovery = false;  // private member "recoverAccount"
  bool new_authz = false;
  std::vector<std::string> caa_identities;
  bool subdomain_auth = false;               // RFC 9444 §6
  std::vector<std::string> persist_issuers;  // draft-ietf-acme-dns-persist-02
  std::string account_hash_prefix;           // the same
};
std::string directory_json(const Urls& urls, const DirectoryMeta& meta);

std::string account_json(const Urls& urls, const wire::AccountRecord& account);
std::string orders_json(const Urls& urls, const std::vector<std::string>& tickets);
// Statuses are shown as they are at `now_ms` (UTC). `terms` null: they cannot be read.
std::string order_json(const Urls& urls, const wire::OrderRecord& order,
                       const std::vector<std::string>& authz_ids, const wire::OrderTerms* terms,
                       std::int64_t now_ms);
std::string authz_json(const Urls& urls, const wire::AuthzRecord& authz, std::int64_t now_ms);
std::string challenge_json(const Urls& urls, const wire::ChallengeRecord& challenge);
std::string chain_pem(const std::vector<Bytes>& chain);

std::string_view to_string(wire::AccountStatus status);
std::string_view to_string(wire::OrderStatus status);
std::string_view to_string(wire::AuthzStatus status);
std::string_view to_string(wire::ChallengeStatus status);
std::string_view to_string(wire::RecoveryStatus status);

}  // namespace keyward::acme
