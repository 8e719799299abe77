#include "apps/validation/settings.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"
#include "firmware/log/log.h"
#include "firmware/validate/issue_value.h"
#include "hal/base/file.h"

namespace keyward::validation {
namespace {

using validate::ValidatorOptions;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kGrantHoursMax = limits::kGrantLifetimeMsMax / kHourMs;
constexpr std::int64_t kSleepSecondsMax = 15;
constexpr std::size_t kListMax = 256;
constexpr std::size_t kPasswordBytesMax = 1'024;

[[noreturn]] void die(const char* what, const Error& error) {
  log::error(what, error);
  task::Task::exit(task::kExitConfig);
}

[[noreturn]] void die(const char* what, const char* why) {
  die(what, Error{ErrorKind::kBadInput, why, 0});
}

template <class T>
T take_or_die(const char* what, Result<T> result) {
  if (!result) die(what, result.error());
  return std::move(*result);
}

validate::EgressPolicy egress_from(const std::vector<std::string>& lines) {
  std::vector<validate::Prefix> allow;
  for (const auto& line : lines)
    allow.push_back(take_or_die("egress_allow", validate::Prefix::parse(line)));
  return validate::EgressPolicy(std::move(allow));
}

// Names of a CA as CAA and dns-persist-01 write them: lower-case A-labels, no dot at the end.
void check_issuer_names(const char* key, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const auto canonical = identifier::canonical(wire::IdentifierType::kDns, name, true);
    if (!canonical || canonical->value != name || identifier::is_wildcard(*canonical))
      die(key, "a name is not written as a lower-case domain name");
  }
}

void check_persist(const ValidatorOptions& options) {
  const auto& persist = options.persist;
  if (persist.issuer_names.empty()) {
    if (!persist.account_hash_prefix.empty())
      die("account_hash_prefix", "it is of no use without persist_issuer_names");
    return;
  }
  check_issuer_names("persist_issuer_names", persist.issuer_names);
  const auto& caa = options.caa_identities;
  for (const auto& name : persist.issuer_names) {
    if (!caa.empty() && std::find(caa.begin(), caa.end(), name) == caa.end())
      die("persist_issuer_names", "each of them must stand in caa_identities too");
  }
  const auto& prefix = persist.account_hash_prefix;
  const bool plain = std::all_of(prefix.begin(), prefix.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != ';' && c != '"' && c != '\\';
  });
  if (!plain || prefix.find(':') == std::string::npos || prefix.size() > limits::kUrlBytesMax)
    die("account_hash_prefix", "the beginning of a URI, without ';' and spaces");
}

void choose_methods(ValidatorOptions& options, bool given, const std::vector<std::string>& names) {
  const bool persist = !options.persist.issuer_names.empty();
  if (!given) {
    if (persist) options.methods.insert(wire::ValidationMethod::kDnsPersist01);
    return;
  }
  options.methods.clear();
  for (const auto& name : names) {
    const auto method = validate::method_from(name);
    if (!method) die("methods", "a method that is not known");
    if (*method == wire::ValidationMethod::kDnsPersist01 && !persist)
      die("methods", "dns-persist-01 needs persist_issuer_names and account_hash_prefix");
    options.methods.insert(*method);
  }
}

void read_mail(config::Section& config, validate::MailOptions& mail, std::string& password_file) {
  mail.url = config.string_or("smtp_url", "");
  mail.from = config.string_or("smtp_from", "");
  mail.user = config.string_or("smtp_user", "");
  mail.ca_file = config.string_or("smtp_ca_file", "");
  mail.plaintext = config.boolean_or("smtp_plaintext", false);
  password_file = config.string_or("smtp_password_file", "");
}

void finish_mail(validate::MailOptions& mail, const std::string& password_file) {
  if (!password_file.empty()) {
    mail.password =
        take_or_die("smtp_password_file", read_text_file(password_file, kPasswordBytesMax));
    while (!mail.password.empty() && (mail.password.back() == '\n' || mail.password.back() == '\r'))
      mail.password.pop_back();
  }
  if (const auto status = validate::check_mail_options(mail); !status) die("smtp", status.error());
}

// [validation.verifiers.<name>]: those that evidence may be relayed to.
void read_verifiers(config::Section section, bool simulator, validate::RelayOptions& out) {
  const auto names = section.keys();
  if (names.size() > limits::kVerifiersMax) die("verifiers", "there are too many of them");
  for (const auto& name : names) {
    auto table = section.table(name);
    validate::VerifierOptions verifier;
    verifier.url = table.string("url");
    verifier.ca_file = table.string_or("ca_file", "");
    verifier.media_types = table.strings_or_empty("media_types", limits::kVerifierMediaTypesMax);
    verifier.total_ms = table.integer_or("deadline_s", 1, limits::kVerifierRelayMs / 1'000,
                                         limits::kVerifierRelayMs / 1'000) *
                        1'000;
    if (name.empty() || name.size() > limits::kProfileNameBytesMax)
      die("verifiers", "a name of 1 to 64 characters");
    if (const auto status = validate::check_verifier_options(verifier, simulator); !status)
      die(("verifiers." + name).c_str(), status.error());
    out.verifiers.emplace(name, std::move(verifier));
  }
}

// What only a simulator may do; the installation says that it is one.
void read_simulator(config::Section& config, bool simulator, ValidatorOptions& options) {
  options.always_valid = config.boolean_or("always_valid", false);
  options.sleep_ms_max = config.integer_or("sleep_s_max", 0, kSleepSecondsMax, 0) * 1'000;
  if (!simulator && (options.always_valid || options.sleep_ms_max > 0))
    die("always_valid, sleep_s_max",
        "these are for simulators alone ([appliance] simulator = true)");
}

}  // namespace

Settings read_settings_or_die(task::Task& task) {
  auto config = task.config();
  Settings out;
  auto& options = out.validator;
  options.http01.port = static_cast<std::uint16_t>(config.integer_or("http_port", 1, 65'535, 80));
  options.http01.total_ms = config.integer_or("http_total_ms", 100, 60'000, limits::kHttp01TotalMs);
  options.tls_alpn01.port =
      static_cast<std::uint16_t>(config.integer_or("tls_port", 1, 65'535, 443));
  options.tls_alpn01.total_ms =
      config.integer_or("tls_total_ms", 100, 60'000, limits::kTlsAlpn01TotalMs);
  options.dns_total_ms = config.integer_or("dns_total_ms", 100, 60'000, limits::kDnsLookMs);
  options.grant_lifetime_ms =
      config.integer_or("grant_lifetime_h", 1, kGrantHoursMax, 24) * kHourMs;
  options.caa_identities = config.strings_or_empty("caa_identities", limits::kIssuerNamesMax);
  options.persist.issuer_names =
      config.strings_or_empty("persist_issuer_names", limits::kIssuerNamesMax);
  options.persist.account_hash_prefix = config.string_or("account_hash_prefix", "");
  const bool methods_given = config.has("methods");
  const auto methods = config.strings_or_empty("methods", kListMax);
  const auto hosts = config.strings_or_empty("resolver.hosts", kListMax);
  out.resolver.forward = config.strings_or_empty("resolver.forward", 8);
  out.resolver.trust_anchor = config.string_or("resolver.trust_anchor", "");
  const auto egress_allow = config.strings_or_empty("egress_allow", kListMax);
  out.fetch.hosts = config.strings_or_empty("fetch_hosts", kListMax);
  out.fetch.ca_file = config.string_or("fetch_ca_file", "");
  out.fetch.allow_http = config.boolean_or("fetch_allow_http", false);
  out.fetch.total_ms = config.integer_or("fetch_total_ms", 100, 60'000, limits::kUrlFetchMs);
  std::string password_file;
  read_mail(config, out.mail, password_file);
  const auto names = config.strings_or_empty("appliance.names", 16);
  const bool simulator = config.boolean_or("appliance.simulator", false);
  read_simulator(config, simulator, options);
  read_verifiers(config.table("verifiers"), simulator, out.relay);
  out.state_dir = task.state_dir();
  (void)config.table("appliance").text();  // the rest of it is for others
  task.finish_config_or_die();

  options.http01.egress = egress_from(egress_allow);
  options.tls_alpn01.egress = options.http01.egress;
  out.fetch.egress = options.http01.egress;
  out.relay.egress = options.http01.egress;
  for (auto& host : out.fetch.hosts) host = validate::ascii_lower(host);
  options.appliance_names = take_or_die("appliance.names", validate::parse_appliance_names(names));
  out.resolver.hosts = take_or_die("resolver.hosts", validate::parse_hosts(hosts));
  check_issuer_names("caa_identities", options.caa_identities);
  check_persist(options);
  choose_methods(options, methods_given, methods);
  finish_mail(out.mail, password_file);
  return out;
}

}  // namespace keyward::validation
