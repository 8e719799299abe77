// Tests of certificate writing: known octets, and judgement by OpenSSL and GnuTLS.
#include "firmware/x509/tbs.h"

#include "issuing.h"

namespace keyward::x509 {
namespace {

using crypto::KeyKind;
using wire::Identifier;
using wire::IdentifierType;

// The content of the extension's OCTET STRING.
std::string value_of(const Bytes& extension) {
  DerReader outer(extension);
  auto in = outer.sequence();
  EXPECT_TRUE(in && in->oid());
  if (in->peek_tag() == tag::kBoolean) {
    EXPECT_TRUE(*in->boolean());
  }
  return hex_encode(*in->element(tag::kOctetString));
}

TEST(SubjectAltName_DeviceIdentifiers_HaveTheOctetsOfTheDraft, Exactly) {
  const auto san = [](IdentifierType type, const std::string& value) {
    return value_of(*ext_subject_alt_name({{type, value}}, true));
  };
  EXPECT_EQ(san(IdentifierType::kPermanentIdentifier, "ABCDEF123456/1.2.3.4"),
            "3023a02106082b06010505070803a01530130c0c41424344454631323334353606032a0304");
  EXPECT_EQ(san(IdentifierType::kPermanentIdentifier, "ABCDEF123456"),
            "301ea01c06082b06010505070803a010300e0c0c414243444546313233343536");
  EXPECT_EQ(san(IdentifierType::kHardwareModule, "ABCD/1.2.3.4"),
            "301ba01906082b06010505070804a00d300b06032a0304040441424344");
  EXPECT_EQ(san(IdentifierType::kIp, "192.0.2.1"), "30068704c0000201");
  EXPECT_EQ(san(IdentifierType::kIp, "2001:db8::1"), "3012871020010db8000000000000000000000001");
  EXPECT_EQ(san(IdentifierType::kDns, "*.a.example"), "300d820b2a2e612e6578616d706c65");
}

TEST(SubjectAltName_Uris, StandBehindTheNames) {
  EXPECT_EQ(value_of(*ext_subject_alt_name({}, false, {"urn:x:1"})), "3009860775726e3a783a31");
  EXPECT_EQ(
      value_of(*ext_subject_alt_name({{IdentifierType::kIp, "192.0.2.1"}}, false, {"urn:x:1"})),
      "300f8704c0000201860775726e3a783a31");
  for (const char* wrong : {"", "urn:a b", "urn:\n", "urn:\xc3\xa4"})
    expect_error(ext_subject_alt_name({}, false, {wrong}), ErrorKind::kBadInput, "san: not a URI");
}

// The vector for an EUI-48 is the one that RFC 10031 prints.
TEST(SubjectAltName_MacAddress, HasTheOctetsOfItsRfc) {
  EXPECT_EQ(value_of(*ext_subject_alt_name({{IdentifierType::kMac, "00:24:98:7b:19:02"}}, true)),
            "3016a01406082b0601050507080ca00804060024987b1902");
  EXPECT_EQ(
      value_of(*ext_subject_alt_name({{IdentifierType::kMac, "ac:de:48:23:45:67:ab:cd"}}, true)),
      "3018a01606082b0601050507080ca00a0408acde48234567abcd");
  EXPECT_EQ(value_of(*ext_subject_alt_name({{IdentifierType::kUri, "sip:a.example"}}, true)),
            "300f860d7369703a612e6578616d706c65");
  expect_error(ext_subject_alt_name({{IdentifierType::kUri, "sip: a"}}, true), ErrorKind::kBadInput,
               "san: not a URI");
  expect_error(ext_subject_alt_name({{IdentifierType::kRemoteAttestation, "a"}}, true),
               ErrorKind::kBadInput, "san: unknown identifier type");
}

TEST(SubjectAltName_DeviceIdentifier_ArcsOfAnySize, AreWritten) {
  // 2.25.329800735698586629295641978511506172918 is f81d4fae-7dec-11d0-a765-00a0c91e6bf6 (X.667).
  EXPECT_EQ(value_of(*ext_subject_alt_name({{IdentifierType::kHardwareModule,
                                             "A/2.25.329800735698586629295641978511506172918"}},
                                           true)),
            "3029a02706082b06010505070804a01b301906146983f09da7ebcfdee0c7"
            "a1a7b2c0948cc8f9d776040141");
}

TEST(SubjectAltName_NothingOrNonsense, IsRefused) {
  expect_error(ext_subject_alt_name({}, false), ErrorKind::kBadInput, "san: no name");
  expect_error(ext_subject_alt_name({{IdentifierType::kIp, "no"}}, false), ErrorKind::kBadInput,
               "san: not an address");
  expect_error(ext_subject_alt_name({{static_cast<IdentifierType>(11), "no"}}, false),
               ErrorKind::kBadInput, "san: unknown identifier type");
  expect_error(ext_subject_alt_name({{IdentifierType::kHardwareModule, "no"}}, false),
               ErrorKind::kBadInput, "hardware-module: the type is missing");
}

TEST(KeyUsage_NamedBits_EndWithTheLastOne, AsDerWants) {
  EXPECT_EQ(value_of(ext_key_usage({kDigitalSignature})), "03020780");
  EXPECT_EQ(value_of(ext_key_usage({kDigitalSignature, kKeyEncipherment})), "030205a0");
  EXPECT_EQ(value_of(ext_key_usage({kKeyCertSign, kCrlSign})), "03020106");
  EXPECT_EQ(value_of(ext_key_usage({8})), "0303070080");
}

TEST(BasicConstraints_Defaults, AreLeftOut) {
  EXPECT_EQ(value_of(ext_basic_constraints(false, std::nullopt)), "3000");
  EXPECT_EQ(value_of(ext_basic_constraints(false, 3)), "3000");
  EXPECT_EQ(value_of(ext_basic_constraints(true, std::nullopt)), "30030101ff");
  EXPECT_EQ(value_of(ext_basic_constraints(true, 0)), "30060101ff020100");
}

TEST(KeyId_OfAKey, IsTheFirst160BitsOfSha256OfItsBits) {
  const auto key = new_key();
  const auto spki = key.public_key().spki_der();
  const auto digest = crypto::sha256(ByteView(spki).last(65));
  EXPECT_EQ(key_id_of(spki), Bytes(digest.begin(), digest.begin() + 20));
  EXPECT_EQ(value_of(ext_subject_key_id(spki)), "0414" + hex_encode(ByteView(digest).first(20)));
  EXPECT_EQ(value_of(ext_authority_key_id(Bytes(20, 1))), "30168014" + hex_encode(Bytes(20, 1)));
}

TEST(Name_Attributes_HaveTheirStringTypes, OfRfc5280) {
  EXPECT_EQ(hex_encode(name_der({})), "3000");
  EXPECT_EQ(hex_encode(name_der({{"2.5.4.6", "CH"}})), "300d310b3009060355040613024348");
  EXPECT_EQ(hex_encode(name_der({{"2.5.4.3", "a"}})), "300c310a300806035504030c0161");
}

// certtool judges at the machine's time, so these certificates are valid for long.
constexpr std::int64_t kLongAgo = 1'600'000'000'000;  // 2020
constexpr std::int64_t kLater = 2'490'000'000'000;    // 2048

struct Hierarchy {
  crypto::PrivateKey root_key;
  crypto::PrivateKey issuing_key;
  Bytes root;
  Bytes issuing;
};

Hierarchy make_hierarchy(KeyKind kind, std::vector<Bytes> more_issuing_extensions = {}) {
  Hierarchy out{new_key(kind), new_key(kind), {}, {}};
  const auto root_spki = out.root_key.public_key().spki_der();
  const auto issuing_spki = out.issuing_key.public_key().spki_der();
  Plan root;
  root.subject = root.issuer =
      name_der({{"2.5.4.6", "CH"}, {"2.5.4.10", "Example"}, {"2.5.4.3", "Root"}});
  root.not_before_ms = kLongAgo;
  root.not_after_ms = 2'600'000'000'000;  // 2052: a GeneralizedTime
  root.extensions = {ext_basic_constraints(true, std::nullopt),
                     ext_key_usage({kKeyCertSign, kCrlSign}), ext_subject_key_id(root_spki)};
  out.root = issue(out.root_key.public_key(), out.root_key, root);
  Plan issuing;
  issuing.issuer = root.subject;
  issuing.subject = common_name("Issuing");
  issuing.not_before_ms = kLongAgo;
  issuing.not_after_ms = 2'500'000'000'000;
  issuing.extensions = {ext_basic_constraints(true, 0), ext_key_usage({kKeyCertSign, kCrlSign}),
                        ext_subject_key_id(issuing_spki),
                        ext_authority_key_id(key_id_of(root_spki))};
  for (auto& extension : more_issuing_extensions)
    issuing.extensions.push_back(std::move(extension));
  out.issuing = issue(out.issuing_key.public_key(), out.root_key, issuing);
  return out;
}

Bytes issue_leaf(const Hierarchy& ca, const std::vector<Identifier>& names) {
  const auto key = new_key();
  Plan plan;
  plan.issuer = common_name("Issuing");
  plan.subject = name_der({});
  plan.not_before_ms = kLongAgo;
  plan.not_after_ms = kLater;
  plan.serial = hex("00f1d2d3d4d5d6d7d8d9dadbdcdddedfe0");
  plan.extensions = {ext_basic_constraints(false, std::nullopt),
                     ext_key_usage({kDigitalSignature}),
                     ext_extended_key_usage({"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}),
                     ext_subject_key_id(key.public_key().spki_der()),
                     ext_authority_key_id(key_id_of(ca.issuing_key.public_key().spki_der())),
                     *ext_subject_alt_name(names, true)};
  return issue(key.public_key(), ca.issuing_key, plan);
}

struct Files {
  test::TempDir dir;
  std::string root = dir.path("root.pem"), issuing = dir.path("issuing.pem"),
              leaf = dir.path("leaf.pem"), all = dir.path("all.pem");
  Files(const Hierarchy& ca, const Bytes& leaf_der) {
    const auto pem = [](const Bytes& der) { return to_pem("CERTIFICATE", der); };
    test::write_file(root, view_of(pem(ca.root)));
    test::write_file(issuing, view_of(pem(ca.issuing)));
    test::write_file(leaf, view_of(pem(leaf_der)));
    test::write_file(all, view_of(pem(leaf_der) + pem(ca.issuing) + pem(ca.root)));
  }
};

test::CommandResult openssl_verify(const Files& files) {
  return test::run_command({"openssl", "verify", "-x509_strict", "-check_ss_sig", "-attime",
                            std::to_string(kNow / 1000), "-CAfile", files.root, "-untrusted",
                            files.issuing, files.leaf});
}

const std::vector<Identifier> kNames = {
    {IdentifierType::kDns, "www.plant.example"},
    {IdentifierType::kIp, "192.0.2.1"},
    {IdentifierType::kPermanentIdentifier, "ABCDEF123456/1.2.3.4"},
    {IdentifierType::kHardwareModule, "ABCD/2.25.329800735698586629295641978511506172918"}};

TEST(IssuedCertificate_EveryCaKey_SatisfiesOpensslStrict, AndGnutls) {
  for (const auto kind : {KeyKind::kEcP256, KeyKind::kEcP384, KeyKind::kRsa, KeyKind::kEd25519}) {
    const auto ca = make_hierarchy(kind);
    const Files files(ca, issue_leaf(ca, kNames));
    const auto verified = openssl_verify(files);
    EXPECT_EQ(verified.status, 0) << verified.output;
    const auto text = openssl({"x509", "-in", files.leaf, "-noout", "-text"});
    EXPECT_NE(text.find("DNS:www.plant.example"), std::string::npos) << text;
    EXPECT_NE(text.find("IP Address:192.0.2.1"), std::string::npos);
    EXPECT_NE(text.find("X509v3 Subject Alternative Name: critical"), std::string::npos);
    EXPECT_NE(text.find("f1:d2:d3:d4"), std::string::npos);
    EXPECT_NE(text.find("TLS Web Server Authentication, TLS Web Client Authentication"),
              std::string::npos);
    const auto root_text = openssl({"x509", "-in", files.root, "-noout", "-text"});
    EXPECT_NE(root_text.find("C = CH, O = Example, CN = Root"), std::string::npos) << root_text;
    EXPECT_NE(root_text.find("Not After : May 22"), std::string::npos) << root_text;
    if (!test::has_command("certtool")) continue;
    const auto gnutls = test::run_command(
        {"certtool", "--verify", "--load-ca-certificate", files.root, "--infile", files.all});
    EXPECT_EQ(gnutls.status, 0) << gnutls.output;
  }
}

TEST(IssuedCertificate_OwnReader, ReadsBackWhatWasWritten) {
  const auto ca = make_hierarchy(KeyKind::kEcP256);
  const auto der = issue_leaf(ca, kNames);
  const auto leaf = parse_certificate(der);
  ASSERT_TRUE(leaf) << leaf.error().what;
  EXPECT_EQ(leaf->version, 3);
  EXPECT_TRUE(leaf->subject_is_empty);
  EXPECT_EQ(hex_encode(leaf->serial), "00f1d2d3d4d5d6d7d8d9dadbdcdddedfe0");
  EXPECT_EQ(leaf->not_before_ms, kLongAgo);
  EXPECT_EQ(leaf->not_after_ms, kLater);
  EXPECT_EQ(leaf->basic_constraints_ca(), false);
  EXPECT_EQ(leaf->key_usage(kDigitalSignature), true);
  EXPECT_EQ(leaf->key_usage(kKeyCertSign), false);
  EXPECT_EQ(leaf->extended_key_usages(),
            (std::vector<std::string>{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}));
  const auto issuing = parse_certificate(ca.issuing);
  const auto root = parse_certificate(ca.root);
  ASSERT_TRUE(issuing && root);
  EXPECT_EQ(root->not_after_ms, 2'600'000'000'000);
  EXPECT_TRUE(verify_signed_by(*leaf, *issuing->key));
  EXPECT_TRUE(
      verify_chain(*leaf, {*issuing}, {*root}, {.at_utc_ms = kNow, .handled_critical_oids = {}}));
}

TEST(NameConstraints_OfTheIssuingCa_HoldAtOpenssl, InBothDirections) {
  const auto ca = make_hierarchy(KeyKind::kEcP256, {ext_name_constraints_dns({"plant.example"})});
  const Files inside(ca, issue_leaf(ca, {{IdentifierType::kDns, "www.plant.example"}}));
  EXPECT_EQ(openssl_verify(inside).status, 0) << openssl_verify(inside).output;
  const Files outside(ca, issue_leaf(ca, {{IdentifierType::kDns, "www.other.example"}}));
  const auto refused = openssl_verify(outside);
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.output.find("permitted subtree violation"), std::string::npos)
      << refused.output;
}

}  // namespace
}  // namespace keyward::x509
