#include "stream_target.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static bool port_read(const char *text, char port[6])
{
	size_t length = strlen(text);

	if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
		return false;
	unsigned long number = strtoul(text, NULL, 10);
	snprintf(port, 6, "%lu", number & 0xfffff);
	return number >= 1 && number <= 65535;
}

int stream_target_parse(const char *option, const char *text, struct stream_target *target)
{
	struct stream_target parsed = { .text = "" };
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;
	const char *host = text;

	if (strstr(text, "://")) {
		log_error("%s %s: give HOST:PORT without a scheme; TLS is asked for by an option of its own", option, text);
		return -EINVAL;
	}
	if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
		host = text + 1;
		length -= 2;
	} else if (colon && memchr(text, ':', length)) {
		log_error("%s %s: put an IPv6 address into brackets: [::1]:50051", option, text);
		return -EINVAL;
	}
	if (!colon || length == 0 || length >= sizeof(parsed.host) || strlen(text) >= sizeof(parsed.text)) {
		log_error("%s %s is not HOST:PORT, such as 192.0.2.10:50051", option, text);
		return -EINVAL;
	}
	if (!port_read(colon + 1, parsed.port)) {
		log_error("%s %s: \"%s\" is no port; give a number from 1 to 65535", option, text, colon + 1);
		return -EINVAL;
	}
	memcpy(parsed.host, host, length);
	strcpy(parsed.text, text);
	*target = parsed;
	return 0;
}
