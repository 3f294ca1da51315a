/* The server behind the lanes' sources: set up and closed by the control thread. */
#include "stream_receiver.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"
#include "log.h"
#include "stream_connection.h"
#include "stream_file.h"
#include "stream_receiver_internal.h"
#include "stream_target.h"

#define SNAPLEN         65535       /* of a stream that does not say: what libpcap's users ask for */
#define WINDOW_BYTES    (1 << 20)   /* a sensor may be so far ahead of its lane; 64 KiB, HTTP/2's own, cost a third of the speed */
#define FRAME_BYTES     (1 << 20)   /* of HTTP/2: fewer, longer ones */
#define READ_BYTES      (256 << 10) /* asked of the socket at a time */
#define STREAMS_MAX     100         /* on one connection; sensors have one */
#define ALIVE_AFTER_MS  60000       /* a connection so long silent is asked whether anybody is there ... */
#define ALIVE_ANSWER_MS 20000       /* ... and without an answer its streams are over */

#define SHUTDOWN_TAG ((void *)1)

/* gRPC's own messages are for people who debug gRPC; ours say what a user can do. */
static void say_nothing(gpr_log_func_args *args)
{
	(void)args;
}

/* gRPC says only that it cannot listen, so what the system says is asked for first. `address` gets the numeric form. */
static int listen_check(const struct stream_target *target, char *address, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found = NULL;
	int error = getaddrinfo(target->host, target->port, &hints, &found), on = 1;
	char host[NI_MAXHOST];

	if (error) {
		log_error("--listen %s: unknown host: %s; give an address of this machine, or 0.0.0.0 for all", target->text,
			gai_strerror(error));
		return -EADDRNOTAVAIL;
	}
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 1)) {
		error = -errno;
		log_error("--listen %s: %s; %s", target->text, strerror(-error),
			error == -EADDRINUSE ? "another program listens there, choose another port"
					     : "give an address of this machine, or 0.0.0.0 for all");
	}
	getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	snprintf(address, size, found->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, target->port);
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	return error;
}

static int credentials_make(const struct config *config, grpc_server_credentials **credentials)
{
	grpc_ssl_pem_key_cert_pair pair = { 0 };
	char *key = NULL, *certificate = NULL;

	if (!config->tls_cert) {
		*credentials = grpc_insecure_server_credentials_create();
		return 0;
	}
	int error = stream_file_read("--tls-cert", config->tls_cert, "CERTIFICATE", &certificate);
	if (!error)
		error = stream_file_read("--tls-key", config->tls_key, "PRIVATE KEY", &key);
	pair.cert_chain = certificate;
	pair.private_key = key;
	if (!error)
		*credentials = grpc_ssl_server_credentials_create(NULL, &pair, 1, 0, NULL);
	free(certificate);
	free(key);
	return error;
}

static grpc_server *server_make(void)
{
	const struct {
		const char *key;
		int value;
	} settings[] = {
		{ GRPC_ARG_ALLOW_REUSEPORT, 0 }, /* or two receivers on a port would share its sensors, and nobody be told */
		{ GRPC_ARG_ENABLE_CHANNELZ, 0 },
		{ GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0 }, /* what comes compressed is still read */
		{ GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, STREAM_MESSAGE_MAX },
		{ GRPC_ARG_MAX_CONCURRENT_STREAMS, STREAMS_MAX },
		{ GRPC_ARG_HTTP2_BDP_PROBE, 0 },
		{ GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, WINDOW_BYTES },
		{ GRPC_ARG_HTTP2_MAX_FRAME_SIZE, FRAME_BYTES },
		{ GRPC_ARG_TCP_READ_CHUNK_SIZE, READ_BYTES },
		{ GRPC_ARG_KEEPALIVE_TIME_MS, ALIVE_AFTER_MS },
		{ GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ALIVE_ANSWER_MS },
	};
	enum { COUNT = sizeof(settings) / sizeof(settings[0]) };
	grpc_arg args[COUNT];
	grpc_channel_args all = { .num_args = COUNT, .args = args };

	for (unsigned i = 0; i < COUNT; i++)
		args[i] =
			(grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)settings[i].key, .value.integer = settings[i].value };
	return grpc_server_create(&all, NULL);
}

static int lane_open(struct stream_lane *lane, struct stream_receiver *receiver, unsigned number)
{
	lane->source.ops = &stream_source_ops;
	lane->source.info = (struct source_info){
		.link = receiver->ethernet_only ? LINK_ETHERNET : -1,
		.snaplen = SNAPLEN,
		.live = true,
		.ts_source = "sensor",
	};
	lane->receiver = receiver;
	lane->number = number;
	lane->streams = calloc(STREAMS_PER_LANE, sizeof(*lane->streams));
	lane->scratch = arena_map(STREAM_SCRATCH_BYTES);
	if (!lane->streams || !lane->scratch)
		return -ENOMEM;
	for (unsigned i = STREAMS_PER_LANE; i > 0; i--) {
		struct stream *stream = &lane->streams[i - 1];
		stream->lane = lane;
		stream->next_free = lane->free;
		lane->free = stream;
	}
	lane->queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(receiver->server, lane->queue, NULL);
	return 0;
}

static int server_listen(struct stream_receiver *receiver, const struct config *config, const char *address)
{
	grpc_server_credentials *credentials = NULL;
	int error = credentials_make(config, &credentials);

	if (!error && (!credentials || !grpc_server_add_http2_port(receiver->server, address, credentials))) {
		log_error("--listen %s: gRPC cannot listen there%s", config->listen,
			config->tls_cert ? "; does the key of --tls-key belong to the certificate of --tls-cert?" : "");
		error = config->tls_cert ? -EINVAL : -EADDRNOTAVAIL;
	}
	if (credentials)
		grpc_server_credentials_release(credentials);
	return error;
}

int stream_receiver_open(const struct config *config, bool ethernet_only, struct stream_receiver **result)
{
	struct stream_target target;
	char address[NI_MAXHOST + 16];
	int error = stream_target_parse("--listen", config->listen, &target);

	if (!error)
		error = listen_check(&target, address, sizeof(address));
	if (error)
		return error;
	struct stream_receiver *receiver = calloc(1, sizeof(*receiver));
	if (!receiver)
		return -ENOMEM;
	gpr_set_log_function(say_nothing);
	grpc_init();
	receiver->ethernet_only = ethernet_only;
	receiver->server = server_make();
	receiver->lanes = calloc(config->lanes, sizeof(*receiver->lanes));
	error = receiver->lanes ? 0 : -ENOMEM;
	for (; !error && receiver->lanes_count < config->lanes; receiver->lanes_count++)
		error = lane_open(&receiver->lanes[receiver->lanes_count], receiver, receiver->lanes_count);
	if (error)
		log_error("--listen %s: no memory for %u lanes", config->listen, config->lanes);
	else
		error = server_listen(receiver, config, address);
	if (error) {
		stream_receiver_close(receiver);
		return error;
	}
	*result = receiver;
	return 0;
}

struct source *stream_receiver_source(struct stream_receiver *receiver, unsigned lane)
{
	return &receiver->lanes[lane].source;
}

void stream_receiver_attach(struct stream_receiver *receiver)
{
	grpc_server_start(receiver->server);
}

void stream_receiver_detach(struct stream_receiver *receiver)
{
	if (receiver)
		atomic_store(&receiver->stopping, true);
}

static void report_add(struct streams_report *sum, const struct streams_report *lane)
{
	sum->streams += lane->streams;
	sum->packets += lane->packets;
	sum->malformed += lane->malformed;
	sum->refused += lane->refused;
	for (unsigned i = 0; i < STREAM_END_COUNT; i++)
		sum->ends[i] += lane->ends[i];
	for (unsigned i = 0; i < lane->reported && sum->reported < STREAMS_REPORTED_MAX; i++)
		sum->stream[sum->reported++] = lane->stream[i];
}

void stream_receiver_report(const struct stream_receiver *receiver, struct streams_report *report)
{
	memset(report, 0, sizeof(*report));
	for (unsigned i = 0; i < receiver->lanes_count; i++) {
		struct stream_lane *lane = &receiver->lanes[i];
		for (unsigned j = 0; j < STREAMS_PER_LANE; j++) {
			if (lane->streams[j].call)
				stream_add_report(lane, &lane->streams[j]);
		}
		report_add(report, &lane->report);
	}
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

/* Each open stream ends with a status that a sensor takes for what it is: try again, perhaps elsewhere. */
static void streams_cancel(struct stream_receiver *receiver)
{
	for (unsigned i = 0; i < receiver->lanes_count; i++) {
		for (unsigned j = 0; receiver->lanes[i].streams && j < STREAMS_PER_LANE; j++) {
			struct stream *stream = &receiver->lanes[i].streams[j];
			if (stream->call) {
				stream->answered = true;
				grpc_call_cancel_with_status(stream->call, GRPC_STATUS_UNAVAILABLE, "the receiver ends", NULL);
			}
		}
	}
}

static bool lane_is_idle(const struct stream_lane *lane)
{
	return !lane->asked && !atomic_load(&lane->open);
}

/* Until each stream is over and the server is down. */
static void queues_drain(struct stream_receiver *receiver)
{
	bool down = false, idle = false;
	struct frame frame;

	while (!down || !idle) {
		idle = true;
		for (unsigned i = 0; i < receiver->lanes_count; i++) {
			struct stream_lane *lane = &receiver->lanes[i];
			if (!lane->queue)
				continue;
			gpr_timespec soon = stream_deadline(1);
			grpc_event event = grpc_completion_queue_next(lane->queue, soon, NULL);
			if (event.type == GRPC_OP_COMPLETE && event.tag == SHUTDOWN_TAG)
				down = true;
			else if (event.type == GRPC_OP_COMPLETE)
				stream_take_event(lane, &event, &frame);
			stream_source_ops.release(&lane->source, NULL, 0);
			idle = idle && lane_is_idle(lane);
		}
	}
}

static void lane_close(struct stream_lane *lane)
{
	if (lane->queue) {
		grpc_completion_queue_shutdown(lane->queue);
		while (grpc_completion_queue_next(lane->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
			GRPC_QUEUE_SHUTDOWN)
			;
		grpc_completion_queue_destroy(lane->queue);
	}
	free(lane->streams);
	arena_unmap(lane->scratch, STREAM_SCRATCH_BYTES);
}

void stream_receiver_close(struct stream_receiver *receiver)
{
	if (!receiver)
		return;
	for (unsigned i = 0; i < receiver->lanes_count; i++)
		receiver->lanes[i].stop_ns = 1; /* asks for no more streams */
	if (receiver->lanes_count && receiver->lanes[0].queue) {
		grpc_server_shutdown_and_notify(receiver->server, receiver->lanes[0].queue, SHUTDOWN_TAG);
		streams_cancel(receiver);
		grpc_server_cancel_all_calls(receiver->server);
		queues_drain(receiver);
	}
	grpc_server_destroy(receiver->server);
	for (unsigned i = 0; i < receiver->lanes_count; i++)
		lane_close(&receiver->lanes[i]);
	grpc_shutdown_blocking();
	free(receiver->lanes);
	free(receiver);
}
