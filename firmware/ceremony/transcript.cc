// Owns the transcript's form and its chain. Must not know whether it is true (transcript_check.cc).
#include "firmware/ceremony/transcript.h"

#include <algorithm>

#include <time.h>

#include "firmware/jose/jws.h"
#include "firmware/json/json.h"

namespace keyward::ceremony {
namespace {

constexpr std::string_view kChainStart = "keyward-transcript-1";
constexpr std::string_view kKind = "keyward-ceremony-transcript";
constexpr int kItemsMax = 131'072;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// One form for what is hashed, whoever wrote it.
Result<std::string> canonical(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, kTranscriptBytesMax, kItemsMax));
  return document.root().print();
}

std::string head_json(const TranscriptHead& head) {
  json::Writer out;
  out.begin_object().member("unit", head.unit).member("title", head.title);
  out.member("started", head.started).member("plan", head.plan_file);
  out.member("plan_sha256", hex_encode(head.plan_sha256));
  out.member("program_sha256", hex_encode(head.program_sha256));
  out.key("present").begin_array();
  for (const auto& name : head.present) out.string(name);
  out.end_array().key("modules").begin_array();
  for (const auto& [token, module] : head.modules)
    out.begin_object().member("token", token).member("module", module).end_object();
  return out.end_array().end_object().take();
}

std::string step_json(const TranscriptStep& step, std::size_t number) {
  json::Writer out;
  out.begin_object().member_int("n", static_cast<std::int64_t>(number)).member("id", step.id);
  out.member("time", step.time).member("words", step.words).member("note", step.note);
  out.key("products").begin_array();
  for (const auto& product : step.products) {
    out.begin_object().member("file", product.file);
    out.member("sha256", hex_encode(product.sha256));
    if (product.leaves) out.member_bool("leaves", true);
    out.end_object();
  }
  return out.end_array().end_object().take();
}

Result<Digest256> read_digest(const json::Value& value) {
  KEYWARD_TRY(octets, hex_decode(value.string()));
  Digest256 out{};
  if (octets.size() != out.size()) return bad("transcript: a digest of another size");
  std::ranges::copy(octets, out.begin());
  return out;
}

Status only_members(const json::Value& object, std::initializer_list<std::string_view> names) {
  if (!object.is_object()) return bad("transcript: an object is missing");
  for (const auto key : object.keys()) {
    if (std::ranges::find(names, key) == names.end())
      return bad("transcript: a member that is not known");
  }
  return {};
}

Result<TranscriptHead> read_head(const json::Value& value) {
  KEYWARD_CHECK(only_members(value, {"unit", "title", "started", "plan", "plan_sha256",
                                     "program_sha256", "present", "modules"}));
  TranscriptHead out;
  out.unit = value.get("unit").string();
  out.title = value.get("title").string();
  out.started = value.get("started").string();
  out.plan_file = value.get("plan").string();
  if (out.unit.empty() || out.plan_file.empty()) return bad("transcript: the head is not whole");
  KEYWARD_TRY(plan, read_digest(value.get("plan_sha256")));
  KEYWARD_TRY(program, read_digest(value.get("program_sha256")));
  out.plan_sha256 = plan;
  out.program_sha256 = program;
  for (const auto& name : value.get("present").items()) out.present.emplace_back(name.string());
  for (const auto& one : value.get("modules").items()) {
    KEYWARD_CHECK(only_members(one, {"token", "module"}));
    out.modules.emplace_back(one.get("token").string(), one.get("module").string());
  }
  return out;
}

Result<TranscriptStep> read_step(const json::Value& value) {
  KEYWARD_CHECK(only_members(value, {"n", "id", "time", "words", "note", "products"}));
  TranscriptStep out;
  out.id = value.get("id").string();
  out.time = value.get("time").string();
  out.words = value.get("words").string();
  out.note = value.get("note").string();
  if (out.id.empty() || !value.get("n").is_integer()) return bad("transcript: a step is not whole");
  for (const auto& one : value.get("products").items()) {
    KEYWARD_CHECK(only_members(one, {"file", "sha256", "leaves"}));
    KEYWARD_TRY(digest, read_digest(one.get("sha256")));
    out.products.push_back({std::string(one.get("file").string()), digest,
                            one.get("leaves").is_bool() && one.get("leaves").boolean()});
  }
  return out;
}

Result<Seal> read_seal(const json::Value& value) {
  KEYWARD_CHECK(only_members(value, {"protected", "payload", "signature"}));
  KEYWARD_TRY(signature, base64url_decode(value.get("signature").string()));
  return Seal{std::string(value.get("protected").string()),
              std::string(value.get("payload").string()), std::move(signature)};
}

std::string_view jws_name(hal::KeyAlgorithm algorithm) {
  switch (algorithm) {
    case hal::KeyAlgorithm::kEcdsaP256:
      return "ES256";
    case hal::KeyAlgorithm::kEcdsaP384:
      return "ES384";
    case hal::KeyAlgorithm::kEd25519:
      return "EdDSA";
    default:
      return "RS256";
  }
}

// RFC 7518 §3.4: r and s, not DER.
Result<Bytes> jws_signature(hal::KeyAlgorithm algorithm, Bytes made) {
  if (algorithm == hal::KeyAlgorithm::kEcdsaP256) return crypto::ecdsa_der_to_raw(made, 32);
  if (algorithm == hal::KeyAlgorithm::kEcdsaP384) return crypto::ecdsa_der_to_raw(made, 48);
  return made;
}

}  // namespace

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1'000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::optional<std::int64_t> utc_from_text(const std::string& text) {
  ::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  return static_cast<std::int64_t>(::timegm(&parts)) * 1'000;
}

Result<Transcript> Transcript::begin(const TranscriptHead& head) {
  KEYWARD_TRY(text, canonical(head_json(head)));
  Transcript out;
  out.head_ = head;
  out.head_text_ = text;
  return out;
}

Result<Transcript> Transcript::parse(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, kTranscriptBytesMax, kItemsMax));
  const auto root = document.root();
  KEYWARD_CHECK(only_members(root, {"version", "kind", "head", "steps", "seals"}));
  if (root.get("version").integer() != 1 || root.get("kind").string() != kKind)
    return bad("transcript: this is none, or of a version that is not known");
  Transcript out;
  KEYWARD_TRY(head, read_head(root.get("head")));
  out.head_ = head;
  out.head_text_ = root.get("head").print();
  const auto steps = root.get("steps").items();
  if (steps.size() > kTranscriptStepsMax)
    return fail(ErrorKind::kExhausted, "transcript: too many steps");
  for (const auto& item : steps) {
    KEYWARD_CHECK(only_members(item, {"hash", "step"}));
    KEYWARD_TRY(step, read_step(item.get("step")));
    out.steps_.push_back(std::move(step));
    out.step_texts_.push_back(item.get("step").print());
    out.stated_.emplace_back(item.get("hash").string());
  }
  for (const auto& item : root.get("seals").items()) {
    KEYWARD_TRY(seal, read_seal(item));
    out.seals_.push_back(std::move(seal));
  }
  return out;
}

Digest256 Transcript::hash_after(std::size_t steps) const {
  Digest256 hash = crypto::sha256(view_of(kChainStart), view_of(head_text_));
  for (std::size_t i = 0; i < std::min(steps, step_texts_.size()); ++i)
    hash = crypto::sha256(hash, view_of(step_texts_[i]));
  return hash;
}

bool Transcript::has_step(std::string_view id) const {
  return std::ranges::find(steps_, id, &TranscriptStep::id) != steps_.end();
}

Status Transcript::append(const TranscriptStep& step) {
  if (steps_.size() >= kTranscriptStepsMax)
    return fail(ErrorKind::kExhausted, "transcript: too many steps");
  KEYWARD_TRY(text, canonical(step_json(step, steps_.size() + 1)));
  steps_.push_back(step);
  step_texts_.push_back(text);
  stated_.push_back(hex_encode(hash_after(steps_.size())));
  return {};
}

Status Transcript::seal(const Sealer& sealer, std::string_view time, bool complete) {
  json::Writer header;
  header.begin_object().member("alg", jws_name(sealer.algorithm));
  header.member("typ", "keyward-transcript+jws").key("x5c").begin_array();
  for (const auto& der : sealer.certificates) header.string(base64_encode(der));
  header.end_array().end_object();
  json::Writer payload;
  payload.begin_object().member("unit", head_.unit);
  payload.member_int("steps", static_cast<std::int64_t>(steps_.size()));
  payload.member("hash", hex_encode(hash_after(steps_.size()))).member("time", time);
  payload.member_bool("complete", complete).end_object();
  Seal out{base64url_encode(view_of(header.take())), base64url_encode(view_of(payload.take())), {}};
  KEYWARD_TRY(made, sealer.sign(view_of(out.protected_b64 + "." + out.payload_b64)));
  KEYWARD_TRY(signature, jws_signature(sealer.algorithm, std::move(made)));
  out.signature = signature;
  seals_.push_back(std::move(out));
  return {};
}

// One step a line: people read it too.
std::string Transcript::text() const {
  std::string out =
      "{\"version\":1,\"kind\":\"" + std::string(kKind) + "\",\n\"head\":" + head_text_;
  out += ",\n\"steps\":[";
  for (std::size_t i = 0; i < step_texts_.size(); ++i)
    out += std::string(i == 0 ? "" : ",") + "\n{\"hash\":\"" + stated_[i] +
           "\",\"step\":" + step_texts_[i] + "}";
  out += "\n],\n\"seals\":[";
  for (std::size_t i = 0; i < seals_.size(); ++i) {
    json::Writer one;
    one.begin_object().member("protected", seals_[i].protected_b64);
    one.member("payload", seals_[i].payload_b64);
    one.member("signature", base64url_encode(seals_[i].signature)).end_object();
    out += std::string(i == 0 ? "" : ",") + "\n" + one.take();
  }
  return out + "\n]}\n";
}

Result<std::string> append_sealed_step(std::string_view transcript, const TranscriptStep& step,
                                       const Sealer& sealer) {
  KEYWARD_TRY(read, Transcript::parse(transcript));
  KEYWARD_CHECK(read.append(step));
  KEYWARD_CHECK(read.seal(sealer, step.time, true));
  return read.text();
}

}  // namespace keyward::ceremony
