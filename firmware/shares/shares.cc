// Splitting and combining over libgfshare: see shares.h.
#include "firmware/shares/shares.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>

extern "C" {  // its header does not say so itself
#include <libgfshare.h>
}
#include <openssl/rand.h>

#include "firmware/crypto/crypto.h"
#include "firmware/shares/share_text.h"

namespace keyward::shares {
namespace {

constexpr std::size_t kTagBytes = 8;  // of the digest that is split together with the secret

// libgfshare's hook cannot fail: without randomness nothing may go on.
extern "C" void fill_from_openssl(unsigned char* out, unsigned int size) {
  if (::RAND_priv_bytes(out, static_cast<int>(size)) != 1) std::abort();
}

// The hook is a variable of the whole process and null until it is set.
void set_random_source() {
  static std::once_flag once;
  std::call_once(once, [] { ::gfshare_fill_rand = &fill_from_openssl; });
}

struct ContextFree {
  void operator()(gfshare_ctx* context) const { ::gfshare_ctx_free(context); }  // wipes it
};
using Context = std::unique_ptr<gfshare_ctx, ContextFree>;

// Of the secret and of the set it belongs to; split with it, so that it tells nobody anything before
// the threshold is reached. Not linear: a forged share cannot keep it right.
std::array<std::uint8_t, kTagBytes> tag_of(const ShareHeader& header, ByteView secret) {
  Bytes key = to_bytes("keyward-share-1 secret ");
  append(key, header.set);
  key.push_back(static_cast<std::uint8_t>(header.threshold));
  key.push_back(static_cast<std::uint8_t>(header.count));
  const auto digest = crypto::hmac_sha256(key, secret);
  std::array<std::uint8_t, kTagBytes> out{};
  std::copy_n(digest.begin(), kTagBytes, out.begin());
  return out;
}

tl::unexpected<Fault> fault(std::string_view code, int share, std::string text, int missing = 0) {
  return tl::unexpected<Fault>(Fault{code, share, 0, missing, std::move(text)});
}

ShareResult<void> check_together(const std::vector<ShareOctets>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& one = all[i].header;
    const auto& first = all[0].header;
    const std::string words = "share " + std::to_string(i + 1);
    if (one.set != first.set || one.threshold != first.threshold || one.count != first.count ||
        all[i].value.size() != all[0].value.size())
      return fault("share-of-another-set", static_cast<int>(i + 1),
                   words + " is of set " + set_text(one.set) + ", the first one of set " +
                       set_text(first.set));
    for (std::size_t j = 0; j < i; ++j) {
      if (all[j].header.index == one.index)
        return fault("share-twice", static_cast<int>(i + 1),
                     words + " is the same as share " + std::to_string(j + 1) + " (number " +
                         std::to_string(one.index) + " of its set)");
    }
  }
  const int missing = all[0].header.threshold - static_cast<int>(all.size());
  if (missing > 0)
    return fault("shares-too-few", 0,
                 std::to_string(missing) + " more of set " + set_text(all[0].header.set) +
                     " are needed: " + std::to_string(all[0].header.threshold) + " of " +
                     std::to_string(all[0].header.count),
                 missing);
  return {};
}

}  // namespace

std::string set_text(const SetId& set) { return hex_encode(set); }

Result<std::vector<Share>> split(ByteView secret, std::size_t threshold,
                                 std::span<const std::string> names) {
  if (secret.empty() || secret.size() > kSecretBytesMax)
    return fail(ErrorKind::kBadInput, "shares: the secret has no octets or more than 256");
  if (names.size() > kSharesMax || threshold < kThresholdMin || threshold > names.size())
    return fail(ErrorKind::kBadInput, "shares: 2 <= threshold <= shares <= 16 does not hold");
  set_random_source();
  ShareHeader header;
  fill_from_openssl(header.set.data(), header.set.size());
  header.threshold = static_cast<int>(threshold);
  header.count = static_cast<int>(names.size());
  const auto tag = tag_of(header, secret);
  SecretBytes whole(secret.size() + tag.size());
  std::copy(secret.begin(), secret.end(), whole.data());
  std::copy(tag.begin(), tag.end(), whole.data() + secret.size());

  std::array<unsigned char, kSharesMax> numbers{};  // from 1: share 0 would be the secret itself
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<unsigned char>(i + 1);
  const Context context(::gfshare_ctx_init_enc(numbers.data(), static_cast<unsigned>(names.size()),
                                               static_cast<unsigned char>(threshold),
                                               static_cast<unsigned>(whole.size())));
  if (!context) return fail(ErrorKind::kInternal, "shares: libgfshare has no context");
  ::gfshare_ctx_enc_setsecret(context.get(), whole.data());
  std::vector<Share> out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    SecretBytes value(whole.size());
    ::gfshare_ctx_enc_getshare(context.get(), static_cast<unsigned char>(i), value.data());
    header.index = numbers[i];
    out.push_back({names[i], header.index, write_line(header, value.view())});
  }
  return out;
}

ShareResult<ShareHeader> inspect(std::string_view line) {
  auto share = read_line(line, 1);
  if (!share) return tl::unexpected<Fault>(share.error());
  return share->header;
}

ShareResult<SecretBytes> combine(std::span<const std::string_view> lines) {
  if (lines.empty()) return fault("shares-too-few", 0, "no share was given");
  if (lines.size() > kSharesMax)
    return fault("share-malformed", static_cast<int>(kSharesMax + 1), "no set has so many shares");
  std::vector<ShareOctets> all;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto share = read_line(lines[i], static_cast<int>(i + 1));
    if (!share) return tl::unexpected<Fault>(share.error());
    all.push_back(std::move(*share));
  }
  if (auto fit = check_together(all); !fit) return tl::unexpected<Fault>(fit.error());
  set_random_source();  // gfshare_ctx_free() overwrites by it
  const std::size_t size = all[0].value.size();
  std::array<unsigned char, kSharesMax> numbers{};
  for (std::size_t i = 0; i < all.size(); ++i)
    numbers[i] = static_cast<unsigned char>(all[i].header.index);
  const Context context(::gfshare_ctx_init_dec(numbers.data(), static_cast<unsigned>(all.size()),
                                               static_cast<unsigned>(size)));
  if (!context || size <= kTagBytes)
    return fault("shares-do-not-match", 0, "these shares hold no secret");
  for (std::size_t i = 0; i < all.size(); ++i)
    ::gfshare_ctx_dec_giveshare(context.get(), static_cast<unsigned char>(i), all[i].value.data());
  SecretBytes whole(size);
  ::gfshare_ctx_dec_extract(context.get(), whole.data());
  const auto secret = whole.view().first(size - kTagBytes);
  if (!equal_constant_time(tag_of(all[0].header, secret), whole.view().last(kTagBytes)))
    return fault("shares-do-not-match", 0,
                 "the shares give no secret of set " + set_text(all[0].header.set) +
                     ": one of them was changed; try with other custodians");
  return SecretBytes(secret);
}

}  // namespace keyward::shares
