// Owns the enrolment of an attestation key: the TPM's endorsement key and its certificate prove to
// the CA which TPM this is, and the CA certifies the attestation key that lives in it
// (docs/attestation-ca.md; TPM2_ActivateCredential). Must not know HTTP, files or options.
//
// The attestation key is made at its persistent handle if nothing is there. Errors: kUsage (no
// endorsement certificate, a certificate of another key, the CA offers no such thing), kTpm,
// kRefused, kUnreachable. Threads: one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "firmware/agent/acme_client.h"
#include "firmware/agent/failure.h"
#include "hal/tpm.h"

namespace keyward::agent {

struct AkRequest {
  std::uint32_t ak_handle = 0x81010002;
  std::vector<Bytes> ek_chain;  // DER, the endorsement certificate first; empty: the TPM's own
};

struct AkSeams {
  hal::Tpm& tpm;
  AcmeClient& client;  // with its account
  std::function<void(std::string_view step, std::string_view detail)> on_step;
};

// The chain of the attestation key's certificate, PEM, leaf first.
Outcome<std::string> enroll_attestation_key(const AkRequest& request, const AkSeams& seams);

// The certificate in the TPM's non-volatile memory without what fills the index up behind it (TCG EK
// Credential Profile §2.2.1.5.1). kBadInput: no DER sequence.
Result<Bytes> trim_certificate(ByteView nv_content);

}  // namespace keyward::agent
