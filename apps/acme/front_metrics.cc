#include "apps/acme/front_metrics.h"

#include "firmware/metrics/metrics.h"

namespace keyward::acme {

void FrontMetrics::report(const https::HttpsServer& server) {
  metrics::set(prefix_ + "connections", {}, static_cast<std::int64_t>(server.connections()));
  const auto now = server.turned();
  const auto turned = [this](std::string_view why, std::uint64_t before, std::uint64_t after) {
    metrics::count(prefix_ + "turned_away_total", {{"why", why}}, after - before);
  };
  turned("connections.full", told_.full, now.full);
  turned("connections.address", told_.address_full, now.address_full);
  turned("connects.address", told_.too_fast, now.too_fast);
  turned("connections.displaced", told_.displaced, now.displaced);
  turned("requests.waited", told_.paced, now.paced);
  turned("requests.refused", told_.limited, now.limited);
  told_ = now;
}

}  // namespace keyward::acme
