// Enrols make-believe devices as fast as it can over N connections, in a closed loop, and prints
// one JSON line: enrolments, errors, seconds, own CPU. tests/bench/run reads the tasks' CPU around
// it.
//   enrol_load DIRECTORY_URL CA_FILE MANUFACTURER_KEY MANUFACTURER_CERT CLIENTS SECONDS
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <sys/resource.h>

#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/acme_client/acme_client.h"
#include "tests/support/statement/statement.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): a program of one file

double own_cpu_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <class T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "enrol_load: %s: %s\n", what, result.error().what);
    std::exit(2);
  }
  return std::move(*result);
}

struct Tally {
  std::atomic<long> enrolled{0}, errors{0};
  std::mutex mutex;
  std::vector<double> latencies_ms;
  std::string first_error;
};

void run_client(int number, char** argv, Deadline until, Tally& tally) {
  const auto read = [](const char* path) { return must(read_text_file(path, 1u << 20), path); };
  auto manufacturer = must(crypto::PrivateKey::from_pem(read(argv[3])), "manufacturer key");
  auto anchor = must(
      x509::parse_certificate(
          must(x509::certificates_from_pem(read(argv[4]), 4), "manufacturer certificate").front()),
      "manufacturer certificate");
  const test::StatementMaker maker(system_clock().utc_ms(), std::move(manufacturer),
                                   std::move(anchor));
  test::AcmeClient client(
      argv[1], argv[2],
      must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256), "account key"));
  if (const auto started = client.start(); !started) {
    ++tally.errors;
    return;
  }
  auto spec = test::StatementMaker::good();
  spec.ak.permanent_identifier = "BENCH-" + std::to_string(number);
  while (!until.passed()) {
    const auto key = must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256), "device key");
    const auto begin = std::chrono::steady_clock::now();
    const auto result = test::enrol_device(client, *spec.ak.permanent_identifier, key,
                                           [&](const std::string& key_authorization) {
                                             spec.key_authorization = key_authorization;
                                             return maker.attestation_object(spec, key);
                                           });
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    const std::lock_guard lock(tally.mutex);
    if (result) {
      ++tally.enrolled;
      tally.latencies_ms.push_back(ms);
    } else {
      ++tally.errors;
      if (tally.first_error.empty())
        tally.first_error = result.error().step + " " + std::to_string(result.error().status) +
                            " " + result.error().body;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: enrol_load DIRECTORY_URL CA_FILE MANUFACTURER_KEY MANUFACTURER_CERT "
                 "CLIENTS SECONDS\n");
    return 64;
  }
  const int clients = std::atoi(argv[5]);
  const double seconds = std::atof(argv[6]);
  Tally tally;
  const auto begin = std::chrono::steady_clock::now();
  const auto until = Deadline::after_ms(static_cast<std::int64_t>(seconds * 1000));
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, i] { run_client(i, argv, until, tally); });
  for (auto& thread : threads) thread.join();
  const double took_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::ranges::sort(tally.latencies_ms);
  const auto quantile = [&](double q) {
    return tally.latencies_ms.empty()
               ? 0.0
               : tally.latencies_ms[static_cast<std::size_t>(
                     q * static_cast<double>(tally.latencies_ms.size() - 1))];
  };
  std::printf(
      R"({"enrolled":%ld,"errors":%ld,"seconds":%.3f,"own_cpu_s":%.3f,"p50_ms":%.2f,"p99_ms":%.2f})"
      "\n",
      tally.enrolled.load(), tally.errors.load(), took_s, own_cpu_s(), quantile(0.5),
      quantile(0.99));
  if (!tally.first_error.empty())
    std::fprintf(stderr, "enrol_load: first error: %s\n", tally.first_error.c_str());
  return tally.errors == 0 ? 0 : 1;
}
