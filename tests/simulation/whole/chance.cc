#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_METHOD: the one way to give OpenSSL chosen octets
#include "chance.h"

#include <optional>

#include <openssl/rand.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"

namespace keyward::simulation {
namespace {

std::optional<Random> kernel;  // getrandom
std::optional<Random> library;
std::int64_t utc_now_ms = 0;
std::int64_t monotonic_now_ms = 0;

void fill(Random& random, unsigned char* out, std::size_t size) {
  std::uint64_t octets = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) octets = random.next();
    out[i] = static_cast<unsigned char>(octets >> (i % 8 * 8));
  }
}

int library_octets(unsigned char* out, int size) {
  fill(*library, out, static_cast<std::size_t>(size));
  return 1;
}
int library_ready() { return 1; }
const RAND_METHOD kMethod = {nullptr, library_octets, nullptr,
                             nullptr, library_octets, library_ready};

}  // namespace

void begin_chance(std::uint64_t seed, std::int64_t utc_ms) {
  kernel.emplace(seed ^ 0x6b65726e656cU);
  library.emplace(seed ^ 0x6c696272617279U);
  set_time(utc_ms, 1'000'000);
  ::RAND_set_rand_method(&kMethod);
}

void end_chance() {
  kernel.reset();
  ::RAND_set_rand_method(::RAND_OpenSSL());
}

void repeat_chance(std::uint64_t seed) { kernel.emplace(seed ^ 0x6b65726e656cU); }

void set_time(std::int64_t utc_ms, std::int64_t monotonic_ms) {
  utc_now_ms = utc_ms;
  monotonic_now_ms = monotonic_ms;
}

}  // namespace keyward::simulation

// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

ssize_t getrandom(void* out, size_t size, unsigned flags) {
  using namespace keyward::simulation;
  if (!kernel) return ::syscall(SYS_getrandom, out, size, flags);
  fill(*kernel, static_cast<unsigned char*>(out), size);
  return static_cast<ssize_t>(size);
}

int clock_gettime(clockid_t id, struct timespec* out) noexcept {
  using namespace keyward::simulation;
  const bool simulated = kernel && (id == CLOCK_REALTIME || id == CLOCK_MONOTONIC);
  if (!simulated) return static_cast<int>(::syscall(SYS_clock_gettime, id, out));
  const auto ms = id == CLOCK_REALTIME ? utc_now_ms : monotonic_now_ms;
  out->tv_sec = ms / 1000;
  out->tv_nsec = ms % 1000 * 1'000'000;
  return 0;
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
