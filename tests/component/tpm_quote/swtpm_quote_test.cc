// A quote of a real TPM (swtpm) over registers that an event log led to: recorded by keyward-attest
// as the reference, accepted again, and refused after a changed boot with register and event named.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include "firmware/appraise/decision.h"
#include "firmware/attest/tpm_structures.h"
#include "hal/base/clock.h"
#include "tests/support/command/command.h"
#include "tests/support/quote/quote.h"
#include "tests/support/swtpm/swtpm.h"

namespace keyward::appraise {
namespace {

using ::testing::HasSubstr;

class SwtpmQuote : public ::testing::Test {
 protected:
  void TearDown() override { disconnect(); }
  void connect() {
    ASSERT_EQ(::Tss2_TctiLdr_Initialize(device_.tcti().c_str(), &tcti_), TSS2_RC_SUCCESS);
    ASSERT_EQ(::Esys_Initialize(&esys_, tcti_, nullptr), TSS2_RC_SUCCESS);
    const auto started = ::Esys_Startup(esys_, TPM2_SU_CLEAR);
    ASSERT_TRUE(started == TSS2_RC_SUCCESS || started == TPM2_RC_INITIALIZE);
    make_ak();
  }
  void disconnect() {
    if (esys_ != nullptr) ::Esys_Finalize(&esys_);
    if (tcti_ != nullptr) ::Tss2_TctiLdr_Finalize(&tcti_);
  }
  void make_ak() {
    TPM2B_PUBLIC wanted{};
    auto& area = wanted.publicArea;
    area.type = TPM2_ALG_ECC;
    area.nameAlg = TPM2_ALG_SHA256;
    area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                            TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT;
    auto& detail = area.parameters.eccDetail;
    detail.symmetric.algorithm = TPM2_ALG_NULL;
    detail.scheme.scheme = TPM2_ALG_ECDSA;
    detail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
    detail.curveID = TPM2_ECC_NIST_P256;
    detail.kdf.scheme = TPM2_ALG_NULL;
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION none{};
    TPM2B_PUBLIC* made = nullptr;
    ASSERT_EQ(::Esys_CreatePrimary(esys_, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                   ESYS_TR_NONE, &sensitive, &wanted, &outside, &none, &ak_, &made,
                                   nullptr, nullptr, nullptr),
              TSS2_RC_SUCCESS);
    Bytes public_area(1024);
    std::size_t size = 0;
    ASSERT_EQ(::Tss2_MU_TPMT_PUBLIC_Marshal(&made->publicArea, public_area.data(),
                                            public_area.size(), &size),
              TSS2_RC_SUCCESS);
    ::Esys_Free(made);
    public_area.resize(size);
    x5c_ = {maker_.statements().ak_certificate(test::StatementMaker::good(),
                                               *attest::parse_public_area(public_area)->key)};
  }
  void boot(const test::LogSpec& spec) {
    for (const auto& event : spec.events) {
      TPML_DIGEST_VALUES values{};
      values.count = 1;
      values.digests[0].hashAlg = TPM2_ALG_SHA256;
      const auto digest = crypto::sha256(view_of(event.measured.value_or(event.data)));
      std::copy(digest.begin(), digest.end(), values.digests[0].digest.sha256);
      ASSERT_EQ(::Esys_PCR_Extend(esys_, ESYS_TR_PCR0 + event.pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                  ESYS_TR_NONE, &values),
                TSS2_RC_SUCCESS);
    }
  }
  static TPML_PCR_SELECTION selection() {
    TPML_PCR_SELECTION out{};
    out.count = 1;
    out.pcrSelections[0].hash = TPM2_ALG_SHA256;
    out.pcrSelections[0].sizeofSelect = 3;
    out.pcrSelections[0].pcrSelect[0] = 1u << 0 | 1u << 4 | 1u << 7;
    return out;
  }
  QuoteRecord quote(const test::LogSpec& log, ByteView extra) {
    QuoteRecord out;
    out.x5c = x5c_;
    out.event_log = test::event_log(log);
    const auto wanted = selection();
    TPML_DIGEST* values = nullptr;
    EXPECT_EQ(::Esys_PCR_Read(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted, nullptr,
                              nullptr, &values),
              TSS2_RC_SUCCESS);
    std::size_t at = 0;
    for (const unsigned pcr : {0u, 4u, 7u}) {
      const auto& value = values->digests[at++];
      out.pcrs[Bank::kSha256][pcr] = Bytes(value.buffer, value.buffer + value.size);
    }
    ::Esys_Free(values);
    TPM2B_DATA qualifying{};
    qualifying.size = static_cast<UINT16>(extra.size());
    std::copy(extra.begin(), extra.end(), qualifying.buffer);
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = TPM2_ALG_NULL;
    TPM2B_ATTEST* quoted = nullptr;
    TPMT_SIGNATURE* signature = nullptr;
    EXPECT_EQ(::Esys_Quote(esys_, ak_, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &qualifying,
                           &scheme, &wanted, &quoted, &signature),
              TSS2_RC_SUCCESS);
    out.quoted.assign(quoted->attestationData, quoted->attestationData + quoted->size);
    out.sig.resize(1024);
    std::size_t size = 0;
    EXPECT_EQ(::Tss2_MU_TPMT_SIGNATURE_Marshal(signature, out.sig.data(), out.sig.size(), &size),
              TSS2_RC_SUCCESS);
    out.sig.resize(size);
    ::Esys_Free(quoted);
    ::Esys_Free(signature);
    return out;
  }
  static std::string tool() { return std::string(::getenv("KEYWARD_BIN")) + "/keyward-attest"; }
  std::string path(const std::string& name) const { return device_.directory() + "/" + name; }
  void write(const std::string& name, ByteView octets) const {
    std::ofstream(path(name), std::ios::binary) << text_of(octets);
  }

  test::Swtpm device_;
  test::QuoteMaker maker_{system_clock().utc_ms()};
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
  ESYS_TR ak_ = ESYS_TR_NONE;
  std::vector<Bytes> x5c_;
};

TEST_F(SwtpmQuote, RecordedBoot_IsAcceptedAgain_AndAChangedOneNamesRegisterAndEvent) {
  const std::string authorization = "bm9uY2U.thumbprint";
  const auto extra = crypto::sha256(view_of(authorization));
  connect();
  boot(test::good_boot());
  write("ak.pem", view_of(x509::to_pem("CERTIFICATE", maker_.anchor().der)));
  write("good.cbor", write_quote_record(quote(test::good_boot(), extra)));
  const auto recorded = test::run_command(
      {tool(), "record", path("good.cbor"), "--name", "boot", "--ak-root", path("ak.pem")});
  ASSERT_EQ(recorded.status, 0) << recorded.output;
  write("policy.toml", view_of(recorded.output));
  const auto verify = [&](const std::string& name) {
    return test::run_command({tool(), "verify", path(name), "--policy", path("policy.toml"),
                              "--key-authorization", authorization});
  };
  const auto good = verify("good.cbor");
  EXPECT_EQ(good.status, 0) << good.output;
  EXPECT_THAT(good.output, HasSubstr("ACCEPTED"));

  auto changed = test::good_boot();
  changed.events.push_back({7, 0x80000001, "SecureBoot=0", {}});
  test::LogSpec only;
  only.events = {changed.events.back()};
  boot(only);
  write("changed.cbor", write_quote_record(quote(changed, extra)));
  const auto refused = verify("changed.cbor");
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("REFUSED pcr.value: PCR 7 (sha256)"));
  EXPECT_THAT(refused.output, HasSubstr("event 5 (PCR 7, EV_EFI_VARIABLE_DRIVER_CONFIG"));
  EXPECT_THAT(refused.output, HasSubstr("SecureBoot=0"));

  // The old log with the new registers: the log is not this boot's.
  write("old.cbor", write_quote_record(quote(test::good_boot(), extra)));
  EXPECT_THAT(verify("old.cbor").output, HasSubstr("REFUSED log.replay: PCR 7"));
  // The old registers with the new quote.
  auto forged = quote(changed, extra);
  forged.pcrs = parse_quote_record(write_quote_record(quote(test::good_boot(), extra)))->pcrs;
  forged.pcrs[Bank::kSha256][7][0] ^= 1;
  write("forged.cbor", write_quote_record(forged));
  EXPECT_THAT(verify("forged.cbor").output, HasSubstr("REFUSED quote.pcr-digest"));
}

}  // namespace
}  // namespace keyward::appraise
