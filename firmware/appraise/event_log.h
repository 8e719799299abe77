// Owns the firmware's event log (TCG PC Client Platform Firmware Profile, §10: crypto-agile form)
// and what the platform configuration registers must hold if it is true. Must not know a policy.
//
// A log is a claim of the device: nothing of it counts until its replay equals quoted registers.
// Codes: "log.malformed", "log.legacy" (SHA-1 alone), "log.limit", "log.banks", "log.digests",
// "log.pcr", "log.locality". Threads: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "firmware/attest/refusal.h"
#include "firmware/crypto/crypto.h"

namespace keyward::appraise {

using attest::Appraised;
using Bank = crypto::HashAlgorithm;
using PcrValues = std::map<unsigned, Bytes>;  // of one bank, by register
using BankValues = std::map<Bank, PcrValues>;

std::string_view to_string(Bank bank);  // "sha256"
std::optional<Bank> bank_from(std::string_view name);

struct LogEvent {
  std::size_t index = 0;  // in the log, from 1; the header is 0
  unsigned pcr = 0;
  std::uint32_t type = 0;
  std::map<Bank, Bytes> digests;  // of the banks that we read
  // A short text from the event's data, of printable characters; it names an event to people.
  std::string description;
  // The digests are over the data that `description` was made of: only then a rule may trust it.
  bool is_data_measured = false;
  bool is_extended() const;  // EV_NO_ACTION is not
};

struct EventLog {
  std::vector<Bank> banks;
  std::vector<LogEvent> events;
  std::uint8_t startup_locality = 0;  // PCR 0 begins with it (PFP §3.3.2)
};

Appraised<EventLog> parse_event_log(ByteView log);
// Registers 0..23 that an event extends, and PCR 0 if the locality is not 0.
PcrValues replay(const EventLog& log, Bank bank);

// "EV_SEPARATOR"; for others "0x%08x".
std::string event_type_name(std::uint32_t type);
std::optional<std::uint32_t> event_type_from(std::string_view name);
// "event 12 (PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION, sha256 0a1b…, \"…\")"
std::string words_of(const LogEvent& event, Bank bank);

}  // namespace keyward::appraise
