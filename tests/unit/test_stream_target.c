#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "log.h"
#include "stream_target.h"

static void parse__when_text__then_host_and_port_or_refused(void **state)
{
	static const struct {
		const char *text, *host, *port; /* NULL: refused */
	} cases[] = {
		{ "127.0.0.1:50051", "127.0.0.1", "50051" },
		{ "collector.example:1", "collector.example", "1" },
		{ "[::1]:65535", "::1", "65535" },
		{ "[2001:db8::9]:050", "2001:db8::9", "50" },
		{ "localhost", NULL, NULL },
		{ "localhost:", NULL, NULL },
		{ ":50051", NULL, NULL },
		{ "[]:50051", NULL, NULL },
		{ "::1:50051", NULL, NULL },
		{ "a:0", NULL, NULL },
		{ "a:65536", NULL, NULL },
		{ "a:99999999999999999999", NULL, NULL },
		{ "a:-1", NULL, NULL },
		{ "a:http", NULL, NULL },
		{ "http://a:50051", NULL, NULL },
	};

	(void)state;
	log_mute(true);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stream_target target;
		int error = stream_target_parse("--stream-grpc", cases[i].text, &target);
		if (error != (cases[i].host ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, error);
		if (error)
			continue;
		assert_string_equal(target.host, cases[i].host);
		assert_string_equal(target.port, cases[i].port);
		assert_string_equal(target.text, cases[i].text);
	}
	log_mute(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(parse__when_text__then_host_and_port_or_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
