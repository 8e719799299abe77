#include "firmware/validate/resolver.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include <netinet/in.h>
#include <poll.h>
#include <unbound.h>

namespace keyward::validate {
namespace {

constexpr int kTypeA = 1;      // RFC 1035
constexpr int kTypeAaaa = 28;  // RFC 3596
constexpr int kClassIn = 1;
constexpr int kRcodeNxDomain = 3;
constexpr int kDispatchMs = 500;
constexpr std::size_t kAddressesMax = 8;  // of one family; more are not tried

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return text;
}

// One question under way: shared by the asker, who may leave at its deadline, and unbound's call
// back.
struct Answered {
  std::vector<Bytes> data;
  bool secure = false;
  std::string code;  // empty: the name servers answered, with `data` or without
  std::string detail;
};

struct Question {
  std::mutex mutex;
  std::condition_variable answered;
  bool done = false;
  Answered answer;
};

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

extern "C" void on_answer(void* user, int error, ub_result* result) {
  const std::unique_ptr<std::shared_ptr<Question>> question(
      static_cast<std::shared_ptr<Question>*>(user));
  Answered answer = read_result(error, result);
  ::ub_resolve_free(result);
  const std::lock_guard lock((*question)->mutex);
  (*question)->answer = std::move(answer);
  (*question)->done = true;
  (*question)->answered.notify_all();
}

class UnboundResolver final : public Resolver {
 public:
  UnboundResolver(StaticHosts hosts, ub_ctx* context)
      : hosts_(std::move(hosts)),
        context_(context),
        dispatcher_([this](const std::stop_token& stop) { dispatch(stop); }) {}
  ~UnboundResolver() override {
    dispatcher_.request_stop();
    dispatcher_.join();
    ::ub_ctx_delete(context_);
  }

  Resolution resolve(const std::string& name, Deadline deadline) override {
    const auto fixed = hosts_.find(lower(name));
    if (fixed != hosts_.end()) return {fixed->second, "", ""};
    const auto six = ask(name, kTypeAaaa);
    const auto four = ask(name, kTypeA);
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
  std::shared_ptr<Question> ask(const std::string& name, int type) {
    auto question = std::make_shared<Question>();
    auto held = std::make_unique<std::shared_ptr<Question>>(question);
    const int code =
        ::ub_resolve_async(context_, name.c_str(), type, kClassIn, held.get(), on_answer, nullptr);
    if (code == 0) {
      static_cast<void>(held.release());  // on_answer takes it
    } else {
      question->answer = read_result(code, nullptr);
      question->done = true;
    }
    return question;
  }
  static Answered wait(const std::shared_ptr<Question>& question, Deadline deadline) {
    std::unique_lock lock(question->mutex);
    const auto patience = std::chrono::milliseconds(deadline.remaining_ms());
    if (!question->answered.wait_for(lock, patience, [&] { return question->done; })) {
      return {{}, false, "dns.timeout", "the name servers did not answer in time"};
    }
    return question->answer;
  }
  void dispatch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd entry{::ub_fd(context_), POLLIN, 0};
      if (::poll(&entry, 1, kDispatchMs) > 0) ::ub_process(context_);
    }
  }

  StaticHosts hosts_;
  ub_ctx* context_;
  std::jthread dispatcher_;
};

// libunbound's option texts end with a colon.
Status set_options(ub_ctx* context, const ResolverOptions& options) {
  constexpr std::pair<const char*, const char*> kOptions[] = {
      {"cache-max-ttl:", "0"},           // see the header
      {"cache-max-negative-ttl:", "0"},  // a record put there a moment ago shall be seen
      {"aggressive-nsec:", "no"},        // for the same reason
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

// With forwarders, names that the public DNS keeps apart are the plant's (RFC 6761, RFC 8375).
void open_local_zones(ub_ctx* context) {
  for (const char* zone : {"test.", "home.arpa."}) ::ub_ctx_zone_add(context, zone, "transparent");
}

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

Result<std::unique_ptr<Resolver>> make_resolver(ResolverOptions options) {
  struct Delete {
    void operator()(ub_ctx* context) const { ::ub_ctx_delete(context); }
  };
  std::unique_ptr<ub_ctx, Delete> context(::ub_ctx_create());
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
  // Last: this begins the context, which takes no options afterwards.
  if (!options.forward.empty()) open_local_zones(context.get());
  return std::unique_ptr<Resolver>(
      new UnboundResolver(std::move(options.hosts), context.release()));
}

}  // namespace keyward::validate
