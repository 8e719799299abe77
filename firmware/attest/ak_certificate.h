// Owns the rules for an attestation key's certificate (TCG EK/AK profile; WebAuthn §8.3.1; D-D7,
// D-D8). Must not know statements.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/attest/refusal.h"
#include "firmware/wire/messages/common.h"
#include "firmware/x509/certificate.h"

namespace keyward::attest {

struct PermanentIdentifier {
  std::string value;
  std::optional<std::string> assigner;  // dotted
};

struct HardwareModule {  // RFC 4108
  std::string type;      // dotted
  std::string serial;    // octets as they are
};

struct AkSubject {                // from the subject alternative name
  bool has_manufacturer = false;  // 2.23.133.2.1
  bool has_model = false;         // 2.23.133.2.2
  bool has_version = false;       // 2.23.133.2.3
  std::vector<PermanentIdentifier> permanent_identifiers;
  std::vector<HardwareModule> hardware_modules;
};
Result<AkSubject> parse_ak_subject(ByteView subject_alt_name);

// Codes: "ak.version", "ak.subject", "ak.ca", "ak.eku", "ak.san", "ak.key".
Appraised<AkSubject> check_ak_certificate(const x509::Certificate& certificate);

// Codes: "ak.unknown-ca", "ak.expired", "ak.not-yet-valid", "ak.chain".
Appraised<void> check_ak_chain(const x509::Certificate& leaf,
                               const std::vector<x509::Certificate>& intermediates,
                               const std::vector<x509::Certificate>& anchors,
                               std::int64_t at_utc_ms);

// By which the signer knows a certificate of its own again; none: longer than any of its own.
std::optional<Bytes> revocable_serial(const x509::Certificate& certificate);

// The identifier of the order is asserted by the certificate, octet by octet. A permanent-identifier
// ("value" or "value/assigner") by a permanentIdentifier; a hardware-module ("serial/type") by a
// HardwareModuleName or, where `module_type` (dotted) is not empty and is the order's type, by the
// value of a permanentIdentifier (D-D9). Codes: "ak.no-identifier" (a comparison with nothing),
// "ak.identifier".
Appraised<void> check_ak_identifier(const AkSubject& subject, const wire::Identifier& identifier,
                                    std::string_view module_type = "");

}  // namespace keyward::attest
