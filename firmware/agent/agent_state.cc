// Owns what the agent remembers between runs. Must not know ACME or a TPM.
#include "firmware/agent/agent_state.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

constexpr std::int64_t kVersion = 1;

void write_key(json::Writer& writer, const hal::TpmKeyBlob& key) {
  writer.begin_object();
  writer.member("public", base64url_encode(key.public_area));
  writer.member("private", base64url_encode(key.private_area));
  writer.member_int("parent", key.parent);
  writer.end_object();
}

Result<hal::TpmKeyBlob> read_key(const json::Value& value) {
  hal::TpmKeyBlob out;
  KEYWARD_TRY(public_area, base64url_decode(value.get("public").string()));
  KEYWARD_TRY(private_area, base64url_decode(value.get("private").string()));
  const std::int64_t parent = value.get("parent").integer();
  if (public_area.empty() || private_area.empty() || parent <= 0 || parent > 0xffffffff)
    return fail(ErrorKind::kCorrupt, "state.json: a key is incomplete");
  out.public_area = std::move(public_area);
  out.private_area = std::move(private_area);
  out.parent = static_cast<std::uint32_t>(parent);
  return out;
}

}  // namespace

std::string device_text(const AgentState& state) {
  if (!state.mac.empty()) return "device " + state.mac;
  if (state.hardware_module.empty()) return state.identifier;
  const std::string module = "hardware module " + state.hardware_module;
  return state.identifier.empty() ? module : state.identifier + ", " + module;
}

std::string to_json(const AgentState& state) {
  json::Writer writer;
  writer.begin_object();
  writer.member_int("version", kVersion);
  writer.member("directory", state.directory_url);
  writer.member("identifier", state.identifier);
  if (!state.hardware_module.empty()) writer.member("hardware_module", state.hardware_module);
  if (!state.mac.empty()) writer.member("mac", state.mac);
  if (!state.service_uri.empty()) writer.member("service_uri", state.service_uri);
  writer.member("profile", state.profile);
  writer.member("account_key", state.account_key_pem);
  writer.member("account_url", state.account_url);
  writer.key("settings").begin_object();
  for (const auto& [name, value] : state.settings) writer.member(name, value);
  writer.end_object();
  if (state.key) {
    writer.key("key");
    write_key(writer, *state.key);
  }
  if (state.pending) {
    writer.key("pending").begin_object().key("key");
    write_key(writer, state.pending->key);
    writer.member("order_url", state.pending->order_url);
    writer.member("certificate", state.pending->certificate_pem);
    writer.end_object();
  }
  writer.end_object();
  return writer.take();
}

Result<AgentState> state_from_json(std::string_view text) {
  const auto document = json::Document::parse(text, limits::kAgentStateBytesMax);
  if (!document) return fail(ErrorKind::kCorrupt, "state.json is not JSON");
  const json::Value root = document->root();
  if (root.get("version").integer() != kVersion)
    return fail(ErrorKind::kCorrupt, "state.json has an unknown version");
  AgentState out;
  out.directory_url = root.get("directory").string();
  out.identifier = root.get("identifier").string();
  out.hardware_module = root.get("hardware_module").string();
  out.mac = root.get("mac").string();
  out.service_uri = root.get("service_uri").string();
  out.profile = root.get("profile").string();
  out.account_key_pem = root.get("account_key").string();
  out.account_url = root.get("account_url").string();
  if (out.directory_url.empty() || out.account_key_pem.empty())
    return fail(ErrorKind::kCorrupt, "state.json is incomplete");
  const json::Value settings = root.get("settings");
  for (const std::string_view name : settings.keys())
    out.settings[std::string(name)] = settings.get(name).string();
  if (root.get("key").exists()) {
    KEYWARD_TRY(key, read_key(root.get("key")));
    out.key = std::move(key);
  }
  if (const json::Value pending = root.get("pending"); pending.exists()) {
    KEYWARD_TRY(key, read_key(pending.get("key")));
    out.pending = PendingEnrolment{std::move(key), std::string(pending.get("order_url").string()),
                                   std::string(pending.get("certificate").string())};
  }
  return out;
}

Result<StateDirectory> StateDirectory::open(const std::string& path) {
  KEYWARD_CHECK(make_directories(path, 0700));
  UniqueFd lock(::open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return fail(ErrorKind::kUnavailable, "the state directory cannot be written", errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorKind::kRefused, "another agent works in this state directory", errno);
  return StateDirectory(path, std::move(lock));
}

Result<std::optional<AgentState>> StateDirectory::load() const {
  if (!file_exists(state_path())) return std::optional<AgentState>();
  KEYWARD_TRY(text, read_text_file(state_path(), limits::kAgentStateBytesMax));
  KEYWARD_TRY(state, state_from_json(text));
  return std::optional<AgentState>(std::move(state));
}

Status StateDirectory::save(const AgentState& state) const {
  return replace_file(state_path(), view_of(to_json(state)), 0600);
}

}  // namespace keyward::agent
