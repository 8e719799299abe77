// Owns what both forms of the plan read alike. Included by this folder alone.
#pragma once

#include "firmware/ceremony/ceremony.h"
#include "firmware/config/config.h"

namespace keyward::ceremony {

// A century: RFC 5280's GeneralizedTime carries it.
inline constexpr std::int64_t kLifetimeDaysMax = 36'525;

// `name` stands in problems: "[root]".
CaPlan read_ca(config::Section& section, const std::string& name,
               std::vector<std::string>& problems);
// Organization and country.
void check_subject(const CaPlan& ca, const std::string& name, std::vector<std::string>& problems);
hal::KeyAlgorithm read_algorithm(const std::string& text, const std::string& name,
                                 std::vector<std::string>& problems);
void check_root(const CaPlan& root, const std::string& name, std::vector<std::string>& problems);
void check_issuing(const CaPlan& issuing, const CaPlan& root, const std::string& name,
                   std::vector<std::string>& problems);

}  // namespace keyward::ceremony
