// Owns notices to an account's contacts: queued in the store, sent through validation's relay when
// it can be reached. Must not know what they are about.
//
// A notice is on the disk before anybody relies on it; offline it waits. Sent at least once: one
// that was handed over just before a power cut goes out again. Threads: any.
#pragma once

#include "firmware/acme/context.h"

namespace keyward::acme {

struct Notice {
  std::string key;  // names the notice: the same one is not kept twice
  std::string subject;
  std::string text;
};

// Keeps one for each contact of the account.
Answer<void> queue_notice(Context& context, const wire::AccountRecord& account,
                          const Notice& notice);
// Sends in the background what is due.
void post_mails(Context& context);

// The pause after try number `attempts` (0: the first), milliseconds.
std::int64_t mail_backoff_ms(std::uint64_t attempts);

}  // namespace keyward::acme
