// keyward-agent: enrols a device with a TPM. Wiring only; what is done stands in firmware/agent.
#include "commands.h"

int main(int argc, char** argv) {
  using namespace keyward::agent;
  Options options;
  if (const int code = parse_options(argc, argv, options); code >= 0) return code;
  Printer printer(options.json);
  const auto done = options.command == Command::kShow     ? show(options, printer)
                    : options.command == Command::kRevoke ? revoke(options, printer)
                    : options.command == Command::kQuote  ? quote(options, printer)
                                                          : obtain(options, printer);
  if (done) return 0;
  printer.failure(done.error());
  return static_cast<int>(done.error().kind);
}
