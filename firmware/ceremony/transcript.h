// Owns the transcript of a ceremony: steps in a chain of hashes, each with its words and the digests
// of its products, sealed by signatures. Must not know tokens, folders, or what the products are.
//
// JSON: {"version":1, "kind":"keyward-ceremony-transcript", "head":{…},
//        "steps":[{"hash":"<hex>", "step":{…}}], "seals":[{"protected","payload","signature"}]}
// hash 0 = SHA-256("keyward-transcript-1" || head), hash n = SHA-256(hash n-1 || step n), each in the
// compact form that this product prints (white space between members means nothing). A seal is a
// JWS (RFC 7515): `typ` keyward-transcript+jws, certificates in `x5c`; its payload names unit, number
// of steps, their last hash, the time, and whether the ceremony was complete. Whoever adds a step
// afterwards (a certificate of destruction) seals again; earlier seals stay.
//
// Errors: kBadInput (not this form), kExhausted (too large), what `sign` gives. Threads: values.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "hal/signing_token.h"

namespace keyward::ceremony {

inline constexpr std::size_t kTranscriptBytesMax = 4'194'304;  // some thousand steps
inline constexpr std::size_t kTranscriptStepsMax = 4'096;

struct Product {
  std::string file;  // relative, "/" between folders
  Digest256 sha256{};
  bool leaves = false;  // is carried away (a share, a PIN): it may be gone, not changed
};

struct TranscriptStep {
  std::string id;     // "root-certificate"
  std::string time;   // RFC 3339, UTC
  std::string words;  // what was announced before it was done
  std::string note;   // what came of it; may be empty
  std::vector<Product> products;
};

struct TranscriptHead {
  std::string unit, title, started;
  std::string plan_file;  // the product that is the plan
  Digest256 plan_sha256{};
  Digest256 program_sha256{};  // of the program that held the ceremony
  std::vector<std::string> present;
  std::vector<std::pair<std::string, std::string>> modules;  // token, module and its digest
};

struct Seal {
  std::string protected_b64, payload_b64;
  Bytes signature;
};

// Who seals. `certificates`: leaf first, up to but without the root.
struct Sealer {
  std::vector<Bytes> certificates;
  hal::KeyAlgorithm algorithm{};
  // As hal::SigningToken::sign gives it (ECDSA: DER).
  std::function<Result<Bytes>(ByteView message)> sign;
};

class Transcript {
 public:
  static Result<Transcript> begin(const TranscriptHead& head);
  // Form alone; whether it is true: check_transcript().
  static Result<Transcript> parse(std::string_view text);

  Status append(const TranscriptStep& step);
  Status seal(const Sealer& sealer, std::string_view time, bool complete);
  std::string text() const;

  const TranscriptHead& head() const { return head_; }
  const std::vector<TranscriptStep>& steps() const { return steps_; }
  const std::vector<Seal>& seals() const { return seals_; }
  bool has_step(std::string_view id) const;
  // After so many steps, computed anew; 0: of the head.
  Digest256 hash_after(std::size_t steps) const;
  // As it stands in the text, for comparison; absent: not a digest.
  const std::string& stated_hash(std::size_t step) const { return stated_[step]; }

 private:
  TranscriptHead head_;
  std::string head_text_;
  std::vector<TranscriptStep> steps_;
  std::vector<std::string> step_texts_;
  std::vector<std::string> stated_;
  std::vector<Seal> seals_;
};

// For those who add to a ceremony that is over, e.g. the destruction of its keys: the text with one
// more step and one more seal.
Result<std::string> append_sealed_step(std::string_view transcript, const TranscriptStep& step,
                                       const Sealer& sealer);

std::string utc_text(std::int64_t utc_ms);
// The same back; absent: not this form.
std::optional<std::int64_t> utc_from_text(const std::string& text);

// ---- whether it is true

struct Finding {
  std::string code;  // step-changed, step-missing, step-unsealed, seal-missing, seal-signature,
                     // seal-foreign, seal-hash, seal-unit, not-complete, plan-other,
                     // product-changed, product-missing, product-extra, product-name
  std::string what;  // for a person
};

// Chain and seals, with the root's certificate from a source of one's own.
std::vector<Finding> check_transcript(const Transcript& transcript, ByteView root_der);

// Every product against the folder. `read` gives a file's content, or nothing; `files` are all that
// are in the folder, relative, without the transcript itself.
struct Folder {
  std::vector<std::string> files;
  std::function<std::optional<Bytes>(const std::string&)> read;
};
std::vector<Finding> check_products(const Transcript& transcript, const Folder& folder);

}  // namespace keyward::ceremony
