// Owns the form of a signed head: what the audit key says about the end of the ledger, one line of
// heads.jsonl each (docs/ledger.md). Must not know tokens, tasks or files.
//
// A line is a flattened JWS (RFC 7515 §7.2.2) with one fixed header: ES256 and our type. Nothing is
// read out of it before the header compares equal; verify() is what makes its payload believed.
// Errors: kBadInput (not such a line), kRefused (signature). Threads: values.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"

namespace keyward::audit {

// An operator took note that the ledger is not the one that the counter has seen.
struct Acceptance {
  std::string code;  // what was refused
  std::string reason;
  std::uint64_t rows_found = 0;  // in the ledger, at the start that was refused
  std::optional<std::uint64_t> counter_found;
};

Result<Acceptance> parse_acceptance(std::string_view text);

struct Head {
  std::array<std::uint8_t, 16> ledger_id{};
  std::uint64_t number = 0;   // 0, 1, 2 … without gaps
  Digest256 previous_line{};  // SHA-256 of the line before; zeros at number 0
  std::uint64_t row = 0;      // the newest row that it covers
  Digest256 row_sha256{};     // that row's hash: it stands for all before
  std::uint64_t segment = 0;  // where the row lies
  std::uint64_t offset = 0;
  std::int64_t time_ms = 0;  // UTC
  std::optional<std::uint64_t>
      counter;        // the TPM counter's value once this head stands; absent: no
  std::string cause;  // "rows", "time", "start", "stop", "acceptance"
  std::optional<Acceptance> accepted;
};

struct SignedHead {
  Head head;
  std::string signing_input;
  Bytes signature;  // r || s
  Digest256 line_sha256{};
};

// What the key signs for this head (RFC 7515 §5.1).
std::string signing_input_of(const Head& head);
// `signature`: r || s. Without the line's end.
std::string line_of(const std::string& signing_input, ByteView signature);
Result<SignedHead> parse_line(std::string_view line);
Status verify(const SignedHead& head, const crypto::PublicKey& key);

}  // namespace keyward::audit
