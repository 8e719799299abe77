// Owns the handing of a notice to the configured relay (RFC 5321). Must not know why it is sent.
// The relay is the operator's: the egress policy, which holds what clients name, is not asked.
//
// Problem codes: "mail-not-configured", "mail-address", "mail-text" (unsupportedContact, malformed;
// final), "mail-relay" (connection; again), "mail-refused" (connection; final). Threads: any.
#pragma once

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"
#include "firmware/wire/messages/mail_send.h"
#include "hal/base/limits.h"

namespace keyward::validate {

struct MailOptions {
  std::string url;   // "smtp://relay:25" (STARTTLS), "smtps://relay"; empty: no mail is sent
  std::string from;  // address
  std::string user;  // empty: without authentication
  std::string password;
  std::string ca_file;     // empty: the system's roots
  bool plaintext = false;  // smtp:// without STARTTLS: for a relay on this host or in a test
  std::int64_t total_ms = limits::kMailSendMs;
};

// kBadInput: not an smtp or smtps URL, no sender, or a password that would go out in the clear.
Status check_mail_options(const MailOptions& options);
wire::MailSendReply send_mail(const wire::MailSend& mail, const MailOptions& options,
                              Resolver& resolver, std::int64_t now_ms);

// The message as it goes out, CRLF at each end of line (dot-stuffing is libcurl's). Empty: the
// address, the subject or the text has an octet that could become a header or a command.
std::optional<std::string> mail_message(const wire::MailSend& mail, const std::string& from,
                                        std::int64_t now_ms);

}  // namespace keyward::validate
