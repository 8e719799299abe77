// The rules over what the DNS says, without a DNS: issue-values, CAA sets, labels and hashed
// accounts, TXT strings, reverse names, mail as it goes out.
#include <gtest/gtest.h>

#include "firmware/validate/caa.h"
#include "firmware/validate/dns_look.h"
#include "firmware/validate/issue_value.h"
#include "firmware/validate/mail.h"
#include "firmware/validate/tls_alpn01.h"

namespace keyward::validate {
namespace {

// ---- issue-value (RFC 8659 §4.2)

TEST(IssueValue_WellFormed, Parts_AreRead) {
  const auto value = parse_issue_value(" CA.Example ; AccountURI = https://x/1;b-2=\t; c=y ");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->issuer, "ca.example");
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"accounturi", "https://x/1"}, {"b-2", ""}, {"c", "y"}};
  EXPECT_EQ(value->parameters, expected);
}

TEST(IssueValue_Nobody, IsAnEmptyIssuer) {
  for (const char* text : {"", ";", " ; ", "\t"}) {
    const auto value = parse_issue_value(text);
    ASSERT_TRUE(value) << text;
    EXPECT_TRUE(value->issuer.empty() && value->parameters.empty()) << text;
  }
}

class IssueValueMalformed : public ::testing::TestWithParam<const char*> {};
TEST_P(IssueValueMalformed, IsRefused) { EXPECT_FALSE(parse_issue_value(GetParam())); }
INSTANTIATE_TEST_SUITE_P(Table, IssueValueMalformed,
                         ::testing::Values("ca.example.", ".ca.example", "ca..example",
                                           "-ca.example", "ca-.example", "ca example",
                                           "ca.example; a", "ca.example; a=b;", "ca.example;; a=b",
                                           "ca.example; =b", "ca.example; a b=c",
                                           "ca.example; a=b c", "c\xc3\xa4.example",
                                           "ca.example; a=\x01", "ca_x.example",
                                           "ca.example; -a=b"));

// ---- CAA

Bytes caa(std::uint8_t flags, std::string_view tag, std::string_view value) {
  Bytes out{flags, static_cast<std::uint8_t>(tag.size())};
  append(out, view_of(tag));
  append(out, view_of(value));
  return out;
}

const char* const kAccount = "https://ca.example/acct/1";

std::string decided(const std::vector<Bytes>& records, bool wildcard = false) {
  const auto outcome = caa_decide(
      records, {{"ca.example", "ca2.example"}, "host.example", wildcard, "dns-01", kAccount});
  if (outcome.problem) {
    EXPECT_EQ(outcome.problem->type, "caa");
    EXPECT_FALSE(outcome.account_url_counted);
    return outcome.problem->code;
  }
  return outcome.account_url_counted ? "account" : "may";
}

TEST(Caa_Issue, Table_IsAsTheTextSays) {
  EXPECT_EQ(decided({}), "may");
  EXPECT_EQ(decided({caa(0, "issue", "ca.example")}), "may");
  EXPECT_EQ(decided({caa(0, "ISSUE", "CA2.EXAMPLE")}), "may");
  EXPECT_EQ(decided({caa(128, "issue", "ca.example")}), "may");
  EXPECT_EQ(decided({caa(0, "issue", ";"), caa(0, "issue", "ca.example")}), "may");
  EXPECT_EQ(decided({caa(0, "iodef", "mailto:x@y")}), "may");
  EXPECT_EQ(decided({caa(128, "iodef", "mailto:x@y")}), "may");
  EXPECT_EQ(decided({caa(0, "unknown", "x")}), "may");
  EXPECT_EQ(decided({caa(0, "issuewild", ";")}), "may");
  EXPECT_EQ(decided({caa(0, "issue", ";")}), "caa.forbidden");
  EXPECT_EQ(decided({caa(0, "issue", "")}), "caa.forbidden");
  EXPECT_EQ(decided({caa(0, "issue", "ca.example.org")}), "caa.forbidden");
  EXPECT_EQ(decided({caa(0, "issue", "sub.ca.example")}), "caa.forbidden");
  EXPECT_EQ(decided({caa(0, "issue", "%%%")}), "caa.malformed");
  EXPECT_EQ(decided({caa(0, "issue", "ca.example;")}), "may");
  EXPECT_EQ(decided({caa(128, "issue", "ca.example"), caa(128, "tbs", "x")}), "caa.critical");
  EXPECT_EQ(decided({caa(129, "issuemail", "ca.example")}), "caa.critical");
  EXPECT_EQ(decided({caa(1, "tbs", "x")}), "may");  // another bit than the critical one
}

TEST(Caa_RecordUnreadable, ForbidsAll) {
  for (const Bytes& record :
       {Bytes{}, Bytes{0}, Bytes{0, 0, 'x'}, Bytes{0, 9, 'i', 's'}, Bytes{0, 2, 'i', '-', 'x'}})
    EXPECT_EQ(decided({record, caa(0, "issue", "ca.example")}), "caa.malformed");
}

TEST(Caa_Wildcard, IssuewildSpeaksWhenThere) {
  EXPECT_EQ(decided({}, true), "may");
  EXPECT_EQ(decided({caa(0, "issue", "ca.example")}, true), "may");
  EXPECT_EQ(decided({caa(0, "issue", ";")}, true), "caa.forbidden");
  EXPECT_EQ(decided({caa(0, "issuewild", "ca.example")}, true), "may");
  EXPECT_EQ(decided({caa(0, "issuewild", ";")}, true), "caa.forbidden");
  EXPECT_EQ(decided({caa(0, "issue", "ca.example"), caa(0, "issuewild", "other")}, true),
            "caa.forbidden");
  // The grant covers the name itself too.
  EXPECT_EQ(decided({caa(0, "issue", ";"), caa(0, "issuewild", "ca.example")}, true),
            "caa.forbidden");
}

TEST(Caa_Parameters, OfRfc8657_AreHeld) {
  const auto issue = [](const std::string& parameters) {
    return decided({caa(0, "issue", "ca.example; " + parameters)});
  };
  const std::string account = std::string("accounturi=") + kAccount;
  EXPECT_EQ(issue(account), "account");
  EXPECT_EQ(issue("AccountURI=" + std::string(kAccount)), "account");
  EXPECT_EQ(issue(account + "0"), "caa.account");
  EXPECT_EQ(issue("accounturi="), "caa.account");
  EXPECT_EQ(issue(account + "; " + account), "caa.account");
  EXPECT_EQ(issue("validationmethods=dns-01"), "may");
  EXPECT_EQ(issue("validationmethods=http-01,dns-01"), "may");
  EXPECT_EQ(issue("validationmethods=http-01"), "caa.method");
  EXPECT_EQ(issue("validationmethods="), "caa.method");
  EXPECT_EQ(issue("validationmethods=dns-011"), "caa.method");
  EXPECT_EQ(issue("validationmethods=DNS-01"), "caa.method");
  EXPECT_EQ(issue("validationmethods=dns-01; validationmethods=dns-01"), "caa.method");
  EXPECT_EQ(issue(account + "; validationmethods=http-01"), "caa.method");
  EXPECT_EQ(issue("unknown=x"), "may");
}

TEST(Caa_SeveralOfOurs, TheOneThatNamesNoAccountIsTaken) {
  const auto named = caa(0, "issue", std::string("ca.example; accounturi=") + kAccount);
  EXPECT_EQ(decided({named, caa(0, "issue", "ca2.example")}), "may");
  EXPECT_EQ(decided({named, caa(0, "issue", "other")}), "account");
  EXPECT_EQ(decided({caa(0, "issue", "ca.example"),
                     caa(0, "issuewild", std::string("ca.example; accounturi=") + kAccount)},
                    true),
            "account");
}

// ---- labels and hashed accounts

TEST(DnsAccount_Label, IsTheDraftsVector) {
  EXPECT_EQ(account_label("https://example.com/acme/acct/ExampleAccount"), "_ujmmovf2vn55tgye");
}

// The example of -02, as another implementation has it; the key is that of RFC 7638 §3.1.
TEST(DnsPersist_HashedUri, IsTheDraftsVector) {
  Digest256 thumbprint{};
  const auto octets = base64url_decode("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  ASSERT_TRUE(octets && octets->size() == thumbprint.size());
  std::copy(octets->begin(), octets->end(), thumbprint.begin());
  EXPECT_EQ(hashed_account_uri("https://ca.example/account-hash/", "example.com", thumbprint,
                               "https://ca.example/acct/123"),
            "https://ca.example/account-hash/sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw");
}

TEST(TxtText_Strings, AreJoined) {
  EXPECT_EQ(*txt_text(Bytes{2, 'a', 'b', 0, 1, 'c'}), "abc");
  EXPECT_EQ(*txt_text(Bytes{0}), "");
  EXPECT_FALSE(txt_text(Bytes{}));
  EXPECT_FALSE(txt_text(Bytes{3, 'a', 'b'}));
}

// ---- tls-alpn-01

TEST(Sni_Address, IsItsReverseName) {
  EXPECT_EQ(sni_of({wire::IdentifierType::kDns, "a.example"}), "a.example");
  EXPECT_EQ(sni_of({wire::IdentifierType::kIp, "192.0.2.10"}), "10.2.0.192.in-addr.arpa");
  EXPECT_EQ(sni_of({wire::IdentifierType::kIp, "2001:db8::1"}),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

TEST(AlpnCertificate_Garbage, IsRefused) {
  for (const Bytes& der : {Bytes{}, Bytes{0x30, 0x00}, Bytes(100, 0xff)}) {
    const auto found = judge_alpn_certificate(der, {wire::IdentifierType::kDns, "a.example"}, {});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->code, "tls-alpn.certificate");
  }
}

// ---- mail

TEST(MailMessage_Form, IsHeaderAndBodyWithCrlf) {
  const auto message = mail_message({"ops@plant.example", "A subject", "one\ntwo"},
                                    "ca@plant.example", 1'700'000'000'000);
  ASSERT_TRUE(message);
  EXPECT_TRUE(
      message->starts_with("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nFrom: "
                           "<ca@plant.example>\r\nTo: <ops@plant.example>\r\nSubject: A "
                           "subject\r\nMessage-ID: <"));
  EXPECT_TRUE(message->ends_with("\r\n\r\none\r\ntwo\r\n"));
}

}  // namespace
}  // namespace keyward::validate
