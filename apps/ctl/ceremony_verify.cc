// Owns `keywardctl ceremony verify` and `ceremony transcript`, in words and in JSON. Must not know how
// a transcript is judged (firmware/ceremony).
#include <filesystem>
#include <iostream>

#include "apps/ctl/ceremony_run.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/json/json.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
using ceremony::Finding;
using ceremony::Transcript;

constexpr int kExitFinding = 2, kExitFile = 78;
constexpr std::size_t kPemBytesMax = 65'536;
constexpr std::size_t kProductBytesMax = 16'777'216;
constexpr std::size_t kFilesMax = 16'384;
constexpr const char* kFinal = "transcript.json";

std::string transcript_path(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? path + "/" + kFinal : path;
}

int file_wrong(const std::string& path, std::string_view what) {
  std::cerr << "keywardctl: " << path << ": " << what << "\n";
  return kExitFile;
}

Result<Transcript> load(const std::string& path) {
  KEYWARD_TRY(text, read_text_file(path, ceremony::kTranscriptBytesMax));
  return Transcript::parse(text);
}

// What a token keeps in tokens/ changes with each login: it is no product.
std::vector<std::string> files_in(const std::string& folder, const std::string& transcript) {
  std::vector<std::string> out;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator() && out.size() < kFilesMax;
       at.increment(error)) {
    const auto name = fs::relative(at->path(), folder).generic_string();
    if (at->is_directory(error)) {
      if (name == "tokens") at.disable_recursion_pending();
      continue;
    }
    if (name != transcript) out.push_back(name);
  }
  return out;
}

void print_json(const Transcript& transcript, const std::vector<Finding>& findings) {
  json::Writer out;
  out.begin_object().member("unit", transcript.head().unit);
  out.member_int("steps", static_cast<std::int64_t>(transcript.steps().size()));
  out.member_int("seals", static_cast<std::int64_t>(transcript.seals().size()));
  out.member_bool("whole", findings.empty()).key("findings").begin_array();
  for (const auto& finding : findings)
    out.begin_object().member("code", finding.code).member("what", finding.what).end_object();
  std::cout << out.end_array().end_object().take() << "\n";
}

}  // namespace

int verify_ceremony(const CeremonyReadOptions& options) {
  const auto path = transcript_path(options.path);
  const auto transcript = load(path);
  if (!transcript) return file_wrong(path, transcript.error().what);
  const auto pem = read_text_file(options.root, kPemBytesMax);
  const auto root = pem ? x509::certificates_from_pem(*pem, 1) : fail(pem.error());
  if (!root || root->empty()) return file_wrong(options.root, "holds no certificate");
  auto findings = ceremony::check_transcript(*transcript, root->front());
  const auto folder = fs::absolute(path).parent_path().string();
  const ceremony::Folder products{files_in(folder, fs::path(path).filename().string()),
                                  [&](const std::string& file) -> std::optional<Bytes> {
                                    auto content = read_file(folder + "/" + file, kProductBytesMax);
                                    if (!content) return std::nullopt;
                                    return std::move(*content);
                                  }};
  for (auto& finding : ceremony::check_products(*transcript, products))
    findings.push_back(std::move(finding));
  if (options.json) {
    print_json(*transcript, findings);
    return findings.empty() ? 0 : kExitFinding;
  }
  for (const auto& finding : findings) std::cout << finding.code << ": " << finding.what << "\n";
  if (!findings.empty()) return kExitFinding;
  std::cout << "whole: unit " << transcript->head().unit << ", " << transcript->steps().size()
            << " steps, " << transcript->seals().size()
            << " seals; every product is as it was made\n";
  return 0;
}

int show_transcript(const CeremonyReadOptions& options) {
  const auto path = transcript_path(options.path);
  const auto transcript = load(path);
  if (!transcript) return file_wrong(path, transcript.error().what);
  if (options.json) {
    std::cout << transcript->text();
    return 0;
  }
  const auto& head = transcript->head();
  std::cout << head.title << "\nUnit: " << head.unit << "\nBegun: " << head.started
            << "\nPlan: SHA-256 " << hex_encode(head.plan_sha256) << "\nProgram: SHA-256 "
            << hex_encode(head.program_sha256) << "\n";
  for (const auto& name : head.present) std::cout << "Present: " << name << "\n";
  for (const auto& [token, module] : head.modules)
    std::cout << "Token " << token << ": " << module << "\n";
  for (std::size_t i = 0; i < transcript->steps().size(); ++i) {
    const auto& step = transcript->steps()[i];
    std::cout << "\n" << i + 1 << ". " << step.time << "  " << step.words << "\n";
    if (!step.note.empty()) std::cout << "   " << step.note << "\n";
    for (const auto& product : step.products)
      std::cout << "   " << product.file << "  " << hex_encode(product.sha256)
                << (product.leaves ? "  (carried away)" : "") << "\n";
  }
  std::cout << "\n"
            << transcript->seals().size()
            << " seals, not judged here: keywardctl ceremony verify\n";
  return 0;
}

}  // namespace keyward::ctl
