// Owns a stand-in for a task whose only job is to behave well or badly for the supervisor's tests.
// FAKE_STORE: answers account-get with its own pid. Otherwise acme: asks that again and again and
// reports it.
#include <chrono>
#include <cstdlib>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include "firmware/log/log.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/account_get.h"

namespace {

using namespace keyward;
using wire::MessageType;
using wire::TaskId;

constexpr MessageType kMessages[] = {MessageType::kAccountGet};

#ifdef FAKE_STORE
constexpr TaskId kSelf = TaskId::kStore;
constexpr task::PeerRule kPeers[] = {{TaskId::kAcme, true, kMessages}};
#else
constexpr TaskId kSelf = TaskId::kAcme;
constexpr task::PeerRule kPeers[] = {{TaskId::kStore, false, kMessages}};
#endif

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void misbehave(const std::string& mode) {
  if (mode == "crash") std::abort();
  if (mode == "never-ready") sleep_ms(600'000);
  if (mode == "hang-up") {
    ::close(task::kControlFd);
    sleep_ms(600'000);
  }
  if (mode == "garbage") {
    [[maybe_unused]] const auto wrote = ::write(task::kControlFd, "garbage", 7);
    sleep_ms(600'000);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, kPeers)) return 0;
  task::Task task(kSelf, kPeers);
  const std::string mode = task.config().string_or("mode", "ok");
  const std::string state_dir = task.state_dir();
  task.finish_config_or_die();
  misbehave(mode);
#ifdef FAKE_STORE
  task.report_state("operational", "");
  task.server().on<wire::AccountGet>(
      TaskId::kAcme, [](const wire::AccountGet&) -> task::Answer<wire::AccountGetReply> {
        return task::refuse(wire::FailureKind::kRefused, "pid-" + std::to_string(::getpid()), "");
      });
#else
  std::thread([&task] {
    wire::AccountGet request;
    request.id = "x";
    while (true) {
      const auto reply = task.peer(TaskId::kStore).call(request, 1'000);
      task.report_state("operational", reply ? "?" : reply.error().code);
      sleep_ms(10);
    }
  }).detach();
#endif
  if (mode == "ignore-stop") task.on_stop([] { sleep_ms(600'000); });
  const int code = task.run();
  log::info("fake task ends");
  task::Task::exit(code);
}
