// Runs `keywardctl publish` against folders of a unit that stands still; the lists are OpenSSL's.
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "firmware/crypto/crypto.h"
#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "hal/base/unique_fd.h"
#include "tests/support/command/command.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr long kHour = 3'600;

class Ca {
 public:
  explicit Ca(const std::string& name, const char* usage = "critical,keyCertSign,cRLSign")
      : key_(EVP_EC_gen("P-256")), certificate_(::X509_new()) {
    ::X509_set_version(certificate_, 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate_), 1);
    ::X509_gmtime_adj(X509_getm_notBefore(certificate_), -kHour);
    ::X509_gmtime_adj(X509_getm_notAfter(certificate_), 1'000 * kHour);
    ::X509_set_pubkey(certificate_, key_);
    X509_NAME* subject = ::X509_get_subject_name(certificate_);
    ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    ::X509_set_issuer_name(certificate_, subject);
    add(NID_basic_constraints, "critical,CA:TRUE");
    add(NID_key_usage, usage);
    ::X509_sign(certificate_, key_, ::EVP_sha256());
  }
  ~Ca() {
    ::X509_free(certificate_);
    ::EVP_PKEY_free(key_);
  }
  Ca(const Ca&) = delete;
  Ca& operator=(const Ca&) = delete;

  std::string pem() const {
    BIO* bio = ::BIO_new(::BIO_s_mem());
    ::PEM_write_bio_X509(bio, certificate_);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<std::size_t>(size));
    ::BIO_free(bio);
    return out;
  }
  // `number` below 0: none; `part`: an issuingDistributionPoint of this URL.
  Bytes list(long number, long from_s = -60, long until_s = 24 * kHour,
             const std::string& part = "") const {
    X509_CRL* crl = ::X509_CRL_new();
    ::X509_CRL_set_version(crl, 1);
    ::X509_CRL_set_issuer_name(crl, ::X509_get_subject_name(certificate_));
    ASN1_TIME* time = ::X509_gmtime_adj(nullptr, from_s);
    ::X509_CRL_set1_lastUpdate(crl, time);
    ::X509_gmtime_adj(time, until_s);
    ::X509_CRL_set1_nextUpdate(crl, time);
    ::ASN1_TIME_free(time);
    if (number >= 0) {
      ASN1_INTEGER* value = ::ASN1_INTEGER_new();
      ::ASN1_INTEGER_set(value, number);
      ::X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0);
      ::ASN1_INTEGER_free(value);
    }
    if (!part.empty()) {
      X509_EXTENSION* extension =
          ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_issuing_distribution_point,
                                ("critical,fullname:URI:" + part).c_str());
      ::X509_CRL_add_ext(crl, extension, -1);
      ::X509_EXTENSION_free(extension);
    }
    ::X509_CRL_sort(crl);
    ::X509_CRL_sign(crl, key_, ::EVP_sha256());
    unsigned char* der = nullptr;
    const int size = ::i2d_X509_CRL(crl, &der);
    Bytes out(der, der + size);
    ::OPENSSL_free(der);
    ::X509_CRL_free(crl);
    return out;
  }

 private:
  void add(int nid, const char* value) {
    X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    ::X509_add_ext(certificate_, extension, -1);
    ::X509_EXTENSION_free(extension);
  }
  EVP_PKEY* key_;
  X509* certificate_;
};

class PublishTest : public ::testing::Test {
 protected:
  PublishTest() {
    fs::create_directories(dir_.path("state/signer"));
    fs::create_directories(dir_.path("run"));
    write_file(dir_.path("chain.pem"), view_of(issuing_.pem()));
    write_file(dir_.path("keyward.toml"),
               view_of("[supervisor]\nrun_dir = \"" + dir_.path("run") + "\"\nstate_root = \"" +
                       dir_.path("state") +
                       "\"\n[appliance]\nbase_url = \"https://ca.plant.example\"\n[tpm]\ntcti = "
                       "\"x\"\npcrs = [16]\n[signer]\nissuer_chain = \"" +
                       dir_.path("chain.pem") + "\"\n"));
  }
  void unit_has(const Bytes& list, const std::string& name = "crl.der") {
    write_file(dir_.path("state/signer/") + name, list);
  }
  CommandResult ctl(std::vector<std::string> words) {
    words.insert(words.begin(), {std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl", "publish",
                                 "--to", folder()});
    return run_command(words);
  }
  CommandResult publish(std::vector<std::string> more = {}) {
    more.insert(more.begin(), dir_.path("keyward.toml"));
    return ctl(more);
  }
  CommandResult check(std::vector<std::string> more = {}) {
    more.insert(more.begin(), "--check");
    return ctl(more);
  }
  std::string folder() const { return dir_.path("out"); }
  std::string at(const std::string& name) const { return folder() + "/" + name; }
  std::string manifest() { return read_text_file(at("manifest.json"), 1u << 20).value_or(""); }
  // The whole folder, so that "nothing was written" can be said.
  std::map<std::string, Bytes> all() const {
    std::map<std::string, Bytes> out;
    for (const auto& each : fs::directory_iterator(folder()))
      out[each.path().filename()] = read_whole_file(each.path());
    return out;
  }
  // Refused with this code, and the folder as it was.
  void expect_refused(const CommandResult& result, int status, const std::string& code,
                      const std::map<std::string, Bytes>& before) {
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr("keywardctl: " + code + ": "));
    EXPECT_EQ(all(), before);
  }
  TempDir dir_;
  Ca issuing_{"Plant Issuing CA 1"};
};

// It says nothing inside that tells it from the whole one.
TEST_F(PublishTest, LongList_IsASeriesOfItsOwn) {
  const auto whole = issuing_.list(9), held = issuing_.list(4);
  unit_has(whole);
  unit_has(held, "crl-long.der");
  auto result = publish();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_whole_file(at("plant-issuing-ca-1.crl")), whole);
  EXPECT_EQ(read_whole_file(at("plant-issuing-ca-1-long.crl")), held);
  result = check();
  EXPECT_EQ(result.status, 0) << result.output;
  unit_has(issuing_.list(3), "crl-long.der");
  expect_refused(publish(), 2, "publish.older", all());
  fs::remove(at("manifest.json"));
  result = publish();
  EXPECT_EQ(result.status, 2) << result.output;
}

TEST_F(PublishTest, FirstSet_FilesNamesAndManifest) {
  const auto list = issuing_.list(7);
  unit_has(list);
  const auto result = publish();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("plant-issuing-ca-1.crl: number 7 of "));
  EXPECT_EQ(read_whole_file(at("plant-issuing-ca-1.crl")), list);
  EXPECT_EQ(read_whole_file(at("plant-issuing-ca-1-7.crl")), list);
  const auto document = json::Document::parse(manifest());
  ASSERT_TRUE(document);
  const auto lists = document->root().get("lists").items();
  ASSERT_EQ(lists.size(), 1u);
  EXPECT_EQ(lists[0].get("sha256").string(), hex_encode(crypto::sha256(list)));
  EXPECT_EQ(lists[0].get("bytes").integer(), static_cast<std::int64_t>(list.size()));
  EXPECT_EQ(lists[0].get("number").string(), "7");
  EXPECT_EQ(lists[0].get("next_update_unix").integer() - lists[0].get("this_update_unix").integer(),
            24 * kHour + 60);
  const std::string issuer(lists[0].get("issuer").string());
  EXPECT_TRUE(fs::exists(at(issuer))) << issuer;
  EXPECT_EQ(read_whole_file(at(issuer)), read_whole_file(at("plant-issuing-ca-1.cer")));
  struct stat info {};
  ASSERT_EQ(::stat(at("manifest.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0644u);
  EXPECT_EQ(check().status, 0);
}

TEST_F(PublishTest, Again_NothingNew_WritesNothing) {
  unit_has(issuing_.list(7));
  ASSERT_EQ(publish().status, 0);
  const auto before = all();
  const auto result = publish({"--json"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("\"changed\":false"));
  EXPECT_EQ(all(), before);
}

TEST_F(PublishTest, NewerList_TakesItsPlace_OlderFilesStayForOneSetMore) {
  for (const long number : {7, 8, 9}) {
    unit_has(issuing_.list(number));
    ASSERT_EQ(publish().status, 0);
    EXPECT_EQ(read_whole_file(at("plant-issuing-ca-1.crl")),
              read_whole_file(at("plant-issuing-ca-1-" + std::to_string(number) + ".crl")));
  }
  EXPECT_TRUE(fs::exists(at("plant-issuing-ca-1-8.crl")));
  EXPECT_FALSE(fs::exists(at("plant-issuing-ca-1-7.crl")));
  EXPECT_EQ(check().status, 0);
  for (const auto& [name, octets] : all()) EXPECT_FALSE(name.ends_with(".new")) << name;
}

TEST_F(PublishTest, OlderList_IsRefusedAndNothingIsWritten) {
  unit_has(issuing_.list(8));
  ASSERT_EQ(publish().status, 0);
  const auto before = all();
  unit_has(issuing_.list(7));
  expect_refused(publish(), 2, "publish.older", before);
  unit_has(issuing_.list(9, -7'200));  // a higher number, made before
  expect_refused(publish(), 2, "publish.older", before);
  unit_has(issuing_.list(8));  // ECDSA: other octets under the same number
  expect_refused(publish(), 2, "publish.same-number", before);
}

TEST_F(PublishTest, OlderList_WithTheManifestLost_IsRefusedToo) {
  unit_has(issuing_.list(8));
  ASSERT_EQ(publish().status, 0);
  fs::remove(at("manifest.json"));
  const auto before = all();
  unit_has(issuing_.list(7));
  expect_refused(publish(), 2, "publish.older", before);
}

TEST_F(PublishTest, ListThatNoIssuerSigned_IsRefused) {
  unit_has(issuing_.list(7));
  ASSERT_EQ(publish().status, 0);
  const auto before = all();
  unit_has(Ca("Plant Issuing CA 1").list(8));  // the same name, another key
  expect_refused(publish(), 78, "publish.signature", before);
  auto broken = issuing_.list(8);
  broken[40] ^= 1;
  unit_has(broken);
  expect_refused(publish(), 78, "publish.signature", before);
}

TEST_F(PublishTest, IssuerThatMayNotSignLists_IsRefused) {
  const Ca no_lists("No Lists", "critical,keyCertSign");
  write_file(dir_.path("chain.pem"), view_of(no_lists.pem()));
  unit_has(no_lists.list(1));
  const auto result = publish();
  EXPECT_EQ(result.status, 78);
  EXPECT_THAT(result.output, HasSubstr("publish.signature"));
}

TEST_F(PublishTest, NoListYet_NoNumber_NotAList_AreSaid) {
  auto result = publish();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("publish.no-list"));
  unit_has(issuing_.list(-1));
  result = publish();
  EXPECT_EQ(result.status, 78);
  EXPECT_THAT(result.output, HasSubstr("the list has no number"));
  unit_has(to_bytes(std::string("no list at all")));
  result = publish();
  EXPECT_EQ(result.status, 78);
  EXPECT_THAT(result.output, HasSubstr("publish.file"));
  EXPECT_FALSE(fs::exists(at("manifest.json")));
}

TEST_F(PublishTest, Lapsed_IsPublishedAndAFinding) {
  unit_has(issuing_.list(7, -7'200, -60));
  const auto result = publish();
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("! plant-issuing-ca-1.crl: number 7 of "));
  EXPECT_THAT(result.output, HasSubstr("lapsed"));
  EXPECT_TRUE(fs::exists(at("plant-issuing-ca-1.crl")));
  EXPECT_EQ(check().status, 2);
}

TEST_F(PublishTest, Check_SaysWhatLapsesSoon) {
  unit_has(issuing_.list(7, -60, 5 * kHour));
  ASSERT_EQ(publish().status, 0);
  EXPECT_EQ(check({"--soon-h", "4"}).status, 0);
  const auto result = check({"--soon-h", "6", "--json"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("\"state\":\"lapses-soon\""));
}

TEST_F(PublishTest, Check_OfADamagedSet_Exits78) {
  unit_has(issuing_.list(7));
  ASSERT_EQ(publish().status, 0);
  for (const std::string name :
       {"plant-issuing-ca-1.crl", "plant-issuing-ca-1-7.crl", "plant-issuing-ca-1.cer"}) {
    const auto good = read_whole_file(at(name));
    auto bad = good;
    bad.back() ^= 1;
    write_file(at(name), bad);
    const auto result = check();
    EXPECT_EQ(result.status, 78) << name;
    EXPECT_THAT(result.output, HasSubstr("publish.differs"));
    write_file(at(name), good);
  }
  EXPECT_EQ(check().status, 0);
  write_file(at("manifest.json"), view_of("{\"version\":1,\"lists\":[]}"));
  EXPECT_EQ(check().status, 78);
  const auto before = all();
  expect_refused(publish(), 78, "publish.file", before);  // what was published is not known
  fs::remove(at("manifest.json"));
  EXPECT_THAT(check().output, HasSubstr("publish.none"));
  EXPECT_EQ(publish().status, 0);  // made again from what lies there
  EXPECT_EQ(check().status, 0);
}

TEST_F(PublishTest, ManifestThatNamesFilesElsewhere_IsRefused) {
  unit_has(issuing_.list(7));
  ASSERT_EQ(publish().status, 0);
  auto text = manifest();
  const auto at_earlier = text.find("\"earlier\":[");
  ASSERT_NE(at_earlier, std::string::npos);
  for (const std::string name : {"../../keyward.toml", "/etc/passwd.crl", "..crl", "x/y.crl"}) {
    auto changed = text;
    changed.insert(at_earlier + 11, "\"" + name + "\"");
    write_file(at("manifest.json"), view_of(changed));
    const auto before = all();
    expect_refused(publish(), 78, "publish.file", before);
  }
}

TEST_F(PublishTest, RootsListOnce_StaysInTheSet) {
  const Ca root("Plant Root");
  write_file(dir_.path("root.pem"), view_of(root.pem()));
  write_file(dir_.path("root.crl"), root.list(2));
  unit_has(issuing_.list(7));
  ASSERT_EQ(publish({"--issuer", dir_.path("root.pem"), "--list", dir_.path("root.crl")}).status,
            0);
  unit_has(issuing_.list(8));
  ASSERT_EQ(publish().status, 0);
  unit_has(issuing_.list(9));
  const auto result = publish();
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("plant-root.crl: number 2 of "));
  EXPECT_EQ(read_whole_file(at("plant-root.crl")), read_whole_file(dir_.path("root.crl")));
  EXPECT_EQ(check().status, 0) << check().output;
}

TEST_F(PublishTest, ListsOfParts_HaveTheirOwnNamesAndNumbers) {
  unit_has(issuing_.list(7));
  unit_has(issuing_.list(3, -60, 24 * kHour, "http://ca.example/acme/crl/a"), "crl-a.der");
  ASSERT_EQ(publish().status, 0);
  EXPECT_TRUE(fs::exists(at("plant-issuing-ca-1-a.crl")));
  unit_has(issuing_.list(4, -60, 24 * kHour, "http://ca.example/acme/crl/a"), "crl-a.der");
  const auto result = publish();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("plant-issuing-ca-1-a.crl: number 4"));
  EXPECT_THAT(result.output, HasSubstr("plant-issuing-ca-1.crl: number 7"));
  unit_has(issuing_.list(9), "crl-b.der");  // the whole list a second time
  EXPECT_THAT(publish().output, HasSubstr("publish.twice"));
}

TEST_F(PublishTest, AnotherCaOfTheSameName_GetsANameOfItsOwn) {
  unit_has(issuing_.list(7));
  ASSERT_EQ(publish().status, 0);
  const auto first = read_whole_file(at("plant-issuing-ca-1.crl"));
  const Ca second("Plant Issuing CA 1");
  write_file(dir_.path("chain.pem"), view_of(second.pem()));
  unit_has(second.list(1));
  EXPECT_EQ(publish().status, 0);
  EXPECT_EQ(read_whole_file(at("plant-issuing-ca-1.crl")), first);
  EXPECT_EQ(check().status, 0);
  unit_has(second.list(2));
  EXPECT_EQ(publish().status, 0);  // and keeps it
  EXPECT_EQ(check().status, 0);
  EXPECT_EQ(json::Document::parse(manifest())->root().get("lists").items().size(), 2u);
}

TEST_F(PublishTest, AnotherPublishes_IsRefused) {
  fs::create_directories(folder());
  unit_has(issuing_.list(7));
  const UniqueFd lock(::open(folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  const auto result = publish();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("publish.busy"));
}

TEST_F(PublishTest, CutBetweenFiles_TheNextRunMakesTheSetWhole) {
  unit_has(issuing_.list(7));
  ASSERT_EQ(publish().status, 0);
  const auto old_manifest = manifest();
  const auto old_list = read_whole_file(at("plant-issuing-ca-1.crl"));
  unit_has(issuing_.list(8));
  ASSERT_EQ(publish().status, 0);
  write_file(at("plant-issuing-ca-1.crl"), old_list);  // cut after the manifest
  EXPECT_EQ(check().status, 78);
  ASSERT_EQ(publish().status, 0);
  EXPECT_EQ(check().status, 0);
  write_file(at("manifest.json"), view_of(old_manifest));  // cut before it
  write_file(at("plant-issuing-ca-1.crl"), old_list);
  EXPECT_EQ(check().status, 0);  // the set of before is whole
  ASSERT_EQ(publish().status, 0);
  EXPECT_EQ(check().status, 0);
}

TEST_F(PublishTest, WrongInstallationFile_Exits78) {
  write_file(dir_.path("keyward.toml"), view_of("[supervisor]\nrun_dir = 7\n"));
  EXPECT_EQ(publish().status, 78);
  EXPECT_EQ(ctl({"/nowhere/keyward.toml"}).status, 78);
}

}  // namespace
}  // namespace keyward::test
