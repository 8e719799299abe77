#include "apps/attestation/peers.h"

namespace keyward::attestation {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr MessageType kFromAcme[] = {MessageType::kDeviceTokenMint, MessageType::kDeviceVerify,
                                     MessageType::kEabVerify, MessageType::kAuthorityVerify};
constexpr MessageType kToSigner[] = {MessageType::kGrantDevice, MessageType::kGrantAccount,
                                     MessageType::kGrantAuthority};
constexpr task::PeerRule kPeers[] = {
    {TaskId::kAcme, true, kFromAcme, 2},
    {TaskId::kSigner, false, kToSigner, 0},
};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::attestation
