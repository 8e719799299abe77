// Owns the names on the wire: task ids and message type numbers. Must not know what they mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward::wire {

enum class TaskId : std::uint8_t {
  kSupervisor = 1,
  kAcme = 2,
  kStore = 3,
  kValidation = 4,
  kAttestation = 5,
  kSigner = 6,
  kPlatform = 7,
  kAdmin = 8,
  kSyslog = 9,
};
std::string_view to_string(TaskId id);
std::optional<TaskId> task_from(std::string_view name);

// A request is even, its reply the odd number after it. 0x00xx control, 0x01xx store, 0x02xx
// validation, 0x03xx attestation, 0x04xx signer, 0x05xx platform.
enum class MessageType : std::uint16_t {
  kFailure = 0x0001,  // the reply to any request that was not carried out

  kControlStart = 0x0010,
  kControlPeer = 0x0012,
  kControlStop = 0x0014,
  kControlReady = 0x0016,
  kControlHeartbeat = 0x0018,
  kControlState = 0x001A,
  kControlMetrics = 0x001C,

  kAccountPut = 0x0100,
  kAccountGet = 0x0102,
  kOrderPut = 0x0104,
  kOrderGet = 0x0106,
  kAuthzGet = 0x0108,
  kChallengeUpdate = 0x010A,
  kOrderUpdate = 0x010C,
  kCertificateGet = 0x010E,
  kWorkList = 0x0110,
  kAccountUpdate = 0x0112,
  kAuthzUpdate = 0x0114,
  kOrderList = 0x0116,
  kAuthzPut = 0x0118,
  kAuthzFind = 0x011A,
  kCertificateFind = 0x011C,
  kCertificateMark = 0x011E,
  kAccountRekey = 0x0120,
  kRecoveryPut = 0x0122,
  kRecoveryGet = 0x0124,
  kRecoveryUpdate = 0x0126,
  kMailPut = 0x0128,
  kMailTake = 0x012A,
  kMailDone = 0x012C,

  kNameTokenMint = 0x0200,
  kNameValidate = 0x0202,
  kApplianceGrant = 0x0204,
  kUrlFetch = 0x0206,
  kMailSend = 0x0208,
  kVerifierRelay = 0x020A,

  kDeviceTokenMint = 0x0300,
  kDeviceVerify = 0x0302,
  kEabVerify = 0x0304,
  kAuthorityVerify = 0x0306,
  kRemoteVerify = 0x0308,
  kEvidenceKeyGet = 0x030A,
  kAkBegin = 0x030C,
  kAkActivate = 0x030E,

  kTicketMint = 0x0400,
  kCertificateIssue = 0x0402,
  kIssuerGet = 0x0404,
  kGrantName = 0x0406,       // validation alone
  kGrantDevice = 0x0408,     // attestation alone
  kGrantAccount = 0x040A,    // attestation alone
  kGrantAuthority = 0x040C,  // attestation alone
  kKeyChange = 0x040E,
  kCertificateRevoke = 0x0410,
  kOrderCancel = 0x0412,
  kGrantWithdraw = 0x0414,
  kPossessionVerify = 0x0416,
  kPossessionMint = 0x0418,
  kAkIssue = 0x041A,
  kCrlGet = 0x041C,
  kGrantRemote = 0x041E,      // attestation alone
  kGrantAk = 0x0420,          // attestation alone
  kEvidenceKeyFind = 0x0422,  // attestation alone
  kEvidenceAgree = 0x0424,    // attestation alone
  kOperatorOrder = 0x0426,    // admin alone
  kOcspGet = 0x0428,
  kAuditHeadGet = 0x042A,     // admin alone

  kPinUnseal = 0x0500,  // signer alone
  kKeySeal = 0x0502,
  kKeyUnseal = 0x0504,
  kAnchorAdvance = 0x0506,  // signer alone
  kTimeGet = 0x0508,        // signer alone
};

}  // namespace keyward::wire
