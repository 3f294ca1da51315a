#include "stream_expression.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "stream_target.h"

/* Neighbour solicitations and advertisements: what ARP is for IPv4. */
#define NEIGHBOURS_V6 "ip6[6] = 58 and (ip6[40] = 135 or ip6[40] = 136)"

/* Which of this machine's addresses the system uses towards `to`: asked of a UDP socket, which sends nothing. */
static bool local_name(const struct addrinfo *to, char *name, size_t size)
{
	struct sockaddr_storage local;
	socklen_t length = sizeof(local);
	int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool known = fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0 &&
		     getsockname(fd, (struct sockaddr *)&local, &length) == 0 &&
		     getnameinfo((struct sockaddr *)&local, length, name, (socklen_t)size, NULL, 0, NI_NUMERICHOST) == 0;

	if (fd >= 0)
		close(fd);
	return known;
}

int stream_expression(const char *text, char expression[STREAM_EXPRESSION_MAX])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	struct stream_target target;
	char remote[64], local[64];
	int error = stream_target_parse("--stream-grpc", text, &target);

	if (error)
		return error;
	int unknown = getaddrinfo(target.host, target.port, &hints, &found);
	bool known = !unknown && !getnameinfo(found->ai_addr, found->ai_addrlen, remote, sizeof(remote), NULL, 0, NI_NUMERICHOST) &&
		     local_name(found, local, sizeof(local));
	if (known) {
		snprintf(expression, STREAM_EXPRESSION_MAX, "(tcp port %s and host %s and host %s) or (%s%s)", target.port, remote,
			local, found->ai_family == AF_INET6 ? NEIGHBOURS_V6 : "arp host ",
			found->ai_family == AF_INET6 ? "" : local);
	} else {
		snprintf(expression, STREAM_EXPRESSION_MAX, "tcp port %s", target.port);
		log_warning("grpc: collector %s: %s; until the next start all TCP packets of port %s are left out of the capture, "
			    "so that "
			    "the stream does not capture itself",
			text, unknown ? gai_strerror(unknown) : "there is no route to it", target.port);
	}
	if (found)
		freeaddrinfo(found);
	return 0;
}
