// The edges of the platform task: see peers.h.
#include "apps/platform/peers.h"

namespace keyward::platform {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr MessageType kFromSigner[] = {MessageType::kPinUnseal, MessageType::kAnchorAdvance,
                                       MessageType::kTimeGet};
constexpr MessageType kFromAttestation[] = {MessageType::kKeySeal, MessageType::kKeyUnseal};
constexpr task::PeerRule kPeers[] = {
    // One thread each, and one lock for both: the TPM does one thing at a time.
    {TaskId::kSigner, true, kFromSigner, 1},
    {TaskId::kAttestation, true, kFromAttestation, 1},
};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::platform
