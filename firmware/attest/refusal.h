// Owns the words of the appraisal: a refusal with a stable id, or a result. Must not know ACME.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "hal/base/result.h"

namespace keyward::attest {

// `code` is stable and documented in docs/attestation.md; `detail` says what was seen and what
// would be right, without secrets and without octets that the device did not publish anyway.
struct Refusal {
  std::string code;
  std::string detail;
};

template <class T>
using Appraised = tl::expected<T, Refusal>;

inline tl::unexpected<Refusal> refuse(std::string_view code, std::string detail) {
  return tl::unexpected<Refusal>(Refusal{std::string(code), std::move(detail)});
}

// Returns the refusal of a step, or goes on.
#define KEYWARD_APPRAISE(expression)                                    \
  do {                                                                  \
    if (auto step_ = (expression); !step_)                              \
      return tl::unexpected<::keyward::attest::Refusal>(step_.error()); \
  } while (false)

}  // namespace keyward::attest
