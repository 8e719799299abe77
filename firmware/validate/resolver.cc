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
struct Question {
  std::mutex mutex;
  std::condition_variable answered;
  bool done = false;
  Resolution resolution;
};

void take_addresses(const ub_result& result, Resolution& out) {
  if (result.havedata == 0) return;
  for (int i = 0; result.data[i] != nullptr && out.addresses.size() < kAddressesMax; ++i) {
    const auto* octets = reinterpret_cast<const std::uint8_t*>(result.data[i]);
    if (result.qtype == kTypeA && result.len[i] == 4) {
      out.addresses.push_back(IpAddress::v4(std::span<const std::uint8_t, 4>(octets, 4)));
    } else if (result.qtype == kTypeAaaa && result.len[i] == 16) {
      out.addresses.push_back(IpAddress::v6(std::span<const std::uint8_t, 16>(octets, 16)));
    }
  }
}

Resolution read_result(int error, const ub_result* result) {
  Resolution out;
  if (error != 0 || result == nullptr) {
    out.code = "dns.servfail";
    out.detail = "the resolver failed";
  } else if (result->bogus != 0) {
    out.code = "dns.bogus";
    out.detail = "the answer does not pass DNSSEC validation";
  } else if (result->rcode == kRcodeNxDomain || result->nxdomain != 0) {
    out.code = "dns.nxdomain";
    out.detail = "the name does not exist";
  } else if (result->rcode != 0) {
    out.code = "dns.servfail";
    out.detail = "the name servers answered with an error";
  } else {
    take_addresses(*result, out);
    if (out.addresses.empty()) {
      out.code = "dns.no-address";
      out.detail = "the name has no address";
    }
  }
  return out;
}

extern "C" void on_answer(void* user, int error, ub_result* result) {
  const std::unique_ptr<std::shared_ptr<Question>> question(
      static_cast<std::shared_ptr<Question>*>(user));
  Resolution resolution = read_result(error, result);
  ::ub_resolve_free(result);
  const std::lock_guard lock((*question)->mutex);
  (*question)->resolution = std::move(resolution);
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
    Resolution first = wait(six, deadline);
    const Resolution second = wait(four, deadline);
    first.addresses.insert(first.addresses.end(), second.addresses.begin(), second.addresses.end());
    if (!first.addresses.empty()) return {std::move(first.addresses), "", ""};
    // The address family that says more: a name without AAAA is ordinary.
    return first.code == "dns.no-address" ? second : first;
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
      question->resolution = read_result(code, nullptr);
      question->done = true;
    }
    return question;
  }
  static Resolution wait(const std::shared_ptr<Question>& question, Deadline deadline) {
    std::unique_lock lock(question->mutex);
    const auto patience = std::chrono::milliseconds(deadline.remaining_ms());
    if (!question->answered.wait_for(lock, patience, [&] { return question->done; })) {
      return {{}, "dns.timeout", "the name servers did not answer in time"};
    }
    return question->resolution;
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

}  // namespace

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
  for (const auto& forward : options.forward) {
    if (::ub_ctx_set_fwd(context.get(), forward.c_str()) != 0) {
      return fail(ErrorKind::kBadInput, "a forwarder is written address or address@port");
    }
  }
  if (!options.trust_anchor.empty() &&
      ::ub_ctx_add_ta_file(context.get(), options.trust_anchor.c_str()) != 0) {
    return fail(ErrorKind::kBadInput, "the trust anchor file cannot be used");
  }
  return std::unique_ptr<Resolver>(
      new UnboundResolver(std::move(options.hosts), context.release()));
}

}  // namespace keyward::validate
