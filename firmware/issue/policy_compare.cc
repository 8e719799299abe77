#include "firmware/issue/policy_compare.h"

#include <algorithm>
#include <optional>

#include "firmware/issue/profile_config.h"
#include "firmware/wire/challenge_types.h"

namespace keyward::issue {
namespace {

using Names = std::vector<std::string>;

std::string time_words(std::int64_t ms) {
  if (ms % 86'400'000 == 0) return std::to_string(ms / 86'400'000) + " days";
  if (ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + " hours";
  return std::to_string(ms / 1'000) + " s";
}

std::string purpose_words(const std::string& oid) {
  if (oid == "1.3.6.1.5.5.7.3.1") return "serverAuth";
  if (oid == "1.3.6.1.5.5.7.3.2") return "clientAuth";
  return oid;
}

Names method_names(const Profile& profile) {
  Names out;
  for (const auto method : profile.methods) out.emplace_back(wire::challenge_type(method));
  return out;
}

bool holds(const Names& list, const std::string& name) {
  return std::ranges::find(list, name) != list.end();
}

bool lies_in(const std::string& name, const std::string& tree) {
  return name == tree || (name.size() > tree.size() && name.ends_with("." + tree));
}

bool covered(const std::string& name, const Names& trees) {
  return std::ranges::any_of(trees, [&](const auto& tree) { return lies_in(name, tree); });
}

class Comparison {
 public:
  Comparison(const PolicySettings& before, const PolicySettings& after)
      : before_(before), after_(after) {}

  std::vector<PolicyChange> run() {
    compare_names();
    compare_limits();
    compare_revocation();
    compare_control();
    compare_tenants();
    for (const auto& profile : after_.gate.profiles) {
      const auto* old = find(before_, profile.name);
      if (old != nullptr && old->kind == profile.kind)
        compare_profile(*old, profile);
      else
        wider("A new profile " + profile.name + ": certificates of up to " +
              time_words(profile.lifetime_ms) + ".");
    }
    for (const auto& profile : before_.gate.profiles) {
      const auto* fresh = find(after_, profile.name);
      if (fresh == nullptr || fresh->kind != profile.kind)
        narrower("No certificates of the earlier profile " + profile.name + " any more.");
    }
    return std::move(out_);
  }

 private:
  static const Profile* find(const PolicySettings& settings, const std::string& name) {
    const auto found = std::ranges::find(settings.gate.profiles, name, &Profile::name);
    return found == settings.gate.profiles.end() ? nullptr : &*found;
  }
  void wider(std::string words) { out_.push_back({true, std::move(words)}); }
  void narrower(std::string words) { out_.push_back({false, std::move(words)}); }

  // `more` is wider; the sentence holds both values.
  void number(const std::string& what, std::int64_t before, std::int64_t after,
              const std::string& before_words, const std::string& after_words) {
    if (before == after) return;
    const std::string words = what + " " + after_words + "; until now " + before_words + ".";
    after > before ? wider(words) : narrower(words);
  }
  void span(const std::string& what, std::int64_t before_ms, std::int64_t after_ms) {
    number(what, before_ms, after_ms, time_words(before_ms), time_words(after_ms));
  }
  void count(const std::string& what, std::int64_t before, std::int64_t after) {
    number(what, before, after, std::to_string(before), std::to_string(after));
  }
  void flag(bool before, bool after, const std::string& on_words, const std::string& off_words,
            bool on_is_wider) {
    if (before == after) return;
    after == on_is_wider ? wider(after ? on_words : off_words)
                         : narrower(after ? on_words : off_words);
  }
  // What is new in the list is wider.
  void list(const Names& before, const Names& after, const std::string& more,
            const std::string& less) {
    for (const auto& name : after) {
      if (!holds(before, name)) wider(more + name + ".");
    }
    for (const auto& name : before) {
      if (!holds(after, name)) narrower(less + name + ".");
    }
  }

  // With both lists empty any name; with one alone nothing of the other sort.
  static bool any_name(const PolicySettings& s) {
    return s.gate.names.permitted_dns.empty() && s.gate.names.permitted_ip.empty();
  }
  void compare_names() {
    const auto &old = before_.gate.names, &fresh = after_.gate.names;
    if (any_name(after_) && !any_name(before_)) wider("Any name and any address can be certified.");
    if (!any_name(after_) && any_name(before_))
      narrower("Names and addresses outside the permitted ones cannot be certified any more.");
    if (!any_name(after_) && !any_name(before_)) {
      for (const auto& tree : fresh.permitted_dns) {
        if (!covered(tree, old.permitted_dns))
          wider("Names at and below " + tree + " can be certified.");
      }
      for (const auto& tree : old.permitted_dns) {
        if (!covered(tree, fresh.permitted_dns))
          narrower("Names at and below " + tree +
                   " cannot be certified any more, unless permitted "
                   "more narrowly.");
      }
      compare_addresses(old.permitted_ip, fresh.permitted_ip);
    }
    for (const auto& tree : old.denied_dns) {
      if (!covered(tree, fresh.denied_dns))
        wider("Names at and below " + tree + " are not denied any more.");
    }
    for (const auto& tree : fresh.denied_dns) {
      if (!covered(tree, old.denied_dns)) narrower("Names at and below " + tree + " are denied.");
    }
    Names was, is;
    for (const auto& id : old.appliance_names) was.push_back(id.value);
    for (const auto& id : fresh.appliance_names) is.push_back(id.value);
    list(was, is, "The appliance's own name is also ", "No name of the appliance any more: ");
  }
  void compare_addresses(const std::vector<IpSubtree>& old, const std::vector<IpSubtree>& fresh) {
    const auto inside = [](const IpSubtree& tree, const std::vector<IpSubtree>& all) {
      return std::ranges::any_of(all, [&](const auto& other) { return other.covers(tree); });
    };
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      if (!inside(fresh[i], old))
        wider("Addresses within " + after_.permitted_ip[i] + " can be certified.");
    }
    for (std::size_t i = 0; i < old.size(); ++i) {
      if (!inside(old[i], fresh))
        narrower("Addresses within " + before_.permitted_ip[i] +
                 " cannot be certified any more, "
                 "unless permitted more narrowly.");
    }
  }

  void compare_limits() {
    const auto &old = before_.gate, &fresh = after_.gate;
    count("Certificates of one account in an hour:", old.account_per_hour, fresh.account_per_hour);
    count("Certificates in an hour:", old.overall_per_hour, fresh.overall_per_hour);
    span("notBefore may lie back by", old.backdate_ms, fresh.backdate_ms);
    span("A client may ask for a notBefore ahead by", old.not_before_ahead_ms,
         fresh.not_before_ahead_ms);
    flag(old.external_account_required, fresh.external_account_required,
         "Accounts need a credential (external account binding).",
         "Accounts without a credential get certificates: external account binding is not required "
         "any more.",
         false);
    flag(old.possession, fresh.possession, "proof-of-possession-01 can prove names.",
         "proof-of-possession-01 proves nothing any more.", true);
  }

  // An address that certificates bear: `what` follows "Certificates".
  void place(const std::string& old, const std::string& fresh, const std::string& what,
             const std::string& key) {
    if (old == fresh) return;
    if (fresh.empty()) {
      wider("Certificates do not say any more where " + what + " (" + key + ").");
    } else if (old.empty()) {
      narrower("Certificates say where " + what + ": " + fresh + ".");
    } else {
      wider("Certificates name another place where " + what + ": " + fresh + ".");
    }
  }

  void compare_revocation() {
    place(before_.crl_url, after_.crl_url, "their revocation list is", "crl_url");
    place(before_.ocsp_url, after_.ocsp_url, "they can be asked about", "ocsp_url");
    place(before_.ca_issuers_url, after_.ca_issuers_url, "their issuer's certificate is",
          "ca_issuers_url");
    const auto was = before_.gate.crl_validity_ms, is = after_.gate.crl_validity_ms;
    if (was != 0 && is == 0) wider("No revocation lists are made any more.");
    if (was == 0 && is != 0) narrower("Revocation lists are made.");
    if (was != 0 && is != 0) span("A revocation list is good for", was, is);
    const auto &before = before_.gate, &after = after_.gate;
    flag(before.crl_delta, after.crl_delta, "Delta lists are made.",
         "No delta lists are made any more.", false);
    if (before.crl_shards != after.crl_shards)
      wider("Certificates name their revocation list among " + std::to_string(after.crl_shards) +
            "; until now among " + std::to_string(before.crl_shards) + ".");
    span("The long revocation list is good for", before.crl_long_validity_ms,
         after.crl_long_validity_ms);
  }

  void compare_control() {
    flag(before_.gate.policy_approval_required, after_.gate.policy_approval_required,
         "A policy must be approved by an operator before anything is issued under it.",
         "A policy counts without an operator's approval.", false);
    if (before_.gate.key_label != after_.gate.key_label)
      wider("Another key of the token signs: " + after_.gate.key_label + ".");
    if (before_.issuer_chain != after_.issuer_chain)
      wider("Another issuing certificate is configured: " + after_.issuer_chain + ".");
    const auto &old = before_.gate.operators, &fresh = after_.gate.operators;
    if (old && !fresh) return wider("Nobody's signature is needed for orders: no operators file.");
    if (!old && fresh) return narrower("Orders need an operator's signature.");
    if (!old) return;
    for (const auto& word : old->dual_control()) {
      if (!holds(fresh->dual_control(), word)) wider("One operator alone can order: " + word + ".");
    }
    for (const auto& word : fresh->dual_control()) {
      if (!holds(old->dual_control(), word))
        narrower("Two operators are needed for: " + word + ".");
    }
    for (const auto& one : fresh->all()) {
      const auto* same = old->find(one.jwk.thumbprint_text());
      if (same == nullptr) wider("A new operator's key: " + one.name + ".");
      if (same != nullptr)
        list(same->roles, one.roles, "Operator " + one.name + " has the role ",
             "Operator " + one.name + " has not any more the role ");
    }
    for (const auto& one : old->all()) {
      if (fresh->find(one.jwk.thumbprint_text()) == nullptr)
        narrower("The key of operator " + one.name + " counts no more.");
    }
  }

  void compare_tenants() {
    const auto pairs = [](const Tenants& tenants) {
      Names out;
      for (const auto& [name, delegates] : tenants) {
        out.push_back("at " + name + " by its own accounts");
        for (const auto& other : delegates)
          out.push_back("at " + name + " by accounts of " + other);
      }
      return out;
    };
    list(pairs(before_.gate.tenants), pairs(after_.gate.tenants), "Orders can be made ",
         "Orders cannot be made any more ");
  }

  void compare_profile(const Profile& old, const Profile& fresh) {
    const std::string in = "Profile " + fresh.name + ": ";
    span(in + "certificates live up to", old.lifetime_ms, fresh.lifetime_ms);
    list(method_names(old), method_names(fresh), in + "proved also by ",
         in + "not proved any more by ");
    Names was, is;
    for (const auto& oid : old.purposes) was.push_back(purpose_words(oid));
    for (const auto& oid : fresh.purposes) is.push_back(purpose_words(oid));
    list(was, is, in + "also for the purpose ", in + "not any more for the purpose ");
    flag(old.wildcard, fresh.wildcard, in + "wildcard names.", in + "no wildcard names any more.",
         true);
    flag(old.ip, fresh.ip, in + "addresses.", in + "no addresses any more.", true);
    for (const auto& hint : old.attestations) {
      if (!holds(fresh.attestations, hint))
        wider(in + "the attestation " + hint + " is not required any more.");
    }
    for (const auto& hint : fresh.attestations) {
      if (!holds(old.attestations, hint))
        narrower(in + "the attestation " + hint + " is required.");
    }
    if (old.device_names != fresh.device_names) {
      const std::string words =
          in + "which of the device's names stand in the certificate changes.";
      fresh.device_names == DeviceNames::kRequire ? narrower(words) : wider(words);
    }
    if (old.preference != fresh.preference)
      wider(in + "orders that name no profile may get another one (preference).");
    compare_star(in, old.star, fresh.star);
    compare_extras(in, old, fresh);
  }
  void compare_extras(const std::string& in, const Profile& old, const Profile& fresh) {
    if (old.subject != fresh.subject || old.common_name != fresh.common_name)
      wider(in + "the subject of certificates says something else.");
    static constexpr crypto::KeyKind kAll[] = {crypto::KeyKind::kEcP256, crypto::KeyKind::kEcP384,
                                               crypto::KeyKind::kEd25519, crypto::KeyKind::kRsa};
    const auto names = [](const Profile& profile) {
      return key_names(profile.keys.empty() ? std::vector(std::begin(kAll), std::end(kAll))
                                            : profile.keys);
    };
    list(names(old), names(fresh), in + "also for keys of the kind ",
         in + "not any more for keys of the kind ");
    // Shorter keys are more of them.
    number(in + "RSA keys have at least", -old.rsa_bits_min, -fresh.rsa_bits_min,
           std::to_string(old.rsa_bits_min) + " bits",
           std::to_string(fresh.rsa_bits_min) + " bits");
    if (old.backdate_ms || fresh.backdate_ms)
      span(in + "notBefore may lie back by", old.backdate_ms.value_or(before_.gate.backdate_ms),
           fresh.backdate_ms.value_or(after_.gate.backdate_ms));
    own_budget(in + "certificates of one account in an hour:", old.account_per_hour,
               fresh.account_per_hour);
    own_budget(in + "certificates in an hour:", old.overall_per_hour, fresh.overall_per_hour);
  }
  void own_budget(const std::string& what, const std::optional<std::int64_t>& old,
                  const std::optional<std::int64_t>& fresh) {
    const auto words = [](const std::optional<std::int64_t>& of) {
      return of ? std::to_string(*of) : std::string("the signer's own budget alone");
    };
    number(what, old.value_or(INT64_MAX), fresh.value_or(INT64_MAX), words(old), words(fresh));
  }
  void compare_star(const std::string& in, const std::optional<StarLimits>& old,
                    const std::optional<StarLimits>& fresh) {
    flag(old.has_value(), fresh.has_value(), in + "renewed automatically (STAR).",
         in + "no automatic renewal any more.", true);
    if (!old || !fresh) return;
    span(in + "a series of renewals lasts up to", old->duration_s_max * 1'000,
         fresh->duration_s_max * 1'000);
    // Shorter ones are more of them.
    number(in + "the shortest lifetime in a series is", -old->lifetime_s_min,
           -fresh->lifetime_s_min, time_words(old->lifetime_s_min * 1'000),
           time_words(fresh->lifetime_s_min * 1'000));
  }

  const PolicySettings& before_;
  const PolicySettings& after_;
  std::vector<PolicyChange> out_;
};

}  // namespace

std::vector<PolicyChange> compare_policies(const PolicySettings& before,
                                           const PolicySettings& after) {
  return Comparison(before, after).run();
}

}  // namespace keyward::issue
