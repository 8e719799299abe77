// A file that reads 0 or 1: see tamper.h.
#include "hal/linux/tamper.h"

#include "hal/base/file.h"

namespace keyward::hal {
namespace {

class FileTamper final : public Tamper {
 public:
  FileTamper(std::string path, int active) : path_(std::move(path)), active_(active) {}

  Result<bool> tripped() override {
    KEYWARD_TRY(text, read_text_file(path_, 16));
    if (text == "1" || text == "1\n") return active_ == 1;
    if (text == "0" || text == "0\n") return active_ == 0;
    return fail(ErrorKind::kBadInput, "the tamper input reads neither 0 nor 1");
  }

 private:
  std::string path_;
  int active_;
};

}  // namespace

std::unique_ptr<Tamper> make_file_tamper(std::string path, int active) {
  return std::make_unique<FileTamper>(std::move(path), active);
}

}  // namespace keyward::hal
