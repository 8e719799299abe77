/* Owns civetweb's way to complain when it is built without files: the log_message callback, nothing
 * else. Must not write anywhere itself. Part of civetweb.c's translation unit. */
static void
mg_cry_internal_impl(const struct mg_connection *conn, const char *func, unsigned line, const char *fmt,
                     va_list ap)
{
	char buf[512];
	(void)func;
	(void)line;
	if ((conn == NULL) || (conn->phys_ctx == NULL) || (conn->phys_ctx->callbacks.log_message == NULL)) {
		return;
	}
	(void)vsnprintf(buf, sizeof(buf), fmt, ap);
	(void)conn->phys_ctx->callbacks.log_message(conn, buf);
}
