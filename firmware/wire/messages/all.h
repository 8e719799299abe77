// Owns the list of every message, for the schema check and the fuzzers. A new message is added
// here.
#pragma once

#include "firmware/wire/messages/account_get.h"
#include "firmware/wire/messages/account_put.h"
#include "firmware/wire/messages/account_rekey.h"
#include "firmware/wire/messages/account_update.h"
#include "firmware/wire/messages/ak_activate.h"
#include "firmware/wire/messages/ak_begin.h"
#include "firmware/wire/messages/ak_issue.h"
#include "firmware/wire/messages/anchor_advance.h"
#include "firmware/wire/messages/appliance_grant.h"
#include "firmware/wire/messages/audit_head_get.h"
#include "firmware/wire/messages/authority_verify.h"
#include "firmware/wire/messages/authz_find.h"
#include "firmware/wire/messages/authz_get.h"
#include "firmware/wire/messages/authz_put.h"
#include "firmware/wire/messages/authz_update.h"
#include "firmware/wire/messages/certificate_find.h"
#include "firmware/wire/messages/certificate_get.h"
#include "firmware/wire/messages/certificate_issue.h"
#include "firmware/wire/messages/certificate_mark.h"
#include "firmware/wire/messages/certificate_revoke.h"
#include "firmware/wire/messages/challenge_update.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/control_heartbeat.h"
#include "firmware/wire/messages/control_metrics.h"
#include "firmware/wire/messages/control_peer.h"
#include "firmware/wire/messages/control_ready.h"
#include "firmware/wire/messages/control_start.h"
#include "firmware/wire/messages/control_state.h"
#include "firmware/wire/messages/control_stop.h"
#include "firmware/wire/messages/crl_get.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"
#include "firmware/wire/messages/eab_verify.h"
#include "firmware/wire/messages/evidence_agree.h"
#include "firmware/wire/messages/evidence_key_find.h"
#include "firmware/wire/messages/evidence_key_get.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/grant_account.h"
#include "firmware/wire/messages/grant_ak.h"
#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/grant_device.h"
#include "firmware/wire/messages/grant_name.h"
#include "firmware/wire/messages/grant_remote.h"
#include "firmware/wire/messages/grant_withdraw.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/key_change.h"
#include "firmware/wire/messages/key_seal.h"
#include "firmware/wire/messages/key_unseal.h"
#include "firmware/wire/messages/mail_done.h"
#include "firmware/wire/messages/mail_put.h"
#include "firmware/wire/messages/mail_send.h"
#include "firmware/wire/messages/mail_take.h"
#include "firmware/wire/messages/name_token_mint.h"
#include "firmware/wire/messages/name_validate.h"
#include "firmware/wire/messages/ocsp_get.h"
#include "firmware/wire/messages/operator_order.h"
#include "firmware/wire/messages/order_cancel.h"
#include "firmware/wire/messages/order_get.h"
#include "firmware/wire/messages/order_list.h"
#include "firmware/wire/messages/order_put.h"
#include "firmware/wire/messages/order_terms.h"
#include "firmware/wire/messages/order_update.h"
#include "firmware/wire/messages/peer_end.h"
#include "firmware/wire/messages/pin_unseal.h"
#include "firmware/wire/messages/possession_mint.h"
#include "firmware/wire/messages/possession_verify.h"
#include "firmware/wire/messages/records.h"
#include "firmware/wire/messages/recovery_get.h"
#include "firmware/wire/messages/recovery_put.h"
#include "firmware/wire/messages/recovery_update.h"
#include "firmware/wire/messages/remote_verify.h"
#include "firmware/wire/messages/ticket_mint.h"
#include "firmware/wire/messages/time_get.h"
#include "firmware/wire/messages/url_fetch.h"
#include "firmware/wire/messages/verifier_relay.h"
#include "firmware/wire/messages/work_list.h"

namespace keyward::wire {

template <class... M>
struct MessageList {};

using AllMessages = MessageList<
    AccountGetReply, AccountGet, AccountPutReply, AccountPut, AccountUpdateReply, AccountUpdate,
    ApplianceGrantReply, ApplianceGrant, AuthzGetReply, AuthzGet, AuthzUpdateReply, AuthzUpdate,
    CertificateGetReply, CertificateGet, CertificateIssueReply, CertificateIssue,
    ChallengeUpdateReply, ChallengeUpdate, ControlHeartbeat, ControlMetrics, ControlPeer,
    ControlReady, ControlStart, ControlState, ControlStop, DeviceTokenMintReply, DeviceTokenMint,
    DeviceVerifyReply, DeviceVerify, Failure, GrantDeviceReply, GrantDevice, GrantNameReply,
    GrantName, IssuerGetReply, IssuerGet, NameTokenMintReply, NameTokenMint, NameValidateReply,
    NameValidate, OrderGetReply, OrderGet, OrderListReply, OrderList, OrderPutReply, OrderPut,
    OrderUpdateReply, OrderUpdate, PinUnsealReply, PinUnseal, TicketMintReply, TicketMint,
    WorkListReply, WorkList, AccountRekeyReply, AccountRekey, AuthorityVerifyReply, AuthorityVerify,
    AuthzFindReply, AuthzFind, AuthzPutReply, AuthzPut, CertificateFindReply, CertificateFind,
    CertificateMarkReply, CertificateMark, CertificateRevokeReply, CertificateRevoke,
    EabVerifyReply, EabVerify, GrantAccountReply, GrantAccount, GrantAuthorityReply, GrantAuthority,
    GrantWithdrawReply, GrantWithdraw, KeyChangeReply, KeyChange, MailDoneReply, MailDone,
    MailPutReply, MailPut, MailSendReply, MailSend, MailTakeReply, MailTake, OperatorOrderReply,
    OperatorOrder, AuditHeadGetReply, AuditHeadGet, OrderCancelReply, OrderCancel,
    PossessionMintReply, PossessionMint, PossessionVerifyReply, PossessionVerify, RecoveryGetReply,
    RecoveryGet, RecoveryPutReply, RecoveryPut, RecoveryUpdateReply, RecoveryUpdate, UrlFetchReply,
    UrlFetch, AkActivateReply, AkActivate, AkBeginReply, AkBegin, AkIssueReply, AkIssue,
    CrlGetReply, CrlGet, OcspGetReply, OcspGet, EvidenceAgreeReply, EvidenceAgree,
    EvidenceKeyFindReply, EvidenceKeyFind, EvidenceKeyGetReply, EvidenceKeyGet, GrantAkReply,
    GrantAk, GrantRemoteReply, GrantRemote, KeySealReply, KeySeal, KeyUnsealReply, KeyUnseal,
    RemoteVerifyReply, RemoteVerify, VerifierRelayReply, VerifierRelay, AnchorAdvanceReply,
    AnchorAdvance, TimeGetReply, TimeGet>;

}  // namespace keyward::wire
