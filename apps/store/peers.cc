#include "apps/store/peers.h"

namespace keyward::store {
namespace {

using wire::MessageType;

constexpr MessageType kFromAcme[] = {
    MessageType::kAccountPut,      MessageType::kAccountGet,     MessageType::kAccountUpdate,
    MessageType::kOrderPut,        MessageType::kOrderGet,       MessageType::kOrderList,
    MessageType::kOrderUpdate,     MessageType::kAuthzGet,       MessageType::kAuthzUpdate,
    MessageType::kChallengeUpdate, MessageType::kCertificateGet, MessageType::kWorkList,
};
// Four threads: while one waits for the disk, others write on and share the next sync.
constexpr task::PeerRule kPeers[] = {{wire::TaskId::kAcme, true, kFromAcme, 4}};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::store
