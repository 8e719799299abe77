// Owns what ThreadSanitizer is told in every program of a `tsan` build. Tasks have an environment
// that the supervisor builds, so TSAN_OPTIONS would not reach them. In no other build.
extern "C" {

const char* __tsan_default_options();       // NOLINT: the sanitizer's names
const char* __tsan_default_suppressions();  // NOLINT

// A task ends by _exit and leaves its threads where they are; and it has less time to stop than the
// second that the sanitizer would sleep at an exit.
const char* __tsan_default_options() { return "report_thread_leaks=0:atexit_sleep_ms=0"; }

// civetweb signals its threads to stop through a volatile flag, and frees its listening sockets in
// the thread that had them: its own way of ordering, which ThreadSanitizer does not see.
const char* __tsan_default_suppressions() {
  return "race:mg_stop\n"
         "race:close_all_listening_sockets\n"
         "race:mg_poll\n"
         "race:^master_thread_run\n"
         "race:consume_socket\n";
}
}
