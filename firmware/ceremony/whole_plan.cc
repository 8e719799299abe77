// Owns the reading of a whole ceremony's plan and everything that can be wrong with it. Must not know
// tokens or certificates.
#include "firmware/ceremony/whole_plan.h"

#include <algorithm>
#include <set>

#include "firmware/ceremony/plan_reader.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/operate/operators.h"
#include "firmware/shares/shares.h"

namespace keyward::ceremony {
namespace {

constexpr std::size_t kProfilesMax = 64;
constexpr std::size_t kRevokedMax = 256;  // CAs and signers of one root
constexpr std::size_t kTextBytesMax = 128;

using Problems = std::vector<std::string>;

// Part of file names.
bool is_slug(const std::string& text) {
  return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// Shown to people, printed on paper, written into JSON and TOML.
bool is_plain(const std::string& text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max && std::ranges::all_of(text, [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
}

std::string numbered(const char* what, std::size_t index, const std::string& name) {
  return std::string("[[") + what + "]] number " + std::to_string(index + 1) +
         (name.empty() ? "" : " ('" + name + "')") + ":";
}

template <class T>
void names_once(const std::vector<T>& list, const char* what, Problems& problems) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto where = numbered(what, i, list[i].name);
    if (!is_slug(list[i].name))
      problems.push_back(where + " name must have 1 to 32 of a-z, 0-9 and -");
    if (!seen.insert(list[i].name).second) problems.push_back(where + " name stands twice");
  }
}

TokenPlan read_token(config::Section section, std::size_t index, Problems& problems) {
  TokenPlan out;
  out.name = section.string("name");
  const auto where = numbered("tokens", index, out.name);
  out.board = section.string("board");
  out.label = section.string("label");
  out.folder = section.string_or("folder", "tokens/" + out.name);
  out.initialize = section.boolean_or("initialize", false);
  out.pin_file = section.string_or("pin_file", "");
  out.so_pin_file = section.string_or("so_pin_file", "");
  const auto pin = section.string("pin");
  if (pin == "made-up")
    out.pin = PinSource::kMadeUp;
  else if (pin == "file")
    out.pin = PinSource::kFile;
  else if (pin != "prompt")
    problems.push_back(where + " pin must be \"made-up\", \"prompt\" or \"file\"");
  if (out.label.empty() || out.label.size() > 32)
    problems.push_back(where + " label must have 1 to 32 characters (PKCS#11)");
  if ((out.pin == PinSource::kFile) == out.pin_file.empty())
    problems.push_back(where + " pin_file belongs to pin = \"file\", and must be there then");
  if (out.pin == PinSource::kMadeUp && !out.initialize)
    problems.push_back(where +
                       " pin = \"made-up\" needs initialize = true: a token that is there has one");
  if (!out.initialize && !out.so_pin_file.empty())
    problems.push_back(where + " so_pin_file serves initialize = true alone");
  return out;
}

IssuingPlan read_issuing(config::Section section, std::size_t index, const WholePlan& plan,
                         Problems& problems) {
  IssuingPlan out;
  out.name = section.string("name");
  const auto where = numbered("issuing", index, out.name);
  if (plan.root_external)
    out.certified = section.string_or("certified", "issuing-" + out.name + ".pem");
  out.token = section.string("token");
  out.ca = read_ca(section, where, problems);
  out.profiles = section.strings_or_empty("profiles", kProfilesMax);
  out.crl_days = section.integer_or("crl_days", 0, 3'650, 7);
  check_issuing(out.ca, plan.root, where, problems);
  if (out.profiles.empty())
    problems.push_back(where + " profiles is missing: name what this CA issues");
  for (const auto& profile : out.profiles) {
    if (!is_slug(profile)) problems.push_back(where + " profiles: '" + profile + "' is no name");
  }
  return out;
}

OcspPlan read_ocsp(config::Section section, std::size_t index, Problems& problems) {
  OcspPlan out;
  out.issuing = section.string("issuing");
  const auto where = numbered("ocsp", index, out.issuing);
  out.key_label = section.string("key_label");
  out.algorithm = read_algorithm(section.string_or("algorithm", "ecdsa-p256"), where, problems);
  out.common_name = section.string("common_name");
  out.lifetime_days = section.integer("lifetime_days", 1, kLifetimeDaysMax);
  if (!is_plain(out.common_name, 64))
    problems.push_back(where + " common_name must have 1 to 64 characters");
  if (out.key_label.empty() || out.key_label.size() > 64)
    problems.push_back(where + " key_label must have 1 to 64 characters");
  return out;
}

CrossPlan read_cross(config::Section section, std::size_t index, Problems& problems) {
  CrossPlan out;
  out.name = section.string("name");
  const auto where = numbered("cross", index, out.name);
  out.issuing = section.string("issuing");
  out.token = section.string("token");
  out.key_label = section.string("key_label");
  out.certificate = section.string("certificate");
  out.lifetime_days = section.integer("lifetime_days", 1, kLifetimeDaysMax);
  if (out.key_label.empty() || out.key_label.size() > 64)
    problems.push_back(where + " key_label must have 1 to 64 characters");
  return out;
}

OperatorPlan read_operator(config::Section section, std::size_t index, Problems& problems) {
  OperatorPlan out;
  out.name = section.string("name");
  out.public_key = section.string("public_key");
  out.roles = section.strings_or_empty("roles", 16);
  const auto where = numbered("operators", index, out.name);
  if (!is_plain(out.name, limits::kOperatorNameBytesMax))
    problems.push_back(where + " name must have 1 to 64 plain characters");
  if (out.roles.empty()) problems.push_back(where + " roles is missing: he could order nothing");
  for (const auto& role : out.roles) {
    if (std::ranges::find(operate::kRoles, role) == std::end(operate::kRoles))
      problems.push_back(where + " role '" + role +
                         "' is not known (revoke, policy, eab, account, ca, backup, audit)");
  }
  return out;
}

constexpr std::pair<std::string_view, std::uint8_t> kReasons[] = {{"unspecified", 0},
                                                                  {"key-compromise", 1},
                                                                  {"ca-compromise", 2},
                                                                  {"superseded", 4},
                                                                  {"cessation-of-operation", 5}};

RevokedPlan read_revoked(config::Section section, std::size_t index, Problems& problems) {
  RevokedPlan out;
  const auto text = section.string("serial");
  const auto where = numbered("revoked", index, text);
  const auto serial = hex_decode(text);
  if (!serial || serial->empty() || serial->size() > 20)
    problems.push_back(where + " serial must be 1 to 20 octets, hexadecimal");
  else
    out.serial = *serial;
  const auto at = utc_from_text(section.string("at"));
  if (!at) problems.push_back(where + " at must be a time such as \"2031-05-01T12:00:00Z\"");
  out.at_ms = at.value_or(0);
  const auto reason = section.string_or("reason", "unspecified");
  const auto known = std::ranges::find(kReasons, std::string_view(reason),
                                       &std::pair<std::string_view, std::uint8_t>::first);
  if (known == std::end(kReasons))
    problems.push_back(where +
                       " reason must be unspecified, key-compromise, ca-compromise, "
                       "superseded or cessation-of-operation");
  else
    out.reason = known->second;
  return out;
}

CustodiansPlan read_custodians(config::Section section, Problems& problems) {
  CustodiansPlan out;
  out.names = section.strings_or_empty("names", shares::kSharesMax);
  out.pins = section.strings_or_empty("recover_pins", kTokensMax);
  out.backup = section.boolean_or("backup_key", false);
  if (section.has("threshold"))
    out.threshold = section.integer("threshold", static_cast<std::int64_t>(shares::kThresholdMin),
                                    static_cast<std::int64_t>(shares::kSharesMax));
  const std::set<std::string> once(out.names.begin(), out.names.end());
  if (once.size() != out.names.size())
    problems.emplace_back("[custodians] names: one stands twice, and would hold two shares");
  for (const auto& name : out.names) {
    if (!is_plain(name, 64))
      problems.emplace_back("[custodians] names must have 1 to 64 plain characters");
  }
  const bool any = out.backup || !out.pins.empty();
  if (out.names.empty() && any)
    problems.emplace_back("[custodians] names is missing: nobody would hold the shares");
  if (!out.names.empty() && !any)
    problems.emplace_back(
        "[custodians] nothing to hold: set recover_pins = [\"<token>\"] or backup_key = true");
  if (!out.names.empty() && out.threshold == 0)
    problems.emplace_back("[custodians] threshold is missing: how many must come together");
  if (!out.names.empty() && out.threshold > static_cast<std::int64_t>(out.names.size()))
    problems.emplace_back("[custodians] threshold is more than there are names");
  return out;
}

void read_audit(config::Section section, WholePlan& plan, Problems& problems) {
  plan.audit_token = section.string("token");
  plan.audit_certificate = section.string_or("certificate", "");
  if (plan.root_external) plan.audit_certified = section.string_or("certified", "audit.pem");
  plan.audit.key_label = section.string("key_label");
  plan.audit.common_name = section.string_or("common_name", "Keyward Ledger");
  plan.audit.lifetime_days =
      section.integer_or("lifetime_days", 1, kLifetimeDaysMax, plan.root.lifetime_days);
  plan.audit_algorithm =
      read_algorithm(section.string_or("algorithm", "ecdsa-p256"), "[audit]", problems);
  if (plan.audit.key_label.empty() || plan.audit.key_label.size() > 64)
    problems.emplace_back(
        "[audit] key_label must have 1 to 64 characters: it signs the transcript and the ledger");
  if (!is_plain(plan.audit.common_name, 64))
    problems.emplace_back("[audit] common_name must have 1 to 64 characters (RFC 5280 A.1)");
}

// What is asked of a root: its own CA keys, or, elsewhere, no more than its certificate.
void read_root(config::Section section, WholePlan& plan, Problems& problems) {
  plan.root_external = section.boolean_or("external", false);
  plan.root_certificate = section.string_or("certificate", "");
  if (plan.root_external) {
    plan.root.organization = section.string_or("organization", "");
    plan.root.country = section.string_or("country", "");
    plan.root.lifetime_days = kLifetimeDaysMax;  // its certificate says when it ends
    check_subject(plan.root, "[root]", problems);
    if (plan.root_certificate.empty())
      problems.emplace_back("[root] certificate is missing: that of the CA that will certify");
    return;
  }
  plan.root_token = section.string("token");
  plan.root = read_ca(section, "[root]", problems);
  plan.root_crl_number =
      static_cast<std::uint64_t>(section.integer_or("crl_number", 1, 1'000'000'000, 1));
  plan.root_crl_days = section.integer_or("crl_days", 0, 3'650, 400);
  plan.root_crl_url = section.string_or("crl_url", "");
  if (!plan.root_crl_url.empty() && !plan.root_crl_url.starts_with("http://"))
    problems.emplace_back("[root] crl_url must begin with http:// (RFC 5280 §4.2.1.13)");
}

void read_evidence(config::Section section, WholePlan& plan, Problems& problems) {
  plan.evidence_key_label = section.string_or("key_label", "");
  plan.evidence_token = section.string_or("token", "");
  if (plan.evidence_key_label.size() > 64)
    problems.emplace_back("[evidence] key_label has more than 64 characters");
  if (plan.evidence_key_label.empty() != plan.evidence_token.empty())
    problems.emplace_back("[evidence] token and key_label go together");
}

void read_unit(config::Section root, WholePlan& plan, Problems& problems) {
  if (root.integer("format", 1, 1) != 1) return;
  plan.unit = root.string("unit.id");
  if (!is_plain(plan.unit, 64))
    problems.emplace_back("[unit] id must have 1 to 64 plain characters");
  plan.title = root.string_or("ceremony.title", "Key ceremony of " + plan.unit);
  plan.present = root.table("ceremony").strings_or_empty("present", kPersonsMax);
  if (!is_plain(plan.title, kTextBytesMax))
    problems.emplace_back("[ceremony] title must have 1 to 128 plain characters");
  for (const auto& name : plan.present) {
    if (!is_plain(name, kTextBytesMax))
      problems.emplace_back("[ceremony] present must hold names of plain characters");
  }
}

template <class T, class Read>
void read_all(config::Section& root, const char* key, std::size_t count_max, std::vector<T>& out,
              Problems& problems, const Read& read) {
  const auto sections = root.tables(key);
  if (sections.size() > count_max)
    problems.push_back(std::string("[[") + key + "]] stands more than " +
                       std::to_string(count_max) + " times");
  for (std::size_t i = 0; i < std::min(sections.size(), count_max); ++i)
    out.push_back(read(sections[i], i));
}

// ---- what must fit together

void check_tokens(const WholePlan& plan, Problems& problems) {
  const auto known = [&](const std::string& token, const std::string& where) {
    if (plan.token(token) == nullptr)
      problems.push_back(where + " token '" + token + "' is none of [[tokens]]");
  };
  std::set<std::string> places;
  for (std::size_t i = 0; i < plan.tokens.size(); ++i) {
    const auto& token = plan.tokens[i];
    if (!places.insert(token.board + "\n" + token.folder + "\n" + token.label).second)
      problems.push_back(numbered("tokens", i, token.name) + " is the same token as one before it");
  }
  if (!plan.root_external) known(plan.root_token, "[root]");
  known(plan.audit_token, "[audit]");
  if (!plan.evidence_token.empty()) known(plan.evidence_token, "[evidence]");
  for (std::size_t i = 0; i < plan.issuing.size(); ++i) {
    const auto where = numbered("issuing", i, plan.issuing[i].name);
    known(plan.issuing[i].token, where);
    if (plan.issuing[i].token == plan.root_token)
      problems.push_back(where + " token is the root's: the root would be in the unit");
  }
  if (plan.audit_token == plan.root_token)
    problems.emplace_back("[audit] token is the root's: the root would be in the unit");
  for (std::size_t i = 0; i < plan.cross.size(); ++i)
    known(plan.cross[i].token, numbered("cross", i, plan.cross[i].name));
  for (const auto& name : plan.custodians.pins) known(name, "[custodians] recover_pins:");
}

// A key has one use; and a label names one key of its token.
void check_labels(const WholePlan& plan, Problems& problems) {
  std::set<std::string> seen;
  const auto take = [&](const std::string& token, const std::string& label,
                        const std::string& where) {
    if (!label.empty() && !seen.insert(token + "\n" + label).second)
      problems.push_back(where + " key_label '" + label +
                         "' is another key's of the same token: a key has one use");
  };
  take(plan.root_token, plan.root.key_label, "[root]");
  for (std::size_t i = 0; i < plan.issuing.size(); ++i)
    take(plan.issuing[i].token, plan.issuing[i].ca.key_label,
         numbered("issuing", i, plan.issuing[i].name));
  take(plan.audit_token, plan.audit.key_label, "[audit]");
  take(plan.evidence_token, plan.evidence_key_label, "[evidence]");
  for (std::size_t i = 0; i < plan.ocsp.size(); ++i) {
    if (const auto* ca = plan.issuing_named(plan.ocsp[i].issuing))
      take(ca->token, plan.ocsp[i].key_label, numbered("ocsp", i, plan.ocsp[i].issuing));
  }
}

void check_references(const WholePlan& plan, Problems& problems) {
  std::set<std::string> names{plan.root.common_name}, answered;
  for (std::size_t i = 0; i < plan.issuing.size(); ++i) {
    if (!names.insert(plan.issuing[i].ca.common_name).second)
      problems.push_back(numbered("issuing", i, plan.issuing[i].name) +
                         " common_name is another CA's: CAs need different names");
  }
  for (std::size_t i = 0; i < plan.ocsp.size(); ++i) {
    const auto where = numbered("ocsp", i, plan.ocsp[i].issuing);
    const auto* ca = plan.issuing_named(plan.ocsp[i].issuing);
    if (ca == nullptr)
      problems.push_back(where + " issuing is none of [[issuing]]");
    else if (plan.ocsp[i].lifetime_days > ca->ca.lifetime_days)
      problems.push_back(where + " must not outlive its CA");
    if (!answered.insert(plan.ocsp[i].issuing).second)
      problems.push_back(where + " this CA has a responder already");
  }
  for (std::size_t i = 0; i < plan.cross.size(); ++i) {
    const auto where = numbered("cross", i, plan.cross[i].name);
    if (plan.issuing_named(plan.cross[i].issuing) == nullptr)
      problems.push_back(where + " issuing is none of [[issuing]]");
    if (!plan.root_external && plan.cross[i].token == plan.root_token &&
        plan.cross[i].key_label == plan.root.key_label)
      problems.push_back(where + " is certified by this ceremony's own root: nothing is crossed");
  }
}

void check_operators(const WholePlan& plan, Problems& problems) {
  std::set<std::string> names, keys;
  for (std::size_t i = 0; i < plan.operators.size(); ++i) {
    const auto where = numbered("operators", i, plan.operators[i].name);
    if (!names.insert(plan.operators[i].name).second)
      problems.push_back(where + " name stands twice");
    if (!keys.insert(plan.operators[i].public_key).second)
      problems.push_back(where + " public_key is another operator's");
  }
  for (const auto& word : plan.dual_control) {
    if (!is_slug(word)) {
      problems.push_back("[dual_control] orders: '" + word + "' is neither a role nor an order");
      continue;
    }
    if (std::ranges::find(operate::kRoles, word) == std::end(operate::kRoles)) continue;
    const auto holders = std::ranges::count_if(plan.operators, [&](const OperatorPlan& one) {
      return std::ranges::find(one.roles, word) != one.roles.end();
    });
    if (holders < 2)
      problems.push_back("[dual_control] orders: '" + word +
                         "' needs two operators, and fewer have that role");
  }
  if (plan.operators.empty() && !plan.dual_control.empty())
    problems.emplace_back("[dual_control] without [[operators]] compares nothing");
}

// Without a key of its own in the room a ceremony can only ask.
void check_external(const WholePlan& plan, Problems& problems) {
  if (plan.issuing.empty())
    problems.emplace_back("[[issuing]] is missing: there must be one at least");
  if (!plan.revoked.empty())
    problems.emplace_back("[[revoked]]: the CA elsewhere signs its own lists");
  if (!plan.audit_certificate.empty())
    problems.emplace_back(
        "[audit] certificate: with a CA elsewhere the signer's key is made here; 'certified' says "
        "where its certificate will be");
  std::set<std::string> files{plan.root_certificate};
  const auto take = [&](const std::string& where, const std::string& file) {
    if (file.empty() || !files.insert(file).second)
      problems.push_back(where + " certified must name a file of its own");
  };
  for (std::size_t i = 0; i < plan.issuing.size(); ++i)
    take(numbered("issuing", i, plan.issuing[i].name), plan.issuing[i].certified);
  take("[audit]", plan.audit_certified);
}

// A root that exists is taken as it is; then there need be no new CA, only a list.
void check_existing(const WholePlan& plan, Problems& problems) {
  if (plan.root_external) return check_external(plan, problems);
  const bool existing = !plan.root_certificate.empty();
  if (plan.issuing.empty() && !existing)
    problems.emplace_back("[[issuing]] is missing: there must be one at least");
  if (plan.issuing.empty() && existing && plan.root_crl_days == 0)
    problems.emplace_back("[root] crl_days: with neither a list nor [[issuing]] nothing is made");
  const auto* token = plan.token(plan.root_token);
  if (existing && token != nullptr && token->initialize)
    problems.emplace_back(
        "[root] certificate: the token of a root that exists is not set up again");
  if (existing && plan.root_crl_days != 0 && plan.root_crl_number < 2)
    problems.emplace_back(
        "[root] crl_number is missing: one more than that of the root's last list");
  if (!existing && plan.root_crl_number != 1)
    problems.emplace_back("[root] crl_number belongs to a root that exists (certificate)");
  if (!existing && !plan.audit_certificate.empty())
    problems.emplace_back("[audit] certificate: a new root has certified no signer yet");
  if (!plan.revoked.empty() && (!existing || plan.root_crl_days == 0))
    problems.emplace_back("[[revoked]] needs a list of a root that exists");
}

void check_recovery(const WholePlan& plan, Problems& problems) {
  for (const auto& name : plan.custodians.pins) {
    if (name == plan.root_token)
      problems.emplace_back(
          "[custodians] recover_pins names the root's token: its PIN belongs into a safe, not into "
          "a file of the unit");
  }
}

void warn(const WholePlan& plan, std::vector<std::string>& out) {
  for (const auto& one : plan.issuing) {
    const auto where = "issuing CA '" + one.name + "' ";
    if (one.ca.permitted_dns.empty() && one.ca.permitted_ip.empty())
      out.push_back(where + "has no name constraints: it can vouch for every name there is");
    else if (one.ca.permitted_dns.empty())
      out.push_back(where + "has no permitted_dns: it can vouch for every DNS name");
    else if (one.ca.permitted_ip.empty())
      out.push_back(where + "has no permitted_ip: its constraints say nothing about addresses");
    if (one.crl_days == 0) out.push_back(where + "gets no first revocation list");
  }
  if (plan.root_crl_days == 0 && !plan.root_external)
    out.emplace_back("the root gets no revocation list");
  if (plan.operators.empty())
    out.emplace_back("there are no operators: nobody can order anything at this unit");
  else if (plan.dual_control.empty())
    out.emplace_back("no order needs two operators: one stolen key is enough for each");
  const auto& custodians = plan.custodians;
  if (custodians.names.empty())
    out.emplace_back("there are no custodians: a lost PIN is lost, backups have no key");
  else if (custodians.threshold == static_cast<std::int64_t>(custodians.names.size()))
    out.emplace_back("all custodians are needed: one lost share loses what they hold");
  if (plan.present.empty()) out.emplace_back("nobody is named as present");
  for (const auto& token : plan.tokens) {
    if (token.pin == PinSource::kMadeUp)
      out.push_back("the PIN of token '" + token.name +
                    "' will lie in handover/: carry it away before the folder leaves the room");
  }
}

void check(WholePlanResult& out, Problems& own) {
  const WholePlan& plan = out.plan;
  names_once(plan.tokens, "tokens", own);
  names_once(plan.issuing, "issuing", own);
  names_once(plan.cross, "cross", own);
  if (plan.tokens.empty()) own.emplace_back("[[tokens]] is missing: no key could be made anywhere");
  check_root(plan.root, "[root]", own);
  check_tokens(plan, own);
  check_labels(plan, own);
  check_references(plan, own);
  check_operators(plan, own);
  check_recovery(plan, own);
  check_existing(plan, own);
}

}  // namespace

const TokenPlan* WholePlan::token(std::string_view name) const {
  const auto at = std::ranges::find(tokens, name, &TokenPlan::name);
  return at == tokens.end() ? nullptr : &*at;
}

const IssuingPlan* WholePlan::issuing_named(std::string_view name) const {
  const auto at = std::ranges::find(issuing, name, &IssuingPlan::name);
  return at == issuing.end() ? nullptr : &*at;
}

WholePlanResult parse_whole_plan(std::string_view toml, const std::string& name) {
  auto document = config::Document::parse(toml, name);
  WholePlanResult out;
  Problems own;
  WholePlan& plan = out.plan;
  auto root = document.root();
  read_unit(root, plan, own);
  read_all(root, "tokens", kTokensMax, plan.tokens, own,
           [&](auto section, auto i) { return read_token(section, i, own); });
  read_root(root.table("root"), plan, own);
  read_all(root, "issuing", kIssuingMax, plan.issuing, own,
           [&](auto section, auto i) { return read_issuing(section, i, plan, own); });
  read_all(root, "ocsp", kIssuingMax, plan.ocsp, own,
           [&](auto section, auto i) { return read_ocsp(section, i, own); });
  read_all(root, "cross", kIssuingMax, plan.cross, own,
           [&](auto section, auto i) { return read_cross(section, i, own); });
  read_all(root, "revoked", kRevokedMax, plan.revoked, own,
           [&](auto section, auto i) { return read_revoked(section, i, own); });
  read_audit(root.table("audit"), plan, own);
  read_evidence(root.table("evidence"), plan, own);
  read_all(root, "operators", kPersonsMax, plan.operators, own,
           [&](auto section, auto i) { return read_operator(section, i, own); });
  plan.dual_control = root.table("dual_control").strings_or_empty("orders", 32);
  plan.custodians = read_custodians(root.table("custodians"), own);
  check(out, own);
  out.problems = document.finish();
  for (const auto& problem : own) out.problems.push_back(name + ": " + problem);
  warn(plan, out.warnings);
  return out;
}

}  // namespace keyward::ceremony
