// Owns chain building and RFC 5280 §6's path rules. Must not know where anchors come from.
#include <algorithm>

#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"
#include "firmware/x509/names.h"
#include "firmware/x509/oids.h"
#include "firmware/x509/tbs.h"
#include "hal/base/limits.h"

namespace keyward::x509 {
namespace {

tl::unexpected<Error> refused(const char* what) { return fail(ErrorKind::kRefused, what); }

Status check_validity(const Certificate& certificate, std::int64_t at_utc_ms) {
  if (at_utc_ms < certificate.not_before_ms) return refused("certificate not yet valid");
  // notAfter is the last second of validity, all of it.
  if (at_utc_ms > certificate.not_after_ms + 999) return refused("certificate expired");
  return {};
}

// GeneralSubtrees, each of a dns name.
bool is_dns_alone(DerReader subtrees) {
  while (!subtrees.at_end()) {
    auto subtree = subtrees.sequence();
    if (!subtree || !subtree->element(tag::context(2))) return false;
  }
  return true;
}

// RFC 5280 §4.2.1.10: of a form of name that a certificate does not hold, constraints say nothing.
// Only constraints of dns names are read here, and only found to say nothing: all else is refused
// where it is critical, unless the caller handles it.
bool constrains_dns_alone(const Certificate& issuer) {
  const auto* extension = issuer.extension(oids::kNameConstraints);
  if (extension == nullptr) return false;
  DerReader in(extension->value);
  auto sequence = in.sequence();
  if (!sequence || !in.at_end() || sequence->at_end()) return false;
  while (!sequence->at_end()) {
    const auto part = sequence->any();
    const bool known = part && (part->tag == tag::context_constructed(0) ||
                                part->tag == tag::context_constructed(1));
    if (!known || !is_dns_alone(DerReader(part->content))) return false;
  }
  return true;
}

bool holds_no_dns_name(const Certificate& certificate) {
  const auto* extension = certificate.extension(oids::kSubjectAltName);
  if (extension == nullptr) return true;
  const auto names = read_general_names(extension->value);
  return names && names->dns_names.empty();
}

Status check_critical(const Certificate& certificate, const ChainOptions& options,
                      bool constraints_say_nothing = false) {
  static constexpr std::string_view kHandled[] = {oids::kBasicConstraints, oids::kKeyUsage,
                                                  oids::kExtendedKeyUsage, oids::kSubjectAltName,
                                                  oids::kCertificatePolicies};
  for (const auto& extension : certificate.extensions) {
    if (!extension.critical) continue;
    const bool handled = std::ranges::find(kHandled, extension.oid) != std::end(kHandled) ||
                         std::ranges::find(options.handled_critical_oids, extension.oid) !=
                             options.handled_critical_oids.end() ||
                         (constraints_say_nothing && extension.oid == oids::kNameConstraints);
    if (!handled) return refused("unhandled critical extension");
  }
  return {};
}

// RFC 5280 §6.1.4 (k)-(n). `certificates_below` counts the intermediates between it and the leaf
// that are not self-issued.
Status check_issuer(const Certificate& issuer, std::uint64_t certificates_below, bool is_anchor) {
  const auto constraints = read_basic_constraints(issuer);
  // Roots before v3 cannot say that they are CAs; being an anchor says it for them.
  const bool old_anchor = is_anchor && issuer.version < 3;
  if (!old_anchor && (!constraints || !constraints->ca)) return refused("issuer is not a CA");
  if (issuer.key_usage(kKeyCertSign) == false) return refused("issuer is not a CA");
  if (constraints && constraints->path_length && certificates_below > *constraints->path_length) {
    return refused("path too long");
  }
  return {};
}

class ChainBuilder {
 public:
  ChainBuilder(const std::vector<Certificate>& intermediates,
               const std::vector<Certificate>& anchors, const ChainOptions& options)
      : intermediates_(intermediates),
        anchors_(anchors),
        options_(options),
        used_(intermediates.size()) {}

  Status run(const Certificate& leaf) {
    leaf_ = &leaf;
    // A pinned end certificate: only the very same octets, since nobody signs them for us here.
    const bool pinned =
        std::ranges::any_of(anchors_, [&](const auto& a) { return a.der == leaf.der; });
    KEYWARD_CHECK(check_validity(leaf, options_.at_utc_ms));
    KEYWARD_CHECK(check_critical(leaf, options_));
    if (pinned || climb(leaf, 0)) return {};
    return refused(problem_);
  }

 private:
  // Looks for a way up from `child`; anchors first.
  bool climb(const Certificate& child, std::uint64_t certificates_below) {
    for (const auto& anchor : anchors_) {
      if (is_issuer(child, anchor, certificates_below, true)) return true;
    }
    for (std::size_t i = 0; i < intermediates_.size(); ++i) {
      const auto& candidate = intermediates_[i];
      if (used_[i] || !is_issuer(child, candidate, certificates_below, false)) continue;
      used_[i] = true;
      const bool self_issued = candidate.subject_der == candidate.issuer_der;
      if (climb(candidate, certificates_below + (self_issued ? 0 : 1))) return true;
      used_[i] = false;
    }
    return false;
  }

  bool is_issuer(const Certificate& child, const Certificate& issuer,
                 std::uint64_t certificates_below, bool is_anchor) {
    // An empty name names nobody (RFC 5280 §4.1.2.4), so it must not connect two certificates.
    if (issuer.subject_is_empty || issuer.subject_der != child.issuer_der || !issuer.key)
      return false;
    if (auto status = check_candidate(child, issuer, certificates_below, is_anchor); !status) {
      problem_ = status.error().what;
      return false;
    }
    return true;
  }

  Status check_candidate(const Certificate& child, const Certificate& issuer,
                         std::uint64_t certificates_below, bool is_anchor) {
    if (++signatures_ > limits::kChainSignaturesMax) return refused("no path to a trust anchor");
    if (!verify_signed_by(child, *issuer.key)) return refused("bad signature in chain");
    KEYWARD_CHECK(check_issuer(issuer, certificates_below, is_anchor));
    KEYWARD_CHECK(check_validity(issuer, options_.at_utc_ms));
    const bool no_dns_name = holds_no_dns_name(*leaf_) && holds_no_dns_name(child);
    return check_critical(issuer, options_, no_dns_name && constrains_dns_alone(issuer));
  }

  const std::vector<Certificate>& intermediates_;
  const std::vector<Certificate>& anchors_;
  const ChainOptions& options_;
  const Certificate* leaf_ = nullptr;
  std::vector<bool> used_;
  int signatures_ = 0;
  const char* problem_ = "no path to a trust anchor";
};

}  // namespace

Status verify_chain(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                    const std::vector<Certificate>& anchors, const ChainOptions& options) {
  if (intermediates.size() > limits::kChainCertificatesMax)
    return refused("too many certificates in chain");
  return ChainBuilder(intermediates, anchors, options).run(leaf);
}

}  // namespace keyward::x509
