// Owns HTTPS through libcurl. Must not know ACME.
#include <array>
#include <charconv>

#include <curl/curl.h>
#include <strings.h>

#include "firmware/agent/http_transport.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

constexpr long kConnectMs = 5'000;
constexpr const char* kUserAgent = "keyward-agent/1";

struct CurlFree {
  void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
};
using HandlePtr = std::unique_ptr<CURL, CurlFree>;
using ListPtr = std::unique_ptr<curl_slist, CurlFree>;

std::size_t take_body(char* data, std::size_t one, std::size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  const std::size_t size = one * count;
  if (body.size() + size > limits::kAgentReplyBytesMax) return 0;  // curl: CURLE_WRITE_ERROR
  body.append(data, size);
  return size;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' '))
    text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

std::size_t take_header(char* data, std::size_t one, std::size_t count, void* to) {
  auto& reply = *static_cast<HttpReply*>(to);
  const std::string_view line(data, one * count);
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  const std::string name(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (::strcasecmp(name.c_str(), "replay-nonce") == 0) reply.replay_nonce = value;
  if (::strcasecmp(name.c_str(), "location") == 0) reply.location = value;
  if (::strcasecmp(name.c_str(), "content-type") == 0) reply.content_type = value;
  if (::strcasecmp(name.c_str(), "retry-after") == 0) {
    std::int64_t seconds = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (parsed.ec == std::errc() && parsed.ptr == value.data() + value.size() && seconds >= 0 &&
        seconds <= 86'400)
      reply.retry_after_ms = seconds * 1'000;
  }
  return line.size();
}

class CurlTransport final : public HttpTransport {
 public:
  CurlTransport(HandlePtr handle, std::string ca_file)
      : handle_(std::move(handle)), ca_file_(std::move(ca_file)) {}

  Result<HttpReply> exchange(const std::string& method, const std::string& url,
                             const std::string& body) override {
    if (!url.starts_with("https://") || url.size() > limits::kUrlBytesMax) {
      error_[0] = '\0';
      return fail(ErrorKind::kBadInput, "a URL that is not https");
    }
    HttpReply reply;
    const ListPtr headers = prepare(method, url, body, reply);
    error_[0] = '\0';
    const CURLcode code = ::curl_easy_perform(handle_.get());
    if (code == CURLE_WRITE_ERROR)
      return fail(ErrorKind::kExhausted, "the reply is too large", code);
    if (code != CURLE_OK) {
      if (error_[0] == '\0')
        std::snprintf(error_.data(), error_.size(), "%s", ::curl_easy_strerror(code));
      return fail(ErrorKind::kUnavailable, "no answer over HTTPS", code);
    }
    long status = 0;
    ::curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    reply.status = static_cast<int>(status);
    return reply;
  }
  std::string last_error_text() const override { return error_.data(); }

 private:
  ListPtr prepare(const std::string& method, const std::string& url, const std::string& body,
                  HttpReply& reply) {
    CURL* handle = handle_.get();
    ::curl_easy_reset(handle);  // options only: connections stay
    ::curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https");
    ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    ::curl_easy_setopt(handle, CURLOPT_PROXY, "");
    ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!ca_file_.empty()) {
      ::curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file_.c_str());
      ::curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
    }
    ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    ::curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(limits::kAgentRequestMs));
    ::curl_easy_setopt(handle, CURLOPT_USERAGENT, kUserAgent);
    ::curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_.data());
    ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &reply.body);
    ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, &reply);
    if (method == "HEAD") ::curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    ListPtr headers;
    if (method == "POST") {
      // "Expect:" empty: no round trip before a small body.
      headers.reset(::curl_slist_append(nullptr, "Content-Type: application/jose+json"));
      ::curl_slist_append(headers.get(), "Expect:");
      ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
      ::curl_easy_setopt(handle, CURLOPT_POST, 1L);
      ::curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
      ::curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.c_str());
    }
    return headers;
  }

  HandlePtr handle_;
  std::string ca_file_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace

Result<std::unique_ptr<HttpTransport>> make_curl_transport(const std::string& ca_file) {
  static const CURLcode started = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  HandlePtr handle(started == CURLE_OK ? ::curl_easy_init() : nullptr);
  if (!handle) return fail(ErrorKind::kInternal, "libcurl does not start", started);
  return std::unique_ptr<HttpTransport>(new CurlTransport(std::move(handle), ca_file));
}

}  // namespace keyward::agent
