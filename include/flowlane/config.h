/*
 * Everything a run can be told, as plain values. control/options.c fills it from the command line and the YAML file (and
 * describes each option once); all others read it. Constant once the lanes are open.
 */
#ifndef FLOWLANE_CONFIG_H
#define FLOWLANE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum export_scope { SCOPE_ALL, SCOPE_LIVE };
enum progress_when { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

struct config {
	/* input */
	char **read_files; /* "-" is standard input */
	unsigned read_files_count;
	char *filter;   /* pcap-filter(7) expression, NULL: none */
	uint64_t count; /* stop after so many packets that passed the filter; 0: no limit */

	/* lanes */
	uint32_t lanes;

	/* decoding and flows */
	bool outer; /* stop at the outer IP header of a tunnel */
	bool key_vlan;
	bool key_tunnel;
	uint64_t flow_timeout_ns;   /* idle; 0: never */
	uint64_t active_timeout_ns; /* interim records for the formats that have them; 0: never */
	uint32_t max_flows;         /* over all lanes */

	/* pcap */
	char *write_pcap;
	uint32_t snaplen;                 /* bytes of each packet written; 0: all */
	uint8_t pcap_precision;           /* 6 or 9 digits; 0: as the input */
	uint64_t write_pcap_rotate_bytes; /* 0: no rotation by size */
	uint64_t write_pcap_rotate_ns;    /* packet time; 0: no rotation by time */
	uint32_t write_pcap_max_files;    /* 0: keep all */

	/* flow exports */
	char *export_json;
	char *export_csv;
	char *expired_flows_jsonl;
	char *rtt_samples_jsonl;
	enum export_scope export_scope;
	bool extended;      /* extra JSON keys after rtt_samples */
	bool all_protocols; /* not only tcp and udp */

	/* console and summary */
	bool stats;
	uint32_t stats_interval_ms;
	uint32_t top_flows;
	char *summary_json; /* "-": standard output */
	bool quiet;
	enum progress_when progress_when; /* as asked for */
	bool progress;                    /* resolved: asked for, or not quiet and standard error is a terminal */
};

#endif
