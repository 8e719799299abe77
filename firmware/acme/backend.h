// Owns the list of what acme asks other tasks, as one interface that the app binds to peers and the
// tests to fakes. Must not know sockets. Threads: every method from any thread; each may block
// until `timeout_ms`.
#pragma once

#include "firmware/wire/messages/account_get.h"
#include "firmware/wire/messages/account_put.h"
#include "firmware/wire/messages/account_update.h"
#include "firmware/wire/messages/appliance_grant.h"
#include "firmware/wire/messages/authz_get.h"
#include "firmware/wire/messages/authz_update.h"
#include "firmware/wire/messages/certificate_get.h"
#include "firmware/wire/messages/certificate_issue.h"
#include "firmware/wire/messages/challenge_update.h"
#include "firmware/wire/messages/device_token_mint.h"
#include "firmware/wire/messages/device_verify.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/name_token_mint.h"
#include "firmware/wire/messages/name_validate.h"
#include "firmware/wire/messages/order_get.h"
#include "firmware/wire/messages/order_list.h"
#include "firmware/wire/messages/order_put.h"
#include "firmware/wire/messages/order_update.h"
#include "firmware/wire/messages/ticket_mint.h"
#include "firmware/wire/messages/work_list.h"

namespace keyward::acme {

template <class T>
using Answer = tl::expected<T, wire::Failure>;

// One asked message: a virtual per request type, so that a fake can answer some and count all.
template <class Request>
class Asks {
 public:
  virtual ~Asks() = default;
  virtual Answer<typename Request::Reply> ask(const Request& request, std::int64_t timeout_ms) = 0;
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
    AsksAll<wire::AccountPut, wire::AccountGet, wire::AccountUpdate, wire::OrderPut, wire::OrderGet,
            wire::OrderUpdate, wire::OrderList, wire::AuthzGet, wire::AuthzUpdate,
            wire::ChallengeUpdate, wire::CertificateGet, wire::WorkList>;
using ValidationBackend = AsksAll<wire::NameTokenMint, wire::NameValidate, wire::ApplianceGrant>;
using AttestationBackend = AsksAll<wire::DeviceTokenMint, wire::DeviceVerify>;
using SignerBackend = AsksAll<wire::TicketMint, wire::CertificateIssue, wire::IssuerGet>;

struct Backend {
  StoreBackend& store;
  ValidationBackend& validation;
  AttestationBackend& attestation;
  SignerBackend& signer;
};

}  // namespace keyward::acme
