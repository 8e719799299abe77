// Owns what each command of keyward-agent needs: files, the TPM, the connection. Must not know ACME.
#include "commands.h"

#include "firmware/agent/enroller.h"
#include "firmware/agent/evidence.h"
#include "firmware/agent/revoker.h"
#include "hal/base/file.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"
#include "hal/tss2/tss2_key_file.h"
#include "hal/tss2/tss2_tpm.h"

namespace keyward::agent {
namespace {

constexpr std::size_t kQuoteNonceBytes = 32;

// What the options name as files.
Outcome<void> read_files(const Options& options, EnrolOptions& out) {
  for (const auto& [path, chain] : {std::pair(&options.ak_chain_file, &out.ak_chain),
                                    std::pair(&options.ek_chain_file, &out.ek_chain)}) {
    if (path->empty()) continue;
    auto read = chain_of(*path);
    if (!read) return failed(read.error());
    *chain = std::move(*read);
  }
  if (!options.registers.empty()) {
    auto registers = selection_from(options.registers);
    if (!registers) return failed(FailureKind::kUsage, "--pcrs", registers.error());
    out.registers = std::move(*registers);
  }
  if (!options.event_log_file.empty()) {
    auto log = read_text_file(options.event_log_file, limits::kEvidenceBytesMax);
    if (!log) return failed(FailureKind::kUsage, "reading " + options.event_log_file, log.error());
    out.event_log = to_bytes(view_of(*log));
  }
  if (!options.vendor_jwt_file.empty()) {
    auto jwt = read_text_file(options.vendor_jwt_file, limits::kAuthorityTokenBytesMax);
    if (!jwt) return failed(FailureKind::kUsage, "reading " + options.vendor_jwt_file, jwt.error());
    while (!jwt->empty() && (jwt->back() == '\n' || jwt->back() == '\r')) jwt->pop_back();
    out.vendor_jwt = std::move(*jwt);
  }
  auto evidence = evidence_of(options.evidence);
  if (!evidence) return failed(evidence.error());
  out.evidence = std::move(*evidence);
  return {};
}

Outcome<EnrolOptions> enrol_options(const Options& options) {
  EnrolOptions out;
  const auto handle = handle_of(options.ak_handle);
  if (!handle) return failed(handle.error());
  const auto key_type = key_type_of(options.key_type);
  if (!key_type) return failed(key_type.error());
  out.directory_url = options.directory_url;
  out.identifier = options.identifier;
  out.hardware_module = options.hardware_module;
  out.mac = options.mac;
  out.service_uri = options.service_uri;
  out.order_directory_url = options.order_directory;
  out.profile = options.profile;
  out.key_type = *key_type;
  out.ak_handle = *handle;
  out.settings = settings_of(options);
  out.renew = options.command == Command::kRenew;
  out.reuse_key = options.reuse_key;
  out.agree_to_terms = options.agree_to_terms;
  out.patience_ms = options.patience_s * 1'000LL;
  if (auto read = read_files(options, out); !read) return failed(read.error());
  return out;
}

// What a renewal leaves out on its command line is as in the runs before.
Outcome<void> complete_from_state(Options& options, const StateDirectory& directory) {
  auto loaded = directory.load();
  if (!loaded) return failed(FailureKind::kState, "reading the state", loaded.error());
  if (!*loaded) {
    if (options.command == Command::kRenew)
      return failed(FailureKind::kUsage,
                    "nothing was enrolled in " + options.dir + "; run enroll first");
    complete(options, {});
    return {};
  }
  const AgentState& state = **loaded;
  if (options.directory_url.empty()) options.directory_url = state.directory_url;
  if (options.command == Command::kRenew) {
    options.identifier = state.identifier;
    options.hardware_module = state.hardware_module;
    options.mac = state.mac;
    options.service_uri = state.service_uri;
  }
  complete(options, state.settings);
  return {};
}

bool is_due(const StateDirectory& directory) {
  const auto installed = read_installed(directory);
  return !installed || system_clock().utc_ms() >= installed->renew_after_ms;
}

// RFC 5280 §5.3.1.
std::optional<std::int64_t> reason_of(const std::string& name) {
  if (name == "affiliationChanged") return 3;
  if (name == "superseded") return 4;
  if (name == "cessationOfOperation") return 5;
  return std::nullopt;
}

}  // namespace

Outcome<void> obtain(Options options, Printer& printer) {
  auto directory = StateDirectory::open(options.dir);
  if (!directory) {
    const bool busy = directory.error().kind == ErrorKind::kRefused;
    return failed(busy ? FailureKind::kBusy : FailureKind::kState, options.dir, directory.error());
  }
  if (auto done = complete_from_state(options, *directory); !done) return done;
  if (options.if_due && !is_due(*directory)) {
    printer.result("renewal is not due");
    return {};
  }
  auto wanted = enrol_options(options);
  if (!wanted) return failed(wanted.error());
  auto tpm = hal::open_tpm(options.tcti);
  if (!tpm) return failed(FailureKind::kTpm, "opening the TPM " + options.tcti, tpm.error());
  printer.step("TPM", options.tcti);
  auto transport = make_curl_transport(options.ca_file);
  if (!transport) return failed(FailureKind::kInternal, "starting HTTPS", transport.error());
  EnrolSeams seams{**tpm, **transport, system_clock(), {}, {}, {}, {}};
  seams.write_key_file = [](const std::string& path, const hal::TpmKeyBlob& key) {
    return hal::write_tss2_key_file(path, key);
  };
  if (!options.plain_evidence) seams.encrypt = encrypt_record;
  seams.on_step = [&](std::string_view name, std::string_view detail) {
    printer.step(name, detail);
  };
  seams.note = [&](const std::string& text) { printer.note(text); };
  const auto result = Enroller(*directory, std::move(*wanted), std::move(seams)).run();
  if (!result) return failed(result.error());
  printer.result(result->already ? "already enrolled; `renew` gets another certificate"
                 : options.command == Command::kRenew ? "renewed"
                                                      : "enrolled");
  return {};
}

Outcome<void> revoke(Options options, Printer& printer) {
  auto directory = StateDirectory::open(options.dir);
  if (!directory) {
    const bool busy = directory.error().kind == ErrorKind::kRefused;
    return failed(busy ? FailureKind::kBusy : FailureKind::kState, options.dir, directory.error());
  }
  if (auto done = complete_from_state(options, *directory); !done) return done;
  auto transport = make_curl_transport(options.ca_file);
  if (!transport) return failed(FailureKind::kInternal, "starting HTTPS", transport.error());
  const auto serial = revoke_installed(*directory, reason_of(options.reason),
                                       {**transport, system_clock(), options.patience_s * 1'000LL});
  if (!serial) return failed(serial.error());
  printer.step("revoked", "serial " + *serial);
  printer.result("revoked");
  return {};
}

// For a policy's reference values, or to see why a device is refused.
Outcome<void> quote(Options options, Printer& printer) {
  const StateDirectory directory = StateDirectory::open_for_reading(options.dir);
  if (auto done = complete_from_state(options, directory); !done) return done;
  if (options.ak_chain_file.empty()) options.ak_chain_file = directory.ak_chain_path();
  if (options.tcti.empty()) return failed(FailureKind::kUsage, "--tcti is missing");
  auto wanted = enrol_options(options);
  if (!wanted) return failed(wanted.error());
  auto nonce = options.nonce_hex.empty() ? Result<Bytes>(random_bytes(kQuoteNonceBytes))
                                         : hex_decode(options.nonce_hex);
  if (!nonce || nonce->size() > kQuoteNonceBytes)
    return failed(FailureKind::kUsage, "--nonce is hexadecimal, 32 octets at most");
  auto tpm = hal::open_tpm(options.tcti);
  if (!tpm) return failed(FailureKind::kTpm, "opening the TPM " + options.tcti, tpm.error());
  auto ak = (*tpm)->open_persistent(wanted->ak_handle);
  if (!ak) return failed(FailureKind::kTpm, "opening the attestation key", ak.error());
  const QuoteRequest request{wanted->registers, std::move(*nonce), wanted->ak_chain,
                             wanted->event_log};
  const auto record = make_quote_record(**tpm, **ak, request);
  if (!record) return failed(FailureKind::kTpm, "quoting the platform's state", record.error());
  if (const auto written = replace_file(options.out_file, *record, 0644); !written)
    return failed(FailureKind::kState, "writing " + options.out_file, written.error());
  printer.step("quote", std::to_string(record->size()) + " octets, nonce " +
                            hex_encode(request.qualifying_data));
  printer.result("written to " + options.out_file);
  return {};
}

Outcome<void> show(const Options& options, Printer& printer) {
  const StateDirectory directory = StateDirectory::open_for_reading(options.dir);
  const auto state = directory.load();
  if (!state) return failed(FailureKind::kState, "reading the state", state.error());
  const auto installed = read_installed(directory);
  if (!*state || !installed)
    return failed(FailureKind::kState, "no certificate is installed in " + options.dir);
  printer.installed(*installed, device_text(**state), (*state)->directory_url, directory,
                    system_clock().utc_ms());
  return {};
}

}  // namespace keyward::agent
