#include "apps/attestation/peers.h"

namespace keyward::attestation {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr MessageType kFromAcme[] = {MessageType::kDeviceTokenMint, MessageType::kDeviceVerify,
                                     MessageType::kEabVerify,       MessageType::kAuthorityVerify,
                                     MessageType::kRemoteVerify,    MessageType::kEvidenceKeyGet,
                                     MessageType::kAkBegin,         MessageType::kAkActivate};
constexpr MessageType kToSigner[] = {MessageType::kGrantDevice,    MessageType::kGrantAccount,
                                     MessageType::kGrantAuthority, MessageType::kGrantRemote,
                                     MessageType::kGrantAk,        MessageType::kEvidenceKeyFind,
                                     MessageType::kEvidenceAgree};
constexpr MessageType kToPlatform[] = {MessageType::kKeySeal, MessageType::kKeyUnseal};
constexpr task::PeerRule kPeers[] = {
    {TaskId::kAcme, true, kFromAcme, 2},
    {TaskId::kSigner, false, kToSigner, 0},
    {TaskId::kPlatform, false, kToPlatform, 0},
};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::attestation
