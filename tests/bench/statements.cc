// Measures verifications of attestations: CPU time of one thread, each beside one P-256 signature
// verification of the same run. Prints a table. Everything verified is made before the clock starts.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "firmware/appraise/event_log.h"
#include "firmware/appraise/tpm_quote.h"
#include "firmware/attest/device_attest.h"
#include "firmware/attest/ek_certificate.h"
#include "firmware/attest/make_credential.h"
#include "firmware/attest/vendor_token.h"
#include "firmware/rats/cose.h"
#include "firmware/rats/ear.h"
#include "firmware/rats/eat.h"
#include "firmware/rats/jwe.h"
#include "firmware/rats/jwt.h"
#include "firmware/rats/pkix_evidence.h"
#include "firmware/x509/der.h"
#include "tests/support/endorsement/endorsement.h"
#include "tests/support/quote/quote.h"
#include "tests/support/rats/rats.h"
#include "tests/support/statement/formats.h"
#include "tests/support/statement/statement.h"

namespace {

using namespace keyward;  // NOLINT(google-build-using-namespace): a program of one file
using crypto::KeyKind;
using crypto::PrivateKey;
namespace cb = test::cb;

constexpr std::int64_t kAt = test::kRatsAtMs;
constexpr double kLeastUs = 600'000;
constexpr const char* kKeyAuthorization = "token.thumbprint";
const std::string kNonceText = "yoW1RL2zPBzYEHBQ06Jy";

double cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double floor_us = 0;  // of one P-256 verification: the first row

// A refusal would be measured as a fast verification: it ends the program.
template <class Work>
void row(const char* name, Work work) {
  for (int i = 0; i < 20; ++i) {
    if (!work()) {
      std::fprintf(stderr, "%s: refused\n", name);
      std::exit(1);
    }
  }
  int times = 0;
  const double begin = cpu_us();
  double spent = 0;
  while (spent < kLeastUs) {
    for (int i = 0; i < 20; ++i, ++times) {
      if (!work()) std::abort();
    }
    spent = cpu_us() - begin;
  }
  const double each = spent / times;
  if (floor_us == 0) floor_us = each;
  std::printf("| %s | %.0f | %.0f | %.1f |\n", name, 1e6 / each, each, each / floor_us);
  std::fflush(stdout);
}

void signature_row() {
  const auto key = *PrivateKey::generate(KeyKind::kEcP256);
  const Bytes message(900, 7);
  const auto signature =
      *key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, message);
  row("P-256 signature", [&] {
    return key.public_key().verify(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256,
                                   message, signature);
  });
}

const wire::Identifier kDevice{wire::IdentifierType::kPermanentIdentifier, "DEVICE-1"};

void tpm_rows() {
  const test::StatementMaker maker(kAt);
  const attest::DeviceAttestPolicy policy{{maker.anchor()}};
  for (const std::int64_t alg : {-7, -257}) {
    auto spec = test::StatementMaker::good();
    spec.alg = spec.ak_alg = alg;
    const auto object = maker.attestation_object(spec);
    row(alg == -7 ? "device-attest tpm, ES256" : "device-attest tpm, RS256", [&] {
      return attest::appraise_device(object, kDevice, kKeyAuthorization, policy, kAt).has_value();
    });
  }
}

void format_row(const char* name, const test::FormatMaker& maker, const test::FormatSpec& spec,
                const std::string& device) {
  attest::DeviceAttestPolicy policy;
  policy.packed.emplace().roots = {maker.root()};
  policy.apple.emplace().roots = {maker.root()};
  policy.android.emplace().roots = {maker.root()};
  policy.step.emplace().roots = {maker.root()};
  const auto object = maker.attestation_object(spec);
  const attest::DeviceChallenge challenge{kKeyAuthorization, {}, true};
  const wire::Identifier identifier{wire::IdentifierType::kPermanentIdentifier, device};
  row(name, [&] {
    return attest::appraise_device(object, identifier, challenge, policy, kAt).has_value();
  });
}

void format_rows() {
  const test::FormatMaker maker(kAt);
  test::FormatSpec packed;
  packed.format = "packed";
  test::AuthDataSpec auth;
  auth.cose_key = test::cose_ec_key(maker.key(KeyKind::kEcP384).public_key());
  packed.auth_data = test::auth_data(auth);
  packed.message = *packed.auth_data;
  append(packed.message, crypto::sha256(view_of(kKeyAuthorization)));
  packed.leaf.extensions = {{"1.3.6.1.4.1.45724.1.1.4", x509::der_octet_string(Bytes(16, 0xa5))},
                            {"1.3.6.1.4.1.45724.1.1.2", x509::der_octet_string(Bytes{0xde, 0x01})}};
  format_row("device-attest packed", maker, packed, "de01");

  test::FormatSpec apple;
  apple.format = "apple";
  apple.alg.reset();
  apple.has_sig = false;
  apple.message = to_bytes(kKeyAuthorization);
  apple.leaf.extensions = {
      {"1.2.840.113635.100.8.9.1", to_bytes("DEVICE-1")},
      {"1.2.840.113635.100.8.9.2", to_bytes("00008101-000A")},
      {"1.2.840.113635.100.8.11.1", to_bytes(crypto::sha256(view_of("token")))}};
  format_row("device-attest apple", maker, apple, "DEVICE-1");

  test::FormatSpec android;
  android.format = "android-key";
  android.message = to_bytes(kKeyAuthorization);
  test::KeyDescriptionSpec description;
  description.challenge = to_bytes(kKeyAuthorization);
  android.leaf.extensions = {{"1.3.6.1.4.1.11129.2.1.17", test::key_description(description)}};
  format_row("device-attest android-key", maker, android, "DEVICE-1");

  test::FormatSpec step;
  step.format = "step";
  step.wrap_signature = true;
  step.message = to_bytes(kKeyAuthorization);
  step.leaf.extensions = {{"1.3.6.1.4.1.41482.3.3", {5, 4, 3}},
                          {"1.3.6.1.4.1.41482.3.7", x509::der_unsigned(12'345'678)},
                          {"1.3.6.1.4.1.41482.3.8", {2, 1}}};
  format_row("device-attest step", maker, step, "12345678");
}

void token_rows() {
  const auto key = *PrivateKey::generate(KeyKind::kEcP256);
  const rats::TrustAnchors anchors{{{"v", key.public_key()}}, {}, kAt};
  const auto iat = std::to_string(test::kRatsAtS - 5), exp = std::to_string(test::kRatsAtS + 600);
  const auto jwt = [&](const std::string& claims) {
    return *rats::make_compact(key, claims, {.kid = "v", .typ = "JWT"});
  };
  const auto eat = jwt(R"({"iss":"v","iat":)" + iat + R"(,"exp":)" + exp + R"(,"eat_nonce":")" +
                       kNonceText + R"(","ueid":"AQEBAQEBAQ","dbgstat":"disabled-permanently",)" +
                       R"("oemboot":true,"swname":"fw","submods":{"tee":{"swname":"tee"}}})");
  row("EAT, JWT", [&] { return rats::verify_eat_jwt(eat, anchors).has_value(); });
  const auto cwt = *rats::make_sign1(key,
                                     cb::map({{cb::integer(1), cb::text("v")},
                                              {cb::integer(6), cb::integer(test::kRatsAtS)},
                                              {cb::integer(10), cb::bytes(Bytes(32, 7))},
                                              {cb::integer(256), cb::bytes(Bytes(7, 1))},
                                              {cb::integer(262), cb::boolean(true)},
                                              {cb::integer(270), cb::text("fw")}}),
                                     {.kid = "v"});
  row("EAT, CWT", [&] { return rats::verify_eat_cwt(cwt, anchors).has_value(); });
  const auto ear =
      jwt(R"({"eat_profile":")" + std::string(rats::kEarProfile) + R"(","iat":)" + iat +
          R"(,"exp":)" + exp + R"(,"eat_nonce":")" + kNonceText +
          R"(","ear_verifier_id":{"developer":"https://v","build":"1.0"},"submods":{"machine":{)" +
          R"("ear_status":"affirming","ear_trustworthiness_vector":{"instance-identity":2}}}})");
  row("EAR, JWT", [&] { return rats::verify_ear_jwt(ear, anchors).has_value(); });
}

void pkix_row() {
  const test::RatsAuthority authority;
  const auto ak = *PrivateKey::generate(KeyKind::kEcP256);
  const auto attested = *PrivateKey::generate(KeyKind::kEcP256);
  auto spec = test::good_pkix(Bytes(32, 7), attested.public_key());
  test::CertificateSpec leaf;
  leaf.extended_key_usage = test::kAkUsage;
  spec.certificate = authority.issue(ak.public_key(), leaf);
  const auto evidence = test::make_pkix(spec, ak);
  const rats::TrustAnchors anchors{{}, {authority.root()}, kAt};
  const auto oids = test::pkix_oids();
  row("PKIX evidence",
      [&] { return rats::verify_pkix_evidence(evidence, anchors, oids).has_value(); });
}

void jwe_rows() {
  rats::SoftwareDecryptionKey ec("ec", *PrivateKey::generate(KeyKind::kEcP256));
  rats::SoftwareDecryptionKey rsa("rsa", *PrivateKey::generate(KeyKind::kRsa));
  const Bytes plaintext(2'000, 'x');
  const auto of_ec = *rats::make_jwe(ec.public_key(), plaintext,
                                     {rats::JweAlgorithm::kEcdhEsA256Kw, "ec", "cmw+json"});
  row("JWE open, ECDH-ES+A256KW", [&] { return rats::open_jwe(of_ec, {&ec, &rsa}).has_value(); });
  const auto of_rsa = *rats::make_jwe(rsa.public_key(), plaintext,
                                      {rats::JweAlgorithm::kRsaOaep256, "rsa", "cmw+json"});
  row("JWE open, RSA-OAEP-256", [&] { return rats::open_jwe(of_rsa, {&ec, &rsa}).has_value(); });
}

void quote_row() {
  const test::QuoteMaker maker(kAt);
  appraise::Fresh fresh;
  fresh.token = base64url_encode(Bytes(48, 7));
  fresh.key_authorization = fresh.token + ".thumbprint";
  test::QuoteSpec spec;
  spec.extra_data = to_bytes(crypto::sha256(view_of(fresh.key_authorization)));
  for (unsigned i = 0; spec.log.events.size() < 100; ++i)
    spec.log.events.push_back(
        {i % 2 == 0 ? 4U : 7U, 0x00000005, "event " + std::to_string(i), std::nullopt});
  const auto octets = appraise::write_quote_record(maker.record(spec));
  const std::vector<x509::Certificate> roots{maker.anchor()};
  row("TPM quote, log of 100 events", [&] {
    const auto record = appraise::parse_quote_record(octets);
    if (!record) return false;
    const auto quote = appraise::verify_quote(*record, roots, fresh, kAt);
    const auto log = appraise::parse_event_log(*record->event_log);
    if (!quote || !log || log->events.size() != 100) return false;
    const auto values = appraise::replay(*log, appraise::Bank::kSha256);
    return values == quote->pcrs.at(appraise::Bank::kSha256);
  });
}

void vendor_row() {
  const auto key = *PrivateKey::generate(KeyKind::kEcP256);
  attest::Vendor vendor;
  vendor.name = "vendor";
  vendor.iss = "as.vendor.com";
  vendor.keys = {{"k1", key.public_key()}};
  vendor.audience = "acme.com";
  vendor.algorithms = {"ES256"};
  vendor.mac_prefixes = {"00:24:98"};
  Digest256 account{};
  account.fill(0x5a);
  const auto token = *rats::make_compact(
      key,
      R"({"iss":"as.vendor.com","sub":"00-24-98-7B-19-02","aud":["customer.com","acme.com"],"exp":)" +
          std::to_string(test::kRatsAtS + 300) + R"(,"jti":"1","cnf":{"jkt":")" +
          base64url_encode(account) + "\"}}",
      {.kid = "k1", .typ = "JWT"});
  const wire::Identifier mac{wire::IdentifierType::kMac, "00:24:98:7b:19:02"};
  const attest::VendorPolicy policy{vendor};
  row("vendor token (JWT)", [&] {
    return !attest::verify_vendor_token({token, &mac, account, false}, policy, kAt).refusal;
  });
}

void endorsement_rows() {
  const test::EkMaker maker(kAt);
  attest::EkPolicy policy;
  policy.roots = {maker.root()};
  const auto certificate = maker.certificate();
  const std::vector<Bytes> chain{maker.intermediate().der};
  row("EK chain (leaf, intermediate, root)",
      [&] { return attest::appraise_ek(certificate, chain, policy, kAt).has_value(); });
  Bytes name{0x00, 0x0B};
  append(name, crypto::sha256(view_of("name")));
  const Bytes secret(32, 9);
  const auto ec = *attest::ek_template(maker.ek().public_key());
  row("MakeCredential, EK P-256",
      [&] { return attest::make_credential(ec, name, secret).has_value(); });
  const auto rsa_key = *PrivateKey::generate(KeyKind::kRsa);
  const auto rsa = attest::ek_template(rsa_key.public_key());
  if (!rsa) return;
  row("MakeCredential, EK RSA 2048",
      [&] { return attest::make_credential(*rsa, name, secret).has_value(); });
}

}  // namespace

int main() {
  std::printf("| what | a second | µs each | x one P-256 verification |\n|---|---|---|---|\n");
  signature_row();
  tpm_rows();
  format_rows();
  token_rows();
  pkix_row();
  jwe_rows();
  quote_row();
  vendor_row();
  endorsement_rows();
  return 0;
}
