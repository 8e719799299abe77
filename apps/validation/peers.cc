#include "apps/validation/peers.h"

namespace keyward::validation {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr MessageType kFromAcme[] = {MessageType::kNameTokenMint,  MessageType::kNameValidate,
                                     MessageType::kApplianceGrant, MessageType::kUrlFetch,
                                     MessageType::kMailSend,       MessageType::kVerifierRelay};
constexpr MessageType kToSigner[] = {MessageType::kGrantName};
// Validations run in workers of their own; the threads here only take requests.
constexpr task::PeerRule kPeers[] = {
    {TaskId::kAcme, true, kFromAcme, 2},
    {TaskId::kSigner, false, kToSigner, 0},
};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::validation
