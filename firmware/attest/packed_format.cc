// Owns the rules of format `packed`. Must not know other formats.
#include "firmware/attest/packed_format.h"

#include <algorithm>

#include "firmware/attest/authenticator_data.h"
#include "firmware/x509/der.h"
#include "firmware/x509/distinguished_name.h"

namespace keyward::attest {
namespace {

constexpr std::string_view kAaguid = "1.3.6.1.4.1.45724.1.1.4";  // id-fido-gen-ce-aaguid
constexpr std::string_view kSerial = "1.3.6.1.4.1.45724.1.1.2";  // id-fido-gen-ce-sernum
constexpr std::size_t kClientDataHashBytes = 32;

Appraised<void> check_members(const Statement& statement) {
  const auto& object = statement.object;
  if (!object.alg || !object.sig)
    return refuse("packed.members", "a packed statement needs alg, sig and x5c");
  if (object.x5c.empty()) {
    return refuse("packed.self",
                  "self attestation proves nothing about a device: x5c must name who vouches");
  }
  if (!object.auth_data || object.auth_data->empty()) {
    return refuse("packed.auth-data",
                  "a packed statement without authData has no attested key, so it cannot be used");
  }
  statement.passed("packed.members", "alg, sig, x5c and authData are there");
  return {};
}

// authData || clientDataHash; the hash stands for the key authorization (D-D6).
Appraised<Bytes> signed_octets(const Statement& statement) {
  Bytes out = *statement.object.auth_data;
  if (!statement.challenge.to_be_signed) {
    append(out, crypto::sha256(view_of(statement.challenge.key_authorization)));
    return out;
  }
  const auto given = statement.to_be_signed();
  const bool fits =
      given.size() == out.size() + kClientDataHashBytes && equal(given.first(out.size()), out);
  if (!fits) {
    return refuse("packed.signature",
                  "the octets to be signed are not this authData and a SHA-256 digest");
  }
  return to_bytes(given);
}

// Name ::= SEQUENCE OF SET OF SEQUENCE { type, value }: C, O, OU and CN, and what OU must be.
bool has_packed_subject(ByteView name_der) {
  constexpr std::string_view kCountry = "2.5.4.6", kOrganization = "2.5.4.10", kUnit = "2.5.4.11",
                             kCommonName = "2.5.4.3";
  bool country = false, organization = false, unit = false, common_name = false;
  const auto walked = x509::for_each_attribute(
      name_der, [&](ByteView type, const x509::DerReader::Any& value) -> Status {
        const auto oid = x509::oid_text(type);
        country |= oid == kCountry && value.content.size() == 2;
        organization |= oid == kOrganization && !value.content.empty();
        unit |= oid == kUnit && text_of(value.content) == "Authenticator Attestation";
        common_name |= oid == kCommonName && !value.content.empty();
        return {};
      });
  return walked && country && organization && unit && common_name;
}

// WebAuthn §8.2.1.
Appraised<void> check_certificate(const Statement& statement, const x509::Certificate& leaf) {
  if (leaf.version != 3)
    return refuse("packed.version", "the attestation certificate must be X.509 version 3");
  if (!has_packed_subject(leaf.subject_der)) {
    return refuse("packed.subject",
                  "the attestation certificate's subject must have C, O, CN and the OU "
                  "'Authenticator Attestation'");
  }
  if (leaf.basic_constraints_ca() != false) {
    return refuse("packed.ca",
                  "the attestation certificate must have basicConstraints with CA:FALSE");
  }
  statement.passed("packed.certificate",
                   "the attestation certificate is as WebAuthn 8.2.1 demands");
  return {};
}

Appraised<void> check_model(const Statement& statement, const PackedPolicy& policy,
                            const x509::Certificate& leaf, const AuthenticatorData& data) {
  if (const auto* extension = leaf.extension(kAaguid); extension != nullptr) {
    x509::DerReader reader(extension->value);
    const auto named = reader.element(x509::tag::kOctetString);
    if (extension->critical || !named || !reader.at_end() || !equal(*named, data.aaguid)) {
      return refuse("packed.aaguid",
                    "the attestation certificate is for another model of authenticator (aaguid) "
                    "than authData names");
    }
  }
  if (!policy.aaguids.empty() && !policy.aaguids.contains(hex_encode(data.aaguid))) {
    return refuse("packed.model", "the model of authenticator " + hex_encode(data.aaguid) +
                                      " is not among those "
                                      "of the policy (packed.aaguids)");
  }
  if (data.backup_eligible && !policy.allow_backup_eligible) {
    return refuse("packed.backup-eligible",
                  "the credential may be copied to other devices (flag BE), so its key names none");
  }
  statement.passed("packed.aaguid", "the model is the certificate's, and one of the policy's");
  return {};
}

// id-fido-gen-ce-sernum ::= OCTET STRING. Absent: no values.
Appraised<std::vector<std::string>> serials(const x509::Certificate& leaf,
                                            const PackedPolicy& policy) {
  const auto* extension = leaf.extension(kSerial);
  if (extension == nullptr) return std::vector<std::string>();
  x509::DerReader reader(extension->value);
  const auto octets = reader.element(x509::tag::kOctetString);
  if (!octets || !reader.at_end())
    return refuse("packed.serial",
                  "the device's serial number (id-fido-gen-ce-sernum) is malformed");
  return std::vector<std::string>{policy.serial_is_text ? std::string(text_of(*octets))
                                                        : hex_encode(*octets)};
}

}  // namespace

Appraised<AttestedKey> appraise_packed(const Statement& statement, const PackedPolicy& policy) {
  KEYWARD_APPRAISE(check_members(statement));
  const auto chain = appraise_chain(statement, "packed", policy.roots);
  if (!chain) return tl::unexpected<Refusal>(chain.error());
  KEYWARD_APPRAISE(check_certificate(statement, chain->leaf));
  const auto message = signed_octets(statement);
  if (!message) return tl::unexpected<Refusal>(message.error());
  KEYWARD_APPRAISE(
      check_signature(statement, "packed", chain->leaf.key, *message, *statement.object.sig));
  // Verify before parse: authData is read only once the authenticator has vouched for it.
  const auto data = parse_authenticator_data(*statement.object.auth_data);
  if (!data) {
    return refuse("packed.auth-data",
                  std::string("the authenticator data is malformed: ") + data.error().what);
  }
  KEYWARD_APPRAISE(check_model(statement, policy, chain->leaf, *data));
  const auto key = certifiable_key(statement, "packed", data->key);
  if (!key) return tl::unexpected<Refusal>(key.error());
  const auto asserted = serials(chain->leaf, policy);
  if (!asserted) return tl::unexpected<Refusal>(asserted.error());
  KEYWARD_APPRAISE(check_identifier(statement, "packed", *asserted, policy.assigner));
  return AttestedKey{statement.object.format, *key, !data->backup_eligible};
}

}  // namespace keyward::attest
