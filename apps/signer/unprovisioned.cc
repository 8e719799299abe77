#include "apps/signer/unprovisioned.h"

#include <chrono>
#include <thread>

#include "apps/signer/peers.h"
#include "firmware/log/log.h"
#include "firmware/zeroise/zeroise.h"
#include "hal/base/file.h"

namespace keyward::signer {
namespace {

constexpr std::chrono::milliseconds kLook(500);

void refuse_everything(task::Server& server) {
  std::vector<std::pair<wire::TaskId, wire::MessageType>> requests;
  for (const auto& rule : peers()) {
    if (!rule.inbound) continue;
    for (const auto type : rule.messages) requests.emplace_back(rule.peer, type);
  }
  server.refuse_all(requests, wire::Failure::of(wire::FailureKind::kUnavailable, "unprovisioned",
                                                "there is no certificate authority here yet"));
}

}  // namespace

void wait_until_provisioned(task::Task& task, const std::string& state_dir,
                            const std::vector<std::string>& products) {
  const std::string marker = state_dir + "/" + zeroise::kMarkerFile;
  // The first that is missing; "" if nothing is.
  const auto absent = [products]() -> std::string {
    for (const auto& path : products) {
      if (!path.empty() && !file_exists(path)) return path;
    }
    return "";
  };
  const auto missing = [marker, absent] { return file_exists(marker) || !absent().empty(); };
  if (!missing()) return;
  const std::string why = file_exists(marker)
                              ? "this unit was zeroised: restore a backup or hold a ceremony"
                              : "there is no " + absent() + ": hold a ceremony or restore a backup";
  log::warning("unprovisioned", {{"why", why}});
  refuse_everything(task.server());
  std::thread([missing] {
    while (missing()) std::this_thread::sleep_for(kLook);
    log::info("what was missing is there: starting anew");
    task::Task::exit(0);
  }).detach();
  task.report_state("unprovisioned", why);
  task::Task::exit(task.run());
}

}  // namespace keyward::signer
