// Owns the meaning of CK_RV: names, and the error kind a caller sees. Must not know what was
// called.
#pragma once

#include <string>

#include <p11-kit/pkcs11.h>

#include "hal/base/result.h"

namespace keyward::hal::pkcs11 {

std::string rv_text(CK_RV rv);  // "CKR_DEVICE_ERROR (0x30)"

// The request itself is wrong or not offered; the token is fine. Everything else that is not
// CKR_OK, vendor codes included, is taken as a lost token: reconnecting for nothing costs
// milliseconds, trusting a dead session costs the service.
bool is_request_error(CK_RV rv);

// The token says that the PIN does not let us in: no try follows by itself.
bool is_pin_refusal(CK_RV rv);
// ... because this PIN is wrong: it must never be sent again. The other refusals (locked, expired)
// judge the token's state: tpm2-pkcs11 says CKR_PIN_LOCKED while the TPM is in lockout. "Not
// initialized" is none: SoftHSM says so while another process rewrites its token file, and no PIN
// was looked at.
bool is_pin_wrong(CK_RV rv);

// kBadInput for request errors, kUnavailable for the others. `what` names the call.
Error error_of(CK_RV rv, const char* what);

}  // namespace keyward::hal::pkcs11
