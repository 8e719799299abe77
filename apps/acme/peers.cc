#include "apps/acme/peers.h"

namespace keyward::acme {
namespace {

using wire::MessageType;
using wire::TaskId;

constexpr MessageType kToStore[] = {
    MessageType::kAccountPut,      MessageType::kAccountGet,     MessageType::kAccountUpdate,
    MessageType::kAccountRekey,    MessageType::kOrderPut,       MessageType::kOrderGet,
    MessageType::kOrderList,       MessageType::kOrderUpdate,    MessageType::kAuthzPut,
    MessageType::kAuthzGet,        MessageType::kAuthzFind,      MessageType::kAuthzUpdate,
    MessageType::kChallengeUpdate, MessageType::kCertificateGet, MessageType::kCertificateFind,
    MessageType::kCertificateMark, MessageType::kRecoveryPut,    MessageType::kRecoveryGet,
    MessageType::kRecoveryUpdate,  MessageType::kMailPut,        MessageType::kMailTake,
    MessageType::kMailDone,        MessageType::kWorkList,
};
constexpr MessageType kToValidation[] = {MessageType::kNameTokenMint,  MessageType::kNameValidate,
                                         MessageType::kApplianceGrant, MessageType::kUrlFetch,
                                         MessageType::kMailSend,       MessageType::kVerifierRelay};
constexpr MessageType kToAttestation[] = {
    MessageType::kDeviceTokenMint, MessageType::kDeviceVerify, MessageType::kEabVerify,
    MessageType::kAuthorityVerify, MessageType::kRemoteVerify, MessageType::kEvidenceKeyGet,
    MessageType::kAkBegin,         MessageType::kAkActivate};
constexpr MessageType kToSigner[] = {MessageType::kTicketMint,
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

constexpr task::PeerRule kPeers[] = {
    {TaskId::kStore, false, kToStore},
    {TaskId::kValidation, false, kToValidation},
    {TaskId::kAttestation, false, kToAttestation},
    {TaskId::kSigner, false, kToSigner},
};

// One override per request type of a backend, each passing the question to the peer.
template <class Base, class... Requests>
class Asking;
template <class Base>
class Asking<Base> : public Base {
 public:
  explicit Asking(task::Peer& peer) : peer_(peer) {}
  using Base::ask;

 protected:
  task::Peer& peer_;
};
template <class Base, class Request, class... Rest>
class Asking<Base, Request, Rest...> : public Asking<Base, Rest...> {
 public:
  using Asking<Base, Rest...>::Asking;
  using Asking<Base, Rest...>::ask;
  Answer<typename Request::Reply> ask(const Request& request, std::int64_t timeout_ms) override {
    return this->peer_.call(request, timeout_ms);
  }
};
template <class Base>
struct AskingAll;
template <class... Requests>
struct AskingAll<AsksAll<Requests...>> {
  using Type = Asking<AsksAll<Requests...>, Requests...>;
};

}  // namespace

std::span<const task::PeerRule> peers() { return kPeers; }

struct PeerBackend::Impl {
  explicit Impl(task::Task& task)
      : store(task.peer(TaskId::kStore)),
        validation(task.peer(TaskId::kValidation)),
        attestation(task.peer(TaskId::kAttestation)),
        signer(task.peer(TaskId::kSigner)) {}
  AskingAll<StoreBackend>::Type store;
  AskingAll<ValidationBackend>::Type validation;
  AskingAll<AttestationBackend>::Type attestation;
  AskingAll<SignerBackend>::Type signer;
};

PeerBackend::PeerBackend(task::Task& task) : impl_(std::make_unique<Impl>(task)) {}
PeerBackend::~PeerBackend() = default;

Backend PeerBackend::backend() {
  return {impl_->store, impl_->validation, impl_->attestation, impl_->signer};
}

}  // namespace keyward::acme
