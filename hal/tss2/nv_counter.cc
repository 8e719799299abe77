// MonotonicCounter over the Tpm contract: see nv_counter.h.
#include "hal/tss2/nv_counter.h"

namespace keyward::hal {
namespace {

class NvCounter final : public MonotonicCounter {
 public:
  NvCounter(Tpm& tpm, std::uint32_t index) : tpm_(tpm), index_(index) {}
  Result<std::uint64_t> read() override { return tpm_.nv_read_counter(index_); }
  Result<std::uint64_t> increment() override { return tpm_.nv_increment(index_); }

 private:
  Tpm& tpm_;
  std::uint32_t index_;
};

Status make_counter(Tpm& tpm, std::uint32_t index) {
  const auto defined = tpm.nv_define_counter(index);
  if (defined || defined.error().kind != ErrorKind::kRefused) return defined;
  // It exists and could not be read: without its first increment it has no value yet. An index that
  // is no counter is refused by nv_increment.
  KEYWARD_CHECK(tpm.nv_increment(index));
  return {};
}

}  // namespace

Result<std::unique_ptr<MonotonicCounter>> open_nv_counter(Tpm& tpm, std::uint32_t index) {
  const auto value = tpm.nv_read_counter(index);
  if (!value && value.error().kind != ErrorKind::kBadInput) return fail(value.error());
  if (!value) KEYWARD_CHECK(make_counter(tpm, index));
  return std::unique_ptr<MonotonicCounter>(std::make_unique<NvCounter>(tpm, index));
}

}  // namespace keyward::hal
