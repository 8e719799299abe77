// Proves that no field of a device's statement may be another: each is changed alone, of itself and
// once all is signed, and the refusal is that field's. What is not judged is named here as well.
#include <functional>

#include <gtest/gtest.h>

#include "firmware/attest/device_attest.h"
#include "firmware/x509/der.h"
#include "tests/support/statement/formats.h"
#include "tests/support/statement/statement.h"

namespace keyward::attest {
namespace {

using crypto::KeyKind;
using test::FormatMaker;
using test::FormatSpec;
using test::StatementMaker;
using test::StatementSpec;

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::string_view kKeyAuthorization = "token.thumbprint";
const wire::Identifier kDevice{wire::IdentifierType::kPermanentIdentifier, "DEVICE-1"};

using Edit = std::function<void(Bytes&)>;
Edit flip(std::size_t at) {
  return [at](Bytes& octets) { octets.at(at) ^= 1; };
}
Edit set16(std::size_t at, std::uint16_t value) {
  return [=](Bytes& octets) {
    octets.at(at) = static_cast<std::uint8_t>(value >> 8);
    octets.at(at + 1) = static_cast<std::uint8_t>(value & 0xff);
  };
}
Edit erase(std::size_t at, std::size_t size) {
  return [=](Bytes& octets) {
    const auto begin = octets.begin() + static_cast<std::ptrdiff_t>(at);
    octets.erase(begin, begin + static_cast<std::ptrdiff_t>(size));
  };
}
Edit both(Edit first, Edit second) {
  return [=](Bytes& octets) {
    first(octets);
    second(octets);
  };
}
void cut(Bytes& octets) { octets.pop_back(); }
void flip_last(Bytes& octets) { octets.back() ^= 1; }

// Asks with each octet of what is sent changed, until there are no more; how many there were.
std::size_t each_octet(const std::function<void(Edit)>& ask) {
  for (std::size_t at = 0;; ++at) {
    bool inside = true;
    ask([&](Bytes& octets) {
      inside = at < octets.size();
      octets[inside ? at : 0] ^= 1;
    });
    if (!inside || ::testing::Test::HasFailure()) return at;
  }
}

struct Field {
  const char* name;
  Edit edit;
  const char* code;  // "": not judged
};

// ---- tpm

const StatementMaker& tpm_maker() {
  static const auto* const made = new StatementMaker(kAt);
  return *made;
}
std::string tpm_code(const StatementSpec& spec) {
  const auto result =
      appraise_device(tpm_maker().attestation_object(spec), kDevice, std::string(kKeyAuthorization),
                      {{tpm_maker().anchor()}}, kAt);
  return result ? "" : result.error().code;
}
std::string tpm_code(StatementSpec::Edit StatementSpec::*where, Edit edit, int rsa_bits = 0) {
  auto spec = StatementMaker::good();
  spec.rsa_bits = rsa_bits;
  spec.*where = std::move(edit);
  return tpm_code(spec);
}

// TPMS_ATTEST (Part 2 §10.12.12): magic 0, type 4, qualifiedSigner 6, extraData 8, clockInfo 42,
// firmwareVersion 59, name 67, qualifiedName 103.
TEST(TpmMutation, EachFieldOfCertInfo_SignedAsItIs) {
  const Field fields[] = {
      {"magic", flip(3), "tpm.cert-info"},
      {"type", flip(5), "tpm.cert-info"},
      {"qualifiedSigner, beyond the end", set16(6, 0xffff), "tpm.cert-info"},
      {"extraData, first octet", flip(10), "tpm.extra-data"},
      {"extraData, last octet", flip(41), "tpm.extra-data"},
      {"extraData, shorter", both(set16(8, 31), erase(41, 1)), "tpm.extra-data"},
      {"extraData, empty", both(set16(8, 0), erase(10, 32)), "tpm.extra-data"},
      {"clockInfo", flip(42), ""},
      {"firmwareVersion", flip(59), ""},
      {"name, its algorithm", flip(70), "tpm.name"},
      {"name, its digest", flip(102), "tpm.name"},
      {"name, empty", both(set16(67, 0), erase(69, 34)), "tpm.name"},
      {"qualifiedName, beyond the end", set16(103, 0xffff), "tpm.cert-info"},
      {"cut", cut, "tpm.cert-info"},
  };
  for (const auto& field : fields)
    EXPECT_EQ(tpm_code(&StatementSpec::edit_cert_info, field.edit), field.code) << field.name;
}

TEST(TpmMutation, EachOctetOfCertInfo_OnceSigned) {
  for (std::size_t at = 0; at < 105; ++at)
    EXPECT_EQ(tpm_code(&StatementSpec::edit_sent_cert_info, flip(at)), "tpm.signature") << at;
}

// TPMT_PUBLIC of an ECC key (Part 2 §12.2.4): type 0, nameAlg 2, objectAttributes 4, authPolicy 8,
// symmetric 10, scheme 12, curveID 14, kdf 16, x 18, y 52.
TEST(TpmMutation, EachFieldOfPubArea_CertifiedAsItIs) {
  const Field fields[] = {
      {"type", set16(0, 0x0099), "tpm.pub-area"},
      {"nameAlg", set16(2, 0x0012), "tpm.pub-area"},
      {"fixedTPM", [](Bytes& o) { o[7] ^= 0x02; }, "tpm.fixed-tpm"},
      {"fixedParent", [](Bytes& o) { o[7] ^= 0x10; }, "tpm.fixed-parent"},
      {"sensitiveDataOrigin", [](Bytes& o) { o[7] ^= 0x20; }, "tpm.origin"},
      {"userWithAuth", [](Bytes& o) { o[7] ^= 0x40; }, ""},
      {"restricted", [](Bytes& o) { o[5] ^= 0x01; }, "tpm.restricted"},
      {"sign", [](Bytes& o) { o[5] ^= 0x04; }, "tpm.sign"},
      {"authPolicy, beyond the end", set16(8, 0xffff), "tpm.pub-area"},
      {"symmetric", set16(10, 0x0099), "tpm.pub-area"},
      {"scheme", set16(12, 0x0099), "tpm.pub-area"},
      {"curveID", set16(14, 0x0005), "tpm.key-type"},
      {"kdf", set16(16, 0x0099), "tpm.pub-area"},
      {"x", flip(51), "tpm.key-type"},
      {"x, empty", both(set16(18, 0), erase(20, 32)), "tpm.key-type"},
      {"y", flip(85), "tpm.key-type"},
      {"y, empty", both(set16(52, 0), erase(54, 32)), "tpm.key-type"},
      {"cut", cut, "tpm.pub-area"},
  };
  for (const auto& field : fields)
    EXPECT_EQ(tpm_code(&StatementSpec::edit_pub_area, field.edit), field.code) << field.name;
}

// TPMT_PUBLIC of an RSA key: ... symmetric 10, scheme 12, keyBits 14, exponent 16, modulus 20.
TEST(TpmMutation, EachFieldOfAnRsaPubArea_CertifiedAsItIs) {
  const Field fields[] = {
      {"keyBits, more than the modulus has", set16(14, 3072), "tpm.key-type"},
      {"keyBits, too few", set16(14, 1024), "tpm.key-size"},
      {"exponent, even", set16(18, 2), "tpm.key-type"},
      {"modulus, even", [](Bytes& o) { o.back() &= 0xfe; }, "tpm.key-type"},
      {"modulus, shorter", both(set16(20, 255), cut), "tpm.key-type"},
  };
  for (const auto& field : fields)
    EXPECT_EQ(tpm_code(&StatementSpec::edit_pub_area, field.edit, 2048), field.code) << field.name;
}

TEST(TpmMutation, EachFieldOfPubArea_OnceCertified) {
  const Field fields[] = {
      {"type", set16(0, 0x0099), "tpm.pub-area"},
      {"nameAlg, another hash", set16(2, 0x000C), "tpm.name"},
      {"nameAlg, none", set16(2, 0x0012), "tpm.pub-area"},
      {"objectAttributes", flip(7), "tpm.name"},
      {"curveID", set16(14, 0x0004), "tpm.name"},
      {"x", flip(20), "tpm.name"},
      {"y", flip(85), "tpm.name"},
  };
  for (const auto& field : fields)
    EXPECT_EQ(tpm_code(&StatementSpec::edit_sent_pub_area, field.edit), field.code) << field.name;
}

TEST(TpmMutation, SigAndX5c) {
  EXPECT_EQ(tpm_code(&StatementSpec::edit_sent_sig, flip_last), "tpm.signature");
  EXPECT_EQ(tpm_code(&StatementSpec::edit_sent_sig, [](Bytes& o) { o.clear(); }),
            "tpm.signature-form");
  EXPECT_EQ(tpm_code(&StatementSpec::edit_sent_certificate, cut), "ak.chain");
  EXPECT_EQ(tpm_code(&StatementSpec::edit_sent_certificate, flip_last), "ak.chain");
}

TEST(TpmMutation, EachOctetOfSigAndX5c_IsRefused) {
  for (const auto& [where, code] : {std::pair(&StatementSpec::edit_sent_sig, "tpm.signature"),
                                    std::pair(&StatementSpec::edit_sent_certificate, "ak.")}) {
    const auto octets = each_octet([&](Edit edit) {
      const auto got = tpm_code(where, std::move(edit));
      EXPECT_TRUE(got.starts_with(code)) << got;
    });
    EXPECT_GT(octets, 60u);
  }
}

// Each field of a TPMT_SIGNATURE (Part 2 §11.3.4): sigAlg 0, hash 2, r 4, s 38.
TEST(TpmMutation, EachFieldOfTheTpmtSignature) {
  const Field fields[] = {
      {"sigAlg", set16(0, 0x0014), "tpm.signature-form"},
      {"hash", set16(2, 0x000C), "tpm.signature-form"},
      {"r", flip(37), "tpm.signature"},
      {"r, empty", both(set16(4, 0), erase(6, 32)), "tpm.signature-form"},
      {"s", flip(71), "tpm.signature"},
      {"s, empty", both(set16(38, 0), erase(40, 32)), "tpm.signature-form"},
  };
  for (const auto& field : fields) {
    auto spec = StatementMaker::good();
    spec.tpmt_signature = true;
    spec.edit_sent_sig = field.edit;
    EXPECT_EQ(tpm_code(spec), field.code) << field.name;
  }
}

Bytes other_name(std::string_view oid, const Bytes& body) {
  const auto value = x509::tlv(x509::tag::context_constructed(0), body);
  return x509::tlv(x509::tag::context_constructed(0), {x509::der_oid(oid), value});
}
TEST(TpmMutation, EachFieldOfTheSubjectAltName_Malformed) {
  const Bytes utf8 = x509::tlv(x509::tag::kUtf8String, view_of("DEVICE-1"));
  const Bytes not_utf8 = x509::tlv(x509::tag::kUtf8String, Bytes{0xff});
  const Bytes null = x509::tlv(x509::tag::kNull, Bytes());
  constexpr const char *kPermanent = "1.3.6.1.5.5.7.8.3", *kModule = "1.3.6.1.5.5.7.8.4";
  const std::pair<const char*, Bytes> names[] = {
      {"identifierValue", other_name(kPermanent, x509::der_sequence({not_utf8}))},
      {"assigner", other_name(kPermanent, x509::der_sequence({utf8, null}))},
      {"behind the assigner",
       other_name(kPermanent, x509::der_sequence({utf8, x509::der_oid("1.2.3"), null}))},
      {"no sequence", other_name(kPermanent, utf8)},
      {"hwType", other_name(kModule, x509::der_sequence({null, x509::der_octet_string(Bytes(1))}))},
      {"hwSerialNum", other_name(kModule, x509::der_sequence({x509::der_oid("1.2.3"), utf8}))},
      {"directoryName", x509::tlv(x509::tag::context_constructed(4), null)},
  };
  for (const auto& [what, name] : names) {
    auto spec = StatementMaker::good();
    spec.ak.raw_san = x509::tlv(x509::tag::kSequence, name);
    EXPECT_EQ(tpm_code(spec), "ak.san") << what;
  }
}

// ---- packed, apple, android-key, step

const FormatMaker& maker() {
  static const auto* const made = new FormatMaker(kAt);
  return *made;
}
template <class Policy>
Policy rooted() {
  Policy out;
  out.roots = {maker().root()};
  return out;
}

struct Case {
  FormatSpec spec;
  DeviceAttestPolicy policy;
  wire::Identifier identifier = kDevice;
};

void put(Case& c, std::string_view oid, Bytes value) {
  std::erase_if(c.spec.leaf.extensions, [&](const auto& one) { return one.first == oid; });
  c.spec.leaf.extensions.emplace_back(std::string(oid), std::move(value));
}
void drop(Case& c, std::string_view oid) {
  std::erase_if(c.spec.leaf.extensions, [&](const auto& one) { return one.first == oid; });
}

Case with_auth_data(Bytes auth_data) {
  Case out;
  out.spec.format = "packed";
  out.policy.packed = rooted<PackedPolicy>();
  put(out, "1.3.6.1.4.1.45724.1.1.2", x509::der_octet_string(view_of("DEVICE-1")));
  put(out, "1.3.6.1.4.1.45724.1.1.4", x509::der_octet_string(Bytes(16, 0xa5)));
  out.policy.packed->serial_is_text = true;
  out.spec.message = auth_data;
  append(out.spec.message, crypto::sha256(view_of(kKeyAuthorization)));
  out.spec.auth_data = std::move(auth_data);
  return out;
}
Bytes good_auth_data() {
  test::AuthDataSpec spec;
  spec.cose_key = test::cose_ec_key(maker().key(KeyKind::kEcP256).public_key());
  return test::auth_data(spec);
}
Case good_packed() { return with_auth_data(good_auth_data()); }

constexpr const char *kAppleSerial = "1.2.840.113635.100.8.9.1",
                     *kAppleUdid = "1.2.840.113635.100.8.9.2",
                     *kAppleFreshness = "1.2.840.113635.100.8.11.1";
Case good_apple() {
  Case out;
  out.spec.format = "apple";
  out.spec.alg.reset();
  out.spec.has_sig = false;
  out.policy.apple = rooted<ApplePolicy>();
  out.policy.apple->require_external_account = false;
  put(out, kAppleSerial, to_bytes("DEVICE-1"));
  put(out, kAppleUdid, to_bytes("00008101-000A"));
  put(out, kAppleFreshness, to_bytes(crypto::sha256(view_of("token"))));
  return out;
}

constexpr const char* kKeyDescription = "1.3.6.1.4.1.11129.2.1.17";
test::KeyDescriptionSpec described() {
  test::KeyDescriptionSpec out;
  out.challenge = to_bytes(kKeyAuthorization);
  return out;
}
Case with_description(Bytes description) {
  Case out;
  out.spec.format = "android-key";
  out.policy.android = rooted<AndroidPolicy>();
  out.spec.message = to_bytes(kKeyAuthorization);
  put(out, kKeyDescription, std::move(description));
  return out;
}
Case good_android() { return with_description(test::key_description(described())); }

constexpr const char *kFirmware = "1.3.6.1.4.1.41482.3.3", *kSerial = "1.3.6.1.4.1.41482.3.7",
                     *kPolicies = "1.3.6.1.4.1.41482.3.8";
Case good_step() {
  Case out;
  out.spec.format = "step";
  out.spec.wrap_signature = true;
  out.spec.message = to_bytes(kKeyAuthorization);
  out.policy.step = rooted<StepPolicy>();
  put(out, kFirmware, {5, 4, 3});
  put(out, kSerial, x509::der_unsigned(12'345'678));
  put(out, kPolicies, {2, 1});
  out.identifier.value = "12345678";
  return out;
}

std::string code(const Case& c) {
  const auto result =
      appraise_device(maker().attestation_object(c.spec), c.identifier,
                      DeviceChallenge{std::string(kKeyAuthorization)}, c.policy, kAt);
  return result ? "" : result.error().code;
}
template <class Change>
std::string changed(Case c, Change change) {
  change(c);
  return code(c);
}

TEST(FormatMutation, SigAndX5cOfEachFormat_OnceSigned) {
  const std::pair<Case, std::string> formats[] = {{good_packed(), "packed"},
                                                  {good_apple(), "apple"},
                                                  {good_android(), "android"},
                                                  {good_step(), "step"}};
  for (const auto& [good, name] : formats) {
    ASSERT_EQ(code(good), "") << name;
    EXPECT_EQ(changed(good, [](auto& c) { c.spec.edit_sent_certificate = cut; }), name + ".chain");
    EXPECT_EQ(changed(good, [](auto& c) { c.spec.edit_sent_certificate = flip_last; }),
              name + ".chain");
    if (!good.spec.has_sig) continue;
    EXPECT_EQ(changed(good, [](auto& c) { c.spec.edit_sent_sig = flip_last; }),
              name + ".signature");
    EXPECT_EQ(changed(good, [](auto& c) { c.spec.alg = -35; }), name + ".signature");
    EXPECT_EQ(changed(good, [](auto& c) { c.spec.alg = 7; }), name + ".algorithm");
  }
}

TEST(FormatMutation, EachOctetOfSigAndX5c_IsRefused) {
  const std::pair<Case, std::string> formats[] = {{good_packed(), "packed."},
                                                  {good_apple(), "apple."},
                                                  {good_android(), "android."},
                                                  {good_step(), "step."}};
  for (const auto& [good, name] : formats) {
    const auto refused = [&, prefix = name](const Case& c) {
      EXPECT_TRUE(code(c).starts_with(prefix)) << prefix << " " << code(c);
    };
    const auto octets = each_octet([&](Edit edit) {
      auto c = good;
      c.spec.edit_sent_certificate = std::move(edit);
      refused(c);
    });
    EXPECT_GT(octets, 200u) << name;
    if (!good.spec.has_sig) continue;
    EXPECT_GT(each_octet([&](Edit edit) {
                auto c = good;
                c.spec.edit_sent_sig = std::move(edit);
                refused(c);
              }),
              60u)
        << name;
  }
}

// Authenticator data (WebAuthn §6.1): rpIdHash 0, flags 32, signCount 33, aaguid 37, size of the
// credential's id 53, the id 55, COSE key 59 (map head, 1: 2, 3: -7, -1: 1, -2: x, -3: y).
TEST(PackedMutation, EachFieldOfAuthData_SignedAsItIs) {
  const auto swap = [](std::size_t at, std::uint8_t value) -> Edit {
    return [=](Bytes& octets) { octets.at(at) = value; };
  };
  const Field fields[] = {
      {"rpIdHash", flip(0), ""},
      {"flags, user present", flip(32), ""},
      {"flags, attested credential", swap(32, 0x01), "packed.auth-data"},
      {"flags, backup eligible", swap(32, 0x49), "packed.backup-eligible"},
      {"flags, extensions", swap(32, 0xc1), "packed.auth-data"},
      {"signCount", flip(36), ""},
      {"aaguid", flip(37), "packed.aaguid"},
      {"credentialIdLength, beyond the end", set16(53, 1'000), "packed.auth-data"},
      {"credentialIdLength, more than there may be", set16(53, 1'024), "packed.auth-data"},
      {"credentialId", flip(55), ""},
      {"COSE key, not a map", swap(59, 0x85), "packed.auth-data"},
      {"kty", swap(61, 0x01), "packed.key"},
      {"kty, twice", swap(62, 0x01), "packed.auth-data"},
      {"crv", swap(65, 0x02), "packed.key"},
      {"x, its label", swap(66, 0x23), "packed.key"},
      {"x", flip(100), "packed.key"},
      {"y", [](Bytes& o) { o.back() ^= 1; }, "packed.key"},
      {"a label that is text", swap(60, 0x60), "packed.auth-data"},
      {"cut", cut, "packed.auth-data"},
  };
  for (const auto& field : fields) {
    auto octets = good_auth_data();
    field.edit(octets);
    EXPECT_EQ(code(with_auth_data(std::move(octets))), field.code) << field.name;
  }
}

TEST(PackedMutation, EachOctetOfAuthData_OnceSigned) {
  const auto size = good_auth_data().size();
  for (std::size_t at = 0; at < size; ++at) {
    auto c = good_packed();
    c.spec.auth_data->at(at) ^= 1;
    EXPECT_EQ(code(c), "packed.signature") << at;
  }
}

TEST(PackedMutation, EachFieldOfTheCertificate) {
  const auto good = good_packed();
  const auto octets = [](Bytes value) { return x509::der_octet_string(value); };
  const auto serial = [&](Bytes value) {
    return changed(good, [&](auto& c) { put(c, "1.3.6.1.4.1.45724.1.1.2", value); });
  };
  const auto aaguid = [&](Bytes value) {
    return changed(good, [&](auto& c) { put(c, "1.3.6.1.4.1.45724.1.1.4", value); });
  };
  EXPECT_EQ(changed(good, [](auto& c) { c.spec.leaf.country = "AAA"; }), "packed.subject");
  EXPECT_EQ(changed(good, [](auto& c) { c.spec.leaf.organization = ""; }), "packed.subject");
  EXPECT_EQ(changed(good, [](auto& c) { c.spec.leaf.organizational_units.clear(); }),
            "packed.subject");
  EXPECT_EQ(changed(good, [](auto& c) { c.spec.leaf.common_name = ""; }), "packed.subject");
  EXPECT_EQ(serial(octets(to_bytes("DEVICE-2"))), "packed.identifier");
  EXPECT_EQ(serial({0x04, 0x08, 'D'}), "packed.serial");
  EXPECT_EQ(aaguid(octets(Bytes(15, 0xa5))), "packed.aaguid");
  EXPECT_EQ(aaguid(octets(Bytes(16, 0xa4))), "packed.aaguid");
}

TEST(AppleMutation, EachFieldOfTheCertificate) {
  const auto with = [](const char* oid, Bytes value) {
    return changed(good_apple(), [&](auto& c) { put(c, oid, value); });
  };
  EXPECT_EQ(with(kAppleSerial, to_bytes("DEVICE-2")), "apple.identifier");
  EXPECT_EQ(with(kAppleSerial, {0xff}), "apple.identifier");  // the UDID is another
  auto udid = good_apple();
  udid.identifier.value = "00008101-000A";
  ASSERT_EQ(code(udid), "");
  put(udid, kAppleUdid, to_bytes("00008101-000B"));
  EXPECT_EQ(code(udid), "apple.identifier");
  auto neither = good_apple();
  put(neither, kAppleSerial, {0xff});
  put(neither, kAppleUdid, {0xff});
  EXPECT_EQ(code(neither), "apple.no-identifier");
  auto digest = to_bytes(crypto::sha256(view_of("token")));
  digest.back() ^= 1;
  EXPECT_EQ(with(kAppleFreshness, digest), "apple.freshness");
  EXPECT_EQ(with(kAppleFreshness, Bytes(digest.begin(), digest.end() - 1)), "apple.freshness");
  EXPECT_EQ(with(kAppleFreshness, {}), "apple.freshness");
}

// The whole elements of one SEQUENCE.
std::vector<Bytes> elements_of(ByteView der) {
  x509::DerReader outer(der);
  auto body = outer.sequence();
  std::vector<Bytes> out;
  while (body && !body->at_end()) out.push_back(to_bytes(body->any()->whole));
  return out;
}
Bytes sequence_of(const std::vector<Bytes>& elements) {
  Bytes body;
  for (const auto& element : elements) append(body, element);
  return x509::tlv(x509::tag::kSequence, body);
}
Bytes tagged(unsigned number, ByteView content) {
  Bytes out = x509::tlv(0xa0, content);
  if (number < 31) {
    out[0] = static_cast<std::uint8_t>(0xa0 | number);
    return out;
  }
  Bytes head{0xbf, static_cast<std::uint8_t>(0x80 | number >> 7),
             static_cast<std::uint8_t>(number & 0x7f)};
  append(head, ByteView(out).subspan(1));
  return head;
}

// KeyDescription: attestationVersion, attestationSecurityLevel, keyMintVersion, keyMintSecurityLevel,
// attestationChallenge, uniqueId, softwareEnforced, hardwareEnforced.
TEST(AndroidMutation, EachFieldOfKeyDescription_MissingOrOfAnotherType) {
  const auto good = elements_of(test::key_description(described()));
  ASSERT_EQ(good.size(), 8u);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto other = good;
    other[i] = x509::tlv(x509::tag::kNull, Bytes());
    EXPECT_EQ(code(with_description(sequence_of(other))), "android.key-description") << i;
    other = good;
    other.erase(other.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(code(with_description(sequence_of(other))), "android.key-description") << i;
  }
  auto behind = test::key_description(described());
  behind.push_back(0);
  EXPECT_EQ(code(with_description(behind)), "android.key-description");
}

TEST(AndroidMutation, EachAuthorization_OfAnotherType) {
  auto elements = elements_of(test::key_description(described()));
  for (const unsigned tag : {1u, 600u, 702u, 704u, 706u, 713u, 714u, 715u, 718u, 719u, 723u}) {
    elements[7] = sequence_of({tagged(tag, x509::der_boolean(true))});
    EXPECT_EQ(code(with_description(sequence_of(elements))), "android.key-description") << tag;
  }
  elements[7] = sequence_of({x509::der_boolean(true)});  // without any tag
  EXPECT_EQ(code(with_description(sequence_of(elements))), "android.key-description");
  for (const Bytes& head : {Bytes{0xbf, 0x80, 0x01}, Bytes{0xbf, 0x1e}, Bytes{0xbf, 0x85}}) {
    Bytes tag = head;
    append(tag, Bytes{0x00});
    elements[7] = sequence_of({tag});
    EXPECT_EQ(code(with_description(sequence_of(elements))), "android.key-description")
        << hex_encode(head);
  }
}

TEST(AndroidMutation, EachFieldOfRootOfTrust_OfAnotherType) {
  const std::vector<Bytes> good{x509::der_octet_string(Bytes(32, 1)), x509::der_boolean(true),
                                x509::tlv(0x0a, Bytes{0}), x509::der_octet_string(Bytes(32, 2))};
  auto elements = elements_of(test::key_description(described()));
  const auto with = [&](const std::vector<Bytes>& root) {
    elements[7] = sequence_of({tagged(704, sequence_of(root))});
    return code(with_description(sequence_of(elements)));
  };
  EXPECT_EQ(with(good), "android.origin");  // it reads; what stands before it is missing
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto other = good;
    other[i] = x509::tlv(x509::tag::kNull, Bytes());
    EXPECT_EQ(with(other), "android.key-description") << i;
  }
  auto behind = good;
  behind.push_back(x509::der_boolean(true));
  EXPECT_EQ(with(behind), "android.key-description");
}

TEST(AndroidMutation, EachValue_OfAGoodDescription) {
  const auto with = [](std::function<void(test::KeyDescriptionSpec&, AndroidPolicy&)> change) {
    auto spec = described();
    AndroidPolicy policy = rooted<AndroidPolicy>();
    change(spec, policy);
    auto c = with_description(test::key_description(spec));
    c.policy.android = policy;
    return code(c);
  };
  for (const unsigned origin : {1u, 2u, 3u, 4u})
    EXPECT_EQ(with([&](auto& s, auto&) { s.origin = origin; }), "android.origin") << origin;
  for (const unsigned state : {1u, 2u, 3u})
    EXPECT_EQ(with([&](auto& s, auto&) { s.boot_state = state; }), "android.verified-boot")
        << state;
  EXPECT_EQ(with([](auto& s, auto&) { s.purposes.clear(); }), "android.purpose");
  EXPECT_EQ(with([](auto& s, auto&) { s.challenge.back() ^= 1; }), "android.challenge");
  EXPECT_EQ(with([](auto& s, auto&) { s.challenge.clear(); }), "android.challenge");
  EXPECT_EQ(with([](auto& s, auto&) { s.serial = "DEVICE-2"; }), "android.identifier");
  EXPECT_EQ(with([](auto& s, auto& p) {
              p.vendor_patch_min = 1;
              s.vendor_patch.reset();
            }),
            "android.vendor-patch");
  EXPECT_EQ(with([](auto& s, auto& p) {
              p.boot_patch_min = 1;
              s.boot_patch.reset();
            }),
            "android.boot-patch");
  EXPECT_EQ(with([](auto& s, auto& p) {
              p.identities = {AndroidIdentity::kImei};
              s.imei = "DEVICE-2", s.second_imei = "DEVICE-3";
            }),
            "android.identifier");
  EXPECT_EQ(with([](auto& s, auto& p) {
              p.identities = {AndroidIdentity::kMeid};
              s.meid = "DEVICE-2";
            }),
            "android.identifier");
  EXPECT_EQ(with([](auto& s, auto&) { s.serial = "\xff"; }), "android.no-identifier");
}

TEST(StepMutation, EachFieldOfTheCertificateAndSig) {
  const auto good = good_step();
  const auto with = [&](const char* oid, Bytes value) {
    return changed(good, [&](auto& c) { put(c, oid, value); });
  };
  EXPECT_EQ(with(kFirmware, {5, 4}), "step.firmware");
  EXPECT_EQ(with(kFirmware, {5, 4, 3, 0}), "step.firmware");
  EXPECT_EQ(with(kFirmware, {4, 2, 255}), "step.firmware");
  EXPECT_EQ(with(kPolicies, {2}), "step.policy");
  EXPECT_EQ(with(kPolicies, {2, 1, 1}), "step.policy");
  EXPECT_EQ(with(kPolicies, {0, 1}), "step.policy");
  EXPECT_EQ(with(kPolicies, {4, 1}), "step.policy");
  EXPECT_EQ(with(kPolicies, {2, 0}), "step.policy");
  EXPECT_EQ(with(kPolicies, {1, 1}), "step.pin-policy");
  EXPECT_EQ(with(kSerial, x509::der_unsigned(12'345'679)), "step.identifier");
  EXPECT_EQ(with(kSerial, Bytes{0x02, 0x01, 0xff}), "step.serial");  // below zero
  EXPECT_EQ(changed(good, [](auto& c) { drop(c, kSerial); }), "step.no-identifier");
  auto behind = x509::der_unsigned(12'345'678);
  behind.push_back(0);
  EXPECT_EQ(with(kSerial, behind), "step.serial");
  const auto sig = [&](Edit edit) {
    return changed(good, [&](auto& c) { c.spec.edit_sent_sig = edit; });
  };
  EXPECT_EQ(sig([](Bytes& o) { o.push_back(0); }), "step.signature-form");
  EXPECT_EQ(sig(cut), "step.signature-form");
  EXPECT_EQ(sig([](Bytes& o) { o[0] = 0x78; }), "step.signature-form");  // text
  EXPECT_EQ(sig([](Bytes& o) { o = {0x40}; }), "step.signature");        // an empty one
}

// The members' types: whatever the format, and before any rule of it.
TEST(ObjectMutation, EachMember_OfAnotherType) {
  const auto object = [](const char* member_hex) {  // {fmt: "tpm", attStmt: {member}}
    const auto bytes = hex_decode("a263666d746374706d6761747453746d74a1" + std::string(member_hex));
    const auto read = parse_attestation_object(*bytes);
    return read ? "" : read.error().code;
  };
  EXPECT_EQ(object("6376657200"), "object.members");            // ver: 0
  EXPECT_EQ(object("63616c6760"), "object.members");            // alg: ""
  EXPECT_EQ(object("63616c673affffffff"), "object.members");    // alg: -2^32
  EXPECT_EQ(object("637369676178"), "object.members");          // sig: "x"
  EXPECT_EQ(object("63783563816178"), "object.members");        // x5c: ["x"]
  EXPECT_EQ(object("6863657274496e666f80"), "object.members");  // certInfo: []
  EXPECT_EQ(object("677075624172656100"), "object.members");    // pubArea: 0
  const auto auth_data = hex_decode(
      "a363666d746374706d6861757468446174610"
      "0"
      "6761747453746d74a0");
  EXPECT_EQ(parse_attestation_object(*auth_data).error().code, "object.members");
}

}  // namespace
}  // namespace keyward::attest
