#include "firmware/wire/names.h"

#include "firmware/wire/messages/all.h"

namespace keyward::wire {
namespace {

template <class... M>
std::string_view name_of(MessageType type, MessageList<M...>) {
  std::string_view out;
  ((M::kType == type ? (out = M::kName, true) : false) || ...);
  return out;
}

template <class... M>
std::optional<MessageType> type_of(std::string_view name, MessageList<M...>) {
  std::optional<MessageType> out;
  ((M::kName == name ? (out = M::kType, true) : false) || ...);
  return out;
}

}  // namespace

std::string_view message_name(MessageType type) { return name_of(type, AllMessages{}); }
std::optional<MessageType> message_type_from(std::string_view name) {
  return type_of(name, AllMessages{});
}

}  // namespace keyward::wire
