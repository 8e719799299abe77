// TSS2 key files, read and used by OpenSSL with tpm2-openssl: another implementation.
#include <cstdio>

#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "hal/base/file.h"
#include "hal/tss2/tss2_key_file.h"

#include "fixture.h"

namespace keyward::hal::tss2_test {
namespace {

class KeyFileTest : public TpmTest {
 protected:
  int openssl(const std::string& arguments) {
    const std::string command = "cd " + device_.directory() + " && TPM2OPENSSL_TCTI='" +
                                device_.tcti() + "' TSS2_LOG=all+none openssl " + arguments +
                                " >out.log 2>&1";
    const int status = ::system(command.c_str());
    if (status != 0) {
      const auto log = read_text_file(device_.directory() + "/out.log", 1u << 20);
      message_ = log ? *log : "no output";
    }
    return status;
  }
  std::string file(const std::string& name) const { return device_.directory() + "/" + name; }
  std::string message_;
};

class KeyFileTypes : public KeyFileTest, public ::testing::WithParamInterface<TpmKeyType> {};

TEST_P(KeyFileTypes, OpensslProvider_LoadsTheKeyAndSignsWithIt) {
  TpmKeyTemplate wanted;
  wanted.type = GetParam();
  const auto blob = tpm_->create_key(wanted);
  ASSERT_OK(blob);
  ASSERT_TRUE(write_tss2_key_file(file("key.pem"), *blob));
  ASSERT_TRUE(replace_file(file("data"), view_of("what is signed"), 0600));
  ASSERT_EQ(openssl("pkey -provider tpm2 -provider default -in key.pem -pubout -out pub.pem"), 0)
      << message_;
  ASSERT_EQ(openssl("dgst -provider tpm2 -provider default -propquery '?provider=tpm2' -sha256 "
                    "-sign key.pem -out sig data"),
            0)
      << message_;
  EXPECT_EQ(openssl("dgst -sha256 -verify pub.pem -signature sig data"), 0) << message_;
  // The very key that the TPM made for us, not some key.
  std::FILE* pem = std::fopen(file("pub.pem").c_str(), "r");
  ASSERT_NE(pem, nullptr);
  const PkeyPtr from_openssl(::PEM_read_PUBKEY(pem, nullptr, nullptr, nullptr), &::EVP_PKEY_free);
  std::fclose(pem);
  const auto ours = openssl_key(ByteView(blob->public_area).subspan(2));
  EXPECT_EQ(::EVP_PKEY_eq(ours.get(), from_openssl.get()), 1);
}
INSTANTIATE_TEST_SUITE_P(Types, KeyFileTypes,
                         ::testing::Values(TpmKeyType::kEccP256, TpmKeyType::kEccP384,
                                           TpmKeyType::kRsa2048));

TEST_F(KeyFileTest, Read_AKeyThatOpensslMade_LoadsAndSigns) {
  ASSERT_EQ(openssl("genpkey -provider tpm2 -provider default -algorithm EC -pkeyopt group:P-256 "
                    "-out key.pem"),
            0)
      << message_;
  const auto blob = read_tss2_key_file(file("key.pem"));
  ASSERT_OK(blob);
  tpm_ = open(device_);
  const auto key = tpm_->load(*blob);
  ASSERT_OK(key);
  const auto signature = tpm_->sign_digest(**key, Bytes(32, 3), TPM2_ALG_SHA256);
  ASSERT_OK(signature);
  EXPECT_TRUE(openssl_verifies((*key)->public_area(), "SHA256", Bytes(32, 3), *signature));
}

}  // namespace
}  // namespace keyward::hal::tss2_test
