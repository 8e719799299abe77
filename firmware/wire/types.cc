#include "firmware/wire/types.h"

#include <array>
#include <utility>

namespace keyward::wire {
namespace {

constexpr std::array<std::pair<TaskId, std::string_view>, 9> kTasks{{
    {TaskId::kSupervisor, "supervisor"},
    {TaskId::kAcme, "acme"},
    {TaskId::kStore, "store"},
    {TaskId::kValidation, "validation"},
    {TaskId::kAttestation, "attestation"},
    {TaskId::kSigner, "signer"},
    {TaskId::kPlatform, "platform"},
    {TaskId::kAdmin, "admin"},
    {TaskId::kSyslog, "syslog"},
}};

}  // namespace

std::string_view to_string(TaskId id) {
  for (const auto& [task, name] : kTasks) {
    if (task == id) return name;
  }
  return "unknown";
}

std::optional<TaskId> task_from(std::string_view name) {
  for (const auto& [task, text] : kTasks) {
    if (text == name) return task;
  }
  return std::nullopt;
}

}  // namespace keyward::wire
