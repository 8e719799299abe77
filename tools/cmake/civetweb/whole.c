/* Owns civetweb as one translation unit, with what its public header does not say: the descriptor of
   a connection, which firmware/https watches from the moment a worker has it. With TLS the SSL object
   says it; without TLS nothing does. */
#include "civetweb.c" /* NOLINT(bugprone-suspicious-include) */

__attribute__((visibility("default"))) int keyward_https_socket(const struct mg_connection *connection) {
  return connection->client.sock;
}
