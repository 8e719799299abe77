#include "hal/base/rng.h"

#include <cstdlib>

#include <errno.h>
#include <sys/random.h>

namespace keyward {

void random_fill(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::getrandom(out.data() + done, out.size() - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) std::abort();
    done += static_cast<std::size_t>(got);
  }
}

Bytes random_bytes(std::size_t size_bytes) {
  Bytes out(size_bytes);
  random_fill(out);
  return out;
}

std::string random_id(std::size_t size_bytes) { return base64url_encode(random_bytes(size_bytes)); }

}  // namespace keyward
