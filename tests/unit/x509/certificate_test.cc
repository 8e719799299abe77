// Tests of certificate reading and chain building: certificates of the openssl program, of the
// W3C's vectors, and made here where no program would make them.
#include "firmware/x509/certificate.h"

#include <stdlib.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"

#include "issuing.h"

namespace keyward::x509 {
namespace {

using crypto::KeyKind;
constexpr auto kBad = ErrorKind::kBadInput;
constexpr auto kRefused = ErrorKind::kRefused;

std::vector<Bytes> ca_extensions(std::optional<int> path_length = std::nullopt) {
  return {ext_basic_constraints(true, path_length), ext_key_usage({kKeyCertSign, kCrlSign})};
}

// root -> middle -> leaf, to be bent by each test.
struct Chain {
  crypto::PrivateKey root_key = new_key();
  crypto::PrivateKey middle_key = new_key();
  crypto::PrivateKey leaf_key = new_key();
  Plan root_plan{
      .subject = common_name("root"), .issuer = common_name("root"), .extensions = ca_extensions()};
  Plan middle_plan{.subject = common_name("middle"),
                   .issuer = common_name("root"),
                   .extensions = ca_extensions(0)};
  Plan leaf_plan{.subject = common_name("leaf"),
                 .issuer = common_name("middle"),
                 .extensions = {ext_basic_constraints(false, std::nullopt)}};
  Certificate root() const { return issue_parsed(root_key.public_key(), root_key, root_plan); }
  Certificate middle() const {
    return issue_parsed(middle_key.public_key(), root_key, middle_plan);
  }
  Certificate leaf() const { return issue_parsed(leaf_key.public_key(), middle_key, leaf_plan); }
  Status verify(const ChainOptions& options = {.at_utc_ms = kNow,
                                               .handled_critical_oids = {}}) const {
    return verify_chain(leaf(), {middle()}, {root()}, options);
  }
};

TEST(Chain_Good, IsAccepted) {
  const Chain chain;
  EXPECT_TRUE(chain.verify());
  EXPECT_TRUE(verify_chain(chain.leaf(), {chain.root(), chain.middle()}, {chain.root()},
                           {.at_utc_ms = kNow, .handled_critical_oids = {}}))
      << "order and the anchor itself among the intermediates do not matter";
  EXPECT_TRUE(verify_chain(chain.middle(), {}, {chain.root()},
                           {.at_utc_ms = kNow, .handled_critical_oids = {}}));
  EXPECT_TRUE(verify_chain(chain.leaf(), {chain.middle()}, {chain.middle()},
                           {.at_utc_ms = kNow, .handled_critical_oids = {}}))
      << "an intermediate may be the anchor";
}

TEST(Chain_PinnedLeaf, IsAcceptedByItsOctetsAlone) {
  const Chain chain;
  const auto leaf = chain.leaf();
  EXPECT_TRUE(verify_chain(leaf, {}, {leaf}, {.at_utc_ms = kNow, .handled_critical_oids = {}}));
  // Same subject and key, other content, signed by a stranger.
  auto plan = chain.leaf_plan;
  plan.serial = {0x22};
  const auto forged = issue_parsed(chain.leaf_key.public_key(), new_key(), plan);
  expect_error(verify_chain(forged, {}, {leaf}, {.at_utc_ms = kNow, .handled_critical_oids = {}}),
               kRefused, "no path to a trust anchor");
}

TEST(Chain_Times_OfEachCertificate, AreChecked) {
  Chain chain;
  const auto at = [&](std::int64_t ms) {
    return chain.verify({.at_utc_ms = ms, .handled_critical_oids = {}});
  };
  EXPECT_TRUE(at(kNow + kDay + 999)) << "the last second counts whole";
  expect_error(at(kNow + kDay + 1000), kRefused, "certificate expired");
  EXPECT_TRUE(at(kNow - kDay));
  expect_error(at(kNow - kDay - 1), kRefused, "certificate not yet valid");
  chain.middle_plan.not_after_ms = kNow - 1000;
  expect_error(at(kNow), kRefused, "certificate expired");
  chain.middle_plan.not_after_ms = kNow + kDay;
  chain.root_plan.not_before_ms = kNow + 1000;
  expect_error(at(kNow), kRefused, "certificate not yet valid");
}

TEST(Chain_NoAnchor, IsRefused) {
  const Chain chain;
  const Chain other;
  const ChainOptions now{.at_utc_ms = kNow, .handled_critical_oids = {}};
  expect_error(verify_chain(chain.leaf(), {chain.middle()}, {}, now), kRefused,
               "no path to a trust anchor");
  expect_error(verify_chain(chain.leaf(), {}, {chain.root()}, now), kRefused,
               "no path to a trust anchor");
  expect_error(verify_chain(chain.leaf(), {chain.middle()}, {other.root()}, now), kRefused,
               "bad signature in chain");
  expect_error(
      verify_chain(chain.leaf(), std::vector(limits::kChainCertificatesMax + 1, chain.middle()),
                   {chain.root()}, now),
      kRefused, "too many certificates in chain");
}

TEST(Chain_SelfSignedStranger, IsRefused) {
  Chain chain;
  chain.leaf_plan.issuer = chain.leaf_plan.subject;
  const auto self = issue_parsed(chain.leaf_key.public_key(), chain.leaf_key, chain.leaf_plan);
  expect_error(
      verify_chain(self, {self}, {chain.root()}, {.at_utc_ms = kNow, .handled_critical_oids = {}}),
      kRefused, "issuer is not a CA");
}

TEST(Chain_IssuerThatIsNoCa, IsRefused) {
  const auto what = "issuer is not a CA";
  Chain chain;
  chain.middle_plan.extensions = {ext_basic_constraints(false, std::nullopt)};
  expect_error(chain.verify(), kRefused, what);
  chain.middle_plan.extensions = {};
  expect_error(chain.verify(), kRefused, what);
  chain.middle_plan.extensions = {ext_basic_constraints(true, 0), ext_key_usage({kCrlSign})};
  expect_error(chain.verify(), kRefused, what);
  chain.middle_plan.extensions = {
      extension_der("2.5.29.19", true, hex("300401010000"))};  // unreadable: not a CA
  expect_error(chain.verify(), kRefused, what);
  chain.middle_plan.extensions = {ext_basic_constraints(true, 0)};
  EXPECT_TRUE(chain.verify()) << "key usage may be absent";
  chain.root_plan.extensions = {};
  expect_error(chain.verify(), kRefused, what);
}

TEST(Chain_PathLength, IsCounted) {
  Chain chain;
  chain.root_plan.extensions = ca_extensions(0);
  expect_error(chain.verify(), kRefused, "path too long");
  chain.root_plan.extensions = ca_extensions(1);
  EXPECT_TRUE(chain.verify());
}

TEST(Chain_BadSignatures, AreRefused) {
  const ChainOptions now{.at_utc_ms = kNow, .handled_critical_oids = {}};
  const Chain chain;
  const auto forged_leaf = issue_parsed(chain.leaf_key.public_key(), new_key(), chain.leaf_plan);
  expect_error(verify_chain(forged_leaf, {chain.middle()}, {chain.root()}, now), kRefused,
               "bad signature in chain");
  const auto forged_middle =
      issue_parsed(chain.middle_key.public_key(), new_key(), chain.middle_plan);
  expect_error(verify_chain(chain.leaf(), {forged_middle}, {chain.root()}, now), kRefused,
               "bad signature in chain");
  EXPECT_TRUE(verify_chain(chain.leaf(), {forged_middle, chain.middle()}, {chain.root()}, now))
      << "the good one is found beside it";
}

TEST(Chain_CriticalExtensions, AreRefusedUnlessHandled) {
  const auto what = "unhandled critical extension";
  Chain chain;
  chain.leaf_plan.extensions.push_back(extension_der("1.2.3.4", true, hex("0500")));
  expect_error(chain.verify(), kRefused, what);
  EXPECT_TRUE(chain.verify({.at_utc_ms = kNow, .handled_critical_oids = {"1.2.3.4"}}));
  Chain constrained;
  constrained.middle_plan.extensions.push_back(ext_name_constraints_dns({"a.example"}));
  constrained.leaf_plan.extensions.push_back(
      extension_der("2.5.29.17", false, hex("30058203612e62")));  // dns a.b
  expect_error(constrained.verify(), kRefused, what);
  Chain harmless;
  harmless.leaf_plan.extensions.push_back(extension_der("1.2.3.4", false, hex("0500")));
  EXPECT_TRUE(harmless.verify());
}

// RFC 5280 §4.2.1.10: a certificate without dns names is acceptable to constraints of dns names.
TEST(Chain_ConstraintsOfDnsNamesAlone, SayNothingOfOtherNames) {
  Chain chain;
  chain.middle_plan.extensions.push_back(ext_name_constraints_dns({"a.example"}));
  EXPECT_TRUE(chain.verify()) << "no name at all";
  chain.leaf_plan.extensions.push_back(
      extension_der("2.5.29.17", false, hex("3006870401020304")));  // an address
  EXPECT_TRUE(chain.verify());
}

TEST(Chain_OtherConstraints, AreRefused) {
  const auto what = "unhandled critical extension";
  for (const char* constraints :
       {"300ea00c300a87080a000000ff000000",              // permitted addresses
        "3014a0123006820461626364300887060a00ff000000",  // dns, then something else
        "3000", "3002a000ff", "3004a2023000", "04020500"}) {
    Chain chain;
    chain.middle_plan.extensions.push_back(extension_der("2.5.29.30", true, hex(constraints)));
    expect_error(chain.verify(), kRefused, what);
  }
}

TEST(Chain_ManySameNamedCas, CostABoundedNumberOfVerifications) {
  // Six self-issued CAs of one name and key: without a bound, 6! ways to try.
  Chain chain;
  Plan loop{.subject = common_name("middle"),
            .issuer = common_name("middle"),
            .extensions = ca_extensions()};
  std::vector<Certificate> many;
  for (std::uint8_t i = 0; i < limits::kChainCertificatesMax; ++i) {
    loop.serial = {static_cast<std::uint8_t>(i + 1)};
    many.push_back(issue_parsed(chain.middle_key.public_key(), chain.middle_key, loop));
  }
  const auto start = system_clock().monotonic_ms();
  expect_error(verify_chain(chain.leaf(), many, {chain.root()},
                            {.at_utc_ms = kNow, .handled_critical_oids = {}}),
               kRefused, "no path to a trust anchor");
  EXPECT_LT(system_clock().monotonic_ms() - start, 1'000);
}

TEST(Chain_EmptyNames, ConnectNobody) {
  Chain chain;
  chain.leaf_plan.issuer = name_der({});
  chain.middle_plan.subject = name_der({});
  expect_error(chain.verify(), kRefused, "no path to a trust anchor");
}

// ---- structure

Bytes tbs_with(const std::vector<Bytes>& parts) {
  Bytes content;
  for (const auto& part : parts) append(content, part);
  return tlv(tag::kSequence, content);
}

struct Handmade {
  Bytes version = tlv(tag::context_constructed(0), der_unsigned(2));
  Bytes serial = der_unsigned(1);
  Bytes inner_algorithm = signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  Bytes outer_algorithm = inner_algorithm;
  Bytes validity = der_sequence({der_time(kNow), der_time(kNow + kDay)});
  Bytes spki = new_key().public_key().spki_der();
  Bytes tail{};
};

Result<Certificate> parse_handmade(const Handmade& h) {
  const auto tbs = tbs_with({h.version, h.serial, h.inner_algorithm, common_name("i"), h.validity,
                             common_name("s"), h.spki, h.tail});
  return parse_certificate(join_certificate(tbs, h.outer_algorithm, Bytes(8)));
}
Bytes extensions_field(const Bytes& list) {
  return tlv(tag::context_constructed(3), tlv(tag::kSequence, list));
}

TEST(Certificate_Structure_IsStrict, WithAReasonEach) {
  EXPECT_TRUE(parse_handmade({}));
  expect_error(parse_handmade({.version = tlv(tag::context_constructed(0), der_unsigned(0))}), kBad,
               "certificate: unknown version");
  expect_error(parse_handmade({.version = tlv(tag::context_constructed(0), der_unsigned(3))}), kBad,
               "certificate: unknown version");
  expect_error(parse_handmade({.serial = hex("0200")}), kBad, "certificate: empty serial");
  expect_error(parse_handmade({.serial = hex("02020001")}), kBad,
               "certificate: serial not in its shortest form");
  expect_error(parse_handmade({.serial = hex("0202ff80")}), kBad,
               "certificate: serial not in its shortest form");
  expect_error(
      parse_handmade({.outer_algorithm = signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP384)}),
      kBad, "certificate: two signature algorithms");
  expect_error(parse_handmade({.tail = extensions_field({})}), kBad,
               "certificate: empty extensions");
  expect_error(parse_handmade({.tail = tlv(tag::context(1), Bytes{0, 1})}), kBad,
               "der: another type was expected");
  expect_error(
      parse_handmade(
          {.version = {}, .tail = extensions_field(ext_basic_constraints(false, std::nullopt))}),
      kBad, "certificate: extensions before v3");
  auto twice = ext_basic_constraints(false, std::nullopt);
  append(twice, ext_basic_constraints(true, std::nullopt));
  expect_error(parse_handmade({.tail = extensions_field(twice)}), kBad,
               "certificate: duplicate extension");
  Bytes many;
  for (std::size_t i = 0; i <= limits::kCertificateExtensionsMax; ++i)
    append(many, extension_der("1.2.3." + std::to_string(i), false, Bytes()));
  expect_error(parse_handmade({.tail = extensions_field(many)}), kBad,
               "certificate: too many extensions");
  auto bad_key = new_key().public_key().spki_der();
  bad_key.back() ^= 1;
  expect_error(parse_handmade({.spki = bad_key}), kBad, "EC key: the point is not on its curve");
  expect_error(parse_certificate(Bytes(limits::kCertificateBytesMax + 1)), kBad,
               "certificate: over its limit");
  auto longer = parse_handmade({})->der;
  longer.push_back(0);
  expect_error(parse_certificate(longer), kBad, "der: trailing octets");
}

TEST(Certificate_Tolerances_AreTheNamedOnes, Alone) {
  const auto v1 = parse_handmade({.version = {}});
  ASSERT_TRUE(v1);
  EXPECT_EQ(v1->version, 1);
  const auto explicit_false =
      der_sequence({der_oid("2.5.29.15"), der_boolean(false), der_octet_string(hex("03020780"))});
  const auto vendor = parse_handmade({.tail = extensions_field(explicit_false)});
  ASSERT_TRUE(vendor);
  EXPECT_FALSE(vendor->extensions[0].critical);
  const auto foreign = parse_handmade(
      {.spki = der_sequence({der_sequence({der_oid("1.2.3.4")}), der_bit_string(hex("aa"))})});
  ASSERT_TRUE(foreign) << "an algorithm that is not read may stand in a chain";
  EXPECT_FALSE(foreign->key);
  const auto negative = parse_handmade({.serial = hex("0201ff")});
  EXPECT_TRUE(negative)
      << "vendors' certificates have negative serials; nothing here computes with them";
}

TEST(Certificate_EveryTruncationAndChange, IsRefusedOrStaysConsistent) {
  const Chain chain;
  const auto good = chain.leaf();
  for (std::size_t size = 0; size < good.der.size(); ++size)
    EXPECT_FALSE(parse_certificate(ByteView(good.der).first(size)));
  for (std::size_t i = 0; i < good.der.size(); ++i) {
    auto changed = good.der;
    changed[i] ^= 0x01;
    const auto parsed = parse_certificate(changed);
    if (!parsed) continue;
    EXPECT_FALSE(verify_signed_by(*parsed, chain.middle_key.public_key())) << i;
  }
}

TEST(Certificate_ExtendedKeyUsages_Unreadable, IsEmpty) {
  const auto odd = parse_handmade(
      {.tail = extensions_field(extension_der("2.5.29.37", false, hex("30030c0161")))});
  ASSERT_TRUE(odd);
  EXPECT_TRUE(odd->extended_key_usages().empty());
  EXPECT_EQ(odd->key_usage(0), std::nullopt);
  EXPECT_EQ(odd->basic_constraints_ca(), std::nullopt);
}

// ---- the openssl program's certificates

TEST(Certificate_OfTheOpensslProgram_IsReadAndVerified, ForEveryAlgorithm) {
  const std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> cases = {
      {{"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, {"-sha256"}},
      {{"ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, {"-sha512"}},
      {{"rsa:2048"}, {"-sha384"}},
      {{"rsa:3072"},
       {"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"}},
      {{"ed25519"}, {}},
  };
  for (const auto& [key, more] : cases) {
    const test::TempDir dir;
    std::vector<std::string> arguments = {"req",
                                          "-x509",
                                          "-nodes",
                                          "-keyout",
                                          dir.path("key"),
                                          "-out",
                                          dir.path("pem"),
                                          "-subj",
                                          "/C=CH/CN=Root",
                                          "-days",
                                          "10",
                                          "-addext",
                                          "keyUsage=critical,keyCertSign",
                                          "-newkey"};
    arguments.insert(arguments.end(), key.begin(), key.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    openssl(arguments);
    const auto pem = test::read_whole_file(dir.path("pem"));
    const auto blocks = certificates_from_pem(text_of(pem), 1);
    ASSERT_TRUE(blocks && blocks->size() == 1);
    const auto certificate = parse_certificate(blocks->front());
    ASSERT_TRUE(certificate) << certificate.error().what;
    ASSERT_TRUE(certificate->key);
    EXPECT_TRUE(verify_signed_by(*certificate, *certificate->key)) << key[0];
    EXPECT_EQ(certificate->basic_constraints_ca(), true);
    EXPECT_EQ(certificate->issuer_der, certificate->subject_der);
    EXPECT_EQ(certificate->not_after_ms - certificate->not_before_ms, 10 * kDay);
    EXPECT_EQ(to_pem("CERTIFICATE", certificate->der), text_of(pem));
  }
}

TEST(Certificate_Sha1Signature, IsRefused) {
  const test::TempDir dir;
  openssl({"req", "-x509", "-nodes", "-sha1", "-newkey", "rsa:2048", "-keyout", dir.path("key"),
           "-outform", "DER", "-out", dir.path("der"), "-subj", "/CN=a"});
  const auto certificate = parse_certificate(test::read_whole_file(dir.path("der")));
  ASSERT_TRUE(certificate);
  expect_error(verify_signed_by(*certificate, *certificate->key), kRefused,
               "signature algorithm is not accepted");
}

// ---- PEM

TEST(Pem_Blocks_AreFoundInOrder, AndOthersSkipped) {
  const auto one = to_pem("CERTIFICATE", Bytes(100, 1));
  const auto two = to_pem("CERTIFICATE", Bytes(3, 2));
  const auto found =
      certificates_from_pem("# comment\n" + one + to_pem("PRIVATE KEY", Bytes(9)) + two, 5);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[0], Bytes(100, 1));
  EXPECT_EQ((*found)[1], Bytes(3, 2));
  EXPECT_TRUE(certificates_from_pem("", 5)->empty());
}

TEST(Pem_Malformed, IsRefusedForItsReason) {
  const auto one = to_pem("CERTIFICATE", Bytes(4, 1));
  expect_error(certificates_from_pem(one + one, 1), ErrorKind::kExhausted,
               "pem: too many certificates");
  expect_error(certificates_from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n", 1), kBad,
               "pem: a block without its end");
  for (const auto body : {"AAA", "AA=A", "A===", "AAAA*", "AAAA-", "AB=="}) {
    expect_error(certificates_from_pem("-----BEGIN CERTIFICATE-----\n" + std::string(body) +
                                           "\n-----END CERTIFICATE-----\n",
                                       1),
                 kBad, "pem: not base64");
  }
}

// ---- the W3C's certificates (WebAuthn Level 3, test vectors)

TEST(WebAuthnVectors_EveryCertificateChain, VerifiesToTheirRoot) {
  const char* folder = ::getenv("KEYWARD_VECTORS");
  const auto text = folder != nullptr
                        ? read_text_file(std::string(folder) + "/webauthn-l3.json", 1u << 20)
                        : Result<std::string>(fail(ErrorKind::kUnavailable, ""));
  if (!text)
    GTEST_SKIP()
        << "SKIPPED LOUDLY: no webauthn-l3.json: set KEYWARD_VECTORS to the folder of test vectors";
  const auto document = json::Document::parse(*text, 1u << 20);
  ASSERT_TRUE(document);
  const auto root =
      parse_certificate(*hex_decode(document->root().get("attestation_root_der").string()));
  ASSERT_TRUE(root) << root.error().what;
  int chains = 0;
  for (const auto& vector : document->root().get("vectors").items()) {
    const std::string object(vector.get("attestationObject").string());
    const auto at =
        object.find("637835638159");  // "x5c": an array of one byte string with a 16-bit length
    if (at == std::string::npos) continue;
    const auto size = std::stoul(object.substr(at + 12, 4), nullptr, 16);
    const auto leaf = parse_certificate(hex(std::string_view(object).substr(at + 16, 2 * size)));
    ASSERT_TRUE(leaf) << vector.get("name").string() << leaf.error().what;
    const auto status =
        verify_chain(*leaf, {}, {*root}, {.at_utc_ms = kNow, .handled_critical_oids = {}});
    EXPECT_TRUE(status) << vector.get("name").string() << (status ? "" : status.error().what);
    ++chains;
  }
  EXPECT_GE(chains, 3);
}

}  // namespace
}  // namespace keyward::x509
