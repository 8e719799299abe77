// Owns the reading and writing of SubjectAltName values. Must not know who may have which name.
#include "firmware/x509/names.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>

#include "firmware/identifier/identifier.h"
#include "firmware/x509/der.h"
#include "firmware/x509/oids.h"

namespace keyward::x509 {
namespace {

using wire::Identifier;
using wire::IdentifierType;

constexpr auto kOtherName = tag::context_constructed(0);
constexpr auto kDnsName = tag::context(2);
constexpr auto kDirectoryName = tag::context_constructed(4);
constexpr auto kUri = tag::context(6);
constexpr auto kIpAddress = tag::context(7);

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Result<Bytes> ip_name(const std::string& text) {
  std::array<std::uint8_t, 16> address{};
  if (::inet_pton(AF_INET, text.c_str(), address.data()) == 1)
    return tlv(kIpAddress, ByteView(address).first(4));
  if (::inet_pton(AF_INET6, text.c_str(), address.data()) == 1)
    return tlv(kIpAddress, ByteView(address));
  return bad("san: not an address");
}

Bytes other_name(std::string_view type_oid, const Bytes& value) {
  return tlv(kOtherName, {der_oid(type_oid), tlv(kOtherName, value)});
}

Result<Bytes> device_name(const Identifier& identifier) {
  KEYWARD_TRY(parts, identifier::split_device_value(identifier));
  Bytes oid;
  if (parts.oid) {
    KEYWARD_TRY(encoded, der_oid_checked(*parts.oid));
    oid = std::move(encoded);
  }
  if (identifier.type == IdentifierType::kHardwareModule) {
    return other_name(oids::kHardwareModuleName,
                      der_sequence({oid, der_octet_string(view_of(parts.value))}));
  }
  return other_name(oids::kPermanentIdentifier,
                    der_sequence({tlv(tag::kUtf8String, view_of(parts.value)), oid}));
}

bool is_printable(ByteView text) {
  return !text.empty() && std::ranges::all_of(text, [](auto c) { return c > 0x20 && c < 0x7f; });
}

Result<Bytes> uri_name(std::string_view uri) {
  if (!is_printable(view_of(uri))) return bad("san: not a URI");
  return tlv(kUri, view_of(uri));
}

Result<Bytes> general_name(const Identifier& identifier) {
  switch (identifier.type) {
    case IdentifierType::kDns:
      return tlv(kDnsName, view_of(identifier.value));
    case IdentifierType::kIp:
      return ip_name(identifier.value);
    case IdentifierType::kPermanentIdentifier:
    case IdentifierType::kHardwareModule:
      return device_name(identifier);
    case IdentifierType::kMac: {
      KEYWARD_TRY(octets, identifier::mac_octets(identifier));
      return other_name(oids::kMacAddress, der_octet_string(octets));
    }
    case IdentifierType::kUri:
      return uri_name(identifier.value);
    case IdentifierType::kTnAuthList:  // extensions of their own (RFC 8226, RFC 9118)
    case IdentifierType::kJwtClaimConstraints:
    case IdentifierType::kEnhancedJwtClaimConstraints:
    case IdentifierType::kRemoteAttestation:  // in no certificate
      break;
  }
  return bad("san: unknown identifier type");
}

// A "/" inside would make the rebuilt text ambiguous: the OID could be part of the value.
bool is_rebuildable(ByteView value) {
  return !value.empty() && wire::is_valid_utf8(value) &&
         std::ranges::find(value, '/') == value.end();
}

Result<std::string> read_permanent_identifier(DerReader& in) {
  KEYWARD_TRY(sequence, in.sequence());
  // identifierValue is OPTIONAL in RFC 4043 and required by device-attest-10 §3.
  KEYWARD_TRY(value, sequence.element(tag::kUtf8String));
  if (!is_rebuildable(value)) return bad("san: permanent identifier value");
  std::string out(text_of(value));
  if (!sequence.at_end()) {
    KEYWARD_TRY(oid, sequence.oid());
    out += '/' + oid_text(oid);
  }
  KEYWARD_CHECK(sequence.expect_end());
  return out;
}

Result<std::string> read_hardware_module(DerReader& in) {
  KEYWARD_TRY(sequence, in.sequence());
  KEYWARD_TRY(oid, sequence.oid());
  KEYWARD_TRY(serial, sequence.element(tag::kOctetString));
  KEYWARD_CHECK(sequence.expect_end());
  if (!is_rebuildable(serial)) return bad("san: hardware module serial");
  return std::string(text_of(serial)) + '/' + oid_text(oid);
}

Status read_other_name(ByteView content, GeneralNames& out) {
  DerReader in(content);
  KEYWARD_TRY(type, in.oid());
  KEYWARD_TRY(value, in.nested(kOtherName));
  KEYWARD_CHECK(in.expect_end());
  const auto name = oid_text(type);
  if (name == oids::kPermanentIdentifier) {
    KEYWARD_TRY(text, read_permanent_identifier(value));
    out.permanent_identifiers.push_back(std::move(text));
    return value.expect_end();
  }
  if (name == oids::kHardwareModuleName) {
    KEYWARD_TRY(text, read_hardware_module(value));
    out.hardware_modules.push_back(std::move(text));
    return value.expect_end();
  }
  if (name == oids::kMacAddress) {
    KEYWARD_TRY(octets, value.element(tag::kOctetString));
    auto text = identifier::mac_text(octets);
    if (!text) return bad("san: not a device's MAC address");
    out.macs.push_back(std::move(*text));
    return value.expect_end();
  }
  out.has_other = true;
  return {};
}

}  // namespace

Result<Bytes> general_names_der(const std::vector<Identifier>& identifiers,
                                const std::vector<std::string>& uris, ByteView directory_name) {
  if (identifiers.empty() && uris.empty() && directory_name.empty())
    return bad("san: no name");  // RFC 5280: SIZE (1..MAX)
  Bytes content;
  // A Name is a CHOICE, so its tag is explicit (X.680 §31.2.7).
  if (!directory_name.empty()) append(content, tlv(kDirectoryName, directory_name));
  for (const auto& identifier : identifiers) {
    KEYWARD_TRY(name, general_name(identifier));
    append(content, name);
  }
  for (const auto& uri : uris) {
    KEYWARD_TRY(name, uri_name(uri));
    append(content, name);
  }
  return tlv(tag::kSequence, content);
}

Result<GeneralNames> read_general_names(ByteView der) {
  DerReader outer(der);
  KEYWARD_TRY(in, outer.sequence());
  KEYWARD_CHECK(outer.expect_end());
  if (in.at_end()) return bad("san: no name");
  GeneralNames out;
  while (!in.at_end()) {
    KEYWARD_TRY(name, in.any());
    if (name.tag == kOtherName) {
      KEYWARD_CHECK(read_other_name(name.content, out));
    } else if (name.tag == kDnsName) {
      if (!is_printable(name.content)) return bad("san: dNSName is not printable ASCII");
      out.dns_names.emplace_back(text_of(name.content));
    } else if (name.tag == kIpAddress) {
      if (name.content.size() != 4 && name.content.size() != 16)
        return bad("san: iPAddress of another length");
      out.ip_addresses.push_back(to_bytes(name.content));
    } else if (name.tag == kUri) {
      if (!is_printable(name.content)) return bad("san: URI is not printable ASCII");
      out.uris.emplace_back(text_of(name.content));
    } else {
      out.has_other = true;
    }
  }
  return out;
}

}  // namespace keyward::x509
