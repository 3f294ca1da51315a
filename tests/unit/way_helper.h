/* What the tests of the one-way formats share: a way to start from, and runs of an output. */
#ifndef FLOWLANE_WAY_HELPER_H
#define FLOWLANE_WAY_HELPER_H

#include "sink_helper.h"
#include "way_row.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* As scratch_path(), but sixteen are valid at a time. */
static inline char *test_path(const char *name)
{
	static char paths[16][512];
	static unsigned next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

static inline struct flow_way way_sample(void)
{
	struct flow_way way = {
		.key = { .proto = 6, .ip_version = 4, .a_port = 443, .b_port = 54321, .vlan = FLOW_VLAN_NONE },
		.dir = 1,
		.end = FLOW_END_TIMEOUT,
		.tcp_flags = 27,
		.tos = 4,
		.first_ns = 1700000000124999999,
		.last_ns = 1700000000691000000,
		.end_ns = 1700000060691000000,
		.packets = 6,
		.bytes = 424,
		.l3_bytes = 340,
		.pieces = 2,
		.input = 3,
		.server_us = 1500,
		.client_us = 250,
		.vlan = FLOW_VLAN_NONE,
		.initiator = 1,
	};
	memcpy(way.key.a_ip + FLOW_KEY_V4_OFFSET, (uint8_t[]){ 93, 184, 216, 34 }, 4);
	memcpy(way.key.b_ip + FLOW_KEY_V4_OFFSET, (uint8_t[]){ 192, 168, 1, 42 }, 4);
	return way;
}

static inline struct flow_way way_sample_v6(void)
{
	struct flow_way way = way_sample();

	way.key.ip_version = 6;
	memset(way.key.a_ip, 0, 32);
	memcpy(way.key.b_ip, (uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	way.key.b_ip[13] = 1;
	way.key.b_ip[15] = 2;
	way.key.a_ip[0] = 0xfe;
	way.key.a_ip[1] = 0x80;
	way.key.a_ip[15] = 1;
	return way;
}

/* Gives ways to `lanes` sinks of one output in turn, and closes it. Returns what open said, or the number of reports. */
static inline int ways_run(const struct sink_ops *ops, const struct config *config, bool live, unsigned lanes,
	const struct flow_way *ways, unsigned n, struct output_report *reports)
{
	const struct source_info info = { .link = LINK_ETHERNET, .snaplen = 65535, .live = live };
	struct output *output;
	struct sink *sinks[8];
	int error = ops->open(config, &info, &output);

	if (error)
		return error;
	for (unsigned i = 0; i < lanes; i++)
		assert_int_equal(ops->attach(output, i, &sinks[i]), 0);
	for (unsigned i = 0; i < n; i++)
		(ops->pieces ? ops->pieces : ops->ways)(sinks[i % lanes], &ways[i], 1);
	for (unsigned i = 0; i < lanes; i++)
		ops->detach(sinks[i]);
	return (int)ops->close(output, reports);
}

/* The directory and what is in it, one level of directories deep. */
static inline void tree_remove(const char *path)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline int tree_teardown(void **state)
{
	(void)state;
	tree_remove(scratch);
	return 0;
}

/* The only entry of a directory (besides hidden ones), as a path in a static buffer; NULL: none, or several. */
static inline const char *only_entry(const char *directory)
{
	static char path[900];
	DIR *opened = opendir(directory);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(opened);
	while ((entry = readdir(opened))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		n++;
	}
	closedir(opened);
	return n == 1 ? path : NULL;
}

/* All entries, hidden ones too. */
static inline unsigned count_entries(const char *directory)
{
	DIR *opened = opendir(directory);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(opened);
	while ((entry = readdir(opened)))
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(opened);
	return n;
}

#endif
