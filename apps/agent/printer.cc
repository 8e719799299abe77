// Owns what keyward-agent says. Must not know what is done.
#include "printer.h"

#include <cstdio>

#include "firmware/json/json.h"
#include "hal/base/clock.h"

namespace keyward::agent {
namespace {
void line(const std::string& text) {
  std::fprintf(stdout, "%s\n", text.c_str());
  std::fflush(stdout);
}
std::int64_t now() { return system_clock().monotonic_ms(); }
}  // namespace

Printer::Printer(bool json) : json_(json), begin_ms_(now()), last_ms_(begin_ms_) {}

void Printer::step(std::string_view name, std::string_view detail) {
  const std::int64_t at = now();
  const std::int64_t took = at - last_ms_;
  last_ms_ = at;
  if (json_) {
    json::Writer writer;
    writer.begin_object().member("step", name).member("detail", detail).member_int("took_ms", took);
    return line(writer.end_object().take());
  }
  std::fprintf(stdout, "%7lld ms  %-16.*s %.*s\n", static_cast<long long>(took),
               static_cast<int>(name.size()), name.data(), static_cast<int>(detail.size()),
               detail.data());
  std::fflush(stdout);
}

void Printer::note(std::string_view text) {
  if (!json_) {
    std::fprintf(stderr, "            %.*s\n", static_cast<int>(text.size()), text.data());
    return;
  }
  json::Writer writer;
  line(writer.begin_object().member("note", text).end_object().take());
}

void Printer::result(std::string_view word) {
  const std::int64_t took = now() - begin_ms_;
  if (json_) {
    json::Writer writer;
    return line(writer.begin_object()
                    .member("result", word)
                    .member_int("took_ms", took)
                    .end_object()
                    .take());
  }
  std::fprintf(stdout, "%7lld ms  %.*s\n", static_cast<long long>(took),
               static_cast<int>(word.size()), word.data());
}

void Printer::failure(const Failure& failure) {
  if (!json_) {
    std::fprintf(stderr, "keyward-agent: %s\n", failure.text.c_str());
    return;
  }
  json::Writer writer;
  writer.begin_object()
      .member("result", "failed")
      .member("error", failure.text)
      .member("problem", failure.problem_type);
  line(writer.member_int("exit_code", static_cast<int>(failure.kind)).end_object().take());
}

void Printer::installed(const Installed& what, const std::string& identifier,
                        const std::string& directory_url, const StateDirectory& directory,
                        std::int64_t now_utc_ms) {
  const char* validity = now_utc_ms < what.not_before_ms    ? "not yet valid"
                         : now_utc_ms > what.not_after_ms   ? "expired"
                         : now_utc_ms > what.renew_after_ms ? "valid, renewal is due"
                                                            : "valid";
  if (json_) {
    json::Writer writer;
    writer.begin_object().member("identifier", identifier).member("directory", directory_url);
    writer.member("serial", what.serial_hex)
        .member("key", what.key_text)
        .member("validity", validity);
    writer.member("not_before", utc_text(what.not_before_ms))
        .member("not_after", utc_text(what.not_after_ms));
    writer.member("renew_after", utc_text(what.renew_after_ms));
    writer.member("certificate_file", directory.certificate_path())
        .member("key_file", directory.key_path());
    return line(writer.end_object().take());
  }
  line("identifier    " + identifier);
  line("directory     " + directory_url);
  line("serial        " + what.serial_hex);
  line("key           " + what.key_text + ", in the TPM");
  line("valid from    " + utc_text(what.not_before_ms));
  line("valid to      " + utc_text(what.not_after_ms) + " (" + validity + ")");
  line("next renewal  " + utc_text(what.renew_after_ms));
  line("certificate   " + directory.certificate_path() + " (" +
       std::to_string(what.chain_certificates) + " in the chain)");
  line("key file      " + directory.key_path());
}

}  // namespace keyward::agent
