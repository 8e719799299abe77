// Owns the reading of PKCS#11 URIs, by p11-kit. Must not know tokens.
#include <memory>

#include <p11-kit/uri.h>

#include "hal/token_uri.h"

namespace keyward::hal {
namespace {

constexpr std::size_t kUriBytesMax = 2'048;

struct Free {
  void operator()(P11KitUri* uri) const { ::p11_kit_uri_free(uri); }
};

std::string text_of_label(const CK_UTF8CHAR* field, std::size_t size) {
  std::string out(reinterpret_cast<const char*>(field), size);
  out.resize(out.find_last_not_of(std::string_view(" \0", 2)) + 1);  // padded, PKCS#11 §3.2
  return out;
}

std::string attribute(P11KitUri* uri, CK_ATTRIBUTE_TYPE type) {
  const auto* found = ::p11_kit_uri_get_attribute(uri, type);
  if (found == nullptr || found->pValue == nullptr) return {};
  return {static_cast<const char*>(found->pValue), found->ulValueLen};
}

// More than label and class would have to be compared with the key that is found.
bool has_other_parts(P11KitUri* uri) {
  const auto* token = ::p11_kit_uri_get_token_info(uri);
  const auto* module = ::p11_kit_uri_get_module_info(uri);
  const bool narrows = token->model[0] != 0 || token->manufacturerID[0] != 0 ||
                       token->serialNumber[0] != 0 || module->manufacturerID[0] != 0 ||
                       module->libraryDescription[0] != 0 ||
                       ::p11_kit_uri_get_slot_id(uri) != static_cast<CK_SLOT_ID>(-1);
  return narrows || ::p11_kit_uri_get_attribute(uri, CKA_ID) != nullptr ||
         ::p11_kit_uri_any_unrecognized(uri) != 0;
}

}  // namespace

Result<TokenUri> parse_token_uri(const std::string& text) {
  const std::unique_ptr<P11KitUri, Free> uri(::p11_kit_uri_new());
  if (!uri) return fail(ErrorKind::kExhausted, "no memory for a PKCS#11 URI");
  const int code = text.size() > kUriBytesMax
                       ? P11_KIT_URI_BAD_SYNTAX
                       : ::p11_kit_uri_parse(text.c_str(), P11_KIT_URI_FOR_ANY, uri.get());
  if (code != P11_KIT_URI_OK) return fail(ErrorKind::kBadInput, "not a PKCS#11 URI", code);
  if (::p11_kit_uri_get_pin_value(uri.get()) != nullptr)
    return fail(ErrorKind::kBadInput, "pin-value shows the PIN to every process: pin-source");
  if (has_other_parts(uri.get()))
    return fail(ErrorKind::kBadInput, "only token, object, type, module-path, pin-source are read");
  TokenUri out;
  const auto* token = ::p11_kit_uri_get_token_info(uri.get());
  out.token_label = text_of_label(token->label, sizeof token->label);
  out.key_label = attribute(uri.get(), CKA_LABEL);
  if (const char* path = ::p11_kit_uri_get_module_path(uri.get())) out.module_path = path;
  if (const char* source = ::p11_kit_uri_get_pin_source(uri.get())) {
    std::string_view path(source);
    if (path.starts_with("file:")) path.remove_prefix(5);
    if (!path.starts_with('/') || path.starts_with("//"))
      return fail(ErrorKind::kBadInput, "pin-source is file: and an absolute path");
    out.pin_path = path;
  }
  if (out.module_path.empty() || out.token_label.empty() || out.key_label.empty())
    return fail(ErrorKind::kBadInput, "token, object and module-path are needed");
  return out;
}

}  // namespace keyward::hal
