// Owns the ACME service: from an HTTP request to a response (RFC 8555). Must not know sockets, TLS
// or SQL. Threads: `handle` from any number; the rest once, from one.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <thread>

#include "firmware/acme/context.h"
#include "firmware/acme/http.h"
#include "firmware/acme/nonces.h"
#include "firmware/acme/routes.h"

namespace keyward::acme {

class Service final : public HttpHandler {
 public:
  // `nonces` lives in the configuration's state_dir (Nonces::open). Locked until the signer has
  // answered.
  Service(ServiceConfig config, Backend backend, const Clock& clock,
          std::unique_ptr<Nonces> nonces);
  ~Service() override;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Takes up unfinished work and begins to answer newOrder once the signer has said its profiles.
  void start();
  void stop();

  HttpResponse handle(const HttpRequest& request) override;
  std::size_t body_bytes_max(std::string_view method, std::string_view raw_path) const override;
  HttpResponse refuse_transport(int status, std::string_view detail) override;

  // Of a public route (routes.h, is_public): what it answers to everybody, without nonce and index.
  Outcome<HttpResponse> read_public(const HttpRequest& request, const RouteMatch& match);

  // One turn of what the caretaker does again and again after `start`; false: a peer is away.
  bool refresh_profiles();  // asks the signer what it offers
  bool resume_work();       // asks the store what is unfinished or due

  // Without background threads: one try of one job that is due; false: none is. `choice` picks it.
  bool turn(std::uint64_t choice);

  void set_state(ApplianceState state) { state_ = state; }
  ApplianceState state() const { return state_; }

 private:
  Outcome<HttpResponse> dispatch(const HttpRequest& request, const RouteMatch& match);
  Outcome<HttpResponse> unsigned_read(const RouteMatch& match, const HttpRequest& request);
  Outcome<HttpResponse> signed_request(const HttpRequest& request, const RouteMatch& match);
  HttpResponse directory(std::string_view tenant);
  std::optional<RouteMatch> find_route(std::string_view raw_path) const;
  void write_directories();
  bool is_offered(Resource resource) const;
  void finish(HttpResponse& response, bool with_nonce, bool with_index,
              std::string_view tenant = {});
  void take_care();  // the caretaker thread

  Context context_;
  std::unique_ptr<Nonces> nonces_;
  std::atomic<ApplianceState> state_{ApplianceState::kLocked};
  std::mutex mutex_;  // of what follows
  std::condition_variable stop_;
  bool stopped_ = false;
  // By tenant; "": the appliance's own.
  std::map<std::string, std::shared_ptr<const std::string>, std::less<>> directories_;
  std::thread caretaker_;
};

}  // namespace keyward::acme
