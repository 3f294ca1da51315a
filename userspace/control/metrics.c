#include "metrics.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

bool metrics_parse(const char *text, struct metrics_place *place)
{
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	size_t length = colon ? (size_t)(colon - text) : 0;
	char *end;

	if (length && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	} else if (memchr(text, ':', length)) {
		return false; /* where an IPv6 address ends and the port begins only brackets can tell */
	}
	unsigned long number = strtoul(port, &end, 10);
	if (*port < '0' || *port > '9' || *end || !number || number > UINT16_MAX || length >= sizeof(place->address))
		return false;
	memset(place, 0, sizeof(*place));
	place->port = (uint16_t)number;
	if (!colon)
		strcpy(place->address, "127.0.0.1");
	else if (!(length == 1 && text[0] == '*'))
		memcpy(place->address, text, length);

	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found = NULL;
	if (getaddrinfo(place->address[0] ? place->address : NULL, "1", &hints, &found))
		return false;
	freeaddrinfo(found);
	return true;
}

#ifdef FLOWLANE_METRICS

#include <microhttpd.h>

#define READERS      16 /* connections at a time */
#define TIMEOUT_SECS 10 /* of one that says nothing */

struct metrics {
	int fd;
	struct MHD_Daemon *daemon;
	const struct lanes *lanes;   /* valid in metrics_serve() */
	struct lanes_report *report; /* 100 KiB */
};

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, char *text, size_t bytes, const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result respond_plain(struct MHD_Connection *connection, unsigned status, const char *text)
{
	char *copy = strdup(text);

	return copy ? respond(connection, status, copy, strlen(copy), "text/plain; charset=utf-8") : MHD_NO;
}

static enum MHD_Result respond_metrics(struct metrics *metrics, struct MHD_Connection *connection)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return MHD_NO;
	lanes_report_so_far(metrics->lanes, metrics->report);
	metrics_print(metrics->report, out);
	if (fclose(out)) {
		free(text);
		return MHD_NO;
	}
	return respond(connection, MHD_HTTP_OK, text, bytes, "text/plain; version=0.0.4; charset=utf-8");
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *data, size_t *data_bytes, void **context)
{
	static int begun; /* its address: a request whose headers are there, and whose body is not wanted */

	(void)version;
	(void)data;
	if (!*context) {
		*context = &begun;
		return MHD_YES;
	}
	if (*data_bytes) {
		*data_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return respond_plain(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "flowlane: GET and HEAD only\n");
	if (strcmp(url, "/metrics"))
		return respond_plain(connection, MHD_HTTP_NOT_FOUND, "flowlane: the counters are at /metrics\n");
	return respond_metrics(argument, connection);
}

static int listen_at(const struct metrics_place *place, int *result)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found = NULL;
	char port[8];
	int on = 1;

	snprintf(port, sizeof(port), "%u", place->port);
	if (getaddrinfo(place->address[0] ? place->address : NULL, port, &hints, &found))
		return -EADDRNOTAVAIL;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = fd < 0 ? -errno : 0;
	if (!error)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* the connections of the run before may linger */
	if (!error && (bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, READERS)))
		error = -errno;
	freeaddrinfo(found);
	if (error && fd >= 0)
		close(fd);
	if (!error)
		*result = fd;
	return error;
}

static const char *listen_fix(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "; another program listens there: choose another port";
	case -EADDRNOTAVAIL:
		return "; no interface has this address: `ip -br addr` shows those there are";
	case -EACCES:
		return "; ports below 1024 need root";
	default:
		return "";
	}
}

int metrics_open(const char *text, struct metrics **result)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	struct metrics_place place;
	int error = -ENOMEM;

	if (!metrics)
		goto fail;
	metrics->fd = -1;
	metrics->report = calloc(1, sizeof(*metrics->report));
	if (!metrics->report)
		goto fail;
	error = metrics_parse(text, &place) ? listen_at(&place, &metrics->fd) : -EINVAL;
	if (error)
		goto fail;
	/* No thread of its own: MHD_run() does what is due. The socket is the daemon's from here on. */
	metrics->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, metrics, MHD_OPTION_LISTEN_SOCKET, metrics->fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)READERS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_SECS,
		MHD_OPTION_END);
	error = metrics->daemon ? 0 : -EIO;
	if (error)
		goto fail;
	*result = metrics;
	return 0;
fail:
	log_error("--metrics %s: cannot listen: %s%s", text, strerror(-error), listen_fix(error));
	metrics_close(metrics);
	return error;
}

void metrics_serve(struct metrics *metrics, const struct lanes *lanes)
{
	if (!metrics)
		return;
	metrics->lanes = lanes;
	MHD_run(metrics->daemon);
}

void metrics_close(struct metrics *metrics)
{
	if (!metrics)
		return;
	if (metrics->daemon)
		MHD_stop_daemon(metrics->daemon);
	else if (metrics->fd >= 0)
		close(metrics->fd);
	free(metrics->report);
	free(metrics);
}

#else

int metrics_open(const char *text, struct metrics **result)
{
	(void)result;
	log_error("--metrics %s: this flowlane is built without it (CMake option FLOWLANE_METRICS, needs libmicrohttpd)", text);
	return -ENOSYS;
}

void metrics_serve(struct metrics *metrics, const struct lanes *lanes)
{
	(void)metrics;
	(void)lanes;
}

void metrics_close(struct metrics *metrics)
{
	(void)metrics;
}

#endif
