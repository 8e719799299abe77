// The three files of a hand-over: see hand_over.h.
#include "firmware/recovery/hand_over.h"

#include <poll.h>
#include <unistd.h>

#include "firmware/json/json.h"
#include "firmware/operate/operator_file.h"
#include "firmware/recovery/box.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::recovery {
namespace {

constexpr std::string_view kPurpose = "keyward-unlock-pin ";  // and the session
constexpr const char* kOfferFile = "offer.json";
constexpr const char* kBoxFile = "pin.box";
constexpr const char* kAnswerFile = "answer.json";
constexpr std::size_t kFileBytesMax = 4'096;
constexpr int kLookMs = 100;

struct Offer {
  std::string session;
  Bytes spki_der;
};

Result<Offer> read_offer(const std::string& folder) {
  KEYWARD_TRY(text, read_text_file(folder + "/" + kOfferFile, kFileBytesMax));
  KEYWARD_TRY(document, json::Document::parse(text, kFileBytesMax));
  KEYWARD_TRY(session, document.root().require_string("session"));
  KEYWARD_TRY(key, document.root().require_string("spki"));
  KEYWARD_TRY(spki, base64url_decode(key));
  return Offer{std::string(session), std::move(spki)};
}

}  // namespace

Result<HandOverDesk> HandOverDesk::open(const std::string& state_dir) {
  const std::string folder = state_dir + "/" + kHandOverFolder;
  KEYWARD_CHECK(make_directories(folder, 0700));
  KEYWARD_TRY(key, crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  HandOverDesk out(folder, std::move(key), random_id());
  ::unlink((folder + "/" + kBoxFile).c_str());  // for an earlier life: nobody can open it
  ::unlink((folder + "/" + kAnswerFile).c_str());
  json::Writer text;
  text.begin_object().member_int("version", 1).member("session", out.session_);
  text.member("spki", base64url_encode(out.key_.public_key().spki_der())).end_object();
  KEYWARD_CHECK(replace_file(folder + "/" + kOfferFile, view_of(text.take() + "\n"), 0600));
  return out;
}

std::optional<SecretBytes> HandOverDesk::take() {
  const std::string path = folder_ + "/" + kBoxFile;
  if (!file_exists(path)) return std::nullopt;
  const auto box = operate::read_private_file(path, kFileBytesMax);
  ::unlink(path.c_str());
  if (!box) {
    answer("box-unusable", box.error().what);
    return std::nullopt;
  }
  auto pin = open_box(key_, std::string(kPurpose) + session_, *box);
  if (pin) return std::move(*pin);
  answer("box-unusable", pin.error().what);
  return std::nullopt;
}

void HandOverDesk::answer(std::string_view code, std::string_view detail) {
  json::Writer text;
  text.begin_object().member("session", session_).member("code", code).member("detail", detail);
  text.end_object();
  static_cast<void>(replace_file(folder_ + "/" + kAnswerFile, view_of(text.take() + "\n"), 0600));
}

void HandOverDesk::close() {
  for (const char* name : {kOfferFile, kBoxFile, kAnswerFile})
    ::unlink((folder_ + "/" + name).c_str());
}

Result<HandOverAnswer> hand_over(const std::string& state_dir, const SecretBytes& pin,
                                 Deadline deadline) {
  const std::string folder = state_dir + "/" + kHandOverFolder;
  auto offer = read_offer(folder);
  if (!offer)
    return fail(ErrorKind::kUnavailable, "no platform task runs there (it has left no offer)");
  KEYWARD_TRY(key, crypto::PublicKey::from_spki(offer->spki_der));
  KEYWARD_TRY(box, close_box(key, std::string(kPurpose) + offer->session, pin.view()));
  {
    KEYWARD_TRY(directory, operate::OperatorDirectory::open(state_dir, kHandOverFolder));
    ::unlink((folder + "/" + kAnswerFile).c_str());
    KEYWARD_CHECK(directory.replace(kBoxFile, box));
  }
  while (!deadline.passed()) {
    const auto text = read_text_file(folder + "/" + kAnswerFile, kFileBytesMax);
    const auto document = text ? json::Document::parse(*text, kFileBytesMax)
                               : Result<json::Document>(fail(text.error()));
    if (document && document->root().get("session").string() == offer->session)
      return HandOverAnswer{std::string(document->root().get("code").string()),
                            std::string(document->root().get("detail").string())};
    ::poll(nullptr, 0, kLookMs);
  }
  ::unlink((folder + "/" + kBoxFile).c_str());
  return fail(ErrorKind::kUnavailable, "the platform task did not answer in time");
}

}  // namespace keyward::recovery
