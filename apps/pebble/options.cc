#include "apps/pebble/options.h"

#include <charconv>
#include <filesystem>

#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::pebble {
namespace {

constexpr std::size_t kFileBytesMax = 65'536;

std::optional<int> number_in(std::string_view text, int low, int high) {
  int value = 0;
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || value < low || value > high) return std::nullopt;
  return value;
}

std::optional<Listen> listen_in(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = number_in(text.substr(colon + 1), 0, 65'535);
  if (!port) return std::nullopt;
  const auto address = text.substr(0, colon);
  return Listen{address.empty() ? "0.0.0.0" : std::string(address), *port};
}

// Go's flag syntax: -name value, -name=value, --name...; a boolean takes a value after '=' alone.
class Flags {
 public:
  Flags(const std::vector<std::string>& arguments, Loaded& out)
      : arguments_(arguments), out_(out) {}

  void read() {
    auto& o = out_.options;
    for (at_ = 0; at_ < arguments_.size(); ++at_) {
      split();
      if (name_ == "config")
        take(o.config_path);
      else if (name_ == "dnsserver")
        take(o.dns_server);
      else if (name_ == "base-url")
        take(o.base_url);
      else if (name_ == "state")
        take(o.state_dir);
      else if (name_ == "strict")
        take(o.strict);
      else if (name_ == "quiet")
        take(o.quiet);
      else if (name_ == "h" || name_ == "help")
        take(o.help);
      else
        problem("unknown flag or argument: " + arguments_[at_]);
    }
  }

 private:
  void split() {
    const auto& word = arguments_[at_];
    name_.clear();
    value_.reset();
    if (!word.starts_with('-')) return;
    const auto begin = word.starts_with("--") ? 2u : 1u;
    const auto equals = word.find('=');
    name_ = word.substr(begin, equals == std::string::npos ? equals : equals - begin);
    if (equals != std::string::npos) value_ = word.substr(equals + 1);
  }
  void take(std::string& out) {
    if (!value_ && at_ + 1 < arguments_.size()) value_ = arguments_[++at_];
    if (!value_) return problem("-" + name_ + " wants a value");
    out = *value_;
  }
  void take(bool& out) {
    if (value_ && *value_ != "true" && *value_ != "false")
      return problem("-" + name_ + " is true or false");
    out = !value_ || *value_ == "true";
  }
  void problem(std::string text) { out_.problems.push_back(std::move(text)); }

  const std::vector<std::string>& arguments_;
  Loaded& out_;
  std::size_t at_ = 0;
  std::string name_;
  std::optional<std::string> value_;
};

class File {
 public:
  explicit File(Loaded& out) : out_(out) {}

  void read() {
    auto& o = out_.options;
    const auto text = read_text_file(o.config_path, kFileBytesMax);
    if (!text) return problem("cannot read the configuration " + o.config_path);
    const auto document = json::Document::parse(*text, kFileBytesMax);
    if (!document || !document->root().get("pebble").is_object())
      return problem(o.config_path + " is no JSON with a \"pebble\" object");
    const auto pebble = document->root().get("pebble");
    for (const auto name : pebble.keys()) member(std::string(name), pebble.get(name));
    if (o.acme.port == 0) problem("listenAddress is missing");
    if (o.certificate.empty() || o.private_key.empty())
      problem("certificate and privateKey are missing: PEM files of the server's TLS certificate");
  }

 private:
  void member(const std::string& name, const json::Value& value) {
    auto& o = out_.options;
    if (name == "listenAddress")
      address(name, value, o.acme);
    else if (name == "managementListenAddress")
      address(name, value, o.management);
    else if (name == "certificate")
      path(name, value, o.certificate);
    else if (name == "privateKey")
      path(name, value, o.private_key);
    else if (name == "httpPort")
      port(name, value, o.http_port);
    else if (name == "tlsPort")
      port(name, value, o.tls_port);
    else if (name == "externalAccountBindingRequired")
      flag(name, value, o.binding_required);
    else if (name == "externalAccountMACKeys")
      keys(value);
    else if (name == "domainBlocklist")
      domains(value);
    else if (name == "retryAfter")
      retry_after(value);
    else
      o.ignored.push_back(name);
  }
  void address(const std::string& name, const json::Value& value, Listen& out) {
    const auto read = listen_in(value.string());
    if (!read) return problem(name + " is no address:port");
    out = *read;
  }
  // As Pebble: relative to the working directory; else, more useful, beside the file.
  void path(const std::string& name, const json::Value& value, std::string& out) {
    if (!value.is_string()) return problem(name + " is no text");
    const std::filesystem::path given{std::string(value.string())};
    const auto beside = std::filesystem::path(out_.options.config_path).parent_path() / given;
    std::error_code error;
    const auto& found = std::filesystem::exists(given, error) ? given : beside;
    if (!std::filesystem::exists(found, error))
      return problem(name + ": there is no " + given.string());
    out = std::filesystem::absolute(found, error).string();
  }
  void port(const std::string& name, const json::Value& value, int& out) {
    if (!value.is_integer() || value.integer() < 1 || value.integer() > 65'535)
      return problem(name + " is no port");
    out = static_cast<int>(value.integer());
  }
  void flag(const std::string& name, const json::Value& value, bool& out) {
    if (!value.is_bool()) return problem(name + " is true or false");
    out = value.boolean();
  }
  void keys(const json::Value& value) {
    for (const auto kid : value.keys())
      out_.options.binding_keys.emplace(kid, value.get(kid).string());
  }
  void domains(const json::Value& value) {
    for (const auto& domain : value.items())
      out_.options.blocked_domains.emplace_back(domain.string());
  }
  void retry_after(const json::Value& value) {
    if (const auto order = value.get("order"); order.is_integer() && order.integer() >= 1)
      out_.options.retry_after_order_s =
          static_cast<int>(std::min<std::int64_t>(order.integer(), 3'600));
  }
  void problem(std::string text) { out_.problems.push_back(std::move(text)); }
  Loaded& out_;
};

void read_environment(Loaded& out, const char* (*environment)(const char*)) {
  auto& o = out.options;
  const auto set = [&](const char* name) {
    const char* value = environment(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  // Pebble's parser takes these spellings of true.
  const auto is_true = [&](const char* name) {
    const auto value = set(name);
    return value == "1" || value == "true" || value == "TRUE" || value == "True" || value == "t" ||
           value == "T";
  };
  const auto number = [&](const char* name, int low, int high, int& into) {
    const auto value = set(name);
    if (value.empty()) return;
    if (const auto read = number_in(value, low, high))
      into = *read;
    else
      out.problems.push_back(std::string(name) + " is a number from " + std::to_string(low) +
                             " to " + std::to_string(high));
  };
  o.always_valid = is_true("PEBBLE_VA_ALWAYS_VALID");
  o.no_sleep = is_true("PEBBLE_VA_NOSLEEP");
  number("PEBBLE_VA_SLEEPTIME", 0, 300, o.sleep_s);
  number("PEBBLE_WFE_NONCEREJECT", 0, 100, o.nonce_reject_percent);
  number("PEBBLE_AUTHZREUSE", 0, 100, o.authz_reuse_percent);
  number("PEBBLE_CHAIN_LENGTH", 1, 4, o.chain_length);
  number("PEBBLE_ALTERNATE_ROOTS", 0, 4, o.alternate_roots);
  number("PEBBLE_WFE_ORDERS_PER_PAGE", 1, 100, o.orders_page);
}

}  // namespace

Loaded load_options(const std::vector<std::string>& arguments,
                    const char* (*environment)(const char* name)) {
  Loaded out;
  Flags(arguments, out).read();
  if (out.options.help || !out.problems.empty()) return out;
  read_environment(out, environment);
  File(out).read();
  if (!out.options.dns_server.empty() && !listen_in(out.options.dns_server))
    out.problems.emplace_back("-dnsserver is address:port");
  return out;
}

std::string usage() {
  return R"(keyward-pebble: Keyward in the place of Pebble, for tests of ACME clients. Its CA keys are TEST KEYS.

usage: keyward-pebble [-config FILE] [-dnsserver ADDRESS:PORT] [-strict] [-base-url URL] [-state DIR] [-quiet]

  -config     Pebble's JSON configuration (default test/config/pebble-config.json)
  -dnsserver  resolve names by this server (default: those of /etc/resolv.conf)
  -strict     accepted; this server is always strict
  -base-url   how clients reach it (default: https://NAME:PORT of the configured certificate and listenAddress)
  -state      keep accounts, orders and the CA in this folder for the next start (default: nothing is kept)
  -quiet      no log of the tasks

Environment: PEBBLE_VA_NOSLEEP PEBBLE_VA_SLEEPTIME PEBBLE_VA_ALWAYS_VALID PEBBLE_WFE_NONCEREJECT
PEBBLE_AUTHZREUSE PEBBLE_CHAIN_LENGTH PEBBLE_ALTERNATE_ROOTS PEBBLE_WFE_ORDERS_PER_PAGE, as Pebble's.
Exit status: 0 ended by a signal, 1 it could not start or a part of it ended, 64 wrong usage.
)";
}

}  // namespace keyward::pebble
