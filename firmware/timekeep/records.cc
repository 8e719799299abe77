#include "firmware/timekeep/records.h"

#include "firmware/json/json.h"

namespace keyward::timekeep {
namespace {

constexpr std::size_t kBootIdBytesMax = 64;

Result<json::Document> open(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text));
  if (!document.root().is_object() || document.root().get("version").integer() != 1)
    return fail(ErrorKind::kBadInput, "not a time file of version 1");
  return std::move(document);
}

Result<std::int64_t> natural(const json::Value& of, std::string_view key) {
  const auto value = of.get(key);
  if (!value.is_integer() || value.integer() < 0)
    return fail(ErrorKind::kBadInput, "a time file lacks a number");
  return value.integer();
}

}  // namespace

std::string to_text(const Word& word) {
  json::Writer out;
  out.begin_object().member_int("version", 1).member("boot_id", word.boot_id);
  out.member_int("utc_ms", word.utc_ms).member_int("boottime_ms", word.boottime_ms).end_object();
  return out.take() + "\n";
}

std::string to_text(const Anchor& anchor) {
  json::Writer out;
  out.begin_object().member_int("version", 1).member_int("utc_ms", anchor.utc_ms);
  out.member_int("clock_ms", static_cast<std::int64_t>(anchor.tpm.clock_ms))
      .member_int("reset_count", static_cast<std::int64_t>(anchor.tpm.reset_count))
      .member_int("restart_count", static_cast<std::int64_t>(anchor.tpm.restart_count))
      .end_object();
  return out.take() + "\n";
}

Result<Word> parse_word(std::string_view text) {
  KEYWARD_TRY(document, open(text));
  const auto root = document.root();
  Word out;
  KEYWARD_TRY(boot_id, root.require_string("boot_id"));
  if (boot_id.empty() || boot_id.size() > kBootIdBytesMax)
    return fail(ErrorKind::kBadInput, "a word about the time names no boot");
  out.boot_id = std::string(boot_id);
  KEYWARD_TRY(utc_ms, natural(root, "utc_ms"));
  KEYWARD_TRY(boottime_ms, natural(root, "boottime_ms"));
  out.utc_ms = utc_ms;
  out.boottime_ms = boottime_ms;
  return out;
}

Result<Anchor> parse_anchor(std::string_view text) {
  KEYWARD_TRY(document, open(text));
  const auto root = document.root();
  KEYWARD_TRY(utc_ms, natural(root, "utc_ms"));
  KEYWARD_TRY(clock_ms, natural(root, "clock_ms"));
  KEYWARD_TRY(reset_count, natural(root, "reset_count"));
  KEYWARD_TRY(restart_count, natural(root, "restart_count"));
  Anchor out;
  out.utc_ms = utc_ms;
  out.tpm.clock_ms = static_cast<std::uint64_t>(clock_ms);
  out.tpm.reset_count = static_cast<std::uint32_t>(reset_count);
  out.tpm.restart_count = static_cast<std::uint32_t>(restart_count);
  return out;
}

}  // namespace keyward::timekeep
