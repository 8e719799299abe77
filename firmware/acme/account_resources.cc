#include "firmware/acme/account_resources.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

using Contacts = std::vector<std::string>;

Outcome<Contacts> read_contacts(const json::Value& value) {
  if (!value.is_array())
    return refuse(ProblemType::kMalformed, "contact.form", "\"contact\" is not an array");
  const auto items = value.items();
  if (items.size() > limits::kContactsMax) {
    return refuse(ProblemType::kInvalidContact, "contact.many",
                  "there are more contacts than this server keeps");
  }
  Contacts contacts;
  for (const auto& item : items) {
    if (!item.is_string())
      return refuse(ProblemType::kMalformed, "contact.form", "a contact is not a string");
    if (auto ok = check_contact(item.string()); !ok) return refuse(ok.error());
    contacts.emplace_back(item.string());
  }
  return contacts;
}

// D-A7: who has not agreed is told where the terms stand.
Problem terms_not_agreed(const ServiceConfig& config) {
  auto problem =
      Problem::of(ProblemType::kUserActionRequired, "terms.not-agreed",
                  "the terms of service were not agreed to (\"termsOfServiceAgreed\": true)");
  problem.instance = config.terms_of_service;
  return std::move(problem).with_header(
      "Link", "<" + config.terms_of_service + ">;rel=\"terms-of-service\"");
}

HttpResponse account_response(const Context& context, const wire::AccountRecord& record,
                              int status) {
  const auto urls = context.urls.of(record.tenant);
  auto response = json_response(status, account_json(urls, record));
  response.headers.emplace_back("Location", urls.account(record.id));
  return response;
}

// One key is one account (§7.3.1), of one tenant: a deactivated one stays what it is.
Outcome<HttpResponse> existing_account(const Context& context, const SignedRequest& request,
                                       const wire::AccountRecord& record) {
  if (record.tenant.value_or("") != request.match.tenant) {
    return refuse(ProblemType::kUnauthorized, "account.other-tenant",
                  "an account of another part of this server has this key");
  }
  if (record.status != wire::AccountStatus::kValid) {
    return refuse(Problem::of(ProblemType::kUnauthorized, "account.not-valid",
                              "the account is deactivated or revoked")
                      .with_status(401));
  }
  return account_response(context, record, 200);
}

struct NewAccountFields {
  Contacts contacts;
  bool terms_agreed = false;
  std::optional<std::string> binding_json;
};

Outcome<NewAccountFields> read_fields(const Context& context, const json::Value& root) {
  NewAccountFields fields;
  if (const auto contact = root.get("contact"); contact.exists()) {
    auto contacts = read_contacts(contact);
    if (!contacts) return refuse(contacts.error());
    fields.contacts = std::move(*contacts);
  }
  const auto agreed = root.get("termsOfServiceAgreed");
  fields.terms_agreed = agreed.is_bool() && agreed.boolean();
  if (!context.config.terms_of_service.empty() && !fields.terms_agreed) {
    return refuse(terms_not_agreed(context.config));
  }
  if (const auto binding = root.get("externalAccountBinding"); binding.exists()) {
    fields.binding_json = binding.print();
    if (fields.binding_json->size() > limits::kEabBytesMax)
      return refuse(ProblemType::kMalformed, "binding.form", "the binding is too large");
  }
  return fields;
}

// What attestation says of an external account binding (§7.3.4): the kid, or why not. Its secrets
// are nowhere else; what is checked of it beside its form is checked there.
Outcome<std::string> verify_binding(Context& context, const SignedRequest& request,
                                    const std::string& binding_json) {
  auto binding = jose::FlattenedJws::parse(binding_json);
  if (!binding) return refuse(ProblemType::kMalformed, "binding.form", binding.error().what);
  const auto& header = request.verified.header();
  auto reply = context.backend.attestation.ask(wire::EabVerify{
      header.jwk->canonical(), header.url,
      wire::ClientJws{std::move(binding->protected_b64), std::move(binding->payload_b64),
                      std::move(binding->signature)}});
  if (!reply) return refuse(problem_from(reply.error()));
  if (reply->problem) return refuse(problem_from(*reply->problem));
  if (reply->recovers_account) {
    return refuse(ProblemType::kUnauthorized, "binding.recovery-only",
                  "this credential recovers an account; it makes none (see \"recoverAccount\")");
  }
  return std::move(reply->kid);
}

// Known since the service became operational; asked for where it was not.
Answer<bool> binding_required(Context& context) {
  if (const auto known = context.issuer.get()) return known->external_account_required;
  auto reply = context.backend.signer.ask(wire::IssuerGet{});
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  return reply->external_account_required;
}

// What a new account needs, as far as it can be said without using a credential up.
Outcome<void> may_be_made(Context& context, const SignedRequest& request,
                          const Outcome<NewAccountFields>& fields) {
  if (!fields) return refuse(fields.error());
  const auto prefix = address_prefix(request.peer_address);
  if (auto ok = context.rates.check({{Rate::kAccountsPerPrefix, prefix}, {Rate::kAccounts, {}}});
      !ok) {
    return ok;
  }
  if (fields->binding_json) return {};
  auto required = binding_required(context);
  if (!required) return refuse(problem_from(required.error()));
  if (!*required) return {};
  return refuse(ProblemType::kExternalAccountRequired, "binding.required",
                "an account here needs an \"externalAccountBinding\"");
}

Outcome<std::optional<wire::AccountRecord>> find_by_key(Context& context, const jose::Jwk& jwk) {
  auto reply = context.backend.store.ask(wire::AccountGet{std::nullopt, jwk.thumbprint()});
  if (!reply) return refuse(problem_from(reply.error()));
  return std::move(reply->account);
}

Outcome<HttpResponse> make_account(Context& context, const SignedRequest& request,
                                   const NewAccountFields& fields) {
  const auto& jwk = *request.verified.header().jwk;
  wire::AccountRecord record;
  record.id = random_id();
  record.thumbprint = jwk.thumbprint();
  record.jwk = jwk.canonical();
  record.status = wire::AccountStatus::kValid;
  record.contacts = fields.contacts;
  record.terms_agreed = fields.terms_agreed;
  record.created_at_ms = context.clock.utc_ms();
  if (!request.match.tenant.empty()) record.tenant = std::string(request.match.tenant);
  // Also where there are none: what comes later was then not agreed to.
  if (record.terms_agreed) record.terms_url = context.config.terms_of_service;
  if (fields.binding_json) {
    auto kid = verify_binding(context, request, *fields.binding_json);
    if (!kid) return refuse(std::move(kid.error()));
    record.binding_json = fields.binding_json;
    record.eab_kid = std::move(*kid);
  }
  const auto prefix = address_prefix(request.peer_address);
  auto reply = context.backend.store.ask(wire::AccountPut{record});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->created) return existing_account(context, request, reply->account);
  context.rates.charge({{Rate::kAccountsPerPrefix, prefix}, {Rate::kAccounts, {}}});
  context.accounts.keep(std::make_shared<const Account>(Account{reply->account, jwk}),
                        context.accounts.generation());
  return account_response(context, reply->account, 201);
}

}  // namespace

HttpResponse json_response(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

Outcome<void> check_contact(std::string_view contact) {
  constexpr std::string_view kMailto = "mailto:";
  constexpr std::size_t kLocalPartBytesMax = 64;  // RFC 5321 §4.5.3.1.1
  const auto bad = [](std::string_view detail) {
    return refuse(ProblemType::kInvalidContact, "contact.address", detail);
  };
  const auto colon = contact.find(':');
  if (colon == std::string_view::npos) return bad("a contact is not a URL");
  std::string scheme(contact.substr(0, colon + 1));
  for (auto& c : scheme) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (scheme != kMailto)
    return refuse(ProblemType::kUnsupportedContact, "contact.scheme",
                  "contacts are mailto: URLs here");
  if (contact.size() > limits::kContactBytesMax) return bad("a contact is too long");
  const auto address = contact.substr(colon + 1);
  if (address.find('?') != std::string_view::npos) return bad("a contact has header fields");
  if (address.find(',') != std::string_view::npos)
    return bad("a contact has more than one address");
  const auto at = address.find('@');
  if (at == std::string_view::npos || at == 0 || at > kLocalPartBytesMax)
    return bad("a contact is not a mail address");
  const auto local = address.substr(0, at);
  const bool plain = std::all_of(local.begin(), local.end(), [](char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view("\"\\<>()[];:%").find(c) == std::string_view::npos;
  });
  if (!plain) return bad("a contact is not a plain mail address");
  if (!identifier::canonical(wire::IdentifierType::kDns, address.substr(at + 1)) ||
      address.substr(at + 1).starts_with("*.")) {
    return bad("a contact's domain is not a name");
  }
  return {};
}

Outcome<HttpResponse> new_account(Context& context, const SignedRequest& request) {
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const auto root = document->root();
  const auto& jwk = *request.verified.header().jwk;
  const auto only_existing = root.get("onlyReturnExisting");
  if (only_existing.exists() && !only_existing.is_bool()) {
    return refuse(ProblemType::kMalformed, "account.form",
                  "\"onlyReturnExisting\" is not a boolean");
  }
  const auto fields = read_fields(context, root);
  const auto may = may_be_made(context, request, fields);
  // A binding is verified for a new account alone: that uses the credential up.
  if (only_existing.boolean() || !may || fields->binding_json) {
    // For an existing account the other fields do not matter, be they good or bad (§7.3.1).
    auto found = find_by_key(context, jwk);
    if (!found) return refuse(found.error());
    if (*found) return existing_account(context, request, **found);
    if (only_existing.boolean()) {
      return refuse(ProblemType::kAccountDoesNotExist, "account.none", "no account has this key");
    }
    if (!may) return refuse(may.error());
  }
  return make_account(context, request, *fields);
}

Outcome<HttpResponse> account(Context& context, const SignedRequest& request) {
  if (request.match.segments[0] != request.account->record.id) return refuse(not_found());
  const auto urls = context.urls.of(request.match.tenant);
  if (request.is_read()) return json_response(200, account_json(urls, request.account->record));
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const auto root = document->root();
  wire::AccountUpdate update;
  update.id = request.account->record.id;
  // Any other status, and every other member, is ignored (§7.3.2, §7.3.6).
  if (root.get("status").string() == "deactivated")
    update.status = wire::AccountStatus::kDeactivated;
  if (const auto contact = root.get("contact"); contact.exists()) {
    auto contacts = read_contacts(contact);
    if (!contacts) return refuse(contacts.error());
    update.contacts = std::move(*contacts);
  }
  if (!update.status && !update.contacts)
    return json_response(200, account_json(urls, request.account->record));
  auto reply = context.backend.store.ask(update);
  // Also after a failure: whether it was carried out is then not known.
  context.accounts.forget(update.id);
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->account) return refuse(not_found());
  return json_response(200, account_json(urls, *reply->account));
}

Outcome<HttpResponse> orders(Context& context, const SignedRequest& request) {
  if (request.match.segments[0] != request.account->record.id) return refuse(not_found());
  if (auto ok = require_read(request); !ok) return refuse(ok.error());
  wire::OrderList ask;
  ask.account_id = request.account->record.id;
  if (!request.match.cursor.empty()) ask.cursor = std::string(request.match.cursor);
  if (context.config.orders_page != 0) ask.limit = context.config.orders_page;
  auto reply = context.backend.store.ask(ask);
  if (!reply) return refuse(problem_from(reply.error()));
  const auto urls = context.urls.of(request.match.tenant);
  auto response = json_response(200, orders_json(urls, reply->tickets));
  if (reply->next) {
    response.headers.emplace_back("Link", "<" + urls.orders(ask.account_id) +
                                              std::string(kCursorPrefix) + *reply->next +
                                              ">;rel=\"next\"");
  }
  return response;
}

}  // namespace keyward::acme
