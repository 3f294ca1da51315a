/* The table of the flows with most bytes: columns as wide as their widest cell. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "summary.h"
#include "text.h"

#define COLUMNS 11

static const struct {
	const char *name;
	bool left; /* aligned; numbers are not */
} columns[COLUMNS] = { { "#", false }, { "protocol", true }, { "A", true }, { "B", true }, { "packets", false }, { "bytes", false },
	{ "state", true }, { "rtt_min_ms", false }, { "rtt_ewma_ms", false }, { "retransmissions", false },
	{ "out_of_order", false } };

struct row {
	char cell[COLUMNS][TEXT_ENDPOINT_MAX + 1];
};

static void format_rtt(char *cell, size_t size, const struct rtt_stat *rtt, uint32_t ticks)
{
	if (!rtt->samples)
		snprintf(cell, size, "-");
	else
		snprintf(cell, size, "%.3f", (double)ticks * RTT_TICK_NS / 1e6);
}

/* What the key holds as ports of other protocols (ICMP's type and identifier) would mislead here. */
static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP || protocol == IPPROTO_UDPLITE ||
	       protocol == IPPROTO_DCCP;
}

static void format_endpoint(char *cell, const struct flow_key *key, const uint8_t ip[16], uint16_t port)
{
	char *end =
		has_ports(key->proto) ? text_endpoint(cell, ip, key->ip_version, port) : text_address(cell, ip, key->ip_version);
	*end = 0;
}

static void format_row(struct row *row, unsigned rank, const struct flow_record *record)
{
	const struct flow_key *key = &record->key;
	const size_t size = sizeof(row->cell[0]);
	const char *protocol = protocol_name(key->proto), *state = tcp_state_name((enum tcp_state)record->tcp_state);

	snprintf(row->cell[0], size, "%u", rank);
	if (protocol)
		snprintf(row->cell[1], size, "%s", protocol);
	else
		snprintf(row->cell[1], size, "%u", key->proto);
	format_endpoint(row->cell[2], key, key->a_ip, key->a_port);
	format_endpoint(row->cell[3], key, key->b_ip, key->b_port);
	snprintf(row->cell[4], size, "%" PRIu64, record->packets[0] + record->packets[1]);
	snprintf(row->cell[5], size, "%" PRIu64, record->bytes[0] + record->bytes[1]);
	snprintf(row->cell[6], size, "%s", state ? state : "-");
	format_rtt(row->cell[7], size, &record->rtt, record->rtt.min);
	format_rtt(row->cell[8], size, &record->rtt, record->rtt.ewma);
	snprintf(row->cell[9], size, "%u", record->retransmissions);
	snprintf(row->cell[10], size, "%u", record->out_of_order);
}

static void print_cells(FILE *out, const struct row *row, const int widths[COLUMNS])
{
	for (unsigned i = 0; i < COLUMNS; i++) {
		const char *text = row ? row->cell[i] : columns[i].name;
		fprintf(out, "  %*s", columns[i].left ? -widths[i] : widths[i], text);
	}
	fputc('\n', out);
}

void summary_print_top(const struct flow_record *records, unsigned count, FILE *out)
{
	struct row *rows = calloc(count + 1, sizeof(*rows));
	int widths[COLUMNS];

	if (!rows)
		return;
	for (unsigned i = 0; i < COLUMNS; i++)
		widths[i] = (int)strlen(columns[i].name);
	for (unsigned r = 0; r < count; r++) {
		format_row(&rows[r], r + 1, &records[r]);
		for (unsigned i = 0; i < COLUMNS; i++) {
			int width = (int)strlen(rows[r].cell[i]);
			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	fprintf(out, "Top %u flows by bytes:\n", count);
	print_cells(out, NULL, widths);
	for (unsigned r = 0; r < count; r++)
		print_cells(out, &rows[r], widths);
	free(rows);
}
