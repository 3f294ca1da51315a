/*
 * Fuzz target of the reader of audit records: any file, printed in each format. It must end, and not by a signal.
 *
 *   input: format(1) the file
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <stdint.h>
#include <unistd.h>

#include "dump.h"
#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static char *formats[] = { "--json", "--csv", "--table", "--header", "--select=Timestamp" };
	static int file = -1;
	char path[64];

	if (file < 0) {
		file = memfd_create("fuzz", 0);
		if (file < 0 || !freopen("/dev/null", "w", stdout))
			abort();
		log_mute(true);
	}
	if (size < 1)
		return 0;
	if (ftruncate(file, 0) || pwrite(file, input + 1, size - 1, 0) != (ssize_t)size - 1)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	unsigned format = input[0] % 6;
	char *plain[] = { "dump", path, NULL };
	char *with[] = { "dump", format < 5 ? formats[format] : NULL, path, NULL };
	int status = format == 5 ? dump_run(2, plain) : dump_run(3, with);
	if (status < 0 || status > 2)
		abort();
	return 0;
}
