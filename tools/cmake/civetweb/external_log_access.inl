/* Owns civetweb's access log when it is built without files: none, since firmware logs its requests.
 * Part of civetweb.c's translation unit. */
static void
log_access(const struct mg_connection *conn)
{
	(void)conn;
}
