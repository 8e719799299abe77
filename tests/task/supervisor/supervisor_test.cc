// Proves, with the real keyward-supervisor and stand-in tasks, that tasks are plumbed, watched,
// restarted, plumbed again, and stopped in order.
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

extern char** environ;

namespace keyward {
namespace {

constexpr std::int64_t kPatienceMs = 20'000;

std::string task(const std::string& name, int rank, const std::string& executable,
                 const std::string& more = "") {
  std::string silence = "silence_ms = 15000\n";
  if (more.find("silence_ms") != std::string::npos) silence.clear();
  return "[[task]]\nname = \"" + name + "\"\nrank = " + std::to_string(rank) + "\nexecutable = \"" +
         executable + "\"\nuid_offset = " + std::to_string(rank) +
         "\nrestart = {max = 5, window_s = 60, backoff_min_ms = 20, backoff_max_ms = 100}\n" +
         silence + "start_ms = 3000\nstop_ms = 500\nfiles_max = 64\nthreads_max = 64\n" + more;
}

const std::string kEdge =
    "[[edge]]\nfrom = \"acme\"\nto = \"store\"\nmessages = [\"account-get\"]\n";

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/keyward-supervisor-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    ::chmod(dir_.c_str(), 0711);  // started by root, tasks have their own user ids
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (HasFailure())
      std::cerr << read_text_file(dir_ + "/run/log", 1 << 20).value_or("no log")
                << read_text_file(dir_ + "/run/status.json", 65536).value_or("no status");
    std::filesystem::remove_all(dir_);
  }
  void start(const std::string& acme_mode, const std::string& store_mode,
             const std::string& store_more = "",
             const std::string& store_executable = "keyward-fake-store") {
    write("tasks.toml", "format = 1\n" + task("acme", 1, "keyward-fake-acme") +
                            task("store", 2, store_executable, store_more) + kEdge);
    write("keyward.toml", "[supervisor]\nrun_dir = \"" + dir_ + "/run\"\nstate_root = \"" + dir_ +
                              "/state\"\nbin_dir = \"" + FAKE_BIN +
                              "\"\nuid_base = " + std::to_string(59'000 + ::getpid() % 90 * 10) +
                              "\nwatchdog = \"" + dir_ +
                              "/watchdog\"\nwatchdog_timeout_s = 3\nenvironment = "
                              "[\"KEYWARD_TEST=1\"]\n[acme]\nmode = \"" +
                              acme_mode + "\"\n[store]\nmode = \"" + store_mode + "\"\n");
    const std::string program = std::string(std::getenv("KEYWARD_BIN")) + "/keyward-supervisor";
    const std::string config = dir_ + "/keyward.toml";
    const std::string tasks = dir_ + "/tasks.toml";
    std::vector<const char*> arguments{program.c_str(), config.c_str(), "--tasks", tasks.c_str(),
                                       nullptr};
    ASSERT_EQ(::posix_spawn(&pid_, program.c_str(), nullptr, nullptr,
                            const_cast<char**>(arguments.data()), environ),
              0);
  }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(replace_file(dir_ + "/" + name, view_of(text), 0644));
  }

  struct Seen {
    std::string state, phase, detail;
    int pid = 0;
    std::int64_t restarts = 0;
    unsigned uid = 0;
  };
  // What status.json says of a task; `state` is the whole appliance's.
  Seen seen(const std::string& name) {
    Seen out;
    const auto text = read_text_file(dir_ + "/run/status.json", 65'536);
    if (!text) return out;
    const auto document = json::Document::parse(*text);
    if (!document) return out;
    out.state = document->root().get("state").string();
    for (const auto& item : document->root().get("tasks").items()) {
      if (item.get("name").string() != name) continue;
      out.phase = item.get("phase").string();
      out.detail = item.get("detail").string();
      out.pid = static_cast<int>(item.get("pid").integer());
      out.restarts = item.get("restarts").integer();
      out.uid = static_cast<unsigned>(item.get("uid").integer());
    }
    return out;
  }
  bool eventually(const std::function<bool()>& condition, std::int64_t patience_ms = kPatienceMs) {
    const auto deadline = Deadline::after_ms(patience_ms);
    while (!deadline.passed()) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return condition();
  }
  bool talks() {  // acme is answered by the store that runs now
    const auto store = seen("store");
    return store.phase == "ready" && seen("acme").detail == "pid-" + std::to_string(store.pid);
  }
  int stop() {
    ::kill(pid_, SIGTERM);
    int status = -1;
    const auto deadline = Deadline::after_ms(kPatienceMs);
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
      if (deadline.passed()) return -1;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  std::string log() { return read_text_file(dir_ + "/run/log", 8 << 20).value_or(""); }
  // A line may be on its way when what it tells of is seen already.
  bool logged(std::string_view text) {
    return eventually([&] { return log().find(text) != std::string::npos; });
  }

  std::string dir_;
  pid_t pid_ = -1;
};

TEST_F(SupervisorTest, Start_GoodTasks_BecomesOperationalAndTasksTalk) {
  start("ok", "ok");
  EXPECT_TRUE(eventually([&] { return talks() && seen("store").state == "operational"; }));
  EXPECT_EQ(seen("acme").restarts, 0);
  EXPECT_TRUE(eventually([&] { return file_exists(dir_ + "/watchdog"); }));
}

TEST_F(SupervisorTest, KilledCallee_IsRestartedAndTheLiveCallerGetsANewEnd) {
  start("ok", "ok");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  const auto acme = seen("acme");
  for (int round = 1; round <= 3; ++round) {
    ::kill(seen("store").pid, SIGKILL);
    ASSERT_TRUE(eventually([&] { return seen("store").restarts == round && talks(); })) << round;
  }
  EXPECT_EQ(seen("acme").pid, acme.pid);
  EXPECT_EQ(seen("acme").restarts, 0);
}

TEST_F(SupervisorTest, KilledCaller_IsRestartedAndServedByTheLiveCallee) {
  start("ok", "ok");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  const auto store = seen("store");
  ::kill(seen("acme").pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return seen("acme").restarts == 1 && talks(); }));
  EXPECT_EQ(seen("store").pid, store.pid);
}

TEST_F(SupervisorTest, BothKilled_TalkAgain) {
  start("ok", "ok");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  const int acme = seen("acme").pid;
  const int store = seen("store").pid;
  ::kill(acme, SIGKILL);
  ::kill(store, SIGKILL);
  EXPECT_TRUE(eventually(
      [&] { return seen("acme").pid != acme && seen("store").pid != store && talks(); }));
}

TEST_F(SupervisorTest, SilentTask_IsKilledAndRestarted) {
  start("ok", "ok", "silence_ms = 2000\n");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  ::kill(seen("store").pid, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return seen("store").restarts == 1 && talks(); }));
  EXPECT_TRUE(logged("silent for too long"));
}

TEST_F(SupervisorTest, TaskNeverReady_IsKilledAndRestarted) {
  start("ok", "never-ready");
  EXPECT_TRUE(eventually([&] { return seen("store").restarts >= 1; }));
  EXPECT_TRUE(logged("did not become ready"));
}

TEST_F(SupervisorTest, TaskThatSendsGarbage_IsKilled) {
  start("ok", "garbage");
  EXPECT_TRUE(eventually([&] { return seen("store").restarts >= 1; }));
  EXPECT_TRUE(logged("what no task sends"));
}

TEST_F(SupervisorTest, TaskThatClosesItsControlSocket_IsKilled) {
  start("ok", "hang-up");
  EXPECT_TRUE(eventually([&] { return seen("store").restarts >= 1; }));
  EXPECT_TRUE(logged("closed its control socket"));
}

TEST_F(SupervisorTest, CrashingTask_UsesUpItsBudgetAndIsShownAsFailed) {
  start("ok", "crash");
  EXPECT_TRUE(eventually([&] { return seen("store").phase == "failed"; }));
  EXPECT_EQ(seen("store").restarts, 5);
  EXPECT_EQ(seen("store").state, "failed");
  EXPECT_EQ(seen("acme").phase, "ready");
}

TEST_F(SupervisorTest, WrongConfiguration_IsNotRestarted) {
  start("ok", "ok\"\nunheard_of = \"x");
  EXPECT_TRUE(eventually([&] { return seen("store").phase == "failed"; }));
  EXPECT_EQ(seen("store").restarts, 0);
  EXPECT_TRUE(logged("unheard_of"));
}

TEST_F(SupervisorTest, MissingExecutable_IsShownWithItsName) {
  start("ok", "ok", "", "keyward-nowhere");
  EXPECT_TRUE(eventually([&] { return seen("store").phase == "failed"; }));
  EXPECT_TRUE(logged("task=store raw=1 cannot start: "));
}

TEST_F(SupervisorTest, Terminated_StopsTheFrontEndFirst) {
  start("ok", "ok");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  EXPECT_EQ(stop(), 0);
  const auto text = log();
  const auto acme = text.find("msg=\"task stopped\" name=acme how=\"exit 0\"");
  const auto store = text.find("msg=\"task stopped\" name=store how=\"exit 0\"");
  ASSERT_NE(acme, std::string::npos);
  ASSERT_NE(store, std::string::npos);
  EXPECT_LT(acme, store);
  EXPECT_EQ(seen("acme").phase, "stopped");
}

TEST_F(SupervisorTest, TaskThatDoesNotStop_IsKilledAtItsDeadline) {
  start("ok", "ignore-stop");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  EXPECT_EQ(stop(), 0);
  EXPECT_TRUE(logged("name=store how=\"signal 9 (Killed)\""));
}

TEST_F(SupervisorTest, SupervisorKilled_TakesItsTasksAlong) {
  start("ok", "ok");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  const int acme = seen("acme").pid;
  const int store = seen("store").pid;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
  EXPECT_TRUE(eventually([&] { return ::kill(acme, 0) != 0 && ::kill(store, 0) != 0; }));
}

TEST_F(SupervisorTest, Tasks_HaveNothingButTheirOwn) {
  start("ok", "ok");
  ASSERT_TRUE(eventually([&] { return talks(); }));
  const std::string proc = "/proc/" + std::to_string(seen("store").pid);
  const auto status = read_text_file(proc + "/status", 65'536).value_or("");
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos);
  EXPECT_NE(status.find("Seccomp:\t2"), std::string::npos);
  if (::geteuid() == 0) {
    EXPECT_NE(status.find("Uid:\t" + std::to_string(seen("store").uid)), std::string::npos);
    EXPECT_NE(seen("store").uid, seen("acme").uid);
    EXPECT_NE(seen("store").uid, 0U);
    const auto environment = read_text_file(proc + "/environ", 65'536).value_or("");
    EXPECT_NE(environment.find("KEYWARD_TEST=1"), std::string::npos);
    EXPECT_EQ(environment.find("KEYWARD_SOURCE"), std::string::npos);
    int count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(proc + "/fd"))
      ++count;
    EXPECT_EQ(count, 5);  // null, null, log pipe, control, one edge
  } else {
    EXPECT_NE(read_text_file(dir_ + "/run/status.json", 65'536)->find("share user id"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace keyward
