// Owns a CA that is elsewhere: what it is asked for (PKCS#10), and how its answers are judged. Must
// not know files, tokens' names, or how a request travels.
//
// The CA elsewhere is the anchor: nothing here asks who certified it. What it may decide by itself is the
// serial number, when validity begins, an earlier end than was asked for, and where its own lists are;
// everything else is the plan's, or the certificate does not count.
// Errors: kBadInput (not readable), kCorrupt (not what was asked for), kRefused (no path, no CA),
// kUnavailable (token away). Threads: one.
// Source: RFC 2986 §4; RFC 2985 §5.4.2 (extensionRequest); RFC 5280 §4.2.1.
#pragma once

#include "firmware/ceremony/products.h"

namespace keyward::ceremony {

// DER, signed by the key itself; subject, CA rights and name constraints as in the plan.
Result<Bytes> request_ca(hal::SigningToken& token, const CaPlan& subject);
// The same for a ledger's signer: digitalSignature, used for heads of ledgers alone.
Result<Bytes> request_audit(hal::SigningToken& token, const std::string& key_label,
                            const EndEntity& subject);

// The CA that is asked: may certify CAs, and is valid now.
Status lint_ca_elsewhere(ByteView der, std::int64_t now_ms);
// `spki`: of the key that the request was for.
Status lint_certified_ca(const CaPlan& plan, ByteView spki, ByteView issuer_der, ByteView der,
                         std::int64_t now_ms);
Status lint_certified_audit(const EndEntity& plan, ByteView spki, ByteView issuer_der, ByteView der,
                            std::int64_t now_ms);

}  // namespace keyward::ceremony
