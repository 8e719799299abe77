// TSS2_RC to ErrorKind: see return_code.h.
#include "hal/tss2/return_code.h"

#include <tss2/tss2_tpm2_types.h>

namespace keyward::hal::tss2 {
namespace {

// TCG "Structures" §6.6.3: bits 0-5 number, bit 6 parameter or not, bits 8-11 which one.
constexpr TSS2_RC kFormatOneMask = 0x0bf;
// tpm2-tss has no name for the layer of libtss2-tctildr; the TCTI layer's base codes are used
// there.
constexpr TSS2_RC kBaseCodeMask = 0xffff;

ErrorKind kind_of_format_one(TSS2_RC rc) {
  switch (rc & kFormatOneMask) {
    case TPM2_RC_AUTH_FAIL:
    case TPM2_RC_BAD_AUTH:
    case TPM2_RC_POLICY_FAIL:
    case TPM2_RC_POLICY_CC:
    case TPM2_RC_EXPIRED:
    case TPM2_RC_PP:
    case TPM2_RC_HIERARCHY:
      return ErrorKind::kRefused;
    default:
      return ErrorKind::kBadInput;
  }
}

ErrorKind kind_of_warning(TSS2_RC rc) {
  switch (rc) {
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_SESSION_MEMORY:
    case TPM2_RC_MEMORY:
    case TPM2_RC_SESSION_HANDLES:
    case TPM2_RC_OBJECT_HANDLES:
    case TPM2_RC_CONTEXT_GAP:
    case TPM2_RC_NV_RATE:
      return ErrorKind::kExhausted;
    case TPM2_RC_LOCALITY:
      return ErrorKind::kRefused;
    default:  // lockout, retry, testing, NV away, or a reference to what a reset took away
      return ErrorKind::kUnavailable;
  }
}

ErrorKind kind_of_format_zero(TSS2_RC rc) {
  switch (rc) {
    case TPM2_RC_INITIALIZE:
    case TPM2_RC_REBOOT:
    case TPM2_RC_UPGRADE:
      return ErrorKind::kUnavailable;
    case TPM2_RC_AUTH_TYPE:
    case TPM2_RC_AUTH_MISSING:
    case TPM2_RC_AUTH_UNAVAILABLE:
    case TPM2_RC_POLICY:
    case TPM2_RC_PCR:
    case TPM2_RC_PCR_CHANGED:
    case TPM2_RC_DISABLED:
    case TPM2_RC_EXCLUSIVE:
    case TPM2_RC_NV_LOCKED:
    case TPM2_RC_NV_AUTHORIZATION:
    case TPM2_RC_NV_DEFINED:
      return ErrorKind::kRefused;
    case TPM2_RC_NV_SPACE:
    case TPM2_RC_TOO_MANY_CONTEXTS:
      return ErrorKind::kExhausted;
    case TPM2_RC_FAILURE:
    case TPM2_RC_NEEDS_TEST:
      return ErrorKind::kCorrupt;
    default:
      return ErrorKind::kBadInput;
  }
}

ErrorKind kind_of_library(TSS2_RC rc) {
  switch (rc & kBaseCodeMask) {
    case TSS2_BASE_RC_NO_CONNECTION:
    case TSS2_BASE_RC_IO_ERROR:
    case TSS2_BASE_RC_TRY_AGAIN:
      return ErrorKind::kUnavailable;
    case TSS2_BASE_RC_MALFORMED_RESPONSE:
    case TSS2_BASE_RC_INSUFFICIENT_RESPONSE:
    case TSS2_BASE_RC_RSP_AUTH_FAILED:
      return ErrorKind::kCorrupt;
    default:
      return ErrorKind::kInternal;
  }
}

bool from_tpm(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER;
}

}  // namespace

ErrorKind kind_of(TSS2_RC rc) {
  if (!from_tpm(rc)) {
    if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TCTI_RC_LAYER) return ErrorKind::kUnavailable;
    return kind_of_library(rc);
  }
  const TSS2_RC code = rc & 0xfff;
  if ((code & TPM2_RC_FMT1) != 0) return kind_of_format_one(code);
  if ((code & TPM2_RC_WARN) == TPM2_RC_WARN) return kind_of_warning(code);
  return kind_of_format_zero(code);
}

bool connection_lost(TSS2_RC rc) {
  if (from_tpm(rc)) {
    // The TPM was reset and wants TPM2_Startup, which connecting sends.
    return (rc & 0xfff) == TPM2_RC_INITIALIZE || (rc & 0xfff) == TPM2_RC_REBOOT;
  }
  if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TCTI_RC_LAYER) return true;
  const auto kind = kind_of_library(rc);
  // After a response that cannot be read the stream is at an unknown place.
  return kind == ErrorKind::kUnavailable || kind == ErrorKind::kCorrupt ||
         (rc & kBaseCodeMask) == TSS2_BASE_RC_BAD_SEQUENCE;
}

}  // namespace keyward::hal::tss2
