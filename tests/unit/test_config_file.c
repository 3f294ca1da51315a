/* The YAML configuration: refused with file and place, overridden by the command line, dumped and read back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "options.h"

static char config_path[] = "/tmp/flowlane-config-XXXXXX";

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(config_path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(config_path);
}

static void write_config(const char *text, size_t length)
{
	FILE *file = fopen(config_path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	fclose(file);
}

/* flowlane --config FILE WORDS... */
static int parse_with(const char *yaml, struct options *options, int words, char *const *word)
{
	char *argv[16] = { "flowlane", "--config", config_path };

	assert_true(words <= 13);
	write_config(yaml, strlen(yaml));
	for (int i = 0; i < words; i++)
		argv[3 + i] = word[i];
	return options_parse(3 + words, argv, options);
}

static void load__when_wrong__then_sentence_names_file_and_place(void **state)
{
	static const struct {
		const char *name, *yaml, *sentence;
	} cases[] = {
		{ "unknown key", "input:\n  read_pcap: [a]\n  fliter: tcp\n",
			"line 3: unknown key 'input.fliter'; did you mean 'filter'?" },
		{ "unknown key first", "# a file\n\nrun:\n  # so many\n  lane: 3\n",
			"line 5: unknown key 'run.lane'; did you mean 'lanes'?" },
		{ "unknown section", "input:\n  count: 3\ninptu:\n  count: 1\n",
			"line 3: unknown key 'inptu'; did you mean 'input'?" },
		{ "key of another section", "input:\n  lanes: 3\n", "line 2: unknown key 'input.lanes'" },
		{ "command line only", "general:\n  help: true\n", "unknown key 'general'" },
		{ "flow style", "input: {read_pcap: [a], foo: 1}\n", "line 1: unknown key 'input.foo'" },
		{ "bad number", "run:\n  lanes: many\n",
			": line 2: run.lanes: 'many' is not understood; it takes a whole number from 1 to 64" },
		{ "out of range", "run:\n  lanes: 99\n", ": line 2: run.lanes: 99 is out of range" },
		{ "bad seconds", "flow:\n  timeout_s: soon\n", ": line 2: flow.timeout_s: 'soon' is not understood" },
		{ "bad word", "export:\n  scope: some\n",
			": line 2: export.scope: 'some' is not understood; it takes all or live" },
		{ "bad flag", "stats:\n  enabled: maybe\n", ": line 2: stats.enabled: 'maybe' is not understood" },
		{ "empty path in list", "input:\n  read_pcap: ['']\n", ": line 2: input.read_pcap: the file name is empty" },
		{ "third of a list",
			"# a\n\nrun:\n  lanes: 2\nanomalies:\n  # all\n  detectors:\n    - syn_flood:syns=5\n\n"
			"    - all:on\n    - 'syn_flood:syns=0'\n",
			": line 11: anomalies.detectors: syn_flood: syns '0'" },
		{ "list in one line", "anomalies: {enabled: yes,\n  detectors: [udp_flood:off,\n    sin_flood:off]}\n",
			": line 3: anomalies.detectors: there is no detector 'sin_flood'; did you mean 'syn_flood'?" },
		{ "value below its key", "run:\n  'lanes':\n\n    many\n", ": line 4: run.lanes: 'many'" },
		{ "list for value", "input:\n  count: [1]\n", "line 2: 'input.count' takes one value" },
		{ "mapping for value", "input:\n  count:\n    a: 1\n", "'input.count' takes one value" },
		{ "value for list", "input:\n  read_pcap: a.pcap\n", "line 2: 'input.read_pcap' takes a list" },
		{ "list in list", "input:\n  read_pcap: [[a]]\n", "takes" },
		{ "value for section", "input: 3\n", "line 1: 'input' takes keys with values below it" },
		{ "list at top", "- a\n", "this is not a configuration" },
		{ "text at top", "hello\n", "this is not a configuration" },
		{ "key twice", "input:\n  count: 1\n  count: 2\n", "line 3: 'input.count' is given twice" },
		{ "section twice", "input:\n  count: 1\ninput:\n  count: 2\n", "'input' is given twice" },
		{ "tab", "input:\n\tcount: 1\n", "not valid YAML" },
		{ "open quote", "input: {filter: 'a}\n", "not valid YAML" },
		{ "alias", "input: &a\n  count: 1\nrun: *a\n", "YAML aliases" },
		{ "two documents", "input:\n  count: 1\n---\nrun:\n", "one YAML document" },
		{ "not UTF-8", "input:\n  filter: \"\xff\"\n", "not valid YAML" },
		{ "contradiction", "input:\n  read_pcap: [a]\npcap:\n  max_files: 3\n", "--write-pcap-max-files needs rotation" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;
		int error = parse_with(cases[i].yaml, &options, 0, NULL);
		if (error != -EINVAL || !strstr(options.error, cases[i].sentence))
			fail_msg("%s: gave %d \"%s\", not \"%s\"", cases[i].name, error, options.error, cases[i].sentence);
		assert_true(!strncmp(options.error, config_path, strlen(config_path)) || !strncmp(options.error, "--", 2));
		assert_null(strchr(options.error, '\n'));
		options_free(&options);
	}
}

static void load__when_no_text__then_refused(void **state)
{
	char *argv[] = { "flowlane", "--config", config_path };
	struct options options;
	(void)state;

	write_config("input:\0\n", 8);
	assert_int_equal(options_parse(3, argv, &options), -EINVAL);
	assert_non_null(strstr(options.error, "it is binary"));
	options_free(&options);

	char *big = malloc(1 << 21);
	memset(big, '#', 1 << 21);
	write_config(big, 1 << 21);
	free(big);
	assert_int_equal(options_parse(3, argv, &options), -EINVAL);
	assert_non_null(strstr(options.error, "over 1 MiB"));
	options_free(&options);

	argv[2] = "/tmp";
	assert_int_equal(options_parse(3, argv, &options), -EINVAL);
	assert_non_null(strstr(options.error, "/tmp: cannot read the configuration file: Is a directory"));
	options_free(&options);
}

static void load__when_silent_or_empty__then_defaults(void **state)
{
	static const char *const texts[] = { "", "# nothing\n", "input:\nrun:\n", "input: {count: '', filter: ''}\nrun: ~\n",
		"---\n" };
	char *word[] = { "-r", "a" };
	(void)state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct options options;
		assert_int_equal(parse_with(texts[i], &options, 2, word), 0);
		assert_int_equal(options.config.count, 0);
		assert_int_equal(options.config.lanes, 1);
		assert_null(options.config.filter);
		options_free(&options);
	}
}

static void load__when_values_given__then_set(void **state)
{
	struct options options;
	(void)state;

	assert_int_equal(
		parse_with("input: {read_pcap: [a, 'b c'], filter: tcp port 80, count: 5k}\nflow: {timeout_s: 1.5, outer: yes}\n"
			   "export: {scope: live, json: out.json}\nrun: {quiet: true, lanes: 2}\n",
			&options, 0, NULL),
		0);
	const struct config *config = &options.config;
	assert_int_equal(config->read_files_count, 2);
	assert_string_equal(config->read_files[1], "b c");
	assert_string_equal(config->filter, "tcp port 80");
	assert_int_equal(config->count, 5000);
	assert_int_equal(config->flow_timeout_ns, 1500000000);
	assert_true(config->outer && config->quiet);
	assert_int_equal(config->export_scope, SCOPE_LIVE);
	assert_string_equal(config->export_json, "out.json");
	options_free(&options);
}

static void load__when_command_line_differs__then_command_line_wins(void **state)
{
	char *word[] = { "-r", "z", "-c", "7", "--export-json", "mine.json", "--no-outer", "--export-scope=all", "udp" };
	struct options options;
	(void)state;

	assert_int_equal(parse_with("input: {read_pcap: [a, b], filter: tcp, count: 5}\nflow: {outer: yes, key_vlan: yes}\n"
				    "export: {scope: live, json: out.json}\n",
				 &options, 9, word),
		0);
	const struct config *config = &options.config;
	assert_int_equal(config->read_files_count, 1);
	assert_string_equal(config->read_files[0], "z");
	assert_string_equal(config->filter, "udp");
	assert_int_equal(config->count, 7);
	assert_string_equal(config->export_json, "mine.json");
	assert_int_equal(config->export_scope, SCOPE_ALL);
	assert_false(config->outer);
	assert_true(config->key_vlan);
	options_free(&options);
}

static char *dumped(struct options *options)
{
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);

	assert_int_equal(options_dump(options, memory), 0);
	fclose(memory);
	return text;
}

/* Every option away from its default; texts with everything that YAML might take for something else. */
static void dump__when_read_back__then_same_configuration(void **state)
{
	char *argv[] = { "flowlane", "-r", "a\"b\\c: #d\n\t'e'.pcap", "-r", "\xc3\xa4.pcap", "-r", "~", "-r", "- x", "-c", "12",
		"--lanes", "5", "--flow-timeout-s", "0.000000001", "--max-flows", "77", "--outer", "--key-vlan", "--key-tunnel",
		"-w", "null", "-s", "99", "--pcap-precision", "us", "--write-pcap-rotate-mb", "3", "--write-pcap-rotate-s", "12.5",
		"--write-pcap-max-files", "4", "--export-json", "true", "--export-csv", "1", "--expired-flows-jsonl", "{x}",
		"--export-scope", "live", "--extended", "--all-protocols", "--stats", "--stats-interval-ms", "11", "--top-flows",
		"3", "--summary-json", "[y]", "--progress", "never", "-q", "tcp[13]", "&", "2", "!=", "0" };
	char *again[] = { "flowlane", "--config", config_path };
	struct options first, second;
	(void)state;

	assert_int_equal(options_parse(sizeof(argv) / sizeof(argv[0]), argv, &first), 0);
	char *text = dumped(&first);
	write_config(text, strlen(text));
	if (options_parse(3, again, &second))
		fail_msg("%s\n%s", second.error, text);
	char *text_again = dumped(&second);
	assert_string_equal(text, text_again);

	const struct config *x = &first.config, *y = &second.config;
	assert_int_equal(x->read_files_count, y->read_files_count);
	for (unsigned i = 0; i < x->read_files_count; i++)
		assert_string_equal(x->read_files[i], y->read_files[i]);
	assert_string_equal(x->filter, y->filter);
	assert_string_equal(x->write_pcap, y->write_pcap);
	assert_string_equal(x->export_json, y->export_json);
	assert_string_equal(x->export_csv, y->export_csv);
	assert_string_equal(x->expired_flows_jsonl, y->expired_flows_jsonl);
	assert_string_equal(x->summary_json, y->summary_json);
	assert_int_equal(y->flow_timeout_ns, 1);
	assert_int_equal(y->write_pcap_rotate_ns, 12500000000);
	assert_int_equal(y->write_pcap_rotate_bytes, 3 << 20);
	assert_int_equal(y->progress_when, PROGRESS_NEVER);
	assert_true(y->quiet && y->stats && y->extended && y->all_protocols && y->outer && y->key_vlan && y->key_tunnel);
	free(text);
	free(text_again);
	options_free(&first);
	options_free(&second);
}

static void dump__when_name_is_not_utf8__then_refused(void **state)
{
	static char *const names[] = { "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80" };
	(void)state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *argv[] = { "flowlane", "-r", names[i] };
		struct options options;
		assert_int_equal(options_parse(3, argv, &options), 0);
		assert_int_equal(options_dump(&options, stderr), -EILSEQ);
		assert_non_null(strstr(options.error, "not UTF-8"));
		options_free(&options);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load__when_wrong__then_sentence_names_file_and_place),
		cmocka_unit_test(load__when_no_text__then_refused),
		cmocka_unit_test(load__when_silent_or_empty__then_defaults),
		cmocka_unit_test(load__when_values_given__then_set),
		cmocka_unit_test(load__when_command_line_differs__then_command_line_wins),
		cmocka_unit_test(dump__when_read_back__then_same_configuration),
		cmocka_unit_test(dump__when_name_is_not_utf8__then_refused),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
