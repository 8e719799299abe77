// Owns the walk through a Name. Must not know what an attribute means.
#include "firmware/x509/distinguished_name.h"

namespace keyward::x509 {

Status for_each_attribute_in(ByteView name_content, const TakeAttribute& take) {
  DerReader rdns(name_content);
  while (!rdns.at_end()) {
    KEYWARD_TRY(rdn, rdns.nested(tag::kSet));
    if (rdn.at_end()) return fail(ErrorKind::kBadInput, "name: empty RDN");
    while (!rdn.at_end()) {
      KEYWARD_TRY(attribute, rdn.sequence());
      KEYWARD_TRY(type, attribute.oid());
      KEYWARD_TRY(value, attribute.any());
      KEYWARD_CHECK(attribute.expect_end());
      KEYWARD_CHECK(take(type, value));
    }
  }
  return {};
}

Status for_each_attribute(ByteView name_der, const TakeAttribute& take) {
  DerReader outer(name_der);
  KEYWARD_TRY(content, outer.element(tag::kSequence));
  KEYWARD_CHECK(outer.expect_end());
  return for_each_attribute_in(content, take);
}

}  // namespace keyward::x509
