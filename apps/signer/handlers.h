// Owns the registration of the signer's requests: which message goes to which method. Must not know
// what a request means (firmware/issue), nor who may send it (peers.cc).
#pragma once

#include "apps/signer/loop.h"

namespace keyward::signer {

// Every request of the peer table that is the gate's. All references outlive the server.
void serve_gate(task::Server& server, InFlight& in_flight, issue::Gate& gate);

// `responder` null: none is configured, and every request says so.
void serve_ocsp(task::Server& server, InFlight& in_flight, issue::OcspResponder* responder);

}  // namespace keyward::signer
