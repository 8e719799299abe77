// Connecting, random and PCR commands of Tss2Tpm: see tss2_tpm.h.
#include "hal/tss2/tss2_tpm.h"

#include <algorithm>

#include "hal/base/limits.h"
#include "hal/tss2/marshal.h"
#include "hal/tss2/tss2_tpm_impl.h"

namespace keyward::hal {

Result<std::unique_ptr<Tpm>> open_tpm(const std::string& tcti) {
  KEYWARD_TRY(connection, tss2::Connection::open(tcti));
  return std::unique_ptr<Tpm>(std::make_unique<tss2::Tss2Tpm>(tcti, std::move(connection)));
}

Result<std::unique_ptr<Tpm>> make_tpm(const std::string& tcti) {
  KEYWARD_CHECK(tss2::prepare_library(tcti));
  return std::unique_ptr<Tpm>(std::make_unique<tss2::Tss2Tpm>(tcti, nullptr));
}

namespace tss2 {
namespace {

constexpr std::size_t kRegistersMax = 24;  // PC Client Platform TPM Profile §4.6
constexpr int kPcrReadsMax = 64;           // 24 registers, 8 at a time, with room for restarts

std::size_t digest_bytes(TPM2_ALG_ID hash_alg) {
  switch (hash_alg) {
    case TPM2_ALG_SHA1:
      return TPM2_SHA1_DIGEST_SIZE;
    case TPM2_ALG_SHA256:
      return TPM2_SHA256_DIGEST_SIZE;
    case TPM2_ALG_SHA384:
      return TPM2_SHA384_DIGEST_SIZE;
    case TPM2_ALG_SHA512:
      return TPM2_SHA512_DIGEST_SIZE;
    default:
      return 0;
  }
}

// Reads the registers of one selection in one pass. kUnavailable if one was extended meanwhile.
class PcrPass {
 public:
  PcrPass(Connection& connection, const PcrSelection& wanted)
      : connection_(connection), wanted_(wanted), values_(wanted.registers.size()) {}

  Result<std::vector<Bytes>> run() {
    std::vector<std::uint8_t> left = wanted_.registers;
    for (int reads = 0; !left.empty() && reads < kPcrReadsMax; ++reads)
      KEYWARD_CHECK(read_some(left));
    if (!left.empty()) return fail(ErrorKind::kUnavailable, "tpm: PCR reads made no progress");
    return std::move(values_);
  }

 private:
  Status read_some(std::vector<std::uint8_t>& left) {
    KEYWARD_TRY(selection, pcr_selection({wanted_.hash_alg, left}));
    UINT32 counter = 0;
    EsysMem<TPML_PCR_SELECTION> got;
    EsysMem<TPML_DIGEST> digests;
    KEYWARD_CHECK(connection_.check(
        ::Esys_PCR_Read(connection_.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &selection,
                        &counter, out(got), out(digests)),
        "tpm: PCR_Read failed"));
    if (seen_any_ && counter != counter_) {
      return fail(ErrorKind::kUnavailable, "tpm: a PCR was extended while it was read");
    }
    counter_ = counter;
    seen_any_ = true;
    return take(*got, *digests, left);
  }

  // Digests come in ascending register order, for the bits of `got` (Commands §22.4).
  Status take(const TPML_PCR_SELECTION& got, const TPML_DIGEST& digests,
              std::vector<std::uint8_t>& left) {
    if (digests.count == 0) return fail(ErrorKind::kBadInput, "tpm: no such PCR bank or register");
    if (got.count != 1 || got.pcrSelections[0].hash != wanted_.hash_alg || digests.count > 8) {
      return fail(ErrorKind::kCorrupt, "tpm: PCR_Read answered another question");
    }
    UINT32 next = 0;
    for (std::size_t pcr = 0; pcr < kRegistersMax; ++pcr) {
      if ((got.pcrSelections[0].pcrSelect[pcr / 8] >> (pcr % 8) & 1) == 0) continue;
      const auto at = std::find(left.begin(), left.end(), pcr);
      if (at == left.end() || next >= digests.count ||
          digests.digests[next].size != digest_bytes(wanted_.hash_alg)) {
        return fail(ErrorKind::kCorrupt, "tpm: PCR_Read answered another question");
      }
      left.erase(at);
      store(pcr, {digests.digests[next].buffer, digests.digests[next].size});
      ++next;
    }
    return {};
  }

  void store(std::size_t pcr, ByteView digest) {
    for (std::size_t i = 0; i < wanted_.registers.size(); ++i) {
      if (wanted_.registers[i] == pcr) values_[i] = to_bytes(digest);
    }
  }

  Connection& connection_;
  const PcrSelection& wanted_;
  std::vector<Bytes> values_;
  UINT32 counter_ = 0;
  bool seen_any_ = false;
};

}  // namespace

Result<TPML_PCR_SELECTION> pcr_selection(const PcrSelection& selection) {
  if (selection.registers.empty()) {
    // A policy or quote over no register would hold in every state.
    return fail(ErrorKind::kBadInput, "tpm: a PCR selection is empty");
  }
  if (digest_bytes(selection.hash_alg) == 0)
    return fail(ErrorKind::kBadInput, "tpm: unknown PCR bank");
  TPML_PCR_SELECTION out{};
  out.count = 1;
  auto& bank = out.pcrSelections[0];
  bank.hash = selection.hash_alg;
  bank.sizeofSelect = kRegistersMax / 8;
  for (const auto pcr : selection.registers) {
    if (pcr >= kRegistersMax) return fail(ErrorKind::kBadInput, "tpm: there is no such PCR");
    const auto bit = static_cast<BYTE>(1u << (pcr % 8));
    if ((bank.pcrSelect[pcr / 8] & bit) != 0) return fail(ErrorKind::kBadInput, "tpm: a PCR twice");
    bank.pcrSelect[pcr / 8] = static_cast<BYTE>(bank.pcrSelect[pcr / 8] | bit);
  }
  return out;
}

Result<std::unique_ptr<Tss2Object>> Tss2Object::make(Handle handle, const TPM2B_PUBLIC& area,
                                                     const TPM2B_NAME& name) {
  std::unique_ptr<Tss2Object> object(new Tss2Object());
  KEYWARD_TRY(octets, write_tpmt_public(area));
  KEYWARD_TRY(name_octets, octets_of(name, &TPM2B_NAME::name));
  object->handle_ = std::move(handle);
  object->area_ = area.publicArea;
  object->public_area_ = std::move(octets);
  object->name_ = to_bytes(name_octets);
  return object;
}

Result<ConnectionPtr> Tss2Tpm::connect() {
  if (connection_ && !connection_->was_reset()) return connection_;
  connection_.reset();  // first: a device node takes no second opener
  KEYWARD_TRY(connection, Connection::open(tcti_));
  connection_ = connection;
  return connection;
}

Result<Tss2Object*> Tss2Tpm::own(const ConnectionPtr& connection, TpmObject& object) {
  auto* const mine = dynamic_cast<Tss2Object*>(&object);
  if (mine == nullptr) return fail(ErrorKind::kBadInput, "tpm: an object of another TPM back end");
  if (mine->connection() != connection) {
    return fail(ErrorKind::kUnavailable,
                "tpm: the object ended with an earlier connection; load it again");
  }
  return mine;
}

Result<Bytes> Tss2Tpm::random(std::size_t size_bytes) {
  if (size_bytes > limits::kTpmStructureBytesMax)
    return fail(ErrorKind::kBadInput, "tpm: too much random");
  KEYWARD_TRY(connection, connect());
  Bytes result;
  while (result.size() < size_bytes) {
    EsysMem<TPM2B_DIGEST> got;
    const auto wanted = std::min<std::size_t>(size_bytes - result.size(), TPM2_SHA256_DIGEST_SIZE);
    KEYWARD_CHECK(
        connection->check(::Esys_GetRandom(connection->esys(), ESYS_TR_NONE, ESYS_TR_NONE,
                                           ESYS_TR_NONE, static_cast<UINT16>(wanted), out(got)),
                          "tpm: GetRandom failed"));
    KEYWARD_TRY(octets, octets_of(*got, &TPM2B_DIGEST::buffer));
    if (octets.empty() || octets.size() > wanted) {
      return fail(ErrorKind::kCorrupt, "tpm: GetRandom returned another length");
    }
    append(result, octets);
  }
  return result;
}

Result<std::vector<Bytes>> Tss2Tpm::pcr_read(const PcrSelection& selection) {
  KEYWARD_TRY(checked, pcr_selection(selection));
  static_cast<void>(checked);
  KEYWARD_TRY(connection, connect());
  return PcrPass(*connection, selection).run();
}

Status Tss2Tpm::pcr_extend(std::uint8_t pcr, ByteView sha256_digest) {
  if (pcr >= kRegistersMax) return fail(ErrorKind::kBadInput, "tpm: there is no such PCR");
  if (sha256_digest.size() != TPM2_SHA256_DIGEST_SIZE) {
    return fail(ErrorKind::kBadInput, "tpm: not a SHA-256 digest");
  }
  KEYWARD_TRY(connection, connect());
  TPML_DIGEST_VALUES values{};
  values.count = 1;
  values.digests[0].hashAlg = TPM2_ALG_SHA256;
  std::memcpy(values.digests[0].digest.sha256, sha256_digest.data(), sha256_digest.size());
  return connection->check(::Esys_PCR_Extend(connection->esys(), ESYS_TR_PCR0 + pcr,
                                             ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &values),
                           "tpm: PCR_Extend failed");
}

Status Tss2Tpm::shutdown_orderly() {
  KEYWARD_TRY(connection, connect());
  return connection->check(
      ::Esys_Shutdown(connection->esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_SU_CLEAR),
      "tpm: Shutdown failed");
}

Result<TpmClock> Tss2Tpm::read_clock() {
  KEYWARD_TRY(connection, connect());
  EsysMem<TPMS_TIME_INFO> info;
  KEYWARD_CHECK(connection->check(
      ::Esys_ReadClock(connection->esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out(info)),
      "tpm: ReadClock failed"));
  return TpmClock{info->clockInfo.clock, info->clockInfo.resetCount, info->clockInfo.restartCount,
                  info->clockInfo.safe == TPM2_YES};
}

}  // namespace tss2
}  // namespace keyward::hal
