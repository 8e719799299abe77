// Proves the appraisal of packed, apple, android-key and step statements: a good one of each passes,
// and each rule refuses alone, by its code.
#include "tests/support/statement/formats.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/attest/device_attest.h"
#include "firmware/x509/der.h"

namespace keyward::attest {
namespace {

using crypto::KeyKind;
using test::FormatMaker;
using test::FormatSpec;

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::string_view kKeyAuthorization = "token.thumbprint";
constexpr const char* kAaguidOid = "1.3.6.1.4.1.45724.1.1.4";
constexpr const char* kSernumOid = "1.3.6.1.4.1.45724.1.1.2";
constexpr const char* kKeyDescriptionOid = "1.3.6.1.4.1.11129.2.1.17";

const FormatMaker& maker() {
  static const auto* const made = new FormatMaker(kAt);
  return *made;
}

// Everything about one statement and who judges it.
struct Case {
  FormatSpec spec;
  test::AuthDataSpec auth;
  test::KeyDescriptionSpec android;
  DeviceAttestPolicy policy;
  DeviceChallenge challenge{std::string(kKeyAuthorization), {}, true};
  wire::Identifier identifier{wire::IdentifierType::kPermanentIdentifier, "DEVICE-1"};
};

template <class Policy>
Policy rooted() {
  Policy out;
  out.roots = {maker().root()};
  return out;
}

void put(FormatSpec& spec, std::string_view oid, Bytes value) {
  for (auto& [known, content] : spec.leaf.extensions) {
    if (known == oid) {
      content = std::move(value);
      return;
    }
  }
  spec.leaf.extensions.emplace_back(std::string(oid), std::move(value));
}

void drop(FormatSpec& spec, std::string_view oid) {
  std::erase_if(spec.leaf.extensions, [&](const auto& one) { return one.first == oid; });
}

Case good_packed() {
  Case out;
  out.spec.format = "packed";
  out.policy.packed = rooted<PackedPolicy>();
  out.auth.cose_key = test::cose_ec_key(maker().key(KeyKind::kEcP384).public_key());
  put(out.spec, kAaguidOid, x509::der_octet_string(Bytes(16, 0xa5)));
  put(out.spec, kSernumOid, x509::der_octet_string(Bytes{0xde, 0x01}));
  out.identifier.value = "de01";
  return out;
}

Case good_apple() {
  Case out;
  out.spec.format = "apple";
  out.spec.alg.reset();
  out.spec.has_sig = false;
  out.policy.apple = rooted<ApplePolicy>();
  put(out.spec, "1.2.840.113635.100.8.9.1", to_bytes("DEVICE-1"));
  put(out.spec, "1.2.840.113635.100.8.9.2", to_bytes("00008101-000A"));
  const auto digest = crypto::sha256(view_of("token"));
  put(out.spec, "1.2.840.113635.100.8.11.1", to_bytes(digest));
  return out;
}

Case good_android() {
  Case out;
  out.spec.format = "android-key";
  out.policy.android = rooted<AndroidPolicy>();
  out.android.challenge = to_bytes(kKeyAuthorization);
  return out;
}

Case good_step() {
  Case out;
  out.spec.format = "step";
  out.spec.wrap_signature = true;
  out.policy.step = rooted<StepPolicy>();
  put(out.spec, "1.3.6.1.4.1.41482.3.3", {5, 4, 3});
  put(out.spec, "1.3.6.1.4.1.41482.3.7", x509::der_unsigned(12'345'678));
  put(out.spec, "1.3.6.1.4.1.41482.3.8", {2, 1});
  out.identifier.value = "12345678";
  return out;
}

Bytes object_of(Case c) {
  if (c.spec.format == "packed" && !c.auth.cose_key.empty()) {
    c.spec.auth_data = test::auth_data(c.auth);
    if (c.spec.message.empty()) {
      c.spec.message = *c.spec.auth_data;
      append(c.spec.message, crypto::sha256(view_of(kKeyAuthorization)));
    }
  }
  if (c.spec.format == "android-key" && !c.android.challenge.empty())
    put(c.spec, kKeyDescriptionOid, test::key_description(c.android));
  if (c.spec.message.empty()) c.spec.message = to_bytes(kKeyAuthorization);
  return maker().attestation_object(c.spec);
}

Appraised<AttestedKey> appraise(const Case& c, Checks* checks = nullptr) {
  return appraise_device(object_of(c), c.identifier, c.challenge, c.policy, kAt, checks);
}

void expect_key(const Case& c, KeyKind kind, bool non_exportable) {
  const auto result = appraise(c);
  ASSERT_TRUE(result.has_value()) << result.error().code << ": " << result.error().detail;
  EXPECT_EQ(result->key.spki_sha256(), maker().key(kind).public_key().spki_sha256());
  EXPECT_EQ(result->format, c.spec.format);
  EXPECT_EQ(result->non_exportable, non_exportable);
}

TEST(Formats_GoodPacked_GivesTheCredentialsKey, Holds) {
  expect_key(good_packed(), KeyKind::kEcP384, true);
  auto rsa = good_packed();
  rsa.auth.cose_key = test::cose_rsa_key(maker().key(KeyKind::kRsa).public_key());
  expect_key(rsa, KeyKind::kRsa, true);
}

TEST(Formats_PackedByPolicy_TakesMore, Holds) {
  auto text = good_packed();
  text.policy.packed->serial_is_text = true;
  put(text.spec, kSernumOid, x509::der_octet_string(view_of("SN-7")));
  text.identifier.value = "SN-7";
  expect_key(text, KeyKind::kEcP384, true);
  auto copied = good_packed();
  copied.policy.packed->allow_backup_eligible = true;
  copied.auth.flags |= 0x08;
  expect_key(copied, KeyKind::kEcP384, false);
  auto model = good_packed();
  model.policy.packed->aaguids = {hex_encode(Bytes(16, 0xa5))};
  expect_key(model, KeyKind::kEcP384, true);
}

TEST(Formats_GoodApple_GivesTheLeafsKey, Holds) {
  expect_key(good_apple(), KeyKind::kEcP256, false);
  auto udid = good_apple();
  udid.identifier.value = "00008101-000A";
  expect_key(udid, KeyKind::kEcP256, false);
  auto cached = good_apple();
  drop(cached.spec, "1.2.840.113635.100.8.11.1");
  cached.policy.apple->allow_missing_freshness = true;
  expect_key(cached, KeyKind::kEcP256, false);
  auto free = good_apple();
  free.challenge.account_admitted = false;
  free.policy.apple->require_external_account = false;
  expect_key(free, KeyKind::kEcP256, false);
}

TEST(Formats_GoodAndroid_GivesTheLeafsKey, Holds) {
  expect_key(good_android(), KeyKind::kEcP256, true);
  auto hashed = good_android();  // D-D4
  hashed.android.challenge = to_bytes(crypto::sha256(view_of(kKeyAuthorization)));
  expect_key(hashed, KeyKind::kEcP256, true);
  auto rsa = good_android();
  rsa.spec.leaf_kind = KeyKind::kRsa;
  rsa.spec.alg = -257;
  expect_key(rsa, KeyKind::kRsa, true);
  auto newer =
      good_android();  // an authorization that is not known here limits, and grants nothing
  newer.android.unknown_tag = true;
  expect_key(newer, KeyKind::kEcP256, true);
}

TEST(Formats_AndroidByPolicy_TakesMore, Holds) {
  auto imei = good_android();
  imei.policy.android->identities = {AndroidIdentity::kImei};
  imei.android.second_imei = "490154203237518";
  imei.identifier.value = "490154203237518";
  expect_key(imei, KeyKind::kEcP256, true);
  auto own_boot = good_android();
  own_boot.policy.android->allow_self_signed_boot = true;
  own_boot.android.boot_state = 1;
  expect_key(own_boot, KeyKind::kEcP256, true);
  auto patched = good_android();
  patched.policy.android->os_patch_min = 202610;
  patched.policy.android->vendor_patch_min = 20261005;
  patched.policy.android->boot_patch_min = 20261001;
  expect_key(patched, KeyKind::kEcP256, true);
  auto listed = good_android();
  listed.policy.android->status_list = std::make_shared<AndroidStatusList>(
      *AndroidStatusList::parse(R"({"entries":{"abc02":{"status":"REVOKED"}}})"));
  expect_key(listed, KeyKind::kEcP256, true);
  auto twice = good_android();  // the same content nearer the root says nothing else
  twice.spec.through_intermediate = true;
  twice.spec.intermediate_extensions = {{kKeyDescriptionOid, test::key_description(twice.android)}};
  expect_key(twice, KeyKind::kEcP256, true);
}

TEST(Formats_GoodStep_GivesTheSlotsKey, Holds) {
  expect_key(good_step(), KeyKind::kEcP256, true);
  auto p384 = good_step();
  p384.spec.leaf_kind = KeyKind::kEcP384;
  expect_key(p384, KeyKind::kEcP384, true);
  auto through = good_step();
  through.spec.through_intermediate = true;
  expect_key(through, KeyKind::kEcP256, true);
}

TEST(Formats_EachGoodStatement_IsExplainedCheckByCheck, Holds) {
  for (const auto& good : {good_packed(), good_apple(), good_android(), good_step()}) {
    Checks checks;
    ASSERT_TRUE(appraise(good, &checks).has_value());
    EXPECT_GE(checks.size(), 6u) << good.spec.format;
    EXPECT_THAT(checks.back().id, ::testing::EndsWith(".identifier"));
  }
}

TEST(Formats_SwitchedOff_AreRefusedByName, Holds) {
  for (auto each : {good_packed(), good_apple(), good_android(), good_step()}) {
    each.policy = DeviceAttestPolicy();
    const auto result = appraise(each);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, "format.unsupported");
    EXPECT_THAT(result.error().detail, ::testing::EndsWith("taken are: tpm"));
  }
  auto tpm_off = good_step();
  tpm_off.policy.tpm = false;
  tpm_off.spec.format = "tpm";
  EXPECT_EQ(appraise(tpm_off).error().code, "format.unsupported");
}

TEST(Formats_HardwareModule_NeedsItsTypeAndAKeyThatStays, Holds) {  // D-D9
  auto step = good_step();
  step.identifier = {wire::IdentifierType::kHardwareModule, "12345678/1.3.6.1.4.1.99999.1"};
  EXPECT_EQ(appraise(step).error().code, "step.identifier");
  step.policy.hardware_module_types["step"] = "1.3.6.1.4.1.99999.1";
  EXPECT_TRUE(appraise(step).has_value());
  step.policy.hardware_module_types["step"] = "1.3.6.1.4.1.99999.2";
  EXPECT_EQ(appraise(step).error().code, "step.identifier");
  auto apple = good_apple();
  apple.policy.hardware_module_types["apple"] = "1.3.6.1.4.1.99999.1";
  apple.identifier = {wire::IdentifierType::kHardwareModule, "DEVICE-1/1.3.6.1.4.1.99999.1"};
  EXPECT_EQ(appraise(apple).error().code, "identifier.exportable");
}

TEST(Formats_Assigner_IsThePolicysAlone, Holds) {  // D-D8
  auto step = good_step();
  step.identifier.value = "12345678/1.2.3";
  EXPECT_EQ(appraise(step).error().code, "step.identifier");
  step.policy.step->assigner = "1.2.3";
  EXPECT_TRUE(appraise(step).has_value());
  step.policy.step->assigner = "1.2.4";
  EXPECT_EQ(appraise(step).error().code, "step.identifier");
}

struct Refused {
  const char* name;
  const char* code;
  Case (*good)();
  std::function<void(Case&)> spoil;
};
void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }

class FormatRefusal : public ::testing::TestWithParam<Refused> {};

TEST_P(FormatRefusal, IsReachedExactly) {
  auto c = GetParam().good();
  GetParam().spoil(c);
  const auto result = appraise(c);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, GetParam().code) << result.error().detail;
  EXPECT_GT(result.error().detail.size(), 20u);
}

void expired(Case& c) {
  c.spec.leaf.not_before_ms = kAt - 2 * kHourMs;
  c.spec.leaf.not_after_ms = kAt - kHourMs;
}
void not_yet(Case& c) {
  c.spec.leaf.not_before_ms = kAt + kHourMs;
  c.spec.leaf.not_after_ms = kAt + 2 * kHourMs;
}

const Refused kPacked[] = {
    {"PackedWithoutAlg", "packed.members", good_packed, [](auto& c) { c.spec.alg.reset(); }},
    {"PackedWithoutSig", "packed.members", good_packed, [](auto& c) { c.spec.has_sig = false; }},
    {"PackedSelf", "packed.self", good_packed, [](auto& c) { c.spec.has_x5c = false; }},
    {"PackedWithoutAuthData", "packed.auth-data", good_packed,
     [](auto& c) { c.auth.cose_key.clear(); }},
    {"PackedEmptyAuthData", "packed.auth-data", good_packed,
     [](auto& c) { c.auth.cose_key.clear(), c.spec.auth_data = Bytes(); }},
    {"PackedAuthDataTooShort", "packed.auth-data", good_packed,
     [](auto& c) {
       c.auth.cose_key.clear();
       c.spec.auth_data = Bytes(40, 0);
       c.spec.message = Bytes(40, 0);
       append(c.spec.message, crypto::sha256(view_of(kKeyAuthorization)));
     }},
    {"PackedWithoutCredential", "packed.auth-data", good_packed,
     [](auto& c) { c.auth.flags = 0x01; }},
    {"PackedOctetsBehind", "packed.auth-data", good_packed, [](auto& c) { c.auth.behind = {0}; }},
    {"PackedExtensionsMissing", "packed.auth-data", good_packed,
     [](auto& c) { c.auth.flags |= 0x80; }},
    {"PackedKeyNotCbor", "packed.auth-data", good_packed,
     [](auto& c) {
       c.auth.cose_key = {0xbf, 0xff};
     }},
    {"PackedChainMalformed", "packed.chain", good_packed,
     [](auto& c) { c.spec.leaf.impostor_ca = true; }},
    {"PackedUnknownCa", "packed.unknown-ca", good_packed,
     [](auto& c) { c.spec.leaf.unknown_ca = true; }},
    {"PackedNoRoots", "packed.unknown-ca", good_packed,
     [](auto& c) { c.policy.packed->roots.clear(); }},
    {"PackedExpired", "packed.expired", good_packed, expired},
    {"PackedNotYetValid", "packed.not-yet-valid", good_packed, not_yet},
    {"PackedVersion1", "packed.version", good_packed,
     [](auto& c) { c.spec.leaf.version_1 = true; }},
    {"PackedUnit", "packed.subject", good_packed,
     [](auto& c) { c.spec.leaf.organizational_units = {"Other"}; }},
    {"PackedCountry", "packed.subject", good_packed, [](auto& c) { c.spec.leaf.country = ""; }},
    {"PackedIsCa", "packed.ca", good_packed, [](auto& c) { c.spec.leaf.is_ca = true; }},
    {"PackedWithoutBasicConstraints", "packed.ca", good_packed,
     [](auto& c) { c.spec.leaf.basic_constraints = false; }},
    {"PackedRs1", "packed.algorithm", good_packed, [](auto& c) { c.spec.alg = -65535; }},
    {"PackedAlgorithmOfAnotherKey", "packed.signature", good_packed,
     [](auto& c) { c.spec.alg = -257; }},
    {"PackedSignedByOther", "packed.signature", good_packed,
     [](auto& c) { c.spec.signed_by_other = true; }},
    {"PackedOtherChallenge", "packed.signature", good_packed,
     [](auto& c) { c.challenge.key_authorization = "token.other"; }},
    {"PackedGivenOctetsOfOther", "packed.signature", good_packed,
     [](auto& c) { c.challenge.to_be_signed = Bytes(64, 1); }},
    {"PackedOtherModel", "packed.aaguid", good_packed,
     [](auto& c) { c.auth.aaguid = Bytes(16, 0xa6); }},
    {"PackedModelNotOctets", "packed.aaguid", good_packed,
     [](auto& c) { put(c.spec, kAaguidOid, Bytes(16, 0xa5)); }},
    {"PackedModelNotOfPolicy", "packed.model", good_packed,
     [](auto& c) { c.policy.packed->aaguids = {"00"}; }},
    {"PackedMayBeCopied", "packed.backup-eligible", good_packed,
     [](auto& c) { c.auth.flags |= 0x08; }},
    {"PackedKeyP521", "packed.key", good_packed,
     [](auto& c) {
       c.auth.cose_key = test::cose_ec_key(maker().key(KeyKind::kEcP521).public_key());
     }},
    {"PackedSerialMalformed", "packed.serial", good_packed,
     [](auto& c) { put(c.spec, kSernumOid, to_bytes("raw")); }},
    {"PackedWithoutSerial", "packed.no-identifier", good_packed,
     [](auto& c) { drop(c.spec, kSernumOid); }},
    {"PackedEmptySerial", "packed.no-identifier", good_packed,
     [](auto& c) { put(c.spec, kSernumOid, x509::der_octet_string(Bytes())); }},
    {"PackedOtherDevice", "packed.identifier", good_packed,
     [](auto& c) { c.identifier.value = "DE01"; }},
    {"PackedAaguidCritical", "packed.chain", good_packed,
     [](auto& c) { c.spec.leaf.aaguid_critical = true; }},
};
INSTANTIATE_TEST_SUITE_P(Packed, FormatRefusal, ::testing::ValuesIn(kPacked),
                         [](const auto& each) { return std::string(each.param.name); });

const Refused kApple[] = {
    {"AppleWithoutX5c", "apple.members", good_apple, [](auto& c) { c.spec.has_x5c = false; }},
    {"AppleAccountOfNobody", "apple.account", good_apple,
     [](auto& c) { c.challenge.account_admitted = false; }},
    {"AppleChain", "apple.chain", good_apple, [](auto& c) { c.spec.leaf.impostor_ca = true; }},
    {"AppleUnknownCa", "apple.unknown-ca", good_apple,
     [](auto& c) { c.spec.leaf.unknown_ca = true; }},
    {"AppleExpired", "apple.expired", good_apple, expired},
    {"AppleNotYetValid", "apple.not-yet-valid", good_apple, not_yet},
    {"AppleOldFreshness", "apple.freshness", good_apple,
     [](auto& c) { c.challenge.key_authorization = "other.thumbprint"; }},
    {"AppleOldFreshnessThoughMissingIsAllowed", "apple.freshness", good_apple,
     [](auto& c) {
       c.policy.apple->allow_missing_freshness = true;
       c.challenge.key_authorization = "other.thumbprint";
     }},
    {"AppleWithoutFreshness", "apple.no-freshness", good_apple,
     [](auto& c) { drop(c.spec, "1.2.840.113635.100.8.11.1"); }},
    {"AppleAnonymous", "apple.anonymous", good_apple,
     [](auto& c) {
       put(c.spec, "1.2.840.113635.100.8.2", Bytes{0x30, 0x00});
     }},
    {"AppleKey", "apple.key", good_apple, [](auto& c) { c.spec.leaf_kind = KeyKind::kEcP521; }},
    {"AppleWithoutSerialAndUdid", "apple.no-identifier", good_apple,
     [](auto& c) {
       drop(c.spec, "1.2.840.113635.100.8.9.1");
       drop(c.spec, "1.2.840.113635.100.8.9.2");
     }},
    {"AppleOtherDevice", "apple.identifier", good_apple,
     [](auto& c) { c.identifier.value = "DEVICE-2"; }},
};
INSTANTIATE_TEST_SUITE_P(Apple, FormatRefusal, ::testing::ValuesIn(kApple),
                         [](const auto& each) { return std::string(each.param.name); });

const Refused kAndroid[] = {
    {"AndroidWithoutAlg", "android.members", good_android, [](auto& c) { c.spec.alg.reset(); }},
    {"AndroidWithoutSig", "android.members", good_android, [](auto& c) { c.spec.has_sig = false; }},
    {"AndroidWithoutX5c", "android.members", good_android, [](auto& c) { c.spec.has_x5c = false; }},
    {"AndroidChain", "android.chain", good_android,
     [](auto& c) { c.spec.leaf.impostor_ca = true; }},
    {"AndroidUnknownCa", "android.unknown-ca", good_android,
     [](auto& c) { c.spec.leaf.unknown_ca = true; }},
    {"AndroidExpired", "android.expired", good_android, expired},
    {"AndroidNotYetValid", "android.not-yet-valid", good_android, not_yet},
    {"AndroidLeafRevoked", "android.revoked", good_android,
     [](auto& c) {
       c.policy.android->status_list = std::make_shared<AndroidStatusList>(
           *AndroidStatusList::parse(R"({"entries":{"ABC01":{"status":"SUSPENDED"}}})"));
     }},
    {"AndroidIntermediateRevoked", "android.revoked", good_android,
     [](auto& c) {
       c.spec.through_intermediate = true;
       c.policy.android->status_list = std::make_shared<AndroidStatusList>(
           *AndroidStatusList::parse(R"({"entries":{"7f02":{"status":"REVOKED"}}})"));
     }},
    {"AndroidAlgorithm", "android.algorithm", good_android, [](auto& c) { c.spec.alg = -65535; }},
    {"AndroidSignature", "android.signature", good_android,
     [](auto& c) { c.spec.signed_by_other = true; }},
    {"AndroidOtherSignedOctets", "android.signature", good_android,
     [](auto& c) { c.spec.message = to_bytes("token.other"); }},
    {"AndroidWithoutExtension", "android.extension", good_android,
     [](auto& c) { c.android.challenge.clear(); }},
    {"AndroidExtensionAboveTheLeafAlone", "android.extension", good_android,
     [](auto& c) {
       c.spec.through_intermediate = true;
       c.spec.intermediate_extensions = {{kKeyDescriptionOid, test::key_description(c.android)}};
       c.android.challenge.clear();
     }},
    {"AndroidSecondExtension", "android.second-extension", good_android,
     [](auto& c) {
       c.spec.through_intermediate = true;
       auto other = c.android;
       other.serial = "DEVICE-2";
       c.spec.intermediate_extensions = {{kKeyDescriptionOid, test::key_description(other)}};
     }},
    {"AndroidTagsDescend", "android.key-description", good_android,
     [](auto& c) { c.android.tags_descend = true; }},
    {"AndroidTrailing", "android.key-description", good_android,
     [](auto& c) { c.android.trailing = true; }},
    {"AndroidLevelOutOfRange", "android.key-description", good_android,
     [](auto& c) { c.android.attestation_security = 3; }},
    {"AndroidBootStateOutOfRange", "android.key-description", good_android,
     [](auto& c) { c.android.boot_state = 4; }},
    {"AndroidOtherChallenge", "android.challenge", good_android,
     [](auto& c) { c.android.challenge = to_bytes("token.other"); }},
    {"AndroidSoftwareAttests", "android.security-level", good_android,
     [](auto& c) { c.android.attestation_security = 0; }},
    {"AndroidSoftwareKeeps", "android.security-level", good_android,
     [](auto& c) { c.android.keymint_security = 0; }},
    {"AndroidSoftwareNeverByPolicy", "android.security-level", good_android,
     [](auto& c) {
       c.android.keymint_security = 0;
       c.policy.android->security_min = AndroidSecurity::kSoftware;
     }},
    {"AndroidNotStrongBox", "android.security-level", good_android,
     [](auto& c) { c.policy.android->security_min = AndroidSecurity::kStrongBox; }},
    {"AndroidAllApplicationsBySoftware", "android.all-applications", good_android,
     [](auto& c) { c.android.software_all_applications = true; }},
    {"AndroidAllApplications", "android.all-applications", good_android,
     [](auto& c) { c.android.hardware_all_applications = true; }},
    {"AndroidImported", "android.origin", good_android, [](auto& c) { c.android.origin = 2; }},
    {"AndroidWithoutOrigin", "android.origin", good_android,
     [](auto& c) { c.android.origin.reset(); }},
    {"AndroidMayNotSign", "android.purpose", good_android,
     [](auto& c) {
       c.android.purposes = {0, 1};
     }},
    {"AndroidWithoutRootOfTrust", "android.root-of-trust", good_android,
     [](auto& c) { c.android.root_of_trust = false; }},
    {"AndroidUnlocked", "android.device-unlocked", good_android,
     [](auto& c) { c.android.device_locked = false; }},
    {"AndroidSelfSignedBoot", "android.verified-boot", good_android,
     [](auto& c) { c.android.boot_state = 1; }},
    {"AndroidUnverifiedBoot", "android.verified-boot", good_android,
     [](auto& c) {
       c.android.boot_state = 2;
       c.policy.android->allow_self_signed_boot = true;
     }},
    {"AndroidOsPatch", "android.os-patch", good_android,
     [](auto& c) { c.policy.android->os_patch_min = 202611; }},
    {"AndroidOsPatchNotStated", "android.os-patch", good_android,
     [](auto& c) { c.policy.android->os_patch_min = 1, c.android.os_patch.reset(); }},
    {"AndroidVendorPatch", "android.vendor-patch", good_android,
     [](auto& c) { c.policy.android->vendor_patch_min = 20261006; }},
    {"AndroidBootPatch", "android.boot-patch", good_android,
     [](auto& c) { c.policy.android->boot_patch_min = 20261002; }},
    {"AndroidKey", "android.key", good_android,
     [](auto& c) { c.spec.leaf_kind = KeyKind::kEcP521; }},
    {"AndroidWithoutSerial", "android.no-identifier", good_android,
     [](auto& c) { c.android.serial.reset(); }},
    {"AndroidSerialBySoftwareAlone", "android.no-identifier", good_android,
     [](auto& c) { c.android.serial_in_software = true; }},
    {"AndroidImeiThoughSerialIsAsked", "android.no-identifier", good_android,
     [](auto& c) { c.android.serial.reset(), c.android.imei = "DEVICE-1"; }},
    {"AndroidOtherDevice", "android.identifier", good_android,
     [](auto& c) { c.identifier.value = "device-1"; }},
};
INSTANTIATE_TEST_SUITE_P(Android, FormatRefusal, ::testing::ValuesIn(kAndroid),
                         [](const auto& each) { return std::string(each.param.name); });

const Refused kStep[] = {
    {"StepWithoutAlg", "step.members", good_step, [](auto& c) { c.spec.alg.reset(); }},
    {"StepWithoutSig", "step.members", good_step, [](auto& c) { c.spec.has_sig = false; }},
    {"StepWithoutX5c", "step.members", good_step, [](auto& c) { c.spec.has_x5c = false; }},
    {"StepSignatureNotWrapped", "step.signature-form", good_step,
     [](auto& c) { c.spec.wrap_signature = false; }},
    {"StepChain", "step.chain", good_step, [](auto& c) { c.spec.leaf.impostor_ca = true; }},
    {"StepUnknownCa", "step.unknown-ca", good_step, [](auto& c) { c.spec.leaf.unknown_ca = true; }},
    {"StepExpired", "step.expired", good_step, expired},
    {"StepNotYetValid", "step.not-yet-valid", good_step, not_yet},
    {"StepAlgorithm", "step.algorithm", good_step, [](auto& c) { c.spec.alg = 0; }},
    {"StepSignature", "step.signature", good_step, [](auto& c) { c.spec.signed_by_other = true; }},
    {"StepOtherChallenge", "step.signature", good_step,
     [](auto& c) { c.challenge.key_authorization = "token.other"; }},
    {"StepFirmwareOld", "step.firmware", good_step,
     [](auto& c) {
       put(c.spec, "1.3.6.1.4.1.41482.3.3", {4, 3, 4});
     }},
    {"StepFirmwareMissing", "step.firmware", good_step,
     [](auto& c) { drop(c.spec, "1.3.6.1.4.1.41482.3.3"); }},
    {"StepPolicyMissing", "step.policy", good_step,
     [](auto& c) { drop(c.spec, "1.3.6.1.4.1.41482.3.8"); }},
    {"StepPolicyUnknown", "step.policy", good_step,
     [](auto& c) {
       put(c.spec, "1.3.6.1.4.1.41482.3.8", {2, 4});
     }},
    {"StepPinNever", "step.pin-policy", good_step,
     [](auto& c) {
       put(c.spec, "1.3.6.1.4.1.41482.3.8", {1, 1});
     }},
    {"StepTouchNever", "step.touch-policy", good_step,
     [](auto& c) { c.policy.step->touch = {TouchPolicy::kAlways}; }},
    {"StepKey", "step.key", good_step,
     [](auto& c) { c.spec.leaf_kind = KeyKind::kEd25519, c.spec.alg = -8; }},
    {"StepSerialMalformed", "step.serial", good_step,
     [](auto& c) { put(c.spec, "1.3.6.1.4.1.41482.3.7", to_bytes("12345678")); }},
    {"StepWithoutSerial", "step.no-identifier", good_step,
     [](auto& c) { drop(c.spec, "1.3.6.1.4.1.41482.3.7"); }},
    {"StepOtherDevice", "step.identifier", good_step,
     [](auto& c) { c.identifier.value = "12345679"; }},
};
INSTANTIATE_TEST_SUITE_P(Step, FormatRefusal, ::testing::ValuesIn(kStep),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(AndroidStatusList_Malformed_DoesNotLoad, Holds) {
  for (const char* bad :
       {"", "{}", R"({"entries":[]})", R"({"entries":{"xyz":{"status":"REVOKED"}}})",
        R"({"entries":{"00":{"status":"REVOKED"}}})", R"({"entries":{"1":{"status":"FINE"}}})",
        R"({"entries":{"1":{}}})"})
    EXPECT_FALSE(AndroidStatusList::parse(bad).has_value()) << bad;
  const auto good = AndroidStatusList::parse(
      R"({"entries":{"2C8cdd":{"status":"REVOKED","reason":"KEY_COMPROMISE"}}})");
  ASSERT_TRUE(good.has_value());
  EXPECT_TRUE(good->holds(Bytes{0x00, 0x2c, 0x8c, 0xdd}));
  EXPECT_FALSE(good->holds(Bytes{0x2c, 0x8c, 0xde}));
}

TEST(AndroidStatusList_ManyEntries_Load, Holds) {
  std::string text = R"({"entries":{)";
  for (int i = 1; i <= 3'000; ++i)
    text += (i > 1 ? ",\"" : "\"") + std::to_string(i) + R"(":{"status":"REVOKED"})";
  const auto list = AndroidStatusList::parse(text + "}}");
  ASSERT_TRUE(list.has_value()) << list.error().what;
  EXPECT_EQ(list->size(), 3'000u);
}

TEST(Formats_EachOctetChanged_IsNeverAccepted, Holds) {
  for (const auto& c : {good_packed(), good_apple(), good_android(), good_step()}) {
    const auto good = object_of(c);
    for (std::size_t i = 0; i < good.size(); ++i) {
      auto changed = good;
      changed[i] ^= 1;
      EXPECT_FALSE(appraise_device(changed, c.identifier, c.challenge, c.policy, kAt).has_value())
          << c.spec.format << " octet " << i;
    }
  }
}

TEST(Formats_EachTruncation_IsRefused, Holds) {
  for (const auto& c : {good_packed(), good_apple(), good_android(), good_step()}) {
    const auto good = object_of(c);
    for (std::size_t size = 0; size < good.size(); ++size) {
      const auto result =
          appraise_device({good.data(), size}, c.identifier, c.challenge, c.policy, kAt);
      ASSERT_FALSE(result.has_value());
      EXPECT_EQ(result.error().code, "cbor.malformed") << c.spec.format << " " << size;
    }
  }
}

}  // namespace
}  // namespace keyward::attest
