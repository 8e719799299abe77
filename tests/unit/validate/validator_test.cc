// What is refused before anything is fetched, the comparison, the queue, and that the grant comes
// first.
#include "firmware/validate/validator.h"

#include <future>

#include <gtest/gtest.h>

namespace keyward::validate {
namespace {

using wire::IdentifierType;
using wire::ValidationMethod;

TEST(BodyMatches_TrailingWhiteSpace, Ignored) {
  EXPECT_TRUE(body_matches("abc.def", "abc.def"));
  EXPECT_TRUE(body_matches("abc.def\r\n \t\n", "abc.def"));
}

TEST(BodyMatches_AnythingElse, Refused) {
  EXPECT_FALSE(body_matches(" abc.def", "abc.def"));
  EXPECT_FALSE(body_matches("abc.de", "abc.def"));
  EXPECT_FALSE(body_matches("abc.defg", "abc.def"));
  EXPECT_FALSE(body_matches("abc.def\nabc.def", "abc.def"));
  EXPECT_FALSE(body_matches(std::string_view("abc.def\0", 8), "abc.def"));
  EXPECT_FALSE(body_matches("<html>abc.def</html>", "abc.def"));
}

TEST(BodyMatches_Nothing, IsNeverEqual) {
  EXPECT_FALSE(body_matches("", "abc.def"));
  EXPECT_FALSE(body_matches("", ""));
  EXPECT_FALSE(body_matches(" \n", ""));
  EXPECT_FALSE(body_matches("x", ""));
}

TEST(KeyAuthorization_Form, IsTokenDotThumbprint) {
  Digest256 thumbprint{};
  EXPECT_EQ(key_authorization("tok", thumbprint),
            "tok.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}

TEST(ParseHosts_Lines, AreReadOrRefused) {
  const auto hosts = parse_hosts({"A.Example=127.0.0.1", "a.example=::1", "b.example=10.0.0.1"});
  ASSERT_TRUE(hosts);
  EXPECT_EQ(hosts->at("a.example").size(), 2u);
  EXPECT_FALSE(parse_hosts({"a.example"}));
  EXPECT_FALSE(parse_hosts({"=127.0.0.1"}));
  EXPECT_FALSE(parse_hosts({"a.example=elsewhere"}));
}

class SetClock final : public Clock {
 public:
  std::int64_t utc_ms() const override { return now_ms; }
  std::int64_t monotonic_ms() const override { return now_ms; }
  std::int64_t now_ms = 1'000'000;
};

// Answers when it is let; never leaves the process.
class HeldResolver final : public Resolver {
 public:
  Resolution resolve(const std::string&, Deadline) override {
    ++asked;
    gate.wait();
    return {{}, "dns.nxdomain", "the name does not exist"};
  }
  Records query(const std::string&, RecordType, Deadline) override {
    return {{}, false, "dns.servfail", "not asked here"};
  }
  std::promise<void> opened;
  std::shared_future<void> gate = opened.get_future().share();
  std::atomic<int> asked{0};
};

class HeldServers final : public NameServers {
 public:
  explicit HeldServers(HeldResolver& resolver) : resolver_(resolver) {}
  std::unique_ptr<Resolver> open() override { return std::make_unique<Passing>(resolver_); }

 private:
  struct Passing final : Resolver {
    explicit Passing(HeldResolver& to) : resolver(to) {}
    Resolution resolve(const std::string& name, Deadline deadline) override {
      return resolver.resolve(name, deadline);
    }
    Records query(const std::string& name, RecordType type, Deadline deadline) override {
      return resolver.query(name, type, deadline);
    }
    HeldResolver& resolver;
  };
  HeldResolver& resolver_;
};

class ValidatorTest : public ::testing::Test {
 protected:
  void make(int workers = 1, std::size_t queue_max = 2) {
    ValidatorOptions options;
    options.workers = workers;
    options.queue_max = queue_max;
    options.grant_lifetime_ms = 60'000;
    options.appliance_names = *parse_appliance_names({"ca.plant.example", "127.0.0.1"});
    resolver_ = std::make_unique<HeldResolver>();
    validator_.emplace(
        challenge::TokenMint(SecretBytes(Bytes(32, 9))), std::move(options),
        std::make_unique<HeldServers>(*resolver_),
        [this](const wire::GrantName& grant) -> Answer<wire::GrantNameReply> {
          grants_.push_back(grant);
          if (signer_away_)
            return tl::unexpected<wire::Failure>(
                wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", ""));
          return wire::GrantNameReply{};
        },
        clock_);
  }
  wire::NameTokenMint mint_request() const {
    wire::NameTokenMint request;
    request.thumbprint.fill(3);
    request.identifier = {IdentifierType::kDns, "host.plant.example"};
    request.ticket = "ticket";
    request.method = ValidationMethod::kHttp01;
    request.expires_at_ms = 2'000'000;
    return request;
  }
  wire::NameValidate validate_request() const {
    const auto m = mint_request();
    return {m.thumbprint,
            m.identifier,
            m.wildcard,
            m.ticket,
            m.method,
            m.expires_at_ms,
            validator_->mint(m)->token,
            m.subtree,
            "",
            {}};
  }
  std::future<Answer<wire::NameValidateReply>> begin(const wire::NameValidate& request) {
    auto promise = std::make_shared<std::promise<Answer<wire::NameValidateReply>>>();
    auto future = promise->get_future();
    validator_->validate(request,
                         [promise](auto answer) { promise->set_value(std::move(answer)); });
    return future;
  }
  std::string code_of(const wire::NameValidate& request) {
    const auto answer = begin(request).get();
    return answer ? "answered" : answer.error().code;
  }

  SetClock clock_;
  std::vector<wire::GrantName> grants_;
  bool signer_away_ = false;
  std::unique_ptr<HeldResolver> resolver_;
  std::optional<Validator> validator_;
};

TEST_F(ValidatorTest, Mint_WhatHttp01CannotProve_IsRefused) {
  make();
  const auto refused = [&](auto change) {
    auto request = mint_request();
    change(request);
    const auto answer = validator_->mint(request);
    return answer ? "minted" : answer.error().code;
  };
  EXPECT_EQ(refused([](auto&) {}), "minted");
  EXPECT_EQ(refused([](auto& r) { r.wildcard = true; }), "wildcard-http-01");
  EXPECT_EQ(refused([](auto& r) { r.identifier.value = "*.plant.example"; }), "wildcard-http-01");
  EXPECT_EQ(refused([](auto& r) { r.method = ValidationMethod::kDnsPersist01; }),
            "method-unsupported");
  EXPECT_EQ(refused([](auto& r) { r.method = ValidationMethod::kAppliance; }),
            "method-unsupported");
  EXPECT_EQ(refused([](auto& r) { r.identifier.type = IdentifierType::kPermanentIdentifier; }),
            "identifier-unsupported");
  EXPECT_EQ(refused([](auto& r) { r.identifier.value = "Host.Plant.Example"; }),
            "identifier-malformed");
  EXPECT_EQ(refused([](auto& r) { r.identifier.value = "host.plant.example:8080/x?"; }),
            "identifier-malformed");
  EXPECT_EQ(refused([](auto& r) { r.identifier.value = ""; }), "identifier-malformed");
}

TEST_F(ValidatorTest, Validate_TokenOfAnythingElse_IsForgedAndNothingIsFetched) {
  make();
  const auto refused = [&](auto change) {
    auto request = validate_request();
    change(request);
    return code_of(request);
  };
  EXPECT_EQ(refused([](auto& r) { r.thumbprint.fill(4); }), "challenge-token-forged");
  EXPECT_EQ(refused([](auto& r) { r.identifier.value = "other.plant.example"; }),
            "challenge-token-forged");
  EXPECT_EQ(refused([](auto& r) { r.ticket = "another"; }), "challenge-token-forged");
  EXPECT_EQ(refused([](auto& r) { r.expires_at_ms += 1; }), "challenge-token-forged");
  EXPECT_EQ(refused([](auto& r) { r.token[5] = r.token[5] == 'A' ? 'B' : 'A'; }),
            "challenge-token-forged");
  EXPECT_EQ(refused([](auto& r) { r.token.clear(); }), "challenge-token-forged");
  EXPECT_EQ(refused([](auto& r) { r.wildcard = true; }), "wildcard-http-01");
  clock_.now_ms = 2'000'000;
  EXPECT_EQ(refused([](auto&) {}), "challenge-token-expired");
  EXPECT_EQ(resolver_->asked, 0);
  EXPECT_TRUE(grants_.empty());
}

TEST_F(ValidatorTest, Validate_QueueFull_IsExhaustedAndMintStaysQuick) {
  make(1, 2);
  auto running = begin(validate_request());
  const auto deadline = Deadline::after_ms(10'000);
  while (resolver_->asked == 0 && !deadline.passed()) std::this_thread::yield();
  auto first = begin(validate_request());
  auto second = begin(validate_request());
  EXPECT_EQ(code_of(validate_request()), "validation-busy");
  EXPECT_TRUE(validator_->mint(mint_request()));
  resolver_->opened.set_value();
  for (auto* future : {&running, &first, &second}) {
    const auto answer = future->get();
    ASSERT_TRUE(answer && answer->problem);
    EXPECT_EQ(answer->problem->type, "dns");
    EXPECT_EQ(answer->problem->code, "dns.nxdomain");
  }
  EXPECT_TRUE(grants_.empty());
}

TEST_F(ValidatorTest, ApplianceGrant_OwnNames_AreGrantedForOneOrder) {
  make();
  wire::ApplianceGrant request;
  request.thumbprint.fill(5);
  request.ticket = "own-order";
  request.names = {{IdentifierType::kDns, "ca.plant.example"}, {IdentifierType::kIp, "127.0.0.1"}};
  const auto answer = validator_->grant_appliance(request);
  ASSERT_TRUE(answer);
  ASSERT_EQ(grants_.size(), 2u);
  EXPECT_EQ(grants_[0].method, ValidationMethod::kAppliance);
  EXPECT_EQ(grants_[0].ticket, "own-order");
  EXPECT_FALSE(grants_[0].wildcard);
  EXPECT_EQ(grants_[0].expires_at_ms, answer->grant_expires_at_ms);
  EXPECT_NE(grants_[0].evidence_sha256, Digest256{});
}

TEST_F(ValidatorTest, ApplianceGrant_AnyOtherName_IsRefusedAndNothingIsGranted) {
  make();
  wire::ApplianceGrant request;
  request.ticket = "own-order";
  EXPECT_EQ(validator_->grant_appliance(request).error().code, "appliance-names-empty");
  request.names = {{IdentifierType::kDns, "ca.plant.example"},
                   {IdentifierType::kDns, "victim.plant.example"}};
  EXPECT_EQ(validator_->grant_appliance(request).error().code, "appliance-name-unknown");
  request.names = {{IdentifierType::kIp, "ca.plant.example"}};
  EXPECT_EQ(validator_->grant_appliance(request).error().code, "appliance-name-unknown");
  request.names = {{IdentifierType::kDns, "ca.plant.example"}};
  request.ticket.clear();
  EXPECT_EQ(validator_->grant_appliance(request).error().code, "appliance-ticket-missing");
  EXPECT_TRUE(grants_.empty());
}

TEST_F(ValidatorTest, ApplianceGrant_SignerAway_IsUnavailable) {
  make();
  signer_away_ = true;
  wire::ApplianceGrant request;
  request.ticket = "own-order";
  request.names = {{IdentifierType::kDns, "ca.plant.example"}};
  const auto answer = validator_->grant_appliance(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, wire::FailureKind::kUnavailable);
}

}  // namespace
}  // namespace keyward::validate
