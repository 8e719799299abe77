// What a changed policy makes possible, sentence by sentence; and the example profiles, each of which
// must load.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/issue/policy_compare.h"
#include "firmware/issue/profile_config.h"

namespace keyward::issue {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kBase = R"(
[signer]
issuer_chain = "/etc/keyward/issuing.pem"
)";

PolicySettings read(const std::string& toml) {
  auto document = config::Document::parse(toml, "test");
  auto root = document.root();
  auto own = root.table("signer");
  auto settings = read_policy_settings(own, root);
  EXPECT_THAT(document.finish(), IsEmpty());
  EXPECT_EQ(settings.problem, "");
  const auto complete = complete_policy(settings);
  EXPECT_TRUE(complete) << complete.error().what;
  return settings;
}

std::vector<std::string> words(const std::vector<PolicyChange>& changes, bool wider) {
  std::vector<std::string> out;
  for (const auto& change : changes) {
    if (change.wider == wider) out.push_back(change.words);
  }
  return out;
}

// `after` allows what `before` did not, in these words; and the other way round it is narrower.
void widens(const std::string& before, const std::string& after, const std::string& what) {
  const auto old = read(std::string(kBase) + before), fresh = read(std::string(kBase) + after);
  EXPECT_THAT(words(compare_policies(old, fresh), true), Contains(HasSubstr(what)));
  EXPECT_FALSE(words(compare_policies(fresh, old), false).empty()) << what;
}

TEST(PolicyCompare_SamePolicy, SaysNothing) {
  const auto one = read(std::string(kBase));
  EXPECT_TRUE(compare_policies(one, one).empty());
}

TEST(PolicyCompare_Names, EachSentence) {
  widens("permitted_dns = [\"a.example\"]", "", "Any name and any address");
  widens("permitted_dns = [\"a.example\"]", "permitted_dns = [\"a.example\", \"b.example\"]",
         "Names at and below b.example can be certified");
  widens("permitted_dns = [\"x.a.example\"]", "permitted_dns = [\"a.example\"]",
         "Names at and below a.example can be certified");
  widens("permitted_ip = [\"10.1.0.0/16\"]", "permitted_ip = [\"10.0.0.0/8\"]",
         "Addresses within 10.0.0.0/8 can be certified");
  widens("denied_dns = [\"a.example\"]", "", "a.example are not denied any more");
}

TEST(PolicyCompare_Names, AMoreNarrowTreeIsNoWider) {
  const auto old = read(std::string(kBase) + "permitted_dns = [\"a.example\"]");
  const auto fresh = read(std::string(kBase) + "permitted_dns = [\"x.a.example\"]");
  EXPECT_THAT(words(compare_policies(old, fresh), true), IsEmpty());
}

TEST(PolicyCompare_Limits, EachSentence) {
  widens("budgets.account_per_hour = 5", "budgets.account_per_hour = 6",
         "Certificates of one account in an hour: 6; until now 5");
  widens("budgets.overall_per_hour = 5", "budgets.overall_per_hour = 6",
         "Certificates in an hour: 6; until now 5");
  widens("backdate_s = 60", "backdate_s = 3600", "notBefore may lie back by 1 hours");
  widens("not_before_ahead_days = 1", "not_before_ahead_days = 2", "ahead by 2 days");
  widens("external_account_required = true", "", "external account binding is not required");
  widens("", "possession = true", "proof-of-possession-01 can prove names");
}

TEST(PolicyCompare_Revocation, EachSentence) {
  widens("crl_url = \"http://a.example/crl\"", "", "do not say any more where");
  widens("", "crl_hours = 0", "No revocation lists are made any more");
  widens("crl_hours = 24", "crl_hours = 48", "A revocation list is good for 2 days");
  widens("ca_issuers_url = \"http://a.example/i.cer\"", "",
         "do not say any more where their issuer's certificate is (ca_issuers_url)");
  const auto old = read(std::string(kBase) + "crl_url = \"http://a.example/crl\"");
  const auto fresh = read(std::string(kBase) + "crl_url = \"http://b.example/crl\"");
  EXPECT_THAT(words(compare_policies(old, fresh), true), Contains(HasSubstr("another place")));
}

TEST(PolicyCompare_Profiles, EachSentence) {
  widens("", "profiles.short = {kind = \"server\", hours = 8}",
         "A new profile short: certificates of up to 8 hours");
  widens("server_days = 30", "server_days = 90", "Profile server: certificates live up to 90 days");
  widens("profiles.server = {methods = [\"http-01\"]}",
         "profiles.server = {methods = [\"http-01\", \"dns-01\"]}", "proved also by dns-01");
  widens("", "profiles.device = {purposes = [\"clientAuth\", \"serverAuth\"]}",
         "also for the purpose serverAuth");
  widens("profiles.server = {wildcard = false}", "", "Profile server: wildcard names.");
  widens("profiles.server = {ip = false}", "", "Profile server: addresses.");
  widens("profiles.device = {attestations = [\"measured_boot\"]}", "",
         "the attestation measured_boot is not required any more");
  widens("", "profiles.device = {san_device_id = \"omit\"}", "which of the device's names");
  widens("", "profiles.server = {star = true}", "renewed automatically (STAR)");
  widens("profiles.server = {star = true, star_max_duration_days = 10}",
         "profiles.server = {star = true, star_max_duration_days = 11}",
         "a series of renewals lasts up to 11 days");
  widens("profiles.server = {star = true, star_min_lifetime_s = 7200}",
         "profiles.server = {star = true, star_min_lifetime_s = 3600}",
         "the shortest lifetime in a series is 1 hours");
  widens("profiles.server = {keys = [\"ec-p256\"]}",
         "profiles.server = {keys = [\"ec-p256\", \"rsa\"]}", "also for keys of the kind rsa");
  widens("profiles.server = {keys = [\"ec-p256\", \"ed25519\"]}", "",
         "also for keys of the kind ec-p384");
  widens("profiles.server = {rsa_bits_min = 3072}", "", "RSA keys have at least 2048 bits");
  widens("", "profiles.server = {backdate_s = 3600}", "notBefore may lie back by 1 hours");
  widens("profiles.server = {account_per_hour = 5}", "profiles.server = {account_per_hour = 6}",
         "certificates of one account in an hour: 6");
  widens("profiles.server = {overall_per_hour = 5}", "",
         "certificates in an hour: the signer's own budget alone");
  const auto named =
      read(std::string(kBase) + "[signer.profiles.server.subject]\norganization = \"Plant\"");
  EXPECT_THAT(words(compare_policies(read(std::string(kBase)), named), true),
              Contains(HasSubstr("the subject of certificates says something else")));
  const auto old = read(std::string(kBase));
  const auto fresh = read(std::string(kBase) + "profiles.server = {preference = 7}");
  EXPECT_THAT(words(compare_policies(old, fresh), true), Contains(HasSubstr("preference")));
}

TEST(PolicyCompare_Tenants, ADelegationMore_IsWider) {
  const std::string before = "[tenants.a]\n[tenants.b]\n",
                    after = "[tenants.a]\ndelegates = [\"b\"]\n[tenants.b]\n";
  widens(before, after, "Orders can be made at a by accounts of b");
  widens("[tenants.a]\n", before, "Orders can be made at b by its own accounts");
}

TEST(PolicyCompare_Keys, AnotherOne_IsWider) {
  const auto old = read(std::string(kBase));
  auto fresh = read(std::string(kBase) + "key_label = \"other\"");
  EXPECT_THAT(words(compare_policies(old, fresh), true), Contains(HasSubstr("Another key")));
  fresh.issuer_chain = "/elsewhere";
  EXPECT_THAT(words(compare_policies(old, fresh), true),
              Contains(HasSubstr("Another issuing certificate")));
}

struct PolicyControl : ::testing::Test {
  crypto::PrivateKey ann = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  crypto::PrivateKey bob = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  static std::string entry(const std::string& name, const crypto::PrivateKey& key,
                           const std::string& roles) {
    return R"({"name":")" + name + R"(","jwk":)" +
           jose::Jwk::from_public_key(key.public_key())->canonical() + R"(,"roles":[)" + roles +
           "]}";
  }
  PolicySettings with(const std::string& operators, const std::string& dual) const {
    auto out = read(std::string(kBase));
    out.gate.operators =
        *operate::Operators::parse(R"({"version":1,"unit":"u","operators":[)" + operators +
                                   R"(],"dual_control":[)" + dual + "]}");
    return out;
  }
  void widens_to(const PolicySettings& before, const PolicySettings& after,
                 const std::string& what) const {
    EXPECT_THAT(words(compare_policies(before, after), true), Contains(HasSubstr(what)));
    EXPECT_FALSE(words(compare_policies(after, before), false).empty());
  }
};

TEST_F(PolicyControl, EachSentence) {
  const auto one = entry("ann", ann, "\"revoke\"");
  widens_to(with(one, "\"policy\""), with(one, ""), "One operator alone can order: policy");
  widens_to(with(one, ""), with(one + "," + entry("bob", bob, ""), ""),
            "A new operator's key: bob");
  widens_to(with(one, ""), with(entry("ann", ann, "\"revoke\",\"ca\""), ""),
            "Operator ann has the role ca");
  widens_to(with(one, ""), read(std::string(kBase)), "Nobody's signature is needed");
  auto required = with(one, "");
  required.gate.policy_approval_required = true;
  widens_to(required, with(one, ""), "without an operator's approval");
}

// Each file is the [signer.profiles] part of an installation file.
TEST(ProfileExamples_EachFile, Loads) {
  const char* source = std::getenv("KEYWARD_SOURCE");
  ASSERT_NE(source, nullptr) << "run by ctest, or set KEYWARD_SOURCE to the repository's root";
  int files = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(std::string(source) + "/docs/examples/profiles")) {
    if (file.path().extension() != ".toml") continue;
    ++files;
    auto document = config::Document::load(file.path().string());
    auto root = document.root();
    auto own = root.table("signer");
    const auto read = read_profiles(own, 365, 90);
    EXPECT_THAT(document.finish(), IsEmpty()) << file.path();
    EXPECT_EQ(read.problem, "") << file.path();
    const auto added = std::ranges::count_if(read.profiles, [](const Profile& profile) {
      return profile.name != "device" && profile.name != "server";
    });
    EXPECT_GT(added, 0) << file.path();
  }
  EXPECT_GE(files, 5);
}

}  // namespace
}  // namespace keyward::issue
