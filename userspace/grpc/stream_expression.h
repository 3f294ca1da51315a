/*
 * Which packets are those of the stream to a collector, as a tcpdump expression: what live capture leaves out. Besides the connection
 * itself these are ARP and neighbour messages about this host's address, or the connection could not be made. Control thread.
 */
#ifndef FLOWLANE_STREAM_EXPRESSION_H
#define FLOWLANE_STREAM_EXPRESSION_H

#define STREAM_EXPRESSION_MAX 256

/* For --stream-grpc HOST:PORT; looks the host up. If that fails, all TCP packets of the port, and a warning. 0, or -EINVAL, logged. */
int stream_expression(const char *target, char expression[STREAM_EXPRESSION_MAX]);

#endif
