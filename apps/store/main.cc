// keyward-store: accounts, orders, authorizations and certificates behind typed operations. Wiring
// alone; it must never have a network nor a key (DESIGN §1).
#include "apps/store/loop.h"
#include "apps/store/peers.h"
#include "firmware/log/log.h"

using namespace keyward;  // NOLINT(google-build-using-namespace): main.cc alone

int main(int argc, char** argv) {
  if (task::print_peers(argc, argv, store::peers())) return 0;
  task::Task task(wire::TaskId::kStore, store::peers());
  auto config = task.config();
  store::Options options;
  options.directory = task.state_dir();
  options.bytes_max = config.integer_or("bytes_max", 1LL << 20, 1LL << 40, limits::kStoreBytesMax);
  options.reserve_bytes =
      config.integer_or("reserve_bytes", 0, 1LL << 40, limits::kStoreReserveBytes);
  (void)config.table("appliance").text();  // shared with every task; nothing in it is for this one
  task.finish_config_or_die();

  auto opened = store::Store::open(options, system_clock());
  if (!opened) {
    log::error("cannot open the database", opened.error());
    // A damaged database does not heal by a restart: stay, say so, refuse. A full or absent disk
    // may.
    const auto kind = opened.error().kind;
    if (kind != ErrorKind::kCorrupt && kind != ErrorKind::kRefused) task::Task::exit(1);
  }
  store::Loop loop(
      opened ? std::move(*opened) : nullptr, options.directory,
      [&](std::string_view state, std::string_view detail) { task.report_state(state, detail); });
  loop.register_handlers(task.server());
  task.on_stop([&] { loop.stop(); });
  loop.start();
  task::Task::exit(task.run());
}
