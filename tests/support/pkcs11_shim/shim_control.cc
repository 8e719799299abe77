// Owns the test's side of the shim's state file. Must not know what the test tests.
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hal/base/unique_fd.h"
#include "tests/support/pkcs11_shim/shim_state.h"

namespace keyward::test {
namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::abort();
}

}  // namespace

ShimControl::ShimControl(std::string path) : path_(std::move(path)) {
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd || ::ftruncate(fd.get(), sizeof(ShimState)) != 0) die("shim state");
  void* memory =
      ::mmap(nullptr, sizeof(ShimState), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) die("shim state");
  state_ = new (memory) ShimState{};
  state_->magic = ShimState::kMagic;
}

ShimControl::~ShimControl() {
  for (std::uint32_t call = 0; call < static_cast<std::uint32_t>(ShimCall::kCount); ++call)
    resume(static_cast<ShimCall>(call));
  ::munmap(state_, sizeof(ShimState));
}

void ShimControl::fail(ShimCall call, std::uint64_t nth, std::uint64_t count, std::uint64_t rv) {
  auto& state = at(call);
  const auto from = state.calls.load() + nth;
  state.fail_rv = rv;
  state.fail_from = from;
  state.fail_until = from + count - 1;
}

void ShimControl::heal(ShimCall call) { at(call).fail_until = 0; }

void ShimControl::stall(ShimCall call) { at(call).stalled = 1; }

void ShimControl::resume(ShimCall call) {
  at(call).stalled = 0;
  ::syscall(SYS_futex, &at(call).stalled, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void ShimControl::close_sessions() { state_->close_all = 1; }

bool ShimControl::sessions_closed() const { return state_->close_all == 0; }

void ShimControl::corrupt_signatures(std::uint32_t count) { at(ShimCall::kSign).corrupt = count; }

}  // namespace keyward::test
