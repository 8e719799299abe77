// Owns the comparison of quoted registers and their event log with reference values.
#include <algorithm>
#include <optional>

#include "firmware/appraise/decision.h"
#include "hal/base/limits.h"

namespace keyward::appraise {
namespace {

using attest::note;

std::string name_of(unsigned pcr, Bank bank) {
  return "PCR " + std::to_string(pcr) + " (" + std::string(to_string(bank)) + ")";
}

const Bytes* value_of(const BankValues& values, Bank bank, unsigned pcr) {
  const auto registers = values.find(bank);
  if (registers == values.end()) return nullptr;
  const auto found = registers->second.find(pcr);
  return found == registers->second.end() ? nullptr : &found->second;
}

bool is_allowed(const std::vector<Bytes>& allowed, const Bytes& value) {
  return std::ranges::any_of(allowed, [&](const Bytes& one) { return equal(one, value); });
}

std::vector<unsigned> differing(const PcrSet& set, const BankValues& values) {
  std::vector<unsigned> out;
  for (const auto& [pcr, allowed] : set.allowed) {
    const auto* value = value_of(values, set.bank, pcr);
    if (value == nullptr || !is_allowed(allowed, *value)) out.push_back(pcr);
  }
  return out;
}

// The first event of a register that is not as it was recorded.
std::string first_difference(const EventLog& log, const std::vector<ReferenceEvent>& reference,
                             unsigned pcr, Bank bank) {
  std::vector<const ReferenceEvent*> wanted;
  for (const auto& event : reference) {
    if (event.pcr == pcr && event.bank == bank) wanted.push_back(&event);
  }
  if (wanted.empty()) return "";
  std::size_t at = 0;
  for (const auto& event : log.events) {
    const auto digest = event.digests.find(bank);
    if (event.pcr != pcr || !event.is_extended() || digest == event.digests.end()) continue;
    if (at == wanted.size())
      return "; the first event that differs is " + words_of(event, bank) +
             ", which the reference does not have";
    const auto& expected = *wanted[at];
    if (event.type != expected.type || !equal(digest->second, expected.digest))
      return "; the first event that differs is " + words_of(event, bank) + ", the reference has " +
             event_type_name(expected.type) + " " + hex_encode(expected.digest) +
             (expected.description.empty() ? "" : " \"" + expected.description + "\"");
    ++at;
  }
  if (at == wanted.size()) return "";
  return "; the reference's event " + event_type_name(wanted[at]->type) + " " +
         hex_encode(wanted[at]->digest) +
         (wanted[at]->description.empty() ? "" : " \"" + wanted[at]->description + "\"") +
         " is missing";
}

// Tells the set that is nearest, so that an update of one register reads as such.
void compare_sets(const TpmRules& rules, const BankValues& values, const EventLog* log,
                  Decision& decision) {
  if (rules.sets.empty()) return;
  const PcrSet* nearest = nullptr;
  std::vector<unsigned> least;
  for (const auto& set : rules.sets) {
    auto differences = differing(set, values);
    if (differences.empty()) {
      note(&decision.passed, "pcr.value",
           "the registers are those of the reference \"" + set.name + "\"");
      return;
    }
    if (nearest != nullptr && differences.size() >= least.size()) continue;
    nearest = &set;
    least = std::move(differences);
  }
  for (const unsigned pcr : least) {
    const auto* value = value_of(values, nearest->bank, pcr);
    if (value == nullptr) {
      add(decision, "pcr.missing", name_of(pcr, nearest->bank) + " is not in the quote");
      continue;
    }
    add(decision, "pcr.value",
        name_of(pcr, nearest->bank) + " is " + hex_encode(*value) + ", which the reference \"" +
            nearest->name + "\" does not have" +
            (log == nullptr ? ""
                            : first_difference(*log, rules.reference_log, pcr, nearest->bank)));
  }
}

bool is_untouched(unsigned pcr, const Bytes& value) {
  const std::uint8_t octet = pcr >= 17 && pcr <= 22 ? 0xff : 0x00;
  return std::ranges::all_of(value, [&](std::uint8_t one) { return one == octet; });
}

// The log is true for what the TPM vouches for, and for nothing else: per bank, per register.
bool check_replay(const TpmRules& rules, const EventLog& log, const BankValues& values,
                  Decision& decision) {
  bool good = true;
  for (const auto& [bank, registers] : values) {
    if (std::ranges::find(log.banks, bank) == log.banks.end()) {
      add(decision, "log.bank",
          "the event log has no " + std::string(to_string(bank)) + ", which is quoted");
      good = false;
      continue;
    }
    const auto replayed = replay(log, bank);
    for (const auto& [pcr, value] : registers) {
      const auto found = replayed.find(pcr);
      // A register without events is not the log's: it holds what the reference says, or not. But
      // where events are asked for, leaving all of them out must not hide any.
      const bool has_rule = std::ranges::any_of(
          rules.events, [&, asked = pcr](const auto& rule) { return rule.pcr == asked; });
      if (found == replayed.end() && (!has_rule || is_untouched(pcr, value))) continue;
      if (found != replayed.end() && equal(found->second, value)) continue;
      add(decision, "log.replay",
          name_of(pcr, bank) + " is not what the event log leads to: the log is not this boot's");
      good = false;
    }
  }
  return good;
}

bool matches(const EventRule& rule, const LogEvent& event) {
  if (event.pcr != rule.pcr || !event.is_extended()) return false;
  if (rule.type && event.type != *rule.type) return false;
  if (!rule.digests.empty()) {
    const bool known = std::ranges::any_of(rule.digests, [&](const auto& wanted) {
      const auto digest = event.digests.find(wanted.first);
      return digest != event.digests.end() && equal(digest->second, wanted.second);
    });
    if (!known) return false;
  }
  if (rule.description.empty()) return true;
  // To forbid, what the device merely says is enough; to allow, it must have been measured.
  const bool trusted = event.is_data_measured || rule.verb == EventRule::Verb::kForbidden;
  return trusted && event.description.find(rule.description) != std::string::npos;
}

std::string words_of(const EventRule& rule) {
  std::string out = "PCR " + std::to_string(rule.pcr);
  if (rule.type) out += ", " + event_type_name(*rule.type);
  if (!rule.digests.empty()) out += ", " + hex_encode(rule.digests.front().second);
  if (!rule.description.empty()) out += ", \"" + rule.description + "\"";
  return out;
}

// A rule about a register that is not quoted would be about words alone.
bool is_quoted(const BankValues& values, const EventLog& log, unsigned pcr) {
  return std::ranges::any_of(log.banks, [&](Bank bank) {
    return bank != Bank::kSha1 && value_of(values, bank, pcr) != nullptr;
  });
}

// The digests that count are those of banks that the TPM quoted; the others are only the log's word.
EventLog vouched(const EventLog& log, const BankValues& values) {
  EventLog out = log;
  for (auto& event : out.events) {
    std::erase_if(event.digests, [&](const auto& entry) {
      return entry.first == Bank::kSha1 || value_of(values, entry.first, event.pcr) == nullptr;
    });
  }
  std::erase_if(out.events, [](const LogEvent& event) { return event.digests.empty(); });
  return out;
}

void check_events(const std::vector<EventRule>& rules, const EventLog& log, Decision& decision) {
  using Verb = EventRule::Verb;
  for (const auto& rule : rules) {
    const auto found =
        std::ranges::find_if(log.events, [&](const auto& event) { return matches(rule, event); });
    const bool there = found != log.events.end();
    if (rule.verb == Verb::kRequired && !there)
      add(decision, "event.missing", "no event is as required: " + words_of(rule));
    if (rule.verb == Verb::kForbidden && there)
      add(decision, "event.forbidden",
          "forbidden: " + words_of(*found, found->digests.begin()->first));
  }
  for (const auto& event : log.events) {
    const auto concerns = [&](const EventRule& rule) {
      return rule.verb == Verb::kAllowed && rule.pcr == event.pcr;
    };
    if (!event.is_extended() || std::ranges::none_of(rules, concerns)) continue;
    const bool allowed = std::ranges::any_of(rules, [&](const auto& rule) {
      return rule.verb != Verb::kForbidden && matches(rule, event);
    });
    if (!allowed)
      add(decision, "event.not-allowed",
          "not among those allowed: " + words_of(event, event.digests.begin()->first));
  }
}

void judge_log(const TpmRules& rules, const EventLog& log, const BankValues& values,
               Decision& decision) {
  if (!check_replay(rules, log, values, decision)) return;
  note(&decision.passed, "log.replay", "the event log leads to the quoted registers");
  const auto before = decision.why_not.size();
  for (const auto& rule : rules.events) {
    if (!is_quoted(values, log, rule.pcr))
      add(decision, "pcr.missing",
          "PCR " + std::to_string(rule.pcr) + " is not in the quote, and events are asked of it");
  }
  if (decision.why_not.size() != before || rules.events.empty()) return;
  check_events(rules.events, vouched(log, values), decision);
  if (decision.why_not.size() == before)
    note(&decision.passed, "event.missing", "the events are as the policy asks");
}

}  // namespace

Findings appraise_quote(const TpmRules& rules, ByteView bytes, const Question& question,
                        Decision& decision) {
  const auto record = parse_quote_record(bytes);
  if (!record) return add(decision, record.error()), Findings{};
  const auto quote =
      verify_quote(*record, rules.ak_roots, question.fresh, question.at_utc_ms, &decision.passed);
  if (!quote) return add(decision, quote.error()), Findings{};
  std::optional<EventLog> log;
  if (record->event_log) {
    auto read = parse_event_log(*record->event_log);
    if (read)
      log = std::move(*read);
    else
      add(decision, read.error());
  } else if (rules.require_event_log) {
    add(decision, "log.missing", "the policy asks for the event log, and there is none");
  }
  compare_sets(rules, quote->pcrs, log ? &*log : nullptr, decision);
  if (log) judge_log(rules, *log, quote->pcrs, decision);
  Findings out{quote->freshness, std::nullopt, quote->devices, quote->ak_serial};
  if (question.devices_of_key) {
    for (auto& device : question.devices_of_key(quote->ak)) {
      const bool known = std::ranges::find(out.devices, device) != out.devices.end();
      if (!known && out.devices.size() < limits::kGrantDevicesMax)
        out.devices.push_back(std::move(device));
    }
  }
  return out;
}

}  // namespace keyward::appraise
