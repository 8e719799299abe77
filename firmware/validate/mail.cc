#include "firmware/validate/mail.h"

#include <algorithm>
#include <ctime>

#include "firmware/validate/curl.h"
#include "firmware/validate/locate.h"
#include "hal/base/rng.h"

namespace keyward::validate {
namespace {

constexpr long kTemporaryFirst = 400, kTemporaryLast = 499;  // RFC 5321 §4.2.1
constexpr std::size_t kLineBytesMax = 998;                   // RFC 5322 §2.1.1

// One addr-spec without quoting, comments or anything a command or header could break at.
bool is_plain_address(std::string_view text) {
  const auto at = text.find('@');
  if (at == 0 || at == std::string_view::npos || at + 1 == text.size() ||
      text.size() > limits::kContactBytesMax || text.find('@', at + 1) != std::string_view::npos)
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7f &&
           std::string_view("<>()[]\\,;:\"").find(c) == std::string_view::npos;
  });
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string date_of(std::int64_t now_ms) {
  const std::time_t seconds = now_ms / 1'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char out[64];  // not strftime: RFC 5322 names are English in every locale
  std::snprintf(out, sizeof out, "%s, %02d %s %04d %02d:%02d:%02d +0000", kDays[parts.tm_wday % 7],
                parts.tm_mday, kMonths[parts.tm_mon % 12], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return out;
}

// Lines end with CRLF; UTF-8 above ASCII is let through as 8bit. Empty: a control character.
std::optional<std::string> body_of(std::string_view text) {
  std::string out;
  std::size_t line = 0;
  for (const char c : text) {
    if (c == '\n') {
      out += "\r\n";
      line = 0;
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    if ((octet < 0x20 && c != '\t') || octet == 0x7f || ++line > kLineBytesMax) return std::nullopt;
    out += c;
  }
  return out + "\r\n";
}

struct Upload {
  std::string text;
  std::size_t done = 0;
};

std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto& upload = *static_cast<Upload*>(user);
  const auto bytes = std::min(size * count, upload.text.size() - upload.done);
  std::copy_n(upload.text.data() + upload.done, bytes, buffer);
  upload.done += bytes;
  return bytes;
}

wire::MailSendReply failed(std::string_view type, std::string_view code, std::string detail,
                           bool again) {
  wire::MailSendReply reply;
  reply.problem = problem(type, code, std::move(detail));
  reply.again = again;
  return reply;
}

void set_mail_options(CURL* handle, const MailOptions& options, const std::string& from,
                      curl_slist* to, Upload& upload) {
  ::curl_easy_setopt(handle, CURLOPT_MAIL_FROM, from.c_str());
  ::curl_easy_setopt(handle, CURLOPT_MAIL_RCPT, to);
  ::curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
  ::curl_easy_setopt(handle, CURLOPT_READDATA, &upload);
  ::curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
  // All or nothing: a relay that does not offer STARTTLS gets no mail.
  ::curl_easy_setopt(handle, CURLOPT_USE_SSL,
                     static_cast<long>(options.plaintext ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  if (!options.ca_file.empty()) {
    ::curl_easy_setopt(handle, CURLOPT_CAINFO, options.ca_file.c_str());
    ::curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
  }
  if (options.user.empty()) return;
  ::curl_easy_setopt(handle, CURLOPT_USERNAME, options.user.c_str());
  ::curl_easy_setopt(handle, CURLOPT_PASSWORD, options.password.c_str());
}

// Temporary is what may pass by itself: no relay, no name, no time, a 4xx answer.
bool is_temporary(CURLcode code, long response) {
  if (response >= kTemporaryFirst && response <= kTemporaryLast) return true;
  if (response > kTemporaryLast) return false;
  return code != CURLE_LOGIN_DENIED;
}

}  // namespace

Status check_mail_options(const MailOptions& options) {
  if (options.url.empty()) return {};
  const auto target = parse_target(options.url, {"smtp", "smtps"});
  if (!target) return fail(ErrorKind::kBadInput, "smtp_url is an smtp or smtps URL without a user");
  if (!is_plain_address(options.from))
    return fail(ErrorKind::kBadInput, "smtp_from is no plain mail address");
  if (options.plaintext && !options.user.empty())
    return fail(ErrorKind::kBadInput, "smtp_plaintext would send the password in the clear");
  return {};
}

std::optional<std::string> mail_message(const wire::MailSend& mail, const std::string& from,
                                        std::int64_t now_ms) {
  if (!is_plain_address(mail.to) || !is_printable(mail.subject) || mail.subject.empty())
    return std::nullopt;
  const auto body = body_of(mail.text);
  if (!body) return std::nullopt;
  const auto domain = from.substr(from.find('@') + 1);
  return "Date: " + date_of(now_ms) + "\r\nFrom: <" + from + ">\r\nTo: <" + mail.to +
         ">\r\nSubject: " + mail.subject + "\r\nMessage-ID: <" + random_id() + "@" + domain +
         ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
         "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
         *body;
}

wire::MailSendReply send_mail(const wire::MailSend& mail, const MailOptions& options,
                              Resolver& resolver, std::int64_t now_ms) {
  if (options.url.empty())
    return failed("connection", "mail-not-configured", "this installation sends no mail", false);
  if (!is_plain_address(mail.to))
    return failed("unsupportedContact", "mail-address", "not a plain mail address", false);
  auto message = mail_message(mail, options.from, now_ms);
  if (!message)
    return failed("malformed", "mail-text", "the subject or text cannot be sent as mail", false);
  const auto deadline = Deadline::after_ms(options.total_ms);
  const auto target = parse_target(options.url, {"smtp", "smtps"});
  if (!target) return failed("connection", "mail-not-configured", "no relay", false);
  std::vector<IpAddress> addresses;
  if (const auto literal = IpAddress::parse(target->host)) {
    addresses.push_back(*literal);
  } else {
    const Resolution found = resolver.resolve(target->host, deadline);
    if (!found.code.empty())
      return failed("connection", "mail-relay", "the relay's name: " + found.detail, true);
    addresses = found.addresses;
  }
  Guard guard{nullptr, limits::kFetchedBytesMax};
  Upload upload{std::move(*message)};
  const CurlPtr handle(::curl_easy_init());
  const CurlListPtr pin = pin_to(*target, addresses);
  const CurlListPtr to(::curl_slist_append(nullptr, ("<" + mail.to + ">").c_str()));
  if (!handle || !pin || !to) return failed("connection", "mail-relay", "no memory", true);
  set_common_options(handle.get(), *target, pin.get(), guard, deadline.remaining_ms());
  set_mail_options(handle.get(), options, "<" + options.from + ">", to.get(), upload);
  const CURLcode code = ::curl_easy_perform(handle.get());
  if (code == CURLE_OK) return {};
  long response = 0;
  ::curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &response);
  const bool again = is_temporary(code, response);
  return failed("connection", again ? "mail-relay" : "mail-refused",
                response > 0 ? "the relay answered " + std::to_string(response)
                             : "no mail transfer with the relay",
                again);
}

}  // namespace keyward::validate
