#include "apps/sim/readiness.h"

#include <curl/curl.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::simulator {
namespace {

constexpr std::size_t kStatusBytesMax = 262'144;

std::size_t drop(char*, std::size_t size, std::size_t count, void*) { return size * count; }

}  // namespace

std::optional<std::string> read_status(const Places& places) {
  auto text = read_text_file(places.status(), kStatusBytesMax);
  if (!text) return std::nullopt;
  return std::move(*text);
}

std::string state_in(const std::string& status_json) {
  const auto document = json::Document::parse(status_json, kStatusBytesMax);
  return document ? std::string(document->root().get("state").string()) : "";
}

std::string trouble_in(const std::string& status_json) {
  const auto document = json::Document::parse(status_json, kStatusBytesMax);
  if (!document) return "the status is not readable";
  std::string out;
  for (const auto& task : document->root().get("tasks").items()) {
    const auto phase = task.get("phase").string();
    const auto state = task.get("state").string();
    if (phase == "ready" && (state.empty() || state == "operational")) continue;
    if (!out.empty()) out += "; ";
    out += std::string(task.get("name").string()) + " is " +
           std::string(phase == "ready" ? state : phase);
    const auto detail = task.get("detail").string();
    if (!detail.empty()) out += " (" + std::string(detail) + ")";
  }
  return out;
}

std::string directory_trouble(const std::string& base_url, const std::string& ca_file) {
  CURL* curl = ::curl_easy_init();
  if (curl == nullptr) return "libcurl cannot start";
  const std::string url = base_url + "/acme/directory";
  ::curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  if (ca_file.empty()) {  // it only asks whether somebody answers there
    ::curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    ::curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  } else {
    ::curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file.c_str());
    ::curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
  ::curl_easy_setopt(curl, CURLOPT_PROXY,
                     "");  // loopback: the environment's proxy has no business here
  ::curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 2'000L);
  ::curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
  const CURLcode code = ::curl_easy_perform(curl);
  long status = 0;
  ::curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  ::curl_easy_cleanup(curl);
  if (code != CURLE_OK) return ::curl_easy_strerror(code);
  return status == 200 ? "" : "HTTP status " + std::to_string(status);
}

}  // namespace keyward::simulator
