// Owns the lines of the record of enrolments and when they are on disk. Must not know devices.
#include "firmware/inventory/enrolments.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::inventory {
namespace {

constexpr std::size_t kLinesMax = 2 * limits::kEnrolmentsMax;  // then rewritten
constexpr std::size_t kFileBytesMax = (kLinesMax + 1) * limits::kEnrolmentBytesMax;

tl::unexpected<Error> corrupt(const char* what) { return fail(ErrorKind::kCorrupt, what); }

Result<std::optional<Digest256>> digest_member(const json::Value& root, std::string_view name) {
  const auto value = root.get(name);
  if (!value.exists()) return std::optional<Digest256>();
  const auto bytes = hex_decode(value.string());
  Digest256 out{};
  if (!bytes || bytes->size() != out.size()) return corrupt("a digest does not read");
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return std::optional<Digest256>(out);
}

Result<Enrolment> read_line(std::string_view line) {
  const auto document = json::Document::parse(line, limits::kEnrolmentBytesMax);
  if (!document || !document->root().is_object()) return corrupt("a line does not read");
  const auto root = document->root();
  const auto decision = decision_from(root.get("decision").string());
  if (!decision) return corrupt("a line has no decision");
  Enrolment out;
  out.decision = *decision;
  out.device_id = root.get("device").string();
  KEYWARD_TRY(ek, digest_member(root, "ek_certificate_sha256"));
  KEYWARD_TRY(ek_spki, digest_member(root, "ek_spki_sha256"));
  KEYWARD_TRY(ak, digest_member(root, "ak_sha256"));
  KEYWARD_TRY(account, digest_member(root, "account_sha256"));
  KEYWARD_TRY(evidence, digest_member(root, "evidence_sha256"));
  if (!account || !evidence || !root.get("at_ms").is_integer())
    return corrupt("a line lacks account, evidence or time");
  out.ek_certificate_sha256 = ek;
  out.ek_spki_sha256 = ek_spki;
  out.ak_spki_sha256 = ak;
  out.account_sha256 = *account;
  out.evidence_sha256 = *evidence;
  out.at_ms = root.get("at_ms").integer();
  return out;
}

std::string to_line(const Enrolment& enrolment) {
  json::Writer line;
  line.begin_object().member("decision", to_string(enrolment.decision));
  if (!enrolment.device_id.empty()) line.member("device", enrolment.device_id);
  const auto digest = [&](std::string_view name, const std::optional<Digest256>& value) {
    if (value) line.member(name, hex_encode(*value));
  };
  digest("ek_certificate_sha256", enrolment.ek_certificate_sha256);
  digest("ek_spki_sha256", enrolment.ek_spki_sha256);
  digest("ak_sha256", enrolment.ak_spki_sha256);
  digest("account_sha256", enrolment.account_sha256);
  digest("evidence_sha256", enrolment.evidence_sha256);
  line.member_int("at_ms", enrolment.at_ms).end_object();
  return line.take() + "\n";
}

}  // namespace

std::string_view to_string(Decision decision) {
  if (decision == Decision::kAttestationKey) return "attestation-key";
  return decision == Decision::kRemote ? "remote" : "device";
}

std::optional<Decision> decision_from(std::string_view text) {
  for (const auto one : {Decision::kAttestationKey, Decision::kDevice, Decision::kRemote}) {
    if (to_string(one) == text) return one;
  }
  return std::nullopt;
}

Result<Enrolments> Enrolments::open(const std::string& path) {
  Enrolments out(path);
  if (file_exists(path)) {
    KEYWARD_TRY(content, read_file(path, kFileBytesMax));
    KEYWARD_CHECK(out.read(content));
  }
  KEYWARD_CHECK(out.rewrite());
  return out;
}

Result<Enrolments> Enrolments::parse(ByteView content) {
  Enrolments out{std::string()};
  KEYWARD_CHECK(out.read(content));
  return out;
}

Status Enrolments::read(ByteView content) {
  std::string_view rest = text_of(content);
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) return {};  // torn
    const auto enrolment = read_line(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    if (!enrolment && rest.empty()) return {};  // torn: its octets came in another order
    if (!enrolment) return fail(enrolment.error().kind, enrolment.error().what, number);
    put(*enrolment);
  }
  return {};
}

Enrolments::Key Enrolments::key_of(const Enrolment& enrolment) {
  const auto& ek =
      enrolment.ek_certificate_sha256 ? enrolment.ek_certificate_sha256 : enrolment.ek_spki_sha256;
  return {enrolment.decision, enrolment.device_id, ek, enrolment.ak_spki_sha256};
}

void Enrolments::put(const Enrolment& enrolment) {
  const auto key = key_of(enrolment);
  newest_[key] = enrolment;
  if (enrolment.decision == Decision::kAttestationKey && enrolment.ak_spki_sha256)
    by_ak_[*enrolment.ak_spki_sha256] = key;
}

// In order of time, so that the newest activation of an AK is read last again.
std::vector<Enrolment> Enrolments::all() const {
  std::vector<Enrolment> out;
  out.reserve(newest_.size());
  for (const auto& [key, enrolment] : newest_) out.push_back(enrolment);
  std::ranges::stable_sort(out, {}, &Enrolment::at_ms);
  return out;
}

Status Enrolments::rewrite() {
  std::string text;
  for (const auto& enrolment : all()) text += to_line(enrolment);
  KEYWARD_CHECK(replace_file(path_, view_of(text), 0600));
  fd_.reset(::open(path_.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd_) return fail(ErrorKind::kUnavailable, "cannot open the record of enrolments", errno);
  bytes_ = text.size();
  lines_ = newest_.size();
  return {};
}

// A line that did not get whole is overwritten by the next.
Status Enrolments::append_line(std::string_view line) {
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t wrote = ::pwrite(fd_.get(), line.data() + done, line.size() - done,
                                   static_cast<off_t>(bytes_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0)
      return fail(ErrorKind::kUnavailable, "cannot write the record of enrolments", errno);
    done += static_cast<std::size_t>(wrote);
  }
  if (::fdatasync(fd_.get()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot sync the record of enrolments", errno);
  bytes_ += line.size();
  ++lines_;
  return {};
}

// Nothing is dropped to make room: what was forgotten could not be quarantined any more.
Status Enrolments::add(const Enrolment& enrolment) {
  if (!newest_.contains(key_of(enrolment)) && newest_.size() >= limits::kEnrolmentsMax)
    return fail(ErrorKind::kExhausted, "the record of enrolments is full");
  if (lines_ >= kLinesMax) KEYWARD_CHECK(rewrite());
  KEYWARD_CHECK(append_line(to_line(enrolment)));
  put(enrolment);
  return {};
}

const Enrolment* Enrolments::activation_of(const Digest256& ak_spki_sha256) const {
  const auto key = by_ak_.find(ak_spki_sha256);
  if (key == by_ak_.end()) return nullptr;
  return &newest_.at(key->second);
}

std::vector<Enrolment> Enrolments::of_device(std::string_view device_id) const {
  auto out = all();
  std::erase_if(out, [&](const auto& enrolment) { return enrolment.device_id != device_id; });
  return out;
}

}  // namespace keyward::inventory
