#include "apps/store/peers.h"

namespace keyward::store {
namespace {

using wire::MessageType;

constexpr MessageType kFromAcme[] = {
    MessageType::kAccountPut,      MessageType::kAccountGet,     MessageType::kAccountUpdate,
    MessageType::kAccountRekey,    MessageType::kOrderPut,       MessageType::kOrderGet,
    MessageType::kOrderList,       MessageType::kOrderUpdate,    MessageType::kAuthzPut,
    MessageType::kAuthzGet,        MessageType::kAuthzFind,      MessageType::kAuthzUpdate,
    MessageType::kChallengeUpdate, MessageType::kCertificateGet, MessageType::kCertificateFind,
    MessageType::kCertificateMark, MessageType::kRecoveryPut,    MessageType::kRecoveryGet,
    MessageType::kRecoveryUpdate,  MessageType::kMailPut,        MessageType::kMailTake,
    MessageType::kMailDone,        MessageType::kWorkList,
};
// Four threads: while one waits for the disk, others write on and share the next sync.
constexpr task::PeerRule kPeers[] = {{wire::TaskId::kAcme, true, kFromAcme, 4}};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::store
