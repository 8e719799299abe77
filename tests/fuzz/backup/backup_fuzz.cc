// Fuzzes backup files. First octet: what. Held: nothing that this key's owner was not sent opens; a good
// backup of which octets were changed is refused as a whole; what was put in comes out.
#include <cstdlib>
#include <map>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/backup/backup_file.h"
#include "hal/base/unique_fd.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): the fuzzer alone

class FileOf {
 public:
  explicit FileOf(ByteView octets = {}) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (::write(fd_.get(), octets.data(), octets.size()) != static_cast<ssize_t>(octets.size()))
      std::abort();
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }
  UniqueFd another() const { return UniqueFd(::dup(fd_.get())); }
  Bytes octets() const {
    struct stat state {};
    if (::fstat(fd_.get(), &state) != 0) std::abort();
    Bytes out(static_cast<std::size_t>(state.st_size));
    if (::pread(fd_.get(), out.data(), out.size(), 0) != state.st_size) std::abort();
    return out;
  }

 private:
  UniqueFd fd_;
};

const crypto::PrivateKey& key() {
  static const auto* const made = new auto(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  return *made;
}

using Parts = std::map<std::string, Bytes>;
Result<backup::Opened> read(const FileOf& file, Parts& parts) {
  std::string name;
  const backup::Sink sink{[&](const std::string& part, std::uint64_t) -> Status {
                            if (!backup::is_part_name(part)) std::abort();
                            name = part;
                            return {};
                          },
                          [&](ByteView data) -> Status {
                            append(parts[name], data);
                            return {};
                          },
                          [] { return Status{}; }};
  return backup::read_backup(file.path(), key(), sink);
}

Bytes good(const std::string& name, ByteView content) {
  const FileOf file;
  backup::Header header;
  header.id = std::string(32, 'a');
  header.unit = "unit-1";
  header.created_utc_ms = 1'790'000'000'000;
  const std::vector<crypto::PublicKey> recipients{key().public_key()};
  auto writer = backup::Writer::begin(file.another(), header, recipients);
  if (!writer || !writer->add_bytes(name, content) || !writer->finish()) return {};
  return file.octets();
}

void fuzz_raw(ByteView octets) {
  const FileOf file(octets);
  (void)backup::read_header(file.path());
  Parts parts;
  if (read(file, parts)) std::abort();
}

// Edits of a good file: place in two octets, what is written there.
void fuzz_changed(ByteView edits) {
  static const auto* const original = new Bytes(good("part", Bytes(70'000, 7)));
  if (original->empty()) std::abort();
  Bytes changed = *original;
  for (; edits.size() >= 3; edits = edits.subspan(3))
    changed[(edits[0] << 8 | edits[1]) % changed.size()] = edits[2];
  if (edits.size() == 2)
    changed.resize(changed.size() - (edits[0] << 8 | edits[1]) % changed.size());
  Parts parts;
  if (read(FileOf(changed), parts) && changed != *original) std::abort();
}

void fuzz_content(ByteView rest) {
  const auto split = std::min<std::size_t>(rest.empty() ? 0 : rest[0], rest.size());
  const std::string name(text_of(rest.first(split)));
  const auto content = rest.subspan(split);
  const auto file = good(name, content);
  if (file.empty() == backup::is_part_name(name)) std::abort();
  if (file.empty()) return;
  Parts parts;
  if (!read(FileOf(file), parts) || parts[name] != to_bytes(content)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  if (data[0] % 3 == 0) fuzz_raw(rest);
  if (data[0] % 3 == 1) fuzz_changed(rest);
  if (data[0] % 3 == 2) fuzz_content(rest);
  return 0;
}
