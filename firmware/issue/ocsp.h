// Owns the answers to OCSP requests (RFC 6960, RFC 5019, RFC 9654): which are given, for how long,
// and which of them are kept ready. Must not know tasks, nor why a certificate was revoked.
//
// A delegated responder signs (RFC 6960 §4.2.2.2): its key can certify nothing, so that no row of
// the ledger stands before its signatures. What is said of a certificate is what the ledger says.
// A question without nonce, for one certificate, is answered from what is kept; the kept answer is
// replaced in the second half of its time, and at once when the certificate's state is another by
// now. With the token away it serves until its end. All else costs a signature: so many in a second
// (limits::kOcspSignaturesPerSecondMax) and so many at a time; beyond, a question with a nonce gets
// the kept answer without it (RFC 9654 §2.1), others "tryLater". Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "firmware/issue/issuer.h"
#include "firmware/issue/verdict.h"
#include "firmware/wire/messages/ocsp_get.h"
#include "firmware/x509/ocsp_request.h"
#include "firmware/x509/ocsp_response.h"
#include "hal/base/clock.h"

namespace keyward::issue {

struct CertificateStatus {
  x509::OcspState state = x509::OcspState::kUnknown;
  std::int64_t revoked_ms = 0;  // revoked alone; UTC
  std::optional<std::uint64_t> reason;
  bool operator==(const CertificateStatus&) const = default;
};

struct OcspConfig {
  std::string key_label;
  Bytes certificate_der;         // of the delegated responder
  std::int64_t validity_ms = 0;  // of an answer
};

class OcspResponder {
 public:
  using StatusOf = std::function<Verdict<CertificateStatus>(ByteView serial)>;
  using MaySay = std::function<Verdict<void>()>;
  // kRefused: the certificate is not one of a delegated responder of this issuer, or has ended.
  static Result<std::unique_ptr<OcspResponder>> open(OcspConfig config, const Issuer& issuer,
                                                     hal::SigningToken& token, const Clock& clock,
                                                     StatusOf status_of, MaySay may_say);

  // Always an OCSPResponse: one that says why not where there is no answer.
  wire::OcspGetReply answer(const wire::OcspGet& request);
  std::uint64_t signatures_made() const;

 private:
  struct Kept {
    Bytes response;
    CertificateStatus status;
    std::int64_t this_update_ms = 0;
    std::int64_t next_update_ms = 0;
  };
  using KeptPtr = std::shared_ptr<const Kept>;

  OcspResponder(OcspConfig config, x509::Certificate certificate, const Issuer& issuer,
                hal::SigningToken& token, const Clock& clock, StatusOf status_of, MaySay may_say);
  bool is_ours(const x509::OcspQuestion& question) const;
  KeptPtr find(const std::string& key, const CertificateStatus& now, std::int64_t now_ms);
  void keep(const std::string& key, KeptPtr kept);
  Verdict<KeptPtr> sign(const x509::OcspRequest& request,
                        const std::vector<CertificateStatus>& states);
  Verdict<Bytes> signature_over(ByteView data);
  Verdict<void> check_key();
  bool take_turn(std::int64_t now_ms);
  void end_turn();
  wire::OcspGetReply answer_one(const x509::OcspRequest& request, const CertificateStatus& status);

  const OcspConfig config_;
  const x509::Certificate certificate_;
  const Bytes signature_algorithm_der_;
  const Bytes key_hash_;
  const x509::OcspIssuerHashes issuer_;
  hal::SigningToken& token_;
  const Clock& clock_;
  const StatusOf status_of_;
  const MaySay may_say_;

  mutable std::mutex mutex_;
  bool key_checked_ = false;
  int under_way_ = 0;
  std::int64_t second_ = 0;  // monotonic
  std::uint64_t in_second_ = 0;
  std::uint64_t signatures_made_ = 0;
  std::unordered_map<std::string, KeptPtr> kept_;  // by the CertID as it was asked
};

}  // namespace keyward::issue
