// Owns the incidents that are in force: the operator's file, read again when it has changed. Must
// not know what they mean. Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "firmware/acme/incidents.h"
#include "firmware/operate/operator_file.h"
#include "hal/base/limits.h"

namespace keyward::acme {

class IncidentBook {
 public:
  // `state_dir` is the acme task's own directory.
  explicit IncidentBook(const std::string& state_dir)
      : file_(state_dir + "/" + std::string(kIncidentsFolder) + "/" + std::string(kIncidentsFile),
              limits::kIncidentsBytesMax, parse_incidents) {}
  // Looks at the file first, so that an incident counts from the next answer on. Null: none was
  // ever declared.
  std::shared_ptr<const Incidents> now() {
    {
      const std::lock_guard lock(mutex_);
      file_.refresh();
    }
    return file_.current();
  }

 private:
  std::mutex mutex_;
  operate::WatchedFile<Incidents> file_;
};

}  // namespace keyward::acme
