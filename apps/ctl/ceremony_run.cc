// Owns the course of a ceremony. Must not know what a step does.
#include "apps/ctl/ceremony_run.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include <sys/stat.h>
#include <unistd.h>

#include "apps/ctl/ceremony_steps.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/crypto/crypto.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;
using ceremony::Transcript;
using ceremony::WholePlan;

constexpr int kExitFailed = 1, kExitUsage = 64, kExitAwaits = 75, kExitFile = 78;
constexpr const char* kPartial = "transcript.partial.json";
constexpr const char* kFinal = "transcript.json";
constexpr const char* kPlanCopy = "plan.toml";
constexpr std::size_t kProductBytesMax = 16'777'216;
constexpr std::size_t kProgramBytesMax = 1'073'741'824;
constexpr std::int64_t kSealMs = 30'000;

std::string now_text() { return ceremony::utc_text(system_clock().utc_ms()); }

std::string digest_of_file(const std::string& path) {
  const auto octets = read_file(path, kProgramBytesMax);
  return octets ? hex_encode(crypto::sha256(*octets)) : "not readable";
}

class CeremonyRun {
 public:
  CeremonyRun(WholePlan plan, std::string plan_text, const CeremonyRunOptions& options)
      : plan_(std::move(plan)),
        plan_text_(std::move(plan_text)),
        options_(options),
        plan_folder_(fs::absolute(options.plan_path).parent_path().string()),
        out_(fs::absolute(options.out).lexically_normal().string()),
        tokens_(plan_, plan_folder_, out_),
        steps_(plan_, tokens_, plan_folder_, out_) {
    while (out_.size() > 1 && out_.back() == '/') out_.pop_back();
  }

  int run(const std::vector<std::string>& warnings) {
    auto problems = tokens_.load();
    for (auto& problem : steps_.load()) problems.push_back(options_.plan_path + ": " + problem);
    for (const auto& problem : problems) std::cerr << "keywardctl: " << problem << "\n";
    if (!problems.empty()) return kExitFile;
    list_ = steps_.list();
    review(warnings);
    if (options_.dry_run) return 0;
    if (!options_.yes && ::isatty(STDIN_FILENO) == 0) {
      std::cerr << "keywardctl: there is nobody to ask: use --yes, or a terminal\n";
      return kExitUsage;
    }
    if (const auto begun = begin(); !begun) return 1;
    if (!agreed("Is this the plan that was reviewed?")) return stopped();
    if (const auto pins = tokens_.gather_pins(); !pins) return failed("the PINs", pins.error());
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (const auto code = take(i); code != 0) return code;
    }
    return finish();
  }

 private:
  std::ostream& say() const { return options_.json ? std::cerr : std::cout; }

  void review(const std::vector<std::string>& warnings) const {
    say() << plan_.title << "\nUnit: " << plan_.unit << "\nPlan: " << options_.plan_path
          << ", SHA-256 " << hex_encode(crypto::sha256(view_of(plan_text_)))
          << "\nProducts: " << out_ << "\n";
    for (const auto& name : plan_.present) say() << "Present: " << name << "\n";
    for (const auto& warning : warnings) say() << "WARNING: " << warning << "\n";
    say() << "\n";
    for (std::size_t i = 0; i < list_.size(); ++i)
      say() << "  " << i + 1 << ". " << list_[i].words << "\n";
    say() << "  " << list_.size() + 1 << ". Seal the transcript by the ledger's signer\n\n";
    say().flush();
  }

  bool agreed(const std::string& question) const {
    if (options_.yes) return true;
    say() << question << " [y/N] " << std::flush;
    std::string answer;
    return std::getline(std::cin, answer) && (answer == "y" || answer == "Y" || answer == "yes");
  }

  // A fresh folder, or one in which this very plan was stopped.
  Status begin() {
    if (file_exists(out_ + "/" + kFinal)) {
      std::cerr << "keywardctl: " << out_ << " holds a ceremony that came to its end; a ceremony "
                << "never overwrites keys or certificates: choose another folder by --out\n";
      return fail(ErrorKind::kRefused, "held already");
    }
    if (file_exists(out_ + "/" + kPartial)) return resume();
    std::error_code error;
    if (fs::exists(out_, error) && !fs::is_empty(out_, error)) {
      std::cerr << "keywardctl: " << out_
                << " is not empty, and no ceremony was begun in it: choose "
                << "another folder by --out\n";
      return fail(ErrorKind::kRefused, "not empty");
    }
    const auto begun = begin_fresh();
    if (!begun) std::cerr << "keywardctl: " << out_ << ": " << begun.error().what << "\n";
    return begun;
  }

  Status begin_fresh() {
    KEYWARD_CHECK(make_directories(out_, 0755));
    KEYWARD_CHECK(make_directories(out_ + "/tokens", 0700));
    ceremony::TranscriptHead head;
    head.unit = plan_.unit;
    head.title = plan_.title;
    head.started = now_text();
    head.plan_file = kPlanCopy;
    head.plan_sha256 = crypto::sha256(view_of(plan_text_));
    if (const auto program = read_file("/proc/self/exe", kProgramBytesMax))
      head.program_sha256 = crypto::sha256(*program);
    head.present = plan_.present;
    for (const auto& token : plan_.tokens) {
      const auto& module = tokens_.board_of(token.name).spec.module_path;
      head.modules.emplace_back(token.name, "token '" + token.label + "', module " + module +
                                                ", SHA-256 " + digest_of_file(module));
    }
    KEYWARD_TRY(transcript, Transcript::begin(head));
    transcript_ = std::move(transcript);
    KEYWARD_CHECK(replace_file(out_ + "/" + kPlanCopy, view_of(plan_text_), 0644));
    return record({"plan", now_text(), "Take this plan", "", {product(kPlanCopy, false)}});
  }

  Status resume() {
    const auto text = read_text_file(out_ + "/" + kPartial, ceremony::kTranscriptBytesMax);
    auto read = text ? Transcript::parse(*text) : fail(text.error());
    const auto refuse = [&](const std::string& why) -> Status {
      std::cerr << "keywardctl: the ceremony in " << out_ << " cannot go on: " << why << "\n";
      return fail(ErrorKind::kRefused, "cannot go on");
    };
    if (!read) return refuse(std::string(kPartial) + " cannot be read: " + read.error().what);
    if (read->head().plan_sha256 != crypto::sha256(view_of(plan_text_)))
      return refuse("it was begun with another plan (" + out_ + "/" + kPlanCopy + ")");
    for (std::size_t i = 0; i < read->steps().size(); ++i) {
      if (read->stated_hash(i) != hex_encode(read->hash_after(i + 1)))
        return refuse("step " + std::to_string(i + 1) + " was changed since");
    }
    const auto findings = ceremony::check_products(
        *read, {{}, [&](const std::string& file) { return read_product(file); }});
    if (!findings.empty()) return refuse(findings.front().what);
    transcript_ = std::move(*read);
    say() << "Going on with a ceremony that was stopped after step "
          << transcript_->steps().size() - 1 << "\n";
    return {};
  }

  std::optional<Bytes> read_product(const std::string& file) const {
    auto content = read_file(out_ + "/" + file, kProductBytesMax);
    if (!content) return std::nullopt;
    return std::move(*content);
  }

  ceremony::Product product(const std::string& file, bool leaves) const {
    const auto content = read_product(file);
    return {file, content ? crypto::sha256(*content) : Digest256{}, leaves};
  }

  Status record(const ceremony::TranscriptStep& step) {
    KEYWARD_CHECK(transcript_->append(step));
    return replace_file(out_ + "/" + kPartial, view_of(transcript_->text()), 0644);
  }

  // 0: done, also earlier.
  int take(std::size_t index) {
    const auto& step = list_[index];
    const auto number = std::to_string(index + 1) + "/" + std::to_string(list_.size() + 1);
    if (transcript_->has_step(step.id)) {
      say() << "[" << number << "] " << step.words << "\n      done before\n";
      return 0;
    }
    say() << "[" << number << "] " << step.words << std::endl;
    if (step.awaited && !file_exists(step.awaited->file)) return awaits(index);
    if (!agreed("      Do it?")) return stopped();
    const auto done = step.run();
    if (!done) return failed(step.id, done.error());
    ceremony::TranscriptStep row{step.id, now_text(), step.words, done->note, {}};
    for (const auto& file : done->files) row.products.push_back(product(file, false));
    for (const auto& file : done->leaving) row.products.push_back(product(file, true));
    if (const auto kept = record(row); !kept) return failed(step.id, kept.error());
    say() << "      " << (done->note.empty() ? "done" : done->note) << std::endl;
    if (step.id == "shares") hand_out();
    return 0;
  }

  // Each custodian alone before the screen.
  void hand_out() const {
    const bool ask = !options_.yes && ::isatty(STDOUT_FILENO) != 0;
    if (!ask && !options_.print_shares) return;
    for (std::size_t i = 0; i < plan_.custodians.names.size(); ++i) {
      const auto& name = plan_.custodians.names[i];
      if (ask && !agreed("      Is " + name + " alone before the screen, to see his share?"))
        continue;
      const auto sheet = read_product(custodian_file(plan_.custodians.names, i));
      if (sheet) std::cout << text_of(*sheet) << std::flush;
      if (!ask) continue;
      std::cout << "Press Enter when it is written down; the screen is cleared. " << std::flush;
      std::string ignored;
      std::getline(std::cin, ignored);
      std::cout << "\033[H\033[2J\033[3J" << std::flush;
    }
  }

  // All answers at once: who carries requests to another site goes there once.
  int awaits(std::size_t from) const {
    std::cerr << "keywardctl: waits for the CA elsewhere. Nothing is lost.\n";
    for (std::size_t i = from; i < list_.size(); ++i) {
      const auto& awaited = list_[i].awaited;
      if (!awaited || transcript_->has_step(list_[i].id) || file_exists(awaited->file)) continue;
      std::cerr << "  certify  " << out_ << "/" << awaited->request << "\n  into     "
                << awaited->file << "\n";
    }
    std::cerr << "Compare the requests' SHA-256 with the transcript's before they are certified "
                 "(keywardctl ceremony transcript "
              << out_ << "/" << kPartial
              << "). Then give the same command again: it goes on here.\n";
    return kExitAwaits;
  }

  int stopped() const {
    std::cerr << "keywardctl: stopped. " << state_text();
    return kExitFailed;
  }

  int failed(const std::string& what, const Error& error) const {
    std::cerr << "keywardctl: " << what << " failed: " << error.what << " ("
              << to_string(error.kind) << ", " << error.native << ")\n";
    if (what.starts_with("key-") && error.kind == ErrorKind::kRefused)
      std::cerr
          << "keywardctl: if a key with this label is in the token, this ceremony did not record "
             "it (it was there before, or the power failed right after it was made). A "
             "ceremony uses no key whose birth it did not see: look at the token with its own "
             "tools, remove that key or choose another label in a new plan.\n";
    if (what.starts_with("token-") && error.kind == ErrorKind::kRefused)
      std::cerr << "keywardctl: a token that is there is not set up again (initialize = false uses "
                   "it), and a PIN that was refused is not tried again.\n";
    std::cerr << "keywardctl: " << state_text();
    return kExitFailed;
  }

  std::string state_text() const {
    std::string out = "Nothing that exists is lost. Done so far:\n";
    bool any = false;
    for (const auto& step : transcript_->steps()) {
      if (step.id == "plan") continue;
      any = true;
      out += "  " + step.id + (step.note.empty() ? "" : ": " + step.note) + "\n";
    }
    if (!any) out += "  no step\n";
    return out +
           "Put right what failed and give the same command again: it goes on with the step "
           "after these.\n";
  }

  Result<ceremony::Sealer> sealer() const {
    KEYWARD_TRY(certificate, steps_.certificate("audit.pem"));
    return ceremony::Sealer{{certificate}, plan_.audit_algorithm, [this](ByteView message) {
                              return tokens_.with(plan_.audit_token, [&](hal::SigningToken& open) {
                                return open.sign(plan_.audit.key_label, message,
                                                 Deadline::after_ms(kSealMs),
                                                 hal::SignPriority::kUrgent);
                              });
                            }};
  }

  // The seal is judged like a stranger's before it counts.
  Status seal() {
    KEYWARD_TRY(by, sealer());
    KEYWARD_CHECK(transcript_->seal(by, now_text(), true));
    KEYWARD_TRY(root, steps_.certificate("root.pem"));
    if (!ceremony::check_transcript(*transcript_, root).empty())
      return fail(ErrorKind::kCorrupt, "the sealed transcript does not verify");
    KEYWARD_CHECK(replace_file(out_ + "/" + kFinal, view_of(transcript_->text()), 0644));
    std::error_code error;
    fs::remove(out_ + "/" + kPartial, error);
    return {};
  }

  int finish() {
    say() << "[" << list_.size() + 1 << "/" << list_.size() + 1
          << "] Seal the transcript by the ledger's signer" << std::endl;
    if (!agreed("      Do it?")) return stopped();
    if (const auto sealed = seal(); !sealed) return failed("seal", sealed.error());
    const auto root = steps_.certificate("root.pem");
    const auto print = root ? hex_encode(crypto::sha256(*root)) : "";
    say() << "\nThe ceremony came to its end. Everybody present writes this down:\n"
          << "  root certificate SHA-256 " << print << "\n";
    if (file_exists(out_ + "/handover"))
      say() << "Carry away what lies in " << out_
            << "/handover (shares, made-up PINs), each sheet to its owner, and delete it there.\n";
    if (options_.json) {
      json::Writer out;
      out.begin_object().member("unit", plan_.unit).member("out", out_);
      out.member("root_sha256", print).member_int("steps", static_cast<std::int64_t>(list_.size()));
      std::cout << out.end_object().take() << "\n";
    }
    return 0;
  }

  WholePlan plan_;
  std::string plan_text_;
  CeremonyRunOptions options_;
  std::string plan_folder_;
  std::string out_;
  CeremonyTokens tokens_;
  CeremonySteps steps_;
  std::vector<CeremonyStep> list_;
  std::optional<Transcript> transcript_;
};

}  // namespace

int run_whole_ceremony(const CeremonyRunOptions& options) {
  const auto text = read_text_file(options.plan_path, limits::kConfigBytesMax);
  if (!text) {
    std::cerr << "keywardctl: " << options.plan_path << ": " << text.error().what << "\n";
    return kExitFile;
  }
  auto parsed = ceremony::parse_whole_plan(*text, options.plan_path);
  for (const auto& problem : parsed.problems) std::cerr << "keywardctl: " << problem << "\n";
  if (!parsed.problems.empty()) return kExitFile;
  ::umask(022);
  return CeremonyRun(std::move(parsed.plan), *text, options).run(parsed.warnings);
}

}  // namespace keyward::ctl
