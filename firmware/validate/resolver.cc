#include "firmware/validate/resolver.h"

#include <algorithm>
#include <deque>

#include <netinet/in.h>
#include <poll.h>
#include <unbound.h>

namespace keyward::validate {
namespace {

constexpr int kTypeA = 1;      // RFC 1035
constexpr int kTypeAaaa = 28;  // RFC 3596
constexpr int kClassIn = 1;
constexpr int kRcodeNxDomain = 3;
constexpr std::size_t kAddressesMax = 8;  // of one family; more are not tried

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return text;
}

struct Answered {
  std::vector<Bytes> data;
  bool secure = false;
  std::string code;  // empty: the name servers answered, with `data` or without
  std::string detail;
};

// One question under way.
struct Question {
  bool done = false;
  Answered answer;
};

struct DeleteContext {
  void operator()(ub_ctx* context) const { ::ub_ctx_delete(context); }
};
using ContextPtr = std::unique_ptr<ub_ctx, DeleteContext>;

// All of the records or none: who reads some of a set may miss the one that forbids.
void take_records(const ub_result& result, Answered& out) {
  if (result.havedata == 0) return;
  for (int i = 0; result.data[i] != nullptr; ++i) {
    const auto bytes = static_cast<std::size_t>(std::max(result.len[i], 0));
    if (out.data.size() == limits::kDnsRecordsMax || bytes > limits::kDnsRecordBytesMax) {
      out.data.clear();
      out.code = "dns.too-large";
      out.detail = "the answer holds more than this server reads";
      return;
    }
    const auto* octets = reinterpret_cast<const std::uint8_t*>(result.data[i]);
    out.data.emplace_back(octets, octets + bytes);
  }
}

Answered read_result(int error, const ub_result* result) {
  Answered out;
  const auto say = [&](const char* code, const char* detail) {
    out.code = code;
    out.detail = detail;
  };
  if (error == UB_SYNTAX) {
    say("dns.name", "the name is too long to be asked for");
  } else if (error != 0 || result == nullptr) {
    say("dns.servfail", "the resolver failed");
  } else if (result->bogus != 0) {
    say("dns.bogus", "the answer does not pass DNSSEC validation");
  } else if (result->rcode == kRcodeNxDomain || result->nxdomain != 0) {
    say("dns.nxdomain", "the name does not exist");
    out.secure = result->secure != 0;
  } else if (result->rcode != 0) {
    say("dns.servfail", "the name servers answered with an error");
  } else {
    take_records(*result, out);
    out.secure = result->secure != 0;
  }
  return out;
}

Resolution addresses_of(const Answered& answer) {
  Resolution out{{}, answer.code, answer.detail};
  for (const auto& octets : answer.data) {
    if (out.addresses.size() == kAddressesMax) break;
    if (octets.size() == 4) {
      out.addresses.push_back(
          IpAddress::v4(std::span<const std::uint8_t, 4>(octets.data(), std::size_t{4})));
    } else if (octets.size() == 16) {
      out.addresses.push_back(
          IpAddress::v6(std::span<const std::uint8_t, 16>(octets.data(), std::size_t{16})));
    }
  }
  if (out.addresses.empty() && out.code.empty()) {
    out.code = "dns.no-address";
    out.detail = "the name has no address";
  }
  return out;
}

// libunbound's option texts end with a colon.
Status set_options(ub_ctx* context, const ResolverOptions& options) {
  constexpr std::pair<const char*, const char*> kOptions[] = {
      {"harden-dnssec-stripped:", "yes"},
      {"do-tcp:", "yes"},  // RFC 8555 §10.1 asks for it; also for what does not fit a datagram
  };
  for (const auto& [name, value] : kOptions) {
    if (::ub_ctx_set_option(context, name, value) != 0)
      return fail(ErrorKind::kInternal, "the resolver does not take its options");
  }
  // A forwarder on this very host is the operator's choice; a delegation that points here is not.
  const bool own_host = std::any_of(
      options.forward.begin(), options.forward.end(),
      [](const std::string& text) { return text.starts_with("127.") || text.starts_with("::1"); });
  if (own_host && ::ub_ctx_set_option(context, "do-not-query-localhost:", "no") != 0)
    return fail(ErrorKind::kInternal, "the resolver does not take its options");
  return {};
}

// Begins the context, which takes no options afterwards. With forwarders, names that the public DNS
// keeps apart are the plant's own (RFC 6761, RFC 8375).
Status begin(ub_ctx* context, const ResolverOptions& options) {
  for (const char* zone : {"test.", "home.arpa."}) {
    const int code = options.forward.empty() ? ::ub_ctx_zone_remove(context, "keyward.invalid.")
                                             : ::ub_ctx_zone_add(context, zone, "transparent");
    if (code != 0) return fail(ErrorKind::kBadInput, "the trust anchor file cannot be used", code);
  }
  return {};
}

Result<ContextPtr> make_context(const ResolverOptions& options) {
  ContextPtr context(::ub_ctx_create());
  if (!context) return fail(ErrorKind::kExhausted, "cannot make a resolver");
  ::ub_ctx_async(context.get(), 1);  // its work in a thread, not in a forked process
  ::ub_ctx_debugout(context.get(), nullptr);
  KEYWARD_CHECK(set_options(context.get(), options));
  for (const auto& forward : options.forward) {
    if (::ub_ctx_set_fwd(context.get(), forward.c_str()) != 0) {
      return fail(ErrorKind::kBadInput, "a forwarder is written address or address@port");
    }
  }
  if (!options.trust_anchor.empty() &&
      ::ub_ctx_add_ta_file(context.get(), options.trust_anchor.c_str()) != 0) {
    return fail(ErrorKind::kBadInput, "the trust anchor file cannot be used");
  }
  KEYWARD_CHECK(begin(context.get(), options));
  return context;
}

// Runs in ub_process(), so in the asker's own thread.
extern "C" void on_answer(void* user, int error, ub_result* result) {
  auto& question = *static_cast<Question*>(user);
  question.answer = read_result(error, result);
  question.done = true;
  ::ub_resolve_free(result);
}

class UnboundResolver final : public Resolver {
 public:
  explicit UnboundResolver(std::shared_ptr<const ResolverOptions> options)
      : options_(std::move(options)) {}

  Resolution resolve(const std::string& name, Deadline deadline) override {
    const auto fixed = options_->hosts.find(lower(name));
    if (fixed != options_->hosts.end()) return {fixed->second, "", ""};
    Question& six = ask(name, kTypeAaaa);
    Question& four = ask(name, kTypeA);
    Resolution first = addresses_of(wait(six, deadline));
    const Resolution second = addresses_of(wait(four, deadline));
    first.addresses.insert(first.addresses.end(), second.addresses.begin(), second.addresses.end());
    if (!first.addresses.empty()) return {std::move(first.addresses), "", ""};
    // The address family that says more: a name without AAAA is ordinary.
    return first.code == "dns.no-address" ? second : first;
  }

  Records query(const std::string& name, RecordType type, Deadline deadline) override {
    Answered answer = wait(ask(name, static_cast<int>(type)), deadline);
    if (answer.code.empty() && answer.data.empty()) {
      answer.code = "dns.no-data";
      answer.detail = "the name has no such record";
    }
    return {std::move(answer.data), answer.secure, std::move(answer.code),
            std::move(answer.detail)};
  }

 private:
  // The question lives as long as this resolver: one that nobody waits for any more may still be
  // answered until the context ends.
  Question& ask(const std::string& name, int type) {
    Question& question = questions_.emplace_back();
    if (!context_) {  // made when it is needed: fixed addresses need none
      if (auto made = make_context(*options_)) context_ = std::move(*made);
    }
    const int code = !context_ ? UB_NOMEM
                               : ::ub_resolve_async(context_.get(), name.c_str(), type, kClassIn,
                                                    &question, on_answer, nullptr);
    if (code != 0) question = {true, read_result(code, nullptr)};
    return question;
  }
  Answered wait(Question& question, Deadline deadline) {
    while (!question.done) {
      pollfd entry{::ub_fd(context_.get()), POLLIN, 0};
      if (deadline.passed() || ::poll(&entry, 1, static_cast<int>(deadline.remaining_ms())) <= 0)
        return {{}, false, "dns.timeout", "the name servers did not answer in time"};
      ::ub_process(context_.get());
    }
    return std::move(question.answer);
  }

  std::shared_ptr<const ResolverOptions> options_;
  std::deque<Question> questions_;  // references stay; outlive the context
  ContextPtr context_;
};

class UnboundServers final : public NameServers {
 public:
  explicit UnboundServers(std::shared_ptr<const ResolverOptions> options)
      : options_(std::move(options)) {}
  std::unique_ptr<Resolver> open() override { return std::make_unique<UnboundResolver>(options_); }

 private:
  std::shared_ptr<const ResolverOptions> options_;
};

}  // namespace

Result<std::string> txt_text(ByteView rdata) {
  std::string out;
  if (rdata.empty()) return fail(ErrorKind::kBadInput, "a TXT record without a string");
  while (!rdata.empty()) {
    const std::size_t bytes = rdata[0];
    if (rdata.size() < bytes + 1) return fail(ErrorKind::kBadInput, "a TXT record is cut");
    out += text_of(rdata.subspan(1, bytes));
    rdata = rdata.subspan(bytes + 1);
  }
  return out;
}

Result<StaticHosts> parse_hosts(const std::vector<std::string>& lines) {
  StaticHosts hosts;
  for (const auto& line : lines) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorKind::kBadInput, "a host is written name=address");
    KEYWARD_TRY(address, IpAddress::parse(std::string_view(line).substr(equals + 1)));
    hosts[lower(line.substr(0, equals))].push_back(address);
  }
  return hosts;
}

Result<std::unique_ptr<NameServers>> make_name_servers(ResolverOptions options) {
  const auto held = std::make_shared<const ResolverOptions>(std::move(options));
  // Once before anybody asks, so that a wrong configuration ends the start and not a validation.
  KEYWARD_CHECK(make_context(*held));
  return std::unique_ptr<NameServers>(new UnboundServers(held));
}

}  // namespace keyward::validate
