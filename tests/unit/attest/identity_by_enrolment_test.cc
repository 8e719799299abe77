// Proves identity by enrolment record (D-D7): off by default, only for certificates that name no
// device, and octet by octet all the same.
#include <gtest/gtest.h>

#include "firmware/attest/device_attest.h"
#include "tests/support/statement/statement.h"

namespace keyward::attest {
namespace {

constexpr std::int64_t kAt = 1'790'000'000'000;

std::string code(const char* value, bool certificate_names, std::vector<wire::Identifier> record,
                 bool is_on = true) {
  static const auto* const maker = new test::StatementMaker(kAt);
  auto spec = test::StatementMaker::good();
  if (!certificate_names) spec.ak.permanent_identifier.reset();
  DeviceAttestPolicy policy{{maker->anchor()}};
  if (is_on) policy.identity_by_enrolment = [&](const Digest256&) { return record; };
  const auto appraised = appraise_device(maker->attestation_object(spec),
                                         {wire::IdentifierType::kPermanentIdentifier, value},
                                         "token.thumbprint", policy, kAt);
  return appraised ? "good" : appraised.error().code;
}
std::vector<wire::Identifier> named(const char* value) {
  return {{wire::IdentifierType::kPermanentIdentifier, value}};
}

TEST(IdentityByEnrolment_Policy, OffIsARefusal) {
  EXPECT_EQ(code("DEVICE-7", false, named("DEVICE-7"), false), "ak.no-identifier");
  EXPECT_EQ(code("DEVICE-7", false, named("DEVICE-7")), "good");
}

TEST(IdentityByEnrolment_Record, MustNameTheOrdersDevice) {
  EXPECT_EQ(code("DEVICE-7", false, {}), "ak.no-identifier");
  EXPECT_EQ(code("DEVICE-7", false, named("DEVICE-8")), "ak.identifier");
  EXPECT_EQ(code("DEVICE-7/1.2.3", false, named("DEVICE-7")), "ak.identifier");
  EXPECT_EQ(code("DEVICE-7", false, named("DEVICE-7/1.2.3")), "good");
}

TEST(IdentityByEnrolment_CertificateThatNamesADevice, IsNeverOverruled) {
  EXPECT_EQ(code("DEVICE-7", true, named("DEVICE-7")), "ak.identifier");
  EXPECT_EQ(code("DEVICE-1", true, named("DEVICE-7")), "good");
}

}  // namespace
}  // namespace keyward::attest
