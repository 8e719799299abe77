// Ledgers of the real gate, tampered with in every way that must be named: dropped, changed,
// reordered, truncated, forked, forged heads. The verifier has the export and the root alone.
#include <gmock/gmock.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"

#include "stage.h"

namespace keyward::test {
namespace {

using audit::Flaw;
using ::testing::HasSubstr;

// Row 0 genesis; 1, 2 the first certificate; … A head at row 0, then whenever four rows are new, so
// at 4, 8, 12, 16, 20.
class AuditTest : public AuditStage {
 protected:
  AuditTest() { fill(10); }
  // What stands in the report: "flaw row".
  std::string named() {
    const auto report = judge();
    if (!report.broken) return report.proven() ? "whole" : "unproven";
    return std::string(audit::to_string(report.broken->flaw)) + " " +
           std::to_string(report.broken->row);
  }
};

TEST_F(AuditTest, Whole_ProvenToTheLastRow) {
  const auto report = judge();
  EXPECT_FALSE(report.broken) << report.broken->detail;
  EXPECT_TRUE(report.proven());
  EXPECT_EQ(report.ledger.rows, 21u);
  EXPECT_EQ(report.ledger.issued, 10u);
  EXPECT_EQ(report.heads, 6u);
  EXPECT_EQ(report.last_head->row, 20u);
  EXPECT_EQ(report.last_head->counter, 47u);
  EXPECT_EQ(report.unsigned_rows, 0u);
  EXPECT_TRUE(report.notes.empty());
  // Heads are counted apart: every other signature has its intent.
  EXPECT_EQ(token_.signatures - notary_->signatures_made(), report.ledger.signatures_intended());
}

TEST_F(AuditTest, RowsAfterTheLastHead_CountedAsUnsigned) {
  issue_one("tail.example");
  const auto report = judge();
  EXPECT_TRUE(report.proven());
  EXPECT_EQ(report.unsigned_rows, 2u);
}

TEST_F(AuditTest, EachRowDropped_DroppedAndItsNumber) {
  const auto all = bodies();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    auto less = all;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    write_bodies(less);
    EXPECT_EQ(named(), "dropped " + std::to_string(i));
  }
}

TEST_F(AuditTest, EachRowChanged_ChangedAndItsNumber) {
  const auto all = bodies();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    auto changed = all;
    changed[i] = with_later_time(all[i], 1);
    // Later than its successor would be named as that; these are milliseconds apart or equal.
    write_bodies(changed);
    // The digest behind the row is right again: the link of the next row is not.
    EXPECT_EQ(named(), "changed " + std::to_string(i)) << i;
  }
}

TEST_F(AuditTest, AnOctetChanged_ChangedAndItsNumber) {
  const auto path = issue::segment_path(state() + "/ledger", 0);
  auto octets = read_whole_file(path);
  std::size_t at = 0;
  const auto all = bodies();
  for (std::size_t i = 0; i < 7; ++i) at += all[i].size() + 40;
  octets[at + 20] ^= 1;  // in the body of row 7
  write_file(path, octets);
  EXPECT_EQ(named(), "changed 7");
  octets[at + 20] ^= 1;
  octets[at + 1] ^= 1;  // in its length
  write_file(path, octets);
  EXPECT_EQ(named(), "changed 7");
}

TEST_F(AuditTest, TwoRowsSwapped_ReorderedAndTheFirst) {
  const auto all = bodies();
  for (const std::size_t i : {1u, 7u, 15u}) {
    auto swapped = all;
    std::swap(swapped[i], swapped[i + 3]);
    write_bodies(swapped);
    EXPECT_EQ(named(), "reordered " + std::to_string(i));
  }
}

TEST_F(AuditTest, ARowTwice_ReorderedAndThePlace) {
  auto all = bodies();
  all.insert(all.begin() + 6, all[5]);
  write_bodies(all);
  EXPECT_EQ(named(), "reordered 6");
}

// At every row border, those of heads included: the heads tell where it must go on to.
TEST_F(AuditTest, CutAtEachRowBorder_TruncatedAndTheFirstMissing) {
  const auto all = bodies();
  for (std::size_t keep = 1; keep < all.size(); ++keep) {
    write_bodies({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(keep)});
    EXPECT_EQ(named(), "truncated " + std::to_string(keep));
  }
}

TEST_F(AuditTest, CutInsideARow_TruncatedAndThatRow) {
  const auto path = issue::segment_path(state() + "/ledger", 0);
  auto octets = read_whole_file(path);
  octets.resize(octets.size() - 5);
  write_file(path, octets);
  EXPECT_EQ(named(), "truncated 20");
}

// Rows and heads cut at the same place: nothing inside the file says so; the unit's counter does.
TEST_F(AuditTest, RowsAndHeadsCutAtAHead_NamedByTheCounter) {
  const auto all = bodies();
  auto lines = head_lines();
  lines.resize(4);  // up to row 12
  write_heads(lines);
  write_bodies({all.begin(), all.begin() + 13});
  const auto path = export_ledger("cut");
  EXPECT_TRUE(judge(path).proven());
  audit::AuditOptions options;
  options.counter = counter_.value;
  const auto report = judge(path, options);
  ASSERT_TRUE(report.broken);
  EXPECT_EQ(report.broken->flaw, Flaw::kRolledBack);
  EXPECT_EQ(report.broken->row, 13u);
}

// The same cut, and a change of everything after a head: somebody kept a head elsewhere.
TEST_F(AuditTest, HeadsKeptElsewhere_NameWhatIsMissingOrAnother) {
  const auto all = bodies();
  const auto lines = head_lines();
  audit::AuditOptions options;
  options.kept_heads = lines[5] + "\n" + lines[1] + "\n\n" + lines[5];
  const auto whole = judge(export_ledger("kept-whole"), options);
  EXPECT_TRUE(whole.proven()) << whole.broken->detail;
  write_heads({lines.begin(), lines.begin() + 4});
  write_bodies({all.begin(), all.begin() + 13});
  const auto cut = judge(export_ledger("kept-cut"), options);
  ASSERT_TRUE(cut.broken);
  EXPECT_EQ(cut.broken->flaw, Flaw::kTruncated);
  EXPECT_EQ(cut.broken->row, 13u);
  EXPECT_EQ(cut.broken->row_to, 20u);
  // The unit goes on from there: its fourth head is another than the one that was kept.
  counter_.value = 45;
  fill(1);
  const auto other = judge(export_ledger("kept-other"), {});
  EXPECT_TRUE(other.proven()) << other.broken->detail;
  options.kept_heads = lines[4];
  const auto forked = judge(export_ledger("kept-forked"), options);
  ASSERT_TRUE(forked.broken);
  EXPECT_EQ(forked.broken->flaw, Flaw::kForked);
  EXPECT_EQ(forked.broken->row, 13u);
}

TEST_F(AuditTest, HeadKeptElsewhere_ThatTheKeyDidNotSign_IsRefused) {
  auto line = head_lines()[2];
  const auto at = line.find("\"signature\":\"") + 20;
  line[at] = line[at] == 'A' ? 'B' : 'A';
  audit::AuditOptions options;
  options.kept_heads = line;
  auto bundle = audit::Bundle::open(export_ledger("kept"));
  ASSERT_TRUE(bundle);
  const auto refused = audit::audit_bundle(*bundle, root_pem_, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  options.kept_heads = "{}";
  EXPECT_EQ(audit::audit_bundle(*bundle, root_pem_, options).error().kind, ErrorKind::kBadInput);
}

// Every link right again after a change: whole in itself, but not what the heads signed.
TEST_F(AuditTest, ChangedAndChainedAnew_ForkedAndTheSpanOfItsHead) {
  const auto all = bodies();
  auto forked = all;
  for (std::size_t i = 9; i < forked.size(); ++i) forked[i] = with_later_time(forked[i], 5'000);
  write_bodies(forked, true);
  const auto report = judge();
  ASSERT_TRUE(report.broken);
  EXPECT_EQ(report.broken->flaw, Flaw::kForked);
  EXPECT_EQ(report.broken->row, 9u);      // the first after the head that still agrees
  EXPECT_EQ(report.broken->row_to, 12u);  // the head that does not
  EXPECT_EQ(report.broken->head, 3u);
}

TEST_F(AuditTest, TwoLedgersWithOnePrefix_ForkedAndTheExactRow) {
  const auto older = export_ledger("older");
  const auto all = bodies();
  auto forked = all;
  for (std::size_t i = 11; i < forked.size(); ++i) forked[i] = with_later_time(forked[i], 5'000);
  write_bodies(forked, true);
  auto mine = *audit::Bundle::open(export_ledger("newer"));
  auto theirs = *audit::Bundle::open(older);
  const auto difference = audit::compare(mine, theirs);
  ASSERT_TRUE(difference && *difference);
  EXPECT_EQ((*difference)->flaw, Flaw::kForked);
  EXPECT_EQ((*difference)->row, 11u);
  auto again = *audit::Bundle::open(older);
  EXPECT_FALSE(audit::compare(again, theirs)->has_value());
}

TEST_F(AuditTest, CutBehindAnOlderExport_TruncatedAndTheRow) {
  auto theirs = *audit::Bundle::open(export_ledger("older"));
  const auto all = bodies();
  write_bodies({all.begin(), all.begin() + 13});
  auto mine = *audit::Bundle::open(export_ledger("newer"));
  const auto difference = audit::compare(mine, theirs);
  ASSERT_TRUE(difference && *difference);
  EXPECT_EQ((*difference)->flaw, Flaw::kTruncated);
  EXPECT_EQ((*difference)->row, 13u);
}

TEST_F(AuditTest, AHeadOfAnotherKey_HeadAndItsRow) {
  auto lines = head_lines();
  const auto head = audit::parse_line(lines[3]);
  ASSERT_TRUE(head);
  const auto other = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto raw = other.sign(crypto::SignatureScheme::kEcdsaRaw, crypto::HashAlgorithm::kSha256,
                              view_of(head->signing_input));
  lines[3] = audit::line_of(head->signing_input, *raw);
  write_heads(lines);
  EXPECT_EQ(named(), "head 12");
}

TEST_F(AuditTest, AHeadReplacedByAnotherOfOurs_HeadAndItsRow) {
  auto lines = head_lines();
  lines[3] = lines[2];
  write_heads(lines);
  EXPECT_EQ(named(), "dropped 9");  // number 2 stands where number 3 belongs
}

TEST_F(AuditTest, AHeadTakenAway_DroppedAndTheRowsItCovered) {
  auto lines = head_lines();
  lines.erase(lines.begin() + 2);
  write_heads(lines);
  EXPECT_EQ(named(), "dropped 5");
}

TEST_F(AuditTest, AllHeadsTakenAway_Unproven) {
  write_heads({});
  EXPECT_EQ(named(), "unproven");
}

TEST_F(AuditTest, AnAuditKeyThatTheRootDidNotCertify_Refused) {
  // The issuing CA certifies a key of its own for heads.
  auto forged_plan = plan_;
  forged_plan.root = plan_.issuing;
  const auto issuing = x509::certificates_from_pem(chain_pem_, 2)->front();
  const auto forged = ceremony::make_audit(
      token_, forged_plan, issuing, token_.find_key("audit")->spki_der, system_clock().utc_ms());
  ASSERT_TRUE(forged);
  write_file(directory_.path("audit.pem"), view_of(x509::to_pem("CERTIFICATE", *forged)));
  auto bundle = *audit::Bundle::open(export_ledger("forged"));
  const auto report = audit::audit_bundle(bundle, root_pem_, {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::kRefused);
}

TEST_F(AuditTest, AnotherRoot_Refused) {
  auto bundle = *audit::Bundle::open(export_ledger("export"));
  LabelledToken other;
  other.replace_key("root");
  const auto root = *ceremony::make_root(other, plan_.root, system_clock().utc_ms());
  EXPECT_FALSE(audit::audit_bundle(bundle, x509::to_pem("CERTIFICATE", root), {}));
}

TEST_F(AuditTest, ExportCutOnItsWay_NotReadAsALedger) {
  const auto path = export_ledger("export");
  auto octets = read_whole_file(path);
  octets.resize(octets.size() - 100);
  write_file(path, octets);
  const auto bundle = audit::Bundle::open(path);
  ASSERT_FALSE(bundle);
  EXPECT_EQ(bundle.error().kind, ErrorKind::kCorrupt);
}

// ---- the command

class AuditCommandTest : public AuditTest {
 protected:
  CommandResult ctl(std::vector<std::string> arguments) {
    std::vector<std::string> argv = {std::string(std::getenv("KEYWARD_BIN")) + "/keywardctl",
                                     "audit"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_command(argv);
  }
  std::string exported(const std::string& name) {
    const auto out = directory_.path(name);
    const auto made = ctl({"export", state(), "--out", out, "--chain", directory_.path("chain.pem"),
                           "--audit-certificate", directory_.path("audit.pem")});
    EXPECT_EQ(made.status, 0) << made.output;
    return out;
  }
};

TEST_F(AuditCommandTest, ExportThenVerify_WholeAndProven) {
  const auto file = exported("x");
  const auto words = ctl({"verify", file, "--root", root_path()});
  EXPECT_EQ(words.status, 0) << words.output;
  EXPECT_THAT(words.output, HasSubstr("proven up to row 20 by head 5"));
  EXPECT_THAT(words.output, HasSubstr("counter 47"));
  const auto json = ctl({"verify", file, "--root", root_path(), "--json"});
  const auto document = json::Document::parse(json.output);
  ASSERT_TRUE(document) << json.output;
  EXPECT_TRUE(document->root().get("proven").boolean());
  EXPECT_EQ(document->root().get("certificates").integer(), 10);
  EXPECT_EQ(ctl({"verify", file, "--root", root_path(), "--counter", "46"}).status, 0);
  EXPECT_EQ(ctl({"verify", file, "--root", root_path(), "--counter", "48"}).status, 2);
  EXPECT_EQ(ctl({"export", state(), "--out", file}).status, 1);  // nothing is overwritten
}

TEST_F(AuditCommandTest, Verify_WithHeadsKeptElsewhere_ComparesThem) {
  const std::vector<std::string> verify = {"verify",    exported("x"), "--root",
                                           root_path(), "--heads",     heads_path()};
  EXPECT_EQ(ctl(verify).status, 0);
  auto shorter = verify;
  const auto lines = head_lines();
  write_file(directory_.path("kept"), view_of(lines.back() + "\n"));
  write_heads({lines.begin(), lines.end() - 1});
  shorter[1] = exported("y");
  shorter[5] = directory_.path("kept");
  const auto missing = ctl(shorter);
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.output, HasSubstr("kept elsewhere"));
}

TEST_F(AuditCommandTest, Verify_Broken_ExitsTwoAndNamesTheRow) {
  auto all = bodies();
  all.erase(all.begin() + 9);
  write_bodies(all);
  const auto json = ctl({"verify", exported("x"), "--root", root_path(), "--json"});
  EXPECT_EQ(json.status, 2);
  const auto document = json::Document::parse(json.output);
  ASSERT_TRUE(document) << json.output;
  EXPECT_EQ(document->root().get("broken").get("flaw").string(), "dropped");
  EXPECT_EQ(document->root().get("broken").get("row").integer(), 9);
}

TEST_F(AuditCommandTest, Verify_WithoutHeads_ExitsThree) {
  write_heads({});
  const auto words = ctl({"verify", exported("x"), "--root", root_path()});
  EXPECT_EQ(words.status, 3);
  EXPECT_THAT(words.output, HasSubstr("NOT PROVEN"));
}

TEST_F(AuditCommandTest, Why_SaysAccountGroundsAndRows) {
  const auto file = exported("x");
  const auto serial = hex_encode(serials_[3]);
  const auto json = ctl({"why", file, "--serial", serial, "--root", root_path(), "--json"});
  ASSERT_EQ(json.status, 0) << json.output;
  const auto document = json::Document::parse(json.output);
  ASSERT_TRUE(document) << json.output;
  const auto root = document->root();
  EXPECT_EQ(root.get("account_thumbprint").string(), base64url_encode(client_.thumbprint()));
  ASSERT_EQ(root.get("grants").items().size(), 1u);
  const auto grant = root.get("grants").items()[0];
  EXPECT_EQ(grant.get("method").string(), "http-01");
  EXPECT_EQ(grant.get("evidence_sha256").string(), hex_encode(Digest256{7}));
  EXPECT_EQ(root.get("intent").get("row").integer(), 7);
  EXPECT_EQ(root.get("outcome").get("row").integer(), 8);
  EXPECT_EQ(root.get("head").get("row").integer(), 8);
  EXPECT_EQ(root.get("key_sha256").string(), hex_encode(key_.public_key().spki_sha256()));
  EXPECT_EQ(ctl({"why", file, "--serial", "abcd"}).status, 1);
  EXPECT_EQ(ctl({"why", file, "--serial", "xyz"}).status, 64);
}

}  // namespace
}  // namespace keyward::test
