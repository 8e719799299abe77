// Tests of PKCS#10: requests made by the openssl program, requests made here and judged by it,
// refusals.
#include "firmware/x509/csr.h"

#include "firmware/x509/tbs.h"

#include "issuing.h"

namespace keyward::x509 {
namespace {

using crypto::KeyKind;
using wire::IdentifierType;

constexpr auto kBad = ErrorKind::kBadInput;

// A request by the openssl program, from the text of its configuration.
Bytes openssl_csr(const std::string& config,
                  const std::vector<std::string>& key = {"ec", "-pkeyopt",
                                                         "ec_paramgen_curve:P-256"},
                  const std::vector<std::string>& more = {}) {
  const test::TempDir dir;
  test::write_file(dir.path("config"), view_of(config));
  std::vector<std::string> arguments = {"req",    "-new",    "-config",       dir.path("config"),
                                        "-nodes", "-keyout", dir.path("key"), "-outform",
                                        "DER",    "-out",    dir.path("csr"), "-newkey"};
  arguments.insert(arguments.end(), key.begin(), key.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  openssl(arguments);
  return test::read_whole_file(dir.path("csr"));
}

std::string config(const std::string& subject, const std::string& extensions) {
  return "[req]\nprompt=no\ndistinguished_name=dn\n" +
         std::string(extensions.empty() ? "" : "req_extensions=ext\n") + "[dn]\n" + subject +
         "\n[ext]\n" + extensions + "\n";
}

TEST(Csr_OfTheOpensslProgram, IsReadWhole) {
  const auto der = openssl_csr(
      config("CN=www.example.com",
             "subjectAltName=DNS:www.example.com,DNS:*.Example.COM,IP:192.0.2.1,IP:2001:db8::1\n"
             "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE"));
  const auto csr = parse_csr(der);
  ASSERT_TRUE(csr) << csr.error().what;
  EXPECT_EQ(csr->key.kind(), KeyKind::kEcP256);
  EXPECT_EQ(csr->common_names, std::vector<std::string>{"www.example.com"});
  EXPECT_FALSE(csr->subject_has_other_attributes);
  EXPECT_EQ(csr->dns_names, (std::vector<std::string>{"www.example.com", "*.Example.COM"}));
  ASSERT_EQ(csr->ip_addresses.size(), 2U);
  EXPECT_EQ(hex_encode(csr->ip_addresses[0]), "c0000201");
  EXPECT_EQ(csr->ip_addresses[1].size(), 16U);
  EXPECT_FALSE(csr->has_other_san);
  EXPECT_FALSE(csr->asks_for_ca);
  EXPECT_TRUE(csr->other_extension_oids.empty());
}

TEST(Csr_OfTheOpensslProgram_OtherKeysAndNames, AreRead) {
  const auto p384 = parse_csr(openssl_csr(
      config("O=Example\nCN=a", ""), {"ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, {"-sha384"}));
  ASSERT_TRUE(p384) << p384.error().what;
  EXPECT_EQ(p384->key.kind(), KeyKind::kEcP384);
  EXPECT_TRUE(p384->subject_has_other_attributes);
  EXPECT_TRUE(p384->dns_names.empty());
  const auto rsa =
      parse_csr(openssl_csr(config("CN=a", "subjectAltName=DNS:a.example"), {"rsa:2048"}));
  ASSERT_TRUE(rsa) << rsa.error().what;
  EXPECT_EQ(rsa->key.bits(), 2048);
  const auto pss =
      parse_csr(openssl_csr(config("CN=a", ""), {"rsa:2048"},
                            {"-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"}));
  ASSERT_TRUE(pss) << pss.error().what;
  const auto ed25519 = parse_csr(openssl_csr(config("CN=a", ""), {"ed25519"}));
  ASSERT_TRUE(ed25519) << ed25519.error().what;
}

TEST(Csr_RequestsForMore_AreReported, NotJudged) {
  const auto ca = parse_csr(openssl_csr(
      config("CN=a", "basicConstraints=critical,CA:TRUE,pathlen:1\nsubjectAltName=DNS:a.example")));
  ASSERT_TRUE(ca) << ca.error().what;
  EXPECT_TRUE(ca->asks_for_ca);
  const auto mail = parse_csr(openssl_csr(
      config("CN=a", "subjectAltName=DNS:a.example,email:a@b.example,URI:https://a.example")));
  ASSERT_TRUE(mail);
  EXPECT_TRUE(mail->has_other_san);
  EXPECT_EQ(mail->dns_names.size(), 1U);
  const auto upn = parse_csr(
      openssl_csr(config("CN=a", "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user")));
  ASSERT_TRUE(upn);
  EXPECT_TRUE(upn->has_other_san);
  const auto staple =
      parse_csr(openssl_csr(config("CN=a", "tlsfeature=status_request\n1.2.3.4=ASN1:NULL")));
  ASSERT_TRUE(staple);
  EXPECT_EQ(staple->other_extension_oids,
            (std::vector<std::string>{"1.3.6.1.5.5.7.1.24", "1.2.3.4"}));
}

TEST(Csr_TelephoneIdentitiesByTheOpensslProgram, AreKeptOctetForOctet) {
  const auto csr = parse_csr(openssl_csr(
      config("CN=SHAKEN 709J",
             "1.3.6.1.5.5.7.1.26=DER:3008a00616043730394a\n1.3.6.1.5.5.7.1.33=DER:3000")));
  ASSERT_TRUE(csr) << csr.error().what;
  ASSERT_EQ(csr->authority_extensions.size(), 2U);
  EXPECT_EQ(csr->authority_extensions[0].oid, "1.3.6.1.5.5.7.1.26");
  EXPECT_EQ(csr->authority_extensions[0].value, *hex_decode("3008a00616043730394a"));
  EXPECT_EQ(csr->authority_extensions[1].oid, "1.3.6.1.5.5.7.1.33");
  EXPECT_TRUE(csr->other_extension_oids.empty());
}

TEST(Csr_DeviceNamesByTheOpensslProgram, AreRebuiltAsText) {
  const auto csr = parse_csr(openssl_csr(config(
      "CN=a",
      "subjectAltName=otherName:1.3.6.1.5.5.7.8.3;SEQUENCE:pid,otherName.2:1.3.6.1.5.5.7.8.4;"
      "SEQUENCE:hwm\n"
      "[pid]\nv=UTF8:ABCDEF123456\no=OID:1.2.3.4\n"
      "[hwm]\no=OID:2.25.329800735698586629295641978511506172918\ns=FORMAT:ASCII,OCT:ABCD")));
  ASSERT_TRUE(csr) << csr.error().what;
  EXPECT_EQ(csr->permanent_identifiers, std::vector<std::string>{"ABCDEF123456/1.2.3.4"});
  EXPECT_EQ(csr->hardware_modules,
            std::vector<std::string>{"ABCD/2.25.329800735698586629295641978511506172918"});
  EXPECT_FALSE(csr->has_other_san);
}

TEST(Csr_MacAndUriByTheOpensslProgram, AreRead) {
  const std::string mac = "subjectAltName=@n\n[n]\notherName.1=1.3.6.1.5.5.7.8.12;FORMAT:HEX,OCT:";
  const auto csr = parse_csr(
      openssl_csr(config("CN=a", mac + "0024987B1902\nURI.1=sip:Phone@customer.example")));
  ASSERT_TRUE(csr) << csr.error().what;
  EXPECT_EQ(csr->macs, std::vector<std::string>{"00:24:98:7b:19:02"});
  EXPECT_EQ(csr->uris, std::vector<std::string>{"sip:Phone@customer.example"});
  EXPECT_FALSE(csr->has_other_san);
  const auto group = openssl_csr(config("CN=a", mac + "01005E000001"));
  expect_error(parse_csr(group), ErrorKind::kBadInput, "san: not a device's MAC address");
  const auto key = crypto::PrivateKey::generate(KeyKind::kEcP256);
  ASSERT_TRUE(key);
  const auto own = build_csr(*key, {{wire::IdentifierType::kMac, "00:24:98:7b:19:02"},
                                    {wire::IdentifierType::kUri, "sips:customer.example"}});
  ASSERT_TRUE(own) << own.error().what;
  const auto read = parse_csr(*own);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->macs, csr->macs);
  EXPECT_EQ(read->uris, std::vector<std::string>{"sips:customer.example"});
}

TEST(Csr_WeakOrForeignKey, IsRefused) {
  expect_error(parse_csr(openssl_csr(config("CN=a", ""), {"rsa:1024"})), ErrorKind::kRefused,
               "RSA key: modulus too short");
  expect_error(parse_csr(openssl_csr(config("CN=a", ""), {"ed448"})), ErrorKind::kRefused,
               "public key algorithm is not accepted");
  expect_error(parse_csr(openssl_csr(config("CN=a", ""), {"rsa:2048"}, {"-sha1"})),
               ErrorKind::kRefused, "signature algorithm is not accepted");
  expect_error(
      parse_csr(openssl_csr(config("CN=a", ""), {"rsa:2048"},
                            {"-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"})),
      ErrorKind::kRefused, "signature algorithm is not accepted");
}

TEST(Csr_AnyChangedOctet, IsRefused) {
  const auto key = new_key();
  const auto good = *build_csr(key, {{IdentifierType::kDns, "a.example"}});
  ASSERT_TRUE(parse_csr(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto changed = good;
    changed[i] ^= 0x01;
    EXPECT_FALSE(parse_csr(changed)) << "octet " << i;
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_csr(ByteView(good).first(size))) << size;
}

TEST(Csr_TrailingOctetsOrOverItsLimit, IsRefused) {
  auto longer = *build_csr(new_key(), {{IdentifierType::kDns, "a.example"}});
  longer.push_back(0);
  expect_error(parse_csr(longer), kBad, "der: trailing octets");
  expect_error(parse_csr(Bytes(limits::kCsrBytesMax + 1)), kBad, "csr: over its limit");
}

TEST(Csr_BuiltHere_SatisfiesTheOpensslProgramAndComesBack, ForEveryKeyKind) {
  for (const auto kind : {KeyKind::kEcP256, KeyKind::kEcP384, KeyKind::kRsa, KeyKind::kEd25519}) {
    const auto key = new_key(kind);
    const auto der = build_csr(key, {{IdentifierType::kDns, "a.example"},
                                     {IdentifierType::kIp, "2001:db8::1"},
                                     {IdentifierType::kPermanentIdentifier, "SN 1"},
                                     {IdentifierType::kHardwareModule, "ABCD/1.2.3.4"}});
    ASSERT_TRUE(der);
    const auto csr = parse_csr(*der);
    ASSERT_TRUE(csr) << csr.error().what;
    EXPECT_EQ(csr->key.spki_der(), key.public_key().spki_der());
    EXPECT_EQ(csr->dns_names, std::vector<std::string>{"a.example"});
    EXPECT_EQ(csr->permanent_identifiers, std::vector<std::string>{"SN 1"});
    EXPECT_EQ(csr->hardware_modules, std::vector<std::string>{"ABCD/1.2.3.4"});
    EXPECT_TRUE(csr->common_names.empty());
    const test::TempDir dir;
    test::write_file(dir.path("csr"), *der);
    EXPECT_NE(
        openssl({"req", "-inform", "DER", "-in", dir.path("csr"), "-verify", "-noout", "-text"})
            .find("DNS:a.example"),
        std::string::npos);
  }
}

// ---- requests that no program makes: signed here over chosen octets.

Bytes attribute(std::string_view oid, const Bytes& value) {
  return der_sequence({der_oid(oid), tlv(tag::kSet, value)});
}
Bytes extension_request(const Bytes& extensions) {
  return attribute("1.2.840.113549.1.9.14", tlv(tag::kSequence, extensions));
}
Bytes san(const Bytes& names) {
  return extension_request(extension_der("2.5.29.17", false, tlv(tag::kSequence, names)));
}

struct Handmade {
  std::uint64_t version = 0;
  Bytes subject = name_der({});
  Bytes attributes;
  bool with_attributes = true;
};

Result<CertificateRequest> parse_handmade(const Handmade& request) {
  const auto key = new_key();
  const auto attributes =
      request.with_attributes ? tlv(tag::context_constructed(0), request.attributes) : Bytes();
  const auto info = der_sequence(
      {der_unsigned(request.version), request.subject, key.public_key().spki_der(), attributes});
  const auto signature =
      *key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, info);
  return parse_csr(der_sequence(
      {info, signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256), der_bit_string(signature)}));
}

TEST(Csr_Handmade_RefusalsOfTheFrame, HaveTheirReasons) {
  EXPECT_TRUE(parse_handmade({}));
  expect_error(parse_handmade({.version = 3, .attributes = {}}), kBad, "csr: version is not v1");
  EXPECT_TRUE(parse_handmade({.version = 2, .attributes = {}}));
  expect_error(parse_handmade({.attributes = {}, .with_attributes = false}), kBad,
               "der: another type was expected");
  const auto a = extension_der("2.5.29.17", false,
                               tlv(tag::kSequence, tlv(tag::context(2), view_of("a.example"))));
  Bytes twice = a;
  append(twice, a);
  expect_error(parse_handmade({.attributes = extension_request(twice)}), kBad,
               "csr: duplicate extension");
  Bytes two_requests = extension_request(a);
  append(two_requests, extension_request(a));
  expect_error(parse_handmade({.attributes = two_requests}), kBad, "csr: two extension requests");
  Bytes many;
  for (std::size_t i = 0; i <= limits::kCertificateExtensionsMax; ++i)
    append(many, extension_der("1.2.3." + std::to_string(i), false, Bytes()));
  expect_error(parse_handmade({.attributes = extension_request(many)}), kBad,
               "csr: too many extensions");
  EXPECT_TRUE(
      parse_handmade({.attributes = attribute("1.2.840.113549.1.9.7",
                                              tlv(tag::kUtf8String, view_of("challenge")))}));
}

TEST(Csr_Handmade_Subjects_AreRead, OrRefused) {
  expect_error(
      parse_handmade({.subject = tlv(tag::kSequence, tlv(tag::kSet, Bytes())), .attributes = {}}),
      kBad, "name: empty RDN");
  const auto cn = [](std::uint8_t type, std::string_view text) {
    return tlv(tag::kSequence,
               tlv(tag::kSet, der_sequence({der_oid("2.5.4.3"), tlv(type, view_of(text))})));
  };
  expect_error(parse_handmade({.subject = cn(0x1e, std::string_view("\0a", 2)), .attributes = {}}),
               kBad, "csr: commonName in an unknown encoding");
  expect_error(parse_handmade({.subject = cn(tag::kUtf8String, "\xff"), .attributes = {}}), kBad,
               "csr: commonName in an unknown encoding");
  const auto two =
      parse_handmade({.subject = name_der({{"2.5.4.3", "a"}, {"2.5.4.3", "b"}}), .attributes = {}});
  ASSERT_TRUE(two);
  EXPECT_EQ(two->common_names, (std::vector<std::string>{"a", "b"}));
}

TEST(Csr_Handmade_Names_AreRefusedWhereTheyAreAmbiguous, OrMalformed) {
  const auto with = [](const Bytes& names) { return parse_handmade({.attributes = san(names)}); };
  expect_error(with({}), kBad, "san: no name");
  expect_error(with(tlv(tag::context(2), view_of(std::string_view("a\0.example", 10)))), kBad,
               "san: dNSName is not printable ASCII");
  expect_error(with(tlv(tag::context(2), view_of("b\xc3\xbc.example"))), kBad,
               "san: dNSName is not printable ASCII");
  expect_error(with(tlv(tag::context(2), ByteView())), kBad, "san: dNSName is not printable ASCII");
  expect_error(with(tlv(tag::context(7), Bytes(5))), kBad, "san: iPAddress of another length");
  const auto other = [](std::string_view oid, const Bytes& value) {
    return tlv(tag::context_constructed(0),
               {der_oid(oid), tlv(tag::context_constructed(0), value)});
  };
  const auto pid = [&](std::initializer_list<ByteView> parts) {
    return other("1.3.6.1.5.5.7.8.3", der_sequence(parts));
  };
  const auto utf8 = [](std::string_view text) { return tlv(tag::kUtf8String, view_of(text)); };
  expect_error(with(pid({utf8("A/1.2.3")})), kBad, "san: permanent identifier value");
  expect_error(with(pid({utf8("")})), kBad, "san: permanent identifier value");
  expect_error(with(pid({utf8("\xff")})), kBad, "san: permanent identifier value");
  expect_error(with(pid({})), kBad, "der: another type was expected");
  expect_error(with(pid({der_oid("1.2.3")})), kBad, "der: another type was expected");
  expect_error(with(pid({utf8("A"), der_oid("1.2.3"), der_oid("1.2.3")})), kBad,
               "der: trailing octets");
  const auto hwm = [&](std::initializer_list<ByteView> parts) {
    return other("1.3.6.1.5.5.7.8.4", der_sequence(parts));
  };
  expect_error(with(hwm({der_oid("1.2.3"), der_octet_string(view_of("A/B"))})), kBad,
               "san: hardware module serial");
  expect_error(with(hwm({der_oid("1.2.3"), der_octet_string({})})), kBad,
               "san: hardware module serial");
  expect_error(with(hwm({der_octet_string(view_of("A"))})), kBad, "der: another type was expected");
  EXPECT_TRUE(with(pid({utf8("A")})));
}

TEST(Csr_BadSignature, IsRefusedBeforeTheNamesAreRead) {
  const auto key = new_key();
  const auto names = tlv(tag::context_constructed(0),
                         san(tlv(tag::context(2), view_of("\xff"))));  // malformed too
  const auto info =
      der_sequence({der_unsigned(0), name_der({}), key.public_key().spki_der(), names});
  const auto signature = *key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256,
                                   view_of("other octets"));
  const auto der = der_sequence(
      {info, signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256), der_bit_string(signature)});
  expect_error(parse_csr(der), ErrorKind::kRefused, "the signature does not verify");
}

TEST(Csr_Build_WithoutNames, IsRefused) {
  expect_error(build_csr(new_key(), {}), kBad, "san: no name");
}

}  // namespace
}  // namespace keyward::x509
