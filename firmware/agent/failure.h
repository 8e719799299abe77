// Owns how the agent says that something did not work: a kind that decides what the caller does
// next, and words for a person. Must not know where it came from. Threads: values.
#pragma once

#include <string>
#include <utility>

#include "hal/base/result.h"

namespace keyward::agent {

// The numbers are the exit codes of keyward-agent.
enum class FailureKind : int {
  kInternal = 1,
  kUsage = 2,  // options that do not fit, also: the state directory belongs to another device
  kTpm = 3,    // the TPM is away, or refuses
  kUnreachable =
      4,  // the CA cannot be reached or is not ready: run again, the agent goes on where it was
  kRefused = 5,  // the CA refused; its problem document is in the text
  kState = 6,    // the state directory cannot be read or written
  kBusy = 7,     // another agent works in this state directory
};

struct Failure {
  FailureKind kind = FailureKind::kInternal;
  std::string text;          // one line
  std::string problem_type;  // ACME error type without its URN prefix; empty if there was no
                             // problem document
};

template <class T>
using Outcome = tl::expected<T, Failure>;

inline tl::unexpected<Failure> failed(FailureKind kind, std::string text,
                                      std::string problem_type = {}) {
  return tl::unexpected<Failure>(Failure{kind, std::move(text), std::move(problem_type)});
}
inline tl::unexpected<Failure> failed(const Failure& failure) {
  return tl::unexpected<Failure>(failure);
}
inline tl::unexpected<Failure> failed(FailureKind kind, std::string_view doing,
                                      const Error& error) {
  std::string text(doing);
  text.append(": ").append(error.what).append(" (").append(to_string(error.kind));
  if (error.native != 0) text.append(", ").append(std::to_string(error.native));
  return failed(kind, text.append(")"));
}

}  // namespace keyward::agent
