#include "tests/support/simulator/enrol_loop.h"

#include <map>
#include <set>
#include <sstream>

#include <poll.h>

#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::test {
namespace {

constexpr int kLookMs = 20;
constexpr int kRetryMs = 100;

std::string serial_of(const std::string& pem) {
  const auto ders = x509::certificates_from_pem(pem, 8);
  const auto leaf = ders && !ders->empty()
                        ? x509::parse_certificate(ders->front())
                        : Result<x509::Certificate>(fail(ErrorKind::kBadInput, ""));
  if (!leaf) return "unreadable";
  ByteView serial(leaf->serial);
  if (serial.size() > 1 && serial[0] == 0) serial = serial.subspan(1);
  return hex_encode(serial);
}

CommandResult ledger(const Simulator& simulator, std::vector<std::string> words) {
  words.insert(words.begin(), {keyward_binary("keywardctl"), "ledger"});
  words.push_back(simulator.dir() + "/state/signer/ledger");
  return run_command(words);
}

}  // namespace

EnrolLoop::EnrolLoop(const Simulator& simulator, int clients, std::int64_t patience_ms)
    : patience_ms_(patience_ms),
      directory_url_(simulator.env("KEYWARD_DIRECTORY")),
      ca_file_(simulator.env("KEYWARD_CA_FILE")),
      manufacturer_(simulator.dir() + "/manufacturer/") {
  for (int i = 0; i < clients; ++i) threads_.emplace_back([this, i] { run(i); });
}

void EnrolLoop::stop() {
  stopping_ = true;
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

bool EnrolLoop::wait_for(int wanted, std::int64_t timeout_ms) const {
  const auto deadline = Deadline::after_ms(timeout_ms);
  while (enrolled() < wanted) {
    if (deadline.passed()) return false;
    ::poll(nullptr, 0, kLookMs);
  }
  return true;
}

std::vector<std::string> EnrolLoop::serials() const {
  const std::lock_guard lock(mutex_);
  return serials_;
}

std::string EnrolLoop::last_failure() const {
  const std::lock_guard lock(mutex_);
  return last_failure_;
}

void EnrolLoop::run(int number) {
  auto manufacturer =
      crypto::PrivateKey::from_pem(*read_text_file(manufacturer_ + "ca.key", 1u << 16));
  auto anchor = x509::parse_certificate(
      x509::certificates_from_pem(*read_text_file(manufacturer_ + "ca.pem", 1u << 16), 1)->front());
  const StatementMaker maker(system_clock().utc_ms(), std::move(*manufacturer), std::move(*anchor));
  const std::string name = "LOOP-" + std::to_string(number);
  AcmeClient client(directory_url_, ca_file_,
                    *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  bool known = false;
  while (!stopping_) {
    if (!known) known = client.start().has_value();
    const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    auto spec = StatementMaker::good();
    spec.ak.permanent_identifier = name;
    auto result = known ? enrol_device(
                              client, name, key,
                              [&](const std::string& key_authorization) {
                                spec.key_authorization = key_authorization;
                                return maker.attestation_object(spec, key);
                              },
                              patience_ms_)
                        : tl::expected<EnrolledChain, EnrolFailure>(tl::unexpected<EnrolFailure>(
                              EnrolFailure{"start", 0, "not reachable"}));
    const std::lock_guard lock(mutex_);
    if (result) {
      serials_.push_back(serial_of(result->pem));
      ++enrolled_;
      continue;
    }
    last_failure_ = result.error().step + " " + std::to_string(result.error().status) + " " +
                    result.error().body;
    ++failed_;
    client.http().disconnect();
    ::poll(nullptr, 0, kRetryMs);
  }
}

std::string ledger_contradiction(const Simulator& simulator,
                                 const std::vector<std::string>& given_serials) {
  const auto verified =
      ledger(simulator, {"verify", "--issuer", simulator.dir() + "/ca/chain.pem"});
  if (verified.status != 0) return "ledger verify: " + verified.output;
  const auto shown = ledger(simulator, {"show", "--last", "0"});
  if (shown.status != 0) return "ledger show: " + shown.output.substr(0, 500);
  std::map<std::string, std::string> in_ledger;
  std::istringstream lines(shown.output);
  for (std::string line;
       std::getline(lines, line);) {  // "row N  TIME  RESULT  PROFILE  serial HEX"
    std::istringstream words(line);
    std::string row, number, time, result, profile, word, serial;
    if (!(words >> row >> number >> time >> result >> profile >> word >> serial) || row != "row" ||
        word != "serial")
      continue;
    if (!in_ledger.emplace(serial, result).second)
      return "serial " + serial + " stands twice in the ledger";
  }
  std::set<std::string> given;
  for (const auto& serial : given_serials) {
    if (!given.insert(serial).second) return "serial " + serial + " was given twice";
    const auto found = in_ledger.find(serial);
    if (found == in_ledger.end()) return "serial " + serial + " was given and the ledger lacks it";
    if (found->second != "issued")
      return "serial " + serial + " was given and the ledger says " + found->second;
  }
  return {};
}

long ledger_count(const Simulator& simulator, const std::string& what) {
  const auto shown = ledger(simulator, {"show", "--json", "--last", "1"});
  const auto document = json::Document::parse(shown.output.substr(0, shown.output.rfind('}') + 1));
  return shown.status == 0 && document ? static_cast<long>(document->root().get(what).integer())
                                       : -1;
}

}  // namespace keyward::test
