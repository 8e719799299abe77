// Strict readers over libtss2-mu: see marshal.h.
#include "hal/tss2/marshal.h"

#include <tss2/tss2_mu.h>

#include "hal/base/limits.h"

namespace keyward::hal::tss2 {
namespace {

template <class T>
using Unmarshal = TSS2_RC (*)(const uint8_t*, size_t, size_t*, T*);

template <class T>
Result<T> read_whole(ByteView bytes, Unmarshal<T> unmarshal) {
  if (bytes.empty() || bytes.size() > limits::kTpmStructureBytesMax) {
    return fail(ErrorKind::kBadInput, "tpm: a structure is empty or oversize");
  }
  T value{};
  size_t offset = 0;
  const TSS2_RC rc = unmarshal(bytes.data(), bytes.size(), &offset, &value);
  if (rc != TSS2_RC_SUCCESS) return fail(ErrorKind::kBadInput, "tpm: a structure is malformed", rc);
  if (offset != bytes.size())
    return fail(ErrorKind::kBadInput, "tpm: trailing octets after a structure");
  return value;
}

template <class T, class Marshal>
Result<Bytes> write_whole(const T& value, Marshal marshal) {
  Bytes out(limits::kTpmStructureBytesMax);
  size_t offset = 0;
  const TSS2_RC rc = marshal(&value, out.data(), out.size(), &offset);
  if (rc != TSS2_RC_SUCCESS)
    return fail(ErrorKind::kInternal, "tpm: cannot marshal a structure", rc);
  out.resize(offset);
  return out;
}

}  // namespace

Result<TPM2B_PUBLIC> read_tpm2b_public(ByteView bytes) {
  KEYWARD_TRY(value, read_whole<TPM2B_PUBLIC>(bytes, &::Tss2_MU_TPM2B_PUBLIC_Unmarshal));
  // The size field is not compared by libtss2-mu with what it read behind it.
  if (value.size != bytes.size() - 2)
    return fail(ErrorKind::kBadInput, "tpm: wrong size of a TPM2B_PUBLIC");
  return value;
}

Result<TPM2B_PUBLIC> read_tpmt_public(ByteView bytes) {
  KEYWARD_TRY(area, read_whole<TPMT_PUBLIC>(bytes, &::Tss2_MU_TPMT_PUBLIC_Unmarshal));
  TPM2B_PUBLIC value{};
  value.publicArea = area;
  return value;
}

Result<TPM2B_PRIVATE> read_tpm2b_private(ByteView bytes) {
  return read_whole<TPM2B_PRIVATE>(bytes, &::Tss2_MU_TPM2B_PRIVATE_Unmarshal);
}
Result<TPM2B_ID_OBJECT> read_id_object(ByteView bytes) {
  return read_whole<TPM2B_ID_OBJECT>(bytes, &::Tss2_MU_TPM2B_ID_OBJECT_Unmarshal);
}
Result<TPM2B_ENCRYPTED_SECRET> read_encrypted_secret(ByteView bytes) {
  return read_whole<TPM2B_ENCRYPTED_SECRET>(bytes, &::Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal);
}

Result<Bytes> write_tpm2b_public(const TPM2B_PUBLIC& value) {
  return write_whole(value, &::Tss2_MU_TPM2B_PUBLIC_Marshal);
}
Result<Bytes> write_tpmt_public(const TPM2B_PUBLIC& value) {
  return write_whole(value.publicArea, &::Tss2_MU_TPMT_PUBLIC_Marshal);
}
Result<Bytes> write_tpm2b_private(const TPM2B_PRIVATE& value) {
  return write_whole(value, &::Tss2_MU_TPM2B_PRIVATE_Marshal);
}
Result<Bytes> write_id_object(const TPM2B_ID_OBJECT& value) {
  return write_whole(value, &::Tss2_MU_TPM2B_ID_OBJECT_Marshal);
}
Result<Bytes> write_encrypted_secret(const TPM2B_ENCRYPTED_SECRET& value) {
  return write_whole(value, &::Tss2_MU_TPM2B_ENCRYPTED_SECRET_Marshal);
}
Result<Bytes> write_signature(const TPMT_SIGNATURE& value) {
  return write_whole(value, &::Tss2_MU_TPMT_SIGNATURE_Marshal);
}

}  // namespace keyward::hal::tss2
