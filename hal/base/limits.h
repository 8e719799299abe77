// Owns every limit on what the outside can make grow, with unit and reason. Must not know any type.
// The unit stands last in the name. A limit that is not here does not exist: add it here first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace keyward::limits {

// ---- frames between tasks
inline constexpr std::size_t kFrameBytesMax =
    163'840;  // one SEQPACKET datagram; below the default socket buffer (212,992)
inline constexpr int kCborDepthMax = 6;      // deepest message: frame > body > list > item > field
inline constexpr int kCborItemsMax = 4'096;  // items in one frame; bounds libcbor's allocations
inline constexpr int kPeerCallsMax = 512;    // calls in flight on one edge; more are refused
inline constexpr std::int64_t kPeerCallMs = 10'000;  // default patience of a caller between tasks
inline constexpr std::int64_t kPeerCallSlowMs =
    60'000;  // for calls that wait for the network or the HSM

// ---- text and names
inline constexpr std::size_t kIdentifierBytesMax =
    1'024;  // of any type; a TNAuthList of some 40 numbers, in base64url
inline constexpr std::size_t kDeviceIdentifierBytesMax = 256;  // D-D11; also > 253 of a DNS name
inline constexpr std::size_t kIdentifiersPerOrderMax = 64;     // SAN size and work per order
inline constexpr std::size_t kNameLabelsMax = 127;             // RFC 1035: 255 octets of wire name
inline constexpr std::size_t kDetailBytesMax =
    1'024;                                        // human-readable detail in a problem document
inline constexpr std::size_t kCodeBytesMax = 64;  // stable machine-readable reason
inline constexpr std::size_t kProfileNameBytesMax = 64;
inline constexpr std::size_t kContactsMax = 8;
inline constexpr std::size_t kContactBytesMax = 320;  // RFC 5321: 64 + 1 + 255
inline constexpr std::size_t kIdBytesMax = 128;       // random ids and tickets in URLs
inline constexpr std::size_t kUrlBytesMax = 512;

inline constexpr std::size_t kIdentifierFaultsMax = 16;  // subproblems of one problem document
inline constexpr std::size_t kEarlierKeysMax = 16;  // key changes of one account; more are refused
inline constexpr std::size_t kEabKidBytesMax = 64;
inline constexpr std::size_t kEabBytesMax = 6'144;  // externalAccountBinding, as JSON
inline constexpr std::size_t kChallengeDataBytesMax = 8'192;
inline constexpr std::size_t kFetchedBytesMax = 32'768;         // a certificate chain as PEM
inline constexpr std::size_t kAuthorityTokenBytesMax = 24'576;  // a compact JWS with x5c
inline constexpr std::size_t kRecoveriesPerAccountMax = 4;      // open at the same time
inline constexpr std::size_t kMailSubjectBytesMax = 128;
inline constexpr std::size_t kMailTextBytesMax = 4'096;
inline constexpr std::size_t kAlternateChainsMax = 4;
inline constexpr std::size_t kTenantBytesMax = 32;          // a name in a path
inline constexpr std::size_t kTenantsMax = 64;              // directories of one server
inline constexpr std::size_t kAttestationsPerOrderMax = 8;  // authorizations beside the names'
inline constexpr std::size_t kClaimsHintsMax = 32;          // attestClaimsHint of one challenge
inline constexpr std::size_t kVendorDomainsMax = 8;         // "aud" of one vendor's token

// ---- evidence (RFC 9334)
inline constexpr std::size_t kEvidenceBytesMax = 98'304;       // = kJwsPayloadBytesMax
inline constexpr std::size_t kRelayedResultBytesMax = 32'768;  // an EAR with its chain
inline constexpr std::size_t kMediaTypeBytesMax = 256;         // with an eat_profile
inline constexpr int kRatsDepthMax = 12;           // of one CBOR item: token, submodules, claims
inline constexpr int kRatsItemsMax = 2'048;        // as kJsonItemsMax
inline constexpr int kCmwDepthMax = 4;             // collections inside collections
inline constexpr std::size_t kCmwEntriesMax = 16;  // of one collection
inline constexpr int kSubmodDepthMax = 4;          // EAT submodules inside submodules
inline constexpr std::size_t kSubmodsMax = 16;     // of one claims set; appraisals of one EAR
inline constexpr std::size_t kClaimItemsMax = 64;  // nonces, measurements, results of one claim
inline constexpr std::int64_t kTokenClockLeewayMs = 60'000;  // of iat, nbf and exp of a token
inline constexpr std::size_t kPkixClaimsMax = 64;            // of one element of PKIX evidence
inline constexpr std::size_t kAkAnswerBytesMax = 4'096;      // credential and session
inline constexpr std::size_t kSealedKeyBytesMax = 2'048;     // TPM2B_PUBLIC and TPM2B_PRIVATE
inline constexpr std::size_t kCrlPartBytesMax = 131'072;     // of a list, below kFrameBytesMax
inline constexpr std::size_t kCrlKeptBytesMax = 48u << 20;   // of all lists that acme keeps
inline constexpr std::int64_t kCrlRecheckMs = 1'000;         // acme keeps its copy so long unasked

inline constexpr std::size_t kEventLogEventsMax = 8'192;   // a PC's firmware logs some hundred
inline constexpr std::size_t kEventDataBytesMax = 65'536;  // of one event
inline constexpr std::size_t kEventBanksMax = 8;           // hashes of one event
inline constexpr std::size_t kAppraisalPolicyBytesMax = 1u << 20;  // one file, with a recorded log
inline constexpr std::size_t kAppraisalPoliciesMax = 64;           // configured
inline constexpr std::size_t kAppraisalRulesMax = 1'024;           // of one kind in one policy
inline constexpr std::size_t kWhyNotMax = 64;  // reasons of one refusal; more are counted alone

// ---- JWS and JSON
inline constexpr std::size_t kRequestBodyBytesMax =
    131'072;  // evidence with a PC's event log, base64url twice
inline constexpr int kJsonDepthMax = 12;
inline constexpr int kJsonItemsMax = 2'048;
inline constexpr std::size_t kJwsProtectedBytesMax = 8'192;  // an RSA-4096 JWK with room
inline constexpr std::size_t kJwsPayloadBytesMax = 98'304;   // base64url decoded
inline constexpr std::size_t kJwsSignatureBytesMax = 1'024;  // RSA-8192
inline constexpr std::size_t kJwkBytesMax = 2'048;           // canonical JWK of RSA-8192 with room
inline constexpr std::size_t kNonceBytesMax = 128;
inline constexpr int kRsaBitsMin = 2'048;  // CA/B baseline, NIST SP 800-131A
inline constexpr int kRsaBitsMax = 4'096;  // verification time

// ---- certificates
inline constexpr std::size_t kCsrBytesMax = 16'384;
inline constexpr std::size_t kCertificateBytesMax = 16'384;
inline constexpr std::size_t kChainCertificatesMax = 6;
inline constexpr std::size_t kOrderTermsBytesMax =
    24'576;  // 61 identifiers of 256 octets and one of 1,024 of each authority type, with room
inline constexpr std::size_t kOidBytesMax = 128;  // encoded; a 256-octet dotted text is shorter
inline constexpr int kChainSignaturesMax =
    32;  // verifications in one chain building: same-named CAs must not multiply work
inline constexpr std::size_t kCertificateExtensionsMax = 64;
inline constexpr std::size_t kSpkiBytesMax = 1'200;  // RSA-8192

// ---- attestation
inline constexpr std::size_t kAttestationObjectBytesMax = 32'768;  // chain of 5 large certificates
inline constexpr int kAttestationCborDepthMax = 8;
inline constexpr int kAttestationCborItemsMax = 256;
inline constexpr std::size_t kTpmStructureBytesMax = 4'096;
inline constexpr std::size_t kTrustAnchorsMax = 1'024;
inline constexpr std::size_t kVendorRootsBytesMax =
    3u << 20;  // manifest of a bundle of kTrustAnchorsMax certificates as PEM
inline constexpr std::size_t kVendorRootsFileBytesMax =
    4'456'448;  // the same as base64url, with its signature and publisher
inline constexpr std::size_t kAndroidStatusListBytesMax = 8u << 20;  // a hundred octets an entry
inline constexpr int kAndroidStatusListItemsMax = 400'000;           // five items an entry
inline constexpr std::size_t kAaguidsMax = 256;                      // models that a policy names
inline constexpr std::size_t kAuthorityFilesMax = 64;  // certificates of authorities, configured
inline constexpr std::size_t kAuthorityTokenIdBytesMax = 256;     // jti
inline constexpr std::size_t kAuthorityTokensMax = 65'536;        // remembered until they expire
inline constexpr std::size_t kInventoryDevicesMax = 100'000;      // in the operator's list
inline constexpr std::size_t kInventoryDeviceBytesMax = 8'192;    // one line of it
inline constexpr std::size_t kInventoryFileBytesMax = 64u << 20;  // some 600 octets a device
inline constexpr std::size_t kInventoryTracesMax = 16;  // digests, roots, identifiers: of each kind
inline constexpr std::size_t kInventoryNoteBytesMax = 256;
inline constexpr std::size_t kEnrolmentsMax = 131'072;           // records that are kept
inline constexpr std::size_t kEnrolmentBytesMax = 1'024;         // one line of the file
inline constexpr std::size_t kEvidenceKeptMax = 65'536;          // payloads in the folder
inline constexpr std::size_t kEvidenceKeptBytesMax = 1u << 30;   // all of them together
inline constexpr std::int64_t kEvidenceSweepMs = 60'000;         // between looks for what is over
inline constexpr std::size_t kVendorsMax = 64;                   // configured device authorities
inline constexpr std::size_t kVendorKeysMax = 64;                // in one JWKS
inline constexpr std::size_t kVendorKeysBytesMax = 262'144;      // of that file
inline constexpr std::size_t kVendorMacsMax = 256;               // prefixes of one vendor
inline constexpr std::int64_t kVendorTokenAgeMaxS = 86'400;      // by iat, where there is no exp
inline constexpr std::int64_t kAuthorityClockLeewayMs = 60'000;  // of nbf alone
inline constexpr std::size_t kEabCredentialsMax = 16'384;
inline constexpr std::size_t kEabCredentialBytesMax = 4'096;  // one line of the file
inline constexpr std::size_t kEabCredentialsBytesMax = 16u << 20;
inline constexpr std::size_t kEabKeyBytesMin = 32;  // as long as the shortest digest (RFC 2104 §3)
inline constexpr std::size_t kEabKeyBytesMax = 256;
inline constexpr std::size_t kEabBindingsMax =
    262'144;  // accounts ever bound (about 200 octets each)
inline constexpr std::size_t kEabBindingBytesMax = 512;  // one line of their record
inline constexpr std::size_t kEabBindingsFileBytesMax = kEabBindingsMax * kEabBindingBytesMax;
inline constexpr std::int64_t kEabPollMs = 400;  // a changed credential is in force within a second
inline constexpr int kEabGrantsPerTurnMax = 256;  // told to the signer in one turn

// ---- signer
inline constexpr std::size_t kGrantsMax = 65'536;  // live grants over all accounts (about 24 MB)
inline constexpr std::size_t kGrantsPerAccountMax = 1'024;
inline constexpr std::size_t kGrantDevicesMax = 8;   // names of one device in a remote attestation
inline constexpr std::size_t kSerialOctetsMax = 20;  // of a certificate (RFC 5280 §4.1.2.2)
inline constexpr std::size_t kAkGrantsMax = 8'192;   // activated keys without certificate (16 MiB)
inline constexpr std::size_t kAkGrantsPerAccountMax = 64;
inline constexpr std::int64_t kAkGrantLifetimeMsMax = 24LL * 3'600'000;
inline constexpr std::int64_t kAkReplayMs =
    3'600'000;  // the same request gets the same certificate
inline constexpr std::size_t kIssuedOrdersMax =
    262'144;                                       // orders remembered for replay until they expire
inline constexpr std::size_t kSignQueueMax = 256;  // waiting signatures per key
inline constexpr std::size_t kLedgerRowBytesMax = 131'072;
inline constexpr std::int64_t kOrderLifetimeMs = 24LL * 3'600'000;
inline constexpr std::int64_t kStarTicketKeptMs =
    7LL * 24 * 3'600'000;  // after the end of a series, which a late client is told
inline constexpr std::int64_t kGrantLifetimeMsMax = 90LL * 24 * 3'600'000;
inline constexpr std::size_t kGrantJournalBytesMax =
    64u << 20;  // then rewritten with the live grants alone
inline constexpr std::int64_t kExpiredGrantKeptMs =
    600'000;  // so that a late client reads "expired", not "missing"
inline constexpr std::size_t kKeyLinksMax =
    262'144;  // changes of account keys remembered for ever (about 250 octets each)
inline constexpr std::size_t kAccountGrantsMax =
    262'144;  // accounts admitted by a credential (about 300 octets each)
inline constexpr std::size_t kSignerStateFileBytesMax =
    256u << 20;  // of key changes, of admitted accounts: rows are appended alone
inline constexpr std::size_t kSignerKeyCacheMax = 4'096;  // parsed account keys (about 4 KiB each)
inline constexpr std::size_t kLedgerSegmentBytesMax =
    256u << 20;                                           // one file; a closed one can be archived
inline constexpr std::size_t kLedgerSegmentsMax = 4'096;  // 1 TiB of ledger
inline constexpr std::uint64_t kAuditHeadRows = 64;       // so many rows at most between two heads
inline constexpr std::int64_t kAuditHeadMs = 900'000;     // and so long, if there is a row at all
inline constexpr std::int64_t kAuditRetryMs = 5'000;      // after a head that could not be made
inline constexpr std::size_t kAuditHeadLineBytesMax = 4'096;
inline constexpr std::size_t kAuditHeadsMax =
    1'048'576;  // read by a verifier (about 150 octets each): 67 million rows
inline constexpr std::size_t kSerialsMax =
    4'194'304;  // serials remembered (about 40 octets each, 80 more with the certificate's place)
inline constexpr std::size_t kPossessionCertificatesMax =
    16;  // of one key that are looked at for a proof of possession
inline constexpr std::int64_t kPossessionTokenMs = 24LL * 3'600'000;  // as an order lives
inline constexpr std::int64_t kPossessionGrantMs = 24LL * 3'600'000;
inline constexpr std::size_t kCrlEntriesBytesMax = 15u << 20;  // about 400,000 revocations
inline constexpr std::size_t kCrlBytesMax = 16u << 20;         // a whole list; kSignMessageBytesMax
inline constexpr std::size_t kOcspRequestBytesMax = 4'096;     // eight questions need under 1,000
inline constexpr std::size_t kOcspPathBytesMax = 512;  // a request in a path (RFC 5019: below 255)
inline constexpr std::size_t kOcspResponseBytesMax =
    16'384;  // eight answers, a signature and the responder's certificate
inline constexpr std::size_t kPublishListsMax = 1'024;             // lists in one published set
inline constexpr std::size_t kPublishManifestBytesMax = 1u << 20;  // of them, and of their issuers
inline constexpr std::size_t kOcspQuestionsMax = 8;  // stock clients ask one, few for a chain
inline constexpr std::size_t kOcspKeptMax = 16'384;  // answers ready to be sent (about 1 KiB each)
inline constexpr int kOcspAtOnceMax = 4;             // answers that wait for the HSM at a time
inline constexpr std::uint64_t kOcspSignaturesPerSecondMax =
    20;  // of the HSM's: who asks with nonces must not slow issuance
inline constexpr std::int64_t kOcspSignDeadlineMs = 3'000;  // then the asker is told to come again
inline constexpr std::int64_t kCrlGatherMs =
    200;                                          // revocations that follow at once are in one list
inline constexpr std::int64_t kCrlPauseMs = 500;  // between two lists, however many revocations
inline constexpr std::int64_t kCrlLongEveryMs = 24LL * 3'600'000;  // the long list is made anew
inline constexpr std::size_t kCrlShardsMax = 64;      // each is signed at half of its time
inline constexpr std::size_t kCrlListsMax = 200;      // three changes of the number of shards
inline constexpr std::size_t kCrlBasesMax = 64;       // lists that a delta may begin from
inline constexpr std::size_t kListNameBytesMax = 32;  // "shard-64-63"
inline constexpr std::int64_t kCrlRetryMs = 2'000;    // after a list that could not be made
inline constexpr int kSerialTriesMax = 8;  // 126 random bits: a second try means a broken generator
inline constexpr std::int64_t kClockStepBackMsMax =
    5'000;  // a time service's small correction; more is refused
inline constexpr std::int64_t kSignDeadlineMs =
    8'000;  // one signature, with its queue; below a caller's patience
inline constexpr std::int64_t kHsmAwayRetryMs = 2'000;  // told to clients while the HSM is away
inline constexpr std::int64_t kDuplicateWaitMs =
    15'000;  // a second finalize of the same order waits for the first
inline constexpr std::int64_t kIssuancesPerHourMax =
    1'000'000;  // upper end of the configurable budgets; 40 octets each

// ---- signing token (PKCS#11)
inline constexpr int kTokenSessionsMax =
    64;  // board data may ask for fewer; network HSMs cap theirs
inline constexpr std::size_t kTokenSlotsMax = 256;             // slots a module may list
inline constexpr std::size_t kTokenMechanismsMax = 1'024;      // mechanisms a module may list
inline constexpr std::size_t kTokenLabelBytesMax = 32;         // CK_TOKEN_INFO.label
inline constexpr std::size_t kTokenKeyLabelBytesMax = 128;     // our own labels are short
inline constexpr std::size_t kTokenKeysMax = 64;               // keys remembered by label
inline constexpr std::size_t kTokenAttributeBytesMax = 4'096;  // an RSA-16384 modulus with room
inline constexpr std::size_t kTokenPinBytesMax = 256;
inline constexpr std::size_t kTokenRefusedPinsMax =
    32;  // digests remembered; a further PIN is refused unseen
inline constexpr std::size_t kTokenRandomBytesMax = 4'096;  // one C_GenerateRandom
inline constexpr std::size_t kSignMessageBytesMax =
    16u << 20;  // a CRL of 400,000 entries; hashed here, not in the token
inline constexpr std::int64_t kTokenReconnectMsMin =
    100;  // first back-off after a failed reconnection
inline constexpr std::int64_t kTokenReconnectMsMax =
    1'000;  // cap: with kJobBackoffMsMax and clients' polls an HSM that is back issues in five seconds
inline constexpr std::int64_t kTokenStallMsDefault =
    5'000;  // a call in the module for longer is taken as stuck
inline constexpr std::int64_t kTokenAdminCallMs =
    30'000;  // find, generate, random, login; RSA-4096 in a TPM takes many seconds
inline constexpr std::int64_t kTokenCloseMs =
    2'000;                                           // patience with calls in the module at the end
inline constexpr std::size_t kTokenReplicasMax = 4;  // tokens that hold the same keys
inline constexpr std::int64_t kTokenReplicaHealthMs =
    10'000;  // a token in reserve is asked for a signature so often, unless the board says
inline constexpr std::int64_t kTokenStuckExitMs =
    120'000;  // a token lost to calls that never return: only a new process gets rid of them

// ---- trusted time
inline constexpr std::int64_t kTimePollMs = 5'000;  // the signer asks the platform so often
inline constexpr std::int64_t kTimeJumpMs =
    86'400'000;  // further ahead at once, with nobody's word for it: held
inline constexpr std::int64_t kTimeRefuseRetryMs = 60'000;  // told to clients meanwhile
inline constexpr std::int64_t kTimeAgreeMs =
    10'000;  // RTC, operator's word and kernel clock may differ by so much
inline constexpr std::size_t kTimeFileBytesMax = 4'096;  // the operator's word; the anchor

// ---- acme
inline constexpr std::size_t kAccountCacheMax = 16'384;  // cached account keys (about 4 KiB each)
inline constexpr std::size_t kRateKeysMax =
    131'072;  // rate buckets remembered over all keyed limits (about 15 MB)
inline constexpr std::size_t kNonceWindow =
    33'554'432;  // nonces remembered, one bit each (4 MiB): 20 minutes at 25,000/s
inline constexpr std::size_t kNoncesEarlierMax =
    65'536;  // used nonces of the life before, while they are accepted (about 3 MB)
inline constexpr std::int64_t kNonceEarlierLifeMs =
    300'000;  // after a start, nonces of the life before stay good for so long
inline constexpr int kHttpConnectionsMax = 512;  // worker threads; one connection each
inline constexpr int kRequestsPerConnectionMax =
    1'000;  // then the connection is closed, so that none starves
inline constexpr std::int64_t kHttpPerAddressMax =
    128;  // connections of one address (an IPv6 /64): a quarter of the workers
inline constexpr std::int64_t kHttpConnectsPerS =
    200;  // new connections of one address a second: a handshake is the dearest thing to ask for
inline constexpr std::int64_t kHttpRequestsPerS =
    1'000;  // requests of one address a second; what comes faster is made to wait
inline constexpr int kPublicHttpConnectionsMax =
    64;  // worker threads of the plain listener for relying parties
inline constexpr int kPublicHttpPerAddressMax = 32;  // of them for one address
inline constexpr std::int64_t kPublicHttpBytesPerS =
    32'768;  // a line so slow (256 kbit/s) still gets a whole revocation list
inline constexpr std::int64_t kHttpBurstS = 2;        // so many seconds' worth may come at once
inline constexpr std::int64_t kHttpPaceMs = 1'000;    // longest such wait; beyond it 429
inline constexpr std::size_t kHttpPacesMax = 16'384;  // addresses remembered, of each kind (2 MB)
inline constexpr std::int64_t kHttpUnfairWaitMs =
    2'000;  // a slow body or reader keeps its place so long when all are taken
inline constexpr std::int64_t kBodyDeadlineMs = 10'000;    // whole body; a drip is cut
inline constexpr std::int64_t kTlsHandshakeMs = 10'000;    // a client that does not finish is cut
inline constexpr std::int64_t kHeaderDeadlineMs = 10'000;  // whole request header; a drip is cut
inline constexpr std::int64_t kKeepAliveIdleMs = 15'000;   // between two requests of a connection
inline constexpr std::int64_t kResponseDeadlineMs =
    30'000;  // whole response; a client that does not read is cut
inline constexpr std::int64_t kHttpDrainMs =
    1'000;  // reading on after a refusal, so that the client sees it
inline constexpr std::size_t kHttpDrainBytesMax = 1u << 20;  // and this much of it
inline constexpr std::size_t kHttpHeaderBytesMax = 16'384;   // request line and headers together
inline constexpr std::size_t kTlsIdentityBytesMax =
    131'072;                                    // chain PEM of kChainCertificatesMax certificates
inline constexpr std::size_t kHeadersMax = 48;  // civetweb drops more than 64 silently
inline constexpr std::size_t kBackgroundJobsMax =
    1'024;                                        // validations and waiting finalizations, each
inline constexpr int kValidationJobThreads = 16;  // as many as validation has workers
inline constexpr std::int64_t kJobsSpentHalfMs =
    60'000;  // what an account's jobs took counts half as much after this time
inline constexpr int kIssueJobThreads = 4;  // the signer's queue is the narrow place, not these
inline constexpr std::int64_t kJobBackoffMsMin = 500;  // first pause of a job whose peer is away
inline constexpr std::int64_t kJobBackoffMsMax =
    2'000;  // a peer or an HSM that is back is used within this time where few jobs wait
inline constexpr std::int64_t kJobAskedMsMax =
    8'000;  // the pause that the signer asks for (a budget that is used up) is kept up to this
inline constexpr std::int64_t kJobRetriesPerS =
    125;  // of all jobs of a queue together, so that many that wait do not keep the machine busy
inline constexpr std::int64_t kWorkSweepMs =
    30'000;  // unfinished work is asked of the store this often
inline constexpr std::int64_t kQuickValidationMs =
    100;  // a challenge answer waits so long for a quick result
inline constexpr std::int64_t kValidationHurryMs =
    1'000;  // a client may ask for another look no sooner than this after the last
inline constexpr std::int64_t kValidationPatienceMs =
    25'000;  // after the first look; then no other is begun: a host that is silent stays so
inline constexpr std::int64_t kRelayPatienceMs =
    300'000;  // for another verifier that is away; then its evidence is not judged
inline constexpr std::int64_t kIssueWaitMs =
    5'000;  // a finalize answer waits so long, then says processing
inline constexpr std::size_t kOrdersPageMax = 100;      // orders on one page of an account's list
inline constexpr std::size_t kAccountRequestsMax = 64;  // of the operator, open or answered
inline constexpr std::size_t kAccountRequestsBytesMax = 262'144;  // 64 of 4 KiB
inline constexpr std::int64_t kDeskLookMs = 1'000;  // an operator at the unit waits for the answer
inline constexpr std::size_t kFormBodyBytesMax = 256;  // one button of a page of ours
inline constexpr std::int64_t kTermsTokenMs =
    30LL * 24 * 3'600'000;  // the address of an agreement page; a person has to read a mail
inline constexpr std::int64_t kRecoveryProofMs = 24LL * 3'600'000;  // for the code to come back
inline constexpr std::int64_t kRecoveryPickUpMs =
    7LL * 24 * 3'600'000;  // after the cooling-off time, for the new key to ask again
inline constexpr std::int64_t kMailBackoffMsMin = 60'000;
inline constexpr std::int64_t kMailBackoffMsMax = 6LL * 3'600'000;
inline constexpr std::uint64_t kMailAttemptsMax = 64;     // two weeks; then the notice is given up
inline constexpr std::size_t kSmallBodyBytesMax = 8'192;  // POST-as-GET and other small payloads
inline constexpr std::size_t kNewOrderBodyBytesMax =
    49'152;  // 64 identifiers of 256 octets, base64url; goes whole to the signer
inline constexpr std::size_t kFinalizeBodyBytesMax =
    40'960;  // kCsrBytesMax, base64url twice; with the terms below kFrameBytesMax

inline constexpr std::int64_t kRenewalRetryMs =
    300'000;  // a renewal (RFC 8739) that was refused is asked for again this often
inline constexpr std::size_t kIncidentsBytesMax = 65'536;  // the operator's file
inline constexpr std::size_t kIncidentsMax = 32;           // open at the same time
inline constexpr std::size_t kIncidentSerialsMax = 512;    // more belong to a range of time

// ---- store
inline constexpr std::int64_t kAccountsMax = 1'000'000;  // accounts are never deleted: about 1 GB
inline constexpr std::int64_t kOpenOrdersPerAccountMax = 512;  // one client must not fill the disk
inline constexpr std::int64_t kStoreBytesMax = 8LL << 30;      // database file
inline constexpr std::int64_t kStoreReserveBytes =
    64LL << 20;  // kept free for what was begun: new orders stop first
inline constexpr std::size_t kStoredFinalizeBytesMax =
    49'152;                                                  // order + finalize must fit one frame
inline constexpr std::size_t kStoredChainBytesMax = 81'920;  // a chain must fit one frame
inline constexpr std::size_t kWorkListBytesMax = 81'920;     // the list must fit one frame
inline constexpr std::int64_t kOrderRetentionMs =
    7LL * 24 * 3'600'000;  // after expiry, then deleted
inline constexpr std::int64_t kCertificateRetentionMs =
    30LL * 24 * 3'600'000;  // after notAfter, then deleted
inline constexpr std::int64_t kOpenAuthzPerAccountMax =
    512;  // live authorizations begun without an order
inline constexpr std::size_t kAuthzFindBytesMax = 81'920;  // the reply must fit one frame
inline constexpr std::size_t kAnsweredAuthzBytesMax =
    155'648;  // an authorization with an answer; with its frame below kFrameBytesMax
inline constexpr std::int64_t kRecoveriesMax =
    16'384;  // kept, also those for accounts that do not exist (about 4 KiB each)
inline constexpr std::int64_t kRecoveryRetentionMs =
    7LL * 24 * 3'600'000;                         // after expiry, then deleted
inline constexpr std::int64_t kMailsMax = 4'096;  // notices that wait for a relay (about 20 MB)
inline constexpr std::int64_t kMailRetentionMs =
    60LL * 24 * 3'600'000;                   // after it was made; a notice so old helps nobody
inline constexpr int kSweepRowsMax = 256;    // rows looked at in one short transaction
inline constexpr int kSweepBatchesMax = 32;  // such transactions in one turn of housekeeping
inline constexpr std::int64_t kSweepIntervalMs = 5'000;
inline constexpr std::int64_t kVacuumPagesMax = 512;     // given back in one transaction (2 MiB)
inline constexpr int kVacuumTurnsMax = 8;                // such transactions in one turn
inline constexpr std::int64_t kVacuumKeptPages = 1'024;  // kept at least for what comes (4 MiB)
inline constexpr std::int64_t kStoreFlushMs =
    1'000;  // longest that an unpromised write is not durable

// ---- validation
inline constexpr std::size_t kHttp01BodyBytesMax = 4'096;
inline constexpr int kHttp01RedirectsMax = 10;
inline constexpr std::int64_t kHttp01TotalMs = 20'000;
inline constexpr int kValidationWorkers = 16;
inline constexpr std::size_t kValidationQueueMax = 512;
inline constexpr std::int64_t kValidationWaitMs =
    30'000;                                        // in the queue; then acme is told to come again
inline constexpr std::size_t kDnsRecordsMax = 64;  // of one answer; a larger set is refused whole
inline constexpr std::size_t kDnsRecordBytesMax = 4'096;  // RDATA of one record
inline constexpr std::int64_t kDnsLookMs = 20'000;        // all questions of one validation
inline constexpr std::int64_t kCaaLookMs =
    8'000;  // with the queue and a look it stays below kPeerCallSlowMs
inline constexpr std::int64_t kTlsAlpn01TotalMs = 15'000;  // names, connections and handshakes
inline constexpr std::int64_t kCaaGrantMs =
    8LL * 3'600'000;  // RFC 8659 leaves it to the CA; the industry looks again after 8 hours
inline constexpr std::size_t kIssuerNamesMax = 10;  // dns-persist-01 -02: of one challenge
inline constexpr std::int64_t kUrlFetchMs = 15'000;
inline constexpr std::int64_t kVerifierRelayMs =
    45'000;  // one session with another verifier; below kPeerCallSlowMs
inline constexpr std::int64_t kVerifierPollMs = 500;  // between two looks at its session
inline constexpr std::size_t kVerifierBodyBytesMax =
    196'608;  // its session: a result, and the evidence again in base64
inline constexpr int kVerifierWorkers = 4;                 // sessions at the same time
inline constexpr std::size_t kVerifiersMax = 16;           // configured
inline constexpr std::size_t kVerifierMediaTypesMax = 32;  // of one of them
inline constexpr int kUrlFetchRedirectsMax = 3;
inline constexpr std::int64_t kMailSendMs = 20'000;           // below a caller's slow patience
inline constexpr std::int64_t kApplianceGrantMs = 3'600'000;  // the order follows at once

// ---- operators' orders (docs/operations/orders.md)
inline constexpr std::size_t kOperatorsBytesMax = 32'768;  // the operators file
inline constexpr std::size_t kOperatorsMax = 64;
inline constexpr std::size_t kOperatorNameBytesMax = 64;
inline constexpr std::size_t kOperatorOrderBytesMax =
    65'536;  // the JWS as JSON; a ledger row and a frame hold it
inline constexpr std::size_t kOperatorOrderPayloadBytesMax = 32'768;
inline constexpr std::size_t kOperatorOrderHeaderBytesMax = 512;
inline constexpr std::size_t kOperatorOrderSignaturesMax = 8;
inline constexpr std::size_t kOperatorOrderSerialsMax = 256;  // certificates that one order revokes
inline constexpr std::size_t kOperatorReasonBytesMax = 512;
inline constexpr std::size_t kOperatorAnswerBytesMax = 16'384;
inline constexpr std::int64_t kOperatorOrderLifeMs =
    7LL * 86'400'000;  // from issued to expires: it may travel on a stick
inline constexpr std::int64_t kOperatorOrderSkewMs = 300'000;  // an operator's clock may be ahead
inline constexpr std::size_t kOperatorOrdersKeptMax =
    65'536;  // ids in memory (about 4 MiB); beyond, those that ended long ago are let go
inline constexpr std::size_t kOperatorInboxFilesMax = 64;    // looked at in one turn
inline constexpr std::size_t kOperatorAnswersKeptMax = 256;  // files in orders/done
inline constexpr std::int64_t kOperatorInboxMs = 500;        // between two looks
inline constexpr std::size_t kBlockedAccountsMax = 65'536;

// ---- agent (device side)
inline constexpr std::size_t kAgentReplyBytesMax =
    262'144;  // a chain of kChainCertificatesMax certificates as PEM
inline constexpr std::size_t kAgentStateBytesMax =
    524'288;                                      // state.json, which may hold such a chain
inline constexpr int kAgentNonceRetriesMax = 10;  // badNonce in a row for one request
inline constexpr std::int64_t kAgentRequestMs =
    90'000;  // one HTTP exchange; the CA may wait for its HSM
inline constexpr std::int64_t kAgentBackoffMsMin =
    250;  // first wait after a failed exchange; doubles
inline constexpr std::int64_t kAgentBackoffMsMax = 10'000;

// ---- metrics and management port (docs/operations/monitoring.md)
inline constexpr std::size_t kMetricsSeriesMax = 192;  // of one task; more are counted alone
inline constexpr std::size_t kMetricNameBytesMax = 80;
inline constexpr std::size_t kMetricLabelBytesMax = 64;    // one label's value
inline constexpr std::size_t kMetricLabelsBytesMax = 160;  // all labels of a series as text
inline constexpr std::int64_t kMetricsSendMs = 5'000;      // a task's report to the supervisor
inline constexpr int kMetricsFramesPerMinuteMax =
    60;  // five times what a task sends; a task that sends more is broken
inline constexpr std::size_t kMetricsFileBytesMax = 2u << 20;  // kTasksMax times kMetricsSeriesMax
inline constexpr int kMetricsFileItemsMax = 131'072;
inline constexpr int kAdminConnectionsMax = 16;       // a scraper, a few operators
inline constexpr std::size_t kAdminMonitorsMax = 16;  // pinned keys that may only look
inline constexpr std::size_t kStatusFileBytesMax = 65'536;

// ---- supervisor
inline constexpr std::size_t kConfigBytesMax = 65'536;
inline constexpr std::size_t kLogLineBytesMax = 4'096;
inline constexpr std::size_t kLogFileBytesMax = 16u << 20;
inline constexpr int kLogFilesMax = 4;
inline constexpr int kTasksMax = 16;
inline constexpr std::size_t kLayersMax = 8;         // of isolation, in a task's report
inline constexpr std::size_t kLayerBytesMax = 32;    // name of one
inline constexpr std::size_t kSandboxListMax = 256;  // paths or calls of one task
inline constexpr int kStateTreeDepthMax = 8;         // folders below a task's own directory
inline constexpr std::size_t kStateTreeEntriesMax = 100'000;  // whose owner is checked at start
inline constexpr int kFramesPerTurnMax =
    64;  // control frames read from one task before the others' turn
inline constexpr std::size_t kLogBytesPerTurnMax =
    65'536;  // of one task's standard error, likewise

// ---- remote syslog
inline constexpr std::int64_t kSpoolMibDefault = 64;  // some days of a quiet unit
inline constexpr std::int64_t kSpoolMibMax = 4'096;
inline constexpr std::size_t kSpoolSegments = 16;  // the oldest one goes when the bound is reached
inline constexpr std::size_t kSpoolRecordBytesMax =
    kLogLineBytesMax + 256;  // the line with time and level, its number and checksum in front
inline constexpr std::size_t kSpoolFilesMax = 4'096;  // each start of the supervisor begins a file
inline constexpr std::size_t kSpoolScanBytesMax = 65'536;  // tail of the last file, read at start
inline constexpr std::size_t kSyslogMessageBytesMax =
    8'192;  // what a receiver SHOULD take (RFC 5425 section 4.3.1)
inline constexpr std::size_t kSyslogBatchBytesMax = 65'536;  // written at once
inline constexpr std::size_t kSyslogUnsettledMax = 10'000;   // lines sent and not yet counted so
inline constexpr std::int64_t kSyslogSettleMs = 2'000;       // acknowledged and no end since
inline constexpr std::int64_t kSyslogConnectMs = 15'000;     // names aside
inline constexpr std::int64_t kSyslogWriteMs = 30'000;       // a receiver that takes nothing
inline constexpr std::int64_t kSyslogBackoffMinMs = 500;
inline constexpr std::int64_t kSyslogBackoffMaxMs = 60'000;
inline constexpr std::int64_t kSyslogPollMs = 250;             // for new lines in the spool
inline constexpr std::int64_t kSyslogFarewellMs = 2'000;       // of an orderly stop
inline constexpr std::size_t kSyslogRootsBytesMax = 1u << 20;  // PEM

}  // namespace keyward::limits
