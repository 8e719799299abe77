#include "apps/ctl/unit_parts.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

namespace fs = std::filesystem;

// What another TPM cannot open, what only the next moments need, and what must not come back: with old
// ticket and challenge keys, orders and proofs of before would go on on two units.
constexpr std::string_view kLeftOut[] = {"platform/hsm-pin.tss2",
                                         "platform/unlock",
                                         "platform/tampered",
                                         "platform/zeroised",
                                         "signer/zeroised",
                                         "signer/tokens",
                                         "signer/ticket.key",
                                         "signer/grants.journal",
                                         "signer/refused-pins",
                                         "signer/ledger",
                                         "signer/audit",
                                         "signer/softhsm2.conf",
                                         "acme/nonce.key",
                                         "attestation/challenge-token.key",
                                         "validation/challenge-token.key",
                                         "store/keyward.db",
                                         "store/keyward.db-wal",
                                         "store/keyward.db-shm"};

bool left_out(const std::string& below_state) {
  return std::ranges::any_of(kLeftOut, [&](std::string_view each) {
    return below_state == each || below_state.starts_with(std::string(each) + "/");
  });
}

void add_tree(const std::string& name, const std::string& path, bool all, std::vector<Part>& out) {
  std::error_code error;
  std::vector<Part> found;
  for (auto at = fs::recursive_directory_iterator(path, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_symlink() || !at->is_regular_file()) continue;
    const auto below = fs::relative(at->path(), path).string();
    if (!all && left_out(below)) continue;
    if (below.ends_with(".new") || below.ends_with(".lock")) continue;  // half written, or empty
    found.push_back({name + "/" + below, at->path()});
  }
  std::ranges::sort(found, {}, &Part::name);
  out.insert(out.end(), found.begin(), found.end());
}

class Unpacker {
 public:
  explicit Unpacker(std::string folder) : folder_(std::move(folder)) {}
  Status begin(const std::string& name) {
    const std::string path = folder_ + "/" + name;
    KEYWARD_CHECK(make_directories(fs::path(path).parent_path(), 0700));
    fd_ =
        UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd_) return fail(ErrorKind::kUnavailable, "a file cannot be written", errno);
    return {};
  }
  Status data(ByteView piece) {
    while (!piece.empty()) {
      const auto written = ::write(fd_.get(), piece.data(), piece.size());
      if (written <= 0) return fail(ErrorKind::kUnavailable, "a file cannot be written", errno);
      piece = piece.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }
  Status end() {
    if (::fsync(fd_.get()) != 0) return fail(ErrorKind::kUnavailable, "fsync", errno);
    fd_.reset();
    return {};
  }

 private:
  std::string folder_;
  UniqueFd fd_;
};

}  // namespace

std::vector<Part> parts_of(const UnitPlaces& places, const std::vector<std::string>& include,
                           bool tokens) {
  std::vector<Part> out = {{"installation/keyward.toml", places.installation}};
  for (const auto& path :
       {places.issuer_chain, places.audit_certificate, places.ocsp_certificate, places.operators}) {
    if (!path.empty() && file_exists(path))
      out.push_back({"certificates/" + fs::path(path).filename().string(), path});
  }
  const auto root = fs::path(places.issuer_chain).parent_path().string() + "/root.pem";
  if (file_exists(root)) out.push_back({"certificates/root.pem", root});
  for (const auto& path : include)
    out.push_back({"included/" + fs::path(path).filename().string(), path});
  std::vector<Part> state;
  add_tree("state", places.state_root, false, state);
  std::erase_if(state, [](const Part& part) { return left_out(part.name.substr(6)); });
  out.insert(out.end(), state.begin(), state.end());
  if (tokens) add_tree("state/signer/tokens", places.state_of("signer") + "/tokens", true, out);
  if (tokens && file_exists(places.state_of("signer") + "/softhsm2.conf"))
    out.push_back({"token/softhsm2.conf", places.state_of("signer") + "/softhsm2.conf"});
  add_tree("state/signer/audit", places.state_of("signer") + "/audit", true, out);
  add_tree("state/signer/ledger", places.state_of("signer") + "/ledger", true, out);
  return out;
}

backup::Sink unpack_into(const std::string& folder) {
  const auto unpacker = std::make_shared<Unpacker>(folder);
  backup::Sink out;
  out.begin = [unpacker](const std::string& name, std::uint64_t) { return unpacker->begin(name); };
  out.data = [unpacker](ByteView piece) { return unpacker->data(piece); };
  out.end = [unpacker] { return unpacker->end(); };
  return out;
}

backup::Sink look_only(std::vector<std::pair<std::string, std::uint64_t>>& seen) {
  backup::Sink out;
  out.begin = [&seen](const std::string& name, std::uint64_t size) {
    seen.emplace_back(name, size);
    return Status();
  };
  out.data = [](ByteView) { return Status(); };
  out.end = [] { return Status(); };
  return out;
}

}  // namespace keyward::ctl
