#include "apps/ctl/records_command.h"

#include <array>
#include <iostream>

#include <CLI/CLI.hpp>

#include "apps/ctl/columns.h"
#include "apps/ctl/unit_places.h"
#include "firmware/ceremony/transcript.h"
#include "firmware/json/json.h"
#include "firmware/store/rows.h"
#include "firmware/store/sqlite.h"
#include "firmware/store/statements.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::ctl {
namespace {

using ceremony::utc_text;
using store::Connection;
using store::Query;

constexpr int kExitFailed = 1, kExitFile = 78;
constexpr std::string_view kAccountStatus[] = {"", "valid", "deactivated", "revoked"};
constexpr std::string_view kOrderStatus[] = {"",      "pending", "ready",   "processing",
                                             "valid", "invalid", "canceled"};

template <std::size_t N>
std::int64_t number_of(const std::string_view (&names)[N], const std::string& name) {
  for (std::size_t i = 1; i < N; ++i) {
    if (names[i] == name) return static_cast<std::int64_t>(i);
  }
  return 0;
}

int complain(const std::string& about, const Error& error) {
  std::cerr << "keywardctl: " << about << ": " << error.what << "\n";
  return kExitFailed;
}

Result<Connection> open_store(const UnitPlaces& places) {
  const auto folder = places.state_of("store");
  // Before the user changes: afterwards a folder of root is closed.
  KEYWARD_CHECK(take_user_of(folder));
  return Connection::open(folder + "/keyward.db", Connection::Mode::kReadOnly);
}

bool holds(const std::string& text, const std::string& part) {
  return part.empty() || text.find(part) != std::string::npos;
}

// ---- accounts

// What the account has beside its row.
struct Counts {
  std::int64_t orders = 0, open_orders = 0, certificates = 0, revoked = 0;
};

Result<Counts> counts_of(Connection& db, std::int64_t account) {
  KEYWARD_TRY(statement,
              db.prepare_one("SELECT (SELECT count(*) FROM orders WHERE account_n = ?1), "
                             "(SELECT count(*) FROM orders WHERE account_n = ?1 AND status < 4), "
                             "(SELECT count(*) FROM certificates WHERE account_n = ?1), "
                             "(SELECT count(*) FROM certificates WHERE account_n = ?1 AND "
                             "revoked_at_ms IS NOT NULL)"));
  Query query(db, statement, account);
  KEYWARD_TRY(row, query.next());
  if (!row) return Counts{};
  return Counts{query.integer(0), query.integer(1), query.integer(2), query.integer(3)};
}

void account_json(const store::AccountRow& row, const Counts* counts, json::Writer& out) {
  const auto& account = row.record;
  out.begin_object().member_int("n", row.number).member("id", account.id);
  out.member("status", kAccountStatus[static_cast<std::size_t>(account.status)]);
  out.member("thumbprint", base64url_encode(account.thumbprint));
  out.member("created", utc_text(account.created_at_ms)).key("contacts").begin_array();
  for (const auto& contact : account.contacts) out.string(contact);
  out.end_array().member_bool("terms_agreed", account.terms_agreed);
  if (account.eab_kid) out.member("eab_kid", *account.eab_kid);
  if (account.tenant) out.member("tenant", *account.tenant);
  out.key("earlier_keys").begin_array();
  for (const auto& key : account.earlier_keys) out.string(base64url_encode(key.thumbprint));
  out.end_array();
  if (counts != nullptr) {
    out.member_int("orders", counts->orders).member_int("open_orders", counts->open_orders);
    out.member_int("certificates", counts->certificates).member_int("revoked", counts->revoked);
  }
  out.end_object();
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

void account_line(const store::AccountRow& row) {
  const auto& account = row.record;
  std::cout << right(std::to_string(row.number), 8) << "  " << account.id << "  "
            << left(kAccountStatus[static_cast<std::size_t>(account.status)], 11) << "  "
            << utc_text(account.created_at_ms) << "  " << base64url_encode(account.thumbprint);
  if (account.eab_kid) std::cout << "  kid " << *account.eab_kid;
  if (account.tenant) std::cout << "  tenant " << *account.tenant;
  if (!account.contacts.empty()) std::cout << "  " << joined(account.contacts);
  std::cout << "\n";
}

// The rest of a page: `more` says from where the next one goes on.
void end_page(const RecordOptions& options, json::Writer& out, std::optional<std::int64_t> more) {
  if (options.json) {
    out.end_array();
    if (more) out.member_int("next_after", *more);
    std::cout << out.end_object().take() << "\n";
  } else if (more) {
    std::cout << "more: --after " << *more << "\n";
  }
}

// Rows after `options.after` that match, at most `options.limit`.
template <class Row, class Read, class Match, class Show>
int list_rows(Connection& db, std::string_view sql, const RecordOptions& options, const Read& read,
              const Match& match, const Show& show) {
  const auto statement = db.prepare_one(sql);
  if (!statement) return complain("the store's database", statement.error());
  Query query(db, *statement, options.after);
  json::Writer out;
  out.begin_object().key("entries").begin_array();
  std::optional<std::int64_t> more;
  std::int64_t last = 0;
  for (int shown = 0;;) {
    const auto there = query.next();
    if (!there) return complain("the store's database", there.error());
    if (!*there) break;
    const Result<Row> row = read(query);
    if (!row) return complain("the store's database", row.error());
    if (!match(*row)) continue;
    if (shown == options.limit) {
      more = last;
      break;
    }
    ++shown;
    last = row->number;
    show(*row, out);
  }
  end_page(options, out, more);
  return 0;
}

int list_accounts(Connection& db, const RecordOptions& options) {
  const auto wanted = number_of(kAccountStatus, options.status);
  const auto match = [&](const store::AccountRow& row) {
    const auto& account = row.record;
    return (wanted == 0 || static_cast<std::int64_t>(account.status) == wanted) &&
           holds(joined(account.contacts), options.contact) &&
           (options.kid.empty() || account.eab_kid == options.kid);
  };
  const auto show = [&](const store::AccountRow& row, json::Writer& out) {
    if (options.json)
      account_json(row, nullptr, out);
    else
      account_line(row);
  };
  return list_rows<store::AccountRow>(
      db,
      std::string("SELECT ").append(store::kAccountColumns) +
          " FROM accounts WHERE n > ?1 ORDER BY n",
      options, [](const Query& query) { return store::read_account(query); }, match, show);
}

int show_account(Connection& db, const RecordOptions& options) {
  const auto statement = db.prepare_one(std::string("SELECT ").append(store::kAccountColumns) +
                                        " FROM accounts WHERE id = ?1 OR thumbprint = ?2");
  if (!statement) return complain("the store's database", statement.error());
  const auto thumbprint = base64url_decode(options.id);
  Query query(db, *statement, options.id, thumbprint ? ByteView(*thumbprint) : ByteView());
  const auto there = query.next();
  if (!there) return complain("the store's database", there.error());
  if (!*there) {
    std::cerr << "keywardctl: no account has the id or thumbprint " << options.id
              << ": keywardctl accounts list shows them\n";
    return kExitFailed;
  }
  const auto row = store::read_account(query);
  if (!row) return complain("the store's database", row.error());
  const auto counts = counts_of(db, row->number);
  if (!counts) return complain("the store's database", counts.error());
  if (options.json) {
    json::Writer out;
    account_json(*row, &*counts, out);
    std::cout << out.take() << "\n";
    return 0;
  }
  account_line(*row);
  for (const auto& key : row->record.earlier_keys)
    std::cout << "          had the key " << base64url_encode(key.thumbprint) << " before\n";
  std::cout << "          " << counts->orders << " orders, " << counts->open_orders
            << " of them open; " << counts->certificates << " certificates, " << counts->revoked
            << " revoked\n";
  return 0;
}

// ---- orders

bool names_hold(const std::vector<wire::Identifier>& names, const std::string& part) {
  return part.empty() || std::ranges::any_of(names, [&](const wire::Identifier& name) {
           return holds(name.value, part);
         });
}

void order_json(const store::OrderRow& row, json::Writer& out) {
  const auto& order = row.record;
  out.begin_object().member_int("n", row.number).member("ticket", order.ticket);
  out.member("account", order.account_id);
  out.member("status", kOrderStatus[static_cast<std::size_t>(order.status)]);
  out.member("expires", utc_text(order.expires_at_ms)).key("identifiers").begin_array();
  for (const auto& name : order.identifiers) out.string(name.value);
  out.end_array();
  if (order.certificate_id) out.member("certificate", *order.certificate_id);
  if (order.replaces) out.member("replaces", *order.replaces);
  if (order.star_next_at_ms) out.member("next_renewal", utc_text(*order.star_next_at_ms));
  if (order.tenant) out.member("tenant", *order.tenant);
  if (order.error_json) out.member("error", *order.error_json);
  out.end_object();
}

void order_line(const store::OrderRow& row) {
  const auto& order = row.record;
  std::cout << right(std::to_string(row.number), 8) << "  "
            << left(kOrderStatus[static_cast<std::size_t>(order.status)], 10) << "  "
            << utc_text(order.expires_at_ms) << "  account " << order.account_id << "  ";
  for (const auto& name : order.identifiers) std::cout << name.value << " ";
  std::cout << " ticket " << order.ticket << "\n";
  if (order.error_json) std::cout << "          " << *order.error_json << "\n";
}

int list_orders(Connection& db, const RecordOptions& options) {
  const auto wanted = number_of(kOrderStatus, options.status);
  const auto match = [&](const store::OrderRow& row) {
    const auto& order = row.record;
    return (wanted == 0 || static_cast<std::int64_t>(order.status) == wanted) &&
           (options.account.empty() || order.account_id == options.account) &&
           names_hold(order.identifiers, options.name);
  };
  const auto show = [&](const store::OrderRow& row, json::Writer& out) {
    if (options.json)
      order_json(row, out);
    else
      order_line(row);
  };
  return list_rows<store::OrderRow>(
      db,
      std::string("SELECT ").append(store::kOrderColumns) +
          " FROM orders o JOIN accounts a ON a.n = o.account_n WHERE o.n > ?1 ORDER BY o.n",
      options, [](const Query& query) { return store::read_order(query); }, match, show);
}

int show_order(Connection& db, const RecordOptions& options) {
  const auto statement = db.prepare_one(store::kSqlTexts[store::kOrderByTicket]);
  if (!statement) return complain("the store's database", statement.error());
  Query query(db, *statement, options.id);
  const auto there = query.next();
  if (!there) return complain("the store's database", there.error());
  if (!*there) {
    std::cerr << "keywardctl: no order has the ticket " << options.id
              << " (the last part of its URL); orders that ended long ago are swept away\n";
    return kExitFailed;
  }
  const auto row = store::read_order(query);
  if (!row) return complain("the store's database", row.error());
  if (options.json) {
    json::Writer out;
    order_json(*row, out);
    std::cout << out.take() << "\n";
  } else {
    order_line(*row);
  }
  return 0;
}

void add_common(CLI::App* command, RecordOptions& options) {
  command->add_option("installation", options.installation, "Installation file (keyward.toml)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_flag("--json", options.json, "For programs");
}

void add_paging(CLI::App* command, RecordOptions& options) {
  command
      ->add_option("--after", options.after,
                   "Only rows after this number (the page before says it)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--limit", options.limit, "At most so many")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
}

}  // namespace

RecordsCommand::RecordsCommand(CLI::App& app) {
  accounts_ = app.add_subcommand("accounts", "ACME accounts, as the store has them");
  accounts_->require_subcommand(1);
  accounts_list_ = accounts_->add_subcommand("list", "Accounts, oldest first");
  accounts_show_ = accounts_->add_subcommand("show", "One account and what it has");
  orders_ = app.add_subcommand("orders", "Clients' orders, as the store has them");
  orders_->require_subcommand(1);
  orders_list_ = orders_->add_subcommand("list", "Orders, oldest first");
  orders_show_ = orders_->add_subcommand("show", "One order");
  for (auto* command : {accounts_list_, accounts_show_, orders_list_, orders_show_})
    add_common(command, options_);
  for (auto* command : {accounts_list_, orders_list_}) add_paging(command, options_);
  accounts_show_->add_option("account", options_.id, "Its id, or its key's thumbprint")->required();
  orders_show_->add_option("ticket", options_.id, "The last part of the order's URL")->required();
  accounts_list_->add_option("--status", options_.status, "valid, deactivated or revoked")
      ->check(CLI::IsMember({"valid", "deactivated", "revoked"}));
  accounts_list_->add_option("--contact", options_.contact, "A contact holds this");
  accounts_list_->add_option("--kid", options_.kid, "Bound to this external credential");
  orders_list_
      ->add_option("--status", options_.status,
                   "pending, ready, processing, valid, invalid or canceled")
      ->check(CLI::IsMember({"pending", "ready", "processing", "valid", "invalid", "canceled"}));
  orders_list_->add_option("--account", options_.account, "Of the account with this id");
  orders_list_->add_option("--name", options_.name, "An identifier holds this");
}

bool RecordsCommand::parsed() const { return accounts_->parsed() || orders_->parsed(); }

int RecordsCommand::run() const {
  const auto places = read_unit_places(options_.installation);
  if (!places) return kExitFile;
  auto db = open_store(*places);
  if (!db) {
    std::cerr << "keywardctl: " << places->state_of("store") << "/keyward.db: " << db.error().what
              << " (is the unit set up, and are you root?)\n";
    return kExitFailed;
  }
  if (accounts_list_->parsed()) return list_accounts(*db, options_);
  if (accounts_show_->parsed()) return show_account(*db, options_);
  if (orders_list_->parsed()) return list_orders(*db, options_);
  return show_order(*db, options_);
}

}  // namespace keyward::ctl
