#include "path_check.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"

/* Devices and pipes may be shared (/dev/null); standard output may not: two formats in one stream are of no use. */
static bool same_file(const char *x, const char *y)
{
	struct stat a, b;
	bool x_stdio = strcmp(x, "-") == 0, y_stdio = strcmp(y, "-") == 0;

	if (x_stdio || y_stdio)
		return x_stdio && y_stdio;
	if (stat(x, &a) == 0 && stat(y, &b) == 0)
		return S_ISREG(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	return strcmp(x, y) == 0;
}

int path_check(const struct config *config, const char *what, const char *path)
{
	const char *outputs[] = { config->write_pcap, config->export_json, config->export_csv, config->expired_flows_jsonl,
		config->summary_json };

	for (unsigned i = 0; i < config->read_files_count; i++) {
		if (strcmp(path, "-") != 0 && same_file(path, config->read_files[i])) {
			log_error("%s: \"%s\" is the file that is being read; write to another one", what, path);
			return -EINVAL;
		}
	}
	for (unsigned i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		if (outputs[i] && outputs[i] != path && same_file(path, outputs[i])) {
			log_error("%s: \"%s\" is the file of another output, too; give each its own", what, path);
			return -EINVAL;
		}
	}
	return 0;
}
