// Owns temporary directories and running another program to compare with. Must not know which one.
#pragma once

#include <string>
#include <vector>

#include "hal/base/bytes.h"

namespace keyward::test {

// A fresh directory under the system's temporary directory, removed with its content at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& root() const { return path_; }

 private:
  std::string path_;
};

struct CommandResult {
  int status = -1;     // exit status; -1: could not run, or killed
  std::string output;  // stdout and stderr
};
// Runs argv[0] from PATH, without a shell, with an empty stdin, and waits for its end.
CommandResult run_command(const std::vector<std::string>& argv);
bool has_command(const std::string& name);

void write_file(const std::string& path, ByteView content);
Bytes read_whole_file(const std::string& path);

}  // namespace keyward::test
