#include "firmware/issue/serial.h"

#include "hal/base/rng.h"

namespace keyward::issue {

std::uint64_t Serials::key_of(ByteView serial) {
  std::uint64_t key = 0;
  const auto tail = serial.size() > 8 ? serial.subspan(serial.size() - 8) : serial;
  for (const auto octet : tail) key = key << 8 | octet;
  return key;
}

void Serials::note(ByteView serial) {
  const std::lock_guard lock(mutex_);
  used_.insert(key_of(serial));
}

Result<Bytes> Serials::next() {
  const std::lock_guard lock(mutex_);
  if (used_.size() >= serials_max_)
    return fail(ErrorKind::kExhausted, "the memory of used serials is full");
  for (int i = 0; i < limits::kSerialTriesMax; ++i) {
    Bytes serial = random_bytes(kSerialBytes);
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3f) | 0x40);
    if (used_.insert(key_of(serial)).second) return serial;
  }
  return fail(ErrorKind::kInternal, "the random generator repeats itself");
}

}  // namespace keyward::issue
