// Owns what each step of a ceremony does, as a list: words to announce it by, and a function. Must not
// know who agrees to a step, what was done before, or the transcript's form.
//
// A step writes whole files into the output folder and names them; what it made is read back as a
// stranger would before it counts. A step that failed left no file behind that counts; a key that it
// made stays in its token. Errors: the kinds of products.h, ceremony_tokens.h and files.
// Threads: one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/ctl/ceremony_tokens.h"
#include "firmware/ceremony/products.h"

namespace keyward::ctl {

struct StepResult {
  std::vector<std::string> files;    // relative to the output folder
  std::vector<std::string> leaving;  // the same, but to be carried away
  std::string note;
};

struct CeremonyStep {
  std::string id;
  std::string words;
  std::function<Result<StepResult>()> run;
  // What somebody elsewhere must do first; without that file the step cannot be tried.
  struct Awaited {
    std::string file;     // absolute
    std::string request;  // relative to the output folder: what to have certified
  };
  std::optional<Awaited> awaited{};
};

class CeremonySteps {
 public:
  CeremonySteps(const ceremony::WholePlan& plan, CeremonyTokens& tokens, std::string plan_folder,
                std::string out)
      : plan_(plan), tokens_(tokens), plan_folder_(std::move(plan_folder)), out_(std::move(out)) {}

  // Files that the plan names beside the boards': what is wrong with them, before any key is made.
  std::vector<std::string> load();
  std::vector<CeremonyStep> list();
  // The audit key's certificate, when it is made.
  Result<Bytes> certificate(const std::string& file) const;

 private:
  void add(const std::string& id, const std::string& words,
           std::function<Result<StepResult>()> run);
  void add_tokens();
  void add_key(const std::string& id, const std::string& token, const std::string& label,
               hal::KeyAlgorithm algorithm, const std::string& whose);
  void add_root();
  void add_existing_root();
  void add_external_root();
  void add_issuing(const ceremony::IssuingPlan& issuing);
  void add_certified_issuing(const ceremony::IssuingPlan& issuing);
  void add_audit();
  void add_certified_audit();
  void add_request(const std::string& id, const std::string& token, const std::string& whose,
                   std::function<Result<Bytes>(hal::SigningToken&)> make);
  void add_requests();
  void add_below_root();
  void add_existing_audit();
  void add_evidence();
  void add_ocsp(const ceremony::OcspPlan& ocsp);
  void add_cross(const ceremony::CrossPlan& cross);
  void add_list(const std::string& name, const std::string& token, const std::string& key_label,
                ceremony::CrlTerms terms, std::int64_t days);
  void add_operators();
  void add_shares();
  void add_installation(const ceremony::IssuingPlan& issuing);

  // A key that exists: it is the certificate's, and never could leave its token.
  Status check_existing_key(const std::string& token, const std::string& label,
                            ByteView certificate_der) const;
  std::string beside_plan(const std::string& path) const;
  Result<StepResult> make_cross(const ceremony::CrossPlan& cross) const;
  Result<StepResult> make_shares() const;
  ceremony::EndEntity audit_subject() const;
  Result<StepResult> put_issuing(const std::string& name, ByteView root, ByteView der) const;
  std::string installation_text(const ceremony::IssuingPlan& issuing) const;
  Status put(const std::string& file, std::string_view content, unsigned mode = 0644) const;
  Result<Bytes> key_of(const std::string& id) const;

  const ceremony::WholePlan& plan_;
  CeremonyTokens& tokens_;
  std::string plan_folder_;
  std::string out_;
  std::vector<std::string> operator_keys_;  // texts, in the plan's order
  std::vector<CeremonyStep> steps_;
};

// "handover/custodian-2-anna-lee.txt"
std::string custodian_file(const std::vector<std::string>& names, std::size_t index);

}  // namespace keyward::ctl
