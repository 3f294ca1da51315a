/* The database of an index: what one looks like whose maker was ended early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index_db.h"
#include "log.h"

static const struct {
	const char *name;
	const char *families[3]; /* besides RocksDB's own */
	bool is_begun;
} cases[] = {
	{ "none of ours yet", { NULL }, true },
	{ "one of ours", { "flows" }, true },
	{ "both", { "flows", "packets" }, false },
	{ "others'", { "metadata" }, false },
	{ "one of ours, one of others", { "flows", "metadata" }, false },
};

static void database_make(const char *path, const char *const families[3])
{
	char *error = NULL;
	rocksdb_options_t *options = rocksdb_options_create();

	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_t *db = rocksdb_open(options, path, &error);
	assert_null(error);
	for (unsigned i = 0; i < 3 && families[i]; i++) {
		rocksdb_column_family_handle_t *family = rocksdb_create_column_family(db, options, families[i], &error);
		assert_null(error);
		rocksdb_column_family_handle_destroy(family);
	}
	rocksdb_close(db);
	rocksdb_options_destroy(options);
}

static void is_begun__when_families_are_missing__then_only_if_none_is_of_others(void **context)
{
	(void)context;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[] = "/tmp/index-db-XXXXXX";
		assert_non_null(mkdtemp(path));
		assert_true(index_db_is_begun(path)); /* nothing there */
		database_make(path, cases[i].families);
		if (index_db_is_begun(path) != cases[i].is_begun)
			fail_msg("%s: begun %d", cases[i].name, !cases[i].is_begun);
		assert_int_equal(index_db_remove(path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_begun__when_families_are_missing__then_only_if_none_is_of_others),
	};

	log_set_quiet(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
