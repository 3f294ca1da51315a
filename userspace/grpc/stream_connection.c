#include "stream_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/slice_buffer.h>
#include <grpc/support/alloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "own_traffic.h"

#define CONNECT_MS         10000
#define LOOK_MS            50          /* how soon it is noticed that there is hurry */
#define HALF_OPEN_MS       30000       /* data that nobody acknowledges: the peer is gone */
#define WRITE_BUFFER_BYTES (256 << 10) /* messages that gRPC gathers for one write; 64 KiB cost 10 % more */

static int fail(char why[STREAM_WHY], int error, const char *what, const char *reason)
{
	snprintf(why, STREAM_WHY, "%s%s%s", what, what[0] ? ": " : "", reason);
	return error;
}

/* --- the socket ------------------------------------------------------------------------------------------------------ */

static void ip_of(const struct sockaddr *address, uint8_t ip[16], uint16_t *port)
{
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
		memcpy(ip, &in6->sin6_addr, 16);
		*port = ntohs(in6->sin6_port);
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;
		memset(ip, 0, 10);
		memset(ip + 10, 0xff, 2);
		memcpy(ip + 12, &in->sin_addr, 4);
		*port = ntohs(in->sin_port);
	}
}

/* The local address that the system will use towards `to`: asked of a UDP socket, which sends nothing. */
static bool local_address(const struct addrinfo *to, struct sockaddr_storage *local, socklen_t *length)
{
	int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*length = sizeof(*local);
	bool known =
		fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0 && getsockname(fd, (struct sockaddr *)local, length) == 0;
	if (fd >= 0)
		close(fd);
	if (known && local->ss_family == AF_INET6)
		((struct sockaddr_in6 *)local)->sin6_port = 0;
	else if (known)
		((struct sockaddr_in *)local)->sin_port = 0;
	return known;
}

/* Before the first packet of the connection. With TLS gRPC chooses the port, and all that goes from here to the collector's port is
 * taken for this connection. */
static void leave_out(int fd, const struct addrinfo *to)
{
	struct own_connection own = { 0 };
	struct sockaddr_storage local;
	socklen_t length;

	if (!local_address(to, &local, &length))
		return;
	if (fd >= 0 && bind(fd, (struct sockaddr *)&local, length) == 0) {
		length = sizeof(local);
		getsockname(fd, (struct sockaddr *)&local, &length);
	}
	ip_of((struct sockaddr *)&local, own.local_ip, &own.local_port);
	ip_of(to->ai_addr, own.remote_ip, &own.remote_port);
	own_traffic_set(&own);
}

/* Waits for a connect() under way. 0 or a negative errno. */
static int wait_connected(int fd, const atomic_bool *hurry)
{
	struct pollfd look = { .fd = fd, .events = POLLOUT };
	socklen_t length = sizeof(int);
	int error = 0;

	for (int waited_ms = 0; poll(&look, 1, LOOK_MS) <= 0; waited_ms += LOOK_MS) {
		if (waited_ms >= CONNECT_MS || (atomic_load(hurry) && waited_ms >= 20 * LOOK_MS))
			return -ETIMEDOUT;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return -error;
}

static int connect_one(const struct addrinfo *to, const struct stream_settings *settings, const atomic_bool *hurry, int *result)
{
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, half_open_ms = HALF_OPEN_MS, error = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &half_open_ms, sizeof(half_open_ms));
	if (settings->live)
		leave_out(fd, to);
	if (connect(fd, to->ai_addr, to->ai_addrlen))
		error = errno == EINPROGRESS ? wait_connected(fd, hurry) : -errno;
	if (error) {
		close(fd);
		return error;
	}
	*result = fd;
	return 0;
}

/* --- the channel ----------------------------------------------------------------------------------------------------- */

static grpc_arg integer(const char *key, int value)
{
	grpc_arg arg = { .type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value };

	return arg;
}

static grpc_arg string(const char *key, const char *value)
{
	grpc_arg arg = { .type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value };

	return arg;
}

static grpc_channel *channel_tls(const struct stream_settings *settings, const struct addrinfo *to)
{
	grpc_arg args[] = {
		integer(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		integer(GRPC_ARG_ENABLE_RETRIES, 0),
		integer(GRPC_ARG_ENABLE_CHANNELZ, 0),
		integer(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		integer(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		integer(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, WRITE_BUFFER_BYTES),
		string(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, settings->target.host),
		string(GRPC_ARG_DEFAULT_AUTHORITY, settings->target.text),
	};
	grpc_channel_args all = { .num_args = sizeof(args) / sizeof(args[0]), .args = args };
	grpc_channel_credentials *credentials = grpc_ssl_credentials_create(settings->ca, NULL, NULL, NULL);
	bool v6 = to->ai_family == AF_INET6;
	char host[NI_MAXHOST], uri[NI_MAXHOST + 32];

	if (getnameinfo(to->ai_addr, to->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST))
		return NULL;
	snprintf(uri, sizeof(uri), "%s%s%s:%s", v6 ? "ipv6:[" : "ipv4:", host, v6 ? "]" : "", settings->target.port);
	grpc_channel *channel = grpc_channel_create(uri, credentials, &all);
	grpc_channel_credentials_release(credentials);
	return channel;
}

static grpc_channel *channel_plain(const struct stream_settings *settings, int fd)
{
	grpc_arg args[] = {
		integer(GRPC_ARG_MINIMAL_STACK, 1),
		integer(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		integer(GRPC_ARG_ENABLE_CHANNELZ, 0),
		integer(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, WRITE_BUFFER_BYTES),
	};
	grpc_channel_args all = { .num_args = sizeof(args) / sizeof(args[0]), .args = args };
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
	grpc_channel *channel = grpc_channel_create_from_fd(settings->target.text, fd, credentials, &all);

	grpc_channel_credentials_release(credentials);
	return channel;
}

/* Tries each address of the name in turn. With TLS only the first: whether it answers, the call will tell. */
static int channel_open(
	const struct stream_settings *settings, const atomic_bool *hurry, grpc_channel **channel, char why[STREAM_WHY])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *found = NULL;
	int error = getaddrinfo(settings->target.host, settings->target.port, &hints, &found), fd = -1;

	if (error)
		return fail(why, -EHOSTUNREACH, "unknown host", gai_strerror(error));
	if (settings->tls) {
		if (settings->live)
			leave_out(-1, found);
		*channel = channel_tls(settings, found);
	} else {
		for (const struct addrinfo *to = found; to && fd < 0; to = to->ai_next)
			error = connect_one(to, settings, hurry, &fd);
		if (fd >= 0)
			*channel = channel_plain(settings, fd);
	}
	freeaddrinfo(found);
	if (!*channel)
		return fail(why, error ? error : -EIO, "", error ? strerror(-error) : "gRPC cannot make a channel");
	return 0;
}

/* --- the call -------------------------------------------------------------------------------------------------------- */

static bool start(struct stream_connection *connection, const grpc_op *ops, size_t count, enum stream_tag tag)
{
	if (grpc_call_start_batch(connection->call, ops, count, (void *)(intptr_t)tag, NULL) != GRPC_CALL_OK)
		return false;
	connection->pending |= 1u << tag;
	return true;
}

static bool start_call(struct stream_connection *connection, const struct stream_settings *settings)
{
	grpc_metadata metadata[] = {
		{ .key = grpc_slice_from_static_string("x-flowlane-linktype"),
			.value = grpc_slice_from_copied_string(settings->link) },
		{ .key = grpc_slice_from_static_string("x-flowlane-snaplen"),
			.value = grpc_slice_from_copied_string(settings->snaplen) },
	};
	grpc_op first = { .op = GRPC_OP_SEND_INITIAL_METADATA, .data.send_initial_metadata = { .count = 2, .metadata = metadata } };
	grpc_op last[] = {
		{ .op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &connection->initial },
		{ .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &connection->response },
		{ .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
			.data.recv_status_on_client = { .trailing_metadata = &connection->trailing,
				.status = &connection->status,
				.status_details = &connection->details } },
	};

	grpc_metadata_array_init(&connection->initial);
	grpc_metadata_array_init(&connection->trailing);
	connection->details = grpc_empty_slice();
	connection->message = grpc_raw_byte_buffer_create(NULL, 0);
	connection->queue = grpc_completion_queue_create_for_next(NULL);
	connection->call = grpc_channel_create_call(connection->channel, NULL, GRPC_PROPAGATE_DEFAULTS, connection->queue,
		grpc_slice_from_static_string(STREAM_METHOD), NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	bool started = start(connection, &first, 1, STREAM_TAG_START) && start(connection, last, 3, STREAM_TAG_STATUS);
	for (unsigned i = 0; i < 2; i++)
		grpc_slice_unref(metadata[i].value);
	return started;
}

/* Until the request is on its way: with TLS, after the handshake. */
static int wait_started(struct stream_connection *connection, const atomic_bool *hurry, char why[STREAM_WHY])
{
	uint64_t begin_ns = clock_monotonic_ns();
	bool started = false, success;

	while (!connection->ended && !started) {
		uint64_t waited_ms = (clock_monotonic_ns() - begin_ns) / 1000000;
		if (waited_ms >= CONNECT_MS || (atomic_load(hurry) && waited_ms >= 20 * LOOK_MS))
			return fail(why, -ETIMEDOUT, "", "no answer to the TLS handshake");
		/* If it fails, the status follows, and says why. */
		started = stream_connection_next(connection, stream_deadline(LOOK_MS), &success) == STREAM_TAG_START && success;
	}
	return connection->ended ? fail(why, -ECONNREFUSED, "", connection->why) : 0;
}

int stream_connection_open(struct stream_connection *connection, const struct stream_settings *settings, const atomic_bool *hurry,
	char why[STREAM_WHY])
{
	*connection = (struct stream_connection){ .status = GRPC_STATUS_UNKNOWN };
	int error = channel_open(settings, hurry, &connection->channel, why);

	if (error)
		return error;
	if (!start_call(connection, settings))
		return fail(why, -EIO, "", "gRPC refuses the call");
	return wait_started(connection, hurry, why);
}

static void take_status(struct stream_connection *connection)
{
	size_t length = GRPC_SLICE_LENGTH(connection->details);

	connection->ended = true;
	if (length >= sizeof(connection->why))
		length = sizeof(connection->why) - 1;
	memcpy(connection->why, GRPC_SLICE_START_PTR(connection->details), length);
	connection->why[length] = 0;
	for (size_t i = 0; i < length; i++) { /* a peer's words go to a terminal */
		if ((unsigned char)connection->why[i] < ' ' || connection->why[i] == 0x7f)
			connection->why[i] = ' ';
	}
}

enum stream_tag stream_connection_next(struct stream_connection *connection, gpr_timespec deadline, bool *success)
{
	grpc_event event = grpc_completion_queue_next(connection->queue, deadline, NULL);

	if (event.type != GRPC_OP_COMPLETE)
		return 0;
	enum stream_tag tag = (enum stream_tag)(intptr_t)event.tag;
	connection->pending &= ~(1u << tag);
	*success = event.success != 0;
	if (tag == STREAM_TAG_STATUS)
		take_status(connection);
	return tag;
}

bool stream_connection_send(struct stream_connection *connection, bool more)
{
	grpc_op op = { .op = GRPC_OP_SEND_MESSAGE,
		.flags = more ? GRPC_WRITE_BUFFER_HINT : 0,
		.data.send_message.send_message = connection->message };

	return start(connection, &op, 1, STREAM_TAG_MESSAGE);
}

bool stream_connection_half_close(struct stream_connection *connection)
{
	grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };

	return start(connection, &op, 1, STREAM_TAG_CLOSE);
}

void stream_connection_cancel(struct stream_connection *connection)
{
	grpc_call_cancel(connection->call, NULL);
}

static void call_close(struct stream_connection *connection)
{
	bool success;

	if (connection->pending)
		grpc_call_cancel(connection->call, NULL);
	while (connection->pending)
		stream_connection_next(connection, gpr_inf_future(GPR_CLOCK_MONOTONIC), &success);
	grpc_metadata_array_destroy(&connection->initial);
	grpc_metadata_array_destroy(&connection->trailing);
	grpc_byte_buffer_destroy(connection->response);
	grpc_byte_buffer_destroy(connection->message);
	grpc_slice_unref(connection->details);
	grpc_call_unref(connection->call);
}

void stream_connection_close(struct stream_connection *connection)
{
	if (connection->call)
		call_close(connection);
	if (connection->queue) {
		grpc_completion_queue_shutdown(connection->queue);
		while (grpc_completion_queue_next(connection->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
			GRPC_QUEUE_SHUTDOWN)
			;
		grpc_completion_queue_destroy(connection->queue);
	}
	if (connection->channel)
		grpc_channel_destroy(connection->channel);
	own_traffic_set(NULL);
	*connection = (struct stream_connection){ 0 };
}

const char *stream_status_name(grpc_status_code status)
{
	static const char *const names[] = { "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED" };

	return (unsigned)status < sizeof(names) / sizeof(names[0]) ? names[status] : "an unknown status";
}

bool stream_status_is_final(grpc_status_code status)
{
	return status == GRPC_STATUS_INVALID_ARGUMENT || status == GRPC_STATUS_UNIMPLEMENTED ||
	       status == GRPC_STATUS_PERMISSION_DENIED || status == GRPC_STATUS_FAILED_PRECONDITION ||
	       status == GRPC_STATUS_UNAUTHENTICATED;
}
