// Tests of what the agent writes about its platform, without a TPM.
#include "firmware/agent/evidence.h"

#include <gtest/gtest.h>

#include "firmware/agent/ak_enroller.h"

namespace keyward::agent {
namespace {

TEST(AgentEvidenceTest, Selection_WithoutBank_IsSha256) {
  const auto selection = selection_from("7,0,14");
  ASSERT_TRUE(selection);
  EXPECT_EQ(selection->hash_alg, 0x000B);
  EXPECT_EQ(selection->registers, (std::vector<std::uint8_t>{0, 7, 14}));
}

TEST(AgentEvidenceTest, Selection_WithBank_IsThatBank) {
  EXPECT_EQ(selection_from("sha1:1")->hash_alg, 0x0004);
  EXPECT_EQ(selection_from("sha384:1")->hash_alg, 0x000C);
}

TEST(AgentEvidenceTest, Selection_Wrong_IsRefused) {
  for (const char* text :
       {"", "sha256:", "sha512:1", "24", "-1", "1,", ",1", "1,,2", "1,1", "x", "0x1", " 1", "1 "}) {
    const auto selection = selection_from(text);
    ASSERT_FALSE(selection) << text;
    EXPECT_EQ(selection.error().kind, ErrorKind::kBadInput) << text;
  }
}

TEST(AgentEvidenceTest, CmwRecord_WithAndWithoutIndication_IsTheDraftsArray) {
  EXPECT_EQ(cmw_record("application/eat-ucs+json", view_of("{}"), 4),
            R"(["application/eat-ucs+json","e30",4])");
  EXPECT_EQ(cmw_record("application/eat+jwt", view_of("{}"), 0),
            R"(["application/eat+jwt","e30"])");
}

TEST(AgentEvidenceTest, EndorsementCertificate_PaddedInTheTpm_IsTrimmed) {
  const Bytes padded{0x30, 0x82, 0x00, 0x02, 0x05, 0x00, 0xff, 0xff};
  const auto trimmed = trim_certificate(padded);
  ASSERT_TRUE(trimmed);
  EXPECT_EQ(hex_encode(*trimmed), "308200020500");
}

TEST(AgentEvidenceTest, EndorsementCertificate_NoneOrCutOff_IsRefused) {
  for (const Bytes& content : {Bytes{}, Bytes(8, 0xff), Bytes{0x30, 0x82, 0x00, 0x03, 0x05, 0x00}})
    EXPECT_FALSE(trim_certificate(content));
}

}  // namespace
}  // namespace keyward::agent
