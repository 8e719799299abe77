// Owns how words that begin with a hyphen and are no option reach the parser: ids and thumbprints are
// base64url (RFC 4648 section 5), one in 64 begins with "-". Must not know any command. Threads: any.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

// The words of a command line in the reverse order that CLI::App::parse takes them in. An id or thumbprint that looks
// like an option becomes the value of the option before it, or an operand behind "--".
std::vector<std::string> command_words(const CLI::App& app, std::vector<std::string> words);

}  // namespace keyward::ctl
