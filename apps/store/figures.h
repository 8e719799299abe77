// Owns the store's metrics beside those of its requests: files, free room, rows. Must not know SQL
// or messages. Threads: one.
#pragma once

#include <string>

#include "firmware/store/store.h"

namespace keyward::store {

class Figures {
 public:
  explicit Figures(std::string directory) : directory_(std::move(directory)) {}
  // Costs nothing when it is not time yet: files each report of metrics, rows less often.
  void take(Store& store);
  static void note(const Swept& swept);

 private:
  void take_rows(Store& store);
  const std::string directory_;
  Deadline next_files_ = Deadline::after_ms(0);
  Deadline next_rows_ = Deadline::after_ms(0);
};

}  // namespace keyward::store
