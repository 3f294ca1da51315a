#include "option_docs.h"

#include <string.h>

/* clang-format off */
const char *const doc_usage[] = {
	"flowlane [OPTIONS] -r FILE... [FILTER...]",
	"flowlane receive --listen ADDR:PORT [OPTIONS] [FILTER...]",
	"flowlane merge OUT IN...",
	"flowlane convert --to FORMAT OUT IN...",
	"flowlane extract --index DIR... [WHAT] --list | -w OUT",
	"flowlane dump [--json|--csv|--table] FILE",
	"flowlane doctor [-i IF]...",
	"flowlane ctl [--control PATH] status|reload-prefilter|set-sample 1/N|rotate|flush",
	NULL,
};

const char *const doc_about[] = {
	"Reads captured packets and makes flows of them: both directions of a conversation together, with packets, bytes, TCP state, "
	"round-trip times, retransmissions and reordering. Writes flows as JSON and CSV, packets as pcap, and a summary that accounts "
	"for every packet.",
	"Options may stand before, between or after the words of the filter; -- ends them. --name=VALUE works like --name VALUE. "
	"--no-NAME takes back a flag that the configuration file sets. Numbers may end in k, M, G (thousands) or Ki, Mi, Gi (1024s).",
	"flowlane receive takes the packets that sensors (flowlane --stream-grpc, and others) stream to it, with the same options.",
	"flowlane merge writes the packets of several captures into one, in the order of time.",
	"flowlane convert writes flow records of one format in another: csv_flow, binary, pipe, nfcapd.",
	"flowlane extract copies the packets of flows out of captures that have an index (--export-rocksdb, --index).",
	"flowlane dump prints audit records (--ncap).",
	"flowlane doctor says what of live capture will work on this machine, and how to mend the rest.",
	"flowlane ctl asks a running flowlane for something: docs/prefilter.md.",
	"Each of them has a --help of its own.",
	NULL,
};

const struct doc_pair doc_examples[] = {
	{ "flows of a capture, as JSON and CSV", "flowlane -r trace.pcap --export-json flows.json --export-csv flows.csv" },
	{ "the ten biggest flows on port 443", "flowlane -r trace.pcap --top-flows 10 tcp port 443" },
	{ "copy what matches, the first 96 bytes of each packet", "flowlane -r trace.pcap -w dns.pcap -s 96 udp port 53" },
	{ "from a pipe, summary for a script", "tcpdump -i eth1 -w - | flowlane -q -r - --summary-json -" },
	{ "two captures in time order, two lanes", "flowlane -r a.pcap -r b.pcap --lanes 2 --export-csv flows.csv" },
	{ "keep these options for later", "flowlane -r trace.pcap --flow-timeout-s 30 --dump-config > flowlane.yaml" },
	{ NULL, NULL },
};

const struct doc_pair doc_exit_codes[] = {
	{ "0", "all read, all written; also after SIGINT or SIGTERM, when everything up to there was exported" },
	{ "1", "options, configuration file or filter expression not understood; nothing was written" },
	{ "2", "an input or an output failed, the input was cut short, or records were lost; the rest was exported" },
	{ "130", "a second SIGINT: quit at once, exports are incomplete" },
	{ NULL, NULL },
};

const struct doc_pair doc_signals[] = {
	{ "SIGINT, SIGTERM", "stop reading, end the flows, write every export; the second one quits at once" },
	{ "SIGHUP", "after something moved files away (log rotation): those that grow while it runs, such as --write-pcap, --rtt-samples-jsonl and --ncap, go on in new ones under their names; numbered files of --write-pcap go on in the next one" },
	{ NULL, NULL },
};
/* clang-format on */

const char *doc_option_left(const struct option_spec *spec, char *text, size_t size)
{
	if (!spec->name)
		snprintf(text, size, "%s", spec->argument);
	else
		snprintf(text, size, "%s%c%s--%s%s%s", spec->letter ? "-" : "   ", spec->letter ? spec->letter : ' ',
			spec->letter ? ", " : "", spec->name, spec->argument ? " " : "", spec->argument ? spec->argument : "");
	return text;
}

const char *doc_default(const struct option_spec *spec, char *text, size_t size)
{
	text[0] = 0;
	if (spec->fallback)
		snprintf(text, size, "default %s", spec->fallback);
	return text;
}
