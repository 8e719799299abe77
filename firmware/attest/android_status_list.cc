// Owns the reading of the status list. Must not know certificates.
#include "firmware/attest/android_status_list.h"

#include <algorithm>

#include "firmware/json/json.h"

namespace keyward::attest {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

std::string without_zeros(std::string hex) {
  hex.erase(0, std::min(hex.find_first_not_of('0'), hex.size()));
  return hex;
}

Result<std::string> serial_key(std::string_view key) {
  std::string out;
  for (const char c : key) {
    const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (!digit && !(c >= 'A' && c <= 'F')) return bad("status list: a key is not hexadecimal");
    out.push_back(digit ? c : static_cast<char>(c - 'A' + 'a'));
  }
  out = without_zeros(std::move(out));
  if (out.empty()) return bad("status list: a key is empty");
  return out;
}

}  // namespace

Result<AndroidStatusList> AndroidStatusList::parse(std::string_view json) {
  KEYWARD_TRY(document, json::Document::parse(json, limits::kAndroidStatusListBytesMax,
                                              limits::kAndroidStatusListItemsMax));
  const auto entries = document.root().get("entries");
  if (!entries.is_object()) return bad("status list: no object 'entries'");
  AndroidStatusList out;
  for (const auto& [key, entry] : entries.members()) {
    KEYWARD_TRY(serial, serial_key(key));
    const auto status = entry.get("status").string();
    // Both are reasons not to trust the key; another word may be one too.
    if (status != "REVOKED" && status != "SUSPENDED")
      return bad("status list: a status is neither REVOKED nor SUSPENDED");
    out.serials_.insert(std::move(serial));
  }
  return out;
}

bool AndroidStatusList::holds(ByteView serial) const {
  return serials_.contains(without_zeros(hex_encode(serial)));
}

}  // namespace keyward::attest
