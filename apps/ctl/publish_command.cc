#include "apps/ctl/publish_command.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>

#include <CLI/CLI.hpp>

#include "apps/ctl/publish_folder.h"
#include "apps/ctl/published_list.h"
#include "apps/ctl/unit_facts.h"
#include "firmware/ceremony/transcript.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

using ceremony::utc_text;

constexpr int kExitFailed = 1, kExitFinding = 2, kExitFile = 78;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::size_t kDigestCharacters = 8;

struct Complaint {
  int exit;
  std::string code, words;
};
template <class T>
using Told = tl::expected<T, Complaint>;

tl::unexpected<Complaint> complain(int exit, std::string code, std::string words) {
  return tl::unexpected<Complaint>({exit, std::move(code), std::move(words)});
}
tl::unexpected<Complaint> complain(const std::string& about, const Error& error) {
  const bool file = error.kind == ErrorKind::kBadInput || error.kind == ErrorKind::kCorrupt;
  return complain(file ? kExitFile : kExitFailed, file ? "publish.file" : "publish.access",
                  about + ": " + error.what +
                      (error.native != 0 ? " (" + std::to_string(error.native) + ")" : ""));
}

PublishedFile place_of(const std::string& stem, const std::string& mark, const char* ending,
                       ByteView octets) {
  return {stem + ending, stem + "-" + mark + ending, hex_encode(crypto::sha256(octets)),
          octets.size()};
}

// A set before it is written.
struct Draft {
  Manifest manifest;
  std::map<std::string, Bytes> octets;  // by PublishedFile::file
};

// A name is never given to another list or certificate than the one that had it: `own` says whose it is.
template <class Entries>
std::string free_stem(std::string stem, const char* ending, const std::string& mark,
                      const Entries& draft, const Entries& before, const auto& own) {
  for (const auto& each : before) {
    if (own(each)) return each.place.name.substr(0, each.place.name.rfind('.'));
  }
  const auto taken = [&](const auto& each) { return each.place.name == stem + ending; };
  if (std::ranges::any_of(draft, taken) || std::ranges::any_of(before, taken)) stem += "-" + mark;
  return stem;
}

// The unit's own lists: the whole one, and those of parts, if there are any.
std::vector<std::string> own_lists(const std::string& signer_state) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& each : std::filesystem::directory_iterator(signer_state, error)) {
    const auto name = each.path().filename().string();
    const bool part = name.starts_with("crl-") && name.ends_with(".der");
    if (name == "crl.der" || part) out.push_back(each.path().string());
  }
  std::ranges::sort(out);
  return out;
}

Told<std::vector<x509::Certificate>> read_issuers(const UnitPlaces& places,
                                                  const std::vector<std::string>& more) {
  std::vector<x509::Certificate> out;
  std::vector<std::string> paths = more;
  if (!places.issuer_chain.empty()) paths.insert(paths.begin(), places.issuer_chain);
  for (const auto& path : paths) {
    auto chain = read_chain(path);
    if (!chain) return complain(path, chain.error());
    for (auto& each : *chain) {
      if (std::ranges::none_of(out, [&](const auto& other) { return other.der == each.der; }))
        out.push_back(std::move(each));
    }
  }
  if (out.empty())
    return complain(kExitFile, "publish.no-issuer", "no issuer certificate is known");
  return out;
}

// "crl-<part>.der" of a part gives its name.
bool is_of(const PublishedList& list, const std::string& scope) {
  return list.scope == scope || long_scope_of(list) == scope;
}

std::string part_in(const std::string& path) {
  const auto name = std::filesystem::path(path).stem().string();
  return name.starts_with("crl-") ? name.substr(3) : "";
}

Told<void> add_list(const std::string& path, const std::vector<x509::Certificate>& issuers,
                    const Manifest& before, Draft& draft) {
  auto der = read_file(path, limits::kCrlBytesMax);
  if (!der) return complain(path, der.error());
  auto list = read_published_list(std::move(*der), issuers);
  if (!list && list.error().kind == ErrorKind::kRefused)
    return complain(kExitFile, "publish.signature", path + ": " + list.error().what);
  if (!list) return complain(path, list.error());
  if (part_in(path) == "-long") list->scope = long_scope_of(*list);
  auto& lists = draft.manifest.lists;
  if (lists.size() == limits::kPublishListsMax)
    return complain(kExitFile, "publish.too-many", "more lists than one set may have");
  for (const auto& other : lists) {
    if (other.scope == list->scope)
      return complain(kExitFile, "publish.twice", path + ": the same list is given twice");
  }
  PublishedEntry entry;
  const auto& issuer = issuers[list->issuer];
  const auto stem = free_stem(file_stem_of(issuer) + part_in(path), ".crl",
                              list->scope.substr(0, kDigestCharacters), lists, before.lists,
                              [&](const auto& each) { return each.scope == list->scope; });
  entry.place = place_of(stem, std::to_string(list->number), ".crl", list->der);
  for (const auto& certificate : draft.manifest.certificates) {
    if (certificate.place.sha256 == hex_encode(crypto::sha256(issuer.der)))
      entry.issuer = certificate.place.file;
  }
  entry.scope = list->scope;
  entry.number = list->number;
  entry.this_update_ms = list->this_update_ms;
  entry.next_update_ms = list->next_update_ms;
  draft.octets[entry.place.file] = std::move(list->der);
  lists.push_back(std::move(entry));
  return {};
}

void add_certificates(const std::vector<x509::Certificate>& issuers, const Manifest& before,
                      Draft& draft) {
  for (const auto& each : issuers) {
    const auto digest = hex_encode(crypto::sha256(each.der));
    const auto mark = digest.substr(0, kDigestCharacters);
    const auto stem = free_stem(file_stem_of(each), ".cer", mark, draft.manifest.certificates,
                                before.certificates,
                                [&](const auto& other) { return other.place.sha256 == digest; });
    const auto place = place_of(stem, mark, ".cer", each.der);
    draft.octets[place.file] = each.der;
    draft.manifest.certificates.push_back({place, each.not_after_ms});
  }
}

// RFC 5280 §5.2.3: numbers grow. Who put an older list in a newer one's place would take revocations
// back.
Told<void> compare(const PublishedEntry& fresh, const PublishedEntry& old) {
  const auto words = fresh.place.name + ": number " + std::to_string(fresh.number) + " of " +
                     utc_text(fresh.this_update_ms) + ", published is " +
                     std::to_string(old.number) + " of " + utc_text(old.this_update_ms);
  if (fresh.number < old.number || fresh.this_update_ms < old.this_update_ms)
    return complain(kExitFinding, "publish.older", words);
  if (fresh.number == old.number && fresh.place.sha256 != old.place.sha256)
    return complain(kExitFinding, "publish.same-number", words + ", with other content");
  return {};
}

// Against the manifest, and against what lies there under the name if the manifest was lost.
Told<void> compare_with_published(const PublishFolder& folder,
                                  const std::vector<x509::Certificate>& issuers,
                                  const std::optional<Manifest>& before, const Draft& draft) {
  for (const auto& fresh : draft.manifest.lists) {
    if (before) {
      for (const auto& old : before->lists) {
        if (old.scope != fresh.scope) continue;
        if (auto ok = compare(fresh, old); !ok) return ok;
      }
    }
    auto there = folder.read(fresh.place.name);
    if (!there) continue;
    const auto digest = hex_encode(crypto::sha256(*there));
    const auto list = read_published_list(std::move(*there), issuers);
    if (!list || !is_of(*list, fresh.scope)) continue;  // damaged or foreign: it is replaced
    PublishedEntry old;
    old.number = list->number;
    old.this_update_ms = list->this_update_ms;
    old.place.sha256 = digest;
    if (auto ok = compare(fresh, old); !ok) return ok;
  }
  return {};
}

// What was published and is not given this time stays: a root's list comes from a ceremony, once a year.
void carry_over(const Manifest& before, Manifest& fresh) {
  for (const auto& old : before.lists) {
    const auto same = [&](const auto& each) { return each.scope == old.scope; };
    if (std::ranges::none_of(fresh.lists, same)) fresh.lists.push_back(old);
  }
  for (const auto& old : before.certificates) {
    const auto same = [&](const auto& each) { return each.place.sha256 == old.place.sha256; };
    if (std::ranges::none_of(fresh.certificates, same)) fresh.certificates.push_back(old);
  }
}

bool same_set(const Manifest& a, const Manifest& b) {
  const auto files = [](const Manifest& of) {
    std::vector<std::string> out;
    for (const auto& each : of.lists) out.push_back(each.place.file + each.place.sha256);
    for (const auto& each : of.certificates) out.push_back(each.place.file + each.place.sha256);
    std::ranges::sort(out);
    return out;
  };
  return files(a) == files(b);
}

// The manifest's files lie there as they were written.
bool stands(const PublishFolder& folder, const Manifest& manifest) {
  const auto good = [&](const auto& each) { return folder.check(each.place).has_value(); };
  return std::ranges::all_of(manifest.lists, good) &&
         std::ranges::all_of(manifest.certificates, good);
}

struct Report {
  std::string folder;
  bool changed = false;
  std::optional<Complaint> complaint;
  std::vector<PublishedEntry> lists;
  std::int64_t soon_ms = 0, now_ms = 0;
  std::string state_of(const PublishedEntry& list) const {
    if (list.next_update_ms <= now_ms) return "lapsed";
    return list.next_update_ms - now_ms < soon_ms ? "lapses-soon" : "good";
  }
  int exit_code() const {
    if (complaint) return complaint->exit;
    const auto fine = [this](const auto& list) { return state_of(list) == "good"; };
    return std::ranges::all_of(lists, fine) ? 0 : kExitFinding;
  }
};

void print_json(const Report& report) {
  json::Writer out;
  out.begin_object().member("folder", report.folder).member_bool("changed", report.changed);
  if (report.complaint)
    out.member("code", report.complaint->code).member("words", report.complaint->words);
  out.key("lists").begin_array();
  for (const auto& list : report.lists) {
    out.begin_object().member("name", list.place.name).member("file", list.place.file);
    out.member("number", std::to_string(list.number)).member("state", report.state_of(list));
    out.member("this_update", utc_text(list.this_update_ms));
    out.member("next_update", utc_text(list.next_update_ms)).end_object();
  }
  std::cout << out.end_array().end_object().take() << "\n";
}

int print(const Report& report, bool json) {
  if (json) {
    print_json(report);
    return report.exit_code();
  }
  for (const auto& list : report.lists) {
    const auto state = report.state_of(list);
    std::cout << (state == "good" ? "  " : "! ") << list.place.name << ": number " << list.number
              << " of " << utc_text(list.this_update_ms)
              << (state == "lapsed" ? ", lapsed " : ", lapses ") << utc_text(list.next_update_ms)
              << (state == "lapsed" ? ", " : ", in ")
              << in_words(list.next_update_ms - report.now_ms) << (state == "lapsed" ? " ago" : "")
              << "\n";
  }
  if (report.complaint)
    std::cerr << "keywardctl: " << report.complaint->code << ": " << report.complaint->words
              << "\n";
  return report.exit_code();
}

struct Given {
  const UnitPlaces& places;
  const std::vector<x509::Certificate>& issuers;
  const std::vector<std::string>& more;  // lists
};

Told<Draft> draft_of(const Given& given, const Manifest& before) {
  Draft draft;
  add_certificates(given.issuers, before, draft);
  auto paths = own_lists(given.places.state_of("signer"));
  paths.insert(paths.end(), given.more.begin(), given.more.end());
  if (paths.empty())
    return complain(kExitFailed, "publish.no-list",
                    "the unit has no revocation list yet, or it is closed to this user");
  for (const auto& path : paths) {
    if (auto ok = add_list(path, given.issuers, before, draft); !ok)
      return tl::unexpected(ok.error());
  }
  return draft;
}

Status put_all(const PublishFolder& folder, const Draft& draft) {
  const auto put = [&](const PublishedFile& place) -> Status {
    const auto octets = draft.octets.find(place.file);
    if (octets == draft.octets.end()) return {};  // carried over
    return folder.put(place, octets->second);
  };
  for (const auto& each : draft.manifest.certificates) KEYWARD_CHECK(put(each.place));
  for (const auto& each : draft.manifest.lists) KEYWARD_CHECK(put(each.place));
  return {};
}

// Everything is read and verified before the first octet is written.
Told<Manifest> write_set(const std::string& path, const Given& given, bool& changed) {
  auto folder = PublishFolder::open(path, true);
  if (!folder && folder.error().kind == ErrorKind::kRefused)
    return complain(kExitFailed, "publish.busy", path + ": " + folder.error().what);
  if (!folder) return complain(path, folder.error());
  auto before = folder->manifest();
  if (!before) return complain(path + "/" + kManifestName, before.error());
  auto draft = draft_of(given, before->value_or(Manifest{}));
  if (!draft) return tl::unexpected(draft.error());
  if (auto ok = compare_with_published(*folder, given.issuers, *before, *draft); !ok)
    return tl::unexpected(ok.error());
  if (*before) carry_over(**before, draft->manifest);
  if (*before && same_set(**before, draft->manifest)) {
    if (stands(*folder, **before)) return std::move(**before);
    draft->manifest.earlier = (*before)->earlier;  // it is mended: no set comes after another
  }
  draft->manifest.made_ms = system_clock().utc_ms();
  auto written = put_all(*folder, *draft);
  if (written) written = folder->finish(draft->manifest, *before);
  if (!written) return complain(path, written.error());
  changed = true;
  return std::move(draft->manifest);
}

// The list as a stranger reads it who has nothing but the folder.
Told<void> judge(const PublishFolder& folder, const PublishedEntry& entry) {
  const auto& name = entry.place.name;
  if (auto ok = folder.check(entry.place); !ok)
    return complain(kExitFile, "publish.differs", name + ": " + ok.error().what);
  auto issuer_der = folder.read(entry.issuer);
  if (!issuer_der) return complain(entry.issuer, issuer_der.error());
  auto issuer = x509::parse_certificate(*issuer_der);
  if (!issuer) return complain(entry.issuer, issuer.error());
  auto der = folder.read(entry.place.file);
  if (!der) return complain(name, der.error());
  std::vector<x509::Certificate> issuers;
  issuers.push_back(std::move(*issuer));
  const auto list = read_published_list(std::move(*der), issuers);
  if (!list) return complain(kExitFile, "publish.signature", name + ": " + list.error().what);
  if (list->number != entry.number || !is_of(*list, entry.scope) ||
      list->this_update_ms != entry.this_update_ms || list->next_update_ms != entry.next_update_ms)
    return complain(kExitFile, "publish.differs", name + " is not what the manifest says");
  return {};
}

}  // namespace

PublishCommand::PublishCommand(CLI::App& app)
    : command_(app.add_subcommand(
          "publish", "Revocation lists and issuer certificates into a folder to be pushed")) {
  command_->add_option("installation", installation_,
                       "Installation file (keyward.toml); not with --check");
  command_->add_option("--to", folder_, "The folder; made if it is not there")->required();
  command_->add_option("--list", lists_, "One more list, e.g. the root's from its ceremony")
      ->check(CLI::ExistingFile);
  command_->add_option("--issuer", issuers_, "PEM with one more issuer, for --list")
      ->check(CLI::ExistingFile);
  command_->add_flag("--check", check_, "Write nothing: is the set whole, and what lapses when");
  command_
      ->add_option("--soon-h", soon_h_, "A finding too: a list that lapses within so many hours")
      ->check(CLI::Range(0, 8'760));
  command_->add_flag("--json", json_, "For programs");
}

bool PublishCommand::parsed() const { return command_->parsed(); }

int PublishCommand::run() const { return check_ ? check() : publish(); }

int PublishCommand::publish() const {
  Report report{folder_, false, {}, {}, soon_h_ * kHourMs, system_clock().utc_ms()};
  const auto places = read_unit_places(installation_);
  if (!places) {
    report.complaint =
        Complaint{kExitFile, "publish.file", installation_ + ": " + places.error().what};
    return print(report, json_);
  }
  const auto issuers = read_issuers(*places, issuers_);
  auto manifest = issuers ? write_set(folder_, {*places, *issuers, lists_}, report.changed)
                          : Told<Manifest>(tl::unexpected(issuers.error()));
  if (manifest)
    report.lists = std::move(manifest->lists);
  else
    report.complaint = manifest.error();
  return print(report, json_);
}

int PublishCommand::check() const {
  Report report{folder_, false, {}, {}, soon_h_ * kHourMs, system_clock().utc_ms()};
  const auto judged = [&]() -> Told<void> {
    auto folder = PublishFolder::open(folder_, false);
    if (!folder) return complain(folder_, folder.error());
    auto manifest = folder->manifest();
    if (!manifest) return complain(folder_ + "/" + kManifestName, manifest.error());
    if (!*manifest)
      return complain(kExitFailed, "publish.none", folder_ + ": nothing was published here");
    for (const auto& each : (*manifest)->certificates) {
      if (auto ok = folder->check(each.place); !ok)
        return complain(kExitFile, "publish.differs", each.place.name + ": " + ok.error().what);
    }
    for (const auto& entry : (*manifest)->lists) {
      if (auto ok = judge(*folder, entry); !ok) return ok;
    }
    report.lists = std::move((*manifest)->lists);
    return {};
  }();
  if (!judged) report.complaint = judged.error();
  return print(report, json_);
}

}  // namespace keyward::ctl
