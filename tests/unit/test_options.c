/* The command line: what it sets, what it refuses and with which sentence, and the documents made from the table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "option_table.h"

#define WORDS_MAX 24

/* Splits at blanks; parses as "flowlane WORDS...". */
static int parse(const char *line, struct options *options)
{
	char *copy = strdup(line), *state = NULL;
	char *argv[WORDS_MAX] = { "flowlane" };
	int argc = 1;

	for (char *word = strtok_r(copy, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = word;
	}
	int error = options_parse(argc, argv, options);
	free(copy);
	return error;
}

static void parse__when_wrong__then_sentence(void **state)
{
	static const struct {
		const char *name, *line, *sentence;
	} cases[] = {
		{ "nothing", "", "nothing to read: give -r FILE, -i IF or --listen ADDR:PORT" },
		{ "streams and file", "--listen 127.0.0.1:50051 -r x.pcap", "give one of them" },
		{ "certificate without key", "--listen 127.0.0.1:50051 --tls-cert c.pem", "--tls-key is missing" },
		{ "queues of streams", "--listen 127.0.0.1:50051 --queues 0",
			"--queues is for live capture (-i IF), not for streams" },
		{ "tls without stream", "-r x.pcap --stream-tls", "add --stream-grpc HOST:PORT" },
		{ "ca without tls", "-r x.pcap --stream-grpc h:1 --stream-ca c.pem", "add --stream-tls" },
		{ "filter only", "tcp port 80", "nothing to read: give -r FILE, -i IF or --listen ADDR:PORT" },
		{ "no file after -r", "-r", "-r needs a file name: -r FILE" },
		{ "option after -r", "-r --stats", "-r needs a file name: -r FILE" },
		{ "letter after -w", "-r a -w -q", "-w needs a file name: -w FILE" },
		{ "no number", "-r a --lanes", "--lanes needs a whole number from 1 to 64: --lanes N" },
		{ "typo", "-r a --export-jsn b", "unknown option --export-jsn; did you mean --export-json?" },
		{ "swapped letters", "-r a --satts", "did you mean --stats?" },
		{ "half a name", "-r a --rotate-mb 3", "did you mean --write-pcap-rotate-mb?" },
		{ "beginning of many names", "-r a --write-pcap-rotate 3",
			"there are --write-pcap-rotate-mb, --write-pcap-rotate-s" },
		{ "file that is not there", "-r a.pcap b.pcapng", "there is no file b.pcapng" },
		{ "rotation of no time", "-r a --export-nfcapd b --rotate-s 0",
			"--rotate-s: 0 is out of range; it takes seconds from 1 to" },
		{ "stream timeout of no time", "-r a --stream-grpc b:1 --stream-timeout 0.5",
			"--stream-timeout: 0.5 is out of range" },
		{ "detector without anomalies", "-r a --detector syn_flood:syns=9", "--detector: nothing looks for anomalies" },
		{ "nothing near", "-r a --zzzzzz", "unknown option --zzzzzz; flowlane --help" },
		{ "unknown letter", "-r a -Z", "unknown option -Z" },
		{ "file and interface", "-r a -i b", "-r a and -i b: a run reads files or captures live" },
		{ "interface twice", "-i a -i b -i a", "-i a is given twice" },
		{ "empty interface", "--interface=", "--interface: the value is empty" },
		{ "no interface after -i", "-i", "-i needs the name of an interface: -i IF" },
		{ "lanes live", "-i a --lanes 2", "--lanes is for files; live, each RX queue has a lane" },
		{ "ring of no power of two", "-i a --ring-size 3000", "--ring-size 3000 is no power of two; use 2048" },
		{ "zero-copy and copy", "-i a --require-zerocopy --mode copy", "--require-zerocopy contradicts --mode copy" },
		{ "fan-out of a file", "-r a --fanout 2", "--fanout is for live capture (-i IF), not for files" },
		{ "user for a file", "-r a --user nobody", "--user is for live capture (-i IF), not for files" },
		{ "unknown with value", "-r a --foo-bar=3", "unknown option --foo-bar;" },
		{ "--no of a value", "-r a --no-lanes", "unknown option --no-lanes" },
		{ "word as number", "-r a --lanes many",
			"--lanes: 'many' is not understood; it takes a whole number from 1 to 64" },
		{ "too few lanes", "-r a --lanes 0", "--lanes: 0 is out of range" },
		{ "too many lanes", "-r a --lanes 65", "--lanes: 65 is out of range; it takes a whole number from 1 to 64" },
		{ "negative", "-r a -c -5", "--count: '-5' is not understood" },
		{ "plus sign", "-r a -c +5", "'+5' is not understood" },
		{ "blank number", "-r a --count=", "'' is not understood" },
		{ "hexadecimal", "-r a -c 0x10", "'0x10' is not understood" },
		{ "fraction", "-r a -c 1.5", "'1.5' is not understood" },
		{ "unknown suffix", "-r a -c 10T", "'10T' is not understood" },
		{ "beyond 64 bits", "-r a -c 99999999999999999999999", "is out of range" },
		{ "2^64 + 1", "-r a --max-flows 18446744073709551617", "is out of range" },
		{ "suffix overflows", "-r a --max-flows 18446744073709551615G", "is out of range" },
		{ "no flows", "-r a --max-flows 0", "whole number from 1 to 536870912 flows" },
		{ "2^30 + 1 flows", "-r a --max-flows 1073741825", "is out of range" },
		{ "exponent", "-r a --flow-timeout-s 1e3", "--flow-timeout-s: '1e3' is not understood; it takes seconds" },
		{ "negative seconds", "-r a --flow-timeout-s=-1", "'-1' is not understood" },
		{ "infinite", "-r a --flow-timeout-s inf", "'inf' is not understood" },
		{ "ten decimals", "-r a --flow-timeout-s 0.0000000001", "is not understood" },
		{ "point without digits", "-r a --flow-timeout-s 5.", "'5.' is not understood" },
		{ "too few seconds", "-r a --export-nfcapd n --rotate-s 0",
			"--rotate-s: 0 is out of range; it takes seconds from 1 to 86400" },
		{ "less than a second", "-r a --export-nfcapd n --rotate-s 0.5", "is out of range" },
		{ "no time for a collector", "-r a --stream-grpc h:1 --stream-timeout 0.999", "is out of range" },
		{ "too many seconds", "-r a --flow-timeout-s 1000000000.1", "is out of range" },
		{ "wrong word", "-r a --pcap-precision ms", "--pcap-precision: 'ms' is not understood; it takes auto, us or ns" },
		{ "wrong flag value", "-r a --extended=perhaps", "--extended: 'perhaps' is not understood; it takes yes or no" },
		{ "empty file name", "-r a --export-json=", "--export-json: the file name is empty" },
		{ "empty input", "--read-pcap=", "--read-pcap: the file name is empty" },
		{ "two outputs by one option", "-r a --export-csv b --export-csv c", "--export-csv is given twice, with b and c" },
		{ "rotation by size, no file", "-r a --write-pcap-rotate-mb 3", "--write-pcap-rotate-mb needs a file to rotate" },
		{ "rotation by time, no file", "-r a --write-pcap-rotate-s 3", "--write-pcap-rotate-s needs a file to rotate" },
		{ "rotated standard output", "-r a -w - --write-pcap-rotate-s 3", "cannot rotate standard output" },
		{ "max files, no rotation", "-r a -w b --write-pcap-max-files 3", "--write-pcap-max-files needs rotation" },
		{ "stdin twice", "-r - -r -", "-r - is given 2 times" },
		{ "stdout twice", "-r a -w - --summary-json -",
			"--write-pcap and --summary-json would both write to standard output" },
		{ "one output twice", "-r a -w /tmp/x --export-csv /tmp/./x",
			"--write-pcap and --export-csv would both write to /tmp/./x" },
		{ "sizes alone", "-r a --sizes", "--sizes goes with --dump-config" },
		{ "no such configuration", "--config /nonexistent/x.yaml",
			"/nonexistent/x.yaml: cannot open the configuration file: No such file" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;
		int error = parse(cases[i].line, &options);
		if (error != -EINVAL || !strstr(options.error, cases[i].sentence))
			fail_msg("%s: \"%s\" gave %d \"%s\", not \"%s\"", cases[i].name, cases[i].line, error, options.error,
				cases[i].sentence);
		assert_null(strchr(options.error, '\n'));
		options_free(&options);
	}
}

static void parse__when_bare__then_defaults(void **state)
{
	struct options options;
	(void)state;

	assert_int_equal(parse("-r a.pcap", &options), 0);
	const struct config *config = &options.config;
	assert_int_equal(config->read_files_count, 1);
	assert_string_equal(config->read_files[0], "a.pcap");
	assert_null(config->filter);
	assert_int_equal(config->count, 0);
	assert_int_equal(config->lanes, 1);
	assert_true(config->flow_timeout_ns == 60000000000);
	assert_int_equal(config->max_flows, 4194304);
	assert_int_equal(config->pcap_precision, 0);
	assert_int_equal(config->export_scope, SCOPE_ALL);
	assert_int_equal(config->stats_interval_ms, 1000);
	assert_false(config->stats || config->quiet || config->extended || config->all_protocols || config->outer);
	assert_null(config->write_pcap);
	assert_null(config->summary_json);
	options_free(&options);
}

static void parse__when_everything_given__then_every_member_set(void **state)
{
	struct options options;
	(void)state;

	assert_int_equal(parse("-qr a --read-pcap=b tcp -c10k --lanes 3 --outer --key-vlan --key-tunnel port --flow-timeout-s 0.25 "
			       "--max-flows 4Mi",
				 &options),
		0);
	const struct config *config = &options.config;
	assert_int_equal(config->read_files_count, 2);
	assert_string_equal(config->read_files[1], "b");
	assert_string_equal(config->filter, "tcp port");
	assert_int_equal(config->count, 10000);
	assert_int_equal(config->lanes, 3);
	assert_true(config->quiet && config->outer && config->key_vlan && config->key_tunnel);
	assert_int_equal(config->flow_timeout_ns, 250000000);
	assert_int_equal(config->max_flows, 4 << 20);
	options_free(&options);

	assert_int_equal(parse("-r a -w w.pcap -s 96 --pcap-precision ns --write-pcap-rotate-mb 2 --write-pcap-rotate-s 1.5 "
			       "--write-pcap-max-files 7",
				 &options),
		0);
	assert_string_equal(config->write_pcap, "w.pcap");
	assert_int_equal(config->snaplen, 96);
	assert_int_equal(config->pcap_precision, 9);
	assert_int_equal(config->write_pcap_rotate_bytes, 2 << 20);
	assert_int_equal(config->write_pcap_rotate_ns, 1500000000);
	assert_int_equal(config->write_pcap_max_files, 7);
	options_free(&options);

	assert_int_equal(
		parse("-r a --export-json j --export-csv c --expired-flows-jsonl e --export-scope live --extended --all-protocols "
		      "--stats --stats-interval-ms 250 --top-flows 5 --summary-json - --progress always",
			&options),
		0);
	assert_string_equal(config->export_json, "j");
	assert_string_equal(config->export_csv, "c");
	assert_string_equal(config->expired_flows_jsonl, "e");
	assert_int_equal(config->export_scope, SCOPE_LIVE);
	assert_true(config->extended && config->all_protocols && config->stats && config->progress);
	assert_int_equal(config->stats_interval_ms, 250);
	assert_int_equal(config->top_flows, 5);
	assert_string_equal(config->summary_json, "-");
	assert_true(options_use_stdout(config));
	options_free(&options);
}

static void parse__when_number_has_suffix__then_scaled(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} cases[] = { { "7", 7 }, { "7k", 7000 }, { "7K", 7000 }, { "7Ki", 7168 }, { "7M", 7000000 }, { "7Mi", 7340032 },
		{ "7G", 7000000000 }, { "7Gi", 7516192768 }, { "0", 0 }, { "1000000000000000000", 1000000000000000000 } };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;
		char line[64];
		snprintf(line, sizeof(line), "-r a -c %s", cases[i].text);
		assert_int_equal(parse(line, &options), 0);
		assert_true(options.config.count == cases[i].value);
		options_free(&options);
	}
}

static void parse__when_number_repeated__then_last_wins(void **state)
{
	struct options options;
	(void)state;

	assert_int_equal(parse("-r a -c 1 --count 2 --stats --no-stats", &options), 0);
	assert_int_equal(options.config.count, 2);
	assert_false(options.config.stats);
	options_free(&options);
}

static void parse__when_dashes_end_options__then_rest_is_filter(void **state)
{
	struct options options;
	(void)state;

	assert_int_equal(parse("-r a ip[0] - 4 > 2 -- --stats -r", &options), 0);
	assert_string_equal(options.config.filter, "ip[0] - 4 > 2 --stats -r");
	assert_false(options.config.stats);
	options_free(&options);
}

static void parse__when_help_asked__then_nothing_else_is_required(void **state)
{
	static const char *const lines[] = { "--help", "-h", "-V", "--version", "--man", "--markdown", "--dump-config",
		"--help --config /nonexistent" };
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct options options;
		assert_int_equal(parse(lines[i], &options), 0);
		assert_true(options.help || options.version || options.man || options.markdown || options.dump_config);
		options_free(&options);
	}
}

static void in_folder(char folder[], const char *first, const char *second)
{
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	for (const char *const *name = (const char *const[]){ first, second, NULL }; *name; name++) {
		FILE *file = fopen(*name, "w");
		assert_non_null(file);
		fclose(file);
	}
}

static void out_of_folder(const char *folder, const char *first, const char *second)
{
	unlink(first);
	if (second)
		unlink(second);
	assert_int_equal(chdir("/"), 0);
	rmdir(folder);
}

static void parse__when_output_is_an_input__then_refused(void **state)
{
	char folder[] = "/tmp/flowlane-options-XXXXXX";
	struct options options;
	(void)state;

	in_folder(folder, "in.pcap", NULL);
	assert_int_equal(link("in.pcap", "hard.pcap"), 0);
	assert_int_equal(symlink("in.pcap", "soft.pcap"), 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	static const char *const bad[] = { "-r in.pcap -w in.pcap", "-r in.pcap -w ./in.pcap", "-r in.pcap --export-csv hard.pcap",
		"-r x -r soft.pcap --summary-json in.pcap" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(bad[i], &options), -EINVAL);
		assert_non_null(strstr(options.error, "would overwrite the input"));
		options_free(&options);
	}
	assert_int_equal(parse("-r in.pcap other.cap", &options), 0);
	assert_string_equal(options.config.filter, "other.cap");
	options_free(&options);
	assert_int_equal(parse("-r in.pcap hard.pcap", &options), -EINVAL);
	assert_non_null(strstr(options.error, "hard.pcap is a file, not a part of a filter; to read it too, give -r hard.pcap"));
	options_free(&options);
	assert_int_equal(parse("-r pipe --lanes 2", &options), 0);
	options_free(&options);
	unlink("soft.pcap");
	unlink("pipe");
	out_of_folder(folder, "in.pcap", "hard.pcap");
}

static void parse__when_outputs_are_devices__then_may_be_shared(void **state)
{
	struct options options;
	(void)state;

	assert_int_equal(parse("-r a -w /dev/null --export-json /dev/null --export-csv /dev/null", &options), 0);
	options_free(&options);
}

/* What `print` writes, to be freed. */
static char *printed(void (*print)(FILE *))
{
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);

	print(memory);
	fclose(memory);
	return text;
}

static void help__when_printed__then_complete_and_at_most_100_columns(void **state)
{
	char *help = printed(options_print_help), *line_state = NULL;
	(void)state;

	for (unsigned i = 0; i < option_count; i++) {
		char name[64];
		snprintf(name, sizeof(name), "--%s ", option_table[i].name ? option_table[i].name : "");
		assert_true(!option_table[i].name || strstr(help, name));
	}
	assert_non_null(strstr(help, "(default 4194304)"));
	assert_non_null(strstr(help, "Exit codes:"));
	assert_non_null(strstr(help, "Examples:"));
	for (char *line = strtok_r(help, "\n", &line_state); line; line = strtok_r(NULL, "\n", &line_state)) {
		if (strlen(line) > 100)
			fail_msg("%zu columns: %s", strlen(line), line);
	}
	free(help);
}

static void manual__when_printed__then_names_every_option(void **state)
{
	char *manual = printed(options_print_man), *markdown = printed(options_print_markdown);
	(void)state;

	assert_memory_equal(manual, ".TH FLOWLANE 1", 14);
	for (unsigned i = 0; i < option_count; i++) {
		char roff[128] = "\\-\\-", *at = roff + 4;
		const char *name = option_table[i].name;
		for (const char *c = name ? name : ""; *c; c++)
			at += sprintf(at, *c == '-' ? "\\-" : "%c", *c);
		assert_true(!name || strstr(manual, roff));
		snprintf(roff, sizeof(roff), "--%s", name ? name : "");
		assert_true(!name || strstr(markdown, roff));
		snprintf(roff, sizeof(roff), "`%s.%s`", option_table[i].section, option_table[i].key);
		assert_true(!option_table[i].section || strstr(markdown, roff));
	}
	free(manual);
	free(markdown);
}

static void table__when_read__then_names_keys_and_letters_are_unique(void **state)
{
	(void)state;

	for (unsigned i = 0; i < option_count; i++) {
		const struct option_spec *x = &option_table[i];
		assert_true(x->size == sizeof(char *) || x->kind != OPTION_PATH);
		assert_true((x->section != NULL) == (x->key != NULL));
		for (unsigned j = 0; j < i; j++) {
			const struct option_spec *y = &option_table[j];
			assert_false(x->name && y->name && !strcmp(x->name, y->name));
			assert_false(x->letter && x->letter == y->letter);
			assert_false(x->section && y->section && !strcmp(x->section, y->section) && !strcmp(x->key, y->key));
			assert_false(x->offset == y->offset);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse__when_wrong__then_sentence),
		cmocka_unit_test(parse__when_bare__then_defaults),
		cmocka_unit_test(parse__when_everything_given__then_every_member_set),
		cmocka_unit_test(parse__when_number_has_suffix__then_scaled),
		cmocka_unit_test(parse__when_number_repeated__then_last_wins),
		cmocka_unit_test(parse__when_dashes_end_options__then_rest_is_filter),
		cmocka_unit_test(parse__when_help_asked__then_nothing_else_is_required),
		cmocka_unit_test(parse__when_output_is_an_input__then_refused),
		cmocka_unit_test(parse__when_outputs_are_devices__then_may_be_shared),
		cmocka_unit_test(help__when_printed__then_complete_and_at_most_100_columns),
		cmocka_unit_test(manual__when_printed__then_names_every_option),
		cmocka_unit_test(table__when_read__then_names_keys_and_letters_are_unique),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
