#include "nic_netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES (32 << 10) /* the kernel makes no larger messages for what is asked here */

uint32_t nic_netlink_u32(const struct rtattr *attribute)
{
	uint32_t value = 0;

	if (RTA_PAYLOAD(attribute) >= sizeof(value))
		memcpy(&value, RTA_DATA(attribute), sizeof(value));
	return value;
}

uint64_t nic_netlink_u64(const struct rtattr *attribute)
{
	uint64_t value = 0;

	if (RTA_PAYLOAD(attribute) >= sizeof(value))
		memcpy(&value, RTA_DATA(attribute), sizeof(value));
	return value;
}

void nic_netlink_text(const struct rtattr *attribute, char *text, size_t size)
{
	size_t length = strnlen(RTA_DATA(attribute), RTA_PAYLOAD(attribute));

	length = length < size ? length : size - 1;
	memcpy(text, RTA_DATA(attribute), length);
	text[length] = '\0';
}

void nic_netlink_put(struct nlmsghdr *question, unsigned short type, const void *data, size_t bytes)
{
	struct rtattr *attribute = (struct rtattr *)((char *)question + NLMSG_ALIGN(question->nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
	memcpy(RTA_DATA(attribute), data, bytes);
	question->nlmsg_len = (uint32_t)(NLMSG_ALIGN(question->nlmsg_len) + RTA_SPACE(bytes));
}

static int answer_take(struct nlmsghdr *message, uint32_t left, nic_netlink_take *take, void *context, bool *done)
{
	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		int error = 0;

		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR ||
			!(message->nlmsg_flags & NLM_F_MULTI))
			*done = true;
		if (message->nlmsg_type == NLMSG_ERROR)
			error = ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
		else if (message->nlmsg_type >= NLMSG_MIN_TYPE)
			error = take(context, message);
		if (error)
			return error;
	}
	return 0;
}

int nic_netlink_ask(int protocol, const struct nlmsghdr *question, nic_netlink_take *take, void *context)
{
	struct nlmsghdr *buffer = NULL;
	bool done = false;
	int error = 0;

	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	buffer = malloc(ANSWER_BYTES);
	if (!buffer)
		error = -ENOMEM;
	if (!error && send(fd, question, question->nlmsg_len, 0) < 0)
		error = -errno;
	while (!error && !done) {
		ssize_t got = recv(fd, buffer, ANSWER_BYTES, 0);
		if (got < 0 && errno == EINTR)
			continue;
		error = got < 0 ? -errno : answer_take(buffer, (uint32_t)got, take, context, &done);
	}
	free(buffer);
	close(fd);
	return error;
}
