#include "firmware/appraise/event_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "hal/base/limits.h"

namespace keyward::appraise {
namespace {

using attest::refuse;

constexpr std::uint32_t kNoAction = 0x00000003;
constexpr std::uint32_t kIpl = 0x0000000D;
constexpr unsigned kRegisters = 24;
constexpr std::uint32_t kNoRegister = 0xFFFFFFFF;  // of an EV_NO_ACTION that concerns none
constexpr std::size_t kSha1Bytes = 20;
constexpr std::size_t kDescriptionBytesMax = 96;

struct Named {
  std::uint32_t type;
  std::string_view name;
};
constexpr std::array<Named, 37> kTypes{{
    {0x00000000, "EV_PREBOOT_CERT"},
    {0x00000001, "EV_POST_CODE"},
    {0x00000002, "EV_UNUSED"},
    {kNoAction, "EV_NO_ACTION"},
    {0x00000004, "EV_SEPARATOR"},
    {0x00000005, "EV_ACTION"},
    {0x00000006, "EV_EVENT_TAG"},
    {0x00000007, "EV_S_CRTM_CONTENTS"},
    {0x00000008, "EV_S_CRTM_VERSION"},
    {0x00000009, "EV_CPU_MICROCODE"},
    {0x0000000A, "EV_PLATFORM_CONFIG_FLAGS"},
    {0x0000000B, "EV_TABLE_OF_DEVICES"},
    {0x0000000C, "EV_COMPACT_HASH"},
    {kIpl, "EV_IPL"},
    {0x0000000E, "EV_IPL_PARTITION_DATA"},
    {0x0000000F, "EV_NONHOST_CODE"},
    {0x00000010, "EV_NONHOST_CONFIG"},
    {0x00000011, "EV_NONHOST_INFO"},
    {0x00000012, "EV_OMIT_BOOT_DEVICE_EVENTS"},
    {0x00000013, "EV_POST_CODE2"},
    {0x80000000, "EV_EFI_EVENT_BASE"},
    {0x80000001, "EV_EFI_VARIABLE_DRIVER_CONFIG"},
    {0x80000002, "EV_EFI_VARIABLE_BOOT"},
    {0x80000003, "EV_EFI_BOOT_SERVICES_APPLICATION"},
    {0x80000004, "EV_EFI_BOOT_SERVICES_DRIVER"},
    {0x80000005, "EV_EFI_RUNTIME_SERVICES_DRIVER"},
    {0x80000006, "EV_EFI_GPT_EVENT"},
    {0x80000007, "EV_EFI_ACTION"},
    {0x80000008, "EV_EFI_PLATFORM_FIRMWARE_BLOB"},
    {0x80000009, "EV_EFI_HANDOFF_TABLES"},
    {0x8000000A, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"},
    {0x8000000B, "EV_EFI_HANDOFF_TABLES2"},
    {0x8000000C, "EV_EFI_VARIABLE_BOOT2"},
    {0x8000000D, "EV_EFI_GPT_EVENT2"},
    {0x80000010, "EV_EFI_HCRTM_EVENT"},
    {0x800000E0, "EV_EFI_VARIABLE_AUTHORITY"},
    {0x800000E1, "EV_EFI_SPDM_FIRMWARE_BLOB"},
}};

std::optional<Bank> bank_of(std::uint16_t algorithm) {  // TPM_ALG_ID
  switch (algorithm) {
    case 0x0004:
      return Bank::kSha1;
    case 0x000B:
      return Bank::kSha256;
    case 0x000C:
      return Bank::kSha384;
    case 0x000D:
      return Bank::kSha512;
    default:
      return std::nullopt;
  }
}

// Little-endian, as the firmware writes (PFP §10.1).
class LogReader {
 public:
  explicit LogReader(ByteView in) : in_(in) {}
  bool at_end() const { return at_ == in_.size(); }
  Result<std::uint64_t> number(std::size_t size_bytes) {
    KEYWARD_TRY(octets, take(size_bytes));
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < size_bytes; ++i) out |= std::uint64_t{octets[i]} << (8 * i);
    return out;
  }
  Result<ByteView> take(std::uint64_t size_bytes) {
    if (size_bytes > in_.size() - at_) return fail(ErrorKind::kBadInput, "the log ends too early");
    const auto out = in_.subspan(at_, size_bytes);
    at_ += size_bytes;
    return out;
  }

 private:
  ByteView in_;
  std::size_t at_ = 0;
};

struct Sizes {
  std::map<std::uint16_t, std::size_t> digest_bytes;  // by TPM_ALG_ID
};

constexpr std::string_view kSpecId03("Spec ID Event03\0", 16);
constexpr std::string_view kSpecId02("Spec ID Event02\0", 16);
constexpr std::string_view kSpecId00("Spec ID Event00\0", 16);
constexpr std::string_view kStartupLocality("StartupLocality\0", 16);

// TCG_EfiSpecIDEvent (PFP §10.4.5.1).
Result<Sizes> read_spec_id(ByteView data) {
  LogReader reader(data);
  KEYWARD_CHECK(reader.take(kSpecId03.size()));
  KEYWARD_CHECK(reader.take(4 + 1 + 1 + 1 + 1));  // class, minor, major, errata, uintn
  KEYWARD_TRY(count, reader.number(4));
  if (count == 0 || count > limits::kEventBanksMax)
    return fail(ErrorKind::kBadInput, "Spec ID event: number of hashes");
  Sizes out;
  for (std::uint64_t i = 0; i < count; ++i) {
    KEYWARD_TRY(algorithm, reader.number(2));
    KEYWARD_TRY(size, reader.number(2));
    const auto bank = bank_of(static_cast<std::uint16_t>(algorithm));
    if (size == 0 || size > 64 || (bank && crypto::digest_bytes(*bank) != size))
      return fail(ErrorKind::kBadInput, "Spec ID event: size of a digest");
    if (!out.digest_bytes.emplace(static_cast<std::uint16_t>(algorithm), size).second)
      return fail(ErrorKind::kBadInput, "Spec ID event: a hash twice");
  }
  KEYWARD_TRY(vendor_bytes, reader.number(1));
  KEYWARD_CHECK(reader.take(vendor_bytes));
  if (!reader.at_end()) return fail(ErrorKind::kBadInput, "Spec ID event: octets behind it");
  return out;
}

// TCG_PCClientPCREvent, the only one with a SHA-1 digest alone.
Appraised<Sizes> read_header(LogReader& reader) {
  const auto pcr = reader.number(4);
  const auto type = reader.number(4);
  const auto digest = reader.take(kSha1Bytes);
  const auto size = reader.number(4);
  if (!pcr || !type || !digest || !size)
    return refuse("log.malformed", "the event log is shorter than its header");
  if (*size > limits::kEventDataBytesMax)
    return refuse("log.limit", "the header of the event log is too long");
  const auto data = reader.take(*size);
  if (!data) return refuse("log.malformed", "the event log is shorter than its header");
  const auto text = text_of(*data);
  if (*type != kNoAction || text.starts_with(kSpecId00) || text.starts_with(kSpecId02))
    return refuse("log.legacy",
                  "the event log is of the legacy form, with SHA-1 alone; the crypto-agile form "
                  "(Spec ID Event03) is needed");
  if (*pcr != 0 || !text.starts_with(kSpecId03))
    return refuse("log.malformed", "the event log does not begin with Spec ID Event03");
  auto sizes = read_spec_id(*data);
  if (!sizes) return refuse("log.malformed", sizes.error().what);
  return std::move(*sizes);
}

bool is_printable(std::uint8_t c) { return c >= 0x20 && c < 0x7f; }

// Keeps what people can read: ASCII as it is, UTF-16LE (names of EFI variables) by its low octets,
// runs of at least four characters.
std::string readable(ByteView data) {
  std::string out, run;
  const auto end_run = [&] {
    if (run.size() >= 4) out += (out.empty() ? "" : " ") + run;
    run.clear();
  };
  for (std::size_t i = 0; i < data.size() && out.size() < kDescriptionBytesMax; ++i) {
    const bool wide_zero = data[i] == 0 && i > 0 && is_printable(data[i - 1]) &&
                           i + 1 < data.size() && is_printable(data[i + 1]);
    if (wide_zero) continue;
    if (is_printable(data[i]))
      run += static_cast<char>(data[i]);
    else
      end_run();
  }
  end_run();
  return out.substr(0, kDescriptionBytesMax);
}

ByteView without_nul(ByteView data) {
  return !data.empty() && data.back() == 0 ? data.first(data.size() - 1) : data;
}

// What the digests may be over, so that the data is what was measured. A boot loader writes
// "kernel_cmdline: ..." and measures what stands behind the colon.
bool is_measured(const LogEvent& event, ByteView data) {
  if (event.digests.empty() || data.empty()) return false;
  std::vector<ByteView> candidates{data, without_nul(data)};
  if (event.type == kIpl) {
    const auto colon = text_of(data).find(": ");
    if (colon != std::string_view::npos) {
      candidates.push_back(data.subspan(colon + 2));
      candidates.push_back(without_nul(data.subspan(colon + 2)));
    }
  }
  return std::ranges::any_of(candidates, [&](ByteView candidate) {
    return std::ranges::all_of(event.digests, [&](const auto& entry) {
      return equal(crypto::hash(entry.first, candidate), entry.second);
    });
  });
}

Appraised<void> read_digests(LogReader& reader, const Sizes& sizes, LogEvent& out) {
  const auto count = reader.number(4);
  if (!count) return refuse("log.malformed", "an event is cut off");
  if (*count != sizes.digest_bytes.size())
    return refuse("log.digests", "an event does not have one digest for each hash of the log");
  std::vector<std::uint16_t> seen;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto algorithm = reader.number(2);
    if (!algorithm) return refuse("log.malformed", "an event is cut off");
    const auto id = static_cast<std::uint16_t>(*algorithm);
    const auto size = sizes.digest_bytes.find(id);
    if (size == sizes.digest_bytes.end() || std::ranges::find(seen, id) != seen.end())
      return refuse("log.digests", "an event has a hash twice, or one that the log does not name");
    seen.push_back(id);
    const auto digest = reader.take(size->second);
    if (!digest) return refuse("log.malformed", "an event is cut off");
    if (const auto bank = bank_of(id)) out.digests[*bank] = to_bytes(*digest);
  }
  return {};
}

// TCG_PCR_EVENT2; the data is returned.
Appraised<ByteView> read_event(LogReader& reader, const Sizes& sizes, LogEvent& out) {
  const auto pcr = reader.number(4);
  const auto type = reader.number(4);
  if (!pcr || !type) return refuse("log.malformed", "an event is cut off");
  out.type = static_cast<std::uint32_t>(*type);
  out.pcr = static_cast<unsigned>(*pcr);
  if (*pcr >= kRegisters && (*pcr != kNoRegister || out.type != kNoAction))
    return refuse("log.pcr", "an event is for a register beyond 23");
  KEYWARD_APPRAISE(read_digests(reader, sizes, out));
  const auto size = reader.number(4);
  if (!size) return refuse("log.malformed", "an event is cut off");
  if (*size > limits::kEventDataBytesMax)
    return refuse("log.limit", "the data of an event is too long");
  const auto data = reader.take(*size);
  if (!data) return refuse("log.malformed", "an event is cut off");
  return *data;
}

// A startup locality stands before PCR 0 is extended, and once.
Appraised<void> take_locality(ByteView data, bool pcr0_begun, bool seen, EventLog& out) {
  const std::uint8_t locality = data.back();
  if (pcr0_begun || seen || data.size() != kStartupLocality.size() + 1 ||
      (locality != 0 && locality != 3 && locality != 4))
    return refuse("log.locality",
                  "the startup locality is none of 0, 3, 4, or not where it belongs");
  out.startup_locality = locality;
  return {};
}

}  // namespace

std::string_view to_string(Bank bank) {
  switch (bank) {
    case Bank::kSha1:
      return "sha1";
    case Bank::kSha256:
      return "sha256";
    case Bank::kSha384:
      return "sha384";
    case Bank::kSha512:
      return "sha512";
  }
  return "";
}

std::optional<Bank> bank_from(std::string_view name) {
  for (const Bank bank : {Bank::kSha1, Bank::kSha256, Bank::kSha384, Bank::kSha512}) {
    if (to_string(bank) == name) return bank;
  }
  return std::nullopt;
}

bool LogEvent::is_extended() const { return type != kNoAction; }

Appraised<EventLog> parse_event_log(ByteView log) {
  if (log.size() > limits::kEvidenceBytesMax)
    return refuse("log.limit", "the event log is too long");
  LogReader reader(log);
  const auto sizes = read_header(reader);
  if (!sizes) return tl::unexpected(sizes.error());
  EventLog out;
  for (const auto& [algorithm, size] : sizes->digest_bytes) {
    if (const auto bank = bank_of(algorithm)) out.banks.push_back(*bank);
  }
  if (out.banks.empty()) return refuse("log.banks", "the event log has no hash that is read here");
  bool pcr0_begun = false, locality_seen = false;
  while (!reader.at_end()) {
    if (out.events.size() >= limits::kEventLogEventsMax)
      return refuse("log.limit", "the event log has too many events");
    LogEvent event;
    event.index = out.events.size() + 1;
    const auto data = read_event(reader, *sizes, event);
    if (!data) return tl::unexpected(data.error());
    if (!event.is_extended() && text_of(*data).starts_with(kStartupLocality)) {
      KEYWARD_APPRAISE(take_locality(*data, pcr0_begun, locality_seen, out));
      locality_seen = true;
    }
    pcr0_begun |= event.is_extended() && event.pcr == 0;
    event.description = readable(*data);
    event.is_data_measured = event.is_extended() && is_measured(event, *data);
    out.events.push_back(std::move(event));
  }
  return out;
}

PcrValues replay(const EventLog& log, Bank bank) {
  PcrValues out;
  const std::size_t size = crypto::digest_bytes(bank);
  const auto initial = [&](unsigned pcr) {
    // Registers of the dynamic root of trust begin with ones (PFP §3.3.1).
    Bytes value(size, pcr >= 17 && pcr <= 22 ? 0xff : 0x00);
    if (pcr == 0) value.back() = log.startup_locality;
    return value;
  };
  if (log.startup_locality != 0) out[0] = initial(0);
  for (const auto& event : log.events) {
    const auto digest = event.digests.find(bank);
    if (!event.is_extended() || digest == event.digests.end()) continue;
    auto& value = out.try_emplace(event.pcr, initial(event.pcr)).first->second;
    append(value, digest->second);
    value = crypto::hash(bank, value);
  }
  return out;
}

std::string event_type_name(std::uint32_t type) {
  const auto* const found = std::ranges::find(kTypes, type, &Named::type);
  if (found != kTypes.end()) return std::string(found->name);
  std::array<char, 16> text{};
  (void)std::snprintf(text.data(), text.size(), "0x%08x", static_cast<unsigned>(type));
  return text.data();
}

std::optional<std::uint32_t> event_type_from(std::string_view name) {
  const auto* const found = std::ranges::find(kTypes, name, &Named::name);
  if (found != kTypes.end()) return found->type;
  if (!name.starts_with("0x") || name.size() != 10) return std::nullopt;
  const auto octets = hex_decode(name.substr(2));
  if (!octets) return std::nullopt;
  std::uint32_t out = 0;
  for (const auto octet : *octets) out = out << 8 | octet;
  return out;
}

std::string words_of(const LogEvent& event, Bank bank) {
  std::string out = "event " + std::to_string(event.index) + " (PCR " + std::to_string(event.pcr) +
                    ", " + event_type_name(event.type);
  const auto digest = event.digests.find(bank);
  if (digest != event.digests.end())
    out += ", " + std::string(to_string(bank)) + " " + hex_encode(digest->second);
  if (!event.description.empty()) out += ", \"" + event.description + "\"";
  return out + ")";
}

}  // namespace keyward::appraise
