// Owns the walk through a Name (RFC 5280 §4.1.2.4; X.501 §9.2). Must not know what an attribute
// means, nor the order in which a SET should stand: vendors leave sets unsorted.
// Errors: kBadInput. Threads: functions without state.
#pragma once

#include <functional>

#include "firmware/x509/der.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::x509 {

// `type` is the content of the attribute's OID; both views live as long as the Name.
using TakeAttribute = std::function<Status(ByteView type, const DerReader::Any& value)>;

// Each attribute of the Name in the order of its octets, until `take` refuses one: then its error.
// An RDN without an attribute and octets behind a value are refused.
Status for_each_attribute(ByteView name_der, const TakeAttribute& take);
// The same, of a Name whose tag and length are read already.
Status for_each_attribute_in(ByteView name_content, const TakeAttribute& take);

}  // namespace keyward::x509
