// Owns the lines of the signer's peer table. Must not know what the messages do.
#include "apps/signer/peers.h"

namespace keyward::signer {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr MessageType kFromAcme[] = {MessageType::kTicketMint,
                                     MessageType::kCertificateIssue,
                                     MessageType::kIssuerGet,
                                     MessageType::kKeyChange,
                                     MessageType::kCertificateRevoke,
                                     MessageType::kOrderCancel,
                                     MessageType::kGrantWithdraw,
                                     MessageType::kPossessionMint,
                                     MessageType::kPossessionVerify,
                                     MessageType::kAkIssue,
                                     MessageType::kCrlGet,
                                     MessageType::kOcspGet};
constexpr MessageType kFromValidation[] = {MessageType::kGrantName};
constexpr MessageType kFromAttestation[] = {
    MessageType::kGrantDevice,  MessageType::kGrantAccount, MessageType::kGrantAuthority,
    MessageType::kGrantRemote,  MessageType::kGrantAk,      MessageType::kEvidenceKeyFind,
    MessageType::kEvidenceAgree};
constexpr MessageType kFromAdmin[] = {MessageType::kOperatorOrder, MessageType::kAuditHeadGet};
constexpr MessageType kToPlatform[] = {MessageType::kPinUnseal, MessageType::kAnchorAdvance,
                                       MessageType::kTimeGet};

// Issuance waits for the disk and the HSM: several threads share their costs (group commit,
// sessions). For acme there are more than may issue at a time (kIssuancesAtOnceMax): while the HSM's
// module answers nothing, those wait, and new orders go on.
constexpr task::PeerRule kPeers[] = {
    {TaskId::kAcme, true, kFromAcme, kIssuancesAtOnceMax + limits::kOcspAtOnceMax + 8},
    {TaskId::kValidation, true, kFromValidation, 2},
    {TaskId::kAttestation, true, kFromAttestation, 2},
    {TaskId::kAdmin, true, kFromAdmin, 1},
    {TaskId::kPlatform, false, kToPlatform, 0},
};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

}  // namespace keyward::signer
