// Proves the two sides of an edge: calls, failures, losses, limits, and that what must be fatal is.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "firmware/task/channel.h"
#include "firmware/task/peer.h"
#include "firmware/task/server.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/account_get.h"
#include "firmware/wire/messages/control_ready.h"
#include "firmware/wire/messages/name_token_mint.h"

namespace keyward::task {
namespace {

using wire::TaskId;

wire::NameTokenMint mint(const std::string& ticket) {
  wire::NameTokenMint request;
  request.identifier = {wire::IdentifierType::kDns, "a.example"};
  request.ticket = ticket;
  request.method = wire::ValidationMethod::kHttp01;
  return request;
}

struct Edge {
  Edge() : peer(TaskId::kValidation) {
    server.on<wire::NameTokenMint>(
        TaskId::kAcme, [](const wire::NameTokenMint& r) -> Answer<wire::NameTokenMintReply> {
          if (r.ticket == "refuse") return refuse(wire::FailureKind::kRefused, "no", "because");
          return wire::NameTokenMintReply{"echo-" + r.ticket};
        });
    connect(4);
  }
  void connect(int threads) {
    auto ends = make_channel();
    server.serve(TaskId::kAcme, std::move(ends->first), threads);
    peer.rebind(std::move(ends->second));
  }
  Server server;
  Peer peer;
};

TEST(Peer_Call, ReturnsTheReply) {
  Edge edge;
  const auto reply = edge.peer.call(mint("t1"));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->token, "echo-t1");
}

TEST(Peer_Call, ReturnsTheFailureOfTheHandler) {
  Edge edge;
  const auto reply = edge.peer.call(mint("refuse"));
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, "no");
  EXPECT_EQ(reply.error().kind, wire::FailureKind::kRefused);
}

TEST(Peer_ManyThreads_EachGetsItsOwnReply, Holds) {
  Edge edge;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const std::string ticket = std::to_string(t) + "-" + std::to_string(i);
        const auto reply = edge.peer.call(mint(ticket));
        if (!reply || reply->token != "echo-" + ticket) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Peer_NotConnected_IsPeerLost, AtOnce) {
  Peer peer(TaskId::kStore);
  const auto reply = peer.call(wire::AccountGet{});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, "peer-lost");
}

TEST(Peer_OtherEndCloses_CallsInFlightAreLost, ThenReboundWorks) {
  Peer peer(TaskId::kValidation);
  auto ends = make_channel();
  peer.rebind(std::move(ends->second));
  std::vector<std::thread> callers;
  std::atomic<int> lost{0};
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      const auto reply = peer.call(mint("x"));
      if (!reply && reply.error().code == "peer-lost") ++lost;
    });
  }
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(receive_frame(ends->first.get(), 0).has_value());
  ends->first.reset();
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(lost, 8);
  Edge other;
  auto fresh = make_channel();
  other.server.serve(TaskId::kAcme, std::move(fresh->first), 1);
  peer.rebind(std::move(fresh->second));
  EXPECT_TRUE(peer.call(mint("y")).has_value());
}

// The other end dies between two calls: the one cannot be sent, and an answer to the one before is
// still under way. Nobody waits for it any more; it is not an attack.
TEST(Peer_AnswerAfterASendThatFailed_IsIgnored, AndTheCallIsLost) {
  bool answered = false;
  // The edge may be closed before the answer is in it: then once more.
  for (int i = 0; i < 1'000 && !answered; ++i) {
    Peer peer(TaskId::kValidation);
    auto ends = make_channel();
    peer.rebind(std::move(ends->second));
    Answer<wire::NameTokenMintReply> before = refuse(wire::FailureKind::kInternal, "none", "");
    std::jthread caller([&] { before = peer.call(mint("before")); });
    const auto request = receive_frame(ends->first.get(), 0);
    ASSERT_TRUE(request);
    ASSERT_EQ(::shutdown(ends->first.get(), SHUT_RD), 0);
    const auto after = peer.call(mint("after"));
    ASSERT_FALSE(after);
    EXPECT_EQ(after.error().code, "peer-lost");
    const auto reply = wire::encode_frame(wire::open_frame(request->bytes)->head.id,
                                          wire::NameTokenMintReply{"late"});
    answered = send_frame(ends->first.get(), reply, {}, Deadline::after_ms(1'000)).has_value();
    caller.join();
    ASSERT_FALSE(before);
    EXPECT_EQ(before.error().code, "peer-lost");
    EXPECT_FALSE(peer.connected());
  }
  EXPECT_TRUE(answered);
}

TEST(Peer_LateReply_IsIgnoredAndTheNextCallWorks, Holds) {
  Peer peer(TaskId::kValidation);
  auto ends = make_channel();
  peer.rebind(std::move(ends->second));
  const auto timed_out = peer.call(mint("slow"), 20);
  ASSERT_FALSE(timed_out.has_value());
  EXPECT_EQ(timed_out.error().code, "peer-timeout");
  const auto first = receive_frame(ends->first.get(), 0);
  const auto head = wire::open_frame(first->bytes)->head;
  const auto late = wire::encode_frame(head.id, wire::NameTokenMintReply{"late"});
  ASSERT_TRUE(send_frame(ends->first.get(), late, {}, Deadline::after_ms(1000)).has_value());
  std::thread answerer([&] {
    const auto second = receive_frame(ends->first.get(), 0);
    const auto id = wire::open_frame(second->bytes)->head.id;
    (void)send_frame(ends->first.get(), wire::encode_frame(id, wire::NameTokenMintReply{"in time"}),
                     {}, Deadline::after_ms(1000));
  });
  const auto reply = peer.call(mint("next"));
  answerer.join();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->token, "in time");
}

// What a peer must not send ends the process with kExitProtocol.
class PeerDeath : public ::testing::Test {
 protected:
  PeerDeath() { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
  static void call_answered_with(const Bytes& frame, int descriptor = -1) {
    Peer peer(TaskId::kValidation);
    auto ends = make_channel();
    peer.rebind(std::move(ends->second));
    std::vector<int> descriptors;
    if (descriptor >= 0) descriptors.push_back(descriptor);
    (void)send_frame(ends->first.get(), frame, descriptors, Deadline::after_ms(1000));
    (void)peer.call(mint("x"));
  }
};

TEST_F(PeerDeath, ReplyToNoRequest) {
  EXPECT_EXIT(call_answered_with(wire::encode_frame(77, wire::NameTokenMintReply{"?"})),
              ::testing::ExitedWithCode(kExitProtocol), "reply to no request");
}
TEST_F(PeerDeath, ReplyOfAnotherType) {
  EXPECT_EXIT(call_answered_with(wire::encode_frame(1, wire::ControlReady{})),
              ::testing::ExitedWithCode(kExitProtocol), "of another type");
}
TEST_F(PeerDeath, AttachedDescriptor) {
  EXPECT_EXIT(call_answered_with(wire::encode_frame(1, wire::NameTokenMintReply{"t"}), 0),
              ::testing::ExitedWithCode(kExitProtocol), "unexpected descriptor");
}
TEST_F(PeerDeath, TrailingBytes) {
  auto frame = wire::encode_frame(1, wire::NameTokenMintReply{"t"});
  frame.push_back(0);
  EXPECT_EXIT(call_answered_with(frame), ::testing::ExitedWithCode(kExitProtocol),
              "trailing bytes");
}

class ServerDeath : public ::testing::Test {
 protected:
  ServerDeath() { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
  static void server_gets(const Bytes& frame, int descriptor = -1) {
    Edge edge;
    auto ends = make_channel();
    edge.server.serve(TaskId::kAcme, std::move(ends->first), 1);
    std::vector<int> descriptors;
    if (descriptor >= 0) descriptors.push_back(descriptor);
    iovec part{const_cast<std::uint8_t*>(frame.data()), frame.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptors.empty()) {  // past send_frame's own cap
      ::sendmsg(ends->second.get(), &message, MSG_NOSIGNAL);
    } else {
      (void)send_frame(ends->second.get(), frame, descriptors, Deadline::after_ms(1000));
    }
    (void)wait_readable(ends->second.get(), 10'000);
  }
};

TEST_F(ServerDeath, UnknownType) {
  EXPECT_EXIT(server_gets(wire::encode_frame(1, wire::AccountGet{})),
              ::testing::ExitedWithCode(kExitProtocol), "may not send");
}
TEST_F(ServerDeath, TruncatedBody) {
  auto frame = wire::encode_frame(1, mint("t"));
  frame.pop_back();
  EXPECT_EXIT(server_gets(frame), ::testing::ExitedWithCode(kExitProtocol), "malformed request");
}
TEST_F(ServerDeath, NotCbor) {
  EXPECT_EXIT(server_gets(Bytes{0xff, 0xff}), ::testing::ExitedWithCode(kExitProtocol),
              "malformed frame");
}
TEST_F(ServerDeath, Oversize) {
  EXPECT_EXIT(server_gets(Bytes(limits::kFrameBytesMax + 1, 0x83)),
              ::testing::ExitedWithCode(kExitProtocol), "frame over its limit");
}
TEST_F(ServerDeath, EmptyDatagram) {
  EXPECT_EXIT(server_gets(Bytes{}), ::testing::ExitedWithCode(kExitProtocol), "empty frame");
}
TEST_F(ServerDeath, AttachedDescriptor) {
  EXPECT_EXIT(server_gets(wire::encode_frame(1, mint("t")), 0),
              ::testing::ExitedWithCode(kExitProtocol), "unexpected descriptor");
}

}  // namespace
}  // namespace keyward::task
