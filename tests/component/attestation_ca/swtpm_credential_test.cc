// Credentials made here, opened by a real TPM (swtpm): every EK template, and each way in which one
// must not open. Then the attestation CA whole, from the EK certificate of swtpm_localca to the grant.
#include <gtest/gtest.h>

#include "firmware/attest/attestation_ca.h"
#include "firmware/attest/device_policy.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/rng.h"
#include "tests/support/endorsement/endorsement.h"
#include "tests/support/swtpm/swtpm.h"
#include "tests/support/tpm_rig/tpm_rig.h"

namespace keyward::attest {
namespace {

using test::EkKind;

EkPublic public_of(ByteView area) {
  const auto read = parse_public_area(area);
  if (!read || !read->key) std::abort();
  auto ek = check_ek_public(*read->key, area);
  if (!ek) std::abort();
  return *ek;
}
Bytes name_of(ByteView area) { return parse_public_area(area)->computed_name; }

class SwtpmCredential : public ::testing::TestWithParam<EkKind> {
 protected:
  test::Swtpm device_;
  test::TpmRig rig_{device_.tcti()};
};

TEST_P(SwtpmCredential, Opens_ForThisEkAndThisNameAlone) {
  const auto ek = rig_.make_ek(GetParam());
  const auto ak = rig_.make_ak(), other_ak = rig_.make_ak(true);
  const auto secret = random_bytes(32);
  const auto open = [&](const MadeCredential& made, const test::TpmRig::Key& key) {
    return rig_.activate(ek, GetParam(), key, made.id_object, made.encrypted_secret);
  };
  const auto made = make_credential(public_of(ek.area), name_of(ak.area), secret);
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ(open(*made, ak), secret);
  EXPECT_FALSE(open(*made, other_ak));
  // The template is what a public area says that is not shown.
  const auto by_template =
      make_credential(*check_ek_public(public_of(ek.area).key, {}), name_of(ak.area), secret);
  ASSERT_TRUE(by_template);
  EXPECT_EQ(open(*by_template, ak), secret);
  for (const std::size_t at : {std::size_t{3}, made->id_object.size() - 1}) {
    auto changed = *made;
    changed.id_object[at] ^= 1;
    EXPECT_FALSE(open(changed, ak)) << at;
  }
  auto changed = *made;
  changed.encrypted_secret.back() ^= 1;
  EXPECT_FALSE(open(changed, ak));
}

TEST_P(SwtpmCredential, SecretOfEachSize_Opens) {
  const auto ek = rig_.make_ek(GetParam());
  const auto ak = rig_.make_ak();
  for (const std::size_t size : {1u, 16u, 31u, 32u}) {
    const auto secret = random_bytes(size);
    const auto made = make_credential(public_of(ek.area), name_of(ak.area), secret);
    ASSERT_TRUE(made);
    EXPECT_EQ(rig_.activate(ek, GetParam(), ak, made->id_object, made->encrypted_secret), secret);
  }
  EXPECT_FALSE(make_credential(public_of(ek.area), name_of(ak.area), {}));
  EXPECT_FALSE(make_credential(public_of(ek.area), name_of(ak.area), random_bytes(65)));
}

std::string template_name(const ::testing::TestParamInfo<EkKind>& tested) {
  static constexpr const char* kNames[] = {"LowRsa2048", "LowP256", "HighRsa2048", "HighP384"};
  return kNames[static_cast<int>(tested.param)];
}
INSTANTIATE_TEST_SUITE_P(Templates, SwtpmCredential,
                         ::testing::Values(EkKind::kRsa2048, EkKind::kP256, EkKind::kHighRsa2048,
                                           EkKind::kHighP384),
                         template_name);

// One device of swtpm_localca's, and the CA.
class SwtpmAttestationCa : public ::testing::Test {
 protected:
  SwtpmAttestationCa() {
    policy_.ek.roots = *load_anchors({device_.manufacturer_root_file()}, "none");
    policy_.ek.intermediates = *load_anchors({device_.manufacturer_issuer_file()}, "none");
    ca_.emplace(*AttestationCa::open(device_.directory() + "/ca.key"));
  }
  std::string payload(ByteView certificate, const test::TpmRig::Key& ak) {
    json::Writer out;
    out.begin_object().member("ekCertificate", base64url_encode(certificate));
    return out.member("akPublic", base64url_encode(ak.area)).end_object().take();
  }
  Appraised<wire::GrantAk> activate(const std::string& session, ByteView secret) {
    json::Writer out;
    out.begin_object().member("session", session).member("secret", base64url_encode(secret));
    out.end_object();
    return ca_->activate(account_, view_of(out.take()), policy_, now_ms_);
  }

  const Digest256 account_ = crypto::sha256(view_of("account"));
  test::Swtpm device_{test::Swtpm::Kind::kManufactured};
  const std::int64_t now_ms_ = system_clock().utc_ms();  // its certificates were made before
  test::TpmRig rig_{device_.tcti()};
  AttestationCaPolicy policy_;
  std::optional<AttestationCa> ca_;
};

TEST_F(SwtpmAttestationCa, DeviceOfLocalca_EarnsItsGrant) {
  const auto certificate = rig_.read_nv(0x01c00002);
  ASSERT_TRUE(certificate);
  const auto ek = rig_.make_ek(EkKind::kRsa2048);
  const auto ak = rig_.make_ak();
  const auto begun = ca_->begin(account_, view_of(payload(*certificate, ak)), policy_, now_ms_);
  ASSERT_TRUE(begun) << begun.error().code << " " << begun.error().detail;
  const auto secret = rig_.activate(ek, EkKind::kRsa2048, ak, begun->credential.id_object,
                                    begun->credential.encrypted_secret);
  ASSERT_TRUE(secret);
  const auto grant = activate(begun->session, *secret);
  ASSERT_TRUE(grant) << grant.error().code;
  EXPECT_EQ(grant->thumbprint, account_);
  EXPECT_EQ(grant->session_sha256, crypto::sha256(view_of(begun->session)));
  EXPECT_EQ(grant->spki, parse_public_area(ak.area)->key->spki_der());
  EXPECT_EQ(grant->manufacturer, "id:00001014");
  EXPECT_EQ(grant->model, "swtpm");
  ASSERT_EQ(grant->identifiers.size(), 1u);
  const auto leaf = appraise_ek(*certificate, {}, policy_.ek, now_ms_);
  EXPECT_EQ(grant->identifiers[0].type, wire::IdentifierType::kPermanentIdentifier);
  EXPECT_EQ(grant->identifiers[0].value, hex_encode(leaf->certificate_sha256) + "/2.23.133.12.1");
  // The inventory's word counts at the second step as well, and its names at the first.
  auto answer =
      KnownDevice{DeviceStanding::kGood, {{wire::IdentifierType::kPermanentIdentifier, "rack-7"}}};
  policy_.find_device = [&](const DeviceQuestion&) { return std::optional(answer); };
  answer.standing = DeviceStanding::kQuarantined;
  EXPECT_EQ(activate(begun->session, *secret).error().code, "device.quarantined");
  answer.standing = DeviceStanding::kGood;
  const auto named = ca_->begin(account_, view_of(payload(*certificate, ak)), policy_, now_ms_);
  ASSERT_TRUE(named);
  const auto opened = rig_.activate(ek, EkKind::kRsa2048, ak, named->credential.id_object,
                                    named->credential.encrypted_secret);
  ASSERT_TRUE(opened);
  EXPECT_EQ(activate(named->session, *opened)->identifiers, answer.identifiers);
  EXPECT_EQ(activate(named->session, *secret).error().code, "ak.credential");
}

TEST_F(SwtpmAttestationCa, EccEkOfLocalca_EarnsItsGrantToo) {
  const auto certificate = rig_.read_nv(0x01c00016);
  ASSERT_TRUE(certificate);
  const auto ek = rig_.make_ek(EkKind::kHighP384);
  const auto ak = rig_.make_ak(true);
  const auto begun = ca_->begin(account_, view_of(payload(*certificate, ak)), policy_, now_ms_);
  ASSERT_TRUE(begun) << begun.error().code << " " << begun.error().detail;
  const auto secret = rig_.activate(ek, EkKind::kHighP384, ak, begun->credential.id_object,
                                    begun->credential.encrypted_secret);
  ASSERT_TRUE(secret);
  EXPECT_TRUE(activate(begun->session, *secret));
}

TEST_F(SwtpmAttestationCa, OtherTpmWithThisOnesEkCertificate_CannotActivate) {
  const auto certificate = rig_.read_nv(0x01c00002);
  ASSERT_TRUE(certificate);
  const test::Swtpm thief_device;
  test::TpmRig thief(thief_device.tcti());
  const auto ek = thief.make_ek(EkKind::kRsa2048);
  const auto ak = thief.make_ak();
  const auto begun = ca_->begin(account_, view_of(payload(*certificate, ak)), policy_, now_ms_);
  ASSERT_TRUE(begun) << begun.error().code;
  EXPECT_FALSE(thief.activate(ek, EkKind::kRsa2048, ak, begun->credential.id_object,
                              begun->credential.encrypted_secret));
  EXPECT_EQ(activate(begun->session, random_bytes(32)).error().code, "ak.credential");
}

}  // namespace
}  // namespace keyward::attest
