#include "flow_list.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "names.h"

static void print_text(FILE *file, const char *text)
{
	putc('"', file);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(file, "\\u%04x", c);
		else
			putc(c, file);
	}
	putc('"', file);
}

static void print_address(FILE *file, const char *name, const struct index_key *key, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(key->family == INDEX_FAMILY_IPV4 ? AF_INET : AF_INET6, address, text, sizeof(text));
	fprintf(file, ", \"%s\": \"%s\"", name, text);
}

static void print_time(FILE *file, const char *name, uint64_t ms)
{
	fprintf(file, ", \"%s\": %" PRIu64 ".%03" PRIu64, name, ms / 1000, ms % 1000);
}

void flow_list_print(FILE *file, const char *index, const struct index_key *key, const struct index_flow *record)
{
	const char *protocol = key->protocol < 256 ? protocol_name((uint8_t)key->protocol) : NULL;

	fputs("{\"index\": ", file);
	print_text(file, index);
	if (protocol)
		fprintf(file, ", \"protocol\": \"%s\"", protocol);
	else
		fprintf(file, ", \"protocol\": \"%u\"", key->protocol);
	print_address(file, "source", key, key->source);
	fprintf(file, ", \"source_port\": %u", key->source_port);
	print_address(file, "destination", key, key->destination);
	fprintf(file, ", \"destination_port\": %u", key->destination_port);
	fprintf(file, ", \"packets\": %" PRIu32 ", \"octets\": %" PRIu64, record->packets, record->octets);
	print_time(file, "first", record->first_ms);
	print_time(file, "last", record->last_ms);
	fprintf(file, ", \"blocks\": %" PRIu32 ", \"application\": %" PRIu32 "}\n", record->blocks, record->application);
}
