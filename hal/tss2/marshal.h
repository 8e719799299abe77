// Owns octets <-> tpm2-tss structures, strict where libtss2-mu is not. Must not know commands.
//
// libtss2-mu accepts trailing octets and leaves half-filled output on errors; every reader here
// demands that the whole input is used. Errors: kBadInput.
#pragma once

#include <cstring>

#include <tss2/tss2_tpm2_types.h>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::hal::tss2 {

Result<TPM2B_PUBLIC> read_tpm2b_public(ByteView bytes);  // with the size field
Result<TPM2B_PUBLIC> read_tpmt_public(ByteView bytes);   // without
Result<TPM2B_PRIVATE> read_tpm2b_private(ByteView bytes);
Result<TPM2B_ID_OBJECT> read_id_object(ByteView bytes);
Result<TPM2B_ENCRYPTED_SECRET> read_encrypted_secret(ByteView bytes);

Result<Bytes> write_tpm2b_public(const TPM2B_PUBLIC& value);
Result<Bytes> write_tpmt_public(const TPM2B_PUBLIC& value);
Result<Bytes> write_tpm2b_private(const TPM2B_PRIVATE& value);
Result<Bytes> write_id_object(const TPM2B_ID_OBJECT& value);
Result<Bytes> write_encrypted_secret(const TPM2B_ENCRYPTED_SECRET& value);
Result<Bytes> write_signature(const TPMT_SIGNATURE& value);

// Fills a simple TPM2B (size, then octets in `field`); kBadInput if they do not fit.
template <class T, std::size_t N>
Status fill(T& out, BYTE (T::*field)[N], ByteView bytes) {
  if (bytes.size() > N) return fail(ErrorKind::kBadInput, "tpm: too many octets for a TPM2B");
  out.size = static_cast<UINT16>(bytes.size());
  if (!bytes.empty()) std::memcpy(out.*field, bytes.data(), bytes.size());
  return {};
}

// The octets of a simple TPM2B that the TPM returned; the size is checked against the field.
template <class T, std::size_t N>
Result<ByteView> octets_of(const T& value, const BYTE (T::*field)[N]) {
  if (value.size > N)
    return fail(ErrorKind::kCorrupt, "tpm: a returned TPM2B is larger than its type");
  return ByteView{value.*field, value.size};
}

}  // namespace keyward::hal::tss2
