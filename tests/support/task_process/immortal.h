// Owns what lives until the process ends: a stub task whose task::Server has threads that nobody joins must not be
// destroyed under them. Kept where a leak checker finds it. Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace keyward::test {

template <class T>
T* immortal(std::unique_ptr<T> made) {
  static std::mutex mutex;
  // Never destroyed: destructors of statics run while the threads still do.
  static auto& all = *new std::vector<T*>;  // NOLINT: reachable through the static
  const std::lock_guard lock(mutex);
  all.push_back(made.release());
  return all.back();
}

}  // namespace keyward::test
