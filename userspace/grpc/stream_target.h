/* "HOST:PORT", "[IPV6]:PORT": what --stream-grpc and --listen take. */
#ifndef FLOWLANE_STREAM_TARGET_H
#define FLOWLANE_STREAM_TARGET_H

struct stream_target {
	char text[320]; /* for messages */
	char host[256];
	char port[6]; /* 1 to 65535 */
};

/* 0, or -EINVAL, logged: what is wrong with the text of this option. */
int stream_target_parse(const char *option, const char *text, struct stream_target *target);

#endif
