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

// An account as its URL names it; `id` empty: no such URL of ours.
struct AccountName {
  std::string_view tenant;  // empty: the appliance's own
  std::string_view id;
};

class Urls {
 public:
  // `tenant` empty: the appliance's own part.
  explicit Urls(std::string base_url, std::string_view tenant = {})
      : base_(std::move(base_url)),
        root_(base_ + "/acme" + (tenant.empty() ? "" : "/t/" + std::string(tenant))) {}
  // The same resources in another part of the server.
  Urls of(std::string_view tenant) const { return Urls(base_, tenant); }
  Urls of(const std::optional<std::string>& tenant) const {
    return Urls(base_, tenant ? std::string_view(*tenant) : std::string_view{});
  }
  std::string of_path(std::string_view raw_path) const { return base_ + std::string(raw_path); }
  std::string directory() const { return root_ + "/directory"; }
  std::string new_nonce() const { return root_ + "/new-nonce"; }
  std::string new_account() const { return root_ + "/new-account"; }
  std::string new_order() const { return root_ + "/new-order"; }
  std::string new_authz() const { return root_ + "/new-authz"; }
  std::string key_change() const { return root_ + "/key-change"; }
  std::string recover_account() const { return root_ + "/recover-account"; }
  std::string account(std::string_view id) const { return root_ + "/account/" + std::string(id); }
  std::string orders(std::string_view account_id) const { return account(account_id) + "/orders"; }
  std::string order(std::string_view ticket) const {
    return root_ + "/order/" + std::string(ticket);
  }
  std::string finalize(std::string_view ticket) const { return order(ticket) + "/finalize"; }
  std::string authz(std::string_view id) const { return root_ + "/authz/" + std::string(id); }
  std::string challenge(std::string_view authz_id, std::string_view id) const {
    return root_ + "/challenge/" + std::string(authz_id) + "/" + std::string(id);
  }
  std::string certificate(std::string_view id) const {
    return root_ + "/certificate/" + std::string(id);
  }
  std::string star_certificate(std::string_view ticket) const {
    return root_ + "/star-certificate/" + std::string(ticket);
  }
  std::string issuer(std::string_view id) const { return root_ + "/issuer/" + std::string(id); }
  std::string evidence_key(std::string_view kid) const {
    return root_ + "/evidence-key/" + std::string(kid);
  }
  std::string ak_begin() const { return root_ + "/attestation-ca/begin"; }
  std::string ak_activate() const { return root_ + "/attestation-ca/activate"; }
  std::string revoke_cert() const { return root_ + "/revoke-cert"; }
  std::string renewal_info() const { return root_ + "/renewal-info"; }
  // What an account URL names, of whichever part of the server, handed out exactly so.
  AccountName account_of(std::string_view url) const;

 private:
  std::string base_;
  std::string root_;
};

std::string rfc3339(std::int64_t utc_ms);  // seconds, "Z"
// IMF-fixdate (RFC 9110 §5.6.7); names of days and months are English whatever the locale.
std::string http_date(std::int64_t utc_ms);

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
  bool attestation_ca = false;               // docs/attestation-ca.md
};
std::string directory_json(const Urls& urls, const DirectoryMeta& meta);

std::string account_json(const Urls& urls, const wire::AccountRecord& account);
std::string orders_json(const Urls& urls, const std::vector<std::string>& tickets);
// Statuses are shown as they are at `now_ms` (UTC). `terms` null: they cannot be read. `urls` are of
// the account's part; authorizations stand in the part whose newOrder was used.
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
