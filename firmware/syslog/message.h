// Owns the form of a message: a log line as RFC 5424 with structured data, and its frame on a stream
// (octet counting, RFC 5425 section 4.3). Must not know files or the network.
//
//   <PRI>1 TIME HOST keyward-TASK - MSGID [meta sequenceId=".."][keywardSpool@PEN start=".."
//   number=".." task=".."][keyward@PEN field="value" ...] text
//
// What stands in keywardSpool is the supervisor's word, what stands in keyward and in the text is the
// task's. A line cannot become two messages, nor leave its value: control characters are gone, quotes,
// brackets and backslashes are escaped, octets that are no UTF-8 become question marks. Bounded by
// limits::kSyslogMessageBytesMax; what is cut is said (cut="1"). Threads: values.
#pragma once

#include <string>
#include <string_view>

#include "firmware/syslog/spool_reader.h"

namespace keyward::syslog {

struct Origin {
  std::string host;   // as HOSTNAME; "" becomes "-"
  int facility = 16;  // local0
  std::uint32_t enterprise =
      32473;  // private enterprise number; this one is for examples (RFC 5612)
};

// MSGID: "ledger" and "head" (the signer's), "raw" (written past firmware/log), "log".
std::string message_of(const Record& record, const Origin& origin);
// MSGID "loss": lines `missing` of the spool are gone before they were sent; `next` follows.
std::string loss_of(const Missing& missing, const Record& next, const Origin& origin);

// "<octets> <message>"
std::string framed(std::string_view message);

}  // namespace keyward::syslog
