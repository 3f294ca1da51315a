/*
 * Everything a run can be told, as plain values. control/options.c fills it from the command line and the YAML file (and
 * describes each option once); all others read it. Constant once the lanes are open.
 */
#ifndef FLOWLANE_CONFIG_H
#define FLOWLANE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/alert.h"

enum export_scope { SCOPE_ALL, SCOPE_LIVE };
enum capture_mode { CAPTURE_AUTO, CAPTURE_ZEROCOPY, CAPTURE_COPY, CAPTURE_GENERIC };
enum octets_count { OCTETS_L3, OCTETS_WIRE };
enum nfcapd_compress { NFCAPD_NONE, NFCAPD_LZ4 = 3, NFCAPD_BZ2 = 2 }; /* as the file header has it */
enum ncap_compress { NCAP_GZIP, NCAP_PLAIN };
enum timestamps { TIMESTAMPS_AUTO, TIMESTAMPS_XDP, TIMESTAMPS_BATCH };
enum progress_when { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

struct config {
	/* input */
	char **read_files; /* "-" is standard input */
	unsigned read_files_count;
	char *filter;         /* pcap-filter(7) expression, NULL: none */
	char *prefilter;      /* file of rules; NULL: none */
	uint32_t sample;      /* N of 1/N: take one flow in N; 0: all */
	uint64_t flow_cutoff; /* bytes of a flow, after which its packets are only counted; 0: never */
	uint64_t count;       /* stop after so many packets that passed the filter; 0: no limit */

	/* live input */
	char **interfaces;
	unsigned interfaces_count;
	char *queues;               /* list like "0-3,6" of each interface's RX queues; NULL: all */
	char *cpus;                 /* list of CPUs for the lanes, in this order; NULL: chosen near the NIC */
	enum capture_mode mode;     /* how frames come from the driver; AUTO: the best that works */
	bool require_zerocopy;      /* fail where zero-copy cannot be had */
	uint32_t ring_size;         /* descriptors of each RX ring, a power of two */
	uint32_t frames;            /* buffers of each queue; 0: what the rings need */
	uint32_t fanout;            /* lanes per RX queue */
	bool busy_poll;             /* lanes run the driver's polling themselves */
	bool replace;               /* take over from another XDP program on the interface */
	enum timestamps timestamps; /* AUTO: the NIC's where it has them, else XDP's */
	bool exclusive;             /* frames that are not wanted are dropped, not passed to the host */
	bool promiscuous;           /* on by default */
	bool symmetric_rss;         /* on by default: the NIC's hash is made symmetric where it is not */
	uint64_t duration_ns;       /* stop after so much wall-clock time; 0: no limit */
	char *user;                 /* become this user once everything is open; NULL: stay */

	/* input from sensors */
	char *listen;   /* ADDR:PORT */
	char *tls_cert; /* PEM files */
	char *tls_key;
	char *control; /* socket that `flowlane ctl` talks to; NULL: live the usual place, files: none */

	/* lanes */
	uint32_t lanes;

	/* decoding and flows */
	bool populate; /* all memory is taken at the start */
	bool outer;    /* stop at the outer IP header of a tunnel */
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
	bool pcap_per_lane;               /* NAME.lane0.pcap and so on, instead of one file */
	bool direct_io;                   /* O_DIRECT: past the page cache */

	/* packet index */
	char *export_rocksdb;        /* a directory: pointers into the file that is read */
	bool index;                  /* beside each capture that is written */
	uint64_t index_memory_bytes; /* for pointers that are not written yet */

	/* packet streaming */
	char *stream_grpc; /* HOST:PORT of a collector */
	bool stream_tls;
	char *stream_ca;
	bool stream_lossless; /* files: wait for the collector rather than drop */
	uint64_t stream_timeout_ns;
	uint64_t stream_buffer_bytes; /* of each lane, live */

	/* flow exports */
	char *export_json;
	char *export_csv;
	char *expired_flows_jsonl;
	char *rtt_samples_jsonl;
	char *export_pipe;
	char *export_nfcapd; /* a directory, as the three below but csv_flow */
	char *export_csv_flow;
	char *export_binary;
	char *export_hist;
	char *export_series;
	uint32_t hist_bins;       /* b: bins grow wider from 2^b on; 0: never */
	uint64_t rotate_ns;       /* of nfcapd and binary: whole seconds */
	enum octets_count octets; /* what one-way formats count */
	enum nfcapd_compress nfcapd_compress;
	enum export_scope export_scope;
	bool extended;      /* extra JSON keys after rtt_samples */
	bool all_protocols; /* not only tcp and udp */

	/* anomalies */
	bool anomalies;
	char *alerts_jsonl;
	char **detector_texts; /* "syn_flood:syns=100,window=2", as given; `detector` has what they come to */
	unsigned detector_texts_count;
	struct detector_config detector[ALERT_KIND_COUNT];
	bool scan_compat;       /* port scans by attempts, answered or not */
	uint64_t scan_grace_ns; /* an attempt without an answer for so long has failed */
	uint32_t anomaly_keys;  /* hosts, services and so on that a detector watches at a time */

	/* audit records */
	char *ncap;             /* a directory */
	char *ncap_include;     /* types, with commas; NULL: all */
	char *ncap_exclude;     /* NULL: none */
	uint32_t ncap_compress; /* enum ncap_compress */
	uint32_t ncap_schema;   /* 0: current, 1: legacy */
	bool ncap_payload;
	bool ncap_entropy;
	uint64_t ncap_rotate_ns; /* 0: never */

	/* console and summary */
	bool stats;
	uint32_t stats_interval_ms;
	uint32_t top_flows;
	char *metrics;      /* address and port to answer readers of metrics at; NULL: none */
	char *summary_json; /* "-": standard output */
	bool quiet;
	enum progress_when progress_when; /* as asked for */
	bool stdout_taken;                /* resolved: an output goes to standard output, so text goes to standard error */
	bool progress;                    /* resolved: asked for, or not quiet and standard error is a terminal */
};

#endif
