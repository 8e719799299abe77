// Owns make-believe quotes and event logs for tests, each field of which can be made wrong alone.
// Must not know the rules that are tested. A real TPM speaks in tests/component/tpm_quote.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "firmware/appraise/tpm_quote.h"
#include "tests/support/statement/statement.h"

namespace keyward::test {

struct EventSpec {
  unsigned pcr = 0;
  std::uint32_t type = 0x00000005;  // EV_ACTION
  std::string data;
  std::optional<std::string> measured;  // what the digests are over, if not the data
};

struct LogSpec {
  std::string signature{"Spec ID Event03\0", 16};
  std::vector<std::uint16_t> algorithms{0x000B};
  std::optional<std::uint8_t> locality;
  std::vector<EventSpec> events;
};
Bytes event_log(const LogSpec& spec);
// A boot whose registers 0, 4 and 7 have events.
LogSpec good_boot();

struct QuoteSpec {
  AkCertificateSpec ak;
  std::uint32_t magic = 0xFF544347;
  std::uint16_t type = 0x8018;
  Bytes extra_data;
  std::vector<unsigned> pcrs{0, 4, 7};
  std::uint16_t bank = 0x000B;
  LogSpec log = good_boot();
  bool has_log = true;
  bool other_pcr_digest = false;
  bool signed_by_other = false;
  bool trailing = false;
  bool unknown_ca = false;
  std::uint16_t signature_hash = 0x000B;
  std::function<void(Bytes&)> edit_quoted;  // before it is signed
};

class QuoteMaker {
 public:
  explicit QuoteMaker(std::int64_t at_utc_ms);
  const x509::Certificate& anchor() const { return statements_.anchor(); }
  appraise::QuoteRecord record(const QuoteSpec& spec) const;
  const StatementMaker& statements() const { return statements_; }

 private:
  StatementMaker statements_;
  crypto::PrivateKey ak_, other_;
};

}  // namespace keyward::test
