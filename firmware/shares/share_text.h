// Owns the text of one share: base32 in groups with check characters (docs/adr/0019-shares.md). Must
// not know sharing. Included by this folder and its tests alone.
//
// Alphabet: Crockford's base32 (no I, L, O, U; read in either case, I and L as 1, O as 0). A group
// is four characters of data and one check character, which differs after any one wrong character,
// any two exchanged ones, and in another place of the line. At the end stand four octets of SHA-256.
#pragma once

#include "firmware/shares/shares.h"

namespace keyward::shares {

struct ShareOctets {
  ShareHeader header;
  SecretBytes value;
};

SecretBytes write_line(const ShareHeader& header, ByteView value);
ShareResult<ShareOctets> read_line(std::string_view line, int number);

}  // namespace keyward::shares
