#include "tests/support/secret_scan/secret_scan.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kKeyOctets = 32;
constexpr std::uintmax_t kFileBytesMax = 64u << 20;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

// What of the secret's base64 is the same whatever stands before and behind it, when it begins
// `lead` octets after a multiple of three.
std::string base64_core(ByteView secret, std::size_t lead) {
  Bytes padded(lead, 0);
  padded.insert(padded.end(), secret.begin(), secret.end());
  padded.resize(padded.size() / 3 * 3);
  const auto text = base64_encode(padded);
  return text.substr(lead == 0 ? 0 : 4);
}

Bytes pem_body(const std::string& text, std::size_t from, std::size_t to) {
  std::string body;
  for (std::size_t i = from; i < to; ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r' || c == '=') continue;
    body += c == '+' ? '-' : c == '/' ? '_' : c;
  }
  return base64url_decode(body).value_or(Bytes{});
}

// Octet strings of the size of a P-256 or Ed25519 key, wherever they stand in the DER.
void add_scalars(SecretScan& scan, const std::string& name, ByteView der) {
  for (std::size_t i = 0; i + 2 + kKeyOctets <= der.size(); ++i)
    if (der[i] == 0x04 && der[i + 1] == kKeyOctets) scan.add(name, der.subspan(i + 2, kKeyOctets));
}

void add_pem_keys(SecretScan& scan, const std::string& name, const std::string& text) {
  static const std::regex begin("-----BEGIN [A-Z ]*PRIVATE KEY-----");
  for (std::sregex_iterator at(text.begin(), text.end(), begin), end; at != end; ++at) {
    const auto from = static_cast<std::size_t>(at->position() + at->length());
    const auto der = pem_body(text, from, text.find("-----END", from));
    scan.add(name, der);
    add_scalars(scan, name, der);
  }
}

void add_json_members(SecretScan& scan, const std::string& name, const std::string& text) {
  static const std::regex member("\"(d|k|key)\" ?: ?\"([A-Za-z0-9_-]{22,})\"");
  for (std::sregex_iterator at(text.begin(), text.end(), member), end; at != end; ++at) {
    const std::string value = (*at)[2];
    scan.add(name, view_of(value));
    if (const auto octets = base64url_decode(value)) scan.add(name, *octets);
  }
}

}  // namespace

void SecretScan::add(const std::string& name, ByteView secret) {
  if (secret.size() < kOctetsMin) return;
  Secret out{name, {}};
  const auto hex = hex_encode(secret);
  out.forms.emplace_back("as it is", std::string(text_of(secret)));
  out.forms.emplace_back("in hexadecimal", hex);
  out.forms.emplace_back("in hexadecimal", upper(hex));
  for (std::size_t lead = 0; lead < 3; ++lead) {
    auto text = base64_core(secret, lead);
    out.forms.emplace_back("in base64", text);
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    out.forms.emplace_back("in base64url", std::move(text));
  }
  secrets_.push_back(std::move(out));
}

std::size_t SecretScan::gather(const std::string& dir) {
  const auto before = secrets_.size();
  static const std::regex pin("_pin = \"([^\"]+)\"");
  const auto pins = content_of(dir + "/offline/pins.toml");
  for (std::sregex_iterator at(pins.begin(), pins.end(), pin), end; at != end; ++at)
    add("a PIN", view_of((*at)[1].str()));
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(dir + "/state", error)) {
    if (!entry.is_regular_file(error) || entry.file_size(error) > 1u << 20) continue;
    const auto name = entry.path().filename().string();
    const auto shown = entry.path().string().substr(dir.size());
    const auto text = content_of(entry.path());
    add_pem_keys(*this, shown, text);
    // A device authority's key set and the like is public: "d" and "k" alone are not.
    if (name.ends_with(".json") || name.ends_with(".jsonl") || name.starts_with("eab"))
      add_json_members(*this, shown, text);
    if (name.ends_with(".key") && text.find("-----BEGIN") == std::string::npos &&
        text.size() >= kKeyOctets)
      add(shown, view_of(std::string_view(text).substr(text.size() - kKeyOctets)));
  }
  return secrets_.size() - before;
}

std::vector<std::string> SecretScan::in_text(std::string_view where, std::string_view text) const {
  std::vector<std::string> out;
  for (const auto& secret : secrets_) {
    for (const auto& [how, form] : secret.forms) {
      if (form.empty() || text.find(form) == std::string_view::npos) continue;
      out.push_back(std::string(where) + " holds " + secret.name + " " + how);
      break;
    }
  }
  return out;
}

std::vector<std::string> SecretScan::in_folder(const std::string& folder) const {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (!entry.is_regular_file(error) || entry.file_size(error) > kFileBytesMax) continue;
    ++files_read_;
    const auto found = in_text(entry.path().string(), content_of(entry.path()));
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

std::vector<std::string> SecretScan::in_process(int pid) const {
  std::vector<std::string> out;
  if (pid <= 0) return out;
  for (const char* file : {"cmdline", "environ"}) {
    const auto found = in_text(std::string(file) + " of process " + std::to_string(pid),
                               content_of("/proc/" + std::to_string(pid) + "/" + file));
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

}  // namespace keyward::test
