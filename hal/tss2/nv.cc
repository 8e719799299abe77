// Owns the NV commands of Tss2Tpm: reading an index (EK certificates) and counters.
#include <algorithm>

#include "hal/base/limits.h"
#include "hal/tss2/marshal.h"
#include "hal/tss2/templates.h"
#include "hal/tss2/tss2_tpm_impl.h"

namespace keyward::hal::tss2 {
namespace {

// Every TPM takes this many octets in one NV_Read; TPM_PT_NV_BUFFER_MAX may be more.
constexpr std::size_t kNvChunkBytes = 512;
constexpr std::size_t kCounterBytes = 8;

bool nv_handle(std::uint32_t index) { return index >> 24 == TPM2_HT_NV_INDEX; }

bool has(TPMA_NV attributes, TPMA_NV bit) { return (attributes & bit) != 0; }

bool is_counter(const TPMS_NV_PUBLIC& area) {
  return (area.attributes & TPMA_NV_TPM2_NT_MASK) >> TPMA_NV_TPM2_NT_SHIFT == TPM2_NT_COUNTER &&
         area.dataSize == kCounterBytes;
}

// The authorisation with an empty password. The index's own is taken only outside dictionary-attack
// protection: otherwise a power cut after it counts as a failed try.
Result<ESYS_TR> reader_of(const Handle& nv, TPMA_NV attributes) {
  if (has(attributes, TPMA_NV_AUTHREAD) && has(attributes, TPMA_NV_NO_DA)) return nv.tr();
  if (has(attributes, TPMA_NV_OWNERREAD)) return static_cast<ESYS_TR>(ESYS_TR_RH_OWNER);
  return fail(ErrorKind::kRefused, "tpm: this NV index is not for us to read");
}

std::uint64_t big_endian(ByteView octets) {
  std::uint64_t value = 0;
  for (const auto octet : octets) value = value << 8 | octet;
  return value;
}

}  // namespace

Result<EsysMem<TPM2B_NV_PUBLIC>> Tss2Tpm::nv_public(const Handle& nv) {
  EsysMem<TPM2B_NV_PUBLIC> area;
  EsysMem<TPM2B_NAME> name;
  const auto& connection = nv.connection();
  KEYWARD_CHECK(
      connection->check(::Esys_NV_ReadPublic(connection->esys(), nv.tr(), ESYS_TR_NONE,
                                             ESYS_TR_NONE, ESYS_TR_NONE, out(area), out(name)),
                        "tpm: NV_ReadPublic failed"));
  return area;
}

Result<Bytes> Tss2Tpm::nv_read_all(const Handle& nv, const TPMS_NV_PUBLIC& area) {
  KEYWARD_TRY(reader, reader_of(nv, area.attributes));
  const auto& connection = nv.connection();
  Bytes result;
  while (result.size() < area.dataSize) {
    const auto wanted = std::min(area.dataSize - result.size(), kNvChunkBytes);
    EsysMem<TPM2B_MAX_NV_BUFFER> chunk;
    KEYWARD_CHECK(
        connection->check(::Esys_NV_Read(connection->esys(), reader, nv.tr(), ESYS_TR_PASSWORD,
                                         ESYS_TR_NONE, ESYS_TR_NONE, static_cast<UINT16>(wanted),
                                         static_cast<UINT16>(result.size()), out(chunk)),
                          "tpm: NV_Read failed"));
    KEYWARD_TRY(octets, octets_of(*chunk, &TPM2B_MAX_NV_BUFFER::buffer));
    if (octets.size() != wanted)
      return fail(ErrorKind::kCorrupt, "tpm: NV_Read returned another length");
    append(result, octets);
  }
  return result;
}

Result<Bytes> Tss2Tpm::nv_read(std::uint32_t index) {
  if (!nv_handle(index)) return fail(ErrorKind::kBadInput, "tpm: not an NV index");
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(nv, open_resource(connection, index, "tpm: no such NV index"));
  KEYWARD_TRY(area, nv_public(nv));
  return nv_read_all(nv, area->nvPublic);
}

Status Tss2Tpm::nv_define_counter(std::uint32_t index) {
  if (!nv_handle(index)) return fail(ErrorKind::kBadInput, "tpm: not an NV index");
  KEYWARD_TRY(connection, connect());
  const TPM2B_AUTH no_auth{};
  const TPM2B_NV_PUBLIC area = counter_template(index);
  ESYS_TR tr = ESYS_TR_NONE;
  KEYWARD_CHECK(connection->check(
      ::Esys_NV_DefineSpace(connection->esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                            ESYS_TR_NONE, &no_auth, &area, &tr),
      "tpm: NV_DefineSpace failed"));
  const Handle nv(connection, tr, Handle::Kind::kResource);
  // A counter has no value before its first increment (Commands §31.8).
  return connection->check(::Esys_NV_Increment(connection->esys(), nv.tr(), nv.tr(),
                                               ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE),
                           "tpm: NV_Increment failed");
}

Result<std::uint64_t> Tss2Tpm::nv_increment(std::uint32_t index) {
  if (!nv_handle(index)) return fail(ErrorKind::kBadInput, "tpm: not an NV index");
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(nv, open_resource(connection, index, "tpm: no such NV index"));
  KEYWARD_TRY(area, nv_public(nv));
  if (!is_counter(area->nvPublic)) return fail(ErrorKind::kBadInput, "tpm: not a counter");
  if (!has(area->nvPublic.attributes, TPMA_NV_AUTHWRITE) ||
      !has(area->nvPublic.attributes, TPMA_NV_NO_DA)) {
    return fail(ErrorKind::kRefused, "tpm: this counter is not for us to write");
  }
  KEYWARD_CHECK(connection->check(::Esys_NV_Increment(connection->esys(), nv.tr(), nv.tr(),
                                                      ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE),
                                  "tpm: NV_Increment failed"));
  KEYWARD_TRY(octets, nv_read_all(nv, area->nvPublic));
  return big_endian(octets);
}

Result<std::uint64_t> Tss2Tpm::nv_read_counter(std::uint32_t index) {
  if (!nv_handle(index)) return fail(ErrorKind::kBadInput, "tpm: not an NV index");
  KEYWARD_TRY(connection, connect());
  KEYWARD_TRY(nv, open_resource(connection, index, "tpm: no such NV index"));
  KEYWARD_TRY(area, nv_public(nv));
  if (!is_counter(area->nvPublic)) return fail(ErrorKind::kBadInput, "tpm: not a counter");
  KEYWARD_TRY(octets, nv_read_all(nv, area->nvPublic));
  return big_endian(octets);
}

}  // namespace keyward::hal::tss2
