// Owns the list of what acme asks other tasks, as one interface that the app binds to peers and the
// tests to fakes. Must not know sockets. Threads: every method from any thread; each may block
// until `timeout_ms`.
#pragma once

#include "firmware/wire/messages/account_get.h"
#include "firmware/wire/messages/account_put.h"
#include "firmware/wire/messages/account_rekey.h"
#include "firmware/wire/messages/account_update.h"
#include "firmware/wire/messages/ak_activate.h"
#include "firmware/wire/messages/ak_begin.h"
#include "firmware/wire/messages/ak_issue.h"
#include "firmware/wire/messages/appliance_grant.h"
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
#include "firmware/wire/messages/crl_get.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"
#include "firmware/wire/messages/eab_verify.h"
#include "firmware/wire/messages/evidence_key_get.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/grant_withdraw.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/key_change.h"
#include "firmware/wire/messages/mail_done.h"
#include "firmware/wire/messages/mail_put.h"
#include "firmware/wire/messages/mail_send.h"
#include "firmware/wire/messages/mail_take.h"
#include "firmware/wire/messages/name_token_mint.h"
#include "firmware/wire/messages/name_validate.h"
#include "firmware/wire/messages/ocsp_get.h"
#include "firmware/wire/messages/order_cancel.h"
#include "firmware/wire/messages/order_get.h"
#include "firmware/wire/messages/order_list.h"
#include "firmware/wire/messages/order_put.h"
#include "firmware/wire/messages/order_update.h"
#include "firmware/wire/messages/possession_mint.h"
#include "firmware/wire/messages/possession_verify.h"
#include "firmware/wire/messages/recovery_get.h"
#include "firmware/wire/messages/recovery_put.h"
#include "firmware/wire/messages/recovery_update.h"
#include "firmware/wire/messages/remote_verify.h"
#include "firmware/wire/messages/ticket_mint.h"
#include "firmware/wire/messages/url_fetch.h"
#include "firmware/wire/messages/verifier_relay.h"
#include "firmware/wire/messages/work_list.h"

namespace keyward::acme {

template <class T>
using Answer = tl::expected<T, wire::Failure>;

// One asked message: a virtual per request type, so that a fake can answer some and count all.
template <class Request>
class Asks {
 public:
  virtual ~Asks() = default;
  // The default is for fakes that are never asked this.
  virtual Answer<typename Request::Reply> ask(const Request&, std::int64_t) {
    return tl::unexpected<wire::Failure>(
        wire::Failure::of(wire::FailureKind::kInternal, "unanswered", "nobody answers this"));
  }
};

template <class... Requests>
class AsksAll : public Asks<Requests>... {
 public:
  using Asks<Requests>::ask...;
  template <class Request>
  Answer<typename Request::Reply> ask(const Request& request) {
    return static_cast<Asks<Request>&>(*this).ask(request, limits::kPeerCallMs);
  }
};

using StoreBackend =
    AsksAll<wire::AccountPut, wire::AccountGet, wire::AccountUpdate, wire::AccountRekey,
            wire::OrderPut, wire::OrderGet, wire::OrderUpdate, wire::OrderList, wire::AuthzPut,
            wire::AuthzGet, wire::AuthzFind, wire::AuthzUpdate, wire::ChallengeUpdate,
            wire::CertificateGet, wire::CertificateFind, wire::CertificateMark, wire::RecoveryPut,
            wire::RecoveryGet, wire::RecoveryUpdate, wire::MailPut, wire::MailTake, wire::MailDone,
            wire::WorkList>;
using ValidationBackend = AsksAll<wire::NameTokenMint, wire::NameValidate, wire::ApplianceGrant,
                                  wire::UrlFetch, wire::MailSend, wire::VerifierRelay>;
using AttestationBackend =
    AsksAll<wire::DeviceTokenMint, wire::DeviceVerify, wire::EabVerify, wire::AuthorityVerify,
            wire::RemoteVerify, wire::EvidenceKeyGet, wire::AkBegin, wire::AkActivate>;
using SignerBackend =
    AsksAll<wire::TicketMint, wire::CertificateIssue, wire::IssuerGet, wire::KeyChange,
            wire::CertificateRevoke, wire::OrderCancel, wire::GrantWithdraw, wire::PossessionMint,
            wire::PossessionVerify, wire::AkIssue, wire::CrlGet, wire::OcspGet>;

struct Backend {
  StoreBackend& store;
  ValidationBackend& validation;
  AttestationBackend& attestation;
  SignerBackend& signer;
};

}  // namespace keyward::acme
