// Owns a device's enrolment from an account to an installed certificate: RFC 8555 with
// device-attest-01, format tpm (device-attest-10 §5), remote-attest-01 (draft-ietf-acme-rats) and
// vendor-jwt-01 (docs/third-party.md). Must not know HTTP, TCTI strings or key file forms.
//
// Each step ends with the state on disk; run() begins with what is there. Threads: one.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "firmware/agent/acme_client.h"
#include "firmware/agent/agent_state.h"
#include "firmware/agent/failure.h"
#include "firmware/agent/tpm_statement.h"
#include "firmware/crypto/crypto.h"
#include "firmware/wire/messages/common.h"
#include "hal/tpm.h"

namespace keyward::agent {

struct EnrolOptions {
  std::string directory_url;
  std::string identifier;       // permanent-identifier value, e.g. "SN-1" or "SN-1/1.3.6.1.4.1.1"
  std::string hardware_module;  // beside it or instead: "serial/OID" (RFC 4108)
  std::string mac;              // instead of both: a device that its vendor vouches for
  std::string service_uri;      // beside `mac`: what the device is for
  std::string vendor_jwt;       // the vendor's word for `mac`, a compact JWS
  std::string order_directory_url;  // whose newOrder is used, if not directory_url's
  std::string profile;              // empty: the CA chooses
  hal::TpmKeyType key_type = hal::TpmKeyType::kEccP256;
  std::uint32_t ak_handle = 0x81010002;
  std::vector<Bytes> ak_chain;  // DER, the attestation key's own certificate first; empty: the CA's
  std::vector<Bytes> ek_chain;  // for the attestation CA, if the TPM itself holds no certificate
  hal::PcrSelection registers;  // that are quoted for remote-attest-01; none: no quote is made
  Bytes event_log;              // sent beside it; may be empty
  std::map<std::string, std::string> evidence;  // hint -> what answers it: a CMW record, JSON
  std::map<std::string, std::string>
      settings;            // kept in the state for the next run; not looked into here
  bool renew = false;      // a new certificate although there is one
  bool reuse_key = false;  // renew: the same key again
  bool agree_to_terms = false;
  std::int64_t patience_ms = 120'000;  // for each request, and for the order while it is processed
};

struct Enroled {
  bool already = false;         // there was a certificate and nobody asked for another
  std::string certificate_pem;  // chain, leaf first
};

struct EnrolSeams {
  hal::Tpm& tpm;
  HttpTransport& transport;
  Clock& clock;
  // A key as a file that other programs can use (TSS2 PRIVATE KEY).
  std::function<Status(const std::string& path, const hal::TpmKeyBlob& key)> write_key_file;
  // What was done, in a word and a line; called when the step is over.
  std::function<void(std::string_view step, std::string_view detail)> on_step;
  std::function<void(const std::string&)> note;
  std::function<void(std::int64_t)> sleep_ms;  // absent: really sleeps
  // Evidence (a CMW record, JSON) for the key of this JWK: compact JWE. Absent: never encrypted.
  std::function<Result<std::string>(const std::string& jwk, const std::string& cmw)> encrypt{};
};

class Enroller {
 public:
  Enroller(const StateDirectory& directory, EnrolOptions options, EnrolSeams seams)
      : directory_(directory), options_(std::move(options)), seams_(std::move(seams)) {}
  Outcome<Enroled> run();

 private:
  struct Order;
  Outcome<void> load_state();
  Outcome<void> save();
  std::vector<wire::Identifier> names() const;  // that the order and the CSR hold
  Outcome<void> open_account();
  Outcome<void> read_ak_chain();
  Outcome<void> open_ak();
  Outcome<void> ensure_ak();
  Outcome<void> take_certified_name();
  Outcome<std::string> new_order_url();
  Outcome<void> prepare_key();
  Outcome<void> ensure_order();
  Outcome<Order> read_order();
  Outcome<void> attest(const Order& order);
  struct Challenge;
  Outcome<bool> answer_one_of(const std::string& authz_url, bool but_macs);
  Outcome<void> answer(const Challenge& challenge);
  Outcome<void> answer_device(const Challenge& challenge);
  Outcome<void> answer_remote(const Challenge& challenge);
  Outcome<void> answer_vendor(const Challenge& challenge);
  Outcome<void> send_answer(const Challenge& challenge, const std::string& payload);
  Outcome<std::string> evidence_for(const Challenge& challenge);
  Outcome<std::string> encrypted(const Challenge& challenge, const std::string& cmw);
  Outcome<Bytes> statement(const std::string& key_authorization);
  Outcome<void> finalize(const Order& order);
  Outcome<void> download(const Order& order);
  Outcome<void> drive_order();
  Outcome<void> install();
  void step(std::string_view name, std::string_view detail);

  const StateDirectory& directory_;
  EnrolOptions options_;
  EnrolSeams seams_;
  AgentState state_;
  std::optional<AcmeClient> client_;
  hal::TpmObjectPtr ak_;
  hal::TpmObjectPtr key_;
  std::optional<crypto::PublicKey> public_key_;
  StatementAlgorithm algorithm_;
  bool resumed_ = false;           // the order is of an earlier run
  bool account_reopened_ = false;  // once a run at most
};

}  // namespace keyward::agent
