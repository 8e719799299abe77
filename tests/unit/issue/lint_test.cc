// Tests of the lints: each is reached by a TBS with exactly one defect, and each has such a TBS.
#include "firmware/issue/lint.h"

#include <map>
#include <set>

#include "firmware/x509/der.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using issue::Profile;

// Everything of a good server certificate, to be spoilt in one place.
class LintTest : public ::testing::Test {
 protected:
  LintTest()
      : issuer_key_(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)),
        key_(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)),
        profiles_(365, 90) {
    TestCaSpec ca;
    ca.permitted_dns = {"plant.example"};
    issuer_ = *issue::load_issuer(make_test_ca(issuer_key_->public_key().spki_der(), ca).chain_pem,
                                  system_clock().utc_ms());
    const auto now_ms = system_clock().utc_ms() / 1000 * 1000;
    spec_.serial = Bytes(16, 0x42);
    spec_.signature_algorithm = issuer_->signature_algorithm_der;
    spec_.issuer_name_der = issuer_->certificate.subject_der;
    spec_.subject_name_der = x509::name_der({{"2.5.4.3", "a.plant.example"}});
    spec_.not_before_ms = now_ms - 60'000;
    spec_.not_after_ms = now_ms + profiles_.find("server")->lifetime_ms - 1'000;
    spec_.spki_der = key_->public_key().spki_der();
    spec_.extensions = {x509::ext_authority_key_id(issuer_->key_id),
                        x509::ext_subject_key_id(spec_.spki_der),
                        x509::ext_key_usage({x509::kDigitalSignature}),
                        x509::ext_basic_constraints(false, std::nullopt),
                        x509::ext_extended_key_usage({"1.3.6.1.5.5.7.3.1"}),
                        *x509::ext_subject_alt_name(identifiers_, false)};
  }
  enum Place { kAki, kSki, kUsage, kConstraints, kPurpose, kNames };

  // Names of the lints that refuse the TBS, all of them.
  std::set<std::string> refused(const Profile& profile) const {
    return refused_der(x509::build_tbs(spec_), profile);
  }
  std::set<std::string> refused_der(const Bytes& tbs, const Profile& profile) const {
    const auto certificate = x509::parse_certificate(
        x509::join_certificate(tbs, spec_.signature_algorithm, Bytes(64, 0)));
    if (!certificate) return {"parse"};
    std::set<std::string> out;
    for (const auto& lint : issue::all_lints()) {
      if (lint.check({*certificate, profile, *issuer_, identifiers_, key_->public_key(), 60'000,
                      terms_ ? &*terms_ : nullptr, pseudonym_}) != nullptr)
        out.insert(lint.name);
    }
    return out;
  }
  std::set<std::string> refused() const { return refused(*profiles_.find("server")); }
  using Only = std::set<std::string>;

  std::optional<crypto::PrivateKey> issuer_key_, key_;
  std::optional<issue::Issuer> issuer_;
  issue::Profiles profiles_;
  std::vector<wire::Identifier> identifiers_{dns("a.plant.example"), dns("*.b.plant.example")};
  x509::TbsSpec spec_;
  std::optional<wire::OrderTerms> terms_;
  std::string pseudonym_;

  // A good device certificate instead of the server's, with these names or with a pseudonym.
  void make_device(const std::vector<wire::Identifier>& names, const std::string& pseudonym = "") {
    identifiers_ = names;
    pseudonym_ = pseudonym;
    const std::string subject = pseudonym.empty() ? "SN-1" : pseudonym;
    spec_.subject_name_der = x509::name_der({{"2.5.4.3", subject}});
    spec_.extensions[kPurpose] = x509::ext_extended_key_usage({"1.3.6.1.5.5.7.3.2"});
    std::vector<std::string> uris;
    if (!pseudonym.empty()) uris.push_back("urn:uuid:" + pseudonym);
    spec_.extensions[kNames] = *x509::ext_subject_alt_name(names, false, uris);
    terms_.emplace();
    terms_->identifiers = {device("SN-1"), device("SN-2")};
  }
  Profile device_profile(issue::DeviceNames names) const {
    auto profile = issue::make_profile("device", issue::ProfileKind::kDevice, 365);
    profile.device_names = names;
    return profile;
  }

  // A good telephone certificate instead of the server's.
  void make_telephone() {
    identifiers_ = {{wire::IdentifierType::kTnAuthList, "MAigBhYENzA5Sg"}};
    spec_.subject_name_der = x509::name_der({{"2.5.4.3", "SHAKEN 709J"}});
    spec_.extensions.resize(kConstraints + 1);
    spec_.extensions.push_back(issue::authority_extensions(identifiers_)->front());
  }
  issue::Profile telephone_ = issue::make_profile("phone", issue::ProfileKind::kSti, 90);
};

TEST_F(LintTest, GoodCertificate_PassesAll) { EXPECT_EQ(refused(), Only{}); }

TEST_F(LintTest, Version1_Version) {
  // RFC 5280 §4.1.2.1: a v1 certificate is one without the version field, and without extensions.
  spec_.extensions.clear();
  Bytes tbs = x509::build_tbs(spec_);
  x509::DerReader outer(tbs);
  auto sequence = outer.sequence();
  const auto version = sequence->any();
  Bytes rest;
  while (!sequence->at_end()) append(rest, sequence->any()->whole);
  (void)version;
  const auto names =
      refused_der(x509::tlv(x509::tag::kSequence, ByteView(rest)), *profiles_.find("server"));
  EXPECT_TRUE(names.contains("version") || names.contains("parse"));
}

TEST_F(LintTest, SerialNegativeShortOrLong_Serial) {
  spec_.serial = Bytes(8, 0x42);
  EXPECT_EQ(refused(), Only{"serial"});
  spec_.serial = Bytes(21, 0x42);
  const auto names = refused();
  EXPECT_TRUE(names == Only{"serial"} || names == Only{"parse"});
}

TEST_F(LintTest, EndsBeforeItBegins_ValidityOrder) {
  std::swap(spec_.not_before_ms, spec_.not_after_ms);
  EXPECT_TRUE(refused().contains("validity-order"));
}

TEST_F(LintTest, LongerThanTheProfile_ValidityCap) {
  spec_.not_after_ms += 2'000;
  EXPECT_EQ(refused(), Only{"validity-cap"});
}

TEST_F(LintTest, BeforeOrAfterTheIssuer_ValidityOfIssuer) {
  spec_.not_before_ms = issuer_->certificate.not_before_ms - 1'000;
  spec_.not_after_ms = spec_.not_before_ms + 60'000;
  EXPECT_EQ(refused(), Only{"validity-of-issuer"});
  spec_.not_after_ms = issuer_->certificate.not_after_ms + 1'000;
  spec_.not_before_ms = spec_.not_after_ms - 60'000;
  EXPECT_EQ(refused(), Only{"validity-of-issuer"});
}

TEST_F(LintTest, AnotherIssuer_IssuerName) {
  spec_.issuer_name_der = x509::name_der({{"2.5.4.3", "Another CA"}});
  EXPECT_EQ(refused(), Only{"issuer-name"});
}

TEST_F(LintTest, TheIssuersNameAsSubject_SubjectName) {
  spec_.subject_name_der = issuer_->certificate.subject_der;
  EXPECT_EQ(refused(), Only{"subject-name"});
}

// The profile's words first, then one common name and nothing else.
TEST_F(LintTest, SubjectOtherThanTheProfilesWords_SubjectName) {
  auto profile = *profiles_.find("server");
  const x509::NameAttribute country{"2.5.4.6", "CH"}, plant{"2.5.4.10", "Plant"},
      east{"2.5.4.11", "East"}, name{"2.5.4.3", "a.plant.example"};
  const auto with = [&](const std::vector<x509::NameAttribute>& attributes) {
    spec_.subject_name_der = x509::name_der(attributes);
    return refused(profile);
  };
  EXPECT_EQ(with({plant, name}), Only{"subject-name"}) << "words that the profile has not";
  profile.subject = {"CH", "Plant", {"East"}};
  EXPECT_EQ(with({country, plant, east, name}), Only{});
  EXPECT_EQ(with({country, plant, east}), Only{});
  EXPECT_EQ(with({name}), Only{"subject-name"});
  EXPECT_EQ(with({plant, country, east, name}), Only{"subject-name"});
  EXPECT_EQ(with({country, plant, name}), Only{"subject-name"});
  EXPECT_EQ(with({country, plant, east, name, name}), Only{"subject-name"});
  EXPECT_EQ(with({country, plant, east, plant}), Only{"subject-name"});
  profile.common_name = false;
  EXPECT_EQ(with({country, plant, east}), Only{});
  EXPECT_EQ(with({country, plant, east, name}), Only{"subject-name"});
}

TEST_F(LintTest, DeviceWithoutName_SubjectName) {
  spec_.subject_name_der = x509::name_der({});
  identifiers_ = {device("SN-1")};
  spec_.extensions[kPurpose] = x509::ext_extended_key_usage({"1.3.6.1.5.5.7.3.2"});
  spec_.extensions[kNames] = *x509::ext_subject_alt_name(identifiers_, true);
  EXPECT_EQ(refused(*profiles_.find("device")), Only{"subject-name"});
}

TEST_F(LintTest, DeviceNamesOtherThanTheProfileSays_DevicePrivacy) {
  using issue::DeviceNames;
  const auto require = device_profile(DeviceNames::kRequire);
  const auto include = device_profile(DeviceNames::kInclude);
  const auto omit = device_profile(DeviceNames::kOmit);
  const Only wrong{"device-privacy"};
  make_device({device("SN-1"), device("SN-2")});
  EXPECT_EQ(refused(require), Only{});
  EXPECT_EQ(refused(include), Only{});
  EXPECT_EQ(refused(omit), wrong);
  make_device({device("SN-2")});
  EXPECT_EQ(refused(require), wrong);
  EXPECT_EQ(refused(include), Only{});
  EXPECT_EQ(refused(omit), wrong);
  make_device({device("SN-3")});  // not of the order
  EXPECT_EQ(refused(include), wrong);
  make_device({}, "pseudonym");
  EXPECT_EQ(refused(require), wrong);
  EXPECT_EQ(refused(include), Only{});
  EXPECT_EQ(refused(omit), Only{});
  spec_.subject_name_der = x509::name_der({{"2.5.4.3", "SN-1"}});
  EXPECT_EQ(refused(omit), wrong);
  make_device({device("SN-1"), device("SN-2")}, "pseudonym");
  EXPECT_EQ(refused(require), wrong);
}

TEST_F(LintTest, DeviceNameInSpiteOfThePseudonym_AlternativeNames) {
  make_device({}, "pseudonym");
  spec_.extensions[kNames] =
      *x509::ext_subject_alt_name({device("SN-1")}, false, {"urn:uuid:pseudonym"});
  EXPECT_EQ(refused(device_profile(issue::DeviceNames::kOmit)), Only{"alternative-names"});
}

TEST_F(LintTest, PseudonymOfAServer_IsRefused) {
  pseudonym_ = "x";
  EXPECT_TRUE(refused().contains("device-privacy"));
}

TEST_F(LintTest, AnotherAlgorithm_SignatureAlgorithm) {
  spec_.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEd25519);
  EXPECT_EQ(refused(), Only{"signature-algorithm"});
}

TEST_F(LintTest, AnotherKey_PublicKey) {
  spec_.spki_der = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)->public_key().spki_der();
  EXPECT_EQ(refused(), Only{"public-key"});
}

TEST_F(LintTest, TheIssuersKey_PublicKey) {
  key_ = issuer_key_;
  spec_.spki_der = key_->public_key().spki_der();
  spec_.extensions[kSki] = x509::ext_subject_key_id(spec_.spki_der);
  EXPECT_EQ(refused(), Only{"public-key"});
}

TEST_F(LintTest, CaOrNoBasicConstraints_NoCa) {
  spec_.extensions[kConstraints] = x509::ext_basic_constraints(true, std::nullopt);
  EXPECT_EQ(refused(), Only{"no-ca"});
  spec_.extensions.erase(spec_.extensions.begin() + kConstraints);
  EXPECT_EQ(refused(), Only{"no-ca"});
}

TEST_F(LintTest, MayCertify_KeyUsage) {
  spec_.extensions[kUsage] = x509::ext_key_usage({x509::kDigitalSignature, x509::kKeyCertSign});
  EXPECT_EQ(refused(), Only{"key-usage"});
  spec_.extensions[kUsage] =
      x509::ext_key_usage({x509::kDigitalSignature, x509::kKeyEncipherment});  // EC cannot
  EXPECT_EQ(refused(), Only{"key-usage"});
}

TEST_F(LintTest, OneMorePurpose_ExtendedKeyUsage) {
  spec_.extensions[kPurpose] =
      x509::ext_extended_key_usage({"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"});
  EXPECT_EQ(refused(), Only{"extended-key-usage"});
  spec_.extensions.erase(spec_.extensions.begin() + kPurpose);
  EXPECT_EQ(refused(), Only{"extended-key-usage"});
}

TEST_F(LintTest, AnotherIssuersKeyId_AuthorityKeyId) {
  spec_.extensions[kAki] = x509::ext_authority_key_id(Bytes(20, 1));
  EXPECT_EQ(refused(), Only{"authority-key-id"});
}

TEST_F(LintTest, AnotherKeysId_SubjectKeyId) {
  spec_.extensions[kSki] = x509::ext_subject_key_id(issuer_->certificate.spki_der);
  EXPECT_EQ(refused(), Only{"subject-key-id"});
}

TEST_F(LintTest, NamesNotTheOrders_AlternativeNames) {
  const auto good = spec_.extensions[kNames];
  spec_.extensions[kNames] = *x509::ext_subject_alt_name({identifiers_[0]}, false);
  EXPECT_EQ(refused(), Only{"alternative-names"});
  spec_.extensions[kNames] =
      *x509::ext_subject_alt_name(identifiers_, true);  // critical beside a subject
  EXPECT_EQ(refused(), Only{"alternative-names"});
  spec_.extensions.erase(spec_.extensions.begin() + kNames);
  EXPECT_EQ(refused(), Only{"alternative-names"});
  spec_.extensions.push_back(good);
  spec_.subject_name_der = x509::name_der({});  // not critical without a subject
  EXPECT_EQ(refused(), Only{"alternative-names"});
}

TEST_F(LintTest, OneMoreExtension_NoOtherExtension) {
  spec_.extensions.push_back(x509::extension_der("1.2.3.4", false, to_bytes("x")));
  EXPECT_EQ(refused(), Only{"no-other-extension"});
}

TEST_F(LintTest, ResponderNotTheIssuers_InformationAccess) {
  const std::string url = "http://pki.plant.example/ocsp";
  issuer_->ocsp_url = url;
  EXPECT_EQ(refused(), Only{"information-access"});
  spec_.extensions.push_back(x509::ext_authority_info_access(url, ""));
  EXPECT_EQ(refused(), Only{});
  spec_.extensions.back() = x509::ext_authority_info_access(url + "2", "");
  EXPECT_EQ(refused(), Only{"information-access"});
  spec_.extensions.back() = x509::ext_authority_info_access(url, "");
  const std::string own = "http://pki.plant.example/issuing.cer";
  issuer_->ca_issuers_url = own;
  EXPECT_EQ(refused(), Only{"information-access"});
  spec_.extensions.back() = x509::ext_authority_info_access(url, own);
  EXPECT_EQ(refused(), Only{});
  issuer_->ocsp_url.clear();
  EXPECT_EQ(refused(), Only{"information-access"});
  spec_.extensions.back() = x509::ext_authority_info_access("", own);
  EXPECT_EQ(refused(), Only{});
  issuer_->ca_issuers_url.clear();
  EXPECT_EQ(refused(), Only{"information-access"});
}

TEST_F(LintTest, DistributionPointNotTheIssuers_DistributionPoints) {
  const std::string url = "http://pki.plant.example/crl";
  issuer_->crl_url = url;
  EXPECT_EQ(refused(), Only{"distribution-points"});
  spec_.extensions.push_back(x509::ext_crl_distribution_points(url));
  EXPECT_EQ(refused(), Only{});
  spec_.extensions.back() = x509::ext_crl_distribution_points(url + "2");
  EXPECT_EQ(refused(), Only{"distribution-points"});
  spec_.extensions.back() = x509::ext_crl_distribution_points(url);
  issuer_->crl_url.clear();
  EXPECT_EQ(refused(), Only{"distribution-points"});
}

TEST_F(LintTest, NameBesideTheSubtree_NameConstraints) {
  identifiers_ = {dns("a.notplant.example")};
  spec_.extensions[kNames] = *x509::ext_subject_alt_name(identifiers_, false);
  EXPECT_EQ(refused(), Only{"name-constraints"});
  identifiers_ = {dns("*.example")};
  spec_.extensions[kNames] = *x509::ext_subject_alt_name(identifiers_, false);
  EXPECT_EQ(refused(), Only{"name-constraints"});
}

// A kind of name that the issuer does not constrain is free; one that it does lies inside.
TEST_F(LintTest, AddressBesideTheNetworks_NameConstraints) {
  identifiers_ = {{wire::IdentifierType::kIp, "10.20.3.4"}};
  spec_.extensions[kNames] = *x509::ext_subject_alt_name(identifiers_, false);
  EXPECT_EQ(refused().count("name-constraints"), 0u);
  issuer_->permitted_ip = {{10, 20, 0, 0, 255, 255, 0, 0}};
  EXPECT_EQ(refused().count("name-constraints"), 0u);
  issuer_->permitted_ip = {{10, 21, 0, 0, 255, 255, 0, 0}, Bytes(32, 0)};
  EXPECT_EQ(refused().count("name-constraints"), 1u);
}

TEST_F(LintTest, GoodTelephoneCertificate_PassesAll) {
  make_telephone();
  EXPECT_EQ(refused(telephone_), Only{});
}

TEST_F(LintTest, TelephoneIdentityNotTheOrders_AuthorityIdentity) {
  make_telephone();
  const auto good = spec_.extensions.back();
  spec_.extensions.back() =
      x509::extension_der("1.3.6.1.5.5.7.1.26", true, *base64url_decode("MAigBhYENzA5Sg"));
  EXPECT_EQ(refused(telephone_), Only{"authority-identity"});  // critical
  spec_.extensions.back() =
      x509::extension_der("1.3.6.1.5.5.7.1.26", false, *base64url_decode("MAigBhYEMTIzNA"));
  EXPECT_EQ(refused(telephone_), Only{"authority-identity"});
  spec_.extensions.pop_back();
  EXPECT_EQ(refused(telephone_), Only{"authority-identity"});
  spec_.extensions.push_back(good);
  spec_.extensions.push_back(
      x509::extension_der("1.3.6.1.5.5.7.1.27", false, *base64url_decode("MAigBhYENzA5Sg")));
  EXPECT_EQ(refused(telephone_), Only{"authority-identity"});
}

TEST_F(LintTest, TelephoneIdentityOfAServer_AuthorityIdentity) {
  spec_.extensions.push_back(
      x509::extension_der("1.3.6.1.5.5.7.1.26", false, *base64url_decode("MAigBhYENzA5Sg")));
  EXPECT_EQ(refused(), Only{"authority-identity"});
}

TEST_F(LintTest, TelephoneWithNameOrPurpose_AlternativeNamesAndExtendedKeyUsage) {
  make_telephone();
  spec_.extensions.push_back(*x509::ext_subject_alt_name({dns("a.plant.example")}, false));
  EXPECT_EQ(refused(telephone_), Only{"alternative-names"});
  spec_.extensions.back() = x509::ext_extended_key_usage({"1.3.6.1.5.5.7.3.1"});
  EXPECT_EQ(refused(telephone_), Only{"extended-key-usage"});
}

TEST_F(LintTest, TelephoneWithoutSubject_SubjectName) {
  make_telephone();
  spec_.subject_name_der = x509::name_der({});
  EXPECT_EQ(refused(telephone_), Only{"subject-name"});
}

TEST_F(LintTest, NotTheValidityThatWasAsked_ValidityAsAsked) {
  terms_ = wire::OrderTerms{identifiers_, "server", spec_.not_before_ms, spec_.not_after_ms, {}};
  EXPECT_EQ(refused(), Only{});
  terms_->not_before_ms = spec_.not_before_ms - 1'000;
  EXPECT_EQ(refused(), Only{"validity-as-asked"});
  terms_->not_before_ms = std::nullopt;
  terms_->not_after_ms = spec_.not_after_ms + 1'000;
  EXPECT_EQ(refused(), Only{"validity-as-asked"});
}

TEST_F(LintTest, BesideTheSeries_RenewalBounds) {
  constexpr std::int64_t kLifetimeMs = 86'400'000;
  spec_.not_after_ms = spec_.not_before_ms + kLifetimeMs;
  const wire::StarTerms star{spec_.not_before_ms, spec_.not_after_ms, kLifetimeMs, 0};
  terms_ = wire::OrderTerms{identifiers_, "server", std::nullopt, std::nullopt, star};
  EXPECT_EQ(refused(), Only{});
  terms_->star->start_ms += 1'000;
  EXPECT_EQ(refused(), Only{"renewal-bounds"});
  terms_->star = star;
  terms_->star->end_ms -= 1'000;
  EXPECT_EQ(refused(), Only{"renewal-bounds"});
  terms_->star = star;
  terms_->star->lifetime_ms = kLifetimeMs / 2;  // with its lead: three quarters
  EXPECT_EQ(refused(), Only{"renewal-bounds"});
}

TEST_F(LintTest, TbsWithRubbishBehind_ParseRefuses) {
  const issue::Profile& profile = *profiles_.find("server");
  const issue::CertificatePlan plan{profile,      *issuer_,
                                    identifiers_, key_->public_key(),
                                    spec_.serial, {spec_.not_before_ms, spec_.not_after_ms}};
  Bytes tbs = x509::build_tbs(spec_);
  EXPECT_TRUE(issue::lint_tbs(tbs, plan, 60'000));
  tbs.push_back(0);
  const auto refused_tbs = issue::lint_tbs(tbs, plan, 60'000);
  ASSERT_FALSE(refused_tbs);
  EXPECT_EQ(refused_tbs.error().code, "lint-failed");
}

// ---- profiles

TEST_F(LintTest, Profile_DeviceNames_FitTheSubject) {
  const Profile& profile = *profiles_.find("device");
  const auto subject = [&](const std::string& value) {
    identifiers_ = {device(value)};
    return issue::subject_of(
        {profile, *issuer_, identifiers_, key_->public_key(), spec_.serial, {}});
  };
  EXPECT_EQ(subject("SN-1/1.2.3"), x509::name_der({{"2.5.4.3", "SN-1"}}));
  EXPECT_EQ(subject(std::string(64, 'x')), x509::name_der({{"2.5.4.3", std::string(64, 'x')}}));
  const auto pseudonym = [](const std::string& value) {
    return x509::name_der(
        {{"2.5.4.3", "device-" + hex_encode(crypto::sha256(view_of(value))).substr(0, 32)}});
  };
  EXPECT_EQ(subject(std::string(65, 'x')), pseudonym(std::string(65, 'x')));
  EXPECT_EQ(subject("Gerät"), pseudonym("Gerät"));
  EXPECT_EQ(subject("sn1.other.example"),
            pseudonym("sn1.other.example"));  // would be read as a host name
}

TEST_F(LintTest, Profile_NamesTooLongForASubject_CriticalNames) {
  const Profile& profile = *profiles_.find("server");
  identifiers_ = {dns(std::string(60, 'a') + ".plant.example")};
  const issue::CertificatePlan plan{profile,      *issuer_,
                                    identifiers_, key_->public_key(),
                                    spec_.serial, {spec_.not_before_ms, spec_.not_after_ms}};
  const auto tbs = issue::build_profile_tbs(plan);
  ASSERT_TRUE(tbs);
  EXPECT_TRUE(issue::lint_tbs(*tbs, plan, 60'000));
  const auto certificate = x509::parse_certificate(
      x509::join_certificate(*tbs, spec_.signature_algorithm, Bytes(64, 0)));
  ASSERT_TRUE(certificate);
  EXPECT_TRUE(certificate->subject_is_empty);
}

// ---- the issuer

TEST_F(LintTest, Issuer_NotACaOrMayNotSign_Refused) {
  const auto& spki = issuer_key_->public_key().spki_der();
  const auto now_ms = system_clock().utc_ms();
  TestCaSpec no_ca;
  no_ca.ca = false;
  EXPECT_FALSE(issue::load_issuer(make_test_ca(spki, no_ca).chain_pem, now_ms));
  TestCaSpec no_sign;
  no_sign.may_sign = false;
  EXPECT_FALSE(issue::load_issuer(make_test_ca(spki, no_sign).chain_pem, now_ms));
  TestCaSpec expired;
  expired.not_after_ms = now_ms - 1'000;
  EXPECT_FALSE(issue::load_issuer(make_test_ca(spki, expired).chain_pem, now_ms));
  EXPECT_FALSE(issue::load_issuer("", now_ms));
  const auto a = make_test_ca(spki), b = make_test_ca(spki);
  EXPECT_FALSE(issue::load_issuer(
      x509::to_pem("CERTIFICATE", a.issuing_der) + x509::to_pem("CERTIFICATE", b.root_der),
      now_ms));
  EXPECT_EQ(issue::load_issuer(a.chain_pem, now_ms)->chain_to_send.size(), 1u);
}

TEST_F(LintTest, TokenKey_AnyAttributeWrong_Refused) {
  const hal::TokenKey good{"issuing",
                           hal::KeyAlgorithm::kEcdsaP256,
                           issuer_key_->public_key().spki_der(),
                           true,
                           false,
                           true,
                           true,
                           true};
  EXPECT_TRUE(issue::check_token_key(*issuer_, good));
  const auto spoilt = [&](auto change) {
    auto key = good;
    change(key);
    return !issue::check_token_key(*issuer_, key);
  };
  EXPECT_TRUE(spoilt([](auto& k) { k.spki_der.clear(); }));
  EXPECT_TRUE(spoilt([&](auto& k) { k.spki_der = key_->public_key().spki_der(); }));
  EXPECT_TRUE(spoilt([](auto& k) { k.algorithm = hal::KeyAlgorithm::kEd25519; }));
  EXPECT_TRUE(spoilt([](auto& k) { k.sensitive = false; }));
  EXPECT_TRUE(spoilt([](auto& k) { k.extractable = true; }));
  EXPECT_TRUE(spoilt([](auto& k) { k.always_sensitive = false; }));
  EXPECT_TRUE(spoilt([](auto& k) { k.never_extractable = false; }));
  EXPECT_TRUE(spoilt([](auto& k) { k.local = false; }));
}

TEST_F(LintTest, TokenKey_Test_MayBeKnownButMustBeTheIssuers) {
  hal::TokenKey key{"issuing",
                    hal::KeyAlgorithm::kEcdsaP256,
                    issuer_key_->public_key().spki_der(),
                    true,
                    false,
                    false,
                    false,
                    false};
  EXPECT_FALSE(issue::check_token_key(*issuer_, key));
  EXPECT_TRUE(issue::check_token_key(*issuer_, key, issue::KeyOrigin::kTest));
  key.spki_der = key_->public_key().spki_der();
  EXPECT_FALSE(issue::check_token_key(*issuer_, key, issue::KeyOrigin::kTest));
}

}  // namespace
}  // namespace keyward::test
