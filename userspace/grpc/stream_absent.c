/* A build without gRPC (FLOWLANE_GRPC=OFF): says so to who asks for streams. */
#include <errno.h>
#include <string.h>

#include "flowlane/sink.h"
#include "log.h"
#include "stream_expression.h"
#include "stream_receiver.h"

static bool absent_wanted(const struct config *config)
{
	return config->stream_grpc != NULL;
}

static int absent_open(const struct config *config, const struct source_info *info, struct output **output)
{
	(void)config, (void)info, (void)output;
	log_error("--stream-grpc: this flowlane was built without gRPC (FLOWLANE_GRPC=OFF)");
	return -EINVAL;
}

const struct sink_ops sink_grpc = { .name = "grpc", .wanted = absent_wanted, .open = absent_open };

int stream_receiver_open(const struct config *config, bool ethernet_only, struct stream_receiver **receiver)
{
	(void)config, (void)ethernet_only, (void)receiver;
	log_error("--listen: this flowlane was built without gRPC (FLOWLANE_GRPC=OFF)");
	return -EINVAL;
}

struct source *stream_receiver_source(struct stream_receiver *receiver, unsigned lane)
{
	(void)receiver, (void)lane;
	return NULL;
}

void stream_receiver_attach(struct stream_receiver *receiver)
{
	(void)receiver;
}

void stream_receiver_detach(struct stream_receiver *receiver)
{
	(void)receiver;
}

void stream_receiver_report(const struct stream_receiver *receiver, struct streams_report *report)
{
	(void)receiver;
	memset(report, 0, sizeof(*report));
}

void stream_receiver_close(struct stream_receiver *receiver)
{
	(void)receiver;
}

int stream_expression(const char *target, char expression[STREAM_EXPRESSION_MAX])
{
	(void)target, (void)expression;
	return -EINVAL;
}
