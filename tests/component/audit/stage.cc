#include "stage.h"

#include "firmware/issue/record_file.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::test {

Result<hal::TokenKey> LabelledToken::find_key(std::string_view label) {
  if (away) return fail(ErrorKind::kUnavailable, "away");
  const auto found = keys_.find(label);
  if (found == keys_.end()) return fail(ErrorKind::kBadInput, "no such key");
  return hal::TokenKey{std::string(label),
                       hal::KeyAlgorithm::kEcdsaP256,
                       found->second.public_key().spki_der(),
                       true,
                       false,
                       true,
                       true,
                       true};
}

Result<hal::TokenKey> LabelledToken::generate_key(std::string_view label, hal::KeyAlgorithm) {
  replace_key(std::string(label));
  return find_key(label);
}

void LabelledToken::replace_key(const std::string& label) {
  keys_.insert_or_assign(label, *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
}

Result<Bytes> LabelledToken::sign(std::string_view label, ByteView message, Deadline,
                                  hal::SignPriority) {
  if (away) return fail(ErrorKind::kUnavailable, "away");
  ++signatures;
  return keys_.find(label)->second.sign(crypto::SignatureScheme::kEcdsa,
                                        crypto::HashAlgorithm::kSha256, message);
}

Result<Bytes> LabelledToken::random(std::size_t size) { return random_bytes(size); }

hal::TokenStatus LabelledToken::status() {
  hal::TokenStatus out;
  out.state = away ? hal::TokenState::kAway : hal::TokenState::kReady;
  return out;
}

issue::Verdict<std::optional<std::uint64_t>> MadeUpCounter::read() {
  if (away) return issue::refuse_for_now("tpm-away", "away", 1);
  return value;
}

issue::Verdict<std::uint64_t> MadeUpCounter::make() {
  if (away) return issue::refuse_for_now("tpm-away", "away", 1);
  if (!value) value = 41;
  return *value;
}

issue::Verdict<std::uint64_t> MadeUpCounter::advance(std::uint64_t from, const Digest256&) {
  if (away) return issue::refuse_for_now("tpm-away", "away", 1);
  if (*value == from) ++*value;
  if (lose_reply) return issue::refuse_for_now("peer-timeout", "lost", 1);
  return *value;
}

AuditStage::AuditStage() {
  plan_.root = {"root", hal::KeyAlgorithm::kEcdsaP256, "Test Root", "", "", 7'000, 1, {}};
  plan_.issuing = {"issuing", hal::KeyAlgorithm::kEcdsaP256, "Test Issuing", "", "", 3'000, 0, {}};
  plan_.audit = {"audit", "Test Ledger", 3'000};
  for (const char* label : {"root", "issuing", "audit"}) token_.replace_key(label);
  const auto now_ms = system_clock().utc_ms();
  const auto root = *ceremony::make_root(token_, plan_.root, now_ms);
  const auto issuing =
      *ceremony::make_issuing(token_, plan_, root, token_.find_key("issuing")->spki_der, now_ms);
  const auto audit =
      *ceremony::make_audit(token_, plan_, root, token_.find_key("audit")->spki_der, now_ms);
  EXPECT_TRUE(ceremony::lint_audit(plan_, root, audit, now_ms));
  root_pem_ = x509::to_pem("CERTIFICATE", root);
  chain_pem_ = x509::to_pem("CERTIFICATE", issuing) + root_pem_;
  audit_pem_ = x509::to_pem("CERTIFICATE", audit);
  write_file(root_path(), view_of(root_pem_));
  write_file(directory_.path("chain.pem"), view_of(chain_pem_));
  write_file(directory_.path("audit.pem"), view_of(audit_pem_));
  EXPECT_TRUE(make_directories(state() + "/audit", 0700));
  token_.signatures = 0;
}

void AuditStage::open_ledger() {
  notary_.reset();
  gate_.reset();
  issue::GateConfig config;
  config.base_url = kBaseUrl;
  config.key_label = "issuing";
  config.account_per_hour = 10'000;
  config.overall_per_hour = 10'000;
  config.operators = operators_;
  auto issuer = issue::load_issuer(chain_pem_, system_clock().utc_ms());
  ASSERT_TRUE(issuer);
  auto gate = issue::Gate::open(state(), config, std::move(*issuer), token_, system_clock());
  ASSERT_TRUE(gate) << gate.error().what;
  gate_ = std::move(*gate);
  gate_->set_key_ready(true);
}

void AuditStage::open_notary() {
  audit::NotaryConfig config;
  config.directory = state() + "/audit";
  config.key_label = "audit";
  config.every_rows = 4;
  auto notary = audit::Notary::open(config, gate_->ledger(), token_, &counter_, system_clock());
  ASSERT_TRUE(notary) << notary.error().what;
  notary_ = std::move(*notary);
}

void AuditStage::issue_one(const std::string& name) {
  const auto order = gate_->mint_ticket(client_.new_order({dns(name)}));
  ASSERT_TRUE(order) << order.error().code;
  ASSERT_TRUE(gate_->grant_name(
      {client_.thumbprint(), dns(name), false, wire::ValidationMethod::kHttp01, std::nullopt,
       system_clock().utc_ms() + 3'600'000, Digest256{7}, false, std::nullopt}));
  const auto issued = gate_->issue(client_.finalize(*order, make_csr(key_, {dns(name)})));
  ASSERT_TRUE(issued) << issued.error().code;
  serials_.push_back(issued->serial);
}

void AuditStage::fill(int count) {
  open_ledger();
  open_notary();
  const auto checked = check();
  ASSERT_TRUE(checked) << checked.error().code << checked.error().detail;
  ASSERT_TRUE(notary_->make("start"));
  for (int i = 0; i < count; ++i) {
    issue_one("n" + std::to_string(serials_.size()) + ".example");
    if (!notary_->due()) continue;
    ASSERT_TRUE(notary_->make("rows"));
  }
  ASSERT_TRUE(notary_->make("stop"));
}

std::string AuditStage::export_ledger(const std::string& name) {
  const std::string path = directory_.path(name);
  const auto written =
      audit::write_bundle({state() + "/ledger", heads_path(), directory_.path("chain.pem"),
                           directory_.path("audit.pem")},
                          path, {});
  EXPECT_TRUE(written) << written.error().what;
  return path;
}

audit::AuditReport AuditStage::judge(const std::string& path, audit::AuditOptions options) {
  auto bundle = audit::Bundle::open(path);
  EXPECT_TRUE(bundle) << bundle.error().what;
  auto report = audit::audit_bundle(*bundle, root_pem_, options);
  EXPECT_TRUE(report) << report.error().what;
  return report ? *report : audit::AuditReport{};
}

std::vector<Bytes> AuditStage::bodies() const {
  std::vector<Bytes> out;
  EXPECT_TRUE(issue::scan_records(issue::segment_path(state() + "/ledger", 0),
                                  limits::kLedgerRowBytesMax,
                                  [&](ByteView body, const Digest256&, std::uint64_t) -> Status {
                                    out.push_back(to_bytes(body));
                                    return {};
                                  }));
  return out;
}

void AuditStage::write_bodies(std::vector<Bytes> all, bool rechain) {
  notary_.reset();
  gate_.reset();
  Bytes file;
  Digest256 before{};
  for (auto& body : all) {
    if (rechain) {
      auto row = *wire::decode_body<issue::LedgerRow>(body);
      row.previous = before;
      body = wire::encode_body(row);
    }
    const auto size = static_cast<std::uint32_t>(body.size());
    for (const std::uint32_t word : {size, ~size}) {
      for (int shift = 24; shift >= 0; shift -= 8)
        file.push_back(static_cast<std::uint8_t>(word >> shift));
    }
    append(file, body);
    before = crypto::sha256(body);
    append(file, before);
  }
  write_file(issue::segment_path(state() + "/ledger", 0), file);
}

std::vector<std::string> AuditStage::head_lines() const {
  std::vector<std::string> out;
  const auto text = read_text_file(heads_path(), 1u << 20).value_or("");
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void AuditStage::write_heads(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  write_file(heads_path(), view_of(text));
}

Bytes AuditStage::with_later_time(const Bytes& body, std::int64_t by_ms) {
  auto row = *wire::decode_body<issue::LedgerRow>(body);
  row.time_ms += by_ms;
  return wire::encode_body(row);
}

}  // namespace keyward::test
