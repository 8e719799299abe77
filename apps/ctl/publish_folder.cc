#include "apps/ctl/publish_folder.h"

#include <algorithm>
#include <charconv>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "firmware/ceremony/transcript.h"
#include "firmware/crypto/crypto.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

constexpr unsigned kFileMode = 0644, kFolderMode = 0755;
constexpr std::int64_t kVersion = 1;
constexpr int kItemsMax = 64 * static_cast<int>(limits::kPublishListsMax);

tl::unexpected<Error> damaged(const char* what) { return fail(ErrorKind::kBadInput, what); }

// What this program writes; a manifest that names others could have files elsewhere removed.
bool is_file_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name.front() == '.') return false;
  if (!name.ends_with(".crl") && !name.ends_with(".cer")) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

void write_place(json::Writer& out, const PublishedFile& place) {
  out.member("name", place.name).member("file", place.file).member("sha256", place.sha256);
  out.member_int("bytes", static_cast<std::int64_t>(place.bytes));
}

// Times twice: for programs and for people.
void write_time(json::Writer& out, const std::string& name, std::int64_t ms) {
  out.member(name, ceremony::utc_text(ms)).member_int(name + "_unix", ms / 1'000);
}

Result<PublishedFile> read_place(const json::Value& from) {
  PublishedFile out;
  out.name = from.get("name").string();
  out.file = from.get("file").string();
  out.sha256 = from.get("sha256").string();
  const auto bytes = from.get("bytes").integer();
  if (!is_file_name(out.name) || !is_file_name(out.file) || out.name == out.file ||
      out.sha256.size() != 64 || bytes <= 0 ||
      bytes > static_cast<std::int64_t>(limits::kCrlBytesMax))
    return damaged("the manifest names a file in another way than it is written");
  out.bytes = static_cast<std::uint64_t>(bytes);
  return out;
}

Result<PublishedEntry> read_entry(const json::Value& from) {
  PublishedEntry out;
  KEYWARD_TRY(place, read_place(from));
  out.place = std::move(place);
  out.issuer = from.get("issuer").string();
  out.scope = from.get("scope").string();
  const auto number = from.get("number").string();
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), out.number);
  out.this_update_ms = from.get("this_update_unix").integer() * 1'000;
  out.next_update_ms = from.get("next_update_unix").integer() * 1'000;
  if (number.empty() || error != std::errc() || end != number.data() + number.size() ||
      out.scope.size() != 64 || !is_file_name(out.issuer) || out.next_update_ms <= 0)
    return damaged("the manifest describes a list in another way than it is written");
  return out;
}

}  // namespace

bool Manifest::holds_file(const std::string& file) const {
  const auto is = [&](const auto& entry) {
    return entry.place.file == file || entry.place.name == file;
  };
  return std::ranges::any_of(lists, is) || std::ranges::any_of(certificates, is);
}

std::string manifest_json(const Manifest& manifest) {
  json::Writer out;
  out.begin_object().member_int("version", kVersion);
  write_time(out, "made", manifest.made_ms);
  out.key("lists").begin_array();
  for (const auto& list : manifest.lists) {
    out.begin_object();
    write_place(out, list.place);
    out.member("issuer", list.issuer).member("scope", list.scope);
    out.member("number", std::to_string(list.number));
    write_time(out, "this_update", list.this_update_ms);
    write_time(out, "next_update", list.next_update_ms);
    out.end_object();
  }
  out.end_array().key("certificates").begin_array();
  for (const auto& certificate : manifest.certificates) {
    out.begin_object();
    write_place(out, certificate.place);
    write_time(out, "not_after", certificate.not_after_ms);
    out.end_object();
  }
  out.end_array().key("earlier").begin_array();
  for (const auto& file : manifest.earlier) out.string(file);
  return out.end_array().end_object().take() + "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, limits::kPublishManifestBytesMax, kItemsMax));
  const auto root = document.root();
  if (root.get("version").integer() != kVersion)
    return damaged("the manifest is of another version");
  Manifest out;
  out.made_ms = root.get("made_unix").integer() * 1'000;
  for (const auto& each : root.get("lists").items()) {
    KEYWARD_TRY(entry, read_entry(each));
    out.lists.push_back(std::move(entry));
  }
  for (const auto& each : root.get("certificates").items()) {
    KEYWARD_TRY(place, read_place(each));
    out.certificates.push_back({std::move(place), each.get("not_after_unix").integer() * 1'000});
  }
  for (const auto& each : root.get("earlier").items()) {
    if (!is_file_name(each.string())) return damaged("the manifest names a foreign file");
    out.earlier.emplace_back(each.string());
  }
  if (out.lists.empty()) return damaged("the manifest names no list");
  return out;
}

Result<PublishFolder> PublishFolder::open(const std::string& path, bool make) {
  if (make) KEYWARD_CHECK(make_directories(path, kFolderMode));
  UniqueFd lock(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return fail(ErrorKind::kUnavailable, "the folder cannot be opened", errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorKind::kRefused, "another program publishes into this folder", errno);
  return PublishFolder(path, std::move(lock));
}

Result<std::optional<Manifest>> PublishFolder::manifest() const {
  if (!file_exists(at(kManifestName))) return std::optional<Manifest>{};
  KEYWARD_TRY(text, read_text_file(at(kManifestName), limits::kPublishManifestBytesMax));
  KEYWARD_TRY(parsed, parse_manifest(text));
  return std::optional<Manifest>(std::move(parsed));
}

Result<Bytes> PublishFolder::read(const std::string& name) const {
  return read_file(at(name), limits::kCrlBytesMax);
}

Status PublishFolder::put(const PublishedFile& place, ByteView octets) const {
  if (const auto there = read(place.file); there && equal(*there, octets)) return {};
  return replace_file(at(place.file), octets, kFileMode);
}

Status PublishFolder::finish(Manifest manifest, const std::optional<Manifest>& before) const {
  if (before) {
    for (const auto& each : before->lists)
      if (!manifest.holds_file(each.place.file)) manifest.earlier.push_back(each.place.file);
    for (const auto& each : before->certificates)
      if (!manifest.holds_file(each.place.file)) manifest.earlier.push_back(each.place.file);
  }
  KEYWARD_CHECK(replace_file(at(kManifestName), view_of(manifest_json(manifest)), kFileMode));
  const auto name = [this](const PublishedFile& place) -> Status {
    KEYWARD_TRY(octets, read(place.file));
    if (const auto there = read(place.name); there && equal(*there, octets)) return {};
    return replace_file(at(place.name), octets, kFileMode);
  };
  for (const auto& each : manifest.certificates) KEYWARD_CHECK(name(each.place));
  for (const auto& each : manifest.lists) KEYWARD_CHECK(name(each.place));
  if (!before) return {};
  for (const auto& file : before->earlier) {
    const bool kept = manifest.holds_file(file) ||
                      std::ranges::find(manifest.earlier, file) != manifest.earlier.end();
    if (!kept) (void)::unlink(at(file).c_str());
  }
  return {};
}

Status PublishFolder::check(const PublishedFile& place) const {
  for (const auto& file : {place.file, place.name}) {
    KEYWARD_TRY(octets, read(file));
    if (octets.size() != place.bytes || hex_encode(crypto::sha256(octets)) != place.sha256)
      return damaged("a file differs from the manifest");
  }
  return {};
}

}  // namespace keyward::ctl
