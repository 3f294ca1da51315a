#include "option_table.h"

#define MEMBER(member)     .offset = offsetof(struct options, member), .size = sizeof(((struct options *)0)->member)
#define SETS(member)       MEMBER(config.member)
#define IN(section_, key_) .section = section_, .key = key_
#define RANGE(min_, max_)  .min = min_, .max = max_
#define COUNT_MAX          1000000000000000000ULL
#define SECONDS_MAX        1000000000ULL /* 31 years */

static const struct option_word words_precision[] = { { "auto", 0 }, { "us", 6 }, { "ns", 9 }, { NULL, 0 } };
static const struct option_word words_scope[] = { { "all", SCOPE_ALL }, { "live", SCOPE_LIVE }, { NULL, 0 } };
static const struct option_word words_progress[] = { { "auto", PROGRESS_AUTO }, { "always", PROGRESS_ALWAYS },
	{ "never", PROGRESS_NEVER }, { NULL, 0 } };

/* clang-format off */
const struct option_spec option_table[] = {
	/* ---- */
	{ .group = "Input", .name = "read-pcap", .letter = 'r', .kind = OPTION_PATHS, .argument = "FILE",
	  IN("input", "read_pcap"), SETS(read_files),
	  .help = "read packets from FILE: pcap, pcapng, either gzip'ed; - is standard input. Several -r are read in time order" },
	{ .group = "Input", .kind = OPTION_FILTER, .argument = "FILTER...", IN("input", "filter"), SETS(filter),
	  .help = "take only packets that match this tcpdump expression, see pcap-filter(7)" },
	{ .group = "Input", .name = "count", .letter = 'c', .kind = OPTION_NUMBER, .argument = "N", .unit = "packets",
	  IN("input", "count"), SETS(count), .fallback = "0", RANGE(0, COUNT_MAX),
	  .help = "stop after N packets that passed the filter; 0 reads all" },
	{ .group = "Input", .name = "lanes", .kind = OPTION_NUMBER, .argument = "N",
	  IN("run", "lanes"), SETS(lanes), .fallback = "1", RANGE(1, 64),
	  .help = "work in N threads; each reads the files and takes the flows whose hash is its own. Results do not depend on it, unless --max-flows is reached" },

	/* ---- */
	{ .group = "Flows", .name = "flow-timeout-s", .kind = OPTION_SECONDS, .argument = "SECS",
	  IN("flow", "timeout_s"), SETS(flow_timeout_ns), .fallback = "60", RANGE(0, SECONDS_MAX),
	  .help = "a flow ends after SECS without a packet, in packet time; 0 never" },
	{ .group = "Flows", .name = "max-flows", .kind = OPTION_NUMBER, .argument = "N", .unit = "flows",
	  IN("flow", "max_flows"), SETS(max_flows), .fallback = "4194304", RANGE(1, 1ULL << 30),
	  .help = "most flows at a time; when full, a half-open, closed or silent one leaves; 64k, 4M, 4Mi work" },
	{ .group = "Flows", .name = "outer", .kind = OPTION_FLAG, IN("flow", "outer"), SETS(outer),
	  .help = "take the outer IP header of a tunnel, not the innermost" },
	{ .group = "Flows", .name = "key-vlan", .kind = OPTION_FLAG, IN("flow", "key_vlan"), SETS(key_vlan),
	  .help = "same addresses and ports in different VLANs are different flows" },
	{ .group = "Flows", .name = "key-tunnel", .kind = OPTION_FLAG, IN("flow", "key_tunnel"), SETS(key_tunnel),
	  .help = "the same for tunnels: VXLAN and Geneve network, GTP-U endpoint, GRE key, PPTP call, ERSPAN session, MPLS label" },

	/* ---- */
	{ .group = "Packet output", .name = "write-pcap", .letter = 'w', .kind = OPTION_PATH, .argument = "FILE",
	  IN("pcap", "write"), SETS(write_pcap),
	  .help = "write the packets that passed the filter to FILE as pcap; - is standard output" },
	{ .group = "Packet output", .name = "snaplen", .letter = 's', .kind = OPTION_NUMBER, .argument = "BYTES", .unit = "bytes",
	  IN("pcap", "snaplen"), SETS(snaplen), .fallback = "0", RANGE(0, 262144),
	  .help = "write at most BYTES of each packet; 0 all. Flows always count the length on the wire" },
	{ .group = "Packet output", .name = "pcap-precision", .kind = OPTION_WORD, .argument = "us|ns|auto",
	  IN("pcap", "precision"), SETS(pcap_precision), .fallback = "auto", .words = words_precision,
	  .help = "resolution of the written time stamps; auto keeps that of the input" },
	{ .group = "Packet output", .name = "write-pcap-rotate-mb", .kind = OPTION_NUMBER, .argument = "N", .unit = "MiB",
	  IN("pcap", "rotate_mb"), SETS(write_pcap_rotate_bytes), .fallback = "0", RANGE(0, 1ULL << 24), .scale = 1ULL << 20,
	  .help = "begin a new file, NAME.000001.pcap and so on, when one has reached N MiB; 0 never" },
	{ .group = "Packet output", .name = "write-pcap-rotate-s", .kind = OPTION_SECONDS, .argument = "SECS",
	  IN("pcap", "rotate_s"), SETS(write_pcap_rotate_ns), .fallback = "0", RANGE(0, SECONDS_MAX),
	  .help = "begin a new file every SECS of packet time; 0 never" },
	{ .group = "Packet output", .name = "write-pcap-max-files", .kind = OPTION_NUMBER, .argument = "N", .unit = "files",
	  IN("pcap", "max_files"), SETS(write_pcap_max_files), .fallback = "0", RANGE(0, 1000000),
	  .help = "with rotation: keep the newest N files, remove older ones; 0 keeps all" },

	/* ---- */
	{ .group = "Flow output", .name = "export-json", .kind = OPTION_PATH, .argument = "FILE",
	  IN("export", "json"), SETS(export_json),
	  .help = "write the flows to FILE as a JSON array, most bytes first" },
	{ .group = "Flow output", .name = "export-csv", .kind = OPTION_PATH, .argument = "FILE",
	  IN("export", "csv"), SETS(export_csv),
	  .help = "the same as CSV with a header line" },
	{ .group = "Flow output", .name = "expired-flows-jsonl", .kind = OPTION_PATH, .argument = "FILE",
	  IN("export", "expired_flows_jsonl"), SETS(expired_flows_jsonl),
	  .help = "write a JSON line to FILE for each flow that ended before the input did, with the reason; first ended, first written" },
	{ .group = "Flow output", .name = "rtt-samples-jsonl", .kind = OPTION_PATH, .argument = "FILE",
	  IN("export", "rtt_samples_jsonl"), SETS(rtt_samples_jsonl),
	  .help = "write a JSON line to FILE for each RTT sample, as it is taken" },
	{ .group = "Flow output", .name = "export-scope", .kind = OPTION_WORD, .argument = "all|live",
	  IN("export", "scope"), SETS(export_scope), .fallback = "all", .words = words_scope,
	  .help = "all: every flow seen; live: only those that had not ended when the input did" },
	{ .group = "Flow output", .name = "extended", .kind = OPTION_FLAG, IN("export", "extended"), SETS(extended),
	  .help = "more keys per JSON flow, after rtt_samples: RTT per leg, flags, VLAN, tunnel" },
	{ .group = "Flow output", .name = "all-protocols", .kind = OPTION_FLAG, IN("export", "all_protocols"), SETS(all_protocols),
	  .help = "export every IP protocol, not only TCP and UDP" },

	/* ---- */
	{ .group = "Console", .name = "stats", .kind = OPTION_FLAG, IN("stats", "enabled"), SETS(stats),
	  .help = "print a line with rates every interval, and one over the whole run at the end" },
	{ .group = "Console", .name = "stats-interval-ms", .kind = OPTION_NUMBER, .argument = "MS", .unit = "milliseconds",
	  IN("stats", "interval_ms"), SETS(stats_interval_ms), .fallback = "1000", RANGE(10, 86400000),
	  .help = "that interval" },
	{ .group = "Console", .name = "top-flows", .kind = OPTION_NUMBER, .argument = "N", .unit = "flows",
	  IN("stats", "top_flows"), SETS(top_flows), .fallback = "0", RANGE(0, 1000),
	  .help = "at the end, print the N flows with most bytes" },
	{ .group = "Console", .name = "summary-json", .kind = OPTION_PATH, .argument = "FILE",
	  IN("summary", "json"), SETS(summary_json),
	  .help = "write the counts of the summary to FILE as JSON; - is standard output" },
	{ .group = "Console", .name = "progress", .kind = OPTION_WORD, .argument = "auto|always|never",
	  IN("run", "progress"), SETS(progress_when), .fallback = "auto", .words = words_progress,
	  .help = "a progress bar on standard error; auto: if that is a terminal" },
	{ .group = "Console", .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, IN("run", "quiet"), SETS(quiet),
	  .help = "print no summary and no bar, only what was asked for and what went wrong" },

	/* ---- */
	{ .group = "General", .name = "config", .kind = OPTION_PATH, .argument = "FILE", MEMBER(config_file),
	  .help = "read options from FILE (YAML). The command line wins over it" },
	{ .group = "General", .name = "dump-config", .kind = OPTION_FLAG, MEMBER(dump_config),
	  .help = "print the effective configuration as such a file, and exit" },
	{ .group = "General", .name = "sizes", .kind = OPTION_FLAG, MEMBER(sizes),
	  .help = "with --dump-config: also the memory that the flow tables may take" },
	{ .group = "General", .name = "man", .kind = OPTION_FLAG, MEMBER(man), .help = "print the manual page (roff), and exit" },
	{ .group = "General", .name = "markdown", .kind = OPTION_FLAG, MEMBER(markdown),
	  .help = "print the reference of all options (docs/options.md), and exit" },
	{ .group = "General", .name = "help", .letter = 'h', .kind = OPTION_FLAG, MEMBER(help), .help = "print this, and exit" },
	{ .group = "General", .name = "version", .letter = 'V', .kind = OPTION_FLAG, MEMBER(version), .help = "print the version, and exit" },
};
/* clang-format on */

const unsigned option_count = sizeof(option_table) / sizeof(option_table[0]);
_Static_assert(sizeof(option_table) / sizeof(option_table[0]) <= OPTION_COUNT_MAX, "OPTION_COUNT_MAX must cover the table");
