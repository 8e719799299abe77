// Owns the steps. Must not know single tests.
#include "tests/system/protocol/kit.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "firmware/jose/jws.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/csr.h"
#include "hal/base/clock.h"
#include "hal/base/unique_fd.h"

namespace keyward::test {
namespace {

constexpr int kLookMs = 20;
constexpr std::string_view kUrn = "urn:ietf:params:acme:error:";
constexpr std::string_view kPage =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong";

std::unique_ptr<Stage> the_open_stage, the_binding_stage;

// The simulators shall be down before the program ends, whatever the tests did.
class StageKeeper : public ::testing::Environment {
 public:
  void TearDown() override {
    the_open_stage.reset();
    the_binding_stage.reset();
  }
};
[[maybe_unused]] const auto* const keeper = ::testing::AddGlobalTestEnvironment(new StageKeeper);

std::vector<std::string> up_options(const Stage& stage, bool wants_binding) {
  std::vector<std::string> out{"--quiet",
                               "--http-port",
                               std::to_string(stage.wrong.port()),
                               "--host",
                               "wrong.plant.example=127.0.0.1",
                               "--host",
                               "nobody.plant.example=127.0.0.9"};
  const auto set = [&](const std::string& line) { out.insert(out.end(), {"--set", line}); };
  set("validation.tls_port=" + std::to_string(stage.wrong.port()));
  set("validation.resolver.forward=[\"" + stage.dns.forward() + "\"]");
  set("validation.caa_identities=[\"ca.plant.example\"]");
  set("acme.caa_identities=[\"ca.plant.example\"]");
  set("acme.validation_tries=1");
  set("signer.crl_hours=0");  // lists are made beside the requests: the ledger is compared around each
  set("signer.profiles.server.star=true");
  set("rate_limits.key_changes_per_account_hour=1");
  set("rate_limits.help_url=\"" + std::string(kHelp) + "\"");
  if (wants_binding) {
    set("signer.external_account_required=true");
  } else {
    set("acme.terms_of_service=\"" + std::string(kTerms) + "\"");
  }
  return out;
}

Stage& kept(std::unique_ptr<Stage>& place, bool wants_binding) {
  if (!place) place = std::make_unique<Stage>(wants_binding);
  return *place;
}

void answer_wrongly(int listener, const std::atomic<bool>& stop) {
  while (!stop) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, kLookMs) <= 0) continue;
    const UniqueFd peer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer) continue;
    const timeval patience{1, 0};
    ::setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char request[2'048];
    (void)!::recv(peer.get(), request, sizeof request, 0);
    (void)!::send(peer.get(), kPage.data(), kPage.size(), MSG_NOSIGNAL);
  }
}

}  // namespace

crypto::PrivateKey fresh_key() {
  return must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
}

std::string jwk_of(const crypto::PrivateKey& key) {
  return must(jose::Jwk::from_public_key(key.public_key())).canonical();
}

json::Document json_of(const HttpReply& reply) {
  auto document = json::Document::parse(reply.body);
  if (document) return std::move(*document);
  ADD_FAILURE() << "no JSON in the answer " << reply.status << ": " << reply.body;
  return must(json::Document::parse("{}"));
}

std::string text_at(const HttpReply& reply, std::string_view member) {
  return std::string(json_of(reply).root().get(member).string());
}

bool eventually(const std::function<bool()>& condition, std::int64_t timeout_ms) {
  const auto deadline = Deadline::after_ms(timeout_ms);
  while (!condition()) {
    if (deadline.passed()) return false;
    ::poll(nullptr, 0, kLookMs);
  }
  return true;
}

// ---- the stage

struct WrongServer::Impl {
  UniqueFd listener;
  std::atomic<bool> stop{false};
  std::thread thread;
};

WrongServer::WrongServer() : impl_(std::make_unique<Impl>()) {
  impl_->listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int fd = impl_->listener.get();
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 16) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return;
  port_ = ::ntohs(address.sin_port);
  impl_->thread = std::thread([this] { answer_wrongly(impl_->listener.get(), impl_->stop); });
}

WrongServer::~WrongServer() {
  impl_->stop = true;
  if (impl_->thread.joinable()) impl_->thread.join();
}

Stage::Stage(bool wants_binding)
    : simulator(std::make_unique<Simulator>(up_options(*this, wants_binding))),
      directory(must(json::Document::parse("{}"))) {
  if (!simulator->started()) {  // no test here means anything without it
    std::cerr << simulator->output() << "\nthe simulator does not start\n";
    std::exit(EXIT_FAILURE);
  }
  const auto url = simulator->env("KEYWARD_DIRECTORY");
  const auto path = url.find('/', 8);
  TlsClient http(url.substr(8, path - 8), simulator->env("KEYWARD_CA_FILE"));
  directory = json_of(must(http.request("GET", url.substr(path), "", "")));
}

std::uintmax_t Stage::ledger_bytes() const {
  std::uintmax_t bytes = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(simulator->dir() + "/state/signer/ledger"))
    bytes += file.is_regular_file() ? file.file_size() : 0;
  EXPECT_GT(bytes, 0U) << "a comparison of nothing";
  return bytes;
}

Stage& open_stage() { return kept(the_open_stage, false); }
Stage& binding_stage() { return kept(the_binding_stage, true); }

// ---- the client

Client::Client(Stage& on, Account account) : stage(on), key(fresh_key()) {
  const auto url = stage.simulator->env("KEYWARD_DIRECTORY");
  origin_ = url.substr(0, url.find('/', 8));
  http_ = std::make_unique<TlsClient>(origin_.substr(8), stage.simulator->env("KEYWARD_CA_FILE"));
  if (account == Account::kNone) return;
  const auto made =
      new_account(R"({"termsOfServiceAgreed":true,"contact":["mailto:op@plant.example"]})");
  EXPECT_EQ(made.status, 201) << made.body;
  kid = made.header("location");
}

std::string Client::path_of(const std::string& url) const {
  return url.starts_with(origin_) ? url.substr(origin_.size()) : url;
}

HttpReply Client::exchange(std::string_view method, const std::string& url, std::string_view type,
                           const std::string& body) {
  auto reply = must(http_->request(method, path_of(url), type, body));
  if (auto fresh = reply.header("replay-nonce"); !fresh.empty()) nonce_ = std::move(fresh);
  return reply;
}

std::string Client::nonce() {
  if (nonce_.empty()) (void)send("HEAD", stage.url_of("newNonce"));
  return std::exchange(nonce_, {});
}

HttpReply Client::send(std::string_view method, const std::string& url) {
  return exchange(method, url, "application/jose+json", "");
}

HttpReply Client::send(const Draft& draft) {
  last_nonce_ = draft.nonce ? *draft.nonce : draft.without_nonce ? std::string() : nonce();
  json::Writer header;
  header.begin_object().member("alg", draft.alg.value_or("ES256"));
  header.member("url", draft.header_url.value_or(draft.url));
  if (!draft.without_nonce) header.member("nonce", last_nonce_);
  const bool by_kid = !draft.without_key && !draft.jwk && !kid.empty();
  if (draft.kid || by_kid) header.member("kid", draft.kid.value_or(kid));
  const auto& signer = draft.signer != nullptr ? *draft.signer : key;
  const bool by_jwk = !draft.without_key && !draft.kid && kid.empty();
  if (draft.jwk || by_jwk) header.key("jwk").raw(draft.jwk.value_or(jwk_of(signer)));
  auto header_text = header.end_object().take();
  header_text.insert(header_text.size() - 1, draft.more_header);
  const auto protected_b64 = base64url_encode(view_of(header_text));
  const auto payload_b64 = draft.payload_b64.value_or(base64url_encode(view_of(draft.payload)));
  const auto signature =
      must(signer.sign(crypto::SignatureScheme::kEcdsaRaw, crypto::HashAlgorithm::kSha256,
                       view_of(protected_b64 + "." + payload_b64)));
  json::Writer out;
  out.begin_object().member("protected", protected_b64).member("payload", payload_b64);
  out.member("signature", base64url_encode(signature)).end_object();
  auto body = out.take();
  if (draft.body) body = draft.body(std::move(body));
  auto reply =
      exchange("POST", draft.url, draft.content_type.value_or("application/jose+json"), body);
  EXPECT_NE(reply.header("replay-nonce"), last_nonce_) << "a nonce that was used";
  return reply;
}

HttpReply Client::post(const std::string& url, const std::string& payload) {
  Draft draft;
  draft.url = url;
  draft.payload = payload;
  return send(draft);
}

HttpReply Client::new_account(const std::string& payload) {
  Draft draft;
  draft.url = stage.url_of("newAccount");
  draft.payload = payload;
  draft.jwk = jwk_of(key);
  return send(draft);
}

std::string Client::fresh_name() {
  static int count = 0;
  return "n" + std::to_string(++count) + ".plant.example";
}

std::string Client::names_payload(const std::vector<std::string>& names,
                                  const std::string& more_members) {
  json::Writer out;
  out.begin_object().key("identifiers").begin_array();
  for (const auto& name : names)
    out.begin_object().member("type", "dns").member("value", name).end_object();
  auto text = out.end_array().end_object().take();
  text.insert(text.size() - 1, more_members);
  return text;
}

HttpReply Client::new_order(const std::string& payload) {
  return post(stage.url_of("newOrder"), payload);
}

Order Client::order(const std::string& payload) {
  const auto made = new_order(payload);
  EXPECT_EQ(made.status, 201) << made.body;
  const auto object = json_of(made);
  Order out{
      made.header("location"), std::string(object.root().get("finalize").string()), {}, made.body};
  for (const auto& authz : object.root().get("authorizations").items())
    out.authorizations.emplace_back(authz.string());
  return out;
}

Challenge Client::challenge(const std::string& authz_url, std::string_view type) {
  const auto authz = json_of(read(authz_url));
  for (const auto& item : authz.root().get("challenges").items()) {
    if (item.get("type").string() == type)
      return {std::string(item.get("url").string()), std::string(item.get("token").string())};
  }
  ADD_FAILURE() << "no " << type << " at " << authz_url;
  return {};
}

void Client::put_txt(const std::string& name, const Challenge& challenge) {
  const auto thumbprint = must(jose::Jwk::from_public_key(key.public_key())).thumbprint();
  const auto text = jose::key_authorization(challenge.token, thumbprint);
  stage.dns.add("_acme-challenge." + name, dns::kTxt,
                dns::txt(base64url_encode(crypto::sha256(view_of(text)))));
}

HttpReply Client::settled(const std::string& url) {
  HttpReply reply;
  EXPECT_TRUE(eventually([&] {
    reply = read(url);
    return reply.status != 200 || text_at(reply, "status") != "processing";
  })) << reply.body;
  return reply;
}

std::string Client::name_of(const Order& order) {
  const auto object = must(json::Document::parse(order.body));
  return std::string(object.root().get("identifiers").items().at(0).get("value").string());
}

void Client::prove(const Order& order) {
  for (const auto& url : order.authorizations) {
    const auto dns_01 = challenge(url, "dns-01");
    put_txt(std::string(json_of(read(url)).root().get("identifier").get("value").string()), dns_01);
    EXPECT_EQ(post(dns_01.url, "{}").status, 200);
    EXPECT_EQ(text_at(settled(dns_01.url), "status"), "valid");
  }
}

Order Client::ready_order() {
  auto out = order_for(fresh_name());
  prove(out);
  EXPECT_EQ(status_of(out.url), "ready");
  return out;
}

HttpReply Client::finalize(const Order& order, const std::vector<std::string>& names) {
  return post(order.finalize,
              csr_payload(fresh_key(), names.empty() ? std::vector{name_of(order)} : names));
}

Bytes Client::leaf(const Order& order) {
  const auto valid = json_of(settled(order.url));
  const auto url = valid.root().get("certificate").string();
  EXPECT_FALSE(url.empty()) << valid.root().print();
  const auto chain = read(std::string(url));
  EXPECT_EQ(chain.status, 200) << chain.body;
  return first_certificate(chain.body);
}

Bytes Client::issued() {
  const auto made = ready_order();
  const auto done = finalize(made);
  EXPECT_EQ(done.status, 200) << done.body;
  return leaf(made);
}

std::string Client::picture() {
  std::string out = read(kid).body;
  const auto list = read(kid + "/orders");
  EXPECT_EQ(list.status, 200) << list.body;
  out += "\n" + list.body;
  const auto orders = json_of(list);  // the values below are views into it
  for (const auto& url : orders.root().get("orders").items()) {
    const auto one = read(std::string(url.string()));
    EXPECT_EQ(one.status, 200) << one.body;
    out += "\n" + one.body;
    const auto order = json_of(one);
    for (const auto& authz : order.root().get("authorizations").items())
      out += "\n" + read(std::string(authz.string())).body;
  }
  return out + "\n" + std::to_string(stage.ledger_bytes());
}

// ---- judging

bool has_link(const HttpReply& reply, std::string_view relation, std::string_view target) {
  return std::any_of(reply.headers.begin(), reply.headers.end(), [&](const auto& header) {
    return header.first == "link" && header.second.find(target) != std::string::npos &&
           header.second.ends_with(";rel=\"" + std::string(relation) + "\"");
  });
}

void expect_problem(const HttpReply& reply, int status, std::string_view type,
                    std::string_view code) {
  EXPECT_EQ(reply.status, status) << reply.body;
  EXPECT_EQ(reply.header("content-type"), "application/problem+json");
  EXPECT_FALSE(reply.header("replay-nonce").empty());
  EXPECT_EQ(reply.header("cache-control"), "no-store");
  EXPECT_TRUE(has_link(reply, "index", "/acme/directory"));
  const auto problem = json_of(reply);
  EXPECT_EQ(problem.root().get("type").string(), std::string(kUrn) + std::string(type))
      << reply.body;
  EXPECT_EQ(problem.root().get("status").integer(), status);
  EXPECT_FALSE(problem.root().get("detail").string().empty());
  if (!code.empty()) {
    EXPECT_EQ(problem.root().get("code").string(), code) << reply.body;
  }
}

std::string csr_payload(const crypto::PrivateKey& key, const std::vector<std::string>& names) {
  std::vector<wire::Identifier> identifiers;
  for (const auto& name : names) identifiers.push_back({wire::IdentifierType::kDns, name});
  return R"({"csr":")" + base64url_encode(must(x509::build_csr(key, identifiers))) + R"("})";
}

std::string revoke_payload(const Bytes& certificate, std::optional<int> reason) {
  return R"({"certificate":")" + base64url_encode(certificate) + "\"" +
         (reason ? ",\"reason\":" + std::to_string(*reason) : std::string()) + "}";
}

Bytes first_certificate(const std::string& pem) {
  auto chain = must(x509::certificates_from_pem(pem, 8));
  return chain.empty() ? Bytes{} : chain.front();
}

}  // namespace keyward::test
