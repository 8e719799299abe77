// Owns small-file reading and crash-safe replacing. Must not know what the files mean.
// Errors: kUnavailable (not there, no access), kExhausted (larger than the cap), kInternal.
#pragma once

#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward {

Result<Bytes> read_file(const std::string& path, std::size_t bytes_max);
Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max);
bool file_exists(const std::string& path);
// Writes PATH.new, fsyncs it, renames it over PATH and fsyncs the directory: after a power cut the
// old content or the new is there, whole.
Status replace_file(const std::string& path, ByteView content, unsigned mode);
Status make_directories(const std::string& path, unsigned mode);
Status sync_directory(const std::string& path);

}  // namespace keyward
