#include "apps/admin/peers.h"

namespace keyward::manage {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr MessageType kToSigner[] = {MessageType::kOperatorOrder, MessageType::kAuditHeadGet};
constexpr task::PeerRule kPeers[] = {{TaskId::kSigner, false, kToSigner}};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::manage
