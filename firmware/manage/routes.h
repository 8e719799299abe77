// Owns the one table of the management port's routes: method, path, roles, states in which it
// answers, body cap. Must not know handlers. The negative tests are generated from it. Threads:
// constant data. Source: DESIGN §3.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hal/base/limits.h"

namespace keyward::manage {

enum class Resource : std::uint8_t { kHealth, kReady, kMetrics, kStatus, kAuditHead, kOrders };

// What the supervisor's status.json says; kUnknown: it cannot be read.
enum State : std::uint8_t {
  kUnknown = 1,
  kStarting = 2,
  kOperational = 4,
  kDegraded = 8,
  kFailed = 16,
  kStopping = 32
};
inline constexpr std::uint8_t kEveryState = 63;

// Whom the TLS handshake proved the client to be. An operator whose only role is audit looks on.
enum Role : std::uint8_t {
  kAnonymous = 1,  // no certificate, from this machine; only if the installation allows it
  kMonitor = 2,    // a pinned key
  kAuditor = 4,
  kOperator = 8
};
inline constexpr std::uint8_t kWithKey = kMonitor | kAuditor | kOperator;

struct Route {
  Resource resource;
  std::string_view method;
  std::string_view path;
  std::uint8_t roles;
  std::uint8_t states;  // in the others: 503
  std::size_t body_bytes_max;
};

inline constexpr std::array kRoutes = std::to_array<Route>({
    {Resource::kHealth, "GET", "/healthz", kWithKey | kAnonymous, kEveryState, 0},
    {Resource::kReady, "GET", "/readyz", kWithKey | kAnonymous, kOperational | kDegraded, 0},
    {Resource::kMetrics, "GET", "/metrics", kWithKey | kAnonymous, kEveryState, 0},
    {Resource::kStatus, "GET", "/v1/status", kWithKey,
     kStarting | kOperational | kDegraded | kFailed | kStopping, 0},
    {Resource::kAuditHead, "GET", "/v1/audit-head", kWithKey, kOperational | kDegraded, 0},
    {Resource::kOrders, "POST", "/v1/orders", kOperator, kOperational | kDegraded,
     limits::kOperatorOrderBytesMax},
});

}  // namespace keyward::manage
