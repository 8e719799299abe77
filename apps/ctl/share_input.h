// Owns how shares come to a command: from files, or typed line by line, each checked at once. Must not
// know what the secret opens.
#pragma once

#include <string>
#include <vector>

#include "firmware/shares/shares.h"
#include "hal/base/result.h"

namespace keyward::ctl {

// Shares of `set` (empty: of the first one's) from `files`, then from standard input until there are
// enough; a terminal does not show what is typed. What is wrong goes to standard error, naming the
// share; a mistyped line may be typed again. kBadInput: a file's share is wrong; kRefused: not enough,
// or they give no secret.
Result<SecretBytes> gather_secret(const std::vector<std::string>& files, const std::string& set,
                                  const std::string& what_for);

// One line from a file, or typed without echo. kBadInput: empty or too long.
Result<SecretBytes> read_secret_line(const std::string& file, const std::string& prompt);

// Writes each share into `folder` as NN-NAME.share, mode 0600; never over a file.
Status write_shares(const std::string& folder, const std::vector<shares::Share>& all);

}  // namespace keyward::ctl
