// Measures what no design can avoid, in the same run as the load: the crypto of one enrolment and
// the two durable writes of the ledger. Prints one JSON line.
//   floor DIRECTORY (on the disk to measure)
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "firmware/crypto/crypto.h"
#include "hal/base/unique_fd.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): a program of one file

double cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

template <class Work>
double cpu_us_each(int times, Work work) {
  const double begin = cpu_us();
  for (int i = 0; i < times; ++i) work();
  return (cpu_us() - begin) / times;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const Bytes message(900, 7);
  const auto sign = [&] {
    return *key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, message);
  };
  const auto signature = sign();
  const double sign_us = cpu_us_each(2'000, [&] { (void)sign(); });
  const double verify_us = cpu_us_each(2'000, [&] {
    if (!key.public_key().verify(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256,
                                 message, signature))
      std::abort();
  });
  const std::string path = std::string(argv[1]) + "/floor.tmp";
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return 1;
  constexpr int kWrites = 500;
  const Bytes row(1'200, 1);
  const auto wall = std::chrono::steady_clock::now();
  const double write_us = cpu_us_each(kWrites, [&] {
    if (::write(fd.get(), row.data(), row.size()) < 0 || ::fdatasync(fd.get()) != 0) std::abort();
  });
  const double write_wall_us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - wall).count() /
      kWrites;
  ::unlink(path.c_str());
  std::printf(
      R"({"sign_us":%.1f,"verify_us":%.1f,"durable_append_cpu_us":%.1f,"durable_append_wall_us":%.1f})"
      "\n",
      sign_us, verify_us, write_us, write_wall_us);
  return 0;
}
