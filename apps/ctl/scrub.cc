#include "apps/ctl/scrub.h"

#include <algorithm>
#include <filesystem>

#include "firmware/config/rewrite.h"
#include "firmware/eab/credentials.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSecretBytesMin = 8, kSecretFileBytesMax = 65'536, kBookBytesMax = 16u << 20;
constexpr std::string_view kPrivateKey = "PRIVATE KEY-----";
// Names of keys and of environment entries whose values go, whatever they hold.
constexpr std::string_view kSuspicious[] = {"pin",      "secret",     "password",
                                            "passwd",   "passphrase", "credential",
                                            "conninfo", "bearer",     "apikey"};
// Keys that only sound like it: labels and paths.
constexpr std::string_view kHarmless[] = {"_label", "_path", "_file", "sealed_pin", "tls_key"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool suspicious(std::string_view name) {
  const auto key = lower(name);
  const auto holds = [&](std::string_view word) { return key.find(word) != std::string::npos; };
  return std::ranges::any_of(kSuspicious, holds) && std::ranges::none_of(kHarmless, holds);
}

// From "-----BEGIN" of a private key to the end of its block; without an end: all that follows.
std::string without_pem_keys(std::string text) {
  for (auto at = text.find(kPrivateKey); at != std::string::npos; at = text.find(kPrivateKey)) {
    auto begin = text.rfind("-----BEGIN", at);
    if (begin == std::string::npos) begin = at;
    auto end = text.find(kPrivateKey, at + kPrivateKey.size());
    end = end == std::string::npos ? text.size() : end + kPrivateKey.size();
    text.replace(begin, end - begin, kRemoved);
  }
  return text;
}

// "scheme://user:password@host": the part before '@' (RFC 3986 §3.2.1).
std::string without_user_part(std::string text) {
  const auto scheme = text.find("://");
  if (scheme == std::string::npos) return text;
  const auto end = text.find_first_of("/?#", scheme + 3);
  const auto at = text.rfind('@', end);
  if (at == std::string::npos || at < scheme) return text;
  return text.replace(scheme + 3, at - scheme - 3, kRemoved);
}

// A word without a separator that is long and mixed enough to be a key.
bool looks_random(std::string_view text) {
  if (text.size() < 24 || text.find_first_of("/ .:,@") != std::string_view::npos) return false;
  const bool digit = std::ranges::any_of(text, [](unsigned char c) { return std::isdigit(c); });
  const bool letter = std::ranges::any_of(text, [](unsigned char c) { return std::isalpha(c); });
  return digit && letter;
}

std::string clean_value(std::string_view key, const std::string& value) {
  if (suspicious(key) || looks_random(value)) return std::string(kRemoved);
  if (lower(value).find("password=") != std::string::npos) return std::string(kRemoved);
  const auto equals = value.find('=');
  if (lower(key) == "environment" && equals != std::string::npos &&
      (suspicious(value.substr(0, equals)) || value.compare(equals + 1, 1, "/") != 0))
    return value.substr(0, equals + 1) + std::string(kRemoved);
  return without_user_part(without_pem_keys(value));
}

}  // namespace

Scrubber::Scrubber(const UnitPlaces& places) {
  const auto book =
      read_file(places.state_of("attestation") + "/eab/credentials.jsonl", kBookBytesMax);
  if (book) {
    if (const auto credentials = eab::CredentialBook::parse(*book)) {
      for (const auto& credential : credentials->all()) add(credential.key.view());
    }
  }
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(places.state_root, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (!at->is_regular_file(error) || at->path().extension() != ".key") continue;
    if (const auto key = read_file(at->path(), kSecretFileBytesMax)) add(*key);
  }
}

void Scrubber::add(ByteView secret) {
  if (secret.size() < kSecretBytesMin) return;
  for (const auto& form : {std::string(text_of(secret)), hex_encode(secret), base64_encode(secret),
                           base64url_encode(secret)})
    forms_.push_back(form);
}

std::string Scrubber::clean(std::string text) const {
  for (const auto& form : forms_) {
    for (auto at = text.find(form); at != std::string::npos; at = text.find(form, at))
      text.replace(at, form.size(), kRemoved);
  }
  return without_pem_keys(std::move(text));
}

bool Scrubber::is_clean(std::string_view text) const {
  return text.find(kPrivateKey) == std::string_view::npos &&
         std::ranges::none_of(forms_, [&](const std::string& form) {
           return text.find(form) != std::string_view::npos;
         });
}

Result<std::string> clean_installation(std::string_view toml) {
  return config::rewrite_strings(toml, clean_value);
}

}  // namespace keyward::ctl
