// Owns the text of GET /metrics: OpenMetrics 1.0 from the supervisor's metrics.json. Must not know
// HTTP. Errors: kBadInput (not such a file). Threads: pure function.
// Source: OpenMetrics 1.0 (content type, families in one piece, `# EOF`).
#pragma once

#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace keyward::manage {

inline constexpr std::string_view kOpenMetricsType =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

Result<std::string> open_metrics(std::string_view metrics_json);

}  // namespace keyward::manage
